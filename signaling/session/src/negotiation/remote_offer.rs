//! Offers of the peer in the middle of a call: re-INVITE and UPDATE; and its answer to an offer in our 2xx.

use crate::admission::address_validation::Proof;
use crate::invite::invitation::{Unfit, description};
use crate::negotiation::capabilities::{Able, Reach};
use crate::negotiation::crossing_offer::{PeerChange, Way};
use crate::negotiation::exchange::{Answer, PeerRequest};
use crate::negotiation::local_offer::all_that_can_be;
use crate::negotiation::pending_change::PendingOffer;
use crate::ports::Accepted;
use crate::session::Session;
use crate::{EndReason, Refusal, SessionEvent, SessionId, Sessions, Side, Turn};
use sdp_core::{Local, Negotiated, Offer, SdpError, read_answer, write_offer_again};
use sip_core::{Content, DialogId, InviteId, RequestId, Span};
use stats::SignalCounter;

/// Longest `Retry-After` of a 500, in seconds (RFC 3311 §5.2).
const RETRY_AFTER_MAX_S: u64 = 10;

impl Sessions {
    pub(crate) fn reinvited(&mut self, turn: &mut Turn<'_>, invite: InviteId, dialog: DialogId, message: Span) {
        self.change_requested(turn, PeerRequest::Reinvite(invite), dialog, message);
    }

    pub(crate) fn update_requested(
        &mut self,
        turn: &mut Turn<'_>,
        request: RequestId,
        dialog: DialogId,
        message: Span,
    ) {
        self.change_requested(turn, PeerRequest::Update(request), dialog, message);
    }

    /// A caller has acknowledged a provisional response, and may have something in its PRACK: an offer, once ours has been
    /// answered (RFC 3262 §5), or a body that the switch has no use for.
    pub(crate) fn pracked(&mut self, turn: &mut Turn<'_>, dialog: DialogId, request: Option<RequestId>, message: Span) {
        let id = self.find(dialog);
        if let Some(id) = id {
            self.acknowledged_early(id);
        }
        if let Some(request) = request {
            let parsed = turn.sip.message(message).ok_or(Unfit::Malformed);
            match parsed.and_then(|message| Ok(description(&message)?.is_some())) {
                Ok(true) if id.is_some_and(|id| self.has_agreed_early(id, dialog)) => {
                    self.change_requested(turn, PeerRequest::Update(request), dialog, message);
                }
                Ok(false) => drop(turn.sip.respond(turn.now, request, 200, "")),
                Ok(true) => drop(turn.sip.respond(turn.now, request, 488, "")),
                Err(unfit) => self.refuse_unfit(turn, PeerRequest::Update(request), &unfit),
            }
        }
        if let Some(id) = id.filter(|id| self.table.get(*id).is_some_and(|session| !session.negotiation.is_asked())) {
            self.answer(turn, id);
        }
    }

    fn change_requested(&mut self, turn: &mut Turn<'_>, request: PeerRequest, dialog: DialogId, message: Span) {
        self.counts.add(SignalCounter::Changes, 1);
        let found = self.find(dialog).or_else(|| self.find_early(dialog)).and_then(|id| self.table.get_mut(id));
        let Some(session) = found.filter(|session| !session.state().is_ending()) else {
            return self.refuse_change(turn, request, &Refusal::status(481));
        };
        let (id, is_up) = (session.id(), session.is_answered());
        let may_wait = is_up && session.negotiation.may_wait(request);
        let is_asked = session.negotiation.is_asked() && !may_wait;
        if !is_up && !self.has_agreed_early(id, dialog) {
            // RFC 3311 §5.2: the offer of the INVITE has no answer yet.
            let retry_after_s = Some(self.draw() % (RETRY_AFTER_MAX_S + 1));
            return self.refuse_change(turn, request, &Refusal { retry_after_s, ..Refusal::status(500) });
        }
        if is_asked {
            return self.refuse_change(turn, request, &Refusal::status(491));
        }
        if let (PeerRequest::Reinvite(_), Some(session)) = (request, self.table.get_mut(id)) {
            // RFC 3261 §14.1: the peer has acknowledged our 2xx before, even if that was lost. What it offers or wants
            // now takes the place of the answer that was in it.
            session.negotiation.take_awaited_ack();
        }
        let parsed = turn.sip.message(message).ok_or(Unfit::Malformed);
        match parsed.and_then(|message| Ok(description(&message)?.map(Box::from))) {
            // An UPDATE without an offer only refreshes.
            Ok(None) if matches!(request, PeerRequest::Update(_)) => self.confirm(turn, id, request, ""),
            Ok(offer) => {
                self.note_early(id, dialog, None);
                self.take_up(turn, id, PendingOffer { request, offer, is_told: false });
            }
            Err(unfit) => {
                self.refuse_unfit(turn, request, &unfit);
                self.take_up_pending(turn, id);
            }
        }
    }

    /// An offer that can be carried out now, unless the other side of the call stands in the way.
    pub(crate) fn take_up_offer(&mut self, turn: &mut Turn<'_>, id: SessionId, mut asked: PendingOffer) {
        let (Some(session), Some(raw)) = (self.table.get(id), asked.offer.as_deref()) else { return };
        // What the other side has agreed to does not count yet: it is asked.
        let wish = match Offer::read(raw, &self.able_alone(session).settings()) {
            Ok(wish) => wish,
            Err(error) => {
                self.refuse_unfit(turn, asked.request, &error.into());
                return self.take_up_pending(turn, id);
            }
        };
        let here = self.read_offer(session, raw, None);
        if let Some(session) = self.table.get_mut(id) {
            session.sdp.note_shown(&wish.agreed().payloads);
        }
        if !std::mem::replace(&mut asked.is_told, true) {
            turn.decide.described(id, Side::Remote, raw);
            turn.events.push(SessionEvent::Reinvited { id, has_offer: true });
        }
        let change = PeerChange { request: asked.request, wish: &wish, here: here.as_ref().ok(), raw };
        match self.change_crosses(turn, id, change) {
            Way::Stays => {}
            Way::Waits => return self.postpone(turn, id, asked),
            Way::Crossed => return,
            Way::Refused => return self.take_up_pending(turn, id),
        }
        let offer = match here {
            Ok(offer) => offer,
            Err(error) => {
                self.refuse_unfit(turn, asked.request, &error.into());
                return self.take_up_pending(turn, id);
            }
        };
        let Some(session) = self.table.get_mut(id) else { return };
        let Some(local) = session.local() else { return };
        let description = offer.answer(local, session.sdp.origin_mut());
        self.apply_answer(turn, id, Answer { request: asked.request, description }, &offer);
    }

    fn refuse_unfit(&mut self, turn: &mut Turn<'_>, request: PeerRequest, unfit: &Unfit) {
        let words = unfit.to_string();
        let refusal = Refusal { warning_code: unfit.warning_code(), ..self.refusal(unfit.status()) };
        self.refuse_change(turn, request, &Refusal { warning: &words, ..refusal });
    }

    /// A re-INVITE without an offer wants ours (RFC 3261 §14.2).
    pub(crate) fn offer_late(&mut self, turn: &mut Turn<'_>, id: SessionId, asked: PendingOffer) {
        let PeerRequest::Reinvite(invite) = asked.request else { return };
        turn.events.push(SessionEvent::Reinvited { id, has_offer: false });
        let Some(session) = self.table.get(id) else { return };
        let Some(local) = session.local() else { return };
        let (mut origin, able) = (session.sdp.origin(), self.media_of(session, self.late_reach(session)));
        let offered = all_that_can_be(&able.settings(), session.sdp.agreed());
        let text = write_offer_again(&offered, &able.settings(), session.sdp.others(), local, &mut origin);
        let sent = turn.sip.accept(turn.now, invite, Content::sdp(text.as_bytes())) == Accepted::Sent;
        if let Some(session) = self.table.get_mut(id).filter(|_| sent) {
            session.negotiation.await_ack();
            session.sdp.set_origin(origin);
            turn.decide.described(id, Side::Local, text.as_bytes());
        }
    }

    /// What our offer to a peer has beside the codecs of the other side: nothing where the peer is known to have one of them.
    fn late_reach(&self, session: &Session) -> Reach {
        let theirs = self.linked(session).and_then(Session::takes);
        let is_common = theirs.is_some_and(|theirs| session.has_shown(theirs));
        if is_common { Reach::Relayed } else { Reach::Transcoded }
    }

    /// Our 2xx was acknowledged; where it had our offer, this has the answer.
    pub(crate) fn acknowledged(&mut self, turn: &mut Turn<'_>, dialog: DialogId, message: Span) {
        let Some(id) = self.find(dialog) else { return };
        let Some(session) = self.table.get_mut(id) else { return };
        let is_first = session.sdp.agreed().is_none();
        session.admitted.prove(Proof::Call);
        if session.negotiation.take_awaited_ack() {
            match self.answer_in(turn, id, message) {
                Ok(agreed) => {
                    self.answered(turn, id, agreed.clone(), None);
                    self.late_answer_crosses(turn, id, &agreed);
                }
                // RFC 3261 §14.1: a re-INVITE that fails does not fail the call.
                Err(_) if !is_first => {}
                Err(_) => return self.end(turn, id, EndReason::BadAnswer),
            }
        }
        self.sync_one(turn, id);
        self.take_up_pending(turn, id);
    }

    /// What the peer answered to our offer with this message.
    pub(crate) fn answer_in(&self, turn: &mut Turn<'_>, id: SessionId, message: Span) -> Result<Negotiated, Unfit> {
        let session = self.table.get(id).ok_or(Unfit::Malformed)?;
        self.answer_by(turn, id, message, &self.media_of(session, Reach::Transcoded))
    }

    /// What the peer answered to the offer of an INVITE. Meanwhile the other side may have come to take less than the INVITE offered, or it may be
    /// another one: then the two are matched once both are up.
    pub(crate) fn answer_to_invite(
        &self,
        turn: &mut Turn<'_>,
        id: SessionId,
        message: Span,
    ) -> Result<Negotiated, Unfit> {
        let session = self.table.get(id).ok_or(Unfit::Malformed)?;
        match self.answer_by(turn, id, message, &self.media_of(session, Reach::Transcoded)) {
            Err(Unfit::Sdp(SdpError::NoCodec)) => {
                let mut able = self.able_alone(session);
                able.direction = session.hold.wanted();
                self.answer_by(turn, id, message, &able)
            }
            answer => answer,
        }
    }

    /// What the peer answered with this message to an offer of these codecs.
    pub(crate) fn answer_by(
        &self,
        turn: &mut Turn<'_>,
        id: SessionId,
        message: Span,
        able: &Able,
    ) -> Result<Negotiated, Unfit> {
        let session = self.table.get(id).ok_or(Unfit::Malformed)?;
        let parsed = turn.sip.message(message).ok_or(Unfit::Malformed)?;
        let sdp = description(&parsed)?.ok_or(Unfit::NotSdp)?;
        let agreed = read_answer(sdp, &able.settings(), session.sdp.others())?;
        turn.decide.described(id, Side::Remote, sdp);
        Ok(agreed)
    }
}

impl Session {
    /// The address that media of the peer comes to.
    pub(crate) fn local(&self) -> Option<Local> {
        self.local_port().map(|port| Local { ip: self.local_ip(), port })
    }
}
