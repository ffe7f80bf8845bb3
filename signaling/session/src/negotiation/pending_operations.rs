//! What the user asks of a call while something else is on its way there: it waits, in order, and is carried out as soon
//! as nothing is.

use super::codec_matching::Matching;
use super::descriptions::RemoteMedia;
use super::local_offer::Wish;
use crate::timers::timer::Timer;
use crate::{
    OPERATION_WAIT_LIMIT, Operation, PlannedSource, Session, SessionError, SessionEvent, SessionId, Sessions, Turn,
};
use clock::Instant;
use contract::Codec;
use std::collections::VecDeque;

/// Most operations of one call that wait.
pub const PENDING_OPERATIONS_MAX: usize = 8;

/// Whether an operation has been carried out already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Carried {
    /// It has.
    Now,
    /// Something else is on its way: [`SessionEvent::Done`], [`SessionEvent::Failed`] or [`SessionEvent::Declined`] follows.
    Later,
}

/// An operation that waits.
#[derive(Debug)]
pub(crate) enum PendingOperation {
    /// With what the peer hears meanwhile, if anything.
    Hold(Option<PlannedSource>),
    Resume,
    Codec(Codec),
    Remote(RemoteMedia),
    /// An offer of ours that gave way to one of the peer's after a 491.
    Offer(Wish),
}

impl PendingOperation {
    fn operation(&self) -> Operation {
        match self {
            Self::Hold(_) => Operation::Hold,
            Self::Resume => Operation::Resume,
            Self::Codec(_) | Self::Remote(_) => Operation::ChangeMedia,
            Self::Offer(wish) => wish.operation.unwrap_or(Operation::ChangeMedia),
        }
    }

    fn matching_mut(&mut self) -> Option<&mut Matching> {
        if let Self::Offer(wish) = self { wish.matching.as_mut() } else { None }
    }
}

/// The operations of one call that wait, the oldest first, each with the time since when. Empty ones take no memory.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "nearly every call has none, and a session stays small")]
pub(crate) struct PendingOperations(Option<Box<VecDeque<(Instant, PendingOperation)>>>);

impl PendingOperations {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|waiting| waiting.is_empty())
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |waiting| waiting.capacity() * size_of::<(Instant, PendingOperation)>())
    }

    /// `false`: too many wait.
    fn push(&mut self, now: Instant, operation: PendingOperation) -> bool {
        let waiting = self.0.get_or_insert_default();
        let has_room = waiting.len() < PENDING_OPERATIONS_MAX;
        if has_room {
            waiting.push_back((now, operation));
        }
        has_room
    }

    /// Where an offer has given way, or an operation could not begin yet: it is the next one.
    pub(crate) fn put_first(&mut self, operation: PendingOperation, since: Instant) {
        self.0.get_or_insert_default().push_front((since, operation));
    }

    fn take_first(&mut self) -> Option<(Instant, PendingOperation)> {
        let first = self.0.as_mut()?.pop_front();
        if self.is_empty() {
            self.0 = None;
        }
        first
    }

    /// Since when the first one waits.
    fn oldest(&self) -> Option<Instant> {
        self.0.as_ref()?.front().map(|(since, _)| *since)
    }

    /// What the offers among them are to bring about between two sides.
    pub(crate) fn matchings(&mut self) -> impl Iterator<Item = &mut Matching> {
        self.0.iter_mut().flat_map(|waiting| waiting.iter_mut()).filter_map(|(_, operation)| operation.matching_mut())
    }
}

impl Sessions {
    /// Carries an operation out, or has it wait.
    pub(crate) fn operate(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        operation: PendingOperation,
    ) -> Result<Carried, SessionError> {
        let session = self.table.get(id).ok_or(SessionError::SessionNotFound(id))?;
        if session.negotiation.operations().is_empty() {
            match self.carry_out(turn, id, &operation) {
                Err(SessionError::Busy(_)) => {}
                done => return done.map(|()| Carried::Now),
            }
        }
        let session = self.table.get_mut(id).ok_or(SessionError::SessionNotFound(id))?;
        if !session.negotiation.operations_mut().push(turn.now, operation) {
            let what = "operations of one call that wait";
            return Err(SessionError::ResourceExhausted { what, limit: PENDING_OPERATIONS_MAX });
        }
        self.limit_operations(id);
        Ok(Carried::Later)
    }

    /// Begins it. `Busy`: not yet.
    fn carry_out(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        operation: &PendingOperation,
    ) -> Result<(), SessionError> {
        match operation {
            PendingOperation::Hold(music) => self.offer_hold(turn, id, *music),
            PendingOperation::Resume => self.offer_resume(turn, id),
            PendingOperation::Codec(codec) => self.offer_codec(turn, id, *codec),
            PendingOperation::Remote(remote) => self.redirect_media(turn, id, remote),
            PendingOperation::Offer(wish) => self.offer(turn, id, wish.clone()),
        }
    }

    /// Nothing may be on its way any more: the next operation begins.
    pub(crate) fn next_operation(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        loop {
            let may_begin = |session: &&mut Session| !session.state().is_ending() && session.is_still(&self.legs);
            let Some(session) = self.table.get_mut(id).filter(may_begin) else { return };
            let Some((since, operation)) = session.negotiation.operations_mut().take_first() else { return };
            match (self.carry_out(turn, id, &operation), &operation) {
                (Err(SessionError::Busy(_)), _) => {
                    if let Some(session) = self.table.get_mut(id) {
                        session.negotiation.operations_mut().put_first(operation, since);
                    }
                    return;
                }
                (Ok(()), PendingOperation::Remote(_)) => {
                    turn.events.push(SessionEvent::Done { id, operation: Operation::ChangeMedia });
                }
                (Ok(()), _) => {} // the answer to the offer tells
                (Err(error), _) => self.decline(turn, id, operation, error),
            }
            self.limit_operations(id);
        }
    }

    /// It has waited long enough.
    pub(crate) fn operations_overdue(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        loop {
            let Some(session) = self.table.get_mut(id) else { return };
            let operations = session.negotiation.operations_mut();
            if operations.oldest().is_none_or(|since| since + OPERATION_WAIT_LIMIT > turn.now) {
                return self.limit_operations(id);
            }
            let Some((_, operation)) = operations.take_first() else { return };
            let busy = SessionError::Busy(operation.operation());
            self.decline(turn, id, operation, busy);
        }
    }

    fn decline(&mut self, turn: &mut Turn<'_>, id: SessionId, operation: PendingOperation, error: SessionError) {
        if let PendingOperation::Offer(Wish { operation: None, matching: Some(matching), .. }) = operation {
            return self.match_refused(turn, id, matching);
        }
        let operation = operation.operation();
        turn.events.push(SessionEvent::Declined { id, operation, error: Box::new(error) });
    }

    /// Sets the time by which the oldest operation that waits has to have begun.
    pub(crate) fn limit_operations(&mut self, id: SessionId) {
        let Some(session) = self.table.get(id) else { return };
        let oldest = session.negotiation.operations().oldest().map(|since| since + OPERATION_WAIT_LIMIT);
        self.wake(id, Timer::Operation, oldest.into_iter().chain(session.dtmf.deadline()).min());
    }
}
