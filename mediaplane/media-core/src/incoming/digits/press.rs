//! The presses of one leg, whichever way they come.

use super::events::Events;
use super::tones::Tones;
use crate::leg::LegIndex;
use audio::DtmfEvent;
use clock::{Duration, Instant};
use contract::{ClockRate, Codec, Event};
use rtp_wire::{Header, TelephoneEvent};

/// In the long run presses come no faster than this: a tone and the pause behind it have 40 ms each at least (ITU-T Q.24).
/// Each is told to signaling, whose queue is everybody's.
const PRESS_EVERY_MS: u32 = 50;
/// So many may come at once, where the network has held packets back.
const PRESSES_AT_ONCE: u32 = 32;
/// A press ends without its last packets once nothing of it has come for so long.
const GONE_AFTER: Duration = Duration::from_millis(250);
/// A peer that has sent a telephone event says its digits that way: tones in its sound are those of the same presses.
const EVENTS_ONLY: Duration = Duration::from_secs(10);
/// A telephone event of the same digit so soon after the beginning of a tone is the same press.
const SAME_PRESS: Duration = Duration::from_millis(400);
/// A stream that changes its codec sooner is not followed: each change costs a decoder.
const CODEC_CHANGE: Duration = Duration::from_millis(200);
/// The last event that is passed on: 16 is a hook flash (RFC 4733 §7 with RFC 2833 §3.10).
const EVENT_MAX: u8 = 16;

/// What becomes of presses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    Began {
        digit: u8,
        /// Its tones are in the sound.
        is_tone: bool,
    },
    Ended {
        digit: u8,
        duration_ms: u32,
    },
    /// A digit that no key can have made: it is not told.
    TooFast,
}

/// What one packet changes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Changes {
    list: [Option<Change>; Self::MOST],
}

impl Changes {
    /// A packet of 120 ms holds the end of a digit, a whole one and the beginning of a third.
    const MOST: usize = 6;

    fn push(&mut self, change: Change) {
        if let Some(place) = self.list.iter_mut().find(|place| place.is_none()) {
            *place = Some(change);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list[0].is_none()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Change> + '_ {
        self.list.iter().flatten().copied()
    }
}

/// Where presses are told.
pub(crate) struct Telling<'a> {
    pub(crate) events: &'a mut Vec<Event>,
    /// Legs that have a digit to send.
    pub(crate) proved: &'a mut Vec<LegIndex>,
    /// Digits that no key can have made, or that found no room.
    pub(crate) too_fast: u64,
}

/// A press that was told.
#[derive(Clone, Copy, Debug)]
struct Press {
    digit: u8,
    is_tone: bool,
    began_at: Instant,
}

/// What is heard of digits on one leg. Only legs whose peer presses keys, or that listen for tones, have it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hearing {
    events: Events,
    tones: Option<Box<Tones>>,
    /// When the last packet of an event came.
    event_at: Option<Instant>,
    /// The press that has not ended.
    open: Option<Press>,
    /// The last one.
    last: Option<Press>,
    /// When the presses so far would have come at the fastest pace, in milliseconds that wrap.
    paced_until_ms: u32,
    codec_since: Option<Instant>,
}

impl Hearing {
    /// Whether every packet of sound has to be shown to it.
    pub(super) fn has_to_hear(&self, listens: bool) -> bool {
        listens || self.open.is_some()
    }

    /// Whether the sound that came last may be that of a digit.
    pub(super) fn suspects_tone(&self) -> bool {
        self.tones.as_ref().is_some_and(|tones| tones.suspects()) || self.open.is_some_and(|press| press.is_tone)
    }

    /// Whether a press is open whose end may have to be given up, and when.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let press = self.open?;
        let heard_at = match press.is_tone {
            true => self.tones.as_ref().map(|tones| tones.heard_at()),
            false => self.event_at,
        };
        Some(heard_at.unwrap_or(press.began_at) + GONE_AFTER)
    }

    /// Tones are looked for no more.
    pub(crate) fn stop_listening(&mut self) {
        self.tones = None;
    }

    pub(super) fn take_event(
        &mut self,
        (header, event): (&Header, &TelephoneEvent),
        clock: ClockRate,
        at: Instant,
        changes: &mut Changes,
    ) {
        if event.event > EVENT_MAX {
            return;
        }
        let said = self.events.take(header, event, clock, at);
        self.event_at = Some(at);
        if said.begins {
            let is_told = self.last.is_some_and(|press| {
                press.is_tone && press.digit == event.event && at.since(press.began_at) < SAME_PRESS
            });
            if is_told {
                // Its tone was heard first.
                self.last.iter_mut().chain(&mut self.open).for_each(|press| press.is_tone = false);
            } else {
                self.begin(Press { digit: event.event, is_tone: false, began_at: at }, changes);
            }
        }
        if said.ends && self.open.is_some_and(|press| !press.is_tone) {
            self.end(self.events.duration_ms(), changes);
        }
    }

    pub(super) fn take_sound(
        &mut self,
        header: &Header,
        (codec, payload): (u8, &[u8]),
        at: Instant,
        listens: bool,
        changes: &mut Changes,
    ) {
        self.give_up(at, changes);
        let codec = Codec::from_number(codec).unwrap_or(Codec::Other);
        if !listens || !self.has_tones(codec, at) {
            return;
        }
        let Some(mut tones) = self.tones.take() else { return };
        tones.take(header, payload, at, &mut |event| self.take_tone(event, at, changes));
        self.tones = Some(tones);
    }

    /// Sees to it that there is a detector for this codec.
    fn has_tones(&mut self, codec: Codec, at: Instant) -> bool {
        if self.tones.as_ref().is_some_and(|tones| tones.codec() == codec) {
            return true;
        }
        let is_soon = self.codec_since.is_some_and(|since| at.since(since) < CODEC_CHANGE);
        let Some(tones) = (!is_soon).then(|| Tones::new(codec)).flatten() else { return false };
        (self.tones, self.codec_since) = (Some(Box::new(tones)), Some(at));
        true
    }

    /// Takes what a detector of tones has found.
    fn take_tone(&mut self, event: DtmfEvent, at: Instant, changes: &mut Changes) {
        match event {
            DtmfEvent::Began { number, .. } => {
                if self.event_at.is_none_or(|event_at| at.since(event_at) >= EVENTS_ONLY) {
                    self.begin(Press { digit: number, is_tone: true, began_at: at }, changes);
                }
            }
            DtmfEvent::Ended { number, duration_ms } => {
                if self.open.is_some_and(|press| press.is_tone && press.digit == number) {
                    self.end(duration_ms, changes);
                }
            }
        }
    }

    fn begin(&mut self, press: Press, changes: &mut Changes) {
        if let Some(open) = self.open {
            let duration_ms = press.began_at.since(open.began_at).as_millis() as u32;
            self.end(duration_ms, changes);
        }
        if self.is_too_fast(press.began_at) {
            return changes.push(Change::TooFast);
        }
        (self.open, self.last) = (Some(press), Some(press));
        changes.push(Change::Began { digit: press.digit, is_tone: press.is_tone });
    }

    fn end(&mut self, duration_ms: u32, changes: &mut Changes) {
        if let Some(press) = self.open.take() {
            changes.push(Change::Ended { digit: press.digit, duration_ms });
        }
    }

    /// Ends a press of which nothing has come for long.
    pub(super) fn give_up(&mut self, now: Instant, changes: &mut Changes) {
        let (Some(press), Some(deadline)) = (self.open, self.deadline()) else { return };
        if now < deadline {
            return;
        }
        let duration_ms = if press.is_tone {
            deadline.since(press.began_at).as_millis().saturating_sub(GONE_AFTER.as_millis()) as u32
        } else {
            self.events.give_up();
            self.events.duration_ms()
        };
        self.end(duration_ms, changes);
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
    use rtp_wire::{RtpTime, Seq, Ssrc};

    const START: Instant = Instant::from_nanos(5_000_000_000);

    fn event_header(number: u32, ssrc: u32) -> Header {
        Header {
            marker: true,
            payload_type: 101,
            seq: Seq(number as u16),
            time: RtpTime(number * 400),
            ssrc: Ssrc(ssrc),
            payload_start: 12,
            payload_bytes: 4,
        }
    }

    #[test]
    fn a_flood_of_presses_is_told_at_the_pace_of_keys() {
        let mut state = Hearing::default();
        let mut press = |number: u32, at: Duration| {
            let event = TelephoneEvent { event: (number % 16) as u8, end: true, volume: 10, duration: 400 };
            let mut changes = Changes::default();
            let header = event_header(number, number % 3);
            state.take_event((&header, &event), ClockRate::default(), START + at, &mut changes);
            changes.iter().filter(|change| matches!(change, Change::Began { .. })).count()
        };
        // 10,000 a second for ten seconds: what comes at once, and then one every 50 ms.
        let flood: usize = (0..100_000).map(|n| press(n, Duration::from_micros(u64::from(n) * 100))).sum();
        assert_eq!(flood, 32 + 199);
        // A machine that dials as fast as it may is heard, once the flood is over.
        let machine =
            (0..200).map(|n| press(200_000 + n, Duration::from_secs(12) + Duration::from_millis(u64::from(n) * 80)));
        assert_eq!(machine.sum::<usize>(), 200);
    }

    #[test]
    fn a_press_whose_ends_are_lost_is_over_after_a_while() {
        let (mut state, mut changes) = (Hearing::default(), Changes::default());
        let event = TelephoneEvent { event: 7, end: false, volume: 10, duration: 640 };
        state.take_event((&event_header(1, 1), &event), ClockRate::default(), START, &mut changes);
        assert_eq!(changes.iter().collect::<Vec<_>>(), [Change::Began { digit: 7, is_tone: false }]);
        let (mut early, mut late, mut later) = (Changes::default(), Changes::default(), Changes::default());
        state.give_up(START + Duration::from_millis(249), &mut early);
        assert!(early.is_empty() && state.deadline() == Some(START + GONE_AFTER));
        state.give_up(START + GONE_AFTER, &mut late);
        assert_eq!(late.iter().collect::<Vec<_>>(), [Change::Ended { digit: 7, duration_ms: 80 }]);
        let end = TelephoneEvent { end: true, ..event };
        state.take_event((&event_header(1, 1), &end), ClockRate::default(), START + GONE_AFTER * 2, &mut later);
        assert!(later.is_empty() && state.deadline().is_none(), "its end comes at last");
    }

    #[test]
    fn a_press_that_comes_both_ways_is_told_once() {
        let event = |digit, end| TelephoneEvent { event: digit, end, volume: 10, duration: 800 };
        let at = |ms: u64| START + Duration::from_millis(ms);
        for tone_first in [true, false] {
            let (mut state, mut changes) = (Hearing::default(), Vec::new());
            let mut now = Changes::default();
            for press in 0..3_u32 {
                let begin = u64::from(press) * 200;
                let (digit, header) = (5 + (press / 2) as u8, event_header(10 * press, 1));
                let tone = begin + if tone_first { 0 } else { 60 };
                let began = DtmfEvent::Began { number: digit, dbm0: -10.0 };
                let ended = DtmfEvent::Ended { number: digit, duration_ms: 100 };
                let mut steps = [(tone, 0), (tone + 100, 1), (begin + 30, 2), (begin + 130, 3)];
                steps.sort();
                for (ms, step) in steps {
                    match step {
                        0 => state.take_tone(began, at(ms), &mut now),
                        1 => state.take_tone(ended, at(ms), &mut now),
                        2 => state.take_event((&header, &event(digit, false)), ClockRate::default(), at(ms), &mut now),
                        _ => state.take_event((&header, &event(digit, true)), ClockRate::default(), at(ms), &mut now),
                    }
                    changes.extend(std::mem::take(&mut now).iter());
                }
            }
            let told = |change: &Change| if let Change::Began { digit, .. } = change { Some(*digit) } else { None };
            assert_eq!(changes.iter().filter_map(told).collect::<Vec<_>>(), [5, 5, 6], "{changes:?}");
            assert_eq!(changes.len(), 6, "each has its end: {changes:?}");
        }
    }
}
