//! One direction of a recording: where each packet belongs in time, and which never came.
//!
//! The first packet of a stream lies where it came; the others by their RTP timestamps, so that jitter does not tear the
//! sound and a loss leaves silence of its own length. Two directions are in step because both are measured against one
//! clock: a stream whose timestamps leave it (another source, a pause without time, a phone's clock that drifts) is put
//! where its packets come again.

/// Samples in a millisecond.
pub(super) const SAMPLES_PER_MS: u64 = 8;
/// A packet this much before its time is not of the same stream of timestamps.
const AHEAD_MAX: i64 = 240 * SAMPLES_PER_MS as i64;
/// And this much after: no network holds packets for so long.
const BEHIND_MAX: i64 = 2_000 * SAMPLES_PER_MS as i64;
/// So far from its time a stream may stay.
const DRIFT_MAX: i64 = 120 * SAMPLES_PER_MS as i64;
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
    /// When it came, in samples since the recording began.
    pub(super) came_at: u64,
    /// The first piece of its packet: the others only want a place.
    pub(super) is_first: bool,
}

#[derive(Default, Debug)]
pub(super) struct Track {
    stream: Option<Stream>,
    /// Packets of it, each once.
    pub(super) packets: u64,
    /// Expected and received of the streams before this one.
    earlier_lost: u64,
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
    /// The sample where the piece belongs; `None`: it is there already.
    pub(super) fn place(&mut self, stamp: Stamp) -> Option<i64> {
        let came_at = i64::try_from(stamp.came_at).unwrap_or(i64::MAX);
        let stream = match &mut self.stream {
            Some(stream) if stream.ssrc == stamp.ssrc => stream,
            _ => {
                self.earlier_lost = self.lost();
                self.packets += u64::from(stamp.is_first);
                self.stream = Some(Stream::new(stamp, came_at));
                return Some(came_at);
            }
        };
        if stamp.is_first {
            if !stream.count(stamp.seq) {
                return None;
            }
            self.packets += 1;
            stream.keep_in_step(stamp.time, came_at);
        }
        Some(stream.place_of(stamp.time))
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

    fn keep_in_step(&mut self, time: u32, came_at: i64) {
        let ahead = self.place_of(time) - came_at;
        self.strayed = if ahead.abs() > DRIFT_MAX { self.strayed + 1 } else { 0 };
        if !(-BEHIND_MAX..=AHEAD_MAX).contains(&ahead) || self.strayed > DRIFT_PACKETS {
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

    fn stamp(seq: u16, came_at_ms: u64) -> Stamp {
        let time = 1_000 + u32::from(seq) * 160;
        Stamp { ssrc: 1, time, seq, came_at: came_at_ms * SAMPLES_PER_MS, is_first: true }
    }

    #[test]
    fn jitter_moves_nothing_and_losses_leave_room() {
        let mut track = Track::default();
        assert_eq!(track.place(stamp(65_530, 100)), Some(800));
        let mut stamps: Vec<Stamp> =
            [1, 2, 5, 4].into_iter().map(|n| stamp(65_530 + n, 100 + 20 * u64::from(n) + 13)).collect();
        stamps.iter_mut().for_each(|stamp| stamp.time = 1_000 + u32::from(stamp.seq) * 160);
        let places: Vec<_> = stamps.iter().map(|stamp| track.place(*stamp)).collect();
        assert_eq!(places, [Some(960), Some(1_120), Some(1_600), Some(1_440)]);
        assert_eq!((track.packets, track.lost()), (5, 1));
        assert_eq!(track.place(stamps[2]), None, "a second copy");
        let mut rest = stamps[3];
        rest.is_first = false;
        rest.time += 240;
        assert_eq!(track.place(rest), Some(1_680), "another piece of a packet that came");
        assert_eq!((track.packets, track.lost()), (5, 1));
    }

    #[test]
    fn another_source_and_a_pause_without_time_lie_where_they_come() {
        let mut track = Track::default();
        track.place(stamp(1, 0));
        track.place(stamp(3, 40));
        // A phone whose clock stops while it is held.
        assert_eq!(track.place(stamp(4, 10_000)), Some(80_000));
        assert_eq!(track.place(stamp(5, 10_020)), Some(80_160));
        let other = Stamp { ssrc: 2, time: 7, seq: 900, came_at: 90_000, is_first: true };
        assert_eq!(track.place(other), Some(90_000));
        assert_eq!(track.lost(), 1, "of the first source");
        let jump = Stamp { time: 1_000_000, seq: 901, came_at: 90_160, ..other };
        assert_eq!(track.place(jump), Some(90_160));
    }

    #[test]
    fn a_clock_that_drifts_is_put_right_and_a_burst_is_not() {
        let mut track = Track::default();
        // One per mille fast for ten minutes: 600 ms.
        let mut farthest = 0;
        for n in 0..30_000_u64 {
            let mut stamp = stamp(n as u16, 0);
            (stamp.time, stamp.came_at) = ((n * 160) as u32, n * 160 - n * 160 / 1_000);
            let place = track.place(stamp).expect("each came once");
            farthest = farthest.max((place - stamp.came_at as i64).abs());
        }
        assert!(farthest <= DRIFT_MAX + 160, "{farthest}");
        assert_eq!(track.lost(), 0);
        // A network that stops for 400 ms, then delivers all.
        let mut track = Track::default();
        track.place(stamp(0, 0));
        let places: Vec<_> = (1..=20).map(|n| track.place(stamp(n, 400))).collect();
        assert_eq!(places, (1..=20).map(|n| Some(n * 160)).collect::<Vec<_>>());
    }
}
