//! Requests of a user's own, in dialogs of sessions and outside of them, and those of peers that sessions have no use for.

use crate::{SessionError, SessionId, Sessions, Turn};
use sip_core::{ClientRequestId, Content, DialogId, NewRequest, RequestId, Span};
use sip_wire::Method;

impl Sessions {
    /// Sends INFO, MESSAGE, OPTIONS, UPDATE without a body, or a method of the user's own in the dialog of a session.
    /// [`crate::Decide::responded`] gets the answer.
    pub fn request_in(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        method: Method,
        content: Content<'_>,
    ) -> Result<ClientRequestId, SessionError> {
        let session = self.table.get(id).ok_or(SessionError::SessionNotFound(id))?;
        // What changes media or the call has an operation of its own.
        if method == Method::Invite || (method == Method::Update && !content.body.is_empty()) {
            return Err(SessionError::Argument("media is changed by hold, resume and codec change, not by requests"));
        }
        let dialog = session.dialog().filter(|_| session.is_answered() && !session.state().is_ending());
        let dialog = dialog.ok_or(SessionError::Protocol(sip_core::Refused::WrongState))?;
        turn.sip.request_in(turn.now, dialog, method, content).map_err(SessionError::Protocol)
    }

    /// Sends a request outside of dialogs, other than INVITE. [`crate::Decide::responded`] gets the answer.
    pub fn request(
        &mut self,
        turn: &mut Turn<'_>,
        method: Method,
        request: &NewRequest<'_>,
    ) -> Result<ClientRequestId, SessionError> {
        let request = NewRequest { account: request.account.or(self.account), ..*request };
        turn.sip.request(turn.now, method, &request).map_err(SessionError::Protocol)
    }

    /// Answers a request that [`crate::Decide::requested`] has taken.
    pub fn respond(
        &mut self,
        turn: &mut Turn<'_>,
        request: RequestId,
        status: u16,
        content: Content<'_>,
    ) -> Result<(), SessionError> {
        turn.sip.respond_with(turn.now, request, status, "", content).map_err(SessionError::Protocol)
    }
}

impl Turn<'_> {
    /// Whether a user answers a request.
    pub(crate) fn is_for_user(&mut self, request: RequestId, id: Option<SessionId>, message: Span) -> bool {
        let message = self.sip.message(message);
        message.is_some_and(|message| self.decide.requested(request, id, &message))
    }

    pub(crate) fn tell_dialog(&mut self, id: SessionId, dialog: DialogId) {
        if let Some(info) = self.sip.dialog_info(dialog) {
            self.decide.dialog_confirmed(id, &info);
        }
    }
}
