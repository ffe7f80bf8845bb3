//! Which control client each leg belongs to, and what it was last told to be: enough to answer, to clean up after a
//! client, and to go on after a worker has failed.

use clock::Instant;
use contract::{LegRef, LegSpec};
use media_core::TapId;
use shm::{ClientIndex, Reservation};

/// One open leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Owned {
    pub(crate) leg: LegRef,
    /// Whose it is, or was, where it is kept.
    pub(crate) client: ClientIndex,
    /// The client has hung up; the leg waits until then for another one.
    pub(crate) kept_until: Option<Instant>,
    pub(crate) spec: LegSpec,
    /// The recording that it was put into last, by the client's number and by ours.
    pub(crate) recording: Option<(u64, TapId)>,
}

/// The legs of one worker, by row of the leg table.
pub(crate) struct Owners {
    by_row: Box<[Option<Owned>]>,
}

impl Owned {
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
        self.all().filter(|owned| owned.client == client && owned.kept_until.is_none()).take(count).copied().collect()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Owned> {
        self.by_row.iter().flatten()
    }
}
