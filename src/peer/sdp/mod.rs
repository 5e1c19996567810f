//! What is read off a session description before the WebRTC stack sees it, so that a useless one gets a clear error.

mod sections;

pub(super) use sections::{DtlsRole, Sections};

use super::error::PeerError;
use chatphone_media::audio::codec::CodecKind;
use rtc::sdp::description::session::SessionDescription;
use std::io::Cursor;

/// Descriptions longer than this are refused unread: a browser's with video and every codec stays below 20 kB.
const MAX_SDP_BYTES: usize = 256 * 1024;

fn parse(sdp: &str) -> Result<SessionDescription, PeerError> {
    let fail = |why: String| Err(PeerError::RemoteDescription(why));
    if sdp.trim().is_empty() {
        return fail("it is empty".into());
    }
    if sdp.len() > MAX_SDP_BYTES {
        return fail(format!("it is {} kB long", sdp.len() / 1024));
    }
    match SessionDescription::unmarshal(&mut Cursor::new(sdp.as_bytes())) {
        Ok(parsed) => Ok(parsed),
        Err(e) => fail(format!("it is no SDP ({e})")),
    }
}

/// Checks that an offer (or answer) has an audio section that is not rejected and a codec of `ours` in it.
pub fn validate_offer(sdp: &str, ours: &[CodecKind]) -> Result<(), PeerError> {
    best_common(sdp, ours).map(drop)
}

/// The first codec of `ours` that an offer (or answer) has; errors as of [`validate_offer`].
pub(super) fn best_common(sdp: &str, ours: &[CodecKind]) -> Result<CodecKind, PeerError> {
    parse(sdp)?;
    // With all that the section inherits.
    let parsed = parse(&Sections::of(sdp).ok_or_else(no_audio)?.reduced())?;
    let Some(section) = parsed.media_descriptions.first() else {
        return Err(no_audio());
    };
    if parsed.attribute("fingerprint").is_none() && !section.has_attribute("fingerprint") {
        return Err(PeerError::RemoteDescription("it has no DTLS fingerprint, so it is not WebRTC".into()));
    }
    let offered: Vec<String> = section.media_name.formats.iter().map(|format| encoding_name(section, format)).collect();
    let common = ours.iter().find(|kind| offered.iter().any(|name| kind.name().eq_ignore_ascii_case(name)));
    common.copied().ok_or_else(|| PeerError::NoCommonCodec {
        offered: offered.join(", "),
        ours: ours.iter().map(|c| c.name()).collect::<Vec<_>>().join(", "),
    })
}

pub(super) fn no_audio() -> PeerError {
    PeerError::RemoteDescription("it has no audio section".into())
}

/// The encoding name of a payload type: from its `rtpmap`, else the static assignment (RFC 3551, 6).
fn encoding_name(section: &rtc::sdp::description::media::MediaDescription, format: &str) -> String {
    let mapped = section.attributes.iter().filter(|a| a.key == "rtpmap").find_map(|a| {
        let (pt, encoding) = a.value.as_deref()?.split_once(' ')?;
        (pt == format).then(|| encoding.split('/').next().unwrap_or_default().to_owned())
    });
    mapped.unwrap_or_else(|| match format {
        "0" => "PCMU".into(),
        "8" => "PCMA".into(),
        "9" => "G722".into(),
        other => other.to_owned(),
    })
}

/// Takes telephone events and comfort noise of all clock rates but one out of an offer. Browsers offer events at 48 kHz
/// and at 8 kHz, and have offered noise at 8, 16 and 32 kHz; the WebRTC crate takes them for one codec. Kept are events at
/// the rate of the codec that we will send with, if they are there, and noise at 8 kHz.
pub(super) fn with_one_format_each(sdp: &str, ours: &[CodecKind]) -> String {
    let Ok(parsed) = parse(sdp) else { return sdp.to_owned() };
    let Some(audio) = parsed.media_descriptions.iter().find(|m| m.media_name.media == "audio") else {
        return sdp.to_owned();
    };
    let formats = &audio.media_name.formats;
    let has = |kind: &&CodecKind| formats.iter().any(|f| encoding_name(audio, f).eq_ignore_ascii_case(kind.name()));
    let rate = ours.iter().find(has).map_or(8000, |kind| kind.clock_rate()).to_string();
    let named = |wanted: &str| -> Vec<(&str, &str)> {
        let maps = audio.attributes.iter().filter(|a| a.key == "rtpmap");
        maps.filter_map(|a| a.value.as_deref()?.split_once(' '))
            .filter_map(|(format, encoding)| {
                let (name, clock) = encoding.split_once('/')?;
                name.eq_ignore_ascii_case(wanted).then_some((format, clock))
            })
            .collect()
    };
    let (events, noise) = (named("telephone-event"), named("CN"));
    let kept_event = events.iter().find(|(_, clock)| *clock == rate).or(events.first());
    let kept_noise = noise.iter().find(|(_, clock)| *clock == "8000");
    let kept = [kept_event, kept_noise].map(|kept| kept.map(|(format, _)| *format));
    let dropped: Vec<&str> =
        events.iter().chain(&noise).map(|(format, _)| *format).filter(|f| !kept.contains(&Some(f))).collect();
    if dropped.is_empty() {
        return sdp.to_owned();
    }
    let mut in_audio = false;
    let mut out = String::with_capacity(sdp.len());
    for line in sdp.lines() {
        if line.starts_with("m=") {
            in_audio = line.starts_with("m=audio");
        }
        if in_audio && line.starts_with("m=") {
            // m=audio PORT PROTO FORMAT…: the first three words are no formats.
            let words = line.split(' ').enumerate().filter(|(i, word)| *i < 3 || !dropped.contains(word));
            out.push_str(&words.map(|(_, word)| word).collect::<Vec<_>>().join(" "));
        } else {
            let about = |attribute: &str| line.strip_prefix(attribute).and_then(|rest| rest.split(' ').next());
            let format = about("a=rtpmap:").or_else(|| about("a=fmtp:")).or_else(|| about("a=rtcp-fb:"));
            if in_audio && format.is_some_and(|f| dropped.contains(&f)) {
                continue;
            }
            out.push_str(line);
        }
        out.push_str("\r\n");
    }
    out
}

/// Whether a description has a video section that is not rejected.
pub fn has_active_video(sdp: &str) -> bool {
    parse(sdp).is_ok_and(|parsed| {
        parsed.media_descriptions.iter().any(|m| m.media_name.media == "video" && m.media_name.port.value != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\n";

    fn with(section: &str) -> String {
        format!("{HEAD}{section}")
    }

    #[test]
    fn an_offer_with_a_codec_of_ours_is_taken() {
        let sdp = with("m=audio 9 UDP/TLS/RTP/SAVPF 120 0\r\na=rtpmap:120 OPUS/48000/2\r\n");
        assert!(validate_offer(&sdp, &[CodecKind::Opus]).is_ok());
    }

    #[test]
    fn a_static_payload_type_needs_no_rtpmap() {
        let sdp = with("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n");
        assert!(validate_offer(&sdp, &[CodecKind::Pcmu]).is_ok());
        let error = validate_offer(&sdp, &[CodecKind::Opus]).map_err(|e| e.to_string());
        assert!(error.is_err_and(|e| e.contains("offers PCMU")));
    }

    #[test]
    fn what_is_no_description_says_why() {
        for (sdp, part) in [
            ("", "is empty"),
            ("hello", "is no SDP"),
            (HEAD, "no audio section"),
            (&*with("m=audio 0 UDP/TLS/RTP/SAVPF 0\r\n"), "no audio section"),
            ("v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n", "fingerprint"),
        ] {
            let error = validate_offer(sdp, &CodecKind::ALL).map_err(|e| e.to_string());
            assert!(error.as_ref().is_err_and(|e| e.contains(part)), "{sdp:?} gave {error:?}");
        }
    }

    #[test]
    fn telephone_events_are_kept_at_the_clock_rate_of_the_codec() {
        let offer = with(
            "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 110 126\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:110 \
             telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\na=fmtp:126 0-15\r\nm=video 9 UDP/TLS/RTP/SAVPF \
             126\r\na=rtpmap:126 VP8/90000\r\n",
        );
        let opus = with_one_format_each(&offer, &CodecKind::ALL);
        assert!(opus.contains("SAVPF 111 0 110\r\n") && !opus.contains("event/8000") && !opus.contains("fmtp:126"));
        assert!(opus.contains("a=rtpmap:126 VP8/90000"), "another section's format is its own");
        let pcmu = with_one_format_each(&offer, &[CodecKind::Pcmu]);
        assert!(pcmu.contains("SAVPF 111 0 126\r\n") && !pcmu.contains("event/48000"));
    }

    #[test]
    fn comfort_noise_is_kept_at_8_khz_alone() {
        let offer = with(
            "m=audio 9 UDP/TLS/RTP/SAVPF 0 105 13\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:105 CN/16000\r\na=rtpmap:13 \
             CN/8000\r\n",
        );
        let kept = with_one_format_each(&offer, &CodecKind::ALL);
        assert!(kept.contains("SAVPF 0 13\r\n") && !kept.contains("CN/16000"), "{kept}");
        let wide = offer.replace(" 13\r\n", "\r\n").replace("a=rtpmap:13 CN/8000\r\n", "");
        assert!(!with_one_format_each(&wide, &CodecKind::ALL).contains("CN/"));
    }

    #[test]
    fn a_rejected_video_section_is_no_video() {
        assert!(has_active_video(&with("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n")));
        assert!(!has_active_video(&with("m=video 0 UDP/TLS/RTP/SAVPF 96\r\n")));
    }
}
