//! G.711: eight bits for each sample at 8 kHz, spaced so that the quiet is finer than the loud.

use super::{CodecKind, waveform::Companding};

/// µ-law (ITU-T G.711 table 2).
#[derive(Debug, Clone, Copy)]
pub(super) struct MuLaw;

/// A-law (ITU-T G.711 table 1).
#[derive(Debug, Clone, Copy)]
pub(super) struct ALaw;

impl Companding for MuLaw {
    const KIND: CodecKind = CodecKind::Pcmu;
    const RATE: u32 = 8_000;

    fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        out.extend(samples.iter().map(|&sample| encode_mu_law(sample)));
    }

    fn decode(&mut self, bytes: &[u8], out: &mut Vec<i16>) {
        out.extend(bytes.iter().map(|&byte| decode_mu_law(byte)));
    }
}

impl Companding for ALaw {
    const KIND: CodecKind = CodecKind::Pcma;
    const RATE: u32 = 8_000;

    fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        out.extend(samples.iter().map(|&sample| encode_a_law(sample)));
    }

    fn decode(&mut self, bytes: &[u8], out: &mut Vec<i16>) {
        out.extend(bytes.iter().map(|&byte| decode_a_law(byte)));
    }
}

/// What µ-law adds to a magnitude so that its segments begin at powers of two: 33 in 14 bits, 132 in 16.
const BIAS: u16 = 132;

/// A sample of 16 bits (µ-law knows the upper 14).
pub(super) fn encode_mu_law(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    let magnitude = sample.unsigned_abs().min(32_635) + BIAS;
    // 7 for magnitudes from 2^14, 0 from 2^7.
    let segment = 8 - magnitude.leading_zeros() as u8;
    let step = (magnitude >> (segment + 3)) as u8 & 0x0F;
    // All bits but the sign's are sent inverted.
    sign | (0x7F ^ (segment << 4 | step))
}

pub(super) fn decode_mu_law(byte: u8) -> i16 {
    let code = !byte & 0x7F;
    let (segment, step) = (code >> 4, i16::from(code & 0x0F));
    let magnitude = ((2 * step + 33) << (segment + 2)) - BIAS as i16;
    if byte & 0x80 == 0 { -magnitude } else { magnitude }
}

/// A sample of 16 bits (A-law knows the upper 13).
pub(super) fn encode_a_law(sample: i16) -> u8 {
    // The quanta of the two signs mirror each other around -1/2.
    let (sign, magnitude) = if sample < 0 { (0, !sample) } else { (0x80, sample) };
    let magnitude = magnitude as u16;
    let code = match magnitude >> 8 {
        0 => (magnitude >> 4) as u8,
        _ => {
            // 7 for magnitudes from 2^14, 1 from 2^8.
            let segment = 8 - magnitude.leading_zeros() as u8;
            segment << 4 | (magnitude >> (segment + 3)) as u8 & 0x0F
        }
    };
    // Every other bit is sent inverted.
    (sign | code) ^ 0x55
}

pub(super) fn decode_a_law(byte: u8) -> i16 {
    let code = byte ^ 0x55;
    let (segment, step) = ((code >> 4) & 7, i16::from(code & 0x0F));
    let magnitude = match segment {
        0 => (2 * step + 1) << 3,
        _ => (2 * step + 33) << (segment + 2),
    };
    if code & 0x80 == 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table 2a of G.711: decoder output values (14 bits) at the ends of the segments, and their character signals.
    #[test]
    fn mu_law_has_the_values_of_the_standard() {
        let table = [
            (0x80, 8031),
            (0x8F, 4191),
            (0x9F, 2079),
            (0xAF, 1023),
            (0xBF, 495),
            (0xCF, 231),
            (0xDF, 99),
            (0xEF, 33),
            (0xFE, 2),
            (0xFF, 0),
        ];
        for (byte, value) in table {
            assert_eq!(decode_mu_law(byte), value * 4, "{byte:#x}");
            assert_eq!(decode_mu_law(byte & 0x7F), -value * 4, "{byte:#x} negative");
        }
        // Decision values (14 bits): from there on the next code holds.
        for (decision, below, above) in [(4063, 0x90, 0x8F), (2015, 0xA0, 0x9F), (31, 0xF0, 0xEF), (1, 0xFF, 0xFE)] {
            assert_eq!((encode_mu_law(decision * 4 - 1), encode_mu_law(decision * 4)), (below, above), "{decision}");
        }
        assert_eq!((encode_mu_law(0), encode_mu_law(i16::MAX), encode_mu_law(i16::MIN)), (0xFF, 0x80, 0x00));
    }

    /// Table 1a of G.711: decoder output values (13 bits), with the even bits inverted as they are sent.
    #[test]
    fn a_law_has_the_values_of_the_standard() {
        let table = [
            (0xFF, 4032),
            (0xF0, 2112),
            (0xE0, 1056),
            (0xD0, 528),
            (0xC0, 264),
            (0xB0, 132),
            (0xA0, 66),
            (0x90, 33),
            (0x80, 1),
        ];
        for (code, value) in table {
            assert_eq!(decode_a_law(code ^ 0x55), value * 8, "{code:#x}");
            assert_eq!(decode_a_law((code & 0x7F) ^ 0x55), -value * 8, "{code:#x} negative");
        }
        for (decision, below, above) in [(2048, 0xEF, 0xF0), (1024, 0xDF, 0xE0), (64, 0x9F, 0xA0), (2, 0x80, 0x81)] {
            let codes = (encode_a_law(decision * 8 - 1) ^ 0x55, encode_a_law(decision * 8) ^ 0x55);
            assert_eq!(codes, (below, above), "{decision}");
        }
        assert_eq!((encode_a_law(0), encode_a_law(i16::MAX), encode_a_law(i16::MIN)), (0xD5, 0xAA, 0x2A));
    }

    #[test]
    fn every_code_survives_there_and_back_and_the_order_is_kept() {
        for byte in 0..=255 {
            // µ-law has two zeros.
            let wanted = if byte == 0x7F { 0xFF } else { byte };
            assert_eq!(encode_mu_law(decode_mu_law(byte)), wanted);
            assert_eq!(encode_a_law(decode_a_law(byte)), byte);
        }
        let (mut mu, mut a) = (i16::MIN, i16::MIN);
        for sample in i16::MIN..=i16::MAX {
            let next = (decode_mu_law(encode_mu_law(sample)), decode_a_law(encode_a_law(sample)));
            assert!(next.0 >= mu && next.1 >= a, "{sample}");
            (mu, a) = next;
            // Half a quantum at most: a 32nd of the value, or of the smallest segment. Beyond the last it clips.
            let allowed = (i32::from(sample).abs() + 132) / 32 + 4;
            for decoded in [mu, a] {
                let off = (i32::from(decoded) - i32::from(sample)).abs();
                assert!(off <= allowed || sample.unsigned_abs() > 32_000, "{sample}: {decoded}");
            }
        }
    }
}
