//! What an agent's side can say wrongly in the signaling of a call.

use crate::bad_input_support::agent::Agent;
use crate::bad_input_support::center::{Center, Seen};
use crate::bad_input_support::{Home, Running, grown, wav_bytes, within};
use chatphone::api::{Client, ClientConfig, Identity};
use chatphone::call::{CallEvent, Outcome};
use chatphone::cli::place::{CallPlan, place_call};
use chatphone::phone::{EndChat, PhoneEvent};
use serde_json::{Value, json};
use std::time::Duration;

/// A call that was asked for.
async fn asked(flags: &[&str]) -> (Home, Center, Running) {
    let (home, mut center) = (Home::new(), Center::with_agent().await);
    let running = Running::start(home.call(&center.url, flags));
    center.signaled("REQUEST_CALL").await;
    (home, center, running)
}

#[tokio::test]
async fn call_rejected_says_why() {
    for (rejection, reason) in [
        (json!({"type": "CALL_REJECTED", "reason_code": 486, "reason": "in a meeting"}), ": in a meeting"),
        (json!({"type": "CALL_REJECTED", "reason_code": "603"}), ": 603"),
        (json!({"type": "CALL_REJECTED"}), ""),
        (json!({"type": "CALL_REJECTED", "reason": "a\u{1b}[2Jb\nc"}), ": a[2Jbc"),
        (json!({"type": "CALL_REJECTED", "reason": {"odd": [1]}, "reason_code": null}), ""),
    ] {
        let (_home, center, running) = asked(&[]).await;
        center.signal(rejection.clone());
        let report = running.end().await.failed("rejected");
        let text = report["reason"].as_str().unwrap();
        assert!(text.starts_with("the agent rejected the call") && text.ends_with(reason), "{rejection} gave {text}");
        assert_eq!(report["party"], json!({"id": "agent-1", "name": "Ann"}));
    }
}

#[tokio::test]
async fn no_answer_within_the_time_limit() {
    let (_home, mut center, running) = asked(&["--answer-within", "300ms"]).await;
    let report = running.end().await.failed("no_answer");
    assert_eq!(report["reason"], "the agent did not offer the call within 0.3 s");
    assert_eq!(center.so_far(), ["END_CALL", "chat_session_end"]);
}

#[tokio::test]
async fn end_call_instead_of_an_offer() {
    let (_home, mut center, running) = asked(&[]).await;
    center.signal(json!({"type": "END_CALL"}));
    let report = running.end().await.failed("rejected");
    assert_eq!(report["reason"], "the agent ended the call without offering it");
    assert!(center.so_far().contains(&"chat_session_end".to_owned()));
}

/// An offer of a browser that is no longer there.
fn plausible_offer() -> String {
    let lines = [
        "v=0",
        "o=- 46 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        "a=ice-ufrag:4ZcD",
        "a=ice-pwd:2/1muCWoOi3uLifh0NuRHlqp",
        "a=fingerprint:sha-256 75:74:5A:A6:A4:E5:52:F4:A7:67:4C:01:C7:EE:91:3F:21:3D:A2:E3:53:7B:6F:30:86:F2:30:AA:\
         65:FB:04:24",
        "a=setup:actpass",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
        "",
    ];
    lines.join("\r\n")
}

#[tokio::test]
async fn end_call_before_the_answer_and_while_connecting() {
    // Together with the offer: whatever was done about the offer by then, the call is over.
    let (_home, center, running) = asked(&[]).await;
    center.signal(json!({"type": "OFFER_CALL", "sdp": plausible_offer()}));
    center.signal(json!({"type": "END_CALL"}));
    let report = running.end().await.failed("failed");
    assert_eq!(report["reason"], "the agent ended the call before it was connected");

    let (_home, mut center, running) = asked(&[]).await;
    center.signal(json!({"type": "OFFER_CALL", "sdp": plausible_offer()}));
    center.signaled("ANSWER_CALL").await;
    center.signal(json!({"type": "END_CALL"}));
    let report = running.end().await.failed("failed");
    assert_eq!(report["reason"], "the agent ended the call before it was connected");
    // The vendor's client answers END_CALL by END_CALL.
    let sent = center.so_far();
    assert!(sent.ends_with(&["END_CALL".to_owned(), "chat_session_end".to_owned()]), "{sent:?}");
}

#[tokio::test]
async fn an_offer_of_nonsense() {
    let plausible = plausible_offer();
    let without = |line: &str| {
        let lines = plausible.split("\r\n").filter(|l| !l.starts_with(line)).collect::<Vec<_>>();
        assert!(lines.len() < plausible.split("\r\n").count(), "{line} was there");
        json!(lines.join("\r\n"))
    };
    for (sdp, words) in [
        (Value::Null, "it is empty"),
        (json!(""), "it is empty"),
        (json!("hello"), "it is no SDP"),
        (json!(7), "it is empty"),
        (json!({"type": "offer"}), ""),
        (json!("v=0\r\n\u{1b}[2J\0\r\n"), "it is no SDP"),
        (json!("v=0\r\n".repeat(60_000)), "kB long"),
        (without("m="), "it is no SDP"),
        (json!(plausible.replace("m=audio 9", "m=audio 0")), "no audio section"),
        (json!(plausible.replace("opus/48000/2", "speex/16000")), "no codec in common"),
        (json!(plausible.replace("opus/48000/2", "\u{1b}[31m/8000")), "no codec in common"),
        (without("a=fingerprint"), "fingerprint"),
        (without("a=ice-ufrag"), ""),
        (without("a=ice-pwd"), ""),
        (json!(plausible.replace("75:74", "GG")), ""),
        (json!(plausible.replace("a=setup:actpass", "a=setup:sideways")), ""),
        (json!(plausible[..plausible.len() / 2]), ""),
    ] {
        let (_home, mut center, running) = asked(&["--duration", "300ms"]).await;
        center.signal(json!({"type": "OFFER_CALL", "offerVideo": "perhaps", "sdp": sdp}));
        if words.is_empty() {
            // What it lacks may be found out by the connection alone: hang up then.
            if center.first_of(&["ANSWER_CALL", "chat_session_end"]).await == "ANSWER_CALL" {
                center.signal(json!({"type": "END_CALL"}));
            }
        }
        let (ran, took) = running.end_timed().await;
        let report = ran.failed("failed");
        assert!(report["reason"].as_str().unwrap().contains(words), "{sdp:?} gave {report}");
        assert!(took < Duration::from_secs(15), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn candidates_that_do_not_parse_stop_nothing() {
    let (home, mut center, mut running) = asked(&["--record", "heard.wav"]).await;
    let bad = [
        json!({"type": "ICE_CANDIDATE", "candidate": "nonsense", "sdpMid": "0", "sdpMLineIndex": 0}),
        json!({"type": "ICE_CANDIDATE", "candidate": "candidate:1 1 udp", "sdpMid": "0"}),
        json!({"type": "ICE_CANDIDATE", "candidate": "candidate:1 1 udp 99999999999 1.2.3.4 99999 typ host"}),
        json!({"type": "ICE_CANDIDATE", "candidate": "candidate:1 1 udp 1 not-an-address 5000 typ host"}),
        json!({"type": "ICE_CANDIDATE", "candidate": "candidate:1 1 udp 1 nobody.local 5000 typ host", "sdpMid": "0"}),
        json!({"type": "ICE_CANDIDATE", "candidate": "candidate:1 1 udp 1 1.2.3.4 5000 typ host", "sdpMid": "video"}),
        json!({"type": "ICE_CANDIDATE", "candidate": "candidate:1 1 udp 1 1.2.3.4 5000 typ host", "sdpMLineIndex": "9"}),
        json!({"type": "ICE_CANDIDATE", "candidate": "candidate:1 1 udp 1 1.2.3.4 5000 typ host", "sdpMLineIndex": -1}),
        json!({"type": "ICE_CANDIDATE", "candidate": {"odd": 1}}),
        json!({"candidate": "", "sdpMid": "0", "sdpMLineIndex": "0"}),
        json!({"type": "ICE_CANDIDATE"}),
    ];
    for candidate in &bad {
        center.signal(candidate.clone());
    }
    // The good ones are somewhere between them, and come before the offer they belong to.
    let mut agent = Agent::new(center.voice()).await;
    let answered = agent.call(&mut center);
    within(answered).await;
    for candidate in &bad {
        center.signal(candidate.clone());
    }
    running.until("call_connected").await;
    grown(&home.file("heard.wav"), wav_bytes(1) / 2).await;
    center.signal(json!({"type": "END_CALL"}));
    let report = running.end().await.completed();
    assert_eq!(report["reason"], "the agent hung up");
    assert!(report["received"]["packets"].as_u64().unwrap() > 10, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn signaling_that_fits_nowhere_stops_nothing() {
    let (_home, mut center, mut running) = asked(&[]).await;
    let odd = [
        json!({"type": "ANSWER_CALL", "sdp": "nonsense"}),
        json!({"type": "REQUEST_CALL"}),
        json!({"type": "DANCE"}),
        json!({}),
        json!("text"),
        json!([1]),
    ];
    odd.iter().for_each(|signal| center.signal(signal.clone()));
    let mut agent = Agent::new(center.voice()).await;
    agent.call(&mut center).await;
    running.until("call_media_flowing").await;
    odd.iter().for_each(|signal| center.signal(signal.clone()));
    // Nonsense for a renegotiation leaves the call as it was, and so does a rejection of nothing.
    center.signal(json!({"type": "OFFER_CALL", "sdp": "nonsense"}));
    running.until("call_renegotiation_failed").await;
    center.signal(json!({"type": "CALL_REJECTED", "reason": "late"}));
    center.signal(json!({"type": "END_CALL"}));
    running.end().await.completed();
}

#[tokio::test(flavor = "multi_thread")]
async fn ice_servers_of_nonsense_are_left_out() {
    for (left_out, servers) in [
        (3, json!({"servers": [{"url": "nonsense"}, {"url": ""}, {"urls": ["ftp://a", "stun:"]}]})),
        (
            2,
            json!({"servers": [{"url": "turn:127.0.0.1:9"}, {"url": "turn:127.0.0.1:9?transport=sctp", "username": 7}]}),
        ),
        (1, json!({"servers": [{"url": "stun:127.0.0.1:99999"}, {"urls": {"odd": 1}}, {}, 7, null]})),
        (1, json!({"servers": "none"})),
        (1, json!([])),
    ] {
        let (_home, mut center) = (Home::new(), Center::with_agent().await);
        center.set_ice_servers(servers.clone());
        let mut running = Running::start(_home.call(&center.url, &[]));
        center.signaled("REQUEST_CALL").await;
        let mut agent = Agent::new(center.voice()).await;
        let connected = async {
            agent.call(&mut center).await;
            running.until("call_connected").await;
        };
        tokio::time::timeout(Duration::from_secs(30), connected).await.unwrap_or_else(|_| panic!("{servers}"));
        center.signal(json!({"type": "END_CALL"}));
        let report = running.end().await.completed();
        let problems = report["problems"].as_array().unwrap();
        assert_eq!(problems.len(), left_out, "{servers} gave {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_never_returns_is_given_up_and_made_again_and_a_call_goes_on() {
    let mut center = Center::with_agent().await;
    let mut config = ClientConfig::new(&center.url, "app", Identity::ClientId("c".into()));
    config.poll_timeout = Duration::from_millis(500);
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let plan = CallPlan {
        wait: Duration::from_secs(30),
        end_chat: EndChat::Always,
        ..CallPlan::new(Client::new(config).unwrap(), Some([127, 0, 0, 1].into()))
    };
    let call = tokio::spawn(place_call(plan, std::future::pending(), move |event, _| {
        if let PhoneEvent::Call(event) = event {
            tell.send(event.clone()).ok();
        }
    }));
    center.signaled("REQUEST_CALL").await;
    let mut agent = Agent::new(center.voice()).await;
    agent.call(&mut center).await;
    while within(told.recv()).await.unwrap() != CallEvent::MediaFlowing {}
    center.hold_polls(true);
    for _ in 0..3 {
        while center.next().await != Seen::PollHeld {}
    }
    center.hold_polls(false);
    center.signal(json!({"type": "END_CALL"}));
    let summary = within(call).await.unwrap();
    assert_eq!((summary.outcome, summary.reason.as_str()), (Outcome::Completed, "the agent hung up"));
}
