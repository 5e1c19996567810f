use bytes::Bytes;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

/// Datagrams that wait at most: a driver that is held up for longer has lost more than these.
const MAX_DATAGRAMS: usize = 2048;
/// Bytes too, whatever the length that a server gives its messages.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// What came from servers for one socket and was not received yet.
#[derive(Debug)]
pub(super) struct Inbox {
    /// The family of the socket.
    pub is_v4: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(SocketAddr, Bytes)>,
    bytes: usize,
    waker: Option<Waker>,
    dropped: u64,
}

impl Inbox {
    pub fn new(is_v4: bool) -> Self {
        Self { is_v4, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn push(&self, from: SocketAddr, datagram: Bytes) {
        let waker = {
            let mut state = self.state();
            state.bytes += datagram.len();
            state.waiting.push_back((from, datagram));
            while state.waiting.len() > MAX_DATAGRAMS || state.bytes > MAX_BYTES {
                let Some((_, oldest)) = state.waiting.pop_front() else { break };
                state.bytes -= oldest.len();
                state.dropped += 1;
            }
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The next one; with none, the task is woken when one comes.
    pub fn pop(&self, cx: &Context<'_>) -> Option<(SocketAddr, Bytes)> {
        let mut state = self.state();
        let next = state.waiting.pop_front();
        match &next {
            Some((_, datagram)) => state.bytes -= datagram.len(),
            None => state.waker = Some(cx.waker().clone()),
        }
        next
    }

    pub fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.state().dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_says_too_much_takes_no_more_memory() {
        let inbox = Inbox::new(true);
        let from = ([127, 0, 0, 1], 1).into();
        for _ in 0..100 {
            inbox.push(from, vec![0; 65_000].into());
        }
        assert!(inbox.state().bytes <= MAX_BYTES);
        let dropped = inbox.take_dropped();
        let cx = Context::from_waker(Waker::noop());
        let taken = std::iter::from_fn(|| inbox.pop(&cx)).count() as u64;
        assert_eq!((taken + dropped, inbox.state().bytes), (100, 0));
    }
}
