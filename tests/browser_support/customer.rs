//! A customer at the product's own phone, beside a browser at the desk.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

use super::PATIENCE;
use chatphone::api::ServerEvent;
use chatphone::api::types::ChatRequest;
use chatphone::call::{CallConfig, CallEvent, CallReport, CallSetup, SoundSpec};
use chatphone::chat::{ChatEvent, SessionConfig};
use chatphone::peer::LocalNetwork;
use chatphone::peer::media::MediaClock;
use chatphone::phone::{EndChat, Phone, PhoneConfig, PhoneEvent, PhoneEvents};
use chatphone::simulator::Simulator;
use chatphone_media::audio::source::SourceSpec;
use serde_json::{Value, json};

pub struct Customer {
    pub phone: Phone,
    events: PhoneEvents,
}

impl Customer {
    /// A customer with a tone of 440 Hz for a voice, whose chat is being asked for.
    pub fn new(center: &Simulator, name: &str) -> Self {
        let mut request = ChatRequest { from: Some(name.into()), ..Default::default() };
        request.parameters.insert("first_name".into(), json!(name));
        request.parameters.insert("account".into(), json!("4711"));
        Self::with(center, request, SoundSpec { source: SourceSpec::Tone(440.0), ..SoundSpec::default() })
    }

    pub fn with(center: &Simulator, request: ChatRequest, sound: SoundSpec) -> Self {
        let client = crate::common::client(&center.base_url());
        let call = CallSetup {
            client: client.clone(),
            clock: MediaClock::start().unwrap(),
            network: LocalNetwork::towards(Some([127, 0, 0, 1].into())),
            relay_only: false,
            sound,
            opened: None,
            tap: None,
            limits: CallConfig::default(),
        };
        let session = SessionConfig::default();
        let (phone, events, _) = Phone::start(PhoneConfig {
            client,
            request,
            session,
            call,
            end_chat: EndChat::IfNew,
            watch_network: false,
            last_call: None,
        });
        Self { phone, events }
    }

    /// Waits for the first event from which `pick` makes something; those before it are passed over.
    pub async fn until<T>(&mut self, what: &str, pick: impl Fn(&PhoneEvent) -> Option<T>) -> T {
        let wait = async {
            while let Some(event) = self.events.recv().await {
                if let Some(found) = pick(&event) {
                    return found;
                }
            }
            panic!("the phone ended before {what}");
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("no {what}"))
    }

    /// Waits for an event of the chat, and gives its fields.
    pub async fn gets(&mut self, name: &str) -> Value {
        let pick = |event: &PhoneEvent| match event {
            PhoneEvent::Chat(ChatEvent::Server { event, .. }) if event.name() == name => {
                Some(serde_json::to_value(event).unwrap())
            }
            _ => None,
        };
        self.until(name, pick).await
    }

    /// Waits until an agent is there.
    pub async fn agent_joins(&mut self) -> String {
        let name = |event: &PhoneEvent| match event {
            PhoneEvent::Chat(ChatEvent::Server { event: ServerEvent::PartyJoined(party), .. }) => {
                Some(party.display_name.clone().unwrap())
            }
            _ => None,
        };
        self.until("an agent", name).await
    }

    /// Waits for an event of the call.
    pub async fn call_is(&mut self, what: &str, fits: impl Fn(&CallEvent) -> bool) {
        self.until(what, |event| matches!(event, PhoneEvent::Call(call) if fits(call)).then_some(())).await;
    }

    pub async fn hears_something(&mut self) {
        self.call_is("sound", |event| matches!(event, CallEvent::MediaFlowing)).await;
    }

    /// Waits for the end of the call.
    pub async fn call_report(&mut self) -> Box<CallReport> {
        let pick = |event: &PhoneEvent| match event {
            PhoneEvent::CallReport(report) => Some(report.clone()),
            _ => None,
        };
        self.until("the end of the call", pick).await
    }
}
