//! `chatphone selftest` and the chosen devices, against a sound server started here. Without a `pulseaudio` program the
//! tests say that they are skipped.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs)]

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

struct Server {
    folder: TempDir,
    process: Option<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Server {
    /// A place without a server.
    fn none() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        Self { folder, process: None }
    }

    /// A null speaker `spk`, and `micfeed`, which the microphone `vmic` hears. None where there is no PulseAudio.
    fn start(sink: &str, source: &str) -> Option<Self> {
        let mut server = Self::none();
        let socket = server.folder.path().join("socket");
        let script = server.folder.path().join("setup.pa");
        let named = |name: &str| format!("sink_properties=device.description={name}");
        let lines = [
            format!("load-module module-native-protocol-unix auth-anonymous=1 socket={}", socket.display()),
            format!("load-module module-null-sink sink_name=spk rate=48000 {}", named("Speakers")),
            format!("load-module module-null-sink sink_name=micfeed rate=48000 channels=1 {}", named("Feed")),
            "load-module module-remap-source master=micfeed.monitor source_name=vmic \
             source_properties=device.description=Desk"
                .into(),
            format!("set-default-sink {sink}"),
            format!("set-default-source {source}"),
        ];
        fs::write(&script, lines.join("\n") + "\n").unwrap();
        let started = Command::new("pulseaudio")
            .args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--log-target=stderr", "-F"])
            .arg(&script)
            .env("XDG_RUNTIME_DIR", server.folder.path())
            .env("HOME", server.folder.path())
            .stderr(Stdio::null())
            .spawn();
        let Ok(process) = started else {
            eprintln!("SKIPPED: there is no pulseaudio program");
            return None;
        };
        server.process = Some(process);
        let start = Instant::now();
        while !socket.exists() {
            assert!(start.elapsed() < Duration::from_secs(20), "the sound server did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let folder = self.folder.path();
        Command::new(env!("CARGO_BIN_EXE_chatphone"))
            .args(arguments)
            .env("PULSE_SERVER", format!("unix:{}", folder.join("socket").display()))
            .env("XDG_RUNTIME_DIR", folder)
            .env("XDG_STATE_HOME", folder.join("state"))
            .env("HOME", folder)
            .output()
            .unwrap()
    }

    /// The exit code and the report.
    fn selftest(&self, flags: &[&str]) -> (i32, Value) {
        let output = self.run(&[&["selftest", "--json"], flags].concat());
        let said = String::from_utf8_lossy(&output.stdout);
        eprintln!("{said}{}", String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap(), serde_json::from_str(said.trim()).unwrap())
    }
}

fn kinds(report: &Value) -> Vec<&str> {
    report["problems"].as_array().unwrap().iter().map(|problem| problem["kind"].as_str().unwrap()).collect()
}

#[test]
fn devices_that_hear_each_other_are_measured_and_found_well() {
    let Some(server) = Server::start("micfeed", "vmic") else { return };
    let (code, report) = server.selftest(&[]);
    // A machine whose time is stolen has gaps, and is told so; they are no excuse for anything else.
    let gaps = report["gaps"].as_u64().unwrap();
    let expected: &[&str] = if gaps > 5 { &["unsteady"] } else { &[] };
    assert_eq!(kinds(&report), expected, "{report}");
    assert_eq!(code == 0, report["ok"] == true);
    assert_eq!((report["microphone"].as_str(), report["speaker"].as_str()), (Some("Desk"), Some("Feed")));
    assert_eq!(report["hears_speaker"], true);
    let delay = report["round_trip_ms"].as_f64().unwrap();
    assert!((10.0..250.0).contains(&delay), "{report}");
    assert!(report["echo_return_loss_db"].as_f64().unwrap().abs() < 3.0, "{report}");
    let cancelled = report["echo_cancelled_db"].as_f64().unwrap();
    assert!(cancelled > 25.0, "{report}");
}

#[test]
fn a_silent_microphone_is_told_and_fails() {
    let Some(server) = Server::start("spk", "vmic") else { return };
    let (code, report) = server.selftest(&[]);
    assert_eq!(code, 1, "{report}");
    assert!(kinds(&report).contains(&"silent_microphone"), "{report}");
    assert_eq!(report["hears_speaker"], false);
    assert_eq!(report["round_trip_ms"], Value::Null);
}

#[test]
fn a_microphone_that_is_no_microphone_is_told() {
    let Some(server) = Server::start("spk", "spk.monitor") else { return };
    let (code, report) = server.selftest(&[]);
    assert_eq!((code, report["hears_speaker"].as_bool()), (1, Some(true)), "{report}");
    assert!(kinds(&report).contains(&"wrong_device"), "{report}");
}

#[test]
fn a_machine_without_sound_is_told_and_a_wrong_name_is_wrong_usage() {
    let server = Server::none();
    let (code, report) = server.selftest(&[]);
    assert_eq!(code, 1, "{report}");
    assert_eq!(kinds(&report), ["no_microphone", "no_speaker"]);
    let Some(server) = Server::start("spk", "vmic") else { return };
    let output = server.run(&["selftest", "--mic", "webcam"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no microphone is called 'webcam'"));
}

#[test]
fn chosen_devices_are_remembered_and_can_be_forgotten() {
    let Some(server) = Server::start("spk", "spk.monitor") else { return };
    let said = |arguments: &[&str]| {
        let output = server.run(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let chosen = said(&["devices", "--use-mic", "desk", "--use-speaker", "feed"]);
    assert_eq!(chosen.trim(), "calls use: microphone pulseaudio:vmic, speaker pulseaudio:micfeed");
    assert!(said(&["devices"]).contains(chosen.trim()));
    let (_, report) = server.selftest(&[]);
    assert_eq!((report["microphone"].as_str(), report["speaker"].as_str()), (Some("Desk"), Some("Feed")));
    let forgotten = said(&["devices", "--use-mic", "default", "--use-speaker", "default"]);
    assert!(forgotten.contains("microphone the system's default, speaker the system's default"), "{forgotten}");
    let wrong = server.run(&["devices", "--use-mic", "webcam"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
}
