//! Calls that are refused.

use crate::invite::invitation::parties;
use crate::{
    Admission, CallStory, EndOrigin, EndReason, Operation, Refusal, SessionError, SessionEvent, SessionId, Sessions,
    Share, Turn,
};
use sdp_core::SdpError;
use sip_core::{Content, InviteId, Refused, Span};
use stats::SignalCounter;

impl Sessions {
    /// Refuses a call that rings: the decision that was deferred.
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
        self.end_with(turn, id, EndReason::Refused(status), &refusal);
        Ok(())
    }

    /// A call that is not admitted: a challenge, or a refusal.
    pub(crate) fn turn_away(&mut self, turn: &mut Turn<'_>, invite: InviteId, message: Span, admission: &Admission) {
        let (status, headers) = admission.answer();
        tell_refused(turn, message, status, "");
        if !matches!(admission, Admission::Challenge { .. }) {
            self.counts.add(SignalCounter::CallsRefused, 1);
        }
        turn.sip.reject(turn.now, invite, &Refusal { headers: &headers, ..self.refusal(status) });
    }

    pub(crate) fn refuse(&mut self, turn: &mut Turn<'_>, id: SessionId, status: u16, words: &str) {
        let status = if (300..700).contains(&status) { status } else { 500 };
        let refusal = Refusal { reason: words, ..self.refusal(status) };
        self.end_with(turn, id, EndReason::Refused(status), &refusal);
    }

    /// What the caller has offered cannot be taken: the answer says why (RFC 3261 §20.43).
    pub(crate) fn refuse_unfit_call(&mut self, turn: &mut Turn<'_>, id: SessionId, error: SdpError) {
        self.counts.add(SignalCounter::RefusedDescription, 1);
        let (status, words) = (error.status(), error.to_string());
        let refusal = Refusal { warning: &words, warning_code: error.warning_code(), ..self.refusal(status) };
        self.end_with(turn, id, EndReason::Refused(status), &refusal);
    }

    pub(crate) fn refuse_unseen(
        &mut self,
        turn: &mut Turn<'_>,
        invite: InviteId,
        message: Span,
        status: u16,
        warning: &str,
    ) {
        let refusal = Refusal { warning, ..self.refusal(status) };
        self.refuse_unseen_with(turn, invite, message, &refusal);
    }

    pub(crate) fn refuse_unseen_with(
        &mut self,
        turn: &mut Turn<'_>,
        invite: InviteId,
        message: Span,
        refusal: &Refusal<'_>,
    ) {
        self.counts.add(SignalCounter::CallsRefused, 1);
        tell_refused(turn, message, refusal.status, refusal.warning);
        turn.sip.reject(turn.now, invite, refusal);
    }

    /// A status, with `Retry-After` where it is 503.
    pub(crate) fn refusal(&self, status: u16) -> Refusal<'static> {
        let retry_after_s = (status == 503).then(|| self.settings.limits.retry_after.as_secs().max(1));
        Refusal { retry_after_s, ..Refusal::status(status) }
    }
}

/// An INVITE that never became a session.
fn tell_refused(turn: &mut Turn<'_>, message: Span, status: u16, words: &str) {
    let call = CallStory {
        number: None,
        parties: turn.sip.message(message).as_ref().map(parties).unwrap_or_default(),
        is_outgoing: false,
        share: Share::Call,
        remote: turn.path.remote,
        began_at: turn.now,
        answered_at: None,
        ended_at: turn.now,
        status: Some(status),
        origin: EndOrigin::Here,
        words: words.into(),
        route: None,
        attempts: Vec::new(),
        other_call_id: None,
    };
    turn.events.push(SessionEvent::Refused { call: Box::new(call) });
}
