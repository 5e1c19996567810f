//! What comes from the far end, whatever codec it is in at the moment.

use chatphone_media::TICK_SAMPLES;
use chatphone_media::audio::codec::{CodecKind, Error};
use chatphone_media::pipeline::{Receiver, ReceiverConfig, ReceiverStats, RtpPacket};
use std::time::{Duration, Instant};

/// Receives a stream whose sender may go over to another codec of the answer at any time. The figures are of all of it.
pub(super) struct Hearing {
    receiver: Receiver,
    config: ReceiverConfig,
    /// The figures of the receivers before this one.
    before: ReceiverStats,
    /// SSRC and sequence number of the newest packet of sound.
    newest: Option<(u32, u16)>,
    /// When the codec last changed.
    changed: Option<Instant>,
}

impl Hearing {
    /// The codec changes once in this time at most: a decoder and a jitter buffer are not made for each packet of a far
    /// end that sends two codecs by turns.
    const BETWEEN: Duration = Duration::from_millis(200);
    /// A packet is late when it is behind the newest by no more than this (RFC 3550, appendix A.1, MAX_MISORDER); one that
    /// is further behind belongs to a stream that began anew.
    const MISORDER: u16 = 100;

    /// Expects the codec of `config` at first.
    ///
    /// # Errors
    /// When the codec cannot be had.
    pub(super) fn new(config: ReceiverConfig) -> Result<Self, Error> {
        let receiver = Receiver::new(config.clone())?;
        Ok(Self { receiver, config, before: ReceiverStats::default(), newest: None, changed: None })
    }

    /// Takes a packet of sound, which is in `codec`.
    pub(super) fn push(&mut self, codec: CodecKind, packet: RtpPacket, arrival: Instant) {
        let ahead = match self.newest {
            Some((ssrc, newest)) if ssrc == packet.ssrc => {
                let behind = newest.wrapping_sub(packet.sequence_number);
                behind > Self::MISORDER
            }
            _ => true,
        };
        if codec != self.receiver.codec() && !(ahead && self.change(codec, arrival)) {
            return;
        }
        if ahead {
            self.newest = Some((packet.ssrc, packet.sequence_number));
        }
        self.receiver.push(packet, arrival);
    }

    /// Goes over to another codec, unless it just did or cannot.
    fn change(&mut self, codec: CodecKind, now: Instant) -> bool {
        if self.changed.is_some_and(|changed| now.saturating_duration_since(changed) < Self::BETWEEN) {
            return false;
        }
        match Receiver::new(ReceiverConfig { codec, ..self.config.clone() }) {
            Ok(receiver) => {
                self.before = self.stats();
                (self.receiver, self.changed) = (receiver, Some(now));
                true
            }
            Err(error) => {
                tracing::warn!(%error, %codec, "the far end's codec cannot be had");
                false
            }
        }
    }

    /// Takes a packet of comfort noise.
    pub(super) fn push_noise(&mut self, packet: RtpPacket, arrival: Instant) {
        self.receiver.push(packet, arrival);
    }

    /// Takes a telephone event.
    pub(super) fn push_event(&mut self, packet: &RtpPacket) {
        self.receiver.push_event(packet);
    }

    /// The next 10 ms.
    pub(super) fn pull(&mut self, out: &mut [f32; TICK_SAMPLES], now: Instant) {
        self.receiver.pull(out, now);
    }

    /// The figures of the whole stream.
    pub(super) fn stats(&self) -> ReceiverStats {
        self.receiver.stats().continuing(&self.before)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use chatphone_media::TICK;
    use chatphone_media::pipeline::Content;

    const FRAME: Duration = Duration::from_millis(20);

    /// A far end that sends 20 ms of G.711 at a time, and we who hear it.
    struct Far {
        hearing: Hearing,
        now: Instant,
        /// The next packet's.
        sequence_number: u16,
    }

    impl Far {
        fn new() -> Self {
            let config = ReceiverConfig { codec: CodecKind::Pcmu, ..ReceiverConfig::default() };
            Self { hearing: Hearing::new(config).unwrap(), now: Instant::now(), sequence_number: 65_500 }
        }

        fn arrives(&mut self, codec: CodecKind, sequence_number: u16) {
            let packet = RtpPacket {
                ssrc: 7,
                sequence_number,
                timestamp: u32::from(sequence_number.wrapping_sub(65_500)) * 160,
                marker: false,
                content: Content::Sound,
                payload: vec![0x55; 160].into(),
            };
            self.hearing.push(codec, packet, self.now);
        }

        /// The next packet, and the 20 ms until the one after.
        fn says(&mut self, codec: CodecKind) {
            self.arrives(codec, self.sequence_number);
            self.sequence_number = self.sequence_number.wrapping_add(1);
            for _ in 0..2 {
                self.hearing.pull(&mut [0.0; TICK_SAMPLES], self.now);
                self.now += TICK;
            }
        }
    }

    #[test]
    fn the_figures_go_on_when_the_far_end_changes_its_codec() {
        let mut far = Far::new();
        (0..50).for_each(|_| far.says(CodecKind::Pcmu));
        // One is lost.
        far.sequence_number += 1;
        (0..50).for_each(|_| far.says(CodecKind::Pcmu));
        let before = far.hearing.stats();
        assert!(before.first_packet < before.first_audio && before.first_audio < Some(far.now - FRAME));
        (0..50).for_each(|_| far.says(CodecKind::Pcma));
        let after = far.hearing.stats();
        assert_eq!((after.packets_received, after.packets_lost, after.bytes_received), (150, 1, 24_000));
        assert_eq!((after.first_packet, after.first_audio), (before.first_packet, before.first_audio));
        assert_eq!(after.total_samples_received, before.total_samples_received + 48_000);
        assert!(after.jitter_buffer_emitted_count > before.jitter_buffer_emitted_count + 30_000, "{after:?}");
        assert!(after.concealed_samples >= before.concealed_samples && before.concealed_samples > 0);
    }

    #[test]
    fn a_late_packet_of_the_codec_before_is_left() {
        let mut far = Far::new();
        (0..50).for_each(|_| far.says(CodecKind::Pcmu));
        let late = far.sequence_number;
        far.sequence_number = late.wrapping_add(1);
        (0..30).for_each(|_| far.says(CodecKind::Pcma));
        far.arrives(CodecKind::Pcmu, late);
        assert_eq!(far.hearing.receiver.codec(), CodecKind::Pcma);
        assert_eq!(far.hearing.stats().packets_received, 80);
        // One that is new, and one of a stream that began anew, are no late ones.
        far.says(CodecKind::Pcmu);
        assert_eq!(far.hearing.receiver.codec(), CodecKind::Pcmu);
        far.now += Hearing::BETWEEN;
        far.arrives(CodecKind::Pcma, late.wrapping_sub(20_000));
        assert_eq!(far.hearing.receiver.codec(), CodecKind::Pcma);
    }

    #[test]
    fn a_far_end_that_sends_two_codecs_by_turns_gets_no_decoder_for_each_packet() {
        let mut far = Far::new();
        let (mut changes, mut codec) = (0, CodecKind::Pcmu);
        for packet in 0..500 {
            far.says([CodecKind::Pcmu, CodecKind::Pcma][packet % 2]);
            changes += u32::from(std::mem::replace(&mut codec, far.hearing.receiver.codec()) != codec);
        }
        // In ten seconds.
        assert!((2..=50).contains(&changes), "{changes}");
        assert!(far.hearing.stats().packets_received >= 225, "{:?}", far.hearing.stats());
    }
}
