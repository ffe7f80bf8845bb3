//! Hold, by either side (RFC 3264 §8.4).

use crate::negotiation::local_offer::Wish;
use crate::negotiation::pending_operations::PendingOperation;
use crate::{Operation, PlannedSource, SessionError, SessionId, Sessions, Turn};
use contract::Direction;

/// The hold of either side.
#[derive(Debug)]
pub(crate) struct Hold {
    /// We hold the peer, which hears this meanwhile.
    ours: Option<Box<PlannedSource>>,
    /// Which ways we want media to flow: less than both while we, or the other side of the call, hold the peer.
    wanted: Direction,
    /// What the user was told: we hold the peer, the peer holds us.
    told: (bool, bool),
}

impl Default for Hold {
    fn default() -> Self {
        Self { ours: None, wanted: Direction::Both, told: (false, false) }
    }
}

impl Hold {
    pub(crate) fn is_ours(&self) -> bool {
        self.ours.is_some()
    }

    /// What the peer hears while we hold it.
    pub(crate) fn source(&self) -> Option<PlannedSource> {
        self.ours.as_deref().copied()
    }

    pub(crate) fn set_ours(&mut self, source: Option<PlannedSource>) {
        self.ours = source.map(Box::new);
    }

    /// The leg does not have the source: silence instead.
    pub(crate) fn is_silent_now(&mut self) {
        self.set_ours(self.source().map(|_| PlannedSource::Silence));
    }

    pub(crate) fn wanted(&self) -> Direction {
        self.wanted
    }

    /// Gives what was wanted before.
    pub(crate) fn want(&mut self, wanted: Direction) -> Direction {
        std::mem::replace(&mut self.wanted, wanted)
    }

    /// Whether the user has not been told this yet.
    pub(crate) fn tell(&mut self, held: (bool, bool)) -> bool {
        std::mem::replace(&mut self.told, held) != held
    }
}

impl Sessions {
    /// Holds the peer: a re-INVITE says that nothing is taken from it any more. With a source it hears that one
    /// (`sendonly`), without one nothing (`inactive`). `Done`, `Failed` or `Declined` tells the outcome; while another
    /// change is on its way this waits for its end.
    pub fn hold(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        music: Option<PlannedSource>,
    ) -> Result<(), SessionError> {
        self.operate(turn, id, PendingOperation::Hold(music)).map(|_| ())
    }

    pub(crate) fn offer_hold(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        music: Option<PlannedSource>,
    ) -> Result<(), SessionError> {
        self.check(id, Operation::Hold)?;
        let wanted = if music.is_some() { Direction::Send } else { Direction::Inactive };
        let hold = Some((true, music.unwrap_or(PlannedSource::Silence)));
        self.offer(turn, id, Wish { operation: Some(Operation::Hold), hold, ..Wish::of(wanted) })
    }

    /// Takes the hold back by another re-INVITE, as [`Self::hold`] does. Only the side that holds can resume.
    pub fn resume(&mut self, turn: &mut Turn<'_>, id: SessionId) -> Result<(), SessionError> {
        self.operate(turn, id, PendingOperation::Resume).map(|_| ())
    }

    pub(crate) fn offer_resume(&mut self, turn: &mut Turn<'_>, id: SessionId) -> Result<(), SessionError> {
        self.check(id, Operation::Resume)?;
        let (wanted, hold) = (Direction::Both, Some((false, PlannedSource::Silence)));
        self.offer(turn, id, Wish { operation: Some(Operation::Resume), hold, ..Wish::of(wanted) })
    }

    pub(crate) fn check(&self, id: SessionId, operation: Operation) -> Result<(), SessionError> {
        self.table.get(id).ok_or(SessionError::SessionNotFound(id))?.check(operation)
    }
}
