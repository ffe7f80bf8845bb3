//! Calls that are not taken, and what their callers are told.

use crate::{Admission, EndReason, Operation, Refusal, SessionError, SessionId, Sessions, Turn};
use sip_core::{Content, InviteId, Refused};
use stats::SignalCounter;

impl Sessions {
    /// Refuses a call that rings: the late decision.
    pub fn reject(&mut self, turn: &mut Turn<'_>, id: SessionId, status: u16, words: &str) -> Result<(), SessionError> {
        self.reject_with(turn, id, status, words, &[])
    }

    /// The same with further header fields, such as the Contacts of a redirection.
    pub fn reject_with(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        status: u16,
        words: &str,
        headers: &[(&str, &str)],
    ) -> Result<(), SessionError> {
        self.check(id, Operation::Reject)?;
        if !(300..700).contains(&status) {
            return Err(SessionError::Argument("a call is refused with a status from 300 to 699"));
        }
        Content::headers(headers).check().map_err(SessionError::Protocol)?;
        if words.contains(char::is_control) {
            return Err(SessionError::Protocol(Refused::BadText));
        }
        let refusal = Refusal { reason: words, headers, ..self.refusal(status) };
        self.end_with(turn, id, EndReason::Rejected(status), &refusal);
        Ok(())
    }

    /// A caller who has to prove who it is, or is not let in.
    pub(crate) fn turn_away(&mut self, turn: &mut Turn<'_>, invite: InviteId, admission: &Admission) {
        let (status, headers) = admission.answer();
        if !matches!(admission, Admission::Challenge { .. }) {
            self.counts.add(SignalCounter::CallsRefused, 1);
        }
        turn.sip.reject(turn.now, invite, &Refusal { headers: &headers, ..self.refusal(status) });
    }

    pub(crate) fn refuse(&mut self, turn: &mut Turn<'_>, id: SessionId, status: u16, words: &str) {
        let status = if (300..700).contains(&status) { status } else { 500 };
        let refusal = Refusal { reason: words, ..self.refusal(status) };
        self.end_with(turn, id, EndReason::Rejected(status), &refusal);
    }

    pub(crate) fn refuse_unseen(&mut self, turn: &mut Turn<'_>, invite: InviteId, status: u16, warning: &str) {
        let refusal = Refusal { warning, ..self.refusal(status) };
        self.refuse_unseen_with(turn, invite, &refusal);
    }

    pub(crate) fn refuse_unseen_with(&mut self, turn: &mut Turn<'_>, invite: InviteId, refusal: &Refusal<'_>) {
        self.counts.add(SignalCounter::CallsRefused, 1);
        turn.sip.reject(turn.now, invite, refusal);
    }

    /// A status with what belongs to it: 503 asks the caller to come again later.
    pub(crate) fn refusal(&self, status: u16) -> Refusal<'static> {
        let retry_after_s = (status == 503).then(|| self.settings.retry_after.as_secs().max(1));
        Refusal { retry_after_s, ..Refusal::status(status) }
    }
}
