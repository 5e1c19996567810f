//! `chatphone call`: one call, from the chat request to the report.

use super::connection::ConnectionArgs;
use super::evidence::{self, EvidenceArgs};
use super::interrupt::Interrupts;
use super::output;
use super::place::{CallPlan, place_call};
use super::progress::Progress;
use super::restore::RestoreArgs;
use super::sound::{NetworkArgs, SoundArgs};
use super::time::duration;
use crate::api::Client;
use crate::call::{CallConfig, Outcome};
use crate::config::{self, Connection};
use crate::phone::EndChat;
use chatphone_media::audio::dtmf::Dial;
use clap::Args;
use std::process::ExitCode;
use std::time::Duration;

/// Call a contact center: request a chat, wait for an agent, ask for a call, talk, report
///
/// The exit code is 0 when the call was completed, 1 when it was not (the reason is in the report), 2 for wrong usage.
#[derive(Debug, Args)]
pub struct CallArgs {
    /// Hang up this long after the call was connected (as in 10s, 2m); without it the agent, or Ctrl-C, ends the call
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,

    /// Dial these keys once the agent's sound arrives: 0-9, *, #, A-D; w is a pause of half a second
    #[arg(long, value_name = "KEYS")]
    dtmf: Option<Dial>,

    /// Wait for the agent to call, instead of asking for a call
    #[arg(long)]
    incoming: bool,

    /// How long to wait for an agent to join (with --incoming: to call)
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    wait: Duration,

    /// How long to wait for the agent's answer to the request for a call
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    answer_within: Duration,

    /// Leave the chat open at the contact center when the call is over
    #[arg(long)]
    keep_chat: bool,

    /// Print events as JSON lines, and the report as one JSON object on the last line
    #[arg(long)]
    json: bool,

    // Behind the flags above: each group sets the heading of all that follow it.
    #[command(flatten)]
    connection: ConnectionArgs,

    #[command(flatten)]
    sound: SoundArgs,

    #[command(flatten)]
    network: NetworkArgs,

    #[command(flatten)]
    evidence: EvidenceArgs,

    #[command(flatten)]
    restore: RestoreArgs,
}

/// Runs the command.
///
/// # Errors
/// Wrong settings; what goes wrong in the call itself is in the report.
pub async fn run(args: CallArgs) -> anyhow::Result<ExitCode> {
    let Connection { mut client, request, url } = args.connection.resolve()?;
    let recorder = args.evidence.start("call", &mut client)?;
    let last_call = config::last_call_file(&client);
    let network = args.network.network(&url);
    let plan = CallPlan {
        client: Client::new(client)?,
        request,
        sound: args.sound.spec(),
        network,
        relay_only: args.network.relay_only(),
        incoming: args.incoming,
        dial: args.dtmf,
        duration: args.duration,
        wait: args.wait,
        limits: CallConfig { no_offer: args.answer_within, ..args.restore.limits() },
        end_chat: if args.keep_chat { EndChat::Never } else { EndChat::IfNew },
        recorder: recorder.clone(),
        last_call,
    };
    let mut progress = if args.json { Progress::json() } else { Progress::text() };
    let summary = place_call(plan, Interrupts::take().first(), |event, state| progress.show(event, state)).await;
    evidence::outcome(&recorder, &summary);
    evidence::finish(recorder).await;
    let report = if args.json { serde_json::to_string(&summary)? } else { format!("\n{summary}") };
    output::print(&report)?;
    if summary.outcome == Outcome::Completed {
        return Ok(ExitCode::SUCCESS);
    }
    // People may have sent stdout to a file: the reason belongs on stderr too.
    eprintln!("chatphone: the call was not completed: {}: {}", summary.outcome, summary.reason);
    Ok(ExitCode::FAILURE)
}
