//! An incoming call goes on to other targets: a back-to-back user agent (RFC 7092) with media of its own on both sides.

use crate::invite::dial::{Dial, Target};
use crate::invite::early_dialogs::EarlyAnswer;
use crate::invite::incoming_invite::Stage;
use crate::media::ringback::{Ringback, Ringing};
use crate::negotiation::capabilities::{Reach, Terms, mirrored};
use crate::negotiation::local_offer::Wish;
use crate::timers::timer::Timer;
use crate::{
    EndReason, Operation, Plan, PlannedSource, Session, SessionError, SessionEvent, SessionId, SessionState, Sessions,
    Turn,
};
use clock::Duration;
use contract::Direction;
use sdp_core::{Offer, write_offer};
use sip_core::AccountId;
use std::sync::Arc;

/// Where an incoming call goes on to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forward {
    /// The targets, in order: the next one is tried when one cannot be reached, fails by itself (5xx) or does not answer.
    pub targets: Vec<Target>,
    /// From of the INVITEs; none: that of the caller.
    pub from: Option<Box<str>>,
    /// The credentials for a called side that asks for some.
    pub account: Option<AccountId>,
    /// Further header fields of the INVITE.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// How long each target may take to answer; none: the setting.
    pub answer_timeout: Option<Duration>,
    /// What the caller hears while the called side rings and sends no early media; none: the setting.
    pub ringback: Option<PlannedSource>,
    /// The pattern of the route that leads to the targets, for call records.
    pub route: Option<Arc<str>>,
}

impl Forward {
    /// To these targets, in the caller's name.
    pub fn to(targets: Vec<Target>) -> Self {
        Self {
            targets,
            from: None,
            account: None,
            headers: Vec::new(),
            answer_timeout: None,
            ringback: None,
            route: None,
        }
    }
}

/// 183 Session Progress.
const EARLY_MEDIA: u16 = 183;

/// Most hops that a call has left once it was sent on (RFC 3261 §8.1.1.6 wants a number that no call without a loop needs).
/// A call that goes round between back-to-back user agents takes two ports in each of them for every round, so that it may
/// not go round as often as a request between proxies.
const HOPS_MAX: u8 = 30;

impl Sessions {
    /// Sends a call that rings on to other targets: the decision that was deferred. Gives the session of the other side.
    pub fn forward(&mut self, turn: &mut Turn<'_>, id: SessionId, forward: Forward) -> Result<SessionId, SessionError> {
        self.check(id, Operation::Accept)?;
        if self.table.get(id).is_some_and(|session| session.is_at(Stage::Early)) {
            return Err(SessionError::Busy(Operation::Accept));
        }
        self.go_on(turn, id, forward)
    }

    /// Takes both ports on one worker, opens both legs, and calls the first target. A refusal changes nothing but says why.
    pub(crate) fn go_on(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        forward: Forward,
    ) -> Result<SessionId, SessionError> {
        let incoming = self.table.get(id).and_then(|session| session.incoming.as_ref());
        let hops_left = incoming.map_or(0, |incoming| incoming.hops_left);
        let Some(max_forwards) = hops_left.checked_sub(1) else { return Err(SessionError::TooManyHops) };
        let max_forwards = max_forwards.min(HOPS_MAX);
        let no_port = SessionError::Media("no media port is free, or no media plane is there");
        let is_reserved = self.table.get(id).is_some_and(Session::has_reserved_leg);
        if !is_reserved && !self.reserve_leg(turn, id, None) {
            return Err(no_port);
        }
        let session = self.table.get_mut(id).ok_or(SessionError::SessionNotFound(id))?;
        session.took_route(forward.route);
        if let Some(incoming) = &mut session.incoming {
            incoming.ringback = Ringback::new(forward.ringback.or(self.settings.media.ringback));
        }
        let crossing = session.incoming.as_mut().and_then(|incoming| incoming.crossing.take());
        let caller = crossing.as_ref().map(|crossing| crossing.from()).filter(|from| !from.is_empty());
        let from = forward.from.unwrap_or_else(|| caller.unwrap_or(&session.parties().from).into());
        let offered = session.offer().map(|offer| offer.agreed().clone());
        let before = session.sdp.agreed().cloned();
        let direction = offered.as_ref().map(|offered| offered.direction);
        // The other leg goes where this one is, and offers what this one has.
        session.sdp.set_agreed(offered);
        let dial = Dial {
            from,
            to: "".into(),
            targets: forward.targets,
            sdp: None,
            account: forward.account,
            max_forwards,
            headers: forward.headers,
            answer_timeout: forward.answer_timeout,
            plan: Plan::of(PlannedSource::Silence),
        };
        let other = match self.dial_beside(turn, dial, id) {
            Ok(other) => other,
            Err(error) => {
                if let Some(session) = self.table.get_mut(id) {
                    session.sdp.set_agreed(before);
                    if let Some(incoming) = &mut session.incoming {
                        incoming.crossing = crossing;
                    }
                }
                if !is_reserved {
                    self.drop_reserved_leg(turn, id);
                }
                return Err(error);
            }
        };
        let expires_at = crossing.as_ref().and_then(|crossing| crossing.expires_at());
        if let Some(out) = self.table.get_mut(other).and_then(|session| session.outgoing.as_mut()) {
            out.crossing = crossing;
        }
        if let Some(incoming) = self.table.get_mut(id).and_then(|session| session.incoming.as_mut()) {
            incoming.stage = Stage::Deciding; // by the other side
        }
        self.wake(id, Timer::Answer, expires_at);
        if let (Some(session), Some(direction)) = (self.table.get_mut(other), direction) {
            session.hold.want(mirrored(direction));
        }
        if is_reserved {
            self.sync(turn, id);
        } else {
            self.open_leg(turn, id);
        }
        turn.events.push(SessionEvent::Forwarded { id, to: other });
        Ok(other)
    }

    /// The called side has sent a provisional response.
    pub(crate) fn progress_crosses(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        status: u16,
        has_media: bool,
        lines: &[(Box<str>, Box<str>)],
    ) {
        let Some(caller) = self.other_side(id) else { return };
        let incoming = self.table.get(caller).and_then(|session| session.incoming.as_ref());
        let Some(invite) = incoming.map(|incoming| incoming.invite()) else { return };
        let (rings_back, status) = self.ring_back(caller, id, status, has_media);
        // An early answer needs an offer to answer.
        let described =
            (has_media || rings_back) && self.table.get(caller).is_some_and(|session| session.offer().is_some());
        if described && !self.describe(turn, caller) {
            return;
        }
        let session = self.table.get(caller);
        let incoming = session.and_then(|session| session.incoming.as_ref());
        let sdp = incoming.and_then(|incoming| incoming.description.as_deref()).filter(|_| described);
        let headers: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (&**name, &**value)).collect();
        let is_reliable = turn.sip.progress(turn.now, invite, status, sdp.unwrap_or(""), &headers);
        // With our own ringing it is the first answer that this caller hears sound by, so that it keeps to it (RFC 3261 §13.2.1).
        let is_told = (is_reliable || rings_back) && sdp.is_some();
        if session.is_some_and(|session| session.state() == SessionState::Initializing) {
            self.go(turn, caller, SessionState::Ringing);
        }
        let incoming = self.table.get_mut(caller).and_then(|session| session.incoming.as_mut());
        if let Some(incoming) = incoming.filter(|incoming| is_told && incoming.early_answer == EarlyAnswer::Open) {
            incoming.early_answer = EarlyAnswer::Told;
        }
        self.sync(turn, caller);
    }

    /// Whether the caller is to hear our ringing from now on, and the status that it is told.
    fn ring_back(&mut self, caller: SessionId, called: SessionId, status: u16, has_media: bool) -> (bool, u16) {
        let has_early_media = has_media || self.table.get(called).is_some_and(|called| called.has_early_media());
        let incoming = self.table.get_mut(caller).and_then(|session| session.incoming.as_mut());
        let can_hear = |offer: &Offer| offer.agreed().payloads.decodable().is_some();
        let Some(incoming) = incoming.filter(|it| it.offer().is_some_and(can_hear)) else { return (false, status) };
        if has_early_media {
            incoming.ringback.end();
            return (false, status);
        }
        match incoming.ringback.begin(status) {
            Ringing::Begins => (true, EARLY_MEDIA),
            // Without a description: it has ours.
            Ringing::GoesOn => (false, EARLY_MEDIA),
            Ringing::Silent => (false, status),
        }
    }

    /// The called side has answered: the caller is answered.
    pub(crate) fn answer_crosses(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(caller) = self.other_side(id) else { return };
        if self.table.get(caller).is_none_or(|session| session.incoming.is_none()) {
            // The caller was answered before, and has waited for the end of a transfer.
            self.bring_together(turn, id);
            return self.directions_meet(turn, id, caller);
        }
        if let Some(incoming) = self.table.get_mut(caller).and_then(|session| session.incoming.as_mut()) {
            incoming.ringback.end();
        }
        if self.describe(turn, caller) {
            if let Some(incoming) = self.table.get_mut(caller).and_then(|session| session.incoming.as_mut()) {
                incoming.stage = Stage::Answering;
            }
            self.answer(turn, caller);
            self.early_directions_cross(turn, caller, id);
        }
        self.sync(turn, id);
    }

    /// Before the answer each side may have held, or agreed to less, with us alone (RFC 3311, RFC 3262 §5): now that both are
    /// up, the other one hears of it. A caller's wish comes first.
    fn early_directions_cross(&mut self, turn: &mut Turn<'_>, caller: SessionId, called: SessionId) {
        let agreed = |id| self.table.get(id).filter(|session| !session.is_held_here())?.agreement();
        let (Some(here), Some(there)) = (agreed(caller), agreed(called)) else { return };
        if here.direction == mirrored(there.direction) {
            return;
        }
        // Where something is in the way it is asked again afterwards.
        let _ = if here.direction == Direction::Both {
            let wanted = mirrored(there.direction);
            self.turn_other(turn, caller, Wish::of(wanted))
        } else {
            let wish = Wish { terms: Some(Terms::of(here)), ..Wish::of(mirrored(here.direction)) };
            self.turn_other(turn, called, wish)
        };
    }

    /// Writes the description for a caller by what the other side agreed on; `false`: they have nothing in common, and
    /// the call has ended. Once a reliable response (RFC 3262 §5) or our ringing has told the caller, it stays as it is, and the caller is
    /// asked to change once the call is up; what other responses said counts no more than the last one.
    fn describe(&mut self, turn: &mut Turn<'_>, caller: SessionId) -> bool {
        let Some(session) = self.table.get(caller) else { return false };
        let Some(incoming) = session.incoming.as_ref() else { return false };
        let is_settled = incoming.early_answer != EarlyAnswer::Open || incoming.offer.is_none();
        if is_settled && incoming.description.is_some() {
            return true;
        }
        let Some(local) = session.local() else { return true };
        let wanted = self.wanted_of_caller(caller);
        if let Some(session) = self.table.get_mut(caller) {
            session.hold.want(wanted);
        }
        let Some(session) = self.table.get(caller) else { return false };
        let Some(incoming) = session.incoming.as_ref() else { return false };
        let mut origin = session.sdp.origin();
        if incoming.offer.is_none() {
            let able = self.media_of(session, Reach::Transcoded);
            let text = write_offer(&able.settings(), session.sdp.others(), local, &mut origin);
            let Some(session) = self.table.get_mut(caller) else { return false };
            session.negotiation.await_ack();
            session.sdp.set_origin(origin);
            session.describe(text);
            return true;
        }
        let Ok(offer) = self.read_offer(session, &incoming.raw_offer, None) else {
            self.end(turn, caller, EndReason::BadAnswer);
            return false;
        };
        let text = offer.answer(local, &mut origin);
        let Some(session) = self.table.get_mut(caller) else { return false };
        session.describe(text);
        session.sdp.set_origin(origin);
        session.sdp.settle(offer.agreed().clone(), offer.others().clone());
        true
    }

    /// Which ways media may flow to and from a caller: those that the other side leaves, where that has answered our offer
    /// with less than we wanted.
    fn wanted_of_caller(&self, caller: SessionId) -> Direction {
        let other = self.table.get(caller).and_then(|session| self.linked(session));
        let agreed = other.and_then(Session::agreement).map(|agreed| agreed.direction);
        let is_less = other.is_some_and(|other| agreed != Some(other.hold.wanted()));
        agreed.filter(|_| is_less).map_or(Direction::Both, mirrored)
    }
}
