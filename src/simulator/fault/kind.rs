//! What can go wrong.

use super::method::ApiMethod;
use crate::api::ErrorCode;
use chatphone_media::lab::Loss;
use std::time::Duration;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// With the answer of a method; `None`: of every one.
    Http(Option<ApiMethod>, HttpFault),
    /// With the signaling of a call.
    Call(CallFault),
    /// With the sound of a call.
    Media(MediaFault),
}

/// A fault of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum HttpFault {
    /// An error of the API, with its usual HTTP status.
    Code(ErrorCode),
    /// An HTTP status (200..=599) with an empty body.
    Status(u16),
    /// Status 500, 502, 503 or 504, by chance, to everything for so long from the first strike on.
    Storm(Duration),
    /// A page for people, status 200, as a captive portal or a proxy gives.
    Html,
    /// JSON that stops in the middle.
    Truncated,
    /// Status 200 with nothing.
    Empty,
    /// Sent elsewhere, to a page for people.
    Redirect,
    /// No answer at all, as long as the client waits.
    Hang,
    /// The connection is reset before an answer.
    Reset,
    /// The request waits so long before it is carried out.
    Delay(Span),
    /// The answer trickles for so long.
    Drip(Duration),
    /// The connection is reset in the middle of the answer.
    Cut,
    /// The answer calls itself something else.
    ContentType(String),
    /// Each event comes twice.
    Duplicate,
    /// The events come again behind those of the next answer.
    Repeat,
    /// The events come in another order.
    Reorder,
    /// The events come behind those of the next answer.
    Postpone,
    /// The events are lost for good.
    Lose,
}

/// A time from a range, drawn evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// At least.
    pub min: Duration,
    /// At most; not less than `min`.
    pub max: Duration,
}

/// A fault of the signaling of one call, from its OFFER_CALL on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFault {
    /// OFFER_CALL, and what follows it, comes this much later.
    LateOffer(Duration),
    /// The agent offers a call as soon as it joins: before, or while, the client asks.
    EarlyOffer,
    /// OFFER_CALL never comes.
    NoOffer,
    /// OFFER_CALL comes twice.
    DoubleOffer,
    /// CALL_REJECTED comes before OFFER_CALL.
    OfferAfterReject,
    /// END_CALL comes before OFFER_CALL.
    EndBeforeOffer,
    /// The agent ends the call so long after its offer.
    EndAfterOffer(Duration),
    /// The agent ends the call so long after the client's ANSWER_CALL.
    EndAfterAnswer(Duration),
    /// The agent ends the call so long after it connected.
    EndAfterConnect(Duration),
    /// END_CALL comes twice.
    DoubleEnd,
    /// END_CALL never comes.
    NoEnd,
    /// The messages come from a party that nobody knows.
    WrongParty,
    /// The messages come from the scenario instead of the agent.
    ScenarioParty,
    /// Candidates come so long before the offer they belong to.
    CandidatesFirst(Duration),
    /// Candidates that are none come among the others.
    GarbageCandidates,
    /// ICE_CANDIDATE never comes.
    NoCandidates,
    /// The offer's SDP is nonsense.
    GarbageSdp,
    /// The offer's SDP stops in the middle.
    TruncatedSdp,
    /// The offer has no SDP.
    EmptySdp,
    /// A message of a type that nobody knows comes before the offer.
    UnknownSignal,
    /// The agent's peer is gone without a word, so long after the call connected: a browser that crashed.
    PeerDies(Duration),
}

/// A fault of the way of a call's sound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MediaFault {
    /// DTLS fails: the SDP has the fingerprint of another certificate (RFC 8122).
    BadFingerprint,
    /// ICE never connects: neither side learns of the other's candidates.
    NoIce,
    /// Nothing at all passes over UDP, either way, from so long after the call connected to so long after: RTP, RTCP, ICE
    /// and DTLS of whatever peer the agent has in the chat.
    Blackout(Span),
    /// Something happens to RTP packets.
    Rtp(Way, RtpFault),
}

/// One way of a call's sound, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Both.
    Both,
    /// To the agent.
    In,
    /// To the customer.
    Out,
}

/// What happens to RTP packets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RtpFault {
    /// Some are lost.
    Loss(Loss),
    /// Each comes later or earlier by up to this.
    Jitter(Duration),
    /// Each comes this much later.
    Delay(Duration),
    /// This share comes twice.
    Duplicates(f64),
    /// This share is overtaken by those behind.
    Reorder(f64),
    /// None comes any more, so long after the call connected.
    Stop(Duration),
}

/// How a kind of fault is written, and what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindInfo {
    /// What it is ordered on: `METHOD` (a method of the API, or `any`), `call` or `media`.
    pub on: &'static str,
    /// The kind with its argument.
    pub form: &'static str,
    /// A whole order.
    pub example: &'static str,
    /// What happens.
    pub does: &'static str,
}

const fn kind(on: &'static str, form: &'static str, example: &'static str, does: &'static str) -> KindInfo {
    KindInfo { on, form, example, does }
}

/// Every kind of fault.
pub const FAULT_KINDS: &[KindInfo] = &[
    kind("METHOD", "CODE", "poll:5000:3", "an error code of the API, with its HTTP status"),
    kind("METHOD", "status=N", "history:status=429", "this HTTP status (200 to 599), nothing else"),
    kind("METHOD", "storm=TIME", "any:storm=5s", "500, 502, 503 or 504 to all, for so long from the first on"),
    kind("METHOD", "html", "availability:html:*", "a web page instead of JSON"),
    kind("METHOD", "truncated", "poll:truncated", "JSON that stops in the middle"),
    kind("METHOD", "empty", "request-chat:empty", "200 with an empty body"),
    kind("METHOD", "redirect", "send-events:redirect", "302 to a sign-in page"),
    kind("METHOD", "hang", "poll:hang", "no answer, as long as the client waits"),
    kind("METHOD", "reset", "send-events:reset:20%", "the connection is reset before an answer"),
    kind("METHOD", "delay=TIME[-TIME]", "any:delay=50ms-400ms:*", "the request waits before it is carried out"),
    kind("METHOD", "drip=TIME", "history:drip=2s", "the answer trickles for so long"),
    kind("METHOD", "cut", "poll:cut:nth=4", "the connection is reset in the middle of the answer"),
    kind("METHOD", "content-type[=TYPE]", "poll:content-type=text/plain:*", "the answer calls itself something else"),
    kind("METHOD", "duplicate", "poll:duplicate:*", "each event comes twice"),
    kind("METHOD", "repeat", "poll:repeat:*", "the events come again with the next answer"),
    kind("METHOD", "reorder", "poll:reorder:*", "the events come in another order"),
    kind("METHOD", "postpone", "send-events:postpone", "the events come behind those of the next answer"),
    kind("METHOD", "lose", "poll:lose:nth=3", "the events are lost"),
    kind("call", "late-offer=TIME", "call:late-offer=3s", "OFFER_CALL and what follows it come later"),
    kind("call", "early-offer", "call:early-offer", "OFFER_CALL comes as soon as the agent joins"),
    kind("call", "no-offer", "call:no-offer", "OFFER_CALL never comes"),
    kind("call", "double-offer", "call:double-offer", "OFFER_CALL comes twice"),
    kind("call", "offer-after-reject", "call:offer-after-reject", "CALL_REJECTED, then OFFER_CALL"),
    kind("call", "end-before-offer", "call:end-before-offer", "END_CALL, then OFFER_CALL"),
    kind("call", "end-after-offer[=TIME]", "call:end-after-offer=20ms", "END_CALL so long after the offer"),
    kind("call", "end-after-answer[=TIME]", "call:end-after-answer", "END_CALL so long after the client's answer"),
    kind("call", "end-after-connect[=TIME]", "call:end-after-connect=1s", "END_CALL so long after the connection"),
    kind("call", "double-end", "call:double-end", "END_CALL comes twice"),
    kind("call", "no-end", "call:no-end", "END_CALL never comes"),
    kind("call", "wrong-party", "call:wrong-party", "the messages come from a party nobody knows"),
    kind("call", "scenario-party", "call:scenario-party", "the messages come from the scenario"),
    kind("call", "candidates-first[=TIME]", "call:candidates-first=1s", "candidates come before the offer"),
    kind("call", "garbage-candidates", "call:garbage-candidates", "candidates that are none come among the others"),
    kind("call", "no-candidates", "call:no-candidates", "ICE_CANDIDATE never comes"),
    kind("call", "garbage-sdp", "call:garbage-sdp", "the offer's SDP is nonsense"),
    kind("call", "truncated-sdp", "call:truncated-sdp", "the offer's SDP stops in the middle"),
    kind("call", "empty-sdp", "call:empty-sdp", "the offer has no SDP"),
    kind("call", "unknown-signal", "call:unknown-signal", "a message of an unknown type comes before the offer"),
    kind(
        "call",
        "peer-dies=TIME",
        "call:peer-dies=2s",
        "the agent's peer is gone, without END_CALL, so long after the connection",
    ),
    kind(
        "media",
        "blackout=TIME-TIME",
        "media:blackout=2s-12s:1",
        "nothing passes over UDP, between these times after the connection",
    ),
    kind("media", "bad-fingerprint", "media:bad-fingerprint", "DTLS fails: another certificate's fingerprint"),
    kind("media", "no-ice", "media:no-ice:1", "ICE never connects: no candidates either way"),
    kind("media", "loss=P%[xN]", "media:loss=5%x3", "packets are lost, in runs of N on average"),
    kind("media", "jitter=TIME", "media:jitter=30ms:agent=Ada", "packets come up to this early or late"),
    kind("media", "delay=TIME", "media:delay-out=150ms", "packets come later"),
    kind("media", "duplicates=P%", "media:duplicates=2%", "packets come twice"),
    kind("media", "reorder=P%", "media:reorder-in=5%", "packets are overtaken by those behind them"),
    kind("media", "stop=TIME", "media:stop-out=5s", "no packets any more, so long after the connection"),
];

/// Reads a time: `250ms`, `1m30s`, or seconds.
///
/// # Errors
/// When it is none of these, or longer than a day.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
    seconds
        .or_else(|| humantime::parse_duration(text).ok())
        .filter(|time| *time <= Duration::from_secs(86_400))
        .ok_or_else(|| format!("`{text}` is no time up to a day, such as 250ms or 5s"))
}

/// Reads a share of packets that are lost: `5%`, or `5%x3` for runs of three on average.
///
/// # Errors
/// When it is no share from 0 to 100 %, or the runs are shorter than one packet.
pub fn parse_loss(text: &str) -> Result<Loss, String> {
    let Some((share, length)) = text.split_once('x') else {
        return Ok(Loss::Random(parse_share(text)?));
    };
    let rate = parse_share(share)?;
    match length.parse::<f64>() {
        // Losing everything has no runs.
        Ok(mean_length) if (1.0..=1000.0).contains(&mean_length) && rate < 1.0 => {
            Ok(Loss::Bursts { rate, mean_length })
        }
        _ => Err(format!("`{text}` is no loss such as 5% or 5%x3 (runs of three packets)")),
    }
}

/// Reads `5%` as 0.05.
pub(super) fn parse_share(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').and_then(|t| t.parse::<f64>().ok());
    let share = percent.map(|p| p / 100.0).filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("`{text}` is no share from 0% to 100%"))
}
