//! Log lines, on standard error.

use clap::Args;
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// How much to log.
#[derive(Debug, Clone, Default, Args)]
pub struct LogArgs {
    /// Log more: once for what happens, twice for all of it (then texts of messages too, and whatever the server sent)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,

    /// What to log, in the notation of tracing-subscriber, as in "info,chatphone::chat=trace"
    #[arg(long, value_name = "FILTER", global = true, value_parser = filter, conflicts_with = "verbose")]
    log: Option<String>,
}

impl LogArgs {
    /// Sends log lines to standard error from now on. In colour on a terminal, unless `NO_COLOR` says otherwise
    /// (<https://no-color.org>). `usual` is the level of this program's own lines when no flag says otherwise.
    pub fn install(&self, usual: &str) {
        let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let subscriber = tracing_subscriber::fmt()
            .with_writer(io::stderr)
            .with_ansi(colour)
            .with_env_filter(EnvFilter::new(self.directives(usual)))
            .finish();
        // Fails only when the process logs somewhere already.
        let _ = tracing::subscriber::set_global_default(subscriber);
    }

    fn directives(&self, usual: &str) -> String {
        // The WebRTC crates warn about what is normal here: peers that leave, servers that do not answer.
        // The HTTP client's cookie jar logs cookies.
        let quiet = "webrtc=error,rtc=error,cookie_store=warn";
        match (&self.log, self.verbose) {
            (Some(filter), _) => filter.clone(),
            (None, 0) => format!("warn,chatphone={usual},{quiet}"),
            (None, 1) => format!("info,chatphone=debug,{quiet}"),
            (None, _) => "info,chatphone=trace,cookie_store=warn".into(),
        }
    }
}

fn filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_has_a_filter_that_is_understood() {
        for verbose in 0..4 {
            let directives = LogArgs { verbose, log: None }.directives("warn");
            assert_eq!(filter(&directives), Ok(directives));
        }
    }

    #[test]
    fn a_filter_that_is_none_is_refused() {
        assert!(filter("chatphone=loud").is_err());
    }
}
