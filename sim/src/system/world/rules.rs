//! What has to hold all the time, and what at the end.

use super::World;
use crate::system::audio::Talk;
use crate::system::signaling::Signaling;
use clock::{Duration, Instant};

/// A call that both sides have had for so long is up in the switch.
const STEADY_AFTER: Duration = Duration::from_secs(8);
/// When one side of a call has hung up, the switch ends the other one within this time.
const LEFT_AFTER: Duration = Duration::from_secs(1);
/// SIP messages of one seed; more would be a storm.
const MAX_MESSAGES_COUNT: u64 = 50_000;

impl World {
    pub(super) fn finish(&mut self) -> Result<(), String> {
        self.report.lasted = self.now.since(Instant::ZERO);
        self.report.lost_count = self.network.lost_count;
        self.report.deaths_count += self.audio.deaths.len();
        let has_calls = self.setup.has_media();
        self.check_ends()?;
        self.signaling.as_mut().map_or(Ok(()), |signaling| signaling.check_counters(has_calls))?;
        self.ledger.finish();
        self.broken()?;
        self.report.recorded_count = self.media.check_files()?;
        let verdict = self.audio.verdict();
        self.report.checked_count = verdict.checked_count;
        self.report.reports_count = self.audio.reports_count;
        match verdict.missing {
            Some((first, count)) => {
                let of = verdict.checked_count;
                Err(format!("{count} of {of} packets and digits were not sent on, the first is {first}"))
            }
            None => Ok(()),
        }
    }

    /// Answered calls end for reasons that answered calls have, and because a user wants it where nothing is lost and nobody
    /// dies. What becomes of calls that were transferred or that an operator has changed is left open.
    fn check_ends(&self) -> Result<(), String> {
        let is_peaceful = self.network.is_lossless() && self.report.deaths_count == 0;
        let ends = self.signaling.iter().flat_map(Signaling::unwanted_ends);
        for end in ends.filter(|end| end.number.is_some_and(|number| self.audio.is_unchanged(number))) {
            if is_peaceful || end.is_of_unanswered {
                return Err(format!("an answered call ended that no user has ended: {end:?}"));
            }
        }
        match self.ledger.unwanted_end().filter(|_| is_peaceful) {
            Some(end) => Err(format!("a call ended that no user has ended: {end}")),
            None => Ok(()),
        }
    }

    fn broken(&self) -> Result<(), String> {
        self.ledger.broken().map_or(Ok(()), |broken| Err(broken.0.clone()))
    }

    /// What holds all the time.
    pub(super) fn look(&mut self) -> Result<(), String> {
        self.broken()?;
        if self.report.messages_count > MAX_MESSAGES_COUNT {
            return Err("a storm of messages".to_owned());
        }
        let Some(signaling) = self.signaling.as_ref().filter(|_| self.setup.has_media()) else { return Ok(()) };
        for talk in self.audio.steady(self.now, STEADY_AFTER).filter(|talk| talk.since > signaling.since) {
            if !signaling.has_call(talk.rtp) {
                return Err(format!("both phones have a call, and the switch has none with RTP to {}", talk.rtp));
            }
        }
        for talk in self.audio.left_alone(self.now, LEFT_AFTER).filter(|talk| talk.since > signaling.since) {
            if signaling.has_call(talk.rtp) {
                return Err(format!("the call with RTP to {} goes on, though its other side has hung up", talk.rtp));
            }
        }
        let is_quiet = |talk: &Talk, since| self.reinvites.is_quiet(self.phones[talk.phone].address(), self.now, since);
        self.report.held_count += self.audio.check_directions(self.now, is_quiet)?;
        Ok(())
    }
}
