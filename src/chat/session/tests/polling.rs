#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn the_next_poll_starts_with_the_answer_to_the_last_and_never_before() {
    let mut b = Bench::live();
    b.pass(9_000);
    assert!(b.actions().is_empty());
    b.poll(Ok(vec![]));
    assert_eq!(b.requests(), ["poll"]);
    assert!(b.actions().is_empty());
}

#[test]
fn a_send_goes_out_beside_the_poll() {
    let mut b = Bench::live();
    b.message("hi");
    assert_eq!(b.requests(), ["send c-1:1=hi"]);
}

#[test]
fn a_server_that_does_not_hold_the_poll_is_asked_twice_a_second_at_most() {
    let mut b = Bench::live();
    let mut polls = 0;
    let start = b.now;
    while b.now.duration_since(start) < Duration::from_secs(60) {
        b.pass(1); // the answer comes within a millisecond
        b.poll(Ok(vec![]));
        while !b.requests().contains(&"poll".to_owned()) {
            b.until_timeout();
        }
        polls += 1;
    }
    assert!((115..=128).contains(&polls), "{polls} in a minute");
}

#[test]
fn a_proxy_that_repeats_an_answer_does_not_make_it_spin_either() {
    let mut b = Bench::live();
    let answer = events(json!([{"event": "chat_session_message", "party_id": "ann", "msg_id": "1", "msg": "hi"}]));
    let (mut polls, mut hi) = (0, 0);
    let start = b.now;
    while b.now.duration_since(start) < Duration::from_secs(10) {
        b.pass(1);
        b.poll(Ok(answer.clone()));
        loop {
            let actions = b.actions();
            hi += actions.iter().filter(|a| matches!(a, Action::Event(ChatEvent::Server { .. }))).count();
            if actions.iter().any(|a| matches!(a, Action::Poll { .. })) {
                break;
            }
            b.until_timeout();
        }
        polls += 1;
    }
    assert_eq!(hi, 1);
    assert!(polls < 30, "{polls} in ten seconds");
}

#[test]
fn a_few_quick_answers_do_not_slow_it_down_and_news_makes_it_quick_again() {
    let mut b = Bench::live();
    for _ in 0..3 {
        b.poll(Ok(vec![]));
        assert_eq!(b.requests(), ["poll"]);
    }
    b.poll(Ok(vec![]));
    assert!(b.requests().is_empty());
    b.until_timeout();
    assert_eq!(b.requests(), ["poll"]);
    b.poll(Ok(events(json!([{"event": "novel"}]))));
    assert_eq!(b.requests(), ["poll"]);
}

#[test]
fn a_busy_poll_is_waited_out_and_not_shown() {
    for _ in 0..20 {
        let mut b = Bench::live();
        b.poll(Err(Failure::BusyPoll));
        assert!(b.actions().is_empty());
        let wait = b.until_timeout().as_millis();
        assert!((300..=1000).contains(&wait), "{wait} ms");
        assert_eq!(b.requests(), ["poll"]);
    }
}

#[test]
fn passing_faults_are_retried_with_growing_waits_and_told() {
    let mut b = Bench::live();
    for n in 1..=20 {
        b.poll(Err(fault()));
        let told = b.events();
        let [ChatEvent::Reconnecting { operation: Operation::Poll, attempt, delay, .. }] = &told[..] else {
            panic!("{told:?}")
        };
        assert_eq!(*attempt, n);
        assert!(*delay <= Duration::from_secs(7));
        assert_eq!(b.until_timeout(), *delay);
        assert_eq!(b.requests(), ["poll"]);
    }
    b.poll(Ok(vec![]));
    assert_eq!(b.events(), [ChatEvent::Reconnected]);
}

#[test]
fn a_session_that_is_gone_is_over_and_not_polled_again() {
    let mut b = Bench::live();
    b.poll(Err(Failure::SessionGone));
    let actions = b.actions();
    assert_eq!(actions, [Action::Event(ChatEvent::Ended { reason: EndReason::Gone })]);
    b.pass(60_000);
    assert!(b.actions().is_empty());
    assert_eq!(b.session.next_timeout(), None);
}

#[test]
fn one_refusal_is_retried_and_three_in_a_row_end_it() {
    let mut b = Bench::live();
    for _ in 0..2 {
        b.poll(Err(refusal()));
        assert!(ended(&b.events()).is_none());
        b.until_timeout();
        assert_eq!(b.requests(), ["poll"]);
    }
    b.poll(Err(refusal()));
    assert_eq!(ended(&b.events()), Some(&EndReason::Refused { message: "no".into() }));
}

#[test]
fn refusals_with_an_answer_between_do_not_end_it() {
    let mut b = Bench::live();
    for _ in 0..10 {
        b.poll(Err(refusal()));
        b.until_timeout();
        b.actions();
        b.poll(Ok(vec![]));
        b.actions();
    }
    assert!(b.session.is_live());
}

#[test]
fn an_answer_that_nobody_asked_for_is_passed_over() {
    let mut b = Bench::live();
    b.poll(Ok(vec![]));
    b.poll(Ok(vec![]));
    assert_eq!(b.requests(), ["poll"]);
    b.sent(Lane::Signaling, Ok(vec![]));
    b.chat(Ok(Chat::default()));
    b.history(Ok(vec![]));
    assert!(b.actions().is_empty());
}
