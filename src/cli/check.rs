//! `chatphone check`: says before a call what is wrong, and whom to tell.

mod text;

use super::connection::ConnectionArgs;
use super::interrupt::Interrupts;
use super::output::print;
use super::sound::NetworkArgs;
use super::time::duration;
use crate::check::{CheckConfig, Devices, check};
use crate::config::{ChosenDevices, Connection};
use chatphone_media::audio::device::Wanted;
use clap::Args;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;
use text::Text;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The longest test call.
const LONGEST_CALL: Duration = Duration::from_secs(300);

/// Test everything that a call needs, and say in plain words what is wrong and whom to tell
///
/// Looks at the way to the contact center (DNS, TCP, TLS, proxy, sign-in pages), whether it takes this client and is open,
/// each STUN and TURN server by itself, NAT, blocked UDP, microphone and speaker, and makes a short call of this machine
/// with itself through the relay. No chat is opened and no agent is disturbed unless --chat is given. The exit code is 0
/// when calls can be made (perhaps with warnings), 1 when not, 2 for wrong usage. It takes about ten seconds.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// How long the test call lasts; 0s: no test call
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    duration: Duration,

    /// Make a test call through each relay that works, instead of the best one
    #[arg(long)]
    all_relays: bool,

    /// Also ask for a chat, wait for one held poll, and end it: agents may see that. A chat that is open stays untouched
    #[arg(long)]
    chat: bool,

    /// Leave microphone and speaker out
    #[arg(long, conflicts_with_all = ["mic", "speaker"])]
    no_audio: bool,

    /// The microphone, by name or id; without it the one that calls use
    #[arg(long, value_name = "DEVICE")]
    mic: Option<String>,

    /// The speaker, by name or id; without it the one that calls use
    #[arg(long, value_name = "DEVICE")]
    speaker: Option<String>,

    /// Print the result as one line of JSON
    #[arg(long)]
    json: bool,

    // Behind the flags above: each group sets the heading of all that follow it.
    #[command(flatten)]
    connection: ConnectionArgs,

    #[command(flatten)]
    network: NetworkArgs,
}

impl CheckArgs {
    fn devices(&self) -> Option<Devices> {
        if self.no_audio {
            return None;
        }
        let chosen = ChosenDevices::load();
        let wanted = |named: &Option<String>, chosen: Option<String>| match named.as_deref() {
            Some("default") => Wanted::default(),
            Some(name) => Wanted::named(Some(name)),
            None => Wanted { name: chosen, or_default: true },
        };
        Some(Devices {
            microphone: wanted(&self.mic, chosen.microphone),
            speaker: wanted(&self.speaker, chosen.speaker),
        })
    }
}

/// Runs the command.
///
/// # Errors
/// Wrong settings; whatever else is wrong is what the report is for.
pub async fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    if args.duration > LONGEST_CALL {
        return Err(super::UsageError(format!("--duration is {} s at most", LONGEST_CALL.as_secs())).into());
    }
    let devices = args.devices();
    let Connection { client, request, url } = args.connection.resolve()?;
    let config = CheckConfig {
        network: args.network.network(&url),
        relay_only: args.network.relay_only(),
        client,
        url,
        request,
        devices,
        call: args.duration,
        all_relays: args.all_relays,
        chat: args.chat,
    };
    let stop = CancellationToken::new();
    let interrupted = stop.clone();
    tokio::spawn(async move {
        Interrupts::take().first().await;
        interrupted.cancel();
    });
    let (tell, mut steps) = mpsc::unbounded_channel();
    let text = Text::new(std::io::stdout().is_terminal() && no_colour_is_unset());
    let show = async {
        while let Some(step) = steps.recv().await {
            if !args.json
                && let Some(line) = text.step(&step)
            {
                print(&line)?;
            }
        }
        std::io::Result::Ok(())
    };
    let (report, shown) = tokio::join!(check(config, stop, tell), show);
    let report = report?;
    shown?;
    print(&if args.json { serde_json::to_string(&report)? } else { text.end(&report) })?;
    Ok(if report.conclusion.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// <https://no-color.org>
fn no_colour_is_unset() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
