//! A client and a contact center on machines of their own, as far as the network can tell: Linux network namespaces.
#![allow(clippy::unwrap_used, dead_code)]

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

static NAMES: AtomicU32 = AtomicU32::new(0);

fn ip(words: &str) -> bool {
    let done = Command::new("ip").args(words.split_whitespace()).stderr(Stdio::null()).status();
    done.is_ok_and(|s| s.success())
}

/// A network namespace; gone with its owner.
pub struct Namespace(pub String);

impl Namespace {
    /// `None` where namespaces cannot be made: they need root, and Linux.
    pub fn new() -> Option<Self> {
        let name = format!("cpt{}-{}", std::process::id(), NAMES.fetch_add(1, Ordering::Relaxed));
        if !ip(&format!("netns add {name}")) {
            eprintln!("skipped: network namespaces need root on Linux");
            return None;
        }
        let made = Self(name);
        made.ip("link set lo up");
        Some(made)
    }

    /// Configures it.
    pub fn ip(&self, words: &str) {
        assert!(ip(&format!("-n {} {words}", self.0)), "ip -n {} {words}", self.0);
    }

    /// A command in it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&format!("netns del {}", self.0));
    }
}

/// A client, a router and a center: 10.99.1.2 — 10.99.1.1, 10.99.2.1 — 10.99.2.2. The router can stop forwarding, which is
/// total loss without a word.
pub struct Routed {
    pub client: Namespace,
    pub router: Namespace,
    pub center: Namespace,
}

impl Routed {
    pub const CENTER: &str = "10.99.2.2";

    pub fn new() -> Option<Self> {
        let (client, router, center) = (Namespace::new()?, Namespace::new()?, Namespace::new()?);
        for (end, subnet) in [(&client, 1), (&center, 2)] {
            assert!(ip(&format!("link add eth0 netns {} type veth peer name to{subnet} netns {}", end.0, router.0)));
            router.ip(&format!("addr add 10.99.{subnet}.1/24 dev to{subnet}"));
            router.ip(&format!("link set to{subnet} up"));
            end.ip(&format!("addr add 10.99.{subnet}.2/24 dev eth0"));
            end.ip("link set eth0 up");
            end.ip(&format!("route add default via 10.99.{subnet}.1"));
        }
        let made = Self { client, router, center };
        made.forward(true);
        Some(made)
    }

    /// Whether anything gets through.
    pub fn forward(&self, on: bool) {
        let switch = format!("echo {} > /proc/sys/net/ipv4/ip_forward", u8::from(on));
        assert!(self.router.command("sh").args(["-c", &switch]).status().unwrap().success());
    }

    /// The client's address goes, and another one comes.
    pub fn readdress_client(&self, host: u8) {
        self.client.ip("addr flush dev eth0 scope global");
        self.client.ip(&format!("addr add 10.99.1.{host}/24 dev eth0"));
        self.client.ip("route add default via 10.99.1.1");
    }
}

/// A link with faults between two namespaces, 10.99.0.1 and 10.99.0.2.
pub struct LossyLink {
    pub client: Namespace,
    pub center: Namespace,
    carrier: Child,
}

impl LossyLink {
    pub const CENTER: &str = "10.99.0.2";

    /// `faults` as scripts/lossy_link.py takes them.
    pub fn new(faults: &str) -> Option<Self> {
        let (client, center) = (Namespace::new()?, Namespace::new()?);
        let mut carrier = Command::new("python3")
            .args(["scripts/lossy_link.py", &client.0, &center.0, "--seconds", "120"])
            .args(faults.split_whitespace())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(carrier.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n");
        for (end, host) in [(&client, 1), (&center, 2)] {
            end.ip(&format!("addr add 10.99.0.{host}/24 dev imp0"));
            end.ip("link set imp0 up");
        }
        Some(Self { client, center, carrier })
    }
}

impl Drop for LossyLink {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.carrier.kill();
        let _ = self.carrier.wait();
    }
}

/// A process of the program under test; killed with its owner.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    pub home: TempDir,
}

impl Running {
    pub fn start(place: &Namespace, arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = place.command(env!("CARGO_BIN_EXE_chatphone"));
        command.args(arguments).env("HOME", home.path());
        for name in ["XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
            command.env_remove(name);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (said, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        Self { stdin: child.stdin.take(), child, lines, home }
    }

    /// A simulated center in a namespace; returns when it listens.
    pub fn center(place: &Namespace, address: &str, flags: &[&str]) -> Self {
        let listen = format!("{address}:8080");
        let center = Self::start(place, &[&["simulate", "--listen", &listen], flags].concat());
        center.line();
        center
    }

    /// A client of the center at `address`.
    pub fn client(place: &Namespace, command: &str, address: &str, flags: &[&str]) -> Self {
        let url = format!("http://{address}:8080");
        let known =
            [command, "--json", "--url", &url, "--insecure-http", "--app-id", "test", "--client-id", "networks"];
        Self::start(place, &[&known, flags].concat())
    }

    pub fn type_line(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next line it prints.
    pub fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("another line")
    }

    /// The next event with one of these names, passing others over.
    pub fn event(&self, names: &[&str]) -> Value {
        let (deadline, mut passed) = (Instant::now() + PATIENCE, Vec::new());
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            let event: Value = serde_json::from_str(&line).unwrap();
            let name = event["event"].as_str().unwrap_or_default().to_owned();
            if names.contains(&name.as_str()) {
                return event;
            }
            passed.push(name);
        }
        panic!("no {names:?}; there was {passed:?}");
    }

    /// The last line it prints, once it is over.
    pub fn last(&self) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut last = String::new();
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            last = line;
        }
        serde_json::from_str(&last).unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
