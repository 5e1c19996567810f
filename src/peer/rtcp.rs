//! Reads the RTCP that passes (RFC 3550, 6.4): the far end's loss and jitter, and the round-trip time.
//!
//! The crate's own remote statistics stay at zero, and it keeps inbound RTCP from applications. This interceptor sits
//! next to the wire, where it sees our sender reports leave and the far end's reports arrive, and changes nothing.

use super::event::PeerEvent;
use chatphone_media::pipeline::NetworkReport;
use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

/// How the far end receives one of our streams (RFC 3550, 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RemoteReport {
    /// The stream of ours that it is about.
    pub ssrc: u32,
    /// Share of packets lost since the report before, 0 to 1.
    pub fraction_lost: f64,
    /// Packets lost since the beginning; negative when duplicates outnumber losses.
    pub packets_lost: i32,
    /// Interarrival jitter, in units of the stream's clock rate.
    pub jitter: u32,
    /// Round-trip time, when the report answers a sender report of ours.
    pub round_trip_time: Option<Duration>,
}

impl RemoteReport {
    /// The report as the sender of sound takes it; `clock_rate` is the stream's, in Hz.
    pub fn network(&self, clock_rate: u32) -> NetworkReport {
        NetworkReport {
            fraction_lost: self.fraction_lost,
            round_trip_time: self.round_trip_time,
            jitter: Duration::from_secs_f64(f64::from(self.jitter) / f64::from(clock_rate.max(1))),
        }
    }
}

/// How many of our sender reports are remembered: at one in a second, more than half a minute's worth.
const REMEMBERED: usize = 32;

/// The interceptor.
pub(super) struct RtcpTap {
    events: UnboundedSender<PeerEvent>,
    latest: watch::Sender<Option<RemoteReport>>,
    /// When RTCP last came, of any kind: the far end is there.
    heard: watch::Sender<Option<Instant>>,
    /// The stream of ours.
    ssrc: u32,
    /// The middle 32 bits of the NTP time in each sender report of ours, and when it left.
    sent: VecDeque<(u32, Instant)>,
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

impl RtcpTap {
    /// Next to the wire: below every interceptor that makes or eats RTCP.
    pub(super) const SLOT: usize = 500;

    /// A tap that reads the reports on the stream `ssrc`; those on streams that are not ours say nothing.
    pub(super) fn new(
        ssrc: u32,
        events: UnboundedSender<PeerEvent>,
        latest: watch::Sender<Option<RemoteReport>>,
        heard: watch::Sender<Option<Instant>>,
    ) -> Self {
        Self { events, latest, heard, ssrc, sent: VecDeque::new(), inbound: VecDeque::new(), outbound: VecDeque::new() }
    }

    fn sender_report_left(&mut self, ntp_time: u64, now: Instant) {
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back(((ntp_time >> 16) as u32, now));
    }

    fn report(&self, block: &ReceptionReport, now: Instant) -> RemoteReport {
        RemoteReport {
            ssrc: block.ssrc,
            fraction_lost: f64::from(block.fraction_lost) / 256.0,
            packets_lost: sign_extend_24(block.total_lost),
            jitter: block.jitter,
            round_trip_time: self.round_trip_time(block, now),
        }
    }

    /// A − LSR − DLSR (RFC 3550, 6.4.1), with A and LSR read off our own clock.
    fn round_trip_time(&self, block: &ReceptionReport, now: Instant) -> Option<Duration> {
        if block.last_sender_report == 0 {
            return None;
        }
        let (_, sent) = self.sent.iter().rev().find(|(ntp, _)| *ntp == block.last_sender_report)?;
        let held = Duration::from_secs_f64(f64::from(block.delay) / 65_536.0);
        // A far end that rounds its delay up would make a short way negative.
        Some(now.saturating_duration_since(*sent).saturating_sub(held))
    }
}

/// The cumulative loss is a signed number of 24 bits.
fn sign_extend_24(value: u32) -> i32 {
    ((value << 8) as i32) >> 8
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for RtcpTap {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &msg.message.packet {
            self.heard.send_replace(Some(msg.now));
            for packet in packets {
                let any = packet.as_any();
                let blocks = if let Some(rr) = any.downcast_ref::<ReceiverReport>() {
                    &rr.reports
                } else if let Some(sr) = any.downcast_ref::<SenderReport>() {
                    &sr.reports
                } else {
                    continue;
                };
                for block in blocks.iter().filter(|block| block.ssrc == self.ssrc) {
                    let report = self.report(block, msg.now);
                    self.latest.send_replace(Some(report));
                    // The receiver being gone means the peer is closing.
                    let _ = self.events.send(PeerEvent::RemoteReport(report));
                }
            }
        }
        self.inbound.push_back(msg);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inbound.pop_front()
    }

    fn handle_write(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &msg.message.packet {
            let ntp = packets.iter().filter_map(|p| p.as_any().downcast_ref::<SenderReport>().map(|sr| sr.ntp_time));
            for ntp_time in ntp.collect::<Vec<_>>() {
                self.sender_report_left(ntp_time, msg.now);
            }
        }
        self.outbound.push_back(msg);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outbound.pop_front()
    }
}

impl Interceptor for RtcpTap {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::unbounded_channel;

    fn block(lsr: u32, delay: u32) -> ReceptionReport {
        ReceptionReport { ssrc: 7, last_sender_report: lsr, delay, fraction_lost: 64, ..Default::default() }
    }

    #[test]
    fn the_round_trip_time_leaves_out_what_the_far_end_held_the_report() {
        let mut tap = RtcpTap::new(7, unbounded_channel().0, watch::channel(None).0, watch::channel(None).0);
        let sent = Instant::now();
        tap.sender_report_left(0x0000_1234_5678_0000, sent);
        // Held for half a second, back after 540 ms.
        let report = tap.report(&block(0x1234_5678, 32_768), sent + Duration::from_millis(540));
        assert_eq!(report.round_trip_time, Some(Duration::from_millis(40)));
        assert_eq!(report.fraction_lost, 0.25);
    }

    #[test]
    fn a_report_that_answers_none_of_ours_has_no_round_trip_time() {
        let tap = RtcpTap::new(7, unbounded_channel().0, watch::channel(None).0, watch::channel(None).0);
        assert_eq!(tap.report(&block(1, 0), Instant::now()).round_trip_time, None);
        assert_eq!(tap.report(&block(0, 0), Instant::now()).round_trip_time, None);
    }

    #[test]
    fn more_duplicates_than_losses_make_the_loss_negative() {
        assert_eq!(sign_extend_24(0x00FF_FFFF), -1);
        assert_eq!(sign_extend_24(5), 5);
    }
}
