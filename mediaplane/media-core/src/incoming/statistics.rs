//! What a leg receives, measured (RFC 3550 §6.4.1, §A.1, §A.3, §A.8).

use crate::incoming::loss_pattern::{LossPattern, LossSummary};
use crate::leg::Payload;
use crate::rtp_clock;
use clock::{Duration, Instant};
use contract::ClockRate;
use rtp_wire::{Header, RtpTime, Seq, Ssrc};

/// A step forward of so many packets is a restart (RFC 3550 §A.1).
const MOST_DROPOUT: i16 = 3_000;
/// So far back is still reordering (RFC 3550 §A.1).
const MOST_MISORDER: i16 = 100;

/// Ticks of the fastest RTP clock in a millisecond.
const MOST_TICKS_PER_MS: u64 = 96;
/// A timestamp may be ahead of the time that passed by so much.
const MOST_AHEAD: Duration = Duration::from_secs(1);

/// Where a stream was when its last packet came: what only its sender, and who hears it, can go on from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct StreamPoint {
    pub(crate) ssrc: Ssrc,
    pub(crate) seq: Seq,
    pub(crate) time: RtpTime,
    /// When that was; zero: there is no stream.
    pub(crate) at: Instant,
}

impl StreamPoint {
    /// Whether a packet that comes at `at` goes on with the stream: a chance of less than 2^-48 for a blind sender.
    pub(crate) fn leads_to(&self, header: &Header, at: Instant) -> bool {
        let elapsed_ms = (at.since(self.at) + MOST_AHEAD).as_millis() as u64;
        let ticks = u64::try_from(header.time.since(self.time));
        self.at != Instant::ZERO
            && header.ssrc == self.ssrc
            && (1..MOST_DROPOUT).contains(&header.seq.since(self.seq))
            && ticks.is_ok_and(|ticks| ticks <= elapsed_ms * MOST_TICKS_PER_MS)
    }
}

/// The stream that comes in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Receiving {
    pub(crate) sequence: Sequence,
    jitter: Jitter,
    /// Timestamp of the last packet.
    last_time: RtpTime,
    pub(crate) last_at: Instant,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) dropped: u64,
    /// A codec as number: of the last audio packet.
    pub(crate) codec: u8,
}

/// The sequence numbers of the source that sends now, and what came of the sources before it (RFC 3550 §A.1, §A.3).
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequence {
    pub(crate) ssrc: Ssrc,
    begun: bool,
    max_seq: Seq,
    /// Wraps of the sequence number, in its upper half.
    cycles: u32,
    base_seq: u32,
    /// Packets of this source since `base_seq`.
    received: u32,
    /// Which of the 64 packets up to `max_seq` came.
    window: u64,
    /// Where the sequence goes on if this is a restart and not a stray packet.
    restart_at: Option<Seq>,
    pub(crate) duplicates: u32,
    pub(crate) reordered: u32,
    /// Of the sources before this one.
    earlier_expected: u64,
    earlier_lost: i64,
    /// Bursts and gaps of lost packets, from the first loss on.
    losses: Option<Box<LossPattern>>,
}

/// How evenly packets come (RFC 3550 §A.8).
#[derive(Clone, Debug, Default)]
struct Jitter {
    transit: u32,
    timed: bool,
    /// Interarrival jitter in ticks, times 16.
    jitter_x16: u32,
    /// The clock that those are ticks of.
    clock: ClockRate,
}

/// What a packet is to the sequence.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arrival {
    /// One of the source that sends now, in any order.
    Counted,
    /// The first of another source, or of one that has jumped.
    First,
    /// It does not count until the next one shows that the sequence has jumped.
    Stray,
}

impl Receiving {
    /// A packet was taken. Events keep the timestamp of their start (RFC 4733 §2.2), so they say nothing of jitter.
    #[inline]
    pub(crate) fn take(&mut self, header: &Header, at: Instant, packet_bytes: usize, payload: Payload) {
        self.packets += 1;
        self.bytes += packet_bytes as u64;
        let counts = self.sequence.take_next(header) || self.take_odd(header, payload.clock);
        (self.last_at, self.last_time) = (at, header.time);
        if !counts {
            return;
        }
        if !payload.is_event() {
            self.jitter.take(header.time, at, payload.clock);
        }
    }

    /// A packet of the peer came and is not wanted, for its payload type or while the peer is not heard: it is not lost.
    #[cold]
    pub(crate) fn pass_over(&mut self, header: &Header) {
        self.dropped += 1;
        let sequence = &mut self.sequence;
        if sequence.begun && header.ssrc == sequence.ssrc && !sequence.take_next(header) {
            sequence.take_odd(header);
        }
    }

    /// A packet that does not follow the last one. `false`: it does not count.
    #[cold]
    fn take_odd(&mut self, header: &Header, clock: ClockRate) -> bool {
        let step = header.seq.since(self.sequence.max_seq);
        let arrival = self.sequence.take_odd(header);
        if let (2.., Arrival::Counted, Some(losses)) = (step, arrival, self.sequence.losses.as_deref_mut()) {
            let ticks = u64::try_from(header.time.since(self.last_time)).unwrap_or(0);
            losses.see_packet_length(rtp_clock::micros(clock, ticks) / step.unsigned_abs() as u32);
        }
        self.jitter.timed &= arrival != Arrival::First;
        arrival != Arrival::Stray
    }

    /// Where the stream is.
    pub(crate) fn point(&self) -> StreamPoint {
        let Sequence { ssrc, max_seq: seq, .. } = self.sequence;
        StreamPoint { ssrc, seq, time: self.last_time, at: self.last_at }
    }

    pub(crate) fn jitter_ticks(&self) -> u32 {
        self.jitter.jitter_x16 >> 4
    }

    pub(crate) fn jitter_us(&self) -> u32 {
        rtp_clock::micros(self.jitter.clock, self.jitter.jitter_x16.into()) / 16
    }
}

impl Sequence {
    /// Counts a packet of the source that sends now, right behind the last of it. `false`: it is none.
    #[inline]
    fn take_next(&mut self, header: &Header) -> bool {
        if !self.begun || header.ssrc != self.ssrc || header.seq != self.max_seq.next() {
            return false;
        }
        self.step_forward(header.seq, 1);
        true
    }

    #[inline]
    fn step_forward(&mut self, seq: Seq, step: u32) {
        if seq.0 < self.max_seq.0 {
            self.cycles = self.cycles.wrapping_add(1 << 16);
        }
        self.window = self.window.checked_shl(step).unwrap_or(0) | 1;
        self.max_seq = seq;
        self.received = self.received.wrapping_add(1);
    }

    /// A packet of another source, behind lost ones, out of order, again, or of a stream that jumped.
    fn take_odd(&mut self, header: &Header) -> Arrival {
        if !self.begun || header.ssrc != self.ssrc {
            self.restart(header);
            return Arrival::First;
        }
        let step = header.seq.since(self.max_seq);
        if (2..MOST_DROPOUT).contains(&step) {
            let (step, earlier) = (step.unsigned_abs().into(), self.earlier_expected as u32);
            self.step_forward(header.seq, step);
            let highest = self.highest_seq();
            let losses = self.losses.get_or_insert_with(|| Box::new(LossPattern::new(self.base_seq, earlier)));
            losses.lose(highest, step - 1);
            return Arrival::Counted;
        }
        if step <= 0 && step > -MOST_MISORDER {
            let behind = step.unsigned_abs().into();
            let bit = 1_u64.checked_shl(behind).unwrap_or(0);
            if self.window & bit != 0 {
                self.duplicates = self.duplicates.saturating_add(1);
            } else {
                self.reordered = self.reordered.saturating_add(1);
                self.window |= bit;
                let highest = self.highest_seq();
                if let Some(losses) = self.losses.as_deref_mut() {
                    losses.came_late(highest, behind);
                }
            }
            self.received = self.received.wrapping_add(1);
            return Arrival::Counted;
        }
        if self.restart_at == Some(header.seq) {
            self.restart(header);
            return Arrival::First;
        }
        self.restart_at = Some(header.seq.next());
        Arrival::Stray
    }

    fn restart(&mut self, header: &Header) {
        self.earlier_expected += u64::from(self.since_start().0);
        self.earlier_lost += self.lost_now();
        let highest = self.highest_seq();
        if let Some(losses) = self.losses.as_deref_mut() {
            losses.restart(highest, header.seq.0.into());
        }
        (self.begun, self.ssrc, self.max_seq) = (true, header.ssrc, header.seq);
        (self.cycles, self.base_seq, self.received, self.window) = (0, u32::from(header.seq.0), 1, 1);
        self.restart_at = None;
    }

    /// Packets expected and received of the source that sends now.
    pub(crate) fn since_start(&self) -> (u32, u32) {
        if !self.begun {
            return (0, 0);
        }
        (self.highest_seq().wrapping_sub(self.base_seq).wrapping_add(1), self.received)
    }

    /// The highest sequence number with its cycles.
    pub(crate) fn highest_seq(&self) -> u32 {
        self.cycles.wrapping_add(u32::from(self.max_seq.0))
    }

    /// Something came.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Lost of the source that sends now; less than none where more came twice. Both counts wrap.
    pub(crate) fn lost_now(&self) -> i64 {
        let (expected, received) = self.since_start();
        i64::from(expected.wrapping_sub(received) as i32)
    }

    /// Lost of all sources.
    pub(crate) fn lost(&self) -> i64 {
        self.earlier_lost + self.lost_now()
    }

    /// How lost packets were spread, of all sources.
    pub(crate) fn losses(&self) -> LossSummary {
        self.losses.as_ref().map(|losses| losses.summary(self.highest_seq())).unwrap_or_default()
    }

    /// Expected of all sources.
    pub(crate) fn expected(&self) -> u64 {
        self.earlier_expected + u64::from(self.since_start().0)
    }
}

impl Jitter {
    #[inline]
    fn take(&mut self, time: RtpTime, at: Instant, clock: ClockRate) {
        if clock != self.clock {
            self.change_clock(clock);
        }
        let transit = rtp_clock::reading(self.clock, at).wrapping_sub(time.0);
        if self.timed {
            let difference = (transit.wrapping_sub(self.transit) as i32).unsigned_abs().min(1 << 24);
            self.jitter_x16 = self.jitter_x16 + difference - ((self.jitter_x16 + 8) >> 4);
        }
        (self.transit, self.timed) = (transit, true);
    }

    /// Another format with another clock: what was measured is told in its ticks from now on.
    #[cold]
    fn change_clock(&mut self, clock: ClockRate) {
        let jitter_x16 = u64::from(self.jitter_x16) * u64::from(clock.hz()) / u64::from(self.clock.hz());
        self.jitter_x16 = u32::try_from(jitter_x16).unwrap_or(u32::MAX);
        (self.clock, self.timed) = (clock, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clock::Duration;

    fn take(receiving: &mut Receiving, ssrc: u32, seq: u16, at_us: u64) {
        let header = Header {
            marker: false,
            payload_type: 0,
            seq: Seq(seq),
            time: RtpTime(u32::from(seq) * 160),
            ssrc: Ssrc(ssrc),
            payload_start: 12,
            payload_bytes: 160,
        };
        let payload = Payload { codec: contract::Codec::Pcmu as u8, ..Payload::default() };
        receiving.take(&header, Instant::ZERO + Duration::from_micros(at_us), 172, payload);
    }

    #[test]
    fn loss_duplicates_and_reordering_are_told_apart() {
        let mut receiving = Receiving::default();
        for seq in [65_533, 65_534, 0, 65_535, 1, 1, 5] {
            take(&mut receiving, 1, seq, 1_000);
        }
        assert_eq!((receiving.sequence.reordered, receiving.sequence.duplicates), (1, 1));
        assert_eq!(receiving.sequence.highest_seq(), 65_536 + 5);
        // 65,533 to 65,541 are nine; seven came, one of them twice: 2, 3, 4 are missing.
        assert_eq!((receiving.sequence.expected(), receiving.sequence.lost()), (9, 2));
        assert_eq!((receiving.packets, receiving.bytes), (7, 7 * 172));
    }

    #[test]
    fn what_came_and_is_not_wanted_is_not_lost() {
        let mut receiving = Receiving::default();
        take(&mut receiving, 1, 10, 1_000);
        for (ssrc, seq) in [(1, 11), (1, 13), (2, 14), (1, 12)] {
            let (payload_start, payload_bytes) = (12, 1);
            let (time, ssrc) = (RtpTime(u32::from(seq) * 160), Ssrc(ssrc));
            receiving.pass_over(&Header {
                marker: false,
                payload_type: 13,
                seq: Seq(seq),
                time,
                ssrc,
                payload_start,
                payload_bytes,
            });
        }
        take(&mut receiving, 1, 14, 5_000);
        assert_eq!((receiving.sequence.expected(), receiving.sequence.lost()), (5, 0));
        assert_eq!((receiving.packets, receiving.dropped), (2, 4));
    }

    #[test]
    fn a_stray_packet_is_not_a_restart_and_a_new_source_adds_up() {
        let mut receiving = Receiving::default();
        for seq in [10, 11, 40_000, 12] {
            take(&mut receiving, 1, seq, 1_000);
        }
        assert_eq!(receiving.sequence.lost(), 0);
        for seq in [40_000, 40_001, 40_003] {
            take(&mut receiving, 1, seq, 1_000);
        }
        assert_eq!(
            (receiving.sequence.lost_now(), receiving.sequence.lost()),
            (1, 1),
            "the restart begins at its second packet"
        );
        take(&mut receiving, 2, 7, 1_000);
        assert_eq!(
            (receiving.sequence.lost_now(), receiving.sequence.lost(), receiving.sequence.expected()),
            (0, 1, 3 + 3 + 1)
        );
    }

    #[test]
    fn jitter_is_that_of_the_rfc() {
        let mut receiving = Receiving::default();
        let mut expected = 0.0_f64;
        let mut before: Option<f64> = None;
        for seq in 0..500_u16 {
            let late_us = u64::from(seq) * 7_919 % 8_000;
            take(&mut receiving, 1, seq, u64::from(seq) * 20_000 + late_us);
            let transit = (late_us / 125) as f64;
            if let Some(before) = before {
                expected += ((transit - before).abs() - expected) / 16.0;
            }
            before = Some(transit);
        }
        let measured = f64::from(receiving.jitter_ticks());
        assert!((measured - expected).abs() < 1.5, "{measured} is not {expected}");
    }

    #[test]
    fn jitter_of_a_faster_clock_is_the_same_time() {
        let clock = ClockRate::from_hz(48_000).unwrap();
        let payload = Payload { codec: contract::Codec::Other as u8, clock, ..Payload::default() };
        let mut receiving = Receiving::default();
        for seq in 0..500_u16 {
            let time = RtpTime(u32::from(seq) * 960);
            let header = Header {
                marker: false,
                payload_type: 96,
                seq: Seq(seq),
                time,
                ssrc: Ssrc(1),
                payload_start: 12,
                payload_bytes: 80,
            };
            // Every other packet is 4 ms late: the transit changes by 4 ms each time.
            let at = Duration::from_millis(u64::from(seq) * 20 + 4 * u64::from(seq % 2));
            receiving.take(&header, Instant::ZERO + at, 92, payload);
        }
        assert!((3_900..=4_000).contains(&receiving.jitter_us()), "{}", receiving.jitter_us());
        assert!((187..=192).contains(&receiving.jitter_ticks()), "{}", receiving.jitter_ticks());
    }
}
