//! What the codecs that send the waveform have in common: 64 kbit/s, so that a byte is one unit of the 8 kHz clock;
//! a rate of their own; no memory of what was lost, so that the hole is filled with what was heard before it.

use super::{CodecKind, Decoder, Encoded, Encoder, Error, FRAME_SAMPLES, MAX_PACKET_SAMPLES};
use crate::{SAMPLE_RATE, audio::resample::Resampler};

/// Samples at [`SAMPLE_RATE`] in a byte.
const PER_BYTE: usize = 6;

/// The step from samples to bytes and back, at the codec's own rate.
pub(super) trait Companding: Send {
    const KIND: CodecKind;
    /// In Hz.
    const RATE: u32;

    fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>);
    fn decode(&mut self, bytes: &[u8], out: &mut Vec<i16>);
}

fn resampler(kind: CodecKind, from: u32, to: u32) -> Result<Resampler, Error> {
    // 5 ms at a time; a frame is a whole number of those.
    Resampler::in_blocks(from, to, from as usize / 200).map_err(|_| Error::Unavailable(kind))
}

/// Encodes 20 ms frames.
pub(super) struct WaveformEncoder<C> {
    codec: C,
    resampler: Resampler,
    converted: Vec<f32>,
    samples: Vec<i16>,
    bytes: Vec<u8>,
}

impl<C: Companding> WaveformEncoder<C> {
    pub fn new(codec: C) -> Result<Self, Error> {
        let resampler = resampler(C::KIND, SAMPLE_RATE, C::RATE)?;
        Ok(Self { codec, resampler, converted: Vec::new(), samples: Vec::new(), bytes: Vec::new() })
    }
}

impl<C: Companding> Encoder for WaveformEncoder<C> {
    fn kind(&self) -> CodecKind {
        C::KIND
    }

    fn encode(&mut self, frame: &[f32]) -> Result<Encoded, Error> {
        if frame.len() != FRAME_SAMPLES {
            return Err(Error::FrameSize(frame.len()));
        }
        self.converted.clear();
        self.samples.clear();
        self.bytes.clear();
        self.resampler.process(frame, &mut self.converted);
        self.samples.extend(self.converted.iter().map(|sample| (sample.clamp(-1.0, 1.0) * 32_767.0).round() as i16));
        self.codec.encode(&self.samples, &mut self.bytes);
        Ok(Encoded::Packet(bytes::Bytes::copy_from_slice(&self.bytes)))
    }
}

/// Decodes packets of any length up to 120 ms.
pub(super) struct WaveformDecoder<C> {
    codec: C,
    resampler: Resampler,
    samples: Vec<i16>,
    narrow: Vec<f32>,
    /// Decoded and not yet handed out: what does not fill a block of the resampler waits.
    ready: Vec<f32>,
    concealer: Concealer,
}

impl<C: Companding> WaveformDecoder<C> {
    pub fn new(codec: C) -> Result<Self, Error> {
        let resampler = resampler(C::KIND, C::RATE, SAMPLE_RATE)?;
        let concealer = Concealer::default();
        Ok(Self { codec, resampler, samples: Vec::new(), narrow: Vec::new(), ready: Vec::new(), concealer })
    }
}

impl<C: Companding> Decoder for WaveformDecoder<C> {
    fn kind(&self) -> CodecKind {
        C::KIND
    }

    fn packet_samples(&self, packet: &[u8]) -> Result<usize, Error> {
        let samples = packet.len() * PER_BYTE;
        let fits = (1..=MAX_PACKET_SAMPLES).contains(&samples);
        if fits { Ok(samples) } else { Err(Error::Malformed { kind: C::KIND, length: packet.len() }) }
    }

    fn decode(&mut self, packet: &[u8], out: &mut [f32]) -> Result<usize, Error> {
        let length = self.packet_samples(packet)?;
        let Some(out) = out.get_mut(..length) else { return Err(Error::FrameSize(out.len())) };
        self.samples.clear();
        self.narrow.clear();
        self.codec.decode(packet, &mut self.samples);
        self.narrow.extend(self.samples.iter().map(|&sample| f32::from(sample) / 32_768.0));
        self.resampler.process(&self.narrow, &mut self.ready);
        // Packets that are no whole number of blocks: a little silence, once, and from then on there is enough.
        let missing = length.saturating_sub(self.ready.len());
        self.ready.splice(..0, std::iter::repeat_n(0.0, missing));
        out.copy_from_slice(&self.ready[..length]);
        self.ready.drain(..length);
        self.concealer.real(out);
        Ok(length)
    }

    fn decode_fec(&mut self, _next_packet: &[u8], out: &mut [f32]) -> Result<bool, Error> {
        self.conceal(out)?;
        Ok(false)
    }

    fn conceal(&mut self, out: &mut [f32]) -> Result<(), Error> {
        self.concealer.conceal(out);
        Ok(())
    }
}

/// Fills holes by repeating the last pitch period, softer and softer (the idea of ITU-T G.711 appendix I).
#[derive(Default)]
struct Concealer {
    /// The last sound that was real.
    history: Vec<f32>,
    /// The period that is repeated.
    period: Vec<f32>,
    /// Samples made up since the last real one.
    made: usize,
}

impl Concealer {
    /// Longest and shortest pitch period: 66 Hz to 400 Hz.
    const LONGEST: usize = 720;
    const SHORTEST: usize = 120;
    const HISTORY: usize = 3 * Self::LONGEST;
    /// 10 ms at full level, silent after 60 ms.
    const FULL: usize = 480;
    const SILENT: usize = 2_880;
    /// From the made-up sound to the real one: 5 ms.
    const CROSSFADE: usize = 240;

    /// Takes note of real sound, and smooths its beginning if it follows made-up sound.
    fn real(&mut self, out: &mut [f32]) {
        if self.made > 0 {
            let length = Self::CROSSFADE.min(out.len());
            for (n, sample) in out[..length].iter_mut().enumerate() {
                let share = n as f32 / length as f32;
                *sample = *sample * share + self.next() * (1.0 - share);
            }
            self.made = 0;
        }
        self.history.extend_from_slice(out);
        let excess = self.history.len().saturating_sub(Self::HISTORY);
        self.history.drain(..excess);
    }

    fn conceal(&mut self, out: &mut [f32]) {
        if self.made == 0 {
            let period = self.pitch();
            self.period.clear();
            self.period.extend_from_slice(&self.history[self.history.len() - period..]);
            self.smooth_seam();
        }
        for sample in out {
            *sample = self.next();
        }
    }

    fn next(&mut self) -> f32 {
        let fade = Self::SILENT.saturating_sub(self.made) as f32 / (Self::SILENT - Self::FULL) as f32;
        let sample = match self.period.len() {
            0 => 0.0,
            length => self.period[self.made % length] * fade.min(1.0),
        };
        self.made += 1;
        sample
    }

    /// The end of the period leads over to its beginning.
    fn smooth_seam(&mut self) {
        let (period, history) = (self.period.len(), self.history.len());
        let length = (period / 4).min(history - period);
        for n in 0..length {
            // What came before the period's beginning leads to it without a seam.
            let share = (n + 1) as f32 / (length + 1) as f32;
            let before = self.history[history - period - length + n];
            let at = period - length + n;
            self.period[at] = self.period[at] * (1.0 - share) + before * share;
        }
    }

    /// The lag at which the last 15 ms are most like what was before them; 0 if too little was heard.
    fn pitch(&self) -> usize {
        let Some(start) = self.history.len().checked_sub(2 * Self::LONGEST) else { return 0 };
        let (before, recent) = self.history[start..].split_at(Self::LONGEST);
        let likeness = |lag: usize| {
            let (mut product, mut energy) = (0.0, 1e-9);
            // Every fourth sample tells enough: the codec's band ends far below.
            for n in (0..Self::LONGEST).step_by(4) {
                let earlier = match n.checked_sub(lag) {
                    Some(n) => recent[n],
                    None => before[Self::LONGEST + n - lag],
                };
                product += earlier * recent[n];
                energy += earlier * earlier;
            }
            product / energy.sqrt()
        };
        let lags = (Self::SHORTEST..=Self::LONGEST).step_by(2);
        lags.max_by(|&a, &b| likeness(a).total_cmp(&likeness(b))).unwrap_or(Self::LONGEST)
    }
}
