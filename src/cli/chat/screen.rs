//! Where the conversation is shown: lines for people or JSON for programs, on standard output.
//!
//! A thread of its own writes, so that a reader who does not read holds up neither the chat nor Ctrl-C.

use super::render::{Layout, Line};
use crate::api::lenient::Timestamp;
use chrono::{DateTime, Local, NaiveDateTime, SecondsFormat, Utc};
use serde_json::Value;
use std::io::Write;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long the last lines may take.
const FINISH_WITHIN: Duration = Duration::from_secs(2);

/// Standard output.
pub struct Screen {
    lines: Sender<String>,
    /// Comes when nothing can be written any more, or everything is.
    over: oneshot::Receiver<()>,
    is_over: bool,
    layout: Layout,
    json: bool,
}

impl Screen {
    /// Begins to write.
    pub fn start(layout: Layout, json: bool) -> Self {
        let (lines, waiting) = channel::<String>();
        let (over_tx, over) = oneshot::channel();
        std::thread::spawn(move || {
            let mut out = std::io::stdout();
            for line in waiting {
                if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
                    break;
                }
            }
            let _ = over_tx.send(());
        });
        Self { lines, over, is_over: false, layout, json }
    }

    /// Shows an event in the form that was asked for.
    pub fn show(&self, lines: impl FnOnce() -> Vec<Line>, objects: impl FnOnce() -> Vec<Value>) {
        if self.json {
            let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
            for object in objects() {
                let mut timed = serde_json::Map::new();
                timed.insert("time".into(), now.clone().into());
                if let Value::Object(fields) = object {
                    timed.extend(fields);
                }
                self.write(Value::Object(timed).to_string());
            }
        } else {
            let now = Local::now().naive_local();
            for line in lines() {
                self.write(self.layout.set(&line, now, local));
            }
        }
    }

    /// When nobody reads any more. Cancel safe; never comes a second time.
    pub async fn closed(&mut self) {
        if self.is_over {
            std::future::pending::<()>().await;
        }
        let _ = (&mut self.over).await;
        self.is_over = true;
    }

    /// Writes what is left.
    pub async fn finish(self) {
        drop(self.lines);
        if !self.is_over && tokio::time::timeout(FINISH_WITHIN, self.over).await.is_err() {
            tracing::warn!("not everything could be written to standard output in time");
        }
    }

    fn write(&self, line: String) {
        // A thread that is gone has said so.
        let _ = self.lines.send(line);
    }
}

fn local(at: Timestamp) -> Option<NaiveDateTime> {
    Some(DateTime::from_timestamp_millis(at.as_millis())?.with_timezone(&Local).naive_local())
}
