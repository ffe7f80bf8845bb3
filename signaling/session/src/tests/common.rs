//! A call in the states that tests begin with.

use super::fake::*;
use crate::*;
use contract::{CloseReason, Command, Event, LegRef};
use sip_core::{Cause, DialogId, InviteId, Span};

pub(super) const DIALOG: DialogId = DialogId::from_u64(7);
pub(super) const INVITE: InviteId = InviteId::from_u64(8);
pub(super) const REINVITE: InviteId = InviteId::from_u64(9);

pub(super) fn invite() -> sip_core::Event {
    sip_core::Event::Invite { invite: INVITE, dialog: DIALOG, message: Span::default(), replaces: None }
}

pub(super) fn reinvite() -> sip_core::Event {
    sip_core::Event::Reinvite { invite: REINVITE, dialog: DIALOG, message: Span::default() }
}

pub(super) fn ended(cause: Cause) -> sip_core::Event {
    sip_core::Event::Ended { dialog: DIALOG, cause, message: None }
}

pub(super) fn held(direction: &str) -> String {
    format!("{SDP}a={direction}\r\n")
}

pub(super) fn world() -> World {
    World::new(Settings::default(), 4)
}

/// A world with a call to `user` whose leg is being opened.
pub(super) fn ringing(user: &str, sdp: &str) -> (World, LegRef, u64) {
    let mut world = world();
    world.sip(invite(), message("INVITE", user, sdp));
    let asked = world.asked();
    let [Command::Open { leg, tag, .. }] = asked[..] else { panic!("{asked:?}") };
    assert_eq!(world.said(), [Said::Ringing(INVITE)]);
    (world, leg, tag)
}

pub(super) fn connected(user: &str) -> (World, LegRef, u64) {
    let (mut world, leg, tag) = ringing(user, SDP);
    world.media(Event::Opened { leg, tag });
    let said = world.said();
    let [Said::Accept(INVITE, sdp)] = &said[..] else { panic!("{said:?}") };
    assert!(sdp.contains(&format!("m=audio {} RTP/AVP 0", leg.port)) && sdp.contains("c=IN IP4 192.0.2.9"));
    assert_eq!(world.state(tag), SessionState::Connected);
    (world, leg, tag)
}

impl World {
    pub(super) fn state(&self, tag: u64) -> SessionState {
        self.sessions.get(SessionId::from_u64(tag)).expect("the session lives").state()
    }

    pub(super) fn last_end(&self) -> EndReason {
        let Some(SessionEvent::Ended { reason, .. }) = self.events.last() else { panic!("{:?}", self.events) };
        *reason
    }

    /// The media plane does as asked by the only command that waits.
    pub(super) fn close(&mut self, leg: LegRef, tag: u64) {
        assert_eq!(self.asked(), [Command::Close { leg, tag }]);
        assert_eq!(self.ports.free.len(), 3, "the port is out until the leg is closed");
        self.media(Event::Closed { leg, tag, reason: CloseReason::Asked });
        self.assert_empty();
        assert_eq!(self.ports.free.len(), 4);
    }
}
