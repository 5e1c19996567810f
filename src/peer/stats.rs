use super::relay::Relays;
use super::rtcp::RemoteReport;
use rtc::peer_connection::transport::{RTCIceCandidatePair, RTCIceCandidateType};
use rtc::statistics::stats::ice_candidate_pair::{RTCIceCandidatePairStats, RTCStatsIceCandidatePairState};
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use webrtc::peer_connection::{RTCIceCandidate, RTCStatsReport};

/// One end of the candidate pair in use (W3C `RTCIceCandidateStats`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CandidateInfo {
    /// `host`, `srflx`, `prflx` or `relay` (RFC 8445, 5.1.1).
    pub candidate_type: String,
    /// `udp` or `tcp`.
    pub protocol: String,
    /// Address, absent where the browser hides it.
    pub address: Option<String>,
    /// Port.
    pub port: u16,
    /// What carries the media to the relay: `udp`, `tcp` or `tls`. Of a relayed candidate of this side alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay_protocol: Option<String>,
    /// The relay, as it was configured. Of a relayed candidate of this side alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl fmt::Display for CandidateInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address.as_deref().unwrap_or("?");
        write!(f, "{} {} {address}:{}", self.candidate_type, self.protocol, self.port)?;
        match (&self.url, &self.relay_protocol) {
            (Some(url), Some(protocol)) => write!(f, " of {url} over {}", protocol.to_uppercase()),
            _ => Ok(()),
        }
    }
}

/// What is known about the way of the packets (W3C webrtc-stats names).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PeerStats {
    /// The local end of the pair in use.
    pub local_candidate: Option<CandidateInfo>,
    /// The remote end of the pair in use.
    pub remote_candidate: Option<CandidateInfo>,
    /// Round-trip time of the last ICE check on the pair in use.
    pub current_round_trip_time: Option<Duration>,
    /// RTP bytes sent, without headers.
    pub bytes_sent: u64,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// Answers to our ICE checks: as long as these grow, the far end is there.
    pub responses_received: u64,
    /// The address of this machine that the packets leave from, where the pair in use tells it.
    pub local_address: Option<IpAddr>,
    /// The last report of the far end on what we send.
    pub remote_report: Option<RemoteReport>,
    /// Datagrams that were given up since the stream to the relay was slower than the media.
    pub relay_dropped: u64,
}

impl PeerStats {
    /// Round-trip time: from RTCP where the far end answers our reports, else from ICE checks.
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.remote_report.and_then(|r| r.round_trip_time).or(self.current_round_trip_time)
    }

    /// These figures, with the pair of `before` and what is known of it where there is none.
    pub fn or_way_of(self, before: Self) -> Self {
        if self.local_candidate.is_some() {
            return self;
        }
        Self {
            local_candidate: before.local_candidate,
            remote_candidate: before.remote_candidate,
            current_round_trip_time: self.current_round_trip_time.or(before.current_round_trip_time),
            remote_report: self.remote_report.or(before.remote_report),
            ..self
        }
    }

    pub(super) fn read(
        report: &RTCStatsReport,
        selected: Option<&RTCIceCandidatePair>,
        remote_report: Option<RemoteReport>,
        relays: &Relays,
    ) -> Self {
        let mut stats = Self {
            remote_report,
            local_candidate: selected.map(|pair| local_candidate(pair.local(), relays)),
            relay_dropped: relays.dropped(),
            remote_candidate: selected.map(|pair| candidate(pair.remote())),
            ..Self::default()
        };
        if let Some(pair) = selected_pair(report) {
            stats.current_round_trip_time =
                (pair.current_round_trip_time > 0.0).then(|| Duration::from_secs_f64(pair.current_round_trip_time));
        }
        stats.local_address = selected.and_then(|pair| own_address(pair.local()));
        stats.responses_received = report.candidate_pairs().map(|pair| pair.responses_received).sum();
        for stream in report.outbound_rtp_streams() {
            stats.bytes_sent += stream.sent_rtp_stream_stats.bytes_sent;
            stats.packets_sent += stream.sent_rtp_stream_stats.packets_sent;
        }
        stats
    }
}

/// The pair that carries the media: nominated, and busiest where several are.
fn selected_pair(report: &RTCStatsReport) -> Option<&RTCIceCandidatePairStats> {
    report
        .candidate_pairs()
        .filter(|p| p.nominated || p.state == RTCStatsIceCandidatePairState::Succeeded)
        .max_by_key(|p| (p.nominated, p.packets_sent + p.packets_received))
}

fn local_candidate(c: &RTCIceCandidate, relays: &Relays) -> CandidateInfo {
    let relay = c.address.parse().ok().and_then(|ip| relays.relaying(SocketAddr::new(ip, c.port)));
    let (url, protocol) = relay.unzip();
    CandidateInfo { url, relay_protocol: protocol.map(|p| p.to_string()), ..candidate(c) }
}

/// The address of this machine behind a candidate of ours: a host candidate's own, the base of a reflexive one. What
/// stands beside a relayed one is an address that the TURN server saw (RFC 8839, 5.1).
fn own_address(c: &RTCIceCandidate) -> Option<IpAddr> {
    let own = match c.typ {
        RTCIceCandidateType::Host => &c.address,
        RTCIceCandidateType::Srflx | RTCIceCandidateType::Prflx => &c.related_address,
        _ => return None,
    };
    own.parse().ok().filter(|address: &IpAddr| !address.is_unspecified())
}

fn candidate(c: &RTCIceCandidate) -> CandidateInfo {
    CandidateInfo {
        candidate_type: c.typ.to_string(),
        protocol: c.protocol.to_string(),
        address: Some(c.address.clone()).filter(|a| !a.is_empty()),
        port: c.port,
        relay_protocol: None,
        url: None,
    }
}
