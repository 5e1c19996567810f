//! Candidates, and offers in a running call.

use super::*;

fn add(name: &str) -> Output {
    Output::AddCandidate(candidate(name))
}

#[test]
fn remote_candidates_wait_until_the_offer_is_applied() {
    let mut bed = Bed::requesting();
    assert_eq!(bed.give(from(AGENT, candidate("before the offer"))), []);
    bed.give(from(AGENT, offer(1)));
    assert_eq!(bed.give(from(AGENT, candidate("while applying"))), []);
    let outputs = bed.give(answer());
    assert_eq!(outputs[2..], [add("before the offer"), add("while applying")]);
    assert_eq!(bed.give(from(AGENT, candidate("after"))), [add("after")]);
}

#[test]
fn candidates_may_come_before_an_unasked_offer() {
    let mut bed = Bed::new();
    assert_eq!(bed.give(from(AGENT, candidate("early"))), []);
    bed.play([from(AGENT, offer(1)), Input::PeerReady, Input::Accept]);
    assert_eq!(bed.give(answer())[2..], [add("early")]);
}

#[test]
fn candidates_of_another_party_are_not_mixed_in() {
    let mut bed = Bed::requesting();
    bed.play([from(OTHER, candidate("other")), from(AGENT, candidate("mine"))]);
    bed.play([from(AGENT, offer(1)), from(OTHER, candidate("other again"))]);
    assert_eq!(bed.give(answer())[2..], [add("mine")]);
}

#[test]
fn after_a_transfer_the_early_candidates_are_the_offering_agents() {
    let mut bed = Bed::requesting();
    bed.play([from(OTHER, candidate("other")), from(AGENT, candidate("asked")), from(OTHER, offer(1))]);
    assert_eq!(bed.give(answer())[2..], [add("other")]);
}

#[test]
fn local_candidates_wait_until_the_answer_is_sent() {
    let mut bed = Bed::requesting();
    bed.give(from(AGENT, offer(1)));
    assert_eq!(bed.give(Input::LocalCandidate(candidate("a"))), []);
    assert_eq!(bed.give(answer()), [our_answer(), event(CallEvent::Answered), to(AGENT, candidate("a"))]);
    assert_eq!(bed.give(Input::LocalCandidate(candidate("b"))), [to(AGENT, candidate("b"))]);
}

#[test]
fn waiting_candidates_are_bounded_on_both_sides() {
    let mut bed = Bed::requesting();
    for n in 0..1000 {
        bed.play([from(AGENT, candidate(&n.to_string())), Input::LocalCandidate(candidate(&n.to_string()))]);
    }
    bed.give(from(AGENT, offer(1)));
    let outputs = bed.give(answer());
    let added = outputs.iter().filter(|o| matches!(o, Output::AddCandidate(_))).count();
    assert_eq!((added, sent(&outputs).len()), (256, 1 + 256));
}

#[test]
fn a_candidate_of_an_ice_restart_waits_for_its_offer() {
    let mut bed = Bed::connected();
    let restarted =
        IceCandidate { candidate: "candidate:1 1 udp 1 192.0.2.1 1 typ host ufrag new".into(), ..candidate("") };
    assert_eq!(bed.give(from(AGENT, restarted.clone())), []);
    bed.give(from(AGENT, Signal::offer_call(sdp(1, 2, 1, "new"), false)));
    assert_eq!(bed.give(answer()), [our_answer(), Output::AddCandidate(restarted)]);
}

#[test]
fn a_new_offer_in_a_running_call_is_a_renegotiation() {
    let mut bed = Bed::connected();
    assert_eq!(bed.give(from(AGENT, reoffer(1, 2))), [apply(&reoffer(1, 2), true), event(CallEvent::Renegotiating)]);
    assert_eq!(bed.give(answer()), [our_answer()]);
    assert_eq!(bed.machine.phase(), Phase::Connected);
}

#[test]
fn the_same_offer_delivered_twice_is_not_a_renegotiation() {
    let mut bed = Bed::requesting();
    bed.give(from(AGENT, offer(1)));
    assert_eq!(bed.give(from(AGENT, offer(1))), []);
    bed.play([answer(), Input::PeerConnected]);
    assert_eq!(bed.give(from(AGENT, offer(1))), []);
}

#[test]
fn of_the_offers_that_come_while_one_is_applied_the_last_is_next() {
    let mut bed = Bed::connected();
    bed.play([from(AGENT, reoffer(1, 2)), from(AGENT, reoffer(1, 3)), from(AGENT, reoffer(1, 4))]);
    let outputs = bed.give(answer());
    assert_eq!(
        outputs,
        [apply(&reoffer(1, 4), true), event(CallEvent::Renegotiating)],
        "an overtaken offer has no answer"
    );
    assert_eq!(bed.give(answer()), [our_answer()]);
}

#[test]
fn a_nonsense_renegotiation_leaves_the_call_as_it_was() {
    let mut bed = Bed::connected();
    bed.give(from(AGENT, Signal::offer_call("nonsense", false)));
    let failed = bed.give(Input::RemoteDescriptionFailed { error: "nonsense".into() });
    assert_eq!(failed, [event(CallEvent::RenegotiationFailed { error: "nonsense".into() })]);
    assert_eq!(bed.give(from(AGENT, reoffer(1, 2)))[0], apply(&reoffer(1, 2), true));
}

#[test]
fn when_the_first_offer_is_nonsense_the_next_one_may_save_the_call() {
    let mut bed = Bed::requesting();
    bed.play([from(AGENT, Signal::offer_call("nonsense", false)), from(AGENT, offer(1))]);
    let outputs = bed.give(Input::RemoteDescriptionFailed { error: "nonsense".into() });
    assert_eq!(outputs, [apply(&offer(1), false)]);
}

#[test]
fn an_offer_of_our_own_renegotiates_too() {
    let mut bed = Bed::connected();
    let ours = Input::LocalOffer { sdp: "ours".into() };
    assert_eq!(bed.give(ours), [to(AGENT, Signal::offer_call("ours", false))]);
    let theirs = Signal::answer_call("theirs");
    assert_eq!(bed.give(from(AGENT, theirs)), [Output::ApplyAnswer { sdp: "theirs".into() }]);
    assert_eq!(bed.give(Input::AnswerApplied), []);
    assert_eq!(bed.give(from(AGENT, reoffer(1, 2)))[0], apply(&reoffer(1, 2), true));
}

#[test]
fn on_glare_the_client_yields() {
    let mut bed = Bed::connected();
    bed.give(Input::LocalOffer { sdp: "ours".into() });
    assert_eq!(bed.give(from(AGENT, reoffer(1, 2)))[0], apply(&reoffer(1, 2), true));
    assert_eq!(bed.give(from(AGENT, Signal::answer_call("too late"))), []);
    assert_eq!(bed.give(answer()), [our_answer()]);
}

#[test]
fn a_refused_offer_of_ours_leaves_the_call_as_it_was() {
    let mut bed = Bed::connected();
    bed.give(Input::LocalOffer { sdp: "ours".into() });
    let outputs = bed.give(from(AGENT, rejected("no video")));
    assert!(matches!(outputs[..], [Output::Event(CallEvent::RenegotiationFailed { .. })]));
    assert_eq!(bed.machine.phase(), Phase::Connected);
}

#[test]
fn an_offer_with_another_certificate_is_met_by_a_new_peer() {
    let mut bed = Bed::connected();
    bed.give(Input::MediaFlowing);
    let outputs = bed.give(from(AGENT, offer(2)));
    assert_eq!(outputs, [event(CallEvent::Disconnected), Output::ClosePeer, Output::PreparePeer]);
    assert_eq!(bed.give(Input::LocalCandidate(candidate("new"))), []);
    assert_eq!(bed.give(Input::PeerReady), [apply(&offer(2), false)]);
    assert_eq!(bed.give(answer()), [our_answer(), to(AGENT, candidate("new"))]);
    assert_eq!(bed.give(Input::PeerConnected), [event(CallEvent::Reconnected)]);
    assert_eq!(bed.machine.next_timeout(), None);
}

#[test]
fn a_new_peer_that_does_not_connect_fails_a_call_that_is_not_to_be_restored() {
    let mut bed = Bed::with(CallConfig { restore_attempts: 0, ..Default::default() });
    bed.play([request(AGENT), Input::PeerReady, from(AGENT, offer(1)), answer(), Input::PeerConnected]);
    bed.play([Input::MediaFlowing, from(AGENT, offer(2)), Input::PeerReady]);
    let outputs = bed.wait_secs(20);
    assert_eq!(ended(&outputs).ended_by, EndedBy::TimeLimit(TimeLimit::NoConnection));
}
