//! Sound that stops, and calls that come back.

use super::*;
use std::net::IpAddr;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
const TICK: Duration = Duration::from_millis(100);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// What is heard of the far end in these tests, and the clock that tells it.
struct Ear {
    bed: Bed,
    /// The last sound of the newest peer, of the kept one, the last sign of life of either.
    sound: Option<Instant>,
    kept: Option<Instant>,
    sign: Option<Instant>,
    sends: bool,
    announced: bool,
}

impl Ear {
    /// A call with sound.
    fn new() -> Self {
        Self::with(CallConfig::default())
    }

    fn with(config: CallConfig) -> Self {
        let mut bed = Bed::with(config);
        bed.play([request(AGENT), Input::PeerReady, from(AGENT, offer(1)), answer(), Input::PeerConnected]);
        bed.give(Input::MediaFlowing);
        let now = Some(bed.now);
        Self { bed, sound: now, kept: None, sign: now, sends: true, announced: false }
    }

    fn tell(&mut self) -> Vec<Output> {
        let signs = MediaSigns {
            sound: self.sound,
            sign: self.sign,
            kept_sound: self.kept,
            kept_sign: self.kept,
            sends: self.sends,
            announced: self.announced,
            local: Some(HERE),
        };
        let outputs = self.bed.give(Input::Media(signs));
        for output in &outputs {
            match output {
                Output::KeepPeer => self.kept = self.sound.take(),
                Output::ReturnPeer => self.sound = self.kept.take(),
                Output::CloseKept => self.kept = None,
                Output::ClosePeer => self.sound = None,
                _ => {}
            }
        }
        outputs
    }

    /// Lets time pass; `heard` decides what is heard in each tick.
    fn pass(&mut self, time: Duration, heard: impl Fn(&mut Self)) -> Vec<Output> {
        let mut outputs = Vec::new();
        for _ in 0..time.as_millis() / TICK.as_millis() {
            let waited = self.bed.wait(TICK);
            if waited.contains(&Output::KeepPeer) {
                self.kept = self.sound.take();
            }
            outputs.extend(waited);
            heard(self);
            outputs.extend(self.tell());
        }
        outputs
    }

    fn silence(&mut self, time: Duration) -> Vec<Output> {
        self.pass(time, |_| ())
    }

    fn sound(&mut self, time: Duration) -> Vec<Output> {
        self.pass(time, |ear| (ear.sound, ear.sign) = (Some(ear.bed.now), Some(ear.bed.now)))
    }

    /// Silent until the call is asked for again.
    fn asked(mut self) -> Self {
        let outputs = self.silence(ms(3_100));
        assert_eq!(sent(&outputs), ["REQUEST_CALL"], "{outputs:?}");
        self.bed.give(Input::PeerReady);
        self
    }

    /// Asked for again and offered, and the new peer is connected.
    fn offered(mut self) -> Self {
        self.bed.play([from(AGENT, offer(2)), answer(), Input::PeerConnected]);
        self
    }
}

fn events(outputs: &[Output]) -> Vec<&CallEvent> {
    let events = outputs.iter().filter_map(|o| match o {
        Output::Event(event) => Some(event),
        _ => None,
    });
    events.collect()
}

fn interrupted(outputs: &[Output]) -> Option<Interruption> {
    events(outputs).into_iter().find_map(|event| match event {
        CallEvent::Interrupted { reason } => Some(*reason),
        _ => None,
    })
}

#[test]
fn a_second_without_sound_is_an_interruption_and_the_next_packet_its_end() {
    let mut ear = Ear::new();
    assert_eq!(ear.sound(ms(5_000)), []);
    assert_eq!(ear.silence(ms(900)), []);
    assert_eq!(ear.silence(ms(100)), [event(CallEvent::Interrupted { reason: Interruption::NoPackets })]);
    assert_eq!(ear.silence(ms(500)), []);
    assert_eq!(ear.sound(TICK), [event(CallEvent::Resumed { gap: ms(1_600) })]);
    let Recovery { interruptions, restorations, gap } = ear.bed.machine.recovery();
    assert_eq!((interruptions, restorations, gap), (1, 0, ms(1_600)));
    assert_eq!(ear.bed.machine.next_timeout(), None);
}

#[test]
fn the_packets_of_a_silence_that_opus_does_not_send_are_enough() {
    let mut ear = Ear::new();
    for _ in 0..50 {
        assert_eq!(ear.silence(ms(300)), []);
        assert_eq!(ear.sound(ms(100)), []);
    }
}

#[test]
fn a_far_end_that_holds_the_call_is_not_missed() {
    let mut ear = Ear::new();
    ear.sends = false;
    assert_eq!(ear.silence(ms(120_000)), []);
    ear.sends = true;
    assert_eq!(interrupted(&ear.silence(ms(1_000))), Some(Interruption::NoPackets));
}

#[test]
fn announced_silence_is_none_to_tell_of_while_the_far_end_is_there() {
    let mut ear = Ear::new();
    ear.announced = true;
    for _ in 0..30 {
        assert_eq!(ear.silence(ms(2_000)), []);
        ear.sign = Some(ear.bed.now);
    }
    assert_eq!(interrupted(&ear.silence(ms(3_100))), Some(Interruption::NoPackets));
}

#[test]
fn a_far_end_that_is_there_and_silent_is_told_of_and_not_asked_again() {
    let mut ear = Ear::new();
    let alive = |ear: &mut Ear| ear.sign = Some(ear.bed.now);
    let outputs = ear.pass(ms(300_000), alive);
    assert_eq!(outputs, [event(CallEvent::Interrupted { reason: Interruption::Silent })]);
    assert_eq!(sent(&ear.silence(ms(3_100))), ["REQUEST_CALL"], "until it is gone too");
}

#[test]
fn three_seconds_without_a_sign_of_life_and_the_call_is_asked_for_beside_the_old_way() {
    let mut ear = Ear::new();
    assert_eq!(ear.silence(ms(2_900)).len(), 1);
    let outputs = ear.silence(ms(100));
    let restoring = CallEvent::Restoring { attempt: 1, attempts: 5 };
    let asked = to(AGENT, Signal::request_call(false));
    assert_eq!(outputs, [Output::KeepPeer, Output::PreparePeer, event(restoring), asked]);
    assert_eq!(ear.bed.machine.phase(), Phase::Connected);
}

#[test]
fn the_first_sound_of_the_new_peer_restores_the_call() {
    let mut ear = Ear::new().asked();
    assert_eq!(ear.bed.give(from(AGENT, offer(2))), [apply(&offer(2), false)]);
    assert_eq!(ear.bed.give(answer()), [our_answer()]);
    assert_eq!(ear.bed.give(Input::PeerConnected), []);
    let restored = CallEvent::Restored { attempt: 1, gap: ms(3_200) };
    assert_eq!(ear.sound(TICK), [Output::CloseKept, event(restored)]);
    let Recovery { interruptions, restorations, gap } = ear.bed.machine.recovery();
    assert_eq!((interruptions, restorations, gap), (1, 1, ms(3_200)));
    assert_eq!(ear.bed.machine.next_timeout(), None);
    assert_eq!(ear.bed.give(Input::HangUp)[..2], [to(AGENT, Signal::end_call()), Output::ClosePeer]);
}

#[test]
fn candidates_of_the_old_and_the_new_peer_are_not_mixed() {
    let mut ear = Ear::new();
    ear.bed.give(from(AGENT, candidate("old")));
    let mut ear = ear.asked();
    assert_eq!(ear.bed.give(from(AGENT, candidate("new"))), []);
    assert_eq!(ear.bed.give(Input::LocalCandidate(candidate("ours"))), []);
    ear.bed.give(from(AGENT, offer(2)));
    let expected = [our_answer(), Output::AddCandidate(candidate("new")), to(AGENT, candidate("ours"))];
    assert_eq!(ear.bed.give(answer()), expected);
}

#[test]
fn the_old_way_may_come_back_first_and_the_offer_is_taken_all_the_same() {
    let mut ear = Ear::new().asked();
    let back = |ear: &mut Ear| ear.kept = Some(ear.bed.now);
    assert_eq!(ear.pass(TICK, back), [event(CallEvent::Resumed { gap: ms(3_200) })]);
    assert_eq!(ear.bed.give(from(AGENT, offer(2))), [apply(&offer(2), false)]);
    ear.bed.play([answer(), Input::PeerConnected]);
    assert_eq!(ear.pass(ms(500), back), []);
    assert_eq!(ear.sound(TICK), [Output::CloseKept], "nothing was missing any more");
    assert_eq!(ear.bed.machine.recovery().restorations, 0);
}

#[test]
fn when_the_old_way_is_back_and_no_offer_comes_the_call_goes_on_as_it_was() {
    let mut ear = Ear::new().asked();
    let outputs = ear.pass(ms(11_000), |ear| ear.kept = Some(ear.bed.now));
    assert_eq!(outputs.last(), Some(&Output::ReturnPeer));
    assert_eq!(ear.bed.machine.next_timeout(), None);
    assert_eq!(ear.bed.give(from(AGENT, reoffer(1, 2)))[0], apply(&reoffer(1, 2), true));
}

#[test]
fn a_way_that_failed_is_not_kept_and_not_waited_for() {
    let mut ear = Ear::new();
    let outputs = ear.bed.give(Input::PeerFailed { reason: "ice".into() });
    assert_eq!(interrupted(&outputs), Some(Interruption::ConnectionLost));
    assert_eq!(outputs[1..3], [Output::ClosePeer, Output::PreparePeer]);
    assert_eq!(sent(&outputs), ["REQUEST_CALL"]);
}

#[test]
fn an_address_that_is_gone_takes_its_call_with_it() {
    let mut ear = Ear::new();
    ear.sound(TICK);
    assert_eq!(ear.bed.give(Input::NetworkChanged { addresses: vec![HERE, [10, 0, 0, 1].into()] }), []);
    let outputs = ear.bed.give(Input::NetworkChanged { addresses: vec![[10, 0, 0, 1].into()] });
    assert_eq!(interrupted(&outputs), Some(Interruption::AddressGone));
    assert_eq!(sent(&outputs), ["REQUEST_CALL"]);
}

#[test]
fn a_peer_that_was_made_while_there_was_no_network_is_not_the_one_that_is_offered_to() {
    let mut ear = Ear::new();
    let changed = |addresses: &[IpAddr]| Input::NetworkChanged { addresses: addresses.to_vec() };
    ear.sound(TICK);
    let outputs = ear.bed.give(changed(&[]));
    assert_eq!((interrupted(&outputs), sent(&outputs)), (Some(Interruption::AddressGone), vec!["REQUEST_CALL"]));
    ear.bed.give(Input::PeerReady);
    let there = IpAddr::from([10, 64, 0, 9]);
    assert_eq!(ear.bed.give(changed(&[there])), [Output::ClosePeer, Output::PreparePeer], "and nobody is asked twice");
    assert_eq!(ear.bed.give(from(AGENT, offer(2))), [], "it is not ready");
    assert_eq!(ear.bed.give(Input::PeerReady), [apply(&offer(2), false)]);
}

#[test]
fn while_the_chat_is_cut_off_too_nobody_is_asked_and_then_the_old_way_has_a_second() {
    let mut ear = Ear::new();
    ear.bed.give(Input::Signaling { up: false });
    assert_eq!(events(&ear.silence(ms(20_000))).len(), 1);
    ear.bed.give(Input::Signaling { up: true });
    assert_eq!(ear.silence(ms(900)), []);
    assert_eq!(sent(&ear.silence(ms(100))), ["REQUEST_CALL"]);
    let mut ear = Ear::new();
    ear.bed.give(Input::Signaling { up: false });
    ear.silence(ms(10_000));
    ear.bed.give(Input::Signaling { up: true });
    assert_eq!(sent(&ear.sound(ms(5_000))), [""; 0]);
}

#[test]
fn attempts_are_made_at_growing_intervals_and_then_the_call_is_lost() {
    let mut ear = Ear::new();
    ear.silence(ms(1_000));
    let begun = ear.bed.now;
    let (mut asked, mut outputs) = (Vec::new(), Vec::new());
    while ear.bed.machine.phase() != Phase::Idle {
        outputs = ear.silence(TICK);
        if events(&outputs).iter().any(|event| matches!(event, CallEvent::Restoring { .. })) {
            asked.push((ear.bed.now - begun).as_secs());
            ear.bed.give(Input::PeerReady);
        }
    }
    assert_eq!(asked, [2, 14, 28, 46]);
    assert_eq!(ear.bed.now - begun, ms(60_000));
    assert_eq!((ended(&outputs).outcome, ended(&outputs).ended_by), (Outcome::Lost, EndedBy::Fault));
    assert!(ended(&outputs).reason.contains("61 s") && ended(&outputs).reason.contains("4 times"), "{outputs:?}");
    let closed = [to(AGENT, Signal::end_call()), Output::CloseKept, Output::ClosePeer];
    assert_eq!(outputs[..3], closed);
    assert_eq!(ear.bed.machine.recovery().gap, ms(61_000));
}

#[test]
fn attempts_that_fail_at_once_are_counted() {
    let mut ear = Ear::new().asked();
    for attempt in 2..=5 {
        ear.bed.give(Input::PeerFailed { reason: "no port".into() });
        let outputs = ear.bed.wait_secs(8);
        let restoring = CallEvent::Restoring { attempt, attempts: 5 };
        assert!(outputs.contains(&event(restoring)) && outputs.contains(&Output::PreparePeer), "{outputs:?}");
        assert_eq!(outputs[0], Output::ClosePeer, "the broken peer goes first");
    }
    let outputs = ear.bed.give(Input::PeerFailed { reason: "no port".into() });
    assert_eq!(ended(&outputs).outcome, Outcome::Lost);
}

#[test]
fn without_restoration_an_interruption_is_only_told() {
    let mut ear = Ear::with(CallConfig { restore_attempts: 0, ..Default::default() });
    assert_eq!(ear.silence(ms(300_000)).len(), 1);
    assert_eq!(ended(&ear.bed.give(Input::PeerFailed { reason: "ice".into() })).outcome, Outcome::Failed);
}

#[test]
fn a_peer_that_stays_unused_serves_the_next_attempt() {
    let mut ear = Ear::new().asked();
    ear.silence(ms(11_800));
    let outputs = ear.silence(ms(200));
    let restoring = CallEvent::Restoring { attempt: 2, attempts: 5 };
    assert_eq!(outputs, [event(restoring), to(AGENT, Signal::request_call(false))]);
}

#[test]
fn a_request_whose_offer_may_have_been_lost_is_sent_again_within_the_attempt() {
    let mut ear = Ear::new().asked();
    let asked = ear.bed.now;
    let mut again = Vec::new();
    for _ in 0..100 {
        let outputs = ear.silence(TICK);
        if sent(&outputs) == ["REQUEST_CALL"] {
            assert!(events(&outputs).is_empty(), "not another attempt: {outputs:?}");
            again.push((ear.bed.now - asked).as_secs_f64().round());
        }
    }
    assert_eq!(again, [1.0, 3.0, 7.0]);
}

#[test]
fn when_the_old_way_is_back_nobody_is_asked_again() {
    let mut ear = Ear::new().asked();
    assert_eq!(sent(&ear.sound(ms(5_000))), Vec::<&str>::new());
}

#[test]
fn an_agent_who_leaves_when_the_old_way_is_back_is_not_asked_again() {
    let mut ear = Ear::new().asked();
    ear.sound(TICK);
    ear.bed.give(Input::PartyLeft(AGENT.into()));
    let outputs = ear.sound(ms(3_000));
    assert!(!sent(&outputs).contains(&"REQUEST_CALL"), "{outputs:?}");
    assert_eq!(ended(&outputs).outcome, Outcome::Completed);
}

#[test]
fn an_offer_that_comes_after_its_attempt_is_taken() {
    let mut ear = Ear::new().asked();
    ear.silence(ms(11_000));
    let mut ear = ear.offered();
    assert!(matches!(ear.sound(TICK)[..], [Output::CloseKept, Output::Event(CallEvent::Restored { attempt: 1, .. })]));
}

#[test]
fn a_new_peer_without_sound_is_given_up_for_another_attempt() {
    let mut ear = Ear::new().asked().offered();
    let outputs = ear.silence(ms(12_100));
    assert_eq!(outputs[..2], [Output::ClosePeer, Output::PreparePeer]);
    assert_eq!(sent(&outputs), ["REQUEST_CALL"]);
}

#[test]
fn an_agent_who_is_there_over_the_new_peer_and_muted_is_not_asked_again() {
    let mut ear = Ear::new().asked().offered();
    let alive = |ear: &mut Ear| ear.sign = Some(ear.bed.now);
    let outputs = ear.pass(ms(120_000), alive);
    assert_eq!(outputs, [Output::CloseKept], "the new way is the call's");
    let gap = ms(3_100 + 120_000 + 100);
    assert_eq!(ear.sound(TICK), [event(CallEvent::Resumed { gap })]);
    assert_eq!(sent(&ear.silence(ms(3_100))), ["REQUEST_CALL"], "watched like any other");
}

#[test]
fn an_old_way_that_sounds_again_is_worth_more_than_a_new_one_that_does_not() {
    let mut ear = Ear::new().asked().offered();
    let outputs = ear.pass(ms(12_000), |ear| (ear.kept, ear.sign) = (Some(ear.bed.now), Some(ear.bed.now)));
    assert!(matches!(outputs[..], [Output::Event(CallEvent::Resumed { .. }), Output::ReturnPeer]), "{outputs:?}");
}

#[test]
fn the_agent_may_renegotiate_the_peer_there_is_instead() {
    let mut ear = Ear::new().asked();
    let restart = Signal::offer_call(sdp(1, 2, 1, "restarted"), false);
    assert_eq!(
        ear.bed.give(from(AGENT, restart.clone())),
        [Output::ReturnPeer, apply(&restart, true), event(CallEvent::Renegotiating)]
    );
    (ear.sound, ear.kept) = (ear.kept, None);
    assert_eq!(ear.bed.give(answer()), [our_answer()]);
    assert!(matches!(events(&ear.sound(TICK))[..], [CallEvent::Resumed { .. }]));
}

#[test]
fn an_agent_who_began_anew_by_itself_is_not_asked_meanwhile() {
    let mut ear = Ear::new();
    ear.silence(ms(2_000));
    ear.bed.give(from(AGENT, offer(2)));
    ear.sound = None;
    ear.bed.play([Input::PeerReady, answer()]);
    assert_eq!(ear.silence(ms(5_000)), []);
    ear.bed.give(Input::PeerConnected);
    assert_eq!(events(&ear.sound(TICK)), [&CallEvent::Restored { attempt: 0, gap: ms(7_100) }]);
}

#[test]
fn an_agent_who_began_anew_within_a_second_interrupted_nothing() {
    let mut ear = Ear::new();
    ear.sound(ms(1_000));
    ear.bed.play([from(AGENT, offer(2)), Input::PeerReady, answer(), Input::PeerConnected]);
    ear.sound = None;
    assert_eq!(ear.silence(ms(300)), []);
    assert_eq!(events(&ear.sound(TICK)), [&CallEvent::Restored { attempt: 0, gap: ms(400) }]);
    let Recovery { interruptions, restorations, gap } = ear.bed.machine.recovery();
    assert_eq!((interruptions, restorations, gap), (0, 1, ms(400)));
}

#[test]
fn hanging_up_while_the_call_is_asked_for_again_is_hanging_up() {
    let mut ear = Ear::new().asked();
    let outputs = ear.bed.give(Input::HangUp);
    assert_eq!(ended(&outputs).outcome, Outcome::Completed);
    assert_eq!(sent(&outputs), ["END_CALL"]);
    assert_eq!(ear.bed.give(from(AGENT, offer(2))), [to(AGENT, Signal::end_call())], "it crossed the end");
}

#[test]
fn the_end_of_the_old_call_as_the_new_one_begins_is_none_of_the_new_one() {
    let mut ear = Ear::new().asked();
    assert_eq!(ear.bed.give(from(AGENT, Signal::end_call())), []);
    ear.silence(ms(4_000));
    let mut ear = ear.offered();
    assert!(matches!(events(&ear.sound(TICK))[..], [CallEvent::Restored { .. }]));
    assert_eq!(ended(&ear.bed.give(from(AGENT, Signal::end_call()))).outcome, Outcome::Completed);
}

#[test]
fn an_agent_who_hangs_up_as_it_is_asked_again_has_hung_up() {
    let mut ear = Ear::new().asked();
    ear.bed.give(from(AGENT, Signal::end_call()));
    let outputs = ear.bed.wait_secs(5);
    assert_eq!((ended(&outputs).outcome, ended(&outputs).reason.as_str()), (Outcome::Completed, "the agent hung up"));
    // Who leaves the chat after it meant it.
    let mut ear = Ear::new().asked();
    ear.bed.give(from(AGENT, Signal::end_call()));
    assert_eq!(ended(&ear.bed.give(Input::PartyLeft(AGENT.into()))).outcome, Outcome::Completed);
    // Twice is plain enough, and so is one that is late, or comes after the offer.
    let mut ear = Ear::new().asked();
    ear.bed.give(from(AGENT, Signal::end_call()));
    assert_eq!(ended(&ear.bed.give(from(AGENT, Signal::end_call()))).outcome, Outcome::Completed);
    let mut ear = Ear::new().asked();
    ear.silence(ms(2_000));
    assert_eq!(ended(&ear.bed.give(from(AGENT, Signal::end_call()))).outcome, Outcome::Completed);
    let mut ear = Ear::new().asked().offered();
    assert_eq!(ended(&ear.bed.give(from(AGENT, Signal::end_call()))).outcome, Outcome::Completed);
}

#[test]
fn an_agent_who_hangs_up_in_an_interruption_has_hung_up() {
    let mut ear = Ear::new();
    ear.silence(ms(2_000));
    assert_eq!(ended(&ear.bed.give(from(AGENT, Signal::end_call()))).outcome, Outcome::Completed);
}

#[test]
fn a_refusal_to_go_on_ends_the_call() {
    let mut ear = Ear::new().asked();
    let outputs = ear.bed.give(from(AGENT, rejected("in a meeting")));
    assert_eq!((ended(&outputs).outcome, ended(&outputs).ended_by), (Outcome::Lost, EndedBy::Remote));
    assert!(ended(&outputs).reason.contains("in a meeting"));
    assert_eq!(ended(&outputs).code.as_deref(), Some("7"));
}

#[test]
fn a_refusal_when_the_sound_is_back_changes_nothing() {
    let mut ear = Ear::new().asked();
    ear.pass(TICK, |ear| ear.kept = Some(ear.bed.now));
    assert_eq!(ear.bed.give(from(AGENT, rejected("busy"))), [Output::ReturnPeer]);
    assert_eq!(ear.bed.machine.phase(), Phase::Connected);
}

#[test]
fn the_chat_ending_in_an_interruption_is_the_loss_of_the_call() {
    let mut ear = Ear::new().asked();
    let outputs = ear.bed.give(Input::ChatEnded);
    assert_eq!((ended(&outputs).outcome, ended(&outputs).ended_by), (Outcome::Lost, EndedBy::Chat));
}

#[test]
fn an_agent_who_leaves_and_is_heard_on_has_left() {
    let mut ear = Ear::new();
    ear.bed.give(Input::CurrentAgent(Some(AGENT.into())));
    assert_eq!(ear.bed.give(Input::PartyLeft(AGENT.into())), []);
    let outputs = ear.sound(ms(2_000));
    assert_eq!(
        (ended(&outputs).outcome, ended(&outputs).reason.as_str()),
        (Outcome::Completed, "the agent left the chat")
    );
}

#[test]
fn an_agent_who_vanishes_is_waited_for_and_then_the_one_who_comes_is_asked() {
    let mut ear = Ear::new();
    ear.bed.play([Input::PartyLeft(AGENT.into()), Input::CurrentAgent(None)]);
    assert_eq!(events(&ear.silence(ms(6_000))).len(), 1);
    let outputs = ear.bed.give(Input::CurrentAgent(Some(OTHER.into())));
    assert!(outputs.contains(&to(OTHER, Signal::request_call(false))), "{outputs:?}");
    ear.bed.play([Input::PeerReady, from(OTHER, offer(2)), answer(), Input::PeerConnected]);
    ear.kept = None;
    assert!(matches!(events(&ear.sound(TICK))[..], [CallEvent::Restored { attempt: 1, .. }]));
    assert_eq!(ear.bed.machine.party_id(), Some(OTHER));
}

#[test]
fn an_agent_who_vanishes_and_comes_back_by_the_same_name_is_asked() {
    let mut ear = Ear::new();
    ear.bed.play([Input::PartyLeft(AGENT.into()), Input::CurrentAgent(None)]);
    ear.silence(ms(4_000));
    let outputs = ear.bed.give(Input::CurrentAgent(Some(AGENT.into())));
    assert!(outputs.contains(&to(AGENT, Signal::request_call(false))), "{outputs:?}");
}

#[test]
fn an_agent_who_vanishes_and_does_not_come_back_has_left() {
    let mut ear = Ear::new();
    ear.bed.give(Input::PartyLeft(AGENT.into()));
    let outputs = ear.silence(ms(11_000));
    assert_eq!(ended(&outputs).outcome, Outcome::Completed);
    let mut ear = Ear::new().asked();
    ear.bed.give(Input::PartyLeft(AGENT.into()));
    assert_eq!(ended(&ear.silence(ms(10_000))).outcome, Outcome::Lost, "it was interrupted before");
}

#[test]
fn a_refusal_from_a_party_that_is_gone_is_none() {
    let mut ear = Ear::new().asked();
    ear.bed.play([Input::PartyLeft(AGENT.into()), Input::CurrentAgent(None)]);
    assert_eq!(ear.bed.give(from(AGENT, rejected("No such party"))), []);
    let outputs = ear.bed.give(Input::CurrentAgent(Some(OTHER.into())));
    assert_eq!(sent(&outputs), [""; 0], "the one who left has a moment to come back");
    assert_eq!(sent(&ear.silence(ms(1_000))), ["REQUEST_CALL"]);
}

#[test]
fn in_an_interruption_another_agent_may_take_the_call() {
    let mut ear = Ear::new().asked();
    assert_eq!(ear.bed.give(from(OTHER, offer(2))), [apply(&offer(2), false)]);
    assert_eq!(ear.bed.give(answer())[0], to(OTHER, Signal::answer_call("our answer")));
}

#[test]
fn a_machine_that_slept_asks_for_the_call_instead_of_giving_it_up() {
    let mut ear = Ear::new();
    ear.bed.now += Duration::from_secs(3_600);
    let outputs = ear.tell();
    assert_eq!(interrupted(&outputs), Some(Interruption::NoPackets));
    assert_eq!(sent(&outputs), ["REQUEST_CALL"]);
}
