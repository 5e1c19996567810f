//! What waits for a stream, within bounds.
//!
//! A stream that stalls must not make the media late for the rest of the call: of the media the oldest is dropped, and
//! counted. Requests stay, but one that is repeated waits only once.

use super::stun::Message;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Datagrams and bytes that wait at most: 5 Mbit/s for more than 400 ms.
const MAX_DATAGRAMS: usize = 512;
const MAX_BYTES: usize = 256 * 1024;
/// Media that waited longer is of no use to anybody's jitter buffer.
const MEDIA_FRESH_FOR: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Waiting {
    since: Instant,
    datagram: Bytes,
    /// The transaction, of a request.
    transaction: Option<[u8; 12]>,
}

impl Waiting {
    fn is_media(&self) -> bool {
        self.transaction.is_none()
    }
}

/// A bounded queue of datagrams in their order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    dropped: u64,
}

impl Queue {
    /// Adds a datagram at the end; may drop older ones.
    pub fn push(&mut self, datagram: Bytes, now: Instant) {
        let message = Message::parse(&datagram);
        let transaction = message.filter(Message::is_request).map(|m| m.transaction());
        if transaction.is_some() && self.waiting.iter().any(|w| w.transaction == transaction) {
            return;
        }
        self.bytes += datagram.len();
        self.waiting.push_back(Waiting { since: now, datagram, transaction });
        while self.waiting.len() > MAX_DATAGRAMS || self.bytes > MAX_BYTES {
            let oldest = self.waiting.iter().position(Waiting::is_media).unwrap_or(0);
            if let Some(dropped) = self.waiting.remove(oldest) {
                self.bytes -= dropped.datagram.len();
                self.dropped += 1;
            }
        }
    }

    /// Takes the first datagram that is still of use.
    pub fn pop(&mut self, now: Instant) -> Option<Bytes> {
        while let Some(next) = self.waiting.pop_front() {
            self.bytes -= next.datagram.len();
            if next.is_media() && now.saturating_duration_since(next.since) > MEDIA_FRESH_FOR {
                self.dropped += 1;
                continue;
            }
            return Some(next.datagram);
        }
        None
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Forgets the media.
    pub fn drop_media(&mut self) {
        let before = self.waiting.len();
        self.waiting.retain(|w| !w.is_media());
        self.dropped += (before - self.waiting.len()) as u64;
        self.bytes = self.waiting.iter().map(|w| w.datagram.len()).sum();
    }

    /// Forgets all: what waited for a stream that is gone.
    pub fn clear(&mut self) {
        self.dropped += self.waiting.iter().filter(|w| w.is_media()).count() as u64;
        self.waiting.clear();
        self.bytes = 0;
    }

    /// How many datagrams were dropped since the last time this was asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn media(number: u16, length: usize) -> Bytes {
        let mut datagram = vec![0x40, 1, 0, 0];
        datagram.extend_from_slice(&number.to_be_bytes());
        datagram.resize(length.max(6), 0);
        datagram.into()
    }

    fn request(id: u8) -> Bytes {
        let mut datagram = vec![0, 3, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        datagram.resize(20, id);
        datagram.into()
    }

    #[test]
    fn of_too_much_media_the_oldest_is_dropped_and_counted() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for i in 0..600 {
            queue.push(media(i, 100), now);
        }
        assert_eq!(queue.take_dropped(), 88);
        assert_eq!(queue.pop(now).unwrap(), media(88, 100));
    }

    #[test]
    fn a_request_outlives_the_media_around_it() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.push(request(1), now);
        for i in 0..600 {
            queue.push(media(i, 1200), now);
        }
        assert_eq!(queue.pop(now).unwrap(), request(1));
    }

    #[test]
    fn a_request_that_is_repeated_waits_once() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for id in [1, 1, 2, 1] {
            queue.push(request(id), now);
        }
        let out: Vec<_> = std::iter::from_fn(|| queue.pop(now)).collect();
        assert_eq!(out, [request(1), request(2)]);
    }

    #[test]
    fn media_that_waited_too_long_is_not_sent_any_more() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.push(media(1, 100), now);
        queue.push(media(2, 100), now + Duration::from_millis(400));
        assert_eq!(queue.pop(now + Duration::from_millis(600)).unwrap(), media(2, 100));
        assert_eq!(queue.take_dropped(), 1);
    }

    #[test]
    fn without_its_media_the_requests_are_left() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.push(media(1, 100), now);
        queue.push(request(1), now);
        queue.push(media(2, 100), now);
        queue.drop_media();
        assert_eq!((queue.take_dropped(), queue.bytes), (2, 20));
        assert_eq!(queue.pop(now).unwrap(), request(1));
        assert!(queue.is_empty());
    }

    proptest! {
        #[test]
        fn the_bounds_hold_and_nothing_is_lost_uncounted(sizes in proptest::collection::vec(1usize..3000, 0..900)) {
            let (mut queue, now) = (Queue::default(), Instant::now());
            for (i, size) in sizes.iter().enumerate() {
                queue.push(media(u16::try_from(i).unwrap(), *size), now);
                prop_assert!(queue.waiting.len() <= MAX_DATAGRAMS && queue.bytes <= MAX_BYTES);
            }
            let out = std::iter::from_fn(|| queue.pop(now)).count() as u64;
            prop_assert_eq!(out + queue.take_dropped(), sizes.len() as u64);
            prop_assert_eq!(queue.bytes, 0);
        }
    }
}
