//! Messages in: the transaction layer reads and matches them, what is new goes to the rules of dialogs and calls.

use crate::endpoint::Endpoint;
use crate::flow::Flow;
use crate::message::incoming::{Incoming, Request};
use crate::output::Output;
use crate::transactions::ServerInput;
use clock::Instant;
use sip_wire::{Message, Method};

impl Endpoint {
    /// Takes one message: a datagram, or what framing cut out of a stream.
    pub fn receive(&mut self, now: Instant, flow: &Flow, datagram: &[u8], out: &mut Output) {
        if let Some(message) = self.transactions.parse(datagram) {
            self.receive_parsed(now, flow, &message, out);
        }
    }

    /// The same for a message that is parsed already.
    pub fn receive_parsed(&mut self, now: Instant, flow: &Flow, message: &Message<'_>, out: &mut Output) {
        if !self.transactions.takes(message) {
            return;
        }
        if !message.is_request() {
            self.receive_response(now, message, out);
        } else if let Some(inc) = self.transactions.read(now, flow, message, out) {
            self.receive_request(&inc, out);
        }
    }

    /// Whether a message belongs to a transaction or a dialog of this endpoint.
    pub fn knows(&self, message: &Message<'_>) -> bool {
        let in_dialog = || {
            let request = Request::new(message).ok().filter(|_| message.is_request())?;
            let key = request.to_tag.map(|_| request.dialog_key(&self.transactions.keyed))?;
            self.dialog_index.get(&key)
        };
        self.transactions.knows(message) || in_dialog().is_some()
    }

    fn receive_request(&mut self, inc: &Incoming<'_, '_>, out: &mut Output) {
        if inc.method == Method::Ack {
            return self.receive_ack(inc, out);
        }
        if let Some(handle) = self.transactions.server_of(inc) {
            self.transactions.note_copy(handle, inc);
            return self.drive_server(inc.now, handle, ServerInput::Request, out);
        }
        if inc.method == Method::Cancel {
            return self.receive_cancel(inc, out);
        }
        if inc.to_tag.is_some() {
            self.receive_in_dialog(inc, out);
        } else {
            self.receive_out_of_dialog(inc, out);
        }
    }
}
