//! TURN on a stream: where one message ends and the next begins (RFC 8656, 3.7 and 12.5).
//!
//! STUN messages carry their length; ChannelData does too, and is padded to four bytes on a stream.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

/// The header of a STUN message (RFC 8489, 5).
pub(super) const STUN_HEADER: usize = 20;
/// The magic cookie of STUN (RFC 8489, 5).
pub(super) const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// The header of ChannelData (RFC 8656, 12.4).
const CHANNEL_HEADER: usize = 4;

/// What came from the stream, or was to go there, is no TURN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum FrameError {
    #[error("what came is neither STUN nor ChannelData (first byte {0:#04x}); is this the port of a TURN server?")]
    NotTurn(u8),
    #[error("a STUN message without its magic cookie came; is this the port of a TURN server?")]
    NoCookie,
    #[error("a STUN message with the impossible length {0} came")]
    BadLength(u16),
    #[error("ChannelData for the reserved channel {0:#06x} came")]
    BadChannel(u16),
}

/// The length of the message that begins here, without and with its padding; `None` before its header is whole.
fn extent(start: &[u8]) -> Result<Option<(usize, usize)>, FrameError> {
    let Some(&first) = start.first() else { return Ok(None) };
    match first >> 6 {
        0 => {
            if let Some(cookie) = start.get(4..8)
                && cookie != MAGIC_COOKIE
            {
                return Err(FrameError::NoCookie);
            }
            let &[_, _, high, low, ..] = start else { return Ok(None) };
            let length = u16::from_be_bytes([high, low]);
            if length % 4 != 0 {
                return Err(FrameError::BadLength(length));
            }
            let total = STUN_HEADER + usize::from(length);
            Ok((start.len() >= STUN_HEADER).then_some((total, total)))
        }
        1 => {
            let &[_, second, ..] = start else { return Ok(None) };
            let channel = u16::from_be_bytes([first, second]);
            if channel > 0x4fff {
                return Err(FrameError::BadChannel(channel));
            }
            let &[_, _, high, low, ..] = start else { return Ok(None) };
            let total = CHANNEL_HEADER + usize::from(u16::from_be_bytes([high, low]));
            Ok(Some((total, total.next_multiple_of(4))))
        }
        _ => Err(FrameError::NotTurn(first)),
    }
}

/// Cuts a stream into messages.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    buffer: BytesMut,
    /// A STUN message came. Nothing else comes before one.
    begun: bool,
}

impl Decoder {
    /// Takes what came. What is kept is never more than one message and the piece that was given.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, as it would be in a datagram. After an error the stream is of no more use.
    pub fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        if let Some(&first) = self.buffer.first()
            && !self.begun
        {
            self.begun = first >> 6 == 0;
            if !self.begun {
                return Err(FrameError::NotTurn(first));
            }
        }
        let Some((length, padded)) = extent(&self.buffer)? else { return Ok(None) };
        if self.buffer.len() < padded {
            return Ok(None);
        }
        let message = self.buffer.split_to(length).freeze();
        self.buffer.advance(padded - length);
        Ok(Some(message))
    }
}

/// Adds a datagram to what goes out on a stream. Gives whether it was one of TURN and whole.
pub(super) fn encode(datagram: &[u8], out: &mut BytesMut) -> bool {
    let Ok(Some((length, padded))) = extent(datagram) else { return false };
    let Some(message) = datagram.get(..length) else { return false };
    out.extend_from_slice(message);
    out.resize(out.len() + padded - length, 0);
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn stun() -> impl Strategy<Value = Vec<u8>> {
        (0u16..0x4000, proptest::collection::vec(any::<u32>(), 0..40), any::<[u8; 12]>()).prop_map(
            |(typ, words, id)| {
                let mut message = typ.to_be_bytes().to_vec();
                message.extend_from_slice(&u16::try_from(words.len() * 4).unwrap().to_be_bytes());
                message.extend_from_slice(&MAGIC_COOKIE);
                message.extend_from_slice(&id);
                message.extend(words.iter().flat_map(|w| w.to_be_bytes()));
                message
            },
        )
    }

    fn channel_data() -> impl Strategy<Value = Vec<u8>> {
        (0x4000u16..0x5000, proptest::collection::vec(any::<u8>(), 0..1300)).prop_map(|(channel, data)| {
            let mut message = channel.to_be_bytes().to_vec();
            message.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
            message.extend_from_slice(&data);
            message
        })
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_however_the_stream_is_split(
            first in stun(),
            others in proptest::collection::vec(prop_oneof![stun(), channel_data()], 0..12),
            cuts in proptest::collection::vec(1usize..2000, 1..50),
        ) {
            let messages: Vec<_> = std::iter::once(first).chain(others).collect();
            let mut stream = BytesMut::new();
            for message in &messages {
                prop_assert!(encode(message, &mut stream));
                prop_assert_eq!(stream.len() % 4, 0);
            }
            let (mut decoder, mut out, mut cuts) = (Decoder::default(), Vec::new(), cuts.iter().cycle());
            while !stream.is_empty() {
                let n = (*cuts.next().unwrap()).min(stream.len());
                decoder.extend(&stream.split_to(n));
                while let Some(message) = decoder.next().unwrap() {
                    out.push(message.to_vec());
                }
            }
            prop_assert_eq!(out, messages);
        }

        #[test]
        fn no_bytes_panic_the_decoder(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..20)) {
            let mut decoder = Decoder::default();
            for piece in pieces {
                decoder.extend(&piece);
                loop {
                    match decoder.next() {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => return Ok(()),
                    }
                }
            }
        }
    }

    #[test]
    fn an_answer_of_a_web_server_ends_the_stream_with_a_clear_error() {
        let mut decoder = Decoder::default();
        decoder.extend(b"HTTP/1.1 400 Bad Request\r\n");
        let error = decoder.next().unwrap_err();
        assert_eq!(error, FrameError::NotTurn(b'H'));
    }

    #[test]
    fn a_message_without_the_cookie_ends_the_stream() {
        let mut decoder = Decoder::default();
        decoder.extend(&[0; 20]);
        assert_eq!(decoder.next(), Err(FrameError::NoCookie));
    }

    #[test]
    fn a_datagram_that_is_not_turn_does_not_go_on_the_stream() {
        let mut out = BytesMut::new();
        for datagram in [&[0x80, 0, 0, 0][..], &[], &[0x40, 0, 0, 9, 1]] {
            assert!(!encode(datagram, &mut out));
        }
        assert!(out.is_empty());
    }
}
