//! The call flow as a ladder: who sent what to whom, and when.

use crate::api::event::ServerEvent;
use crate::api::signaling::Signal;
use crate::call::CallEvent;
use crate::chat::ChatEvent;
use crate::phone::{PhoneEvent, PhoneState};
use std::fmt;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Sent,
    Received,
    /// Something this side noticed: no message.
    Here,
}

/// The messages of a chat and its calls, in order.
#[derive(Debug)]
pub struct Ladder {
    begun: Instant,
    rungs: Vec<(Duration, Way, String, u32)>,
}

impl Default for Ladder {
    fn default() -> Self {
        Self::new()
    }
}

impl Ladder {
    /// An empty ladder, whose time begins now.
    pub fn new() -> Self {
        Self { begun: Instant::now(), rungs: Vec::new() }
    }

    /// Adds an event, if it is a message or a step of the call.
    pub fn add(&mut self, event: &PhoneEvent, state: &PhoneState) {
        let (way, text) = match event {
            PhoneEvent::Signaling { sent, signal, .. } => {
                let way = if *sent { Way::Sent } else { Way::Received };
                let text = match signal {
                    Signal::CallRejected(rejected) => {
                        format!("{} {}", signal.name(), rejected.reason_code.as_deref().unwrap_or_default())
                    }
                    _ => signal.name().to_owned(),
                };
                (way, text)
            }
            PhoneEvent::Chat(ChatEvent::Opened { chat, .. }) => (Way::Here, format!("chat opened ({})", chat.state)),
            PhoneEvent::Chat(ChatEvent::Server { event, own: false }) => (Way::Received, chat_rung(event, state)),
            PhoneEvent::Chat(ChatEvent::Sent { event }) if event.name() != "chat_session_signaling" => {
                (Way::Sent, event.name().trim_start_matches("chat_session_").to_owned())
            }
            PhoneEvent::Chat(ChatEvent::Ended { .. }) => (Way::Here, "chat over".into()),
            PhoneEvent::Call(CallEvent::Connected) => (Way::Here, "ICE and DTLS up".into()),
            PhoneEvent::Call(CallEvent::MediaFlowing) => (Way::Here, "RTP arrives".into()),
            _ => return,
        };
        // Candidates come by the dozen: one rung for those in a row.
        if let Some((_, last_way, last, times)) = self.rungs.last_mut()
            && *last_way == way
            && *last == text
        {
            *times += 1;
            return;
        }
        self.rungs.push((self.begun.elapsed(), way, text, 1));
    }
}

fn chat_rung(event: &ServerEvent, state: &PhoneState) -> String {
    let name = event.name().trim_start_matches("chat_session_");
    match event {
        ServerEvent::PartyJoined(joined) => format!("{name}: {}", state.party_name(&joined.party_id)),
        ServerEvent::Status(status) => format!("{name}: {}", status.state),
        _ => name.to_owned(),
    }
}

impl fmt::Display for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>10}  customer{:<32}contact center", "", "")?;
        for (at, way, text, times) in &self.rungs {
            let text = if *times > 1 { format!("{text} x{times}") } else { text.clone() };
            let rung = match way {
                Way::Sent => format!("|{:-<44}>|", format!("- {text} ")),
                Way::Received => format!("|<{:->44}|", format!(" {text} -")),
                Way::Here => format!("* {text}"),
            };
            writeln!(f, "{:>8.3} s      {rung}", at.as_secs_f64())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_in_a_row_share_a_rung() {
        let mut ladder = Ladder::new();
        let state = PhoneState::default();
        let signal = |sent, signal| PhoneEvent::Signaling { sent, party_id: None, signal };
        ladder.add(&signal(true, Signal::request_call(false)), &state);
        for _ in 0..3 {
            ladder.add(&signal(false, Signal::IceCandidate(Default::default())), &state);
        }
        ladder.add(&signal(true, Signal::end_call()), &state);
        let text = ladder.to_string();
        assert!(text.contains("- REQUEST_CALL -") && text.contains(" ICE_CANDIDATE x3 -"), "{text}");
        assert_eq!(text.lines().count(), 4);
    }
}
