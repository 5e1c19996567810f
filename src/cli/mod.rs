//! The command line: one file a command, each a thin skin over the library.
//!
//! To add a command: a file with its flags (`Args`) and its function, a variant in [`Command`], an arm in
//! [`Command::run`].

pub mod call;
pub mod chat;
pub mod check;
pub mod connection;
pub mod demo;
mod devices;
pub mod interrupt;
pub mod ladder;
mod log;
pub mod output;
pub mod place;
pub mod progress;
mod query;
mod restore;
mod selftest;
pub mod simulate;
pub mod sound;
pub mod summary;
mod time;

use crate::api::ApiError;
use crate::config::ConfigError;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A softphone for contact centers: asks for a chat, and turns it into a call.
#[derive(Debug, Parser)]
#[command(name = "chatphone", version, max_term_width = 120, propagate_version = true, after_help = AFTER_HELP)]
pub struct Cli {
    /// How much to log.
    #[command(flatten)]
    pub log: log::LogArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Flags win over environment variables ($CHATPHONE_…), and those over the configuration file, \
whose keys are the flags with _ instead of - (url, app_id, …) and a table [parameters].

Exit codes: 0 it worked, 1 it did not (of `availability`: closed), 2 the command line or the configuration is wrong.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a real call on this machine: a simulated contact center, two recorded voices, the proof that they were heard
    Demo(demo::DemoArgs),
    /// Call: request a chat, wait for an agent, ask for a call, talk, report
    Call(Box<call::CallArgs>),
    /// Test everything that a call needs, and say in plain words what is wrong and whom to tell
    Check(Box<check::CheckArgs>),
    /// Be a contact center on this machine, for developing and testing
    Simulate(Box<simulate::SimulateArgs>),
    /// Chat line by line, at a terminal or in a pipe, with calls
    Chat(Box<chat::ChatArgs>),
    /// Is the contact center open? Exit code 0 when it is, 1 when it is closed
    Availability(query::QueryArgs),
    /// List the parameters that a chat request may carry
    Parameters(query::QueryArgs),
    /// List the STUN and TURN servers for calls; passwords are shown with --json alone
    IceServers(query::QueryArgs),
    /// Show the configuration of the chat widgets
    Configuration(query::QueryArgs),
    /// List microphones and speakers; choose which ones calls use
    Devices(devices::DevicesArgs),
    /// Test microphone and speaker, and say what is wrong
    Selftest(selftest::SelftestArgs),
}

impl Command {
    /// How much is logged when no flag says otherwise: a contact center tells what its customers do, anything else only
    /// what is wrong.
    pub fn usual_log_level(&self) -> &'static str {
        if matches!(self, Self::Simulate(_)) { "info" } else { "warn" }
    }

    /// Whether it carries many calls at once, or both ends of one.
    pub fn serves_many(&self) -> bool {
        matches!(self, Self::Simulate(_) | Self::Demo(_))
    }

    /// Runs the command to its end.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Demo(args) => demo::run(args).await,
            Self::Call(args) => call::run(*args).await,
            Self::Check(args) => check::run(*args).await,
            Self::Simulate(args) => simulate::run(*args).await.map(|()| ExitCode::SUCCESS),
            Self::Chat(args) => chat::run(*args).await,
            Self::Availability(args) => query::availability(args).await,
            Self::Parameters(args) => query::parameters(args).await,
            Self::IceServers(args) => query::ice_servers(args).await,
            Self::Configuration(args) => query::configuration(args).await,
            Self::Devices(args) => devices::devices(args).await,
            Self::Selftest(args) => selftest::run(args).await,
        }
    }
}

/// A command line or configuration that cannot be used: the exit code is that of clap's own errors.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// The exit code for an error: 2 when the command line or the configuration is wrong, else 1.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let is_usage = |e: &(dyn std::error::Error + 'static)| {
        e.is::<UsageError>() || e.is::<ConfigError>() || matches!(e.downcast_ref(), Some(ApiError::BadConfig(_)))
    };
    if error.chain().any(is_usage) { 2 } else { 1 }
}
