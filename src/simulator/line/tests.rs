//! The line in virtual time, with every order of events.
#![allow(clippy::unwrap_used)]
use super::*;

const T0: Duration = Duration::ZERO;

fn candidate(n: u8) -> IceCandidate {
    IceCandidate { candidate: format!("candidate:{n}"), ..Default::default() }
}

/// A line that has its first peer (number 1) and that peer's offer.
fn ready(config: LineConfig) -> Line {
    let mut line = Line::new(config, 0);
    assert_eq!(line.take_outputs(), [LineOutput::StartPeer(1, Role::Offer)]);
    line.peer(1, CallEvent::Offer("v=0 agent".into()), T0);
    assert!(line.take_outputs().is_empty());
    line
}

/// Lets timers run out that are due, and gives everything else that comes out.
fn run(line: &mut Line, now: Duration) -> Vec<LineOutput> {
    let mut rest = Vec::new();
    loop {
        let (due, other): (Vec<_>, Vec<_>) =
            line.take_outputs().into_iter().partition(|o| matches!(o, LineOutput::Timer(at, _) if *at <= now));
        rest.extend(other);
        if due.is_empty() {
            return rest;
        }
        for output in due {
            if let LineOutput::Timer(_, timer) = output {
                line.timer(timer, now);
            }
        }
    }
}

fn signals(outputs: &[LineOutput]) -> Vec<Signal> {
    outputs.iter().filter_map(|o| if let LineOutput::Send(s) = o { Some(s.clone()) } else { None }).collect()
}

fn offered() -> Line {
    let mut line = ready(LineConfig::default());
    line.signal(Signal::request_call(false), T0);
    run(&mut line, T0);
    line
}

#[test]
fn a_prepared_offer_and_its_candidates_go_out_at_once() {
    let mut line = ready(LineConfig::default());
    line.peer(1, CallEvent::Candidate(candidate(1)), T0);
    assert!(line.take_outputs().is_empty(), "no candidate before the offer");
    line.signal(Signal::request_call(false), T0);
    let out = signals(&run(&mut line, T0));
    assert_eq!(out, [Signal::offer_call("v=0 agent", false), candidate(1).into()]);
    line.peer(1, CallEvent::Candidate(candidate(2)), T0);
    assert_eq!(signals(&run(&mut line, T0)), [candidate(2).into()]);
}

#[test]
fn an_offer_that_is_not_ready_goes_out_when_it_is() {
    let mut line = Line::new(LineConfig::default(), 0);
    line.signal(Signal::request_call(false), T0);
    assert!(signals(&run(&mut line, T0)).is_empty());
    line.peer(1, CallEvent::Offer("v=0".into()), T0);
    assert_eq!(signals(&run(&mut line, T0)), [Signal::offer_call("v=0", false)]);
}

#[test]
fn an_answer_and_candidates_reach_the_peer() {
    let mut line = offered();
    line.signal(candidate(7).into(), T0);
    line.signal(Signal::answer_call("v=0 client"), T0);
    assert_eq!(
        run(&mut line, T0),
        [
            LineOutput::Command(1, CallCommand::AddCandidate(candidate(7))),
            LineOutput::Command(1, CallCommand::AcceptAnswer("v=0 client".into())),
        ]
    );
}

#[test]
fn an_answer_nobody_waits_for_is_passed_over() {
    let mut line = ready(LineConfig::default());
    line.signal(Signal::answer_call("v=0"), T0);
    line.signal(candidate(1).into(), T0);
    assert!(run(&mut line, T0).is_empty());
}

#[test]
fn end_call_is_answered_only_when_there_is_a_call() {
    let mut line = ready(LineConfig::default());
    line.signal(Signal::end_call(), T0);
    assert!(run(&mut line, T0).is_empty());
    let mut line = offered();
    line.signal(Signal::end_call(), T0);
    let out = run(&mut line, T0);
    assert_eq!(signals(&out), [Signal::end_call()]);
    assert!(out.contains(&LineOutput::Command(1, CallCommand::Close)));
    line.signal(Signal::end_call(), T0);
    assert!(run(&mut line, T0).is_empty());
}

#[test]
fn calls_follow_one_another() {
    let mut line = offered();
    line.signal(Signal::end_call(), T0);
    let out = run(&mut line, T0);
    let Some(LineOutput::StartPeer(next, Role::Offer)) = out.last() else { panic!("{out:?}") };
    line.peer(1, CallEvent::Candidate(candidate(9)), T0);
    assert!(run(&mut line, T0).is_empty(), "an old peer has nothing to say");
    line.peer(*next, CallEvent::Offer("v=0 second".into()), T0);
    line.signal(Signal::request_call(false), T0);
    assert_eq!(signals(&run(&mut line, T0)), [Signal::offer_call("v=0 second", false)]);
}

#[test]
fn the_agent_picks_up_after_a_while() {
    let wait = Duration::from_secs(5);
    let mut line = ready(LineConfig { answer_after: wait, ..Default::default() });
    line.signal(Signal::request_call(false), T0);
    line.signal(Signal::request_call(false), T0);
    let out = run(&mut line, wait - Duration::from_millis(1));
    assert!(matches!(out[..], [LineOutput::Timer(at, _)] if at == wait), "{out:?}");
    let LineOutput::Timer(_, timer) = out[0] else { unreachable!() };
    line.timer(timer, wait);
    assert_eq!(signals(&run(&mut line, wait)).len(), 1);
}

#[test]
fn a_request_taken_back_while_it_rings_gets_no_offer() {
    let wait = Duration::from_secs(5);
    let mut line = ready(LineConfig { answer_after: wait, ..Default::default() });
    line.signal(Signal::request_call(false), T0);
    let out = run(&mut line, T0);
    let LineOutput::Timer(_, timer) = out[0] else { panic!("{out:?}") };
    line.signal(Signal::end_call(), T0);
    run(&mut line, T0);
    line.timer(timer, wait);
    assert!(signals(&run(&mut line, wait)).is_empty());
}

#[test]
fn a_rejecting_agent_says_why() {
    let reject = Some(Rejection { code: "486".into(), reason: "busy".into() });
    let mut line = ready(LineConfig { reject, ..Default::default() });
    for _ in 0..2 {
        line.signal(Signal::request_call(false), T0);
        assert_eq!(signals(&run(&mut line, T0)), [Signal::call_rejected("486", "busy")]);
    }
}

#[test]
fn an_agent_may_reject_one_call_only() {
    let mut line = ready(LineConfig::default());
    line.reject_next();
    line.signal(Signal::request_call(false), T0);
    assert_eq!(signals(&run(&mut line, T0))[0].name(), "CALL_REJECTED");
    line.signal(Signal::request_call(false), T0);
    assert_eq!(signals(&run(&mut line, T0))[0].name(), "OFFER_CALL");
}

#[test]
fn an_agent_without_offers_stays_silent() {
    let mut line = ready(LineConfig { no_offer: true, ..Default::default() });
    line.signal(Signal::request_call(false), T0);
    assert!(run(&mut line, T0).is_empty());
}

#[test]
fn the_agent_hangs_up_after_the_call_connected() {
    let talk = Duration::from_secs(3);
    let mut line = ready(LineConfig { hang_up_after: Some(talk), ..Default::default() });
    line.call(T0);
    line.signal(Signal::answer_call("v=0"), T0);
    run(&mut line, T0);
    line.peer(1, CallEvent::Connected, T0);
    line.peer(1, CallEvent::Connected, T0);
    let timers: Vec<_> = run(&mut line, T0);
    for output in timers {
        let LineOutput::Timer(at, timer) = output else { panic!("{output:?}") };
        assert_eq!(at, talk);
        line.timer(timer, talk);
    }
    assert_eq!(signals(&run(&mut line, talk)), [Signal::end_call()]);
}

/// A call that is up and asked for again; and the number of its new peer.
fn asked_again() -> (Line, CallId) {
    let mut line = offered();
    line.signal(Signal::answer_call("v=0"), T0);
    run(&mut line, T0);
    line.signal(Signal::request_call(false), T0);
    let out = run(&mut line, T0);
    assert!(signals(&out).is_empty() && !out.contains(&LineOutput::Command(1, CallCommand::Close)), "{out:?}");
    let id = out.iter().find_map(|o| if let LineOutput::StartPeer(id, _) = o { Some(*id) } else { None }).unwrap();
    line.peer(id, CallEvent::Offer("v=0 new".into()), T0);
    assert_eq!(signals(&run(&mut line, T0)), [Signal::offer_call("v=0 new", false)]);
    (line, id)
}

#[test]
fn a_client_that_lost_its_call_gets_a_new_one_and_the_old_one_goes_when_that_is_connected() {
    let (mut line, id) = asked_again();
    line.signal(Signal::answer_call("v=0"), T0);
    assert_eq!(run(&mut line, T0), [LineOutput::Command(id, CallCommand::AcceptAnswer("v=0".into()))]);
    line.peer(id, CallEvent::Connected, T0);
    assert_eq!(run(&mut line, T0), [LineOutput::Command(1, CallCommand::Close)]);
    assert!(line.is_busy());
}

#[test]
fn a_new_peer_that_fails_leaves_the_old_one_its_call() {
    let (mut line, id) = asked_again();
    line.signal(Signal::answer_call("v=0"), T0);
    run(&mut line, T0);
    line.peer(id, CallEvent::Failed("no way".into()), T0);
    assert_eq!(run(&mut line, T0), [LineOutput::Command(id, CallCommand::Close)]);
    assert_eq!((line.call_state(), line.peer_id()), (CallState::Up, Some(1)));
    line.signal(Signal::end_call(), T0);
    assert!(run(&mut line, T0).contains(&LineOutput::Command(1, CallCommand::Close)));
}

#[test]
fn a_call_asked_for_once_more_has_a_new_offer_beside_the_old_peer() {
    let (mut line, id) = asked_again();
    line.signal(Signal::request_call(false), CROSSING);
    let out = run(&mut line, CROSSING);
    assert!(out.contains(&LineOutput::Command(id, CallCommand::Close)));
    assert!(!out.contains(&LineOutput::Command(1, CallCommand::Close)));
}

#[test]
fn a_request_that_crosses_the_offer_changes_nothing() {
    let mut line = ready(LineConfig::default());
    line.call(T0);
    run(&mut line, T0);
    line.signal(Signal::request_call(false), Duration::from_millis(50));
    assert!(run(&mut line, T0).is_empty());
}

#[test]
fn a_client_may_offer_itself() {
    let mut line = ready(LineConfig::default());
    line.signal(Signal::offer_call("v=0 client", false), T0);
    let out = run(&mut line, T0);
    let id = out
        .iter()
        .find_map(|o| match o {
            LineOutput::StartPeer(id, Role::Answer(sdp)) if sdp == "v=0 client" => Some(*id),
            _ => None,
        })
        .unwrap();
    line.peer(id, CallEvent::Candidate(candidate(1)), T0);
    line.peer(id, CallEvent::Answer("v=0 agent".into()), T0);
    assert_eq!(signals(&run(&mut line, T0)), [Signal::answer_call("v=0 agent"), candidate(1).into()]);
    line.signal(Signal::offer_call("v=0 again", false), T0);
    assert_eq!(run(&mut line, T0), [LineOutput::Command(id, CallCommand::AcceptOffer("v=0 again".into()))]);
}

#[test]
fn a_peer_that_fails_ends_the_call() {
    let mut line = offered();
    line.peer(1, CallEvent::Failed("no route".into()), T0);
    assert_eq!(signals(&run(&mut line, T0)), [Signal::end_call()]);
    assert!(!line.is_busy());
}

#[test]
fn a_peer_that_fails_unused_is_replaced_when_a_call_is_wanted() {
    let mut line = Line::new(LineConfig::default(), 0);
    line.peer(1, CallEvent::Failed("no socket".into()), T0);
    line.take_outputs();
    line.signal(Signal::request_call(false), T0);
    let out = run(&mut line, T0);
    assert!(matches!(out[..], [LineOutput::StartPeer(_, Role::Offer)]), "{out:?}");
}

#[test]
fn a_peer_that_cannot_make_an_offer_rejects_the_call() {
    let mut line = Line::new(LineConfig::default(), 0);
    line.signal(Signal::request_call(false), T0);
    run(&mut line, T0);
    line.peer(1, CallEvent::Failed("no socket".into()), T0);
    assert_eq!(signals(&run(&mut line, T0)), [Signal::call_rejected("500", "no socket")]);
}

#[test]
fn an_offer_without_an_answer_is_taken_back() {
    let mut line = offered();
    line.timer(LineTimer::NoAnswer(1), NO_ANSWER);
    assert_eq!(signals(&run(&mut line, NO_ANSWER)), [Signal::end_call()]);
}

#[test]
fn closing_ends_the_call_and_the_peer() {
    let mut line = offered();
    line.close();
    assert_eq!(run(&mut line, T0), [LineOutput::Send(Signal::end_call()), LineOutput::Command(1, CallCommand::Close)]);
}
