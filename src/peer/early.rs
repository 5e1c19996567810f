//! Three things about the moment at which ICE comes up, which the crate leaves to chance.
//!
//! It drops DTLS datagrams that come before its own ICE has a selected pair. The side that is first to see ICE succeed
//! sends its ClientHello at once, and repeats it only after a second (RFC 6347, 4.2.4.1): such calls took that second
//! longer. [`HoldingRuntime`]'s sockets hold these datagrams, as browsers do, and hand them over once ICE is up.
//!
//! And its driver, having put the ClientHello of this side into its queue, sleeps until the next timer of ICE before it
//! sends it. The runtime's timer ends early once, when ICE comes up.
//!
//! And it forgets a nomination that comes before its own check of the pair is through: the sockets hand it over again
//! ([`Nominations`]).

use super::nomination::Nominations;
use super::relay::{Relays, relayed_payload};
use futures::FutureExt;
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, RecvMeta, Runtime, TokioRuntime,
    Transmit,
};

/// How many datagrams one socket holds: a first flight is one, repeated at most twice while ICE runs.
const HELD: usize = 8;

/// Whether this side's ICE is up.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate {
    state: Arc<Mutex<State>>,
    /// Ends the driver's sleep, the running one or else the next.
    nudge: Arc<Notify>,
    /// Nothing passes either way: the line was cut on order.
    dark: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct State {
    open: bool,
    waiting: Vec<Waker>,
}

impl Gate {
    /// ICE is up: hands over what was held, and lets the driver send what it has.
    pub(super) fn open(&self) {
        self.nudge.notify_one();
        let mut state = self.lock();
        state.open = true;
        for waker in std::mem::take(&mut state.waiting) {
            waker.wake();
        }
    }

    /// Cuts the line, or mends it.
    pub(super) fn set_dark(&self, dark: bool) {
        self.dark.store(dark, Ordering::Release);
    }

    fn is_dark(&self) -> bool {
        self.dark.load(Ordering::Acquire)
    }

    /// Whether it is open; if not, the task is woken when it opens.
    fn is_open(&self, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        if !state.open && !state.waiting.iter().any(|w| w.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        state.open
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tokio, with UDP sockets that hold early DTLS.
#[derive(Debug)]
pub(super) struct HoldingRuntime {
    inner: TokioRuntime,
    gate: Gate,
    relays: Arc<Relays>,
    rounds: Arc<AtomicU8>,
}

/// Rounds of the driver between something that happened and what follows from it for a relay: of what comes from one the
/// answer is found in the first, wrapped for the relay in the second, and sent in the third.
const MORE_ROUNDS: u8 = 2;

/// One sleep of the driver. It goes to sleep with packets for a relay in its queue, for as long as nothing else happens:
/// so when anything has happened, it is made to go round again before it sleeps.
struct Round {
    left: Arc<AtomicU8>,
    is_spare: bool,
}

impl Round {
    /// Whether this is no sleep but a round more.
    fn is_spare(&mut self) -> bool {
        self.is_spare = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok();
        self.is_spare
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        if !self.is_spare {
            self.left.store(MORE_ROUNDS, Ordering::Release);
        }
    }
}

impl HoldingRuntime {
    pub(super) fn new(gate: Gate, relays: Arc<Relays>) -> Self {
        Self { inner: TokioRuntime, gate, relays, rounds: Arc::default() }
    }
}

impl Runtime for HoldingRuntime {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        self.inner.spawn(future)
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let inner = self.relays.wrap(socket, |socket| self.inner.wrap_udp_socket(socket))?;
        let gate = self.gate.clone();
        Ok(Arc::new(HoldingSocket { inner, gate, held: Mutex::default(), nominations: Mutex::default() }))
    }

    fn wrap_tcp_listener(&self, listener: TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        self.inner.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        remote_addr: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        self.inner.connect_tcp(remote_addr)
    }

    fn resolve_host<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        match self.relays.resolve(host) {
            Some(addresses) => std::future::ready(Ok(addresses)).boxed(),
            None => self.inner.resolve_host(host),
        }
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        let (timer, nudge) = (self.inner.sleep(duration), Arc::clone(&self.gate.nudge));
        let mut round = self.relays.in_use().then(|| Round { left: Arc::clone(&self.rounds), is_spare: false });
        Box::pin(async move {
            if round.as_mut().is_some_and(Round::is_spare) {
                return;
            }
            tokio::select! {
                () = timer => {}
                () = nudge.notified() => {}
            }
        })
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.inner.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.inner.block_on(future.boxed_local());
    }

    fn name(&self) -> &'static str {
        "tokio"
    }
}

#[derive(Debug)]
struct HoldingSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    gate: Gate,
    held: Mutex<VecDeque<Datagram>>,
    /// What nominates a pair, and of that what is to be handed over again next.
    nominations: Mutex<(Nominations, VecDeque<Datagram>)>,
}

type Datagram = (RecvMeta, Vec<u8>);

impl HoldingSocket {
    fn held(&self) -> MutexGuard<'_, VecDeque<Datagram>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nominations(&self) -> MutexGuard<'_, (Nominations, VecDeque<Datagram>)> {
        self.nominations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was kept back and may be handed over now.
    fn kept_back(&self, open: bool) -> Option<Datagram> {
        if open && let Some(datagram) = self.held().pop_front() {
            return Some(datagram);
        }
        self.nominations().1.pop_front()
    }

    /// Looks through what was received for nominations, and for what makes them due.
    fn watch(&self, n: usize, bufs: &[IoSliceMut<'_>], meta: &[RecvMeta]) {
        for (buf, meta) in bufs.iter().zip(meta).take(n) {
            let received = &buf[..meta.len.min(buf.len())];
            for datagram in received.chunks(meta.stride.max(1)) {
                let (nominations, due) = &mut *self.nominations();
                if let Some(again) = nominations.received(meta.addr, datagram) {
                    let mut from = *meta;
                    (from.len, from.stride) = (again.len(), again.len());
                    due.push_back((from, again));
                }
            }
        }
    }

    /// Takes DTLS out of the first `n` datagrams received; gives how many are left, at the front.
    fn hold_dtls(&self, n: usize, bufs: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> usize {
        let mut kept = 0;
        for i in 0..n {
            let len = meta[i].len.min(bufs[i].len());
            if is_dtls(&bufs[i][..len]) {
                let mut held = self.held();
                if held.len() < HELD {
                    held.push_back((meta[i], bufs[i][..len].to_vec()));
                }
                continue;
            }
            if kept != i {
                let (front, back) = bufs.split_at_mut(i);
                front[kept][..len].copy_from_slice(&back[0][..len]);
                meta[kept] = meta[i];
            }
            kept += 1;
        }
        kept
    }
}

/// By the first byte, 20 to 63 (RFC 9443, 3); also of what came through a relay.
fn is_dtls(datagram: &[u8]) -> bool {
    let dtls = |data: &[u8]| data.first().is_some_and(|b| (20..=63).contains(b));
    dtls(datagram) || relayed_payload(datagram).is_some_and(dtls)
}

impl AsyncUdpSocket for HoldingSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        if self.gate.is_dark() {
            return Poll::Ready(Ok(transmit.contents.len()));
        }
        for datagram in transmit.contents.chunks(transmit.segment_size.unwrap_or(usize::MAX).max(1)) {
            self.nominations().0.sent(datagram);
        }
        self.inner.poll_send(cx, transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let open = self.gate.is_open(cx);
            if let Some((from, datagram)) = self.kept_back(open) {
                if let (Some(buf), Some(meta)) = (bufs.first_mut(), meta.first_mut())
                    && buf.len() >= datagram.len()
                {
                    buf[..datagram.len()].copy_from_slice(&datagram);
                    *meta = from;
                    return Poll::Ready(Ok(1));
                }
                continue;
            }
            let received = self.inner.poll_recv(cx, bufs, meta);
            if matches!(received, Poll::Ready(Ok(_))) && self.gate.is_dark() {
                continue;
            }
            if let Poll::Ready(Ok(n)) = received {
                self.watch(n, bufs, meta);
            }
            return match received {
                Poll::Ready(Ok(n)) if !open => match self.hold_dtls(n, bufs, meta) {
                    0 => continue,
                    kept => Poll::Ready(Ok(kept)),
                },
                other => other,
            };
        }
    }

    fn max_gso_segments(&self) -> usize {
        self.inner.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.inner.max_gro_segments()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rtc::ice::attributes::use_candidate::UseCandidateAttr;
    use rtc::stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Message, MessageType, Setter, TransactionId};

    const HELLO: &[u8] = &[22, 254, 253, 0];
    const STUN: &[u8] = &[0, 1, 0, 0];

    /// Of one transaction, nominating or not.
    fn stun(kind: MessageType, nominates: bool) -> Vec<u8> {
        let mut parts: Vec<Box<dyn Setter>> = vec![Box::new(kind), Box::new(TransactionId([7; 12]))];
        if nominates {
            parts.push(Box::new(UseCandidateAttr::new()));
        }
        let mut message = Message::new();
        message.build(&parts).unwrap();
        message.raw
    }

    fn runtime(gate: &Gate) -> HoldingRuntime {
        let (relays, _) =
            Relays::new(&[], Default::default(), false, tokio::sync::mpsc::unbounded_channel().0).unwrap();
        HoldingRuntime::new(gate.clone(), relays)
    }

    async fn sockets() -> (Arc<dyn AsyncUdpSocket>, Gate, tokio::net::UdpSocket) {
        let gate = Gate::default();
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        let theirs = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        theirs.connect(ours.local_addr().unwrap()).await.unwrap();
        (runtime(&gate).wrap_udp_socket(ours).unwrap(), gate, theirs)
    }

    async fn receive(socket: &Arc<dyn AsyncUdpSocket>) -> Vec<u8> {
        let mut buf = vec![0; 2000];
        let (n, _) = socket.recv_from(&mut buf).await.unwrap();
        buf.truncate(n);
        buf
    }

    #[tokio::test]
    async fn dtls_before_ice_is_up_comes_when_it_is_up() {
        let (socket, gate, far) = sockets().await;
        far.send(HELLO).await.unwrap();
        far.send(STUN).await.unwrap();
        assert_eq!(receive(&socket).await, STUN);
        let waiting = tokio::spawn(async move { receive(&socket).await });
        tokio::task::yield_now().await;
        gate.open();
        assert_eq!(waiting.await.unwrap(), HELLO);
    }

    #[tokio::test]
    async fn the_drivers_sleep_ends_when_ice_comes_up() {
        let gate = Gate::default();
        let sleep = runtime(&gate).sleep(Duration::from_secs(3600));
        gate.open();
        sleep.await;
    }

    #[tokio::test]
    async fn an_unanswered_nomination_comes_again_behind_the_answer_to_our_check() {
        let (socket, _gate, far) = sockets().await;
        far.send(&stun(BINDING_REQUEST, true)).await.unwrap();
        far.send(&stun(BINDING_SUCCESS, false)).await.unwrap();
        let nomination = receive(&socket).await;
        assert_eq!(receive(&socket).await, stun(BINDING_SUCCESS, false));
        assert_eq!(receive(&socket).await, nomination);
    }

    #[tokio::test]
    async fn a_nomination_that_we_answered_comes_once() {
        let (socket, _gate, far) = sockets().await;
        far.send(&stun(BINDING_REQUEST, true)).await.unwrap();
        receive(&socket).await;
        socket.send_to(&stun(BINDING_SUCCESS, false), far.local_addr().unwrap()).await.unwrap();
        far.send(&stun(BINDING_SUCCESS, false)).await.unwrap();
        far.send(STUN).await.unwrap();
        assert_eq!(receive(&socket).await, stun(BINDING_SUCCESS, false));
        assert_eq!(receive(&socket).await, STUN);
    }

    #[tokio::test]
    async fn once_ice_is_up_everything_passes() {
        let (socket, gate, far) = sockets().await;
        gate.open();
        far.send(HELLO).await.unwrap();
        assert_eq!(receive(&socket).await, HELLO);
    }
}
