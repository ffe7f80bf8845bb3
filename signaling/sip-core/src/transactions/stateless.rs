//! Answers that need no memory: the same request gets the same answer again (RFC 3261 §8.2.7).

use crate::content::Content;
use crate::flow::Flow;
use crate::message::compose::{put_content, put_number_line, put_status_line};
use crate::message::incoming::{Incoming, Request};
use crate::output::Output;
use crate::table::token::Token;
use crate::transactions::Transactions;
use crate::transactions::client::ClientUse;
use crate::transactions::proven::ANSWER_FACTOR;
use crate::transactions::server::ServerUse;
use clock::Instant;

/// A request that is answered without memory.
pub(crate) struct Asked<'a, 'm> {
    /// How it came.
    pub(crate) flow: &'m Flow,
    pub(crate) request: &'m Request<'a, 'm>,
    /// When; `None` where the sender counts as one that has not shown that it gets what is sent to it.
    pub(crate) now: Option<Instant>,
}

impl<'a, 'm> Asked<'a, 'm> {
    pub(crate) fn by(inc: &'m Incoming<'a, 'm>) -> Self {
        Self { flow: inc.flow, request: &inc.request, now: Some(inc.now) }
    }
}

impl<S: ServerUse, C: ClientUse> Transactions<S, C> {
    /// Refuses a request by rule. `lines` are complete header lines.
    pub(crate) fn refuse<E: Copy>(&mut self, inc: &Incoming<'_, '_>, status: u16, lines: &[u8], out: &mut Output<E>) {
        self.counters.refused += 1;
        self.reply_stateless(Asked::by(inc), (status, ""), lines, out);
    }

    /// 503 with Retry-After where a table is full.
    pub(crate) fn refuse_overload<E: Copy>(&mut self, inc: &Incoming<'_, '_>, out: &mut Output<E>) {
        self.counters.overloaded += 1;
        self.reply_overload(inc, out);
    }

    /// 503 with Retry-After for another reason, which its caller counts.
    pub(crate) fn reply_overload<E: Copy>(&mut self, inc: &Incoming<'_, '_>, out: &mut Output<E>) {
        let mut line = Vec::with_capacity(24);
        put_number_line(&mut line, b"Retry-After", self.rules.retry_after.as_secs().max(1));
        self.reply_stateless(Asked::by(inc), (503, ""), &line, out);
    }

    /// An answer of this status and reason.
    pub(crate) fn reply_stateless<E: Copy>(
        &mut self,
        Asked { flow, request, now }: Asked<'_, '_>,
        (status, reason): (u16, &str),
        lines: &[u8],
        out: &mut Output<E>,
    ) {
        let way = request.response_flow(flow);
        let tag = self.stateless_tag(&way, request);
        let mark = out.mark();
        put_status_line(out.arena(), status, reason);
        request.put_head(flow, tag.as_str(), out.arena());
        let head_end = out.mark();
        out.arena().extend_from_slice(lines);
        out.arena().extend_from_slice(&self.rules.server_line);
        put_content(out.arena(), &Content::NONE);
        // The source of a datagram may be forged: where nothing is shown yet, one so short that its answer were more than three
        // times as long gets less.
        let is_long = out.mark() - mark > ANSWER_FACTOR * request.message.as_bytes().len();
        if is_long && !now.is_some_and(|now| self.is_proven(now, &way)) && !way.transport.is_reliable() {
            out.arena().truncate(head_end);
            put_content(out.arena(), &Content::NONE);
        }
        let span = out.span_from(mark);
        out.send(way, span);
    }

    /// The To tag of such an answer: it stands for where that goes as well, so that an ACK with it shows that it arrived.
    fn stateless_tag(&self, way: &Flow, request: &Request<'_, '_>) -> Token {
        let (address, cseq) = (crate::transactions::proven::address_bytes(way), request.cseq.to_be_bytes());
        self.tokens.derived(&[b"stateless", &address, request.call_id, request.from_tag, &cseq, request.uri])
    }

    /// Whether an ACK is for such an answer. Only who got that knows the tag, so its source is proven now.
    pub(crate) fn acknowledges_forgotten(&mut self, inc: &Incoming<'_, '_>) -> bool {
        let way = inc.response_flow(inc.flow);
        let is_so = inc.to_tag.is_some_and(|tag| tag == self.stateless_tag(&way, inc).as_str().as_bytes());
        if is_so {
            self.prove(inc.now, &way);
        }
        is_so
    }
}
