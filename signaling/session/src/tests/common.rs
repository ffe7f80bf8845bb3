//! A call in the states that tests begin with.

use crate::tests::fake::*;
use crate::*;
use contract::{CloseReason, Command, Event, LegRef, RecordingEnd, RecordingOutcome};
use sip_core::{CallId, Cause, ClientRequestId, DialogId, InviteId, Span};

pub(in crate::tests) const DIALOG: DialogId = DialogId::from_u64(7);
pub(in crate::tests) const INVITE: InviteId = InviteId::from_u64(8);
pub(in crate::tests) const REINVITE: InviteId = InviteId::from_u64(9);

pub(in crate::tests) fn invite() -> sip_core::Event {
    sip_core::Event::Invite { invite: INVITE, dialog: DIALOG, message: Span::default(), replaces: None }
}

pub(in crate::tests) fn reinvite() -> sip_core::Event {
    sip_core::Event::Reinvite { invite: REINVITE, dialog: DIALOG, message: Span::default() }
}

pub(in crate::tests) fn ended(cause: Cause) -> sip_core::Event {
    sip_core::Event::Ended { dialog: DIALOG, cause, message: None }
}

pub(in crate::tests) fn held(direction: &str) -> String {
    format!("{SDP}a={direction}\r\n")
}

pub(in crate::tests) fn world() -> World {
    World::new(Settings::default(), 4)
}

/// A world with a call to `user` whose leg is being opened.
pub(in crate::tests) fn ringing(user: &str, sdp: &str) -> (World, LegRef, u64) {
    let mut world = world();
    world.sip(invite(), message("INVITE", user, sdp));
    let asked = world.asked();
    let [Command::Open { leg, number: tag, .. }] = asked[..] else { panic!("{asked:?}") };
    assert_eq!(world.said(), [Said::Ringing(INVITE)]);
    (world, leg, tag)
}

pub(in crate::tests) fn connected(user: &str) -> (World, LegRef, u64) {
    let (mut world, leg, tag) = ringing(user, SDP);
    world.media(Event::Opened { leg, number: tag });
    let said = world.said();
    let [Said::Accept(INVITE, sdp)] = &said[..] else { panic!("{said:?}") };
    assert!(sdp.contains(&format!("m=audio {} RTP/AVP 0", leg.port)) && sdp.contains("c=IN IP4 192.0.2.9"));
    assert_eq!(world.state(tag), SessionState::Connected);
    world.acknowledge(DIALOG);
    (world, leg, tag)
}

/// The ACK of our 2xx.
pub(in crate::tests) fn acknowledged(dialog: DialogId) -> sip_core::Event {
    sip_core::Event::Acknowledged { dialog, message: Span::default() }
}

impl World {
    pub(in crate::tests) fn state(&self, tag: u64) -> SessionState {
        self.sessions.get(SessionId::from_u64(tag)).expect("the session lives").state()
    }

    /// The media plane does as asked by the only command that waits.
    pub(in crate::tests) fn close(&mut self, leg: LegRef, tag: u64) {
        assert_eq!(self.asked(), [Command::Close { leg, number: tag }]);
        assert_eq!(self.ports.free.len(), 3, "the port is out until the leg is closed");
        self.media(Event::Closed { leg, number: tag, reason: CloseReason::Asked });
        self.assert_empty();
        assert_eq!(self.ports.free.len(), 4);
    }
}

impl World {
    /// Our 2xx is acknowledged, and the leg hears of it.
    pub(in crate::tests) fn acknowledge(&mut self, dialog: DialogId) {
        self.sip(acknowledged(dialog), message("ACK", "x", ""));
        let asked = self.asked();
        let [Command::Update { leg, number: tag, update }] = asked[..] else { panic!("{asked:?}") };
        let spec = update.whole().expect("all parts");
        assert!(spec.transport.is_proven() && spec.transport.latching() == contract::Latching::Probation);
        self.specs.insert(leg, spec);
        self.media(Event::Updated { leg, number: tag });
    }

    pub(in crate::tests) fn id(&self) -> SessionId {
        self.sessions.iter().next().expect("a session").id()
    }

    pub(in crate::tests) fn answer(&mut self, request: ClientRequestId, status: u16, sdp: &str) {
        let message = (status != 408).then(Span::default);
        let event = sip_core::Event::Response { request, dialog: Some(DIALOG), status, message, wants_ack: false };
        self.sip(event, crate::tests::fake::message("INVITE", "tone", sdp));
    }

    pub(in crate::tests) fn hold(&mut self, music: Option<PlannedSource>) -> Result<(), SessionError> {
        let id = self.id();
        self.turn(|sessions, turn| sessions.hold(turn, id, music))
    }

    pub(in crate::tests) fn resume(&mut self) -> Result<(), SessionError> {
        let id = self.id();
        self.turn(|sessions, turn| sessions.resume(turn, id))
    }

    /// The re-INVITE that was sent, with its description.
    pub(in crate::tests) fn reinvite(&mut self) -> (ClientRequestId, String) {
        let said = self.said();
        let [Said::Reinvite(request, DIALOG, sdp)] = &said[..] else { panic!("{said:?}") };
        (*request, sdp.clone())
    }

    pub(in crate::tests) fn only_update(&mut self, leg: LegRef, tag: u64) -> contract::LegSpec {
        let asked = self.asked();
        let [Command::Update { update: spec, .. }] = asked[..] else { panic!("{asked:?}") };
        let spec = spec.whole().expect("all parts");
        self.media(Event::Updated { leg, number: tag });
        spec
    }
}

/// Calls that we place, and calls that go on.
impl World {
    /// The only INVITE that was sent.
    pub(in crate::tests) fn invited(&mut self) -> (CallId, String, String) {
        let said = self.said();
        let [Said::Invite(call, uri, sdp)] = &said[..] else { panic!("{said:?}") };
        (*call, uri.clone(), sdp.clone())
    }

    pub(in crate::tests) fn progress(&mut self, call: CallId, dialog: u64, status: u16, sdp: &str) {
        let dialog = (dialog > 0).then(|| DialogId::from_u64(dialog));
        let event = sip_core::Event::Progress { call, dialog, status, message: Span::default(), wants_prack: false };
        self.sip(event, message("INVITE", "b1", sdp));
    }

    pub(in crate::tests) fn answered(&mut self, call: CallId, dialog: u64, sdp: &str) {
        let dialog = DialogId::from_u64(dialog);
        let event = sip_core::Event::Answered { call, dialog, message: Span::default(), wants_ack: false };
        self.sip(event, message("INVITE", "b1", sdp));
    }

    /// The peer refuses.
    pub(in crate::tests) fn failed(&mut self, call: CallId, status: u16) {
        self.failed_with(call, status, "No", "");
    }

    pub(in crate::tests) fn failed_with(&mut self, call: CallId, status: u16, phrase: &str, lines: &str) {
        let text = format!("SIP/2.0 {status} {phrase}\r\n{lines}Content-Length: 0\r\n\r\n");
        self.sip(sip_core::Event::Failed { call, status, message: Some(Span::default()) }, text.into_bytes());
    }

    /// The endpoint gives up without an answer of anybody.
    pub(in crate::tests) fn unanswered(&mut self, call: CallId, status: u16) {
        self.sip(sip_core::Event::Failed { call, status, message: None }, vec![]);
    }

    pub(in crate::tests) fn over(&mut self, dialog: u64, cause: Cause) {
        let dialog = DialogId::from_u64(dialog);
        self.sip(sip_core::Event::Ended { dialog, cause, message: None }, vec![]);
    }

    /// A call comes in as this dialog and INVITE.
    pub(in crate::tests) fn comes(&mut self, number: u64, user: &str, sdp: &str) -> SessionId {
        let (invite, dialog) = (InviteId::from_u64(number), DialogId::from_u64(number));
        let event = sip_core::Event::Invite { invite, dialog, message: Span::default(), replaces: None };
        self.sip(event, message("INVITE", user, sdp));
        *self.sessions.by_dialog.get(&dialog).expect("a session")
    }
}

/// The media plane, and what is known of sessions.
impl<S: SipSide> World<S> {
    pub(in crate::tests) fn told(&mut self) -> Vec<SessionEvent> {
        std::mem::take(&mut self.events)
    }

    pub(in crate::tests) fn session(&self, id: SessionId) -> &Session {
        self.sessions.get(id).expect("the session lives")
    }

    /// The media plane does all that it is asked to, for as long as it is asked.
    pub(in crate::tests) fn serve(&mut self) {
        while !self.commands.is_empty() {
            self.serve_once();
        }
    }

    /// The media plane does what it has been asked to by now.
    pub(in crate::tests) fn serve_once(&mut self) {
        for (worker, command) in std::mem::take(&mut self.commands) {
            let (leg, tag) = (command.leg(), command.number());
            assert_eq!(self.legs.get(&leg).copied().unwrap_or(worker), worker, "{command:?} goes astray");
            match command {
                Command::Open { .. } => self.legs.insert(leg, worker),
                Command::Close { .. } => self.legs.remove(&leg),
                Command::Move { worker, .. } => self.legs.insert(leg, worker),
                _ => None,
            };
            let event = match command {
                Command::Open { .. } => Event::Opened { leg, number: tag },
                Command::Update { update, .. } => {
                    let spec = update.whole().expect("all parts");
                    if let contract::Source::Leg(giver) = spec.flow.source() {
                        assert_eq!(self.legs.get(&giver), Some(&worker), "{giver:?} is not on worker {worker}");
                    }
                    self.specs.insert(leg, spec);
                    Event::Updated { leg, number: tag }
                }
                Command::Close { .. } => Event::Closed { leg, number: tag, reason: CloseReason::Asked },
                Command::Move { worker, .. } => Event::Moved { leg, number: tag, worker },
                Command::StartRecording { recording, .. } => {
                    assert!(self.ports.files.contains(&(leg, recording)), "no file for it was handed over");
                    Event::RecordingStarted { leg, number: tag, recording }
                }
                Command::StopRecording { recording, .. } => {
                    let outcome = RecordingOutcome::new(RecordingEnd::Stopped);
                    Event::RecordingEnded { leg, number: tag, recording, outcome }
                }
                Command::SendDigit { .. } | Command::KeepLegs { .. } | Command::Adopt { .. } => continue,
            };
            self.media(event);
        }
    }

    /// What it was told when it was opened, or since.
    pub(in crate::tests) fn spec_opened(&self, id: SessionId) -> contract::LegSpec {
        let leg = self.session(id).leg.id().expect("a leg");
        self.sessions.legs.wanted_spec(leg).expect("it is there")
    }

    /// What the leg of a session was told last.
    pub(in crate::tests) fn spec(&self, id: SessionId) -> contract::LegSpec {
        self.specs[&self.session(id).leg().expect("a leg")]
    }

    pub(in crate::tests) fn last_end(&self) -> EndReason {
        let Some(SessionEvent::Ended { reason, .. }) = self.events.last() else { panic!("{:?}", self.events) };
        *reason
    }
}
