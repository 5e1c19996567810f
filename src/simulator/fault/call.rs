//! Faults of one call: its signaling, changed on the way, and what is to become of its sound. No I/O.

use super::kind::{CallFault, RtpFault, Span, Way};
use super::link::Impairment;
use super::plan::{Concerns, Faults};
use crate::api::signaling::{IceCandidate, Signal};
use crate::simulator::line::CallId;
use serde_json::json;
use std::time::Duration;

/// What goes wrong in the signaling of one call.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::simulator) struct CallPlan {
    pub late_offer: Option<Duration>,
    pub no_offer: bool,
    pub double_offer: bool,
    pub reject_first: bool,
    pub end_first: bool,
    pub end_after_offer: Option<Duration>,
    pub end_after_answer: Option<Duration>,
    pub end_after_connect: Option<Duration>,
    pub double_end: bool,
    pub no_end: bool,
    pub party: Option<String>,
    pub candidates_first: Option<Duration>,
    pub garbage_candidates: bool,
    pub no_candidates: bool,
    pub sdp: Option<SdpFault>,
    pub unknown_signal: bool,
    pub bad_fingerprint: bool,
    pub no_ice: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) enum SdpFault {
    Garbage,
    Truncated,
    Empty,
}

impl CallPlan {
    pub fn add(&mut self, fault: CallFault) {
        match fault {
            // The one is of no call yet, the other of its peer.
            CallFault::EarlyOffer | CallFault::PeerDies(_) => {}
            CallFault::LateOffer(after) => self.late_offer = Some(after),
            CallFault::NoOffer => self.no_offer = true,
            CallFault::DoubleOffer => self.double_offer = true,
            CallFault::OfferAfterReject => self.reject_first = true,
            CallFault::EndBeforeOffer => self.end_first = true,
            CallFault::EndAfterOffer(after) => self.end_after_offer = Some(after),
            CallFault::EndAfterAnswer(after) => self.end_after_answer = Some(after),
            CallFault::EndAfterConnect(after) => self.end_after_connect = Some(after),
            CallFault::DoubleEnd => self.double_end = true,
            CallFault::NoEnd => self.no_end = true,
            CallFault::WrongParty => self.party = Some("00000000-0000-4000-8000-00000000dead".into()),
            CallFault::ScenarioParty => self.party = Some(crate::simulator::session::SCENARIO_PARTY.into()),
            CallFault::CandidatesFirst(by) => self.candidates_first = Some(by),
            CallFault::GarbageCandidates => self.garbage_candidates = true,
            CallFault::NoCandidates => self.no_candidates = true,
            CallFault::GarbageSdp => self.sdp = Some(SdpFault::Garbage),
            CallFault::TruncatedSdp => self.sdp = Some(SdpFault::Truncated),
            CallFault::EmptySdp => self.sdp = Some(SdpFault::Empty),
            CallFault::UnknownSignal => self.unknown_signal = true,
        }
    }

    /// The description as the client gets it.
    fn describe(&self, sdp: &str) -> String {
        let mut sdp = match self.sdp {
            None => sdp.to_owned(),
            Some(SdpFault::Empty) => String::new(),
            Some(SdpFault::Garbage) => "v=0\r\nm=audio nine UDP/TLS/RTP/SAVPF 0 111\r\na=mid:\u{fffd}\r\nx".into(),
            Some(SdpFault::Truncated) => sdp.chars().take(sdp.chars().count() / 2).collect(),
        };
        if self.bad_fingerprint {
            sdp = each_line(&sdp, |line| Some(other_fingerprint(line)));
        }
        if self.no_ice { without_candidates(&sdp) } else { sdp }
    }
}

/// What becomes of a call's sound.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::simulator) struct MediaPlan {
    /// To the agent.
    pub incoming: Option<Impairment>,
    /// To the customer.
    pub outgoing: Option<Impairment>,
    /// When nothing passes, from the connection on.
    pub blackout: Option<Span>,
    /// When the agent's peer is gone, from the connection on.
    pub dies: Option<Duration>,
}

impl MediaPlan {
    pub fn add(&mut self, way: Way, fault: RtpFault, seed: u64) {
        if way != Way::Out {
            self.incoming.get_or_insert_with(|| Impairment::new(seed)).add(fault);
        }
        if way != Way::In {
            self.outgoing.get_or_insert_with(|| Impairment::new(!seed)).add(fault);
        }
    }
}

/// A message on its way to the client.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::simulator) struct OnWay {
    /// It goes this much later.
    pub after: Duration,
    /// Concerns it says it is from; `None`: the agent.
    pub party: Option<String>,
    pub signal: Signal,
}

/// What is to be done instead of sending a message.
#[derive(Debug, Default, PartialEq)]
pub(in crate::simulator) struct Disturbed {
    pub messages: Vec<OnWay>,
    /// For the agent's peer, when a call begins.
    pub media: Option<MediaPlan>,
    /// The agent ends the call so long from now.
    pub end_after: Option<Duration>,
}

/// The faults of the call that an agent has now.
#[derive(Debug, Default)]
pub(in crate::simulator) struct CallTrouble {
    plan: CallPlan,
    /// Nothing goes out before.
    held_until: Duration,
    /// The agent's peer in it.
    peer: Option<CallId>,
}

impl CallTrouble {
    /// A message of the agent's line to the client. The first that describes a peer draws that call's faults.
    pub fn outgoing(
        &mut self,
        faults: &mut Faults,
        who: Concerns<'_>,
        peer: Option<CallId>,
        signal: Signal,
        now: Duration,
    ) -> Disturbed {
        let mut done = Disturbed::default();
        let begins = self.peer != peer && matches!(signal, Signal::OfferCall(_) | Signal::AnswerCall(_));
        if begins {
            let (plan, media) = faults.call(who);
            *self = Self { plan, held_until: now, peer };
            if media != MediaPlan::default() {
                done.media = Some(media);
            }
            done.end_after = self.plan.end_after_offer;
            if let Some(late) = self.plan.late_offer {
                self.held_until = now + late;
            }
        }
        let plan = &self.plan;
        let held = self.held_until.saturating_sub(now);
        let mut send = |after: Duration, signal: Signal| {
            done.messages.push(OnWay { after: held.max(after), party: plan.party.clone(), signal });
        };
        match signal {
            Signal::OfferCall(mut offer) => {
                offer.sdp = plan.describe(&offer.sdp);
                if begins {
                    if plan.unknown_signal {
                        send(Duration::ZERO, unknown());
                    }
                    if plan.reject_first {
                        send(Duration::ZERO, Signal::call_rejected("603", "The agent declined the call"));
                    }
                    if plan.end_first {
                        send(Duration::ZERO, Signal::end_call());
                    }
                }
                if !plan.no_offer {
                    let after = plan.candidates_first.unwrap_or_default();
                    if plan.double_offer && begins {
                        send(after, offer.clone().into());
                    }
                    send(after, offer.into());
                }
            }
            Signal::AnswerCall(mut answer) => {
                answer.sdp = plan.describe(&answer.sdp);
                send(Duration::ZERO, answer.into());
            }
            Signal::IceCandidate(candidate) => {
                if plan.garbage_candidates {
                    send(Duration::ZERO, garbage(&candidate));
                }
                if !plan.no_candidates && !plan.no_ice {
                    send(Duration::ZERO, candidate.into());
                }
            }
            Signal::EndCall(end) => {
                if plan.double_end {
                    send(Duration::ZERO, end.clone().into());
                }
                if !plan.no_end {
                    send(Duration::ZERO, end.into());
                }
            }
            other => send(Duration::ZERO, other),
        }
        done
    }

    /// A message of the client to the agent's line; `None`: it does not arrive.
    pub fn incoming(&self, signal: Signal) -> Option<Signal> {
        match signal {
            Signal::IceCandidate(_) if self.plan.no_ice => None,
            Signal::AnswerCall(mut answer) if self.plan.no_ice => {
                answer.sdp = without_candidates(&answer.sdp);
                Some(answer.into())
            }
            other => Some(other),
        }
    }

    /// The client answered: when the agent ends the call.
    pub fn end_after_answer(&self) -> Option<Duration> {
        self.plan.end_after_answer
    }

    /// The call is connected: when the agent ends it.
    pub fn end_after_connect(&self) -> Option<Duration> {
        self.plan.end_after_connect
    }
}

fn unknown() -> Signal {
    match serde_json::from_value(json!({"type": "CALL_PROGRESS", "percent": 50})) {
        Ok(signal) => signal,
        Err(_) => Signal::end_call(),
    }
}

fn garbage(beside: &IceCandidate) -> Signal {
    IceCandidate { candidate: "candidate:x y udp 1 2 999.0.0.1 -1 typ".into(), ..beside.clone() }.into()
}

fn each_line(sdp: &str, change: impl Fn(&str) -> Option<String>) -> String {
    sdp.split_inclusive('\n').filter_map(change).collect()
}

fn without_candidates(sdp: &str) -> String {
    let is_candidate = |line: &str| line.starts_with("a=candidate:") || line.starts_with("a=end-of-candidates");
    each_line(sdp, |line| (!is_candidate(line)).then(|| line.to_owned()))
}

/// The same line with other digits.
fn other_fingerprint(line: &str) -> String {
    let Some((head, digest)) = line.strip_prefix("a=fingerprint:").and_then(|rest| rest.split_once(' ')) else {
        return line.to_owned();
    };
    let other = |c: char| match c.to_digit(16) {
        Some(digit) => char::from_digit(15 - digit, 16).unwrap_or('0').to_ascii_uppercase(),
        None => c,
    };
    format!("a=fingerprint:{head} {}", digest.chars().map(other).collect::<String>())
}
