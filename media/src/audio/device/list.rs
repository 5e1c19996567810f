//! What devices there are, and which one a person means.

use super::{Error, stream::OPEN_TIMEOUT};
use cpal::{
    Host, HostId, SupportedStreamConfigRange,
    traits::{DeviceTrait, HostTrait},
};
use serde::Serialize;
use std::{fmt, sync::mpsc, thread};

/// Whether sound comes from a device or goes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// A microphone.
    Input,
    /// A speaker.
    Output,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "microphone",
            Self::Output => "speaker",
        })
    }
}

/// Every sound system and its devices.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Devices {
    /// In the order in which a device is looked for.
    pub hosts: Vec<HostInfo>,
}

/// A sound system.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostInfo {
    /// Its name: `alsa`, `pulseaudio`, `coreaudio`, `wasapi`.
    pub name: String,
    /// The one used when no device is named.
    pub default: bool,
    /// Why its devices cannot be listed, if they cannot.
    pub error: Option<String>,
    /// A device that does both is listed once for each direction.
    pub devices: Vec<DeviceInfo>,
}

/// One direction of a device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeviceInfo {
    /// For people.
    pub name: String,
    /// Stays the same from run to run: `pulseaudio:alsa_input.usb-…`.
    pub id: String,
    /// Where sound goes.
    pub direction: Direction,
    /// The one used when none is named.
    pub default: bool,
    /// What it can do; empty if it cannot be used now.
    pub formats: Vec<Format>,
}

/// What a device can do with one kind of samples. Not every combination within the ranges need work.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Format {
    /// `i16`, `f32`, …
    pub sample_format: String,
    /// Least channels.
    pub min_channels: u16,
    /// Most channels.
    pub max_channels: u16,
    /// Lowest rate in Hz.
    pub min_rate: u32,
    /// Highest rate in Hz.
    pub max_rate: u32,
}

impl Format {
    /// Widens this to take in what `range` says.
    fn include(&mut self, range: &SupportedStreamConfigRange) {
        self.min_channels = self.min_channels.min(range.channels());
        self.max_channels = self.max_channels.max(range.channels());
        self.min_rate = self.min_rate.min(range.min_sample_rate());
        self.max_rate = self.max_rate.max(range.max_sample_rate());
    }
}

/// Lists all devices of all sound systems. May take seconds: call it off the audio loop.
pub fn list() -> Devices {
    let hosts = host_ids().into_iter().enumerate().map(|(place, id)| {
        let name = id.to_string();
        let (tell, told) = mpsc::channel();
        // On a thread of its own, so that a sound system that hangs only costs its own answer.
        let asked = thread::Builder::new().name("audio-list".into()).spawn(move || {
            hush();
            let _ = tell.send(host_info(id, place == 0));
        });
        let answer = asked.ok().and_then(|_| told.recv_timeout(OPEN_TIMEOUT).ok());
        answer.unwrap_or_else(|| HostInfo {
            name,
            default: place == 0,
            error: Some(format!("it did not answer within {} s", OPEN_TIMEOUT.as_secs())),
            devices: Vec::new(),
        })
    });
    Devices { hosts: hosts.collect() }
}

/// Keeps ALSA from writing what it thinks of every device it tries to standard error, on this thread: what matters
/// comes back as an error.
pub(super) fn hush() {
    #[cfg(target_os = "linux")]
    if let Err(error) = alsa::Output::local_error_handler() {
        tracing::debug!(%error, "ALSA stays talkative");
    }
}

/// The default sound system first.
fn host_ids() -> Vec<HostId> {
    let default = cpal::default_host().id();
    let mut ids = cpal::available_hosts();
    ids.sort_by_key(|&id| id != default);
    ids
}

fn host_info(id: HostId, default: bool) -> HostInfo {
    let found = cpal::host_from_id(id).and_then(|host| {
        let mut devices = Vec::new();
        for direction in [Direction::Input, Direction::Output] {
            devices.extend(candidates(&host, direction)?.iter().map(|candidate| candidate.info(direction)));
        }
        Ok(devices)
    });
    let (devices, error) = match found {
        Ok(devices) => (devices, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    HostInfo { name: id.to_string(), default, error, devices }
}

/// A device that may be the one meant.
pub(super) struct Candidate {
    pub device: cpal::Device,
    pub name: String,
    pub id: String,
    default: bool,
}

impl Candidate {
    fn new(device: cpal::Device, default: bool) -> Self {
        let id = device.id().map(|id| id.to_string()).unwrap_or_default();
        let name = device.description().map(|about| about.name().to_owned()).unwrap_or_else(|_| id.clone());
        Self { device, name, id, default }
    }

    /// What the device says it can do; nothing if it cannot be used now.
    pub fn ranges(&self, direction: Direction) -> Vec<SupportedStreamConfigRange> {
        match direction {
            Direction::Input => self.device.supported_input_configs().map(Iterator::collect),
            Direction::Output => self.device.supported_output_configs().map(Iterator::collect),
        }
        .unwrap_or_default()
    }

    fn info(&self, direction: Direction) -> DeviceInfo {
        let mut formats: Vec<Format> = Vec::new();
        for range in self.ranges(direction) {
            let sample_format = range.sample_format().to_string();
            match formats.iter_mut().find(|format| format.sample_format == sample_format) {
                Some(format) => format.include(&range),
                None => formats.push(Format {
                    sample_format,
                    min_channels: range.channels(),
                    max_channels: range.channels(),
                    min_rate: range.min_sample_rate(),
                    max_rate: range.max_sample_rate(),
                }),
            }
        }
        let Self { name, id, default, .. } = self;
        DeviceInfo { name: name.clone(), id: id.clone(), direction, default: *default, formats }
    }
}

/// The devices of one direction, the default one first.
fn candidates(host: &Host, direction: Direction) -> Result<Vec<Candidate>, cpal::Error> {
    let default = match direction {
        Direction::Input => host.default_input_device(),
        Direction::Output => host.default_output_device(),
    };
    let mut found: Vec<_> = default.map(|device| Candidate::new(device, true)).into_iter().collect();
    for device in host.devices()? {
        // ALSA's bridge to JACK writes to standard error whenever it is touched and JACK does not run.
        if device.id().is_ok_and(|id| id.to_string() == "alsa:jack") {
            continue;
        }
        let fits = match direction {
            Direction::Input => device.supports_input(),
            Direction::Output => device.supports_output(),
        };
        let candidate = Candidate::new(device, false);
        if fits && found.iter().all(|other| other.id != candidate.id) {
            found.push(candidate);
        }
    }
    Ok(found)
}

/// The device called `name` (by name or id, in any case, a part that fits only one is enough), or the default one.
pub(super) fn find(direction: Direction, name: Option<&str>) -> Result<Candidate, Error> {
    let mut all = Vec::new();
    for id in host_ids() {
        // A sound system that does not answer has no devices.
        let found = cpal::host_from_id(id).and_then(|host| candidates(&host, direction)).unwrap_or_default();
        let Some(name) = name else {
            match found.into_iter().find(|candidate| candidate.default) {
                Some(candidate) => return Ok(candidate),
                None => continue,
            }
        };
        let names: Vec<_> = found.iter().map(|candidate| (candidate.name.as_str(), candidate.id.as_str())).collect();
        match choose(&names, name) {
            Choice::One(index) => {
                return found.into_iter().nth(index).ok_or(Error::NoDevice { direction });
            }
            Choice::Several(matches) => return Err(Error::Ambiguous { name: name.into(), matches }),
            Choice::None => {
                // What cannot be opened is no help to anybody.
                let usable = found.into_iter().filter(|candidate| !candidate.ranges(direction).is_empty());
                all.extend(usable.map(|candidate| candidate.name));
            }
        }
    }
    match name {
        Some(name) => Err(Error::Unknown { direction, name: name.into(), available: all }),
        None => Err(Error::NoDevice { direction }),
    }
}

/// The id of the device that `name` means (by name or id, in any case, a part that fits only one is enough). May take
/// seconds: call it off the audio loop.
pub fn find_name(direction: Direction, name: &str) -> Result<String, Error> {
    let (tell, told) = mpsc::channel();
    let wanted = name.to_owned();
    let asked = thread::Builder::new().name("audio-list".into()).spawn(move || {
        hush();
        let _ = tell.send(find(direction, Some(&wanted)).map(|candidate| candidate.id));
    });
    let answer = asked.ok().and_then(|_| told.recv_timeout(OPEN_TIMEOUT).ok());
    answer.unwrap_or_else(|| Err(Error::Timeout { name: name.into() }))
}

/// A device, by name alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub name: String,
    pub id: String,
    pub default: bool,
}

/// The devices of one direction that there are now: of one sound system, or of all.
pub(super) fn known(direction: Direction, host: Option<&str>) -> Vec<Known> {
    let ids = host_ids().into_iter().filter(|id| host.is_none_or(|host| id.to_string() == host));
    let mut known: Vec<Known> = Vec::new();
    for id in ids {
        for candidate in cpal::host_from_id(id).and_then(|host| candidates(&host, direction)).unwrap_or_default() {
            // One default is enough: that of the first sound system that has one.
            let default = candidate.default && known.iter().all(|other| !other.default);
            known.push(Known { name: candidate.name, id: candidate.id, default });
        }
    }
    known
}

/// Whether a device may be the one that `text` means.
pub(super) fn fits(name: &str, id: &str, text: &str) -> bool {
    matches!(choose(&[(name, id)], text), Choice::One(_))
}

/// What a name fits.
#[derive(Debug, PartialEq)]
pub(super) enum Choice {
    None,
    One(usize),
    Several(Vec<String>),
}

/// Which of `devices` (name, id) is meant by `text`.
pub(super) fn choose(devices: &[(&str, &str)], text: &str) -> Choice {
    let text = text.to_lowercase();
    let fitting = |fits: &dyn Fn(&str) -> bool| -> Vec<usize> {
        let fits = |&index: &usize| {
            let (name, id) = devices[index];
            fits(&name.to_lowercase()) || fits(&id.to_lowercase())
        };
        (0..devices.len()).filter(fits).collect()
    };
    let exact = fitting(&|name| name == text || name.split_once(':').is_some_and(|(_, id)| id == text));
    let found = if exact.is_empty() { fitting(&|name| name.contains(&text)) } else { exact };
    match found[..] {
        [] => Choice::None,
        [one] => Choice::One(one),
        _ => {
            Choice::Several(found.iter().map(|&index| format!("{} ({})", devices[index].0, devices[index].1)).collect())
        }
    }
}
