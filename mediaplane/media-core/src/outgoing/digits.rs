//! Telephone events that we send (RFC 4733 §2.5.1): one after the other, the end three times.

use crate::rtp_clock;
use clock::{Duration, Instant};
use contract::ClockRate;
use rtp_wire::{RtpTime, TelephoneEvent};

/// Digits that wait on one leg.
const MOST_WAITING: usize = 24;
/// Packets that say the end (RFC 4733 §2.5.1.4).
const END_PACKETS: u8 = 3;
/// Quiet between two digits, so that detectors see two.
const DIGIT_GAP: Duration = Duration::from_millis(60);
/// Level of the event in -dBm0.
const VOLUME: u8 = 10;

/// The digits of a leg that are still to be sent. Few legs ever send one: the others keep no memory for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dialling(Option<Box<Digits>>);

#[derive(Clone, Debug, Default)]
struct Digits {
    waiting: [(u8, u16); MOST_WAITING],
    count: u8,
    now: Option<Press>,
    not_before: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Press {
    digit: u8,
    time: RtpTime,
    total_ms: u16,
    sent_ms: u16,
    ends_left: u8,
}

/// The next packet of a press.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PressPacket {
    pub(crate) event: TelephoneEvent,
    /// Of the press, not of the packet.
    pub(crate) time: RtpTime,
    /// The first packet of the press.
    pub(crate) marker: bool,
}

impl Dialling {
    /// Adds a digit behind the others; false when too many wait.
    pub(crate) fn push(&mut self, digit: u8, duration_ms: u16) -> bool {
        self.0.get_or_insert_default().push(digit, duration_ms)
    }

    /// A press is on its way: audio is held back.
    #[inline]
    pub(crate) fn is_pressing(&self) -> bool {
        self.0.as_ref().is_some_and(|digits| digits.now.is_some())
    }

    /// Nothing to send any more.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.as_ref().is_none_or(|digits| digits.now.is_none() && digits.count == 0)
    }

    /// The packet to send at `due`, whose stream time is `time` by its clock, in a leg with packets of `ptime_ms`.
    pub(crate) fn next(&mut self, due: Instant, time: RtpTime, clock: ClockRate, ptime_ms: u8) -> Option<PressPacket> {
        self.0.as_mut()?.next(due, time, clock, ptime_ms)
    }
}

impl Digits {
    fn push(&mut self, digit: u8, duration_ms: u16) -> bool {
        let Some(place) = self.waiting.get_mut(usize::from(self.count)) else { return false };
        *place = (digit, duration_ms);
        self.count += 1;
        true
    }

    fn next(&mut self, due: Instant, time: RtpTime, clock: ClockRate, ptime_ms: u8) -> Option<PressPacket> {
        let first = self.now.is_none();
        if first {
            if self.count == 0 || due < self.not_before {
                return None;
            }
            let (digit, total_ms) = self.waiting[0];
            self.waiting.copy_within(1.., 0);
            self.count -= 1;
            self.now = Some(Press { digit, time, total_ms, sent_ms: 0, ends_left: END_PACKETS });
        }
        let press = self.now.as_mut()?;
        press.sent_ms = press.sent_ms.saturating_add(ptime_ms.into()).min(press.total_ms);
        let end = press.sent_ms == press.total_ms;
        let ticks = rtp_clock::ticks(clock, Duration::from_millis(press.sent_ms.into()));
        let duration = u16::try_from(ticks).unwrap_or(u16::MAX);
        let event = TelephoneEvent { event: press.digit, end, volume: VOLUME, duration };
        let packet = PressPacket { event, time: press.time, marker: first };
        press.ends_left -= u8::from(end);
        if press.ends_left == 0 {
            self.now = None;
            self.not_before = due + DIGIT_GAP;
        }
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_with_three_ends_each_and_a_gap() {
        let mut dialling = Dialling::default();
        assert!(dialling.push(5, 100) && dialling.push(11, 40));
        let mut packets = Vec::new();
        for n in 0..20_u32 {
            let due = Instant::ZERO + Duration::from_millis(20 * u64::from(n));
            let Some(packet) = dialling.next(due, RtpTime(160 * n), ClockRate::default(), 20) else { continue };
            packets.push((
                n,
                packet.event.event,
                packet.event.duration,
                packet.event.end,
                packet.marker,
                packet.time.0,
            ));
        }
        assert_eq!(
            packets,
            [
                (0, 5, 160, false, true, 0),
                (1, 5, 320, false, false, 0),
                (2, 5, 480, false, false, 0),
                (3, 5, 640, false, false, 0),
                (4, 5, 800, true, false, 0),
                (5, 5, 800, true, false, 0),
                (6, 5, 800, true, false, 0),
                (9, 11, 160, false, true, 1_440),
                (10, 11, 320, true, false, 1_440),
                (11, 11, 320, true, false, 1_440),
                (12, 11, 320, true, false, 1_440),
            ]
        );
        assert!(dialling.is_idle());
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut dialling = Dialling::default();
        assert_eq!((0..100).filter(|_| dialling.push(1, 100)).count(), MOST_WAITING);
    }
}
