//! `selftest`: plays and records, and says in plain words what is wrong with the sound of this machine.

mod measure;

use super::UsageError;
use super::output::print;
use crate::config::ChosenDevices;
use chatphone_media::audio::device::{Error, Microphone, Speaker, Wanted};
use clap::Args;
use measure::Measured;
use serde::Serialize;
use std::fmt;
use std::process::ExitCode;

/// Test microphone and speaker: play chirps and a voice, listen to them, and say what is wrong
///
/// Where the microphone hears the speaker, this also measures how long sound takes from one to the other, how much
/// weaker it comes back, and how much of it echo cancelling takes out. The exit code is 0 when all is well, 1 when
/// something is wrong, 2 for wrong usage. It takes about 15 seconds.
#[derive(Debug, Clone, Args)]
pub struct SelftestArgs {
    /// The microphone, by name or id; without it the one that calls use
    #[arg(long, value_name = "DEVICE")]
    mic: Option<String>,

    /// The speaker, by name or id; without it the one that calls use
    #[arg(long, value_name = "DEVICE")]
    speaker: Option<String>,

    /// Print the result as one line of JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// A device that is named and is not there.
pub async fn run(args: SelftestArgs) -> anyhow::Result<ExitCode> {
    let json = args.json;
    let report = tokio::task::spawn_blocking(move || test(&args)).await??;
    print(&if json { serde_json::to_string(&report)? } else { report.to_string() })?;
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is wrong, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    NoMicrophone,
    NoSpeaker,
    SilentMicrophone,
    Clipping,
    Echo,
    WrongDevice,
    Unsteady,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Problem {
    kind: Kind,
    /// For people: what is wrong, and what to do.
    message: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Report {
    /// Nothing is wrong.
    ok: bool,
    microphone: Option<String>,
    speaker: Option<String>,
    problems: Vec<Problem>,
    #[serde(flatten)]
    measured: Option<Measured>,
}

/// A device as it is called for a test: the one named, else the one chosen before, which need not be there.
fn wanted(named: Option<&str>, chosen: Option<String>) -> Wanted {
    match named {
        Some("default") => Wanted::default(),
        Some(name) => Wanted::named(Some(name)),
        None => Wanted { name: chosen, or_default: true },
    }
}

fn test(args: &SelftestArgs) -> anyhow::Result<Report> {
    let chosen = ChosenDevices::load();
    let microphone_wanted = wanted(args.mic.as_deref(), chosen.microphone.clone());
    let microphone = usable(Microphone::open_with(microphone_wanted, Box::new(|_| ())))?;
    let speaker_wanted = wanted(args.speaker.as_deref(), chosen.speaker.clone());
    let speaker = usable(Speaker::open_with(speaker_wanted, Box::new(|_| ())))?;
    let mut report = Report { ok: false, microphone: None, speaker: None, problems: Vec::new(), measured: None };
    if let Err(reason) = &microphone {
        report.problem(
            Kind::NoMicrophone,
            format!("no microphone can be used: {reason}. Plug one in, or allow its use."),
        );
    }
    if let Err(reason) = &speaker {
        report.problem(Kind::NoSpeaker, format!("no speaker can be used: {reason}. Plug one in, or allow its use."));
    }
    let (mut microphone, mut speaker) = (microphone.ok(), speaker.ok());
    if let Some(microphone) = &microphone {
        report.microphone = Some(chatphone_media::audio::source::Source::describe(microphone));
    }
    report.speaker = speaker.as_ref().map(Speaker::describe);
    if microphone.is_some() || speaker.is_some() {
        let measured = measure::measure(microphone.as_mut(), speaker.as_mut());
        report.judge(&measured, &chosen);
        report.measured = Some(measured);
    }
    if report.problems.iter().any(|problem| problem.kind == Kind::SilentMicrophone) {
        drop(microphone);
        if let Some(other) = measure::other_with_sound(report.microphone.as_deref()) {
            let message = format!("the microphone '{other}' does hear something: use it with --mic '{other}'");
            report.problem(Kind::WrongDevice, message);
        }
    }
    report.ok = report.problems.is_empty();
    Ok(report)
}

/// A device that was named and cannot be found is a wrong command line; one that is broken is what the test is for.
fn usable<T>(opened: Result<T, Error>) -> Result<Result<T, String>, UsageError> {
    match opened {
        Ok(device) => Ok(Ok(device)),
        Err(error @ (Error::Unknown { .. } | Error::Ambiguous { .. })) => Err(UsageError(error.to_string())),
        Err(error) => Ok(Err(error.to_string())),
    }
}

impl Report {
    fn problem(&mut self, kind: Kind, message: String) {
        self.problems.push(Problem { kind, message });
    }

    fn judge(&mut self, measured: &Measured, chosen: &ChosenDevices) {
        for (used, wanted) in [(&self.microphone, &chosen.microphone), (&self.speaker, &chosen.speaker)] {
            tracing::debug!(?used, ?wanted, "devices");
        }
        if measured.microphone_missing {
            self.problem(Kind::NoMicrophone, "the microphone was opened and never gave any sound".into());
        } else if self.microphone.is_some() && measured.microphone_peak_dbfs.is_none_or(|peak| peak < -70.0) {
            let message = "the microphone is silent: is it switched off or muted, or is it the wrong one?";
            self.problem(Kind::SilentMicrophone, message.into());
        }
        if measured.speaker_missing {
            self.problem(Kind::NoSpeaker, "the speaker was opened and never took any sound".into());
        }
        if measured.clipped_samples > 48 {
            let message = "the microphone is overdriven: turn its level down, or the speaker's";
            self.problem(Kind::Clipping, message.into());
        }
        if measured.is_monitor {
            let name = self.microphone.clone().unwrap_or_default();
            let message = format!("'{name}' hears what this computer plays and no voice: choose a real microphone");
            self.problem(Kind::WrongDevice, message);
        }
        if let Some(left) = measured.echo_left_dbfs.filter(|left| *left > -45.0) {
            let message = format!(
                "the far end will hear itself: the microphone hears the speaker, and {left:.0} dBFS of it are left after \
                 echo cancelling. Turn the speaker down, or use a headset."
            );
            self.problem(Kind::Echo, message);
        }
        if measured.gaps > 5 {
            let message = format!("sound had {} gaps: the machine is too busy, or a device is failing", measured.gaps);
            self.problem(Kind::Unsteady, message);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |device: &Option<String>| device.clone().unwrap_or_else(|| "none".into());
        writeln!(f, "microphone  {}", name(&self.microphone))?;
        writeln!(f, "speaker     {}", name(&self.speaker))?;
        if let Some(measured) = &self.measured {
            write!(f, "{measured}")?;
        }
        for problem in &self.problems {
            writeln!(f, "PROBLEM     {}", problem.message)?;
        }
        f.write_str(if self.ok { "all is well" } else { "not all is well" })
    }
}
