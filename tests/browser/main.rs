//! A browser at the agent's desk: what a customer of the real client has with a human (here: a headless Chromium) at the
//! other end.
#![allow(clippy::unwrap_used)]

#[path = "../browser_support/mod.rs"]
mod browser_support;
#[path = "../common/mod.rs"]
mod common;
#[path = "../simulator_support/mod.rs"]
mod simulator_support;

mod calls;
mod chats;
mod in_call;
mod page;

use browser_support::Page;
use browser_support::customer::Customer;
use chatphone::simulator::Simulator;

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
