//! What the admin API asks for, in chats with bots and with desks; and that nothing asked for breaks the center.

use super::*;
use crate::simulator::desk::wire::ChatCommand;
use proptest::prelude::*;

#[test]
fn a_bot_calls_answers_refuses_and_hangs_up_when_told() {
    let mut lab = Lab::new(|c| c.agent.answer_after = s(60));
    let (chat, party) = connected(&mut lab, &me());
    let id = lab.calls_started()[0].id;
    lab.center.call_event(id, CallEvent::Offer("v=0".into()), lab.now);
    assert!(lab.order(&chat, By::Admin, json!({"do": "answer"})).is_err(), "nothing rings");
    lab.send(&me(), &chat, signal(&party, Signal::request_call(false)));
    lab.order(&chat, By::Admin, json!({"do": "answer"})).unwrap();
    assert_eq!(signals(&lab.news(&me(), &chat)), [Signal::offer_call("v=0", false)]);
    assert!(lab.order(&chat, By::Admin, json!({"do": "call"})).is_err(), "there is a call");
    lab.order(&chat, By::Admin, json!({"do": "hang_up"})).unwrap();
    assert_eq!(signals(&lab.news(&me(), &chat)), [Signal::end_call()]);
    assert!(lab.order(&chat, By::Admin, json!({"do": "hang_up"})).is_err());
    lab.send(&me(), &chat, signal(&party, Signal::request_call(false)));
    lab.order(&chat, By::Admin, json!({"do": "reject", "code": "486", "reason": "busy"})).unwrap();
    assert_eq!(signals(&lab.news(&me(), &chat)), [Signal::call_rejected("486", "busy")]);
    for wrong in
        [json!({"do": "dial", "keys": "1"}), json!({"do": "dial", "keys": "x"}), json!({"do": "mute", "on": true})]
    {
        assert!(lab.order(&chat, By::Admin, wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn a_bot_converses_as_told() {
    let mut lab = Lab::new(|_| ());
    let (chat, _) = connected(&mut lab, &me());
    let expected = [
        (json!({"do": "message", "text": "hi"}), "message"),
        (json!({"do": "typing", "on": true}), "typing"),
        (json!({"do": "form", "name": "address"}), "form_show"),
        (json!({"do": "secure_form"}), "secure_form_show"),
        (json!({"do": "location", "latitude": 1.5, "longitude": 2}), "location"),
        (json!({"do": "cobrowsing"}), "cobrowsing_requested"),
        (json!({"do": "warn"}), "timeout_warning"),
        (json!({"do": "signal", "data": {"type": "END_CALL"}}), "signaling"),
        (json!({"do": "inject", "event": {"event": "chat_session_case_set", "case_id": "7"}}), "case_set"),
        (json!({"do": "inject", "event": {"event": "chat_session_rain"}}), "rain"),
        (json!({"do": "time_out"}), "inactivity_timeout"),
    ];
    for (command, event) in expected {
        lab.order(&chat, By::Admin, command.clone()).unwrap();
        assert!(lab.names(&me(), &chat).iter().any(|n| n == event), "{command}");
    }
}

#[test]
fn what_only_a_page_can_do_is_asked_of_it() {
    let mut lab = Lab::new(|_| ());
    let ada = lab.desk("Ada", 1);
    let chat = lab.customer("c");
    lab.told(ada);
    let asked =
        [json!({"do": "call", "video": true}), json!({"do": "dial", "keys": "12#"}), json!({"do": "hold", "on": true})];
    for command in asked {
        lab.order(&chat, By::Admin, command.clone()).unwrap();
        assert_eq!(lab.told(ada), [json!({"type": "perform", "chat_id": chat, "command": command})]);
        assert!(lab.order(&chat, By::Desk(ada), command).is_err(), "the page needs no leave for it");
    }
}

#[test]
fn the_bots_are_set_while_they_work() {
    let mut lab = Lab::new(|_| ());
    let (chat, party) = connected(&mut lab, &me());
    let set = |lab: &mut Lab, change: Value| lab.center.set_bots(serde_json::from_value(change).unwrap(), lab.now);
    set(&mut lab, json!({"reject": {"code": "486", "reason": "busy"}})).unwrap();
    let answer = lab.send(&me(), &chat, signal(&party, Signal::request_call(false)));
    assert_eq!(signals(&answer), []);
    assert_eq!(signals(&lab.news(&me(), &chat)), [Signal::call_rejected("486", "busy")]);
    set(&mut lab, json!({"reject": null, "no_offer": true, "bots": 1})).unwrap();
    lab.send(&me(), &chat, signal(&party, Signal::request_call(false)));
    assert!(lab.news(&me(), &chat).is_empty());
    let waiting = lab.customer("d");
    assert!(lab.center.sessions[&waiting].agent.is_none());
    set(&mut lab, json!({"bots": null})).unwrap();
    lab.pass(T0);
    assert!(lab.center.sessions[&waiting].agent.is_some());
    assert!(set(&mut lab, json!({"join_after_ms": 999_999_999_999_u64})).is_err());
    assert!(serde_json::from_value::<BotSettings>(json!({"reject": {"reason": "no code"}})).is_err());
}

#[test]
fn the_hours_are_changed_while_the_center_runs() {
    let mut lab = Lab::new(|_| ());
    assert!(lab.center.availability(T0).is_open());
    lab.center.set_hours(Hours::Closed, T0);
    assert!(!lab.center.availability(T0).is_open());
    let chat = lab.customer("c");
    assert!(lab.names(&ClientKey("c".into()), &chat).contains(&"ended".to_owned()));
}

#[test]
fn the_log_has_both_sides_and_signaling() {
    let mut lab = Lab::new(|_| ());
    let (chat, party) = connected(&mut lab, &me());
    lab.send(&me(), &chat, signal(&party, Signal::end_call()));
    lab.send(&me(), &chat, json!([{"event": "chat_session_end"}]));
    let log = lab.center.log().after(0, Some(&chat), super::desks::LIMITS).entries;
    let seen: Vec<_> = log.iter().map(|e| (e.from, e.event["event"].as_str().unwrap())).collect();
    for expected in [
        (Side::Server, "chat_session_party_joined"),
        (Side::Client, "chat_session_signaling"),
        (Side::Client, "chat_session_end"),
        (Side::Server, "chat_session_ended"),
    ] {
        assert!(seen.contains(&expected), "{expected:?} in {seen:?}");
    }
}

/// One thing that somebody does.
#[derive(Debug, Clone)]
enum Deed {
    SignIn(usize, bool),
    SignOut(u64),
    Ready(u64, bool),
    Chat(u8),
    Order(u8, bool, u64, Value),
    Client(u8, Value),
    Bots(Option<usize>),
    Wait(u64),
}

fn deed() -> impl Strategy<Value = Deed> {
    let desk = 1..5u64;
    let data = prop::sample::select(vec![
        "REQUEST_CALL",
        "OFFER_CALL",
        "ANSWER_CALL",
        "ICE_CANDIDATE",
        "END_CALL",
        "CALL_REJECTED",
    ])
    .prop_map(|name| json!({"type": name, "sdp": "v=0", "candidate": "c"}));
    let plain = prop::sample::select(vec![
        json!({"do": "take"}),
        json!({"do": "take", "desk": 2}),
        json!({"do": "transfer"}),
        json!({"do": "transfer", "desk": 1}),
        json!({"do": "message", "text": "x"}),
        json!({"do": "call"}),
        json!({"do": "answer"}),
        json!({"do": "reject"}),
        json!({"do": "hang_up"}),
        json!({"do": "disconnect"}),
        json!({"do": "end"}),
        json!({"do": "warn"}),
        json!({"do": "time_out"}),
        json!({"do": "report", "stats": {}}),
    ]);
    let command = prop_oneof![plain, data.clone().prop_map(|data| json!({"do": "signal", "data": data}))];
    let event = prop_oneof![
        data.prop_map(|data| json!({"event": "chat_session_signaling", "data": data})),
        Just(json!({"event": "chat_session_end"})),
        Just(json!({"event": "chat_session_disconnect"})),
        Just(json!({"event": "chat_session_message", "msg": "/transfer"})),
        Just(json!({"event": "chat_session_message", "msg": "hi"})),
    ];
    prop_oneof![
        (1..3usize, any::<bool>()).prop_map(|(capacity, ready)| Deed::SignIn(capacity, ready)),
        desk.clone().prop_map(Deed::SignOut),
        (desk.clone(), any::<bool>()).prop_map(|(desk, on)| Deed::Ready(desk, on)),
        (0..4u8).prop_map(Deed::Chat),
        (0..4u8, any::<bool>(), desk, command).prop_map(|(c, admin, desk, order)| Deed::Order(c, admin, desk, order)),
        (0..4u8, event).prop_map(|(client, event)| Deed::Client(client, event)),
        prop::option::of(0..2usize).prop_map(Deed::Bots),
        (0..5000u64).prop_map(Deed::Wait),
    ]
}

impl Lab {
    fn act(&mut self, deed: Deed) {
        let client = |n: u8| ClientKey(format!("client {n}"));
        let active = |lab: &Lab, n: u8| lab.center.active.get(&client(n)).cloned();
        match deed {
            Deed::SignIn(capacity, ready) => {
                let who = crate::simulator::desk::wire::SignIn { name: "Ada".into(), ready, capacity };
                let _ = self.center.sign_in(who, self.now);
            }
            Deed::SignOut(desk) => self.center.sign_out(desk, self.now),
            Deed::Ready(desk, on) => drop(self.center.set_ready(desk, on, self.now)),
            Deed::Chat(n) => drop(self.center.request_chat(&client(n), ChatRequest::default(), self.now)),
            Deed::Order(n, admin, desk, order) => {
                let by = if admin { By::Admin } else { By::Desk(desk) };
                if let Some(chat) = active(self, n) {
                    let _ = self.center.order(&chat, ChatCommand::read(order).unwrap(), by, self.now);
                }
            }
            Deed::Client(n, mut event) => {
                if let Some(chat) = active(self, n) {
                    if let Some(agent) = &self.center.sessions[&chat].agent {
                        event["destination_party_id"] = json!(agent.party_id);
                    }
                    let events = vec![serde_json::from_value(event).unwrap()];
                    let _ = self.center.send_events(&client(n), &chat, events, self.now);
                }
            }
            Deed::Bots(bots) => {
                let change = BotSettings { bots: Some(bots), ..Default::default() };
                self.center.set_bots(change, self.now).unwrap();
            }
            Deed::Wait(ms) => self.pass(Duration::from_millis(ms)),
        }
        self.pass(T0);
    }

    /// What is true of the center at any time.
    fn check(&self) {
        let center = &self.center;
        let agents = || center.sessions.values().filter_map(|s| s.agent.as_ref().map(|a| (s, a)));
        assert_eq!(agents().filter(|(_, a)| a.desk().is_none()).count(), center.busy_bots);
        for desk in center.desks() {
            let own: std::collections::BTreeSet<_> =
                agents().filter(|(_, a)| a.desk() == Some(desk.id)).map(|(s, _)| s.id.clone()).collect();
            assert_eq!(own, desk.chats.iter().cloned().collect(), "a desk has the chats that it is the agent of");
            let in_call = |id: &String| {
                matches!(&center.sessions[id].agent.as_ref().unwrap().who,
                    crate::simulator::session::Who::Desk { line, .. } if line.is_taken())
            };
            assert!(desk.chats.iter().filter(|id| in_call(id)).count() <= 1, "one call at a time");
        }
        for (_, agent) in agents() {
            assert!(agent.desk().is_none_or(|id| center.desks().iter().any(|d| d.id == id)), "no agent is gone");
        }
        for id in center.queue.values() {
            assert!(center.sessions[id].agent.is_none() && !center.sessions[id].ended, "who waits has no agent");
        }
        let free = center.free_agent(None).is_some();
        assert!(!free || center.queue.is_empty(), "nobody waits while an agent is free");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn chats_and_agents_fit_whatever_is_done(deeds in prop::collection::vec(deed(), 1..60)) {
        let mut lab = Lab::new(|c| c.agents = Some(1));
        for deed in deeds {
            lab.act(deed);
            lab.check();
        }
        lab.center.close(lab.now);
        lab.pass(s(40));
        prop_assert!(lab.center.sessions.is_empty());
    }
}
