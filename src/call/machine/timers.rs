//! The limits of a call and the marks of its time line.

use std::time::{Duration, Instant};

/// What a call waits for, and how long.
///
/// A duration too large to add to the clock (`Duration::MAX`) means no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallConfig {
    /// REQUEST_CALL sent → OFFER_CALL. Default 30 s.
    pub no_offer: Duration,
    /// Incoming call → accepted by the user; when the client offers: request → ANSWER_CALL. Default 45 s.
    pub no_answer: Duration,
    /// Offer there and accepted (in an outgoing call these are one) → connected. It covers making the peer and
    /// answering, so that nothing on the way can hang. Default 20 s.
    pub no_connection: Duration,
    /// Connected → first RTP packet. Default 15 s.
    pub no_media: Duration,
    /// Sends REQUEST_CALL again after this long without an offer, as often as `no_offer` allows. `None` (the default):
    /// once is enough, since the chat's send queue loses nothing.
    pub reask: Option<Duration>,
    /// How long a call that is over is remembered, so that what is still on its way does not disturb the next one; also
    /// how long a candidate waits for an OFFER_CALL it came before. Default 10 s.
    pub late: Duration,
    /// How long a new request to the same agent is held back after one that was given up before its offer came: an offer
    /// on its way for the first could not be told from one for the second. Ends early when the agent's side confirms
    /// with END_CALL. Default 1 s.
    pub settle: Duration,
    /// The last sound → it is told that the call is interrupted. Default 1 s.
    pub interrupted_after: Duration,
    /// The last sign of life of the far end (RTP, RTCP, an answer to an ICE check) → the call is asked for again. Default
    /// 3 s. What is known to be dead is not waited for.
    pub restore_after: Duration,
    /// How often the call is asked for again in one interruption; 0: never, and a call whose way is lost fails. Default 5.
    pub restore_attempts: u32,
    /// REQUEST_CALL → OFFER_CALL of one such attempt, and then OFFER_CALL → sound. Default 10 s.
    pub restore_offer: Duration,
    /// From an attempt that failed to the next; doubled each time, up to 8 s. Default 2 s.
    pub restore_wait: Duration,
    /// An interruption is told → the call is lost, unless the far end shows signs of life. Default 60 s.
    pub restore_within: Duration,
    /// The agent left an interrupted call's chat → that is the end, unless an agent is there by then. Default 10 s.
    pub rejoin_within: Duration,
}

impl Default for CallConfig {
    fn default() -> Self {
        Self {
            no_offer: Duration::from_secs(30),
            no_answer: Duration::from_secs(45),
            no_connection: Duration::from_secs(20),
            no_media: Duration::from_secs(15),
            reask: None,
            late: Duration::from_secs(10),
            settle: Duration::from_secs(1),
            interrupted_after: Duration::from_secs(1),
            restore_after: Duration::from_secs(3),
            restore_attempts: 5,
            restore_offer: Duration::from_secs(10),
            restore_wait: Duration::from_secs(2),
            restore_within: Duration::from_secs(60),
            rejoin_within: Duration::from_secs(10),
        }
    }
}

/// A time limit that ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeLimit {
    /// Our request was not followed by an offer.
    NoOffer,
    /// The user did not accept an incoming call (it is declined); the agent did not answer our offer.
    NoAnswer,
    /// The call did not connect.
    NoConnection,
    /// The call connected, and not one RTP packet came.
    NoMedia,
}

/// When the steps of a call happened. A step that did not happen is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallTimes {
    /// REQUEST_CALL (when the client offers: OFFER_CALL) was handed out for sending, the first time.
    pub request_sent: Option<Instant>,
    /// The first OFFER_CALL arrived.
    pub offer_received: Option<Instant>,
    /// The user accepted an incoming call.
    pub accepted: Option<Instant>,
    /// The first ANSWER_CALL was handed out for sending (when the client offers: arrived).
    pub answer_sent: Option<Instant>,
    /// The peer was connected, the first time.
    pub connected: Option<Instant>,
    /// The first RTP packet arrived.
    pub media: Option<Instant>,
    /// The call was over.
    pub ended: Option<Instant>,
}
