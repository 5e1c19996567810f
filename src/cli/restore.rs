//! Flags that say what is done about a call whose sound stops.

use super::time::duration;
use crate::call::CallConfig;
use clap::Args;
use std::time::Duration;

/// What is done when no sound arrives in a running call.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Interruptions")]
pub struct RestoreArgs {
    /// Do not ask for a call again that was cut off
    #[arg(long)]
    no_restore: bool,

    /// Tell of an interruption after this long without sound
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    interrupted_after: Duration,

    /// Ask for the call again after this long without any sign of life of the agent's side
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration, conflicts_with = "no_restore")]
    restore_after: Duration,

    /// Give a call up that was cut off, and showed no sign of life, for this long
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration, conflicts_with = "no_restore")]
    restore_within: Duration,

    /// How often to ask for a call again that was cut off
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100),
          conflicts_with = "no_restore")]
    restore_attempts: u32,
}

impl RestoreArgs {
    /// The limits of a call with these.
    pub fn limits(&self) -> CallConfig {
        CallConfig {
            interrupted_after: self.interrupted_after,
            restore_after: self.restore_after,
            restore_within: self.restore_within,
            restore_attempts: if self.no_restore { 0 } else { self.restore_attempts },
            ..CallConfig::default()
        }
    }
}
