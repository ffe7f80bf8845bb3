//! What is on its way in a dialog: requests of either side that wait for their answers, and the ACK and PRACK of our INVITE.

use crate::content::KeptContent;
use crate::endpoint::requests::Kind;
use crate::event::CallId;
use crate::table::slab::Handle;
use clock::Instant;

/// Requests that are open.
#[derive(Default)]
pub(crate) struct InFlight {
    /// The INVITE of the peer: unanswered, or answered 2xx and not acknowledged.
    pub(crate) server_invite: Option<Handle>,
    /// Our INVITE.
    pub(crate) client_invite: Option<Handle>,
    /// The call of ours that made this dialog, until it is answered.
    pub(crate) call: Option<CallId>,
    /// The user's BYE, until the ACK for our 2xx allows it (RFC 3261 §15).
    pub(crate) late_bye: Option<Box<KeptContent>>,
    /// An UPDATE of the peer with an offer.
    pub(crate) server_update: bool,
    /// An UPDATE of ours with an offer.
    pub(crate) client_update: bool,
    /// Our re-INVITE is one of another peer, which waits by itself after a 491.
    pub(crate) passes_glare: bool,
}

impl InFlight {
    /// A request of ours of this kind is open no longer.
    pub(crate) fn close(&mut self, kind: Kind, has_offer: bool) {
        match kind {
            Kind::Reinvite => self.client_invite = None,
            Kind::Update if has_offer => self.client_update = false,
            _ => {}
        }
    }
}

/// What acknowledges the responses to our last INVITE: the ACK of its 2xx, and PRACKs (RFC 3262).
pub(crate) struct Ack {
    /// The ACK, to be sent again with each copy of the 2xx.
    pub(crate) request: Option<Box<[u8]>>,
    /// When the copies of the 2xx are over.
    pub(crate) until: Instant,
    /// The credentials of the INVITE: its ACK carries them too (RFC 3261 §22.1).
    pub(crate) credentials: Option<Box<[u8]>>,
    /// The CSeq number of the INVITE; a PRACK names it as well.
    pub(crate) invite_cseq: u32,
    /// The user owes the ACK with the answer.
    pub(crate) is_owed: bool,
    /// The user owes the PRACK with the answer.
    pub(crate) owes_prack: bool,
    /// Our PRACK carried the answer: the 2xx to the INVITE has no offer any more.
    pub(crate) answered_by_prack: bool,
}

impl Default for Ack {
    fn default() -> Self {
        Self {
            request: None,
            until: Instant::FAR_FUTURE,
            credentials: None,
            invite_cseq: 0,
            is_owed: false,
            owes_prack: false,
            answered_by_prack: false,
        }
    }
}

impl Ack {
    pub(crate) fn heap_bytes(&self) -> usize {
        let bytes_of = |block: &Option<Box<[u8]>>| block.as_ref().map_or(0, |block| block.len());
        bytes_of(&self.request) + bytes_of(&self.credentials)
    }
}
