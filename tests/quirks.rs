//! A whole chat and a call with the ways of real servers: with each of them alone, and with all at once.
#![allow(clippy::unwrap_used)]

mod common;

use chatphone::api::ServerEvent;
use chatphone::api::event::{ClientMessage, FormData, ServerMessage};
use chatphone::call::{CallConfig, CallEvent, CallSetup, Outcome, SoundSpec};
use chatphone::chat::{ChatEvent, EndReason, SessionConfig};
use chatphone::peer::LocalNetwork;
use chatphone::peer::media::MediaClock;
use chatphone::phone::{EndChat, Phone, PhoneConfig, PhoneEvent, PhoneEvents};
use chatphone::simulator::{Hours, Quirk, Quirks, SimulatorConfig};
use chatphone_media::audio::source::SourceSpec;
use common::{center, client};
use futures::stream::{self, StreamExt};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::timeout;

/// Stories at one time.
const AT_ONCE: usize = 4;

/// A phone, and what it says.
struct Customer {
    phone: Phone,
    events: PhoneEvents,
    seen: VecDeque<String>,
    quirks: String,
}

impl Customer {
    fn new(base_url: &str, quirks: &Quirks) -> Self {
        let client = client(base_url);
        let sound = SoundSpec { source: SourceSpec::Tone(440.0), ..SoundSpec::default() };
        let (phone, events, _) = Phone::start(PhoneConfig {
            call: CallSetup {
                client: client.clone(),
                clock: MediaClock::start().unwrap(),
                network: LocalNetwork::towards(Some([127, 0, 0, 1].into())),
                relay_only: false,
                sound,
                opened: None,
                tap: None,
                limits: CallConfig::default(),
            },
            client,
            request: Default::default(),
            session: SessionConfig::default(),
            end_chat: EndChat::Always,
            watch_network: false,
            last_call: None,
        });
        Self { phone, events, seen: VecDeque::new(), quirks: quirks.to_string() }
    }

    /// The first event that is this, in what is found there; what comes before is passed over.
    async fn until<T>(&mut self, what: &str, find: impl Fn(&PhoneEvent) -> Option<T>) -> T {
        let wait = async {
            while let Some(event) = self.events.recv().await {
                let found = find(&event);
                self.seen.push_back(format!("{event:?}").chars().take(160).collect());
                if let Some(found) = found {
                    return Some(found);
                }
            }
            None
        };
        let found = timeout(Duration::from_secs(40), wait).await.ok().flatten();
        found.unwrap_or_else(|| panic!("with {}: no {what} in {:#?}", self.quirks, self.seen))
    }

    async fn server<T>(&mut self, what: &str, find: impl Fn(&ServerEvent) -> Option<T>) -> T {
        let find = |event: &PhoneEvent| match event {
            PhoneEvent::Chat(ChatEvent::Server { event, own: false }) => find(event),
            _ => None,
        };
        self.until(what, find).await
    }

    fn say(&self, text: &str) {
        self.phone.send(ClientMessage { msg: text.into(), ..Default::default() });
    }

    async fn message(&mut self, part: &str) -> ServerMessage {
        let find = |event: &ServerEvent| match event {
            ServerEvent::Message(message) if message.plain_text().contains(part) => Some(message.clone()),
            _ => None,
        };
        self.server(&format!("message with {part}"), find).await
    }
}

/// The agent greets, answers, shows a form, sends a file, is called, and the customer ends the chat.
async fn a_chat_and_a_call(quirks: Quirks) {
    let center = center(|c: &mut SimulatorConfig| {
        c.quirks = quirks.clone();
        c.hold = Duration::from_millis(300);
        c.agent.reply_after = Duration::from_millis(20);
    })
    .await;
    let mut customer = Customer::new(&center.base_url(), &quirks);
    customer.message("How can I help you?").await;
    let agent = customer.phone.state().agent.clone().unwrap();
    assert!(agent.name().contains("Ada"), "with {quirks}: {agent:?}");

    customer.say("2 < 3");
    customer.message("You wrote: 2 < 3").await;
    customer.say("/form");
    let form = customer.server("form", |e| if let ServerEvent::FormShow(f) = e { Some(f.clone()) } else { None }).await;
    let name = form.form_name.clone();
    customer.phone.send(FormData { form_request_id: form.form_request_id, form_name: name, ..Default::default() });
    customer.message("form came back").await;
    customer.say("/file");
    let file = customer.server("file", |e| if let ServerEvent::File(f) = e { Some(f.clone()) } else { None }).await;
    let folder = tempfile::tempdir().unwrap();
    let saved = customer.phone.save_file(&file.file_id, None, folder.path(), |_, _| {}).await;
    assert!(std::fs::read_to_string(saved.unwrap()).unwrap().contains("from your agent"), "with {quirks}");

    customer.phone.request_call(None, false);
    let flows = |event: &PhoneEvent| matches!(event, PhoneEvent::Call(CallEvent::MediaFlowing)).then_some(());
    customer.until("sound", flows).await;
    customer.say("/hangup");
    let report = |e: &PhoneEvent| if let PhoneEvent::CallReport(report) = e { Some(report.clone()) } else { None };
    let report = customer.until("report", report).await;
    assert_eq!(report.end.outcome, Outcome::Completed, "with {quirks}: {:?}", report.end);

    customer.phone.end();
    let ended = |e: &PhoneEvent| {
        if let PhoneEvent::Chat(ChatEvent::Ended { reason }) = e { Some(reason.clone()) } else { None }
    };
    let reason = customer.until("end", ended).await;
    assert!(matches!(reason, EndReason::ByClient { .. } | EndReason::ByServer), "with {quirks}: {reason:?}");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_and_a_call_go_well_with_each_quirk_alone() {
    let stories = Quirk::ALL.iter().map(|quirk| tokio::spawn(a_chat_and_a_call([*quirk].into_iter().collect())));
    let mut stories = stream::iter(stories).buffer_unordered(AT_ONCE);
    while let Some(story) = stories.next().await {
        story.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_and_a_call_go_well_with_all_quirks_at_once() {
    // Which event gets which quirk depends on ids that differ from time to time.
    for _ in 0..3 {
        a_chat_and_a_call(Quirks::all()).await;
    }
}

#[tokio::test]
async fn a_center_that_is_unavailable_is_closed() {
    let center = center(|c| {
        c.hours = Hours::Closed;
        c.quirks = [Quirk::Unavailable].into_iter().collect();
    })
    .await;
    let availability = client(&center.base_url()).availability().await.unwrap();
    assert!(!availability.is_open());
    assert_eq!(availability.chat, "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_times_out_in_the_other_spelling_is_over() {
    let center = center(|c| c.quirks = [Quirk::Inactvity].into_iter().collect()).await;
    let mut customer = Customer::new(&center.base_url(), &Quirks::default());
    customer.message("How can I help you?").await;
    customer.say("/timeout");
    let ended = |e: &PhoneEvent| {
        if let PhoneEvent::Chat(ChatEvent::Ended { reason }) = e { Some(reason.clone()) } else { None }
    };
    let reason = customer.until("end", ended).await;
    assert!(matches!(reason, EndReason::Inactivity { .. }), "{reason:?}");
}
