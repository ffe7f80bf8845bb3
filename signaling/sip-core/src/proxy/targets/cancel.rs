//! CANCEL: of the caller, and of the branches that are not wanted any more (RFC 3261 §16.10).

use crate::content::Content;
use crate::message::compose::{put_content, put_status_line};
use crate::message::incoming::{Incoming, put_unfolded};
use crate::proxy::context::Context;
use crate::proxy::targets::branch::Branch;
use crate::proxy::{Proxy, ProxyEvent, ProxyId, ProxyOutput, Standing};
use crate::table::slab::Handle;
use crate::transactions::{Cancel, ServerInput};
use clock::Instant;
use sip_wire::Name;

impl Proxy {
    pub(crate) fn receive_cancel(&mut self, inc: &Incoming<'_, '_>, out: &mut ProxyOutput) {
        let now = inc.now;
        let Some(handle) = self.transactions.cancelled_by(inc) else {
            // Every request that is sent on has a transaction: there is nothing to cancel, here or behind (RFC 3261 §9.2).
            return self.transactions.refuse(inc, 481, b"", out);
        };
        self.answer_cancel(inc, out);
        let Some(context) = self.transactions.servers.get_mut(handle) else { return };
        if !context.is_invite
            || context.outcome.is_answered
            || std::mem::replace(&mut context.outcome.is_cancelled, true)
        {
            return;
        }
        context.targets.drop_untried();
        out.event(ProxyEvent::Cancelled { request: ProxyId(handle) });
        let mut why = Vec::new();
        let reasons = inc.message.header_lines(Name::Reason).filter(|reason| reason.len() <= REASON_BYTES_MAX);
        for reason in reasons.take(REASONS_MAX) {
            put_line(&mut why, b"Reason: ", reason);
        }
        self.cancel_all(now, handle, &why, out);
        self.finish(now, handle, out);
    }

    /// 200, whatever becomes of the INVITE. A copy gets the same, also when the INVITE is over by then (RFC 3261 §17.2.2).
    fn answer_cancel(&mut self, inc: &Incoming<'_, '_>, out: &mut ProxyOutput) {
        let tag = self.transactions.tokens.derived(&[b"proxy", inc.call_id, inc.from_tag, &inc.cseq.to_be_bytes()]);
        let mut bytes = Vec::with_capacity(512);
        put_status_line(&mut bytes, 200, "");
        inc.put_head(inc.flow, tag.as_str(), &mut bytes);
        put_content(&mut bytes, &Content::NONE);
        let mut context = Context::new(inc, Box::default(), self.loop_mark(inc), Standing::Unproven);
        context.outcome.is_answered = true;
        let opened = if self.make_way(bytes.len()) { self.transactions.open_server(inc, context) } else { None };
        let Some(handle) = opened else {
            // Without room a copy is answered by what has become of the INVITE.
            return out.send_message(inc.response_flow(inc.flow), &bytes);
        };
        if let Some(context) = self.transactions.servers.get_mut(handle) {
            context.response = bytes.into();
        }
        self.unanswered.add(false);
        self.note_answered(handle);
        self.drive_context(inc.now, handle, ServerInput::Respond(200), out);
    }

    /// Cancels every branch that still waits. `why`: complete header lines.
    pub(crate) fn cancel_all(&mut self, now: Instant, context: Handle, why: &[u8], out: &mut ProxyOutput) {
        let Some(context) = self.transactions.servers.get(context).filter(|context| context.is_invite) else { return };
        for handle in context.targets.branches.clone() {
            if let Some(branch) = self.transactions.clients.get_mut(handle).filter(|branch| branch.cancel == Cancel::No)
            {
                branch.cancel_lines = why.into();
            }
            self.cancel_branch(now, handle, out);
        }
    }

    /// CANCEL now if a provisional response came, else as soon as one does (RFC 3261 §9.1).
    pub(crate) fn cancel_branch(&mut self, now: Instant, handle: Handle, out: &mut ProxyOutput) {
        self.transactions.cancel_client(now, handle, Branch::cancel, out);
    }
}

/// The other targets of a call that one has answered: it was not missed (RFC 3326 §2).
pub(crate) const ANSWERED_ELSEWHERE: &[u8] = b"Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n";

/// Most reasons of a caller's CANCEL that go on.
const REASONS_MAX: usize = 4;
/// Longest of them.
const REASON_BYTES_MAX: usize = 512;

/// The other targets of a call that one has refused for all of them.
pub(crate) fn refused_elsewhere(status: u16) -> Vec<u8> {
    format!("Reason: SIP;cause={status};text=\"Call refused elsewhere\"\r\n").into_bytes()
}

fn put_line(arena: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    arena.extend_from_slice(name);
    put_unfolded(arena, value);
    arena.extend_from_slice(b"\r\n");
}
