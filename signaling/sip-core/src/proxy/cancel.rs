//! CANCEL: of the caller, and of the branches that are not wanted any more (RFC 3261 §16.10).

use super::branch::Branch;
use super::{Proxy, ProxyEvent, ProxyId, ProxyOutput};
use crate::compose::{put, put_content, put_cseq, put_status_line};
use crate::content::Content;
use crate::flow::Flow;
use crate::incoming::{Incoming, put_unfolded};
use crate::output::Span;
use crate::slab::Handle;
use crate::transactions::{Cancel, ClientMachine};
use clock::Instant;
use sip_wire::{Message, Method, Name};

impl Proxy {
    pub(super) fn receive_cancel(&mut self, now: Instant, flow: &Flow, inc: &Incoming<'_, '_>, out: &mut ProxyOutput) {
        let key = inc.key(&self.keyed, Method::Invite);
        let Some(handle) = self.context_index.get(&key).copied() else {
            // Every INVITE that we send on has a transaction: there is nothing to cancel, here or behind us (RFC 3261 §9.2).
            self.counters.refused += 1;
            return self.put_refusal(flow, inc, 481, b"", out);
        };
        let tag = self.tokens.derived(&[b"proxy", inc.call_id, inc.from_tag, &inc.cseq.to_be_bytes()]);
        let mark = out.mark();
        put_status_line(out.arena(), 200, "");
        inc.put_head(flow, tag.as_str(), out.arena());
        put_content(out.arena(), &Content::NONE);
        let span = out.span_from(mark);
        out.send(inc.response_flow(flow), span);
        let Some(context) = self.contexts.get_mut(handle) else { return };
        if context.is_answered || std::mem::replace(&mut context.is_cancelled, true) {
            return;
        }
        context.waiting.clear();
        context.redirects.clear();
        out.event(ProxyEvent::Cancelled { request: ProxyId(handle) });
        let mut why = Vec::new();
        let reasons = inc.message.header_lines(Name::Reason).filter(|reason| reason.len() <= REASON_BYTES_MAX);
        for reason in reasons.take(REASONS_MAX) {
            put_line(&mut why, b"Reason: ", reason);
        }
        self.cancel_all(now, handle, &why, out);
        self.finish(now, handle, out);
    }

    /// Cancels every branch that still waits. `why`: complete header lines.
    pub(super) fn cancel_all(&mut self, now: Instant, context: Handle, why: &[u8], out: &mut ProxyOutput) {
        let Some(context) = self.contexts.get(context).filter(|context| context.is_invite) else { return };
        for handle in context.branches.clone() {
            if let Some(branch) = self.branches.get_mut(handle).filter(|branch| branch.cancel == Cancel::No) {
                branch.cancel_lines = why.into();
            }
            self.cancel_branch(now, handle, out);
        }
    }

    /// CANCEL now if a provisional response came, else as soon as one does (RFC 3261 §9.1).
    pub(super) fn cancel_branch(&mut self, now: Instant, handle: Handle, out: &mut ProxyOutput) {
        let until = now + self.config.timers.give_up();
        let Some(branch) = self.branches.get_mut(handle) else { return };
        let ClientMachine::Invite(machine) = &branch.machine else { return };
        if !machine.is_waiting() || matches!(branch.cancel, Cancel::Sent(_)) {
            return;
        }
        if !machine.is_proceeding() {
            branch.cancel = Cancel::Wanted;
            return;
        }
        branch.cancel = Cancel::Sent(until);
        let (context, flow) = (branch.context, branch.flow);
        let Some((bytes, branch)) = write_hop(branch, Method::Cancel, None, out) else { return };
        let key = self.branch_key(&branch, Method::Cancel);
        // With a full table the branch ends by its own clock.
        if !self.branches.is_full() {
            self.open_branch(now, context, key, flow, bytes, Method::Cancel, None, out);
        }
        self.settle_branch(handle);
    }
}

/// Sends ACK or CANCEL on the branch of a request.
pub(super) fn send_hop(branch: &Branch, method: Method, to: Option<&[u8]>, out: &mut ProxyOutput) {
    if let Some((bytes, _)) = write_hop(branch, method, to, out) {
        out.send(branch.flow, bytes);
    }
}

/// The other targets of a call that one has answered: it was not missed (RFC 3326 §2).
pub(super) const ANSWERED_ELSEWHERE: &[u8] = b"Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n";

/// Most reasons of a caller's CANCEL that go on.
const REASONS_MAX: usize = 4;
/// Longest of them.
const REASON_BYTES_MAX: usize = 512;

/// The other targets of a call that one has refused for all of them.
pub(super) fn refused_elsewhere(status: u16) -> Vec<u8> {
    format!("Reason: SIP;cause={status};text=\"Call refused elsewhere\"\r\n").into_bytes()
}

/// ACK for a refusal, or CANCEL: the same Request-URI, Via, From, Call-ID, CSeq number and Route, and one Via only.
fn write_hop(branch: &Branch, method: Method, to: Option<&[u8]>, out: &mut ProxyOutput) -> Option<(Span, Vec<u8>)> {
    let (request, lines) = (Message::parse(&branch.bytes).ok()?, &*branch.cancel_lines);
    let via = request.raw_values(Name::Via).next()?;
    let branch = request.top_via().ok()?.rfc3261_branch()?.get(sip_wire::BRANCH_COOKIE.len()..)?.to_vec();
    let mark = out.mark();
    let arena = out.arena();
    put(arena, &[method.as_bytes(), b" ", request.request_uri_raw(), b" SIP/2.0\r\nVia: ", via, b"\r\n"]);
    put_cseq(arena, request.cseq().ok()?.number, method.as_bytes());
    arena.extend_from_slice(b"Max-Forwards: 70\r\n");
    for route in request.header_lines(Name::Route) {
        put_line(arena, b"Route: ", route);
    }
    put_line(arena, b"From: ", request.header(Name::From)?);
    put_line(arena, b"To: ", to.or(request.header(Name::To))?);
    put_line(arena, b"Call-ID: ", request.header(Name::CallId)?);
    if method == Method::Cancel {
        put(arena, &[lines]);
    }
    put_content(arena, &Content::NONE);
    Some((out.span_from(mark), branch))
}

fn put_line(arena: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    arena.extend_from_slice(name);
    put_unfolded(arena, value);
    arena.extend_from_slice(b"\r\n");
}
