//! Devices against a real sound server, started here; without a `pulseaudio` program the test says that it is skipped.

use crate::audio::{
    compare::tone_level,
    device::{Direction, Microphone, Speaker, list},
    sink::Sink,
    source::{Source, SourceState},
    tone::Tone,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const CHILD: &str = "CHATPHONE_TEST_PULSE_PID";

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server with a null speaker `spk`, and `micfeed`, which `vmic` hears. None if it is not installed.
fn start(folder: &Path) -> Option<Server> {
    let script = folder.join("setup.pa");
    let socket = folder.join("socket");
    let lines = [
        format!("load-module module-native-protocol-unix auth-anonymous=1 socket={}", socket.display()),
        "load-module module-null-sink sink_name=spk rate=48000 channels=2".into(),
        "load-module module-null-sink sink_name=micfeed rate=48000 channels=1".into(),
        "load-module module-remap-source master=micfeed.monitor source_name=vmic".into(),
        "set-default-sink spk".into(),
        "set-default-source vmic".into(),
    ];
    fs::write(&script, lines.join("\n") + "\n").unwrap();
    let child = Command::new("pulseaudio")
        .args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--log-target=stderr", "-F"])
        .arg(&script)
        .env("XDG_RUNTIME_DIR", folder)
        .env("HOME", folder)
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let server = Server(child);
    let start = Instant::now();
    while !socket.exists() {
        assert!(start.elapsed() < Duration::from_secs(20), "the sound server did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(server)
}

#[test]
fn devices_work_against_a_real_sound_server() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let Some(server) = start(folder.path()) else {
        eprintln!("SKIPPED devices_work_against_a_real_sound_server: there is no pulseaudio program");
        return;
    };
    // The sound system is found by the environment, which a test must not change for the others.
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "audio::device::tests::pulse::pulse_child", "--nocapture"])
        .env(CHILD, server.0.id().to_string())
        .env("PULSE_SERVER", format!("unix:{}", folder.path().join("socket").display()))
        .env("XDG_RUNTIME_DIR", folder.path())
        .env("HOME", folder.path())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success(), "{said}");
    assert!(said.contains("HEARD"), "{said}");
    eprintln!("{said}");
}

/// Ticks a tone into `speaker` and what `microphone` hears out, until `done` or a minute has passed.
fn run(speaker: &mut Speaker, microphone: &mut Microphone, mut done: impl FnMut(&[f32]) -> bool) -> Vec<f32> {
    let (mut tone, mut heard) = (Tone::new(600.0), Vec::new());
    let start = Instant::now();
    let mut next = start;
    while !done(&heard) && start.elapsed() < Duration::from_secs(60) {
        let mut part = [0.0; 480];
        tone.read(&mut part);
        speaker.write(&part);
        microphone.read(&mut part);
        heard.extend(part);
        next += crate::TICK;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    heard
}

/// Not a test of its own: runs with the environment of the one above.
#[test]
fn pulse_child() {
    let Some(server) = std::env::var(CHILD).ok() else { return };

    let devices = list();
    assert!(devices.hosts[0].default && devices.hosts[0].name == "pulseaudio", "{devices:?}");
    let find = |direction, id: &str| {
        let here = |device: &&super::DeviceInfo| device.direction == direction && device.id == id;
        devices.hosts[0].devices.iter().find(here).cloned().unwrap_or_else(|| panic!("no {id}: {devices:#?}"))
    };
    assert!(find(Direction::Output, "pulseaudio:spk").default);
    assert!(find(Direction::Input, "pulseaudio:vmic").default);
    assert!(!find(Direction::Output, "pulseaudio:micfeed").default);
    assert!(!find(Direction::Output, "pulseaudio:spk").formats.is_empty());

    let unknown = Microphone::open(Some("webcam")).err().unwrap().to_string();
    assert!(unknown.contains("no microphone is called 'webcam'"), "{unknown}");
    assert!(unknown.to_lowercase().contains("monitor"), "{unknown}");

    // What is played into the feed of the virtual microphone is heard from it.
    let mut speaker = Speaker::open(Some("MICFEED")).unwrap();
    let mut microphone = Microphone::open(None).unwrap();
    let (from, to) = (speaker.monitor(), microphone.monitor());
    let heard = run(&mut speaker, &mut microphone, |heard| {
        // 100 ms without a gap: more cannot be asked of a machine that does other things too.
        heard.len() > 4_800 && tone_level(&heard[heard.len() - 4_800..], 600.0) > -17.0
    });
    let level = tone_level(&heard[heard.len() - 4_800..], 600.0);
    assert!((level - Tone::DEFAULT_LEVEL).abs() < 1.5, "{level} dBFS; {:?} {:?}", from.stats(), to.stats());
    println!("HEARD at {level:.1} dBFS; speaker {:?}; microphone {:?}", from.stats(), to.stats());
    assert!(!from.lost() && !to.lost());

    // A server that dies is noticed, and neither end hangs or keeps a core busy.
    let killed = Command::new("kill").args(["-9", &server]).status().unwrap();
    assert!(killed.success());
    let start = Instant::now();
    run(&mut speaker, &mut microphone, |_| from.lost() && to.lost());
    println!("loss noticed after {:?}; speaker {:?}; microphone {:?}", start.elapsed(), from.stats(), to.stats());
    assert!(from.lost() && to.lost(), "{:?} {:?}", from.stats(), to.stats());
    let mut out = [9.0; 48_000];
    assert_eq!(microphone.read(&mut out), SourceState::Starved);
    assert_eq!(out[47_520..], [0.0; 480]);
    assert!(speaker.finish().unwrap_err().to_string().contains("went away"));
    drop(microphone);

    // With no server there is still no hang, only an error.
    let error = Microphone::open(None).err().unwrap();
    println!("without a server: {error}");
}
