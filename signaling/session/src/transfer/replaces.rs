//! An INVITE with `Replaces`: the call takes the place of another one (RFC 3891).

use crate::negotiation::capabilities::{Reach, Terms};
use crate::transfer::received_refer::PARTY;
use crate::{Plan, PlannedSource, Session, SessionId, Sessions, Turn};
use sdp_core::Offer;
use sip_core::Span;

impl Sessions {
    /// A call that takes the place of a connected one (RFC 3891) is answered without asking the user: its caller knows the
    /// tags of that dialog, so it is one of its two ends or was told them by one.
    pub(crate) fn takes_over(&mut self, turn: &mut Turn<'_>, id: SessionId, message: Span) -> bool {
        let old = self
            .table
            .get(id)
            .and_then(|session| session.incoming.as_ref()?.replaces())
            .and_then(|dialog| self.find(dialog));
        let Some(peer) = old.and_then(|old| self.table.get(old)).and_then(|old| old.link()).map(|link| link.peer)
        else {
            return false;
        };
        if self.is_of_another_party(turn, old, message) {
            self.refuse(turn, id, 403, "Not A Call Of The Referrer");
            return true;
        }
        let incoming = self.table.get(id).and_then(|session| session.incoming.as_ref());
        let raw: Box<[u8]> = incoming.map(|incoming| incoming.raw_offer().into()).unwrap_or_default();
        if let Some(session) = self.table.get_mut(id) {
            session.transfers.set_will_hear(Some(peer));
        }
        // The codecs that the session to be heard has as well; if there are none, that session is asked to change later.
        let Some(session) = self.table.get(id) else { return true };
        let terms = self.table.get(peer).and_then(|peer| peer.agreement()).map(Terms::of);
        let all = self.media_of(session, Reach::Transcoded);
        let able = terms.map(|terms| self.able_by(session, &terms, Reach::Relayed));
        let read = Offer::read(&raw, &able.as_ref().unwrap_or(&all).settings());
        match read.or_else(|_| Offer::read(&raw, &all.settings())) {
            _ if raw.is_empty() => self.start(turn, id, Plan::of(PlannedSource::Silence)),
            Ok(offer) => {
                if let Some(incoming) = self.table.get_mut(id).and_then(|session| session.incoming.as_mut()) {
                    incoming.set_offer(offer);
                }
                self.start(turn, id, Plan::of(PlannedSource::Silence));
            }
            Err(error) => self.refuse(turn, id, error.status(), ""),
        }
        true
    }

    /// The call was referred by a peer that is not in the call to be replaced.
    fn is_of_another_party(&self, turn: &Turn<'_>, old: Option<SessionId>, message: Span) -> bool {
        let Some(message) = turn.sip.message(message) else { return true };
        // Only in an INVITE of the switch to itself the header field counts.
        let named = message.headers().find(|header| header.raw_name == PARTY.as_bytes());
        let Some(party) = named.filter(|_| turn.path.is_ours).map(|header| header.value) else { return false };
        let is_with = |old: &Session| std::str::from_utf8(party).is_ok_and(|party| old.is_with(party));
        !old.and_then(|old| self.table.get(old)).is_some_and(is_with)
    }
}
