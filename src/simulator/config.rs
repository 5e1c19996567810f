//! How a simulated contact center is set up, and the short forms in which people write it on a command line.

use super::fault::Fault;
use super::quirks::Quirks;
use crate::api::types::{IceServer, ParameterType};
use chatphone_media::audio::codec::CodecKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Everything that can be chosen about a simulated contact center. `Default` is an open center with an echoing agent
/// for everybody, on any free loopback port.
#[derive(Debug, Clone)]
pub struct SimulatorConfig {
    /// Where to listen; port 0 takes any free port.
    pub listen: SocketAddr,
    /// How long a poll without news is held. Real servers hold 5–15 s.
    pub hold: Duration,
    /// The only `tenantUrl` that is accepted; any when `None`.
    pub tenant: Option<String>,
    /// The only `appId`s that are accepted; any when empty.
    pub app_ids: Vec<String>,
    /// When the center is open.
    pub hours: Hours,
    /// Expected wait in seconds, told by Check Availability, Request Chat and the `queued` status.
    pub ewt_s: Option<u32>,
    /// Answer of Expected Parameters.
    pub parameters: Vec<(String, ParameterType)>,
    /// Answer of Get ICE servers; the agents use them too.
    pub ice_servers: Vec<IceServer>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Which ways of real servers to take on.
    pub quirks: Quirks,
    /// For the faults' choices: the same seed and the same order of requests and calls give the same ones.
    pub seed: u64,
    /// Silence of the client after which it is warned; `None`: never. A running call is no silence.
    pub inactivity_warning: Option<Duration>,
    /// Silence of the client after which its session ends; `None`: never.
    pub inactivity_timeout: Option<Duration>,
    /// Sessions at one time; above it Request Chat answers 5001.
    pub max_sessions: usize,
    /// Bots on duty; chats above it stay queued, as long as no desk takes them. `None`: one for everybody. 0: all chats
    /// are for desks.
    pub agents: Option<usize>,
    /// How long the chats and calls of a desk whose page is gone without signing out (loaded anew, a network that is lost)
    /// wait for it to come back, under the same name.
    pub desk_grace: Duration,
    /// What each agent does.
    pub agent: AgentConfig,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            hold: Duration::from_secs(10),
            tenant: None,
            app_ids: Vec::new(),
            hours: Hours::AlwaysOpen,
            ewt_s: None,
            parameters: Vec::new(),
            ice_servers: Vec::new(),
            faults: Vec::new(),
            quirks: Quirks::default(),
            seed: 1,
            inactivity_warning: Some(Duration::from_secs(480)),
            inactivity_timeout: Some(Duration::from_secs(600)),
            max_sessions: 1000,
            agents: None,
            desk_grace: Duration::from_secs(4),
            agent: AgentConfig::default(),
        }
    }
}

/// What each agent does.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// What the agent lets the caller hear.
    pub sound: AgentSound,
    /// Which ICE candidates each agent has.
    pub ice: AgentIce,
    /// The codecs that each agent has, best first; telephone events, and comfort noise beside codecs of 8 kHz, come with
    /// them.
    pub codecs: Vec<CodecKind>,
    /// Folder for a WAV of what each agent heard in each call; `None`: nothing is kept.
    pub record_dir: Option<PathBuf>,
    /// From Request Chat to the agent's joining.
    pub join_after: Duration,
    /// From a customer's message to the agent's reply; half of it the agent types.
    pub reply_after: Duration,
    /// From REQUEST_CALL to OFFER_CALL (or CALL_REJECTED).
    pub answer_after: Duration,
    /// The agent calls soon after joining.
    pub incoming: bool,
    /// Every REQUEST_CALL is refused with this.
    pub reject: Option<Rejection>,
    /// REQUEST_CALL is never answered.
    pub no_offer: bool,
    /// The agent hangs up this long after the call connected.
    pub hang_up_after: Option<Duration>,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            sound: AgentSound::Echo,
            ice: AgentIce::All,
            codecs: CodecKind::ALL.to_vec(),
            record_dir: None,
            join_after: Duration::from_millis(200),
            reply_after: Duration::from_millis(400),
            answer_after: Duration::ZERO,
            incoming: false,
            reject: None,
            no_offer: false,
            hang_up_after: None,
        }
    }
}

/// Which ICE candidates an agent has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AgentIce {
    /// All: its own addresses, and those that the ICE servers give it.
    #[default]
    All,
    /// Its own addresses alone; it uses no ICE server.
    Host,
    /// Relayed ones alone.
    Relay,
}

impl FromStr for AgentIce {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "all" => Ok(Self::All),
            "host" => Ok(Self::Host),
            "relay" => Ok(Self::Relay),
            _ => Err("expected all, host or relay".into()),
        }
    }
}

/// Who the agents are, as a command line has it.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentKind {
    /// People (or tests) at the desk's page.
    Desk,
    /// Bots, and what they let the caller hear.
    Bot(AgentSound),
}

impl FromStr for AgentKind {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        if s == "desk" {
            return Ok(Self::Desk);
        }
        s.parse().map(Self::Bot).map_err(|e: String| e.replace("expected ", "expected desk, "))
    }
}

/// What an agent lets the caller hear.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentSound {
    /// What the caller said, back.
    Echo,
    /// A sine tone of this many Hz (20–20 000).
    Tone(f64),
    /// A WAV file, again and again.
    Play(PathBuf),
    /// Nothing.
    Silence,
}

impl FromStr for AgentSound {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s.split_once(':') {
            None if s == "echo" => Ok(Self::Echo),
            None if s == "silence" => Ok(Self::Silence),
            Some(("tone", hz)) => match hz.parse::<f64>() {
                Ok(hz) if (20.0..=20_000.0).contains(&hz) => Ok(Self::Tone(hz)),
                _ => Err(format!("`{hz}` is no frequency from 20 to 20000 Hz")),
            },
            Some(("play", file)) if !file.is_empty() => Ok(Self::Play(file.into())),
            _ => Err("expected echo, tone:HZ, play:FILE or silence".into()),
        }
    }
}

/// The fields of a CALL_REJECTED.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// `reason_code`.
    pub code: String,
    /// `reason`.
    pub reason: String,
}

impl FromStr for Rejection {
    type Err = String;

    /// `CODE:REASON`.
    fn from_str(s: &str) -> Result<Self, String> {
        match s.split_once(':') {
            Some((code, reason)) if !code.trim().is_empty() => {
                Ok(Self { code: code.trim().to_owned(), reason: reason.trim().to_owned() })
            }
            _ => Err("expected CODE:REASON, such as 486:busy".into()),
        }
    }
}

/// When the center is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hours {
    /// Day and night.
    AlwaysOpen,
    /// Never.
    Closed,
    /// The same hours every day; over midnight when `from` is later than `to`.
    Daily {
        /// Minutes after midnight.
        from: u16,
        /// Minutes after midnight; closed from this minute on.
        to: u16,
        /// Minutes that the hours' clock is ahead of UTC.
        utc_offset: i16,
    },
}

impl Hours {
    /// Whether the center is open at `unix_ms` (milliseconds since 1970).
    pub fn is_open(self, unix_ms: i64) -> bool {
        match self {
            Self::AlwaysOpen => true,
            Self::Closed => false,
            Self::Daily { from, to, utc_offset } => {
                let minute = (unix_ms.div_euclid(60_000) + i64::from(utc_offset)).rem_euclid(24 * 60);
                let (from, to) = (i64::from(from), i64::from(to));
                if from <= to { (from..to).contains(&minute) } else { minute >= from || minute < to }
            }
        }
    }
}

impl FromStr for Hours {
    type Err = String;

    /// `HH:MM-HH:MM` in UTC, or with an offset from it: `08:00-18:00+02:00`.
    fn from_str(s: &str) -> Result<Self, String> {
        let wrong = || format!("`{s}` is not of the form 08:00-18:00 (UTC) or 08:00-18:00+02:00");
        let minutes = |text: &str| -> Option<u16> {
            let (h, m) = text.split_once(':')?;
            let digits = |t: &str| t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
            let (h, m): (u16, u16) =
                (digits(h) && digits(m)).then(|| Some((h.parse().ok()?, m.parse().ok()?))).flatten()?;
            (h <= 24 && m < 60 && h * 60 + m <= 24 * 60).then_some(h * 60 + m)
        };
        let (from, rest) = s.split_once('-').ok_or_else(wrong)?;
        let (to, offset) = match rest.find(['+', '-', 'Z']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let utc_offset = match offset.chars().next() {
            None => 0,
            Some('Z') if offset.len() == 1 => 0,
            Some(sign @ ('+' | '-')) => {
                let ahead = minutes(&offset[1..]).filter(|&m| m <= 14 * 60).ok_or_else(wrong)? as i16;
                if sign == '-' { -ahead } else { ahead }
            }
            Some(_) => return Err(wrong()),
        };
        let (from, to) = (minutes(from).ok_or_else(wrong)?, minutes(to).ok_or_else(wrong)?);
        if from == to {
            return Err(format!("`{s}` begins when it ends"));
        }
        Ok(Self::Daily { from, to, utc_offset })
    }
}

/// Reads `URL[,USERNAME,CREDENTIAL]`.
pub fn parse_ice_server(s: &str) -> Result<IceServer, String> {
    let mut parts = s.splitn(3, ',').map(str::trim);
    let url = parts.next().unwrap_or_default();
    let scheme = url.split(':').next().unwrap_or_default();
    if !["stun", "stuns", "turn", "turns"].contains(&scheme) || url.len() <= scheme.len() + 1 {
        return Err(format!("`{url}` is no stun:, stuns:, turn: or turns: address"));
    }
    let (username, credential) = (parts.next().map(str::to_owned), parts.next().map(str::to_owned));
    if username.is_some() != credential.is_some() {
        return Err("a user name needs a credential: URL,USERNAME,CREDENTIAL".into());
    }
    Ok(IceServer { urls: vec![url.to_owned()], username, credential, ..Default::default() })
}

/// Reads `NAME=TYPE`, a parameter that the center expects.
pub fn parse_parameter(s: &str) -> Result<(String, ParameterType), String> {
    let (name, ty) = s.split_once('=').ok_or("expected NAME=TYPE, such as first_name=FIRST_NAME")?;
    match ParameterType::from(ty.trim().to_ascii_uppercase()) {
        _ if name.trim().is_empty() => Err("the parameter has no name".into()),
        ParameterType::Unknown(ty) => {
            Err(format!("`{ty}` is none of PHONE, TEXT, EMAIL, FIRST_NAME, LAST_NAME, ACCOUNT, COMPANY"))
        }
        ty => Ok((name.trim().to_owned(), ty)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn hours_are_utc_unless_an_offset_is_given() {
        let utc: Hours = "08:00-18:00".parse().unwrap();
        assert!(!utc.is_open(8 * HOUR_MS - 1));
        assert!(utc.is_open(8 * HOUR_MS));
        assert!(!utc.is_open(18 * HOUR_MS));
        let berlin: Hours = "08:00-18:00+02:00".parse().unwrap();
        assert!(berlin.is_open(6 * HOUR_MS));
        assert!(!berlin.is_open(16 * HOUR_MS));
        let west: Hours = "08:00-18:00-05:00".parse().unwrap();
        assert!(west.is_open(13 * HOUR_MS));
    }

    #[test]
    fn hours_may_pass_midnight() {
        let night: Hours = "22:00-06:00".parse().unwrap();
        assert!(night.is_open(23 * HOUR_MS));
        assert!(night.is_open(HOUR_MS));
        assert!(!night.is_open(12 * HOUR_MS));
    }

    #[test]
    fn nonsense_hours_are_refused() {
        for s in
            ["", "8-18", "08:00", "08:00-08:00", "25:00-26:00", "08:00-18:00+99:00", "08:00-18:00Zulu", "é:00-18:00"]
        {
            assert!(s.parse::<Hours>().is_err(), "{s}");
        }
    }

    #[test]
    fn sounds_are_read_by_their_names() {
        assert_eq!("echo".parse(), Ok(AgentSound::Echo));
        assert_eq!("silence".parse(), Ok(AgentSound::Silence));
        assert_eq!("tone:440".parse(), Ok(AgentSound::Tone(440.0)));
        assert_eq!("play:a:b.wav".parse(), Ok(AgentSound::Play("a:b.wav".into())));
        for s in ["", "tone", "tone:x", "tone:NaN", "tone:1e9", "play:", "song"] {
            assert!(s.parse::<AgentSound>().is_err(), "{s}");
        }
    }

    #[test]
    fn an_ice_server_may_have_a_user() {
        let turn = parse_ice_server("turn:h:3478?transport=udp,u,p,w").unwrap();
        assert_eq!(turn.urls, ["turn:h:3478?transport=udp"]);
        assert_eq!((turn.username.as_deref(), turn.credential.as_deref()), (Some("u"), Some("p,w")));
        assert_eq!(parse_ice_server("stun:h").unwrap().username, None);
        for s in ["", "stun:", "http://h", "turn:h,u"] {
            assert!(parse_ice_server(s).is_err(), "{s}");
        }
    }

    #[test]
    fn a_parameter_has_a_name_and_a_published_type() {
        assert_eq!(parse_parameter("mail=email"), Ok(("mail".into(), ParameterType::Email)));
        for s in ["mail", "=TEXT", "mail=POEM"] {
            assert!(parse_parameter(s).is_err(), "{s}");
        }
    }
}
