//! What happens in a call: keys, mute and hold, video that comes and goes.
#![allow(clippy::unwrap_used)]

use crate::browser_support::customer::Customer;
use crate::browser_support::{Browser, PATIENCE, Page};
use crate::simulator_support::{Chat, Client};
use crate::{center, in_call};
use chatphone::call::{CallEvent, Outcome};
use chatphone::phone::PhoneEvent;
use chatphone::simulator::Simulator;
use serde_json::json;
use std::time::Duration;

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
    // A key is heard again behind a gap that the machine's load makes in it.
    page.until("/^1+2+#+$/.test(document.getElementById('digits-in').textContent)").await;
    center.shutdown().await;
}

/// Waits until the level that the customer hears (0 to 1) is as it should be.
async fn hears_level(customer: &Customer, fits: impl Fn(f64) -> bool) {
    let wait = async {
        while !customer.phone.call_stats().await.is_some_and(|s| fits(s.media.receiver.audio_level)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the level changes");
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
        // The click takes away what the page said the time before.
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
    chat: Chat,
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
        let client = Client::new(center, "browser");
        let id = client.request_chat().await["chat_id"].as_str().unwrap().to_owned();
        let mut chat = Chat { client, id, party: String::new(), events: Vec::new() };
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

    /// Offers from the customer's side: a call, or a change of it.
    async fn offer(&mut self, change: &str) {
        let body = format!(
            "{change}; await pc.setLocalDescription();\
             while (pc.iceGatheringState !== 'complete') await new Promise((r) => setTimeout(r, 20));\
             return pc.localDescription.sdp;"
        );
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
    for held in [true, false] {
        desk.click("hold").await;
        assert_eq!(desk.eval("globalThis.deskCall.camera.enabled").await, !held, "no picture is sent on hold");
    }

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
async fn a_customer_that_offers_the_call_itself_is_answered() {
    let center = center().await;
    let browser = Browser::start().await;
    let desk = browser.desk(&center, "Ada", "tone=880&answer=auto").await;
    let mut customer = BrowserCustomer::connect(&browser, &center).await;
    customer.offer("").await;
    desk.shows("call-state", "connected").await;
    let (hz, level) = desk.hears().await;
    assert!((hz - 440.0).abs() < 10.0 && level > -40.0, "{hz} Hz at {level} dBFS");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_microphone_is_what_the_customer_hears() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "").await;
    page.until("document.getElementById('microphone').innerText === 'microphone'").await;
    let customer = in_call(&center, &page).await;
    hears_level(&customer, |level| level > 0.01).await;
    // It is pulled out, and there again for the next call.
    page.click("hang-up").await;
    page.eval("globalThis.desk.sound.track.stop()").await;
    customer.phone.request_call(None, false);
    page.click("answer").await;
    hears_level(&customer, |level| level > 0.01).await;
    center.shutdown().await;
}
