//! A browser at the agent's desk: what a customer of the real client has with a human (here: a headless Chromium) at the
//! other end.
#![allow(clippy::unwrap_used)]

mod browser_support;
mod common;

use browser_support::Browser;
use chatphone::call::Outcome;
use chatphone::phone::PhoneEvent;
use chatphone::simulator::Simulator;
use chatphone_media::audio::compare::tone_level;
use chatphone_media::audio::file::read_wav;
use common::{call, call_watched, plan};
use std::time::Duration;

/// A center with no bots: all chats are for desks.
async fn center() -> Simulator {
    common::center(|c| c.agents = Some(0)).await
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
    eprintln!("{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_tab_ends_the_call_within_five_seconds() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880&answer=auto").await;
    let mut plan = plan(&center.base_url());
    plan.duration = None;
    let (connected, is_connected) = tokio::sync::oneshot::channel();
    let mut connected = Some(connected);
    let calling = tokio::spawn(async move {
        call_watched(plan, |event, _| {
            if let PhoneEvent::Call(chatphone::call::CallEvent::MediaFlowing) = event {
                connected.take().map(|c| c.send(()));
            }
        })
        .await
    });
    is_connected.await.unwrap();
    page.close().await;
    let closed = std::time::Instant::now();
    let summary = calling.await.unwrap();
    let took = closed.elapsed();
    center.shutdown().await;
    assert_eq!(summary.outcome, Outcome::Completed, "{summary}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}
