//! A speaker as a sink.

use super::{
    Direction, Error,
    bridge::{Outlet, RING, collect},
    follow::{Follower, Line, Listener, Wanted},
    stream::{self, Bytes, Callback, Monitor, Opened, Shared, Totals},
};
use crate::audio::{
    sink::{self, Sink},
    slip::Slip,
};
use rtrb::RingBuffer;
use std::sync::Arc;

/// A speaker. A device that goes away is replaced; until then nothing is heard, and [`Monitor::lost`] tells.
pub struct Speaker {
    totals: Arc<Totals>,
    name: String,
    /// None: finished.
    playing: Option<(Outlet, Follower<Outlet>)>,
}

impl Speaker {
    /// Opens the speaker called `name` (its name or id, in any case, a part that fits only one is enough), or the
    /// default one. Takes up to a few seconds.
    pub fn open(name: Option<&str>) -> Result<Self, Error> {
        Self::open_with(Wanted::named(name), Box::new(|_| ()))
    }

    /// As [`open`](Self::open), and tells `listener` when the device goes away or another comes in.
    pub fn open_with(wanted: Wanted, listener: Listener) -> Result<Self, Error> {
        let totals = Arc::default();
        let (follower, outlet) = Follower::start(Direction::Output, wanted, &totals, open_line, listener)?;
        Ok(Self { name: follower.name(), totals, playing: Some((outlet, follower)) })
    }

    /// The device's name.
    pub fn describe(&self) -> String {
        self.playing.as_ref().map_or_else(|| self.name.clone(), |(_, follower)| follower.name())
    }

    /// A look at the device from elsewhere, for as long as anybody wants.
    pub fn monitor(&self) -> Monitor {
        Monitor(self.totals.clone())
    }
}

fn open_line(name: Option<&str>, totals: Arc<Totals>) -> Result<Line<Outlet>, Error> {
    let shared = Shared::counting_in(totals);
    let callback_shared = shared.clone();
    let (keeper, opened, end) = stream::open(Direction::Output, name, shared.clone(), move |opened| {
        let &Opened { layout, rate, .. } = opened;
        let capacity = (RING * f64::from(rate)) as usize * layout.frame_bytes();
        let (producer, mut consumer) = RingBuffer::new(capacity);
        let outlet = Outlet::new(producer, layout, rate, callback_shared.clone())?;
        let callback: Callback = Box::new(move |bytes| {
            if let Bytes::ToPlay(out) = bytes {
                collect(&mut consumer, out, layout, &callback_shared);
            }
        });
        Some((callback, outlet))
    })?;
    Ok(Line { end, keeper, opened, shared })
}

impl Sink for Speaker {
    fn write(&mut self, samples: &[f32]) {
        if let Some((outlet, follower)) = &mut self.playing {
            if let Some(newer) = follower.newer() {
                *outlet = newer;
            }
            outlet.write(samples);
        }
    }

    fn take_slip(&mut self) -> Slip {
        self.playing.as_mut().map(|(outlet, _)| outlet.take_slip()).unwrap_or_default()
    }

    /// Closes the device; the last 20 ms or so are not waited for. An error if there is none at the end.
    fn finish(&mut self) -> Result<(), sink::Error> {
        self.name = self.describe();
        match self.playing.take() {
            Some(_) if self.monitor().lost() => Err(Error::Lost { name: self.name.clone() }.into()),
            _ => Ok(()),
        }
    }
}
