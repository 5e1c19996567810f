//! G.722 at 64 kbit/s: two bands of ADPCM at 16 kHz.

use super::{CodecKind, waveform::Companding};
use audio_codec::{
    Decoder as _, Encoder as _,
    g722::{G722Decoder, G722Encoder},
};

/// Both directions; each object uses one.
#[derive(Default)]
pub(super) struct G722 {
    encoder: G722Encoder,
    decoder: G722Decoder,
}

impl Companding for G722 {
    const KIND: CodecKind = CodecKind::G722;
    const RATE: u32 = 16_000;

    fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.encoder.encode(samples));
    }

    fn decode(&mut self, bytes: &[u8], out: &mut Vec<i16>) {
        out.extend_from_slice(&self.decoder.decode(bytes));
    }
}
