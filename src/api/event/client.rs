//! Events the client sends, in Send Events.

use crate::api::lenient::{self, Extra};
use crate::api::signaling::Signal;
use crate::api::tagged::tagged_enum;
use serde::{Deserialize, Deserializer, Serialize};

tagged_enum! {
    /// One event from the client.
    pub enum ClientEvent by "event" {
        /// A message from the client.
        Message(ClientMessage) = "chat_session_message",
        /// The client began to type.
        Typing(ClientTyping) = "chat_session_typing",
        /// The client stopped typing.
        NotTyping(ClientNotTyping) = "chat_session_not_typing",
        /// The answer to a form.
        FormData(FormData) = "chat_session_form_data",
        /// The answer to a secure form. Its data is never logged.
        SecureFormData(SecureFormData) = "chat_session_secure_form_data",
        /// Declines a secure form.
        SecureFormCancel(SecureFormCancel) = "chat_session_secure_form_cancel",
        /// Ends the session.
        End(ClientEnd) = "chat_session_end",
        /// Ends the conversation; the session stays open under the scenario.
        Disconnect(ClientDisconnect) = "chat_session_disconnect",
        /// A signaling message of a call. Not stored in history.
        Signaling(ClientSignaling) = "chat_session_signaling",
        /// Shares an uploaded file.
        File(ClientFile) = "chat_session_file",
        /// Shares a place.
        Location(ClientLocation) = "chat_session_location",
        /// Tells the page the client is on.
        Navigation(Navigation) = "chat_session_navigation",
        /// Declines to browse together.
        CobrowsingRejected(CobrowsingRejected) = "chat_session_cobrowsing_rejected",
        /// Browsing together began.
        CobrowsingStarted(CobrowsingStarted) = "chat_session_cobrowsing_started",
        /// Browsing together ended.
        CobrowsingEnded(CobrowsingEnded) = "chat_session_cobrowsing_ended",
    }
}

/// Fields of `chat_session_message`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientMessage {
    /// Identifies the message: `chatId:messageNumber`.
    #[serde(default, deserialize_with = "lenient::string")]
    pub msg_id: String,
    /// The text.
    #[serde(default, deserialize_with = "lenient::string")]
    pub msg: String,
    /// The channel it was written in.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub channel: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_typing`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientTyping {
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_not_typing`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientNotTyping {
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_form_data`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FormData {
    /// Identifies the request that the answer belongs to.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::opt_string",
        serialize_with = "lenient::write_scalar"
    )]
    pub form_request_id: Option<String>,
    /// The name of the form, known to the client.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub form_name: Option<String>,
    /// The values by field name.
    #[serde(default)]
    pub data: Extra,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_secure_form_data`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SecureFormData {
    /// Identifies the request that the answer belongs to.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::opt_string",
        serialize_with = "lenient::write_scalar"
    )]
    pub form_request_id: Option<String>,
    /// The name of the form, known to the client.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub form_name: Option<String>,
    /// The values by field name.
    #[serde(default)]
    pub data: Extra,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_secure_form_cancel`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SecureFormCancel {
    /// Identifies the request that the answer belongs to.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::opt_string",
        serialize_with = "lenient::write_scalar"
    )]
    pub form_request_id: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_end`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientEnd {
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_disconnect`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientDisconnect {
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_signaling`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientSignaling {
    /// Identifies the message: `chatId:messageNumber`.
    #[serde(default, deserialize_with = "lenient::string")]
    pub msg_id: String,
    /// The agent it is for.
    #[serde(default, deserialize_with = "lenient::string")]
    pub destination_party_id: String,
    /// The message.
    pub data: Signal,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_file`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientFile {
    /// Identifies the message: `chatId:messageNumber`.
    #[serde(default, deserialize_with = "lenient::string")]
    pub msg_id: String,
    /// `image` or `attachment`.
    #[serde(default, deserialize_with = "lenient::string")]
    pub file_type: String,
    /// What the upload answered.
    #[serde(default, deserialize_with = "lenient::string")]
    pub file_id: String,
    /// The name to show for it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub file_name: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_location`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientLocation {
    /// Identifies the message: `chatId:messageNumber`.
    #[serde(default, deserialize_with = "lenient::string")]
    pub msg_id: String,
    /// A map of the place.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub url: Option<String>,
    /// Degrees north.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::opt_f64",
        serialize_with = "lenient::write_number"
    )]
    pub latitude: Option<f64>,
    /// Degrees east.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::opt_f64",
        serialize_with = "lenient::write_number"
    )]
    pub longitude: Option<f64>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_navigation`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Navigation {
    /// Identifies the message: `chatId:messageNumber`.
    #[serde(default, deserialize_with = "lenient::string")]
    pub msg_id: String,
    /// The title of the page.
    #[serde(default, deserialize_with = "lenient::string")]
    pub title: String,
    /// The address of the page.
    #[serde(default, deserialize_with = "lenient::string")]
    pub page: String,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_cobrowsing_rejected`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CobrowsingRejected {
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_cobrowsing_started`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CobrowsingStarted {
    /// Who provides it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub provider_type: Option<String>,
    /// Where it happens.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub cobrowsing_url: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_cobrowsing_ended`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CobrowsingEnded {
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl<'de> Deserialize<'de> for ClientEvent {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self::from_object(Extra::deserialize(d)?))
    }
}
