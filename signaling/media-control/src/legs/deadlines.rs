//! Commands that are not answered in time.

use super::leg::Stage;
use crate::{CommandNumber, LegEvent, Legs, MediaTurn};
use clock::{Duration, Instant};
use std::collections::VecDeque;

/// How long the media plane may take to carry a command out. It takes about a millisecond.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// How long the media plane may take to close a leg before its port is given back without its word.
pub const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// Until when commands have to be answered, in order; two queues, because all in one have the same limit. Answered ones
/// leave as soon as they are first.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    pub(crate) answers: VecDeque<(Instant, CommandNumber)>,
    pub(crate) closings: VecDeque<(Instant, CommandNumber)>,
}

impl Legs {
    /// When to call [`Self::handle_deadline`]; [`Instant::ZERO`] where something is to be told at once.
    pub fn deadline(&self) -> Option<Instant> {
        if self.recordings.has_ended() {
            return Some(Instant::ZERO);
        }
        let first = |queue: &VecDeque<(Instant, CommandNumber)>| queue.front().map(|(at, _)| *at);
        first(&self.deadlines.answers).into_iter().chain(first(&self.deadlines.closings)).min()
    }

    /// The next command that was not answered in time, or what else no answer tells, with the owner of its leg. The caller
    /// goes on until there is none.
    pub fn handle_deadline(&mut self, turn: &mut MediaTurn<'_>) -> Option<(u64, LegEvent)> {
        if let Some(told) = self.recordings.next_ended() {
            return Some(told);
        }
        loop {
            let is_due = |queue: &VecDeque<(Instant, CommandNumber)>| {
                queue.front().filter(|(at, _)| *at <= turn.now).map(|(_, number)| *number)
            };
            let number = if let Some(number) = is_due(&self.deadlines.answers) {
                self.deadlines.answers.pop_front();
                number
            } else if let Some(number) = is_due(&self.deadlines.closings) {
                self.deadlines.closings.pop_front();
                number
            } else {
                return None;
            };
            if let Some(told) = self.timed_out(turn, number) {
                return Some(told);
            }
        }
    }

    fn timed_out(&mut self, turn: &mut MediaTurn<'_>, number: CommandNumber) -> Option<(u64, LegEvent)> {
        let slot = number.slot();
        let leg = self.rows.get(slot)?.as_deref()?;
        let owner = leg.owner;
        let told = match leg.stage {
            Stage::Opening(open) if open == number => LegEvent::OpenTimedOut,
            Stage::Moving(leaving) if leaving.number == number => LegEvent::MoveTimedOut,
            Stage::Adopting(asked) if asked == number => LegEvent::AdoptTimedOut,
            Stage::Closing(closing) if closing.number == number => self.gone(turn, slot, LegEvent::CloseTimedOut),
            _ if self.recordings.is_starting(number) => {
                self.start_is_answered(number);
                return None;
            }
            _ => {
                leg.in_flight.as_ref()?.position(number)?;
                self.drop_update(turn, slot, number, false);
                LegEvent::UpdateTimedOut(number)
            }
        };
        Some((owner, told))
    }

    /// Whether a command still waits for its answer.
    fn is_awaited(&self, number: CommandNumber) -> bool {
        let Some(leg) = self.rows.get(number.slot()).and_then(Option::as_deref) else { return false };
        let is_update = || leg.in_flight.as_ref().is_some_and(|in_flight| in_flight.position(number).is_some());
        match leg.stage {
            Stage::Opening(open) if open == number => true,
            Stage::Moving(leaving) if leaving.number == number => true,
            Stage::Adopting(asked) if asked == number => true,
            Stage::Closing(closing) => closing.number == number,
            _ => is_update() || self.recordings.is_starting(number),
        }
    }

    /// Drops the deadlines of commands that have been answered, from the front.
    pub(crate) fn forget_answered(&mut self) {
        while self.deadlines.answers.front().is_some_and(|(_, number)| !self.is_awaited(*number)) {
            self.deadlines.answers.pop_front();
        }
        while self.deadlines.closings.front().is_some_and(|(_, number)| !self.is_awaited(*number)) {
            self.deadlines.closings.pop_front();
        }
    }

    /// Gives room back that a rush needed and nothing uses any more.
    pub fn shrink(&mut self) {
        for queue in [&mut self.deadlines.answers, &mut self.deadlines.closings] {
            if queue.capacity() > 1_024 && queue.len() < queue.capacity() / 8 {
                queue.shrink_to(2 * queue.len());
            }
        }
    }
}
