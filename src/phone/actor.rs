//! The task that owns the chat and the call.

use super::last_call::{CutCall, LastCall, TOUCH_EVERY};
use super::state::PhoneState;
use super::{Command, EndChat, PhoneConfig, PhoneEvent};
use crate::api::ServerEvent;
use crate::call::{CallDriver, CallEvent, CallNotice, Input, Interruption, Phase};
use crate::chat::{self, ChatDriver, ChatEvent};
use crate::network::{NetworkEvent, NetworkWatch};
use crate::peer::media::SoundControls;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How long a shutdown may take in all: hang-up, last events, closing of peer and files.
const SHUT_DOWN_WITHIN: Duration = Duration::from_secs(6);
/// How much of it a chat may take that is only being opened: whether it is to be ended is known when it is.
const OPEN_WITHIN: Duration = Duration::from_secs(2);

pub(super) async fn run(
    config: PhoneConfig,
    commands: UnboundedReceiver<Command>,
    events: UnboundedSender<PhoneEvent>,
    state: watch::Sender<PhoneState>,
) {
    let mut chat = ChatDriver::new(config.client.clone(), config.session);
    chat.command(chat::Command::Open(config.request));
    let call = CallDriver::new(config.call);
    let last_call = config.last_call.map(LastCall::at);
    let mut actor = Actor {
        chat,
        call,
        commands,
        events,
        state,
        end_chat: config.end_chat,
        deadline: None,
        resumed: None,
        opens_until: None,
        chat_over: false,
        agent: None,
        network: config.watch_network.then(|| NetworkWatch::towards(config.client.host())),
        cut_call: last_call.as_ref().and_then(LastCall::cut),
        last_call,
        touch_at: None,
        call_party: None,
        way_hurt: false,
        told: Vec::new(),
    };
    actor.run().await;
}

struct Actor {
    chat: ChatDriver,
    call: CallDriver,
    commands: UnboundedReceiver<Command>,
    events: UnboundedSender<PhoneEvent>,
    state: watch::Sender<PhoneState>,
    end_chat: EndChat,
    /// When a shutdown is given up; `None`: none was asked for.
    deadline: Option<Instant>,
    /// Whether the chat was there before; `None` until it is open.
    resumed: Option<bool>,
    /// When the opening of a chat is given up that is to be closed once it is open.
    opens_until: Option<Instant>,
    chat_over: bool,
    /// The agent that the call knows of.
    agent: Option<String>,
    network: Option<NetworkWatch>,
    /// Where the mark of a running call is left.
    last_call: Option<LastCall>,
    /// When it is touched.
    touch_at: Option<Instant>,
    /// The call of an earlier process, until it is known whether its chat is this one.
    cut_call: Option<CutCall>,
    /// The other side of the call.
    call_party: Option<String>,
    /// The call was interrupted, and not by an agent who is silent alone.
    way_hurt: bool,
    /// Told once the state is published, so that who hears an event finds the state that goes with it.
    told: Vec<PhoneEvent>,
}

/// What happened, told apart before it is handled: the two drivers cannot be borrowed while they are polled.
enum Happening {
    Command(Option<Command>),
    Chat(Option<ChatEvent>),
    Call(CallNotice),
    Network(NetworkEvent),
    Touch,
    NotOpened,
    Late,
}

impl Actor {
    async fn run(&mut self) {
        while !(self.chat_over && self.call.is_idle()) {
            let happening = tokio::select! {
                command = self.commands.recv(), if self.deadline.is_none() => Happening::Command(command),
                event = self.chat.next(), if !self.chat_over => Happening::Chat(event),
                notice = self.call.next() => Happening::Call(notice),
                event = change(self.network.as_mut()) => Happening::Network(event),
                () = sleep_until(self.touch_at.unwrap_or_else(Instant::now)), if self.touch_at.is_some() => Happening::Touch,
                () = sleep_until(self.opens_until.unwrap_or_else(Instant::now)), if self.opens_until.is_some() => {
                    Happening::NotOpened
                }
                () = sleep_until(self.deadline.unwrap_or_else(Instant::now)), if self.deadline.is_some() => Happening::Late,
            };
            match happening {
                Happening::Command(Some(command)) => self.command(command),
                // Nobody holds the phone any more.
                Happening::Command(None) => self.shut_down(),
                Happening::Chat(Some(event)) => self.chat_event(event),
                Happening::Chat(None) => self.chat_is_over(),
                Happening::Call(notice) => self.call_notice(notice),
                Happening::Network(event) => self.network_event(event),
                Happening::Touch => self.touch(),
                Happening::NotOpened => self.shut_chat(false),
                Happening::Late => {
                    tracing::warn!("the phone was not shut down in time; the rest is dropped");
                    self.unmark();
                    return;
                }
            }
            self.publish();
            self.flush();
        }
        self.flush();
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Send(event) => self.chat.command(chat::Command::Send(*event)),
            Command::RequestCall { party_id, video } => {
                let agent = || self.chat.session().parties().agent().map(|p| p.id.clone());
                match party_id.or_else(agent) {
                    Some(party_id) => self.call.request(party_id, video),
                    None => tracing::warn!("there is no agent to call yet"),
                }
            }
            Command::Accept => self.call.handle(Input::Accept),
            Command::Decline(reason) => self.call.handle(Input::Decline { reason }),
            Command::HangUp => self.call.handle(Input::HangUp),
            Command::Mute(muted) => self.control(|controls| controls.muted = muted),
            Command::Hold(held) => self.control(|controls| controls.held = held),
            Command::MicrophoneGain(db) => self.control(|controls| controls.microphone_gain_db = db),
            Command::SpeakerGain(db) => self.control(|controls| controls.speaker_gain_db = db),
            Command::Dial(dial) => {
                if !self.call.dial(dial) {
                    tracing::warn!("there is no call to dial in");
                }
            }
            // Who asked may have gone.
            Command::Stats(answer) => drop(answer.send(self.call.stats())),
            Command::Disconnect => self.chat.command(chat::Command::Disconnect),
            Command::End => {
                self.call.handle(Input::HangUp);
                self.drain_call();
                self.chat.command(chat::Command::End);
            }
            Command::ShutDown => self.shut_down(),
        }
    }

    fn control(&mut self, change: impl FnOnce(&mut SoundControls)) {
        let mut controls = self.call.controls();
        change(&mut controls);
        self.call.set_controls(controls);
    }

    /// END_CALL goes into the chat's queue ahead of the chat's own end, and the chat sends what is queued.
    fn shut_down(&mut self) {
        self.deadline = Some(Instant::now() + SHUT_DOWN_WITHIN);
        if self.call.phase() != Phase::Idle {
            self.call.handle(Input::HangUp);
        }
        self.drain_call();
        match (self.end_chat, self.resumed) {
            (EndChat::IfNew, None) => self.opens_until = Some(Instant::now() + OPEN_WITHIN),
            (EndChat::IfNew, Some(resumed)) => self.shut_chat(!resumed),
            (EndChat::Always, _) => self.shut_chat(true),
            (EndChat::Never, _) => self.shut_chat(false),
        }
    }

    fn shut_chat(&mut self, end_chat: bool) {
        self.opens_until = None;
        self.chat.command(chat::Command::Shutdown { end_chat });
    }

    /// Handles what the call has to say already, so that its last signaling is queued before what follows.
    fn drain_call(&mut self) {
        while let Some(notice) = self.call.try_next() {
            self.call_notice(notice);
        }
    }

    fn chat_event(&mut self, event: ChatEvent) {
        match &event {
            ChatEvent::Signal { party_id, signal } => {
                let (party_id, signal) = (party_id.clone(), signal.clone());
                self.tell(PhoneEvent::Signaling { sent: false, party_id: party_id.clone(), signal: signal.clone() });
                self.call.handle(Input::Signal { party_id, signal });
                return;
            }
            ChatEvent::Server { event: ServerEvent::PartyLeft(left), .. } => {
                self.call.handle(Input::PartyLeft(left.party_id.clone()));
            }
            ChatEvent::Opened { resumed, chat } => {
                let resumed = *resumed;
                self.check_cut_call(resumed, &chat.chat_id);
                self.resumed = Some(resumed);
                if self.opens_until.is_some() {
                    self.shut_chat(!resumed);
                }
            }
            ChatEvent::Reconnecting { .. } => self.call.handle(Input::Signaling { up: false }),
            ChatEvent::Reconnected => self.call.handle(Input::Signaling { up: true }),
            ChatEvent::Ended { .. } => self.chat_is_over(),
            _ => {}
        }
        let agent = self.chat.session().parties().agent().map(|p| p.id.clone());
        if self.agent != agent {
            self.agent.clone_from(&agent);
            self.call.handle(Input::CurrentAgent(agent));
        }
        let restored = matches!(event, ChatEvent::Restored { .. });
        self.tell(PhoneEvent::Chat(event));
        if restored {
            self.tell_of_cut_call();
        }
    }

    fn chat_is_over(&mut self) {
        self.chat_over = true;
        self.call.handle(Input::ChatEnded);
    }

    fn call_notice(&mut self, notice: CallNotice) {
        match notice {
            CallNotice::Signal { party_id, signal } => {
                let agent = || self.chat.session().parties().agent().map(|p| p.id.clone());
                let party_id = party_id.or_else(agent).unwrap_or_default();
                let told = (Some(party_id.clone()), signal.clone());
                self.tell(PhoneEvent::Signaling { sent: true, party_id: told.0, signal: told.1 });
                self.chat.command(chat::Command::Signal { party_id, signal });
            }
            CallNotice::Event(event) => {
                self.follow_call(&event);
                self.tell(PhoneEvent::Call(event));
            }
            CallNotice::Sound(notice) => self.tell(PhoneEvent::Sound(notice)),
            CallNotice::Digit(digit) => self.tell(PhoneEvent::Digit(digit)),
            CallNotice::Report(report) => self.tell(PhoneEvent::CallReport(report)),
        }
    }

    fn network_event(&mut self, event: NetworkEvent) {
        let (addresses, matters) = match &event {
            NetworkEvent::AddressesChanged { addresses, route, .. } => (addresses.clone(), *route),
            NetworkEvent::WokeUp { addresses, .. } => (addresses.clone(), true),
        };
        tracing::debug!(?event, "the network changed");
        if matters {
            self.chat.command(chat::Command::Reconnect);
        }
        self.call.handle(Input::NetworkChanged { addresses });
        if matters {
            self.tell(PhoneEvent::Network(event));
        }
    }

    /// Leaves a mark as long as a call runs, and connects the chat anew where its sound stops and comes back.
    fn follow_call(&mut self, event: &CallEvent) {
        match event {
            CallEvent::Requesting { party_id, .. } => self.call_party = Some(party_id.clone()),
            CallEvent::Ringing { party_id, .. } => self.call_party = party_id.clone(),
            CallEvent::Connected => {
                let session = self.chat.session();
                let party_id = self.call_party.clone().or_else(|| session.parties().agent().map(|p| p.id.clone()));
                if let (Some(last), Some(party_id), Some(chat_id)) = (&mut self.last_call, party_id, session.chat_id())
                {
                    last.begin(&CutCall { chat_id: chat_id.to_owned(), party_id });
                    self.touch_at = Some(Instant::now() + TOUCH_EVERY);
                }
            }
            // The chat's connections go the same way as the sound: what they wait for may be dead, and when sound is back
            // they are the first to get through. From an agent who is silent alone the way is there.
            CallEvent::Interrupted { reason: Interruption::Silent } => {}
            CallEvent::Interrupted { .. } => self.way_is_hurt(),
            CallEvent::Restoring { .. } if !self.way_hurt => self.way_is_hurt(),
            CallEvent::Resumed { .. } if self.way_hurt => {
                self.way_hurt = false;
                self.chat.command(chat::Command::Reconnect);
            }
            CallEvent::Restored { .. } => self.way_hurt = false,
            CallEvent::Ended(_) => {
                self.way_hurt = false;
                self.unmark();
            }
            _ => {}
        }
    }

    fn way_is_hurt(&mut self) {
        self.way_hurt = true;
        self.chat.command(chat::Command::Reconnect);
    }

    fn unmark(&mut self) {
        (self.touch_at, self.call_party) = (None, None);
        if let Some(last) = &mut self.last_call {
            last.end();
        }
    }

    fn touch(&mut self) {
        self.touch_at = Some(Instant::now() + TOUCH_EVERY);
        if let Some(last) = &self.last_call {
            last.touch();
        }
    }

    /// A call of an earlier process is of no interest in another chat.
    fn check_cut_call(&mut self, resumed: bool, chat_id: &str) {
        let same = |cut: &CutCall| resumed && cut.chat_id == chat_id;
        if self.cut_call.take_if(|cut| !same(cut)).is_some() {
            self.last_call.iter().for_each(LastCall::forget);
        }
    }

    fn tell_of_cut_call(&mut self) {
        let Some(cut) = self.cut_call.take() else { return };
        self.last_call.iter().for_each(LastCall::forget);
        let parties = self.chat.session().parties();
        let same = parties.get(&cut.party_id).filter(|party| party.present);
        let told = match same.or_else(|| parties.agent()) {
            Some(party) => (party.id.clone(), party.name()),
            // Without a history nobody is known, and the agent is there all the same perhaps.
            None if parties.all().next().is_none() => (cut.party_id.clone(), cut.party_id),
            None => return,
        };
        self.tell(PhoneEvent::CallWasCut { party_id: told.0, name: told.1 });
    }

    fn tell(&mut self, event: PhoneEvent) {
        self.told.push(event);
    }

    fn flush(&mut self) {
        for event in self.told.drain(..) {
            // A front end that is gone does not listen; its handle is gone too, which shuts the phone down.
            let _ = self.events.send(event);
        }
    }

    fn publish(&self) {
        let session = self.chat.session();
        let now = PhoneState {
            chat_id: session.chat_id().map(str::to_owned),
            resumed: self.resumed.unwrap_or_default(),
            session: session.state().clone(),
            parties: session.parties().all().cloned().collect(),
            agent: session.parties().agent().cloned(),
            call: self.call.phase(),
            muted: self.call.controls().muted,
            held: self.call.controls().held,
        };
        self.state.send_if_modified(|state| {
            let changed = *state != now;
            if changed {
                *state = now;
            }
            changed
        });
    }
}

async fn change(network: Option<&mut NetworkWatch>) -> NetworkEvent {
    match network {
        Some(network) => network.next().await,
        None => std::future::pending().await,
    }
}
