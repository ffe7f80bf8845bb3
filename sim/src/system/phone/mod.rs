//! A phone of the system: a user agent that calls, answers, refuses, holds, transfers, presses keys and hangs up, and says
//! where its RTP goes.

pub(super) mod description;
mod in_call;

use super::audio::Side;
use crate::agent::message_of;
use crate::ledger::Ledger;
use crate::relay::address_in;
use clock::{Duration, Instant};
use description::{Description, Directions, Ways};
pub(in crate::system) use in_call::Act;
use sip_core::{
    Answer, CallId, Cause, Content, DialogId, Endpoint, EndpointConfig, Event, Flow, InviteId, NewRequest, Output,
    SessionTimer,
};
use sip_wire::{Message, Method};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What happened to a phone.
#[derive(Debug)]
pub(super) enum Happened {
    /// It rings: the number of the call.
    Rings(InviteId, u32),
    /// A call is up, with the address that its RTP goes to.
    Talks(Side, DialogId, Option<SocketAddr>),
    /// What was agreed on for the media of a call: the address that its RTP goes to, and the directions.
    Agreed { side: Side, rtp: Option<SocketAddr>, directions: Directions },
    /// A transfer that the user asked for has succeeded.
    Transferred(Side),
    /// The phone was told a digit by INFO.
    Digit(Side, u8),
    /// A digit that the phone sent by INFO at this time was answered 200.
    Taken(Side, u8, Instant),
    /// A call failed before it was up.
    Failed(u32, u16),
    /// A call is over; `is_known`: the switch has answered the phone's BYE.
    Over { side: Side, is_known: bool },
}

/// A call that is up.
struct PhoneCall {
    side: Side,
    /// What the phone wants.
    ways: Ways,
    /// What its peer said last.
    peer: Option<Description>,
    /// The version of its description.
    version: u32,
    /// A change of its own that has no final answer, with the ways that it wants.
    pending: Option<(sip_core::ClientRequestId, Ways)>,
    /// Its last change failed in a way that does not say whether the peer has carried it out: no answer came, or the connection
    /// broke and there was no other.
    is_unsure: bool,
    /// It has accepted a re-INVITE whose ACK has not come: the switch may not have the answer yet.
    is_unacknowledged: bool,
    /// Digits by INFO that have no final answer, and when they were sent.
    infos: BTreeMap<sip_core::ClientRequestId, (u8, Instant)>,
}

/// Settings of a phone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Model {
    /// Its path to the switch.
    pub(super) flow: Flow,
    pub(super) has_events: bool,
    pub(super) session_timer: Duration,
    /// Whether it takes UPDATE.
    pub(super) has_update: bool,
}

pub(super) struct Phone {
    pub(super) endpoint: Endpoint,
    out: Output,
    pub(super) model: Model,
    /// The number of the node in the ledger; a phone that was switched off and on again has another one.
    pub(super) node: u64,
    placed: BTreeMap<CallId, u32>,
    calls: BTreeMap<DialogId, PhoneCall>,
    /// Descriptions of callers that wait for an answer of the user.
    offered: BTreeMap<u32, Description>,
}

impl Phone {
    pub(super) fn new(seed: u64, node: u64, model: Model) -> Self {
        let (placed, calls, offered) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut config = EndpointConfig {
            session_timer: SessionTimer { interval: model.session_timer, ..SessionTimer::default() },
            event_packages: vec!["refer".to_owned()],
            ..EndpointConfig::default()
        };
        config.allow.push("SUBSCRIBE".to_owned());
        if !model.has_update {
            config.allow.retain(|method| method != "UPDATE");
        }
        Self { endpoint: Endpoint::new(config, seed), out: Output::new(), model, node, placed, calls, offered }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.model.flow.local
    }

    /// Where the RTP of a call comes to.
    pub(super) fn rtp(&self, number: u32) -> SocketAddr {
        SocketAddr::new(self.address().ip(), FIRST_PORT + 2 * number as u16)
    }

    fn describe(&self, number: u32, version: u32, ways: Ways) -> Vec<u8> {
        description::write(self.rtp(number), version, ways, self.model.has_events)
    }

    pub(super) fn call(&mut self, now: Instant, callee: usize, number: u32, ledger: &mut Ledger) -> Option<CallId> {
        let switch = self.model.flow.remote;
        let (uri, from) =
            (format!("sip:p{callee}-{number}@{switch}"), format!("<sip:caller{number}@{}>", self.address()));
        let (to, sdp) = (format!("<{uri}>"), self.describe(number, 1, Ways::BOTH));
        let mut request = NewRequest::new(self.model.flow, &uri, &from, &to);
        request.content = Content::sdp(&sdp);
        let call = self.endpoint.invite(now, &request, &mut self.out).ok()?;
        ledger.placed(self.node, call);
        self.placed.insert(call, number);
        Some(call)
    }

    /// A request outside of calls, for another phone.
    pub(super) fn say(&mut self, now: Instant, callee: usize, method: Method, ledger: &mut Ledger) {
        let switch = self.model.flow.remote;
        let uri = format!("sip:p{callee}-0@{switch}");
        let (from, to) = (format!("<sip:user@{}>", self.address()), format!("<{uri}>"));
        let mut request = NewRequest::new(self.model.flow, &uri, &from, &to);
        request.content = Content { headers: &[], content_type: "text/plain", body: b"hello" };
        if let Ok(request) = self.endpoint.request(now, method, &request, &mut self.out) {
            ledger.sent_request(self.node, request);
        }
    }

    /// The user no longer wants to wait.
    pub(super) fn cancel(&mut self, now: Instant, call: CallId) {
        // It may be up or over by now.
        let _ = self.endpoint.cancel(now, call, &mut self.out);
    }

    pub(super) fn ring(&mut self, now: Instant, invite: InviteId) {
        // The caller may have given up.
        let _ = self.endpoint.provisional(now, invite, &Answer::of(180), &mut self.out);
    }

    pub(super) fn accept(&mut self, now: Instant, invite: InviteId, number: u32) -> Option<Happened> {
        let sdp = self.describe(number, 1, Ways::BOTH);
        let dialog = self.endpoint.accept(now, invite, Content::sdp(&sdp), &mut self.out).ok()?;
        let peer = self.offered.remove(&number);
        self.begin(dialog, (number, false), peer);
        Some(Happened::Talks((number, false), dialog, peer.map(|peer| peer.rtp)))
    }

    fn begin(&mut self, dialog: DialogId, side: Side, peer: Option<Description>) {
        let (is_unsure, is_unacknowledged) = (false, false);
        let (ways, version, pending, infos) = (Ways::BOTH, 1, None, BTreeMap::new());
        let call = PhoneCall { side, ways, peer, version, pending, is_unsure, is_unacknowledged, infos };
        self.calls.insert(dialog, call);
    }

    pub(super) fn reject(&mut self, now: Instant, invite: InviteId) {
        // The caller may have given up.
        let _ = self.endpoint.reject(now, invite, &Answer::of(486), &mut self.out);
    }

    /// Hangs up; `true`: there was a call.
    pub(super) fn hang_up(&mut self, now: Instant, dialog: DialogId) -> bool {
        self.endpoint.bye(now, dialog, Content::NONE, &mut self.out).is_ok()
    }

    pub(super) fn receive(&mut self, now: Instant, flow: &Flow, bytes: &[u8]) {
        self.endpoint.receive(now, flow, bytes, &mut self.out);
    }

    pub(super) fn broken(&mut self, now: Instant) {
        let flow = self.model.flow;
        self.endpoint.transport_failed(now, &flow, &mut self.out);
    }

    pub(super) fn wake(&mut self, now: Instant) {
        self.endpoint.wake(now, &mut self.out);
    }

    /// The sides of the calls that it has.
    pub(super) fn sides(&self) -> Vec<Side> {
        self.calls.values().map(|call| call.side).collect()
    }

    /// What happened, and the messages to send.
    pub(super) fn drain(
        &mut self,
        now: Instant,
        ledger: &mut Ledger,
        happened: &mut Vec<Happened>,
        sent: &mut Vec<(Flow, Vec<u8>)>,
    ) {
        while let Some(event) = self.out.next_event() {
            let message = message_of(&event).map_or(&b""[..], |span| self.out.bytes(span)).to_vec();
            ledger.event(self.node, &event, &message);
            self.take(now, &event, &message, ledger, happened);
        }
        sent.extend(self.out.transmits.iter().map(|one| (one.flow, self.out.bytes(one.bytes).to_vec())));
        self.out.clear();
    }

    fn take(&mut self, now: Instant, event: &Event, message: &[u8], ledger: &mut Ledger, happened: &mut Vec<Happened>) {
        match *event {
            Event::Invite { invite, .. } => {
                let Some(number) = number_called(message) else { return };
                if let Some(offer) = Description::read(message) {
                    self.offered.insert(number, offer);
                }
                happened.push(Happened::Rings(invite, number));
            }
            Event::Answered { call, dialog, .. } => {
                let Some(number) = self.placed.get(&call).copied() else { return };
                let peer = Description::read(message);
                self.begin(dialog, (number, true), peer);
                happened.push(Happened::Talks((number, true), dialog, peer.map(|peer| peer.rtp)));
            }
            Event::Failed { call, status, .. } => {
                happened.extend(self.placed.remove(&call).map(|number| Happened::Failed(number, status)));
            }
            Event::Ended { dialog, cause, message, .. } => {
                let is_known = cause == Cause::LocalBye && message.is_some();
                happened.extend(self.calls.remove(&dialog).map(|call| Happened::Over { side: call.side, is_known }));
            }
            Event::Notified { dialog, .. } if String::from_utf8_lossy(message).contains("\r\n\r\nSIP/2.0 200") => {
                happened.extend(self.calls.get(&dialog).map(|call| Happened::Transferred(call.side)));
            }
            Event::PathWanted { dialog } => {
                let to = self.endpoint.dialog_info(dialog).and_then(|info| address_in(info.next_hop));
                let flow = self.model.flow;
                let path = to.map(|to| if to == flow.remote { flow } else { Flow::udp(flow.local, to) });
                self.endpoint.set_path(now, dialog, path, &mut self.out);
            }
            Event::Request { request, dialog: None, .. } => {
                let method = Message::parse(message).ok().and_then(|message| message.method());
                let status = if method == Some(Method::Message) { 200 } else { 489 };
                let _ = self.endpoint.respond(now, request, &Answer::of(status), &mut self.out);
            }
            _ => self.take_in_call(now, event, message, ledger, happened),
        }
    }
}

/// The port for the RTP of the first call.
const FIRST_PORT: u16 = 40_000;

/// The number of the call that has its RTP at this address of a phone.
pub(super) fn number_of(rtp: SocketAddr) -> Option<u32> {
    rtp.port().checked_sub(FIRST_PORT).map(|port| u32::from(port / 2))
}

/// The number of the call that an INVITE is for.
fn number_called(invite: &[u8]) -> Option<u32> {
    let message = Message::parse(invite).ok()?;
    message.request_uri().ok()?.user_text().split_once('-')?.1.parse().ok()
}
