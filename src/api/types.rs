//! Answers of the methods that are no events: availability, parameters, chats, files; with ICE servers and the widget
//! configuration from files of their own.

use super::event::ServerEvent;
pub use super::ice::{IceServer, IceServers};
use super::lenient::{self, Extra};
pub use super::markup::{one_line, strip_markup};
pub use super::widget::{ContactTab, Widget, WidgetConfiguration, WidgetDefinition};
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
    #[serde(default, deserialize_with = "lenient::or_default")]
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
