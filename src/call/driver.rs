//! Runs the calls of one chat: the machine, its timers, and a task for the peer of each call.

use super::machine::{CallConfig, CallEnd, CallEvent, CallMachine, CallTimes, Input, Offerer, Output, Phase};
use super::peer::{Closed, Order, PeerTask, Setup};
use super::ringer::{END_TONE, Ringer};
use super::sound::SoundSpec;
use super::stats::{CallReport, CallStats};
use crate::api::Client;
use crate::api::signaling::Signal;
use crate::peer::LocalNetwork;
use crate::peer::media::{MediaClock, MediaParts, SoundControls, SoundNotice};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

/// What a [`CallDriver`] hands to its owner.
#[derive(Debug)]
pub enum CallNotice {
    /// Send this in the chat, at once and in order.
    Signal {
        /// To whom; `None`: the chat's only agent.
        party_id: Option<String>,
        /// The message.
        signal: Signal,
    },
    /// Tell the front end.
    Event(CallEvent),
    /// Tell the front end of the call's sound: devices that come and go, a silent microphone.
    Sound(SoundNotice),
    /// A call is over and everything about it is known: comes once, some time after [`CallEvent::Ended`].
    Report(Box<CallReport>),
}

/// What the calls of a chat need.
pub struct CallSetup {
    /// For Get ICE servers.
    pub client: Client,
    /// Drives the sound.
    pub clock: MediaClock,
    /// The local addresses for media.
    pub network: LocalNetwork,
    /// Use relayed candidates alone.
    pub relay_only: bool,
    /// Where sound comes from and goes to.
    pub sound: SoundSpec,
    /// The sound of the first call, where it was opened ahead to find faults early.
    pub opened: Option<MediaParts>,
    /// Time limits.
    pub limits: CallConfig,
}

/// The calls of one chat. To be polled by [`CallDriver::next`].
pub struct CallDriver {
    machine: CallMachine,
    setup: Setup,
    peer: Option<PeerTask>,
    generation: u64,
    inputs_tx: UnboundedSender<(u64, Input)>,
    inputs: UnboundedReceiver<(u64, Input)>,
    notices: VecDeque<CallNotice>,
    closing: JoinSet<Closed>,
    /// The end of the call that is being closed.
    ended: Option<(CallEnd, CallTimes, Option<String>)>,
    party_id: Option<String>,
    last: Closed,
    controls: SoundControls,
    sound_notices: UnboundedReceiver<SoundNotice>,
    ringer: Ringer,
}

impl CallDriver {
    /// A driver without a call.
    pub fn new(setup: CallSetup) -> Self {
        let (inputs_tx, inputs) = unbounded_channel();
        let (notices, sound_notices) = unbounded_channel();
        let controls = setup.sound.controls;
        let ringing_on = if setup.sound.tones { setup.sound.speaker.wanted(true) } else { None };
        Self {
            machine: CallMachine::new(setup.limits),
            setup: Setup {
                client: setup.client,
                clock: setup.clock,
                network: setup.network,
                relay_only: setup.relay_only,
                sound: setup.sound,
                notices,
                opened: Arc::new(Mutex::new(setup.opened)),
            },
            peer: None,
            generation: 0,
            inputs_tx,
            inputs,
            notices: VecDeque::new(),
            closing: JoinSet::new(),
            ended: None,
            party_id: None,
            last: Closed::default(),
            controls,
            sound_notices,
            ringer: Ringer::new(ringing_on),
        }
    }

    /// Asks an agent for a call.
    pub fn request(&mut self, party_id: String, video: bool) {
        self.handle(Input::Request { party_id, video, offerer: Offerer::Agent });
    }

    /// Takes an input: of the user or of the chat.
    pub fn handle(&mut self, input: Input) {
        self.machine.handle(Instant::now(), input);
        self.carry_out();
    }

    /// Mutes, holds, sets levels, in this call and the ones after it.
    pub fn set_controls(&mut self, controls: SoundControls) {
        self.controls = controls;
        self.order(Order::Controls(controls));
    }

    /// How sound is muted, held and set.
    pub fn controls(&self) -> SoundControls {
        self.controls
    }

    /// Where the call stands.
    pub fn phase(&self) -> Phase {
        self.machine.phase()
    }

    /// Whether nothing is left to do: no call, and the last one's report was given.
    pub fn is_idle(&self) -> bool {
        self.phase() == Phase::Idle && self.notices.is_empty() && self.ended.is_none() && self.closing.is_empty()
    }

    /// The figures of the running call, at most a second old.
    pub fn stats(&self) -> Option<CallStats> {
        self.peer.as_ref().map(PeerTask::stats)
    }

    /// The next notice, if one is there already.
    pub fn try_next(&mut self) -> Option<CallNotice> {
        self.notices.pop_front()
    }

    /// Waits for the next notice. Cancel safe; never ends.
    pub async fn next(&mut self) -> CallNotice {
        loop {
            if let Some(notice) = self.notices.pop_front() {
                return notice;
            }
            let timeout = self.machine.next_timeout();
            tokio::select! {
                Some((generation, input)) = self.inputs.recv() => {
                    // What a closed peer still says belongs to no call.
                    if generation == self.generation && self.peer.is_some() {
                        self.handle(input);
                    }
                }
                Some(notice) = self.sound_notices.recv() => return CallNotice::Sound(notice),
                Some(closed) = self.closing.join_next() => {
                    match closed {
                        Ok(closed) => self.last = closed,
                        Err(error) => self.last.problems.push(format!("the call did not close: {error}")),
                    }
                    self.report_if_closed();
                }
                () = sleep_until(timeout.unwrap_or_else(Instant::now).into()), if timeout.is_some() => {
                    self.machine.handle_timeout(Instant::now());
                    self.carry_out();
                }
            }
        }
    }

    fn carry_out(&mut self) {
        if let Some(party_id) = self.machine.party_id() {
            self.party_id = Some(party_id.to_owned());
        }
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::SendSignal { party_id, signal } => {
                    self.notices.push_back(CallNotice::Signal { party_id, signal });
                }
                Output::PreparePeer => {
                    self.generation += 1;
                    let start = || PeerTask::start(self.setup.clone(), self.inputs_tx.clone());
                    let peer = self.peer.get_or_insert_with(start);
                    peer.order(Order::Prepare(self.generation));
                    peer.order(Order::Controls(self.controls));
                }
                Output::CreateOffer => self.order(Order::CreateOffer),
                Output::ApplyOffer { sdp, .. } => self.order(Order::ApplyOffer(sdp)),
                Output::ApplyAnswer { sdp } => self.order(Order::ApplyAnswer(sdp)),
                Output::AddCandidate(candidate) => self.order(Order::AddCandidate(candidate)),
                Output::ClosePeer => {
                    // What it still says belongs to no peer of the machine's. The sound stays: see `Ended`.
                    self.generation += 1;
                    self.order(Order::ClosePeer);
                }
                Output::Event(event) => {
                    let tone = self.ringer.follow(&event);
                    if let CallEvent::Ended(end) = &event {
                        let peer = self.peer.take();
                        if peer.is_some() || tone {
                            self.closing.spawn(close(peer, tone));
                        }
                        self.ended = Some((end.clone(), *self.machine.times(), self.party_id.take()));
                    }
                    self.notices.push_back(CallNotice::Event(event));
                }
            }
        }
        self.report_if_closed();
    }

    fn order(&self, order: Order) {
        if let Some(peer) = &self.peer {
            peer.order(order);
        }
    }

    /// Gives the report of a call that is over, once nothing of it is being closed any more.
    fn report_if_closed(&mut self) {
        if !self.closing.is_empty() {
            return;
        }
        if let Some((end, times, party_id)) = self.ended.take() {
            let Closed { stats, problems } = std::mem::take(&mut self.last);
            let report = CallReport { end, times, party_id, stats, problems };
            self.notices.push_back(CallNotice::Report(Box::new(report)));
        }
    }
}

/// Closes what a call had. A tone that tells of its end is heard first: the process may end with the report.
async fn close(peer: Option<PeerTask>, tone: bool) -> Closed {
    let closed = match peer {
        Some(peer) => peer.close().await,
        None => Closed::default(),
    };
    if tone {
        tokio::time::sleep(END_TONE).await;
    }
    closed
}
