//! The page itself: its size, and its connection.
#![allow(clippy::unwrap_used)]

use crate::browser_support::customer::Customer;
use crate::browser_support::{Browser, Page};
use crate::center;
use chatphone::api::event::{ClientMessage, Navigation};
use chatphone::simulator::{Simulator, SimulatorConfig};
use serde_json::json;
use std::path::PathBuf;

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
    let folder = std::env::var_os("CHATPHONE_SCREENSHOTS").map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    for (width, height) in sizes {
        let path = folder.as_deref().unwrap_or(temporary.path()).join(format!("desk-{what}-{width}x{height}.png"));
        page.screenshot(*width, *height, &path).await;
        page.until("document.documentElement.scrollWidth <= innerWidth").await;
        let cut = "[...document.querySelectorAll('button, .pill')]\
                   .filter((e) => e.offsetParent && e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent)";
        assert_eq!(page.eval(cut).await, json!([]), "texts are cut off at {width}x{height}");
    }
    let nameless = "[...document.querySelectorAll('button, input, select, textarea, meter, video, dialog, ol, ul')]\
                    .filter((e) => !e.textContent.trim() && !e.labels?.length && !e.ariaLabel && !e.getAttribute('aria-labelledby'))\
                    .map((e) => e.outerHTML)";
    assert_eq!(page.eval(nameless).await, json!([]), "each control has a name for who does not see it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_signs_in_again_when_the_simulator_was_started_anew() {
    let first = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&first, "Ada", "tone=880").await;
    let mut customer = Customer::new(&first, "Grace");
    customer.agent_joins().await;
    page.shows("mine-count", "1").await;
    let listen = first.addr();
    first.shutdown().await;
    page.shows("connection", "trying again").await;
    page.shows("mine-count", "0").await;
    let second = Simulator::start(SimulatorConfig { listen, agents: Some(0), ..Default::default() }).await.unwrap();
    page.until("document.getElementById('connection').innerText === 'connected'").await;
    let mut customer = Customer::new(&second, "Hedy");
    assert_eq!(customer.agent_joins().await, "Ada");
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sent_is_there_again_after_the_connection_broke() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880").await;
    let mut customer = Customer::new(&center, "Grace");
    customer.agent_joins().await;
    page.write("text", "Half a thought").await;
    page.eval("globalThis.desk.breakConnection()").await;
    assert_eq!(customer.agent_joins().await, "Ada");
    page.until("document.getElementById('text').value === 'Half a thought'").await;
    page.click("send").await;
    loop {
        if customer.gets("chat_session_message").await["msg"] == "Half a thought" {
            break;
        }
    }
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_focus_stays_where_it_can_be_used() {
    let center = center().await;
    let browser = Browser::start().await;
    let page = browser.desk(&center, "Ada", "tone=880&ready=no").await;
    let (_first, _second) = (Customer::new(&center, "Grace"), Customer::new(&center, "Hedy"));
    page.shows("waiting-count", "2").await;
    page.eval("document.querySelector('#waiting [data-take]').focus()").await;
    let third = Customer::new(&center, "Ivan");
    page.shows("waiting-count", "3").await;
    page.until("document.activeElement.dataset.take").await;
    drop(third);
    page.click_on("#waiting [data-take]").await;
    page.shows("mine-count", "1").await;
    page.until("document.activeElement.dataset.chatId").await;
    center.shutdown().await;
}
