use crate::pairs::{Pairs, State};
use crate::ring::Ring;
use crate::sync::Words;
use crate::{ClientIndex, Region, WorkerIndex};
use contract::LegRef;

/// The UDP ports for media, as pairs of an even RTP port and the odd RTCP port above.
///
/// Any process takes and gives back without a lock. One word per pair is the truth: whose it is, and how often it has
/// been given out. Each worker's ring is only the order, so that a port rests as long as possible before it is used
/// again. Every step is one compare-and-swap, and a word always names the client that is in the middle of something:
///
/// | step | the word before | after | if the process is killed right after |
/// |---|---|---|---|
/// | take 1 | `Free(g)` | `Owned(client, g+1)` | `reclaim` finds the client's name |
/// | take 2 | the entry `(pair, g)` leaves the ring | | an entry of an old generation is stale: who meets it removes it |
/// | give 1 | `Owned(client, g)` | `Returning(client, g)` | `reclaim` finds the client's name, and looks into the ring |
/// | give 2 | the entry `(pair, g)` is pushed | | the same; others may already take the port |
/// | give 3 | `Returning(client, g)` | `Free(g)` | nothing is left to do |
#[derive(Clone, Debug)]
pub struct PortPool {
    region: Region,
}

/// Every port of the worker is in use or unavailable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no free RTP port on worker {0}: refuse the call (503), or widen the port range")]
pub struct Exhausted(pub u8);

/// The port is not this client's, or not in this life of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("port {} in its generation {} is not held by this client", .0.port, .0.generation)]
pub struct NotYours(pub LegRef);

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
    pub fn take(&self, worker: WorkerIndex, client: ClientIndex) -> Result<LegRef, Exhausted> {
        let (blocks, plan) = (self.region.blocks(), self.region.plan());
        assert!(client.index() < plan.clients, "{client:?} of {}", plan.clients);
        if worker.index() >= plan.workers {
            return Err(Exhausted(worker.0));
        }
        let taken = self.pairs(worker).take(client.0, |pair| blocks.worker(pair) == worker);
        taken.map(|(pair, generation)| LegRef::new(blocks.port(pair), generation)).ok_or(Exhausted(worker.0))
    }

    /// Gives a port pair back. It is used again after all the others that are free now.
    pub fn give_back(&self, leg: LegRef, client: ClientIndex) -> Result<(), NotYours> {
        let (pair, pairs) = self.find(leg.port).ok_or(NotYours(leg))?;
        if pairs.give_back(pair, leg.generation, client.0) { Ok(()) } else { Err(NotYours(leg)) }
    }

    /// Takes every port away from a client that is dead: what it held, and what it was about to give back. Says how
    /// many. Only the media process calls it, through [`crate::Host::settle`].
    pub(crate) fn reclaim(&self, client: ClientIndex) -> usize {
        let blocks = self.region.blocks();
        (0..blocks.pair_count()).filter(|&pair| self.pairs(blocks.worker(pair)).reclaim(pair, client.0)).count()
    }

    /// A client is dead, and its leg on this port goes on for a while: [`PortPool::holder`] names [`ClientIndex::KEPT`] from
    /// now on, and the client's end does not take the port back. `false`: the port is not the client's. This and the next
    /// two are for the worker that runs the leg.
    pub fn keep(&self, leg: LegRef, client: ClientIndex) -> bool {
        self.change_owner(leg, client, ClientIndex::KEPT)
    }

    /// A client has adopted a leg that was kept. `false`: it is not kept.
    pub fn adopt(&self, leg: LegRef, client: ClientIndex) -> bool {
        self.change_owner(leg, ClientIndex::KEPT, client)
    }

    /// A leg that was kept has ended: its port may be used again. `false`: it is not kept.
    pub fn end_keeping(&self, leg: LegRef) -> bool {
        self.give_back(leg, ClientIndex::KEPT).is_ok()
    }

    fn change_owner(&self, leg: LegRef, from: ClientIndex, to: ClientIndex) -> bool {
        self.find(leg.port).is_some_and(|(pair, pairs)| pairs.change_owner(pair, leg.generation, from.0, to.0))
    }

    /// Takes a free port pair out of the pool because another program of this host holds one of its ports.
    pub fn mark_unavailable(&self, port: u16) -> Result<(), NotFree> {
        let (pair, pairs) = self.find(port).ok_or(NotFree(port))?;
        if pairs.mark_unavailable(pair) { Ok(()) } else { Err(NotFree(port)) }
    }

    /// Who holds a port pair, and in which generation.
    pub fn holder(&self, port: u16) -> Option<(ClientIndex, LegRef)> {
        let (pair, pairs) = self.find(port)?;
        let word = pairs.load(pair)?;
        let leg = LegRef::new(port, word.generation());
        (word.state() == State::Owned).then_some((ClientIndex(word.owner()), leg))
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

    fn find(&self, port: u16) -> Option<(usize, Pairs<'_>)> {
        let blocks = self.region.blocks();
        let pair = blocks.pair(port)?;
        Some((pair, self.pairs(blocks.worker(pair))))
    }

    fn pairs(&self, worker: WorkerIndex) -> Pairs<'_> {
        let (words, layout) = (self.region.words(), self.region.layout());
        let (head, tail, slots) = layout.ring(worker);
        let ring = Ring { head: &words[head], tail: &words[tail], slots: &words[slots] };
        Pairs { words: &words[layout.pool()], ring }
    }
}
