//! What the stories share: a simulated contact center, a plan for a call, and what was heard.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

use chatphone::api::{Client, ClientConfig, Identity};
use chatphone::call::SoundSpec;
use chatphone::cli::place::{CallPlan, place_call};
use chatphone::cli::summary::CallSummary;
use chatphone::phone::{PhoneEvent, PhoneState};
use chatphone::simulator::{Simulator, SimulatorConfig};
use chatphone_media::SAMPLE_RATE;
use chatphone_media::audio::compare::likeness;
use chatphone_media::audio::file::read_wav;
use chatphone_media::audio::source::{Source, SourceSpec};
use chatphone_media::samples::Sample;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub fn client(base_url: &str) -> Client {
    let identity = Identity::ClientId(uuid::Uuid::new_v4().to_string());
    Client::new(ClientConfig::new(base_url, "test", identity)).unwrap()
}

pub async fn center(change: impl FnOnce(&mut SimulatorConfig)) -> Simulator {
    let mut config = SimulatorConfig::default();
    config.agent.join_after = Duration::from_millis(20);
    change(&mut config);
    Simulator::start(config).await.unwrap()
}

pub fn plan(base_url: &str) -> CallPlan {
    CallPlan {
        sound: SoundSpec { source: SourceSpec::Tone(440.0), ..SoundSpec::default() },
        duration: Some(Duration::from_millis(1500)),
        wait: Duration::from_secs(10),
        ..CallPlan::new(client(base_url), Some([127, 0, 0, 1].into()))
    }
}

pub async fn call(plan: CallPlan) -> CallSummary {
    call_watched(plan, |_, _| {}).await
}

pub async fn call_watched(plan: CallPlan, watch: impl FnMut(&PhoneEvent, &PhoneState)) -> CallSummary {
    place_call(plan, pending(), watch).await
}

/// A sample as a file.
pub fn write_sample(folder: &Path, sample: &Sample) -> PathBuf {
    let path = folder.join(sample.name);
    std::fs::write(&path, sample.wav).unwrap();
    path
}

/// How much each utterance of a sample is in a recording, 0 to 1.
pub fn correlations(sample: &Sample, recording: &Path) -> Vec<f32> {
    let recording = read_wav(recording).unwrap();
    let at = |s: f64| (s * f64::from(SAMPLE_RATE)) as usize;
    let mut said = vec![0.0; at(sample.utterances.last().unwrap().end_s)];
    sample.source().unwrap().read(&mut said);
    let found = |start: f64, end: f64| likeness(&said[at(start)..at(end)], &recording).unwrap();
    sample.utterances.iter().map(|u| found(u.start_s, u.end_s)).collect()
}
