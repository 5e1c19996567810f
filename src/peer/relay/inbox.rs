use bytes::Bytes;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

/// Datagrams that wait at most: a driver that is held up for longer has lost more than these.
const MAX_DATAGRAMS: usize = 2048;

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
            if state.waiting.len() == MAX_DATAGRAMS {
                state.waiting.pop_front();
                state.dropped += 1;
            }
            state.waiting.push_back((from, datagram));
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
        if next.is_none() {
            state.waker = Some(cx.waker().clone());
        }
        next
    }

    pub fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.state().dropped)
    }
}
