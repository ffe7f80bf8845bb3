//! The entries of one pool: a word for each, which is the truth, and the ring, which is only the order, so that an entry
//! rests as long as possible before it is used again. Ports and leg ids are such entries.
//!
//! Every step is one compare-and-swap, and a word always names the client that is in the middle of something:
//!
//! | step | the word before | after | if the process is killed right after |
//! |---|---|---|---|
//! | take 1 | `Free(g)` | `Owned(client, g+1)` | `reclaim` finds the client's name |
//! | take 2 | the ring's `(index, g)` is removed | | one of an old generation is stale: the process that meets it removes it |
//! | give 1 | `Owned(client, g)` | `Returning(client, g)` | `reclaim` finds the client's name, and looks into the ring |
//! | give 2 | `(index, g)` is pushed into the ring | | the same; others may already take the entry |
//! | give 3 | `Returning(client, g)` | `Free(g)` | nothing is left to do |

use super::ring::{Entry, Ring};
use crate::sync::{AtomicU64, Ordering::*};

/// The word of one entry: the client that has it, and how often it has been given out. Zero is free and never given out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lease(u64);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Free = 0,
    Owned = 1,
    Returning = 2,
    Unavailable = 3,
}

/// Stands for the media process where it puts entries of dead clients back.
const HOST: u8 = u8::MAX;

impl Lease {
    fn new(state: State, owner: u8, generation: u32) -> Self {
        Self(u64::from(generation) << 32 | u64::from(owner) << 8 | state as u64)
    }

    pub(crate) fn state(self) -> State {
        use State::*;
        [Free, Owned, Returning, Unavailable][(self.0 & 3) as usize]
    }

    /// The client, of an entry that is owned or returning.
    pub(crate) fn owner(self) -> u8 {
        (self.0 >> 8) as u8
    }

    pub(crate) fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn entry(self, index: usize) -> Entry {
        Entry { index: index as u16, generation: self.generation() as u16 }
    }

    /// Whether an entry of this generation entitles to take the entry. `Returning` is as good as free: its entry is there.
    fn is_free_for(self, entry: Entry) -> bool {
        matches!(self.state(), State::Free | State::Returning) && self.generation() as u16 == entry.generation
    }
}

/// The entries of a pool, borrowed from the region. Pools may share `words`: each entry is in the ring of one of them.
pub(crate) struct Leases<'a> {
    pub(crate) words: &'a [AtomicU64],
    pub(crate) ring: Ring<'a>,
}

impl Leases<'_> {
    /// Puts an entry that was never given out into the order. Only the creator does, before anybody else attaches.
    pub(crate) fn add(&self, index: usize) {
        assert!(self.ring.push(Lease(0).entry(index)), "the ring has a slot for each entry");
    }

    /// Takes the entry that has rested longest, if it is one of `ours`; gives its index and its generation, which is never 0.
    pub(crate) fn take(&self, client: u8, ours: impl Fn(usize) -> bool) -> Option<(usize, u32)> {
        while let Some(candidate) = self.ring.peek() {
            let index = usize::from(candidate.entry.index);
            match self.load(index) {
                Some(seen) if seen.is_free_for(candidate.entry) && ours(index) => {
                    let generation = seen.generation().wrapping_add(1).max(1);
                    if self.swap(index, seen, Lease::new(State::Owned, client, generation)) {
                        self.ring.remove(&candidate);
                        return Some((index, generation));
                    } // else the word has just changed: look again
                }
                _ => self.ring.remove(&candidate), // taken by a process that has not removed it yet or died, or unavailable
            }
        }
        None
    }

    /// Gives an entry back; `false` when it is not the client's in this generation.
    pub(crate) fn give_back(&self, index: usize, generation: u32, client: u8) -> bool {
        let owned = Lease::new(State::Owned, client, generation);
        let returning = Lease::new(State::Returning, client, generation);
        let ours = self.swap(index, owned, returning);
        if ours {
            self.put(index, returning);
        }
        ours
    }

    /// Gives an owned entry another owner, in the same generation; `false` when it is not the owner's.
    #[cfg_attr(loom, expect(dead_code, reason = "not in the models"))]
    pub(crate) fn change_owner(&self, index: usize, generation: u32, from: u8, to: u8) -> bool {
        self.swap(index, Lease::new(State::Owned, from, generation), Lease::new(State::Owned, to, generation))
    }

    /// Takes an entry away from a client that is dead, whatever it was doing; `false` when it had nothing to do with it.
    pub(crate) fn reclaim(&self, index: usize, client: u8) -> bool {
        while let Some(seen) = self.load(index)
            && seen.owner() == client
        {
            let generation = seen.generation();
            let (to, put) = match seen.state() {
                State::Owned => (Lease::new(State::Returning, HOST, generation), true),
                // Killed after its push: the entry is there, only the last step is missing.
                State::Returning if self.ring.contains(seen.entry(index)) => {
                    (Lease::new(State::Free, 0, generation), false)
                }
                // Killed before its push. A new generation, in case that it was not quite dead and pushes late.
                State::Returning => (Lease::new(State::Returning, HOST, generation.wrapping_add(1)), true),
                State::Free | State::Unavailable => return false,
            };
            if self.swap(index, seen, to) {
                if put {
                    self.put(index, to);
                }
                return true;
            } // else another process has taken it meanwhile: look again
        }
        false
    }

    /// Takes a free entry out of use; `false` when it is not free.
    #[cfg_attr(loom, expect(dead_code, reason = "not in the models"))]
    pub(crate) fn mark_unavailable(&self, index: usize) -> bool {
        while let Some(seen) = self.load(index)
            && matches!(seen.state(), State::Free | State::Returning)
        {
            // Its entry becomes stale with the generation and leaves the ring when it is met.
            if self.swap(index, seen, Lease::new(State::Unavailable, 0, seen.generation().wrapping_add(1))) {
                return true;
            }
        }
        false
    }

    pub(crate) fn load(&self, index: usize) -> Option<Lease> {
        Some(Lease(self.words.get(index)?.load(Acquire)))
    }

    /// Steps 2 and 3 of giving back.
    fn put(&self, index: usize, returning: Lease) {
        // The push fails only when a process has written nonsense into the ring. The word then stays as it is: an
        // entry less, and no client gets it twice.
        if self.ring.push(returning.entry(index)) {
            // A failure means that another process has taken it already.
            self.swap(index, returning, Lease::new(State::Free, 0, returning.generation()));
        }
    }

    /// The compare-and-swaps of all processes on one entry's word pair with each other. `false` also where there is no such
    /// entry.
    fn swap(&self, index: usize, from: Lease, to: Lease) -> bool {
        self.words.get(index).is_some_and(|word| word.compare_exchange(from.0, to.0, AcqRel, Acquire).is_ok())
    }
}
