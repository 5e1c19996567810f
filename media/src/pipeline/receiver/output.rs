//! Sound that is decoded and about to be played, and where it came from.

use crate::{TICK_SAMPLES, audio::stretch};
use std::{collections::VecDeque, time::Instant};

/// Where a stretch of sound came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A packet that arrived then.
    Packet(Instant),
    /// Anything else.
    Made,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    samples: usize,
    origin: Origin,
}

/// The sound ahead, with a little of what was played last before it.
#[derive(Debug)]
pub(super) struct Output {
    sound: Vec<f32>,
    /// Where in `sound` the sound ahead begins.
    ahead: usize,
    spans: VecDeque<Span>,
}

impl Output {
    /// Samples kept of what was played: two of the longest periods, and what is compared.
    const PAST: usize = 2 * stretch::MAX_PERIOD + 480;

    pub fn new() -> Self {
        Self { sound: vec![0.0; Self::PAST], ahead: Self::PAST, spans: VecDeque::new() }
    }

    /// Samples not yet played.
    pub fn len(&self) -> usize {
        self.sound.len() - self.ahead
    }

    pub fn push(&mut self, samples: &[f32], origin: Origin) {
        if samples.is_empty() {
            return;
        }
        self.sound.extend_from_slice(samples);
        match self.spans.back_mut() {
            Some(last) if last.origin == origin => last.samples += samples.len(),
            _ => self.spans.push_back(Span { samples: samples.len(), origin }),
        }
    }

    /// Adds `samples` of a sound that does not follow from what is there: where the two go together best, one is faded
    /// into the other. Returns how many of the first samples were left out for that.
    pub fn join(&mut self, samples: &[f32], origin: Origin) -> usize {
        let past = &self.sound[self.sound.len().saturating_sub(Self::PAST)..];
        let fade = Self::FADE.min(samples.len());
        let follows = stretch::continue_sound(past, fade);
        let skip = match stretch::best_lag(&follows, samples, 0, stretch::MAX_PERIOD.min(samples.len() / 2)) {
            Some(found) if found.likeness > 0.3 => found.samples,
            _ => 0,
        };
        let mut joined = samples[skip..].to_vec();
        for (n, (sample, follow)) in joined.iter_mut().zip(&follows).enumerate() {
            let into = (n as f32 + 0.5) / fade as f32;
            *sample = *sample * into + follow * (1.0 - into);
        }
        self.push(&joined, origin);
        skip
    }

    const FADE: usize = 240;

    /// Takes 10 ms, which must be there; for each part, its origin is told.
    pub fn pull(&mut self, out: &mut [f32; TICK_SAMPLES], mut from: impl FnMut(usize, Origin)) {
        out.copy_from_slice(&self.sound[self.ahead..self.ahead + TICK_SAMPLES]);
        self.ahead += TICK_SAMPLES;
        let mut left = TICK_SAMPLES;
        while left > 0 {
            let Some(first) = self.spans.front_mut() else { break };
            let samples = first.samples.min(left);
            from(samples, first.origin);
            left -= samples;
            first.samples -= samples;
            if first.samples == 0 {
                self.spans.pop_front();
            }
        }
        if self.ahead >= 4 * Self::PAST {
            self.sound.drain(..self.ahead - Self::PAST);
            self.ahead = Self::PAST;
        }
    }

    /// The last so many samples ahead: as many as there are.
    pub fn tail(&self, samples: usize) -> &[f32] {
        &self.sound[self.sound.len() - samples.min(self.len())..]
    }

    /// How the last `samples` ahead repeat themselves at their beginning.
    pub fn period(&self, samples: usize) -> Option<stretch::Period> {
        stretch::find_period(self.tail(samples))
    }

    /// Leaves one period out of the last `samples` ahead. Returns how many samples that were.
    pub fn shorten(&mut self, samples: usize, period: usize) -> usize {
        let at = self.sound.len() - samples.min(self.len());
        let removed = stretch::shorten(&mut self.sound, at, period);
        let mut left = removed;
        while left > 0 {
            let Some(last) = self.spans.back_mut() else { break };
            let share = last.samples.min(left);
            last.samples -= share;
            left -= share;
            if last.samples == 0 {
                self.spans.pop_back();
            }
        }
        removed
    }

    /// Plays one period of the last `samples` ahead twice. Returns how many samples that put in.
    pub fn lengthen(&mut self, samples: usize, period: usize) -> usize {
        let at = self.sound.len() - samples.min(self.len());
        let added = stretch::lengthen(&mut self.sound, at, period);
        if let Some(last) = self.spans.back_mut() {
            last.samples += added;
        }
        added
    }
}
