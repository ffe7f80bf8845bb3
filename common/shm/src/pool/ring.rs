//! The order in which free entries of a pool are taken: a first-in first-out ring that any process may push to and pop from, and
//! that no process can block by dying.
//!
//! Each slot is one word: lap, generation and entry. A push is one compare-and-swap of the slot from "empty in this lap"
//! to "full in this lap", a removal one from "full in this lap" to "empty in the next lap". Head and tail only say where
//! to look; any process that finds them behind moves them on, so it does not matter which one dies between the two steps.

use crate::sync::{AtomicU64, Ordering::*};

/// Where a ring lies, as word indexes.
#[cfg(not(loom))]
pub(crate) struct RingPlace {
    pub(crate) head: usize,
    pub(crate) tail: usize,
    pub(crate) slots: std::ops::Range<usize>,
}

/// The ring of a pool, borrowed from the region.
pub(crate) struct Ring<'a> {
    pub(crate) head: &'a AtomicU64,
    pub(crate) tail: &'a AtomicU64,
    pub(crate) slots: &'a [AtomicU64],
}

/// What stands in a slot. Zero is an empty slot of lap 0, so fresh memory is an empty ring.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Slot(u64);

/// An entry of the pool in the ring, good only for the life in which it was put there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) index: u16,
    /// The low bits of its generation.
    pub(crate) generation: u16,
}

/// The entry at the head, as it was seen.
#[derive(Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) entry: Entry,
    position: u64,
    seen: Slot,
}

impl Slot {
    fn empty(lap: u32) -> Self {
        Self(u64::from(lap) << 32)
    }

    fn full(lap: u32, entry: Entry) -> Self {
        Self(u64::from(lap) << 32 | u64::from(entry.generation) << 16 | u64::from(entry.index + 1))
    }

    fn lap(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether the slot has not come to this lap yet. Slots only go forward, so then it is the look-up that is right.
    fn is_before(self, lap: u32) -> bool {
        (self.lap().wrapping_sub(lap) as i32) < 0
    }

    fn entry(self) -> Option<Entry> {
        let index = (self.0 as u16).checked_sub(1)?;
        Some(Entry { index, generation: (self.0 >> 16) as u16 })
    }
}

impl<'a> Ring<'a> {
    /// Attempts before an operation is given up. Each failed one means that another process got on, so this is only met
    /// when a process writes nonsense into the ring.
    const ATTEMPTS: usize = 1 << 20;

    #[cfg(not(loom))]
    pub(crate) fn new(words: &'a [AtomicU64], place: RingPlace) -> Self {
        Self { head: &words[place.head], tail: &words[place.tail], slots: &words[place.slots] }
    }

    fn at(&self, position: u64) -> (&'a AtomicU64, u32) {
        let capacity = self.slots.len() as u64;
        (&self.slots[(position & (capacity - 1)) as usize], (position / capacity) as u32)
    }

    /// Puts an entry at the end; `false` when every slot is taken.
    pub(crate) fn push(&self, entry: Entry) -> bool {
        for _ in 0..Self::ATTEMPTS {
            let position = self.tail.load(Acquire);
            let (slot, lap) = self.at(position);
            let seen = Slot(slot.load(Acquire));
            if seen == Slot::empty(lap) {
                // Pairs with the Acquire in `peek`: who sees the entry sees the entry's word from before it.
                if slot.compare_exchange(seen.0, Slot::full(lap, entry).0, AcqRel, Relaxed).is_ok() {
                    self.advance(self.tail, position);
                    return true;
                }
            } else if seen.is_before(lap) {
                return false; // still full from the lap before
            } else {
                // Pushed by a process that has not come to this yet, or died; or the ring has turned since we looked.
                self.advance(self.tail, position);
            }
        }
        false
    }

    /// The oldest entry; `None` when there is none. It stays where it is until removed.
    pub(crate) fn peek(&self) -> Option<Candidate> {
        for _ in 0..Self::ATTEMPTS {
            let position = self.head.load(Acquire);
            let (slot, lap) = self.at(position);
            // Pairs with the compare-and-swap in `push`.
            let seen = Slot(slot.load(Acquire));
            if seen.lap() == lap {
                return seen.entry().map(|entry| Candidate { entry, position, seen });
            } else if seen.is_before(lap) {
                return None; // nobody who keeps the rules writes this
            }
            // Removed by a process that has not come to this yet, or died; or the ring has turned since we looked.
            self.advance(self.head, position);
        }
        None
    }

    /// Takes a candidate out, unless another process already has.
    pub(crate) fn remove(&self, candidate: &Candidate) {
        let (slot, lap) = self.at(candidate.position);
        let next = Slot::empty(lap.wrapping_add(1));
        // Pairs with the Acquire in `push`. A failure means that it has been removed before.
        let _ = slot.compare_exchange(candidate.seen.0, next.0, AcqRel, Relaxed);
        self.advance(self.head, candidate.position);
    }

    /// Whether an entry is somewhere in the ring. Sound for an entry that nobody pushes meanwhile: it cannot move.
    pub(crate) fn contains(&self, entry: Entry) -> bool {
        self.slots.iter().any(|slot| Slot(slot.load(Acquire)).entry() == Some(entry))
    }

    fn advance(&self, end: &AtomicU64, position: u64) {
        // A failure means that another process has moved it on.
        let _ = end.compare_exchange(position, position.wrapping_add(1), AcqRel, Relaxed);
    }
}
