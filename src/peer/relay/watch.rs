//! What is said between this side and one server, and what follows from it. Does no I/O.

use super::stun::{ALLOCATE, Message, REFRESH};
use rtc::crypto::RTCCryptoProvider;
use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;

/// How many requests are remembered: more than a peer has under way to one server.
const REMEMBERED: usize = 64;
/// Different refusals that are told of one server: one that invents more is not worth the lines.
const TOLD: usize = 8;

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
    /// For the peer, and to be told: the server refused to relay.
    Refused { code: u16, reason: String },
    /// For the peer: of what it asked for beside, as a way to one far address, the server refused something. That is
    /// normal: of the far end's candidates many are addresses that no relay sends to.
    Denied { code: u16, reason: String },
    /// Not for the peer: with other credentials the answer may be another. The peer repeats its request.
    Renew,
    /// Not for the peer: the server wants the request once more, like this.
    Resend(Vec<u8>),
    /// Not for the peer: fresh credentials are on their way.
    Drop,
}

/// User name and password.
pub(super) type Credentials = (String, String);

/// A request on its way.
struct Sent {
    id: [u8; 12],
    /// The credentials that it was signed with.
    signed: Option<u32>,
    /// It was sent again with the nonce that the server wants.
    again: bool,
    /// As the peer made it, where it was signed anew.
    made: Option<Vec<u8>>,
    aim: Aim,
}

/// What a request is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// That the server relays.
    Begin,
    /// That it goes on.
    Keep,
    /// Anything else.
    Beside,
}

impl Aim {
    fn of(request: &Message<'_>) -> Self {
        match request.method() {
            ALLOCATE => Self::Begin,
            // Zero gives it back (RFC 8656, 7.2).
            REFRESH if request.lifetime() != Some(0) => Self::Keep,
            _ => Self::Beside,
        }
    }
}

#[derive(Default)]
pub(super) struct Watch {
    /// What the peer signs with.
    given: Credentials,
    sent: VecDeque<Sent>,
    told: HashSet<u16>,
    /// What its requests are signed with instead.
    fresh: Option<Credentials>,
    /// The nonce of the connection that the fresh credentials are used on; the peer knows that of the one before.
    nonce: Option<Vec<u8>>,
    /// Counts the credentials, so that an answer to those before is not held against the new ones.
    generation: u32,
    renewing: bool,
    /// What was found while the server took the ones it has, for when it does not any more.
    spare: Option<Credentials>,
    /// It relays, and will for nobody but the user it began with (RFC 8656, 5): no other credentials help from then on.
    /// Each socket has an allocation of its own.
    allocated: usize,
}

impl Watch {
    /// For a server that the peer was given these credentials for.
    pub fn new(given: Credentials) -> Self {
        Self { given, ..Self::default() }
    }

    /// Counts the credentials. A server keeps to the user that a connection began with, so each needs a connection of
    /// its own.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// A datagram on its way to the server; gives what is to be sent in its place.
    pub fn sends(&mut self, datagram: &[u8], crypto: &dyn RTCCryptoProvider) -> Option<Vec<u8>> {
        let message = Message::parse(datagram).filter(Message::is_request)?;
        let (id, signed) = (message.transaction(), message.is_signed().then_some(self.generation));
        self.sent.retain(|sent| sent.id != id);
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        let anew = signed.is_some() && self.fresh.is_some();
        let (made, aim) = (anew.then(|| datagram.to_vec()), Aim::of(&message));
        self.sent.push_back(Sent { id, signed, again: false, made, aim });
        if anew { self.sign(&message, crypto) } else { None }
    }

    fn sign(&self, message: &Message<'_>, crypto: &dyn RTCCryptoProvider) -> Option<Vec<u8>> {
        let (username, password) = self.fresh.as_ref()?;
        message.signed_by(username, password, self.nonce.as_deref(), crypto)
    }

    /// Whether this server was asked what this datagram answers.
    pub fn asked(&self, datagram: &[u8]) -> bool {
        Message::parse(datagram).is_some_and(|m| self.sent.iter().any(|sent| sent.id == m.transaction()))
    }

    /// A datagram from the server. `may_renew` says whether fresh credentials may be asked for.
    pub fn receives(&mut self, datagram: &[u8], may_renew: bool, crypto: &dyn RTCCryptoProvider) -> Verdict {
        let Some(message) = Message::parse(datagram) else { return Verdict::Pass };
        let Some(sent) = self.sent.iter().position(|sent| sent.id == message.transaction()) else {
            return Verdict::Pass;
        };
        if message.is_success() && message.method() == ALLOCATE {
            // An answer counts once, whatever a server says further.
            self.sent.remove(sent);
            let Some(address) = message.relayed_address() else { return Verdict::Pass };
            self.allocated += 1;
            return Verdict::Allocated(address);
        }
        if !message.is_error() {
            return Verdict::Pass;
        }
        let Some((code, reason)) = message.error() else { return Verdict::Pass };
        if let Some(again) = self.again(sent, code, &message, crypto) {
            return Verdict::Resend(again);
        }
        let Sent { signed, aim, .. } = self.sent[sent];
        match signed {
            // How a server asks for credentials.
            None if code == 401 => return Verdict::Pass,
            Some(generation) if is_about_credentials(code) && self.allocated == 0 => {
                if self.renewing || generation != self.generation {
                    return Verdict::Drop;
                }
                if let Some(spare) = self.spare.take() {
                    self.change_to(spare);
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
        if aim == Aim::Beside || (aim == Aim::Keep && self.allocated == 0) {
            return Verdict::Denied { code, reason };
        }
        match self.told.len() < TOLD && self.told.insert(code) {
            true => Verdict::Refused { code, reason },
            false => Verdict::Pass,
        }
    }

    /// A request that was signed anew and whose nonce is not that of its connection: as the server wants it. Once.
    fn again(
        &mut self,
        sent: usize,
        code: u16,
        answer: &Message<'_>,
        crypto: &dyn RTCCryptoProvider,
    ) -> Option<Vec<u8>> {
        let sent = &mut self.sent[sent];
        let wanted = answer.nonce().filter(|_| matches!(code, 401 | 438) && sent.signed == Some(self.generation))?;
        if sent.again || self.nonce.as_deref() == Some(wanted) {
            return None;
        }
        let made = sent.made.clone()?;
        sent.again = true;
        self.nonce = Some(wanted.to_vec());
        self.sign(&Message::parse(&made)?, crypto)
    }

    /// The end of a renewal, which this server or another asked for: the credentials that were found. Those that were
    /// refused are no news. Those that are not refused stay: what they began would end with them.
    pub fn renewed(&mut self, found: Option<Credentials>) {
        let asked = std::mem::take(&mut self.renewing);
        let Some(found) = found.filter(|found| found != self.fresh.as_ref().unwrap_or(&self.given)) else { return };
        match asked {
            true => self.change_to(found),
            false => self.spare = Some(found),
        }
    }

    fn change_to(&mut self, credentials: Credentials) {
        (self.fresh, self.nonce) = (Some(credentials), None);
        self.generation += 1;
    }

    /// A connection ended, and with it what was relayed over it.
    pub fn ended(&mut self) {
        self.allocated = self.allocated.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::stun::tests::{granted, refusal, refusal_with, signed, signed_allocate, unsigned_allocate};
    use super::*;
    use rtc::stun::message::{METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION, METHOD_REFRESH};

    fn sends(watch: &mut Watch, datagram: &[u8]) -> Option<Vec<u8>> {
        watch.sends(datagram, &*rtc::crypto::default_provider().unwrap())
    }

    fn receives(watch: &mut Watch, datagram: &[u8], may_renew: bool) -> Verdict {
        watch.receives(datagram, may_renew, &*rtc::crypto::default_provider().unwrap())
    }

    #[test]
    fn a_server_that_asks_for_credentials_refuses_nobody() {
        let mut watch = Watch::default();
        sends(&mut watch, &unsigned_allocate(1));
        assert_eq!(receives(&mut watch, &refusal(1, 401), true), Verdict::Pass);
    }

    #[test]
    fn a_refusal_of_credentials_is_told_once() {
        let mut watch = Watch::default();
        sends(&mut watch, &signed_allocate(1, "u", "p"));
        assert_eq!(receives(&mut watch, &refusal(1, 401), false), Verdict::Refused { code: 401, reason: "No".into() });
        assert_eq!(receives(&mut watch, &refusal(1, 401), false), Verdict::Pass);
        assert!(matches!(receives(&mut watch, &refusal(1, 486), false), Verdict::Refused { code: 486, .. }));
    }

    #[test]
    fn with_fresh_credentials_the_repeated_request_is_signed_anew() {
        let mut watch = Watch::default();
        assert_eq!(sends(&mut watch, &signed_allocate(1, "old", "p")), None);
        assert_eq!(receives(&mut watch, &refusal(1, 401), true), Verdict::Renew);
        assert_eq!(receives(&mut watch, &refusal(1, 401), true), Verdict::Drop);
        watch.renewed(Some(("new".into(), "q".into())));
        assert_eq!(sends(&mut watch, &signed_allocate(1, "old", "p")), Some(signed_allocate(1, "new", "q")));
        assert!(matches!(receives(&mut watch, &refusal(1, 401), false), Verdict::Refused { code: 401, .. }));
    }

    #[test]
    fn on_a_new_connection_the_request_goes_again_with_the_servers_nonce() {
        let mut watch = Watch::default();
        sends(&mut watch, &signed_allocate(1, "old", "p"));
        assert_eq!(receives(&mut watch, &refusal(1, 401), true), Verdict::Renew);
        watch.renewed(Some(("new".into(), "q".into())));
        sends(&mut watch, &signed_allocate(1, "old", "p"));
        for code in [438, 401] {
            let again = receives(&mut watch, &refusal_with(1, code, "fresh nonce"), false);
            match (code, again) {
                (438, Verdict::Resend(again)) => {
                    assert_eq!(Message::parse(&again).unwrap().nonce(), Some(&b"fresh nonce"[..]));
                }
                (401, Verdict::Refused { .. }) => {}
                (_, other) => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn without_fresh_credentials_the_next_refusal_stands() {
        let mut watch = Watch::default();
        sends(&mut watch, &signed_allocate(1, "old", "p"));
        assert_eq!(receives(&mut watch, &refusal(1, 401), true), Verdict::Renew);
        watch.renewed(None);
        sends(&mut watch, &signed_allocate(1, "old", "p"));
        assert!(matches!(receives(&mut watch, &refusal(1, 401), false), Verdict::Refused { code: 401, .. }));
    }

    #[test]
    fn credentials_that_were_refused_are_no_news() {
        let mut watch = Watch::new(("old".into(), "p".into()));
        sends(&mut watch, &signed_allocate(1, "old", "p"));
        assert_eq!(receives(&mut watch, &refusal(1, 401), true), Verdict::Renew);
        watch.renewed(Some(("old".into(), "p".into())));
        assert!(matches!(receives(&mut watch, &refusal(1, 401), false), Verdict::Refused { code: 401, .. }));
    }

    #[test]
    fn an_answer_to_the_old_credentials_is_not_held_against_the_new_ones() {
        let mut watch = Watch::default();
        sends(&mut watch, &signed_allocate(1, "old", "p"));
        assert_eq!(receives(&mut watch, &refusal(1, 401), true), Verdict::Renew);
        watch.renewed(Some(("new".into(), "q".into())));
        assert_eq!(receives(&mut watch, &refusal(1, 401), false), Verdict::Drop);
    }

    #[test]
    fn an_error_to_nothing_that_was_asked_is_nothing() {
        assert_eq!(receives(&mut Watch::default(), &refusal(9, 403), true), Verdict::Pass);
    }

    #[test]
    fn of_a_far_address_that_the_relay_does_not_send_to_nothing_is_told() {
        let mut watch = Watch::default();
        for method in [METHOD_CREATE_PERMISSION, METHOD_CHANNEL_BIND] {
            sends(&mut watch, &signed(method, 1, None));
            assert!(matches!(receives(&mut watch, &refusal(1, 403), true), Verdict::Denied { code: 403, .. }));
        }
        sends(&mut watch, &signed_allocate(2, "u", "p"));
        assert!(matches!(receives(&mut watch, &refusal(2, 403), true), Verdict::Refused { code: 403, .. }));
    }

    #[test]
    fn a_refused_refresh_is_told_unless_the_allocation_is_over() {
        let mut watch = Watch::default();
        sends(&mut watch, &signed_allocate(9, "u", "p"));
        receives(&mut watch, &granted(9), true);
        sends(&mut watch, &signed(METHOD_REFRESH, 1, Some(0)));
        assert!(matches!(receives(&mut watch, &refusal(1, 437), true), Verdict::Denied { code: 437, .. }));
        sends(&mut watch, &signed(METHOD_REFRESH, 2, Some(600)));
        assert!(matches!(receives(&mut watch, &refusal(2, 437), true), Verdict::Refused { code: 437, .. }));
        watch.ended();
        sends(&mut watch, &signed(METHOD_REFRESH, 3, Some(600)));
        assert!(matches!(receives(&mut watch, &refusal(3, 437), true), Verdict::Denied { code: 437, .. }));
    }

    #[test]
    fn a_renewal_for_another_server_leaves_a_running_allocation_alone() {
        let mut watch = Watch::default();
        sends(&mut watch, &signed_allocate(1, "old", "p"));
        assert!(matches!(receives(&mut watch, &granted(1), true), Verdict::Allocated(_)));
        watch.renewed(Some(("new".into(), "q".into())));
        assert_eq!(watch.generation(), 0);
        assert_eq!(sends(&mut watch, &signed(METHOD_REFRESH, 2, Some(600))), None);
        // No other user may keep it.
        assert!(matches!(receives(&mut watch, &refusal(2, 401), true), Verdict::Refused { code: 401, .. }));
    }

    #[test]
    fn what_a_renewal_for_another_server_found_is_used_when_it_is_needed() {
        let mut watch = Watch::default();
        watch.renewed(Some(("new".into(), "q".into())));
        sends(&mut watch, &signed_allocate(1, "old", "p"));
        assert_eq!(receives(&mut watch, &refusal(1, 401), false), Verdict::Drop);
        assert_eq!(sends(&mut watch, &signed_allocate(1, "old", "p")), Some(signed_allocate(1, "new", "q")));
    }

    #[test]
    fn an_allocation_that_nobody_asked_for_or_again_is_nothing() {
        let mut watch = Watch::default();
        assert_eq!(receives(&mut watch, &granted(1), true), Verdict::Pass);
        sends(&mut watch, &signed_allocate(1, "u", "p"));
        assert!(matches!(receives(&mut watch, &granted(1), true), Verdict::Allocated(_)));
        assert_eq!(receives(&mut watch, &granted(1), true), Verdict::Pass);
    }

    #[test]
    fn a_server_that_invents_errors_is_not_told_of_for_ever() {
        let mut watch = Watch::default();
        sends(&mut watch, &signed_allocate(1, "u", "p"));
        let told =
            (500..600).filter(|code| matches!(receives(&mut watch, &refusal(1, *code), true), Verdict::Refused { .. }));
        assert_eq!(told.count(), TOLD);
    }

    #[test]
    fn a_stale_nonce_is_no_refusal() {
        let mut watch = Watch::default();
        sends(&mut watch, &signed_allocate(1, "u", "p"));
        assert_eq!(receives(&mut watch, &refusal(1, 438), true), Verdict::Pass);
    }
}
