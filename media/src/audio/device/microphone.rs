//! A microphone as a source.

use super::{
    Direction, Error,
    bridge::{Inlet, RING, deliver},
    follow::{Follower, Line, Listener, Wanted},
    stream::{self, Bytes, Callback, Monitor, Opened, Shared, Totals},
};
use crate::audio::{
    slip::Slip,
    source::{Source, SourceState},
};
use rtrb::RingBuffer;
use std::sync::Arc;

/// A microphone. A device that goes away is replaced; until then there is silence, and [`Monitor::lost`] tells.
pub struct Microphone {
    inlet: Inlet,
    follower: Follower<Inlet>,
    totals: Arc<Totals>,
}

impl Microphone {
    /// Opens the microphone called `name` (its name or id, in any case, a part that fits only one is enough), or the
    /// default one. Takes up to a few seconds.
    pub fn open(name: Option<&str>) -> Result<Self, Error> {
        Self::open_with(Wanted::named(name), Box::new(|_| ()))
    }

    /// As [`open`](Self::open), and tells `listener` when the device goes away or another comes in.
    pub fn open_with(wanted: Wanted, listener: Listener) -> Result<Self, Error> {
        let totals = Arc::default();
        let (follower, inlet) = Follower::start(Direction::Input, wanted, &totals, open_line, listener)?;
        Ok(Self { inlet, follower, totals })
    }

    /// A look at the device from elsewhere, for as long as anybody wants.
    pub fn monitor(&self) -> Monitor {
        Monitor(self.totals.clone())
    }
}

fn open_line(name: Option<&str>, totals: Arc<Totals>) -> Result<Line<Inlet>, Error> {
    let shared = Shared::counting_in(totals);
    let callback_shared = shared.clone();
    let (keeper, opened, end) = stream::open(Direction::Input, name, shared.clone(), move |opened| {
        let &Opened { layout, rate, .. } = opened;
        let capacity = (RING * f64::from(rate)) as usize * layout.frame_bytes();
        let (mut producer, consumer) = RingBuffer::new(capacity);
        let inlet = Inlet::new(consumer, layout, rate, callback_shared.clone())?;
        let callback: Callback = Box::new(move |bytes| {
            if let Bytes::Heard(heard) = bytes {
                deliver(&mut producer, heard, layout.frame_bytes(), &callback_shared);
            }
        });
        Some((callback, inlet))
    })?;
    Ok(Line { end, keeper, opened, shared })
}

impl Source for Microphone {
    fn read(&mut self, out: &mut [f32]) -> SourceState {
        if let Some(inlet) = self.follower.newer() {
            self.inlet = inlet;
        }
        if self.inlet.read(out) { SourceState::Playing } else { SourceState::Starved }
    }

    fn take_slip(&mut self) -> Slip {
        self.inlet.take_slip()
    }

    fn describe(&self) -> String {
        self.follower.name()
    }
}
