//! Instructions of whole calls, without the layers below, to be counted by callgrind:
//!
//! ```text
//! cargo test -p ringplane-session --lib --no-run
//! CALLS=1000 valgrind --tool=callgrind --callgrind-out-file=/dev/null TEST --ignored --exact tests::cost::forwarded
//! ```
//!
//! Run it with two numbers of calls and divide the difference: start-up falls out.

use crate::tests::harness::{FakePorts, Numbers, SDP, path, target};
use crate::*;
use clock::{Duration, Instant};
use contract::{CloseReason, Command, Event};
use sip_core::auth::Account;
use sip_core::{
    AccountId, CallId, Cause, ClientRequestId, Content, DialogId, DialogInfo, Flow, InviteId, NewRequest, Refused,
    RequestId, Span, SubscriptionId,
};
use sip_wire::{Message, Method};
use std::net::SocketAddr;

/// No SIP side at all: every request of a session succeeds and costs nothing.
#[derive(Default)]
struct NoSip {
    /// What every span names.
    message: Vec<u8>,
    request_count: u64,
}

impl NoSip {
    fn number(&mut self) -> ClientRequestId {
        self.request_count += 1;
        ClientRequestId::from_u64(self.request_count)
    }
}

impl Sip for NoSip {
    fn bytes(&self, _: Span) -> &[u8] {
        &self.message
    }
    fn message(&self, _: Span) -> Option<Message<'_>> {
        Message::parse(&self.message).ok()
    }
    fn ringing(&mut self, _: Instant, _: InviteId) -> bool {
        true
    }
    fn accept(&mut self, _: Instant, _: InviteId, _: Content<'_>) -> Accepted {
        Accepted::Sent
    }
    fn reject(&mut self, _: Instant, _: InviteId, _: &Refusal<'_>) -> bool {
        true
    }
    fn respond(&mut self, _: Instant, _: RequestId, _: u16, _: &str) -> bool {
        true
    }
    fn respond_with(&mut self, _: Instant, _: RequestId, _: u16, _: &str, _: Content<'_>) -> Result<(), Refused> {
        Ok(())
    }
    fn bye_saying(&mut self, _: Instant, _: DialogId, _: &[(&str, &str)]) -> bool {
        true
    }
    fn progress(&mut self, _: Instant, _: InviteId, _: u16, _: &str, _: &[(&str, &str)]) -> bool {
        false
    }
    fn home(&self, _: SocketAddr) -> Option<Flow> {
        None
    }
    fn invite(&mut self, _: Instant, _: &NewRequest<'_>) -> Result<CallId, Refused> {
        Ok(CallId::from_u64(self.number().as_u64()))
    }
    fn add_account(&mut self, _: Account) -> Result<AccountId, Refused> {
        Err(Refused::Full)
    }
    fn remove_account(&mut self, _: AccountId) -> Result<(), Refused> {
        Ok(())
    }
    fn cancel_saying(&mut self, _: Instant, _: CallId, _: &[(&str, &str)]) -> bool {
        true
    }
    fn reinvite(&mut self, _: Instant, _: DialogId, _: &str) -> Result<ClientRequestId, Refused> {
        Ok(self.number())
    }
    fn withdraw_reinvite(&mut self, _: ClientRequestId) {}
    fn pass_glare_on(&mut self, _: DialogId) {}
    fn refer(&mut self, _: Instant, _: DialogId, _: &str) -> Result<(ClientRequestId, SubscriptionId), Refused> {
        Err(Refused::Full)
    }
    fn replaces_uri(&self, _: DialogId) -> Option<String> {
        None
    }
    fn accept_refer(&mut self, _: Instant, _: RequestId) -> Option<SubscriptionId> {
        None
    }
    fn notify_refer(&mut self, _: Instant, _: SubscriptionId, _: u16, _: bool) -> Option<ClientRequestId> {
        None
    }
    fn find_dialog(&self, _: &[u8], _: &[u8], _: &[u8]) -> Option<DialogId> {
        None
    }
    fn dialog_info(&self, _: DialogId) -> Option<DialogInfo<'_>> {
        None
    }
    fn set_account(&mut self, _: DialogId, _: AccountId) {}
    fn request_in(&mut self, _: Instant, _: DialogId, _: Method, _: Content<'_>) -> Result<ClientRequestId, Refused> {
        Ok(self.number())
    }
    fn request(&mut self, _: Instant, _: Method, _: &NewRequest<'_>) -> Result<ClientRequestId, Refused> {
        Ok(self.number())
    }
    fn flow_of(&self, _: DialogId) -> Option<Flow> {
        Some(target("x").flow)
    }
    fn info(&mut self, _: Instant, _: DialogId, _: &str, _: &[u8]) -> Result<ClientRequestId, Refused> {
        Ok(self.number())
    }
}

/// Sessions without a SIP side, and a media plane that does at once what it is told.
struct Lean {
    now: Instant,
    sessions: Sessions,
    sip: NoSip,
    ports: FakePorts,
    commands: Vec<(u8, Command)>,
    answered: Vec<(u8, Command)>,
    events: Vec<SessionEvent>,
    command_count: usize,
}

impl Lean {
    fn new() -> Self {
        Self {
            now: Instant::ZERO,
            sessions: Sessions::new(Settings::default()),
            sip: NoSip::default(),
            ports: FakePorts::new(64),
            commands: Vec::new(),
            answered: Vec::new(),
            events: Vec::new(),
            command_count: 0,
        }
    }

    fn turn<R>(&mut self, work: impl FnOnce(&mut Sessions, &mut Turn<'_>) -> R) -> R {
        let Self { now, sessions, sip, ports, commands, events, .. } = self;
        let mut turn = Turn { now: *now, path: path(), sip, ports, decide: &mut Numbers, commands, events };
        work(sessions, &mut turn)
    }

    /// A SIP event, and all that the media plane does because of it.
    fn sip(&mut self, event: sip_core::Event, message: Vec<u8>) {
        self.sip.message = message;
        self.turn(|sessions, turn| sessions.handle(turn, event));
        while !self.commands.is_empty() {
            let mut asked = std::mem::replace(&mut self.commands, std::mem::take(&mut self.answered));
            for (_, command) in asked.drain(..) {
                let (leg, number) = (command.leg(), command.number());
                let event = match command {
                    Command::Open { .. } => Event::Opened { leg, number },
                    Command::Update { .. } => Event::Updated { leg, number },
                    Command::Close { .. } => Event::Closed { leg, number, reason: CloseReason::Asked },
                    other => panic!("{other:?}"),
                };
                self.command_count += 1;
                self.turn(|sessions, turn| sessions.handle_media(turn, event));
            }
            self.answered = asked;
        }
    }

    /// INVITE, 200, ACK, BYE; with `user` "on" as a call of two sides.
    fn call(&mut self, user: &str, number: u64) {
        self.now += Duration::from_millis(10);
        let (invite, dialog, other) = (
            InviteId::from_u64(10 * number + 1),
            DialogId::from_u64(10 * number + 1),
            DialogId::from_u64(10 * number + 5),
        );
        let is_forwarded = user == "on";
        let event = sip_core::Event::Invite { invite, dialog, message: Span::default(), replaces: None };
        self.sip(event, message("INVITE", user, SDP));
        if is_forwarded {
            let call = CallId::from_u64(self.sip.request_count);
            let event = sip_core::Event::Answered { call, dialog: other, message: Span::default(), wants_ack: false };
            self.sip(event, message("INVITE", "b1", SDP));
        }
        let ack = sip_core::Event::Acknowledged { dialog, message: Span::default() };
        self.sip(ack, message("ACK", "x", ""));
        self.sip(sip_core::Event::Ended { dialog, cause: Cause::RemoteBye, message: None }, Vec::new());
        if is_forwarded {
            self.sip(sip_core::Event::Ended { dialog: other, cause: Cause::LocalBye, message: None }, Vec::new());
        }
        if self.sessions.deadline().is_some_and(|at| at <= self.now) {
            self.turn(|sessions, turn| sessions.handle_deadline(turn));
        }
        self.events.clear();
    }

    fn calls(user: &str) {
        let count = std::env::var("CALLS").ok().and_then(|count| count.parse().ok()).unwrap_or(100);
        let mut lean = Self::new();
        (1..=count).for_each(|number| lean.call(user, number));
        assert_eq!((lean.sessions.count(), lean.ports.out.len()), (0, 0));
        println!("{count} calls, {} commands", lean.command_count);
    }
}

fn message(method: &str, user: &str, sdp: &str) -> Vec<u8> {
    let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:{user}@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
         From: <sip:alice@example.com>;tag=1\r\nTo: <sip:{user}@example.com>\r\nCall-ID: c1\r\nCSeq: 1 {method}\r\n\
         Max-Forwards: 70\r\nContact: <sip:alice@192.0.2.1>\r\n{kind}Content-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
    .into_bytes()
}

#[test]
#[ignore = "for callgrind"]
fn answered() {
    Lean::calls("tone");
}

#[test]
#[ignore = "for callgrind"]
fn forwarded() {
    Lean::calls("on");
}
