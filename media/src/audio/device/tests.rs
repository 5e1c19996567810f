#![allow(clippy::unwrap_used)]
use super::{
    list::{Choice, choose},
    stream::choose_format,
    *,
};
use cpal::{SampleFormat, SupportedBufferSize, SupportedStreamConfigRange};

#[test]
fn a_device_is_found_by_name_id_or_part_in_any_case() {
    let devices = [
        ("Built-in Audio", "pulseaudio:alsa.pci"),
        ("USB Headset", "pulseaudio:usb-1"),
        ("USB Headset 2", "pulseaudio:usb-2"),
    ];
    for (text, wanted) in [
        ("built-in audio", 0),
        ("BUILT", 0),
        ("usb headset", 1),
        ("headset 2", 2),
        ("pulseaudio:usb-1", 1),
        ("USB-2", 2),
    ] {
        assert_eq!(choose(&devices, text), Choice::One(wanted), "{text}");
    }
    assert_eq!(choose(&devices, "webcam"), Choice::None);
    let Choice::Several(matches) = choose(&devices, "usb") else { panic!("not ambiguous") };
    assert_eq!(matches, ["USB Headset (pulseaudio:usb-1)", "USB Headset 2 (pulseaudio:usb-2)"]);
}

#[test]
fn an_unknown_device_lists_what_there_is() {
    let error = Error::Unknown {
        direction: Direction::Input,
        name: "webcam".into(),
        available: vec!["Built-in Audio".into(), "USB Headset".into()],
    };
    assert_eq!(error.to_string(), "no microphone is called 'webcam'; there is: Built-in Audio, USB Headset");
}

fn range(channels: u16, min: u32, max: u32, format: SampleFormat) -> SupportedStreamConfigRange {
    SupportedStreamConfigRange::new(channels, min, max, SupportedBufferSize::Range { min: 512, max: 4096 }, format)
}

#[test]
fn the_format_nearest_to_ours_is_chosen() {
    use SampleFormat::{F32, I16, U8};
    let ranges = [
        range(2, 44_100, 44_100, F32),
        range(8, 8_000, 192_000, F32),
        range(2, 8_000, 192_000, I16),
        range(2, 8_000, 192_000, F32),
        range(1, 8_000, 192_000, U8),
    ];
    let chosen = choose_format(&ranges, Direction::Output).unwrap();
    assert_eq!((chosen.layout.channels, chosen.layout.format, chosen.rate, chosen.buffer), (2, F32, 48_000, 512));
    let chosen = choose_format(&ranges, Direction::Input).unwrap();
    assert_eq!((chosen.layout.channels, chosen.layout.format), (1, U8));
    // Higher is better than lower when 48 kHz is not there.
    let chosen =
        choose_format(&[range(1, 16_000, 44_100, I16), range(2, 96_000, 96_000, I16)], Direction::Input).unwrap();
    assert_eq!((chosen.rate, chosen.buffer), (96_000, 960));
    assert_eq!(choose_format(&[range(1, 2_822_400, 2_822_400, SampleFormat::DsdU8)], Direction::Input), None);
}

#[cfg(target_os = "linux")]
mod pulse;
