//! Which control client each leg belongs to, and what it was last told to be: enough to answer, to clean up after a
//! client, and to go on after a worker has failed.

use clock::Instant;
use contract::{LegRef, LegSpec};
use media_core::TapId;
use shm::ClientIndex;

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

/// The legs of one worker, by port pair.
pub(crate) struct Owners {
    by_pair: Box<[Option<Owned>]>,
}

impl Owners {
    pub(crate) fn new(pairs: usize) -> Self {
        Self { by_pair: vec![None; pairs].into() }
    }

    pub(crate) fn get(&self, pair: u16, leg: LegRef) -> Option<&Owned> {
        self.by_pair.get(usize::from(pair))?.as_ref().filter(|owned| owned.leg == leg)
    }

    pub(crate) fn set(&mut self, pair: u16, owned: Owned) {
        if let Some(place) = self.by_pair.get_mut(usize::from(pair)) {
            *place = Some(owned);
        }
    }

    pub(crate) fn remove(&mut self, pair: u16, leg: LegRef) -> Option<Owned> {
        let place = self.by_pair.get_mut(usize::from(pair))?;
        if place.as_ref()?.leg == leg { place.take() } else { None }
    }

    /// Some legs of a client, at most `count`; not those that are kept for another one.
    pub(crate) fn of_client(&self, client: ClientIndex, count: usize) -> Vec<Owned> {
        self.all().filter(|owned| owned.client == client && owned.kept_until.is_none()).take(count).copied().collect()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Owned> {
        self.by_pair.iter().flatten()
    }
}
