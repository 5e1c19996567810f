//! How faults are written: in a line for flags, as an object for JSON.

use super::kind::{FaultKind, parse_share};
use super::names::parse_kind;
use super::{Fault, When};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A fault as an object: the parts of the line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fields {
    on: String,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arg: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<Count>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chat: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(untagged)]
enum Count {
    Times(u32),
    Always(Star),
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Star {
    #[serde(rename = "*")]
    Star,
}

/// A fault as a program may send it: the line, or the object.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Order {
    /// The line.
    Line(String),
    /// The object.
    Fields(Fields),
}

impl TryFrom<Order> for Fault {
    type Error = String;

    fn try_from(order: Order) -> Result<Self, String> {
        match order {
            Order::Line(line) => line.parse(),
            Order::Fields(fields) => fields.try_into(),
        }
    }
}

impl TryFrom<Fields> for Fault {
    type Error = String;

    fn try_from(f: Fields) -> Result<Self, String> {
        let kind = parse_kind(&f.on, &f.kind, f.arg.as_deref())?;
        let rate = f.rate.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&rate) {
            return Err(format!("the rate {rate} is no share from 0 to 1"));
        }
        let count = match f.count {
            Some(Count::Times(0)) => return Err("a fault that strikes 0 times is none".into()),
            Some(Count::Times(n)) => Some(n),
            Some(Count::Always(Star::Star)) => None,
            // A share, a rhythm and a bad line go on; anything else is once.
            None if f.rate.is_some() || f.every.is_some() || matches!(kind, FaultKind::Media(_)) => None,
            None => Some(1),
        };
        let every = f.every.unwrap_or(1);
        if every == 0 {
            return Err("every=0 is no rhythm".into());
        }
        let when =
            When { count, rate, after: f.after.unwrap_or(0), every, client: f.client, chat: f.chat, agent: f.agent };
        Ok(Self { kind, when })
    }
}

impl From<Fault> for Fields {
    fn from(fault: Fault) -> Self {
        let (on, kind, arg) = fault.kind.parts();
        let When { count, rate, after, every, client, chat, agent } = fault.when;
        Self {
            on: on.to_owned(),
            kind,
            arg,
            count: Some(count.map_or(Count::Always(Star::Star), Count::Times)),
            rate: (rate < 1.0).then_some(rate),
            after: (after > 0).then_some(after),
            every: (every > 1).then_some(every),
            client,
            chat,
            agent,
        }
    }
}

impl FromStr for Fault {
    type Err = String;

    /// `ON:KIND[=ARG][:WHEN]…`; WHEN is a number of times, `*`, `P%`, `nth=N`, `after=N`, `every=N`, `client=ID`,
    /// `chat=ID` or `agent=NAME`.
    fn from_str(s: &str) -> Result<Self, String> {
        let mut parts = s.split(':');
        let (on, kind) = (parts.next().unwrap_or_default(), parts.next());
        let kind = kind.ok_or("expected ON:KIND[:WHEN], such as poll:5000:3, call:no-offer or media:loss=5%")?;
        let (kind, arg) = kind.split_once('=').map_or((kind, None), |(kind, arg)| (kind, Some(arg)));
        let mut fields = Fields {
            on: on.to_owned(),
            kind: kind.to_owned(),
            arg: arg.map(str::to_owned),
            count: None,
            rate: None,
            after: None,
            every: None,
            client: None,
            chat: None,
            agent: None,
        };
        for part in parts {
            fields.read_when(part)?;
        }
        fields.try_into()
    }
}

impl Fields {
    fn read_when(&mut self, part: &str) -> Result<(), String> {
        let wrong = || {
            format!(
                "`{part}` is no number of times (1 or more, * for always), share (20%), nth=N, after=N, every=N, \
                 client=ID, chat=ID or agent=NAME"
            )
        };
        let set = |place: &mut Option<String>, value: &str| *place = Some(value.to_owned());
        match part.split_once('=') {
            None if part == "*" => self.count = Some(Count::Always(Star::Star)),
            None if part.ends_with('%') => self.rate = Some(parse_share(part)?),
            None => self.count = Some(Count::Times(part.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?)),
            Some(("nth", n)) => {
                let n: u32 = n.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?;
                (self.after, self.count) = (Some(n - 1), Some(Count::Times(1)));
            }
            Some(("after", n)) => self.after = Some(n.parse().map_err(|_| wrong())?),
            Some(("every", n)) => self.every = Some(n.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?),
            Some(("client", id)) if !id.is_empty() => set(&mut self.client, id),
            Some(("chat", id)) if !id.is_empty() => set(&mut self.chat, id),
            Some(("agent", name)) if !name.is_empty() => set(&mut self.agent, name),
            Some(_) => return Err(wrong()),
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (on, kind, arg) = self.kind.parts();
        write!(f, "{on}:{kind}")?;
        if let Some(arg) = arg {
            write!(f, "={arg}")?;
        }
        let When { count, rate, after, every, client, chat, agent } = &self.when;
        match count {
            Some(n) => write!(f, ":{n}")?,
            None => write!(f, ":*")?,
        }
        if *rate < 1.0 {
            write!(f, ":{}%", (rate * 1e8).round() / 1e6)?;
        }
        if *after > 0 {
            write!(f, ":after={after}")?;
        }
        if *every > 1 {
            write!(f, ":every={every}")?;
        }
        for (name, value) in [("client", client), ("chat", chat), ("agent", agent)] {
            if let Some(value) = value {
                write!(f, ":{name}={value}")?;
            }
        }
        Ok(())
    }
}
