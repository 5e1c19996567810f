//! The call flow: who sent what to whom, and when.
//!
//! One model, [`Flow`], is made of records, as they happen or as they are read back. Text, SVG and page are views of it.

mod page;
mod picture;
mod text;

pub use page::page;
pub use picture::picture;
pub use text::TextLayout;

mod build;

use super::reader::Evidence;
use super::record::Record;
use super::why::Figures;
use chrono::{DateTime, Utc};
use std::collections::HashMap;

/// Who takes part: a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// This side.
    Customer,
    /// The contact center, as its API.
    Center,
    /// An agent, by the order of coming.
    Party(usize),
}

impl Lane {
    /// The column, from 0.
    pub fn column(self) -> usize {
        match self {
            Self::Customer => 0,
            Self::Center => 1,
            Self::Party(n) => n + 2,
        }
    }
}

/// What kind of thing happened, for colour and for choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An exchange with the API.
    Http,
    /// An event of the chat.
    Chat,
    /// Signaling.
    Signaling,
    /// Media.
    Media,
    /// Something that one side noticed.
    Note,
    /// Something went wrong.
    Trouble,
}

impl Kind {
    /// The name in the classes of a picture.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Chat => "chat",
            Self::Signaling => "signaling",
            Self::Media => "media",
            Self::Note => "note",
            Self::Trouble => "trouble",
        }
    }
}

/// One message, or one thing that was noticed (then `from` is `to`).
#[derive(Debug, Clone, PartialEq)]
pub struct Rung {
    /// Since the beginning, in ms.
    pub t_ms: f64,
    /// Who sent it.
    pub from: Lane,
    /// For whom it is.
    pub to: Lane,
    /// What it is.
    pub kind: Kind,
    /// In a few words, fit for a terminal.
    pub label: String,
    /// How many of the same came in a row.
    pub times: u32,
    /// A session description, or a body.
    pub detail: Option<String>,
}

/// A call flow.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    /// When it began; `None`: times are relative alone.
    pub started: Option<DateTime<Utc>>,
    /// The names of the agents, in the order of coming.
    pub parties: Vec<String>,
    /// What happened, in order.
    pub rungs: Vec<Rung>,
    /// What there is to say at the end: the outcome, and why it sounded bad.
    pub foot: Vec<String>,
    ids: HashMap<String, usize>,
    /// Packets of the far end were told of.
    heard: bool,
    figures: Figures,
}

impl Flow {
    /// An empty flow that began now.
    pub fn begin(started: DateTime<Utc>) -> Self {
        Self { started: Some(started), ..Self::default() }
    }

    /// The flow of a record. Without `http`, exchanges are left out.
    pub fn of(evidence: &Evidence, http: bool) -> Self {
        let started = DateTime::parse_from_rfc3339(&evidence.header.started).ok().map(|time| time.to_utc());
        let mut flow = Self { started, ..Self::default() };
        for record in &evidence.records {
            if http || !matches!(record.body, super::Body::Http(_)) {
                flow.add(record);
            }
        }
        // The answer of an exchange is later than what happened meanwhile.
        flow.rungs.sort_by(|a, b| a.t_ms.total_cmp(&b.t_ms));
        if evidence.cut_off {
            flow.foot.push("The record breaks off: its process was killed.".into());
        } else if evidence.has_calls() && flow.foot.is_empty() {
            flow.foot.push("The record has no outcome: its process was stopped before the end, or still runs.".into());
        }
        flow
    }

    /// Adds what happened next.
    pub fn add(&mut self, record: &Record) {
        build::add(self, record);
    }

    /// The heads of the columns.
    pub fn heads(&self) -> Vec<&str> {
        ["customer", "contact center"].into_iter().chain(self.parties.iter().map(String::as_str)).collect()
    }

    fn push(&mut self, rung: Rung) {
        // Candidates come by the dozen: one rung for those in a row.
        if rung.detail.is_none()
            && let Some(last) = self.rungs.last_mut()
            && (last.from, last.to, last.kind) == (rung.from, rung.to, rung.kind)
            && last.label == rung.label
            && last.detail.is_none()
        {
            last.times += 1;
            return;
        }
        self.rungs.push(rung);
    }

    fn party(&mut self, id: Option<&str>, name: Option<&str>) -> Lane {
        let name = name.map(clean).filter(|name| !name.is_empty());
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            if self.parties.is_empty() {
                self.parties.push(name.unwrap_or_else(|| "agent".into()));
            }
            return Lane::Party(self.parties.len() - 1);
        };
        let next = self.parties.len();
        let at = *self.ids.entry(id.to_owned()).or_insert(next);
        if at == next {
            self.parties.push(name.unwrap_or_else(|| "agent".into()));
        } else if let Some(name) = name {
            self.parties[at] = name;
        }
        Lane::Party(at)
    }
}

impl Rung {
    /// What to show beside the arrow.
    pub fn words(&self) -> String {
        if self.times > 1 { format!("{} x{}", self.label, self.times) } else { self.label.clone() }
    }
}

/// Text of the far end made fit for a terminal and for a page.
fn clean(text: &str) -> String {
    crate::api::types::one_line(text)
}

/// Lines of a description made fit for a terminal.
fn clean_lines(text: &str) -> impl Iterator<Item = String> {
    // What is indented stays so.
    text.lines().map(|line| {
        let indent = line.len() - line.trim_start_matches(' ').len();
        format!("{}{}", &line[..indent], clean(line))
    })
}
