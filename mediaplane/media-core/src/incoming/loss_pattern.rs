//! Bursts and gaps of lost packets (RFC 3611 §4.7.2): the Markov counters of its appendix A.2. They are touched when a packet is
//! missing or comes out of order, never by one that follows the one before it.

use clock::Duration;

/// Packets received in a row that end a burst.
const GAP_PACKETS_MIN: u32 = rtp_wire::GAP_PACKETS_MIN as u32;
/// A packet that comes behind so many later ones comes too late for a listener: it counts as discarded.
const REORDERED_MAX: u32 = 16;
/// Until the stream has shown how long its packets are (RFC 3551 §4.2).
const USUAL_PACKET_US: u32 = 20_000;
/// Lengths of a packet that are believed.
const PACKET_US: std::ops::RangeInclusive<u32> = 2_500..=120_000;

/// What a leg remembers of lost packets, from the first one on.
#[derive(Clone, Debug)]
pub(crate) struct LossPattern {
    /// Sequence number, with its cycles, up to which `missing` is known.
    highest: u32,
    /// Numbers that are missing and may still come: bit n is `highest` less n.
    missing: u32,
    /// The lost packet that was counted last; the one before the first of the source where there is none yet.
    last_lost: u32,
    /// Packets that sources before this one sent since the last loss.
    carried: u32,
    /// Lost packets since the last gap, one of which may be a single loss.
    since_gap: u32,
    transitions: Transitions,
    lost: u32,
    /// Runs of lost packets.
    runs: u32,
    discarded: u32,
    packet_us: u32,
}

/// How often the stream went from one state to another: 1 received in a gap, 4 lost in a gap, 2 received in a burst, 3 lost in a
/// burst.
#[derive(Clone, Copy, Debug, Default)]
struct Transitions {
    c11: u64,
    c13: u64,
    c14: u64,
    c22: u64,
    c23: u64,
    c33: u64,
}

/// A stream's losses, summed up. Without any, all is zero but the burst ratio.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct LossSummary {
    /// Packets that came too late.
    pub(crate) discarded: u32,
    /// Parts of the packets within bursts and within gaps that were lost, 0 to 1.
    pub(crate) burst_density: f32,
    pub(crate) gap_density: f32,
    /// Mean lengths; zero where there was no burst.
    pub(crate) burst: Duration,
    pub(crate) gap: Duration,
    /// How much longer the runs of lost packets are than those of independent losses (G.107 §7.5), at least 1.
    pub(crate) burst_ratio: f32,
}

impl Default for LossSummary {
    fn default() -> Self {
        let none = Duration::ZERO;
        Self { discarded: 0, burst_density: 0.0, gap_density: 0.0, burst: none, gap: none, burst_ratio: 1.0 }
    }
}

impl LossPattern {
    /// Of a source whose first packet has the number `first`, with the packets of sources before it.
    pub(crate) fn new(first: u32, earlier: u32) -> Self {
        Self {
            highest: first,
            missing: 0,
            last_lost: first.wrapping_sub(1),
            carried: earlier,
            since_gap: 0,
            transitions: Transitions::default(),
            lost: 0,
            runs: 0,
            discarded: 0,
            packet_us: USUAL_PACKET_US,
        }
    }

    /// The packet `highest` came, and so many before it did not.
    pub(crate) fn lose(&mut self, highest: u32, count: u32) {
        self.advance(highest);
        // What is further behind cannot come in time any more.
        let certain = count.saturating_sub(REORDERED_MAX - 1);
        if certain > 0 {
            self.count(highest.wrapping_sub(count), certain);
        }
        let open = count - certain;
        self.missing |= ((1 << open) - 1) << 1;
    }

    /// A packet came behind later ones, `highest` among them. `packets_behind` is how far.
    pub(crate) fn came_late(&mut self, highest: u32, packets_behind: u32) {
        self.advance(highest);
        let bit = 1_u32.checked_shl(packets_behind).unwrap_or(0);
        if self.missing & bit != 0 {
            self.missing &= !bit;
        } else {
            self.discarded = (self.discarded + 1).min(self.lost);
        }
    }

    /// A packet of so many microseconds, as the stream's timestamps say.
    pub(crate) fn see_packet_length(&mut self, packet_us: u32) {
        if PACKET_US.contains(&packet_us) {
            self.packet_us = packet_us;
        }
    }

    /// Another source, or a jump of the numbers: it goes on behind `highest` with `first`.
    pub(crate) fn restart(&mut self, highest: u32, first: u32) {
        self.advance(highest);
        self.count_open();
        self.carried = self.carried.wrapping_add(highest.wrapping_sub(self.last_lost));
        (self.highest, self.missing, self.last_lost) = (first, 0, first.wrapping_sub(1));
    }

    /// Numbers up to `highest` have come, apart from those that are missing; old ones of these are lost.
    fn advance(&mut self, highest: u32) {
        let step = highest.wrapping_sub(self.highest);
        while self.missing != 0 {
            let oldest = self.missing.ilog2();
            if oldest.saturating_add(step) < REORDERED_MAX {
                break;
            }
            self.count(self.highest.wrapping_sub(oldest), 1);
            self.missing &= !(1 << oldest);
        }
        self.missing = self.missing.checked_shl(step).unwrap_or(0);
        self.highest = highest;
    }

    /// All that are missing are lost.
    fn count_open(&mut self) {
        while self.missing != 0 {
            let oldest = self.missing.ilog2();
            self.count(self.highest.wrapping_sub(oldest), 1);
            self.missing &= !(1 << oldest);
        }
    }

    /// A run of lost packets, from `first` on (appendix A.2).
    fn count(&mut self, first: u32, count: u32) {
        let received = first.wrapping_sub(self.last_lost).wrapping_sub(1).wrapping_add(self.carried);
        let to = &mut self.transitions;
        if received >= GAP_PACKETS_MIN || self.since_gap == 0 {
            // The stream begins with a gap, however short.
            self.end_burst(received);
            self.since_gap = 1;
        } else {
            self.since_gap += 1;
            if received == 0 {
                to.c33 += 1;
            } else {
                to.c23 += 1;
                to.c22 += u64::from(received) - 1;
            }
        }
        self.transitions.c33 += u64::from(count) - 1;
        self.since_gap = self.since_gap.saturating_add(count - 1);
        self.runs = self.runs.saturating_add(u32::from(received > 0 || self.lost == 0));
        self.lost = self.lost.saturating_add(count);
        (self.last_lost, self.carried) = (first.wrapping_add(count - 1), 0);
    }

    /// So many packets came behind the last loss: what was since the gap before them was a burst, or a single loss.
    fn end_burst(&mut self, received: u32) {
        match self.since_gap {
            0 => {}
            1 => self.transitions.c14 += 1,
            _ => self.transitions.c13 += 1,
        }
        self.transitions.c11 += u64::from(received);
    }

    /// What has been lost until now, with the highest number of the source.
    pub(crate) fn summary(&self, highest: u32) -> LossSummary {
        let mut ended = self.clone();
        ended.advance(highest);
        ended.count_open();
        ended.end_burst(highest.wrapping_sub(ended.last_lost).wrapping_add(ended.carried));
        let Transitions { c11, c13, c14, c22, c23, c33 } = ended.transitions;
        let part = |of: u64, all: u64| if all == 0 { 0.0 } else { (of as f64 / all as f64) as f32 };
        let (c31, c32) = (c13, c23);
        let in_burst = c22 + c23 + c31 + c32 + c33;
        let (p32, p22) = (part(c32, c31 + c32 + c33), part(c22, c22 + c23));
        let mean = |packets: u64| {
            let micros = packets.saturating_mul(self.packet_us.into()).checked_div(c13).unwrap_or(0);
            Duration::from_micros(micros)
        };
        let mean_run = part(ended.lost.into(), ended.runs.into());
        let lost = part(ended.lost.into(), c11 + c14 + c13 + in_burst);
        LossSummary {
            discarded: ended.discarded,
            burst_density: if c13 == 0 { 0.0 } else { (1.0 - p22) / (1.0 - p22 + p32) },
            gap_density: part(c14, c11 + c14),
            burst: mean(in_burst),
            gap: mean(c11 + c14 + c13),
            burst_ratio: (mean_run * (1.0 - lost)).max(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pattern of a stream with the number 0 first: `1` came, anything else did not.
    fn pattern(stream: &str) -> (LossPattern, u32) {
        let mut pattern = LossPattern::new(0, 0);
        let mut missing = 0;
        for (number, sign) in stream.bytes().enumerate() {
            match sign {
                b'1' if missing > 0 => pattern.lose(number as u32, std::mem::take(&mut missing)),
                b'1' => {}
                _ => missing += 1,
            }
        }
        (pattern, stream.len() as u32 - 1)
    }

    /// The example of RFC 3611 §4.7.2: a burst of 12 packets, 4 of which are lost or discarded, between two gaps with 51
    /// packets, 2 of which are.
    #[test]
    fn the_example_of_the_rfc() {
        let (pattern, highest) = pattern("11110111111111111111111X111X1011110111111111111111111X111111111");
        let summary = pattern.summary(highest);
        assert!((summary.burst_density - 4.0 / 12.0).abs() < 0.001, "{summary:?}");
        assert!((summary.gap_density - 2.0 / 51.0).abs() < 0.001, "{summary:?}");
        // The formula of the appendix takes the first loss of the burst for one of the gap's packets.
        assert_eq!((summary.burst, summary.gap), (Duration::from_millis(12 * 20), Duration::from_millis(52 * 20)));
        let LossPattern { lost, runs, transitions, .. } = {
            let mut all = pattern;
            all.advance(highest + 100);
            all
        };
        assert_eq!((lost, runs, transitions.c23, transitions.c22), (6, 6, 3, 5));
    }

    #[test]
    fn single_losses_are_no_burst_and_a_run_is() {
        let stream = format!("{}0{}", "1".repeat(99), "1".repeat(100)).repeat(5);
        let (single, highest) = pattern(&stream);
        let summary = single.summary(highest);
        assert_eq!((summary.burst_density, summary.burst, summary.burst_ratio), (0.0, Duration::ZERO, 1.0));
        assert!((summary.gap_density - 5.0 / 1_000.0).abs() < 0.0005, "{summary:?}");
        let stream = format!("{}00000{}", "1".repeat(195), "1".repeat(200)).repeat(5);
        let (runs, highest) = pattern(&stream);
        let summary = runs.summary(highest);
        assert_eq!((summary.burst_density, summary.gap_density), (1.0, 0.0));
        assert_eq!(summary.burst, Duration::from_millis(5 * 20));
        assert!((summary.burst_ratio - 5.0 * (1.0 - 25.0 / 2_000.0)).abs() < 0.05, "{summary:?}");
    }

    #[test]
    fn a_packet_that_comes_in_time_was_never_lost_and_one_that_does_not_is_discarded() {
        let mut pattern = LossPattern::new(0, 0);
        pattern.lose(100, 2);
        pattern.came_late(101, 3);
        pattern.came_late(105, 6);
        assert_eq!(pattern.summary(200), LossSummary::default());
        pattern.lose(300, 1);
        pattern.came_late(340, 41);
        let summary = pattern.summary(400);
        assert_eq!((summary.discarded, summary.burst_density), (1, 0.0));
        assert!(summary.gap_density > 0.0);
        pattern.came_late(340, 41);
        assert_eq!(pattern.summary(400).discarded, 1, "no more than were lost");
    }

    #[test]
    fn numbers_wrap_jump_and_change_their_source() {
        let mut pattern = LossPattern::new(u32::MAX - 10, 0);
        pattern.lose(2, 3);
        assert_eq!(pattern.summary(50).burst_density, 1.0);
        pattern.restart(50, 7_000);
        pattern.lose(7_100, 1);
        let LossSummary { burst_density, gap_density, .. } = pattern.summary(7_200);
        assert_eq!(burst_density, 1.0);
        assert!((gap_density - 1.0 / 260.0).abs() < 0.001, "{gap_density}");
        pattern.lose(9_500, 2_299);
        assert!(pattern.summary(9_600).burst > Duration::from_secs(20));
    }

    #[test]
    fn any_order_of_events_gives_parts_of_a_whole() {
        let mut seed = 1_u32;
        let mut random = |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) % below
        };
        for _ in 0..2_000 {
            let (mut pattern, mut highest) = (LossPattern::new(random(u32::MAX >> 8), 0), 0);
            highest = pattern.highest.wrapping_add(highest);
            for _ in 0..50 {
                match random(4) {
                    0 => pattern.came_late(highest, random(100)),
                    1 => {
                        let first = random(1 << 20);
                        pattern.restart(highest, first);
                        highest = first;
                    }
                    _ => {
                        let count = 1 + random(2_998);
                        highest = highest.wrapping_add(count + 1 + random(40));
                        pattern.lose(highest, count);
                    }
                }
                let summary = pattern.summary(highest);
                assert!((0.0..=1.0).contains(&summary.burst_density), "{summary:?}");
                assert!((0.0..=1.0).contains(&summary.gap_density), "{summary:?}");
                assert!((1.0..1e6).contains(&summary.burst_ratio), "{summary:?}");
            }
        }
    }
}
