//! A SIP side, a media side and a user that write down what they are told.

use crate::tests::command_numbers::CommandNumbers;
use crate::*;
use clock::Instant;
use contract::{Command, LegRef};
use sip_core::auth::Account;
use sip_core::{
    AccountId, CallId, ClientRequestId, Content, DialogId, DialogInfo, Flow, InviteId, NewRequest, Refused, RequestId,
    Span, SubscriptionId,
};
use sip_wire::{Method, Uri};
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;

/// What sessions said to SIP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::tests) enum Said {
    Ringing(InviteId),
    Accept(InviteId, String),
    Reject(InviteId, u16, Option<u64>),
    Respond(RequestId, u16, String),
    Bye(DialogId),
    Progress(InviteId, u16, String),
    /// Call, Request-URI, description.
    Invite(CallId, String, String),
    Cancel(CallId),
    Refer(ClientRequestId, DialogId, String),
    AcceptRefer(RequestId),
    Notify(SubscriptionId, u16, bool),
    Reinvite(ClientRequestId, DialogId, String),
    Withdraw(ClientRequestId),
    Info(ClientRequestId, DialogId, String),
    /// A user's: in which dialog, method and body, or method and Request-URI.
    Request(ClientRequestId, Option<DialogId>, String),
}

#[derive(Default)]
pub(in crate::tests) struct FakeSip {
    /// What every span names.
    pub(in crate::tests) message: Vec<u8>,
    pub(in crate::tests) said: Vec<Said>,
    pub(in crate::tests) needs_prack: bool,
    /// Over which messages come.
    pub(in crate::tests) transport: sip_core::Transport,
    pub(in crate::tests) max_forwards: u8,
    /// Header fields of the last INVITE or answer that was sent.
    pub(in crate::tests) headers: Vec<(String, String)>,
    /// Words of the last refusal.
    pub(in crate::tests) phrase: String,
    /// From and To of the last INVITE.
    pub(in crate::tests) parties: (String, String),
    /// Requests sent so far; each gets the next number.
    pub(in crate::tests) request_count: u64,
    /// What the next request is refused with.
    pub(in crate::tests) refusal: Option<Refused>,
    /// Where the last INVITE went.
    pub(in crate::tests) flow: Option<Flow>,
    /// Names to be looked up: the number of the question and its URIs.
    pub(in crate::tests) asked: Vec<(u64, Vec<String>)>,
    /// No more can be asked.
    pub(in crate::tests) asks_nobody: bool,
    /// Who answers for us in which dialog.
    pub(in crate::tests) accounts: Vec<(DialogId, AccountId)>,
}

fn texts(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl FakeSip {
    fn number(&mut self) -> Result<ClientRequestId, Refused> {
        self.request_count += 1;
        self.refusal.take().map_or(Ok(ClientRequestId::from_u64(self.request_count)), Err)
    }
}

impl Sip for FakeSip {
    fn bytes(&self, _: Span) -> &[u8] {
        &self.message
    }
    fn ringing(&mut self, _: Instant, invite: InviteId) -> bool {
        self.said.push(Said::Ringing(invite));
        true
    }
    fn accept(&mut self, _: Instant, invite: InviteId, content: Content<'_>) -> Accepted {
        if self.needs_prack {
            return Accepted::AfterPrack;
        }
        self.headers = texts(content.headers);
        self.said.push(Said::Accept(invite, String::from_utf8_lossy(content.body).into_owned()));
        Accepted::Sent
    }
    fn reject(&mut self, _: Instant, invite: InviteId, refusal: &Refusal<'_>) -> bool {
        self.headers = texts(refusal.headers);
        self.phrase = refusal.reason.to_owned();
        self.said.push(Said::Reject(invite, refusal.status, refusal.retry_after_s));
        true
    }
    fn respond(&mut self, _: Instant, request: RequestId, status: u16, sdp: &str) -> bool {
        self.said.push(Said::Respond(request, status, sdp.to_owned()));
        true
    }
    fn respond_with(
        &mut self,
        _: Instant,
        request: RequestId,
        status: u16,
        _: &str,
        content: Content<'_>,
    ) -> Result<(), Refused> {
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.headers = content.headers.iter().map(text).collect();
        self.said.push(Said::Respond(request, status, String::from_utf8_lossy(content.body).into_owned()));
        Ok(())
    }
    fn bye_saying(&mut self, _: Instant, dialog: DialogId, headers: &[(&str, &str)]) -> bool {
        self.headers = texts(headers);
        self.said.push(Said::Bye(dialog));
        true
    }
    fn progress(&mut self, _: Instant, invite: InviteId, status: u16, sdp: &str, headers: &[(&str, &str)]) -> bool {
        self.headers = texts(headers);
        self.said.push(Said::Progress(invite, status, sdp.to_owned()));
        self.needs_prack && !sdp.is_empty()
    }
    fn home(&self, address: SocketAddr) -> Option<Flow> {
        (address == SocketAddr::new(path().local, 5060)).then(|| Flow::udp(address, address))
    }
    fn invite(&mut self, _: Instant, request: &NewRequest<'_>) -> Result<CallId, Refused> {
        let call = CallId::from_u64(self.number()?.as_u64());
        let sdp = String::from_utf8_lossy(request.content.body).into_owned();
        self.max_forwards = request.max_forwards;
        self.headers = texts(request.content.headers);
        self.parties = (request.from.to_owned(), request.to.to_owned());
        self.flow = Some(request.flow);
        self.said.push(Said::Invite(call, request.uri.to_owned(), sdp));
        Ok(call)
    }
    fn add_account(&mut self, _: Account) -> Result<AccountId, Refused> {
        Ok(AccountId::from_u64(1))
    }
    fn remove_account(&mut self, _: AccountId) -> Result<(), Refused> {
        Ok(())
    }
    fn cancel_saying(&mut self, _: Instant, call: CallId, headers: &[(&str, &str)]) -> bool {
        self.headers = texts(headers);
        self.said.push(Said::Cancel(call));
        true
    }
    fn reinvite(&mut self, _: Instant, dialog: DialogId, sdp: &str) -> Result<ClientRequestId, Refused> {
        let request = self.number()?;
        self.said.push(Said::Reinvite(request, dialog, sdp.to_owned()));
        Ok(request)
    }
    fn withdraw_reinvite(&mut self, request: ClientRequestId) {
        self.said.push(Said::Withdraw(request));
    }
    fn pass_glare_on(&mut self, _: DialogId) {}
    fn refer(
        &mut self,
        _: Instant,
        dialog: DialogId,
        target: &str,
    ) -> Result<(ClientRequestId, SubscriptionId), Refused> {
        let request = self.number()?;
        self.said.push(Said::Refer(request, dialog, target.to_owned()));
        Ok((request, SubscriptionId::from_u64(request.as_u64())))
    }
    fn replaces_uri(&self, dialog: DialogId) -> Option<String> {
        Some(format!("sip:c@192.0.2.3?Replaces=d{}%3Bto-tag%3Dt%3Bfrom-tag%3Df", dialog.as_u64()))
    }
    fn accept_refer(&mut self, _: Instant, request: RequestId) -> Option<SubscriptionId> {
        self.said.push(Said::AcceptRefer(request));
        Some(SubscriptionId::from_u64(request.as_u64()))
    }
    fn notify_refer(
        &mut self,
        _: Instant,
        subscription: SubscriptionId,
        status: u16,
        is_last: bool,
    ) -> Option<ClientRequestId> {
        self.said.push(Said::Notify(subscription, status, is_last));
        Some(ClientRequestId::from_u64(NOTIFIES + u64::from(status)))
    }
    fn is_of_this_host(&self, ip: std::net::IpAddr) -> bool {
        ip == path().local
    }
    fn find_dialog(&self, call_id: &[u8], _: &[u8], _: &[u8]) -> Option<DialogId> {
        let number = std::str::from_utf8(call_id).ok()?.strip_prefix('d')?.parse().ok()?;
        Some(DialogId::from_u64(number))
    }
    fn dialog_info(&self, _: DialogId) -> Option<DialogInfo<'_>> {
        None
    }
    fn set_account(&mut self, dialog: DialogId, account: AccountId) {
        self.accounts.push((dialog, account));
    }
    fn request_in(
        &mut self,
        _: Instant,
        dialog: DialogId,
        method: Method,
        content: Content<'_>,
    ) -> Result<ClientRequestId, Refused> {
        let request = self.number()?;
        let body = String::from_utf8_lossy(content.body);
        let method = String::from_utf8_lossy(method.as_bytes()).into_owned();
        self.said.push(Said::Request(request, Some(dialog), format!("{method} {body}")));
        Ok(request)
    }
    fn request(&mut self, _: Instant, method: Method, new: &NewRequest<'_>) -> Result<ClientRequestId, Refused> {
        let request = self.number()?;
        let method = String::from_utf8_lossy(method.as_bytes()).into_owned();
        self.said.push(Said::Request(request, None, format!("{method} {}", new.uri)));
        Ok(request)
    }
    fn paths_to(&mut self, uri: &str) -> Option<Vec<Flow>> {
        let uri = Uri::parse(uri.as_bytes()).ok()?;
        let remote = SocketAddr::new(uri.host?.ip()?, uri.port_or_default());
        Some(vec![Flow::udp(target("").flow.local, remote)])
    }
    fn look_up(&mut self, uris: &[Box<str>]) -> Option<u64> {
        let ticket = self.asked.len() as u64 + 1;
        let uris = uris.iter().map(|uri| uri.to_string()).collect();
        (!self.asks_nobody).then(|| self.asked.push((ticket, uris)))?;
        Some(ticket)
    }
    fn flow_of(&self, _: DialogId) -> Option<Flow> {
        Some(Flow { transport: self.transport, ..target("x").flow })
    }
    fn info(&mut self, _: Instant, dialog: DialogId, _: &str, body: &[u8]) -> Result<ClientRequestId, Refused> {
        let request = self.number()?;
        self.said.push(Said::Info(request, dialog, String::from_utf8_lossy(body).into_owned()));
        Ok(request)
    }
}

pub(in crate::tests) struct FakePorts {
    pub(in crate::tests) free: VecDeque<u16>,
    pub(in crate::tests) out: HashSet<Port>,
    pub(in crate::tests) generation: u32,
    /// Recordings that a file was handed over for.
    pub(in crate::tests) files: HashSet<(LegRef, u64)>,
}

impl FakePorts {
    pub(in crate::tests) fn new(count: u16) -> Self {
        let free = (0..count).map(|index| 10_000 + 2 * index).collect();
        Self { free, out: HashSet::new(), generation: 0, files: HashSet::new() }
    }
}

impl Ports for FakePorts {
    fn take(&mut self) -> Option<Port> {
        self.generation += 1;
        let leg = LegRef::new(self.free.pop_front()?, self.generation);
        let port = Port { leg, worker: (leg.port / 2 % 2) as u8 };
        self.out.insert(port);
        Some(port)
    }
    fn take_on(&mut self, worker: u8) -> Option<Port> {
        let place = self.free.iter().position(|port| (port / 2 % 2) as u8 == worker).unwrap_or(0);
        let port = self.free.remove(place)?;
        self.free.push_front(port);
        self.take()
    }
    fn hand_over(&mut self, leg: LegRef, recording: u64, _: std::fs::File) -> std::io::Result<()> {
        self.files.insert((leg, recording));
        Ok(())
    }
    fn give_back(&mut self, port: Port) {
        let home = Port { worker: (port.leg.port / 2 % 2) as u8, ..port };
        assert!(self.out.remove(&home), "{port:?} was not out");
        self.free.push_back(port.leg.port);
    }
}

/// A target by its user.
pub(in crate::tests) fn target(user: &str) -> Target {
    let flow = Flow::udp("192.0.2.9:5060".parse().unwrap(), "192.0.2.7:5060".parse().unwrap());
    Target::new(&format!("sip:{user}@192.0.2.7"), flow)
}

fn target_of(user: &str) -> Target {
    target(user)
}

/// Requests of ours that report have numbers from here on, by their status.
pub(in crate::tests) const NOTIFIES: u64 = 1_000_000;

/// Decides by the called user, as the built-in numbers do.
pub(in crate::tests) struct Numbers;

impl Decide for Numbers {
    fn transfer_requested(&mut self, transfer: &TransferRequest<'_>) -> Destination {
        match transfer.target {
            target if target.starts_with("sip:no@") => Destination::Refused(603),
            target if target.starts_with("sip:routed@") => Destination::Targets(vec![target_of("b1")]),
            target if target.starts_with("sip:tone@") => Destination::Home,
            _ => Destination::Named,
        }
    }
    fn redirected(&mut self, _: SessionId, target: &str) -> Destination {
        match target {
            target if target.starts_with("sip:no@") => Destination::Refused(403),
            target if target.starts_with("sip:routed@") => Destination::Targets(vec![target_of("r1")]),
            _ => Destination::Named,
        }
    }
    fn incoming(&mut self, call: &IncomingCall<'_>) -> Decision {
        match call.called_user {
            "on" | "+493012" => Decision::Forward(Forward::to(vec![target("b1"), target("b2")])),
            "busy" => Decision::Reject { status: 486, reason: "".into() },
            "later" => Decision::Defer,
            "echo" => Decision::Accept(Plan::of(PlannedSource::Echo)),
            "once" => Decision::Accept(Plan { source: PlannedSource::Prompt(0), at_end: AtEnd::HangUp }),
            "play" => Decision::Accept(Plan::of(PlannedSource::Prompt(0))),
            _ => Decision::Accept(Plan::of(PlannedSource::Tone440)),
        }
    }
}

/// The SIP side of a [`World`]: one that writes down what it is told, or a real endpoint.
pub(in crate::tests) trait SipSide {
    fn with<R>(&mut self, work: impl FnOnce(&mut dyn Sip) -> R) -> R;
}

impl SipSide for FakeSip {
    fn with<R>(&mut self, work: impl FnOnce(&mut dyn Sip) -> R) -> R {
        work(self)
    }
}

pub(in crate::tests) struct World<S = FakeSip> {
    pub(in crate::tests) now: Instant,
    pub(in crate::tests) sessions: Sessions,
    pub(in crate::tests) sip: S,
    pub(in crate::tests) ports: FakePorts,
    pub(in crate::tests) commands: Vec<(u8, Command)>,
    pub(in crate::tests) events: Vec<SessionEvent>,
    /// Where every leg is, and what it was told last.
    pub(in crate::tests) legs: HashMap<LegRef, u8>,
    pub(in crate::tests) specs: HashMap<LegRef, contract::LegSpec>,
    /// Where messages come from.
    pub(in crate::tests) path: Path,
    numbers: CommandNumbers,
}

pub(in crate::tests) fn path() -> Path {
    Path {
        local: "192.0.2.9".parse().unwrap(),
        remote: "192.0.2.1:5060".parse().unwrap(),
        is_ours: false,
        standing: Standing::Unproven,
    }
}

impl World {
    pub(in crate::tests) fn new(settings: Settings, port_count: u16) -> Self {
        Self::with_sip(FakeSip::default(), settings, port_count)
    }

    /// Hands a SIP event in, with the message that it names.
    pub(in crate::tests) fn sip(&mut self, event: sip_core::Event, message: Vec<u8>) {
        self.sip.message = message;
        self.turn(|sessions, turn| sessions.handle(turn, event));
    }

    pub(in crate::tests) fn said(&mut self) -> Vec<Said> {
        std::mem::take(&mut self.sip.said)
    }
}

impl<S: SipSide> World<S> {
    pub(in crate::tests) fn with_sip(sip: S, settings: Settings, port_count: u16) -> Self {
        Self {
            now: Instant::ZERO,
            sessions: Sessions::new(settings),
            sip,
            ports: FakePorts::new(port_count),
            commands: Vec::new(),
            events: Vec::new(),
            legs: HashMap::new(),
            specs: HashMap::new(),
            path: path(),
            numbers: CommandNumbers::default(),
        }
    }

    pub(in crate::tests) fn turn<R>(&mut self, work: impl FnOnce(&mut Sessions, &mut Turn<'_>) -> R) -> R {
        let earlier = self.commands.len();
        let Self { now, sessions, sip, ports, commands, events, path, .. } = self;
        let (now, path) = (*now, *path);
        let result = sip.with(|sip| {
            let mut turn = Turn { now, path, sip, ports, decide: &mut Numbers, commands, events };
            work(sessions, &mut turn)
        });
        self.numbers.note(&self.sessions, &mut self.commands[earlier..]);
        result
    }

    pub(in crate::tests) fn media(&mut self, event: contract::Event) {
        let event = self.numbers.answer(event);
        self.turn(|sessions, turn| sessions.handle_media(turn, event));
    }

    pub(in crate::tests) fn wait(&mut self, pause: clock::Duration) {
        self.now += pause;
        self.turn(|sessions, turn| sessions.handle_deadline(turn));
    }

    pub(in crate::tests) fn asked(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands).into_iter().map(|(_, command)| command).collect()
    }

    pub(in crate::tests) fn assert_empty(&self) {
        assert_eq!(self.sessions.count(), 0, "sessions are left");
        assert!(self.sessions.by_dialog.is_empty(), "dialogs are left");
        assert!(self.sessions.by_call.is_empty(), "calls are left");
        assert!(self.sessions.by_subscription.is_empty(), "subscriptions are left");
        assert!(self.sessions.by_lookup.is_empty(), "questions are left");
        assert!(self.sessions.by_early.is_empty(), "early dialogs are left");
        assert_eq!(self.sessions.bridges().count(), 0, "bridges are left");
        assert!(self.ports.out.is_empty(), "ports are out: {:?}", self.ports.out);
    }
}

pub(in crate::tests) const SDP: &str =
    "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

pub(in crate::tests) fn message(method: &str, user: &str, sdp: &str) -> Vec<u8> {
    let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:{user}@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
         From: <sip:alice@example.com>;tag=1\r\nTo: <sip:{user}@example.com>\r\nCall-ID: c1\r\nCSeq: 1 {method}\r\n\
         Max-Forwards: 70\r\nContact: <sip:alice@192.0.2.1>\r\n{kind}Content-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
    .into_bytes()
}
