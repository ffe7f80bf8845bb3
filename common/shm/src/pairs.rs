//! One worker's port pairs: a word for each, which is the truth, and the ring, which is only the order. See
//! [`crate::PortPool`] for the steps and what a kill between them leaves behind.

use crate::ring::{Entry, Ring};
use crate::sync::{AtomicU64, Ordering::*};

/// Whose a pair is, and how often it has been given out. Zero is free and never given out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Word(u64);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
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

    pub(crate) fn state(self) -> State {
        use State::*;
        [Free, Owned, Returning, Unavailable][(self.0 & 3) as usize]
    }

    /// The client, of a pair that is owned or returning.
    pub(crate) fn owner(self) -> u8 {
        (self.0 >> 8) as u8
    }

    pub(crate) fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn entry(self, pair: usize) -> Entry {
        Entry { pair: pair as u16, generation: self.generation() as u16 }
    }

    /// Whether an entry of this generation entitles to take the pair. `Returning` is as good as free: its entry is there.
    fn is_free_for(self, entry: Entry) -> bool {
        matches!(self.state(), State::Free | State::Returning) && self.generation() as u16 == entry.generation
    }
}

/// A worker's pairs, borrowed from the region. `words` are those of all workers.
pub(crate) struct Pairs<'a> {
    pub(crate) words: &'a [AtomicU64],
    pub(crate) ring: Ring<'a>,
}

impl Pairs<'_> {
    /// Puts a pair that was never given out into the order. Only the creator does, before anybody else attaches.
    pub(crate) fn add(&self, pair: usize) {
        assert!(self.ring.push(Word(0).entry(pair)), "the ring has a slot for each pair");
    }

    /// Takes the pair that has rested longest, if it is one of `ours`; says which, and in which generation.
    pub(crate) fn take(&self, client: u8, ours: impl Fn(usize) -> bool) -> Option<(usize, u32)> {
        while let Some(candidate) = self.ring.peek() {
            let pair = usize::from(candidate.entry.pair);
            match self.load(pair) {
                Some(seen) if seen.is_free_for(candidate.entry) && ours(pair) => {
                    let generation = seen.generation().wrapping_add(1);
                    if self.swap(pair, seen, Word::new(State::Owned, client, generation)) {
                        self.ring.remove(&candidate);
                        return Some((pair, generation));
                    } // else the word has just changed: look again
                }
                _ => self.ring.remove(&candidate), // taken by a process that has not removed it yet or died, or unavailable
            }
        }
        None
    }

    /// Gives a pair back; `false` when it is not the client's in this generation.
    pub(crate) fn give_back(&self, pair: usize, generation: u32, client: u8) -> bool {
        let owned = Word::new(State::Owned, client, generation);
        let returning = Word::new(State::Returning, client, generation);
        let ours = self.swap(pair, owned, returning);
        if ours {
            self.put(pair, returning);
        }
        ours
    }

    /// Gives an owned pair another owner, in the same generation; `false` when it is not the owner's.
    #[cfg_attr(loom, expect(dead_code, reason = "not in the models"))]
    pub(crate) fn change_owner(&self, pair: usize, generation: u32, from: u8, to: u8) -> bool {
        self.swap(pair, Word::new(State::Owned, from, generation), Word::new(State::Owned, to, generation))
    }

    /// Takes a pair away from a client that is dead, whatever it was doing; `false` when it had nothing to do with it.
    pub(crate) fn reclaim(&self, pair: usize, client: u8) -> bool {
        while let Some(seen) = self.load(pair)
            && seen.owner() == client
        {
            let generation = seen.generation();
            let (to, put) = match seen.state() {
                State::Owned => (Word::new(State::Returning, HOST, generation), true),
                // Killed after its push: the entry is there, only the last step is missing.
                State::Returning if self.ring.contains(seen.entry(pair)) => {
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
            } // else another process has taken it meanwhile: look again
        }
        false
    }

    /// Takes a free pair out of use; `false` when it is not free.
    #[cfg_attr(loom, expect(dead_code, reason = "not in the models"))]
    pub(crate) fn mark_unavailable(&self, pair: usize) -> bool {
        while let Some(seen) = self.load(pair)
            && matches!(seen.state(), State::Free | State::Returning)
        {
            // Its entry becomes stale with the generation and leaves the ring when it is met.
            if self.swap(pair, seen, Word::new(State::Unavailable, 0, seen.generation().wrapping_add(1))) {
                return true;
            }
        }
        false
    }

    pub(crate) fn load(&self, pair: usize) -> Option<Word> {
        Some(Word(self.words.get(pair)?.load(Acquire)))
    }

    /// Steps 2 and 3 of giving back.
    fn put(&self, pair: usize, returning: Word) {
        // The push fails only when a process has written nonsense into the ring. The word then stays as it is: a port
        // less, and no client gets it twice.
        if self.ring.push(returning.entry(pair)) {
            // A failure means that another process has taken it already.
            self.swap(pair, returning, Word::new(State::Free, 0, returning.generation()));
        }
    }

    /// The compare-and-swaps of all processes on one pair's word pair with each other.
    fn swap(&self, pair: usize, from: Word, to: Word) -> bool {
        self.words[pair].compare_exchange(from.0, to.0, AcqRel, Acquire).is_ok()
    }
}
