//! How faults are written: in a line for flags, as an object for JSON.

use super::kind::{
    CallFault, FaultKind, HttpFault, MediaFault, RtpFault, Span, Way, parse_loss, parse_share, parse_time,
};
use super::{Fault, When};
use crate::api::ErrorCode;
use chatphone_media::lab::Loss;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

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

fn parse_kind(on: &str, kind: &str, arg: Option<&str>) -> Result<FaultKind, String> {
    match on {
        "call" => Ok(FaultKind::Call(parse_call(kind, arg)?)),
        "media" => Ok(FaultKind::Media(parse_media(kind, arg)?)),
        "any" => Ok(FaultKind::Http(None, parse_http(kind, arg)?)),
        method => {
            let method = method.parse().map_err(|e| format!("{e}, any, call, media"))?;
            Ok(FaultKind::Http(Some(method), parse_http(kind, arg)?))
        }
    }
}

fn needs<'a>(kind: &str, arg: Option<&'a str>) -> Result<&'a str, String> {
    arg.filter(|a| !a.is_empty()).ok_or_else(|| format!("{kind} needs a value: {kind}=…"))
}

fn none(kind: &str, arg: Option<&str>) -> Result<(), String> {
    arg.map_or(Ok(()), |_| Err(format!("{kind} takes no value")))
}

fn time_or_zero(arg: Option<&str>) -> Result<Duration, String> {
    arg.map_or(Ok(Duration::ZERO), parse_time)
}

fn parse_http(kind: &str, arg: Option<&str>) -> Result<HttpFault, String> {
    use HttpFault::*;
    Ok(match kind {
        "status" => match needs(kind, arg)?.parse() {
            Ok(status @ 200..=599) => return Ok(Status(status)),
            _ => return Err("a status is a number from 200 to 599".into()),
        },
        "storm" => return Ok(Storm(parse_time(needs(kind, arg)?)?)),
        "drip" => return Ok(Drip(parse_time(needs(kind, arg)?)?)),
        "delay" => {
            let arg = needs(kind, arg)?;
            let (min, max) = arg.split_once('-').unwrap_or((arg, arg));
            let (min, max) = (parse_time(min)?, parse_time(max)?);
            return if min <= max { Ok(Delay(Span { min, max })) } else { Err(format!("`{arg}` is no range")) };
        }
        "content-type" => {
            let ty = arg.unwrap_or("text/plain");
            let valid = axum::http::HeaderValue::from_str(ty).is_ok();
            return if valid { Ok(ContentType(ty.to_owned())) } else { Err(format!("`{ty}` is no content type")) };
        }
        other => {
            none(other, arg)?;
            match other {
                "html" => Html,
                "truncated" => Truncated,
                "empty" => Empty,
                "redirect" => Redirect,
                "hang" => Hang,
                "reset" => Reset,
                "cut" => Cut,
                "duplicate" => Duplicate,
                "repeat" => Repeat,
                "reorder" => Reorder,
                "postpone" => Postpone,
                "lose" => Lose,
                number => match number.parse::<u32>().map(ErrorCode::from) {
                    Ok(code) if ErrorCode::ALL.contains(&code) => Code(code),
                    _ => return Err(format!("`{number}` is no published error code and {}", names("METHOD"))),
                },
            }
        }
    })
}

fn parse_call(kind: &str, arg: Option<&str>) -> Result<CallFault, String> {
    use CallFault::*;
    Ok(match kind {
        "late-offer" => return Ok(LateOffer(parse_time(needs(kind, arg)?)?)),
        "candidates-first" => {
            return Ok(CandidatesFirst(arg.map_or(Ok(Duration::from_millis(200)), parse_time)?));
        }
        "end-after-offer" => return Ok(EndAfterOffer(time_or_zero(arg)?)),
        "end-after-answer" => return Ok(EndAfterAnswer(time_or_zero(arg)?)),
        "end-after-connect" => return Ok(EndAfterConnect(time_or_zero(arg)?)),
        other => {
            none(other, arg)?;
            match other {
                "early-offer" => EarlyOffer,
                "no-offer" => NoOffer,
                "double-offer" => DoubleOffer,
                "offer-after-reject" => OfferAfterReject,
                "end-before-offer" => EndBeforeOffer,
                "double-end" => DoubleEnd,
                "no-end" => NoEnd,
                "wrong-party" => WrongParty,
                "scenario-party" => ScenarioParty,
                "garbage-candidates" => GarbageCandidates,
                "no-candidates" => NoCandidates,
                "garbage-sdp" => GarbageSdp,
                "truncated-sdp" => TruncatedSdp,
                "empty-sdp" => EmptySdp,
                "unknown-signal" => UnknownSignal,
                _ => return Err(format!("`{other}` is {}", names("call"))),
            }
        }
    })
}

fn parse_media(kind: &str, arg: Option<&str>) -> Result<MediaFault, String> {
    let (name, way) = match (kind.strip_suffix("-in"), kind.strip_suffix("-out")) {
        (Some(name), _) => (name, Way::In),
        (_, Some(name)) => (name, Way::Out),
        _ => (kind, Way::Both),
    };
    let rtp = match name {
        "bad-fingerprint" if way == Way::Both => return none(kind, arg).map(|()| MediaFault::BadFingerprint),
        "no-ice" if way == Way::Both => return none(kind, arg).map(|()| MediaFault::NoIce),
        "loss" => RtpFault::Loss(parse_loss(needs(kind, arg)?)?),
        "jitter" => RtpFault::Jitter(parse_time(needs(kind, arg)?)?),
        "delay" => RtpFault::Delay(parse_time(needs(kind, arg)?)?),
        "duplicates" => RtpFault::Duplicates(parse_share(needs(kind, arg)?)?),
        "reorder" => RtpFault::Reorder(parse_share(needs(kind, arg)?)?),
        "stop" => RtpFault::Stop(parse_time(needs(kind, arg)?)?),
        _ => return Err(format!("`{kind}` is {} (behind one, -in is to the agent and -out from it)", names("media"))),
    };
    Ok(MediaFault::Rtp(way, rtp))
}

fn names(on: &str) -> String {
    let kinds = super::FAULT_KINDS.iter().filter(|k| k.on == on && k.form != "CODE").map(|k| k.form);
    format!("none of {}", kinds.collect::<Vec<_>>().join(", "))
}

impl FaultKind {
    /// What it is ordered on, its name, its argument.
    fn parts(&self) -> (&'static str, String, Option<String>) {
        match self {
            Self::Http(method, fault) => {
                let (kind, arg) = http_parts(fault);
                (method.map_or("any", |m| m.name()), kind, arg)
            }
            Self::Call(fault) => {
                let (kind, arg) = call_parts(*fault);
                ("call", kind.to_owned(), arg)
            }
            Self::Media(fault) => {
                let (kind, arg) = media_parts(*fault);
                ("media", kind, arg)
            }
        }
    }
}

fn http_parts(fault: &HttpFault) -> (String, Option<String>) {
    use HttpFault::*;
    let plain = |name: &str| (name.to_owned(), None);
    match fault {
        Code(code) => plain(&code.code().to_string()),
        Status(status) => ("status".into(), Some(status.to_string())),
        Storm(span) => ("storm".into(), Some(time(*span))),
        Html => plain("html"),
        Truncated => plain("truncated"),
        Empty => plain("empty"),
        Redirect => plain("redirect"),
        Hang => plain("hang"),
        Reset => plain("reset"),
        Delay(Span { min, max }) if min == max => ("delay".into(), Some(time(*min))),
        Delay(Span { min, max }) => ("delay".into(), Some(format!("{}-{}", time(*min), time(*max)))),
        Drip(span) => ("drip".into(), Some(time(*span))),
        Cut => plain("cut"),
        ContentType(ty) => ("content-type".into(), Some(ty.clone())),
        Duplicate => plain("duplicate"),
        Repeat => plain("repeat"),
        Reorder => plain("reorder"),
        Postpone => plain("postpone"),
        Lose => plain("lose"),
    }
}

fn call_parts(fault: CallFault) -> (&'static str, Option<String>) {
    use CallFault::*;
    match fault {
        LateOffer(t) => ("late-offer", Some(time(t))),
        EarlyOffer => ("early-offer", None),
        NoOffer => ("no-offer", None),
        DoubleOffer => ("double-offer", None),
        OfferAfterReject => ("offer-after-reject", None),
        EndBeforeOffer => ("end-before-offer", None),
        EndAfterOffer(t) => ("end-after-offer", Some(time(t))),
        EndAfterAnswer(t) => ("end-after-answer", Some(time(t))),
        EndAfterConnect(t) => ("end-after-connect", Some(time(t))),
        DoubleEnd => ("double-end", None),
        NoEnd => ("no-end", None),
        WrongParty => ("wrong-party", None),
        ScenarioParty => ("scenario-party", None),
        CandidatesFirst(t) => ("candidates-first", Some(time(t))),
        GarbageCandidates => ("garbage-candidates", None),
        NoCandidates => ("no-candidates", None),
        GarbageSdp => ("garbage-sdp", None),
        TruncatedSdp => ("truncated-sdp", None),
        EmptySdp => ("empty-sdp", None),
        UnknownSignal => ("unknown-signal", None),
    }
}

fn media_parts(fault: MediaFault) -> (String, Option<String>) {
    let MediaFault::Rtp(way, fault) = fault else {
        return (if fault == MediaFault::NoIce { "no-ice" } else { "bad-fingerprint" }.into(), None);
    };
    let percent = |share: f64| format!("{}%", (share * 1e8).round() / 1e6);
    let (name, arg) = match fault {
        RtpFault::Loss(Loss::Bursts { rate, mean_length }) => ("loss", format!("{}x{mean_length}", percent(rate))),
        RtpFault::Loss(Loss::Random(rate)) => ("loss", percent(rate)),
        RtpFault::Loss(Loss::None) => ("loss", percent(0.0)),
        RtpFault::Jitter(t) => ("jitter", time(t)),
        RtpFault::Delay(t) => ("delay", time(t)),
        RtpFault::Duplicates(share) => ("duplicates", percent(share)),
        RtpFault::Reorder(share) => ("reorder", percent(share)),
        RtpFault::Stop(t) => ("stop", time(t)),
    };
    let way = match way {
        Way::Both => "",
        Way::In => "-in",
        Way::Out => "-out",
    };
    (format!("{name}{way}"), Some(arg))
}

/// A time without blanks.
fn time(span: Duration) -> String {
    humantime::format_duration(span).to_string().replace(' ', "")
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
