//! Answers of the methods that are no events: availability, chats, files, ICE servers, widget configuration.

use super::event::ServerEvent;
use super::lenient::{self, Extra};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Defines an enum of names that keeps an unknown one as it came.
macro_rules! open_names {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $wire:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vmeta])* $variant,)+
            /// A name this version does not know, as it came.
            Unknown(String),
        }

        impl $name {
            /// The name on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $wire,)+
                    Self::Unknown(name) => name,
                }
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                match name.as_str() {
                    $($wire => Self::$variant,)+
                    _ => Self::Unknown(name),
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::Unknown(String::new())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Ok(Self::from(lenient::string(d)?))
            }
        }
    };
}

open_names! {
    /// The state of a chat session.
    pub enum SessionState {
        /// Waits for an agent.
        Queued = "queued",
        /// Is being connected to an agent.
        Connecting = "connecting",
        /// Is with an agent.
        Connected = "connected",
        /// Is with a scenario.
        Ivr = "ivr",
        /// Is being made.
        Establishing = "establishing",
        /// The session no longer exists.
        Failed = "failed",
        /// The session is over.
        Completed = "completed",
    }
}

open_names! {
    /// What kind of party takes part in a session.
    pub enum PartyType {
        /// A scenario (a bot or a menu).
        Scenario = "scenario",
        /// A customer.
        External = "external",
        /// An agent: somebody a call can be addressed to.
        Internal = "internal",
    }
}

open_names! {
    /// The type of an expected parameter.
    pub enum ParameterType {
        /// A telephone number.
        Phone = "PHONE",
        /// Any text.
        Text = "TEXT",
        /// A mail address.
        Email = "EMAIL",
        /// A first name.
        FirstName = "FIRST_NAME",
        /// A last name.
        LastName = "LAST_NAME",
        /// An account number.
        Account = "ACCOUNT",
        /// A company.
        Company = "COMPANY",
    }
}

/// Answer of Check Availability.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Availability {
    /// `available`, or how the server says that it is closed.
    #[serde(default, deserialize_with = "lenient::string")]
    pub chat: String,
    /// Expected wait, in seconds, as the server wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub ewt: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Availability {
    /// Whether the contact center is open now. Anything but `available` means closed.
    pub fn is_open(&self) -> bool {
        self.chat == "available"
    }

    /// Expected wait in seconds, when the server gave a number.
    pub fn ewt_s(&self) -> Option<f64> {
        self.ewt.as_deref().and_then(|s| s.trim().parse().ok())
    }
}

/// Answer of Expected Parameters: a list of one-entry maps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExpectedParameters {
    /// Name and type of each parameter, in the server's order. All are optional.
    #[serde(default, with = "parameter_list")]
    pub parameters: Vec<(String, ParameterType)>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

mod parameter_list {
    use super::*;

    pub fn serialize<S: Serializer>(list: &[(String, ParameterType)], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(list.iter().map(|(name, ty)| {
            let mut entry = Extra::new();
            entry.insert(name.clone(), ty.as_str().into());
            entry
        }))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<(String, ParameterType)>, D::Error> {
        let list = match Value::deserialize(d)? {
            Value::Array(list) => list,
            Value::Object(one) => vec![Value::Object(one)],
            _ => Vec::new(),
        };
        Ok(list
            .into_iter()
            .filter_map(|entry| match entry {
                Value::Object(map) => Some(map),
                _ => None,
            })
            .flatten()
            .map(|(name, ty)| (name, ParameterType::from(ty.as_str().unwrap_or_default().to_owned())))
            .collect())
    }
}

/// Body of Request Chat.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// Call-back number; may trigger an automatic call-back.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub phone_number: Option<String>,
    /// The device owner's name or number (`item.from` in the scenario).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub from: Option<String>,
    /// Parameters for the scenario (`item.externalChatData`).
    #[serde(default)]
    pub parameters: Extra,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Answer of Request Chat and of Get Active Chat.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Chat {
    /// Identifies the session; empty when the server forgot it.
    #[serde(default, deserialize_with = "lenient::string")]
    pub chat_id: String,
    /// The state.
    #[serde(default)]
    pub state: SessionState,
    /// Expected wait, in seconds, as the server wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub ewt: Option<String>,
    /// False: the session was there before; its history should be read. Absent from Get Active Chat.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_boolean")]
    pub is_new_chat: Option<bool>,
    /// The call-back number.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub phone_number: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A list of events: the answer of the poll, of Send Events and of Get Chat History.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerEvents {
    /// The events, in the server's order.
    #[serde(default, deserialize_with = "event_list")]
    pub events: Vec<ServerEvent>,
}

/// Reads a list of events and passes over entries that are no objects, rather than lose the others for them.
fn event_list<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<ServerEvent>, D::Error> {
    let Value::Array(list) = Value::deserialize(d)? else {
        return Ok(Vec::new());
    };
    Ok(list.into_iter().filter(Value::is_object).filter_map(|v| serde_json::from_value(v).ok()).collect())
}

/// Answer of Upload File.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UploadedFile {
    /// To be put into a `chat_session_file` event.
    #[serde(default, deserialize_with = "lenient::string")]
    pub file_id: String,
    /// The name the server keeps for it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub file_name: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Answer of Get ICE servers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IceServers {
    /// STUN and TURN servers; may be empty or missing.
    #[serde(default, deserialize_with = "null_default")]
    pub servers: Vec<IceServer>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One entry of [`IceServers`].
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IceServer {
    /// `stun:`, `turn:` or `turns:` addresses (RFC 7064, RFC 7065). Comes as `url` or `urls`, a string or a list.
    #[serde(default, rename = "url", alias = "urls", with = "url_list")]
    pub urls: Vec<String>,
    /// TURN user name.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub username: Option<String>,
    /// TURN password.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub credential: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceServer")
            .field("urls", &self.urls)
            .field("username", &self.username.as_ref().map(|_| "…"))
            .field("credential", &self.credential.as_ref().map(|_| "…"))
            .finish_non_exhaustive()
    }
}

mod url_list {
    use super::*;

    pub fn serialize<S: Serializer>(urls: &[String], s: S) -> Result<S::Ok, S::Error> {
        match urls {
            [one] => s.serialize_str(one),
            many => s.collect_seq(many),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
        Ok(match Value::deserialize(d)? {
            Value::String(one) => vec![one],
            Value::Array(many) => many
                .into_iter()
                .filter_map(|v| match v {
                    Value::String(s) => Some(s),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        })
    }
}

/// Answer of Get Chat Widget Configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WidgetConfiguration {
    /// The widgets.
    #[serde(default, deserialize_with = "null_default")]
    pub widgets: Vec<Widget>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One chat widget. Its definition is a tree of texts, colours and CSS properties, kept as it came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Widget {
    /// Its name.
    #[serde(default, deserialize_with = "lenient::string")]
    pub name: String,
    /// The pages it is for.
    #[serde(default, deserialize_with = "null_default")]
    pub urls: Vec<String>,
    /// `contact_tab`, `styles` and whatever else the server defines.
    #[serde(default, deserialize_with = "null_default")]
    pub definition: WidgetDefinition,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a widget looks like.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WidgetDefinition {
    /// The tab that opens the chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_tab: Option<ContactTab>,
    /// CSS properties by element, by style name (`style1`).
    #[serde(default, deserialize_with = "null_default")]
    pub styles: Extra,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The tab that opens the chat.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ContactTab {
    /// Whether it is shown.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub enabled: bool,
    /// Where: `right_bottom` and the like.
    #[serde(default, deserialize_with = "lenient::string")]
    pub location: String,
    /// CSS colour of the text.
    #[serde(default, deserialize_with = "lenient::string")]
    pub color: String,
    /// CSS colour behind it.
    #[serde(default, deserialize_with = "lenient::string")]
    pub bg_color: String,
    /// `family`, `size`, `style`, `weight`.
    #[serde(default, deserialize_with = "null_default")]
    pub font: Extra,
    /// Shown while agents are available.
    #[serde(default, deserialize_with = "lenient::string")]
    pub agents_available_msg: String,
    /// Shown while none is.
    #[serde(default, deserialize_with = "lenient::string")]
    pub agents_not_available_msg: String,
    /// Shown outside the hours of operation.
    #[serde(default, deserialize_with = "lenient::string")]
    pub out_of_hours_msg: String,
    /// Whether to show the expected wait outside the hours.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub show_ewt_out_of_hours: bool,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

fn null_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

/// Plain text from a message that may hold HTML: line breaks kept, tags dropped, the five XML entities and `&nbsp;`
/// decoded. Text such as `1 < 2` stays as it is.
pub fn strip_markup(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = if rest.starts_with('<') { tag(rest, &mut out) } else { entity(rest, &mut out) };
        if taken == 0 {
            out.push_str(&rest[..1]);
            rest = &rest[1..];
        } else {
            rest = &rest[taken..];
        }
    }
    out.push_str(rest);
    out
}

/// Takes one tag from the front; gives its length, 0 when it is none.
fn tag(text: &str, out: &mut String) -> usize {
    let named = text[1..].trim_start_matches('/');
    if !named.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!') {
        return 0;
    }
    let Some(end) = text.find('>') else { return 0 };
    let name: String = named.chars().take_while(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let closes = text.starts_with("</");
    if name == "br" || (closes && matches!(name.as_str(), "p" | "div" | "li" | "tr")) {
        out.push('\n');
    }
    end + 1
}

/// Takes one character reference from the front; gives its length, 0 when it is none.
fn entity(text: &str, out: &mut String) -> usize {
    const NAMED: [(&str, char); 7] = [
        ("&amp;", '&'),
        ("&lt;", '<'),
        ("&gt;", '>'),
        ("&quot;", '"'),
        ("&apos;", '\''),
        ("&#39;", '\''),
        ("&nbsp;", ' '),
    ];
    for (name, c) in NAMED {
        if text.starts_with(name) {
            out.push(c);
            return name.len();
        }
    }
    0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn markup_becomes_plain_text() {
        assert_eq!(strip_markup("123<br>456"), "123\n456");
        assert_eq!(strip_markup("<p>a &amp; b</p>"), "a & b\n");
        assert_eq!(strip_markup("1 < 2 & 3"), "1 < 2 & 3");
        assert_eq!(strip_markup("<script>x</script>é<"), "xé<");
    }

    #[test]
    fn ice_servers_come_as_url_urls_list_or_nothing() {
        let read = |s: &str| serde_json::from_str::<IceServers>(s).unwrap().servers;
        assert_eq!(read(r#"{"servers":[{"url":"stun:a"}]}"#)[0].urls, ["stun:a"]);
        assert_eq!(read(r#"{"servers":[{"urls":"stun:a"}]}"#)[0].urls, ["stun:a"]);
        assert_eq!(read(r#"{"servers":[{"urls":["stun:a","turn:b"]}]}"#)[0].urls, ["stun:a", "turn:b"]);
        assert!(read(r#"{"servers":[]}"#).is_empty());
        assert!(read(r#"{"servers":null}"#).is_empty());
        assert!(read("{}").is_empty());
    }

    #[test]
    fn a_turn_password_is_not_in_the_debug_text() {
        let server: IceServer = serde_json::from_str(r#"{"url":"turn:a","username":"u","credential":"hush"}"#).unwrap();
        assert!(!format!("{server:?}").contains("hush"));
    }
}
