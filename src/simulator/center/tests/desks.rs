//! Desks: who is given which chat, and what becomes of chats and calls when a desk goes.

use super::*;
use crate::simulator::admin::log::Limits;
use crate::simulator::desk::wire::{ChatCommand, SignIn};
use crate::simulator::session::Agent;

pub(super) const LIMITS: Limits = Limits { entries: 1000, bytes: 1 << 20 };

impl Lab {
    /// A center with no bots.
    fn for_desks() -> Self {
        Self::new(|c| c.agents = Some(0))
    }

    pub(super) fn desk(&mut self, name: &str, capacity: usize) -> DeskId {
        let id = self.center.sign_in(SignIn { name: name.into(), ready: true, capacity }, self.now).unwrap();
        self.pass(T0);
        id
    }

    pub(super) fn leave(&mut self, desk: DeskId) {
        self.center.sign_out(desk, self.now);
        self.pass(T0);
    }

    pub(super) fn customer(&mut self, name: &str) -> String {
        let chat = self.chat(&ClientKey(name.into()));
        self.pass(s(1));
        chat
    }

    pub(super) fn order(&mut self, chat: &str, by: By, command: Value) -> Result<(), String> {
        let result = self.center.order(chat, ChatCommand::read(command).unwrap(), by, self.now);
        self.pass(T0);
        result
    }

    pub(super) fn agent(&self, chat: &str) -> Option<DeskId> {
        self.center.sessions[chat].agent.as_ref().and_then(Agent::desk)
    }

    /// What a desk was told since this was asked last, by type.
    pub(super) fn told(&mut self, desk: DeskId) -> Vec<Value> {
        self.pass(T0);
        let (for_desk, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.actions)
            .into_iter()
            .partition(|a| matches!(a, Action::Desk(id, _) if *id == desk));
        self.actions = rest;
        let json = |a| if let Action::Desk(_, event) = a { serde_json::to_value(event).unwrap() } else { Value::Null };
        for_desk.into_iter().map(json).collect()
    }
}

fn types(told: &[Value]) -> Vec<&str> {
    told.iter().map(|t| t["type"].as_str().unwrap()).collect()
}

/// The party of the agent in a chat.
fn party_of(lab: &Lab, chat: &str) -> String {
    lab.center.sessions[chat].agent.as_ref().unwrap().party_id.clone()
}

/// A chat at a desk with a call that is up.
fn call_up(lab: &mut Lab, desk: DeskId, client: &str) -> String {
    let chat = lab.customer(client);
    let party = party_of(lab, &chat);
    let client = ClientKey(client.into());
    lab.send(&client, &chat, signal(&party, Signal::request_call(false)));
    let offer = json!({"do": "signal", "data": {"type": "OFFER_CALL", "sdp": "v=0", "offerVideo": false}});
    lab.order(&chat, By::Desk(desk), offer).unwrap();
    lab.send(&client, &chat, signal(&party, Signal::answer_call("v=0")));
    lab.news(&client, &chat);
    lab.told(desk);
    chat
}

#[test]
fn a_page_that_is_loaded_anew_comes_back_to_its_chats_and_calls() {
    let mut lab = Lab::new(|c| (c.agents, c.desk_grace) = (Some(0), s(10)));
    let ada = lab.desk("Ada", 4);
    let chat = call_up(&mut lab, ada, "grace");
    let party = party_of(&lab, &chat);
    lab.center.step_away(ada, lab.now);
    lab.pass(s(9));
    assert_eq!(lab.desk("Ada", 4), ada);
    let told = lab.told(ada);
    let given = told.iter().find(|t| t["type"] == "chat").unwrap();
    assert_eq!((&given["chat"]["chat_id"], &given["chat"]["call"]["state"]), (&json!(chat), &json!("up")));
    assert_eq!(party_of(&lab, &chat), party);
    assert_eq!(lab.news(&ClientKey("grace".into()), &chat), [], "the customer noticed nothing");
    lab.pass(s(60));
    assert_eq!(lab.agent(&chat), Some(ada));
}

#[test]
fn a_page_that_does_not_come_back_is_signed_out() {
    let mut lab = Lab::new(|c| (c.agents, c.desk_grace) = (Some(0), s(10)));
    let ada = lab.desk("Ada", 4);
    let chat = call_up(&mut lab, ada, "grace");
    lab.center.step_away(ada, lab.now);
    let waiting = lab.customer("hedy");
    assert_eq!(lab.agent(&waiting), None, "nobody is there to take it");
    lab.pass(s(10));
    assert_eq!(lab.agent(&chat), None);
    let other = lab.desk("Ada", 4);
    assert_ne!(other, ada);
}

#[test]
fn a_desk_is_given_a_chat_before_a_bot() {
    let mut lab = Lab::new(|_| ());
    let ada = lab.desk("Ada Miller", 1);
    let chat = lab.customer("c");
    assert_eq!(lab.agent(&chat), Some(ada));
    let news = lab.news(&ClientKey("c".into()), &chat);
    assert_eq!(names(&news), ["status", "status", "party_joined"], "a person greets in words of her own");
    let joined = serde_json::to_value(&news[2]).unwrap();
    assert_eq!((&joined["first_name"], &joined["last_name"]), (&json!("Ada"), &json!("Miller")));
    let second = lab.customer("d");
    assert_eq!((lab.agent(&second), lab.center.busy_bots), (None, 1), "a full desk leaves the next one to a bot");
}

#[test]
fn desks_are_given_chats_in_turn() {
    let mut lab = Lab::for_desks();
    let (ada, ben) = (lab.desk("Ada", 2), lab.desk("Ben", 2));
    let taken: Vec<_> = ["c", "d", "e", "f", "g"].map(|c| lab.customer(c)).iter().map(|c| lab.agent(c)).collect();
    assert_eq!(taken, [Some(ada), Some(ben), Some(ada), Some(ben), None]);
    assert_eq!(lab.center.queue.len(), 1);
}

#[test]
fn a_chat_waits_for_a_desk_to_sign_in_or_to_have_room() {
    let mut lab = Lab::for_desks();
    let (first, second) = (lab.customer("c"), lab.customer("d"));
    let ada = lab.desk("Ada", 1);
    assert_eq!((lab.agent(&first), lab.agent(&second)), (Some(ada), None));
    lab.order(&first, By::Desk(ada), json!({"do": "end"})).unwrap();
    assert_eq!(lab.agent(&second), Some(ada));
}

#[test]
fn a_desk_that_is_not_ready_takes_chats_by_hand() {
    let mut lab = Lab::for_desks();
    let ada = lab.desk("Ada", 1);
    lab.center.set_ready(ada, false, lab.now).unwrap();
    let chat = lab.customer("c");
    assert_eq!(lab.agent(&chat), None);
    let told = lab.told(ada);
    let waiting = told.iter().rfind(|t| t["type"] == "waiting").unwrap();
    assert_eq!(waiting["chats"][0]["chat_id"], json!(chat));
    lab.order(&chat, By::Desk(ada), json!({"do": "take"})).unwrap();
    assert_eq!(lab.agent(&chat), Some(ada));
    let again = lab.order(&chat, By::Desk(ada), json!({"do": "take"}));
    assert!(again.unwrap_err().contains("does not wait"));
}

#[test]
fn a_chat_comes_with_its_history_and_goes_on_from_there() {
    let mut lab = Lab::for_desks();
    let me = ClientKey("c".into());
    let chat = lab.customer("c");
    lab.send(&me, &chat, message("before"));
    let ada = lab.desk("Ada", 1);
    let told = lab.told(ada);
    let given = told.iter().find(|t| t["type"] == "chat").unwrap();
    let texts: Vec<_> = given["events"].as_array().unwrap().iter().filter_map(|e| e["msg"].as_str()).collect();
    assert_eq!(texts, ["before"]);
    let events = |told: &[Value]| -> Vec<String> {
        let of_type = told.iter().filter(|t| t["type"] == "event");
        of_type.map(|t| t["event"]["event"].as_str().unwrap().replace("chat_session_", "")).collect()
    };
    assert!(!events(&told).iter().any(|e| e == "message"), "nothing is told twice");
    lab.send(&me, &chat, message("after"));
    lab.order(&chat, By::Desk(ada), json!({"do": "message", "text": "yes"})).unwrap();
    assert_eq!(events(&lab.told(ada)), ["message", "message"]);
}

#[test]
fn signaling_passes_between_client_and_desk() {
    let mut lab = Lab::for_desks();
    let ada = lab.desk("Ada", 1);
    let me = ClientKey("c".into());
    let chat = lab.customer("c");
    let party = party_of(&lab, &chat);
    lab.news(&me, &chat);
    lab.told(ada);
    lab.send(&me, &chat, signal(&party, Signal::request_call(true)));
    let told = lab.told(ada);
    assert_eq!(types(&told), ["signal", "call"]);
    assert_eq!((&told[0]["data"]["type"], &told[1]["call"]["state"]), (&json!("REQUEST_CALL"), &json!("ringing")));
    assert_eq!(told[1]["call"]["video"], true);
    let offer = json!({"do": "signal", "data": {"type": "OFFER_CALL", "sdp": "v=0"}});
    lab.order(&chat, By::Desk(ada), offer).unwrap();
    let news = lab.news(&me, &chat);
    assert_eq!(signals(&news), [Signal::offer_call("v=0", false)]);
    assert_eq!(serde_json::to_value(&news[0]).unwrap()["party_id"], json!(party));
}

#[test]
fn a_desk_that_is_gone_ends_its_call_and_its_chat_waits() {
    let mut lab = Lab::for_desks();
    let ada = lab.desk("Ada", 1);
    let chat = call_up(&mut lab, ada, "c");
    lab.leave(ada);
    let news = lab.news(&ClientKey("c".into()), &chat);
    assert_eq!(names(&news), ["message", "signaling", "party_left", "status", "message"]);
    assert_eq!(signals(&news), [Signal::end_call()]);
    assert_eq!(lab.center.active_chat(&ClientKey("c".into())).unwrap().state, SessionState::Queued);
    let ben = lab.desk("Ben", 1);
    assert_eq!(lab.agent(&chat), Some(ben));
}

#[test]
fn the_chats_of_a_desk_that_is_gone_go_to_others() {
    let mut lab = Lab::for_desks();
    let (ada, ben) = (lab.desk("Ada", 2), lab.desk("Ben", 1));
    let chats = ["c", "d", "e"].map(|c| lab.customer(c));
    lab.leave(ada);
    let agents: Vec<_> = chats.iter().map(|c| lab.agent(c)).collect();
    assert_eq!(agents, [None, Some(ben), None]);
    assert_eq!(lab.center.queue.len(), 2);
    let mut lab = Lab::new(|_| ());
    let ada = lab.desk("Ada", 2);
    let chat = lab.customer("c");
    lab.leave(ada);
    assert!(lab.center.sessions[&chat].agent.is_some(), "a bot steps in");
}

#[test]
fn a_desk_has_one_call_at_a_time() {
    let mut lab = Lab::for_desks();
    let ada = lab.desk("Ada", 2);
    call_up(&mut lab, ada, "c");
    let other = lab.customer("d");
    let party = party_of(&lab, &other);
    lab.news(&ClientKey("d".into()), &other);
    let answer = lab.send(&ClientKey("d".into()), &other, signal(&party, Signal::request_call(false)));
    assert_eq!(signals(&answer), [Signal::call_rejected("486", "The agent is in another call")]);
    let offer = json!({"do": "signal", "data": {"type": "OFFER_CALL", "sdp": "v=0"}});
    assert!(lab.order(&other, By::Desk(ada), offer).unwrap_err().contains("another call"));
}

#[test]
fn a_chat_is_handed_to_another_desk() {
    let mut lab = Lab::for_desks();
    let (ada, ben) = (lab.desk("Ada", 2), lab.desk("Ben", 2));
    let chat = call_up(&mut lab, ada, "c");
    assert!(lab.order(&chat, By::Desk(ada), json!({"do": "transfer", "desk": 99})).is_err());
    lab.order(&chat, By::Desk(ada), json!({"do": "transfer", "desk": ben})).unwrap();
    assert_eq!(lab.agent(&chat), Some(ben));
    let news = lab.news(&ClientKey("c".into()), &chat);
    assert_eq!(names(&news), ["signaling", "party_left", "party_joined"]);
    let told = lab.told(ada);
    assert!(told.iter().any(|t| t["type"] == "gone" && t["reason"] == "transferred"), "{told:?}");
    // To whoever is free: not back to the one who hands over.
    lab.order(&chat, By::Desk(ben), json!({"do": "transfer"})).unwrap();
    assert_eq!(lab.agent(&chat), Some(ada));
}

#[test]
fn a_desk_acts_in_its_own_chats_alone() {
    let mut lab = Lab::for_desks();
    let (ada, ben) = (lab.desk("Ada", 1), lab.desk("Ben", 1));
    let chat = lab.customer("c");
    assert_eq!(lab.agent(&chat), Some(ada));
    let refused = lab.order(&chat, By::Desk(ben), json!({"do": "message", "text": "hi"}));
    assert!(refused.unwrap_err().contains("not at this desk"));
    assert!(lab.order("nowhere", By::Desk(ben), json!({"do": "end"})).is_err());
}

#[test]
fn wrapping_up_leaves_the_customer_with_the_survey() {
    let mut lab = Lab::for_desks();
    let ada = lab.desk("Ada", 1);
    let chat = lab.customer("c");
    lab.news(&ClientKey("c".into()), &chat);
    lab.told(ada);
    lab.order(&chat, By::Desk(ada), json!({"do": "disconnect"})).unwrap();
    assert_eq!(lab.names(&ClientKey("c".into()), &chat), ["party_left", "party_joined", "form_show"]);
    let told = lab.told(ada);
    assert!(told.iter().any(|t| t["type"] == "gone" && t["reason"] == "ended"));
}

#[test]
fn the_end_of_a_session_reaches_the_desk() {
    let mut lab = Lab::for_desks();
    let ada = lab.desk("Ada", 1);
    let chat = call_up(&mut lab, ada, "c");
    lab.send(&ClientKey("c".into()), &chat, json!([{"event": "chat_session_end"}]));
    let told = lab.told(ada);
    assert!(types(&told).contains(&"signal"), "the call ends: {told:?}");
    assert!(types(&told).contains(&"gone"));
    assert!(lab.center.desks()[0].chats.is_empty());
}

#[test]
fn what_a_secure_form_holds_is_told_to_nobody() {
    let mut lab = Lab::for_desks();
    let ada = lab.desk("Ada", 1);
    let chat = lab.customer("c");
    let form = json!([{"event": "chat_session_secure_form_data", "form_request_id": 1, "form_name": "payment",
                       "data": {"card": "no-id-holds-this"}, "card": "no-id-holds-this", "fields": [{"value": "no-id-holds-this"}]}]);
    lab.send(&ClientKey("c".into()), &chat, form);
    let told = serde_json::to_string(&lab.told(ada)).unwrap();
    let log = serde_json::to_string(&lab.center.log().after(0, None, LIMITS).entries).unwrap();
    for text in [told, log] {
        assert!(
            text.contains("secure_form_data") && text.contains("payment") && !text.contains("no-id-holds-this"),
            "{text}"
        );
    }
}

#[test]
fn a_call_that_only_rings_is_no_talk() {
    let mut lab = Lab::new(|c| {
        c.agents = Some(0);
        c.inactivity_timeout = Some(s(30));
    });
    let ada = lab.desk("Ada", 1);
    let chat = lab.customer("c");
    let party = party_of(&lab, &chat);
    lab.send(&ClientKey("c".into()), &chat, signal(&party, Signal::request_call(false)));
    lab.pass(s(31));
    let told = lab.told(ada);
    assert!(told.iter().any(|t| t["type"] == "gone"), "{told:?}");
}

#[test]
fn a_call_that_rings_for_a_minute_is_refused() {
    let mut lab = Lab::for_desks();
    let ada = lab.desk("Ada", 1);
    let me = ClientKey("c".into());
    let chat = lab.customer("c");
    let party = party_of(&lab, &chat);
    lab.news(&me, &chat);
    lab.send(&me, &chat, signal(&party, Signal::request_call(false)));
    lab.pass(s(59));
    assert!(lab.news(&me, &chat).is_empty());
    lab.pass(s(2));
    assert_eq!(signals(&lab.news(&me, &chat)), [Signal::call_rejected("480", "The agent did not answer")]);
    assert_eq!(lab.told(ada).last().unwrap()["call"]["state"], "idle");
}
