//! The few lines of a session description that tell one session from another.

/// What identifies the sender of a session description. Nonsense gives an empty one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Description {
    /// `ice-ufrag` of every section (RFC 8839, 5.4): names an ICE generation.
    ufrags: Vec<String>,
    /// Certificate fingerprints (RFC 8122), in lower case: a peer connection never changes its own.
    fingerprints: Vec<String>,
    /// User name and session id of the origin line (RFC 8866, 5.2): the same in every offer of one session.
    origin: Option<(String, String)>,
}

impl Description {
    pub(super) fn of(sdp: &str) -> Self {
        let mut this = Self::default();
        for line in sdp.lines().map(str::trim_end) {
            if let Some(ufrag) = line.strip_prefix("a=ice-ufrag:") {
                this.ufrags.push(ufrag.trim().to_owned());
            } else if let Some(fingerprint) = line.strip_prefix("a=fingerprint:") {
                this.fingerprints.push(fingerprint.trim().to_ascii_lowercase());
            } else if let Some(origin) = line.strip_prefix("o=") {
                let mut words = origin.split_ascii_whitespace();
                if let (Some(user), Some(id)) = (words.next(), words.next()) {
                    // Some servers write 0 into every description.
                    this.origin = (id != "0").then(|| (user.to_owned(), id.to_owned()));
                }
            }
        }
        this
    }

    /// Whether both surely come from different peer connections, so that the one cannot be renegotiated into the other.
    pub(super) fn is_other_peer(&self, other: &Self) -> bool {
        !self.fingerprints.is_empty()
            && !other.fingerprints.is_empty()
            && !self.fingerprints.iter().any(|f| other.fingerprints.contains(f))
    }

    /// Whether both surely belong to one session.
    pub(super) fn is_same_session(&self, other: &Self) -> bool {
        self.origin.is_some() && self.origin == other.origin
    }

    /// Whether a candidate that names `ufrag` belongs to this description; one that names none always may.
    pub(super) fn takes_candidate_of(&self, ufrag: Option<&str>) -> bool {
        ufrag.is_none_or(|u| self.ufrags.is_empty() || self.ufrags.iter().any(|own| own == u))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_whatever_their_ends_and_case() {
        let a =
            Description::of("v=0\r\no=- 46 2 IN IP4 0.0.0.0\r\na=ice-ufrag:Ab/+\r\na=fingerprint:sha-256 AA:BB\r\n");
        let b = Description::of("v=0\no=- 46 3 IN IP4 1.2.3.4\na=ice-ufrag:other\na=fingerprint:SHA-256 aa:bb\n");
        assert!(a.is_same_session(&b));
        assert!(!a.is_other_peer(&b));
        assert!(a.takes_candidate_of(Some("Ab/+")) && a.takes_candidate_of(None));
        assert!(!a.takes_candidate_of(Some("other")));
    }

    #[test]
    fn nonsense_is_neither_the_same_session_nor_another_peer() {
        let (nonsense, real) = (Description::of("\0o=\na=ice-ufrag"), Description::of("o=- 1 1\na=fingerprint:x y"));
        assert!(!nonsense.is_same_session(&nonsense) && !nonsense.is_same_session(&real));
        assert!(!nonsense.is_other_peer(&real) && !real.is_other_peer(&nonsense));
        assert!(nonsense.takes_candidate_of(Some("x")));
    }

    #[test]
    fn a_session_id_of_zero_identifies_nothing() {
        assert!(!Description::of("o=- 0 0 IN IP4 0.0.0.0").is_same_session(&Description::of("o=- 0 0 IN IP4 0.0.0.0")));
    }
}
