//! A whole chat and a call with the ways of real servers: with each of them alone, and with all at once.
#![allow(clippy::unwrap_used)]

mod common;

use chatphone::api::ServerEvent;
use chatphone::api::event::{ClientFormData, ClientMessage, FormData};
use chatphone::call::{CallEvent, CallSetup, Outcome, SoundSpec};
use chatphone::chat::{ChatEvent, SessionConfig};
use chatphone::peer::LocalNetwork;
use chatphone::peer::media::MediaClock;
use chatphone::phone::{EndChat, Phone, PhoneConfig, PhoneEvent};
use chatphone::simulator::{Quirk, Quirks};
use common::{center, client};
use futures::stream::{self, StreamExt};
use std::time::Duration;
use tokio::time::timeout;
