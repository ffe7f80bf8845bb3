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
    /// Of the other side.
    request: RequestId,
}

impl Sessions {
    /// INFO that is none of ours goes to the other side. `false`: there is none that could take it.
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
        let Some(other) = self.table.get_mut(other).filter(|other| other.relayed.len() < RELAYED_MAX) else {
            return false;
        };
        // A caller that has not heard of our tag yet knows no dialog.
        if other.invite.is_some() && other.state == crate::SessionState::Initializing {
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
        let Some(place) = session.relayed.iter().position(|relayed| relayed.sent == sent) else { return false };
        if status >= 200 {
            let relayed = session.relayed.swap_remove(place);
            turn.sip.respond(turn.now, relayed.request, status, "");
        }
        true
    }

    /// The session ends: whoever waits for its answers hears that there will be none.
    pub(crate) fn drop_relayed(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        self.drop_relayed_in(turn, id, |_| true);
    }

    /// The same for the dialogs that end.
    pub(crate) fn drop_relayed_in(&mut self, turn: &mut Turn<'_>, id: SessionId, ends: impl Fn(DialogId) -> bool) {
        let Some(session) = self.table.get_mut(id) else { return };
        session.relayed.retain(|relayed| {
            let is_over = ends(relayed.dialog);
            if is_over {
                turn.sip.respond(turn.now, relayed.request, 480, "");
            }
            !is_over
        });
    }
}
