//! The phone: one chat and the calls in it. Every front end speaks to this and to nothing below.
//!
//! [`Phone`] is a handle for commands, [`PhoneEvents`] the stream of what happens. The task behind them is the only
//! owner of the chat session and of the call; a front end never waits for it, and it never waits for a front end.

mod actor;
mod last_call;
mod state;

pub use state::PhoneState;

use crate::api::event::ClientFile;
use crate::api::signaling::Signal;
use crate::api::types::ChatRequest;
use crate::api::{ApiError, Client, ClientEvent};
use crate::call::{CallEvent, CallReport, CallSetup, CallStats};
use crate::chat::{ChatEvent, SessionConfig};
use crate::network::NetworkEvent;
use crate::peer::media::SoundNotice;
use chatphone_media::audio::dtmf::{Dial, Digit};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// What a phone is made of.
pub struct PhoneConfig {
    /// The contact center.
    pub client: Client,
    /// How to ask for the chat.
    pub request: ChatRequest,
    /// How the chat session behaves.
    pub session: SessionConfig,
    /// How calls are made.
    pub call: CallSetup,
    /// Whether [`Phone::shut_down`] ends the chat.
    pub end_chat: EndChat,
    /// Whether to watch the machine's network and its sleep, and begin anew when they change.
    pub watch_network: bool,
    /// Where to leave a mark while a call runs, for a later run of the same client: see [`PhoneEvent::CallWasCut`].
    /// `None`: nowhere.
    pub last_call: Option<PathBuf>,
}

/// What becomes of the chat when the phone is shut down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EndChat {
    /// It is ended if this phone began it; one that was taken up goes on at the contact center.
    #[default]
    IfNew,
    /// It is ended.
    Always,
    /// It goes on at the contact center, for a later run to take up.
    Never,
}

/// What a phone tells.
#[derive(Debug)]
pub enum PhoneEvent {
    /// Of the chat. Signaling is not among them: it goes to the call.
    Chat(ChatEvent),
    /// A signaling message passed: for a ladder or a log, nobody needs to act on it.
    Signaling {
        /// Whether this client sent it.
        sent: bool,
        /// The other side, when it is known.
        party_id: Option<String>,
        /// The message.
        signal: Signal,
    },
    /// Of the call.
    Call(CallEvent),
    /// Of the call's sound: devices that come and go, a silent microphone.
    Sound(SoundNotice),
    /// The agent pressed a key of the telephone.
    Digit(Digit),
    /// The machine's network changed, or it woke up: what hangs on it is being connected anew.
    Network(NetworkEvent),
    /// A chat was taken up again in which an earlier process had a call when it was killed. The call is not asked for by
    /// itself.
    CallWasCut {
        /// Whom to ask for it: the same agent, or the one who is there now.
        party_id: String,
        /// The name to show.
        name: String,
    },
    /// A call is over and everything about it is known.
    CallReport(Box<CallReport>),
}

/// The stream of a phone's events. Ends when the phone has shut down, by itself after the chat is over.
pub type PhoneEvents = UnboundedReceiver<PhoneEvent>;

enum Command {
    Send(Box<ClientEvent>),
    RequestCall { party_id: Option<String>, video: bool },
    Accept,
    Decline(String),
    HangUp,
    Mute(bool),
    Hold(bool),
    MicrophoneGain(f32),
    SpeakerGain(f32),
    Dial(Dial),
    Stats(oneshot::Sender<Option<CallStats>>),
    Disconnect,
    End,
    ShutDown,
}

/// The handle of a running phone. Dropping every handle shuts it down.
#[derive(Clone)]
pub struct Phone {
    commands: UnboundedSender<Command>,
    state: watch::Receiver<PhoneState>,
    client: Client,
}

impl Phone {
    /// Starts a phone, which asks for its chat at once.
    pub fn start(config: PhoneConfig) -> (Self, PhoneEvents, JoinHandle<()>) {
        let (commands, commands_rx) = unbounded_channel();
        let (events_tx, events) = unbounded_channel();
        let (state_tx, state) = watch::channel(PhoneState::default());
        let client = config.client.clone();
        let task = tokio::spawn(actor::run(config, commands_rx, events_tx, state_tx));
        (Self { commands, state, client }, events, task)
    }

    /// Sends an event in the chat. Its `msg_id` is filled in.
    pub fn send(&self, event: impl Into<ClientEvent>) {
        self.command(Command::Send(Box::new(event.into())));
    }

    /// Asks for a call: the agent named, else the one who joined last.
    pub fn request_call(&self, party_id: Option<String>, video: bool) {
        self.command(Command::RequestCall { party_id, video });
    }

    /// Takes the incoming call.
    pub fn accept(&self) {
        self.command(Command::Accept);
    }

    /// Turns the incoming call down, with a reason for the agent.
    pub fn decline(&self, reason: impl Into<String>) {
        self.command(Command::Decline(reason.into()));
    }

    /// Ends or gives up the call.
    pub fn hang_up(&self) {
        self.command(Command::HangUp);
    }

    /// Silences what is sent.
    pub fn set_muted(&self, muted: bool) {
        self.command(Command::Mute(muted));
    }

    /// Holds the call on this side: silence is sent and nothing is played. The far end is not told.
    pub fn set_held(&self, held: bool) {
        self.command(Command::Hold(held));
    }

    /// Sets the level of what is sent, in dB beside what the source gives.
    pub fn set_microphone_gain(&self, db: f32) {
        self.command(Command::MicrophoneGain(db));
    }

    /// Sets the level of what is played, in dB beside what the far end sends.
    pub fn set_speaker_gain(&self, db: f32) {
        self.command(Command::SpeakerGain(db));
    }

    /// The figures of the running call, at most a second old; `None` without one.
    pub async fn call_stats(&self) -> Option<CallStats> {
        let (answer, stats) = oneshot::channel();
        self.command(Command::Stats(answer));
        stats.await.ok().flatten()
    }

    /// Dials keys in the call: as telephone events (RFC 4733), or as tones where the agent's side takes none.
    pub fn dial(&self, dial: Dial) {
        self.command(Command::Dial(dial));
    }

    /// Ends the conversation; the session stays open under the scenario.
    pub fn disconnect(&self) {
        self.command(Command::Disconnect);
    }

    /// Ends the chat session.
    pub fn end(&self) {
        self.command(Command::End);
    }

    /// Ends the call, then the chat as [`PhoneConfig::end_chat`] says, then the stream of events. Takes a few seconds at
    /// the most, whatever the network does.
    pub fn shut_down(&self) {
        self.command(Command::ShutDown);
    }

    /// What is the case now.
    pub fn state(&self) -> watch::Ref<'_, PhoneState> {
        self.state.borrow()
    }

    /// Uploads a file and shares it in the chat.
    ///
    /// # Errors
    /// What [`Client::upload_file`] says: a file that is not there or too large, a server that refuses it.
    pub async fn send_file(
        &self,
        path: &Path,
        progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<(), ApiError> {
        let uploaded = self.client.upload_file(path, progress).await?;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
        self.send(ClientFile {
            file_type: file_type(path).to_owned(),
            file_id: uploaded.file_id,
            file_name: uploaded.file_name.or(name),
            ..Default::default()
        });
        Ok(())
    }

    /// Saves a file of the chat into a folder, under a safe name.
    ///
    /// # Errors
    /// What [`Client::download_file`] says.
    pub async fn save_file(
        &self,
        file_id: &str,
        name: Option<&str>,
        folder: &Path,
        progress: impl FnMut(u64, Option<u64>) + Send + 'static,
    ) -> Result<PathBuf, ApiError> {
        let chat_id = self.state().chat_id.clone().unwrap_or_default();
        self.client.download_file(&chat_id, file_id, folder, name, crate::api::MAX_UPLOAD_BYTES, progress).await
    }

    /// Saves an agent's photo into a folder.
    ///
    /// # Errors
    /// What [`Client::profile_photo`] says.
    pub async fn save_photo(&self, party_id: &str, folder: &Path) -> Result<PathBuf, ApiError> {
        let chat_id = self.state().chat_id.clone().unwrap_or_default();
        self.client.profile_photo(&chat_id, party_id, folder, None, crate::api::MAX_UPLOAD_BYTES).await
    }

    fn command(&self, command: Command) {
        // A phone that has shut down has nothing left to do.
        let _ = self.commands.send(command);
    }
}

/// `image` for what a browser would show in place, `attachment` for anything else.
fn file_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    match extension.as_str() {
        "png" | "jpg" | "jpeg" | "gif" | "webp" | "bmp" => "image",
        _ => "attachment",
    }
}
