//! An offer as it came, and what the WebRTC crate is given of it.
//!
//! The crate handles the offers of its own kind and of browsers well. Media servers write others: without `a=mid`
//! (optional, RFC 5888) or without BUNDLE (optional, RFC 8843), which it refuses or answers with a rejected section; and
//! payload types that it takes from the wrong one of several audio sections. A section that was once `inactive` or
//! `sendonly`, as on hold, it never again answers with `sendrecv`. So it is shown one section, the one audio section the
//! call is about, with a name and a group of its own and in both directions, and the rest of the answer is written here:
//! the direction, and the other sections, rejected, in the order of the offer (RFC 8829, 5.3.1).

use crate::api::signaling::IceCandidate;

/// The name the crate knows a section by that has none.
const NO_NAME: &str = "0";

/// What is inherited by a section that does not say it: from the section that its group's transport is named after, and
/// from the head (RFC 8843, 7.1.3; RFC 8839, 5.4; RFC 8122, 5).
const TRANSPORT: [&str; 4] = ["ice-ufrag", "ice-pwd", "fingerprint", "setup"];

/// The lines of an offer (or answer), section by section.
#[derive(Debug, Clone)]
pub(crate) struct Sections {
    head: Vec<String>,
    all: Vec<Section>,
    /// Which section the call is about.
    chosen: usize,
}

/// Who begins the DTLS handshake (RFC 5763, 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DtlsRole {
    /// This side sends ClientHello.
    Active,
    /// This side waits for it.
    Passive,
}

/// Which way media goes, as seen by who says it (RFC 8866, 6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    const ALL: [(Self, &str); 4] = [
        (Self::SendRecv, "a=sendrecv"),
        (Self::SendOnly, "a=sendonly"),
        (Self::RecvOnly, "a=recvonly"),
        (Self::Inactive, "a=inactive"),
    ];

    fn of(lines: &[String]) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, line)| lines.iter().any(|l| l == line)).map(|(direction, _)| direction)
    }

    fn line(self) -> &'static str {
        Self::ALL.into_iter().find(|(d, _)| *d == self).map_or("a=sendrecv", |(_, line)| line)
    }

    fn is(line: &str) -> bool {
        Self::ALL.iter().any(|(_, l)| *l == line)
    }

    /// The most that the other side may answer (RFC 3264, 6.1).
    fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            both_or_none => both_or_none,
        }
    }
}

#[derive(Debug, Clone)]
struct Section {
    lines: Vec<String>,
}

impl Section {
    fn value(&self, attribute: &str) -> Option<&str> {
        value(&self.lines, attribute)
    }

    fn mid(&self) -> Option<&str> {
        self.value("mid").map(str::trim).filter(|mid| !mid.is_empty())
    }

    /// The words of the `m=` line: media, port, protocol, formats.
    fn words(&self) -> Vec<&str> {
        self.lines.first().map(|line| line[2..].split_whitespace().collect()).unwrap_or_default()
    }

    /// Port 0 rejects, unless it says that the section goes along with a group alone (RFC 8843, 6).
    fn is_rejected(&self) -> bool {
        self.words().get(1).is_none_or(|port| *port == "0") && !self.lines.iter().any(|line| line == "a=bundle-only")
    }

    /// A line that the crate is to see: no candidate that it would stumble over, or that is for RTCP apart.
    fn is_usable(line: &str) -> bool {
        line.strip_prefix("a=candidate:").is_none_or(is_usable_candidate)
    }
}

/// Whether a candidate (what follows `candidate:`) has the fields of RFC 8839, 5.1, and is for RTP, or both by rtcp-mux.
fn is_usable_candidate(candidate: &str) -> bool {
    let words: Vec<&str> = candidate.split_whitespace().collect();
    let [_, component, _, priority, _, port, "typ", _, rest @ ..] = &words[..] else { return false };
    let related_port = match rest {
        ["raddr", _, "rport", port, ..] => port.parse::<u16>().is_ok(),
        ["raddr", ..] | ["tcptype"] => false,
        _ => true,
    };
    *component == "1" && priority.parse::<u32>().is_ok() && port.parse::<u16>().is_ok() && related_port
}

fn value<'a>(lines: &'a [String], attribute: &str) -> Option<&'a str> {
    lines.iter().find_map(|line| line.strip_prefix("a=")?.strip_prefix(attribute)?.strip_prefix(':'))
}

impl Sections {
    /// Splits a description that is known to be one. `None` when it has no audio section that is not rejected.
    pub(crate) fn of(sdp: &str) -> Option<Self> {
        let mut head = Vec::new();
        let mut all: Vec<Section> = Vec::new();
        for line in sdp.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            if line.starts_with("m=") {
                all.push(Section { lines: Vec::new() });
            }
            all.last_mut().map_or(&mut head, |section| &mut section.lines).push(line.to_owned());
        }
        let chosen = all.iter().position(|s| s.words().first() == Some(&"audio") && !s.is_rejected())?;
        Some(Self { head, all, chosen })
    }

    /// The name of the section the call is about, and its place.
    fn place(&self) -> (Option<&str>, u16) {
        (self.all[self.chosen].mid(), u16::try_from(self.chosen).unwrap_or(u16::MAX))
    }

    /// The names of the sections that share one transport with the call's, that one among them.
    fn bundle(&self) -> Vec<&str> {
        let Some(mid) = self.all[self.chosen].mid() else { return Vec::new() };
        let groups = self.head.iter().filter_map(|line| line.strip_prefix("a=group:BUNDLE"));
        groups.map(|g| g.split_whitespace().collect::<Vec<_>>()).find(|g| g.contains(&mid)).unwrap_or_default()
    }

    /// A transport attribute of the call's section: its own, that of the group's first section, or that of the head.
    fn transport(&self, attribute: &str) -> Option<&str> {
        let own = self.all[self.chosen].value(attribute);
        own.or_else(|| self.tagged()?.value(attribute)).or_else(|| value(&self.head, attribute))
    }

    /// The section that the transport of the group is named after, where it is another one than the call's.
    fn tagged(&self) -> Option<&Section> {
        let first = *self.bundle().first()?;
        let (index, section) = self.all.iter().enumerate().find(|(_, s)| s.mid() == Some(first))?;
        (index != self.chosen).then_some(section)
    }

    /// Which way media goes, as the far end says.
    fn direction(&self) -> Direction {
        let own = Direction::of(&self.all[self.chosen].lines);
        own.or_else(|| Direction::of(&self.head)).unwrap_or(Direction::SendRecv)
    }

    /// Whether the far end takes media: it does not while it holds the call.
    pub(crate) fn takes_media(&self) -> bool {
        matches!(self.direction(), Direction::SendRecv | Direction::RecvOnly)
    }

    /// Whether the far end sends media: it does not while it holds the call without music.
    pub(crate) fn sends_media(&self) -> bool {
        matches!(self.direction(), Direction::SendRecv | Direction::SendOnly)
    }

    /// What the crate is given: the head and the one section, named and grouped, in both directions.
    pub(crate) fn reduced(&self) -> String {
        let section = &self.all[self.chosen];
        let mid = section.mid().unwrap_or(NO_NAME);
        let in_head = |l: &&String| !l.starts_with("a=group:") && !Direction::is(l);
        let mut lines: Vec<String> = self.head.iter().filter(in_head).cloned().collect();
        lines.push(format!("a=group:BUNDLE {mid}"));
        let (m_line, rest) = section.lines.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        // The port means nothing beside ICE, but for 0.
        lines.push(match m_line.strip_prefix("m=audio 0 ") {
            Some(rest) => format!("m=audio 9 {rest}"),
            None => m_line.to_owned(),
        });
        // The connection line goes before all attributes (RFC 8866, 5).
        let (not_attributes, attributes): (Vec<_>, Vec<_>) = rest.iter().partition(|line| !line.starts_with("a="));
        lines.extend(not_attributes.into_iter().cloned());
        lines.push(format!("a=mid:{mid}"));
        let usable = |line: &&String| {
            !line.starts_with("a=mid:") && !Direction::is(line) && *line != "a=bundle-only" && Section::is_usable(line)
        };
        lines.extend(attributes.into_iter().filter(usable).cloned());
        for attribute in TRANSPORT {
            if section.value(attribute).is_none()
                && let Some(inherited) = self.transport(attribute)
            {
                lines.push(format!("a={attribute}:{inherited}"));
            }
        }
        if let Some(tagged) = self.tagged() {
            let shared = |line: &&String| line.starts_with("a=candidate:") || *line == "a=rtcp-mux";
            let missing = |line: &&String| !section.lines.contains(line);
            let candidates = tagged.lines.iter().filter(shared).filter(missing).filter(|l| Section::is_usable(l));
            lines.extend(candidates.cloned());
        }
        lines.push(Direction::SendRecv.line().to_owned());
        lines.join("\r\n") + "\r\n"
    }

    /// The DTLS role that this side has after this description of the far end (RFC 5763, 5), if that one decides.
    pub(crate) fn our_role(&self) -> Option<DtlsRole> {
        match self.transport("setup")?.trim() {
            "active" => Some(DtlsRole::Passive),
            "passive" => Some(DtlsRole::Active),
            _ => None,
        }
    }

    /// The answer to the whole offer, from the crate's answer to [`Self::reduced`]. `role`: the one this side has, where
    /// it is known; the crate acts by it, and yet writes its default.
    pub(crate) fn answer(&self, reduced: &str, role: Option<DtlsRole>) -> String {
        let is_bundled = !self.bundle().is_empty();
        let offered = &self.all[self.chosen];
        let mut out = Vec::new();
        let mut section: Vec<String> = Vec::new();
        for line in reduced.lines().filter(|line| !line.is_empty()) {
            match line {
                _ if line.starts_with("a=group:BUNDLE") && !is_bundled => {}
                _ if line.starts_with("a=mid:") && offered.mid().is_none() => {}
                _ if line.starts_with("a=setup:") && role.is_some() => {
                    let role = if role == Some(DtlsRole::Active) { "active" } else { "passive" };
                    section.push(format!("a=setup:{role}"));
                }
                _ if Direction::is(line) => section.push(self.direction().reversed().line().to_owned()),
                _ if line.starts_with("m=") || !section.is_empty() => section.push(line.to_owned()),
                _ => out.push(line.to_owned()),
            }
        }
        // The answer has the protocol of the offer (RFC 8829, 5.3.1), under whichever of its names (RFC 8843 knows both).
        if let (Some(m_line), Some(protocol)) = (section.first_mut(), offered.words().get(2)) {
            let words = m_line.split(' ').enumerate().map(|(i, word)| if i == 2 { protocol } else { word });
            *m_line = words.collect::<Vec<_>>().join(" ");
        }
        for (index, other) in self.all.iter().enumerate() {
            if index == self.chosen {
                out.append(&mut section);
                continue;
            }
            let words = other.words();
            let (media, protocol) = (words.first().unwrap_or(&"audio"), words.get(2).unwrap_or(&"UDP/TLS/RTP/SAVPF"));
            let formats = words.get(3..).filter(|f| !f.is_empty()).map_or_else(|| "0".to_owned(), |f| f.join(" "));
            out.push(format!("m={media} 0 {protocol} {formats}"));
            out.push("c=IN IP4 0.0.0.0".to_owned());
            out.extend(other.mid().map(|mid| format!("a=mid:{mid}")));
            out.push("a=inactive".to_owned());
        }
        out.join("\r\n") + "\r\n"
    }

    /// A candidate of the far end, as the crate is to have it. `None`: it is of no use to the call, being for another
    /// transport, or for RTCP apart, which rtcp-mux does without.
    pub(crate) fn inward(&self, candidate: &IceCandidate) -> Option<IceCandidate> {
        let (mid, place) = self.place();
        let bundle = self.bundle();
        let is_ours = match (candidate.sdp_mid.as_deref().filter(|m| !m.is_empty()), candidate.sdp_mline_index) {
            (Some(theirs), _) if mid.is_some() => mid == Some(theirs) || bundle.contains(&theirs),
            (_, Some(index)) => {
                let at_index = self.all.get(usize::from(index)).and_then(Section::mid);
                index == place || at_index.is_some_and(|m| bundle.contains(&m))
            }
            // It names nothing: the first section is meant, which is what the transport of a group is named after.
            (_, None) => true,
        };
        let is_rtcp = candidate.candidate.split_whitespace().nth(1) == Some("2");
        // One without sense is handed on: the crate says what is wrong with it.
        (is_ours && !is_rtcp).then(|| IceCandidate {
            sdp_mid: Some(mid.unwrap_or(NO_NAME).to_owned()),
            sdp_mline_index: Some(0),
            ..candidate.clone()
        })
    }

    /// A candidate of this side, as the far end is to have it.
    pub(crate) fn outward(&self, candidate: IceCandidate) -> IceCandidate {
        let (mid, place) = self.place();
        IceCandidate { sdp_mid: mid.map(str::to_owned), sdp_mline_index: Some(place), ..candidate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(sdp: &str) -> Sections {
        Sections::of(&sdp.replace('\n', "\r\n")).expect("has audio")
    }

    fn candidate(text: &str, mid: Option<&str>, index: Option<u16>) -> IceCandidate {
        IceCandidate {
            candidate: text.into(),
            sdp_mid: mid.map(str::to_owned),
            sdp_mline_index: index,
            ..Default::default()
        }
    }

    const HOST: &str = "candidate:1 1 udp 1 192.0.2.1 5000 typ host";
    const PLAIN: &str = "v=0\ns=-\na=ice-ufrag:u\nm=audio 9 RTP/SAVPF 0\nc=IN IP4 0.0.0.0\na=rtcp-mux\n";
    const TWO: &str =
        "v=0\na=group:BUNDLE v a\nm=video 9 X 96\na=mid:v\nm=audio 9 X 0\na=mid:a\nm=audio 9 X 0\na=mid:b\n";

    #[test]
    fn a_section_without_a_name_gets_one_for_the_crate_and_none_in_the_answer() {
        let offer = sections(PLAIN);
        let reduced = offer.reduced();
        assert!(reduced.contains("a=mid:0\r\n") && reduced.contains("a=group:BUNDLE 0\r\n"), "{reduced}");
        assert!(reduced.contains("a=rtcp-mux\r\na=ice-ufrag:u\r\n"), "what the head says is inherited: {reduced}");
        assert!(offer.takes_media(), "both ways unless it says otherwise");
        let answer = offer.answer("v=0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n", None);
        assert_eq!(answer, "v=0\r\nm=audio 9 RTP/SAVPF 0\r\n");
    }

    #[test]
    fn the_role_in_dtls_is_the_other_one_than_the_far_ends() {
        let offer = sections(&PLAIN.replace("a=ice-ufrag:u", "a=setup:active"));
        assert_eq!(offer.our_role(), Some(DtlsRole::Passive));
        let answer = offer.answer("v=0\r\nm=audio 9 X 0\r\na=setup:active\r\n", offer.our_role());
        assert_eq!(answer, "v=0\r\nm=audio 9 RTP/SAVPF 0\r\na=setup:passive\r\n");
        assert_eq!(sections(&PLAIN.replace("a=ice-ufrag:u", "a=setup:actpass")).our_role(), None);
    }

    #[test]
    fn the_other_sections_are_rejected_in_their_places() {
        let offer = sections(TWO);
        assert_eq!(offer.reduced().matches("m=").count(), 1);
        let answer = offer.answer("v=0\r\na=group:BUNDLE a\r\nm=audio 9 X 0\r\na=mid:a\r\n", None);
        let m_lines: Vec<&str> = answer.lines().filter(|l| l.starts_with("m=") || l.starts_with("a=mid")).collect();
        assert_eq!(m_lines, ["m=video 0 X 96", "a=mid:v", "m=audio 9 X 0", "a=mid:a", "m=audio 0 X 0", "a=mid:b"]);
    }

    #[test]
    fn the_answer_goes_the_other_way_and_the_crate_sees_both() {
        for (theirs, ours, takes) in [
            ("sendrecv", "sendrecv", true),
            ("sendonly", "recvonly", false),
            ("recvonly", "sendonly", true),
            ("inactive", "inactive", false),
        ] {
            for offer in [
                sections(&format!("{PLAIN}a={theirs}\n")),
                sections(&PLAIN.replace("a=ice-ufrag:u", &format!("a={theirs}"))),
            ] {
                assert_eq!(offer.takes_media(), takes, "{theirs}");
                let reduced = offer.reduced();
                assert!(reduced.ends_with("a=sendrecv\r\n") && reduced.matches("a=sendrecv").count() == 1, "{reduced}");
                assert!(theirs == "sendrecv" || !reduced.contains(theirs), "{reduced}");
                let answer = offer.answer("v=0\r\nm=audio 9 X 0\r\na=sendrecv\r\n", None);
                assert!(answer.ends_with(&format!("a={ours}\r\n")), "{answer}");
            }
        }
    }

    #[test]
    fn a_section_that_goes_along_with_another_has_its_transport() {
        let offer = sections(
            "v=0\na=group:BUNDLE v a\nm=video 9 X 96\na=mid:v\na=ice-ufrag:u\na=ice-pwd:p\na=fingerprint:sha-256 \
             AA\na=setup:active\na=rtcp-mux\na=candidate:1 1 udp 1 192.0.2.1 5000 typ host\nm=audio 0 X 0\na=mid:a\n\
             a=bundle-only\n",
        );
        let reduced = offer.reduced();
        for line in ["m=audio 9 X 0", "a=ice-ufrag:u", "a=fingerprint:sha-256 AA", "a=rtcp-mux", "a=candidate:1 1 udp"]
        {
            assert!(reduced.contains(line), "{line} in {reduced}");
        }
        assert!(!reduced.contains("bundle-only"), "{reduced}");
        assert_eq!(offer.our_role(), Some(DtlsRole::Passive));
    }

    #[test]
    fn candidates_in_the_offer_that_are_of_no_use_are_left_out() {
        let lines = [
            "1 1 udp 1 192.0.2.1 5000 typ host",
            "2 2 udp 1 192.0.2.1 5001 typ host",
            "3 1 udp 1 192.0.2.1 50001 typ srflx raddr 192.0.2.9 rport 1",
            "4 1 udp 1 192.0.2.1 500010 typ host",
            "5 1 udp 1 192.0.2.1 5000 typ srflx raddr",
            "6 1 udp",
        ];
        let candidates: String = lines.iter().map(|line| format!("a=candidate:{line}\n")).collect();
        let reduced = sections(&format!("{PLAIN}{candidates}")).reduced();
        let kept: Vec<&str> = reduced.lines().filter_map(|l| l.strip_prefix("a=candidate:")).collect();
        assert_eq!(kept, [lines[0], lines[2]]);
    }

    #[test]
    fn candidates_of_the_same_transport_are_taken() {
        let offer = sections(TWO);
        for (mid, index) in [(Some("a"), None), (Some("v"), Some(0)), (None, Some(1)), (None, Some(0)), (None, None)] {
            let taken = offer.inward(&candidate(HOST, mid, index)).expect("taken");
            assert_eq!((taken.sdp_mid.as_deref(), taken.sdp_mline_index), (Some("a"), Some(0)));
        }
        assert_eq!(offer.outward(candidate(HOST, Some("a"), Some(0))).sdp_mline_index, Some(1));
    }

    #[test]
    fn candidates_of_another_transport_and_for_rtcp_are_not() {
        let offer = sections(TWO);
        assert_eq!(offer.inward(&candidate(HOST, Some("b"), Some(2))), None);
        assert_eq!(offer.inward(&candidate(HOST, Some("nobody"), None)), None);
        assert_eq!(offer.inward(&candidate(&HOST.replace(" 1 udp", " 2 udp"), Some("a"), None)), None);
    }

    #[test]
    fn a_name_that_the_offer_does_not_know_is_passed_over_for_the_place() {
        let offer = sections(PLAIN);
        assert!(offer.inward(&candidate(HOST, Some("audio"), Some(0))).is_some());
        assert_eq!(offer.outward(candidate(HOST, Some("0"), Some(0))).sdp_mid, None);
    }
}
