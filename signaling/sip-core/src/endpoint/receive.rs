//! Datagrams in: parse, find the transaction, refuse what the rules refuse.

use super::Endpoint;
use crate::flow::Flow;
use crate::incoming::{Incoming, refuse_unreadable};
use crate::output::Output;
use clock::Instant;
use sip_wire::{Message, Method, Name, ParseError};

impl Endpoint {
    /// Takes one message: a datagram, or what framing cut out of a stream.
    pub fn receive(&mut self, now: Instant, flow: &Flow, datagram: &[u8], out: &mut Output) {
        let max_bytes = self.config.limits.max_message_bytes;
        let Some(message) = crate::incoming::parse(datagram, max_bytes, &mut self.counters.malformed) else { return };
        if !message.is_request() {
            return self.receive_response(now, &message, out);
        }
        let inc = match message.validate_request().and_then(|()| Incoming::new(&message)) {
            Ok(inc) => inc,
            Err(fault) => return self.refuse_malformed(flow, &message, &fault, out),
        };
        self.counters.received += 1;
        self.counters.foreign_maddr += u64::from(inc.has_foreign_maddr(flow));
        self.receive_request(now, flow, &inc, out);
    }

    /// Answers a broken request where the RFCs ask for it and enough of it is readable.
    fn refuse_malformed(&mut self, flow: &Flow, message: &Message<'_>, fault: &ParseError, out: &mut Output) {
        self.counters.malformed += 1;
        let Some(status) = message.answer_to(fault) else { return };
        match Incoming::broken(message) {
            Ok(inc) => self.reply_stateless(flow, &inc, status.code(), &fault.reason().to_string(), b"", out),
            Err(_) => {
                let tag = self.tokens.derived(&[b"unreadable", message.header(Name::CallId).unwrap_or_default()]);
                refuse_unreadable(flow, message, status, fault, tag.as_str(), out);
            }
        }
    }

    fn receive_request(&mut self, now: Instant, flow: &Flow, inc: &Incoming<'_, '_>, out: &mut Output) {
        let key = inc.key(&self.keyed, inc.method);
        if inc.method == Method::Ack {
            return self.receive_ack(now, flow, key, inc, out);
        }
        if let Some(handle) = self.server_index.get(&key).copied() {
            self.counters.retransmissions += 1;
            return self.repeat_server(now, handle, inc.message.as_bytes().len(), out);
        }
        if inc.method == Method::Cancel {
            return self.receive_cancel(now, flow, inc, out);
        }
        if inc.to_tag.is_some() {
            self.receive_in_dialog(now, flow, key, inc, out);
        } else {
            self.receive_out_of_dialog(now, flow, key, inc, out);
        }
    }
}
