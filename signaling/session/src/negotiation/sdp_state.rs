//! What the session descriptions of a call have settled so far. It outlives each exchange.

use super::codec_matching::Codecs;
use contract::PayloadMap;
use sdp_core::{Negotiated, Origin, OtherMedia};

/// The settled part of the offers and answers of a session.
#[derive(Debug)]
pub(crate) struct SdpState {
    /// What was agreed on last.
    agreed: Option<Box<Negotiated>>,
    /// Streams of the peer's descriptions other than the one that we take.
    others: OtherMedia,
    /// The session of our descriptions, with the version of the last one.
    origin: Origin,
    /// Codecs that the peer has offered or agreed to.
    shown: Codecs,
    /// Offers and answers with the peer, wrapping.
    exchange_count: u8,
}

impl SdpState {
    /// Nothing is agreed on.
    pub(crate) fn new(origin: Origin) -> Self {
        Self { agreed: None, others: OtherMedia::default(), origin, shown: Codecs::default(), exchange_count: 0 }
    }

    pub(crate) fn agreed(&self) -> Option<&Negotiated> {
        self.agreed.as_deref()
    }

    pub(crate) fn set_agreed(&mut self, agreed: Option<Negotiated>) {
        self.agreed = agreed.map(Box::new);
    }

    /// The outcome of an exchange.
    pub(crate) fn settle(&mut self, agreed: Negotiated, others: OtherMedia) {
        (self.agreed, self.others) = (Some(Box::new(agreed)), others);
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.agreed().map_or(0, |agreed| size_of_val(agreed) + agreed.relayed.bytes())
    }

    pub(crate) fn others(&self) -> &OtherMedia {
        &self.others
    }

    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    /// For a description that is written now.
    pub(crate) fn origin_mut(&mut self) -> &mut Origin {
        &mut self.origin
    }

    /// A description with this origin was sent, or may have been.
    pub(crate) fn set_origin(&mut self, origin: Origin) {
        self.origin = origin;
    }

    /// The peer has offered these, or agreed to them.
    pub(crate) fn note_shown(&mut self, payloads: &PayloadMap) {
        self.shown.add(payloads);
    }

    /// What was shown was shown by others, such as branches of an INVITE that were not the one to answer.
    pub(crate) fn forget_shown(&mut self) {
        self.shown = Codecs::default();
    }

    /// The peer has refused an offer of these.
    pub(crate) fn forget_shown_of(&mut self, codecs: Codecs) {
        self.shown.remove(codecs);
    }

    /// The peer has offered, or agreed to, a codec of these.
    pub(crate) fn has_shown(&self, codecs: Codecs) -> bool {
        self.shown.meets(codecs)
    }

    /// The peer has offered, or agreed to, a codec that the media plane understands.
    pub(crate) fn has_shown_decodable(&self) -> bool {
        self.shown.is_decodable()
    }

    /// An offer has been answered.
    pub(crate) fn count_exchange(&mut self) {
        self.exchange_count = self.exchange_count.wrapping_add(1);
    }

    pub(crate) fn exchange_count(&self) -> u8 {
        self.exchange_count
    }
}
