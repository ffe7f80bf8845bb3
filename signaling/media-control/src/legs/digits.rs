//! Telephone events that a leg sends.

use super::leg::{Leg, Stage};
use crate::{CommandNumber, LegError, LegId, Legs, MediaTurn};
use clock::Duration;
use contract::Command;
use std::collections::VecDeque;

/// Most digits that wait until their leg runs or has arrived on another worker.
pub const DIGITS_WAITING_MAX: usize = 32;

/// The digits of a leg.
#[derive(Debug, Default)]
pub(crate) struct Digits {
    waiting: VecDeque<(u8, u16)>,
    /// The first and the last one that was sent.
    sent: Option<(CommandNumber, CommandNumber)>,
}

impl Legs {
    /// Sends digits (0 to 9, 10 `*`, 11 `#`, 12 to 15 A to D), each for 40 ms to 5 s, one after the other. Those of a leg
    /// that does not run yet, or is on its way to another worker, wait for that.
    pub fn send_digits(
        &mut self,
        turn: &mut MediaTurn<'_>,
        id: LegId,
        digits: &[u8],
        duration: Duration,
    ) -> Result<(), LegError> {
        let leg = self.leg_mut(id)?;
        if matches!(leg.stage, Stage::Reserved | Stage::Closing(_) | Stage::Lost) {
            return Err(LegError::WrongState);
        }
        let duration_ms = u16::try_from(duration.as_millis()).ok().filter(|ms| (40..=5_000).contains(ms));
        let duration_ms = duration_ms.ok_or(LegError::Digits)?;
        let queue = leg.digits.get_or_insert_default();
        if digits.iter().any(|digit| *digit > 15) || queue.waiting.len() + digits.len() > DIGITS_WAITING_MAX {
            return Err(LegError::Digits);
        }
        queue.waiting.extend(digits.iter().map(|digit| (*digit, duration_ms)));
        self.send_waiting_digits(turn, id.slot());
        Ok(())
    }

    pub(crate) fn send_waiting_digits(&mut self, turn: &mut MediaTurn<'_>, slot: usize) {
        loop {
            let Some(leg) = self.rows[slot].as_deref_mut() else { return };
            let (Some(port), Some(digits)) = (leg.still_port(), leg.digits.as_deref_mut()) else { return };
            let Some((digit, duration_ms)) = digits.waiting.pop_front() else { return };
            let number = self.next_number(slot);
            let Some(digits) = self.rows[slot].as_deref_mut().and_then(|leg| leg.digits.as_deref_mut()) else { return };
            digits.sent = Some((digits.sent.map_or(number, |(first, _)| first), number));
            let command = Command::SendDigit { leg: port.leg, number: number.get(), digit, duration_ms };
            turn.commands.push((port.worker, command));
        }
    }
}

impl Leg {
    /// Whether this may be the number of a digit. Digits are only answered when they are refused.
    pub(crate) fn has_sent_digit(&self, number: CommandNumber) -> bool {
        let sent = self.digits.as_ref().and_then(|digits| digits.sent);
        sent.is_some_and(|(first, last)| (first..=last).contains(&number))
    }
}
