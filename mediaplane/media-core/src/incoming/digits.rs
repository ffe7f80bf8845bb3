//! Telephone events that come in: told once for each press (RFC 4733).

use contract::ClockRate;
use rtp_wire::{Header, RtpTime, Ssrc, TelephoneEvent};

/// An event that is older than the last one by less than this is a late packet of an earlier press.
const LATE_SECONDS: i32 = 10;
/// A long press goes on in a new segment so many ticks later (RFC 4733 §2.5.1.3).
const SEGMENT_TICKS: i32 = 0xffff;

/// The last event that was heard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    ssrc: Ssrc,
    time: RtpTime,
    event: u8,
    ended: bool,
    any: bool,
}

impl Heard {
    /// Takes an event packet; says the digit where a press begins. A press is known by its timestamp, so neither its
    /// marker bit nor its first packets are needed, and its end may come three times or before its middle.
    pub(crate) fn take(&mut self, header: &Header, event: &TelephoneEvent, clock: ClockRate) -> Option<u8> {
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
        *self = Self { ssrc, time, event: event.event, ended: event.end, any: true };
        (event.event <= 15).then_some(event.event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            state.take(&header, &event, ClockRate::default())
        };
        packets.iter().filter_map(take).collect()
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
