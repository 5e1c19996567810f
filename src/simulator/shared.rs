//! What drives the [`Center`]: the clock, the held polls and the agents' peers.
//!
//! One mutex guards the center. Every input takes microseconds and waits for nothing, and the lock is never held across
//! an await, so an actor task with a channel would add a hand-over to each request and gain nothing. Actions are carried
//! out under the lock too (they only push into channels), so that they keep the order of the inputs.

use super::auth::ClientKey;
use super::calls::Telephony;
use super::center::{Action, Center, Load, Poll};
use super::config::SimulatorConfig;
use super::desk::wire::{DeskEvent, DeskId, SignIn};
use super::error::ApiError;
use super::line::{CallCommand, CallEvent, CallId};
use crate::api::ServerEvent;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Uploads received at one time; others wait their turn, so that memory stays bounded.
const UPLOADS: usize = 8;

pub(super) struct Shared {
    pub config: Arc<SimulatorConfig>,
    pub uploads: Semaphore,
    /// Cancelled when the simulator closes: held polls end, nothing new begins.
    pub closing: CancellationToken,
    /// The clock and the agents' calls.
    pub tasks: TaskTracker,
    pub telephony: Telephony,
    opened: Instant,
    /// Where calls run, also when an input comes from a thread outside of it.
    runtime: tokio::runtime::Handle,
    /// The number of the newest entry in the log.
    newest: watch::Sender<u64>,
    /// Tells the clock that the next time-out may be earlier than it thinks.
    sooner: Notify,
    state: Mutex<State>,
}

struct State {
    center: Center,
    /// Of the sessions with a held poll.
    polls: HashMap<String, Arc<Notify>>,
    calls: HashMap<CallId, mpsc::UnboundedSender<CallCommand>>,
    desks: HashMap<DeskId, mpsc::UnboundedSender<DeskEvent>>,
}

impl Shared {
    pub fn new(config: SimulatorConfig, telephony: Telephony) -> Arc<Self> {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let config = Arc::new(config);
        let center = Center::new(config.clone(), i64::try_from(epoch.as_millis()).unwrap_or_default());
        Arc::new(Self {
            config,
            uploads: Semaphore::new(UPLOADS),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
            telephony,
            opened: Instant::now(),
            runtime: tokio::runtime::Handle::current(),
            newest: watch::Sender::new(0),
            sooner: Notify::new(),
            state: Mutex::new(State { center, polls: HashMap::new(), calls: HashMap::new(), desks: HashMap::new() }),
        })
    }

    /// Gives an input to the center, then what is due by now, and carries out what comes of it.
    pub fn with<R>(self: &Arc<Self>, input: impl FnOnce(&mut Center, Duration) -> R) -> R {
        let now = self.opened.elapsed();
        let mut state = self.lock();
        let before = state.center.next_timeout();
        let result = input(&mut state.center, now);
        state.center.handle_timeout(now);
        for action in state.center.take_actions(now) {
            self.carry_out(&mut state, action);
        }
        let newest = state.center.log().newest();
        self.newest.send_if_modified(|known| std::mem::replace(known, newest) != newest);
        let after = state.center.next_timeout();
        if after.is_some() && (before.is_none() || after < before) {
            self.sooner.notify_one();
        }
        result
    }

    /// What is held at the moment.
    pub fn load(&self) -> Load {
        let state = self.lock();
        let load = state.center.load();
        Load { polls: state.polls.len(), calls: load.calls.max(state.calls.len()), desks: state.desks.len(), ..load }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic inside the center loses one input; the others should still be served.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry_out(self: &Arc<Self>, state: &mut State, action: Action) {
        match action {
            Action::Wake(chat_id) => {
                if let Some(poll) = state.polls.get(&chat_id) {
                    poll.notify_one();
                }
            }
            Action::StartCall(spec) => {
                let (commands, receiver) = mpsc::unbounded_channel();
                let id = spec.id;
                state.calls.insert(id, commands);
                let shared = self.clone();
                let report = move |event| shared.with(|center, now| center.call_event(id, event, now));
                let call = self.telephony.clone().call(spec, receiver, report);
                let shared = self.clone();
                let run = async move {
                    if let Err(reason) = call.await {
                        tracing::warn!(call = id, %reason, "an agent's call failed");
                        shared.with(|center, now| center.call_event(id, CallEvent::Failed(reason), now));
                    }
                    shared.lock().calls.remove(&id);
                };
                self.tasks.spawn_on(run, &self.runtime);
            }
            Action::Call(id, command) => {
                let close = command == CallCommand::Close;
                if let Some(call) = state.calls.get(&id) {
                    // A call that is over already needs no command.
                    let _ = call.send(command);
                }
                if close {
                    state.calls.remove(&id);
                }
            }
            Action::Desk(id, event) => {
                if let Some(desk) = state.desks.get(&id) {
                    // A desk whose socket is gone is about to sign out.
                    let _ = desk.send(event);
                }
            }
        }
    }

    /// Signs a desk in, and gives what it is told from then on.
    ///
    /// # Errors
    /// When the center refuses it.
    pub fn sign_in(self: &Arc<Self>, who: SignIn) -> Result<(DeskId, mpsc::UnboundedReceiver<DeskEvent>), String> {
        let (events, receiver) = mpsc::unbounded_channel();
        let now = self.opened.elapsed();
        let id = {
            // The first events are among the actions of signing in, so the desk must be known before they are carried out.
            let mut state = self.lock();
            let id = state.center.sign_in(who, now)?;
            state.desks.insert(id, events);
            id
        };
        self.with(|_, _| ());
        Ok((id, receiver))
    }

    /// The desk is gone; `away`: it may come back.
    pub fn sign_out(self: &Arc<Self>, id: DeskId, away: bool) {
        self.lock().desks.remove(&id);
        self.with(|center, now| if away { center.step_away(id, now) } else { center.sign_out(id, now) });
    }

    /// Changes with every entry of the log.
    pub fn watch_log(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Runs the center's timers until the simulator closes.
    pub async fn run_clock(self: Arc<Self>) {
        loop {
            let next = self.lock().center.next_timeout().map(|due| self.opened + due);
            let due = async {
                match next {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.with(|_, _| ()),
                () = self.sooner.notified() => {}
                () = self.closing.cancelled() => return,
            }
        }
    }

    /// Get New Chat Events: waits for news at most as long as polls are held.
    pub async fn poll(self: &Arc<Self>, client: &ClientKey, chat_id: &str) -> Result<Vec<ServerEvent>, ApiError> {
        let until = Instant::now() + self.config.hold;
        let news = Arc::new(Notify::new());
        {
            let first = self.with(|center, _| center.poll(client, chat_id))?;
            match first {
                Poll::Events(events) => return Ok(events),
                Poll::Held => self.lock().polls.insert(chat_id.to_owned(), news.clone()),
            };
        }
        // Also when the client goes away and this future is dropped.
        let _held = HeldPoll { shared: self, chat_id };
        loop {
            // What came between the first look and the registration is found here.
            match self.with(|center, _| center.poll_again(chat_id)) {
                Poll::Events(events) => return Ok(events),
                Poll::Held if self.closing.is_cancelled() => return Ok(Vec::new()),
                Poll::Held => {}
            }
            tokio::select! {
                () = news.notified() => {}
                () = self.closing.cancelled() => {}
                () = tokio::time::sleep_until(until) => return Ok(Vec::new()),
            }
        }
    }
}

/// A poll that is being held.
struct HeldPoll<'a> {
    shared: &'a Arc<Shared>,
    chat_id: &'a str,
}

impl Drop for HeldPoll<'_> {
    fn drop(&mut self) {
        self.shared.lock().polls.remove(self.chat_id);
        self.shared.with(|center, _| center.end_poll(self.chat_id));
    }
}
