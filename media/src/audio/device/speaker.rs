//! A speaker as a sink.

use super::{
    Direction, Error,
    bridge::{Outlet, RING, collect},
    stream::{self, Bytes, Callback, Keeper, Monitor, Opened, Shared},
};
use crate::audio::sink::{self, Sink};
use rtrb::RingBuffer;
use std::sync::Arc;

/// A speaker. When the device is lost it takes on silently; [`Monitor::lost`] tells.
pub struct Speaker {
    name: String,
    shared: Arc<Shared>,
    /// None: finished.
    playing: Option<(Outlet, Keeper)>,
}

impl Speaker {
    /// Opens the speaker called `name` (its name or id, in any case, a part that fits only one is enough), or the
    /// default one. Takes up to a few seconds.
    pub fn open(name: Option<&str>) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let callback_shared = shared.clone();
        let (keeper, opened, outlet) = stream::open(Direction::Output, name, shared.clone(), move |opened| {
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
        Ok(Self { name: opened.name, shared, playing: Some((outlet, keeper)) })
    }

    /// The device's name.
    pub fn describe(&self) -> String {
        self.name.clone()
    }

    /// A look at the device from elsewhere, for as long as anybody wants.
    pub fn monitor(&self) -> Monitor {
        Monitor(self.shared.clone())
    }
}

impl Sink for Speaker {
    fn write(&mut self, samples: &[f32]) {
        if let Some((outlet, _)) = &mut self.playing {
            outlet.write(samples);
        }
    }

    /// Closes the device; the last 20 ms or so are not waited for. An error if it was lost on the way.
    fn finish(&mut self) -> Result<(), sink::Error> {
        match self.playing.take() {
            Some(_) if self.monitor().lost() => Err(Error::Lost { name: self.name.clone() }.into()),
            _ => Ok(()),
        }
    }
}
