//! Watches how the streams of a leg sound: every few seconds each is judged by what happened since the last time, and a change of
//! its class is told.

use crate::Worker;
use crate::io::Output;
use crate::leg::Leg;
use crate::rtcp::quality::in_256ths;
use clock::{Duration, Instant};
use contract::{Event, LegStream, QualityChange, QualityClass, StreamQuality};
use stats::{Counts, MediaCounter};

/// With fewer packets an interval tells nothing: the peer is silent, or on hold.
const PACKETS_MIN: u32 = 25;
/// A class is left only when the score is so far beyond it, so that a score on the edge does not flap. Hundredths.
const HYSTERESIS_X100: u16 = 5;
/// A degraded stream has recovered when its score is so far above the limit. Hundredths.
const RECOVERED_ABOVE_X100: u16 = 20;

/// When streams are judged, and by what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QualityLimits {
    /// Time between two judgements of a leg.
    pub interval: Duration,
    /// A stream with a lower score, times 100, is degraded; 0: none ever is.
    pub degraded_mos_x100: u16,
}

impl Default for QualityLimits {
    /// Every 5 s; below 3.6 many users are dissatisfied (ITU-T G.107 Annex B).
    fn default() -> Self {
        Self { interval: Duration::from_secs(5), degraded_mos_x100: 360 }
    }
}

/// The streams of a leg, as they were judged last.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) next_at: Instant,
    /// Packets expected and lost until then, wrapped.
    expected_before: u32,
    lost_before: u32,
    pub(crate) received: Judged,
    pub(crate) sent: Judged,
}

/// One stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    /// Of the last interval; 0: it was not judged yet.
    mos_x100: u16,
    class: QualityClass,
    standing: Standing,
}

/// A stream is degraded, or no longer, after two intervals in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    Well,
    BelowOnce,
    Degraded,
    AboveOnce,
}

impl Default for Watch {
    fn default() -> Self {
        let new = Judged { mos_x100: 0, class: QualityClass::Excellent, standing: Standing::Well };
        Self { next_at: Instant::FAR_FUTURE, expected_before: 0, lost_before: 0, received: new, sent: new }
    }
}

impl Standing {
    fn next(self, mos_x100: u16, limit_x100: u16) -> Self {
        use Standing::*;
        let is_below = mos_x100 < limit_x100;
        let is_above = mos_x100 >= limit_x100 + RECOVERED_ABOVE_X100;
        match self {
            Well if is_below => BelowOnce,
            BelowOnce if is_below => Degraded,
            Well | BelowOnce => Well,
            Degraded if is_above => AboveOnce,
            AboveOnce if is_above => Well,
            Degraded | AboveOnce => Degraded,
        }
    }

    fn is_degraded(self) -> bool {
        matches!(self, Self::Degraded | Self::AboveOnce)
    }
}

/// The class after `class`, with a score that may be on its edge.
fn next_class(class: QualityClass, mos_x100: u16) -> QualityClass {
    match QualityClass::of(mos_x100) {
        better if better > class => QualityClass::of(mos_x100 - HYSTERESIS_X100).max(class),
        worse => QualityClass::of(mos_x100 + HYSTERESIS_X100).min(class).max(worse),
    }
}

impl Judged {
    pub(crate) fn is_degraded(&self) -> bool {
        self.standing.is_degraded()
    }

    /// What the row tells of the stream.
    pub(crate) fn shown(&self, quality: StreamQuality) -> StreamQuality {
        StreamQuality { recent_mos_x100: self.mos_x100, degraded: self.is_degraded().into(), ..quality }
    }

    /// Takes the score of an interval, and says what has become different by it.
    fn judge(&mut self, stream: LegStream, mos_x100: u16, loss_rate: u8, limit_x100: u16) -> Option<QualityChange> {
        let (old, was_degraded) = (self.class, self.is_degraded());
        self.mos_x100 = mos_x100;
        self.class = next_class(old, mos_x100);
        self.standing = self.standing.next(mos_x100, limit_x100);
        let (new, is_degraded) = (self.class, self.is_degraded());
        let change = QualityChange { stream, old, new, was_degraded, is_degraded, mos_x100, loss_rate };
        (new != old || is_degraded != was_degraded).then_some(change)
    }

    /// Counts the stream among those of its class, or no longer.
    fn count(&self, counts: &mut Counts<MediaCounter>, more: u64) {
        if self.mos_x100 == 0 {
            return;
        }
        counts.add(
            match self.class {
                QualityClass::Bad => MediaCounter::StreamsBad,
                QualityClass::Poor => MediaCounter::StreamsPoor,
                QualityClass::Fair => MediaCounter::StreamsFair,
                QualityClass::Good => MediaCounter::StreamsGood,
                QualityClass::Excellent => MediaCounter::StreamsExcellent,
            },
            more,
        );
        if self.is_degraded() {
            counts.add(MediaCounter::StreamsDegraded, more);
        }
    }
}

impl Watch {
    /// Counts the streams of a leg that begins here.
    pub(crate) fn begin_counting(&self, counts: &mut Counts<MediaCounter>) {
        [self.received, self.sent].iter().for_each(|judged| judged.count(counts, 1));
    }

    /// The leg is here no longer.
    pub(crate) fn end_counting(&self, counts: &mut Counts<MediaCounter>) {
        // Counters wrap: one less.
        [self.received, self.sent].iter().for_each(|judged| judged.count(counts, u64::MAX));
    }
}

impl Leg {
    /// The part of what was to be received since the last time that was lost; `None`: too little was to tell.
    fn lost_since_judged(&mut self) -> Option<f32> {
        let sequence = &self.receiving.sequence;
        let (expected, lost) = (sequence.expected() as u32, sequence.lost() as u32);
        let expected_now = expected.wrapping_sub(self.reports.watch.expected_before);
        if expected_now < PACKETS_MIN {
            return None;
        }
        let lost_now = (lost.wrapping_sub(self.reports.watch.lost_before) as i32).max(0) as u32;
        (self.reports.watch.expected_before, self.reports.watch.lost_before) = (expected, lost);
        Some((lost_now as f32 / expected_now as f32).min(1.0))
    }
}

impl Worker {
    /// Judges both streams of a leg.
    pub(crate) fn judge(&mut self, place: usize, now: Instant, out: &mut Output) {
        self.legs[place].reports.watch.next_at = now + self.rtcp.quality.interval;
        let received = self.received(place);
        if let Some((heard, lost)) = received.zip(self.legs[place].lost_since_judged()) {
            let mos_x100 = heard.score_with(lost).mos_x100();
            self.tell(place, LegStream::Received, (mos_x100, in_256ths(lost)), out);
        }
        let Some(peer) = self.legs[place].reports.new_report() else { return };
        let loss_rate = peer.loss_fraction;
        if let Some(heard) = self.sent(place) {
            let mos_x100 = heard.score_with(f32::from(loss_rate) / 256.0).mos_x100();
            self.tell(place, LegStream::Sent, (mos_x100, loss_rate), out);
        }
    }

    fn tell(&mut self, place: usize, stream: LegStream, (mos_x100, loss_rate): (u16, u8), out: &mut Output) {
        if mos_x100 == 0 {
            return; // it cannot be rated
        }
        let limit_x100 = self.rtcp.quality.degraded_mos_x100;
        let Leg { reports, leg, .. } = &mut self.legs[place];
        let judged = match stream {
            LegStream::Received => &mut reports.watch.received,
            LegStream::Sent => &mut reports.watch.sent,
        };
        judged.count(&mut self.counts, u64::MAX);
        let change = judged.judge(stream, mos_x100, loss_rate, limit_x100);
        judged.count(&mut self.counts, 1);
        let Some(change) = change else { return };
        if change.begins() {
            self.counts.add(MediaCounter::QualityDegraded, 1);
        } else if change.ends() {
            self.counts.add(MediaCounter::QualityRecovered, 1);
        }
        out.events.push(Event::QualityChanged { leg: *leg, change });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged() -> Judged {
        Watch::default().received
    }

    #[test]
    fn a_score_on_an_edge_does_not_flap() {
        use QualityClass::*;
        assert_eq!(
            [428, 424, 432, 436].map(|score| next_class(Excellent, score)),
            [Excellent, Good, Excellent, Excellent]
        );
        assert_eq!([428, 432, 435].map(|score| next_class(Good, score)), [Good, Good, Excellent]);
        assert_eq!([100, 312, 440].map(|score| next_class(Fair, score)), [Bad, Poor, Excellent]);
    }

    #[test]
    fn a_stream_is_degraded_after_two_intervals_and_recovers_after_two_that_are_clearly_better() {
        let mut stream = judged();
        let told: Vec<_> = [350, 440, 350, 340, 370, 379, 381, 370, 380, 380, 350]
            .into_iter()
            .map(|mos| stream.judge(LegStream::Received, mos, 0, 360))
            .map(|change| {
                change.map(|change| (change.begins(), change.ends())).filter(|(begins, ends)| *begins || *ends)
            })
            .collect();
        let (begins, ends) = (Some((true, false)), Some((false, true)));
        assert_eq!(told, [None, None, None, begins, None, None, None, None, None, ends, None]);
        let mut never = judged();
        (0..5)
            .for_each(|_| assert!(never.judge(LegStream::Sent, 100, 255, 0).is_none_or(|change| !change.is_degraded)));
    }

    #[test]
    fn each_stream_is_counted_once_in_its_class() {
        let mut counts = Counts::default();
        let mut stream = judged();
        stream.count(&mut counts, 1);
        assert!(counts.values().iter().all(|count| *count == 0), "it is not judged yet");
        for mos in [440, 200, 200, 410] {
            stream.count(&mut counts, u64::MAX);
            stream.judge(LegStream::Received, mos, 0, 360);
            stream.count(&mut counts, 1);
            let classes = [
                MediaCounter::StreamsBad,
                MediaCounter::StreamsPoor,
                MediaCounter::StreamsFair,
                MediaCounter::StreamsGood,
                MediaCounter::StreamsExcellent,
            ];
            assert_eq!(classes.map(|class| counts.get(class)).iter().sum::<u64>(), 1);
        }
        assert_eq!((counts.get(MediaCounter::StreamsGood), counts.get(MediaCounter::StreamsDegraded)), (1, 1));
        stream.count(&mut counts, u64::MAX);
        assert!(counts.values().iter().all(|count| *count == 0));
    }
}
