//! The chatphone command: parses, logs, runs one command, and maps its error to an exit code.

use chatphone::cli::{Cli, exit_code, output};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.log.install(cli.command.usual_log_level());
    // One call is a few hundred small wake-ups a second: on one thread they cost half of what they cost on several.
    let mut builder = if cli.command.serves_many() {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("chatphone: cannot start: {e}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(cli.command.run());
    // A blocking read of the keyboard, or a sound device that hangs, must not keep the process.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(e) if output::is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("chatphone: {e:#}");
            ExitCode::from(exit_code(&e))
        }
    }
}
