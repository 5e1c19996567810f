//! A call with oneself: microphone -> sender -> packets -> receiver -> speaker, with neither network nor processing, for
//! so many seconds. What `scripts/bench_latency.py` measures.
//!
//! `cargo run --release --example loopback -- SECONDS`

use chatphone::call::{ProcessSpec, SoundSpec, SpeakerSpec};
use chatphone::peer::media::{MediaClock, MediaSession};
use chatphone_media::audio::codec::CodecKind;
use chatphone_media::audio::source::SourceSpec;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout_at;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds: u64 = std::env::args().nth(1).ok_or("say for how many seconds")?.parse()?;
    let spec = SoundSpec {
        source: SourceSpec::Microphone(None),
        speaker: SpeakerSpec::Default,
        process: ProcessSpec { echo: false, noise: false, gain: false },
        ..SoundSpec::default()
    };
    let parts = spec.open()?;
    let (packets_tx, mut packets) = unbounded_channel();
    let (session, handle) = MediaSession::new(parts, CodecKind::Opus, spec.media(), packets_tx)?;
    MediaClock::start()?.attach(session);
    let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
    while let Ok(Some(packet)) = timeout_at(end, packets.recv()).await {
        handle.push(CodecKind::Opus, packet.into_rtp(1), Instant::now());
    }
    let report = handle.stop().await;
    println!("{:#?}", report.stats);
    Ok(())
}
