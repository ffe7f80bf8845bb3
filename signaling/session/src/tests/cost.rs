//! Instructions of whole calls, without the layers below, to be counted by callgrind:
//!
//! ```text
//! cargo test -p ringplane-session --lib --no-run
//! CALLS=1000 valgrind --tool=callgrind --callgrind-out-file=/dev/null TEST --ignored --exact tests::cost::forwarded
//! ```
//!
//! Run it with two numbers of calls and divide the difference: start-up falls out.

use crate::tests::common::*;
use crate::tests::fake::*;
use crate::*;
use clock::{Duration, Instant};
use contract::{CloseReason, Command, Event};
use sip_core::{CallId, Cause, DialogId, InviteId, Span};

/// Sessions with a SIP side that writes down what it is told, and a media plane that does at once what it is told.
struct Lean {
    now: Instant,
    sessions: Sessions,
    sip: FakeSip,
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
            sip: FakeSip::default(),
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

    /// The call that was placed by the last event.
    fn placed(&self) -> CallId {
        let invite = self.sip.said.iter().find_map(|said| match said {
            Said::Invite(call, ..) => Some(*call),
            _ => None,
        });
        invite.expect("an INVITE")
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
            let call = self.placed();
            let event = sip_core::Event::Answered { call, dialog: other, message: Span::default(), wants_ack: false };
            self.sip(event, message("INVITE", "b1", SDP));
        }
        self.sip(acknowledged(dialog), message("ACK", "x", ""));
        self.sip(sip_core::Event::Ended { dialog, cause: Cause::RemoteBye, message: None }, Vec::new());
        if is_forwarded {
            self.sip(sip_core::Event::Ended { dialog: other, cause: Cause::LocalBye, message: None }, Vec::new());
        }
        if self.sessions.deadline().is_some_and(|at| at <= self.now) {
            self.turn(|sessions, turn| sessions.handle_deadline(turn));
        }
        self.sip.said.clear();
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
