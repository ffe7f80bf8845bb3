//! A phone of the system: a user agent that calls, answers, refuses and hangs up, and says where its RTP goes.

use super::audio::Side;
use clock::Instant;
use sip_core::{CallId, Content, DialogId, Endpoint, EndpointConfig, Event, Flow, InviteId, NewRequest, Output};
use sip_wire::Message;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// What happened to a phone.
#[derive(Debug)]
pub(super) enum Happened {
    /// It rings: the number of the call.
    Rings(InviteId, u32),
    /// A call is up, with the address that its RTP goes to.
    Talks(Side, DialogId, Option<SocketAddr>),
    /// A call failed before it was up.
    Failed(u32, u16),
    /// A call is over.
    Over(Side),
}

pub(super) struct Phone {
    pub(super) endpoint: Endpoint,
    out: Output,
    pub(super) address: SocketAddr,
    placed: BTreeMap<CallId, u32>,
    calls: BTreeMap<DialogId, Side>,
    /// Where the RTP of calls goes that wait for an answer of the user.
    offered: BTreeMap<u32, Option<SocketAddr>>,
}

impl Phone {
    pub(super) fn new(seed: u64, address: SocketAddr) -> Self {
        let (placed, calls, offered) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let endpoint = Endpoint::new(EndpointConfig::default(), seed);
        Self { endpoint, out: Output::new(), address, placed, calls, offered }
    }

    /// Where the RTP of a call comes to.
    pub(super) fn rtp(&self, number: u32) -> SocketAddr {
        SocketAddr::new(self.address.ip(), 40_000 + 2 * number as u16)
    }

    fn description(&self, number: u32) -> Vec<u8> {
        let rtp = self.rtp(number);
        format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n",
            rtp.port(),
            ip = rtp.ip()
        )
        .into_bytes()
    }

    pub(super) fn call(&mut self, now: Instant, switch: SocketAddr, callee: usize, number: u32) -> Option<CallId> {
        let (uri, from) =
            (format!("sip:p{callee}-{number}@{switch}"), format!("<sip:caller{number}@{}>", self.address));
        let (to, sdp) = (format!("<{uri}>"), self.description(number));
        let mut request = NewRequest::new(Flow::udp(self.address, switch), &uri, &from, &to);
        request.content = Content::sdp(&sdp);
        let call = self.endpoint.invite(now, &request, &mut self.out).ok()?;
        self.placed.insert(call, number);
        Some(call)
    }

    /// The user no longer wants to wait.
    pub(super) fn cancel(&mut self, now: Instant, call: CallId) {
        // It may be up or over by now.
        let _ = self.endpoint.cancel(now, call, &mut self.out);
    }

    pub(super) fn ring(&mut self, now: Instant, invite: InviteId) {
        // The caller may have given up.
        let _ = self.endpoint.provisional(now, invite, 180, "", Content::NONE, &mut self.out);
    }

    pub(super) fn accept(&mut self, now: Instant, invite: InviteId, number: u32) -> Option<Happened> {
        let sdp = self.description(number);
        let dialog = self.endpoint.accept(now, invite, Content::sdp(&sdp), &mut self.out).ok()?;
        self.calls.insert(dialog, (number, false));
        Some(Happened::Talks((number, false), dialog, self.offered.remove(&number).flatten()))
    }

    pub(super) fn reject(&mut self, now: Instant, invite: InviteId) {
        // The caller may have given up.
        let _ = self.endpoint.reject(now, invite, 486, "", Content::NONE, &mut self.out);
    }

    /// Hangs up; `true`: there was a call.
    pub(super) fn hang_up(&mut self, now: Instant, dialog: DialogId) -> bool {
        self.endpoint.bye(now, dialog, Content::NONE, &mut self.out).is_ok()
    }

    pub(super) fn receive(&mut self, now: Instant, flow: &Flow, bytes: &[u8]) {
        self.endpoint.receive(now, flow, bytes, &mut self.out);
    }

    pub(super) fn wake(&mut self, now: Instant) {
        self.endpoint.wake(now, &mut self.out);
    }

    /// What happened, and the messages to send.
    pub(super) fn drain(&mut self, now: Instant, happened: &mut Vec<Happened>, sent: &mut Vec<(Flow, Vec<u8>)>) {
        while let Some(event) = self.out.next_event() {
            happened.extend(self.take(now, &event));
        }
        sent.extend(self.out.transmits.iter().map(|one| (one.flow, self.out.bytes(one.bytes).to_vec())));
        self.out.clear();
    }

    fn take(&mut self, now: Instant, event: &Event) -> Option<Happened> {
        match *event {
            Event::Invite { invite, message, .. } => {
                let bytes = self.out.bytes(message);
                let number = number_called(bytes)?;
                self.offered.insert(number, rtp_of(bytes));
                Some(Happened::Rings(invite, number))
            }
            Event::Answered { call, dialog, message, .. } => {
                let number = *self.placed.get(&call)?;
                self.calls.insert(dialog, (number, true));
                Some(Happened::Talks((number, true), dialog, rtp_of(self.out.bytes(message))))
            }
            Event::Failed { call, status, .. } => Some(Happened::Failed(self.placed.remove(&call)?, status)),
            Event::Ended { dialog, .. } => self.calls.remove(&dialog).map(Happened::Over),
            Event::Reinvite { invite, dialog, .. } => {
                let sdp = self.description(self.calls.get(&dialog).map_or(0, |side| side.0));
                let _ = self.endpoint.accept(now, invite, Content::sdp(&sdp), &mut self.out);
                None
            }
            Event::Request { request, .. } => {
                let _ = self.endpoint.respond(now, request, 200, "", Content::NONE, &mut self.out);
                None
            }
            _ => None,
        }
    }
}

/// The number of the call that an INVITE is for.
fn number_called(invite: &[u8]) -> Option<u32> {
    let message = Message::parse(invite).ok()?;
    message.request_uri().ok()?.user_text().split_once('-')?.1.parse().ok()
}

/// Where a description wants RTP.
fn rtp_of(message: &[u8]) -> Option<SocketAddr> {
    let message = Message::parse(message).ok()?;
    let text = std::str::from_utf8(message.body()).ok()?;
    let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
    let ip: IpAddr = line("c=IN IP4 ")?.trim().parse().ok()?;
    let port = line("m=audio ")?.split(' ').next()?.parse().ok()?;
    Some(SocketAddr::new(ip, port))
}
