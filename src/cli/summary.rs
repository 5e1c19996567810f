//! The last word on a call, for programs and for people. The names are relied on by scripts.

mod media;

pub use media::{QualitySummary, ReceivedSummary, RemoteSummary, SentSummary, figures};

use crate::call::{CallReport, Outcome};
use crate::evidence::why::{self, Figures};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The one object that `chatphone call --json` prints last.
#[derive(Debug, Clone, Serialize)]
pub struct CallSummary {
    /// What came of the call.
    pub outcome: Outcome,
    /// Why, in one sentence.
    pub reason: String,
    /// The chat session, if one was opened.
    pub chat_id: Option<String>,
    /// The agent, if there was one.
    pub party: Option<PartySummary>,
    /// How long the steps took; `null` for a step that did not happen.
    pub timing_ms: TimingSummary,
    /// From connected to the end.
    pub duration_s: f64,
    /// The audio codec; `null` when the call was never connected.
    pub codec: Option<&'static str>,
    /// RTP sent.
    pub sent: SentSummary,
    /// RTP received.
    pub received: ReceivedSummary,
    /// Round-trip time: of RTCP where there is one, else of ICE checks.
    pub rtt_ms: Option<f64>,
    /// The candidate pair in use.
    pub ice: IceSummary,
    /// Where the far end's voice was recorded.
    #[serde(serialize_with = "as_text")]
    pub recording: Option<PathBuf>,
    /// Where both directions were recorded.
    #[serde(serialize_with = "as_text")]
    pub recording_both: Option<PathBuf>,
    /// What went wrong beside, in words.
    pub problems: Vec<String>,
    /// How the far end receives, by RTCP; `null` when it never told.
    pub remote: Option<RemoteSummary>,
    /// How good it was to hear, by estimate; `null` when nothing was heard.
    pub quality: Option<QualitySummary>,
    /// Why it sounded bad, in one sentence; `null` when the figures show nothing wrong.
    pub why: Option<String>,
    /// What interruptions did to the call.
    pub interruptions: InterruptionSummary,
}

/// The agent of a call.
#[derive(Debug, Clone, Serialize)]
pub struct PartySummary {
    /// The party id.
    pub id: String,
    /// The name to show.
    pub name: String,
}

/// What interruptions did to a call.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct InterruptionSummary {
    /// How often sound stopped for longer than the limit.
    pub count: u32,
    /// How long there was none, in all of them.
    pub gap_ms: f64,
    /// How often the call came back over a new connection.
    pub restorations: u32,
}

/// How long the steps of a call took, in milliseconds.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TimingSummary {
    /// REQUEST_CALL sent → OFFER_CALL received.
    pub request_to_offer: Option<f64>,
    /// OFFER_CALL received → ANSWER_CALL sent.
    pub offer_to_answer: Option<f64>,
    /// REQUEST_CALL sent → ICE and DTLS up.
    pub request_to_connected: Option<f64>,
    /// REQUEST_CALL sent → first decoded sound of the far end handed to the speaker or recording.
    pub request_to_first_audio: Option<f64>,
}

/// The two ends of the way of the media.
#[derive(Debug, Clone, Default, Serialize)]
pub struct IceSummary {
    /// This side: type, protocol, address.
    pub local: Option<String>,
    /// The far side.
    pub remote: Option<String>,
    /// What carries the media to the relay of this side: `udp`, `tcp` or `tls` (W3C `relayProtocol`).
    pub relay_protocol: Option<String>,
    /// The relay of this side, as it was configured (W3C `url`).
    pub relay_url: Option<String>,
    /// Datagrams that were given up since the stream to the relay was slower than the media.
    pub relay_dropped: u64,
}

impl CallSummary {
    /// The summary of a call that did not come about.
    pub fn without_call(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self {
            outcome,
            reason: reason.into(),
            chat_id: None,
            party: None,
            timing_ms: TimingSummary::default(),
            duration_s: 0.0,
            codec: None,
            sent: SentSummary::default(),
            received: ReceivedSummary::default(),
            rtt_ms: None,
            ice: IceSummary::default(),
            recording: None,
            recording_both: None,
            problems: Vec::new(),
            remote: None,
            quality: None,
            why: None,
            interruptions: InterruptionSummary::default(),
        }
    }

    /// The summary of a call. Chat and names are filled in by who knows them.
    pub fn of(report: &CallReport) -> Self {
        let (times, stats) = (&report.times, &report.stats);
        Self {
            timing_ms: TimingSummary {
                request_to_offer: report.since_request(times.offer_received).map(ms),
                offer_to_answer: between(times.offer_received, times.answer_sent),
                request_to_connected: report.since_request(times.connected).map(ms),
                request_to_first_audio: report.since_request(stats.media.receiver.first_audio).map(ms),
            },
            duration_s: round(report.duration().as_secs_f64(), 3),
            codec: stats.codec.map(|c| c.name()),
            sent: SentSummary::of(stats),
            received: ReceivedSummary::of(stats),
            remote: RemoteSummary::of(stats),
            quality: QualitySummary::of(stats),
            rtt_ms: stats.peer.round_trip_time().map(|d| round(d.as_secs_f64() * 1000.0, 2)),
            ice: IceSummary {
                local: stats.peer.local_candidate.as_ref().map(ToString::to_string),
                remote: stats.peer.remote_candidate.as_ref().map(ToString::to_string),
                relay_protocol: stats.peer.local_candidate.as_ref().and_then(|c| c.relay_protocol.clone()),
                relay_url: stats.peer.local_candidate.as_ref().and_then(|c| c.url.clone()),
                relay_dropped: stats.peer.relay_dropped,
            },
            recording: report.recording.clone(),
            recording_both: report.recording_both.clone(),
            problems: report.problems.clone(),
            interruptions: InterruptionSummary {
                count: report.recovery.interruptions,
                gap_ms: ms(report.recovery.gap),
                restorations: report.recovery.restorations,
            },
            ..Self::without_call(report.end.outcome, report.end.reason.clone())
        }
    }

    /// Finds out why it sounded bad, if it did; `machine` is how busy this one was in the worst second.
    pub fn explain(&mut self, report: &CallReport, machine: Option<why::Machine>) {
        let duration_s = report.duration().as_secs_f64();
        let mut figures = Figures::of(&serde_json::Value::Object(figures(&report.stats)));
        figures.interruptions.count = u64::from(self.interruptions.count);
        figures.interruptions.gap_ms = self.interruptions.gap_ms;
        self.why = why::why(&Figures { duration_s, machine, ..figures }).filter(|_| report.stats.codec.is_some());
    }
}

/// JSON is UTF-8, and a path need not be: better an odd letter in it than no report.
fn as_text<S: serde::Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|p| p.to_string_lossy()).serialize(to)
}

fn between(from: Option<Instant>, to: Option<Instant>) -> Option<f64> {
    Some(ms(to?.saturating_duration_since(from?)))
}

fn ms(duration: Duration) -> f64 {
    round(duration.as_secs_f64() * 1000.0, 1)
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

impl fmt::Display for CallSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, name: &str, text: &dyn fmt::Display| writeln!(f, "{name:<11}{text}");
        line(f, "outcome", &format_args!("{} ({})", self.outcome, self.reason))?;
        if let Some(party) = &self.party {
            line(f, "agent", &party.name)?;
        }
        if self.codec.is_none() {
            return Ok(());
        }
        let step = |v: Option<f64>| v.map_or_else(|| "-".into(), |ms| format!("{ms:.0} ms"));
        let t = &self.timing_ms;
        line(
            f,
            "setup",
            &format_args!(
                "offer {}, answer +{}, connected {}, first audio {}",
                step(t.request_to_offer),
                step(t.offer_to_answer),
                step(t.request_to_connected),
                step(t.request_to_first_audio)
            ),
        )?;
        line(f, "duration", &format_args!("{:.1} s, {}", self.duration_s, self.codec.unwrap_or("-")))?;
        line(f, "sent", &self.sent)?;
        line(f, "received", &self.received)?;
        if let Some(remote) = &self.remote {
            line(f, "far end", remote)?;
        }
        if let Some(quality) = &self.quality {
            line(f, "quality", quality)?;
        }
        let InterruptionSummary { count, gap_ms, restorations } = self.interruptions;
        if count + restorations > 0 {
            let times = |n: u32| match n {
                0 => "never".to_owned(),
                1 => "once".to_owned(),
                n => format!("{n} times"),
            };
            let gap = gap_ms / 1000.0;
            if count == 0 {
                let anew = times(restorations);
                line(f, "cut off", &format_args!("{gap:.1} s in all, as the agent's side began anew {anew}"))?;
            } else {
                let (cut, back) = (times(count), times(restorations));
                line(f, "cut off", &format_args!("{cut}, {gap:.1} s in all; restored {back}"))?;
            }
        }
        if let Some(rtt) = self.rtt_ms {
            line(f, "round trip", &format_args!("{rtt:.1} ms"))?;
        }
        if let (Some(local), Some(remote)) = (&self.ice.local, &self.ice.remote) {
            line(f, "way", &format_args!("{local} -> {remote}"))?;
        }
        if let Some(why) = &self.why {
            line(f, "why", why)?;
        }
        for path in self.recording.iter().chain(&self.recording_both) {
            line(f, "recording", &path.display())?;
        }
        for problem in &self.problems {
            line(f, "problem", problem)?;
        }
        Ok(())
    }
}
