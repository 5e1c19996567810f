#![allow(clippy::unwrap_used)]
use super::*;
use crate::{
    SAMPLE_RATE,
    audio::{
        compare::tone_level,
        sink::{self, Sink},
        source::{Source, SourceState},
        tone::Tone,
    },
};
use hound::{SampleFormat, WavSpec, WavWriter};
use std::{
    io::{Cursor, Seek, SeekFrom, Write},
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

const TONE: f64 = 700.0;

/// One second of a tone at -6 dBFS, the same on every channel.
fn wav(spec: WavSpec) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
    for n in 0..spec.sample_rate {
        let value = 0.5 * (std::f64::consts::TAU * TONE * f64::from(n) / f64::from(spec.sample_rate)).sin();
        for _ in 0..spec.channels {
            match spec.sample_format {
                SampleFormat::Float => writer.write_sample(value as f32).unwrap(),
                SampleFormat::Int => {
                    let full = ((1u64 << (spec.bits_per_sample - 1)) - 1) as f64;
                    writer.write_sample((value * full).round() as i32).unwrap();
                }
            }
        }
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

fn spec(channels: u16, sample_rate: u32, bits_per_sample: u16, sample_format: SampleFormat) -> WavSpec {
    WavSpec { channels, sample_rate, bits_per_sample, sample_format }
}

fn read_all(source: &mut WavSource) -> Vec<f32> {
    let (mut all, mut part) = (Vec::new(), [9.0; 480]);
    while source.read(&mut part) == SourceState::Playing {
        all.extend(part);
    }
    all.extend(part);
    all
}

#[test]
fn every_format_and_rate_plays_at_its_pitch_level_and_length() {
    use SampleFormat::{Float, Int};
    for (bits, format) in [(8, Int), (16, Int), (24, Int), (32, Int), (32, Float)] {
        for rate in [8_000, 16_000, 22_050, 44_100, 48_000, 96_000] {
            for channels in [1, 2] {
                let spec = spec(channels, rate, bits, format);
                let mut source = WavSource::from_bytes("tone", wav(spec)).unwrap();
                assert!((source.duration_s() - 1.0).abs() < 1e-6);
                let sound = read_all(&mut source);
                // The last tick is filled up with silence, and an exact end takes one tick more to see.
                assert!((48_000..=48_480).contains(&sound.len()), "{spec:?}: {}", sound.len());
                let level = tone_level(&sound[..48_000], TONE as f32);
                assert!((level + 6.02).abs() < 0.15, "{spec:?}: {level} dBFS");
            }
        }
    }
}

#[test]
fn stereo_is_mixed_to_mono() {
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec(2, 48_000, 16, SampleFormat::Int)).unwrap();
    for _ in 0..480 {
        writer.write_sample(16_384i16).unwrap();
        writer.write_sample(0i16).unwrap();
    }
    writer.finalize().unwrap();
    let mut out = [0.0; 480];
    WavSource::from_bytes("stereo", bytes.into_inner()).unwrap().read(&mut out);
    assert!(out.iter().all(|sample| (sample - 0.25).abs() < 1e-6));
}

#[test]
fn a_file_ends_with_silence_and_stays_ended() {
    let mut source = WavSource::from_bytes("tone", wav(spec(1, 48_000, 16, SampleFormat::Int))).unwrap();
    let mut out = vec![9.0; 48_100];
    assert_eq!(source.read(&mut out), SourceState::Ended);
    assert_eq!(out[48_000..], [0.0; 100]);
    assert_eq!(source.read(&mut out), SourceState::Ended);
    assert!(out.iter().all(|&sample| sample == 0.0));
}

#[test]
fn a_looped_file_goes_on_without_a_seam() {
    // 700 periods fit a second exactly, so a seam would show as energy elsewhere.
    for rate in [48_000, 16_000, 44_100] {
        let mut source = WavSource::from_bytes("tone", wav(spec(1, rate, 24, SampleFormat::Int))).unwrap().looped();
        let mut out = vec![0.0; 144_000];
        assert_eq!(source.read(&mut out), SourceState::Playing);
        let level = tone_level(&out[40_000..60_000], TONE as f32);
        assert!((level + 6.02).abs() < 0.15, "{rate}: {level}");
        assert!(tone_level(&out[40_000..60_000], 900.0) < -70.0, "{rate}");
    }
}

#[test]
fn a_truncated_file_plays_what_it_has() {
    let mut bytes = wav(spec(1, 48_000, 16, SampleFormat::Int));
    bytes.truncate(44 + 960 + 1);
    for looped in [false, true] {
        let mut source = WavSource::from_bytes("cut", bytes.clone()).unwrap();
        if looped {
            source = source.looped();
        }
        let mut out = [0.0; 960];
        let state = source.read(&mut out);
        assert_eq!(state, if looped { SourceState::Playing } else { SourceState::Ended });
        assert!(out[100..140].iter().any(|&sample| sample.abs() > 0.1));
    }
}

#[test]
fn what_is_no_sound_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.wav");
    let open = |content: &[u8]| {
        std::fs::write(&path, content).unwrap();
        WavSource::open(&path).err().unwrap()
    };
    let not_wav = [&b""[..], b"RIFF", b"ID3\x04 this is an mp3 file, long enough for a header or two", &[0; 100]];
    for content in not_wav {
        let error = open(content);
        assert!(matches!(error, Error::NotWav { .. }), "{error:?}");
        assert!(error.to_string().contains("x.wav is not a WAV file"), "{error}");
    }
    let full = wav(spec(1, 48_000, 16, SampleFormat::Int));
    assert!(matches!(open(&full[..20]), Error::NotWav { .. }));

    let mut empty = Cursor::new(Vec::new());
    WavWriter::new(&mut empty, spec(1, 48_000, 16, SampleFormat::Int)).unwrap().finalize().unwrap();
    assert!(matches!(open(&empty.into_inner()), Error::Empty { .. }));

    assert!(matches!(open(&wav(spec(1, 1_000, 16, SampleFormat::Int))), Error::Unsupported { .. }));
    // Encoding 6 is A-law.
    let mut a_law = full.clone();
    a_law[20] = 6;
    assert!(matches!(open(&a_law), Error::Unsupported { .. }));

    assert!(matches!(WavSource::open(folder.path().join("none.wav")).err().unwrap(), Error::Read { .. }));
    assert!(matches!(WavSource::open(folder.path()).err().unwrap(), Error::Read { .. }));
}

#[test]
fn what_was_recorded_is_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.wav");
    let mut sink = WavSink::create(&path).unwrap();
    let mut sound = vec![0.0; 50_001];
    Tone::new(440.0).read(&mut sound);
    sound[7] = 2.0;
    sound[8] = f32::NAN;
    for part in sound.chunks(479) {
        sink.write(part);
    }
    sink.finish().unwrap();
    sink.write(&[1.0; 480]);
    sink.finish().unwrap();
    let back = read_wav(&path).unwrap();
    assert_eq!(back.len(), sound.len());
    for (n, (got, wanted)) in back.iter().zip(&sound).enumerate() {
        let wanted = if n == 8 { 0.0 } else { wanted.clamp(-1.0, 1.0) };
        assert!((got - wanted).abs() < 1e-4, "{n}: {got} {wanted}");
    }
}

#[test]
fn both_sides_of_a_call_stay_aligned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("both.wav");
    let mut recorder = WavRecorder::create(&path).unwrap();
    recorder.write_both(&[0.5; 480], &[0.25; 480]);
    recorder.write_both(&[0.5; 100], &[]);
    recorder.write_both(&[], &[0.25; 50]);
    recorder.finish().unwrap();
    let [near, far] = read_wav_stereo(&path).unwrap();
    assert_eq!((near.len(), far.len()), (630, 630));
    let close = |sample: f32, wanted: f32| (sample - wanted).abs() < 1e-4;
    assert!(near[..580].iter().all(|&sample| close(sample, 0.5)) && near[580..].iter().all(|&s| close(s, 0.0)));
    assert!(far[..480].iter().all(|&sample| close(sample, 0.25)) && far[480..580].iter().all(|&s| close(s, 0.0)));
    assert!(far[580..].iter().all(|&sample| close(sample, 0.25)));
}

#[test]
fn an_unwritable_path_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("no/such/folder.wav"), folder.path().into()] {
        let error = WavSink::create(&path).err().unwrap();
        assert!(matches!(error, Error::Create { .. }));
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert!(WavRecorder::create(&path).is_err());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_from_the_start_is_an_error_at_once() {
    assert!(matches!(WavSink::create("/dev/full").err().unwrap(), Error::Create { .. }));
}

/// A disk with so many bytes left.
struct SmallDisk(Cursor<Vec<u8>>, u64);

impl Write for SmallDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.position() + bytes.len() as u64 > self.1 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for SmallDisk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_disk_that_runs_full_is_reported_at_the_end_and_counted() {
    let mut sink = WavSink::to_output(SmallDisk(Cursor::new(Vec::new()), 20_000)).unwrap();
    let start = Instant::now();
    while sink.dropped() == 0 {
        assert!(start.elapsed() < Duration::from_secs(30), "nothing dropped");
        sink.write(&[0.1; 4800]);
        std::thread::yield_now();
    }
    let error = sink.finish().unwrap_err();
    assert!(matches!(error, sink::Error::File(Error::Write { .. })), "{error:?}");
}

/// A disk that takes nothing until it is let go.
struct StuckDisk(Cursor<Vec<u8>>, Arc<(Mutex<bool>, Condvar)>, Arc<AtomicBool>);

impl Write for StuckDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.2.load(Ordering::SeqCst) {
            let (free, changed) = &*self.1;
            drop(changed.wait_while(free.lock().unwrap(), |free| !*free).unwrap());
        }
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for StuckDisk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_slow_disk_stalls_nothing_and_the_hole_is_reported() {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let stuck = Arc::new(AtomicBool::new(false));
    let disk = StuckDisk(Cursor::new(Vec::new()), gate.clone(), stuck.clone());
    let mut sink = WavSink::to_output(disk).unwrap();
    stuck.store(true, Ordering::SeqCst);
    // 12 s into a queue of 10 s: this would never return if writing waited for the disk.
    for _ in 0..1200 {
        sink.write(&[0.1; 480]);
    }
    assert!(sink.dropped() > 48_000, "{}", sink.dropped());
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    let error = sink.finish().unwrap_err();
    assert!(matches!(error, sink::Error::File(Error::Incomplete { missing_s, .. }) if missing_s > 1.0), "{error:?}");
}

/// Seconds of sound a reader finds in a file that is still being written.
fn seconds(path: &Path) -> f64 {
    hound::WavReader::open(path).map_or(0.0, |wav| f64::from(wav.duration()) / f64::from(SAMPLE_RATE))
}

const CHILD: &str = "CHATPHONE_TEST_RECORDING";

/// Not a test of its own: the process that is killed below.
#[test]
fn recording_child() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let mut sink = WavSink::create(path).unwrap();
    let mut tone = Tone::new(440.0);
    loop {
        let mut part = [0.0; 480];
        tone.read(&mut part);
        sink.write(&part);
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_killed_process_leaves_a_file_that_plays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.wav");
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "audio::file::tests::recording_child", "--nocapture"])
        .env(CHILD, &path)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while seconds(&path) < 0.8 && start.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let sound = read_wav(&path).unwrap();
    assert!(sound.len() > 38_400, "{} samples", sound.len());
    assert!((tone_level(&sound, 440.0) - Tone::DEFAULT_LEVEL).abs() < 0.2);
}
