use super::lease::{Leases, State};
use super::ring::Ring;
use crate::sync::Words;
use crate::{ClientIndex, Region};
use contract::LegRef;

/// The ids of legs: one for each row of the leg table. A leg keeps its id wherever it moves, so they are in one pool for all
/// workers.
#[derive(Clone, Debug)]
pub(crate) struct LegPool {
    region: Region,
}

impl LegPool {
    pub(crate) fn new(region: Region) -> Self {
        Self { region }
    }

    /// Puts every row into the order. Only the creator does, before anybody else attaches.
    pub(crate) fn fill(&self) {
        (0..self.row_count()).for_each(|row| self.rows().add(row));
    }

    pub(crate) fn take(&self, client: ClientIndex) -> Option<LegRef> {
        let row_count = self.row_count();
        let (row, generation) = self.rows().take(client.0, |row| row < row_count)?;
        Some(LegRef::new(row as u32, generation))
    }

    /// `false`: the client does not have it.
    pub(crate) fn give_back(&self, leg: LegRef, client: ClientIndex) -> bool {
        self.rows().give_back(leg.row_index(), leg.generation, client.0)
    }

    /// Takes every id away from a client that is dead.
    pub(crate) fn reclaim(&self, client: ClientIndex) {
        (0..self.row_count()).for_each(|row| {
            self.rows().reclaim(row, client.0);
        });
    }

    pub(crate) fn change_owner(&self, leg: LegRef, from: ClientIndex, to: ClientIndex) -> bool {
        self.rows().change_owner(leg.row_index(), leg.generation, from.0, to.0)
    }

    /// The client that has the id in this generation.
    pub(crate) fn holder(&self, leg: LegRef) -> Option<ClientIndex> {
        let lease = self.rows().load(leg.row_index())?;
        let is_held = lease.state() == State::Owned && lease.generation() == leg.generation;
        is_held.then_some(ClientIndex(lease.owner()))
    }

    fn row_count(&self) -> usize {
        self.region.layout().leg_pool().len()
    }

    fn rows(&self) -> Leases<'_> {
        let (words, layout) = (self.region.words(), self.region.layout());
        Leases { words: &words[layout.leg_pool()], ring: Ring::new(words, layout.leg_ring()) }
    }
}
