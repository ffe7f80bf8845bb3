use super::lease::{Leases, State};
use super::ring::Ring;
use crate::sync::Words;
use crate::{ClientIndex, Region, WorkerIndex};
use contract::PortRef;

/// The UDP ports for media, as pairs of an even RTP port and the odd RTCP port above. Each belongs to one worker.
#[derive(Clone, Debug)]
pub struct PortPool {
    region: Region,
}

/// The port is not in the pool, or in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("port {0} cannot leave the pool: it is in use or was never in it")]
pub struct NotFree(pub u16);

/// How many port pairs are in which state.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PortLevels {
    /// Ready to be taken.
    pub free: usize,
    /// Held by clients.
    pub owned: usize,
    /// Held by other programs of the host.
    pub unavailable: usize,
}

impl PortPool {
    pub(crate) fn new(region: Region) -> Self {
        Self { region }
    }

    /// Puts every pair into its worker's ring. Only the creator does, before anybody else attaches.
    pub(crate) fn fill(&self) {
        let blocks = self.region.blocks();
        (0..blocks.pair_count()).for_each(|pair| self.pairs(blocks.worker(pair)).add(pair));
    }

    /// The worker whose sockets serve this RTP port; `None` when it is not in the pool.
    pub fn worker_of(&self, port: u16) -> Option<WorkerIndex> {
        let blocks = self.region.blocks();
        blocks.pair(port).map(|pair| blocks.worker(pair))
    }

    /// The RTP ports of a worker, in ascending order: what it binds at start.
    pub fn ports_of(&self, worker: WorkerIndex) -> impl Iterator<Item = u16> + use<> {
        let blocks = *self.region.blocks();
        blocks.pairs_of(worker).map(move |pair| blocks.port(pair))
    }

    /// Takes the port pair of a worker that has rested longest.
    pub(crate) fn take(&self, worker: WorkerIndex, client: ClientIndex) -> Option<PortRef> {
        let blocks = self.region.blocks();
        let taken = self.pairs(worker).take(client.0, |pair| blocks.worker(pair) == worker);
        taken.map(|(pair, generation)| PortRef::new(blocks.port(pair), generation))
    }

    /// `false`: the client does not have it.
    pub(crate) fn give_back(&self, port: PortRef, client: ClientIndex) -> bool {
        self.find(port.rtp).is_some_and(|(pair, pairs)| pairs.give_back(pair, port.generation, client.0))
    }

    /// Takes every port away from a client that is dead, and says how many.
    pub(crate) fn reclaim(&self, client: ClientIndex) -> usize {
        let blocks = self.region.blocks();
        (0..blocks.pair_count()).filter(|&pair| self.pairs(blocks.worker(pair)).reclaim(pair, client.0)).count()
    }

    pub(crate) fn change_owner(&self, port: PortRef, from: ClientIndex, to: ClientIndex) -> bool {
        self.find(port.rtp).is_some_and(|(pair, pairs)| pairs.change_owner(pair, port.generation, from.0, to.0))
    }

    /// Takes a free port pair out of the pool because another program of this host holds one of its ports.
    pub fn mark_unavailable(&self, port: u16) -> Result<(), NotFree> {
        let (pair, pairs) = self.find(port).ok_or(NotFree(port))?;
        if pairs.mark_unavailable(pair) { Ok(()) } else { Err(NotFree(port)) }
    }

    /// The client that holds a port pair, and the pair's generation.
    pub fn holder(&self, port: u16) -> Option<(ClientIndex, PortRef)> {
        let (pair, pairs) = self.find(port)?;
        let word = pairs.load(pair)?;
        let held = PortRef::new(port, word.generation());
        (word.state() == State::Owned).then_some((ClientIndex(word.owner()), held))
    }

    /// Counts the port pairs of a worker now. Looks at each of them: microseconds for thousands.
    pub fn levels(&self, worker: WorkerIndex) -> PortLevels {
        let mut levels = PortLevels::default();
        for (pair, pairs) in self.region.blocks().pairs_of(worker).map(|pair| (pair, self.pairs(worker))) {
            match pairs.load(pair).map(|word| word.state()) {
                Some(State::Free | State::Returning) => levels.free += 1,
                Some(State::Owned) => levels.owned += 1,
                Some(State::Unavailable) => levels.unavailable += 1,
                None => {}
            }
        }
        levels
    }

    fn find(&self, port: u16) -> Option<(usize, Leases<'_>)> {
        let blocks = self.region.blocks();
        let pair = blocks.pair(port)?;
        Some((pair, self.pairs(blocks.worker(pair))))
    }

    fn pairs(&self, worker: WorkerIndex) -> Leases<'_> {
        let (words, layout) = (self.region.words(), self.region.layout());
        Leases { words: &words[layout.port_pool()], ring: Ring::new(words, layout.port_ring(worker)) }
    }
}
