//! The user's answer to an incoming call: with its own description or header fields, or after early media.

use crate::crossing::Moment;
use crate::invite::incoming_invite::Stage;
use crate::timers::timer::Timer;
use crate::{Operation, Plan, SessionError, SessionId, SessionState, Sessions, Side, Turn};
use sip_core::{Content, Span};

/// Longest description that a user may give.
const DESCRIPTION_BYTES_MAX: usize = 16_384;

impl Sessions {
    /// Answers a call that rings with a session description of the user's own. Media reaches the media plane only if the
    /// description names our port, which is known once there is a leg: see [`Self::early_media`].
    pub fn accept_with(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        plan: Plan,
        sdp: Option<&str>,
    ) -> Result<(), SessionError> {
        self.accept_saying(turn, id, plan, sdp, &[])
    }

    /// The same with further header fields in the answer.
    pub fn accept_saying(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        plan: Plan,
        sdp: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Result<(), SessionError> {
        self.check(id, Operation::Accept)?;
        Content::headers(headers).check().map_err(SessionError::Protocol)?;
        if sdp.is_some_and(|sdp| sdp.len() > DESCRIPTION_BYTES_MAX || !sdp.starts_with("v=0")) {
            return Err(SessionError::Argument("a session description begins with v=0 and has at most 16 KB"));
        }
        let Some(session) = self.table.get_mut(id) else { return Ok(()) };
        let Some(incoming) = &mut session.incoming else { return Ok(()) };
        incoming.answer_headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let was_early = incoming.stage == Stage::Early;
        let was_reserved = if was_early {
            incoming.stage = Stage::Answering;
            session.playback.set_plan(plan);
            session.timers.set(Timer::Answer, None);
            false
        } else {
            self.start_as(turn, id, plan, Stage::Answering)
        };
        if let (Some(sdp), Some(session)) = (sdp, self.table.get_mut(id)) {
            session.describe(sdp);
        }
        if was_reserved {
            self.use_reserved(turn, id);
        }
        if was_early {
            self.answer(turn, id);
            self.sync(turn, id);
        }
        Ok(())
    }

    /// Sends early media to a call that rings: 183 with a session description. The call has to be accepted or rejected as
    /// soon as any other.
    pub fn early_media(&mut self, turn: &mut Turn<'_>, id: SessionId, plan: Plan) -> Result<(), SessionError> {
        self.check(id, Operation::Accept)?;
        let session = self.table.get(id).ok_or(SessionError::SessionNotFound(id))?;
        if session.leg().is_some() && !session.is_at(Stage::Reserved) {
            return Err(SessionError::Busy(Operation::Accept));
        }
        if session.offer().is_none() {
            return Err(SessionError::Media("the caller has offered nothing yet, so it cannot hear anything"));
        }
        if self.start_as(turn, id, plan, Stage::Early) {
            self.use_reserved(turn, id);
        }
        if self.table.get(id).is_some_and(|session| session.is_at(Stage::Early)) {
            self.wake(id, Timer::Answer, Some(self.decide_by(turn, id)));
        }
        Ok(())
    }

    /// Header fields of the called side's answer, for the answer to the caller.
    pub(crate) fn keep_answer_lines(&mut self, turn: &Turn<'_>, called: SessionId, message: Span) {
        let Some(caller) = self.other_side(called) else { return };
        let lines = self.crossing_lines(turn, called, message, Moment::Answer);
        if let Some(incoming) = self.table.get_mut(caller).and_then(|session| session.incoming.as_mut()) {
            incoming.answer_headers = lines.into();
        }
    }

    /// The leg of a call with early media runs: 183.
    pub(crate) fn announce(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get(id) else { return };
        let Some(incoming) = &session.incoming else { return };
        let Some(description) = &incoming.description else { return };
        turn.sip.progress(turn.now, incoming.invite(), 183, description, &[]);
        turn.decide.described(id, Side::Local, description.as_bytes());
        if session.state() == SessionState::Initializing {
            self.go(turn, id, SessionState::Ringing);
        }
    }
}
