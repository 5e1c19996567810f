//! How a call comes about.

use super::*;

#[test]
fn a_request_prepares_the_peer_while_the_offer_is_waited_for() {
    let mut bed = Bed::new();
    let outputs = bed.give(Input::Request { party_id: AGENT.into(), video: true, offerer: Offerer::Agent });
    let requesting = CallEvent::Requesting { party_id: AGENT.into(), video: true };
    assert_eq!(outputs, [event(requesting), to(AGENT, Signal::request_call(true)), Output::PreparePeer]);
    assert_eq!(bed.machine.direction(), Some(Direction::Outgoing));
}

#[test]
fn an_outgoing_call_runs_from_request_to_media() {
    let mut bed = Bed::requesting();
    let offered = CallEvent::Offered { party_id: Some(AGENT.into()), video: false };
    assert_eq!(bed.give(from(AGENT, offer(1))), [event(offered), apply(&offer(1), false)]);
    assert_eq!(bed.give(answer()), [our_answer(), event(CallEvent::Answered)]);
    assert_eq!(bed.give(Input::PeerConnected), [event(CallEvent::Connected)]);
    assert_eq!(bed.give(Input::MediaFlowing), [event(CallEvent::MediaFlowing)]);
    assert_eq!(bed.machine.next_timeout(), None);
}

#[test]
fn every_step_leaves_its_mark_in_the_times() {
    let (mut bed, second) = (Bed::new(), Duration::from_secs(1));
    let start = bed.now;
    for input in [request(AGENT), from(AGENT, offer(1)), Input::PeerReady, answer(), Input::PeerConnected] {
        bed.give(input);
        bed.wait(second);
    }
    bed.give(Input::MediaFlowing);
    bed.wait(second);
    bed.give(Input::HangUp);
    let at = |n: u32| Some(start + n * second);
    let times = bed.machine.times();
    assert_eq!((times.request_sent, times.offer_received, times.accepted), (at(0), at(1), None));
    assert_eq!((times.answer_sent, times.connected, times.media, times.ended), (at(3), at(4), at(5), at(6)));
}

#[test]
fn an_offer_that_comes_before_the_peer_is_ready_waits_for_it() {
    let mut bed = Bed::new();
    bed.give(request(AGENT));
    assert!(!bed.give(from(AGENT, offer(1))).contains(&apply(&offer(1), false)));
    assert_eq!(bed.give(Input::PeerReady), [apply(&offer(1), false)]);
}

#[test]
fn after_a_transfer_the_offer_of_another_agent_is_taken() {
    let mut bed = Bed::requesting();
    let offered = CallEvent::Offered { party_id: Some(OTHER.into()), video: false };
    assert_eq!(bed.give(from(OTHER, offer(1)))[0], event(offered));
    assert_eq!(bed.give(answer())[0], to(OTHER, Signal::answer_call("our answer")));
    assert_eq!(bed.machine.party_id(), Some(OTHER));
}

#[test]
fn an_unasked_offer_rings_and_is_applied_once_it_is_accepted() {
    let mut bed = Bed::new();
    let ringing = CallEvent::Ringing { party_id: Some(AGENT.into()), video: false };
    assert_eq!(bed.give(from(AGENT, offer(1))), [event(ringing), Output::PreparePeer]);
    assert_eq!(bed.give(Input::PeerReady), []);
    assert_eq!(bed.give(Input::Accept), [apply(&offer(1), false)]);
    assert_eq!(bed.give(answer()), [our_answer(), event(CallEvent::Answered)]);
    assert_eq!(bed.machine.direction(), Some(Direction::Incoming));
}

#[test]
fn a_declined_call_is_rejected_and_then_ended() {
    let mut bed = Bed::ringing();
    let outputs = bed.give(Input::Decline { reason: "in a meeting".into() });
    let reject = to(AGENT, Signal::call_rejected("603", "in a meeting"));
    assert_eq!(outputs[..3], [reject, to(AGENT, Signal::end_call()), Output::ClosePeer]);
    assert_eq!((ended(&outputs).outcome, ended(&outputs).ended_by), (Outcome::Rejected, EndedBy::Local));
}

#[test]
fn while_ringing_a_newer_offer_takes_the_place_of_the_first() {
    let mut bed = Bed::ringing();
    assert_eq!(bed.give(from(AGENT, offer(2))), []);
    assert_eq!(bed.give(Input::Accept), [apply(&offer(2), false)]);
}

#[test]
fn asking_an_agent_whose_call_is_ringing_accepts_it() {
    let mut bed = Bed::ringing();
    assert_eq!(bed.give(request(AGENT)), [apply(&offer(1), false)]);
}

#[test]
fn a_request_during_a_call_changes_nothing() {
    let mut bed = Bed::connected();
    assert_eq!(bed.give(request(OTHER)), []);
    assert_eq!(bed.machine.party_id(), Some(AGENT));
}

#[test]
fn signals_without_a_party_belong_to_the_current_call() {
    let mut bed = Bed::requesting();
    let signal = |signal| Input::Signal { party_id: None, signal };
    assert!(bed.give(signal(offer(1))).contains(&apply(&offer(1), false)));
    assert_eq!(bed.give(answer())[0], our_answer());
    assert_eq!(ended(&bed.give(signal(Signal::end_call()))).outcome, Outcome::Failed);
}

#[test]
fn an_agent_who_names_itself_late_is_answered_by_name() {
    let mut bed = Bed::new();
    bed.play([Input::Signal { party_id: None, signal: offer(1) }, Input::PeerReady, Input::Accept]);
    bed.play([from(AGENT, candidate("a"))]);
    assert_eq!(bed.give(answer())[0], our_answer());
}

#[test]
fn another_agents_offer_during_a_call_is_declined_as_busy() {
    let mut bed = Bed::connected();
    let expected = [
        to(OTHER, Signal::call_rejected("486", "busy")),
        to(OTHER, Signal::end_call()),
        event(CallEvent::DeclinedBusy { party_id: OTHER.into() }),
    ];
    assert_eq!(bed.give(from(OTHER, offer(2))), expected);
    assert_eq!(bed.give(from(OTHER, offer(2))), [], "delivered twice, declined once");
    assert_eq!(bed.machine.phase(), Phase::Connected);
}

#[test]
fn other_parties_do_not_touch_the_call() {
    let mut bed = Bed::connected();
    for signal in [Signal::end_call(), rejected("no"), candidate("x").into(), Signal::answer_call("x")] {
        assert_eq!(bed.give(from(OTHER, signal)), []);
    }
    assert_eq!(bed.give(Input::PartyLeft(OTHER.into())), []);
}

#[test]
fn signals_that_mean_nothing_to_a_client_are_ignored() {
    let mut bed = Bed::connected();
    let unknown = Signal::from_data(serde_json::json!({"type": "HOLD_CALL"})).unwrap();
    for signal in [unknown, Signal::request_call(false), Signal::answer_call("x"), rejected("no")] {
        assert_eq!(bed.give(from(AGENT, signal)), []);
    }
}

#[test]
fn when_the_client_offers_the_agent_answers() {
    let mut bed = Bed::new();
    let outputs = bed.give(Input::Request { party_id: AGENT.into(), video: false, offerer: Offerer::Client });
    assert_eq!((sent(&outputs), outputs.last()), (vec![], Some(&Output::PreparePeer)));
    assert_eq!(bed.give(Input::PeerReady), [Output::CreateOffer]);
    let local = Input::LocalOffer { sdp: "our offer".into() };
    assert_eq!(bed.give(local), [to(AGENT, Signal::offer_call("our offer", false))]);
    assert_eq!(bed.give(Input::LocalCandidate(candidate("ours"))), []);
    assert_eq!(bed.give(from(AGENT, candidate("theirs"))), []);
    let apply = Output::ApplyAnswer { sdp: "their answer".into() };
    let outputs = bed.give(from(AGENT, Signal::answer_call("their answer")));
    assert_eq!(outputs, [apply, event(CallEvent::Answered), to(AGENT, candidate("ours"))]);
    assert_eq!(bed.give(Input::AnswerApplied), [Output::AddCandidate(candidate("theirs"))]);
    assert_eq!(bed.give(Input::PeerConnected), [event(CallEvent::Connected)]);
}

#[test]
fn when_both_sides_offer_the_client_yields_with_a_fresh_peer() {
    let mut bed = Bed::new();
    bed.give(Input::Request { party_id: AGENT.into(), video: false, offerer: Offerer::Client });
    bed.play([Input::PeerReady, Input::LocalOffer { sdp: "our offer".into() }]);
    let outputs = bed.give(from(AGENT, offer(1)));
    assert_eq!(outputs[..2], [Output::ClosePeer, Output::PreparePeer]);
    assert_eq!(bed.give(Input::PeerReady), [apply(&offer(1), false)]);
}

#[test]
fn a_request_is_repeated_when_so_configured() {
    let mut bed = Bed::with(CallConfig { reask: Some(Duration::from_secs(10)), ..Default::default() });
    bed.play([request(AGENT), Input::PeerReady]);
    let outputs = bed.wait_secs(60);
    assert_eq!(sent(&outputs), ["REQUEST_CALL", "REQUEST_CALL", "END_CALL"]);
    assert_eq!(ended(&outputs).ended_by, EndedBy::TimeLimit(TimeLimit::NoOffer));
}

#[test]
fn calls_follow_one_another_in_one_chat() {
    let mut bed = Bed::connected();
    bed.play([Input::MediaFlowing, from(AGENT, Signal::end_call())]);
    bed.play([request(AGENT), Input::PeerReady, from(AGENT, offer(2)), answer(), Input::PeerConnected]);
    assert_eq!(ended(&bed.give(Input::HangUp)).outcome, Outcome::Completed);
    bed.give(from(AGENT, offer(3)));
    assert_eq!(bed.machine.phase(), Phase::Ringing);
    assert_eq!(bed.machine.times().connected, None, "the times are the new call's");
}
