//! Events the server sends: in the poll's answer, in Send Events' answer, and in history.

use crate::api::lenient::{self, Extra, Timestamp};
use crate::api::signaling::Signal;
use crate::api::tagged::tagged_enum;
use crate::api::types::{PartyType, SessionState};
use serde::{Deserialize, Deserializer, Serialize};

tagged_enum! {
    /// One event from the server.
    pub enum ServerEvent by "event" {
        /// The state of the session.
        Status(SessionStatus) = "chat_session_status",
        /// The normal end: the session no longer exists.
        Ended(SessionEnded) = "chat_session_ended",
        /// Somebody joined; a call can be addressed to an internal party.
        PartyJoined(PartyJoined) = "chat_session_party_joined",
        /// Somebody left.
        PartyLeft(PartyLeft) = "chat_session_party_left",
        /// A message in the conversation.
        Message(ServerMessage) = "chat_session_message",
        /// A party began to type.
        Typing(ServerTyping) = "chat_session_typing",
        /// A party stopped typing.
        NotTyping(ServerNotTyping) = "chat_session_not_typing",
        /// Asks the client to show a form.
        FormShow(FormShow) = "chat_session_form_show",
        /// Asks the client to show a secure form.
        SecureFormShow(SecureFormShow) = "chat_session_secure_form_show",
        /// The session is about to time out.
        TimeoutWarning(TimeoutWarning) = "chat_session_timeout_warning",
        /// The session timed out and no longer exists.
        InactivityTimeout(InactivityTimeout) = "chat_session_inactivity_timeout" | "chat_session_inactvity_timeout",
        /// A signaling message of a call. Not stored in history.
        Signaling(ServerSignaling) = "chat_session_signaling",
        /// A file to download by its id.
        File(ServerFile) = "chat_session_file",
        /// A place.
        Location(ServerLocation) = "chat_session_location",
        /// Asks to browse together.
        CobrowsingRequested(CobrowsingRequested) = "chat_session_cobrowsing_requested",
        /// Names the service (not published).
        Info(SessionInfo) = "chat_session_info",
        /// A case was assigned (not published).
        CaseSet(CaseSet) = "chat_session_case_set",
        /// A message was delivered (not published).
        MessageDelivered(MessageDelivered) = "chat_session_message_delivered",
        /// A message was read (not published).
        MessageRead(MessageRead) = "chat_session_message_read",
    }
}

/// Fields of `chat_session_status`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionStatus {
    /// The state.
    #[serde(default)]
    pub state: SessionState,
    /// Expected wait, in seconds, as the server wrote it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::opt_string",
        serialize_with = "lenient::write_scalar"
    )]
    pub ewt: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_ended`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionEnded {
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_party_joined`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PartyJoined {
    /// The party.
    #[serde(default, deserialize_with = "lenient::string")]
    pub party_id: String,
    /// First name.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub last_name: Option<String>,
    /// The name to show.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub display_name: Option<String>,
    /// What kind of party it is.
    #[serde(default, rename = "type")]
    pub party_type: PartyType,
    /// When it happened, by the server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_timestamp")]
    pub timestamp: Option<Timestamp>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_party_left`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PartyLeft {
    /// The party.
    #[serde(default, deserialize_with = "lenient::string")]
    pub party_id: String,
    /// When it happened, by the server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_timestamp")]
    pub timestamp: Option<Timestamp>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_message`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerMessage {
    /// The party it comes from; in history the chat id marks the client itself.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub party_id: Option<String>,
    /// Identifies the message; the form differs by server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub msg_id: Option<String>,
    /// The text; may hold HTML.
    #[serde(default, deserialize_with = "lenient::string")]
    pub msg: String,
    /// The same as plain text, from some servers.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub message_text: Option<String>,
    /// The same as plain text, by its other name.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub msg_text: Option<String>,
    /// When it happened, by the server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_timestamp")]
    pub timestamp: Option<Timestamp>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_typing`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerTyping {
    /// The party it comes from; in history the chat id marks the client itself.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub party_id: Option<String>,
    /// When it happened, by the server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_timestamp")]
    pub timestamp: Option<Timestamp>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_not_typing`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerNotTyping {
    /// The party it comes from; in history the chat id marks the client itself.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub party_id: Option<String>,
    /// When it happened, by the server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_timestamp")]
    pub timestamp: Option<Timestamp>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_form_show`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FormShow {
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
    /// How long the form stays valid, in seconds.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::opt_f64",
        serialize_with = "lenient::write_number"
    )]
    pub form_timeout: Option<f64>,
    /// When it happened, by the server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_timestamp")]
    pub timestamp: Option<Timestamp>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_secure_form_show`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SecureFormShow {
    /// Identifies the request that the answer belongs to.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::opt_string",
        serialize_with = "lenient::write_scalar"
    )]
    pub form_request_id: Option<String>,
    /// The form.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub form_id: Option<String>,
    /// When it happened, by the server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_timestamp")]
    pub timestamp: Option<Timestamp>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_timeout_warning`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TimeoutWarning {
    /// The text to show.
    #[serde(default, deserialize_with = "lenient::string")]
    pub msg: String,
    /// When it happened, by the server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_timestamp")]
    pub timestamp: Option<Timestamp>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_inactivity_timeout`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InactivityTimeout {
    /// The text to show.
    #[serde(default, deserialize_with = "lenient::string")]
    pub msg: String,
    /// When it happened, by the server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_timestamp")]
    pub timestamp: Option<Timestamp>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_signaling`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerSignaling {
    /// The party it comes from; in history the chat id marks the client itself.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub party_id: Option<String>,
    /// Identifies the message; the form differs by server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub msg_id: Option<String>,
    /// The message.
    pub data: Signal,
    /// When it happened, by the server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_timestamp")]
    pub timestamp: Option<Timestamp>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_file`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerFile {
    /// The party it comes from; in history the chat id marks the client itself.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub party_id: Option<String>,
    /// Stands for `party_id` with some servers.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub session_id: Option<String>,
    /// Identifies the message; the form differs by server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub msg_id: Option<String>,
    /// Identifies the file.
    #[serde(default, deserialize_with = "lenient::string")]
    pub file_id: String,
    /// `image` or `attachment`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub file_type: Option<String>,
    /// A name, which must not be trusted as a path.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub file_name: Option<String>,
    /// When it happened, by the server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_timestamp")]
    pub timestamp: Option<Timestamp>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_location`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerLocation {
    /// The party it comes from; in history the chat id marks the client itself.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub party_id: Option<String>,
    /// Identifies the message; the form differs by server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub msg_id: Option<String>,
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
    /// When it happened, by the server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_timestamp")]
    pub timestamp: Option<Timestamp>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_cobrowsing_requested`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CobrowsingRequested {
    /// The party it comes from; in history the chat id marks the client itself.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub party_id: Option<String>,
    /// Identifies the message; the form differs by server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub msg_id: Option<String>,
    /// When it happened, by the server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_timestamp")]
    pub timestamp: Option<Timestamp>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_info`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// The service.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub service_name: Option<String>,
    /// When it happened, by the server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_timestamp")]
    pub timestamp: Option<Timestamp>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_case_set`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CaseSet {
    /// The case.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub case_id: Option<String>,
    /// When it happened, by the server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_timestamp")]
    pub timestamp: Option<Timestamp>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_message_delivered`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MessageDelivered {
    /// The message.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub ref_msg_id: Option<String>,
    /// The party it comes from; in history the chat id marks the client itself.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub party_id: Option<String>,
    /// When it happened, by the server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_timestamp")]
    pub timestamp: Option<Timestamp>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `chat_session_message_read`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MessageRead {
    /// The message.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub ref_msg_id: Option<String>,
    /// The party it comes from; in history the chat id marks the client itself.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_string")]
    pub party_id: Option<String>,
    /// When it happened, by the server.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_timestamp")]
    pub timestamp: Option<Timestamp>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl<'de> Deserialize<'de> for ServerEvent {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self::from_object(Extra::deserialize(d)?))
    }
}
