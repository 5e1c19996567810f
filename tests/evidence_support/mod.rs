//! A plan for a call that keeps evidence.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

use crate::common::plan;
use chatphone::api::{Client, ClientConfig, Identity};
use chatphone::cli::place::CallPlan;
use chatphone::evidence::{Recorder, RecorderConfig};
use std::path::PathBuf;

pub struct Files {
    pub evidence: PathBuf,
    pub pcap: PathBuf,
    pub client_id: String,
    _dir: tempfile::TempDir,
}

pub struct Kept {
    pub plan: CallPlan,
    pub recorder: Recorder,
    pub files: Files,
}

pub fn kept(url: &str, pcap: bool) -> Kept {
    let dir = tempfile::tempdir().unwrap();
    let client_id = format!("kiosk-{}", uuid::Uuid::new_v4());
    let files = Files {
        evidence: dir.path().join("call.jsonl"),
        pcap: dir.path().join("call.pcapng"),
        client_id: client_id.clone(),
        _dir: dir,
    };
    let recorder = Recorder::start(RecorderConfig {
        evidence: Some(files.evidence.clone()),
        pcap: pcap.then(|| files.pcap.clone()),
        secrets: vec![client_id.clone()],
        ..RecorderConfig::default()
    })
    .unwrap();
    let mut config = ClientConfig::new(url, "test", Identity::ClientId(client_id));
    config.observer = recorder.observer();
    let plan = CallPlan { client: Client::new(config).unwrap(), recorder: recorder.clone(), ..plan(url) };
    Kept { plan, recorder, files }
}
