//! Nominations that come before this side's own check of the pair is through.
//!
//! Browsers put USE-CANDIDATE into the first check they send, and that one is often here before the answer to ours. The
//! controlled side then checks the pair itself, and takes it as soon as that check succeeds (RFC 8445, 7.3.1.5). The crate
//! checks, but forgets the nomination and leaves the request unanswered: the far end tries another pair 50 ms later.
//! [`Nominations`] keeps such a request, to be handed to the crate once more behind the answer to its own check.

use rtc::stun::attributes::ATTR_USE_CANDIDATE;
use rtc::stun::message::{BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, Message, is_stun_message};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// How many far addresses are kept: one each, and more than that nominate at once only out of ill will.
const KEPT: usize = 8;

/// The nominations that one socket received and that were not answered.
#[derive(Debug, Default)]
pub(super) struct Nominations {
    unanswered: VecDeque<(SocketAddr, Message)>,
}

impl Nominations {
    /// Sees a datagram that was received. Gives the request to hand over once more behind it.
    pub(super) fn received(&mut self, from: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        let message = stun(datagram)?;
        if message.typ == BINDING_REQUEST && message.contains(ATTR_USE_CANDIDATE) {
            self.unanswered.retain(|(address, _)| *address != from);
            if self.unanswered.len() == KEPT {
                self.unanswered.pop_front();
            }
            self.unanswered.push_back((from, message));
        } else if message.typ == BINDING_SUCCESS {
            let nominated = self.unanswered.iter().position(|(address, _)| *address == from)?;
            return self.unanswered.remove(nominated).map(|(_, request)| request.raw);
        }
        None
    }

    /// Sees a datagram that is sent: a request that it answers needs nothing more.
    pub(super) fn sent(&mut self, datagram: &[u8]) {
        if self.unanswered.is_empty() {
            return;
        }
        if let Some(answer) = stun(datagram).filter(|m| m.typ == BINDING_SUCCESS || m.typ == BINDING_ERROR) {
            self.unanswered.retain(|(_, request)| request.transaction_id != answer.transaction_id);
        }
    }
}

fn stun(datagram: &[u8]) -> Option<Message> {
    // Media begins with other bits (RFC 7983, 7): most datagrams end here.
    if datagram.first().is_none_or(|b| *b > 3) || !is_stun_message(datagram) {
        return None;
    }
    let mut message = Message { raw: datagram.to_vec(), ..Message::default() };
    message.decode().ok().map(|()| message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rtc::ice::attributes::use_candidate::UseCandidateAttr;
    use rtc::stun::message::{Setter, TransactionId};

    const FAR: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4000);
    const OTHER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4001);

    fn message(parts: Vec<Box<dyn Setter>>) -> Vec<u8> {
        let mut message = Message::new();
        message.build(&parts).unwrap();
        message.raw
    }

    fn nomination(id: TransactionId) -> Vec<u8> {
        message(vec![Box::new(BINDING_REQUEST), Box::new(id), Box::new(UseCandidateAttr::new())])
    }

    fn success(id: TransactionId) -> Vec<u8> {
        message(vec![Box::new(BINDING_SUCCESS), Box::new(id)])
    }

    #[test]
    fn an_early_nomination_comes_again_behind_the_answer_to_our_check() {
        let mut nominations = Nominations::default();
        let early = nomination(TransactionId::new());
        assert_eq!(nominations.received(FAR, &early), None);
        assert_eq!(nominations.received(FAR, &success(TransactionId::new())), Some(early));
        assert_eq!(nominations.received(FAR, &success(TransactionId::new())), None);
    }

    #[test]
    fn the_answer_of_another_address_is_of_another_pair() {
        let mut nominations = Nominations::default();
        nominations.received(FAR, &nomination(TransactionId::new()));
        assert_eq!(nominations.received(OTHER, &success(TransactionId::new())), None);
    }

    #[test]
    fn a_nomination_that_was_answered_does_not_come_again() {
        let mut nominations = Nominations::default();
        let id = TransactionId::new();
        nominations.received(FAR, &nomination(id));
        nominations.sent(&success(id));
        assert_eq!(nominations.received(FAR, &success(TransactionId::new())), None);
    }

    #[test]
    fn a_nomination_that_was_refused_does_not_come_again() {
        let mut nominations = Nominations::default();
        let id = TransactionId::new();
        nominations.received(FAR, &nomination(id));
        nominations.sent(&message(vec![Box::new(BINDING_ERROR), Box::new(id)]));
        assert_eq!(nominations.received(FAR, &success(TransactionId::new())), None);
    }

    #[test]
    fn a_check_that_nominates_nothing_is_not_kept() {
        let mut nominations = Nominations::default();
        nominations.received(FAR, &message(vec![Box::new(BINDING_REQUEST), Box::new(TransactionId::new())]));
        assert_eq!(nominations.received(FAR, &success(TransactionId::new())), None);
    }

    #[test]
    fn of_one_address_the_last_nomination_is_kept_and_of_many_addresses_the_last_ones() {
        let mut nominations = Nominations::default();
        nominations.received(FAR, &nomination(TransactionId::new()));
        let last = nomination(TransactionId::new());
        nominations.received(FAR, &last);
        assert_eq!(nominations.received(FAR, &success(TransactionId::new())), Some(last));

        for port in 1..=100 {
            nominations.received(SocketAddr::new(FAR.ip(), port), &nomination(TransactionId::new()));
        }
        assert_eq!(nominations.unanswered.len(), KEPT);
        assert_eq!(nominations.received(SocketAddr::new(FAR.ip(), 1), &success(TransactionId::new())), None);
    }

    proptest::proptest! {
        #[test]
        fn no_datagram_panics(datagram in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..100)) {
            let mut nominations = Nominations::default();
            nominations.received(FAR, &datagram);
            nominations.sent(&datagram);
        }
    }
}
