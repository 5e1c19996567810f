//! One call from beginning to end: what `chatphone call`, `chatphone demo` and the benchmarks run.

use super::evidence::{self, Following};
use super::summary::{CallSummary, PartySummary};
use crate::api::types::{Availability, ChatRequest};
use crate::api::{ApiError, Client};
use crate::call::{CallConfig, CallEvent, CallReport, CallSetup, Outcome, SoundSpec};
use crate::chat::backoff::Backoff;
use crate::chat::{Cause, ChatEvent, EndReason, SessionConfig};
use crate::evidence::Recorder;
use crate::peer::LocalNetwork;
use crate::peer::media::MediaClock;
use crate::phone::{EndChat, Phone, PhoneConfig, PhoneEvent, PhoneState};
use chatphone_media::audio::dtmf::Dial;
use rand::{SeedableRng, rngs::StdRng};
use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How often the hours are asked for.
const AVAILABILITY_TRIES: u32 = 4;

/// How to make a call.
pub struct CallPlan {
    /// The contact center.
    pub client: Client,
    /// How to ask for the chat.
    pub request: ChatRequest,
    /// Where sound comes from and goes to.
    pub sound: SoundSpec,
    /// The local addresses for media.
    pub network: LocalNetwork,
    /// Use relayed candidates alone.
    pub relay_only: bool,
    /// Wait for the agent to call, instead of asking for a call.
    pub incoming: bool,
    /// Keys to dial once the agent's sound arrives.
    pub dial: Option<Dial>,
    /// How long to stay connected; `None`: until the agent hangs up.
    pub duration: Option<Duration>,
    /// How long an agent (with `incoming`, the agent's call) may take.
    pub wait: Duration,
    /// Time limits of the call itself.
    pub limits: CallConfig,
    /// What becomes of the chat.
    pub end_chat: EndChat,
    /// What is recorded of it. The client is told of it where it is made.
    pub recorder: Recorder,
    /// Where to leave a mark while the call runs.
    pub last_call: Option<PathBuf>,
}

impl CallPlan {
    /// A call that sends silence and keeps nothing, until the agent hangs up. `host`: the contact center's address, when
    /// it is known to be one of this machine's.
    pub fn new(client: Client, host: Option<IpAddr>) -> Self {
        Self {
            client,
            request: ChatRequest::default(),
            sound: SoundSpec::default(),
            network: LocalNetwork::towards(host),
            relay_only: false,
            incoming: false,
            dial: None,
            duration: None,
            wait: Duration::from_secs(60),
            limits: CallConfig::default(),
            end_chat: EndChat::IfNew,
            recorder: Recorder::default(),
            last_call: None,
        }
    }
}

/// Makes a call. `stop` ends it early; `watch` sees every event and the state that goes with it. Whatever goes wrong is
/// in the summary.
pub async fn place_call(
    plan: CallPlan,
    stop: impl Future<Output = ()>,
    mut watch: impl FnMut(&PhoneEvent, &PhoneState),
) -> CallSummary {
    let (mut stop, recorder) = (pin!(stop), plan.recorder.clone());
    let ready = tokio::select! {
        ready = prepare(plan) => ready,
        () = &mut stop => return CallSummary::without_call(Outcome::Cancelled, "stopped before the call"),
    };
    let Prepared { config, incoming, mut dial, duration, wait } = match ready {
        Ok(prepared) => *prepared,
        Err(summary) => return *summary,
    };
    let (phone, mut events, task) = Phone::start(config);
    let following = Following::start(phone.clone(), recorder.clone());
    let mut progress = Progress { phone, incoming, asked: false, report: None, no_call: None };
    let mut wait_until = Some(Instant::now() + wait);
    let mut hang_up_at = None;
    let mut stopped = false;
    loop {
        let timer = hang_up_at.or(wait_until);
        tokio::select! {
            event = events.recv() => {
                let Some(event) = event else { break };
                // A copy: the phone would wait for who looks at its state for long.
                let state = progress.phone.state().clone();
                evidence::see(&recorder, &event, &state);
                watch(&event, &state);
                match &event {
                    PhoneEvent::Call(CallEvent::Requesting { .. } | CallEvent::Ringing { .. }) => wait_until = None,
                    PhoneEvent::Call(CallEvent::Connected) => hang_up_at = duration.map(|d| Instant::now() + d),
                    PhoneEvent::Call(CallEvent::MediaFlowing) => {
                        if let Some(dial) = dial.take() {
                            progress.phone.dial(dial);
                        }
                    }
                    PhoneEvent::Call(CallEvent::Ended(_)) => hang_up_at = None,
                    _ => {}
                }
                progress.handle(event);
            }
            () = &mut stop, if !stopped => {
                stopped = true;
                (wait_until, hang_up_at) = (None, None);
                progress.give_up(Outcome::Cancelled, "stopped before the call".into());
            }
            () = sleep_until(timer.unwrap_or_else(Instant::now)), if timer.is_some() => {
                if hang_up_at.take().is_some() {
                    progress.phone.hang_up();
                } else {
                    wait_until = None;
                    let what = if incoming { "no agent called" } else { "no agent joined the chat" };
                    progress.give_up(Outcome::Unavailable, format!("{what} within {} s", wait.as_secs_f64()));
                }
            }
        }
    }
    // The stream ended, so the task is at its end too; a panic in it must not look like a call that went well.
    if let Err(error) = task.await {
        return CallSummary::without_call(Outcome::Failed, format!("internal error: {error}"));
    }
    progress.summary(&following)
}

struct Prepared {
    config: PhoneConfig,
    incoming: bool,
    dial: Option<Dial>,
    duration: Option<Duration>,
    wait: Duration,
}

/// Asks for the hours; passing faults are waited out. An address at which nobody listens is more likely wrong than asleep.
async fn availability(client: &Client) -> Result<Availability, ApiError> {
    let (mut backoff, mut rng) = (Backoff::default(), StdRng::seed_from_u64(rand::random()));
    loop {
        let error = match client.availability().await {
            Ok(availability) => return Ok(availability),
            Err(error) => error,
        };
        let Some(cause) = Cause::of(&error).filter(|_| !error.is_unreachable()) else { return Err(error) };
        if cause == Cause::Elsewhere || backoff.failures() + 1 >= AVAILABILITY_TRIES {
            return Err(error);
        }
        let wait = backoff.fail(cause, std::time::Instant::now(), &mut rng);
        tracing::warn!("{error}; asking again in {:.1} s", wait.as_secs_f64());
        tokio::time::sleep(wait).await;
    }
}

/// Finds what can be wrong before anybody is bothered: the contact center, its hours, sound devices and files.
async fn prepare(plan: CallPlan) -> Result<Box<Prepared>, Box<CallSummary>> {
    let no = |outcome, reason: String| Err(Box::new(CallSummary::without_call(outcome, reason)));
    match availability(&plan.client).await {
        Ok(availability) if availability.is_open() => {}
        Ok(_) => return no(Outcome::Unavailable, "the contact center is closed now".into()),
        Err(error) => return no(Outcome::Failed, error.to_string()),
    }
    // Last, since it begins the recordings: one that is there already must not be lost to a call that cannot be made.
    let sound = plan.sound.clone();
    let opened = match tokio::task::spawn_blocking(move || sound.open()).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return no(Outcome::Failed, error),
        Err(error) => return no(Outcome::Failed, format!("internal error: {error}")),
    };
    let clock = match MediaClock::start() {
        Ok(clock) => clock,
        Err(error) => return no(Outcome::Failed, format!("no thread for the sound could be started: {error}")),
    };
    Ok(Box::new(Prepared {
        config: PhoneConfig {
            call: CallSetup {
                client: plan.client.clone(),
                clock,
                network: plan.network,
                relay_only: plan.relay_only,
                sound: plan.sound,
                opened: Some(opened),
                tap: plan.recorder.tap(),
                limits: plan.limits,
            },
            client: plan.client,
            request: plan.request,
            session: SessionConfig::default(),
            end_chat: plan.end_chat,
            watch_network: true,
            last_call: plan.last_call,
        },
        incoming: plan.incoming,
        dial: plan.dial,
        duration: plan.duration,
        wait: plan.wait,
    }))
}

struct Progress {
    phone: Phone,
    incoming: bool,
    asked: bool,
    report: Option<Box<CallReport>>,
    /// Why there was no call.
    no_call: Option<(Outcome, String)>,
}

impl Progress {
    fn handle(&mut self, event: PhoneEvent) {
        match event {
            PhoneEvent::Call(CallEvent::Ringing { .. }) => self.phone.accept(),
            // Also where the agent was to call: nobody there knows that the call is not up any more.
            PhoneEvent::CallWasCut { party_id, .. } if !self.asked && self.no_call.is_none() => {
                self.asked = true;
                self.phone.request_call(Some(party_id), false);
            }
            PhoneEvent::CallReport(report) => {
                // An agent may call again after a refusal: that call is shut down, and is not the one asked for.
                self.report.get_or_insert(report);
                self.phone.shut_down();
            }
            PhoneEvent::Chat(ChatEvent::Ended { reason }) => {
                self.no_call.get_or_insert((outcome_of(&reason), reason.to_string()));
            }
            _ => {}
        }
        if !self.incoming && !self.asked && self.no_call.is_none() && self.phone.state().agent.is_some() {
            self.asked = true;
            self.phone.request_call(None, false);
        }
    }

    /// Ends what there is: a call, or the wait for one.
    fn give_up(&mut self, outcome: Outcome, reason: String) {
        if self.phone.state().call == crate::call::Phase::Idle && self.report.is_none() {
            self.no_call.get_or_insert((outcome, reason));
        }
        self.phone.shut_down();
    }

    fn summary(self, following: &Following) -> CallSummary {
        let state = self.phone.state().clone();
        let mut summary = match (&self.report, self.no_call) {
            (Some(report), _) => CallSummary::of(report),
            (None, Some((outcome, reason))) => CallSummary::without_call(outcome, reason),
            (None, None) => CallSummary::without_call(Outcome::Failed, "the chat ended without a call"),
        };
        if let Some(report) = &self.report {
            summary.explain(report, following.worst_load());
        }
        let party_id = self.report.as_ref().and_then(|r| r.party_id.clone());
        summary.party = party_id
            .or_else(|| state.agent.as_ref().map(|a| a.id.clone()))
            .map(|id| PartySummary { name: state.party_name(&id), id });
        summary.chat_id = state.chat_id;
        summary
    }
}

/// What came of a call that there was not, by how the chat ended.
fn outcome_of(reason: &EndReason) -> Outcome {
    match reason {
        EndReason::ByServer | EndReason::Inactivity { .. } => Outcome::Unavailable,
        EndReason::ByClient { .. } | EndReason::Shutdown { .. } => Outcome::Cancelled,
        EndReason::ServerFailed
        | EndReason::Gone
        | EndReason::InUse
        | EndReason::NotOpened { .. }
        | EndReason::Refused { .. } => Outcome::Failed,
    }
}
