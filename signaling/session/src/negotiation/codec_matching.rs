//! Two sides that hear each other come to speak one codec. A side that has agreed to less than before, or to something
//! else, stays as it is; the other one is offered what the first one takes, by a re-INVITE of ours. Each answer leaves
//! fewer codecs, so that this ends. Where the media plane may transcode, only a peer is asked that has shown a codec of the
//! other side, and two sides that do not come to speak one codec are transcoded.

use crate::negotiation::capabilities::{Terms, can_be_transcoded, fits};
use crate::negotiation::local_offer::Wish;
use crate::session::Session;
use crate::transfer::received_refer::Referred;
use crate::{EndReason, LeaveReason, SessionId, Sessions, Tie, Turn};
use contract::{Codec, FormatId, PayloadMap};
use media_control::Legs;
use sdp_core::Negotiated;
use sip_core::SubscriptionId;

/// Formats that are only relayed of which a peer's word is kept; others it is not asked for.
const RELAYED_COUNT_MAX: usize = 8;

/// Audio formats.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Codecs {
    /// Codecs that the media plane understands, a bit each.
    known: u8,
    /// Those that it only relays, with gaps.
    relayed: [FormatId; RELAYED_COUNT_MAX],
}

impl Codecs {
    pub(crate) fn of(payloads: &PayloadMap) -> Self {
        let mut codecs = Self::default();
        codecs.add(payloads);
        codecs
    }

    pub(crate) fn add(&mut self, payloads: &PayloadMap) {
        for mapping in payloads.entries() {
            match mapping.codec {
                Codec::Pcmu => self.known |= 1,
                Codec::Pcma => self.known |= 2,
                Codec::G722 => self.known |= 4,
                Codec::Opus => self.known |= 8,
                Codec::L16Narrow => self.known |= 16,
                Codec::L16Wide => self.known |= 32,
                Codec::L16SuperWide => self.known |= 64,
                Codec::TelephoneEvent => {}
                Codec::Other if self.relays(mapping.format) => {}
                Codec::Other => {
                    if let Some(free) = self.relayed.iter_mut().find(|format| **format == FormatId::NONE) {
                        *free = mapping.format;
                    }
                }
            }
        }
    }

    fn contains(self, other: Self) -> bool {
        self.known & other.known == other.known && other.relayed().all(|format| self.relays(format))
    }

    /// Whether the media plane understands one of them.
    pub(super) fn is_decodable(self) -> bool {
        self.known != 0
    }

    fn relayed(&self) -> impl Iterator<Item = FormatId> + '_ {
        self.relayed.iter().copied().filter(|format| *format != FormatId::NONE)
    }

    fn relays(&self, format: FormatId) -> bool {
        self.relayed().any(|own| own.is_same_format(format))
    }

    /// The one that is sent first.
    fn spoken(payloads: &PayloadMap) -> Self {
        let mut first = PayloadMap::default();
        if let Some(spoken) = payloads.entries().find(|mapping| mapping.codec != Codec::TelephoneEvent) {
            first.push_entry(spoken);
        }
        Self::of(&first)
    }

    pub(super) fn remove(&mut self, other: Self) {
        self.known &= !other.known;
        for format in &mut self.relayed {
            if other.relays(*format) {
                *format = FormatId::NONE;
            }
        }
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.known & other.known != 0 || other.relayed().any(|format| self.relays(format))
    }
}

/// What an offer is to bring about that takes one side to the codecs of the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Matching {
    attempt: Attempt,
    /// Two calls become one once both have a codec in common; none: they hear each other already.
    join: Option<Join>,
}

impl Matching {
    /// Two calls become one by it.
    pub(crate) fn joins(&self) -> bool {
        self.join.is_some()
    }

    pub(crate) fn join(&self) -> Option<Join> {
        self.join
    }

    /// The two calls became one before it was done.
    pub(crate) fn forget_join(&mut self) {
        self.join = None;
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Attempt {
    First,
    /// The other side has refused.
    Second,
}

/// Two calls of one peer that become one call of the other two parties: an attended transfer (RFC 5589 §7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Join {
    /// The call in which the peer has asked for it.
    pub(crate) by: SessionId,
    pub(crate) consultation: SessionId,
    pub(crate) subscription: Option<SubscriptionId>,
    /// The other sides of the two.
    pub(crate) one: SessionId,
    pub(crate) other: SessionId,
}

impl Sessions {
    /// Takes up what two sides that hear each other have to settle between them, once nothing else is on its way.
    pub(crate) fn match_sides(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let pair = self.table.get(id).and_then(|session| Some((session, self.linked(session)?)));
        let Some((here, there)) = pair.filter(|(here, there)| here.is_quiet(&self.legs) && there.is_quiet(&self.legs))
        else {
            return;
        };
        let (Some(ours), Some(theirs)) = (here.agreement(), there.agreement()) else { return };
        if fits(ours, theirs) {
            return;
        }
        let transcodes = self.settings.media.transcoding && can_be_transcoded(ours, theirs);
        let can = |session: &Session, partners| match transcodes {
            true => session.could_come_to(partners),
            false => session.has_shown(partners),
        };
        let (here_can, there_can) = (can(here, theirs), can(there, ours));
        if transcodes && !here_can && !there_can {
            // A side whose first format is only passed on, which the other one has not, is heard once it has another one.
            let sides = [(here, ours, theirs), (there, theirs, ours)];
            let unheard = sides.into_iter().find(|(session, own, other)| session.is_unheard(own, other));
            if let Some((session, ..)) = unheard {
                self.offer_matching(turn, session.id(), None, Attempt::First);
            }
            return;
        }
        // The one that has more; or the one that did not change, unless only the other one is known to have what is needed.
        let (here_has, there_has) = (Codecs::of(&ours.payloads), Codecs::of(&theirs.payloads));
        let is_better = match () {
            () if transcodes && here_can != there_can => here_can,
            () if here_has.contains(there_has) => true,
            () if there_has.contains(here_has) => false,
            () => here_can && !there_can,
        };
        let first = if is_better { id } else { there.id() };
        self.offer_matching(turn, first, None, Attempt::First);
    }

    /// Whether two sessions can hear each other: one of them may have a codec of the other, or the media plane transcodes.
    /// A peer that has made an offer has shown all of its codecs; an answer may have left some out.
    pub(crate) fn could_match(&self, one: SessionId, other: SessionId) -> bool {
        let (Some(one), Some(other)) = (self.table.get(one), self.table.get(other)) else { return false };
        let (Some(first), Some(second)) = (one.agreement(), other.agreement()) else {
            return self.settings.media.transcoding;
        };
        if self.settings.media.transcoding && can_be_transcoded(first, second) {
            return true;
        }
        let may_take = |session: &Session, agreed| session.is_outgoing() || session.has_shown(agreed);
        fits(first, second) || may_take(one, second) || may_take(other, first)
    }

    /// Two calls are to become one whose sides have no codec in common yet: one of them is asked first.
    pub(crate) fn match_before_join(&mut self, turn: &mut Turn<'_>, join: Join) {
        let asked = self.may_be_asked(join.other, join.one)
            && self.offer_matching(turn, join.other, Some(join), Attempt::First);
        if !asked {
            self.match_refused(turn, join.other, Matching { attempt: Attempt::First, join: Some(join) });
        }
    }

    /// Whether the first one of two sessions is asked for a codec of the other one. Where the media plane may transcode, that
    /// is a peer that has shown such a codec, and that can come closer to the other one by it.
    fn may_be_asked(&self, id: SessionId, partner: SessionId) -> bool {
        let theirs = self.table.get(partner).and_then(Session::agreement);
        !self.may_transcode(id, partner)
            || theirs.zip(self.table.get(id)).is_some_and(|(theirs, session)| session.could_come_to(theirs))
    }

    /// Whether the media plane may turn the codec of one session into one of the other.
    fn may_transcode(&self, one: SessionId, other: SessionId) -> bool {
        let agreed = |id| self.table.get(id).and_then(Session::agreement);
        let can_be = agreed(one).zip(agreed(other)).is_none_or(|(one, other)| can_be_transcoded(one, other));
        self.settings.media.transcoding && can_be
    }

    /// Offers a session the codecs of the one that it hears, or is to hear. `false`: something is in the way; what is tried
    /// for two sides that hear each other is tried again after that.
    fn offer_matching(&mut self, turn: &mut Turn<'_>, id: SessionId, join: Option<Join>, attempt: Attempt) -> bool {
        let Some(session) = self.table.get(id) else { return false };
        let partner = match join {
            Some(join) => self.table.get(if join.one == id { join.other } else { join.one }),
            None => self.linked(session),
        };
        let Some(theirs) = partner.and_then(Session::agreement) else { return false };
        let matching = Some(Matching { attempt, join });
        let wish = Wish { terms: Some(Terms::of(theirs)), matching, ..Wish::of(session.hold.wanted()) };
        self.offer(turn, id, wish).is_ok()
    }

    /// The peer has agreed. What it leaves out although it has shown that before, it is not asked for again.
    pub(crate) fn match_accepted(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        matching: Matching,
        agreed: &PayloadMap,
    ) {
        let spoken = self.partner_of(id, matching).and_then(|partner| self.table.get(partner)?.agreement());
        let spoken = spoken.map(|theirs| Codecs::spoken(&theirs.payloads));
        let left_out = spoken.filter(|spoken| !Codecs::of(agreed).meets(*spoken));
        if let (Some(session), Some(left_out)) = (self.table.get_mut(id), left_out) {
            session.sdp.forget_shown_of(left_out);
        }
        if let Some(join) = matching.join {
            self.join_matched(turn, &join);
        }
    }

    /// The peer has refused: the other one is asked, once.
    pub(crate) fn match_refused(&mut self, turn: &mut Turn<'_>, id: SessionId, matching: Matching) {
        let link = self.table.get(id).and_then(|session| session.link());
        let Some(partner) = self.partner_of(id, matching) else { return };
        let transcodes = self.may_transcode(id, partner);
        let theirs = self.table.get(partner).and_then(Session::agreement).map(|agreed| agreed.payloads);
        if let (Some(session), Some(theirs), true) = (self.table.get_mut(id), theirs, transcodes) {
            let own = session.agreement().map(|own| Codecs::of(&own.payloads)).unwrap_or_default();
            // It is not asked for them again, nor to leave out what is only passed on.
            session.sdp.forget_shown_of(Codecs::of(&theirs));
            if !own.meets(Codecs::of(&theirs)) {
                session.sdp.forget_shown_of(own);
            }
        }
        let is_first = matching.attempt == Attempt::First;
        let may_ask = is_first && self.may_be_asked(partner, id);
        if may_ask && self.offer_matching(turn, partner, matching.join, Attempt::Second) {
            return;
        }
        match (matching.join, link.map(|link| link.tie)) {
            (Some(join), _) if transcodes => self.join_matched(turn, &join),
            (Some(join), _) => self.join_refused(turn, &join),
            (None, _) if transcodes => {} // each goes on with the codec that it has
            (None, _) if is_first => {}   // something is in the way, after which this is tried again
            (None, Some(Tie::Bridge(bridge))) => self.take_down(turn, bridge, LeaveReason::Failed),
            (None, Some(Tie::Call)) => self.end(turn, id, EndReason::BadAnswer),
            (None, None) => {}
        }
    }

    /// The session whose codecs another one is offered.
    fn partner_of(&self, id: SessionId, matching: Matching) -> Option<SessionId> {
        match matching.join {
            Some(join) if join.one == id => Some(join.other),
            Some(join) => Some(join.one),
            None => self.table.get(id)?.link().map(|link| link.peer),
        }
    }

    /// Two calls of one peer begin to become one, or have ceased to.
    pub(crate) fn mark_joining(&mut self, join: &Join, begins: bool) {
        for (id, partner) in [(join.by, join.consultation), (join.consultation, join.by)] {
            let Some(session) = self.table.get_mut(id) else { continue };
            match session.transfers.received() {
                Referred::Nothing if begins => session.transfers.set_received(Referred::Joining(partner)),
                Referred::Joining(_) if !begins => session.transfers.set_received(Referred::Nothing),
                _ => {}
            }
        }
    }

    /// What a call of a peer that hands it over is to become, while the other sides settle on a codec.
    pub(crate) fn joining(&mut self, id: SessionId) -> Option<Join> {
        let Referred::Joining(partner) = self.table.get(id)?.transfers.received() else { return None };
        let sides = [self.other_side(id)?, self.other_side(partner)?];
        sides.into_iter().find_map(|side| self.table.get_mut(side)?.negotiation.join())
    }

    /// A peer that hands two calls over leaves one of them before the other sides have settled on a codec, as phones do that
    /// hang up with the 202: these two become one call now, and settle that between them. `false`: nothing is handed over.
    pub(crate) fn leave_to_join(&mut self, turn: &mut Turn<'_>, id: SessionId) -> bool {
        let Some(join) = self.joining(id) else {
            if let Some(Referred::Joining(partner)) = self.table.get(id).map(|session| session.transfers.received()) {
                let gone = Join { by: id, consultation: partner, subscription: None, one: id, other: partner };
                self.mark_joining(&gone, false);
            }
            return false;
        };
        for side in [join.one, join.other] {
            if let Some(session) = self.table.get_mut(side) {
                session.negotiation.forget_join(); // they hear each other already
            }
        }
        self.join_matched(turn, &join);
        true
    }
}

impl Session {
    /// The call is up, and no change of media is on its way on either side.
    fn is_quiet(&self, legs: &Legs) -> bool {
        self.is_answered() && !self.state().is_ending() && self.is_still(legs)
    }

    /// No offer is open, the peer waits for nothing, and the leg stays where it is.
    pub(crate) fn is_still(&self, legs: &Legs) -> bool {
        self.negotiation.is_quiet() && !self.is_moving(legs)
    }

    /// Its peer has offered, or agreed to, a codec of these.
    pub(super) fn has_shown(&self, agreed: &Negotiated) -> bool {
        self.sdp.has_shown(Codecs::of(&agreed.payloads))
    }

    /// Whether what it sends first is a format that can only be passed on, to a side that has not got it, although it has shown
    /// one that can be decoded.
    fn is_unheard(&self, own: &Negotiated, other: &Negotiated) -> bool {
        let spoken = Codecs::spoken(&own.payloads);
        self.sdp.has_shown_decodable() && !spoken.is_decodable() && !Codecs::of(&other.payloads).contains(spoken)
    }

    /// Whether an offer of these codecs may take it closer to them: it has shown one of them, and has agreed to none so far or
    /// has shown the first one.
    fn could_come_to(&self, theirs: &Negotiated) -> bool {
        let has_common =
            self.agreement().is_some_and(|ours| Codecs::of(&ours.payloads).meets(Codecs::of(&theirs.payloads)));
        let may_take_first = || self.sdp.has_shown(Codecs::spoken(&theirs.payloads));
        self.has_shown(theirs) && (!has_common || may_take_first())
    }
}
