//! Digits that we send, one after the other: as telephone events (RFC 4733 §2.5.1), the end three times, or as tones in the
//! codec of a leg that has no telephone events.

use crate::rtp_clock;
use audio::DtmfGenerator;
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
/// The shortest digit that every detector hears (ITU-T Q.24).
const SHORTEST_MS: u16 = 40;
/// A press that nothing ends is over after so long.
const LONGEST_MS: u16 = 60_000;
/// After so many ticks an event goes on in a new segment, with a timestamp of its own (RFC 4733 §2.5.1.3).
const SEGMENT_TICKS: u64 = 0xffff;

/// The digits of a leg that are still to be sent. Few legs ever send one: the others keep no memory for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dialling(Option<Box<Digits>>);

#[derive(Clone, Debug, Default)]
struct Digits {
    waiting: [Waiting; MOST_WAITING],
    count: u8,
    now: Option<Press>,
    not_before: Instant,
    /// Makes the tones of the press, at this many samples in a second; none where it goes out as an event.
    tones: Option<(u32, DtmfGenerator)>,
    /// Samples of silence before the tones.
    lead: usize,
}

/// A digit whose turn has not come.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    digit: u8,
    duration_ms: u16,
    /// The key is still pressed: the duration is not known.
    is_held: bool,
}

#[derive(Clone, Copy, Debug)]
struct Press {
    digit: u8,
    time: RtpTime,
    total_ms: u16,
    is_held: bool,
    sent_ms: u16,
    ends_left: u8,
    /// Ticks of the segments before this one.
    earlier_ticks: u64,
}

/// The next packet of a press.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PressPacket {
    pub(crate) event: TelephoneEvent,
    /// Of the press or of its segment, not of the packet.
    pub(crate) time: RtpTime,
    /// The first packet of the press.
    pub(crate) marker: bool,
}

impl Dialling {
    /// Adds a digit behind the others; false when too many wait.
    pub(crate) fn push(&mut self, digit: u8, duration_ms: u16) -> bool {
        self.0.get_or_insert_default().push(Waiting { digit, duration_ms, is_held: false })
    }

    /// Adds a digit of a key that is still pressed, until [`Self::release`]; false when too many wait.
    pub(crate) fn push_held(&mut self, digit: u8) -> bool {
        self.0.get_or_insert_default().push(Waiting { digit, duration_ms: LONGEST_MS, is_held: true })
    }

    /// The key of the digit that was added last with [`Self::push_held`] is released after so long.
    pub(crate) fn release(&mut self, duration_ms: u32) {
        if let Some(digits) = self.0.as_deref_mut() {
            digits.release(duration_ms);
        }
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

    /// Whether tones take the place of the sound that is due at `due`.
    pub(crate) fn has_tones(&mut self, due: Instant) -> bool {
        self.0.as_mut().is_some_and(|digits| digits.now.is_some() || (digits.count > 0 && due >= digits.not_before))
    }

    /// So many samples of silence come before the tones: the decoder of the peer has to find into the sound of another encoder.
    pub(crate) fn lead_in(&mut self, samples: usize) {
        if let Some(digits) = self.0.as_deref_mut() {
            digits.lead = samples;
        }
    }

    /// Fills `frame`, of `rate` samples in a second, with tones and the pauses behind them.
    pub(crate) fn fill_tones(&mut self, rate: u32, frame: &mut [i16]) {
        match self.0.as_deref_mut() {
            Some(digits) => digits.fill_tones(rate, frame),
            None => frame.fill(0),
        }
    }
}

impl Digits {
    fn push(&mut self, waiting: Waiting) -> bool {
        let Some(place) = self.waiting.get_mut(usize::from(self.count)) else { return false };
        *place = waiting;
        self.count += 1;
        true
    }

    fn release(&mut self, duration_ms: u32) {
        let duration_ms = duration_ms.clamp(SHORTEST_MS.into(), LONGEST_MS.into()) as u16;
        let waiting = self.waiting[..usize::from(self.count)].iter_mut().rev().find(|waiting| waiting.is_held);
        if let Some(waiting) = waiting {
            (waiting.duration_ms, waiting.is_held) = (duration_ms, false);
        } else if let Some(press) = self.now.as_mut().filter(|press| press.is_held) {
            (press.total_ms, press.is_held) = (duration_ms, false);
            if let Some((_, generator)) = &mut self.tones {
                generator.end_after(Duration::from_millis(duration_ms.into()), DIGIT_GAP);
            }
        }
    }

    /// Takes the next digit that waits.
    fn take(&mut self, time: RtpTime) -> Option<&mut Press> {
        let Waiting { digit, duration_ms, is_held } = *self.waiting[..usize::from(self.count)].first()?;
        self.waiting.copy_within(1.., 0);
        self.count -= 1;
        let (total_ms, ends_left) = (duration_ms, END_PACKETS);
        Some(self.now.insert(Press { digit, time, total_ms, is_held, sent_ms: 0, ends_left, earlier_ticks: 0 }))
    }

    fn next(&mut self, due: Instant, time: RtpTime, clock: ClockRate, ptime_ms: u8) -> Option<PressPacket> {
        let first = self.now.is_none();
        if first && due < self.not_before {
            return None;
        }
        let press = if first { self.take(time)? } else { self.now.as_mut()? };
        // What is on its way stays a press as long as it has been sent.
        press.sent_ms = press.sent_ms.saturating_add(ptime_ms.into()).min(press.total_ms.max(press.sent_ms));
        let end = press.sent_ms >= press.total_ms;
        let ticks = rtp_clock::ticks(clock, Duration::from_millis(press.sent_ms.into()));
        if ticks - press.earlier_ticks > SEGMENT_TICKS {
            press.earlier_ticks += SEGMENT_TICKS;
        }
        let duration = u16::try_from(ticks - press.earlier_ticks).unwrap_or(u16::MAX);
        let event = TelephoneEvent { event: press.digit, end, volume: VOLUME, duration };
        let packet = PressPacket { event, time: press.time.plus(press.earlier_ticks as u32), marker: first };
        press.ends_left -= u8::from(end);
        if press.ends_left == 0 {
            self.now = None;
            self.not_before = due + DIGIT_GAP;
        }
        Some(packet)
    }

    fn fill_tones(&mut self, rate: u32, frame: &mut [i16]) {
        let mut filled = 0;
        while filled < frame.len() {
            if let Some((made_for, generator)) = &mut self.tones
                && *made_for == rate
            {
                if self.lead > 0 {
                    let silence = frame[filled..].iter_mut().take(self.lead);
                    let count = silence.map(|sample| *sample = 0).count();
                    (self.lead, filled) = (self.lead - count, filled + count);
                    continue;
                }
                if generator.is_playing() {
                    filled += generator.fill(&mut frame[filled..]);
                    continue;
                }
                (self.now, self.tones) = (None, None);
            }
            // What is on its way as an event, or at another rate, begins anew.
            let Some(press) = self.now.or_else(|| self.take(RtpTime(0)).copied()) else {
                frame[filled..].fill(0);
                return;
            };
            let mut generator = DtmfGenerator::new(rate);
            if generator.start(press.digit, Duration::from_millis(press.total_ms.into()), DIGIT_GAP) {
                self.tones = Some((rate, generator));
            } else {
                self.now = None; // a hook flash has no tones
            }
        }
        let is_over = self.tones.as_ref().is_some_and(|(_, generator)| !generator.is_playing());
        // Where more digits wait, nothing else is heard between them.
        if is_over && self.count == 0 {
            (self.now, self.tones) = (None, None);
        }
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

    #[test]
    fn a_long_event_goes_on_in_segments() {
        let clock = ClockRate::from_hz(48_000).expect("a clock of RTP");
        let mut dialling = Dialling::default();
        assert!(dialling.push(1, 3_000));
        let mut packets = Vec::new();
        for n in 0..160_u32 {
            let due = Instant::ZERO + Duration::from_millis(20 * u64::from(n));
            packets.extend(dialling.next(due, RtpTime(960 * n), clock, 20));
        }
        let ends: Vec<_> = packets.iter().filter(|it| it.event.end).collect();
        // 144,000 ticks: two whole segments, and the rest.
        assert_eq!(ends.len(), 3);
        assert!(ends.iter().all(|it| (it.time.0, it.event.duration) == (131_070, 12_930)), "{ends:?}");
        let mut times: Vec<u32> = packets.iter().map(|it| it.time.0).collect();
        times.dedup();
        assert_eq!(times, [0, 65_535, 131_070]);
        let ticks: Vec<u64> = packets.iter().map(|it| u64::from(it.time.0) + u64::from(it.event.duration)).collect();
        assert!(ticks.windows(2).all(|pair| pair[1] - pair[0] <= 960), "{ticks:?}");
        assert_eq!(packets.iter().filter(|it| it.marker).count(), 1);
    }

    #[test]
    fn a_held_digit_lasts_until_it_is_released() {
        let mut dialling = Dialling::default();
        assert!(dialling.push_held(5) && dialling.push(6, 40));
        let (mut ends, mut at) = (Vec::new(), Instant::ZERO);
        for n in 0..40_u32 {
            at += Duration::from_millis(20);
            if n == 20 {
                dialling.release(390);
            }
            let packet = dialling.next(at, RtpTime(160 * n), ClockRate::default(), 20);
            ends.extend(packet.filter(|it| it.event.end).map(|it| (n, it.event.event, it.event.duration)));
        }
        assert_eq!(ends[..3], [(20, 5, 3_200), (21, 5, 3_200), (22, 5, 3_200)], "400 ms had been told");
        assert!(ends[3..].iter().all(|it| (it.1, it.2) == (6, 320)) && ends.len() == 6, "{ends:?}");
        assert!(dialling.is_idle());
    }

    #[test]
    fn tones_have_their_lengths_and_pauses() {
        let mut dialling = Dialling::default();
        assert!(dialling.push(5, 50) && dialling.push_held(11));
        let (mut detector, mut heard, mut at) = (audio::DtmfDetector::new(8_000), Vec::new(), Instant::ZERO);
        for n in 0..30 {
            let mut frame = [0; 160];
            if n == 15 {
                dialling.release(180);
            }
            if dialling.has_tones(at) {
                dialling.fill_tones(8_000, &mut frame);
            }
            detector.hear(&frame, |event| heard.push(event));
            at += Duration::from_millis(20);
        }
        let ended = |event: &audio::DtmfEvent| match *event {
            audio::DtmfEvent::Ended { number, duration_ms } => Some((number, duration_ms)),
            audio::DtmfEvent::Began { .. } => None,
        };
        let ended: Vec<(u8, u32)> = heard.iter().filter_map(ended).collect();
        assert!(matches!(ended[..], [(5, 40..=60), (11, 170..=195)]), "{heard:?}");
        assert!(dialling.is_idle());
    }
}
