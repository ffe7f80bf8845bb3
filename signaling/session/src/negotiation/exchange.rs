//! Where offer and answer with one peer stand (RFC 3264, RFC 6337): at most one offer is open at a time, and what either
//! side wants meanwhile waits beside it.

use super::codec_matching::{Join, Matching};
use super::local_offer::LocalOffer;
use super::pending_change::PendingOffer;
use super::pending_operations::PendingOperations;
use crate::Operation;
use contract::Direction;
use media_control::CommandNumber;
use sdp_core::{Negotiated, OtherMedia};
use sip_core::{ClientRequestId, InviteId, RequestId};

/// The offer that is open.
#[derive(Debug, Default)]
pub(crate) enum Exchange {
    /// No offer is open.
    #[default]
    Idle,
    /// Our re-INVITE has no answer yet.
    LocalOffer(Box<LocalOffer>),
    /// The peer's offer is with the other side of the call; our answer depends on its answer.
    Crossing(Box<CrossingOffer>),
    /// What was agreed on is carried out by the media plane. Where the peer made the offer, our answer leaves afterwards.
    Applying(Box<Applying>),
    /// Our 2xx has, or will have, an offer; the answer comes with the ACK.
    AwaitingAck,
}

/// The peer's request that has an offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PeerRequest {
    Reinvite(InviteId),
    Update(RequestId),
}

impl PeerRequest {
    pub(crate) fn is_update(self) -> bool {
        matches!(self, Self::Update(_))
    }
}

/// A peer's offer that the other side of the call has to answer first.
#[derive(Debug)]
pub(crate) struct CrossingOffer {
    pub(crate) request: PeerRequest,
    /// The session description as it came.
    pub(crate) offer: Box<[u8]>,
}

/// What was agreed on, while the media plane carries it out.
#[derive(Debug)]
pub(crate) struct Applying {
    /// The peer's offer that is answered afterwards; none where the peer has answered ours.
    pub(crate) answer: Option<Answer>,
    pub(crate) agreed: Negotiated,
    pub(crate) others: OtherMedia,
    /// The user's operation that this carries out.
    pub(crate) operation: Option<Operation>,
    /// The command whose answer says that it is carried out.
    pub(crate) carried_by: Option<CommandNumber>,
}

/// Our answer to a peer's offer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) request: PeerRequest,
    pub(crate) description: String,
}

/// The open offer of a session, and what waits for its end.
#[derive(Debug, Default)]
pub(crate) struct Negotiation {
    exchange: Exchange,
    /// What the peer asked for meanwhile.
    pending: Option<Box<PendingOffer>>,
    /// What the user asked for meanwhile.
    operations: PendingOperations,
    /// The direction that is to be offered again, because the peer on the other side of the call no longer wants what was
    /// agreed on for it.
    turn_back: Option<Direction>,
}

impl Negotiation {
    /// No offer is open, and the peer waits for nothing.
    pub(crate) fn is_quiet(&self) -> bool {
        matches!(self.exchange, Exchange::Idle) && self.pending.is_none()
    }

    /// No offer is open. The peer may wait for something that is not over yet.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.exchange, Exchange::Idle)
    }

    /// The peer's offer can be taken up. One of ours that the peer has heard of is looked after by the endpoint, which
    /// refuses the peer's then; so ours can only be one that waits after a 491.
    pub(crate) fn may_answer(&self) -> bool {
        matches!(self.exchange, Exchange::Idle | Exchange::LocalOffer(_))
    }

    /// The peer's offer is with the other side of the call, or something agreed on is being carried out.
    #[cfg(test)]
    pub(crate) fn has_change(&self) -> bool {
        matches!(self.exchange, Exchange::Crossing(_) | Exchange::Applying(_))
    }

    /// The peer's request that has no answer yet, apart from one that waits.
    pub(crate) fn request(&self) -> Option<PeerRequest> {
        match &self.exchange {
            Exchange::Crossing(crossing) => Some(crossing.request),
            Exchange::Applying(applying) => applying.answer.as_ref().map(|answer| answer.request),
            Exchange::Idle | Exchange::LocalOffer(_) | Exchange::AwaitingAck => None,
        }
    }

    /// A request of the peer's for other media has not been answered.
    pub(crate) fn is_asked(&self) -> bool {
        self.pending.is_some() || self.request().is_some()
    }

    /// A re-INVITE may wait for the answer to an UPDATE of the same peer: a phone that settles on one codec of our answer
    /// by UPDATE does so by itself, and its user presses Resume meanwhile.
    pub(crate) fn may_wait(&self, request: PeerRequest) -> bool {
        !request.is_update() && self.pending.is_none() && self.request().is_some_and(PeerRequest::is_update)
    }

    /// What the peer asks for waits for the other side of the call.
    pub(crate) fn waits_for_other_side(&self) -> bool {
        self.pending.is_some() || matches!(self.exchange, Exchange::Crossing(_))
    }

    /// What the media plane is carrying out.
    pub(crate) fn applying(&self) -> Option<&Applying> {
        if let Exchange::Applying(applying) = &self.exchange { Some(applying) } else { None }
    }

    /// What the peer has answered to our offer, while the media plane carries it out.
    pub(crate) fn answered(&self) -> Option<&Negotiated> {
        self.applying().filter(|applying| applying.answer.is_none()).map(|applying| &applying.agreed)
    }

    pub(crate) fn local_offer(&self) -> Option<&LocalOffer> {
        if let Exchange::LocalOffer(offer) = &self.exchange { Some(offer) } else { None }
    }

    /// Two calls that become one once this session has agreed to a codec.
    pub(crate) fn join(&mut self) -> Option<Join> {
        self.matchings().find_map(|matching| matching.join())
    }

    /// The two calls became one before that.
    pub(crate) fn forget_join(&mut self) {
        self.matchings().for_each(Matching::forget_join);
    }

    fn matchings(&mut self) -> impl Iterator<Item = &mut Matching> {
        let open = match &mut self.exchange {
            Exchange::LocalOffer(offer) => offer.wish.matching.as_mut(),
            _ => None,
        };
        open.into_iter().chain(self.operations.matchings())
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        let pending = self.pending.as_ref().map_or(0, |pending| size_of_val(&**pending) + pending.bytes());
        pending
            + self.operations.bytes()
            + match &self.exchange {
                Exchange::Idle | Exchange::AwaitingAck => 0,
                Exchange::LocalOffer(offer) => size_of_val(&**offer),
                Exchange::Crossing(crossing) => size_of_val(&**crossing) + crossing.offer.len(),
                Exchange::Applying(applying) => {
                    let text = applying.answer.as_ref().map_or(0, |answer| answer.description.len());
                    size_of_val(&**applying) + text
                }
            }
    }
}

/// Steps from one state to the next.
impl Negotiation {
    /// Our re-INVITE was sent; it offers all that was wanted before.
    pub(crate) fn offer(&mut self, offer: LocalOffer) {
        assert!(self.is_quiet(), "an offer while {:?}", self.exchange);
        (self.exchange, self.turn_back) = (Exchange::LocalOffer(Box::new(offer)), None);
    }

    /// Our re-INVITE has its final response.
    pub(crate) fn take_local_offer(&mut self, request: ClientRequestId) -> Option<LocalOffer> {
        match std::mem::take(&mut self.exchange) {
            Exchange::LocalOffer(offer) if offer.request == request => Some(*offer),
            other => {
                self.exchange = other;
                None
            }
        }
    }

    /// Our re-INVITE counts no more: the peer's offer came first, or the call ends.
    pub(crate) fn drop_local_offer(&mut self) -> Option<LocalOffer> {
        let request = self.local_offer()?.request;
        self.take_local_offer(request)
    }

    /// The peer's offer goes to the other side of the call.
    pub(crate) fn cross(&mut self, request: PeerRequest, offer: &[u8]) {
        self.exchange = Exchange::Crossing(Box::new(CrossingOffer { request, offer: offer.into() }));
    }

    /// The other side of the call has answered, or cannot any more.
    pub(crate) fn take_crossing(&mut self) -> Option<CrossingOffer> {
        match std::mem::take(&mut self.exchange) {
            Exchange::Crossing(crossing) => Some(*crossing),
            other => {
                self.exchange = other;
                None
            }
        }
    }

    /// The media plane is to carry something out. Gives the request that gets no answer because of that: an answer to our
    /// INVITE from one branch overtakes the UPDATE of another one.
    pub(crate) fn apply(&mut self, mut applying: Applying) -> Option<PeerRequest> {
        let earlier = std::mem::take(&mut self.exchange);
        let overtaken = match earlier {
            Exchange::Applying(earlier) => {
                applying.operation = applying.operation.or(earlier.operation);
                earlier.answer.map(|answer| answer.request)
            }
            Exchange::Crossing(earlier) => Some(earlier.request),
            Exchange::Idle | Exchange::LocalOffer(_) | Exchange::AwaitingAck => None,
        };
        self.exchange = Exchange::Applying(Box::new(applying));
        overtaken
    }

    /// The media plane carries it out with this command.
    pub(crate) fn carry_by(&mut self, number: CommandNumber) {
        if let Exchange::Applying(applying) = &mut self.exchange {
            applying.carried_by = Some(number);
        }
    }

    /// The media plane does what it was told by this command. Whether all that was agreed on is carried out by that.
    pub(crate) fn is_applied_by(&self, number: CommandNumber) -> bool {
        self.applying().and_then(|applying| applying.carried_by).is_some_and(|carried_by| carried_by <= number)
    }

    /// Whether this command is the one that carries out what was agreed on.
    pub(crate) fn waits_for(&self, number: CommandNumber) -> bool {
        self.applying().is_some_and(|applying| applying.carried_by == Some(number))
    }

    /// It is carried out, refused or no longer wanted.
    pub(crate) fn take_applying(&mut self) -> Option<Applying> {
        match std::mem::take(&mut self.exchange) {
            Exchange::Applying(applying) => Some(*applying),
            other => {
                self.exchange = other;
                None
            }
        }
    }

    /// Our 2xx has an offer.
    pub(crate) fn await_ack(&mut self) {
        self.exchange = Exchange::AwaitingAck;
    }

    /// The ACK is there, or a later request shows that it is. Whether it has to have an answer.
    pub(crate) fn take_awaited_ack(&mut self) -> bool {
        let is_awaited = matches!(self.exchange, Exchange::AwaitingAck);
        if is_awaited {
            self.exchange = Exchange::Idle;
        }
        is_awaited
    }

    /// Forgets the peer's request that has no answer yet, if it is the right one. Gives it.
    pub(crate) fn take_request_if(&mut self, is_it: impl Fn(PeerRequest) -> bool) -> Option<PeerRequest> {
        let request = self.request().filter(|request| is_it(*request))?;
        self.exchange = Exchange::Idle;
        Some(request)
    }
}

/// What waits.
impl Negotiation {
    pub(crate) fn has_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// The peer's request waits. There is one at most: the endpoint refuses a second one of a kind while the first is
    /// unanswered (RFC 3261 §14.2).
    pub(crate) fn postpone(&mut self, pending: PendingOffer) {
        self.pending = Some(Box::new(pending));
    }

    pub(crate) fn take_pending(&mut self) -> Option<PendingOffer> {
        self.pending.take().map(|pending| *pending)
    }

    pub(crate) fn take_pending_if(&mut self, is_it: impl Fn(PeerRequest) -> bool) -> Option<PendingOffer> {
        self.pending.take_if(|pending| is_it(pending.request)).map(|pending| *pending)
    }

    pub(crate) fn operations(&self) -> &PendingOperations {
        &self.operations
    }

    pub(crate) fn operations_mut(&mut self) -> &mut PendingOperations {
        &mut self.operations
    }

    /// What was agreed on for the other side of the call is to be taken back.
    pub(crate) fn turn_back_to(&mut self, wanted: Option<Direction>) {
        self.turn_back = wanted;
    }

    pub(crate) fn take_turn_back(&mut self) -> Option<Direction> {
        self.turn_back.take()
    }
}
