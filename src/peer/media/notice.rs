//! What there is to tell about the sound of a call while it runs.

use chatphone_media::audio::device::DeviceEvent;
use chatphone_media::audio::watch::MicrophoneNotice;
use serde::Serialize;
use std::fmt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Something a person at a device should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum SoundNotice {
    /// A device went away, or another came in.
    Device(DeviceEvent),
    /// The microphone is silent, is heard again, or is overdriven.
    Microphone(MicrophoneNotice),
}

impl fmt::Display for SoundNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(event) => event.fmt(f),
            Self::Microphone(notice) => notice.fmt(f),
        }
    }
}

/// Carries notices from the devices to whoever runs the call.
#[derive(Debug)]
pub struct NoticeChannel {
    sender: UnboundedSender<SoundNotice>,
    receiver: Option<UnboundedReceiver<SoundNotice>>,
}

impl Default for NoticeChannel {
    fn default() -> Self {
        let (sender, receiver) = unbounded_channel();
        Self { sender, receiver: Some(receiver) }
    }
}

impl NoticeChannel {
    /// An end to tell at.
    pub fn sender(&self) -> UnboundedSender<SoundNotice> {
        self.sender.clone()
    }

    /// The end to listen at: once.
    pub fn listen(&mut self) -> Option<UnboundedReceiver<SoundNotice>> {
        self.receiver.take()
    }
}
