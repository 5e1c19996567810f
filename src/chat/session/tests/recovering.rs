#![allow(clippy::unwrap_used)]
use super::*;

fn broken() -> Failure {
    Failure::Transient { cause: Cause::Broken, message: "reset".into() }
}

fn said(id: &str) -> Value {
    json!({"event": "chat_session_message", "party_id": "ann", "msg_id": id, "msg": id, "timestamp": 1_700_000_000_000_i64})
}

fn texts(actions: &[Action]) -> Vec<String> {
    let text = |a: &Action| match a {
        Action::Event(ChatEvent::Server { event: ServerEvent::Message(m), .. }) => Some(m.msg.clone()),
        _ => None,
    };
    actions.iter().filter_map(text).collect()
}

fn short_all(actions: &[Action]) -> Vec<String> {
    actions.iter().filter_map(short).collect()
}

/// Lets the timers run until the poll is in flight again; gives all that was asked for meanwhile.
fn until_polled(b: &mut Bench) -> Vec<String> {
    let mut all = Vec::new();
    while !all.contains(&"poll".to_owned()) {
        b.until_timeout();
        all.extend(b.requests());
    }
    all
}

#[test]
fn reconnecting_drops_what_is_in_flight_and_asks_again_at_once() {
    let mut b = Bench::live();
    b.message("hi");
    b.candidate("x");
    assert_eq!(b.requests(), ["send c-1:1=x", "send c-1:2=hi"]);
    b.command(Command::Reconnect);
    let asked = b.requests();
    assert_eq!(asked, ["give up", "send c-1:1=x", "send c-1:2=hi", "poll", "history"], "under the same ids");
    assert!(b.actions().is_empty());
}

#[test]
fn reconnecting_ends_the_wait_for_a_fault_to_pass() {
    let mut b = Bench::live();
    for _ in 0..30 {
        b.poll(Err(Failure::Transient { cause: Cause::Refused { retry_after: None }, message: "busy".into() }));
        b.actions();
        b.until_timeout();
        b.actions();
    }
    b.poll(Err(fault()));
    b.actions();
    b.command(Command::Reconnect);
    assert_eq!(b.requests(), ["give up", "poll"], "nothing was in flight, so nothing was missed");
    b.poll(Ok(vec![]));
    assert_eq!(b.events(), [ChatEvent::Reconnected]);
}

#[test]
fn reconnecting_while_the_chat_is_opened_asks_for_it_again() {
    let mut b = Bench::new();
    b.command(Command::Reconnect);
    assert_eq!(b.requests(), ["give up"]);
    b.command(Command::Open(ChatRequest::default()));
    assert_eq!(b.requests(), ["chat"]);
    b.pass(10_000);
    b.command(Command::Reconnect);
    assert_eq!(b.requests(), ["give up", "chat"]);
    b.chat(Ok(chat(json!({"chat_id": CHAT, "state": "connected", "is_new_chat": false}))));
    assert_eq!(b.requests(), ["history"]);
    b.pass(10_000);
    b.command(Command::Reconnect);
    assert_eq!(b.requests(), ["give up", "history"]);
}

#[test]
fn reconnecting_after_the_end_does_nothing() {
    let mut b = Bench::live();
    b.poll(Err(Failure::SessionGone));
    b.actions();
    b.command(Command::Reconnect);
    assert!(b.actions().is_empty());
}

#[test]
fn what_a_lost_answer_held_is_read_in_the_history_and_shown_once() {
    let mut b = Bench::live();
    b.poll(Ok(events(json!([said("1")]))));
    assert_eq!(texts(&b.actions()), ["1"]);
    b.poll(Err(broken()));
    b.actions();
    assert_eq!(until_polled(&mut b), ["poll", "history"]);
    b.history(Ok(events(json!([said("1"), said("2")]))));
    assert_eq!(texts(&b.actions()), ["2"]);
    b.poll(Ok(events(json!([said("2"), said("3")]))));
    let actions = b.actions();
    assert_eq!(texts(&actions), ["3"], "the poll brings it too");
    assert_eq!(short_all(&actions), ["poll"], "the history is read once");
}

#[test]
fn an_answer_that_cannot_have_been_lost_is_not_looked_for() {
    let mut b = Bench::live();
    for cause in [Cause::Refused { retry_after: None }, Cause::Elsewhere] {
        b.poll(Err(Failure::Transient { cause, message: "no".into() }));
        b.actions();
        assert_eq!(until_polled(&mut b), ["poll"], "{cause:?}");
    }
}

#[test]
fn that_the_server_is_back_is_told_while_it_holds_the_poll() {
    let mut b = Bench::live();
    for cause in [Cause::Broken, Cause::Unreachable, Cause::Unreachable] {
        b.poll(Err(Failure::Transient { cause, message: "gone".into() }));
        assert!(matches!(b.events()[..], [ChatEvent::Reconnecting { .. }]));
        let asked = until_polled(&mut b);
        assert!(asked.contains(&"poll".to_owned()));
    }
    b.history(Ok(vec![]));
    assert_eq!(b.events(), [ChatEvent::Reconnected]);
    b.pass(10_000);
    b.poll(Ok(vec![]));
    assert!(b.events().is_empty());
}

#[test]
fn a_send_whose_answer_was_lost_is_looked_after_too() {
    let mut b = Bench::live();
    b.message("hi");
    b.actions();
    b.sent(Lane::Conversation, Err(broken()));
    assert!(b.requests().contains(&"history".to_owned()));
    // The client's own copy is no news.
    b.history(Ok(events(json!([
        {"event": "chat_session_message", "party_id": CHAT, "msg_id": "c-1:1", "msg": "hi", "timestamp": 1_700_000_000_000_i64},
        said("answer"),
    ]))));
    assert_eq!(texts(&b.actions()), ["answer"]);
}

#[test]
fn of_a_party_the_history_tells_what_is_true_now() {
    let mut b = Bench::live();
    let joined = |id: &str, at: i64| json!({"event": "chat_session_party_joined", "party_id": id, "type": "internal", "timestamp": at});
    let left = |id: &str, at: i64| json!({"event": "chat_session_party_left", "party_id": id, "timestamp": at});
    b.poll(Ok(events(json!([joined("ann", 1)]))));
    b.actions();
    b.poll(Err(broken()));
    b.actions();
    until_polled(&mut b);
    // Ann's copy differs in its time; Bob came and went; Cy came while nobody listened.
    b.history(Ok(events(json!([
        joined("ann", 1000),
        joined("bob", 2),
        left("bob", 3),
        left("ann", 4),
        joined("ann", 5),
        joined("cy", 6),
    ]))));
    let told: Vec<_> = b.events().into_iter().filter(|e| matches!(e, ChatEvent::Server { .. })).collect();
    let [ChatEvent::Server { event: ServerEvent::PartyJoined(cy), .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(cy.party_id, "cy");
    assert!(b.session.parties().get("ann").unwrap().present);
}

#[test]
fn a_history_that_cannot_be_read_is_given_up_quietly() {
    let mut b = Bench::live();
    b.poll(Err(broken()));
    b.actions();
    until_polled(&mut b);
    let mut reads = 1;
    loop {
        b.history(Err(fault()));
        assert!(b.events().is_empty());
        let Some(_) = b.session.next_timeout() else { break };
        b.until_timeout();
        assert_eq!(b.requests(), ["history"]);
        reads += 1;
    }
    assert_eq!(reads, SessionConfig::default().history_attempts);
}

#[test]
fn the_answer_to_a_poll_of_a_dead_connection_is_looked_for_when_the_server_lets_go_of_it() {
    let mut b = Bench::live();
    for _ in 0..5 {
        b.poll(Err(Failure::BusyPoll));
        assert_eq!(until_polled(&mut b), ["poll"], "no history as long as the other poll is held");
    }
    b.poll(Ok(vec![]));
    assert_eq!(b.requests(), ["poll", "history"]);
}

#[test]
fn a_chat_that_another_program_polls_all_the_time_is_left_to_it() {
    let mut b = Bench::live();
    let begun = b.now;
    let reason = loop {
        b.poll(Err(Failure::BusyPoll));
        if let Some(reason) = ended(&b.events()) {
            break reason.clone();
        }
        until_polled(&mut b);
    };
    assert_eq!(reason, EndReason::InUse);
    let took = b.now.duration_since(begun).as_secs();
    assert!((45..60).contains(&took), "{took} s");
}

#[test]
fn a_poll_that_gets_through_now_and_then_goes_on() {
    let mut b = Bench::live();
    for n in 0..1000 {
        b.poll(if n % 20 == 0 { Ok(vec![]) } else { Err(Failure::BusyPoll) });
        let mut asked = b.requests();
        while !asked.contains(&"poll".to_owned()) {
            b.until_timeout();
            asked.extend(b.requests());
        }
    }
    assert!(b.session.is_live());
}

#[test]
fn a_sign_in_page_in_a_running_chat_is_waited_out_however_long_it_stays() {
    let mut b = Bench::live();
    b.message("hi");
    b.actions();
    let page = || Failure::Transient { cause: Cause::Elsewhere, message: "a web page".into() };
    b.sent(Lane::Conversation, Err(page()));
    for _ in 0..50 {
        b.poll(Err(page()));
        assert!(ended(&b.events()).is_none());
        until_polled(&mut b);
    }
    b.poll(Ok(vec![]));
    b.actions();
    b.sent(Lane::Conversation, Ok(vec![]));
    assert!(b.events().iter().any(|e| matches!(e, ChatEvent::Sent { .. })), "nothing was lost to it");
}

#[test]
fn a_sign_in_page_before_the_chat_is_open_is_told_at_once() {
    let mut b = Bench::new();
    b.command(Command::Open(ChatRequest::default()));
    b.actions();
    b.chat(Err(Failure::Transient { cause: Cause::Elsewhere, message: "a web page".into() }));
    assert_eq!(ended(&b.events()), Some(&EndReason::NotOpened { message: "a web page".into() }));
}

#[test]
fn a_server_that_names_a_time_is_not_asked_before_whatever_else_works() {
    let mut b = Bench::live();
    b.message("hi");
    b.actions();
    let retry_after = Some(Duration::from_secs(20));
    b.poll(Err(Failure::Transient { cause: Cause::Refused { retry_after }, message: "429".into() }));
    b.sent(Lane::Conversation, Err(fault()));
    b.actions();
    b.until_timeout();
    b.sent(Lane::Conversation, Ok(vec![]));
    b.actions();
    let wait = b.until_timeout();
    assert!(wait > Duration::from_secs(18), "{wait:?}");
    assert_eq!(b.requests(), ["poll"]);
}

#[test]
fn after_nothing_but_refusals_the_history_tells_that_the_server_is_back_and_is_not_asked_for_during_them() {
    let mut b = Bench::live();
    for _ in 0..5 {
        b.poll(Err(Failure::Transient { cause: Cause::Refused { retry_after: None }, message: "busy".into() }));
        assert_eq!(until_polled(&mut b), ["poll"]);
        b.pass(100);
        assert_eq!(b.requests(), Vec::<String>::new(), "it is not known yet whether the server can");
    }
    // This one is held.
    let waited = b.until_timeout();
    assert!(waited <= Duration::from_millis(500), "{waited:?}");
    assert_eq!(b.requests(), ["history"]);
    b.history(Ok(vec![]));
    assert_eq!(b.events(), [ChatEvent::Reconnected]);
}

#[test]
fn a_network_that_flaps_has_connections_made_anew_ever_more_seldom_and_the_last_change_is_not_missed() {
    let mut b = Bench::live();
    let mut at = Vec::new();
    for ms in (0..30_000).step_by(200) {
        b.command(Command::Reconnect);
        if b.requests().contains(&"give up".to_owned()) {
            at.push(ms);
        }
        b.pass(200);
    }
    assert_eq!(at[0], 0, "the first one is done at once");
    assert!((8..=12).contains(&at.len()), "{at:?}");
    assert!(b.until_timeout() <= Duration::from_secs(4));
    assert!(b.requests().contains(&"give up".to_owned()), "the last one is made up for");
    b.pass(10_000);
    b.requests();
    b.command(Command::Reconnect);
    assert_eq!(b.requests()[0], "give up", "calm again: at once");
}

#[test]
fn reconnecting_does_not_end_a_wait_that_the_server_asked_for() {
    let mut b = Bench::live();
    let cause = Cause::Refused { retry_after: Some(Duration::from_secs(8)) };
    b.poll(Err(Failure::Transient { cause, message: "busy".into() }));
    b.actions();
    b.command(Command::Reconnect);
    assert_eq!(b.requests(), ["give up"]);
    assert!(b.until_timeout() >= Duration::from_secs(8));
    assert_eq!(b.requests(), ["poll"]);
}

#[test]
fn polls_that_were_given_up_are_not_taken_for_those_of_another_program() {
    let mut b = Bench::live();
    let busy_for = |b: &mut Bench, seconds: u64| {
        let until = b.now + Duration::from_secs(seconds);
        let mut ended = false;
        while b.now < until && !ended {
            b.poll(Err(Failure::BusyPoll));
            ended = ended_in(&b.actions());
            if !ended {
                b.until_timeout();
                b.actions();
            }
        }
        ended
    };
    for _ in 0..4 {
        assert!(!busy_for(&mut b, 20));
        b.command(Command::Reconnect);
        b.actions();
    }
    assert!(busy_for(&mut b, 60), "none of ours is held for so long");
}

fn ended_in(actions: &[Action]) -> bool {
    actions.iter().any(|a| matches!(a, Action::Event(ChatEvent::Ended { reason: EndReason::InUse })))
}
