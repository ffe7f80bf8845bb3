//! The peer changes media in the middle of a call: re-INVITE, UPDATE, and the answer to an offer in our 2xx.

use crate::invitation::{Unfit, description};
use crate::leg::{AnswerTo, Leg};
use crate::ports::Accepted;
use crate::session::Session;
use crate::{EndReason, Refusal, SessionEvent, SessionId, Sessions, Side, Turn};
use sdp_core::{Local, Negotiated, Offer, read_answer, write_offer};
use sip_core::{Content, DialogId, InviteId, RequestId, Span};
use sip_wire::Message;
use stats::SignalCounter;

/// An offer, read and as it came.
type Offered = (Offer, Box<[u8]>);

impl Sessions {
    pub(crate) fn reinvited(&mut self, turn: &mut Turn<'_>, invite: InviteId, dialog: DialogId, message: Span) {
        self.change_requested(turn, AnswerTo::Reinvite(invite), dialog, message);
    }

    pub(crate) fn update_requested(
        &mut self,
        turn: &mut Turn<'_>,
        request: RequestId,
        dialog: DialogId,
        message: Span,
    ) {
        self.change_requested(turn, AnswerTo::Update(request), dialog, message);
    }

    fn change_requested(&mut self, turn: &mut Turn<'_>, answer_to: AnswerTo, dialog: DialogId, message: Span) {
        self.counts.add(SignalCounter::Changes, 1);
        match self.changeable(dialog) {
            Ok(id) => self.offered_again(turn, id, answer_to, message),
            Err(status) => self.refuse_change(turn, answer_to, &Refusal::status(status)),
        }
    }

    /// The session whose media can be changed now, or the status that says why not. An offer of ours does not stand in
    /// the way: one that the peer has heard of is looked after by the endpoint, one that waits after a 491 has to wait.
    fn changeable(&self, dialog: DialogId) -> Result<SessionId, u16> {
        let session = self.find(dialog).and_then(|id| self.table.get(id)).ok_or(481_u16)?;
        match session.leg {
            _ if session.state.is_ending() => Err(481),
            // RFC 3311 §5.2 and RFC 3261 §14.2: one offer at a time.
            _ if session.change.is_some() || session.awaits_answer || session.is_moving => Err(491),
            Leg::Open(_) if session.connected_at.is_some() => Ok(session.id),
            _ => Err(500),
        }
    }

    fn offered_again(&mut self, turn: &mut Turn<'_>, id: SessionId, answer_to: AnswerTo, message: Span) {
        let Some(session) = self.table.get(id) else { return };
        let able = self.media_of(session);
        let read = |bytes: &[u8]| -> Result<Option<Offered>, Unfit> {
            let message = Message::parse(bytes).map_err(|_| Unfit::Malformed)?;
            let Some(sdp) = description(&message)? else { return Ok(None) };
            Ok(Some((Offer::read_again(sdp, &able.settings())?, sdp.into())))
        };
        match read(turn.sip.bytes(message)) {
            Ok(Some((offer, raw))) => {
                turn.decide.described(id, Side::Remote, &raw);
                turn.events.push(SessionEvent::Reinvited { id, has_offer: true });
                if self.change_crosses(turn, id, answer_to, &offer, &raw) {
                    return;
                }
                let Some(session) = self.table.get_mut(id) else { return };
                let Some(local) = session.local() else { return };
                let text = offer.answer(local, &mut session.origin);
                self.change(turn, id, answer_to, text, *offer.agreed(), offer.others().clone());
            }
            Ok(None) => self.offer_late(turn, id, answer_to),
            Err(unfit) => {
                let words = unfit.to_string();
                let refusal = Refusal { warning: &words, ..self.refusal(unfit.status()) };
                self.refuse_change(turn, answer_to, &refusal);
            }
        }
    }

    /// A re-INVITE without an offer wants ours (RFC 3261 §14.2); an UPDATE without one only refreshes.
    fn offer_late(&mut self, turn: &mut Turn<'_>, id: SessionId, answer_to: AnswerTo) {
        let AnswerTo::Reinvite(invite) = answer_to else { return self.confirm(turn, id, answer_to, "") };
        turn.events.push(SessionEvent::Reinvited { id, has_offer: false });
        let Some(session) = self.table.get(id) else { return };
        let Some(local) = session.local() else { return };
        let mut origin = session.origin;
        let text = write_offer(&self.media_of(session).settings(), &session.others, local, &mut origin);
        let sent = turn.sip.accept(turn.now, invite, Content::sdp(text.as_bytes())) == Accepted::Sent;
        if let Some(session) = self.table.get_mut(id).filter(|_| sent) {
            (session.awaits_answer, session.origin) = (true, origin);
            turn.decide.described(id, Side::Local, text.as_bytes());
        }
    }

    /// Our 2xx was acknowledged; where it had our offer, this has the answer.
    pub(crate) fn acknowledged(&mut self, turn: &mut Turn<'_>, dialog: DialogId, message: Span) {
        let Some(id) = self.find(dialog) else { return };
        let Some(session) = self.table.get_mut(id).filter(|session| session.awaits_answer) else { return };
        session.awaits_answer = false;
        match self.answer_in(turn, id, message) {
            Ok(agreed) => self.answered(turn, id, agreed),
            Err(_) => self.end(turn, id, EndReason::BadAnswer),
        }
    }

    /// What the peer answered to our offer with this message.
    pub(crate) fn answer_in(&self, turn: &mut Turn<'_>, id: SessionId, message: Span) -> Result<Negotiated, Unfit> {
        let session = self.table.get(id).ok_or(Unfit::Malformed)?;
        let parsed = Message::parse(turn.sip.bytes(message)).map_err(|_| Unfit::Malformed)?;
        let sdp = description(&parsed)?.ok_or(Unfit::NotSdp)?;
        let agreed = read_answer(sdp, &self.media_of(session).settings(), &session.others)?;
        turn.decide.described(id, Side::Remote, sdp);
        Ok(agreed)
    }

    /// The peer has answered an offer of ours.
    pub(crate) fn answered(&mut self, turn: &mut Turn<'_>, id: SessionId, agreed: Negotiated) {
        let Some(session) = self.table.get(id) else { return };
        let others = session.others.clone();
        self.change(turn, id, AnswerTo::Nobody, String::new(), agreed, others);
    }
}

impl Session {
    /// Where we take media.
    pub(crate) fn local(&self) -> Option<Local> {
        self.port().map(|port| Local { ip: self.local_ip, port: port.leg.port })
    }
}
