//! A sink whose sound comes out of a source: what an echoing agent is made of.

use super::{
    sink::{self, Sink},
    source::{Source, SourceState},
};
use rtrb::{Consumer, Producer, RingBuffer};

/// A bounded pipe: what is written to the [`PipeSink`] is read from the [`PipeSource`], `capacity` samples at most in
/// between. A full pipe drops what is written, an empty one gives silence. The two ends may live on two threads.
pub fn pipe(capacity: usize) -> (PipeSink, PipeSource) {
    let (producer, consumer) = RingBuffer::new(capacity);
    (PipeSink { ring: Some(producer), dropped: 0 }, PipeSource { ring: consumer })
}

/// The end that takes sound.
pub struct PipeSink {
    ring: Option<Producer<f32>>,
    dropped: u64,
}

impl PipeSink {
    /// Samples dropped because the pipe was full or its reader is gone.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Sink for PipeSink {
    fn write(&mut self, samples: &[f32]) {
        let Some(ring) = &mut self.ring else { return };
        let (_, rest) = ring.push_partial_slice(samples);
        self.dropped += rest.len() as u64;
    }

    /// Closes the pipe: the source gives what is left and then reports [`SourceState::Ended`].
    fn finish(&mut self) -> Result<(), sink::Error> {
        self.ring = None;
        Ok(())
    }
}

/// The end that gives sound.
pub struct PipeSource {
    ring: Consumer<f32>,
}

impl PipeSource {
    /// Samples waiting to be read.
    pub fn available(&self) -> usize {
        self.ring.slots()
    }
}

impl Source for PipeSource {
    fn read(&mut self, out: &mut [f32]) -> SourceState {
        // Asked before reading: a writer that goes away in between has nothing more to say next time.
        let abandoned = self.ring.is_abandoned();
        let (_, rest) = self.ring.pop_partial_slice(out);
        if rest.is_empty() {
            return SourceState::Playing;
        }
        rest.fill(0.0);
        if abandoned { SourceState::Ended } else { SourceState::Starved }
    }

    fn describe(&self) -> String {
        "pipe".into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_goes_in_comes_out_and_the_rest_is_silence() {
        let (mut sink, mut source) = pipe(8);
        let mut out = [9.0; 4];
        assert_eq!(source.read(&mut out), SourceState::Starved);
        assert_eq!(out, [0.0; 4]);
        sink.write(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]);
        assert_eq!(source.available(), 6);
        assert_eq!(source.read(&mut out), SourceState::Playing);
        assert_eq!(out, [0.1, 0.2, 0.3, 0.4]);
        assert_eq!(source.read(&mut out), SourceState::Starved);
        assert_eq!(out, [0.5, 0.6, 0.0, 0.0]);
    }

    #[test]
    fn a_full_pipe_drops_and_counts() {
        let (mut sink, mut source) = pipe(4);
        sink.write(&[1.0; 6]);
        assert_eq!(sink.dropped(), 2);
        assert_eq!(source.read(&mut [0.0; 4]), SourceState::Playing);
    }

    #[test]
    fn a_finished_pipe_ends_after_what_it_holds() {
        let (mut sink, mut source) = pipe(4);
        sink.write(&[1.0; 3]);
        sink.finish().unwrap();
        sink.write(&[1.0; 3]);
        let mut out = [9.0; 2];
        assert_eq!(source.read(&mut out), SourceState::Playing);
        assert_eq!(source.read(&mut out), SourceState::Ended);
        assert_eq!(out, [1.0, 0.0]);
    }
}
