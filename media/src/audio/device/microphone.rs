//! A microphone as a source.

use super::{
    Direction, Error,
    bridge::{Inlet, RING, deliver},
    stream::{self, Bytes, Callback, Keeper, Monitor, Opened, Shared},
};
use crate::audio::source::{Source, SourceState};
use rtrb::RingBuffer;
use std::sync::Arc;

/// A microphone. When the device is lost it goes on as silence; [`Monitor::lost`] tells.
pub struct Microphone {
    name: String,
    inlet: Inlet,
    shared: Arc<Shared>,
    _keeper: Keeper,
}

impl Microphone {
    /// Opens the microphone called `name` (its name or id, in any case, a part that fits only one is enough), or the
    /// default one. Takes up to a few seconds.
    pub fn open(name: Option<&str>) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let callback_shared = shared.clone();
        let (keeper, opened, inlet) = stream::open(Direction::Input, name, shared.clone(), move |opened| {
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
        Ok(Self { name: opened.name, inlet, shared, _keeper: keeper })
    }

    /// A look at the device from elsewhere, for as long as anybody wants.
    pub fn monitor(&self) -> Monitor {
        Monitor(self.shared.clone())
    }
}

impl Source for Microphone {
    fn read(&mut self, out: &mut [f32]) -> SourceState {
        if self.inlet.read(out) { SourceState::Playing } else { SourceState::Starved }
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}
