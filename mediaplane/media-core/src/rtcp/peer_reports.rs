//! What the peer of a leg has reported by RTCP, from its first compound on.

use crate::leg::Leg;
use crate::rtcp::extended::ReceiverClock;
use crate::rtp_clock;
use clock::{Duration, Instant};
use rtp_wire::{ReportBlock, Ssrc, VoipMetrics};

/// A round trip that takes longer is none.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(60);
/// A step of the highest sequence number that is larger is none of one stream.
const STEP_MAX: u32 = 1 << 24;

/// What the peer has reported.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerReports {
    /// Its last SR: middle 32 bits of its NTP timestamp, and when it came; 0: none did (RFC 3550 §6.4.1).
    pub(crate) sr: (u32, Instant),
    /// Last round trip; 0: not known.
    pub(crate) round_trip_us: u32,
    /// Of the stream that we send, since the report before the last one, in 1/256.
    pub(crate) loss_fraction: u8,
    /// Of the stream that we send.
    pub(crate) jitter_us: u32,
    /// A report of the stream that we send has come since the stream was judged.
    pub(crate) is_new: bool,
    /// Reports of the stream that we send.
    pub(crate) report_count: u32,
    /// Its clock, where it sends none by SR.
    pub(crate) clock: ReceiverClock,
    /// Our clock as it was sent last without an SR: middle 32 bits of the NTP timestamp, and when; 0: never.
    pub(crate) our_clock: (u32, Instant),
    /// How the peer itself rates what it is sent (RFC 3611 §4.7).
    pub(crate) voip: Option<VoipMetrics>,
    total: Total,
}

/// The stream that we send, since its beginning.
#[derive(Clone, Debug, Default)]
struct Total {
    /// As in the last report.
    ssrc: Ssrc,
    highest_seq: u32,
    cumulative_lost: i32,
    /// Of all its sources.
    expected: u64,
    lost: i64,
    has_begun: bool,
}

/// Lost packets that come after all between two reports, at most.
const TAKEN_BACK_MAX: i64 = 64;

impl Total {
    /// Takes a report; `sent_packets` is what we sent until now.
    fn take(&mut self, block: &ReportBlock, sent_packets: u64) {
        let step = block.highest_seq.wrapping_sub(self.highest_seq);
        if !self.has_begun {
            // The report does not tell with which number the stream has begun.
            (self.expected, self.lost) = (sent_packets, block.cumulative_lost.into());
        } else if block.ssrc == self.ssrc && step < STEP_MAX {
            self.expected += u64::from(step);
            let more = i64::from(block.cumulative_lost) - i64::from(self.cumulative_lost);
            // Late packets take some back; a device that has just taken the call over begins to count anew.
            if more > -TAKEN_BACK_MAX {
                self.lost += more;
            }
        }
        (self.has_begun, self.ssrc) = (true, block.ssrc);
        (self.highest_seq, self.cumulative_lost) = (block.highest_seq, block.cumulative_lost);
    }
}

impl PeerReports {
    /// The part of the stream that we send that was lost since its beginning, 0 to 1; `None`: nothing has been reported.
    pub(crate) fn lost(&self) -> Option<f32> {
        let Total { expected, lost, has_begun, .. } = self.total;
        let lost = u64::try_from(lost).unwrap_or(0).min(expected);
        has_begun.then(|| if expected == 0 { 0.0 } else { (lost as f64 / expected as f64) as f32 })
    }

    /// A round trip that begins at `sent_at` and of which the peer took so many 1/65536 s.
    pub(crate) fn take_round_trip(&mut self, sent_at: Instant, kept: u32, at: Instant) {
        let kept = Duration::from_nanos((u64::from(kept) * 1_000_000_000) >> 16);
        // The delay counts in 15 us: a round trip that is shorter may come out as less than nothing.
        let round_trip = at.since(sent_at).saturating_sub(kept);
        if round_trip <= ROUND_TRIP_MAX {
            self.round_trip_us = (round_trip.as_micros() as u32).max(1);
        }
    }
}

impl Leg {
    /// A report on what we sent. The round trip is the time since our SR, less what the peer kept it (RFC 3550 §6.4.1).
    pub(crate) fn hear_of_us(&mut self, block: &ReportBlock, at: Instant) {
        if block.ssrc != self.sending.ssrc {
            return;
        }
        let (middle, sent_at) = self.reports.our_sr;
        let jitter_us = rtp_clock::micros(self.sending.clock, block.jitter.into());
        let peer = self.reports.peer_mut();
        (peer.loss_fraction, peer.jitter_us, peer.is_new) = (block.fraction_lost, jitter_us, true);
        peer.report_count = peer.report_count.wrapping_add(1);
        peer.total.take(block, self.sending.packets);
        if middle != 0 && middle == block.last_sr {
            peer.take_round_trip(sent_at, block.delay_since_last_sr, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_that_of_the_whole_stream_and_no_lie_makes_it_more_than_all() {
        let block = |ssrc, highest_seq, cumulative_lost| ReportBlock {
            ssrc: Ssrc(ssrc),
            highest_seq,
            cumulative_lost,
            ..ReportBlock::default()
        };
        let mut peer = PeerReports::default();
        assert_eq!(peer.lost(), None);
        peer.total.take(&block(1, 70_000, 10), 100);
        peer.total.take(&block(1, 70_100, 20), 200);
        assert_eq!(peer.lost(), Some(0.1));
        // Another source counts from its first report on.
        peer.total.take(&block(2, 5, 7), 300);
        peer.total.take(&block(2, 205, 27), 400);
        assert_eq!(peer.lost(), Some(0.1));
        for lie in [block(2, 4, i32::MAX), block(2, u32::MAX, i32::MIN), block(2, 0, i32::MAX)] {
            peer.total.take(&lie, u64::MAX);
            assert!((0.0..=1.0).contains(&peer.lost().unwrap()), "{lie:?}");
        }
    }
}
