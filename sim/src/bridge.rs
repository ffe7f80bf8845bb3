//! A back-to-back user agent: each call that comes makes one that goes, and what happens to one happens to the other.

use crate::agent::message_of;
use crate::network::Arrival;
use crate::node::Turn;
use sip_core::{
    AccountId, Answer, CallId, Content, DialogId, Endpoint, EndpointConfig, Event, Flow, InviteId, NewRequest, Output,
    Refused,
};
use std::net::SocketAddr;

const SDP: Content<'static> = Content::sdp(b"v=0\r\no=- 2 2 IN IP4 192.0.2.2\r\n");

/// The two legs of a call.
struct Pair {
    invite: InviteId,
    came: Option<DialogId>,
    call: Option<CallId>,
    went: Option<DialogId>,
    /// The answer waits for a PRACK.
    is_answer_late: bool,
}

pub(crate) struct Bridge {
    number: u64,
    pub(crate) endpoint: Endpoint,
    out: Output,
    address: SocketAddr,
    pairs: Vec<Pair>,
    account: Option<AccountId>,
}

impl Bridge {
    pub(crate) fn new(number: u64, config: EndpointConfig, seed: u64, address: SocketAddr) -> Self {
        let mut endpoint = Endpoint::new(config, seed);
        let account = endpoint.add_account(crate::guard::account()).ok();
        Self { number, endpoint, out: Output::new(), address, pairs: Vec::new(), account }
    }

    pub(crate) fn leftovers(&self) -> String {
        if self.pairs.is_empty() { String::new() } else { format!("{} bridged calls ", self.pairs.len()) }
    }

    pub(crate) fn arrive(&mut self, flow: &Flow, arrival: &Arrival, turn: &mut Turn<'_>) {
        match arrival {
            Arrival::Message(bytes) => self.endpoint.receive(turn.now, flow, bytes, &mut self.out),
            Arrival::Broken => self.endpoint.transport_failed(turn.now, flow, &mut self.out),
            Arrival::Piece(_) => {}
        }
        self.drain(turn);
    }

    pub(crate) fn wake(&mut self, turn: &mut Turn<'_>) {
        self.endpoint.wake(turn.now, &mut self.out);
        self.drain(turn);
    }

    fn drain(&mut self, turn: &mut Turn<'_>) {
        while let Some(event) = self.out.next_event() {
            let message = message_of(&event).map_or(&b""[..], |span| self.out.bytes(span));
            turn.note(|| format!("bridge: {event:?}"));
            turn.ledger.event(self.number, &event, message);
            self.handle(&event, turn);
            self.pairs.retain(|pair| pair.came.is_some() || pair.call.is_some() || pair.went.is_some());
        }
        for transmit in &self.out.transmits {
            turn.sent.push((transmit.flow, self.out.bytes(transmit.bytes).to_vec()));
        }
        self.out.clear();
    }

    fn handle(&mut self, event: &Event, turn: &mut Turn<'_>) {
        let now = turn.now;
        let Self { endpoint, out, pairs, .. } = self;
        match *event {
            Event::Invite { invite, dialog, .. } => self.bridge(invite, dialog, turn),
            Event::Progress { call, status: 101.., .. } => {
                if let Some(pair) = pairs.iter().find(|pair| pair.call == Some(call)) {
                    // The caller may be gone, or owe us a PRACK: the next one will tell it.
                    let _ = endpoint.provisional(now, pair.invite, &Answer::of(180), out);
                }
            }
            Event::Answered { call, dialog, .. } => self.answered(call, dialog, turn),
            Event::Failed { call, status, .. } => {
                if let Some(pair) = pairs.iter_mut().find(|pair| pair.call == Some(call)) {
                    pair.call = None;
                    let status = if status < 300 { 500 } else { status };
                    let _ = endpoint.reject(now, pair.invite, &Answer::of(status), out);
                }
            }
            Event::Pracked { invite, .. } => {
                if let Some(pair) = pairs.iter_mut().find(|pair| pair.invite == invite && pair.is_answer_late) {
                    pair.is_answer_late = false;
                    let _ = endpoint.accept(now, invite, SDP, out);
                }
            }
            Event::Ended { dialog, .. } => self.ended(dialog, turn),
            Event::Reinvite { invite, .. } => drop(endpoint.accept(now, invite, SDP, out)),
            Event::Request { request, .. } => drop(endpoint.respond(now, request, &Answer::of(200), out)),
            Event::RefreshDue { dialog } => {
                if let Ok(request) = endpoint.reinvite(now, dialog, SDP, out) {
                    turn.ledger.sent_request(self.number, request);
                }
            }
            _ => {}
        }
    }

    fn bridge(&mut self, invite: InviteId, dialog: DialogId, turn: &mut Turn<'_>) {
        let to = *turn.rng.pick(&turn.book.agents);
        let uri = format!("sip:user@{to}");
        let flow = turn.book.flow(self.address, to);
        let request = NewRequest {
            content: SDP,
            account: self.account,
            ..NewRequest::new(flow, &uri, "<sip:b@sim.example>", "<sip:u@sim.example>")
        };
        match self.endpoint.invite(turn.now, &request, &mut self.out) {
            Ok(call) => {
                turn.ledger.placed(self.number, call);
                let (came, call) = (Some(dialog), Some(call));
                self.pairs.push(Pair { invite, came, call, went: None, is_answer_late: false });
            }
            Err(_) => drop(self.endpoint.reject(turn.now, invite, &Answer::of(503), &mut self.out)),
        }
    }

    fn answered(&mut self, call: CallId, dialog: DialogId, turn: &mut Turn<'_>) {
        let Some(pair) = self.pairs.iter_mut().find(|pair| pair.call == Some(call)) else {
            return turn.ledger.fail("bridge: a call that it has forgotten was answered".to_owned());
        };
        pair.call = None;
        pair.went = Some(dialog);
        match self.endpoint.accept(turn.now, pair.invite, SDP, &mut self.out) {
            Ok(_) => {}
            Err(Refused::AwaitingPrack) => pair.is_answer_late = true,
            Err(_) => drop(self.endpoint.bye(turn.now, dialog, Content::NONE, &mut self.out)),
        }
    }

    /// One leg is over: so is the other.
    fn ended(&mut self, dialog: DialogId, turn: &mut Turn<'_>) {
        let Self { endpoint, out, pairs, .. } = self;
        let now = turn.now;
        if let Some(pair) = pairs.iter_mut().find(|pair| pair.came == Some(dialog)) {
            pair.came = None;
            if let Some(call) = pair.call {
                let _ = endpoint.cancel(now, call, out);
            }
            if let Some(went) = pair.went {
                let _ = endpoint.bye(now, went, Content::NONE, out);
            }
        } else if let Some(pair) = pairs.iter_mut().find(|pair| pair.went == Some(dialog)) {
            pair.went = None;
            if let Some(came) = pair.came
                && endpoint.bye(now, came, Content::NONE, out).is_err()
            {
                let _ = endpoint.reject(now, pair.invite, &Answer::of(500), out);
            }
        }
    }
}
