//! Re-INVITEs of the switch: hold, resume, change of codec, refresh (RFC 3261 §14.1).

use crate::negotiation::capabilities::{Able, Reach, Terms};
use crate::negotiation::codec_matching::{Codecs, Matching};
use crate::negotiation::crossing_offer::Crossed;
use crate::negotiation::pending_operations::PendingOperation;
use crate::{
    EndOrigin, EndReason, Operation, PlannedSource, Session, SessionError, SessionEvent, SessionId, Sessions, Side,
    Turn,
};
use contract::{Codec, Direction, PayloadMap, PayloadMapping};
use sdp_core::{Negotiated, Packets, RelayedFormats, Settings, write_offer, write_offer_again};
use sip_core::{ClientRequestId, DialogId, Span};
use std::ops::RangeInclusive;

/// Payload types that mean what a session description says (RFC 3551 §6).
const DYNAMIC_PAYLOAD_TYPES: RangeInclusive<u8> = 96..=127;

/// A re-INVITE of ours that has no answer yet, and what it is to bring about.
#[derive(Clone, Debug)]
pub(crate) struct LocalOffer {
    pub(crate) request: ClientRequestId,
    pub(crate) wish: Wish,
}

/// What a re-INVITE of ours is to bring about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wish {
    /// The user's operation, which ends with `Done` or `Failed`; none where the session itself wants this.
    pub(crate) operation: Option<Operation>,
    pub(crate) wanted: Direction,
    /// Whether we hold from then on, and what is sent while we do; none: as before.
    pub(crate) hold: Option<(bool, PlannedSource)>,
    /// Only this codec; none: those of before.
    pub(crate) codec: Option<Codec>,
    /// What the other side takes; none: what was agreed on before.
    pub(crate) terms: Option<Terms>,
    /// It is to bring two sides onto one codec.
    pub(crate) matching: Option<Matching>,
    /// The other side of the call, whose peer wants this.
    pub(crate) crosses_for: Option<SessionId>,
}

impl Wish {
    /// Media this way, and nothing else.
    pub(crate) fn of(wanted: Direction) -> Self {
        Self { operation: None, wanted, hold: None, codec: None, terms: None, matching: None, crosses_for: None }
    }
}

impl Sessions {
    /// Sends a re-INVITE. Nothing changes until it is answered.
    pub(crate) fn offer(&mut self, turn: &mut Turn<'_>, id: SessionId, wish: Wish) -> Result<(), SessionError> {
        let session = self.table.get(id).ok_or(SessionError::SessionNotFound(id))?;
        let operation = wish.operation.unwrap_or(Operation::ChangeMedia);
        let is_free = session.is_still(&self.legs);
        let (Some(dialog), Some(local), true) = (session.dialog(), session.local(), is_free) else {
            return Err(SessionError::Busy(operation));
        };
        let able = self.able_for(session, &wish, reach_of(session, &wish));
        let settings = Settings { direction: wish.wanted, ..able.settings() };
        let mut origin = session.sdp.origin();
        let is_linked = self.linked(session).is_some_and(|other| other.takes().is_some());
        let common = |agreed| if is_linked { in_common(agreed, &settings) } else { agreed };
        let text = match session.sdp.agreed().cloned().map(|agreed| narrowed(common(agreed), wish.codec, &settings)) {
            Some(agreed) => {
                let all = wish.terms.as_ref().map(|_| all_that_can_be(&settings, Some(&agreed)).payloads);
                let offered = Negotiated { payloads: all.unwrap_or(agreed.payloads), ..agreed };
                write_offer_again(&offered, &settings, session.sdp.others(), local, &mut origin)
            }
            None => write_offer(&settings, session.sdp.others(), local, &mut origin),
        };
        let request = turn.sip.reinvite(turn.now, dialog, &text).map_err(|refused| match refused {
            sip_core::Refused::Busy => SessionError::Busy(operation),
            other => SessionError::Protocol(other),
        })?;
        if wish.crosses_for.is_some() {
            turn.sip.pass_glare_on(dialog);
        }
        turn.decide.described(id, Side::Local, text.as_bytes());
        if let Some(session) = self.table.get_mut(id) {
            session.sdp.set_origin(origin);
            session.negotiation.offer(LocalOffer { request, wish });
        }
        Ok(())
    }

    /// What a session may agree to by this wish. Without terms the telephone events that were agreed on are offered again,
    /// whether the other side of the call takes them or not: its digits cross by INFO. So the peer may accept them.
    fn able_for(&self, session: &Session, wish: &Wish, reach: Reach) -> Able {
        if let Some(terms) = &wish.terms {
            return self.able_by(session, terms, reach);
        }
        let had_events = session.sdp.agreed().is_some_and(|agreed| agreed.payloads.telephone_event().is_some());
        self.media_of(session, reach).or_telephone_event(had_events)
    }

    /// The session timer wants a refresh. Where it cannot be sent now, as another change is on its way or a table is full, the
    /// session timer asks for it again, unless a change that was accepted has refreshed the session meanwhile.
    pub(crate) fn refresh_due(&mut self, turn: &mut Turn<'_>, dialog: DialogId) {
        let Some(session) = self.find(dialog).and_then(|id| self.table.get(id)) else { return };
        let wish = Wish::of(session.hold.wanted());
        let id = session.id();
        let _ = self.offer(turn, id, wish);
    }

    /// A response to our re-INVITE. `false`: it is to something else.
    pub(crate) fn offer_answered(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        request: ClientRequestId,
        status: u16,
        message: Option<Span>,
    ) -> bool {
        let Some(session) = self.table.get_mut(id) else { return false };
        let is_it = session.negotiation.local_offer().is_some_and(|offer| offer.request == request);
        if !is_it || status < 200 || session.state().is_ending() {
            return is_it;
        }
        let Some(offer) = session.negotiation.take_local_offer(request) else { return false };
        match (status, message) {
            (200..300, Some(message)) => self.offer_accepted(turn, id, offer.wish, message),
            (status, message) => {
                let origin = EndOrigin::of_response(status, message.is_some());
                self.offer_refused(turn, id, offer.wish, (status, origin));
            }
        }
        self.take_up_pending(turn, id);
        true
    }

    fn offer_accepted(&mut self, turn: &mut Turn<'_>, id: SessionId, wish: Wish, message: Span) {
        let Some(session) = self.table.get_mut(id) else { return };
        let before = session.hold.want(wish.wanted);
        let Some(session) = self.table.get(id) else { return };
        // Without transcoding an offer that takes a side to the codecs of the other one has no other answer.
        let needs_match = wish.matching.is_some() && !self.settings.media.transcoding;
        let reach = if needs_match { Reach::Relayed } else { Reach::Transcoded };
        let able = self.able_for(session, &wish, reach);
        let agreed = self.answer_by(turn, id, message, &able);
        let Some(session) = self.table.get_mut(id) else { return };
        let Ok(agreed) = agreed else {
            // The peer thinks that it agreed to something: nothing can be taken back.
            session.hold.want(before);
            return self.end(turn, id, EndReason::BadAnswer);
        };
        if wish.codec.is_some() && self.settings.media.transcoding {
            session.sdp.forget_shown(); // the user wants this one, and the peer is not asked for the one of before
        }
        if let Some((holds, source)) = wish.hold {
            session.hold.set_ours(holds.then_some(source));
        }
        let (direction, payloads) = (agreed.direction, agreed.payloads);
        self.answered(turn, id, agreed, wish.operation);
        if matches!(wish.hold, Some((false, _))) {
            self.resumed_direction_meets(turn, id);
        }
        if let Some(matching) = wish.matching {
            self.match_accepted(turn, id, matching, &payloads);
        }
        if wish == Wish::of(wish.wanted) && direction != wish.wanted {
            self.answered_direction_crosses(turn, id, direction);
        }
        if let Some(other) = wish.crosses_for {
            self.cross_done(turn, other, Ok(Crossed { agreed: direction, wanted_before: before }));
        }
    }

    /// The peer's offer came first while ours waited after a 491 (RFC 3261 §14.1): ours would not know of that one. What it
    /// was for is offered anew afterwards.
    pub(crate) fn withdraw_offer(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        let Some(LocalOffer { request, wish }) = session.negotiation.drop_local_offer() else { return };
        turn.sip.withdraw_reinvite(request);
        let has_join = wish.matching.is_some_and(|matching| matching.joins());
        if wish.operation.is_some() || has_join {
            session.negotiation.operations_mut().put_first(PendingOperation::Offer(wish), turn.now);
            self.limit_operations(id);
        } else if let Some(other) = wish.crosses_for {
            self.cross_done(turn, other, Err(491));
        } else if wish.wanted != session.hold.wanted() {
            session.negotiation.turn_back_to(Some(wish.wanted));
        }
        // What only settles codecs is looked at again when the peer's offer is answered. For a refresh the session timer asks
        // again, unless our 2xx to the peer's offer has refreshed the session.
    }

    /// The call stays as it was.
    fn offer_refused(&mut self, turn: &mut Turn<'_>, id: SessionId, wish: Wish, (status, origin): (u16, EndOrigin)) {
        if let Some(operation) = wish.operation {
            turn.events.push(SessionEvent::Failed { id, operation, status, origin });
        }
        if let Some(other) = wish.crosses_for {
            let status = if matches!(status, 400..=407 | 409..=480 | 482..=699) { status } else { 500 };
            self.cross_done(turn, other, Err(status));
        }
        // RFC 5057 §5.1: the peer does not know this call any more, or is not there.
        let is_lost = matches!(status, 408 | 481);
        match wish.matching.map(|matching| (matching, matching.join())) {
            Some((_, Some(join))) if is_lost && self.settings.media.transcoding => self.join_refused(turn, &join),
            Some((matching, _)) => self.match_refused(turn, id, matching),
            None => {}
        }
        if is_lost {
            self.end(turn, id, EndReason::PeerLost);
        }
    }
}

/// Which codecs our offer has beside those of the other side: none to a peer that is known to have one of them, so that the
/// two do not come to need transcoding.
fn reach_of(session: &Session, wish: &Wish) -> Reach {
    match &wish.terms {
        Some(terms) if !session.sdp.has_shown(Codecs::of(terms.payloads())) => Reach::Transcoded,
        _ => Reach::Relayed,
    }
}

/// What was agreed on, without the codecs that the other side does not take any more.
fn in_common(agreed: Negotiated, settings: &Settings<'_>) -> Negotiated {
    let is_event = |entry: &PayloadMapping| entry.codec == Codec::TelephoneEvent;
    let is_common = |entry: &PayloadMapping| !is_event(entry) && settings.has(entry);
    // RFC 4733 §2.1: events have the clock of the audio beside them.
    let has_clock = |event: &PayloadMapping| {
        agreed.payloads.entries().any(|audio| is_common(&audio) && audio.clock_rate == event.clock_rate)
    };
    let payloads = agreed.payloads.only(|entry| is_common(entry) || (is_event(entry) && has_clock(entry)));
    if payloads.audio().is_some() { Negotiated { payloads, ..agreed } } else { agreed }
}

/// The same with one audio codec only, and telephone events where they were agreed on.
fn narrowed(agreed: Negotiated, codec: Option<Codec>, settings: &Settings<'_>) -> Negotiated {
    let Some(codec) = codec else { return agreed };
    let telephone_event = agreed.payloads.telephone_event().is_some();
    let wanted = Settings { codecs: &[codec.into()], telephone_event, ..*settings }.payloads();
    Negotiated { payloads: renumbered(&wanted, Some(&agreed.payloads)), ..agreed }
}

/// All that can be agreed on, where a peer wants our offer.
pub(crate) fn all_that_can_be(settings: &Settings<'_>, agreed: Option<&Negotiated>) -> Negotiated {
    let payloads = renumbered(&settings.payloads(), agreed.map(|agreed| &agreed.payloads));
    Negotiated {
        remote_rtp: None,
        remote_rtcp: None,
        payloads,
        relayed: RelayedFormats::default(),
        direction: settings.direction,
        ptime_ms: 20,
        opus: Default::default(),
        packets: Packets::default(),
        rtcp_mux: true,
        rtcp_xr: settings.rtcp_xr == sdp_core::RtcpXr::Offered,
    }
}

/// These payload types by the numbers that they were agreed on with (RFC 3264 §8.3.2). A new one keeps its number where that
/// is free, or gets a dynamic one.
fn renumbered(wanted: &PayloadMap, agreed: Option<&PayloadMap>) -> PayloadMap {
    let mut payloads = PayloadMap::default();
    let known = |entry: &PayloadMapping| {
        agreed?.entries().find(|other| other.is_same_format(entry)).map(|other| other.payload_type)
    };
    let is_taken = |number: u8| agreed.is_some_and(|agreed| agreed.iter().any(|(other, ..)| other == number));
    for entry in wanted.entries() {
        let is_free = |number: &u8| !is_taken(*number) && payloads.iter().all(|(other, ..)| other != *number);
        let new = || [entry.payload_type].into_iter().chain(DYNAMIC_PAYLOAD_TYPES).find(is_free);
        if let Some(number) = known(&entry).or_else(new) {
            payloads.push_entry(PayloadMapping { payload_type: number, peer_payload_type: number, ..entry });
        }
    }
    payloads
}
