//! chatphone.
use clap::{Parser, Subcommand};

/// WebRTC softphone for contact centers.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Sub,
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
}

#[derive(Subcommand)]
enum Sub {
    Chat(chatphone::cli::chat::ChatArgs),
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let level = ["warn", "info", "debug", "trace"][usize::from(cli.verbose.min(3))];
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| level.into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let Sub::Chat(args) = cli.command;
    chatphone::cli::chat::run(args).await.unwrap_or_else(|error| {
        eprintln!("chatphone: {error:#}");
        std::process::ExitCode::FAILURE
    })
}
