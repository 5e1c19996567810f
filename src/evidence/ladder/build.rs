//! From records to rungs.

use super::{Flow, Kind, Lane, Rung, clean};
use crate::evidence::record::{Body, Event, Http, Media, Note, Record, Signaling};
use crate::evidence::why::{Figures, why};
use serde_json::{Map, Value};

pub(super) fn add(flow: &mut Flow, record: &Record) {
    let t_ms = record.t_ms;
    match &record.body {
        Body::Signaling(signaling) => signal(flow, t_ms, signaling),
        Body::Event(event) => chat(flow, t_ms, event),
        Body::Call(note) => call(flow, t_ms, note),
        Body::Chat(note) => side(flow, t_ms, note),
        Body::Sound(note) => {
            let words = note.text("message").unwrap_or(&note.event);
            here(flow, t_ms, Kind::Note, &format!("sound: {words}"));
        }
        Body::Media(media) => self::media(flow, t_ms, media),
        Body::CandidatePair(pair) => {
            let words = format!("way: {} -> {}", end(&pair.local), end(&pair.remote));
            here(flow, t_ms, Kind::Note, &words);
        }
        Body::Http(http) => exchange(flow, t_ms, http),
        Body::Stats(stats) => figures(flow, stats),
        Body::Outcome(report) => outcome(flow, report),
        Body::Dropped(dropped) => {
            let words = format!("{} lines and {} packets are missing here", dropped.records, dropped.packets);
            here(flow, t_ms, Kind::Trouble, &words);
        }
        Body::Unknown => {}
    }
}

fn rung(t_ms: f64, from: Lane, to: Lane, kind: Kind, label: &str) -> Rung {
    Rung { t_ms, from, to, kind, label: clean(label), times: 1, detail: None }
}

fn here(flow: &mut Flow, t_ms: f64, kind: Kind, label: &str) {
    flow.push(rung(t_ms, Lane::Customer, Lane::Customer, kind, label));
}

fn signal(flow: &mut Flow, t_ms: f64, signaling: &Signaling) {
    let party = flow.party(signaling.party_id.as_deref(), signaling.name.as_deref());
    let (from, to) = if signaling.sent { (Lane::Customer, party) } else { (party, Lane::Customer) };
    let data = |field: &str| signaling.data.get(field).and_then(Value::as_str);
    let more = match signaling.signal.as_str() {
        "CALL_REJECTED" => {
            // A number on the wire.
            let code = signaling.data.get("reason_code").map(|code| code.to_string().trim_matches('"').to_owned());
            let reason = data("reason").map(str::to_owned);
            code.into_iter().chain(reason).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    };
    let kind = if signaling.signal == "CALL_REJECTED" { Kind::Trouble } else { Kind::Signaling };
    let mut rung = rung(t_ms, from, to, kind, format!("{} {more}", signaling.signal).trim());
    rung.detail = data("sdp").filter(|sdp| !sdp.is_empty()).map(str::to_owned);
    flow.push(rung);
}

fn chat(flow: &mut Flow, t_ms: f64, event: &Event) {
    let field = |name: &str| event.event.get(name).and_then(Value::as_str);
    let wire = field("event").unwrap_or("event");
    let name = wire.trim_start_matches("chat_session_");
    let party_id = field("party_id").filter(|_| !event.own && !event.sent);
    let (mut label, mut kind) = (name.to_owned(), Kind::Chat);
    match name {
        "status" => label = format!("{name}: {}", field("state").unwrap_or("?")),
        "message" => label = format!("message: {}", field("msg").or(field("message_text")).unwrap_or("")),
        "file" | "form_data" | "secure_form_data" => {}
        "inactivity_timeout" | "inactvity_timeout" => kind = Kind::Trouble,
        _ => {}
    }
    let agent = field("type").is_none_or(|kind| kind != "scenario");
    let (from, to) = match (event.sent || event.own, party_id) {
        (true, _) => (Lane::Customer, Lane::Center),
        // Who joins or leaves is seen where it stands.
        (false, Some(id)) if name == "party_joined" && agent => {
            let lane = flow.party(Some(id), event.name.as_deref().or(field("display_name")));
            label = "joins".into();
            (lane, lane)
        }
        (false, Some(id)) if flow.ids.contains_key(id) => {
            let lane = flow.party(Some(id), None);
            if name == "party_left" {
                label = "leaves".into();
                (lane, lane)
            } else {
                (lane, Lane::Customer)
            }
        }
        _ => (Lane::Center, Lane::Customer),
    };
    flow.push(rung(t_ms, from, to, kind, &label));
}

/// The steps of a call that signaling does not show.
fn call(flow: &mut Flow, t_ms: f64, note: &Note) {
    let party = |flow: &mut Flow| flow.party(None, None);
    let number = |field: &str| note.fields.get(field).and_then(Value::as_f64);
    let gap = number("gap_ms").map(|ms| format!(" after {:.1} s", ms / 1000.0)).unwrap_or_default();
    match note.event.as_str() {
        "call_connected" => {
            let to = party(flow);
            flow.push(rung(t_ms, Lane::Customer, to, Kind::Media, "ICE and DTLS up"));
        }
        "call_disconnected" => here(flow, t_ms, Kind::Trouble, "connection lost"),
        "call_reconnected" => here(flow, t_ms, Kind::Media, "connection is back"),
        "call_interrupted" => {
            let why = note.text("message").or(note.text("reason")).unwrap_or_default();
            here(flow, t_ms, Kind::Trouble, &format!("sound interrupted: {why}"));
        }
        "call_resumed" => here(flow, t_ms, Kind::Media, &format!("sound is back{gap}")),
        "call_restoring" => {
            let of = |field: &str| number(field).unwrap_or_default();
            let words = format!("asks for the call again ({:.0} of {:.0})", of("attempt"), of("attempts"));
            here(flow, t_ms, Kind::Trouble, &words);
        }
        "call_restored" => here(flow, t_ms, Kind::Media, &format!("call restored{gap}")),
        "call_ended" => {
            let outcome = note.text("outcome").unwrap_or("over");
            let kind = if outcome == "completed" { Kind::Note } else { Kind::Trouble };
            here(flow, t_ms, kind, &format!("call {outcome}: {}", note.text("reason").unwrap_or_default()));
        }
        "call_renegotiation_failed" => {
            here(flow, t_ms, Kind::Trouble, &format!("change failed: {}", note.text("message").unwrap_or_default()));
        }
        "dtmf_received" => {
            let from = party(flow);
            let label = format!("key {}", note.text("digit").unwrap_or("?"));
            flow.push(rung(t_ms, from, Lane::Customer, Kind::Media, &label));
        }
        "call_was_cut" => {
            let name = note.text("name").unwrap_or("the agent");
            here(flow, t_ms, Kind::Trouble, &format!("an earlier run was cut off in a call with {name}"));
        }
        // Signaling and media tell of these.
        "call_requesting" | "call_ringing" | "call_offered" | "call_answered" | "call_renegotiating" => {}
        "call_media_flowing" if flow.heard => {}
        "call_media_flowing" => {
            let from = party(flow);
            flow.push(rung(t_ms, from, Lane::Customer, Kind::Media, "RTP begins"));
        }
        // What a newer version tells of is shown by its name.
        other => here(flow, t_ms, Kind::Note, other.trim_start_matches("call_")),
    }
}

fn side(flow: &mut Flow, t_ms: f64, note: &Note) {
    let text = |field: &str| note.text(field).unwrap_or_default();
    match note.event.as_str() {
        "chat_opened" => {
            let how = if note.fields.get("resumed") == Some(&Value::Bool(true)) { "taken up" } else { "opened" };
            here(flow, t_ms, Kind::Note, &format!("chat {how} ({})", text("state")));
        }
        "chat_ended" => here(flow, t_ms, Kind::Note, &format!("chat over: {}", text("reason"))),
        "reconnecting" => here(flow, t_ms, Kind::Trouble, &format!("API trouble: {}", text("message"))),
        "reconnected" => here(flow, t_ms, Kind::Note, "API is back"),
        "send_failed" => here(flow, t_ms, Kind::Trouble, &format!("not sent: {}", text("message"))),
        "network_changed" => here(flow, t_ms, Kind::Trouble, &format!("network changed: {}", text("what"))),
        // Events of the wire, told of as such.
        "chat_status" | "party_joined" | "party_left" => {}
        other => here(flow, t_ms, Kind::Note, other),
    }
}

fn media(flow: &mut Flow, t_ms: f64, media: &Media) {
    let party = flow.party(None, None);
    flow.heard |= !media.sent;
    let (from, to) = if media.sent { (Lane::Customer, party) } else { (party, Lane::Customer) };
    let (kind, label) = match (media.what.as_str(), media.gap_ms) {
        ("first_packet", _) => (Kind::Media, format!("RTP begins (payload type {})", media.payload_type)),
        (_, Some(gap)) => (Kind::Trouble, format!("RTP again after {:.1} s", gap / 1000.0)),
        (what, None) => (Kind::Media, format!("RTP: {what}")),
    };
    flow.push(rung(t_ms, from, to, kind, &label));
}

fn exchange(flow: &mut Flow, t_ms: f64, http: &Http) {
    let path = http.path.rsplit_once("/api/v1/").map_or(http.path.as_str(), |(_, rest)| rest);
    // The chat is the same all along, and its id is long.
    let path = match path.split('/').collect::<Vec<_>>()[..] {
        ["chats", _, ref rest @ ..] if !rest.is_empty() => format!("chats/…/{}", rest.join("/")),
        _ => path.to_owned(),
    };
    let mut asked = rung(t_ms, Lane::Customer, Lane::Center, Kind::Http, &format!("{} {path}", http.method));
    asked.detail = http.request.as_ref().map(pretty);
    let after = t_ms + http.duration_ms;
    let failed = http.status.is_none_or(|status| status >= 400);
    let label = match (http.status, &http.error) {
        (Some(status), None) => format!("{status} ({:.0} ms)", http.duration_ms),
        (Some(status), Some(error)) => format!("{status}, then {error}"),
        (None, error) => error.clone().unwrap_or_else(|| "no answer".into()),
    };
    let kind = if failed { Kind::Trouble } else { Kind::Http };
    let mut answered = rung(after, Lane::Center, Lane::Customer, kind, &label);
    answered.detail = http.response.as_ref().map(pretty);
    flow.rungs.extend([asked, answered]);
}

fn pretty(body: &Value) -> String {
    serde_json::to_string_pretty(body).unwrap_or_default()
}

fn end(candidate: &crate::evidence::record::Candidate) -> String {
    let address = candidate.address.as_deref().unwrap_or("?");
    format!("{} {} {address}:{}", candidate.candidate_type, candidate.protocol, candidate.port)
}

fn figures(flow: &mut Flow, stats: &Map<String, Value>) {
    if let Some(load) = stats.get("machine") {
        flow.figures.worst_load(load);
    }
    // A report has no devices.
    let second = Figures::of(&Value::Object(stats.clone()));
    (flow.figures.microphone, flow.figures.speaker) = (second.microphone, second.speaker);
}

fn outcome(flow: &mut Flow, report: &Map<String, Value>) {
    let text = |field: &str| report.get(field).and_then(Value::as_str).unwrap_or_default();
    flow.foot.push(clean(&format!("Outcome: {}: {}", text("outcome"), text("reason"))));
    let seconds = std::mem::take(&mut flow.figures);
    let mut figures = Figures::of(&Value::Object(report.clone()));
    (figures.machine, figures.microphone, figures.speaker) = (seconds.machine, seconds.microphone, seconds.speaker);
    if let Some(why) = why(&figures) {
        flow.foot.push(why);
    }
}
