//! What goes wrong in one call: drawn from a seed.

use chatphone::api::ErrorCode;
use chatphone::simulator::{ApiMethod, FAULT_KINDS, Fault, KindInfo, Quirk, Quirks};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::fmt;
use std::time::Duration;

/// The circumstances of one call.
#[derive(Debug, Clone)]
pub struct Trouble {
    pub seed: u64,
    pub faults: Vec<Fault>,
    pub quirks: Quirks,
    /// The agent calls.
    pub incoming: bool,
    /// How long the customer talks.
    pub talk: Duration,
    /// When the customer gives up.
    pub stop_after: Option<Duration>,
}

impl Trouble {
    /// A call in which all is well.
    pub fn none(seed: u64) -> Self {
        let talk = Duration::from_millis(150);
        Self { seed, faults: Vec::new(), quirks: Quirks::default(), incoming: false, talk, stop_after: None }
    }

    /// The call of this seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let faults = (0..rng.random_range(0..=4)).map(|_| fault(&mut rng)).collect();
        let quirks = match rng.random_range(0..4) {
            0 => Quirks::all(),
            1 => (0..3).filter_map(|_| Quirk::ALL.choose(&mut rng).copied()).collect(),
            _ => Quirks::default(),
        };
        let talk = Duration::from_millis(rng.random_range(50..600));
        let stop_after = rng.random_bool(0.1).then(|| Duration::from_millis(rng.random_range(0..2000)));
        Self { seed, faults, quirks, incoming: rng.random_bool(0.2), talk, stop_after }
    }

    /// Whether nothing keeps the call from being completed. Quirks are no reason.
    pub fn is_harmless(&self) -> bool {
        self.faults.is_empty() && self.stop_after.is_none()
    }
}

/// As flags of `chatphone simulate`, and how to make the call again.
impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CHATPHONE_CHAOS_SEED={} CHATPHONE_CHAOS_CALLS=1: --seed {}", self.seed, self.seed)?;
        for fault in &self.faults {
            write!(f, " --fault {fault}")?;
        }
        if !self.quirks.is_empty() {
            write!(f, " --quirks {}", self.quirks)?;
        }
        if self.incoming {
            write!(f, " --incoming")?;
        }
        write!(f, " (talks {:?}", self.talk)?;
        self.stop_after.map_or(Ok(()), |after| write!(f, ", gives up after {after:?}"))?;
        write!(f, ")")
    }
}

/// A fault of any kind, with any argument.
fn fault(rng: &mut StdRng) -> Fault {
    let kind = FAULT_KINDS.choose(rng).unwrap();
    let on = if kind.on == "METHOD" { method(rng) } else { kind.on.to_owned() };
    let when = match rng.random_range(0..6) {
        0 => "1".to_owned(),
        1 => rng.random_range(2..5).to_string(),
        2 => "*".to_owned(),
        3 => format!("{}%", rng.random_range(5..60)),
        4 => format!("nth={}", rng.random_range(1..5)),
        _ => format!("after={}:2", rng.random_range(1..4)),
    };
    let line = format!("{on}:{}:{when}", with_argument(kind, rng));
    line.parse().unwrap_or_else(|e| panic!("{line}: {e}"))
}

fn method(rng: &mut StdRng) -> String {
    use ApiMethod as M;
    let used =
        [M::Availability, M::RequestChat, M::Poll, M::Poll, M::Poll, M::SendEvents, M::SendEvents, M::IceServers];
    let at = rng.random_range(0..=used.len());
    used.get(at).map_or("any", |m| m.name()).to_owned()
}

fn with_argument(kind: &KindInfo, rng: &mut StdRng) -> String {
    let (name, form) = kind.form.split_once('=').unwrap_or((kind.form, ""));
    let (name, optional) = name.strip_suffix('[').map_or((name, false), |name| (name, true));
    let way = match (kind.on, form.is_empty()) {
        ("media", false) if name != "blackout" => ["", "-in", "-out"].choose(rng).unwrap(),
        _ => "",
    };
    let time = |rng: &mut StdRng, most| format!("{}ms", rng.random_range(0..=most));
    // A second of silence would be no jitter.
    let most = if kind.on == "media" { 200 } else { 1500 };
    let argument = match form.trim_end_matches(']') {
        "" if name == "CODE" => return ErrorCode::ALL.choose(rng).unwrap().code().to_string(),
        "" => return name.to_owned(),
        _ if optional && rng.random_bool(0.5) => return name.to_owned(),
        "N" => rng.random_range(200..=599).to_string(),
        "TIME" => time(rng, most),
        "TIME-TIME" => format!("{}-{}", time(rng, 300), ["600ms", "2s", "30s"].choose(rng).unwrap()),
        "TIME[-TIME" => format!("{}-{}", time(rng, 300), "900ms"),
        "TYPE" => "application/octet-stream".to_owned(),
        "P%[xN" => format!("{}%x{}", rng.random_range(0..60), rng.random_range(1..6)),
        "P%" => format!("{}%", rng.random_range(0..=100)),
        other => panic!("no argument is known for {other} of {kind:?}"),
    };
    format!("{name}{way}={argument}")
}
