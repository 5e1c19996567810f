//! A browser at the agent's desk: what a customer of the real client has with a human (here: a headless Chromium) at the
//! other end.
#![allow(clippy::unwrap_used)]

mod browser_support;
mod common;
mod simulator_support;

use browser_support::customer::Customer;
use browser_support::{Browser, Page};
use chatphone::api::event::{ClientFile, ClientMessage, ClientTyping, FormData, Navigation};
use chatphone::call::{CallEvent, EndedBy, Outcome};
use chatphone::phone::PhoneEvent;
use chatphone::simulator::Simulator;
use chatphone_media::audio::compare::tone_level;
use chatphone_media::audio::file::read_wav;
use common::{call, plan};
use serde_json::json;
use std::time::{Duration, Instant};

/// A center with no bots: all chats are for desks.
async fn center() -> Simulator {
    common::center(|c| c.agents = Some(0)).await
}

/// A customer in a call that the desk's page answered.
async fn in_call(center: &Simulator, page: &Page<'_>) -> Customer {
    let mut customer = Customer::new(center, "Grace");
    customer.agent_joins().await;
    customer.phone.request_call(None, false);
    page.click("answer").await;
    customer.hears_something().await;
    page.shows("call-state", "connected").await;
    customer
}

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
async fn keys_are_heard_on_both_sides() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "sound=silence").await;
    let mut customer = in_call(&center, &page).await;
    page.click("keys").await;
    let mut heard = Vec::new();
    for key in ["4", "#"] {
        page.click_on(&format!("#keypad [data-key='{key}']")).await;
        let digit = |event: &PhoneEvent| if let PhoneEvent::Digit(d) = event { Some(d.to_string()) } else { None };
        heard.push(customer.until("a key", digit).await);
    }
    assert_eq!(heard, ["4", "#"]);
    customer.phone.dial("1w2#".parse().unwrap());
    page.until("document.getElementById('digits-in').textContent === '12#'").await;
    center.shutdown().await;
}

/// Waits until the level that the customer hears (0 to 1) is as it should be.
async fn hears_level(customer: &Customer, fits: impl Fn(f64) -> bool) {
    let wait = async {
        while !customer.phone.call_stats().await.is_some_and(|s| fits(s.media.receiver.audio_level)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(browser_support::PATIENCE, wait).await.expect("the level changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn mute_and_hold_silence_what_the_customer_hears() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let customer = in_call(&center, &page).await;
    for button in ["mute", "hold"] {
        for (pressed, audible) in [("true", false), ("false", true)] {
            page.click(button).await;
            assert_eq!(page.eval(&format!("document.getElementById('{button}').ariaPressed")).await, pressed);
            hears_level(&customer, |level| (level > 0.05) == audible).await;
        }
    }
    assert!(!customer.phone.state().held);
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn video_that_the_customer_does_not_take_leaves_the_sound_as_it_was() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let mut customer = in_call(&center, &page).await;
    for time in ["first", "second"] {
        page.click("video").await;
        let renegotiates = |e: &CallEvent| matches!(e, CallEvent::Renegotiating);
        customer.call_is(&format!("a {time} renegotiation"), renegotiates).await;
        page.until("globalThis.deskCall.peer.signalingState === 'stable'").await;
        page.shows("call-note", "takes no video").await;
        page.until("document.getElementById('video').ariaPressed === 'false'").await;
        let (hz, level) = page.hears().await;
        assert!((hz - 440.0).abs() < 10.0 && level > -40.0, "{time}: {hz} Hz at {level} dBFS");
    }
    page.click("hang-up").await;
    assert_eq!(customer.call_report().await.end.outcome, Outcome::Completed);
    center.shutdown().await;
}

/// A second browser tab as the customer, whose signaling the test carries: for what the product's phone does not do.
struct BrowserCustomer<'a> {
    page: Page<'a>,
    chat: simulator_support::Chat,
}

impl<'a> BrowserCustomer<'a> {
    async fn connect(browser: &'a Browser, center: &Simulator) -> Self {
        // Any page of an origin that is allowed a camera.
        let page = browser.open(&format!("{}/desk", center.base_url())).await;
        page.eval_async(
            "globalThis.devices = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });\
             globalThis.pc = new RTCPeerConnection();\
             const context = new AudioContext();\
             const out = new MediaStreamAudioDestinationNode(context);\
             const tone = new OscillatorNode(context, { frequency: 440 });\
             tone.connect(out);\
             tone.start();\
             pc.addTrack(out.stream.getAudioTracks()[0]);",
        )
        .await;
        let client = simulator_support::Client::new(center, "browser");
        let id = client.request_chat().await["chat_id"].as_str().unwrap().to_owned();
        let mut chat = simulator_support::Chat { client, id, party: String::new(), events: Vec::new() };
        chat.party = chat.until("chat_session_party_joined").await["party_id"].as_str().unwrap().to_owned();
        Self { page, chat }
    }

    /// Answers the desk's next offer, with all candidates in the answer. Gives the offer's `offerVideo`.
    async fn answer(&mut self) -> bool {
        let offer = self.chat.until_signal("OFFER_CALL").await;
        let body = format!(
            "await pc.setRemoteDescription({{ type: 'offer', sdp: {} }});\
             await pc.setLocalDescription();\
             while (pc.iceGatheringState !== 'complete') await new Promise((r) => setTimeout(r, 20));\
             return pc.localDescription.sdp;",
            offer["sdp"]
        );
        let sdp = self.page.eval_async(&body).await;
        self.chat.signal(json!({"type": "ANSWER_CALL", "sdp": sdp})).await;
        offer["offerVideo"].as_bool().unwrap()
    }

    /// Renegotiates from the customer's side.
    async fn offer(&mut self, change: &str) {
        let body = format!("{change}; await pc.setLocalDescription(); return pc.localDescription.sdp;");
        let sdp = self.page.eval_async(&body).await;
        self.chat.signal(json!({"type": "OFFER_CALL", "offerVideo": true, "sdp": sdp})).await;
        let answer = self.chat.until_signal("ANSWER_CALL").await;
        let body = format!("await pc.setRemoteDescription({{ type: 'answer', sdp: {} }});", answer["sdp"]);
        self.page.eval_async(&body).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn video_is_added_on_either_side_and_removed_again() {
    let center = center().await;
    let browser = Browser::start().await;
    let desk = browser.desk(&center, "Ada", "tone=880&answer=auto").await;
    let mut customer = BrowserCustomer::connect(&browser, &center).await;
    customer.chat.signal(json!({"type": "REQUEST_CALL", "offerVideo": false})).await;
    assert!(!customer.answer().await, "no video at first");
    desk.shows("call-state", "connected").await;

    desk.click("video").await;
    assert!(customer.answer().await);
    customer.page.until("pc.getReceivers().some((r) => r.track.kind === 'video' && !r.track.muted)").await;
    desk.until("document.getElementById('local-video').videoWidth > 0").await;

    customer.offer("globalThis.camera = pc.addTrack(devices.getVideoTracks()[0])").await;
    desk.until("document.getElementById('remote-video').videoWidth > 0").await;
    customer.offer("pc.removeTrack(camera)").await;
    desk.until("document.getElementById('remote-video').hidden").await;

    desk.click("video").await;
    assert!(!customer.answer().await);
    desk.until("document.getElementById('videos').hidden").await;
    customer
        .page
        .until(
            "pc.getTransceivers().every((t) => t.receiver.track.kind === 'audio' || t.currentDirection === 'inactive')",
        )
        .await;
    desk.shows("call-state", "connected").await;
    let (hz, level) = desk.hears().await;
    assert!((hz - 440.0).abs() < 10.0 && level > -40.0, "{hz} Hz at {level} dBFS");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_makes_the_page_call() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let mut customer = Customer::new(&center, "Grace");
    customer.agent_joins().await;
    let admin = simulator_support::desk::Admin::new(&center);
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
    let mut secret = chatphone::api::event::SecureFormData::default();
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
    std::fs::write(&path, include_bytes!("../src/simulator/photos/agent1.png")).unwrap();
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
async fn the_page_fits_a_small_screen_and_a_tablet() {
    let center = center().await;
    let browser = Browser::start().await;
    let sign_in = browser.open(&format!("{}/desk", center.base_url())).await;
    fits(&sign_in, "sign-in", &[(1280, 800), (768, 1024)]).await;
    let page = browser.desk(&center, "Ada%20Miller", "tone=880&capacity=1").await;
    let mut customer = Customer::new(&center, "Grace");
    customer.agent_joins().await;
    let _waiting = Customer::new(&center, "Hedy");
    page.shows("waiting-count", "1").await;
    let text = "Hello, my router blinks red since this morning.";
    customer.phone.send(ClientMessage { msg: text.into(), ..Default::default() });
    customer.phone.send(Navigation {
        title: "Help".into(),
        page: "https://shop.example/help".into(),
        ..Default::default()
    });
    page.write("text", "Let us have a look together.").await;
    page.click("send").await;
    page.click("form").await;
    page.click("dialog-ok").await;
    customer.phone.request_call(None, true);
    page.until("document.getElementById('answer').offsetParent").await;
    fits(&page, "ringing", &[(1280, 800), (1024, 768)]).await;
    page.click("answer").await;
    page.shows("stats", "Codec").await;
    page.click("keys").await;
    fits(&page, "in-call", &[(1280, 800), (1024, 768), (768, 1024)]).await;
    center.shutdown().await;
}

/// Whether nothing is cut off at some sizes. Pictures stay in a folder named by the environment, to be looked at.
async fn fits(page: &Page<'_>, what: &str, sizes: &[(u32, u32)]) {
    let folder = std::env::var_os("CHATPHONE_SCREENSHOTS").map(std::path::PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    for (width, height) in sizes {
        let path = folder.as_deref().unwrap_or(temporary.path()).join(format!("desk-{what}-{width}x{height}.png"));
        page.screenshot(*width, *height, &path).await;
        page.until("document.documentElement.scrollWidth <= innerWidth").await;
        let cut = "[...document.querySelectorAll('button, .pill')]\
                   .filter((e) => e.offsetParent && e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent)";
        assert_eq!(page.eval(cut).await, json!([]), "texts are cut off at {width}x{height}");
    }
}
