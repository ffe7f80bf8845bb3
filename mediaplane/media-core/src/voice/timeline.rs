//! Where the packets of a stream lie on a clock of samples that both directions of a leg share.

use clock::Instant;
use rtp_wire::{Header, RtpTime, Ssrc};

/// A packet that comes earlier than the stream so far has it by more than this: the stream was taken to be later than it is.
const EARLY_MS: i64 = 10;
/// A stream that has fallen behind by more than this is later now: its sender's clock is slow, or it paused.
const BEHIND_MS: i64 = 200;
/// Timestamps that step back by more than this, or forward by more than [`AHEAD_MS`], begin anew.
const BACK_MS: i64 = 300;
const AHEAD_MS: i64 = 2_000;

/// A stream's own clock, and where it stands on the shared one.
#[derive(Debug)]
pub(super) struct Timeline {
    /// Samples in a second of the shared clock.
    rate: u32,
    next: Option<Next>,
}

/// What follows on the packets so far.
#[derive(Clone, Copy, Debug)]
struct Next {
    ssrc: Ssrc,
    time: RtpTime,
    position: i64,
}

/// Where a packet lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Placed {
    /// Of its first sample.
    pub(super) position: i64,
    /// Samples that are missing before it; 0 where the stream begins anew.
    pub(super) missing: usize,
}

impl Timeline {
    pub(super) fn new(rate: u32) -> Self {
        Self { rate, next: None }
    }

    pub(super) fn rate(&self) -> u32 {
        self.rate
    }

    /// The position of a time.
    pub(super) fn position_of(&self, at: Instant) -> i64 {
        (u128::from(at.as_nanos()) * u128::from(self.rate) / 1_000_000_000) as i64
    }

    /// Puts a packet of so many samples in its place; `clock_hz` is that of its timestamps, `due` where its first sample would
    /// lie by the time at which it came or goes. `None`: it is late, or came before.
    pub(super) fn place(&mut self, header: &Header, clock_hz: u32, samples: usize, due: i64) -> Option<Placed> {
        let ticks = |samples: usize| (samples as u64 * u64::from(clock_hz) / u64::from(self.rate)) as u32;
        let ms = i64::from(self.rate) / 1_000;
        let expected = self.next.filter(|next| next.ssrc == header.ssrc).and_then(|next| {
            let ahead = i64::from(header.time.0.wrapping_sub(next.time.0) as i32);
            let ahead = ahead * i64::from(self.rate) / i64::from(clock_hz);
            (-BACK_MS * ms..=AHEAD_MS * ms).contains(&ahead).then_some((next.position, ahead))
        });
        let placed = match expected {
            Some((_, ahead)) if ahead < 0 => return None,
            Some((position, ahead)) => {
                let position = position + ahead;
                let is_where_it_was = (-EARLY_MS * ms..=BEHIND_MS * ms).contains(&(due - position));
                let missing = usize::try_from(ahead).unwrap_or_default();
                Placed { position: if is_where_it_was { position } else { due }, missing }
            }
            None => Placed { position: due, missing: 0 },
        };
        let time = RtpTime(header.time.0.wrapping_add(ticks(samples)));
        self.next = Some(Next { ssrc: header.ssrc, time, position: placed.position + samples as i64 });
        Some(placed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtp_wire::Seq;

    fn packet(ssrc: u32, time: u32) -> Header {
        let (payload_start, payload_bytes) = (12, 160);
        let (seq, ssrc) = (Seq(0), Ssrc(ssrc));
        Header { marker: false, payload_type: 0, seq, time: RtpTime(time), ssrc, payload_start, payload_bytes }
    }

    #[test]
    fn packets_lie_where_their_timestamps_say_whenever_they_come() {
        let mut timeline = Timeline::new(16_000);
        let mut place = |ssrc, time: u32, due_ms: i64| {
            timeline
                .place(&packet(ssrc, time), 8_000, 320, 16 * due_ms)
                .map(|placed| (placed.position / 16, placed.missing / 16))
        };
        let start = u32::MAX - 400;
        let at = |n: u32| start.wrapping_add(160 * n);
        assert_eq!(place(1, at(0), 1_000), Some((1_000, 0)));
        assert_eq!(place(1, at(1), 1_055), Some((1_020, 0)), "35 ms of jitter");
        assert_eq!(place(1, at(3), 1_060), Some((1_060, 20)), "a packet is lost, and the timestamp wraps");
        assert_eq!(place(1, at(2), 1_061), None, "it comes late");
        assert_eq!(place(1, at(3), 1_062), None, "it comes twice");
        assert_eq!(place(1, at(4), 1_050), Some((1_050, 0)), "the first one was late: the stream is earlier than that");
        assert_eq!(place(1, at(5), 1_400), Some((1_400, 0)), "the sender has fallen behind");
        assert_eq!(place(2, 77, 1_430), Some((1_430, 0)), "another stream");
        assert_eq!(place(2, 77 + 8_000 * 60, 1_450), Some((1_450, 0)), "its time jumps");
        assert_eq!(place(2, 78, 1_470), Some((1_470, 0)), "and back");
    }
}
