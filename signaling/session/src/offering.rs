//! Our own re-INVITEs: hold, resume, refresh (RFC 3261 §14.1).

use crate::{EndReason, Operation, PlannedSource, SessionError, SessionEvent, SessionId, Sessions, Side, Turn};
use contract::Direction;
use sdp_core::{write_offer, write_offer_again};
use sip_core::{ClientRequestId, DialogId, Span};

/// A re-INVITE of ours that has not been answered yet, and what it is to bring about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offering {
    pub(crate) request: ClientRequestId,
    pub(crate) wish: Wish,
}

/// What a re-INVITE of ours is to bring about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wish {
    /// Whom to tell; nobody where it only refreshes.
    pub(crate) operation: Option<Operation>,
    pub(crate) wanted: Direction,
    pub(crate) hold_source: PlannedSource,
}

impl Sessions {
    /// Sends a re-INVITE. Nothing changes until it is answered.
    pub(crate) fn offer(&mut self, turn: &mut Turn<'_>, id: SessionId, wish: Wish) -> Result<(), SessionError> {
        let session = self.table.get(id).ok_or(SessionError::SessionNotFound(id))?;
        let operation = wish.operation.unwrap_or(Operation::ChangeMedia);
        let is_free = session.change.is_none() && session.offering.is_none() && !session.awaits_answer;
        let (Some(dialog), Some(local), true) = (session.dialog, session.local(), is_free) else {
            return Err(SessionError::Busy(operation));
        };
        let settings = sdp_core::Settings { direction: wish.wanted, ..self.media_of(session) };
        let mut origin = session.origin;
        let text = match &session.agreed {
            Some(agreed) => write_offer_again(agreed, &settings, &session.others, local, &mut origin),
            None => write_offer(&settings, &session.others, local, &mut origin),
        };
        let request = turn.sip.reinvite(turn.now, dialog, &text).map_err(|refused| match refused {
            sip_core::Refused::Busy => SessionError::Busy(operation),
            other => SessionError::Protocol(other),
        })?;
        turn.decide.described(id, Side::Local, text.as_bytes());
        if let Some(session) = self.table.get_mut(id) {
            session.origin = origin;
            session.offering = Some(Offering { request, wish });
        }
        Ok(())
    }

    /// The session timer wants a refresh. Where another change is on its way, that one refreshes.
    pub(crate) fn refresh_due(&mut self, turn: &mut Turn<'_>, dialog: DialogId) {
        let Some(session) = self.find(dialog).and_then(|id| self.table.get(id)) else { return };
        let wish = Wish { operation: None, wanted: session.wanted, hold_source: session.hold_source };
        let id = session.id;
        let _ = self.offer(turn, id, wish);
    }

    /// A response to our re-INVITE. `false`: it is to something else.
    pub(crate) fn offer_answered(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        request: ClientRequestId,
        status: u16,
        message: Option<Span>,
    ) -> bool {
        let Some(session) = self.table.get_mut(id) else { return false };
        let Some(offering) = session.offering.filter(|offering| offering.request == request) else { return false };
        if status < 200 || session.state.is_ending() {
            return true;
        }
        session.offering = None;
        let Wish { operation, wanted, hold_source } = offering.wish;
        match (status, message) {
            (200..300, Some(message)) => {
                let before = std::mem::replace(&mut session.wanted, wanted);
                let agreed = self.answer_in(turn, id, message);
                let (Ok(agreed), Some(session)) = (agreed, self.table.get_mut(id)) else {
                    // The peer thinks that it agreed to something: nothing can be taken back.
                    return self.offer_failed(turn, id, before);
                };
                session.hold_source = hold_source;
                self.answered(turn, id, agreed);
                if let Some(operation) = operation {
                    turn.events.push(SessionEvent::Done { id, operation });
                }
            }
            _ => {
                if let Some(operation) = operation {
                    turn.events.push(SessionEvent::Failed { id, operation, status });
                }
                // RFC 5057 §5.1: the peer does not know this call any more, or is not there.
                if matches!(status, 408 | 481) {
                    self.end(turn, id, EndReason::PeerLost);
                }
            }
        }
        true
    }

    fn offer_failed(&mut self, turn: &mut Turn<'_>, id: SessionId, wanted: Direction) -> bool {
        if let Some(session) = self.table.get_mut(id) {
            session.wanted = wanted;
        }
        self.end(turn, id, EndReason::BadAnswer);
        true
    }
}
