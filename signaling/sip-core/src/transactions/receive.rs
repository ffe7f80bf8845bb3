//! Messages in: read, checked, matched (RFC 3261 §17.1.3, §17.2.3, §18).

use crate::flow::Flow;
use crate::message::incoming::{Incoming, Request, refuse_unreadable};
use crate::output::Output;
use crate::table::slab::Handle;
use crate::transactions::Transactions;
use crate::transactions::client::ClientUse;
use crate::transactions::proven::Address;
use crate::transactions::server::ServerUse;
use crate::transactions::stateless::Asked;
use clock::Instant;
use sip_wire::{BRANCH_COOKIE, ErrorKind, Message, Method, Name, ParseError};

/// What a response belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Matched {
    /// This request of ours.
    Client(Handle),
    /// This request of ours, but the response is a 2xx that breaks the rules of SIP where a peer could hang on to it.
    Broken(Handle),
    /// Nothing that its user has to know of.
    Nothing,
}

impl<S: ServerUse, C: ClientUse> Transactions<S, C> {
    /// The message in a datagram. What is none is counted, except keep-alives (RFC 5626 §3.5.1): they are the transport's.
    pub(crate) fn parse<'a>(&mut self, datagram: &'a [u8]) -> Option<Message<'a>> {
        let message = match datagram.len() > self.rules.max_message_bytes {
            true => None,
            false => Message::parse(datagram).ok(),
        };
        if message.is_none() && datagram.iter().any(|byte| !matches!(byte, b'\r' | b'\n' | 0)) {
            self.counters.malformed += 1;
        }
        message
    }

    /// Whether a message that was parsed elsewhere is short enough; one that is not is counted.
    pub(crate) fn takes(&mut self, message: &Message<'_>) -> bool {
        let fits = message.as_bytes().len() <= self.rules.max_message_bytes;
        self.counters.malformed += u64::from(!fits);
        fits
    }

    /// Whether a message belongs to a transaction that is known: a response, a copy, or the CANCEL or ACK of an INVITE.
    pub(crate) fn knows(&self, message: &Message<'_>) -> bool {
        if !message.is_request() {
            return self.client_of(message).is_some();
        }
        let Ok(request) = Request::new(message) else { return false };
        let is_copy = self.server_index.contains_key(&request.key(&self.keyed, request.method));
        is_copy || (request.method == Method::Cancel && self.cancelled_by(&request).is_some())
    }

    /// The transaction that a CANCEL is for: the request of any other method with its branch (RFC 3261 §9.2). Only an INVITE
    /// can be cancelled; the CANCEL of another request is answered and changes nothing (RFC 3261 §9.1, §16.10).
    pub(crate) fn cancelled_by(&self, cancel: &Request<'_, '_>) -> Option<Handle> {
        // INVITE is the first of them.
        let mut others = Method::ALL.into_iter().filter(|method| !matches!(method, Method::Ack | Method::Cancel));
        others.find_map(|method| self.server_index.get(&cancel.key(&self.keyed, method)).copied())
    }

    /// Reads a request; one that breaks the rules is answered where the RFCs ask for it and enough of it is readable.
    pub(crate) fn read<'a, 'm, E: Copy>(
        &mut self,
        now: Instant,
        flow: &'m Flow,
        message: &'m Message<'a>,
        out: &mut Output<E>,
    ) -> Option<Incoming<'a, 'm>> {
        match self.check(message).and_then(|()| Request::new(message)) {
            Ok(request) => {
                self.counters.received += 1;
                self.counters.foreign_maddr += u64::from(request.has_foreign_maddr(flow));
                let key = request.key(&self.keyed, request.method);
                Some(Incoming::new(now, flow, key, request))
            }
            Err(fault) => {
                self.refuse_malformed(flow, message, &fault, out);
                None
            }
        }
    }

    /// What is passed on has to be read in one way only.
    fn check(&self, message: &Message<'_>) -> Result<(), ParseError> {
        message.validate_request()?;
        match self.rules.relays && message.has_bare_line_end() {
            true => Err(ParseError::message(ErrorKind::HeaderLine)),
            false => Ok(()),
        }
    }

    fn refuse_malformed<E: Copy>(
        &mut self,
        flow: &Flow,
        message: &Message<'_>,
        fault: &ParseError,
        out: &mut Output<E>,
    ) {
        self.counters.malformed += 1;
        let Some(status) = message.answer_to(fault) else { return };
        match Request::broken(message) {
            Ok(request) => {
                let asked = Asked { flow, request: &request, now: None };
                self.reply_stateless(asked, (status.code(), &fault.reason().to_string()), b"", out);
            }
            Err(_) => {
                let tag = self.tokens.derived(&[b"unreadable", message.header(Name::CallId).unwrap_or_default()]);
                refuse_unreadable(flow, message, (status, fault), tag.as_str(), out);
            }
        }
    }

    /// Finds the request that a response belongs to, and counts it.
    pub(crate) fn match_response(&mut self, now: Instant, message: &Message<'_>) -> Matched {
        let Some(status) = message.status() else { return Matched::Nothing };
        let found = self.client_of(message);
        if message.validate_response().is_err() || (self.rules.relays && message.has_bare_line_end()) {
            self.counters.malformed += 1;
            let is_success = (200..300).contains(&status.code());
            return found.filter(|_| is_success).map_or(Matched::Nothing, Matched::Broken);
        }
        self.counters.received += 1;
        let Some(handle) = found else {
            self.counters.stray_responses += 1;
            return Matched::Nothing;
        };
        if let Some(client) = self.clients.get(handle) {
            self.proven.note(now, Address::of(&self.keyed, &client.flow), client.flow.remote.ip());
        }
        Matched::Client(handle)
    }

    fn client_of(&self, message: &Message<'_>) -> Option<Handle> {
        // RFC 3261 §8.1.3.3: more than one Via means that the response is not for us.
        if !self.rules.relays && message.raw_values(Name::Via).nth(1).is_some() {
            return None;
        }
        let via = message.top_via().ok()?;
        let branch = via.rfc3261_branch()?.get(BRANCH_COOKIE.len()..)?;
        let method = message.cseq().ok()?.method;
        let handle = self.client_index.get(&self.client_key(branch, method.as_bytes())).copied()?;
        // A branch alone would let anybody who guesses it answer in any call.
        let call_id = sip_wire::call_id(&self.clients.get(handle)?.bytes)?;
        (message.call_id().ok()? == call_id).then_some(handle)
    }
}
