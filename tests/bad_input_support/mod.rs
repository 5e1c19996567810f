//! The program as a process, what it promises to print, and a contact center that misbehaves as told.
#![allow(clippy::unwrap_used, dead_code)]

pub mod agent;
pub mod center;
pub mod report;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What no message to a person may hold: panics, Rust's debug output, and the client id of the tests.
const UGLY: [&str; 7] = ["panicked", "backtrace", "Some(", "Err(", "Error {", "unwrap", CLIENT_ID];
pub const CLIENT_ID: &str = "secret-id";

pub async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it takes too long")
}

/// A home of its own, without anybody's settings and without sound devices.
pub struct Home(TempDir);

impl Home {
    pub fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        // Without a sound system, whatever the machine has.
        std::fs::write(home.file("asound.conf"), "").unwrap();
        home
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chatphone"));
        command.args(args).current_dir(self.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CHATPHONE_") || name.to_ascii_lowercase().ends_with("_proxy") {
                command.env_remove(name.as_ref());
            }
        }
        for (name, folder) in [("HOME", ""), ("XDG_CONFIG_HOME", "config"), ("XDG_STATE_HOME", "state")] {
            command.env(name, self.path().join(folder));
        }
        command.env("XDG_RUNTIME_DIR", self.file("run")).env("PULSE_SERVER", "/nonexistent");
        command.env("ALSA_CONFIG_PATH", self.file("asound.conf"));
        command
    }

    /// `chatphone call` to `url` without a sound device, reporting as JSON.
    pub fn call(&self, url: &str, more: &[&str]) -> Command {
        let args = ["call", "--url", url, "--app-id", "app", "--client-id", CLIENT_ID, "--json"];
        let mut command = self.command(&args);
        if !more.iter().any(|arg| ["--play", "--mic"].contains(arg)) {
            command.args(["--play", "tone:440"]);
        }
        command.args(more);
        command
    }

    pub async fn run<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Ran {
        Running::start(self.command(args)).end().await
    }
}

/// A process that runs.
pub struct Running {
    pub child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    read: String,
    stderr: JoinHandle<String>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut from = child.stderr.take().unwrap();
        let stderr = tokio::spawn(async move {
            let mut all = Vec::new();
            from.read_to_end(&mut all).await.unwrap();
            String::from_utf8(all).unwrap()
        });
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, read: String::new(), stderr }
    }

    /// The next line of stdout; `None` at its end.
    pub async fn line(&mut self) -> Option<String> {
        let line = within(self.lines.next_line()).await.unwrap();
        if let Some(line) = &line {
            self.read.push_str(line);
            self.read.push('\n');
        }
        line
    }

    /// Reads JSON lines up to the one of this event.
    pub async fn until(&mut self, event: &str) -> Value {
        while let Some(line) = self.line().await {
            let value: Value = serde_json::from_str(&line).unwrap();
            if value["event"] == event {
                return value;
            }
        }
        panic!("no {event} in\n{}", self.read)
    }

    #[cfg(unix)]
    pub fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        assert!(std::process::Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for the end; tells how long that took too.
    pub async fn end_timed(mut self) -> (Ran, Duration) {
        let begun = Instant::now();
        while self.line().await.is_some() {}
        let status = within(self.child.wait()).await.unwrap();
        let stderr = within(self.stderr).await.unwrap();
        (Ran { code: status.code(), stdout: self.read, stderr }, begun.elapsed())
    }

    pub async fn end(self) -> Ran {
        self.end_timed().await.0
    }
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The one sentence of a failure: on stderr, for people, after log lines at the most.
    pub fn sentence(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for ugly in UGLY {
            assert!(!self.stderr.contains(ugly) && !self.stdout.contains(ugly), "{ugly} in {self:#?}");
        }
        let mut lines = self.stderr.lines();
        let text = lines.next_back().and_then(|line| line.strip_prefix("chatphone: ")).expect(&self.stderr);
        // A warning on the way is a log line, with a time; nothing else may stand before the sentence.
        let is_log = |line: &str| line.starts_with("20") && (line.contains(" WARN ") || line.contains(" INFO "));
        assert!(lines.all(is_log), "{self:#?}");
        assert!(text.len() > 10 && !text.contains('\u{1b}'), "{text}");
        text
    }

    /// What clap says of wrong usage.
    pub fn usage_error(&self) -> &str {
        assert_eq!(self.code, Some(2), "{self:#?}");
        assert_eq!(self.stdout, "");
        assert!(self.stderr.starts_with("error: ") && !self.stderr.contains("panicked"), "{}", self.stderr);
        &self.stderr
    }

    /// The report of a call that did not complete: checked against the contract, the exit code and the sentence.
    pub fn failed(&self, outcome: &str) -> Value {
        let sentence = self.sentence(1);
        let report = self.report();
        assert_eq!(report["outcome"], outcome, "{self:#?}");
        let reason = report["reason"].as_str().unwrap();
        assert_eq!(sentence, format!("the call was not completed: {outcome}: {reason}"));
        report
    }

    pub fn completed(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:#?}");
        let report = self.report();
        assert_eq!(report["outcome"], "completed", "{self:#?}");
        report
    }

    /// The last line of stdout, which keeps the contract. All lines before it are JSON objects too.
    pub fn report(&self) -> Value {
        let objects = self.stdout.lines().map(|line| serde_json::from_str(line).expect(line));
        let mut objects: Vec<Value> = objects.collect();
        let report = objects.pop().expect("a report");
        assert!(objects.iter().all(|o| o["event"].is_string() && o["at_ms"].is_number()), "{self:#?}");
        report::check(&report);
        report
    }

    pub fn reason(&self) -> String {
        self.report()["reason"].as_str().unwrap().to_owned()
    }
}

/// Waits until a file holds so many bytes.
pub async fn grown(path: &Path, bytes: u64) {
    within(async {
        while std::fs::metadata(path).map_or(0, |m| m.len()) < bytes {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// Bytes of so many seconds in a mono recording.
pub fn wav_bytes(seconds: u64) -> u64 {
    44 + seconds * 48_000 * 2
}
