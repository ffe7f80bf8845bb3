//! One direction of a recording: where each packet belongs in time, and which never came.
//!
//! The first packet of a stream lies where it came; the others by their RTP timestamps, so that jitter does not tear the
//! sound and a loss leaves silence of its own length. Two directions are in step because both are measured against one
//! clock: a stream whose timestamps leave it (another source, a pause without time, a phone's clock that drifts) is put
//! where its packets come again.

use clock::Duration;
use contract::ClockRate;

/// A packet this much before its time is not of the same stream of timestamps.
const AHEAD_MAX: Duration = Duration::from_millis(240);
/// And this much after: no network holds packets for so long.
const BEHIND_MAX: Duration = Duration::from_secs(2);
/// The longest packet of G.711 that a receive buffer holds: no piece of one lies farther from its first.
const PACKET_MAX: Duration = Duration::from_millis(256);
/// So far from its time a stream may stay.
const DRIFT_MAX: Duration = Duration::from_millis(120);
/// One that is farther away for so many packets is put right.
const DRIFT_PACKETS: u32 = 50;
/// A step of the sequence number that is no loss any more (RFC 3550 §A.1).
const DROPOUT_MAX: i16 = 3_000;
/// So far back a packet may come late, or twice.
const LATE_MAX: i16 = 64;

/// What the track needs to know of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) ssrc: u32,
    pub(super) time: u32,
    pub(super) seq: u16,
    /// When it came, in ticks since the recording began.
    pub(super) came_at: u64,
    /// The first piece of its packet: the others only want a place.
    pub(super) is_first: bool,
}

#[derive(Debug)]
pub(super) struct Track {
    /// Of its timestamps.
    clock: ClockRate,
    stream: Option<Stream>,
    /// The packet whose first piece was taken last, with the timestamp of that piece: the others have their place beside it.
    taken: Option<(Numbered, u32)>,
    /// Packets of it, each once.
    pub(super) packets: u64,
    /// Expected and received of the streams before this one.
    earlier_lost: u64,
}

/// A packet of a stream.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Numbered {
    ssrc: u32,
    seq: u16,
}

#[derive(Debug)]
struct Stream {
    ssrc: u32,
    /// This timestamp belongs at that sample.
    anchor: (u32, i64),
    strayed: u32,
    max_seq: u16,
    /// Which of the 64 packets up to `max_seq` came.
    window: u64,
    expected: u64,
    received: u64,
}

impl Track {
    /// Without a packet yet.
    pub(super) fn new(clock: ClockRate) -> Self {
        Self { clock, stream: None, taken: None, packets: 0, earlier_lost: 0 }
    }

    /// Packets that come from now on count time by another clock.
    pub(super) fn change_clock(&mut self, clock: ClockRate) {
        self.earlier_lost = self.lost();
        (self.clock, self.stream, self.taken) = (clock, None, None);
    }

    /// The tick where the piece belongs; `None`: it is there already, or its packet was not taken.
    pub(super) fn place(&mut self, stamp: Stamp) -> Option<i64> {
        let came_at = i64::try_from(stamp.came_at).unwrap_or(i64::MAX);
        let packet = Numbered { ssrc: stamp.ssrc, seq: stamp.seq };
        if !stamp.is_first {
            return self.place_beside(packet, stamp.time);
        }
        self.taken = None;
        let stream = match &mut self.stream {
            Some(stream) if stream.ssrc == stamp.ssrc => stream,
            _ => {
                self.earlier_lost = self.lost();
                self.packets += 1;
                self.stream = Some(Stream::new(stamp, came_at));
                self.taken = Some((packet, stamp.time));
                return Some(came_at);
            }
        };
        if !stream.count(stamp.seq) {
            return None;
        }
        self.packets += 1;
        stream.keep_in_step(stamp.time, came_at, self.clock);
        self.taken = Some((packet, stamp.time));
        Some(stream.place_of(stamp.time))
    }

    /// The place of a further piece of a packet: behind its first one, and not where a copy of the packet with another
    /// timestamp says, whose own first piece was lost.
    fn place_beside(&self, packet: Numbered, time: u32) -> Option<i64> {
        let (taken, first) = self.taken?;
        let is_beside = u64::from(time.wrapping_sub(first)) < self.clock.ticks(PACKET_MAX);
        let stream = self.stream.as_ref().filter(|_| taken == packet && is_beside)?;
        Some(stream.place_of(time))
    }

    /// Packets that never came.
    pub(super) fn lost(&self) -> u64 {
        let now = self.stream.as_ref().map_or(0, |stream| stream.expected.saturating_sub(stream.received));
        self.earlier_lost + now
    }
}

impl Stream {
    fn new(stamp: Stamp, came_at: i64) -> Self {
        Self {
            ssrc: stamp.ssrc,
            anchor: (stamp.time, came_at),
            strayed: 0,
            max_seq: stamp.seq,
            window: 1,
            expected: 1,
            received: 1,
        }
    }

    fn place_of(&self, time: u32) -> i64 {
        self.anchor.1 + i64::from(time.wrapping_sub(self.anchor.0) as i32)
    }

    fn keep_in_step(&mut self, time: u32, came_at: i64, clock: ClockRate) {
        let [ahead_max, behind_max, drift_max] =
            [AHEAD_MAX, BEHIND_MAX, DRIFT_MAX].map(|time| clock.ticks(time) as i64);
        let ahead = self.place_of(time) - came_at;
        self.strayed = if ahead.abs() > drift_max { self.strayed + 1 } else { 0 };
        if !(-behind_max..=ahead_max).contains(&ahead) || self.strayed > DRIFT_PACKETS {
            (self.anchor, self.strayed) = ((time, came_at), 0);
        }
    }

    /// Counts a packet; `false`: it came before.
    fn count(&mut self, seq: u16) -> bool {
        let step = seq.wrapping_sub(self.max_seq) as i16;
        if (1..DROPOUT_MAX).contains(&step) {
            self.window = self.window.checked_shl(step as u32).unwrap_or(0) | 1;
            self.max_seq = seq;
            self.expected += step as u64;
        } else if (-LATE_MAX + 1..=0).contains(&step) {
            let bit = 1_u64 << step.unsigned_abs();
            if self.window & bit != 0 {
                return false;
            }
            self.window |= bit;
        } else {
            // The stream begins anew; how much lies between nobody knows.
            (self.max_seq, self.window) = (seq, 1);
            self.expected += 1;
        }
        self.received += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clocks of G.711 and of wideband, and one whose millisecond is no whole number of ticks.
    fn clocks() -> [ClockRate; 3] {
        [8_000, 16_000, 44_100].map(|hz| ClockRate::from_hz(hz).unwrap())
    }

    fn ticks(clock: ClockRate, ms: u64) -> u64 {
        clock.ticks(Duration::from_millis(ms))
    }

    /// A packet of 20 ms.
    fn stamp(clock: ClockRate, seq: u16, came_at_ms: u64) -> Stamp {
        let time = 1_000 + u32::from(seq) * ticks(clock, 20) as u32;
        Stamp { ssrc: 1, time, seq, came_at: ticks(clock, came_at_ms), is_first: true }
    }

    #[test]
    fn jitter_moves_nothing_and_losses_leave_room() {
        for clock in clocks() {
            let mut track = Track::new(clock);
            let place = |ms| Some(ticks(clock, ms) as i64);
            assert_eq!(track.place(stamp(clock, 65_530, 100)), place(100));
            let stamps: Vec<Stamp> =
                [1, 2, 5, 4].into_iter().map(|n| stamp(clock, 65_530 + n, 100 + 20 * u64::from(n) + 13)).collect();
            let places: Vec<_> = stamps.iter().map(|stamp| track.place(*stamp)).collect();
            assert_eq!(places, [place(120), place(140), place(200), place(180)], "{clock:?}");
            assert_eq!((track.packets, track.lost()), (5, 1));
            let mut rest = stamps[3];
            rest.is_first = false;
            rest.time += ticks(clock, 30) as u32;
            assert_eq!(track.place(rest), place(210), "another piece of a packet that came");
            assert_eq!(track.place(stamps[2]), None, "a second copy");
            let far = Stamp { is_first: false, time: stamps[2].time.wrapping_add(1 << 30), ..stamps[2] };
            assert_eq!(track.place(far), None, "another piece of that copy, far ahead");
            assert_eq!(track.place(rest), None, "a piece whose packet is over");
            assert_eq!((track.packets, track.lost()), (5, 1));
        }
    }

    /// The queue was full when the first piece of a copy came, so that its second one follows the first packet's pieces.
    #[test]
    fn a_piece_of_a_copy_with_another_timestamp_has_no_place() {
        for clock in clocks() {
            let mut track = Track::new(clock);
            assert!(track.place(stamp(clock, 1, 0)).is_some());
            let first = stamp(clock, 2, 20);
            assert_eq!(track.place(first), Some(ticks(clock, 20) as i64));
            let piece = |time| Stamp { is_first: false, time, ..first };
            let further = |ms| piece(first.time.wrapping_add(ticks(clock, ms) as u32));
            for ms in [256, 300, 1_000, 60_000, 3_600_000] {
                assert_eq!(track.place(further(ms)), None, "{clock:?}: {ms} ms ahead");
                assert_eq!(
                    track.place(piece(first.time.wrapping_sub(ticks(clock, ms) as u32))),
                    None,
                    "{ms} ms behind"
                );
            }
            assert_eq!(track.place(further(30)), Some(ticks(clock, 50) as i64));
            assert_eq!((track.packets, track.lost()), (2, 0));
        }
    }

    #[test]
    fn another_source_and_a_pause_without_time_lie_where_they_come() {
        for clock in clocks() {
            let mut track = Track::new(clock);
            let place = |ms| Some(ticks(clock, ms) as i64);
            track.place(stamp(clock, 1, 0));
            track.place(stamp(clock, 3, 40));
            // A phone whose clock stops while it is held.
            assert_eq!(track.place(stamp(clock, 4, 10_000)), place(10_000));
            assert_eq!(track.place(stamp(clock, 5, 10_020)), place(10_020));
            let other = Stamp { ssrc: 2, time: 7, seq: 900, came_at: ticks(clock, 11_250), is_first: true };
            assert_eq!(track.place(other), place(11_250));
            assert_eq!(track.lost(), 1, "of the first source");
            let jump = Stamp { time: 1_000_000, seq: 901, came_at: ticks(clock, 11_270), ..other };
            assert_eq!(track.place(jump), place(11_270));
        }
    }

    #[test]
    fn a_clock_that_drifts_is_put_right_and_a_burst_is_not() {
        for clock in clocks() {
            let (packet, drift_max) = (ticks(clock, 20), ticks(clock, 120) as i64);
            let mut track = Track::new(clock);
            // One per mille fast for ten minutes: 600 ms.
            let mut farthest = 0;
            for n in 0..30_000_u64 {
                let mut stamp = stamp(clock, n as u16, 0);
                (stamp.time, stamp.came_at) = ((n * packet) as u32, n * packet - n * packet / 1_000);
                let place = track.place(stamp).expect("each came once");
                farthest = farthest.max((place - stamp.came_at as i64).abs());
            }
            assert!((drift_max..=drift_max + packet as i64).contains(&farthest), "{clock:?}: {farthest}");
            assert_eq!(track.lost(), 0);
            // A network that stops for 400 ms, then delivers all.
            let mut track = Track::new(clock);
            track.place(stamp(clock, 0, 0));
            let places: Vec<_> = (1..=20).map(|n| track.place(stamp(clock, n, 400))).collect();
            assert_eq!(places, (1..=20).map(|n| Some(n * packet as i64)).collect::<Vec<_>>(), "{clock:?}");
        }
    }
}
