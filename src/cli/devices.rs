//! `devices`: the microphones and speakers of this machine.

use super::UsageError;
use super::output::print;
use crate::config::ChosenDevices;
use chatphone_media::audio::device::{self, DeviceInfo, Devices, Direction};
use clap::Args;
use std::process::ExitCode;

/// Flags of `devices`.
#[derive(Debug, Clone, Args)]
pub struct DevicesArgs {
    /// Print the list as one line of JSON
    #[arg(long)]
    json: bool,

    /// Use this microphone in every call that names none: a name or id; `default` is whatever the system's is
    #[arg(long, value_name = "DEVICE")]
    use_mic: Option<String>,

    /// Use this speaker in every call that names none: a name or id; `default` is whatever the system's is
    #[arg(long, value_name = "DEVICE")]
    use_speaker: Option<String>,
}

/// Prints every sound system with its devices, their formats and the defaults; or keeps a choice. A machine without any
/// device is no error.
pub async fn devices(args: DevicesArgs) -> anyhow::Result<ExitCode> {
    let mut chosen = ChosenDevices::load();
    let wishes = [(Direction::Input, &args.use_mic), (Direction::Output, &args.use_speaker)];
    for (direction, wish) in wishes {
        let Some(wish) = wish.clone() else { continue };
        let found = if wish == "default" {
            None
        } else {
            let named = tokio::task::spawn_blocking(move || device::find_name(direction, &wish)).await?;
            // A name that fits nothing is a wrong command line.
            Some(named.map_err(|error| UsageError(error.to_string()))?)
        };
        match direction {
            Direction::Input => chosen.microphone = found,
            Direction::Output => chosen.speaker = found,
        }
    }
    if args.use_mic.is_some() || args.use_speaker.is_some() {
        let path = chosen.save()?;
        tracing::info!("kept in {}", path.display());
        print(&if args.json { serde_json::to_string(&chosen)? } else { choice(&chosen) })?;
        return Ok(ExitCode::SUCCESS);
    }
    let found = tokio::task::spawn_blocking(device::list).await?;
    let list = || {
        if chosen == ChosenDevices::default() { text(&found) } else { format!("{}\n{}", text(&found), choice(&chosen)) }
    };
    print(&if args.json { serde_json::to_string(&found)? } else { list() })?;
    Ok(ExitCode::SUCCESS)
}

fn choice(chosen: &ChosenDevices) -> String {
    let name = |device: &Option<String>| device.clone().unwrap_or_else(|| "the system's default".into());
    format!("calls use: microphone {}, speaker {}", name(&chosen.microphone), name(&chosen.speaker))
}

fn text(found: &Devices) -> String {
    let mut lines = Vec::new();
    for host in &found.hosts {
        lines.push(format!("{}{}", host.name, if host.default { " (default)" } else { "" }));
        if let Some(error) = &host.error {
            lines.push(format!("  not usable: {error}"));
        } else if host.devices.is_empty() {
            lines.push("  no devices".into());
        }
        for device in &host.devices {
            let mark = if device.default { "*" } else { " " };
            lines.push(format!("  {mark} {:<10}  {}", device.direction.to_string(), device.name));
            lines.push(format!("                {}", device.id));
            if !device.formats.is_empty() {
                lines.push(format!("                {}", formats(device)));
            }
        }
    }
    if lines.is_empty() {
        return "no sound system was found".into();
    }
    lines.push("* used when no device is named".into());
    lines.join("\n")
}

/// All formats in one line: sample formats, channel counts, rates.
fn formats(device: &DeviceInfo) -> String {
    let mut samples: Vec<&str> = device.formats.iter().map(|f| f.sample_format.as_str()).collect();
    samples.sort_unstable();
    samples.dedup();
    let fewest = device.formats.iter().map(|f| u32::from(f.min_channels));
    let most = device.formats.iter().map(|f| u32::from(f.max_channels));
    let channels = range(fewest.chain(most));
    let low = device.formats.iter().map(|f| f.min_rate);
    let high = device.formats.iter().map(|f| f.max_rate);
    format!("{}; {channels} channels; {} Hz", samples.join(", "), range(low.chain(high)))
}

fn range(values: impl Iterator<Item = u32> + Clone) -> String {
    match (values.clone().min(), values.max()) {
        (Some(low), Some(high)) if low != high => format!("{low} to {high}"),
        (Some(only), _) => only.to_string(),
        _ => "no".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatphone_media::audio::device::{Format, HostInfo};

    #[test]
    fn defaults_are_marked_and_formats_summed_up() {
        let format = |sample: &str, channels| Format {
            sample_format: sample.into(),
            min_channels: channels,
            max_channels: channels,
            min_rate: 8000,
            max_rate: 48_000,
        };
        let device = DeviceInfo {
            name: "Headset".into(),
            id: "alsa:hw:1".into(),
            direction: Direction::Input,
            default: true,
            formats: vec![format("i16", 1), format("f32", 2), format("i16", 2)],
        };
        let host = |name: &str, error: Option<&str>, devices| HostInfo {
            name: name.into(),
            default: error.is_none(),
            error: error.map(Into::into),
            devices,
        };
        let found =
            Devices { hosts: vec![host("alsa", None, vec![device]), host("jack", Some("not running"), vec![])] };
        let expected = "alsa (default)\n  * microphone  Headset\n                alsa:hw:1\n                \
                        f32, i16; 1 to 2 channels; 8000 to 48000 Hz\njack\n  not usable: not running\n\
                        * used when no device is named";
        assert_eq!(text(&found), expected);
    }

    #[test]
    fn a_machine_without_sound_says_so() {
        assert_eq!(text(&Devices { hosts: Vec::new() }), "no sound system was found");
    }
}
