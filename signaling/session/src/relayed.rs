//! INFO that crosses from one side of a call to the other while it is up.

use crate::{SessionId, Sessions, Turn};
use sip_core::{ClientRequestId, RequestId};

/// INFO requests of one session that wait for the other side's answer.
const RELAYED_MAX: usize = 8;

impl Sessions {
    /// INFO that is none of ours goes to the other side. `false`: there is none.
    pub(crate) fn info_crosses(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        request: RequestId,
        kind: &str,
        body: &[u8],
    ) -> bool {
        let Some(other) = self.other_side(id).and_then(|other| self.table.get_mut(other)) else { return false };
        let Some(dialog) = other.dialog.filter(|_| other.relayed.len() < RELAYED_MAX) else { return false };
        match turn.sip.info(turn.now, dialog, kind, body) {
            Ok(sent) => {
                other.relayed.push((sent, request));
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
        let Some(place) = session.relayed.iter().position(|(other, _)| *other == sent) else { return false };
        if status >= 200 {
            let (_, request) = session.relayed.swap_remove(place);
            turn.sip.respond(turn.now, request, status, "");
        }
        true
    }

    /// The session ends: whoever waits for its answers hears that there will be none.
    pub(crate) fn drop_relayed(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        for (_, request) in std::mem::take(&mut session.relayed) {
            turn.sip.respond(turn.now, request, 480, "");
        }
    }
}
