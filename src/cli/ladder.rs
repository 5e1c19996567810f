//! `chatphone ladder`: the call flow of a record.

use super::output;
use crate::evidence::Evidence;
use crate::evidence::ladder::{Flow, TextLayout, page, picture};
use anyhow::Context;
use clap::Args;
use std::fs;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

/// Without a terminal (and $COLUMNS) a flow is so wide.
const USUAL_WIDTH: usize = 110;

/// Show the call flow of a record that `--evidence` wrote: who sent what to whom, and when
#[derive(Debug, Args)]
pub struct LadderArgs {
    /// The record
    file: PathBuf,

    /// Write the flow as a picture (SVG)
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// Write the flow as a page that opens offline, session descriptions and all
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Show session descriptions (and, with --http, bodies) below their lines
    #[arg(long)]
    sdp: bool,

    /// Show the exchanges with the API too
    #[arg(long)]
    http: bool,
}

/// Runs the command.
///
/// # Errors
/// A file that cannot be read or written, or that is no record: with the line that is damaged.
pub fn run(args: &LadderArgs) -> anyhow::Result<ExitCode> {
    let evidence = Evidence::read(&args.file)?;
    let flow = Flow::of(&evidence, args.http);
    for (path, text) in [(&args.svg, picture as fn(&Flow) -> String), (&args.html, page)] {
        if let Some(path) = path {
            fs::write(path, text(&flow)).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    if args.svg.is_none() && args.html.is_none() {
        output::print(layout(args.sdp).show(&flow).trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// As wide as the terminal, and in colour only there.
pub fn layout(sdp: bool) -> TextLayout {
    let shown = std::io::stdout().is_terminal();
    let color = shown && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    TextLayout { width: width(), color, sdp }
}

fn width() -> usize {
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    asked.or_else(terminal_width).filter(|width| *width > 0).unwrap_or(USUAL_WIDTH)
}

#[cfg(unix)]
fn terminal_width() -> Option<usize> {
    rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col))
}

#[cfg(not(unix))]
fn terminal_width() -> Option<usize> {
    None
}
