//! What an incoming call needs until its INVITE has a final answer.

use super::early_dialogs::EarlyAnswer;
use crate::Session;
use crate::crossing::Crossing;
use crate::media::ringback::Ringback;
use clock::Instant;
use sdp_core::Offer;
use sip_core::{DialogId, InviteId};

/// Header fields by name.
pub(crate) type Headers = Box<[(Box<str>, Box<str>)]>;

/// How far the decision about an incoming call is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// It waits for a decision, or has gone on to another side that decides.
    Deciding,
    /// It waits for a decision, and has a port already.
    Reserved,
    /// It is heard before it is answered.
    Early,
    /// It is to be answered as soon as its leg runs and its provisional responses are confirmed.
    Answering,
}

/// The INVITE of a call that comes in.
#[derive(Debug)]
pub(crate) struct IncomingInvite {
    invite: InviteId,
    pub(super) stage: Stage,
    /// What the caller knows of our answer before the call is up.
    pub(super) early_answer: EarlyAnswer,
    /// Hops that the INVITE might still take.
    pub(super) hops_left: u8,
    /// What the caller offered, until the call has been decided on.
    pub(super) offer: Option<Offer>,
    /// That offer as it came, for a call that goes on to another side.
    pub(super) raw_offer: Box<[u8]>,
    /// What the INVITE takes along if the call goes on, until that is decided.
    pub(super) crossing: Option<Box<Crossing>>,
    /// What the caller hears while the other side rings.
    pub(crate) ringback: Ringback,
    /// Our description for the 2xx.
    pub(super) description: Option<Box<str>>,
    /// Header fields for it.
    pub(super) answer_headers: Headers,
    /// The dialog that this call replaces (RFC 3891), ended once this call is up.
    replaces: Option<DialogId>,
}

impl IncomingInvite {
    pub(super) fn new(
        invite: InviteId,
        hops_left: u8,
        offer: Option<Offer>,
        raw_offer: Box<[u8]>,
        replaces: Option<DialogId>,
    ) -> Self {
        Self {
            invite,
            stage: Stage::Deciding,
            early_answer: EarlyAnswer::Open,
            hops_left,
            ringback: Ringback::default(),
            offer,
            raw_offer,
            crossing: None,
            description: None,
            answer_headers: Box::default(),
            replaces,
        }
    }

    pub(crate) fn invite(&self) -> InviteId {
        self.invite
    }

    pub(crate) fn replaces(&self) -> Option<DialogId> {
        self.replaces
    }

    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    /// A port was taken before the decision.
    pub(crate) fn reserve(&mut self) {
        self.stage = Stage::Reserved;
    }

    pub(crate) fn offer(&self) -> Option<&Offer> {
        self.offer.as_ref()
    }

    /// Another offer counts from now on.
    pub(crate) fn set_offer(&mut self, offer: Offer) {
        self.offer = Some(offer);
    }

    pub(crate) fn raw_offer(&self) -> &[u8] {
        &self.raw_offer
    }

    /// There is a session description for the caller, sent or about to be.
    pub(crate) fn has_description(&self) -> bool {
        self.description.is_some()
    }

    pub(crate) fn keep_crossing(&mut self, crossing: Crossing) {
        self.crossing = Some(Box::new(crossing));
    }

    /// When the caller no longer waits (RFC 3261 §13.3.1).
    pub(crate) fn expires_at(&self) -> Option<Instant> {
        self.crossing.as_ref()?.expires_at()
    }

    /// Bytes on the heap, its own included.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.raw_offer.len() + self.description.as_ref().map_or(0, |text| text.len())
    }
}

impl Session {
    /// The session description for the answer to the caller.
    pub(super) fn describe(&mut self, description: impl Into<Box<str>>) {
        if let Some(incoming) = &mut self.incoming {
            incoming.description = Some(description.into());
        }
    }
}
