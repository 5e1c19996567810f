//! Two network namespaces with a cable between them: a kiosk, and a contact center.

use std::process::{Child, Command, Stdio};

pub const CENTER: [u8; 4] = [10, 77, 0, 1];

/// A pair of namespaces. They go with it.
pub struct Cable {
    kiosk: String,
    center: String,
}

fn ip(args: &str) -> bool {
    let run = Command::new("ip").args(args.split(' ')).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

impl Cable {
    /// `None` where this user may not make namespaces.
    pub fn lay() -> Option<Self> {
        let id = std::process::id();
        let cable = Self { kiosk: format!("cpk{id}"), center: format!("cpc{id}") };
        let Self { kiosk, center } = &cable;
        let laid = ip(&format!("netns add {kiosk}"))
            && ip(&format!("netns add {center}"))
            && ip(&format!("-n {kiosk} link add eth0 type veth peer name eth0 netns {center}"))
            && ip(&format!("-n {center} addr add 10.77.0.1/24 dev eth0"))
            && ip(&format!("-n {kiosk} addr add 10.77.0.2/24 dev eth0"))
            && [kiosk, center]
                .iter()
                .all(|ns| ip(&format!("-n {ns} link set lo up")) && ip(&format!("-n {ns} link set eth0 up")));
        laid.then_some(cable)
    }

    /// A command at the kiosk.
    pub fn at_kiosk(&self, program: &str) -> Command {
        within(&self.kiosk, program)
    }

    /// A command at the contact center.
    pub fn at_center(&self, program: &str) -> Command {
        within(&self.center, program)
    }

    /// Lets a port of the center be found out.
    pub fn is_up(&self, port: u16) -> bool {
        let script = format!("exec 3<>/dev/tcp/10.77.0.1/{port}");
        self.at_center("bash").args(["-c", &script]).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
    }

    /// A firewall on the way that drops UDP without a word: a rule of routing, since not every machine has nftables.
    /// False where the kernel has no such rules.
    pub fn block_udp(&self) -> bool {
        let center = &self.center;
        // Before the rule for addresses of one's own, which is the first otherwise.
        ip(&format!("-n {center} rule add pref 5 iif eth0 ipproto udp blackhole"))
            && ip(&format!("-n {center} rule add pref 10 lookup local"))
            && ip(&format!("-n {center} rule del pref 0"))
    }
}

fn within(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, program]);
    command
}

impl Drop for Cable {
    fn drop(&mut self) {
        for namespace in [&self.kiosk, &self.center] {
            ip(&format!("netns del {namespace}"));
        }
    }
}

/// A process that is killed when this is dropped. `ip netns exec` becomes the program it runs.
pub struct Ends(pub Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
