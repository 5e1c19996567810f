//! Conversations, and several desks that share them.
#![allow(clippy::unwrap_used)]

use crate::browser_support::Browser;
use crate::browser_support::customer::Customer;
use crate::center;
use chatphone::api::event::{ClientFile, ClientMessage, ClientTyping, FormData, Navigation, SecureFormData};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn desk_and_customer_write_to_each_other() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada%20Miller", "tone=880").await;
    let mut customer = Customer::new(&center, "Grace");
    assert_eq!(customer.agent_joins().await, "Ada Miller");
    page.shows("customer", "4711").await;

    customer.phone.send(ClientTyping::default());
    page.shows("typing", "is typing").await;
    let nasty = "<img src=x onerror=\"document.title='owned'\"><b>hello</b>";
    customer.phone.send(ClientMessage { msg: nasty.into(), ..Default::default() });
    page.shows("log", nasty).await;
    assert_eq!(page.eval("document.querySelectorAll('#log img, #log b').length").await, 0);
    page.until("document.getElementById('typing').textContent === ''").await;
    customer.phone.send(Navigation {
        title: "Prices".into(),
        page: "https://shop.example/p".into(),
        ..Default::default()
    });
    page.shows("pages", "Prices").await;

    page.write("text", "Good morning").await;
    customer.gets("chat_session_typing").await;
    page.click("send").await;
    customer.gets("chat_session_not_typing").await;
    assert_eq!(customer.gets("chat_session_message").await["msg"], "Good morning");
    page.shows("log", "Good morning").await;

    customer.phone.end();
    page.shows("chat-state", "over").await;
    page.shows("log", "The chat is over").await;
    page.click("end").await;
    page.until("document.getElementById('no-chat').offsetParent").await;
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_files_and_places_go_both_ways() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let mut customer = Customer::new(&center, "Grace");
    customer.agent_joins().await;

    page.click("form").await;
    page.click("dialog-ok").await;
    let form = customer.gets("chat_session_form_show").await;
    assert_eq!(form["form_name"], "contact");
    let mut answer =
        FormData { form_request_id: form["form_request_id"].as_str().map(Into::into), ..Default::default() };
    answer.data.insert("city".into(), json!("Utrecht"));
    customer.phone.send(answer);
    page.shows("log", "city: Utrecht").await;

    page.click("secure-form").await;
    page.click("dialog-ok").await;
    customer.gets("chat_session_secure_form_show").await;
    let mut secret = SecureFormData::default();
    secret.data.insert("card".into(), json!("4111111111111111"));
    customer.phone.send(secret);
    page.shows("log", "The secure form has arrived").await;
    assert_eq!(page.eval("document.documentElement.outerHTML.includes('4111')").await, false);

    page.click("location").await;
    page.click("dialog-ok").await;
    assert_eq!(customer.gets("chat_session_location").await["latitude"], 52.5163);
    page.click("cobrowse").await;
    customer.gets("chat_session_cobrowsing_requested").await;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("photo.png");
    std::fs::write(&path, include_bytes!("../../src/simulator/photos/agent1.png")).unwrap();
    page.write("file", path.to_str().unwrap()).await;
    let file = customer.gets("chat_session_file").await;
    assert_eq!((&file["file_type"], &file["file_name"]), (&json!("image"), &json!("photo.png")));
    customer.phone.send_file(&path, |_, _| {}).await.unwrap();
    page.until("[...document.querySelectorAll('#log .customer img')].some((i) => i.complete && i.naturalWidth > 0)")
        .await;
    customer.phone.send(ClientFile { file_type: "attachment".into(), file_id: "gone".into(), ..Default::default() });
    page.shows("log", "gone").await;
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_desks_share_the_chats() {
    let center = center().await;
    let browser = Browser::start().await;
    let ada = browser.desk(&center, "Ada", "tone=880&capacity=1").await;
    let ben = browser.desk(&center, "Ben", "tone=880&capacity=1").await;
    let mut customers: Vec<_> = ["Grace", "Hedy", "Ivan"].iter().map(|name| Customer::new(&center, name)).collect();
    // Which customer comes first is left to chance; each desk has one, and one waits.
    for page in [&ada, &ben] {
        page.shows("mine-count", "1").await;
        page.shows("waiting-count", "1").await;
    }
    ada.click_on("#waiting [data-take]").await;
    ada.shows("mine-count", "2").await;
    ben.shows("waiting-count", "0").await;
    // Ada hands the chat she looks at over to Ben.
    ada.click("transfer").await;
    ada.eval("(s => { s.value = [...s.options].find((o) => o.text === 'Ben').value; })(document.getElementById('field-desk'))").await;
    ada.click("dialog-ok").await;
    ben.shows("mine-count", "2").await;
    ben.close().await;
    // Ben's chats come back to who is there, or wait.
    ada.until("Number(document.getElementById('mine-count').textContent) + Number(document.getElementById('waiting-count').textContent) === 3").await;
    for customer in &mut customers {
        customer.agent_joins().await;
    }
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_comes_back_to_the_only_desk_goes_on_there() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let mut customer = Customer::new(&center, "Grace");
    customer.agent_joins().await;
    page.click("transfer").await;
    page.click("dialog-ok").await;
    assert_eq!(customer.agent_joins().await, "Ada");
    page.shows("mine-count", "1").await;
    page.write("text", "Here I am again").await;
    page.click("send").await;
    assert_eq!(customer.gets("chat_session_message").await["msg"], "Here I am again");
    customer.phone.send(ClientMessage { msg: "good to read you".into(), ..Default::default() });
    page.shows("log", "good to read you").await;
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_another_chat_takes_nothing_from_who_is_writing() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let mut grace = Customer::new(&center, "Grace");
    grace.agent_joins().await;
    page.shows("chat-title", "Grace").await;
    let mut hedy = Customer::new(&center, "Hedy");
    hedy.agent_joins().await;
    page.shows("mine-count", "2").await;
    page.write("text", "For Grace").await;
    hedy.phone.request_call(None, false);
    page.shows("caller", "Hedy calls").await;
    page.shows("chat-title", "Grace").await;
    page.click("send").await;
    assert_eq!(grace.gets("chat_session_message").await["msg"], "For Grace");
    // The answer to a dialog goes where it was opened, too.
    page.click("form").await;
    page.eval("globalThis.desk.select([...globalThis.desk.chats.values()].find((c) => c.view.customer === 'Hedy'))")
        .await;
    page.click("dialog-ok").await;
    assert_eq!(grace.gets("chat_session_form_show").await["form_name"], "contact");
    center.shutdown().await;
}
