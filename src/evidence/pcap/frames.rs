//! Frames around what was said: IP, UDP, TCP.

use crate::evidence::record::Http;
use etherparse::PacketBuilder;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const HOPS: u8 = 64;
const WINDOW: u16 = 65_535;

/// No segment is longer, so that it fits into an IP packet.
const SEGMENT: usize = 16 * 1024;

/// Ports of this side, one for each exchange (RFC 6335, 6: dynamic ports).
const FIRST_PORT: u16 = 49_152;
const HTTP_PORT: u16 = 80;

/// Frames of a connection before its request.
pub(super) const AFTER_HANDSHAKE: usize = 3;

/// A UDP packet; `None` when it is too large, or the addresses are of two families.
pub(super) fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Option<Vec<u8>> {
    let builder = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), HOPS),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), HOPS),
        _ => return None,
    };
    let builder = builder.udp(from.port(), to.port());
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).ok()?;
    Some(frame)
}

/// A TCP connection that never was, for one exchange.
pub(super) struct Tcp {
    client: SocketAddr,
    server: SocketAddr,
    /// The next byte of each side.
    client_next: u32,
    server_next: u32,
}

impl Tcp {
    /// A connection to the server's address, if it is known.
    pub(super) fn new(id: u64, server: Option<&str>) -> Self {
        let known = server.and_then(|text| text.parse::<SocketAddr>().ok()).map(|server| server.ip().to_canonical());
        let server = known.unwrap_or(Ipv4Addr::new(192, 0, 2, 80).into());
        // RFC 5737 and RFC 3849: addresses of nobody.
        let client: IpAddr = match server {
            IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
            IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        };
        let ports = u64::from(u16::MAX - FIRST_PORT);
        let port = FIRST_PORT + u16::try_from(id % ports).unwrap_or_default();
        Self { client: (client, port).into(), server: (server, HTTP_PORT).into(), client_next: 0, server_next: 0 }
    }

    /// The connection is made, and the request sent.
    pub(super) fn request(&mut self, http: &Http) -> Vec<Vec<u8>> {
        let mut frames =
            vec![self.segment(true, "S", &[]), self.segment(false, "SA", &[]), self.segment(true, "A", &[])];
        let (kind, body) = body_of(http.request.as_ref(), http.request_bytes);
        let query = if http.query.is_empty() { String::new() } else { format!("?{}", http.query) };
        let mut head = format!(
            "{} {}{query} HTTP/1.1\r\nHost: {}\r\nAuthorization: (redacted)\r\n",
            http.method, http.path, http.host
        );
        if http.request_bytes > 0 {
            head += &format!("Content-Type: {kind}\r\n");
        }
        self.say(&mut frames, true, head, &body);
        frames
    }

    /// The answer comes, and the connection ends.
    pub(super) fn response(&mut self, http: &Http) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let Some(status) = http.status else {
            // Nobody answered.
            return vec![self.segment(true, "RA", &[])];
        };
        let (kind, body) = body_of(http.response.as_ref(), http.response_bytes);
        self.say(
            &mut frames,
            false,
            format!("HTTP/1.1 {status} {}\r\nContent-Type: {kind}\r\n", phrase(status)),
            &body,
        );
        frames.push(self.segment(false, "FA", &[]));
        frames.push(self.segment(true, "FA", &[]));
        frames.push(self.segment(false, "A", &[]));
        frames
    }

    fn say(&mut self, frames: &mut Vec<Vec<u8>>, client: bool, head: String, body: &[u8]) {
        let mut message = format!("{head}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        message.extend_from_slice(body);
        for piece in message.chunks(SEGMENT) {
            frames.push(self.segment(client, "PA", piece));
        }
        frames.push(self.segment(!client, "A", &[]));
    }

    fn segment(&mut self, client: bool, flags: &str, payload: &[u8]) -> Vec<u8> {
        let (from, to) = if client { (self.client, self.server) } else { (self.server, self.client) };
        let (next, other) = match client {
            true => (&mut self.client_next, self.server_next),
            false => (&mut self.server_next, self.client_next),
        };
        let sequence = *next;
        let counted = payload.len() as u32 + u32::from(flags.contains(['S', 'F']));
        *next = next.wrapping_add(counted);
        let builder = match (from.ip(), to.ip()) {
            (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), HOPS),
            (from, to) => PacketBuilder::ipv4(four(from), four(to), HOPS),
        };
        let mut tcp = builder.tcp(from.port(), to.port(), sequence, WINDOW);
        for flag in flags.chars() {
            tcp = match flag {
                'S' => tcp.syn(),
                'F' => tcp.fin(),
                'R' => tcp.rst(),
                'P' => tcp.psh(),
                _ => tcp.ack(other),
            };
        }
        let mut frame = Vec::with_capacity(tcp.size(payload.len()));
        // Segments are shorter than what IP carries.
        let _ = tcp.write(&mut frame, payload);
        frame
    }
}

fn four(ip: IpAddr) -> [u8; 4] {
    match ip {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(_) => [192, 0, 2, 1],
    }
}

fn body_of(body: Option<&Value>, bytes: u64) -> (&'static str, Vec<u8>) {
    match body {
        Some(value) => ("application/json", value.to_string().into_bytes()),
        None if bytes > 0 => ("text/plain", format!("({bytes} bytes, left out)").into_bytes()),
        None => ("application/json", Vec::new()),
    }
}

/// RFC 9110, 15: nobody may rely on it, but people read it.
fn phrase(status: u16) -> &'static str {
    reqwest::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    #[test]
    fn a_udp_packet_has_right_checksums_and_its_payload() {
        let frame = udp("10.0.0.1:4000".parse().unwrap(), "10.0.0.2:5000".parse().unwrap(), b"\x80abc").unwrap();
        let sliced = SlicedPacket::from_ip(&frame).unwrap();
        let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) = (&sliced.net, &sliced.transport) else {
            panic!("{sliced:?}")
        };
        assert_eq!((udp.source_port(), udp.destination_port(), udp.payload()), (4000, 5000, &b"\x80abc"[..]));
        assert_eq!(ip.header().header_checksum(), ip.header().to_header().calc_header_checksum());
        let sum = udp.to_header().calc_checksum_ipv4(&ip.header().to_header(), udp.payload()).unwrap();
        assert_eq!(udp.checksum(), sum);
    }

    #[test]
    fn addresses_of_two_families_make_no_packet() {
        assert!(udp("10.0.0.1:1".parse().unwrap(), "[::1]:1".parse().unwrap(), b"").is_none());
        assert!(udp("[::2]:1".parse().unwrap(), "[::1]:1".parse().unwrap(), b"x").is_some());
    }

    #[test]
    fn the_sequence_numbers_of_an_exchange_fit_together() {
        let http = Http {
            method: "GET".into(),
            path: "/x".into(),
            host: "cc.example".into(),
            status: Some(200),
            response: Some(serde_json::json!({"long": "x".repeat(40_000)})),
            ..Http::default()
        };
        let mut tcp = Tcp::new(1, Some("[::ffff:203.0.113.7]:443"));
        let frames = [tcp.request(&http), tcp.response(&http)].concat();
        let mut next = [None::<u32>; 2];
        for frame in &frames {
            let sliced = SlicedPacket::from_ip(frame).unwrap();
            let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else { panic!("{sliced:?}") };
            let side = usize::from(tcp.source_port() == HTTP_PORT);
            if let Some(next) = next[side] {
                assert_eq!(tcp.sequence_number(), next);
            }
            let counted = tcp.payload().len() as u32 + u32::from(tcp.syn() || tcp.fin());
            next[side] = Some(tcp.sequence_number() + counted);
            if tcp.ack() {
                assert_eq!(Some(tcp.acknowledgment_number()), next[1 - side]);
            }
        }
        assert!(frames.len() > 10 && next.iter().all(Option::is_some));
    }
}
