//! Sound through a peer: a `Sender` and a `Receiver` on one clock.
//!
//! [`MediaClock`] is one thread that ticks every [`MediaSession`] given to it each 10 ms, be it the one call of a desk or
//! the agents of a whole simulated contact center. A session never waits: packets come in and go out over channels,
//! devices and files stand behind rings and queues of their own.

mod clock;
mod hearing;
mod notice;
mod outlet;
mod session;

pub use clock::MediaClock;
pub use notice::{NoticeChannel, SoundNotice};
pub use outlet::{Outlet, send_packets};
pub use session::{
    DeviceMonitors, MediaConfig, MediaHandle, MediaParts, MediaReport, MediaSession, MediaStats, SoundControls,
};
