//! `chatphone demo`: a whole call between two recorded voices on this machine, and the proof that they were heard.

use super::evidence::{self, EvidenceArgs, LiveFlow};
use super::interrupt::Interrupts;
use super::ladder::layout;
use super::output;
use super::place::{CallPlan, place_call};
use super::progress::Progress;
use super::summary::CallSummary;
use crate::api::types::ChatRequest;
use crate::api::{Client, ClientConfig, Identity};
use crate::call::{Outcome, SoundSpec};
use crate::phone::EndChat;
use crate::simulator::{AgentSound, Simulator, SimulatorConfig};
use anyhow::{Context, bail};
use chatphone_media::SAMPLE_RATE;
use chatphone_media::audio::compare::likeness;
use chatphone_media::audio::file::read_wav;
use chatphone_media::audio::source::SourceSpec;
use chatphone_media::samples::{AGENT, CUSTOMER, Sample};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// What was said counts as heard when it correlates with the recording this much.
const HEARD: f32 = 0.9;

/// Make a real call on this machine: a simulated contact center, two recorded voices, the figures, the recordings
///
/// The contact center runs in the same process, but everything goes over real HTTP and UDP. Fails when a recording does
/// not hold what was said.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where the recordings go
    #[arg(long, value_name = "DIR", default_value = "demo-out")]
    out: PathBuf,

    #[command(flatten)]
    evidence: EvidenceArgs,
}

/// Runs the command.
///
/// # Errors
/// When the folder cannot be written or the simulator does not start; a call that went wrong is exit code 1.
pub async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    fs::create_dir_all(&args.out).with_context(|| format!("cannot make the folder {}", args.out.display()))?;
    let customer_says = write_sample(&args.out, "customer-says.wav", &CUSTOMER)?;
    let agent_says = write_sample(&args.out, "agent-says.wav", &AGENT)?;
    let mut config = SimulatorConfig::default();
    config.agent.sound = AgentSound::Play(agent_says);
    config.agent.record_dir = Some(args.out.clone());
    let simulator = Simulator::start(config).await?;
    output::print(&format!(
        "A contact center was started at {}. A customer chats with it, then calls.\n",
        simulator.base_url()
    ))?;

    let customer_hears = args.out.join("customer-hears.wav");
    let mut client_config = ClientConfig::new(simulator.base_url(), "demo", Identity::ClientId(uuid()));
    client_config.tenant = Some("demo.localhost".into());
    let recorder = args.evidence.start("demo", &mut client_config)?;
    let plan = CallPlan {
        request: ChatRequest { from: Some("Demo customer".into()), ..ChatRequest::default() },
        sound: SoundSpec {
            source: SourceSpec::File(customer_says),
            record: Some(customer_hears.clone()),
            record_both: Some(args.out.join("both-sides.wav")),
            ..SoundSpec::default()
        },
        duration: Some(Duration::from_secs_f64(length_s(&CUSTOMER).max(length_s(&AGENT)) + 1.0)),
        wait: Duration::from_secs(10),
        end_chat: EndChat::Always,
        recorder: recorder.clone(),
        ..CallPlan::new(Client::new(client_config)?, Some(simulator.addr().ip()))
    };
    let mut progress = Progress::text();
    let mut flow = LiveFlow::default();
    let summary = place_call(plan, Interrupts::take().first(), |event, state| {
        progress.show(event, state);
        flow.add(event, state);
    })
    .await;
    evidence::outcome(&recorder, &summary);
    evidence::finish(recorder).await;
    let agent_heard = simulator.recordings();
    simulator.shutdown().await;

    let ladder = layout(false).show(flow.flow());
    output::print(&format!("\nWhat was exchanged:\n\n{ladder}\nHow it went:\n\n{summary}"))?;
    if summary.outcome != Outcome::Completed {
        bail!("the call was not completed: {}: {}", summary.outcome, summary.reason);
    }
    let Some(agent_hears) = agent_heard.last() else { bail!("the agent's side was not recorded") };
    output::print("What was heard (correlation with what was said; 1.00 is the same):\n")?;
    let far = heard("the customer", &AGENT, &customer_hears)?;
    let near = heard("the agent", &CUSTOMER, agent_hears)?;
    output::print(&format!(
        "\nListen: {}\n        (left is the customer, right is the agent)",
        args.out.join("both-sides.wav").display()
    ))?;
    if !(far && near) {
        bail!("a recording does not hold what was said: see the lines marked NOT HEARD");
    }
    check_figures(&summary)?;
    Ok(ExitCode::SUCCESS)
}

fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn length_s(sample: &Sample) -> f64 {
    sample.utterances.last().map_or(0.0, |u| u.end_s)
}

fn write_sample(folder: &Path, name: &str, sample: &Sample) -> anyhow::Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, sample.wav).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Looks for everything that `said` says in a recording, and prints what was found.
fn heard(who: &str, said: &Sample, recording: &Path) -> anyhow::Result<bool> {
    let recording = read_wav(recording).with_context(|| format!("what {who} heard"))?;
    let mut original = vec![0.0; (length_s(said) * f64::from(SAMPLE_RATE)) as usize];
    chatphone_media::audio::source::Source::read(&mut said.source()?, &mut original);
    let mut all = true;
    for utterance in said.utterances {
        let at = |s: f64| ((s * f64::from(SAMPLE_RATE)) as usize).min(original.len());
        let correlation =
            likeness(&original[at(utterance.start_s)..at(utterance.end_s)], &recording).unwrap_or_default();
        let mark = if correlation >= HEARD { "" } else { "  NOT HEARD" };
        all &= correlation >= HEARD;
        output::print(&format!("{who:<13}{correlation:>5.2}  \"{}\"{mark}", utterance.text))?;
    }
    Ok(all)
}

/// On loopback nothing may get lost.
fn check_figures(summary: &CallSummary) -> anyhow::Result<()> {
    if summary.received.packets == 0 || summary.sent.packets == 0 {
        bail!("no packets were exchanged");
    }
    if summary.received.lost > 0 {
        bail!("{} packets were lost on this machine's own loopback", summary.received.lost);
    }
    Ok(())
}
