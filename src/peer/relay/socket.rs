//! A UDP socket that reaches the servers of a peer too, each as if it were at an address of its own.

use super::inbox::Inbox;
use super::relays::{Hop, Relays};
use super::tunnel::Tunnel;
use bytes::Bytes;
use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};

#[derive(Debug)]
pub(super) struct RelaySocket {
    relays: Arc<Relays>,
    inner: Arc<dyn AsyncUdpSocket>,
    /// The same socket, for what waited for the look-up of a name.
    plain: Arc<UdpSocket>,
    is_v4: bool,
    inbox: Arc<Inbox>,
    /// An allocation belongs to one connection, so each socket has a stream of its own to each server.
    /// Credentials too: the number is theirs.
    tunnels: Mutex<HashMap<usize, (u32, Tunnel)>>,
}

impl RelaySocket {
    pub fn shared(
        relays: Arc<Relays>,
        inner: Arc<dyn AsyncUdpSocket>,
        plain: Arc<UdpSocket>,
    ) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let is_v4 = inner.local_addr()?.is_ipv4();
        let inbox = Arc::new(Inbox::new(is_v4));
        Ok(Arc::new(Self { relays, inner, plain, is_v4, inbox, tunnels: Mutex::default() }))
    }

    fn send_to_server(&self, cx: &mut Context<'_>, index: usize, datagram: &[u8]) -> Poll<io::Result<usize>> {
        match self.relays.sends(index, datagram, &self.plain, self.is_v4) {
            (signed, Hop::Tunnel(generation, address)) => {
                let mut tunnels = self.tunnels.lock().unwrap_or_else(PoisonError::into_inner);
                if tunnels.get(&index).is_none_or(|(of, _)| *of != generation) {
                    let (relays, inbox) = (Arc::clone(&self.relays), Arc::clone(&self.inbox));
                    tunnels.insert(index, (generation, Tunnel::start(relays, index, inbox, self.local_ip(), address)));
                }
                let Some((_, tunnel)) = tunnels.get(&index) else { return Poll::Ready(Ok(datagram.len())) };
                let dropped = tunnel.send(signed.unwrap_or_else(|| Bytes::copy_from_slice(datagram)));
                drop(tunnels);
                self.relays.count_dropped(index, dropped);
            }
            (signed, Hop::To(destination)) => {
                let contents = signed.as_deref().unwrap_or(datagram);
                let transmit = Transmit { destination, ecn: None, contents, segment_size: None, src_ip: None };
                std::task::ready!(self.inner.poll_send(cx, &transmit))?;
            }
            (_, Hop::Nowhere) => {}
            (_, Hop::NoAddress) => self.relays.has_no_address(index, self.is_v4),
        }
        Poll::Ready(Ok(datagram.len()))
    }

    fn local_ip(&self) -> IpAddr {
        let any: IpAddr = if self.is_v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        self.inner.local_addr().map_or(any, |a| a.ip())
    }

    /// Hands out what came from servers.
    fn take(&self, cx: &Context<'_>, bufs: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> usize {
        let mut n = 0;
        for (buf, meta) in bufs.iter_mut().zip(meta) {
            let Some((from, datagram)) = self.inbox.pop(cx) else { break };
            // What is longer than any buffer of the crate is no datagram of a peer.
            let len = datagram.len().min(buf.len());
            buf[..len].copy_from_slice(&datagram[..len]);
            *meta = RecvMeta::default();
            (meta.addr, meta.len, meta.stride) = (from, len, len.max(1));
            n += 1;
        }
        n
    }

    /// Takes what is from servers out of the first `n` messages; gives how many are left, at the front.
    fn keep_others(&self, n: usize, bufs: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> usize {
        let mut kept = 0;
        for i in 0..n {
            let len = meta[i].len.min(bufs[i].len());
            let from: SocketAddr = meta[i].addr;
            let mut of_server = false;
            for datagram in bufs[i][..len].chunks(meta[i].stride.max(1)) {
                of_server = self.relays.came(from, datagram, &self.inbox, |again| {
                    let _ = self.plain.send_to(&again, from);
                });
                if !of_server {
                    break;
                }
            }
            if of_server {
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

impl AsyncUdpSocket for RelaySocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let Some(index) = self.relays.index(transmit.destination) else { return self.inner.poll_send(cx, transmit) };
        let size = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        for datagram in transmit.contents.chunks(size) {
            std::task::ready!(self.send_to_server(cx, index, datagram))?;
        }
        Poll::Ready(Ok(transmit.contents.len()))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let taken = self.take(cx, bufs, meta);
            if taken > 0 {
                return Poll::Ready(Ok(taken));
            }
            match std::task::ready!(self.inner.poll_recv(cx, bufs, meta)) {
                Ok(n) => match self.keep_others(n, bufs, meta) {
                    0 => {}
                    kept => return Poll::Ready(Ok(kept)),
                },
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn max_gso_segments(&self) -> usize {
        self.inner.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.inner.max_gro_segments()
    }
}
