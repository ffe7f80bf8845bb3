//! What happens when a timer of a session expires.

use crate::timers::timer::Timer;
use crate::{EndReason, SessionId, Sessions, Turn};
use stats::SignalCounter;

impl Sessions {
    /// Handles every timer that has expired.
    pub fn handle_deadline(&mut self, turn: &mut Turn<'_>) {
        self.media_overdue(turn);
        while let Some((id, timer)) = self.next_due(turn.now) {
            match timer {
                Timer::SipEnd => self.sip_overdue(turn, id),
                Timer::Change => self.change_overdue(turn, id),
                Timer::Operation => {
                    self.operations_overdue(turn, id);
                    self.digits_due(turn, id);
                }
                Timer::Answer => self.answer_overdue(turn, id),
                Timer::Transfer => self.transfer_overdue(turn, id),
                Timer::Idle => self.end(turn, id, EndReason::IdleLimit),
                Timer::Age => self.end(turn, id, EndReason::AgeLimit),
                Timer::Probe => self.probe_due(turn, id),
            }
        }
        self.give_back();
    }

    fn sip_overdue(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id).filter(|session| session.state().is_ending()) else { return };
        if !session.life.is_dialog_over() {
            session.life.dialog_is_over();
            self.counts.add(SignalCounter::DialogsNeverEnded, 1);
            self.settle(turn, id);
        }
    }
}
