//! How a call ends, and what is said about it.

use super::*;

/// Gives the input and checks the end, and that END_CALL goes out if and only if it should.
fn ends(mut bed: Bed, input: Input, outcome: Outcome, by: EndedBy, end_call: bool) -> CallEnd {
    let outputs = bed.give(input);
    let end = ended(&outputs).clone();
    assert_eq!((end.outcome, end.ended_by), (outcome, by), "{end:?}");
    assert_eq!(sent(&outputs), if end_call { vec!["END_CALL"] } else { vec![] });
    assert!(outputs.contains(&Output::ClosePeer));
    assert_eq!(bed.machine.phase(), Phase::Idle);
    assert_eq!(bed.machine.next_timeout(), None);
    assert_eq!(bed.machine.times().ended, Some(bed.now));
    end
}

#[test]
fn hanging_up_before_the_connection_cancels() {
    for bed in [Bed::requesting(), Bed::answered()] {
        ends(bed, Input::HangUp, Outcome::Cancelled, EndedBy::Local, true);
    }
}

#[test]
fn hanging_up_a_connected_call_completes_it() {
    ends(Bed::connected(), Input::HangUp, Outcome::Completed, EndedBy::Local, true);
}

#[test]
fn hanging_up_a_ringing_call_declines_it() {
    let mut bed = Bed::ringing();
    let outputs = bed.give(Input::HangUp);
    assert_eq!(sent(&outputs), ["CALL_REJECTED", "END_CALL"]);
    assert_eq!(ended(&outputs).outcome, Outcome::Rejected);
}

#[test]
fn the_agents_end_is_answered_at_every_stage() {
    let end = || from(AGENT, Signal::end_call());
    ends(Bed::requesting(), end(), Outcome::Rejected, EndedBy::Remote, true);
    ends(Bed::ringing(), end(), Outcome::NoAnswer, EndedBy::Remote, true);
    ends(Bed::answered(), end(), Outcome::Failed, EndedBy::Remote, true);
    ends(Bed::connected(), end(), Outcome::Completed, EndedBy::Remote, true);
}

#[test]
fn an_end_while_the_offer_is_being_applied_closes_the_peer() {
    let mut bed = Bed::requesting();
    bed.give(from(AGENT, offer(1)));
    let outputs = bed.give(from(AGENT, Signal::end_call()));
    assert_eq!(outputs[..2], [to(AGENT, Signal::end_call()), Output::ClosePeer]);
    assert_eq!(bed.give(answer()), []);
}

#[test]
fn an_end_for_a_call_that_is_over_is_ignored() {
    let mut bed = Bed::connected();
    bed.give(from(AGENT, Signal::end_call()));
    assert_eq!(bed.give(from(AGENT, Signal::end_call())), []);
    assert_eq!(Bed::new().give(from(AGENT, Signal::end_call())), []);
}

#[test]
fn a_rejection_ends_with_the_agents_reason() {
    let end = ends(Bed::requesting(), from(AGENT, rejected("busy")), Outcome::Rejected, EndedBy::Remote, false);
    assert_eq!((end.reason.as_str(), end.code.as_deref()), ("the agent rejected the call: busy", Some("7")));
}

#[test]
fn a_rejection_without_words_is_told_by_its_code_or_plainly() {
    let reject = |code: Option<&str>| crate::api::signaling::CallRejected {
        reason_code: code.map(str::to_owned),
        ..Default::default()
    };
    let end = ended(&Bed::requesting().give(from(AGENT, reject(Some("42"))))).clone();
    assert_eq!(end.reason, "the agent rejected the call: 42");
    let end = ended(&Bed::requesting().give(from(AGENT, reject(None)))).clone();
    assert_eq!((end.reason.as_str(), end.code), ("the agent rejected the call", None));
}

#[test]
fn the_agents_words_are_cut_and_cleaned() {
    let end = ended(&Bed::requesting().give(from(AGENT, rejected(&"\u{1b}[31m\nno".repeat(1000))))).clone();
    assert!(end.reason.chars().count() < 250 && !end.reason.contains(char::is_control));
}

#[test]
fn a_rejection_after_the_offer_still_ends_the_call() {
    ends(Bed::answered(), from(AGENT, rejected("no")), Outcome::Rejected, EndedBy::Remote, true);
}

#[test]
fn the_agent_leaving_ends_the_call() {
    let left = || Input::PartyLeft(AGENT.into());
    ends(Bed::requesting(), left(), Outcome::Unavailable, EndedBy::Remote, true);
    ends(Bed::ringing(), left(), Outcome::NoAnswer, EndedBy::Remote, true);
    ends(Bed::answered(), left(), Outcome::Failed, EndedBy::Remote, true);
    ends(Bed::connected(), left(), Outcome::Completed, EndedBy::Remote, true);
}

#[test]
fn the_chat_ending_ends_the_call_without_a_word() {
    ends(Bed::requesting(), Input::ChatEnded, Outcome::Unavailable, EndedBy::Chat, false);
    ends(Bed::ringing(), Input::ChatEnded, Outcome::NoAnswer, EndedBy::Chat, false);
    ends(Bed::answered(), Input::ChatEnded, Outcome::Failed, EndedBy::Chat, false);
    ends(Bed::connected(), Input::ChatEnded, Outcome::Completed, EndedBy::Chat, false);
}

#[test]
fn after_the_chat_nobody_can_be_called() {
    let mut bed = Bed::new();
    assert_eq!(bed.give(Input::ChatEnded), []);
    assert_eq!(bed.give(from(AGENT, offer(1))), []);
    let outputs = bed.give(request(AGENT));
    assert_eq!(ended(&outputs).outcome, Outcome::Unavailable);
    assert_eq!(sent(&outputs), [""; 0]);
}

#[test]
fn a_failed_peer_fails_the_call_at_every_stage() {
    for bed in [Bed::requesting(), Bed::ringing(), Bed::answered(), Bed::connected()] {
        let end = ends(bed, Input::PeerFailed { reason: "ice".into() }, Outcome::Failed, EndedBy::Fault, true);
        assert_eq!(end.reason, "ice");
    }
}

#[test]
fn a_lost_sound_device_fails_the_call() {
    let lost = Input::MediaFailed { error: "the microphone is gone".into() };
    ends(Bed::connected(), lost, Outcome::Failed, EndedBy::Fault, true);
}

#[test]
fn an_offer_of_nonsense_fails_the_call() {
    let mut bed = Bed::requesting();
    bed.give(from(AGENT, Signal::offer_call("nonsense", false)));
    let failed = Input::RemoteDescriptionFailed { error: "no version line".into() };
    let end = ends(bed, failed, Outcome::Failed, EndedBy::Fault, true);
    assert!(end.reason.contains("no version line"));
}

#[test]
fn a_reason_quotes_no_control_characters_and_is_never_empty() {
    for (error, reason) in
        [("no\u{1b}[2J line\n", "no[2J line"), ("\r\n", "the agent's session description cannot be used")]
    {
        let mut bed = Bed::requesting();
        bed.give(from(AGENT, Signal::offer_call("nonsense", false)));
        let failed = Input::RemoteDescriptionFailed { error: error.into() };
        assert_eq!(ends(bed, failed, Outcome::Failed, EndedBy::Fault, true).reason, reason);
    }
}

#[test]
fn a_candidate_that_cannot_be_used_ends_nothing() {
    assert_eq!(Bed::answered().give(Input::CandidateFailed { error: "nonsense".into() }), []);
}

#[test]
fn a_lost_connection_is_told_and_may_come_back() {
    let mut bed = Bed::connected();
    bed.give(Input::MediaFlowing);
    assert_eq!(bed.give(Input::PeerDisconnected), [event(CallEvent::Disconnected)]);
    assert_eq!(bed.wait_secs(3600), []);
    assert_eq!(bed.give(Input::PeerConnected), [event(CallEvent::Reconnected)]);
}

/// Waits up to the limit, checks that nothing happens before it, and what happens then.
fn runs_out(mut bed: Bed, secs: u64, limit: TimeLimit, outcome: Outcome, signals: &[&str]) {
    assert_eq!(bed.wait(Duration::from_millis(secs * 1000 - 1)), []);
    let outputs = bed.wait(Duration::from_millis(1));
    assert_eq!((ended(&outputs).outcome, ended(&outputs).ended_by), (outcome, EndedBy::TimeLimit(limit)));
    assert!(ended(&outputs).reason.contains(&format!("{secs} s")), "{outputs:?}");
    assert_eq!(sent(&outputs), signals);
}

#[test]
fn no_offer_within_30_s_is_no_answer() {
    runs_out(Bed::requesting(), 30, TimeLimit::NoOffer, Outcome::NoAnswer, &["END_CALL"]);
}

#[test]
fn an_incoming_call_not_accepted_within_45_s_is_declined() {
    runs_out(Bed::ringing(), 45, TimeLimit::NoAnswer, Outcome::NoAnswer, &["CALL_REJECTED", "END_CALL"]);
}

#[test]
fn no_connection_within_20_s_of_the_offer_fails() {
    runs_out(Bed::answered(), 20, TimeLimit::NoConnection, Outcome::Failed, &["END_CALL"]);
}

#[test]
fn a_peer_that_never_gets_ready_fails_as_no_connection() {
    let mut bed = Bed::new();
    bed.play([from(AGENT, offer(1)), Input::Accept]);
    runs_out(bed, 20, TimeLimit::NoConnection, Outcome::Failed, &["END_CALL"]);
}

#[test]
fn no_media_within_15_s_fails() {
    runs_out(Bed::connected(), 15, TimeLimit::NoMedia, Outcome::Failed, &["END_CALL"]);
}

#[test]
fn an_endless_limit_never_runs_out() {
    let mut bed = Bed::with(CallConfig { no_offer: Duration::MAX, ..Default::default() });
    bed.give(request(AGENT));
    assert_eq!(bed.machine.next_timeout(), None);
}

#[test]
fn media_ahead_of_the_word_of_the_connection_implies_it() {
    let mut bed = Bed::answered();
    assert_eq!(bed.give(Input::MediaFlowing), [event(CallEvent::Connected), event(CallEvent::MediaFlowing)]);
    assert_eq!(bed.give(Input::PeerConnected), []);
    assert_eq!(bed.machine.next_timeout(), None);
}

#[test]
fn outcomes_have_the_names_of_the_report() {
    use Outcome::*;
    for outcome in [Completed, Rejected, NoAnswer, Failed, Unavailable, Cancelled, Lost] {
        assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.name());
    }
}
