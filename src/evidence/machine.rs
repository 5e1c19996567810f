//! How busy this machine is: so that a bad call is not blamed on the network when the machine was.

use serde::Serialize;
use std::fs;

/// Shares of processor time since the reading before, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Load {
    /// What this process took, of one core.
    pub process_cpu_percent: f64,
    /// What everybody took, of all cores.
    pub machine_cpu_percent: f64,
    /// What a host of virtual machines took away, of all cores.
    pub steal_percent: f64,
}

/// Reads the load. Where the system has no `/proc` (anywhere but on Linux), there is none.
#[derive(Debug)]
pub struct Machine {
    last: Option<Ticks>,
}

#[derive(Debug, Clone, Copy)]
struct Ticks {
    process: u64,
    busy: u64,
    steal: u64,
    all: u64,
    cores: u64,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// The load is that since now.
    pub fn new() -> Self {
        Self { last: Ticks::read() }
    }

    /// The load since the last reading.
    pub fn load(&mut self) -> Option<Load> {
        let now = Ticks::read()?;
        let before = self.last.replace(now)?;
        now.since(before)
    }
}

impl Ticks {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?, &fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// proc(5): `cpu user nice system idle iowait irq softirq steal …`, and utime and stime as the 14th and 15th field.
    fn parse(stat: &str, own: &str) -> Option<Self> {
        let cpu: Vec<u64> =
            stat.lines().next()?.split_ascii_whitespace().skip(1).map_while(|n| n.parse().ok()).collect();
        let &[user, nice, system, idle, iowait, irq, softirq, steal, ..] = cpu.as_slice() else { return None };
        let busy = user + nice + system + irq + softirq;
        let is_core = |line: &&str| line.starts_with("cpu") && line.as_bytes().get(3).is_some_and(u8::is_ascii_digit);
        let cores = stat.lines().filter(is_core).count() as u64;
        // The name, in parentheses, may hold anything.
        let mut fields = own.get(own.rfind(')')? + 1..)?.split_ascii_whitespace().skip(11);
        let mut next = || fields.next()?.parse::<u64>().ok();
        let process = next()? + next()?;
        Some(Self { process, busy, steal, all: busy + idle + iowait + steal, cores: cores.max(1) })
    }

    fn since(self, before: Self) -> Option<Load> {
        let all = self.all.checked_sub(before.all).filter(|all| *all > 0)? as f64;
        let share = |now: u64, then: u64| (now.saturating_sub(then) as f64 / all * 1000.0).round() / 10.0;
        Some(Load {
            process_cpu_percent: (share(self.process, before.process) * self.cores as f64 * 10.0).round() / 10.0,
            machine_cpu_percent: share(self.busy, before.busy),
            steal_percent: share(self.steal, before.steal),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ticks(busy: u64, idle: u64, steal: u64, own: u64) -> Ticks {
        let stat = format!("cpu  {busy} 0 0 {idle} 0 0 0 {steal} 0 0\ncpu0 1\ncpu1 1\nintr 5\n");
        Ticks::parse(&stat, &format!("7 (a) b) S 1 2 3 4 5 6 7 8 9 10 {own} 0 0 0\n")).unwrap()
    }

    #[test]
    fn shares_are_of_the_time_since_the_last_reading() {
        let load = ticks(150, 1130, 20, 60).since(ticks(100, 1000, 0, 10)).unwrap();
        assert_eq!((load.machine_cpu_percent, load.steal_percent), (25.0, 10.0));
        assert_eq!(load.process_cpu_percent, 50.0, "50 of 200 ticks of two cores");
    }

    #[test]
    fn what_is_no_such_file_gives_nothing() {
        assert!(Ticks::parse("", "").is_none());
        assert!(Ticks::parse("cpu 1 2\n", "1 (x) S\n").is_none());
        assert!(ticks(1, 1, 0, 1).since(ticks(1, 1, 0, 1)).is_none(), "no time went by");
    }
}
