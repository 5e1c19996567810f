//! What is said between this side and one server, and what follows from it. Does no I/O.

use super::stun::{ALLOCATE, Message};
use rtc::crypto::RTCCryptoProvider;
use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;

/// How many requests are remembered: more than a peer has under way to one server.
const REMEMBERED: usize = 64;

/// Errors that fresh credentials may cure (RFC 8489, 14.8; RFC 8656, 19).
fn is_about_credentials(code: u16) -> bool {
    matches!(code, 401 | 441)
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// For the peer.
    Pass,
    /// For the peer; the server gave it this address.
    Allocated(SocketAddr),
    /// For the peer, and to be told: the server refused.
    Refused { code: u16, reason: String },
    /// Not for the peer: with other credentials the answer may be another. The peer repeats its request.
    Renew,
    /// Not for the peer: fresh credentials are on their way.
    Drop,
}

/// User name and password.
pub(super) type Credentials = (String, String);

#[derive(Default)]
pub(super) struct Watch {
    /// What the peer signs with.
    given: Credentials,
    /// Transactions, and whether they were signed, by what.
    sent: VecDeque<([u8; 12], Option<u32>)>,
    told: HashSet<u16>,
    /// What its requests are signed with instead.
    fresh: Option<Credentials>,
    /// Counts the credentials, so that an answer to those before is not held against the new ones.
    generation: u32,
    renewing: bool,
}

impl Watch {
    /// For a server that the peer was given these credentials for.
    pub fn new(given: Credentials) -> Self {
        Self { given, ..Self::default() }
    }

    /// A datagram on its way to the server; gives what is to be sent in its place.
    pub fn sends(&mut self, datagram: &[u8], crypto: &dyn RTCCryptoProvider) -> Option<Vec<u8>> {
        let message = Message::parse(datagram).filter(Message::is_request)?;
        let (id, signed) = (message.transaction(), message.is_signed().then_some(self.generation));
        match self.sent.iter_mut().find(|(sent, _)| *sent == id) {
            Some(known) => known.1 = signed,
            None => {
                if self.sent.len() == REMEMBERED {
                    self.sent.pop_front();
                }
                self.sent.push_back((id, signed));
            }
        }
        let (username, password) = self.fresh.as_ref().filter(|_| signed.is_some())?;
        message.signed_by(username, password, crypto)
    }

    /// Whether this server was asked what this datagram answers.
    pub fn asked(&self, datagram: &[u8]) -> bool {
        Message::parse(datagram).is_some_and(|m| self.sent.iter().any(|(id, _)| *id == m.transaction()))
    }

    /// A datagram from the server. `may_renew` says whether fresh credentials may be asked for.
    pub fn receives(&mut self, datagram: &[u8], may_renew: bool) -> Verdict {
        let Some(message) = Message::parse(datagram) else { return Verdict::Pass };
        if message.is_success() && message.method() == ALLOCATE {
            return message.relayed_address().map_or(Verdict::Pass, Verdict::Allocated);
        }
        if !message.is_error() {
            return Verdict::Pass;
        }
        let (Some((code, reason)), Some((_, signed))) =
            (message.error(), self.sent.iter().find(|(id, _)| *id == message.transaction()))
        else {
            return Verdict::Pass;
        };
        match signed {
            // How a server asks for credentials.
            None if code == 401 => return Verdict::Pass,
            Some(generation) if is_about_credentials(code) => {
                if self.renewing || *generation != self.generation {
                    return Verdict::Drop;
                }
                if may_renew {
                    self.renewing = true;
                    return Verdict::Renew;
                }
            }
            // 300 Try Alternate and 438 Stale Nonce are no refusals.
            _ if matches!(code, 300 | 438) => return Verdict::Pass,
            _ => {}
        }
        if self.told.insert(code) { Verdict::Refused { code, reason } } else { Verdict::Pass }
    }

    /// The end of a renewal: the credentials that were found. Those that were refused are no news.
    pub fn renewed(&mut self, found: Option<Credentials>) {
        self.renewing = false;
        if let Some(found) = found
            && found != *self.fresh.as_ref().unwrap_or(&self.given)
        {
            self.fresh = Some(found);
            self.generation += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::stun::tests::{refusal, signed_allocate, unsigned_allocate};
    use super::*;

    fn sends(watch: &mut Watch, datagram: &[u8]) -> Option<Vec<u8>> {
        watch.sends(datagram, &*rtc::crypto::default_provider().unwrap())
    }

    #[test]
    fn a_server_that_asks_for_credentials_refuses_nobody() {
        let mut watch = Watch::default();
        sends(&mut watch, &unsigned_allocate(1));
        assert_eq!(watch.receives(&refusal(1, 401), true), Verdict::Pass);
    }

    #[test]
    fn a_refusal_of_credentials_is_told_once() {
        let mut watch = Watch::default();
        sends(&mut watch, &signed_allocate(1, "u", "p"));
        assert_eq!(watch.receives(&refusal(1, 401), false), Verdict::Refused { code: 401, reason: "No".into() });
        assert_eq!(watch.receives(&refusal(1, 401), false), Verdict::Pass);
        assert!(matches!(watch.receives(&refusal(1, 486), false), Verdict::Refused { code: 486, .. }));
    }

    #[test]
    fn with_fresh_credentials_the_repeated_request_is_signed_anew() {
        let mut watch = Watch::default();
        assert_eq!(sends(&mut watch, &signed_allocate(1, "old", "p")), None);
        assert_eq!(watch.receives(&refusal(1, 401), true), Verdict::Renew);
        assert_eq!(watch.receives(&refusal(1, 401), true), Verdict::Drop);
        watch.renewed(Some(("new".into(), "q".into())));
        assert_eq!(sends(&mut watch, &signed_allocate(1, "old", "p")), Some(signed_allocate(1, "new", "q")));
        assert!(matches!(watch.receives(&refusal(1, 401), false), Verdict::Refused { code: 401, .. }));
    }

    #[test]
    fn without_fresh_credentials_the_next_refusal_stands() {
        let mut watch = Watch::default();
        sends(&mut watch, &signed_allocate(1, "old", "p"));
        assert_eq!(watch.receives(&refusal(1, 401), true), Verdict::Renew);
        watch.renewed(None);
        sends(&mut watch, &signed_allocate(1, "old", "p"));
        assert!(matches!(watch.receives(&refusal(1, 401), false), Verdict::Refused { code: 401, .. }));
    }

    #[test]
    fn credentials_that_were_refused_are_no_news() {
        let mut watch = Watch::new(("old".into(), "p".into()));
        sends(&mut watch, &signed_allocate(1, "old", "p"));
        assert_eq!(watch.receives(&refusal(1, 401), true), Verdict::Renew);
        watch.renewed(Some(("old".into(), "p".into())));
        assert!(matches!(watch.receives(&refusal(1, 401), false), Verdict::Refused { code: 401, .. }));
    }

    #[test]
    fn an_answer_to_the_old_credentials_is_not_held_against_the_new_ones() {
        let mut watch = Watch::default();
        sends(&mut watch, &signed_allocate(1, "old", "p"));
        assert_eq!(watch.receives(&refusal(1, 401), true), Verdict::Renew);
        watch.renewed(Some(("new".into(), "q".into())));
        assert_eq!(watch.receives(&refusal(1, 401), false), Verdict::Drop);
    }

    #[test]
    fn an_error_to_nothing_that_was_asked_is_nothing() {
        assert_eq!(Watch::default().receives(&refusal(9, 403), true), Verdict::Pass);
    }

    #[test]
    fn a_stale_nonce_is_no_refusal() {
        let mut watch = Watch::default();
        sends(&mut watch, &signed_allocate(1, "u", "p"));
        assert_eq!(watch.receives(&refusal(1, 438), true), Verdict::Pass);
    }
}
