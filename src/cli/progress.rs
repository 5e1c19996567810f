//! What happens in a call, as it happens: one line an event, for people or for programs.

use crate::api::event::ServerEvent;
use crate::call::CallEvent;
use crate::chat::ChatEvent;
use crate::phone::{PhoneEvent, PhoneState};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::Instant;

/// Prints events to stdout.
pub struct Progress {
    json: bool,
    begun: Instant,
}

impl Progress {
    /// Aligned lines for people.
    pub fn text() -> Self {
        Self { json: false, begun: Instant::now() }
    }

    /// JSON lines: `{"at_ms", "event", …}`.
    pub fn json() -> Self {
        Self { json: true, begun: Instant::now() }
    }

    /// Prints an event, if it is one worth a line.
    pub fn show(&mut self, event: &PhoneEvent, state: &PhoneState) {
        let at = self.begun.elapsed();
        let line = if self.json {
            let Some(Value::Object(fields)) = as_json(event, state) else { return };
            let mut object = serde_json::Map::new();
            object.insert("at_ms".into(), json!((at.as_secs_f64() * 10_000.0).round() / 10.0));
            object.extend(fields);
            Value::Object(object).to_string()
        } else {
            let Some((who, what)) = as_text(event, state) else { return };
            format!("{:>7.2} s  {who:<6} {what}", at.as_secs_f64())
        };
        // A reader that went away (`| head`) must not end the call.
        let _ = writeln!(io::stdout().lock(), "{line}");
    }
}

fn as_text(event: &PhoneEvent, state: &PhoneState) -> Option<(&'static str, String)> {
    let name = |id: &Option<String>| id.as_deref().map_or_else(|| "the agent".into(), |id| state.party_name(id));
    Some(match event {
        PhoneEvent::Chat(chat) => ("chat", chat_text(chat, state)?),
        PhoneEvent::Call(call) => (
            "call",
            match call {
                CallEvent::Requesting { party_id, .. } => format!("asking {} for a call", state.party_name(party_id)),
                CallEvent::Ringing { party_id, .. } => format!("{} calls", name(party_id)),
                CallEvent::Offered { .. } => "the agent offers it".into(),
                CallEvent::Answered => "answered".into(),
                CallEvent::Connected => "connected".into(),
                CallEvent::Disconnected => "connection lost, waiting for it to come back".into(),
                CallEvent::Reconnected => "connection is back".into(),
                CallEvent::MediaFlowing => "sound arrives".into(),
                CallEvent::Interrupted { reason } => format!("interrupted: {reason}"),
                CallEvent::Resumed { gap } => format!("sound is back after {:.1} s", gap.as_secs_f64()),
                CallEvent::Restoring { attempt, attempts } => {
                    format!("asking for the call again (attempt {attempt} of {attempts})")
                }
                CallEvent::Restored { gap, .. } => {
                    format!("restored: sound is back after {:.1} s, over a new connection", gap.as_secs_f64())
                }
                CallEvent::Renegotiating => "the agent changes the call".into(),
                CallEvent::RenegotiationFailed { error } => format!("the change was not possible: {error}"),
                CallEvent::DeclinedBusy { party_id } => {
                    format!("{} called meanwhile and was told busy", state.party_name(party_id))
                }
                CallEvent::Ended(end) => format!("{}: {}", end.outcome, end.reason),
            },
        ),
        PhoneEvent::Sound(notice) => ("sound", notice.to_string()),
        PhoneEvent::Digit(digit) => ("call", format!("the agent pressed {digit}")),
        PhoneEvent::Network(event) => ("net", event.to_string()),
        PhoneEvent::CallWasCut { name, .. } => {
            ("call", format!("a call with {name} was cut when an earlier run ended"))
        }
        PhoneEvent::CallReport(_) | PhoneEvent::Signaling { .. } => return None,
    })
}

fn chat_text(event: &ChatEvent, state: &PhoneState) -> Option<String> {
    Some(match event {
        ChatEvent::Opened { chat, resumed } => {
            let how = if *resumed { "taken up again" } else { "requested" };
            format!("{how}, {}", chat.state)
        }
        ChatEvent::Server { event: ServerEvent::Status(status), .. } => format!("{}", status.state),
        ChatEvent::Server { event: ServerEvent::PartyJoined(joined), .. } => {
            format!("{} joined", state.party_name(&joined.party_id))
        }
        ChatEvent::Server { event: ServerEvent::PartyLeft(left), .. } => {
            format!("{} left", state.party_name(&left.party_id))
        }
        // Each try has an event, which programs are told; people want to know that it goes on.
        ChatEvent::Reconnecting { attempt, .. } if !attempt.is_power_of_two() => return None,
        ChatEvent::Reconnecting { attempt, delay, message, .. } => {
            format!("connection trouble ({message}); try {attempt} again in {:.1} s", delay.as_secs_f64())
        }
        ChatEvent::Reconnected => "connection is back".into(),
        ChatEvent::SendFailed { error, .. } => format!("not sent: {error}"),
        ChatEvent::Ended { reason } => reason.to_string(),
        _ => return None,
    })
}

/// An event as `--json` has it.
pub(super) fn as_json(event: &PhoneEvent, state: &PhoneState) -> Option<Value> {
    Some(match event {
        PhoneEvent::Chat(chat) => match chat {
            ChatEvent::Opened { chat, resumed } => {
                json!({"event": "chat_opened", "chat_id": chat.chat_id, "state": chat.state, "resumed": resumed})
            }
            ChatEvent::Server { event: ServerEvent::Status(status), .. } => {
                json!({"event": "chat_status", "state": status.state})
            }
            ChatEvent::Server { event: ServerEvent::PartyJoined(joined), .. } => {
                json!({"event": "party_joined", "party_id": joined.party_id, "name": state.party_name(&joined.party_id)})
            }
            ChatEvent::Server { event: ServerEvent::PartyLeft(left), .. } => {
                json!({"event": "party_left", "party_id": left.party_id})
            }
            ChatEvent::Reconnecting { attempt, delay, message, .. } => json!({
                "event": "reconnecting", "attempt": attempt, "delay_ms": delay.as_millis(), "message": message,
            }),
            ChatEvent::Reconnected => json!({"event": "reconnected"}),
            ChatEvent::SendFailed { error, .. } => json!({"event": "send_failed", "message": error.to_string()}),
            ChatEvent::Ended { reason } => json!({"event": "chat_ended", "reason": reason.to_string()}),
            _ => return None,
        },
        PhoneEvent::Signaling { sent, signal, .. } => {
            json!({"event": "signaling", "sent": sent, "type": signal.name()})
        }
        PhoneEvent::Call(call) => match call {
            CallEvent::Requesting { party_id, video } => {
                json!({"event": "call_requesting", "party_id": party_id, "video": video})
            }
            CallEvent::Ringing { party_id, video } => {
                json!({"event": "call_ringing", "party_id": party_id, "video": video})
            }
            CallEvent::Offered { party_id, video } => {
                json!({"event": "call_offered", "party_id": party_id, "video": video})
            }
            CallEvent::Answered => json!({"event": "call_answered"}),
            CallEvent::Connected => json!({"event": "call_connected"}),
            CallEvent::Disconnected => json!({"event": "call_disconnected"}),
            CallEvent::Reconnected => json!({"event": "call_reconnected"}),
            CallEvent::MediaFlowing => json!({"event": "call_media_flowing"}),
            CallEvent::Interrupted { reason } => {
                json!({"event": "call_interrupted", "reason": reason, "message": reason.to_string()})
            }
            CallEvent::Resumed { gap } => json!({"event": "call_resumed", "gap_ms": gap.as_millis() as u64}),
            CallEvent::Restoring { attempt, attempts } => {
                json!({"event": "call_restoring", "attempt": attempt, "attempts": attempts})
            }
            CallEvent::Restored { attempt, gap } => {
                json!({"event": "call_restored", "attempt": attempt, "gap_ms": gap.as_millis() as u64})
            }
            CallEvent::Renegotiating => json!({"event": "call_renegotiating"}),
            CallEvent::RenegotiationFailed { error } => {
                json!({"event": "call_renegotiation_failed", "message": error})
            }
            CallEvent::DeclinedBusy { party_id } => json!({"event": "call_declined_busy", "party_id": party_id}),
            CallEvent::Ended(end) => json!({"event": "call_ended", "outcome": end.outcome, "reason": end.reason}),
        },
        PhoneEvent::Sound(notice) => {
            json!({"event": "sound", "notice": notice, "message": notice.to_string()})
        }
        PhoneEvent::Digit(digit) => json!({"event": "dtmf_received", "digit": digit.to_string()}),
        PhoneEvent::Network(event) => json!({"event": "network_changed", "what": event.name()}),
        PhoneEvent::CallWasCut { party_id, name } => {
            json!({"event": "call_was_cut", "party_id": party_id, "name": name})
        }
        PhoneEvent::CallReport(_) => return None,
    })
}
