//! Runs the calls of one chat: the machine, its timers, and a task for the peer of each call.

use super::machine::{CallConfig, CallEnd, CallEvent, CallMachine, Input, Offerer, Output, Phase};
use super::peer::{Closed, Order, PeerTask, Said, Setup};
use super::ringer::{END_TONE, Ringer};
use super::sound::SoundSpec;
use super::stats::{CallReport, CallStats};
use crate::api::Client;
use crate::api::signaling::Signal;
use crate::peer::media::{MediaClock, MediaParts, SoundControls, SoundNotice};
use crate::peer::{LocalNetwork, PacketTap};
use chatphone_media::audio::dtmf::{Dial, Digit};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinError, JoinSet};
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
    /// The far end pressed a key (RFC 4733).
    Digit(Digit),
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
    /// Looks at the packets of every call.
    pub tap: Option<PacketTap>,
    /// Time limits.
    pub limits: CallConfig,
}

/// The calls of one chat. To be polled by [`CallDriver::next`].
pub struct CallDriver {
    machine: CallMachine,
    setup: Setup,
    peer: Option<PeerTask>,
    generation: u64,
    /// The newest generation given out.
    generations: u64,
    /// That of the peer that is kept.
    kept: u64,
    said_tx: UnboundedSender<(u64, Said)>,
    said: UnboundedReceiver<(u64, Said)>,
    notices: VecDeque<CallNotice>,
    /// Calls that are over, each on its way to its report.
    closing: JoinSet<(u64, CallReport)>,
    /// How many calls ended, and of how many the report was given.
    ended: (u64, u64),
    /// Reports that are early: they are given in the order of the calls.
    early: BTreeMap<u64, CallReport>,
    party_id: Option<String>,
    /// How many calls had sound opened for them.
    calls: u32,
    controls: SoundControls,
    sound_notices: UnboundedReceiver<SoundNotice>,
    ringer: Ringer,
}

impl CallDriver {
    /// A driver without a call.
    pub fn new(setup: CallSetup) -> Self {
        let (said_tx, said) = unbounded_channel();
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
                tap: setup.tap,
            },
            peer: None,
            generation: 0,
            generations: 0,
            kept: 0,
            said_tx,
            said,
            notices: VecDeque::new(),
            closing: JoinSet::new(),
            ended: (0, 0),
            early: BTreeMap::new(),
            party_id: None,
            calls: 0,
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

    /// Dials keys in the running call; false when there is none.
    pub fn dial(&mut self, dial: Dial) -> bool {
        self.order(Order::Dial(dial));
        self.peer.is_some()
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
        self.phase() == Phase::Idle && self.notices.is_empty() && self.closing.is_empty()
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
                // What a closed peer still says belongs to no call.
                Some((generation, said)) = self.said.recv() => match said {
                    _ if generation != self.generation || self.peer.is_none() => {}
                    Said::Input(input) => self.handle(input),
                    Said::Digit(digit) => self.notices.push_back(CallNotice::Digit(digit)),
                },
                Some(notice) = self.sound_notices.recv() => return CallNotice::Sound(notice),
                Some(closed) = self.closing.join_next() => {
                    match closed.map_err(JoinError::try_into_panic) {
                        Ok((number, report)) => {
                            self.early.insert(number, report);
                            while let Some(report) = self.early.remove(&self.ended.1) {
                                self.ended.1 += 1;
                                self.notices.push_back(CallNotice::Report(Box::new(report)));
                            }
                        }
                        // A bug, which is not to be hidden as a call without a report.
                        Err(Ok(panic)) => std::panic::resume_unwind(panic),
                        Err(Err(aborted)) => tracing::debug!("the end of a call was aborted: {aborted}"),
                    }
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
                    self.next_generation();
                    let start = || {
                        self.calls += 1;
                        let sound = self.setup.sound.of_call(self.calls);
                        PeerTask::start(Setup { sound, ..self.setup.clone() }, self.said_tx.clone())
                    };
                    let peer = self.peer.get_or_insert_with(start);
                    peer.order(Order::Prepare(self.generation));
                    peer.order(Order::Controls(self.controls));
                }
                Output::CreateOffer => self.order(Order::CreateOffer),
                Output::ApplyOffer { sdp, .. } => self.order(Order::ApplyOffer(sdp)),
                Output::ApplyAnswer { sdp } => self.order(Order::ApplyAnswer(sdp)),
                Output::AddCandidate(candidate) => self.order(Order::AddCandidate(candidate)),
                Output::ClosePeer => {
                    // The sound stays: see `Ended`.
                    self.next_generation();
                    self.order(Order::ClosePeer);
                }
                Output::KeepPeer => {
                    self.kept = self.generation;
                    self.next_generation();
                    self.order(Order::KeepPeer);
                }
                Output::CloseKept => self.order(Order::CloseKept),
                Output::ReturnPeer => {
                    self.generation = self.kept;
                    self.order(Order::ReturnPeer(self.kept));
                }
                Output::Event(event) => {
                    let tone = self.ringer.follow(&event);
                    let ended = match &event {
                        CallEvent::Ended(end) => Some(end.clone()),
                        _ => None,
                    };
                    self.notices.push_back(CallNotice::Event(event));
                    if let Some(end) = ended {
                        self.close(end, tone);
                    }
                }
            }
        }
    }

    /// What was said before belongs to no peer of the machine's.
    fn next_generation(&mut self) {
        self.generations += 1;
        self.generation = self.generations;
    }

    fn order(&self, order: Order) {
        if let Some(peer) = &self.peer {
            peer.order(order);
        }
    }

    /// Closes what the call that is over had, and gives its report then. The next call need not wait for it.
    fn close(&mut self, end: CallEnd, tone: bool) {
        let (times, party_id) = (*self.machine.times(), self.party_id.take());
        let recovery = self.machine.recovery();
        let (peer, sound) = (self.peer.take(), self.setup.sound.of_call(self.calls));
        let number = self.ended.0;
        self.ended.0 += 1;
        self.closing.spawn(async move {
            let Closed { stats, problems } = match peer {
                Some(peer) => peer.close().await,
                None => Closed::default(),
            };
            // A tone that tells of the end is heard first: the process may end with the report.
            if tone {
                tokio::time::sleep(END_TONE).await;
            }
            // Without a codec there was no sound to record.
            let (recording, recording_both) =
                if stats.codec.is_some() { (sound.record, sound.record_both) } else { (None, None) };
            (number, CallReport { end, times, party_id, stats, recovery, recording, recording_both, problems })
        });
    }
}
