//! The signaling messages of a call: the `data` of a `chat_session_signaling` event.

use super::lenient::{self, Extra};
use super::tagged::tagged_enum;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

tagged_enum! {
    /// One signaling message.
    pub enum Signal by "type" {
        /// Client → server: asks the agent for a call.
        RequestCall(RequestCall) = "REQUEST_CALL",
        /// The call is refused (by the agent; by a client that declines an offer).
        CallRejected(CallRejected) = "CALL_REJECTED",
        /// Offers a WebRTC session; in a running call, a renegotiation.
        OfferCall(OfferCall) = "OFFER_CALL",
        /// Answers an offer.
        AnswerCall(AnswerCall) = "ANSWER_CALL",
        /// A trickled ICE candidate (RFC 8838), both ways.
        IceCandidate(IceCandidate) = "ICE_CANDIDATE",
        /// Ends the WebRTC session; the chat goes on.
        EndCall(EndCall) = "END_CALL",
        /// Asks for a telephone call-back (seen from clients; not published).
        RequestPhoneCall(RequestNumber) = "REQUEST_PHONE_CALL",
        /// Asks to go on by SMS (seen from clients; not published).
        RequestSms(RequestSms) = "REQUEST_SMS",
    }
}

/// Fields of `REQUEST_CALL`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestCall {
    /// Whether video is wanted beside audio.
    #[serde(default, rename = "offerVideo", deserialize_with = "lenient::flag")]
    pub offer_video: bool,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `CALL_REJECTED`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CallRejected {
    /// The server's code; a number in practice, kept as text.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::opt_words",
        serialize_with = "lenient::write_scalar"
    )]
    pub reason_code: Option<String>,
    /// The reason in words.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_words")]
    pub reason: Option<String>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `OFFER_CALL`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OfferCall {
    /// Whether the offerer would send video.
    #[serde(default, rename = "offerVideo", deserialize_with = "lenient::flag")]
    pub offer_video: bool,
    /// The session description (RFC 8866); empty when the message carried none.
    #[serde(default, deserialize_with = "lenient::sdp")]
    pub sdp: String,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `ANSWER_CALL`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerCall {
    /// The session description (RFC 8866); empty when the message carried none.
    #[serde(default, deserialize_with = "lenient::sdp")]
    pub sdp: String,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `ICE_CANDIDATE`, named as the W3C `RTCIceCandidateInit`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IceCandidate {
    /// The candidate attribute (RFC 8839, 5.1); empty: no more will come.
    #[serde(default, deserialize_with = "lenient::string")]
    pub candidate: String,
    /// The media section's identification tag.
    #[serde(
        default,
        rename = "sdpMid",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::opt_string"
    )]
    pub sdp_mid: Option<String>,
    /// The media section's position, from 0.
    #[serde(
        default,
        rename = "sdpMLineIndex",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::opt_u16"
    )]
    pub sdp_mline_index: Option<u16>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `END_CALL`: none are known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EndCall {
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `REQUEST_PHONE_CALL`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestNumber {
    /// The telephone number.
    #[serde(default, deserialize_with = "lenient::string")]
    pub number: String,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Fields of `REQUEST_SMS`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestSms {
    /// The telephone number.
    #[serde(default, deserialize_with = "lenient::string")]
    pub number: String,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Signal {
    /// `REQUEST_CALL`.
    pub fn request_call(offer_video: bool) -> Self {
        RequestCall { offer_video, ..Default::default() }.into()
    }

    /// `OFFER_CALL`.
    pub fn offer_call(sdp: impl Into<String>, offer_video: bool) -> Self {
        OfferCall { offer_video, sdp: sdp.into(), ..Default::default() }.into()
    }

    /// `ANSWER_CALL`.
    pub fn answer_call(sdp: impl Into<String>) -> Self {
        AnswerCall { sdp: sdp.into(), ..Default::default() }.into()
    }

    /// `END_CALL`.
    pub fn end_call() -> Self {
        EndCall::default().into()
    }

    /// `CALL_REJECTED`.
    pub fn call_rejected(reason_code: impl Into<String>, reason: impl Into<String>) -> Self {
        CallRejected { reason_code: Some(reason_code.into()), reason: Some(reason.into()), ..Default::default() }.into()
    }

    /// Reads the `data` of a signaling event: an object, or a string that holds one. `None` when it is neither.
    pub fn from_data(data: Value) -> Option<Self> {
        let mut object = match data {
            Value::Object(o) => o,
            Value::String(s) => match serde_json::from_str(&s) {
                Ok(Value::Object(o)) => o,
                _ => return None,
            },
            _ => return None,
        };
        // One SDK sends candidates without `type`.
        if object.get("type").is_none_or(Value::is_null) && object.contains_key("candidate") {
            object.insert("type".into(), "ICE_CANDIDATE".into());
        }
        Some(Self::from_object(object))
    }
}

impl<'de> Deserialize<'de> for Signal {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::from_data(Value::deserialize(d)?)
            .ok_or_else(|| serde::de::Error::custom("signaling data is neither an object nor a string that holds one"))
    }
}
