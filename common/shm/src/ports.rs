use crate::ring::{Entry, Ring};
use crate::sync::{Ordering::*, Words};
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

#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Free = 0,
    Owned = 1,
    Returning = 2,
    Unavailable = 3,
}

/// Stands for the media process where it puts ports of the dead back.
const HOST: u8 = u8::MAX;

impl Word {
    fn new(state: State, owner: u8, generation: u32) -> Self {
        Self(u64::from(generation) << 32 | u64::from(owner) << 8 | state as u64)
    }

    fn state(self) -> State {
        use State::*;
        [Free, Owned, Returning, Unavailable][(self.0 & 3) as usize]
    }

    fn owner(self) -> u8 {
        (self.0 >> 8) as u8
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether an entry of this generation entitles to take the port. `Returning` is as good as free: its entry is there.
    fn is_free_for(self, entry: Entry) -> bool {
        matches!(self.state(), State::Free | State::Returning) && self.generation() as u16 == entry.generation
    }
}

impl PortPool {
    pub(crate) fn new(region: Region) -> Self {
        Self { region }
    }

    /// Puts every pair into its worker's ring. Only the creator does, before anybody else attaches.
    pub(crate) fn fill(&self) {
        for pair in 0..self.region.blocks().pair_count() {
            self.push(pair, 0);
        }
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
        let (ring, blocks) = (self.ring(worker), self.region.blocks());
        while let Some(candidate) = ring.peek() {
            let pair = usize::from(candidate.entry.pair);
            let seen = self.load(pair);
            match seen {
                Some(seen) if seen.is_free_for(candidate.entry) && blocks.worker(pair) == worker => {
                    let generation = seen.generation().wrapping_add(1);
                    if self.swap(pair, seen, Word::new(State::Owned, client.0, generation)) {
                        ring.remove(&candidate);
                        return Ok(LegRef::new(blocks.port(pair), generation));
                    } // else the word has just changed: look again
                }
                _ => ring.remove(&candidate), // taken by someone who has not removed it yet or died, or unavailable
            }
        }
        Err(Exhausted(worker.0))
    }

    /// Gives a port pair back. It is used again after all the others that are free now.
    pub fn give_back(&self, leg: LegRef, client: ClientIndex) -> Result<(), NotYours> {
        let pair = self.region.blocks().pair(leg.port).ok_or(NotYours(leg))?;
        let owned = Word::new(State::Owned, client.0, leg.generation);
        let returning = Word::new(State::Returning, client.0, leg.generation);
        if !self.swap(pair, owned, returning) {
            return Err(NotYours(leg));
        }
        self.put(pair, returning);
        Ok(())
    }

    /// Takes every port away from a client that is dead: what it held, and what it was about to give back. Says how
    /// many. Only the media process calls it.
    pub(crate) fn reclaim(&self, client: ClientIndex) -> usize {
        (0..self.region.blocks().pair_count()).filter(|&pair| self.reclaim_pair(pair, client)).count()
    }

    fn reclaim_pair(&self, pair: usize, client: ClientIndex) -> bool {
        while let Some(seen) = self.load(pair)
            && seen.owner() == client.0
        {
            let generation = seen.generation();
            let entry = Entry { pair: pair as u16, generation: generation as u16 };
            let (to, put) = match seen.state() {
                State::Owned => (Word::new(State::Returning, HOST, generation), true),
                // Killed after its push: the entry is there, only the last step is missing.
                State::Returning if self.ring(self.region.blocks().worker(pair)).contains(entry) => {
                    (Word::new(State::Free, 0, generation), false)
                }
                // Killed before its push. A new generation, in case that it was not quite dead and pushes late.
                State::Returning => (Word::new(State::Returning, HOST, generation.wrapping_add(1)), true),
                State::Free | State::Unavailable => return false,
            };
            if self.swap(pair, seen, to) {
                if put {
                    self.put(pair, to);
                }
                return true;
            } // else somebody has taken it meanwhile: look again
        }
        false
    }

    /// Takes a free port pair out of the pool because another program of this host holds one of its ports.
    pub fn mark_unavailable(&self, port: u16) -> Result<(), NotFree> {
        let pair = self.region.blocks().pair(port).ok_or(NotFree(port))?;
        while let Some(seen) = self.load(pair)
            && matches!(seen.state(), State::Free | State::Returning)
        {
            // Its entry becomes stale with the generation and leaves the ring when it is met.
            if self.swap(pair, seen, Word::new(State::Unavailable, 0, seen.generation().wrapping_add(1))) {
                return Ok(());
            }
        }
        Err(NotFree(port))
    }

    /// Who holds a port pair, and in which generation.
    pub fn holder(&self, port: u16) -> Option<(ClientIndex, LegRef)> {
        let word = self.load(self.region.blocks().pair(port)?)?;
        let leg = LegRef::new(port, word.generation());
        (word.state() == State::Owned).then_some((ClientIndex(word.owner()), leg))
    }

    /// Counts the port pairs of a worker now. Looks at each of them, a few microseconds for thousands.
    pub fn levels(&self, worker: WorkerIndex) -> PortLevels {
        let mut levels = PortLevels::default();
        for word in self.region.blocks().pairs_of(worker).filter_map(|pair| self.load(pair)) {
            match word.state() {
                State::Free | State::Returning => levels.free += 1,
                State::Owned => levels.owned += 1,
                State::Unavailable => levels.unavailable += 1,
            }
        }
        levels
    }

    /// Steps 2 and 3 of giving back.
    fn put(&self, pair: usize, returning: Word) {
        if self.push(pair, returning.generation()) {
            // A failure means that somebody has taken it already.
            self.swap(pair, returning, Word::new(State::Free, 0, returning.generation()));
        } // else the ring is full, which only nonsense in it can do: the word keeps the name, `reclaim` tries again
    }

    fn push(&self, pair: usize, generation: u32) -> bool {
        let worker = self.region.blocks().worker(pair);
        self.ring(worker).push(Entry { pair: pair as u16, generation: generation as u16 })
    }

    fn ring(&self, worker: WorkerIndex) -> Ring<'_> {
        let words = self.region.words();
        let (head, tail, slots) = self.region.layout().ring(worker);
        Ring { head: &words[head], tail: &words[tail], slots: &words[slots] }
    }

    fn load(&self, pair: usize) -> Option<Word> {
        let word = self.region.words()[self.region.layout().pool()].get(pair)?;
        Some(Word(word.load(Acquire)))
    }

    /// The compare-and-swaps of all processes on one pair's word pair with each other.
    fn swap(&self, pair: usize, from: Word, to: Word) -> bool {
        let word = &self.region.words()[self.region.layout().pool()][pair];
        word.compare_exchange(from.0, to.0, AcqRel, Acquire).is_ok()
    }
}
