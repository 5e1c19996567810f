//! Runs the probes: what can run beside each other does, each has its limit, and what fails says what is left out.

mod reach;
mod servers;

use super::center;
use super::connect;
use super::devices;
use super::finding::{ChatFound, Finding, Probed, Why};
use super::gather::Peers;
use super::local;
use super::path::media_path;
use super::report::{Report, Step, conclude};
use super::step::StepName;
use super::words::ms;
use crate::api::types::ChatRequest;
use crate::api::{ApiError, Client, ClientConfig, ClientEvent};
use crate::peer::{LocalNetwork, RelaySettings};
use chatphone_media::audio::device::Wanted;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::Url;

/// A sound device; some hang for good.
const DEVICE_WITHIN: Duration = Duration::from_secs(12);
/// What a check that is stopped has still to do.
const END_WITHIN: Duration = Duration::from_secs(3);

/// Devices to look at.
#[derive(Debug, Clone, Default)]
pub struct Devices {
    /// The microphone that calls would use.
    pub microphone: Wanted,
    /// The speaker.
    pub speaker: Wanted,
}

/// What to check, and how.
#[derive(Debug, Clone)]
pub struct CheckConfig {
    /// The contact center, and who asks.
    pub client: ClientConfig,
    /// The address of the API.
    pub url: Url,
    /// How a chat is asked for, with `chat`.
    pub request: ChatRequest,
    /// The local addresses for media.
    pub network: LocalNetwork,
    /// Calls use relayed candidates alone.
    pub relay_only: bool,
    /// Sound devices; `None`: leave them out.
    pub devices: Option<Devices>,
    /// How long the test call lasts.
    pub call: Duration,
    /// Call through every relay, not the best alone.
    pub all_relays: bool,
    /// Ask for a chat: agents may see it.
    pub chat: bool,
}

/// Checks. Every step goes to `tell` when it is made; `stop` ends the check early. Takes at most about two minutes, most
/// often ten seconds.
///
/// # Errors
/// [`ApiError::BadConfig`] for a configuration that cannot be used.
pub async fn check(
    mut config: CheckConfig,
    stop: CancellationToken,
    tell: mpsc::UnboundedSender<Step>,
) -> Result<Report, ApiError> {
    // A person waits.
    config.client.connect_timeout = connect::LIMIT;
    config.client.read_timeout = Duration::from_secs(10);
    let client = Client::new(config.client.clone())?;
    let begun = Instant::now();
    let host = client.host().to_owned();
    let runner = Runner { config, client, steps: Mutex::default(), tell, open_chat: Arc::default() };
    let stopped = tokio::select! {
        () = runner.run() => false,
        () = stop.cancelled() => true,
    };
    if stopped {
        runner.end_chat().await;
    }
    let mut steps = std::mem::take(&mut *lock(&runner.steps));
    steps.sort_by_key(|step| step.name);
    let conclusion = conclude(&steps, stopped);
    Ok(Report { conclusion, stopped, duration_ms: ms(begun.elapsed()), host, steps })
}

struct Runner {
    config: CheckConfig,
    client: Client,
    steps: Mutex<Vec<Step>>,
    tell: mpsc::UnboundedSender<Step>,
    /// A chat of this check, to be ended when it is stopped.
    open_chat: Arc<tokio::sync::Mutex<Option<String>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runner {
    async fn run(&self) {
        tokio::join!(self.network(), self.devices());
    }

    fn note(&self, name: StepName, begun: Instant, finding: Finding) {
        let step = Step::of(&Probed { name, took: begun.elapsed(), finding });
        lock(&self.steps).push(step.clone());
        // Nobody need watch.
        let _ = self.tell.send(step);
    }

    fn skip(&self, names: &[StepName], why: Why) {
        for name in names {
            self.note(*name, Instant::now(), Finding::Skipped(why));
        }
    }

    async fn network(&self) {
        use StepName::*;
        let (addresses, reached) = tokio::join!(self.local(), self.center());
        if let Err(step) = reached {
            self.skip(&[IceServers, Nat, MediaPath, LoopbackCall], Why::After(step));
            return;
        }
        let servers = self.servers().await;
        let found = self.test(&servers).await;
        self.nat(&found, &addresses).await;
        let begun = Instant::now();
        let path = media_path(&found.iter().collect::<Vec<_>>(), self.config.relay_only);
        self.note(MediaPath, begun, Finding::MediaPath(path));
        self.calls(&servers, &found).await;
    }

    async fn local(&self) -> Vec<IpAddr> {
        let begun = Instant::now();
        let found = local::look(&self.peers()).await;
        let addresses = found.as_ref().map(|found| found.addresses.clone()).unwrap_or_default();
        self.note(StepName::LocalNetwork, begun, Finding::LocalNetwork(found));
        addresses
    }

    fn peers(&self) -> Peers<'_> {
        // Without renewal: what the contact center gives is what is tested.
        let relays = RelaySettings {
            ca_file: self.config.client.ca_file.clone(),
            proxy: self.config.client.proxy.clone(),
            renew: None,
        };
        Peers { network: &self.config.network, relays }
    }

    async fn devices(&self) {
        let Some(devices) = self.config.devices.clone() else {
            self.skip(&[StepName::Microphone, StepName::Speaker], Why::Flag("--no-audio"));
            return;
        };
        let Devices { microphone, speaker } = devices;
        let look = async |name, open: Box<dyn FnOnce() -> Finding + Send>| {
            let begun = Instant::now();
            let finding = match timeout(DEVICE_WITHIN, tokio::task::spawn_blocking(open)).await {
                Ok(Ok(finding)) => finding,
                // It panicked, or hangs.
                Ok(Err(_)) | Err(_) => Finding::GivenUp(DEVICE_WITHIN),
            };
            self.note(name, begun, finding);
        };
        tokio::join!(
            look(StepName::Microphone, Box::new(|| Finding::Microphone(devices::microphone(microphone)))),
            look(StepName::Speaker, Box::new(|| Finding::Speaker(devices::speaker(speaker)))),
        );
    }

    async fn chat(&self) {
        if !self.config.chat {
            self.skip(&[StepName::Chat], Why::NotAsked("--chat"));
            return;
        }
        let begun = Instant::now();
        let found = match self.open_chat().await {
            Ok(Some(chat_id)) => center::try_chat(&self.client, &chat_id).await,
            Ok(None) => Ok(ChatFound { was_open: true, held: None }),
            Err(error) => Err(error),
        };
        self.open_chat.lock().await.take();
        self.note(StepName::Chat, begun, Finding::Chat(found));
    }

    /// Asks for a chat in a task, which goes on when the check is stopped: the answer names what is to be ended then.
    async fn open_chat(&self) -> Result<Option<String>, ApiError> {
        let (client, request) = (self.client.clone(), self.config.request.clone());
        let mut open = Arc::clone(&self.open_chat).lock_owned().await;
        let asked = tokio::spawn(async move {
            let chat = center::ask_for_chat(&client, &request).await?;
            open.clone_from(&chat);
            Ok(chat)
        });
        match asked.await.map_err(JoinError::try_into_panic) {
            Ok(asked) => asked,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The process is ending.
            Err(Err(_)) => std::future::pending().await,
        }
    }

    /// Ends what a check that was stopped has begun.
    async fn end_chat(&self) {
        let ended = async {
            // Waits for the answer that names it.
            if let Some(chat_id) = self.open_chat.lock().await.take() {
                let _ = self.client.send_events(&chat_id, &[ClientEvent::End(Default::default())]).await;
            }
        };
        let _ = timeout(END_WITHIN, ended).await;
    }
}
