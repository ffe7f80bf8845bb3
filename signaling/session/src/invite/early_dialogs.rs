//! Early dialogs of a call that we place: what each branch of its INVITE has agreed on before the answer (RFC 3261 §12.1),
//! and what it changes (RFC 3311).

use crate::invite::invitation::description;
use crate::invite::outgoing::Outgoing;
use crate::{Session, SessionId, Sessions, Turn};
use sdp_core::Negotiated;
use sip_core::{DialogId, Span};

/// Early dialogs of one INVITE that are remembered until the answer.
const EARLY_MAX: usize = 8;

/// What a caller knows of our answer to its offer before the call is up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EarlyAnswer {
    /// Nothing, or a provisional response that may have been lost: only the 2xx counts.
    Open,
    /// A reliable provisional response has it, which the caller has to acknowledge: the 2xx cannot say anything else
    /// (RFC 3262 §5).
    Told,
    /// The caller has acknowledged that answer, and may make offers (RFC 3311 §5.1).
    Acknowledged,
}

/// The early dialog of one branch.
#[derive(Debug)]
pub(crate) struct Early {
    dialog: DialogId,
    /// What its provisional responses answered to our offer.
    agreed: Option<Negotiated>,
    /// It has changed that by an UPDATE.
    is_changed: bool,
}

impl Session {
    /// Whether a branch of its INVITE has said where its early media comes from.
    pub(super) fn has_early_media(&self) -> bool {
        self.outgoing.as_ref().is_some_and(|out| out.early.iter().any(|early| early.agreed.is_some()))
    }
}

impl Sessions {
    /// A branch has sent a provisional response: it is heard from now on. Gives what its answer agrees on, if there is one and
    /// no change of the branch is being carried out.
    pub(crate) fn note_early(
        &mut self,
        id: SessionId,
        dialog: DialogId,
        agreed: Option<Negotiated>,
    ) -> Option<Negotiated> {
        let (is_changing, is_answer) = (self.is_changing_early(id, dialog), agreed.is_some());
        let out = self.table.get_mut(id)?.outgoing.as_mut()?;
        let known = out.early.iter().position(|early| early.dialog == dialog);
        let mut early = match known {
            Some(known) => out.early.remove(known),
            None if out.early.len() >= EARLY_MAX => return agreed,
            None => Early { dialog, agreed: None, is_changed: false },
        };
        // Once there is an answer, a copy of it says nothing new (RFC 3261 §13.2.1).
        if !early.is_changed {
            early.agreed = agreed.or(early.agreed);
        }
        let heard = early.agreed.clone().filter(|_| is_answer && !is_changing);
        out.early.push(early);
        self.by_early.insert(dialog, id);
        heard
    }

    /// The branch that is heard has changed its media by an UPDATE, which the media plane is carrying out.
    pub(crate) fn is_changing_early(&self, id: SessionId, dialog: DialogId) -> bool {
        let Some(session) = self.table.get(id) else { return false };
        let last = session.outgoing.as_ref().and_then(|out| out.early.last());
        let is_applying = session.negotiation.applying().is_some_and(|applying| applying.answer.is_some());
        is_applying && last.is_some_and(|early| early.dialog == dialog)
    }

    /// The session of an early dialog.
    pub(crate) fn find_early(&self, dialog: DialogId) -> Option<SessionId> {
        self.by_early.get(&dialog).copied()
    }

    /// The session of a dialog, early or confirmed.
    pub(crate) fn find_any(&self, dialog: DialogId) -> Option<SessionId> {
        self.find(dialog).or_else(|| self.find_early(dialog))
    }

    /// The dialog of a session that requests can be sent in: of several early ones the one that is heard.
    pub(crate) fn dialog_of(&self, id: SessionId) -> Option<DialogId> {
        let session = self.table.get(id).filter(|session| !session.state().is_ending())?;
        session.dialog().or_else(|| session.outgoing.as_ref()?.early.last().map(|early| early.dialog))
    }

    /// One branch has ended its early dialog; the call goes on with the others, or `Failed` follows.
    pub(crate) fn early_ended(&mut self, turn: &mut Turn<'_>, dialog: DialogId) {
        let Some(id) = self.by_early.remove(&dialog) else { return };
        if let Some(out) = self.table.get_mut(id).and_then(|session| session.outgoing.as_mut()) {
            out.early.retain(|early| early.dialog != dialog);
        }
        self.drop_relayed_in(turn, id, |other| other == dialog);
    }

    /// A caller has acknowledged a provisional response of ours, which had our answer if we had one.
    pub(crate) fn acknowledged_early(&mut self, id: SessionId) {
        let has_answer = |session: &&mut Session| session.sdp.agreed().is_some() && session.leg().is_some();
        let session = self.table.get_mut(id).filter(has_answer);
        if let Some(incoming) = session.and_then(|session| session.incoming.as_mut()) {
            incoming.early_answer = EarlyAnswer::Acknowledged;
        }
    }

    /// Whether the offer of the INVITE has its answer, and further ones may be made before the call is up (RFC 3311 §5.2).
    pub(crate) fn has_agreed_early(&self, id: SessionId, dialog: DialogId) -> bool {
        let Some(session) = self.table.get(id) else { return false };
        let branches = session.outgoing.iter().flat_map(|out| &out.early);
        let incoming = session.incoming.as_ref();
        // Once the call was answered the offer has its answer.
        session.is_answered() && session.sdp.agreed().is_some()
            || incoming.is_some_and(|incoming| incoming.early_answer == EarlyAnswer::Acknowledged)
            || branches.filter(|early| early.dialog == dialog).any(|early| early.agreed.is_some())
    }

    /// A caller, or the branch that is heard, has changed its media before the call was answered.
    pub(crate) fn changed_early(&mut self, id: SessionId, agreed: Negotiated, answer: &str) {
        let Some(session) = self.table.get_mut(id) else { return };
        if let Some(description) = session.incoming.as_mut().and_then(|incoming| incoming.description.as_mut()) {
            *description = answer.into(); // the 2xx repeats the last word
        }
        if let Some(early) = session.outgoing.as_mut().and_then(|out| out.early.last_mut()) {
            (early.agreed, early.is_changed) = (Some(agreed), true);
        }
    }

    /// The INVITE has its final response: its early dialogs are forgotten.
    pub(crate) fn forget_early(&mut self, id: SessionId) {
        let Some(out) = self.table.get_mut(id).and_then(|session| session.outgoing.as_mut()) else { return };
        for early in out.early.drain(..) {
            self.by_early.remove(&early.dialog);
        }
    }

    /// What the 2xx to an INVITE agrees on; `None`: what it says itself. An answer may have come reliably before, and
    /// what was changed since counts more than a copy of it.
    pub(crate) fn agreed_before(
        &self,
        turn: &Turn<'_>,
        id: SessionId,
        dialog: DialogId,
        answer: Span,
    ) -> Option<Negotiated> {
        let session = self.table.get(id)?;
        if self.is_changing_early(id, dialog) {
            return session.negotiation.applying().map(|applying| applying.agreed.clone());
        }
        let early = session.outgoing.as_ref()?.early.iter().find(|early| early.dialog == dialog)?;
        let has_description = || {
            let answer = turn.sip.message(answer)?;
            description(&answer).ok().flatten().map(drop)
        };
        early.agreed.clone().filter(|_| early.is_changed || has_description().is_none())
    }
}

impl Outgoing {
    pub(crate) fn early_count(&self) -> usize {
        self.early.len()
    }
}
