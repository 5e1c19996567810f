//! Where the sound of a call goes.

use super::{device, file, slip::Slip};

/// Anything that takes sound: `f32` mono at [`crate::SAMPLE_RATE`], in -1.0..=1.0.
pub trait Sink: Send {
    /// Takes all of `samples`. Never blocks: what a sink cannot take is dropped and counted by the sink.
    fn write(&mut self, samples: &[f32]);

    /// Brings the sink to a good end (a file: everything written, the header right) and says what went wrong on the
    /// way. May block; writing after it does nothing.
    fn finish(&mut self) -> Result<(), Error>;

    /// How what was written since the last call of this lies on the sink's own time line. Only devices slip.
    fn take_slip(&mut self) -> Slip {
        Slip::default()
    }
}

/// What went wrong in a sink.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A recording is missing or has a hole.
    #[error(transparent)]
    File(#[from] file::Error),
    /// The speaker failed.
    #[error(transparent)]
    Device(#[from] device::Error),
}

/// Takes everything, keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Null;

impl Sink for Null {
    fn write(&mut self, _: &[f32]) {}

    fn finish(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// Writes everything to each of its sinks, in order.
#[derive(Default)]
pub struct Tee(Vec<Box<dyn Sink>>);

impl Tee {
    /// A sink that feeds all of `sinks` (none is allowed: then it is [`Null`]).
    pub fn new(sinks: Vec<Box<dyn Sink>>) -> Self {
        Self(sinks)
    }

    /// Adds one more.
    pub fn push(&mut self, sink: Box<dyn Sink>) {
        self.0.push(sink);
    }
}

impl Sink for Tee {
    fn write(&mut self, samples: &[f32]) {
        for sink in &mut self.0 {
            sink.write(samples);
        }
    }

    /// Finishes every sink, whatever the others say, and returns the first error.
    fn finish(&mut self) -> Result<(), Error> {
        let results: Vec<_> = self.0.iter_mut().map(|sink| sink.finish()).collect();
        results.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::audio::{pipe::pipe, source::Source};

    #[test]
    fn a_tee_feeds_all_its_sinks() {
        let (first, mut first_out) = pipe(960);
        let (second, mut second_out) = pipe(960);
        let mut tee = Tee::new(vec![Box::new(first), Box::new(Null)]);
        tee.push(Box::new(second));
        tee.write(&[0.5; 480]);
        for end in [&mut first_out, &mut second_out] {
            let mut out = [0.0; 480];
            end.read(&mut out);
            assert_eq!(out, [0.5; 480]);
        }
        tee.finish().unwrap();
    }

    #[test]
    fn a_tee_finishes_every_sink_even_when_one_fails() {
        struct Broken;
        impl Sink for Broken {
            fn write(&mut self, _: &[f32]) {}
            fn finish(&mut self) -> Result<(), Error> {
                Err(device::Error::Lost { name: "desk speaker".into() }.into())
            }
        }
        let (last, mut out) = pipe(960);
        let mut tee = Tee::new(vec![Box::new(Broken), Box::new(last)]);
        assert!(tee.finish().unwrap_err().to_string().contains("desk speaker"));
        assert_eq!(out.read(&mut [0.0; 10]), crate::audio::source::SourceState::Ended);
    }
}
