//! A call comes in: from its INVITE to the decision, the port and the answer.

use crate::admission::address_validation::Proof;
use crate::admission::admitted::Admitted;
use crate::admission::source_limit::Seat;
use crate::invite::incoming_invite::{IncomingInvite, Stage};
use crate::invite::invitation::{Invitation, Unfit};
use crate::lifecycle::call_facts::CallFacts;
use crate::negotiation::sdp_state::SdpState;
use crate::playback::Playback;
use crate::ports::Accepted;
use crate::session::Session;
use crate::timers::timer::Timer;
use crate::{
    Admission, CallNumber, Decision, EndReason, IncomingCall, Plan, PlannedSource, Refusal, SessionError, SessionId,
    SessionState, Sessions, Side, Standing, Turn,
};
use clock::Instant;
use sdp_core::{Origin, write_offer};
use sip_core::{Content, DialogId, InviteId, Span};
use stats::SignalCounter;

impl Sessions {
    pub(crate) fn invited(
        &mut self,
        turn: &mut Turn<'_>,
        invite: InviteId,
        dialog: DialogId,
        message: Span,
        replaces: Option<DialogId>,
    ) {
        if self.table.is_full() || self.is_stopping {
            let (why, words) = match self.is_stopping {
                true => (SignalCounter::RefusedStopping, "the switch is being stopped"),
                false => (SignalCounter::RefusedCallLimit, "as many calls are up as there may be"),
            };
            self.counts.add(why, 1);
            return self.refuse_unseen(turn, invite, message, 503, words);
        }
        // The INVITE is of the switch itself, on behalf of a peer that was admitted before.
        let is_known = turn.path.is_ours;
        let admission = if is_known { Admission::Granted { user: None } } else { turn.admit(message) };
        let user = match admission {
            Admission::Granted { user } => user,
            refused => return self.turn_away(turn, invite, message, &refused),
        };
        let media = self.settings.media.for_peer(Some(turn.path.remote.ip()));
        let read = turn.sip.message(message).ok_or(Unfit::Malformed);
        let invitation = match read.and_then(|message| Invitation::read(&message, &media)) {
            Ok(invitation) => invitation,
            Err(unfit) => {
                self.counts.add(SignalCounter::RefusedDescription, 1);
                let words = unfit.to_string();
                let refusal = Refusal { warning_code: unfit.warning_code(), ..self.refusal(unfit.status()) };
                return self.refuse_unseen_with(turn, invite, message, &Refusal { warning: &words, ..refusal });
            }
        };
        let Some(counts_for) = self.count_user(&invitation.parties.from) else {
            self.counts.add(SignalCounter::RefusedUserLimit, 1);
            return self.refuse_unseen(turn, invite, message, 486, "this user has as many calls as one may have");
        };
        let Some(seat) = self.take_seat(turn, user.is_some()) else {
            if let (Some(limit), Some(user)) = (&self.settings.limits.user_limit, &counts_for) {
                limit.give_back(user);
            }
            self.counts.add(SignalCounter::RefusedCallLimit, 1);
            return self.refuse_unseen(
                turn,
                invite,
                message,
                503,
                "its source has as many calls waiting as one may have",
            );
        };
        let (number, origin) = (CallNumber(self.draw()), Origin::new(self.draw()));
        let (now, path) = (turn.now, turn.path);
        let is_connected = || turn.sip.flow_of(dialog).is_some_and(|flow| flow.transport.is_reliable());
        let proof = match () {
            // Of the switch itself, or of a user who has answered a challenge, which was sent to where the INVITE came from.
            () if path.is_ours || user.is_some() => Proof::Address,
            () if is_connected() => Proof::Host,
            () => Proof::Nothing,
        };
        let mut sdp = SdpState::new(origin);
        if let Some(offer) = &invitation.offer {
            sdp.note_shown(&offer.agreed().payloads);
        }
        let (hops_left, raw_offer) = (invitation.hops_left, invitation.raw_offer);
        let incoming = IncomingInvite::new(invite, hops_left, invitation.offer, raw_offer, replaces);
        let added = self.table.add(|id| Session {
            incoming: Some(Box::new(incoming)),
            ..Session::new(
                CallFacts::new(id, number, now, invitation.parties, path).incoming(dialog),
                Admitted::new(proof, seat, counts_for),
                sdp,
                Playback::new(Plan::of(PlannedSource::Silence)),
            )
        });
        if let Some(id) = added {
            self.by_dialog.insert(dialog, id);
            if let Some(account) = self.account {
                turn.sip.set_account(dialog, account);
            }
            self.limit_age(turn, id);
            self.note_digit_abilities(turn, id, message);
            self.decide(turn, id, message, user.as_deref());
        }
    }

    /// Counts the call among those of its source that wait; `None`: the source is at its limit.
    fn take_seat(&mut self, turn: &mut Turn<'_>, is_authentic: bool) -> Option<Seat> {
        let path = turn.path;
        if is_authentic {
            // Its credentials have the nonce that was sent to this address.
            turn.sip.prove(turn.now, path.remote);
        }
        let standing = match path.standing {
            Standing::Unproven if is_authentic => Standing::Proven,
            _ if path.is_ours => Standing::Trusted,
            standing => standing,
        };
        match &self.settings.limits.sources {
            Some(sources) => sources.enter(path.remote.ip(), standing),
            None => Some(Seat::None),
        }
    }

    fn decide(&mut self, turn: &mut Turn<'_>, id: SessionId, message: Span, user: Option<&str>) {
        if self.takes_over(turn, id, message) {
            return;
        }
        let Some(session) = self.table.get(id) else { return };
        let Some(invite) = turn.sip.message(message) else { return };
        let decision = turn.decide.incoming(&IncomingCall {
            id,
            from: &session.parties().from,
            to: &session.parties().to,
            called_user: &session.parties().called_user,
            offered: session.offer().map(sdp_core::Offer::agreed),
            user,
            message: &invite,
            remote: session.remote_signaling(),
            received_at: turn.now,
        });
        if matches!(decision, Decision::Forward(_) | Decision::Defer) {
            self.keep_for_crossing(turn, id, message);
        }
        match decision {
            Decision::Accept(plan) => self.start(turn, id, plan),
            Decision::Reject { status, reason } => self.refuse(turn, id, status, &reason),
            Decision::Forward(forward) => {
                if let Err(error) = self.go_on(turn, id, forward) {
                    self.refuse(turn, id, error.status(), "");
                }
            }
            Decision::Defer => {
                self.ring(turn, id);
                self.wake(id, Timer::Answer, Some(self.decide_by(turn, id)));
            }
        }
    }

    /// When a call that waits for a decision is given up: an INVITE may be good for less time than we would wait (RFC 3261
    /// §13.3.1).
    pub(crate) fn decide_by(&self, turn: &Turn<'_>, id: SessionId) -> Instant {
        let limit = turn.now + self.settings.timeouts.decision;
        self.expires_at(id).map_or(limit, |expires_at| limit.min(expires_at))
    }

    pub(crate) fn expires_at(&self, id: SessionId) -> Option<Instant> {
        self.table.get(id)?.incoming.as_ref()?.expires_at()
    }

    /// Answers a call that rings: the decision that was deferred.
    pub fn accept(&mut self, turn: &mut Turn<'_>, id: SessionId, plan: Plan) -> Result<(), SessionError> {
        self.accept_with(turn, id, plan, None)
    }

    /// Takes a port, opens the leg and lets the caller hear ringing; the answer follows when the leg runs.
    pub(crate) fn start(&mut self, turn: &mut Turn<'_>, id: SessionId, plan: Plan) {
        self.start_as(turn, id, plan, Stage::Answering);
    }

    /// The same for a call that is answered, or heard early. Whether the leg was there
    /// already, for a description of the user's: then [`Self::use_reserved`] follows.
    pub(super) fn start_as(&mut self, turn: &mut Turn<'_>, id: SessionId, plan: Plan, stage: Stage) -> bool {
        if !self.leave_out_what_is_only_relayed(turn, id, plan.source) {
            return false;
        }
        let is_reserved = self.table.get(id).is_some_and(Session::has_reserved_leg);
        if !is_reserved && !self.reserve_leg(turn, id, None) {
            self.refuse(turn, id, 503, "");
            return false;
        }
        let settings = &self.settings;
        let Some(session) = self.table.get_mut(id) else { return false };
        let Some(local) = session.local() else { return false };
        let offer = session.incoming.as_mut().and_then(|incoming| incoming.offer.take());
        let description = match offer {
            Some(offer) => {
                session.sdp.settle(offer.agreed().clone(), offer.others().clone());
                offer.answer(local, session.sdp.origin_mut())
            }
            None => {
                // RFC 3261 §13.2.1: no offer in the INVITE, so ours goes into the 2xx and the ACK has the answer.
                session.negotiation.await_ack();
                let mut origin = session.sdp.origin();
                let text = write_offer(&settings.media.for_peer(None), session.sdp.others(), local, &mut origin);
                session.sdp.set_origin(origin);
                text
            }
        };
        session.describe(description);
        session.playback.set_plan(plan);
        session.timers.set(Timer::Answer, None);
        if let Some(incoming) = &mut session.incoming {
            incoming.stage = stage;
        }
        if is_reserved {
            return true;
        }
        self.open_leg(turn, id);
        if stage != Stage::Early {
            self.ring(turn, id);
        }
        false
    }

    /// What a caller offers that cannot be decoded is accepted only where another side is to have it, or where its packets
    /// are not looked at. `false`: the call is refused, as nothing else is left.
    fn leave_out_what_is_only_relayed(&mut self, turn: &mut Turn<'_>, id: SessionId, source: PlannedSource) -> bool {
        let Some(session) = self.table.get_mut(id) else { return false };
        if session.transfers.will_hear().is_some() {
            return true;
        }
        let Some(incoming) = session.incoming.as_mut() else { return true };
        let Some(offer) = incoming.offer.clone() else { return true };
        match offer.decodable() {
            Ok(offer) => incoming.offer = Some(offer),
            Err(_) if !source.needs_codec() => {}
            Err(error) => {
                self.refuse_unfit_call(turn, id, error);
                return false;
            }
        }
        true
    }

    /// The leg of a call that waited with one is there, or about to be: it begins to flow, and the call is answered.
    pub(super) fn use_reserved(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get(id) else { return };
        if session.is_at(Stage::Early) && session.has_running_leg(&self.legs) {
            self.announce(turn, id);
        }
        self.sync(turn, id);
        self.answer(turn, id);
    }

    pub(crate) fn ring(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get(id).filter(|session| session.state() == SessionState::Initializing) else {
            return;
        };
        if let Some(incoming) = &session.incoming {
            turn.sip.ringing(turn.now, incoming.invite());
        }
        self.go(turn, id, SessionState::Ringing);
    }

    /// The leg runs, or the PRACK that the 200 waited for is there: 200 OK.
    pub(crate) fn answer(&mut self, turn: &mut Turn<'_>, id: SessionId) -> bool {
        let Some(session) = self.table.get_mut(id).filter(|session| session.has_running_leg(&self.legs)) else {
            return false;
        };
        let Some(incoming) = session.incoming.as_mut().filter(|incoming| incoming.stage == Stage::Answering) else {
            return false;
        };
        let (invite, Some(description)) = (incoming.invite(), incoming.description.take()) else { return false };
        let headers: Vec<(&str, &str)> =
            incoming.answer_headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        match turn.sip.accept(turn.now, invite, Content::sdp(description.as_bytes()).with_headers(&headers)) {
            Accepted::Sent => {
                turn.decide.described(id, Side::Local, description.as_bytes());
                if let Some(dialog) = session.dialog() {
                    turn.tell_dialog(id, dialog);
                }
                let replaced = session.incoming.take().and_then(|incoming| incoming.replaces());
                session.timers.set(Timer::Answer, None);
                session.facts.connect(turn.now);
                session.transfers.set_will_hear(None);
                self.counts.add(SignalCounter::CallsAnswered, 1);
                // The called side may answer without a provisional response.
                if self.table.get(id).is_some_and(|session| session.state() == SessionState::Initializing) {
                    self.go(turn, id, SessionState::Ringing);
                }
                self.go(turn, id, SessionState::Connected);
                self.probe_later(turn, id);
                self.show_hold(turn, id);
                self.sync_one(turn, id); // media flows from now on
                if let Some(old) = replaced.and_then(|dialog| self.find(dialog)) {
                    self.take_place(turn, id, old);
                    self.end(turn, old, EndReason::Replaced);
                }
                return true;
            }
            // The description waits for the PRACK; the endpoint ends the INVITE when none comes.
            Accepted::AfterPrack => session.describe(description),
            Accepted::Gone => self.end(turn, id, EndReason::Cancelled),
        }
        false
    }
}
