//! The call between a desk and a client, as the center sees it: messages pass through, and their order gives the state.
//! A state machine without I/O.
//!
//! Inputs: a signaling message of the client ([`DeskLine::client`]) or of the desk's page ([`DeskLine::agent`]), and the
//! center's own wishes ([`DeskLine::hang_up`], [`DeskLine::reject`]). Outputs: [`DeskLineOutput`].
//!
//! The center answers END_CALL itself, so that a page that is slow, or gone, leaves no client waiting.

use crate::api::signaling::Signal;
use serde::Serialize;
use std::time::Duration;

/// A REQUEST_CALL this soon after an offer crossed it on the way.
const CROSSING: Duration = Duration::from_millis(800);
/// How long a call may ring, or wait for the client's answer.
pub(in crate::simulator) const UNANSWERED: Duration = Duration::from_secs(60);

/// How far a call has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::simulator) enum CallState {
    /// There is none.
    #[default]
    Idle,
    /// The client asks (REQUEST_CALL, or an offer of its own).
    Ringing,
    /// The agent has offered, the client has not answered.
    Calling,
    /// Offer and answer are exchanged.
    Up,
}

/// A message to be handed on.
#[derive(Debug, PartialEq)]
pub(in crate::simulator) enum DeskLineOutput {
    ToClient(Signal),
    ToDesk(Signal),
}

/// The call of one chat at a desk.
#[derive(Debug, Default)]
pub(in crate::simulator) struct DeskLine {
    state: CallState,
    /// Of the call that there is, or of the last one.
    number: u64,
    video: bool,
    /// The call that rings, or is offered, was up before.
    again: bool,
    offered: Duration,
    /// When a call that nobody answers is over.
    deadline: Option<Duration>,
    new_deadline: Option<Duration>,
    out: Vec<DeskLineOutput>,
}

impl DeskLine {
    /// A line whose first call is the one after this number.
    pub fn after(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    pub fn state(&self) -> CallState {
        self.state
    }

    /// The number of the call that there is, or of the last one: what is on its way when a call ends must not be taken
    /// for a part of the next one.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether the last side to ask wanted video.
    pub fn video(&self) -> bool {
        self.video
    }

    /// Whether the client asks for a call that it is in.
    pub fn is_again(&self) -> bool {
        self.again && matches!(self.state, CallState::Ringing | CallState::Calling)
    }

    pub fn is_busy(&self) -> bool {
        self.state != CallState::Idle
    }

    /// Whether the agent is in this call, or wants to be.
    pub fn is_taken(&self) -> bool {
        matches!(self.state, CallState::Calling | CallState::Up)
    }

    pub fn take_outputs(&mut self) -> Vec<DeskLineOutput> {
        std::mem::take(&mut self.out)
    }

    /// A signaling message of the client.
    pub fn client(&mut self, signal: Signal, now: Duration) {
        use CallState::{Calling, Idle, Ringing, Up};
        match (&signal, self.state) {
            (Signal::RequestCall(_), Calling) if now < self.offered + CROSSING => return,
            (Signal::RequestCall(_), Ringing) => return,
            // In a running call: its way is broken, or the client was started anew and knows nothing of it.
            (Signal::RequestCall(request), before) => {
                self.again = before == Up || (self.again && before == Calling);
                self.video = request.offer_video;
                self.begin(Ringing, now);
            }
            (Signal::OfferCall(offer), Idle) => {
                self.again = false;
                self.video = offer.offer_video;
                self.begin(Ringing, now);
            }
            (Signal::OfferCall(offer), Ringing) => self.video = offer.offer_video,
            (Signal::OfferCall(offer), Up) => self.video = offer.offer_video,
            // Both sides offer: in this API it is the client who yields.
            (Signal::OfferCall(_), Calling) => return,
            (Signal::AnswerCall(_), Calling) => self.state = Up,
            (Signal::AnswerCall(_), Up) => {}
            (Signal::EndCall(_), Ringing | Calling | Up) => {
                self.out.push(DeskLineOutput::ToClient(Signal::end_call()));
                self.state = Idle;
            }
            (Signal::CallRejected(_), Ringing | Calling) => self.state = Idle,
            (Signal::CallRejected(_), Up) | (Signal::IceCandidate(_), Ringing | Calling | Up) => {}
            (Signal::AnswerCall(_) | Signal::EndCall(_) | Signal::CallRejected(_) | Signal::IceCandidate(_), _) => {
                return;
            }
            _ => {}
        }
        self.out.push(DeskLineOutput::ToDesk(signal));
    }

    /// A signaling message of the desk's page, in the call of this number: the line's own while there is one, the next
    /// for an offer that begins one. `None` is whichever fits.
    ///
    /// # Errors
    /// When it fits no call.
    pub fn agent(&mut self, signal: Signal, number: Option<u64>, now: Duration) -> Result<(), &'static str> {
        use CallState::{Calling, Idle, Ringing, Up};
        let begins = self.state == Idle && matches!(signal, Signal::OfferCall(_));
        let own = self.number + u64::from(begins);
        if number.is_some_and(|number| number != own) {
            return match signal {
                Signal::OfferCall(_) | Signal::AnswerCall(_) => Err("this call is over"),
                _ => Ok(()),
            };
        }
        match (&signal, self.state) {
            (Signal::OfferCall(offer), state) => {
                self.video = offer.offer_video;
                match state {
                    Idle => {
                        self.again = false;
                        self.begin(Calling, now);
                    }
                    Ringing => self.wait_in(Calling, now),
                    Calling | Up => {}
                }
                if state != Up {
                    self.offered = now;
                }
            }
            (Signal::AnswerCall(_), Ringing) => self.state = Up,
            (Signal::AnswerCall(_), Up) => {}
            (Signal::AnswerCall(_), _) => return Err("there is no offer of the client to answer"),
            (Signal::CallRejected(_), Ringing) => self.state = Idle,
            (Signal::CallRejected(_), Up) => {}
            (Signal::CallRejected(_), _) => return Err("there is no call of the client to reject"),
            (Signal::EndCall(_), Ringing | Calling | Up) => self.state = Idle,
            // The call ended while the page still spoke of it.
            (Signal::EndCall(_) | Signal::IceCandidate(_), Idle) => return Ok(()),
            _ => {}
        }
        self.out.push(DeskLineOutput::ToClient(signal));
        Ok(())
    }

    fn begin(&mut self, state: CallState, now: Duration) {
        self.number += 1;
        self.wait_in(state, now);
    }

    fn wait_in(&mut self, state: CallState, now: Duration) {
        self.state = state;
        self.deadline = Some(now + UNANSWERED);
        self.new_deadline = self.deadline;
    }

    /// A time-out that was not told of yet.
    pub fn take_new_timeout(&mut self) -> Option<Duration> {
        self.new_deadline.take()
    }

    /// When [`DeskLine::handle_timeout`] should be called; `None` while no call waits to be answered.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.deadline.filter(|_| matches!(self.state, CallState::Ringing | CallState::Calling))
    }

    /// Ends a call that nobody answered in time.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.next_timeout().is_some_and(|due| due <= now) {
            if self.state == CallState::Ringing {
                self.reject("480", "The agent did not answer");
            } else {
                self.hang_up(None);
            }
        }
    }

    /// Ends the call, or only that of a number, and tells both sides. False: there is none.
    pub fn hang_up(&mut self, number: Option<u64>) -> bool {
        number.is_none_or(|number| number == self.number) && self.stop(Signal::end_call())
    }

    /// Refuses the client's call, and tells both sides. False: none rings.
    pub fn reject(&mut self, code: &str, reason: &str) -> bool {
        self.state == CallState::Ringing && self.stop(Signal::call_rejected(code, reason))
    }

    fn stop(&mut self, last: Signal) -> bool {
        let busy = self.is_busy();
        if busy {
            self.state = CallState::Idle;
            self.out.push(DeskLineOutput::ToClient(last));
            self.out.push(DeskLineOutput::ToDesk(Signal::end_call()));
        }
        busy
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::DeskLineOutput::{ToClient, ToDesk};
    use super::*;
    use crate::api::signaling::IceCandidate;

    const T0: Duration = Duration::ZERO;

    fn candidate() -> Signal {
        IceCandidate { candidate: "candidate:1".into(), ..Default::default() }.into()
    }

    fn ringing() -> DeskLine {
        let mut line = DeskLine::default();
        line.client(Signal::request_call(true), T0);
        assert_eq!(line.take_outputs(), [ToDesk(Signal::request_call(true))]);
        line
    }

    fn calling() -> DeskLine {
        let mut line = ringing();
        line.agent(Signal::offer_call("v=0", false), None, T0).unwrap();
        line.take_outputs();
        line
    }

    fn up() -> DeskLine {
        let mut line = calling();
        line.client(Signal::answer_call("v=0"), T0);
        assert_eq!((line.state(), line.take_outputs()), (CallState::Up, vec![ToDesk(Signal::answer_call("v=0"))]));
        line
    }

    #[test]
    fn a_call_goes_from_request_to_answer() {
        assert_eq!((ringing().state(), ringing().video()), (CallState::Ringing, true));
        assert_eq!((calling().state(), calling().video()), (CallState::Calling, false));
        up();
    }

    #[test]
    fn candidates_pass_both_ways_while_there_is_a_call() {
        let mut line = calling();
        line.client(candidate(), T0);
        line.agent(candidate(), None, T0).unwrap();
        assert_eq!(line.take_outputs(), [ToDesk(candidate()), ToClient(candidate())]);
        let mut line = DeskLine::default();
        line.client(candidate(), T0);
        line.agent(candidate(), None, T0).unwrap();
        assert!(line.take_outputs().is_empty());
    }

    #[test]
    fn the_clients_end_is_answered_without_the_page() {
        let mut line = up();
        line.client(Signal::end_call(), T0);
        assert_eq!(line.take_outputs(), [ToClient(Signal::end_call()), ToDesk(Signal::end_call())]);
        line.client(Signal::end_call(), T0);
        line.agent(Signal::end_call(), None, T0).unwrap();
        assert!(line.take_outputs().is_empty());
    }

    #[test]
    fn hanging_up_tells_both_sides_once() {
        let mut line = up();
        assert!(line.hang_up(None));
        assert_eq!(line.take_outputs(), [ToClient(Signal::end_call()), ToDesk(Signal::end_call())]);
        assert!(!line.hang_up(None));
    }

    #[test]
    fn only_a_ringing_call_can_be_rejected() {
        let mut line = ringing();
        assert!(line.reject("486", "busy"));
        assert_eq!(line.take_outputs()[0], ToClient(Signal::call_rejected("486", "busy")));
        assert!(!line.reject("486", "busy") && !up().reject("486", "busy"));
        assert!(DeskLine::default().agent(Signal::call_rejected("486", "busy"), None, T0).is_err());
    }

    #[test]
    fn an_answer_needs_an_offer() {
        assert!(DeskLine::default().agent(Signal::answer_call("v=0"), None, T0).is_err());
        assert!(calling().agent(Signal::answer_call("v=0"), None, T0).is_err());
        let mut line = DeskLine::default();
        line.client(Signal::answer_call("v=0"), T0);
        assert!(line.take_outputs().is_empty());
    }

    #[test]
    fn a_further_offer_renegotiates() {
        let mut line = up();
        line.agent(Signal::offer_call("v=0 video", true), None, T0).unwrap();
        line.client(Signal::answer_call("v=0 video"), T0);
        assert_eq!((line.state(), line.video(), line.take_outputs().len()), (CallState::Up, true, 2));
    }

    #[test]
    fn a_client_may_offer_itself() {
        let mut line = DeskLine::default();
        line.client(Signal::offer_call("v=0", false), T0);
        assert_eq!(line.state(), CallState::Ringing);
        line.agent(Signal::answer_call("v=0"), None, T0).unwrap();
        assert_eq!(line.state(), CallState::Up);
    }

    #[test]
    fn a_request_that_crosses_the_offer_changes_nothing() {
        let mut line = calling();
        line.client(Signal::request_call(false), Duration::from_millis(50));
        assert_eq!((line.state(), line.take_outputs().len()), (CallState::Calling, 0));
    }

    #[test]
    fn a_client_that_lost_its_call_rings_again() {
        let mut line = up();
        line.client(Signal::request_call(false), T0);
        assert_eq!(
            (line.state(), line.take_outputs()),
            (CallState::Ringing, vec![ToDesk(Signal::request_call(false))])
        );
        assert!(line.is_again() && !ringing().is_again());
        line.agent(Signal::offer_call("v=0", false), None, T0).unwrap();
        line.client(Signal::answer_call("v=0"), T0);
        assert!(!line.is_again());
    }

    #[test]
    fn an_offer_that_comes_after_the_end_of_its_call_begins_none() {
        let mut line = ringing();
        line.client(Signal::end_call(), T0);
        line.take_outputs();
        assert!(line.agent(Signal::offer_call("v=0", false), Some(1), T0).is_err());
        assert_eq!((line.state(), line.take_outputs().len()), (CallState::Idle, 0));
        line.agent(Signal::offer_call("v=0", false), Some(2), T0).unwrap();
        assert_eq!((line.state(), line.number()), (CallState::Calling, 2));
    }

    #[test]
    fn what_belongs_to_an_older_call_does_not_touch_the_next() {
        let mut line = calling();
        line.client(Signal::end_call(), T0);
        line.client(Signal::request_call(false), T0);
        line.take_outputs();
        for late in [candidate(), Signal::end_call(), Signal::call_rejected("603", "no")] {
            line.agent(late, Some(1), T0).unwrap();
        }
        assert!(line.agent(Signal::offer_call("v=0", false), Some(1), T0).is_err());
        assert!(!line.hang_up(Some(1)));
        assert_eq!((line.state(), line.take_outputs().len()), (CallState::Ringing, 0));
        assert!(line.hang_up(Some(2)));
    }

    #[test]
    fn an_offer_answers_a_request_that_it_crossed() {
        let mut line = DeskLine::default();
        line.client(Signal::request_call(false), T0);
        line.agent(Signal::offer_call("v=0", false), Some(1), T0).unwrap();
        assert_eq!((line.state(), line.number()), (CallState::Calling, 1));
    }

    #[test]
    fn a_call_that_nobody_answers_ends_by_itself() {
        for (mut line, last) in
            [(ringing(), Signal::call_rejected("480", "The agent did not answer")), (calling(), Signal::end_call())]
        {
            line.handle_timeout(UNANSWERED - Duration::from_millis(1));
            assert!(line.is_busy());
            line.handle_timeout(line.next_timeout().unwrap());
            assert_eq!(line.take_outputs(), [ToClient(last), ToDesk(Signal::end_call())]);
            assert_eq!((line.state(), line.next_timeout()), (CallState::Idle, None));
        }
        assert_eq!(up().next_timeout(), None);
    }
}
