//! Telephone events that come in: told once for each press (RFC 4733).

use clock::Instant;
use contract::ClockRate;
use rtp_wire::{Header, RtpTime, Ssrc, TelephoneEvent};

/// An event that is older than the last one by less than this is a late packet of an earlier press.
const LATE_SECONDS: i32 = 10;
/// A long press goes on in a new segment so many ticks later (RFC 4733 §2.5.1.3).
const SEGMENT_TICKS: i32 = 0xffff;

/// In the long run presses come no faster than this: a tone and the pause behind it have 40 ms each at least (ITU-T Q.24).
/// Each is told to signaling, whose queue is everybody's.
const PRESS_EVERY_MS: u32 = 50;
/// So many may come at once, where the network has held packets back.
const PRESSES_AT_ONCE: u32 = 32;

/// What an event packet begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Press {
    Digit(u8),
    /// A digit that no key can have made: it is not told.
    TooFast,
}

/// The last event that was heard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    ssrc: Ssrc,
    time: RtpTime,
    event: u8,
    ended: bool,
    any: bool,
    /// When the presses so far would have come at the fastest pace, in milliseconds that wrap: a leg is small.
    paced_until_ms: u32,
}

impl Heard {
    /// Takes an event packet that came at `at`; says the digit where a press begins. A press is known by its timestamp, so neither its
    /// marker bit nor its first packets are needed, and its end may come three times or before its middle.
    pub(crate) fn take(
        &mut self,
        header: &Header,
        event: &TelephoneEvent,
        clock: ClockRate,
        at: Instant,
    ) -> Option<Press> {
        let (ssrc, time) = (header.ssrc, header.time);
        if self.any && ssrc == self.ssrc {
            let later = time.since(self.time);
            if later == 0 {
                self.ended |= event.end;
                return None;
            }
            if later < 0 && later > -LATE_SECONDS * clock.hz() as i32 {
                return None;
            }
            if later == SEGMENT_TICKS && event.event == self.event && !self.ended {
                self.time = time;
                return None;
            }
        }
        *self = Self { ssrc, time, event: event.event, ended: event.end, any: true, ..*self };
        let is_digit = event.event <= 15;
        is_digit.then(|| if self.is_too_fast(at) { Press::TooFast } else { Press::Digit(event.event) })
    }

    fn is_too_fast(&mut self, at: Instant) -> bool {
        let at_ms = at.since(Instant::ZERO).as_millis() as u32;
        let ahead_ms = self.paced_until_ms.wrapping_sub(at_ms);
        // What is farther ahead is behind.
        let ahead_ms = if ahead_ms > PRESS_EVERY_MS * PRESSES_AT_ONCE { 0 } else { ahead_ms };
        let is_too_fast = ahead_ms > PRESS_EVERY_MS * (PRESSES_AT_ONCE - 1);
        if !is_too_fast {
            self.paced_until_ms = at_ms.wrapping_add(ahead_ms + PRESS_EVERY_MS);
        }
        is_too_fast
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clock::Duration;

    fn heard(packets: &[(u32, u32, u8, bool)]) -> Vec<u8> {
        let mut state = Heard::default();
        let take = |(ssrc, time, event, end): &(u32, u32, u8, bool)| {
            let event = TelephoneEvent { event: *event, end: *end, volume: 10, duration: 160 };
            let header = Header {
                marker: false,
                payload_type: 101,
                seq: rtp_wire::Seq(0),
                time: RtpTime(*time),
                ssrc: Ssrc(*ssrc),
                payload_start: 12,
                payload_bytes: 4,
            };
            match state.take(&header, &event, ClockRate::default(), Instant::ZERO)? {
                Press::Digit(digit) => Some(digit),
                Press::TooFast => None,
            }
        };
        packets.iter().filter_map(take).collect()
    }

    #[test]
    fn a_flood_of_presses_is_told_at_the_pace_of_keys() {
        let mut state = Heard::default();
        let mut press = |number: u32, at: Duration| {
            let event = TelephoneEvent { event: (number % 16) as u8, end: true, volume: 10, duration: 400 };
            let header = Header {
                marker: true,
                payload_type: 101,
                seq: rtp_wire::Seq(number as u16),
                time: RtpTime(number * 400),
                ssrc: Ssrc(number % 3),
                payload_start: 12,
                payload_bytes: 4,
            };
            state.take(&header, &event, ClockRate::default(), Instant::ZERO + Duration::from_secs(5) + at)
        };
        let is_told = |press: &Option<Press>| matches!(press, Some(Press::Digit(_)));
        // 10,000 a second for ten seconds: what comes at once, and then one every 50 ms.
        let flood = (0..100_000).map(|n| press(n, Duration::from_micros(u64::from(n) * 100)));
        assert_eq!(flood.filter(is_told).count(), 32 + 199);
        // A machine that dials as fast as it may is heard, once the flood is over.
        let machine =
            (0..200).map(|n| press(200_000 + n, Duration::from_secs(12) + Duration::from_millis(u64::from(n) * 80)));
        assert_eq!(machine.filter(is_told).count(), 200);
    }

    #[test]
    fn a_press_is_told_once() {
        assert_eq!(heard(&[(1, 100, 5, false), (1, 100, 5, false), (1, 100, 5, true), (1, 100, 5, true)]), [5]);
        assert_eq!(heard(&[(1, 100, 5, true)]), [5], "all starts lost");
        assert_eq!(heard(&[(1, 100, 5, true), (1, 100, 5, false)]), [5], "end before the middle");
        assert_eq!(heard(&[(1, 100, 5, true), (1, 2_000, 5, false), (1, 100, 5, true)]), [5, 5], "late end");
        assert_eq!(heard(&[(1, u32::MAX, 1, true), (1, 900, 11, true)]), [1, 11], "timestamps wrap");
        assert_eq!(heard(&[(1, 100, 5, true), (2, 50, 6, true)]), [5, 6], "a new source");
        assert_eq!(heard(&[(1, 100, 16, true)]), [] as [u8; 0], "a hook flash is no digit");
    }

    #[test]
    fn a_press_of_nine_seconds_is_one() {
        assert_eq!(heard(&[(1, 0, 5, false), (1, 65_535, 5, false), (1, 65_535, 5, true)]), [5]);
        assert_eq!(heard(&[(1, 0, 5, true), (1, 65_535, 5, false)]), [5, 5]);
    }
}
