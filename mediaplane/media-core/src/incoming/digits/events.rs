//! Telephone events that come in (RFC 4733): which packets belong to one press, when it ends, and how long it was.

use clock::{Duration, Instant};
use contract::ClockRate;
use rtp_wire::{Header, RtpTime, Seq, Ssrc, TelephoneEvent};

/// An event that is older than the last one by less than this is a late packet of an earlier press.
const LATE_SECONDS: i32 = 10;
/// ... unless its number is older by more than this: then the sender plays a recording.
const LATE_PACKETS: i16 = 1_000;
/// A packet that was sent twice, or comes late, comes within this time.
const COPY_WITHIN: Duration = Duration::from_millis(500);
/// A long press goes on in a new segment so many ticks later (RFC 4733 §2.5.1.3).
const SEGMENT_TICKS: i32 = 0xffff;
/// A press of the same key does not begin so soon after the beginning of another that has not ended: tone and pause take 80 ms
/// (ITU-T Q.24). Some senders give each packet of one press a timestamp of its own.
const SAME_PRESS_MS: i32 = 60;

/// What a packet of an event says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Said {
    /// A press begins.
    pub(super) begins: bool,
    /// The press is over.
    pub(super) ends: bool,
}

/// The last event that was heard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Events {
    ssrc: Ssrc,
    time: RtpTime,
    seq: Seq,
    /// When the last packet of it came.
    at: Instant,
    /// Of the press before, of which copies of the end may still come.
    before: Option<(Ssrc, RtpTime)>,
    event: u8,
    ended: bool,
    any: bool,
    clock: ClockRate,
    /// The longest duration that was told since `time`.
    ticks: u16,
    /// Ticks of earlier segments.
    earlier_ticks: u32,
}

impl Events {
    /// Takes an event packet. A press is known by its timestamp, so neither its marker bit nor its first packets are needed, and
    /// its end may come three times or before its middle.
    pub(super) fn take(&mut self, header: &Header, event: &TelephoneEvent, clock: ClockRate, at: Instant) -> Said {
        let (ssrc, time, seq) = (header.ssrc, header.time, header.seq);
        let is_behind = seq.since(self.seq) < 0;
        let is_played_again = self.ended && !event.end && is_behind && at.since(self.at) > COPY_WITHIN;
        let later = time.since(self.time);
        let goes_on = self.any && event.event == self.event && !self.ended;
        if self.any && ssrc == self.ssrc {
            if later == 0 && !is_played_again {
                self.note(seq, at);
                return self.go_on(event);
            }
            let is_late = later < 0 && later > -LATE_SECONDS * clock.hz() as i32;
            if is_late && seq.since(self.seq) > -LATE_PACKETS && at.since(self.at) < COPY_WITHIN {
                return Said::default();
            }
            let is_segment = later == SEGMENT_TICKS;
            if goes_on && (is_segment || later <= SAME_PRESS_MS * (clock.hz() / 1_000) as i32) {
                self.earlier_ticks = self.earlier_ticks.saturating_add(later as u32);
                (self.time, self.ticks) = (time, 0);
                self.note(seq, at);
                return self.go_on(event);
            }
        } else if goes_on && later == 0 {
            // The sender has another SSRC from now on.
            self.ssrc = ssrc;
            self.note(seq, at);
            return self.go_on(event);
        }
        if self.any && self.before == Some((ssrc, time)) && at.since(self.at) < COPY_WITHIN {
            return Said::default();
        }
        let before = self.any.then_some((self.ssrc, self.time));
        let (event_code, ended, ticks) = (event.event, event.end, event.duration);
        *self =
            Self { ssrc, time, seq, at, before, event: event_code, ended, any: true, clock, ticks, earlier_ticks: 0 };
        Said { begins: true, ends: ended }
    }

    fn note(&mut self, seq: Seq, at: Instant) {
        (self.seq, self.at) = (seq, at);
    }

    /// One more packet of the press in hand.
    fn go_on(&mut self, event: &TelephoneEvent) -> Said {
        if self.ended {
            return Said::default();
        }
        // A sender that counts on beyond 16 bits where it should begin a segment.
        if self.ticks - self.ticks.min(event.duration) > 0x8000 {
            self.earlier_ticks = self.earlier_ticks.saturating_add(0x1_0000);
            self.ticks = event.duration;
        }
        self.ticks = self.ticks.max(event.duration);
        self.ended = event.end;
        Said { begins: false, ends: event.end }
    }

    /// No end will come any more.
    pub(super) fn give_up(&mut self) {
        self.ended = true;
    }

    /// How long the press was, or is so far.
    pub(super) fn duration_ms(&self) -> u32 {
        let ticks = u64::from(self.earlier_ticks) + u64::from(self.ticks);
        (ticks * 1_000 / u64::from(self.clock.hz().max(1))).min(u32::MAX.into()) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(ssrc: u32, time: u32) -> Header {
        Header {
            marker: false,
            payload_type: 101,
            seq: rtp_wire::Seq(0),
            time: RtpTime(time),
            ssrc: Ssrc(ssrc),
            payload_start: 12,
            payload_bytes: 4,
        }
    }

    /// The presses in packets of SSRC, timestamp, event, duration and end; with their durations in milliseconds where they ended.
    fn presses(packets: &[(u32, u32, u8, u16, bool)], clock: ClockRate) -> Vec<(u8, Option<u32>)> {
        let (mut state, mut presses) = (Events::default(), Vec::new());
        for (ssrc, time, event, duration, end) in packets {
            let event = TelephoneEvent { event: *event, end: *end, volume: 10, duration: *duration };
            let said = state.take(&header(*ssrc, *time), &event, clock, Instant::ZERO);
            if said.begins {
                presses.push((event.event, None));
            }
            if said.ends {
                presses.last_mut().expect("it has begun").1 = Some(state.duration_ms());
            }
        }
        presses
    }

    fn heard(packets: &[(u32, u32, u8, bool)]) -> Vec<u8> {
        let packets: Vec<_> = packets.iter().map(|it| (it.0, it.1, it.2, 160, it.3)).collect();
        presses(&packets, ClockRate::default()).into_iter().map(|(event, _)| event).collect()
    }

    #[test]
    fn a_press_is_told_once() {
        assert_eq!(heard(&[(1, 100, 5, false), (1, 100, 5, false), (1, 100, 5, true), (1, 100, 5, true)]), [5]);
        assert_eq!(heard(&[(1, 100, 5, true)]), [5], "all starts lost");
        assert_eq!(heard(&[(1, 100, 5, true), (1, 100, 5, false)]), [5], "end before the middle");
        assert_eq!(heard(&[(1, 100, 5, true), (1, 2_000, 5, false), (1, 100, 5, true)]), [5, 5], "late end");
        assert_eq!(heard(&[(1, u32::MAX, 1, true), (1, 900, 11, true)]), [1, 11], "timestamps wrap");
        assert_eq!(heard(&[(1, 100, 5, true), (2, 50, 6, true)]), [5, 6], "a new source");
        assert_eq!(
            heard(&[(1, 100, 5, true), (2, 50, 6, true), (1, 100, 5, true)]),
            [5, 6],
            "and a late end of the other"
        );
        assert_eq!(
            heard(&[(1, 100, 5, false), (2, 100, 5, false), (2, 100, 5, true)]),
            [5],
            "another SSRC within a press"
        );
        assert_eq!(heard(&[(1, 100, 5, false), (1, 900, 5, false)]), [5, 5], "all ends lost");
        assert_eq!(heard(&[(1, 100, 5, false), (1, 260, 5, false), (1, 420, 5, true)]), [5], "a timestamp a packet");
    }

    #[test]
    fn a_press_of_nine_seconds_is_one() {
        assert_eq!(heard(&[(1, 0, 5, false), (1, 65_535, 5, false), (1, 65_535, 5, true)]), [5]);
        assert_eq!(heard(&[(1, 0, 5, true), (1, 65_535, 5, false)]), [5, 5]);
    }

    #[test]
    fn durations_are_those_of_the_whole_press() {
        let hz = |hz| ClockRate::from_hz(hz).expect("a clock of RTP");
        assert_eq!(presses(&[(1, 0, 5, 160, false), (1, 0, 5, 800, true)], hz(8_000)), [(5, Some(100))]);
        assert_eq!(presses(&[(1, 0, 5, 4_800, true), (1, 0, 5, 960, false)], hz(48_000)), [(5, Some(100))]);
        let segments = [(1, 0, 5, 0xffff, false), (1, 65_535, 5, 160, false), (1, 65_535, 5, 8_001, true)];
        assert_eq!(presses(&segments, hz(8_000)), [(5, Some(9_192))]);
        assert_eq!(presses(&segments, hz(16_000)), [(5, Some(4_596))]);
        // 2 s at 48 kHz by a sender that does not know of segments.
        let wrapped = [(1, 0, 5, 65_280, false), (1, 0, 5, 704, false), (1, 0, 5, 30_464, true)];
        assert_eq!(presses(&wrapped, hz(48_000)), [(5, Some(2_000))]);
        // Packets that overtake each other.
        let mixed = [(1, 0, 5, 480, false), (1, 0, 5, 160, false), (1, 0, 5, 640, true), (1, 0, 5, 320, false)];
        assert_eq!(presses(&mixed, hz(8_000)), [(5, Some(80))]);
    }

    /// The packets of the captures that come with SIPp: one digit each, ten packets, the last three the same. Played one after the
    /// other they go back in number and time.
    #[test]
    fn captured_digits_of_sipp_are_heard_in_any_order() {
        let captures = [
            (0, 0x2f30, 0x44e0),
            (1, 0x1f30, 0x33e0),
            (2, 0x1f6a, 0x5aa0),
            (3, 0x1f97, 0x7940),
            (4, 0x1fb9, 0x9100),
            (5, 0x1fdb, 0xa8c0),
            (6, 0x1ffa, 0xbea0),
            (7, 0x201b, 0xd5c0),
            (8, 0x203d, 0xed80),
            (9, 0x2065, 0x10900),
            (11, 0x20f4, 0x169e0),
            (10, 0x20cd, 0x14f00),
        ];
        let (mut state, mut told, mut at) = (Events::default(), Vec::new(), Instant::ZERO);
        // "0 to 9, #, *" as the files are sorted, then single digits again.
        let order = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 5, 5, 0, 11, 10, 1];
        for capture in order {
            let (digit, first, time) = captures[capture];
            for packet in 0..10_u16 {
                let (index, end) = (packet.min(7), packet >= 7);
                let event = TelephoneEvent { event: digit, end, volume: 10, duration: 320 * index };
                let header = Header { seq: Seq(first + index), ..header(0x0e05_384e, time) };
                let said = state.take(&header, &event, ClockRate::default(), at);
                told.extend(said.begins.then_some(digit));
                if said.ends {
                    assert_eq!(state.duration_ms(), 280);
                }
                at += Duration::from_millis(if end { 0 } else { 20 });
            }
            at += Duration::from_secs(1);
        }
        assert_eq!(told, order.map(|capture| captures[capture].0));
    }
}
