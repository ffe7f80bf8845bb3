//! Responses that the proxy makes itself.

use super::{Proxy, ProxyEvent, ProxyId, ProxyOutput};
use crate::compose::{put_content, put_status_line};
use crate::content::{Content, Refused};
use crate::flow::Flow;
use crate::incoming::Incoming;
use crate::slab::Handle;
use clock::Instant;
use sip_wire::Message;

impl Proxy {
    /// Refuses by rule, without memory. `lines` are complete header lines.
    pub(super) fn put_refusal(
        &mut self,
        flow: &Flow,
        inc: &Incoming<'_, '_>,
        status: u16,
        lines: &[u8],
        out: &mut ProxyOutput,
    ) {
        let way = inc.response_flow(flow);
        let tag = self.stateless_tag(&way, inc);
        let mark = out.mark();
        put_status_line(out.arena(), status, "");
        inc.put_head(flow, tag.as_str(), out.arena());
        out.arena().extend_from_slice(lines);
        put_content(out.arena(), &Content::NONE);
        let span = out.span_from(mark);
        out.send(way, span);
    }

    /// 503 with Retry-After, without memory.
    pub(super) fn refuse_overload(&mut self, flow: &Flow, inc: &Incoming<'_, '_>, out: &mut ProxyOutput) {
        let mut line = Vec::with_capacity(24);
        crate::compose::put_number_line(&mut line, b"Retry-After", self.config.retry_after.as_secs().max(1));
        self.put_refusal(flow, inc, 503, &line, out);
    }

    /// Answers a request instead of forwarding it: 300 to 699, and 2xx to anything but INVITE, for a request to the proxy
    /// itself; a challenge has its header fields in `content`.
    pub fn reject(
        &mut self,
        now: Instant,
        request: ProxyId,
        status: u16,
        reason: &str,
        content: Content<'_>,
        out: &mut ProxyOutput,
    ) -> Result<(), Refused> {
        content.check()?;
        let context = self.contexts.get(request.0).ok_or(Refused::Gone)?;
        let lowest = if context.is_invite { 300 } else { 200 };
        if !(lowest..700).contains(&status) {
            return Err(Refused::BadStatus);
        }
        if context.is_answered || context.targets_count > 0 {
            return Err(Refused::WrongState);
        }
        self.answer_own(now, request.0, status, reason, &content, out);
        Ok(())
    }

    /// Sends the caller elsewhere: the redirect server of RFC 3261 §8.3. Contacts are values as `<sip:bob@pc>;q=0.5`.
    pub fn redirect(
        &mut self,
        now: Instant,
        request: ProxyId,
        status: u16,
        contacts: &[&str],
        out: &mut ProxyOutput,
    ) -> Result<(), Refused> {
        if !(300..400).contains(&status) {
            return Err(Refused::BadStatus);
        }
        let headers: Vec<(&str, &str)> = contacts.iter().map(|contact| ("Contact", *contact)).collect();
        self.reject(now, request, status, "", Content::headers(&headers), out)
    }

    /// A response of our own to a request in progress.
    pub(super) fn answer_own(
        &mut self,
        now: Instant,
        handle: Handle,
        status: u16,
        reason: &str,
        content: &Content<'_>,
        out: &mut ProxyOutput,
    ) {
        let Some(context) = self.contexts.get(handle) else { return };
        let mut bytes = Vec::with_capacity(512);
        put_status_line(&mut bytes, status, reason);
        // The kept request was valid when it came.
        let Ok(message) = Message::parse(&context.request) else { return };
        let Ok(inc) = Incoming::new(&message) else { return };
        let tag = self.tokens.derived(&[b"proxy", inc.call_id, inc.from_tag, &inc.cseq.to_be_bytes()]);
        inc.put_head(&context.in_flow, if status == 100 { "" } else { tag.as_str() }, &mut bytes);
        put_content(&mut bytes, content);
        self.send_upstream(now, handle, status, bytes.into_boxed_slice(), out);
    }

    /// Sends a response that is ready.
    pub(super) fn send_upstream(
        &mut self,
        now: Instant,
        handle: Handle,
        status: u16,
        bytes: Box<[u8]>,
        out: &mut ProxyOutput,
    ) {
        let Some(context) = self.contexts.get_mut(handle) else { return };
        if context.is_answered {
            if context.is_invite && (200..300).contains(&status) {
                context.response = bytes; // RFC 6026 §7.1: each 2xx goes through
                self.send_answer(now, handle, out);
            }
            return;
        }
        context.response = bytes;
        context.is_answered = status >= 200;
        if context.is_answered {
            self.unanswered.remove(context.is_call());
        }
        if context.is_answered {
            context.waiting.clear();
            context.redirects.clear();
        }
        let is_invite = context.is_invite;
        if is_invite {
            self.drive_invite(now, handle, crate::transaction::InviteServerInput::Respond(status), out);
        } else {
            self.drive_other(now, handle, crate::transaction::NonInviteServerInput::Respond(status), out);
        }
        if status >= 200 {
            out.event(ProxyEvent::Finished { request: ProxyId(handle), status });
        }
    }
}
