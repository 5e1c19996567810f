//! STUN as far as the way to a TURN server needs it (RFC 8489, RFC 8656): a view of a message, and its signing with
//! another user's credentials.

use super::frame::{MAGIC_COOKIE, STUN_HEADER};
use rtc::crypto::RTCCryptoProvider;
use rtc::stun::attributes::AttrType;
use rtc::stun::fingerprint::FINGERPRINT;
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{Message as Built, Setter, TransactionId};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
const LIFETIME: u16 = 0x000d;
const DATA: u16 = 0x0013;
const XOR_RELAYED_ADDRESS: u16 = 0x0016;
const FINGERPRINT_TYPE: u16 = 0x8028;

/// Methods (RFC 8489, 18.2; RFC 8656, 18.1).
pub(super) const ALLOCATE: u16 = 0x003;
pub(super) const REFRESH: u16 = 0x004;

/// A message that was found to be STUN: header and attributes fit its length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let header = datagram.get(..STUN_HEADER)?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        (header[0] >> 6 == 0
            && header[4..8] == MAGIC_COOKIE
            && length % 4 == 0
            && datagram.len() == STUN_HEADER + length)
            .then_some(Self(datagram))
    }

    fn kind(&self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    pub fn is_request(&self) -> bool {
        self.kind() & 0x0110 == 0
    }

    pub fn is_success(&self) -> bool {
        self.kind() & 0x0110 == 0x0100
    }

    pub fn is_error(&self) -> bool {
        self.kind() & 0x0110 == 0x0110
    }

    pub fn is_indication(&self) -> bool {
        self.kind() & 0x0110 == 0x0010
    }

    pub fn method(&self) -> u16 {
        let kind = self.kind();
        (kind & 0x000f) | (kind & 0x00e0) >> 1 | (kind & 0x3e00) >> 2
    }

    pub fn transaction(&self) -> [u8; 12] {
        let mut id = [0; 12];
        id.copy_from_slice(&self.0[8..STUN_HEADER]);
        id
    }

    fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut rest = &self.0[STUN_HEADER..];
        std::iter::from_fn(move || {
            let &[t1, t2, l1, l2, ref after @ ..] = rest else { return None };
            let length = usize::from(u16::from_be_bytes([l1, l2]));
            let value = after.get(..length)?;
            rest = after.get(length.next_multiple_of(4)..).unwrap_or_default();
            Some((u16::from_be_bytes([t1, t2]), value))
        })
    }

    fn attribute(&self, kind: u16) -> Option<&'a [u8]> {
        self.attributes().find(|(t, _)| *t == kind).map(|(_, value)| value)
    }

    /// Whether somebody's credentials are on it.
    pub fn is_signed(&self) -> bool {
        self.attribute(MESSAGE_INTEGRITY).is_some()
    }

    /// What a server wants requests to carry from now on.
    pub fn nonce(&self) -> Option<&'a [u8]> {
        self.attribute(NONCE)
    }

    /// The code (300 to 699) and the text of an error response.
    pub fn error(&self) -> Option<(u16, String)> {
        let &[_, _, class, number, ref text @ ..] = self.attribute(ERROR_CODE)? else { return None };
        Some((u16::from(class & 7) * 100 + u16::from(number), String::from_utf8_lossy(text).into_owned()))
    }

    /// For how long an allocation is asked for, in seconds.
    pub fn lifetime(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.attribute(LIFETIME)?.try_into().ok()?))
    }

    /// The address that the server relays for, from the answer to Allocate.
    pub fn relayed_address(&self) -> Option<SocketAddr> {
        let &[_, family, p1, p2, ref address @ ..] = self.attribute(XOR_RELAYED_ADDRESS)? else { return None };
        let port = u16::from_be_bytes([p1 ^ MAGIC_COOKIE[0], p2 ^ MAGIC_COOKIE[1]]);
        // The cookie and the transaction follow one another in the header, as they do in the mask.
        let mask = self.0[4..STUN_HEADER].iter();
        let plain: Vec<u8> = address.iter().zip(mask).map(|(a, m)| a ^ m).collect();
        let ip: IpAddr = match family {
            1 => Ipv4Addr::from(<[u8; 4]>::try_from(plain).ok()?).into(),
            2 => Ipv6Addr::from(<[u8; 16]>::try_from(plain).ok()?).into(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, port))
    }

    /// This request with other credentials, and with another nonce where there is one.
    pub fn signed_by(
        &self,
        username: &str,
        password: &str,
        nonce: Option<&[u8]>,
        crypto: &dyn RTCCryptoProvider,
    ) -> Option<Vec<u8>> {
        let realm = String::from_utf8(self.attribute(REALM)?.to_vec()).ok()?;
        let mut built = Built::new();
        built.typ.read_value(self.kind());
        built.transaction_id = TransactionId(self.transaction());
        built.write_header();
        for (kind, value) in self.attributes() {
            match kind {
                MESSAGE_INTEGRITY | FINGERPRINT_TYPE => {}
                USERNAME => built.add(AttrType(kind), username.as_bytes()),
                NONCE => built.add(AttrType(kind), nonce.unwrap_or(value)),
                _ => built.add(AttrType(kind), value),
            }
        }
        let (user, password) = (username.to_owned(), password.to_owned());
        let integrity =
            MessageIntegrity::new_long_term_integrity_with_provider(user, realm, password, crypto.crypto()).ok()?;
        integrity.add_to(&mut built).ok()?;
        FINGERPRINT.add_to(&mut built).ok()?;
        Some(built.raw)
    }
}

/// What a peer sent through a relay: the inside of ChannelData or of a Data indication.
pub(in crate::peer) fn relayed_payload(datagram: &[u8]) -> Option<&[u8]> {
    match datagram {
        [0x40..=0x4f, _, l1, l2, data @ ..] => data.get(..usize::from(u16::from_be_bytes([*l1, *l2]))),
        _ => Message::parse(datagram).filter(Message::is_indication)?.attribute(DATA),
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use rtc::stun::attributes::{ATTR_NONCE, ATTR_REALM, ATTR_USERNAME};
    use rtc::stun::error_code::ErrorCode;
    use rtc::stun::error_code::ErrorCodeAttribute;
    use rtc::stun::message::{
        CLASS_ERROR_RESPONSE, CLASS_REQUEST, CLASS_SUCCESS_RESPONSE, METHOD_ALLOCATE, MessageType, Method,
    };
    use rtc::stun::textattrs::TextAttribute;
    use rtc::turn::proto::lifetime::Lifetime;
    use rtc::turn::proto::relayaddr::RelayedAddress;
    use std::time::Duration;

    pub(in super::super) fn signed_allocate(id: u8, user: &str, password: &str) -> Vec<u8> {
        let crypto = rtc::crypto::default_provider().unwrap();
        let integrity = MessageIntegrity::new_long_term_integrity_with_provider(
            user.into(),
            "realm".into(),
            password.into(),
            crypto.crypto(),
        );
        let mut message = Built::new();
        message
            .build(&[
                Box::new(TransactionId([id; 12])),
                Box::new(MessageType::new(METHOD_ALLOCATE, CLASS_REQUEST)),
                Box::new(TextAttribute::new(ATTR_USERNAME, user.into())),
                Box::new(TextAttribute::new(ATTR_REALM, "realm".into())),
                Box::new(TextAttribute::new(ATTR_NONCE, "nonce".into())),
                Box::new(integrity.unwrap()),
                Box::new(FINGERPRINT),
            ])
            .unwrap();
        message.raw
    }

    /// A request of this method, for so many seconds.
    pub(in super::super) fn signed(method: Method, id: u8, lifetime: Option<u32>) -> Vec<u8> {
        let crypto = rtc::crypto::default_provider().unwrap();
        let (user, realm, password) = ("u".into(), "realm".into(), "p".into());
        let integrity = MessageIntegrity::new_long_term_integrity_with_provider(user, realm, password, crypto.crypto());
        let mut parts: Vec<Box<dyn Setter>> =
            vec![Box::new(TransactionId([id; 12])), Box::new(MessageType::new(method, CLASS_REQUEST))];
        if let Some(seconds) = lifetime {
            parts.push(Box::new(Lifetime(Duration::from_secs(seconds.into()))));
        }
        parts.push(Box::new(integrity.unwrap()));
        let mut message = Built::new();
        message.build(&parts).unwrap();
        message.raw
    }

    /// An answer to Allocate.
    pub(in super::super) fn granted(id: u8) -> Vec<u8> {
        let mut message = Built::new();
        message
            .build(&[
                Box::new(TransactionId([id; 12])),
                Box::new(MessageType::new(METHOD_ALLOCATE, CLASS_SUCCESS_RESPONSE)),
                Box::new(RelayedAddress { ip: [203, 0, 113, 1].into(), port: 4000 }),
            ])
            .unwrap();
        message.raw
    }

    pub(in super::super) fn unsigned_allocate(id: u8) -> Vec<u8> {
        let mut message = Built::new();
        message
            .build(&[Box::new(TransactionId([id; 12])), Box::new(MessageType::new(METHOD_ALLOCATE, CLASS_REQUEST))])
            .unwrap();
        message.raw
    }

    pub(in super::super) fn refusal_with(id: u8, code: u16, nonce: &str) -> Vec<u8> {
        let mut message = Built::new();
        message
            .build(&[
                Box::new(TransactionId([id; 12])),
                Box::new(MessageType::new(METHOD_ALLOCATE, CLASS_ERROR_RESPONSE)),
                Box::new(ErrorCodeAttribute { code: ErrorCode(code), reason: b"No".to_vec() }),
                Box::new(TextAttribute::new(ATTR_NONCE, nonce.into())),
            ])
            .unwrap();
        message.raw
    }

    pub(in super::super) fn refusal(id: u8, code: u16) -> Vec<u8> {
        let mut message = Built::new();
        message
            .build(&[
                Box::new(TransactionId([id; 12])),
                Box::new(MessageType::new(METHOD_ALLOCATE, CLASS_ERROR_RESPONSE)),
                Box::new(ErrorCodeAttribute { code: ErrorCode(code), reason: b"No".to_vec() }),
            ])
            .unwrap();
        message.raw
    }

    #[test]
    fn a_message_signed_anew_is_as_its_new_user_would_have_made_it() {
        let crypto = rtc::crypto::default_provider().unwrap();
        let old = signed_allocate(7, "old", "a");
        let signed = Message::parse(&old).unwrap().signed_by("a longer name", "b", None, &*crypto).unwrap();
        assert_eq!(signed, signed_allocate(7, "a longer name", "b"));
    }

    #[test]
    fn class_method_and_error_are_read() {
        let raw = refusal(1, 486);
        let message = Message::parse(&raw).unwrap();
        assert!(message.is_error() && !message.is_request() && !message.is_indication());
        assert_eq!(message.method(), ALLOCATE);
        assert_eq!(message.error(), Some((486, "No".into())));
    }

    proptest! {
        #[test]
        fn no_message_panics(head in prop_oneof![Just(vec![1, 0x13]), Just(vec![0x40, 1]), Just(vec![0, 0x17])],
                             body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut raw = head;
            raw.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
            raw.extend_from_slice(&MAGIC_COOKIE);
            raw.extend_from_slice(&[9; 12]);
            raw.extend_from_slice(&body);
            let _ = relayed_payload(&raw);
            if let Some(message) = Message::parse(&raw) {
                let _ = (message.error(), message.relayed_address(), message.is_signed(), message.method());
                let _ = message.signed_by("a", "b", Some(b"n"), &*rtc::crypto::default_provider().unwrap());
            }
        }
    }
}
