//! Responses that need no memory: the same request gets the same answer again (RFC 3261 §8.2.7).

use super::Endpoint;
use crate::compose::{put_content, put_number_line, put_status_line};
use crate::content::Content;
use crate::flow::Flow;
use crate::incoming::Incoming;
use crate::output::Output;
use crate::token::Token;

impl Endpoint {
    /// Refuses a request by rule. `lines` are complete header lines.
    pub(crate) fn refuse(&mut self, flow: &Flow, inc: &Incoming<'_, '_>, status: u16, lines: &[u8], out: &mut Output) {
        self.counters.refused += 1;
        self.reply_stateless(flow, inc, status, "", lines, out);
    }

    pub(crate) fn reply_stateless(
        &mut self,
        flow: &Flow,
        inc: &Incoming<'_, '_>,
        status: u16,
        reason: &str,
        lines: &[u8],
        out: &mut Output,
    ) {
        let way = inc.response_flow(flow);
        let tag = self.stateless_tag(&way, inc);
        let mark = out.mark();
        put_status_line(out.arena(), status, reason);
        inc.put_head(flow, tag.as_str(), out.arena());
        out.arena().extend_from_slice(lines);
        out.arena().extend_from_slice(&self.lines.server);
        put_content(out.arena(), &Content::NONE);
        let span = out.span_from(mark);
        out.send(way, span);
    }

    /// The To tag of such an answer: it stands for where that goes as well, so that an ACK with it shows that it arrived.
    pub(crate) fn stateless_tag(&self, way: &Flow, inc: &Incoming<'_, '_>) -> Token {
        let (address, cseq) = (crate::proven::address_bytes(way), inc.cseq.to_be_bytes());
        self.tokens.derived(&[b"stateless", &address, inc.call_id, inc.from_tag, &cseq, inc.uri])
    }

    pub(crate) fn reply_to_options(&mut self, flow: &Flow, inc: &Incoming<'_, '_>, status: u16, out: &mut Output) {
        let lines = [&*self.lines.allow, &*self.lines.supported, &*self.lines.accept].concat();
        self.reply_stateless(flow, inc, status, "", if status < 300 { &lines } else { b"" }, out);
    }

    /// 503 with Retry-After: a table is full.
    pub(crate) fn refuse_overload(&mut self, flow: &Flow, inc: &Incoming<'_, '_>, out: &mut Output) {
        self.counters.overloaded += 1;
        self.reply_overload(flow, inc, out);
    }

    pub(crate) fn reply_overload(&mut self, flow: &Flow, inc: &Incoming<'_, '_>, out: &mut Output) {
        let mut line = Vec::with_capacity(24);
        put_number_line(&mut line, b"Retry-After", self.config.retry_after.as_secs().max(1));
        self.reply_stateless(flow, inc, 503, "", &line, out);
    }
}
