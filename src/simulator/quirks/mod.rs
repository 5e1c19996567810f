//! The ways of real servers that the published text does not tell, each by a name, so that a client can be tried with
//! every one: what the center answers is rewritten on its way out.

mod events;
mod state;
mod values;

pub(super) use state::QuirkState;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

macro_rules! quirks {
    ($($variant:ident = $name:literal, $does:literal;)+) => {
        /// One way of real servers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Quirk { $(#[doc = $does] $variant,)+ }

        impl Quirk {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it changes, in a line.
            pub fn does(self) -> &'static str {
                match self { $(Self::$variant => $does,)+ }
            }
        }
    };
}

quirks! {
    SignalString = "signal-string", "the `data` of signaling is a string that holds JSON";
    SignalBare = "signal-bare", "signaling comes without `party_id` and `timestamp`";
    SdpObject = "sdp-object", "the SDP is wrapped as a browser does: an object with `type` and `sdp`";
    UntypedCandidates = "untyped-candidates", "ICE_CANDIDATE comes without `type`";
    NoMlineIndex = "no-mline-index", "ICE_CANDIDATE comes without `sdpMLineIndex`";
    CandidatesFirst = "candidates-first", "candidates stand before the offer they belong to";
    DoubleEnd = "double-end", "END_CALL comes twice";
    UnknownSignals = "unknown-signals", "signaling messages of an unknown type come among the others";
    StringScalars = "string-scalars", "numbers and booleans come as strings";
    NumberStrings = "number-strings", "`ewt`, `error_code`, `form_request_id` and the like come as numbers";
    OddCase = "odd-case", "booleans come as `True` and `FALSE`, in strings";
    TimeSeconds = "time-seconds", "every timestamp counts seconds";
    TimeMillis = "time-millis", "every timestamp counts milliseconds";
    TimeString = "time-string", "timestamps are strings";
    TimeMissing = "time-missing", "there are no timestamps";
    MsgIdUuid = "msg-id-uuid", "`msg_id` is a UUID";
    MsgIdCounter = "msg-id-counter", "`msg_id` is a plain counter that steps by 2";
    ExtraFields = "extra-fields", "every object has fields that nobody knows";
    MissingFields = "missing-fields", "what may be absent is: names, waits, file names, form time-outs";
    Nulls = "nulls", "what may be absent is `null`";
    UnknownState = "unknown-state", "the session passes through states that nobody knows";
    UnknownEvents = "unknown-events", "events that nobody knows, or without a name, come among the others";
    UnpublishedEvents = "unpublished-events", "`chat_session_info`, `_case_set`, `_message_delivered`, `_read` come too";
    Inactvity = "inactvity", "the inactivity timeout is spelled `chat_session_inactvity_timeout`";
    Markup = "markup", "messages are HTML, with a plain twin in `message_text` or `msg_text`";
    FileSessionId = "file-session-id", "files have `session_id` instead of `party_id`";
    FormFields = "form-fields", "forms carry `channel` and the definitions of their fields";
    Unavailable = "unavailable", "a closed center is `unavailable` instead of `notAvailable`";
    IceUrls = "ice-urls", "ICE servers have a list `urls` instead of `url`";
    IceMissing = "ice-missing", "where there are no ICE servers the list is missing";
    NoEvents5511 = "no-events-5511", "a poll without news answers error 5511";
    NoEventsEmpty = "no-events-empty", "a poll without news answers 200 with an empty body";
    BusyPolls = "busy-polls", "every third poll without news answers 400 / 5509, as if an older one were held";
    RepeatedEvents = "repeated-events", "the events of an answer come again with the next one";
    CachedPolls = "cached-polls", "a poll that does not forbid it gets the last answer from a cache";
    Bare404 = "bare-404", "404 comes without a body";
}

impl FromStr for Quirk {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|q| q.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|q| q.name()).collect();
            format!("`{name}` is none of all, {}", names.join(", "))
        })
    }
}

/// A choice of quirks.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<&'static str>")]
pub struct Quirks(BTreeSet<Quirk>);

impl Quirks {
    /// Every quirk. Where some exclude each other, and where both forms of a thing are to be seen, they take turns.
    pub fn all() -> Self {
        Quirk::ALL.iter().copied().collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this one is among them.
    pub fn has(&self, quirk: Quirk) -> bool {
        self.0.contains(&quirk)
    }

    /// They, in the order of their definition.
    pub fn iter(&self) -> impl Iterator<Item = Quirk> {
        self.0.iter().copied()
    }

    fn is_all(&self) -> bool {
        self.0.len() == Quirk::ALL.len()
    }
}

impl FromIterator<Quirk> for Quirks {
    fn from_iter<I: IntoIterator<Item = Quirk>>(quirks: I) -> Self {
        Self(quirks.into_iter().collect())
    }
}

impl Extend<Quirk> for Quirks {
    fn extend<I: IntoIterator<Item = Quirk>>(&mut self, quirks: I) {
        self.0.extend(quirks);
    }
}

impl FromStr for Quirks {
    type Err = String;

    /// `all`, or names with commas between.
    fn from_str(s: &str) -> Result<Self, String> {
        let names = s.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
        names.collect::<Vec<_>>().try_into()
    }
}

impl TryFrom<Vec<String>> for Quirks {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        let mut quirks = Self::default();
        for name in names {
            match name.as_str() {
                "all" => quirks = Self::all(),
                name => quirks.extend([name.parse::<Quirk>()?]),
            }
        }
        Ok(quirks)
    }
}

impl From<Quirks> for Vec<&'static str> {
    fn from(quirks: Quirks) -> Self {
        quirks.iter().map(Quirk::name).collect()
    }
}

impl fmt::Display for Quirks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("all");
        }
        f.write_str(&self.iter().map(Quirk::name).collect::<Vec<_>>().join(","))
    }
}

/// Which quirks one object gets: those chosen, but with all of them chosen a half, which its content decides, so that the
/// same event looks the same in every answer.
#[derive(Clone, Copy)]
struct Dice<'a> {
    quirks: &'a Quirks,
    hash: u64,
}

impl Dice<'_> {
    fn has(self, quirk: Quirk) -> bool {
        self.quirks.has(quirk) && (!self.quirks.is_all() || self.hash >> (quirk as u32 % 64) & 1 == 1)
    }

    /// One of those chosen that exclude each other.
    fn one_of(self, quirks: &[Quirk]) -> Option<Quirk> {
        let chosen: Vec<_> = quirks.iter().copied().filter(|q| self.quirks.has(*q)).collect();
        let turns = u64::try_from(chosen.len()).unwrap_or(1).max(1);
        let turn = (self.hash >> 7) % turns;
        chosen.get(usize::try_from(turn).unwrap_or_default()).copied()
    }
}

#[cfg(test)]
mod tests;
