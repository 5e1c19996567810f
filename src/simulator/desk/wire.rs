//! What a desk's page and the simulator say to each other, and what the admin API takes and gives: JSON, documented in
//! docs/simulator-admin.md. The commands are the same for both.

use super::line::CallState;
use crate::api::signaling::Signal;
use crate::api::types::IceServer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Names one signed-in desk. Numbers are never used again.
pub(in crate::simulator) type DeskId = u64;

/// The longest name of a desk, in characters.
pub(in crate::simulator) const MAX_NAME: usize = 60;
/// The longest message of an agent, in bytes.
const MAX_TEXT: usize = 64 * 1024;

/// Something a desk does that is about no single chat. The field `do` names it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::simulator) enum DeskCommand {
    /// The agent comes to the desk: the first command on a socket, and the only time that it is one.
    SignIn(SignIn),
    /// Whether the desk is given chats; without it the agent takes them from those that wait.
    Ready { on: bool },
}

/// Who signs in.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::simulator) struct SignIn {
    /// As customers see it; the first word is the first name.
    pub name: String,
    #[serde(default = "yes")]
    pub ready: bool,
    /// The chats that the desk is given at one time.
    #[serde(default = "usual_capacity")]
    pub capacity: usize,
}

fn yes() -> bool {
    true
}

fn usual_capacity() -> usize {
    4
}

/// Something done in one chat, by whoever is its agent. The field `do` names it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::simulator) enum ChatCommand {
    /// The agent writes.
    Message { text: String },
    /// The agent begins or stops to type.
    Typing { on: bool },
    /// The agent asks for a form that the client knows by name.
    Form {
        #[serde(default = "form_name")]
        name: String,
    },
    /// The agent asks for a secure form.
    SecureForm {
        #[serde(default = "secure_form_id")]
        form_id: String,
    },
    /// The agent sends a place, in degrees north and east.
    Location { latitude: f64, longitude: f64 },
    /// The agent asks to browse together.
    Cobrowsing,
    /// The agent's signaling message. At a desk it is checked against the state of the call, and against its number
    /// where one is given.
    Signal {
        data: Signal,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<u64>,
    },
    /// Any event, as it stands, to the client: also one that makes no sense.
    Inject { event: Map<String, Value> },
    /// The agent calls the client.
    Call {
        #[serde(default)]
        video: bool,
    },
    /// The agent takes the client's call.
    Answer {
        #[serde(default)]
        video: bool,
    },
    /// The agent refuses the client's call. A bot for which none rings refuses the next one.
    Reject {
        #[serde(default = "declined_code")]
        code: String,
        #[serde(default = "declined_reason")]
        reason: String,
    },
    /// The agent ends the call; at a desk only that of the number, where one is given.
    HangUp {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<u64>,
    },
    /// The agent presses keys in the call, such as `12w#`.
    Dial { keys: String },
    /// The agent's microphone off or on (desks only).
    Mute { on: bool },
    /// The call on hold, or not (desks only).
    Hold { on: bool },
    /// The agent's camera on or off (desks only).
    Video { on: bool },
    /// What the page measures in the call: kept as the last of its kind and shown by the admin API (desks only).
    Report { stats: Map<String, Value> },
    /// A desk takes a chat that waits; on a desk's own socket it is that desk.
    Take {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        desk: Option<DeskId>,
    },
    /// The agent hands over: to a desk, or to whoever is free next.
    Transfer {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        desk: Option<DeskId>,
    },
    /// The session warns of its time-out.
    Warn,
    /// The session times out.
    TimeOut,
    /// The agent leaves the conversation; the scenario goes on with its survey.
    Disconnect,
    /// The session ends.
    End,
}

fn form_name() -> String {
    "contact".into()
}

fn secure_form_id() -> String {
    "payment".into()
}

fn declined_code() -> String {
    "603".into()
}

fn declined_reason() -> String {
    "The agent declined the call".into()
}

impl ChatCommand {
    /// Reads a command.
    ///
    /// # Errors
    /// Says what is wrong with it, without quoting a message's text.
    pub fn read(value: Value) -> Result<Self, String> {
        let command: Self = serde_json::from_value(value).map_err(|e| e.to_string())?;
        match &command {
            Self::Message { text } if text.trim().is_empty() => Err("the message is empty".into()),
            Self::Message { text } if text.len() > MAX_TEXT => Err("the message is too long".into()),
            Self::Location { latitude, longitude }
                if !(-90.0..=90.0).contains(latitude) || !(-180.0..=180.0).contains(longitude) =>
            {
                Err("the place is not on this planet: latitude is -90 to 90, longitude -180 to 180".into())
            }
            Self::Inject { event } if !event.get("event").is_some_and(Value::is_string) => {
                Err("an event to inject needs the field `event`".into())
            }
            _ => Ok(command),
        }
    }
}

/// A command as it comes over a desk's socket: `{"id": 7, "chat_id": "…", "do": "message", "text": "…"}`.
#[derive(Debug, PartialEq)]
pub(in crate::simulator) struct Request {
    /// Comes back in the reply; without it there is none.
    pub id: Option<u64>,
    pub order: Result<Order, String>,
}

/// What a desk's socket asks for.
#[derive(Debug, PartialEq)]
pub(in crate::simulator) enum Order {
    Desk(DeskCommand),
    Chat(String, ChatCommand),
}

impl Request {
    /// Reads one message of the socket.
    pub fn read(text: &str) -> Self {
        let Ok(Value::Object(mut fields)) = serde_json::from_str(text) else {
            return Self { id: None, order: Err("the message is no JSON object".into()) };
        };
        let id = fields.remove("id").and_then(|id| id.as_u64());
        let order = match fields.remove("chat_id") {
            Some(Value::String(chat_id)) => ChatCommand::read(fields.into()).map(|c| Order::Chat(chat_id, c)),
            Some(_) => Err("chat_id is no string".into()),
            None => serde_json::from_value(fields.into()).map(Order::Desk).map_err(|e| e.to_string()),
        };
        Self { id, order }
    }
}

/// What the simulator tells a desk. The field `type` names it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(in crate::simulator) enum DeskEvent {
    /// The desk is signed in.
    Welcome { desk: DeskView, ice_servers: Vec<IceServer> },
    /// All desks, after one of them changed.
    Desks { desks: Vec<DeskView> },
    /// The chats that wait for an agent, after one of them changed.
    Waiting { chats: Vec<ChatView> },
    /// A chat is this desk's from now on; `events` is its history.
    Chat { chat: Box<ChatView>, events: Vec<Value> },
    /// An event of the conversation, of either side, in the form that Get Chat History gives it.
    Event { chat_id: String, event: Value },
    /// A signaling message of the client.
    Signal { chat_id: String, data: Signal },
    /// The call of a chat has another state.
    Call { chat_id: String, call: CallView },
    /// Somebody asks the page to do what only it can: call, answer, dial, mute, hold, video.
    Perform { chat_id: String, command: ChatCommand },
    /// A chat is no longer this desk's.
    Gone { chat_id: String, reason: GoneReason },
    /// The answer to a command that has an `id`.
    Reply {
        id: u64,
        ok: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

/// Why a desk no longer has a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::simulator) enum GoneReason {
    /// The session is over, or goes on without an agent.
    Ended,
    /// Another agent has it.
    Transferred,
}

/// A desk as others see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::simulator) struct DeskView {
    pub id: DeskId,
    pub name: String,
    pub ready: bool,
    pub capacity: usize,
    pub chats: Vec<String>,
}

/// A chat as desks and the admin API see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::simulator) struct ChatView {
    pub chat_id: String,
    /// The first chat is 1.
    pub number: u64,
    /// The state that the client knows.
    pub state: String,
    /// When it was requested, in milliseconds since 1970.
    pub since_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    /// What the client gave with Request Chat.
    pub parameters: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentView>,
    pub call: CallView,
}

/// Who is in a chat.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::simulator) struct AgentView {
    pub party_id: String,
    pub name: String,
    /// `None`: a bot.
    pub desk: Option<DeskId>,
}

/// The call in a chat.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(in crate::simulator) struct CallView {
    pub state: CallState,
    /// Numbers the calls of a chat at a desk: of the one that there is, or of the last one. The next has one more.
    pub number: u64,
    /// Whether the last side to ask wanted video.
    pub video: bool,
    /// The client asks for the call that it is in: its way is broken, or it was started anew. The agent has taken it once.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// What a desk's page measured last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<Map<String, Value>>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Request {
        Request::read(&value.to_string())
    }

    #[test]
    fn a_command_in_a_chat_names_it() {
        let request = read(json!({"id": 7, "chat_id": "c", "do": "message", "text": "hi"}));
        let message = ChatCommand::Message { text: "hi".into() };
        assert_eq!(request, Request { id: Some(7), order: Ok(Order::Chat("c".into(), message)) });
    }

    #[test]
    fn a_desk_signs_in_with_a_name_alone() {
        let order = read(json!({"do": "sign_in", "name": "Ada"})).order.unwrap();
        let Order::Desk(DeskCommand::SignIn(who)) = order else { panic!("{order:?}") };
        assert_eq!(who, SignIn { name: "Ada".into(), ready: true, capacity: 4 });
    }

    #[test]
    fn commands_that_mean_nothing_are_refused_with_a_reason() {
        for bad in [
            json!([]),
            json!({"do": "fly"}),
            json!({"do": "message", "text": "no chat"}),
            json!({"chat_id": 1, "do": "end"}),
            json!({"chat_id": "c", "do": "message", "text": " "}),
            json!({"chat_id": "c", "do": "message", "text": "x", "more": 1}),
            json!({"chat_id": "c", "do": "location", "latitude": 91, "longitude": 0}),
            json!({"chat_id": "c", "do": "inject", "event": {}}),
            json!({"chat_id": "c", "do": "signal", "data": 1}),
        ] {
            assert!(read(bad.clone()).order.is_err_and(|e| !e.is_empty()), "{bad}");
        }
    }

    #[test]
    fn an_error_does_not_repeat_what_an_agent_wrote() {
        let error = read(json!({"chat_id": "c", "do": "message", "text": ["secret"]})).order.unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in ".{0,200}") {
            let _ = Request::read(&text);
        }
    }
}
