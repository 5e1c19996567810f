//! Devices against a real sound server, started here; without a `pulseaudio` program the test says that it is skipped.

use crate::audio::{
    compare::tone_level,
    device::{DeviceChange, DeviceEvent, Direction, Listener, Microphone, Speaker, Wanted, list},
    sink::Sink,
    source::{Source, SourceState},
    tone::Tone,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Sender, channel},
    time::{Duration, Instant},
};

/// Set to the server's folder in a test's own process.
const CHILD: &str = "CHATPHONE_TEST_PULSE";

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
    let _ = fs::remove_file(&socket);
    let lines = [
        format!("load-module module-native-protocol-unix auth-anonymous=1 socket={}", socket.display()),
        "load-module module-null-sink sink_name=spk rate=48000 channels=2".into(),
        "load-module module-null-sink sink_name=micfeed rate=48000 channels=1 sink_properties=device.description=Micfeed".into(),
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

/// Runs `body` in a process of its own, with the environment of a server of its own: the sound system is found by the
/// environment, which a test must not change for the others. `name` is that of the test.
fn with_server(name: &str, body: impl FnOnce(&Path, Server)) {
    if let Some(folder) = std::env::var_os(CHILD) {
        let folder = Path::new(&folder);
        let server = start(folder).unwrap();
        body(folder, server);
        println!("DONE {name}");
        return;
    }
    if Command::new("pulseaudio").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("SKIPPED {name}: there is no pulseaudio program");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("audio::device::tests::pulse::{name}"), "--nocapture"])
        .env(CHILD, folder.path())
        .env("PULSE_SERVER", format!("unix:{}", folder.path().join("socket").display()))
        .env("XDG_RUNTIME_DIR", folder.path())
        .env("HOME", folder.path())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success() && said.contains(&format!("DONE {name}")), "{said}");
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

#[test]
fn devices_work_against_a_real_sound_server() {
    with_server("devices_work_against_a_real_sound_server", |_, server| works(server));
}

fn works(mut server: Server) {
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
    let heard = run(&mut speaker, &mut microphone, sounds);
    let level = tone_level(&heard[heard.len() - 4_800..], 600.0);
    assert!((level - Tone::DEFAULT_LEVEL).abs() < 1.5, "{level} dBFS; {:?} {:?}", from.stats(), to.stats());
    println!("HEARD at {level:.1} dBFS; speaker {:?}; microphone {:?}", from.stats(), to.stats());
    assert!(!from.lost() && !to.lost());

    // A server that dies is noticed, and neither end hangs or keeps a core busy.
    server.0.kill().unwrap();
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

/// Whether the last 100 ms hold the tone without a gap: more cannot be asked of a machine that does other things too.
fn sounds(heard: &[f32]) -> bool {
    heard.len() > 4_800 && tone_level(&heard[heard.len() - 4_800..], 600.0) > -17.0
}

fn listener(events: &Sender<DeviceEvent>) -> Listener {
    let events = events.clone();
    Box::new(move |event| _ = events.send(event))
}

fn pactl(arguments: &[&str]) -> String {
    let output = Command::new("pactl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

const HEADSET: [&str; 5] = [
    "load-module",
    "module-null-sink",
    "sink_name=headset",
    "rate=48000",
    "sink_properties=device.description=Headset",
];

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn a_server_that_is_killed_and_started_again_is_heard_again() {
    with_server("a_server_that_is_killed_and_started_again_is_heard_again", |folder, mut server| {
        let (events, told) = channel();
        let mut speaker = Speaker::open_with(Wanted::named(Some("micfeed")), listener(&events)).unwrap();
        let mut microphone = Microphone::open_with(Wanted::named(None), listener(&events)).unwrap();
        let (from, to) = (speaker.monitor(), microphone.monitor());
        assert!(sounds(&run(&mut speaker, &mut microphone, sounds)));
        let before = threads();
        for round in 1..3 {
            server.0.kill().unwrap();
            server.0.wait().unwrap();
            run(&mut speaker, &mut microphone, |_| from.lost() && to.lost());
            let heard = run(&mut speaker, &mut microphone, |heard| heard.len() > 24_000);
            assert_eq!(heard[heard.len() - 4_800..], [0.0; 4_800]);
            server = start(folder).unwrap();
            let start = Instant::now();
            assert!(sounds(&run(&mut speaker, &mut microphone, sounds)), "{:?} {:?}", from.stats(), to.stats());
            println!("round {round}: heard again after {:?}; {} threads, {before} before", start.elapsed(), threads());
            assert_eq!((from.stats().losses, to.stats().losses), (round, round));
            assert!(!from.lost() && !to.lost());
        }
        let events: Vec<_> = told.try_iter().collect();
        println!("{events:#?}");
        let kinds = |direction| -> Vec<_> {
            let of = events.iter().filter(|event| event.direction == direction);
            of.map(|event| matches!(event.change, DeviceChange::Lost { .. })).collect()
        };
        for direction in [Direction::Input, Direction::Output] {
            let kinds = kinds(direction);
            assert!(kinds.first() == Some(&true) && kinds.last() == Some(&false), "{events:?}");
        }
        assert!(speaker.finish().is_ok());
    });
}

#[test]
fn a_server_that_stands_still_is_taken_for_lost_and_used_again() {
    with_server("a_server_that_stands_still_is_taken_for_lost_and_used_again", |_, server| {
        let mut speaker = Speaker::open(Some("micfeed")).unwrap();
        let mut microphone = Microphone::open(None).unwrap();
        let (from, to) = (speaker.monitor(), microphone.monitor());
        assert!(sounds(&run(&mut speaker, &mut microphone, sounds)));
        let signal = |name: &str| {
            assert!(Command::new("kill").args([name, &server.0.id().to_string()]).status().unwrap().success());
        };
        signal("-STOP");
        let start = Instant::now();
        run(&mut speaker, &mut microphone, |_| from.lost() && to.lost());
        println!("noticed after {:?}", start.elapsed());
        assert!(from.lost() && to.lost());
        signal("-CONT");
        assert!(sounds(&run(&mut speaker, &mut microphone, sounds)), "{:?} {:?}", from.stats(), to.stats());
        println!("heard again {:?} after", start.elapsed());
    });
}

#[test]
fn a_speaker_that_is_unloaded_is_replaced_and_used_again_when_it_is_back() {
    with_server("a_speaker_that_is_unloaded_is_replaced_and_used_again_when_it_is_back", |_, _server| {
        let module = pactl(&HEADSET);
        let (events, told) = channel();
        let mut speaker = Speaker::open_with(Wanted::named(Some("headset")), listener(&events)).unwrap();
        let monitor = speaker.monitor();
        // What is played on the default device is heard by `vmic`, what is played on the headset is not.
        pactl(&["set-default-sink", "micfeed"]);
        let mut microphone = Microphone::open(Some("vmic")).unwrap();
        let heard = run(&mut speaker, &mut microphone, |heard| heard.len() > 96_000);
        assert!(!sounds(&heard));

        pactl(&["unload-module", &module]);
        assert!(sounds(&run(&mut speaker, &mut microphone, sounds)), "{:?}", monitor.stats());
        let mut wait_for = |wanted: &dyn Fn(&DeviceChange) -> bool, microphone: &mut Microphone| {
            let mut seen = Vec::new();
            run(&mut speaker, microphone, |_| {
                seen.extend(told.try_iter());
                seen.iter().any(|event| wanted(&event.change))
            });
            assert!(seen.iter().any(|event| wanted(&event.change)), "{seen:?}");
            println!("{seen:?}");
        };
        let replaced =
            |change: &DeviceChange| matches!(change, DeviceChange::Replaced { now, .. } if now.contains("icfeed"));
        wait_for(&replaced, &mut microphone);

        pactl(&HEADSET);
        let plugged = Instant::now();
        wait_for(&|change| matches!(change, DeviceChange::Restored { .. }), &mut microphone);
        println!("in use again after {:?}", plugged.elapsed());
        assert!(plugged.elapsed() < Duration::from_secs(1), "{:?}", plugged.elapsed());
        let heard = run(&mut speaker, &mut microphone, |heard| heard.len() > 48_000);
        assert!(!sounds(&heard));
        assert!(!monitor.lost());
    });
}

#[test]
fn the_default_follows_that_of_the_system() {
    with_server("the_default_follows_that_of_the_system", |_, _server| {
        let (events, told) = channel();
        let mut speaker = Speaker::open_with(Wanted::default(), listener(&events)).unwrap();
        let mut microphone = Microphone::open(Some("vmic")).unwrap();
        let heard = run(&mut speaker, &mut microphone, |heard| heard.len() > 96_000);
        assert!(!sounds(&heard));
        pactl(&["set-default-sink", "micfeed"]);
        assert!(sounds(&run(&mut speaker, &mut microphone, sounds)), "{:?}", speaker.monitor().stats());
        let event = told.recv_timeout(Duration::from_secs(10)).unwrap();
        println!("{event}");
        assert!(matches!(event.change, DeviceChange::Replaced { .. }), "{event:?}");
        assert_eq!(speaker.monitor().stats().losses, 0);
    });
}

#[test]
fn a_remembered_device_that_is_not_there_is_no_obstacle() {
    with_server("a_remembered_device_that_is_not_there_is_no_obstacle", |_, _server| {
        let wanted = Wanted { name: Some("headset".into()), or_default: true };
        let (events, told) = channel();
        let mut speaker = Speaker::open_with(wanted, listener(&events)).unwrap();
        let mut microphone = Microphone::open(None).unwrap();
        pactl(&HEADSET);
        let mut seen = None;
        run(&mut speaker, &mut microphone, |_| {
            seen = seen.take().or_else(|| told.try_recv().ok());
            seen.is_some()
        });
        let event = seen.unwrap();
        assert!(matches!(&event.change, DeviceChange::Restored { name } if name.contains("eadset")), "{event:?}");
    });
}
