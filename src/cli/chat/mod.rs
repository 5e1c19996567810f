//! `chatphone chat`: the whole conversation, line by line, for a terminal or a pipe.
//!
//! | part | what it knows |
//! |---|---|
//! | [`command`] | what a typed line means |
//! | [`forms`] | forms that were asked for, and asking a person for their values |
//! | [`render`], [`json`] | what happens, as lines for people and as JSON for programs |
//! | [`text`] | making text of a server fit for a terminal |
//! | `conversation` | the run: commands in, events out, when to leave |
//! | `act` | carrying out a command |
//! | `input`, `screen` | standard input and output, each in a thread of its own |

mod act;
pub mod command;
mod conversation;
pub mod forms;
mod input;
pub mod json;
pub mod render;
mod screen;
pub mod text;

use crate::api::Client;
use crate::call::CallSetup;
use crate::chat::SessionConfig;
use crate::cli::connection::ConnectionArgs;
use crate::cli::evidence::{self, EvidenceArgs, Following};
use crate::cli::interrupt::Interrupts;
use crate::cli::restore::RestoreArgs;
use crate::cli::sound::{NetworkArgs, SoundArgs};
use crate::config::{self, Connection};
use crate::peer::media::MediaClock;
use crate::phone::{EndChat, Phone, PhoneConfig};
use anyhow::Context;
use clap::Args;
use conversation::{Conversation, Manners};
use render::Layout;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

/// Flags of `chatphone chat`.
#[derive(Debug, Args)]
#[command(after_help = commands_help())]
pub struct ChatArgs {
    /// Print each event as one JSON object on a line of its own (docs/chat-json.md lists them)
    #[arg(long)]
    json: bool,

    /// How long the first line waits for an agent to join; 0s: it is sent at once. [default: 60s in a pipe, 0s on a
    /// terminal]
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time::duration)]
    wait_agent: Option<Duration>,

    /// In a pipe: how long to wait for answers after the last line was sent
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = crate::cli::time::duration)]
    linger: Duration,

    /// Leave when nothing was said and nothing happened for this long; a running call is no silence
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time::duration)]
    idle_exit: Option<Duration>,

    /// Leave the chat open at the contact center, for a later run to take up
    #[arg(long)]
    keep_chat: bool,

    /// When an earlier run was killed in a call, ask for it again without being told to
    #[arg(long)]
    call_again: bool,

    /// Take incoming calls without asking
    #[arg(long)]
    auto_answer: bool,

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
/// Wrong settings, and a chat that could not be opened.
pub async fn run(args: ChatArgs) -> anyhow::Result<ExitCode> {
    let stop = Interrupts::take();
    let Connection { mut client, request, url } = args.connection.resolve()?;
    let recorder = args.evidence.start("chat", &mut client)?;
    let last_call = config::last_call_file(&client);
    let network = args.network.network(&url);
    let client = Client::new(client)?;
    let sound = args.sound.spec();
    let clock = MediaClock::start().context("no thread for the sound could be started")?;

    let (typed, shown) = (std::io::stdin().is_terminal(), std::io::stdout().is_terminal());
    let manners = Manners {
        interactive: typed && shown && !args.json,
        typed,
        wait_agent: args.wait_agent.unwrap_or(Duration::from_secs(if typed { 0 } else { 60 })),
        linger: args.linger,
        idle_exit: args.idle_exit,
        auto_answer: args.auto_answer,
        call_again: args.call_again,
        json: args.json,
        layout: Layout { color: shown && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()), breaks: shown },
    };
    let (phone, events, task) = Phone::start(PhoneConfig {
        call: CallSetup {
            client: client.clone(),
            clock,
            network,
            relay_only: args.network.relay_only(),
            sound,
            // Opened by the first call: a chat needs no microphone.
            opened: None,
            tap: recorder.tap(),
            limits: args.restore.limits(),
        },
        client,
        request,
        session: SessionConfig::default(),
        end_chat: if args.keep_chat { EndChat::Never } else { EndChat::IfNew },
        watch_network: true,
        last_call,
    });
    let following = recorder.is_on().then(|| Following::start(phone.clone(), recorder.clone()));
    let went = Conversation::start(phone, events, manners, recorder.clone()).run(stop).await;
    drop(following);
    evidence::finish(recorder).await;
    task.await.context("internal error")?;
    went
}

const ABOUT_LINES: &str = "\
Each line is sent as a message. A line that begins with / is a command; // sends a message with one slash in front. \
On a terminal the chat goes on until Ctrl-D, /quit or /end. In a pipe each line waits until the one before has reached \
the contact center, and after the last one the chat is left.";

const ABOUT_END: &str = "\
Exit codes: 0 the conversation went well; 1 the chat could not be opened, broke off, or (in a pipe) a line could not be \
carried out; 2 the command line or the configuration is wrong. What came of calls is in their reports.";

fn commands_help() -> String {
    let list: Vec<_> = command::COMMANDS
        .iter()
        .map(|(name, arguments, does)| format!("  {:<44} {does}", format!("{name} {arguments}")))
        .collect();
    format!("{ABOUT_LINES}\n\nCommands:\n{}\n\n{ABOUT_END}", list.join("\n"))
}
