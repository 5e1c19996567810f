//! The names of the kinds of faults, and their arguments.

use super::kind::{
    CallFault, FAULT_KINDS, FaultKind, HttpFault, MediaFault, RtpFault, Span, Way, parse_loss, parse_share, parse_time,
};
use crate::api::ErrorCode;
use chatphone_media::lab::Loss;
use std::time::Duration;

/// Reads a kind by what it is ordered on, its name and its argument.
pub(super) fn parse_kind(on: &str, kind: &str, arg: Option<&str>) -> Result<FaultKind, String> {
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
            return Ok(Delay(parse_span(
                if arg.contains('-') { arg.into() } else { format!("{arg}-{arg}") }.as_str(),
            )?));
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

fn parse_span(text: &str) -> Result<Span, String> {
    let no_range = || format!("`{text}` is no range such as 1s-3s");
    let (min, max) = text.split_once('-').ok_or_else(no_range)?;
    let (min, max) = (parse_time(min)?, parse_time(max)?);
    if min <= max { Ok(Span { min, max }) } else { Err(no_range()) }
}

fn parse_call(kind: &str, arg: Option<&str>) -> Result<CallFault, String> {
    use CallFault::*;
    Ok(match kind {
        "late-offer" => return Ok(LateOffer(parse_time(needs(kind, arg)?)?)),
        "candidates-first" => {
            return Ok(CandidatesFirst(arg.map_or(Ok(Duration::from_millis(200)), parse_time)?));
        }
        "peer-dies" => return Ok(PeerDies(parse_time(needs(kind, arg)?)?)),
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
        "blackout" if way == Way::Both => return Ok(MediaFault::Blackout(parse_span(needs(kind, arg)?)?)),
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
    let kinds = FAULT_KINDS.iter().filter(|k| k.on == on && k.form != "CODE").map(|k| k.form);
    format!("none of {}", kinds.collect::<Vec<_>>().join(", "))
}

impl FaultKind {
    /// What it is ordered on, its name, its argument.
    pub(super) fn parts(&self) -> (&'static str, String, Option<String>) {
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
        PeerDies(t) => ("peer-dies", Some(time(t))),
    }
}

fn media_parts(fault: MediaFault) -> (String, Option<String>) {
    let (way, fault) = match fault {
        MediaFault::NoIce => return ("no-ice".into(), None),
        MediaFault::BadFingerprint => return ("bad-fingerprint".into(), None),
        MediaFault::Blackout(Span { min, max }) => {
            return ("blackout".into(), Some(format!("{}-{}", time(min), time(max))));
        }
        MediaFault::Rtp(way, fault) => (way, fault),
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
