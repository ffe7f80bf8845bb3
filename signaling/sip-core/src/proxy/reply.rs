//! Responses that the proxy makes itself.

use crate::content::{Answer, Content, Refused};
use crate::message::compose::{put_content, put_status_line};
use crate::message::incoming::Request;
use crate::proxy::{Proxy, ProxyEvent, ProxyId, ProxyOutput};
use crate::table::slab::Handle;
use crate::transactions::proven::{is_success, status_of};
use crate::transactions::{ServerInput, Transactions};
use clock::Instant;
use sip_wire::Message;

impl Proxy {
    /// Answers a request instead of forwarding it: 300 to 699, and 2xx to anything but INVITE, for a request to the proxy
    /// itself; a challenge has its header fields in its content.
    pub fn reject(
        &mut self,
        now: Instant,
        request: ProxyId,
        answer: &Answer<'_>,
        out: &mut ProxyOutput,
    ) -> Result<(), Refused> {
        answer.content.check()?;
        let context = self.transactions.servers.get(request.0).ok_or(Refused::Gone)?;
        let lowest = if context.is_invite { 300 } else { 200 };
        if !(lowest..700).contains(&answer.status) {
            return Err(Refused::BadStatus);
        }
        if context.outcome.is_answered || context.targets.count > 0 {
            return Err(Refused::WrongState);
        }
        self.answer_own(now, request.0, answer, out);
        Ok(())
    }

    /// Sends the caller elsewhere: the redirect server of RFC 3261 §8.3. Contacts are values as `<sip:bob@pc>;q=0.5`.
    pub fn redirect(
        &mut self,
        now: Instant,
        request: ProxyId,
        (status, contacts): (u16, &[&str]),
        out: &mut ProxyOutput,
    ) -> Result<(), Refused> {
        if !(300..400).contains(&status) {
            return Err(Refused::BadStatus);
        }
        let headers: Vec<(&str, &str)> = contacts.iter().map(|contact| ("Contact", *contact)).collect();
        self.reject(now, request, &Answer::with(status, Content::headers(&headers)), out)
    }

    /// A response of our own to a request in progress.
    pub(crate) fn answer_own(&mut self, now: Instant, handle: Handle, answer: &Answer<'_>, out: &mut ProxyOutput) {
        let Answer { status, reason, content } = *answer;
        let Some(context) = self.transactions.servers.get(handle) else { return };
        let mut bytes = Vec::with_capacity(512);
        put_status_line(&mut bytes, status, reason);
        // The kept request was valid when it came.
        let Ok(message) = Message::parse(&context.request) else { return };
        let Ok(inc) = Request::new(&message) else { return };
        let tag = self.transactions.tokens.derived(&[b"proxy", inc.call_id, inc.from_tag, &inc.cseq.to_be_bytes()]);
        inc.put_head(&context.in_flow, if status == 100 { "" } else { tag.as_str() }, &mut bytes);
        put_content(&mut bytes, &content);
        self.send_upstream(now, handle, bytes.into_boxed_slice(), out);
    }

    /// Sends a response that is ready.
    pub(crate) fn send_upstream(&mut self, now: Instant, handle: Handle, bytes: Box<[u8]>, out: &mut ProxyOutput) {
        let status = status_of(&bytes);
        let Some(context) = self.transactions.servers.get_mut(handle) else { return };
        if context.outcome.is_answered {
            if context.is_invite && (200..300).contains(&status) {
                self.pass_late_success(now, handle, bytes, out);
            }
            return;
        }
        context.response = bytes;
        context.outcome.is_answered = status >= 200;
        if context.outcome.is_answered {
            context.targets.drop_untried();
            self.note_answered(handle);
        }
        self.drive_context(now, handle, ServerInput::Respond(status), out);
        if status >= 200 {
            self.note_end_at_stop(handle);
            out.event(ProxyEvent::Finished { request: ProxyId(handle), status });
        }
    }

    /// A 2xx that comes after the final answer to its INVITE goes to the caller all the same (RFC 3261 §16.7, step 5): the
    /// caller acknowledges it and ends what it does not want. It takes the place of a 2xx, for copies of the INVITE, and never
    /// that of a refusal, which is repeated until the caller acknowledges that one (RFC 3261 §17.2.1).
    fn pass_late_success(&mut self, now: Instant, handle: Handle, success: Box<[u8]>, out: &mut ProxyOutput) {
        let Transactions { servers, proven, .. } = &mut self.transactions;
        let Some(context) = servers.get_mut(handle) else { return };
        if context.budget.admits(proven.has(now, &context.address), &success) {
            out.send_copy(context.flow, &success);
        }
        if is_success(&context.response) {
            context.response = success;
        }
    }
}
