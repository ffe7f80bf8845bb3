//! INFO that crosses from one side of a call to the other, in early dialogs too.

use crate::{SessionId, Sessions, Turn};
use sip_core::{ClientRequestId, DialogId, RequestId};

/// INFO requests of one session that wait for the other side's answer.
const RELAYED_MAX: usize = 8;

/// An INFO that waits for the answer of the peer of this session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relayed {
    sent: ClientRequestId,
    dialog: DialogId,
    /// The request of the other side, which gets the same status.
    request: RequestId,
}

/// The INFO requests of one session that wait; an empty list takes no memory.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "nearly every call has none, and a session stays small")]
pub(crate) struct RelayedInfo(Option<Box<Vec<Relayed>>>);

impl RelayedInfo {
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn has_room(&self) -> bool {
        self.0.as_ref().is_none_or(|waiting| waiting.len() < RELAYED_MAX)
    }

    fn push(&mut self, relayed: Relayed) {
        self.0.get_or_insert_default().push(relayed);
    }

    fn contains(&self, sent: ClientRequestId) -> bool {
        self.0.iter().flat_map(|waiting| waiting.iter()).any(|relayed| relayed.sent == sent)
    }

    /// Takes out the requests that are over.
    fn take(&mut self, is_over: impl Fn(&Relayed) -> bool) -> Vec<Relayed> {
        let Some(waiting) = &mut self.0 else { return Vec::new() };
        let (over, left) = waiting.drain(..).partition(is_over);
        **waiting = left;
        if waiting.is_empty() {
            self.0 = None;
        }
        over
    }
}

impl Sessions {
    /// An INFO that the switch has no use for goes to the other side. `false`: there is no other side, or it cannot take it.
    pub(crate) fn info_crosses(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        request: RequestId,
        kind: &str,
        body: &[u8],
    ) -> bool {
        let Some(other) = self.other_side(id) else { return false };
        let Some(dialog) = self.dialog_of(other) else { return false };
        let Some(other) = self.table.get_mut(other).filter(|other| other.relayed.has_room()) else {
            return false;
        };
        // A caller that has had no response yet knows no tag of ours, so it has no dialog.
        if other.incoming.is_some() && other.state() == crate::SessionState::Initializing {
            return false;
        }
        match turn.sip.info(turn.now, dialog, kind, body) {
            Ok(sent) => {
                other.relayed.push(Relayed { sent, dialog, request });
                true
            }
            Err(_) => false,
        }
    }

    /// The other side's answer to an INFO that crossed. `false`: it is to something else.
    pub(crate) fn relayed_answered(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        sent: ClientRequestId,
        status: u16,
    ) -> bool {
        let Some(session) = self.table.get_mut(id) else { return false };
        if status < 200 {
            return session.relayed.contains(sent);
        }
        let answered = session.relayed.take(|relayed| relayed.sent == sent);
        for relayed in &answered {
            turn.sip.respond(turn.now, relayed.request, status, "");
        }
        !answered.is_empty()
    }

    /// The session ends: requests that wait for its peer's answers are answered 487 (RFC 3261 §15.1.2).
    pub(crate) fn drop_relayed(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        self.drop_relayed_in(turn, id, |_| true);
    }

    /// The same for the dialogs that end.
    pub(crate) fn drop_relayed_in(&mut self, turn: &mut Turn<'_>, id: SessionId, ends: impl Fn(DialogId) -> bool) {
        let Some(session) = self.table.get_mut(id) else { return };
        for relayed in session.relayed.take(|relayed| ends(relayed.dialog)) {
            turn.sip.respond(turn.now, relayed.request, 487, "");
        }
    }
}
