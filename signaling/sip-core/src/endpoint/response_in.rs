//! Responses to requests of ours (RFC 3261 §17.1.3, §8.1.3).

use super::Endpoint;
use super::client::{ClientInput, Heard};
use crate::output::Output;
use crate::slab::Handle;
use crate::transactions::Purpose;
use clock::Instant;
use sip_wire::Message;

impl Endpoint {
    pub(crate) fn receive_response(&mut self, now: Instant, message: &Message<'_>, out: &mut Output) {
        let Some(status) = message.status() else { return };
        if message.validate_response().is_err() {
            self.counters.malformed += 1;
            return;
        }
        self.counters.received += 1;
        let found = message.top_via().ok().and_then(|via| {
            let branch = via.rfc3261_branch()?.get(sip_wire::BRANCH_COOKIE.len()..)?;
            let method = message.cseq().ok()?.method;
            self.client_index.get(&self.client_key(branch, method)).copied()
        });
        // RFC 3261 §8.1.3.3: more than one Via means that the response is not for us.
        let Some(handle) = found.filter(|_| message.raw_values(sip_wire::Name::Via).nth(1).is_none()) else {
            self.counters.stray_responses += 1;
            return;
        };
        let heard = self.drive_client(now, handle, ClientInput::Response(status.code()), Some(message), out);
        self.hear(now, handle, heard, status.code(), Some(message), out);
        self.settle_client(handle);
    }

    /// Tells the one who sent the request.
    pub(crate) fn hear(
        &mut self,
        now: Instant,
        handle: Handle,
        heard: Heard,
        status: u16,
        message: Option<&Message<'_>>,
        out: &mut Output,
    ) {
        if heard == Heard::Nothing {
            return;
        }
        let Some(transaction) = self.clients.get(handle) else { return };
        let (purpose, dialog) = (transaction.purpose, transaction.dialog);
        match purpose {
            Purpose::Bye if status >= 200 => {
                let Some(dialog) = dialog else { return };
                let Some(cause) = self.dialogs.get(dialog).map(|dialog| dialog.ending) else { return };
                let message = message.map(|message| Self::keep(message, out));
                self.end_dialog(now, dialog, cause, message, out);
            }
            _ => {}
        }
    }
}
