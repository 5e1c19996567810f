//! The task that owns the WebRTC peer and the sound of one call.
//!
//! It carries out the machine's orders one after another and reports what happens. The machine never waits for it.
//! Here is the driver's end of it; the task itself is in [`task`], the peer's making in [`making`], one of the
//! peers that there may be two of in [`line`], and the sound, which may outlive them, in [`voice`].

mod line;
mod making;
mod task;
mod voice;

use super::machine::Input;
use super::sound::SoundSpec;
use super::stats::CallStats;
use crate::api::Client;
use crate::api::signaling::IceCandidate;
use crate::peer::LocalNetwork;
use crate::peer::media::{MediaClock, MediaParts, SoundControls, SoundNotice};
use chatphone_media::audio::dtmf::{Dial, Digit};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use task::Task;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// How long closing may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// What every call of a phone has in common.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) client: Client,
    pub(super) clock: MediaClock,
    pub(super) network: LocalNetwork,
    pub(super) relay_only: bool,
    pub(super) sound: SoundSpec,
    /// What there is to tell of the sound.
    pub(super) notices: UnboundedSender<SoundNotice>,
    /// The sound of the first call, where it was opened ahead.
    pub(super) opened: Arc<Mutex<Option<MediaParts>>>,
}

impl Setup {
    fn open_sound(&self) -> Result<MediaParts, String> {
        let ahead = self.opened.lock().unwrap_or_else(PoisonError::into_inner).take();
        ahead.map_or_else(|| self.sound.open(), Ok)
    }
}

/// An order of the machine.
pub(super) enum Order {
    /// Make a peer; what it reports is marked with this generation.
    Prepare(u64),
    /// Close the peer and keep the sound: another peer may follow in the same call.
    ClosePeer,
    /// The peer goes on carrying sound, beside the next one.
    KeepPeer,
    /// Close the peer that was kept.
    CloseKept,
    /// Close the newest peer, and go on with the one that was kept, whose generation this is.
    ReturnPeer(u64),
    CreateOffer,
    ApplyOffer(String),
    ApplyAnswer(String),
    AddCandidate(IceCandidate),
    Controls(SoundControls),
    /// Dial keys, once the sound runs.
    Dial(Dial),
    /// The call is over: close everything.
    Close(oneshot::Sender<Closed>),
}

/// What a call leaves.
#[derive(Default)]
pub(super) struct Closed {
    pub(super) stats: CallStats,
    pub(super) problems: Vec<String>,
}

/// The driver's end of the task. Dropping it ends the task.
pub(super) struct PeerTask {
    orders: UnboundedSender<Order>,
    stats: watch::Receiver<CallStats>,
}

impl PeerTask {
    /// Starts the task; what it reports goes to `said`.
    pub(super) fn start(setup: Setup, said: UnboundedSender<(u64, Said)>) -> Self {
        let (orders, orders_rx) = unbounded_channel();
        let (stats_tx, stats) = watch::channel(CallStats::default());
        tokio::spawn(Task::new(setup, Reports { generation: 0, said }, stats_tx).run(orders_rx));
        Self { orders, stats }
    }

    pub(super) fn order(&self, order: Order) {
        // A task that is gone has reported why.
        let _ = self.orders.send(order);
    }

    pub(super) fn stats(&self) -> CallStats {
        self.stats.borrow().clone()
    }

    /// Closes peer and sound. Bounded in time.
    pub(super) async fn close(self) -> Closed {
        let (done, closed) = oneshot::channel();
        let last = self.stats();
        self.order(Order::Close(done));
        match timeout(CLOSE_WITHIN, closed).await {
            Ok(Ok(closed)) => closed,
            Ok(Err(_)) => Closed { stats: last, problems: Vec::new() },
            Err(_) => Closed { stats: last, problems: vec!["the call did not close in time".into()] },
        }
    }
}

/// What the task reports.
pub(super) enum Said {
    /// For the machine.
    Input(Input),
    /// The far end pressed a key.
    Digit(Digit),
}

#[derive(Clone)]
struct Reports {
    generation: u64,
    said: UnboundedSender<(u64, Said)>,
}

impl Reports {
    fn say(&self, input: Input) {
        self.send(Said::Input(input));
    }

    fn send(&self, said: Said) {
        // The driver is gone: so is the call.
        let _ = self.said.send((self.generation, said));
    }
}
