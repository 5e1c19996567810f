//! A device's raw bytes to mono floats and back.

use cpal::SampleFormat;

/// The layout of a device's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub format: SampleFormat,
    pub channels: u16,
}

impl Layout {
    /// Formats understood here, best first.
    pub const FORMATS: [SampleFormat; 7] = [
        SampleFormat::F32,
        SampleFormat::I32,
        SampleFormat::I24,
        SampleFormat::I16,
        SampleFormat::F64,
        SampleFormat::U16,
        SampleFormat::U8,
    ];

    pub fn frame_bytes(self) -> usize {
        self.format.sample_size() * usize::from(self.channels)
    }

    /// Appends the frames in `bytes`, mixed to mono.
    pub fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        let size = self.format.sample_size();
        let scale = 1.0 / f32::from(self.channels);
        for frame in bytes.chunks_exact(self.frame_bytes()) {
            let sum: f32 = frame.chunks_exact(size).map(|sample| self.decode_sample(sample)).sum();
            out.push(if sum.is_finite() { sum * scale } else { 0.0 });
        }
    }

    /// Appends `samples` as frames with the same sound on every channel.
    pub fn encode(self, samples: &[f32], out: &mut Vec<u8>) {
        for &sample in samples {
            let (bytes, size) = self.encode_sample(sample.clamp(-1.0, 1.0));
            for _ in 0..self.channels {
                out.extend_from_slice(&bytes[..size]);
            }
        }
    }

    /// The byte sequence of a silent sample, repeated over `out`. Allocates nothing.
    pub fn silence(self, out: &mut [u8]) {
        let (bytes, size) = self.encode_sample(0.0);
        for sample in out.chunks_mut(size) {
            sample.copy_from_slice(&bytes[..sample.len()]);
        }
    }

    fn decode_sample(self, bytes: &[u8]) -> f32 {
        // The caller cuts `bytes` to the sample's size.
        fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
            let mut array = [0; N];
            array.copy_from_slice(bytes);
            array
        }
        match self.format {
            SampleFormat::F32 => f32::from_ne_bytes(array(bytes)),
            SampleFormat::F64 => f64::from_ne_bytes(array(bytes)) as f32,
            SampleFormat::I32 => i32::from_ne_bytes(array(bytes)) as f32 / 2_147_483_648.0,
            // 24 bits in four bytes; the upper one is not always a copy of the sign.
            SampleFormat::I24 => ((i32::from_ne_bytes(array(bytes)) << 8) >> 8) as f32 / 8_388_608.0,
            SampleFormat::I16 => f32::from(i16::from_ne_bytes(array(bytes))) / 32_768.0,
            SampleFormat::U16 => (f32::from(u16::from_ne_bytes(array(bytes))) - 32_768.0) / 32_768.0,
            SampleFormat::U8 => (f32::from(bytes[0]) - 128.0) / 128.0,
            _ => 0.0,
        }
    }

    fn encode_sample(self, sample: f32) -> ([u8; 8], usize) {
        fn bytes<const N: usize>(sample: [u8; N]) -> ([u8; 8], usize) {
            let mut all = [0; 8];
            all[..N].copy_from_slice(&sample);
            (all, N)
        }
        let wide = f64::from(sample);
        match self.format {
            SampleFormat::F32 => bytes(sample.to_ne_bytes()),
            SampleFormat::F64 => bytes(wide.to_ne_bytes()),
            SampleFormat::I32 => bytes(((wide * 2_147_483_647.0) as i32).to_ne_bytes()),
            SampleFormat::I24 => bytes(((wide * 8_388_607.0) as i32).to_ne_bytes()),
            SampleFormat::I16 => bytes(((wide * 32_767.0).round() as i16).to_ne_bytes()),
            SampleFormat::U16 => {
                bytes((((wide * 32_767.0).round() as i32 + 32_768).clamp(0, 65_535) as u16).to_ne_bytes())
            }
            SampleFormat::U8 => bytes([((wide * 127.0).round() as i32 + 128).clamp(0, 255) as u8]),
            _ => ([0; 8], self.format.sample_size().min(8)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_survives_there_and_back() {
        for format in Layout::FORMATS {
            for channels in [1, 2, 6] {
                let layout = Layout { format, channels };
                let samples = [0.0, 0.5, -0.5, 0.999, -0.999, 7.0, -7.0];
                let (mut bytes, mut back) = (Vec::new(), Vec::new());
                layout.encode(&samples, &mut bytes);
                assert_eq!(bytes.len(), samples.len() * layout.frame_bytes());
                layout.decode(&bytes, &mut back);
                for (got, wanted) in back.iter().zip(samples) {
                    assert!((got - wanted.clamp(-1.0, 1.0)).abs() < 0.017, "{format} x{channels}: {got} {wanted}");
                }
            }
        }
    }

    #[test]
    fn silence_is_silent_in_every_format() {
        for format in Layout::FORMATS {
            let layout = Layout { format, channels: 2 };
            let mut bytes = vec![0xAA; 3 * layout.frame_bytes()];
            layout.silence(&mut bytes);
            let mut back = Vec::new();
            layout.decode(&bytes, &mut back);
            assert_eq!(back, [0.0; 3], "{format}");
        }
    }

    #[test]
    fn channels_are_mixed_and_nonsense_is_silence() {
        let layout = Layout { format: SampleFormat::F32, channels: 2 };
        let bytes: Vec<u8> = [1.0, 0.5, f32::NAN, 0.5].iter().flat_map(|sample: &f32| sample.to_ne_bytes()).collect();
        let mut out = Vec::new();
        layout.decode(&bytes, &mut out);
        assert_eq!(out, [0.75, 0.0]);
    }
}
