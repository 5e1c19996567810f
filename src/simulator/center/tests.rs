//! The center in virtual time.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::api::signaling::Signal;
use crate::simulator::config::Hours;
use serde_json::{Value, json};

mod desks;
mod orders;

const T0: Duration = Duration::ZERO;
const EPOCH_MS: i64 = 1_700_000_000_000;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn me() -> ClientKey {
    ClientKey("me".into())
}

/// A center with a clock that moves only when told.
struct Lab {
    center: Center,
    now: Duration,
    actions: Vec<Action>,
}

impl Lab {
    fn new(change: impl FnOnce(&mut SimulatorConfig)) -> Self {
        let mut config = SimulatorConfig::default();
        change(&mut config);
        Self { center: Center::new(Arc::new(config), EPOCH_MS), now: T0, actions: Vec::new() }
    }

    fn chat(&mut self, client: &ClientKey) -> String {
        self.center.request_chat(client, ChatRequest::default(), self.now).unwrap().chat_id
    }

    /// Lets time pass, each timer at its own moment.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.center.next_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.center.handle_timeout(self.now);
        }
        self.now = end;
        self.actions.extend(self.center.take_actions(self.now));
    }

    fn send(&mut self, client: &ClientKey, chat: &str, events: Value) -> Vec<ServerEvent> {
        let events = serde_json::from_value(events).unwrap();
        let answer = self.center.send_events(client, chat, events, self.now).unwrap();
        self.pass(T0);
        answer
    }

    /// Takes the news of a session.
    fn news(&mut self, client: &ClientKey, chat: &str) -> Vec<ServerEvent> {
        match self.center.poll(client, chat).unwrap() {
            Poll::Events(events) => events,
            Poll::Held => {
                self.center.end_poll(chat);
                Vec::new()
            }
        }
    }

    fn names(&mut self, client: &ClientKey, chat: &str) -> Vec<String> {
        names(&self.news(client, chat))
    }

    fn calls_started(&self) -> Vec<&CallSpec> {
        self.actions.iter().filter_map(|a| if let Action::StartCall(spec) = a { Some(spec) } else { None }).collect()
    }
}

fn names(events: &[ServerEvent]) -> Vec<String> {
    events.iter().map(|e| e.name().trim_start_matches("chat_session_").to_owned()).collect()
}

fn message(text: &str) -> Value {
    json!([{"event": "chat_session_message", "msg_id": format!("c:{text}"), "msg": text}])
}

fn party(events: &[ServerEvent]) -> String {
    events
        .iter()
        .find_map(|e| if let ServerEvent::PartyJoined(p) = e { Some(p.party_id.clone()) } else { None })
        .unwrap()
}

/// A chat with an agent: chat id, and the agent's party id.
fn connected(lab: &mut Lab, client: &ClientKey) -> (String, String) {
    let chat = lab.chat(client);
    lab.pass(s(1));
    let party = party(&lab.news(client, &chat));
    (chat, party)
}

#[test]
fn a_chat_is_queued_then_an_agent_joins_and_greets() {
    let mut lab = Lab::new(|_| ());
    let chat = lab.chat(&me());
    assert_eq!(lab.names(&me(), &chat), ["status"]);
    lab.pass(Duration::from_millis(199));
    assert!(lab.names(&me(), &chat).is_empty());
    lab.pass(Duration::from_millis(1));
    assert_eq!(lab.names(&me(), &chat), ["status", "party_joined", "message"]);
    assert_eq!(lab.center.active_chat(&me()).unwrap().state, SessionState::Connected);
}

#[test]
fn a_peer_is_prepared_when_the_agent_joins() {
    let mut lab = Lab::new(|_| ());
    let (chat, party) = connected(&mut lab, &me());
    let [spec] = lab.calls_started()[..] else { panic!("{:?}", lab.actions) };
    assert_eq!((&spec.chat_id, &spec.party_id, &spec.role), (&chat, &party, &Role::Offer));
}

#[test]
fn a_client_has_one_session_and_gets_it_again() {
    let mut lab = Lab::new(|_| ());
    let chat = lab.chat(&me());
    lab.pass(s(1));
    let again = lab.center.request_chat(&me(), ChatRequest::default(), lab.now).unwrap();
    assert_eq!((again.chat_id, again.is_new_chat, again.state), (chat, Some(false), SessionState::Connected));
    let other = lab.center.request_chat(&ClientKey("you".into()), ChatRequest::default(), lab.now).unwrap();
    assert_eq!(other.is_new_chat, Some(true));
}

#[test]
fn a_session_is_hidden_from_other_clients() {
    let mut lab = Lab::new(|_| ());
    let chat = lab.chat(&me());
    let you = ClientKey("you".into());
    assert_eq!(lab.center.history(&you, &chat).unwrap_err().code, ErrorCode::SessionNotFound);
    assert_eq!(lab.center.poll(&you, &chat).unwrap_err().code, ErrorCode::SessionNotFound);
    assert_eq!(lab.center.send_events(&you, &chat, vec![], T0).unwrap_err().code, ErrorCode::SessionNotFound);
}

#[test]
fn an_event_is_delivered_once_and_kept_in_history() {
    let mut lab = Lab::new(|_| ());
    let (chat, _) = connected(&mut lab, &me());
    lab.send(&me(), &chat, message("hello"));
    lab.pass(s(1));
    assert_eq!(lab.names(&me(), &chat), ["typing", "not_typing", "message"]);
    assert!(lab.names(&me(), &chat).is_empty());
    let history = lab.center.history(&me(), &chat).unwrap();
    let own: Vec<_> = history
        .iter()
        .filter_map(|e| match e {
            ServerEvent::Message(m) if m.party_id.as_deref() == Some(&chat) => Some(m.msg.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(own, ["hello"]);
    assert!(history.iter().any(|e| matches!(e, ServerEvent::Message(m) if m.msg.contains("You wrote: hello"))));
}

#[test]
fn news_may_come_in_the_answer_of_send_events() {
    let mut lab = Lab::new(|_| ());
    let chat = lab.chat(&me());
    lab.pass(s(1));
    let answer = lab.send(&me(), &chat, json!([{"event": "chat_session_typing"}]));
    assert_eq!(names(&answer), ["status", "status", "party_joined", "message"]);
    assert!(lab.names(&me(), &chat).is_empty());
}

#[test]
fn a_second_poll_is_refused_while_one_is_held() {
    let mut lab = Lab::new(|_| ());
    let (chat, _) = connected(&mut lab, &me());
    assert_eq!(lab.center.poll(&me(), &chat).unwrap(), Poll::Held);
    assert_eq!(lab.center.poll(&me(), &chat).unwrap_err().code, ErrorCode::TooManyPolls);
    lab.center.end_poll(&chat);
    assert_eq!(lab.center.poll(&me(), &chat).unwrap(), Poll::Held);
}

#[test]
fn news_wake_a_held_poll() {
    let mut lab = Lab::new(|_| ());
    let (chat, _) = connected(&mut lab, &me());
    assert_eq!(lab.center.poll(&me(), &chat).unwrap(), Poll::Held);
    lab.actions.clear();
    lab.send(&me(), &chat, message("hi"));
    lab.pass(s(1));
    assert!(lab.actions.iter().any(|a| matches!(a, Action::Wake(id) if *id == chat)));
    assert!(matches!(lab.center.poll_again(&chat), Poll::Events(events) if events.len() == 3));
}

#[test]
fn an_event_sent_again_is_passed_over() {
    let mut lab = Lab::new(|_| ());
    let (chat, _) = connected(&mut lab, &me());
    lab.send(&me(), &chat, message("hi"));
    lab.send(&me(), &chat, message("hi"));
    lab.pass(s(1));
    assert_eq!(lab.names(&me(), &chat), ["typing", "not_typing", "message"]);
}

#[test]
fn an_ended_session_gives_its_last_events_and_is_gone() {
    let mut lab = Lab::new(|_| ());
    let (chat, _) = connected(&mut lab, &me());
    let answer = lab.send(&me(), &chat, json!([{"event": "chat_session_end"}, {"event": "chat_session_typing"}]));
    assert_eq!(names(&answer), ["party_left", "ended"]);
    assert_eq!(lab.center.poll(&me(), &chat).unwrap_err().code, ErrorCode::SessionNotFound);
    assert_eq!(lab.center.active_chat(&me()).unwrap_err().code, ErrorCode::SessionNotFound);
    assert_ne!(lab.chat(&me()), chat);
}

#[test]
fn a_poll_held_at_the_end_is_answered() {
    let mut lab = Lab::new(|_| ());
    let (chat, _) = connected(&mut lab, &me());
    assert_eq!(lab.center.poll(&me(), &chat).unwrap(), Poll::Held);
    lab.send(&me(), &chat, json!([{"event": "chat_session_end"}]));
    assert_eq!(lab.center.poll_again(&chat), Poll::Events(vec![]));
    lab.center.end_poll(&chat);
    lab.pass(T0);
    assert!(lab.center.sessions.is_empty());
}

#[test]
fn last_events_nobody_fetches_are_forgotten() {
    let mut lab = Lab::new(|_| ());
    let (chat, party) = connected(&mut lab, &me());
    lab.center.do_deed(&chat, &party, Deed::Leave, lab.now);
    assert_eq!(lab.center.sessions.len(), 1);
    lab.pass(LINGER);
    assert!(lab.center.sessions.is_empty());
}

#[test]
fn a_disconnect_leads_to_a_survey_and_its_answer_to_the_end() {
    let mut lab = Lab::new(|_| ());
    let (chat, _) = connected(&mut lab, &me());
    let answer = lab.send(&me(), &chat, json!([{"event": "chat_session_disconnect"}]));
    assert_eq!(names(&answer), ["party_left", "party_joined", "form_show"]);
    let Some(ServerEvent::FormShow(form)) = answer.last() else { panic!("{answer:?}") };
    assert_eq!(form.form_name.as_deref(), Some("survey"));
    let data =
        json!([{"event": "chat_session_form_data", "form_request_id": form.form_request_id, "data": {"stars": 5}}]);
    assert_eq!(names(&lab.send(&me(), &chat, data)), ["message", "ended"]);
}

#[test]
fn a_survey_that_does_not_come_back_ends_too() {
    let mut lab = Lab::new(|_| ());
    let (chat, _) = connected(&mut lab, &me());
    lab.send(&me(), &chat, json!([{"event": "chat_session_disconnect"}]));
    lab.pass(s(FORM_TIMEOUT_S.into()));
    assert_eq!(lab.names(&me(), &chat), ["ended"]);
}

#[test]
fn chats_wait_for_a_free_agent_in_order() {
    let mut lab = Lab::new(|c| c.agents = Some(1));
    let clients: Vec<_> = ["a", "b", "c"].map(|id| ClientKey(id.into())).into();
    let chats: Vec<_> = clients.iter().map(|c| lab.chat(c)).collect();
    lab.pass(s(5));
    let states = |lab: &Lab| clients.iter().map(|c| lab.center.active_chat(c).unwrap().state).collect::<Vec<_>>();
    assert_eq!(states(&lab), [SessionState::Connected, SessionState::Queued, SessionState::Queued]);
    lab.send(&clients[0], &chats[0], json!([{"event": "chat_session_end"}]));
    lab.chat(&clients[0]);
    lab.pass(s(5));
    assert_eq!(states(&lab), [SessionState::Queued, SessionState::Connected, SessionState::Queued]);
}

#[test]
fn without_agents_a_chat_stays_queued() {
    let mut lab = Lab::new(|c| c.agents = Some(0));
    let chat = lab.chat(&me());
    lab.pass(s(60));
    assert_eq!(lab.names(&me(), &chat), ["status"]);
}

#[test]
fn outside_the_hours_the_scenario_ends_the_chat() {
    let mut lab = Lab::new(|c| c.hours = Hours::Closed);
    assert!(!lab.center.availability(T0).is_open());
    let chat = lab.chat(&me());
    lab.pass(s(1));
    assert_eq!(lab.names(&me(), &chat), ["status", "party_joined", "message", "ended"]);
}

#[test]
fn the_expected_wait_is_told() {
    let mut lab = Lab::new(|c| c.ewt_s = Some(90));
    assert_eq!(lab.center.availability(T0).ewt_s(), Some(90.0));
    let chat = lab.center.request_chat(&me(), ChatRequest::default(), T0).unwrap();
    assert_eq!(chat.ewt.as_deref(), Some("90"));
}

#[test]
fn silence_is_warned_of_and_then_ends_the_session() {
    let mut lab = Lab::new(|c| {
        c.inactivity_warning = Some(s(60));
        c.inactivity_timeout = Some(s(90));
    });
    let (chat, _) = connected(&mut lab, &me());
    lab.pass(s(49));
    lab.send(&me(), &chat, json!([{"event": "chat_session_typing"}]));
    lab.pass(s(59));
    assert!(lab.names(&me(), &chat).is_empty());
    lab.pass(s(1));
    assert_eq!(lab.names(&me(), &chat), ["timeout_warning"]);
    lab.pass(s(30));
    assert_eq!(lab.names(&me(), &chat), ["party_left", "inactivity_timeout"]);
}

#[test]
fn a_call_is_no_silence() {
    let mut lab = Lab::new(|c| c.inactivity_timeout = Some(s(90)));
    let (chat, party) = connected(&mut lab, &me());
    let id = lab.calls_started()[0].id;
    lab.center.call_event(id, CallEvent::Offer("v=0".into()), lab.now);
    lab.send(&me(), &chat, signal(&party, Signal::request_call(false)));
    lab.send(&me(), &chat, signal(&party, Signal::answer_call("v=0")));
    lab.pass(s(600));
    assert!(lab.names(&me(), &chat).is_empty());
}

fn signal(party: &str, signal: Signal) -> Value {
    json!([{"event": "chat_session_signaling", "destination_party_id": party, "data": signal}])
}

fn signals(events: &[ServerEvent]) -> Vec<Signal> {
    events.iter().filter_map(|e| if let ServerEvent::Signaling(s) = e { Some(s.data.clone()) } else { None }).collect()
}

#[test]
fn a_requested_call_is_offered_at_once_and_not_in_history() {
    let mut lab = Lab::new(|_| ());
    let (chat, party) = connected(&mut lab, &me());
    let id = lab.calls_started()[0].id;
    lab.center.call_event(id, CallEvent::Offer("v=0".into()), lab.now);
    lab.send(&me(), &chat, signal(&party, Signal::request_call(false)));
    let news = lab.news(&me(), &chat);
    assert_eq!(signals(&news), [Signal::offer_call("v=0", false)]);
    let ServerEvent::Signaling(offer) = &news[0] else { unreachable!() };
    assert_eq!(offer.party_id, Some(party));
    assert_eq!(offer.timestamp.unwrap().as_millis(), EPOCH_MS + 1000);
    assert!(serde_json::to_value(&news[0]).unwrap()["data"].is_object());
    assert!(lab.center.history(&me(), &chat).unwrap().iter().all(|e| !matches!(e, ServerEvent::Signaling(_))));
}

#[test]
fn a_call_to_nobody_is_rejected() {
    let mut lab = Lab::new(|_| ());
    let chat = lab.chat(&me());
    let answer = lab.send(&me(), &chat, signal("x", Signal::request_call(false)));
    assert_eq!(signals(&answer), [Signal::call_rejected("480", "No agent is in this chat")]);
    lab.pass(s(1));
    lab.news(&me(), &chat);
    let answer = lab.send(&me(), &chat, signal("x", Signal::request_call(false)));
    assert_eq!(signals(&answer), [Signal::call_rejected("404", "No such party is in this chat")]);
    let answer = lab.send(&me(), &chat, signal("x", Signal::end_call()));
    assert!(answer.is_empty());
}

#[test]
fn a_transfer_ends_the_call_and_brings_another_agent() {
    let mut lab = Lab::new(|c| c.agents = Some(1));
    let (chat, party_1) = connected(&mut lab, &me());
    let waiting = lab.chat(&ClientKey("you".into()));
    lab.pass(s(1));
    let id = lab.calls_started()[0].id;
    lab.center.call_event(id, CallEvent::Offer("v=0".into()), lab.now);
    lab.send(&me(), &chat, signal(&party_1, Signal::request_call(false)));
    lab.news(&me(), &chat);
    lab.send(&me(), &chat, message("/transfer"));
    let news = lab.news(&me(), &chat);
    assert_eq!(names(&news), ["message", "signaling", "party_left", "party_joined", "message"]);
    assert_ne!(party(&news), party_1);
    assert!(lab.actions.iter().any(|a| matches!(a, Action::Call(c, CallCommand::Close) if *c == id)));
    lab.pass(s(1));
    assert_eq!(lab.names(&ClientKey("you".into()), &waiting), ["status"], "the one that waits goes on waiting");
}

#[test]
fn each_command_makes_its_event() {
    let expected = [
        ("/form", "form_show"),
        ("/secureform", "secure_form_show"),
        ("/file", "file"),
        ("/image", "file"),
        ("/location", "location"),
        ("/cobrowse", "cobrowsing_requested"),
        ("/html", "message"),
        ("/warn", "timeout_warning"),
        ("/reject", "message"),
    ];
    let mut lab = Lab::new(|_| ());
    let (chat, _) = connected(&mut lab, &me());
    for (command, event) in expected {
        lab.send(&me(), &chat, message(command));
        assert_eq!(lab.names(&me(), &chat), [event], "{command}");
    }
}

#[test]
fn the_agent_calls_when_asked_or_of_its_own_accord() {
    for incoming in [true, false] {
        let mut lab = Lab::new(|c| c.agent.incoming = incoming);
        let (chat, _) = connected(&mut lab, &me());
        if !incoming {
            lab.send(&me(), &chat, message("/call"));
        }
        lab.pass(s(1));
        let id = lab.calls_started()[0].id;
        lab.center.call_event(id, CallEvent::Offer("v=0".into()), lab.now);
        assert_eq!(signals(&lab.news(&me(), &chat)), [Signal::offer_call("v=0", false)]);
    }
}

#[test]
fn the_values_of_a_secure_form_are_not_kept() {
    let mut lab = Lab::new(|_| ());
    let (chat, _) = connected(&mut lab, &me());
    let form = |kind: &str| json!([{"event": kind, "form_request_id": 1, "data": {"card": "no-id-holds-this"}}]);
    lab.send(&me(), &chat, form("chat_session_secure_form_data"));
    assert!(!format!("{:?}", lab.center.sessions).contains("no-id-holds-this"));
    let text = serde_json::to_string(&lab.center.history(&me(), &chat).unwrap()).unwrap();
    assert!(text.contains("secure_form_data") && !text.contains("no-id-holds-this"));
    lab.send(&me(), &chat, form("chat_session_form_data"));
    assert!(serde_json::to_string(&lab.center.history(&me(), &chat).unwrap()).unwrap().contains("no-id-holds-this"));
}

#[test]
fn sessions_are_limited() {
    let mut lab = Lab::new(|c| c.max_sessions = 1);
    lab.chat(&me());
    let refused = lab.center.request_chat(&ClientKey("you".into()), ChatRequest::default(), T0);
    assert_eq!(refused.unwrap_err().code, ErrorCode::NoServer);
}

#[test]
fn closing_ends_all_sessions_and_calls() {
    let mut lab = Lab::new(|_| ());
    let (chat, _) = connected(&mut lab, &me());
    let id = lab.calls_started()[0].id;
    lab.center.close(lab.now);
    lab.pass(T0);
    assert!(lab.actions.iter().any(|a| matches!(a, Action::Call(c, CallCommand::Close) if *c == id)));
    assert_eq!(lab.names(&me(), &chat), ["party_left", "ended"]);
    assert!(lab.center.request_chat(&me(), ChatRequest::default(), lab.now).is_err());
}

proptest::proptest! {
    #[test]
    fn any_events_are_taken_without_a_panic(
        texts in proptest::collection::vec("(/[a-z]{0,10}|[^/]{0,10})", 0..6),
        kinds in proptest::collection::vec(0..ClientEvent::NAMES.len(), 0..10),
    ) {
        let mut lab = Lab::new(|_| ());
        let chat = lab.chat(&me());
        let mut events: Vec<Value> = texts.iter().map(|t| json!({"event": "chat_session_message", "msg": t})).collect();
        events.extend(kinds.iter().map(|k| json!({"event": ClientEvent::NAMES[*k]})));
        for event in events {
            let event = serde_json::from_value(event).unwrap();
            let _ = lab.center.send_events(&me(), &chat, vec![event], lab.now);
            lab.pass(Duration::from_millis(700));
        }
        lab.pass(s(2000));
        proptest::prop_assert!(lab.center.sessions.is_empty(), "every session ends in the end");
        proptest::prop_assert_eq!(lab.center.busy_bots, 0);
    }
}
