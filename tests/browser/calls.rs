//! How calls begin and end.
#![allow(clippy::unwrap_used)]

use crate::browser_support::Browser;
use crate::browser_support::customer::Customer;
use crate::common::{call, plan};
use crate::simulator_support::desk::Admin;
use crate::{center, in_call};
use chatphone::call::{CallEvent, EndedBy, Outcome};
use chatphone::phone::PhoneEvent;
use chatphone_media::audio::compare::tone_level;
use chatphone_media::audio::file::read_wav;
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_answers_a_call_and_both_hear_each_other() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada%20Miller", "tone=880&answer=auto").await;
    let dir = tempfile::tempdir().unwrap();
    let heard = dir.path().join("heard.wav");
    let mut plan = plan(&center.base_url());
    plan.sound.record = Some(heard.clone());
    plan.duration = Some(Duration::from_secs(5));
    let calling = tokio::spawn(call(plan));
    page.shows("call-state", "connected").await;
    let (hz, level) = page.hears().await;
    let summary = calling.await.unwrap();
    center.shutdown().await;

    assert_eq!(summary.outcome, Outcome::Completed, "{summary}");
    assert_eq!(summary.codec, Some("opus"));
    assert!((hz - 440.0).abs() < 10.0 && level > -40.0, "the page heard {hz} Hz at {level} dBFS");
    let sound = read_wav(&heard).unwrap();
    let end = &sound[sound.len() / 2..];
    assert!(tone_level(end, 880.0) > -30.0, "the customer heard 880 Hz at {} dBFS", tone_level(end, 880.0));
    assert!(tone_level(end, 440.0) < -50.0, "nothing comes back");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_desk_calls_the_customer() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let mut customer = Customer::new(&center, "Grace");
    customer.agent_joins().await;
    page.click("call-customer").await;
    page.shows("call-state", "calling").await;
    customer.call_is("ringing", |e| matches!(e, CallEvent::Ringing { video: false, .. })).await;
    customer.phone.accept();
    customer.hears_something().await;
    page.shows("call-state", "connected").await;
    let (hz, _) = page.hears().await;
    assert!((hz - 440.0).abs() < 10.0, "{hz}");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_declines_is_seen_to_decline() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let mut customer = Customer::new(&center, "Grace");
    customer.agent_joins().await;
    page.click("call-customer").await;
    customer.call_is("ringing", |e| matches!(e, CallEvent::Ringing { .. })).await;
    customer.phone.decline("not now");
    page.shows("call-state", "no call").await;
    assert_eq!(page.eval("globalThis.deskCall.peer.connectionState").await, "closed");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_desk_rejects_a_call_with_a_reason() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let mut customer = Customer::new(&center, "Grace");
    customer.agent_joins().await;
    customer.phone.request_call(None, false);
    page.click("reject").await;
    page.click("dialog-ok").await;
    let report = customer.call_report().await;
    assert_eq!((report.end.outcome, report.end.ended_by), (Outcome::Rejected, EndedBy::Remote), "{:?}", report.end);
    assert!(report.end.reason.contains("I cannot talk now"), "{}", report.end.reason);
    page.shows("call-state", "no call").await;
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn either_side_hangs_up_and_the_other_knows() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let mut customer = in_call(&center, &page).await;
    page.click("hang-up").await;
    let report = customer.call_report().await;
    assert_eq!((report.end.outcome, report.end.ended_by), (Outcome::Completed, EndedBy::Remote));
    page.shows("call-state", "no call").await;

    // And again in the same chat, the other way.
    customer.phone.request_call(None, false);
    page.click("answer").await;
    customer.hears_something().await;
    customer.phone.hang_up();
    page.shows("call-state", "no call").await;
    assert_eq!(customer.call_report().await.end.outcome, Outcome::Completed);
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_tab_ends_the_call_within_five_seconds() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let mut customer = in_call(&center, &page).await;
    page.close().await;
    let closed = Instant::now();
    let report = customer.call_report().await;
    assert_eq!((report.end.outcome, report.end.ended_by), (Outcome::Completed, EndedBy::Remote));
    assert!(closed.elapsed() < Duration::from_secs(5), "{:?}", closed.elapsed());
    // The chat goes on, with whoever comes next.
    browser.desk(&center, "Ben", "tone=880").await;
    assert_eq!(customer.agent_joins().await, "Ben");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_microphone_the_page_answers_with_silence() {
    let center = center().await;
    let browser = Browser::with_flags(&["--use-fake-ui-for-media-stream=deny"]).await;
    let page = browser.desk(&center, "Ada", "").await;
    page.shows("microphone", "silence").await;
    let _customer = in_call(&center, &page).await;
    let (hz, _) = page.hears().await;
    assert!((hz - 440.0).abs() < 10.0, "{hz}");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_makes_the_page_call() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let mut customer = Customer::new(&center, "Grace");
    customer.agent_joins().await;
    let admin = Admin::new(&center);
    let chat = admin.get("chats").await["chats"][0]["chat_id"].as_str().unwrap().to_owned();
    assert_eq!(admin.order(&chat, json!({"do": "call"})).await.0, 200);
    customer.call_is("ringing", |e| matches!(e, CallEvent::Ringing { .. })).await;
    customer.phone.accept();
    customer.hears_something().await;
    assert_eq!(admin.order(&chat, json!({"do": "dial", "keys": "7"})).await.0, 200);
    let digit = |event: &PhoneEvent| if let PhoneEvent::Digit(d) = event { Some(d.to_string()) } else { None };
    assert_eq!(customer.until("a key", digit).await, "7");
    // What the page measures can be read without it.
    page.shows("stats", "Codec").await;
    let call = admin.get(&format!("chats/{chat}")).await["chat"]["call"].clone();
    assert_eq!((&call["state"], &call["report"]["codec"]), (&json!("up"), &json!("opus/48000")));
    assert_eq!(admin.order(&chat, json!({"do": "hang_up"})).await.0, 200);
    assert_eq!(customer.call_report().await.end.outcome, Outcome::Completed);
    page.shows("call-state", "no call").await;
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_takes_one_call_at_a_time() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let mut customers = ["Grace", "Hedy"].map(|name| Customer::new(&center, name));
    for customer in &mut customers {
        customer.agent_joins().await;
        customer.phone.request_call(None, false);
    }
    // Both ring; the second to ring is the one that is shown.
    page.until("document.querySelectorAll('#mine .badge.is-ringing').length === 2").await;
    page.click("answer").await;
    page.shows("call-state", "connected").await;
    page.click_on("#mine .chat-item:not([aria-current])").await;
    page.click("answer").await;
    page.shows("toast", "in a call in another chat").await;
    // Once the first is over, the other can be had.
    page.click_on("#mine .chat-item:has(.is-up)").await;
    page.click("hang-up").await;
    page.click_on("#mine .chat-item:has(.is-ringing)").await;
    page.click("answer").await;
    page.shows("call-state", "connected").await;
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_is_refused_gives_the_buttons_back() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let mut customer = Customer::new(&center, "Grace");
    customer.agent_joins().await;
    customer.phone.request_call(None, false);
    page.until("document.getElementById('answer').offsetParent").await;
    // As if the page spoke of a call that is over.
    page.eval("globalThis.desk.chats.values().next().value.view.call.number -= 1").await;
    page.click("answer").await;
    page.shows("toast", "this call is over").await;
    page.eval("globalThis.desk.chats.values().next().value.view.call.number += 1").await;
    page.click("answer").await;
    customer.hears_something().await;
    page.shows("call-state", "connected").await;
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_the_page_does_not_know_is_hung_up() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let mut customer = Customer::new(&center, "Grace");
    customer.agent_joins().await;
    let admin = Admin::new(&center);
    let chat = admin.get("chats").await["chats"][0]["chat_id"].as_str().unwrap().to_owned();
    let offer = json!({"do": "signal", "data": {"type": "OFFER_CALL", "sdp": "v=0\r\n"}});
    assert_eq!(admin.order(&chat, offer).await.0, 200);
    customer.call_report().await;
    page.shows("call-state", "no call").await;
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_loaded_anew_takes_its_call_up_again() {
    let center = crate::common::center(|c| (c.agents, c.desk_grace) = (Some(0), Duration::from_secs(20))).await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let mut customer = in_call(&center, &page).await;
    page.web.refresh().await.unwrap();
    customer.call_is("the call back", |e| matches!(e, CallEvent::Restored { .. })).await;
    page.shows("call-state", "connected").await;
    let (hz, level) = page.hears().await;
    assert!((hz - 440.0).abs() < 10.0 && level > -40.0, "the page heard {hz} Hz at {level} dBFS");
    customer.phone.hang_up();
    let report = customer.call_report().await;
    assert_eq!((report.end.outcome, report.recovery.restorations), (Outcome::Completed, 1), "{:?}", report.end);
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_asks_for_the_call_that_there_is_needs_no_second_click() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let mut customer = in_call(&center, &page).await;
    // As if everything under the page's peer were gone: it closes without a word.
    page.eval("(globalThis.first = globalThis.deskCall).peer.close()").await;
    customer.call_is("the attempt", |e| matches!(e, CallEvent::Restoring { attempt: 1, .. })).await;
    customer.call_is("the call back", |e| matches!(e, CallEvent::Restored { attempt: 1, .. })).await;
    page.until("globalThis.deskCall !== globalThis.first").await;
    page.shows("call-state", "connected").await;
    let (hz, _) = page.hears().await;
    assert!((hz - 440.0).abs() < 10.0, "{hz}");
    center.shutdown().await;
}
