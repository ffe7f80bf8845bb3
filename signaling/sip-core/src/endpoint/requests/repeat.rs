//! A request once more, as a transaction of its own (RFC 3261 §8.1.3.5).

use crate::endpoint::Endpoint;
use crate::endpoint::client::Written;
use crate::endpoint::requests::{Kind, Purpose, Sent};
use crate::message::compose::put_via;
use crate::output::Output;
use crate::table::slab::Handle;
use clock::Instant;

impl Endpoint {
    /// Sends the request of a transaction again, with `lines` replacing header lines of the same names. What waited for
    /// the first one waits for the second.
    pub(crate) fn send_again(&mut self, now: Instant, handle: Handle, lines: &[u8], out: &mut Output) -> bool {
        if self.transactions.clients.is_full() {
            return false;
        }
        let branch = self.transactions.tokens.next();
        let Some(old) = self.transactions.clients.get_mut(handle) else { return false };
        let cseq = match old.dialog.and_then(|dialog| self.dialogs.get_mut(dialog)) {
            Some(dialog) => dialog.sequence.next_local(),
            None => old.cseq.saturating_add(1),
        };
        let purpose = std::mem::replace(&mut old.purpose, Purpose::Nobody);
        let mut via = Vec::with_capacity(96);
        put_via(&mut via, &self.config, &old.flow, branch.as_str());
        let mark = out.mark();
        crate::message::derive::put_again(&old.bytes, &via, cseq, lines, out.arena());
        let span = out.span_from(mark);
        let method = crate::message::derive::method_of(&old.bytes).to_vec();
        let (kind, dialog, has_body, flow) = (old.kind, old.dialog, old.has_body, old.flow);
        let sent = Sent {
            dialog,
            account: old.account,
            has_body,
            retry_count: old.retry_count + 1,
            ..Sent::new(kind, purpose, cseq)
        };
        let key = self.transactions.client_key(branch.as_str().as_bytes(), &method);
        let Some(new) = self.open_client(now, sent, Written { key, flow, bytes: span }, out) else { return false };
        match purpose {
            Purpose::Call(call) => {
                if let Some(call) = self.calls.get_mut(call.0) {
                    call.transaction = Some(new);
                }
            }
            _ => {
                if let Some(dialog) = dialog.and_then(|dialog| self.dialogs.get_mut(dialog)) {
                    match kind {
                        Kind::Reinvite => {
                            dialog.in_flight.client_invite = Some(new);
                            // The responses to this one are numbered anew (RFC 3262 §3), and its answer has not gone.
                            dialog.sequence.remote_rseq = 0;
                            dialog.ack.answered_by_prack = false;
                        }
                        // An UPDATE without an offer says nothing of another one that has one and is open.
                        Kind::Update => dialog.in_flight.client_update |= has_body,
                        _ => {}
                    }
                }
            }
        }
        true
    }
}
