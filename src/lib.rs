//! A WebRTC softphone for contact centers: from a chat, over the Mobile/Web Messaging API, to a voice call.
//!
//! # The map
//!
//! Arrows run down: each layer knows the ones below it and none above.
//!
//! | layer | what it is |
//! |---|---|
//! | [`cli`] | the command line: one file a command, each a thin skin |
//! | [`phone`] | the facade: commands in, events out; one task owns a chat and its calls |
//! | [`check`] | the test before a call: probes of network, contact center, devices, and what they found in words |
//! | [`chat`], [`call`] | state machines without I/O, and the drivers that own their timers, requests and tasks |
//! | [`peer`] | one WebRTC audio peer and the clock of its sound: no signaling |
//! | [`api`] | the Messaging API: wire types, client, errors |
//! | [`network`] | what happens to this machine's network, and its sleep |
//! | `chatphone_media` | sources, sinks, codecs, jitter buffer: no HTTP, no signaling, no WebRTC |
//!
//! [`simulator`] is a contact center on this machine. It shares [`api`]'s wire types, [`peer`] and the media with the
//! phone, and none of its decisions, so that it does not share its mistakes.
//!
//! An event goes from the server's answer through [`api`] to [`chat`], which merges and orders, and on to the front end; a
//! signaling event turns off to [`call`]. A sample goes from a source through the encoder to the [`peer`], and from there
//! through jitter buffer and decoder to a sink. A file or a tone stands where a device stands: what a test measured is
//! what a customer hears.
//!
//! # A call in fifteen lines
//!
//! ```
//! use chatphone::api::{Client, ClientConfig, Identity};
//! use chatphone::cli::place::{CallPlan, place_call};
//! use chatphone::simulator::{Simulator, SimulatorConfig};
//! use std::{future::pending, time::Duration};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let center = Simulator::start(SimulatorConfig::default()).await?;
//! let who = Identity::ClientId("kiosk-7".into());
//! let client = Client::new(ClientConfig::new(center.base_url(), "demo", who))?;
//! let plan = CallPlan { duration: Some(Duration::from_millis(300)), ..CallPlan::new(client, "127.0.0.1".parse().ok()) };
//! let summary = place_call(plan, pending(), |event, _| println!("{event:?}")).await;
//! assert_eq!(summary.outcome.name(), "completed");
//! center.shutdown().await;
//! # Ok(())
//! # }
//! ```

pub mod api;
pub mod call;
pub mod chat;
pub mod check;
pub mod cli;
pub mod config;
pub mod network;
pub mod peer;
pub mod phone;
pub mod simulator;
