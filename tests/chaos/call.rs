//! One call through the client library, to a center of its own.

use super::trouble::Trouble;
use chatphone::api::{Client, ClientConfig, Identity};
use chatphone::call::{CallConfig, Outcome, SoundSpec};
use chatphone::cli::place::{CallPlan, place_call};
use chatphone::simulator::{AgentSound, Simulator, SimulatorConfig};
use chatphone_media::audio::source::SourceSpec;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// What no call may take, on a busy machine. The limits below add up to about twenty seconds.
const DEADLINE: Duration = Duration::from_secs(90);

/// A call that was made.
pub struct Made {
    pub outcome: &'static str,
    pub reason: String,
    pub took: Duration,
    /// What should not have been.
    pub wrong: Option<String>,
}

impl Made {
    /// The reason without what differs from call to call.
    pub fn kind_of_reason(&self) -> String {
        let words = self.reason.split([':', ';']).next().unwrap_or_default();
        words.chars().filter(|c| !c.is_ascii_digit()).take(60).collect()
    }
}

/// Makes the call to a center of its own; always comes to an end.
pub async fn make(trouble: Trouble) -> Made {
    let begun = Instant::now();
    let center = Simulator::start(center(&trouble)).await.unwrap();
    let made = make_at(&center, &trouble).await;
    if timeout(DEADLINE, center.shutdown()).await.is_err() {
        let wrong = Some("the simulator does not stop".to_owned());
        return Made { outcome: "HANGS", reason: String::new(), took: begun.elapsed(), wrong };
    }
    made
}

/// Makes the call to a center that others call, too. Its faults are the client's own there; quirks and an agent who calls
/// are for all, and left out.
pub async fn make_shared(center: &Simulator, mut trouble: Trouble) -> Made {
    trouble.incoming = false;
    for fault in &mut trouble.faults {
        fault.when.client = Some(client_id(trouble.seed));
        center.inject(fault.clone());
    }
    make_at(center, &trouble).await
}

/// The center that calls share. Who is not heard of any more is soon forgotten there.
pub async fn shared_center() -> Simulator {
    let config = center(&Trouble::none(0));
    Simulator::start(SimulatorConfig { inactivity_timeout: Some(Duration::from_secs(15)), ..config }).await.unwrap()
}

fn client_id(seed: u64) -> String {
    format!("chaos-{seed}")
}

async fn make_at(center: &Simulator, trouble: &Trouble) -> Made {
    let begun = Instant::now();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (watch, begin) = (seen.clone(), begun);
    let stop_after = trouble.stop_after;
    let stop = async move {
        match stop_after {
            Some(after) => tokio::time::sleep(after).await,
            None => std::future::pending().await,
        }
    };
    let call = place_call(plan(&center.base_url(), trouble), stop, move |event, state| {
        let event: String = format!("{event:?}").chars().take(90).collect();
        let line = format!("{:>6} ms {:?} {event}", begin.elapsed().as_millis(), state.call);
        watch.lock().unwrap().push(line);
    });
    let Ok(summary) = timeout(DEADLINE, call).await else {
        let seen = seen.lock().unwrap().join("\n        ");
        let wrong = Some(format!("the call hangs; it saw\n        {seen}"));
        return Made { outcome: "HANGS", reason: String::new(), took: begun.elapsed(), wrong };
    };
    let took = begun.elapsed();
    let wrong = if summary.reason.contains("internal error") {
        Some(summary.reason.clone())
    } else if trouble.is_harmless() && summary.outcome != Outcome::Completed {
        let seen = seen.lock().unwrap().join("\n        ");
        Some(format!("nothing hinders it, but: {}: {}\n        {seen}", summary.outcome, summary.reason))
    } else {
        None
    };
    Made { outcome: summary.outcome.name(), reason: summary.reason, took, wrong }
}

fn center(trouble: &Trouble) -> SimulatorConfig {
    let mut config = SimulatorConfig {
        hold: Duration::from_millis(800),
        faults: trouble.faults.clone(),
        quirks: trouble.quirks.clone(),
        seed: trouble.seed,
        ..SimulatorConfig::default()
    };
    config.agent.join_after = Duration::from_millis(10);
    config.agent.incoming = trouble.incoming;
    config.agent.sound = AgentSound::Tone(440.0);
    config
}

fn plan(base_url: &str, trouble: &Trouble) -> CallPlan {
    let client = Client::new(ClientConfig {
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_secs(2),
        poll_timeout: Duration::from_secs(3),
        ..ClientConfig::new(base_url, "chaos", Identity::ClientId(client_id(trouble.seed)))
    });
    CallPlan {
        sound: SoundSpec { source: SourceSpec::Tone(880.0), ..SoundSpec::default() },
        duration: Some(trouble.talk),
        wait: Duration::from_secs(6),
        incoming: trouble.incoming,
        limits: CallConfig {
            no_offer: Duration::from_secs(3),
            no_answer: Duration::from_secs(3),
            no_connection: Duration::from_secs(6),
            no_media: Duration::from_secs(3),
            ..CallConfig::default()
        },
        ..CallPlan::new(client.unwrap(), Some([127, 0, 0, 1].into()))
    }
}
