//! What arrives of a call that is over.

use super::*;

/// A request that was given up before its offer came.
fn given_up() -> Bed {
    let mut bed = Bed::requesting();
    bed.give(Input::HangUp);
    bed
}

#[test]
fn the_offer_for_a_request_that_was_given_up_is_answered_by_end_call_once() {
    let mut bed = given_up();
    assert_eq!(bed.give(from(AGENT, offer(1))), [to(AGENT, Signal::end_call())]);
    assert_eq!(bed.give(from(AGENT, offer(1))), []);
    assert_eq!(bed.give(from(AGENT, candidate("late"))), []);
}

#[test]
fn an_offer_long_after_a_request_was_given_up_rings() {
    let mut bed = given_up();
    bed.wait_secs(11);
    bed.give(from(AGENT, offer(1)));
    assert_eq!(bed.machine.phase(), Phase::Ringing);
}

#[test]
fn once_the_agent_confirmed_the_end_an_offer_rings() {
    let mut bed = given_up();
    bed.play([from(AGENT, Signal::end_call()), from(AGENT, offer(1))]);
    assert_eq!(bed.machine.phase(), Phase::Ringing);
}

#[test]
fn a_new_request_waits_until_the_one_given_up_has_settled() {
    let mut bed = given_up();
    assert_eq!(sent(&bed.give(request(AGENT))), [""; 0]);
    assert_eq!(bed.wait(Duration::from_millis(999)), []);
    assert_eq!(sent(&bed.wait(Duration::from_millis(1))), ["REQUEST_CALL"]);
}

#[test]
fn the_agents_confirmation_lets_the_new_request_go_at_once() {
    let mut bed = given_up();
    bed.give(request(AGENT));
    assert_eq!(sent(&bed.give(from(AGENT, Signal::end_call()))), ["REQUEST_CALL"]);
    assert_eq!(bed.machine.phase(), Phase::Requesting);
}

#[test]
fn a_late_rejection_hits_the_request_it_was_for() {
    let mut bed = given_up();
    bed.give(request(AGENT));
    assert_eq!(sent(&bed.give(from(AGENT, rejected("too late")))), ["REQUEST_CALL"]);
    assert_eq!(ended(&bed.give(from(AGENT, rejected("no")))).reason, "the agent rejected the call: no");
}

#[test]
fn a_late_offer_is_not_taken_for_that_of_the_new_request() {
    let mut bed = given_up();
    bed.play([request(AGENT), Input::PeerReady]);
    assert_eq!(bed.give(from(AGENT, offer(1))), [to(AGENT, Signal::end_call())]);
    bed.wait_secs(1);
    assert!(bed.give(from(AGENT, offer(2))).contains(&apply(&offer(2), false)));
}

#[test]
fn a_request_that_was_held_back_is_given_up_without_a_word() {
    let mut bed = given_up();
    bed.give(request(AGENT));
    let outputs = bed.give(Input::HangUp);
    assert_eq!((sent(&outputs), ended(&outputs).outcome), (vec![], Outcome::Cancelled));
    assert_eq!(bed.give(from(AGENT, offer(1))), [to(AGENT, Signal::end_call())], "the first is remembered");
}

#[test]
fn the_confirmation_of_the_last_calls_end_does_not_end_the_next() {
    let mut bed = Bed::connected();
    bed.play([Input::HangUp, request(AGENT)]);
    assert_eq!(bed.give(from(AGENT, Signal::end_call())), []);
    assert_eq!(bed.machine.phase(), Phase::Requesting);
    assert_eq!(ended(&bed.give(from(AGENT, Signal::end_call()))).ended_by, EndedBy::Remote, "only one is owed");
}

#[test]
fn after_the_offer_of_the_next_call_end_call_means_that_call() {
    let mut bed = Bed::connected();
    bed.play([Input::HangUp, request(AGENT), Input::PeerReady, from(AGENT, offer(2))]);
    assert_eq!(ended(&bed.give(from(AGENT, Signal::end_call()))).ended_by, EndedBy::Remote);
}

#[test]
fn the_end_that_follows_a_rejection_does_not_end_the_next_call() {
    let mut bed = Bed::requesting();
    bed.play([from(AGENT, rejected("not now")), request(AGENT), from(AGENT, Signal::end_call())]);
    assert_eq!(bed.machine.phase(), Phase::Requesting);
}

#[test]
fn a_renegotiation_that_crosses_our_end_does_not_ring() {
    let mut bed = Bed::connected();
    bed.give(Input::HangUp);
    assert_eq!(bed.give(from(AGENT, reoffer(1, 2))), []);
    bed.give(request(AGENT));
    assert_eq!(bed.give(from(AGENT, reoffer(1, 3))), []);
    assert_eq!(bed.machine.phase(), Phase::Requesting);
}

#[test]
fn the_agent_may_call_right_after_we_hung_up() {
    let mut bed = Bed::connected();
    bed.play([Input::HangUp, from(AGENT, offer(2))]);
    assert_eq!(bed.machine.phase(), Phase::Ringing);
}

#[test]
fn an_offer_delivered_again_after_its_call_does_not_ring() {
    let mut bed = Bed::ringing();
    bed.play([Input::Decline { reason: String::new() }]);
    assert_eq!(bed.give(from(AGENT, offer(1))), []);
    bed.wait_secs(11);
    bed.give(from(AGENT, offer(1)));
    assert_eq!(bed.machine.phase(), Phase::Ringing, "no memory is kept for ever");
}

#[test]
fn late_candidates_do_not_reach_the_next_calls_peer() {
    let named =
        IceCandidate { candidate: "candidate:1 1 udp 1 192.0.2.1 5000 typ host ufrag u1".into(), ..candidate("") };
    let mut bed = Bed::connected();
    bed.play([Input::HangUp, from(AGENT, named), from(AGENT, candidate("nameless"))]);
    bed.wait_secs(11);
    bed.play([from(AGENT, offer(2)), Input::PeerReady, Input::Accept]);
    let outputs = bed.give(answer());
    assert_eq!(outputs, [our_answer(), event(CallEvent::Answered)]);
}

#[test]
fn only_one_offer_is_owed_for_a_request_that_was_given_up() {
    let mut bed = given_up();
    bed.play([from(AGENT, offer(1)), from(AGENT, offer(2))]);
    assert_eq!(bed.machine.phase(), Phase::Ringing);
}

#[test]
fn when_the_agent_ended_the_last_call_its_next_end_means_the_next_call() {
    let mut bed = Bed::connected();
    bed.play([from(AGENT, Signal::end_call()), request(AGENT)]);
    assert_eq!(ended(&bed.give(from(AGENT, Signal::end_call()))).outcome, Outcome::Rejected);
}

#[test]
fn candidates_that_waited_in_the_last_call_are_gone_with_it() {
    let mut bed = Bed::requesting();
    bed.play([from(AGENT, candidate("old")), from(AGENT, Signal::end_call())]);
    bed.play([request(AGENT), Input::PeerReady, from(AGENT, offer(1))]);
    assert_eq!(bed.give(answer()), [our_answer(), event(CallEvent::Answered)]);
}

#[test]
fn a_late_candidate_that_names_its_ice_generation_waits_in_vain() {
    let late =
        IceCandidate { candidate: "candidate:1 1 udp 1 192.0.2.1 5000 typ host ufrag u1".into(), ..candidate("") };
    let mut bed = Bed::connected();
    bed.play([Input::HangUp, from(AGENT, late), from(AGENT, offer(2)), Input::PeerReady, Input::Accept]);
    assert_eq!(bed.give(answer()), [our_answer(), event(CallEvent::Answered)]);
}

#[test]
fn a_candidate_long_before_the_offer_is_not_of_it() {
    let mut bed = Bed::requesting();
    bed.give(from(AGENT, candidate("stale")));
    bed.wait_secs(11);
    bed.give(from(AGENT, offer(1)));
    assert_eq!(bed.give(answer()), [our_answer(), event(CallEvent::Answered)]);
}
