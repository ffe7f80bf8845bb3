//! Which control client each leg belongs to, and what it was last told to be: enough to answer, to clean up after a
//! client, and to go on after a worker has failed.

use clock::Instant;
use contract::{LegRef, LegSpec};
use media_core::TapId;
use shm::{ClientIndex, ClientLife, Reservation};

/// One open leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Owned {
    pub(crate) leg: LegRef,
    /// Whose it is, or was, where it is kept.
    pub(crate) client: ClientIndex,
    /// The client has hung up; the leg waits until then for another one.
    pub(crate) kept_until: Option<Instant>,
    pub(crate) spec: LegSpec,
    /// The recording that it was put into last.
    pub(crate) recording: Option<OwnedRecording>,
    /// The stream between it and a program.
    pub(crate) stream: Option<TapId>,
}

/// A recording of a leg. It goes on where its leg is kept and adopted by another client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OwnedRecording {
    /// The client that began it.
    pub(crate) client: ClientLife,
    /// The number that the client gave it.
    pub(crate) number: u64,
    pub(crate) tap: TapId,
}

/// The legs of one worker, by row of the leg table.
pub(crate) struct Owners {
    by_row: Box<[Option<Owned>]>,
}

impl Owned {
    /// Whether this client may give commands about the leg: it is not one that an earlier client in the same place has left
    /// behind.
    pub(crate) fn is_of(&self, client: ClientIndex) -> bool {
        self.client == client && self.kept_until.is_none()
    }

    /// What its client took for it from the pools.
    pub(crate) fn reservation(&self) -> Reservation {
        Reservation { leg: self.leg, port: self.spec.transport.port }
    }
}

impl Owners {
    pub(crate) fn new(leg_rows: usize) -> Self {
        Self { by_row: vec![None; leg_rows].into() }
    }

    pub(crate) fn get(&self, leg: LegRef) -> Option<&Owned> {
        self.by_row.get(leg.row_index())?.as_ref().filter(|owned| owned.leg == leg)
    }

    pub(crate) fn set(&mut self, owned: Owned) {
        if let Some(place) = self.by_row.get_mut(owned.leg.row_index()) {
            *place = Some(owned);
        }
    }

    pub(crate) fn remove(&mut self, leg: LegRef) -> Option<Owned> {
        let place = self.by_row.get_mut(leg.row_index())?;
        if place.as_ref()?.leg == leg { place.take() } else { None }
    }

    /// Some legs of a client, at most `count`; not those that are kept for another one.
    pub(crate) fn of_client(&self, client: ClientIndex, count: usize) -> Vec<Owned> {
        self.all().filter(|owned| owned.is_of(client)).take(count).copied().collect()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Owned> {
        self.by_row.iter().flatten()
    }
}
