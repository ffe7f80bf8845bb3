//! A phone: an endpoint and a user who calls, answers, changes their mind and hangs up.

use crate::guard::{Guard, account};
use crate::network::Arrival;
use crate::node::Turn;
use crate::relay::address_in;
use crate::rng::Rng;
use crate::todo::Todo;
use sip_core::{
    AccountId, Answer, CallId, Content, DialogId, Endpoint, EndpointConfig, Event, Flow, NewRequest, NewSubscription,
    Output, ReferProgress, Refused, Span, SubscriptionId,
};
use sip_wire::Method;
use std::net::SocketAddr;

const OFFER: Content<'static> = Content::sdp(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n");

pub(crate) struct Agent {
    pub(crate) number: u64,
    pub(crate) endpoint: Endpoint,
    out: Output,
    address: SocketAddr,
    /// In-dialog requests go straight to their next hop, as a resolver would tell.
    resolves: bool,
    guard: Option<Guard>,
    account: Option<AccountId>,
}

impl Agent {
    pub(crate) fn new(number: u64, config: EndpointConfig, rng: &mut Rng, address: SocketAddr) -> Self {
        let mut endpoint = Endpoint::new(config, rng.next());
        let account = if rng.chance(70) { endpoint.add_account(account()).ok() } else { None };
        let life = rng.between_ms(1000, 300_000);
        let guard = rng.chance(30).then(|| Guard::new(rng.next(), life));
        Self { number, endpoint, out: Output::new(), address, resolves: rng.chance(30), guard, account }
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
            let number = self.number;
            turn.note(|| format!("agent {number}: {event:?}"));
            turn.ledger.event(self.number, &event, message);
            if self.resolves {
                self.resolve(&event, turn);
            }
            if !self.challenged(&event, turn) {
                let message = message_of(&event).map_or(&b""[..], |span| self.out.bytes(span));
                crate::decide::decide(&event, message, turn);
            }
        }
        for transmit in &self.out.transmits {
            turn.sent.push((transmit.flow, self.out.bytes(transmit.bytes).to_vec()));
        }
        self.out.clear();
    }

    /// Turns down who has not proven to know the password; inside dialogs nobody is asked.
    fn challenged(&mut self, event: &Event, turn: &Turn<'_>) -> bool {
        let Some(guard) = &mut self.guard else { return false };
        let (Event::Invite { message, .. } | Event::Request { dialog: None, message, .. }) = *event else {
            return false;
        };
        let Some(challenges) = guard.challenges(turn.now, self.out.bytes(message)) else { return false };
        let headers: Vec<_> = challenges.iter().map(|value| ("WWW-Authenticate", value.as_str())).collect();
        let content = Content::headers(&headers);
        let done = match *event {
            Event::Invite { invite, .. } => {
                self.endpoint.reject(turn.now, invite, &Answer::with(401, content), &mut self.out)
            }
            Event::Request { request, .. } => {
                self.endpoint.respond(turn.now, request, &Answer::with(401, content), &mut self.out)
            }
            _ => Ok(()),
        };
        done.is_ok()
    }

    /// The endpoint asks where the next hop of a dialog is.
    fn resolve(&mut self, event: &Event, turn: &Turn<'_>) {
        let Event::PathWanted { dialog } = event else { return };
        let to = self.endpoint.dialog_info(*dialog).and_then(|info| address_in(info.next_hop));
        let path = to.map(|to| turn.book.flow(self.address, to));
        self.endpoint.set_path(turn.now, *dialog, path, &mut self.out);
    }

    pub(crate) fn act(&mut self, todo: Todo, turn: &mut Turn<'_>) {
        let number = self.number;
        turn.note(|| format!("agent {number} does {todo:?}"));
        let done = self.try_to(todo, turn);
        match (todo, done) {
            // The peer has to confirm first.
            (Todo::Accept(_) | Todo::Ring { .. }, Err(Refused::AwaitingPrack)) => turn.later_ms(200, 2000, todo),
            (_, Err(Refused::BadText | Refused::BadStatus | Refused::TooLong)) => {
                turn.ledger.fail(format!("agent {number}: {todo:?} is refused: {done:?}"));
            }
            _ => {}
        }
        self.drain(turn);
    }

    fn try_to(&mut self, todo: Todo, turn: &mut Turn<'_>) -> Result<(), Refused> {
        let now = turn.now;
        let Self { endpoint, out, number, .. } = self;
        let request = match todo {
            Todo::Call => return self.call(turn),
            Todo::Options => return self.options(turn),
            Todo::Subscribe => return self.subscribe(turn),
            Todo::Refer(dialog) => return self.refer(dialog, turn),
            Todo::Notify { subscription, left } => return self.notify(subscription, left, turn),
            Todo::Route(_) => return Ok(()),
            Todo::Cancel(call) => return endpoint.cancel(now, call, out),
            Todo::Accept(invite) => return endpoint.accept(now, invite, OFFER, out).map(drop),
            Todo::Reject(invite, status) => return endpoint.reject(now, invite, &Answer::of(status), out),
            Todo::Ack(dialog) => return endpoint.ack(now, dialog, OFFER, out),
            Todo::Prack(dialog) => return endpoint.prack(now, dialog, OFFER, out),
            Todo::Bye(dialog) => return endpoint.bye(now, dialog, Content::NONE, out),
            Todo::Respond(request, status) => {
                let content = if status < 300 { OFFER } else { Content::NONE };
                return endpoint.respond(now, request, &Answer::with(status, content), out);
            }
            Todo::Ring { invite, reliably, with_sdp } => {
                let content = if with_sdp { OFFER } else { Content::NONE };
                if reliably {
                    match endpoint.provisional_reliably(now, invite, &Answer::with(183, content), out) {
                        Err(Refused::Unsupported) => {}
                        done => return done,
                    }
                }
                return endpoint.provisional(now, invite, &Answer::of(180), out);
            }
            Todo::AcceptSubscription(request) => {
                let subscription = endpoint.accept_subscription(now, request, 120, out)?;
                let left = turn.rng.below(4) as u8;
                turn.later_ms(0, 2000, Todo::Notify { subscription, left });
                return Ok(());
            }
            Todo::Unsubscribe(subscription) => return endpoint.unsubscribe(now, subscription, out),
            Todo::Reinvite { dialog, with_sdp } => {
                endpoint.reinvite(now, dialog, if with_sdp { OFFER } else { Content::NONE }, out)?
            }
            Todo::Update(dialog) => endpoint.update(now, dialog, OFFER, out)?,
            Todo::Info(dialog) => endpoint.info(now, dialog, Content::NONE, out)?,
        };
        turn.ledger.sent_request(*number, request);
        Ok(())
    }

    /// A random agent, reached directly, through the proxy or through the bridge.
    fn somebody(&self, turn: &mut Turn<'_>) -> (Flow, String) {
        let via = match turn.rng.below(4) {
            0 | 1 => turn.book.proxy,
            2 => turn.book.bridge,
            _ => *turn.rng.pick(&turn.book.agents),
        };
        if via == self.address {
            return (turn.book.flow(self.address, turn.book.proxy), format!("sip:user@{}", turn.book.proxy));
        }
        (turn.book.flow(self.address, via), format!("sip:user@{via}"))
    }

    fn call(&mut self, turn: &mut Turn<'_>) -> Result<(), Refused> {
        let (flow, uri) = self.somebody(turn);
        let from = format!("<sip:{}@sim.example>", self.number);
        let mut request = NewRequest::new(flow, &uri, &from, "<sip:user@sim.example>");
        request.account = self.account;
        if turn.rng.chance(85) {
            request.content = OFFER;
        }
        let call: CallId = self.endpoint.invite(turn.now, &request, &mut self.out)?;
        turn.ledger.placed(self.number, call);
        if turn.rng.chance(30) {
            turn.later_ms(0, 20_000, Todo::Cancel(call));
        }
        Ok(())
    }

    fn options(&mut self, turn: &mut Turn<'_>) -> Result<(), Refused> {
        let (flow, uri) = self.somebody(turn);
        let mut request = NewRequest::new(flow, &uri, "<sip:a@sim.example>", "<sip:user@sim.example>");
        request.account = self.account;
        let method = *turn.rng.pick(&[Method::Options, Method::Message]);
        let request = self.endpoint.request(turn.now, method, &request, &mut self.out)?;
        turn.ledger.sent_request(self.number, request);
        Ok(())
    }

    fn subscribe(&mut self, turn: &mut Turn<'_>) -> Result<(), Refused> {
        let to = *turn.rng.pick(&turn.book.agents);
        if to == self.address {
            return Ok(());
        }
        let (flow, uri) = (turn.book.flow(self.address, to), format!("sip:user@{to}"));
        let mut request = NewRequest::new(flow, &uri, "<sip:a@sim.example>", "<sip:user@sim.example>");
        request.account = self.account;
        let (request, subscription) = self.endpoint.subscribe(
            turn.now,
            &NewSubscription { request: &request, package: "dialog", expires_s: 60 },
            &mut self.out,
        )?;
        turn.ledger.sent_request(self.number, request);
        turn.later_ms(10_000, 200_000, Todo::Unsubscribe(subscription));
        turn.later_ms(250_000, 250_000, Todo::Unsubscribe(subscription)); // should the first have come too early
        Ok(())
    }

    fn refer(&mut self, dialog: DialogId, turn: &mut Turn<'_>) -> Result<(), Refused> {
        let (request, _) = self.endpoint.refer(turn.now, dialog, "sip:third@sim.example", &mut self.out)?;
        turn.ledger.sent_request(self.number, request);
        Ok(())
    }

    fn notify(&mut self, subscription: SubscriptionId, left: u8, turn: &mut Turn<'_>) -> Result<(), Refused> {
        let request = self.endpoint.notify_refer(
            turn.now,
            subscription,
            ReferProgress { status: 180, is_last: left == 0 },
            &mut self.out,
        )?;
        turn.ledger.sent_request(self.number, request);
        if left > 0 {
            turn.later_ms(500, 20_000, Todo::Notify { subscription, left: left - 1 });
        }
        Ok(())
    }
}

pub(crate) fn message_of(event: &Event) -> Option<Span> {
    match *event {
        Event::Invite { message, .. }
        | Event::Reinvite { message, .. }
        | Event::Acknowledged { message, .. }
        | Event::Pracked { message, .. }
        | Event::Request { message, .. }
        | Event::Progress { message, .. }
        | Event::Answered { message, .. }
        | Event::Notified { message, .. } => Some(message),
        Event::Ended { message, .. } | Event::Failed { message, .. } | Event::Response { message, .. } => message,
        _ => None,
    }
}
