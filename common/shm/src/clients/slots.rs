//! The places for control clients, and how one is cleaned up before its next use.
//!
//! A slot goes `Free`, `Live`, `Closing`, `Free`, with a new epoch in each life. In `Closing` every worker drains what
//! the client still said, ends its legs and confirms; only then are the ports taken back and the positions reset, so
//! that nothing of an earlier life can reach a later one.

use crate::queue::QueuePlace;
use crate::sync::{Ordering::*, Words};
use crate::{ClientIndex, Region, WorkerIndex};
use stats::{Counts, SignalCounter};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SlotState {
    Free = 0,
    Preparing = 1,
    Live = 2,
    Closing = 3,
}

/// A slot's state and the number of its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slot {
    pub(crate) state: SlotState,
    pub(crate) epoch: u32,
}

impl Slot {
    fn read(word: u64) -> Self {
        use SlotState::*;
        Self { state: [Free, Preparing, Live, Closing][(word & 3) as usize], epoch: (word >> 32) as u32 }
    }

    fn word(self) -> u64 {
        u64::from(self.epoch) << 32 | self.state as u64
    }
}

impl Region {
    /// The clients that are attached now.
    pub fn live_clients(&self) -> impl Iterator<Item = ClientIndex> + '_ {
        self.plan().clients().filter(|client| self.slot(*client).state == SlotState::Live)
    }

    pub(crate) fn slot(&self, client: ClientIndex) -> Slot {
        // Pairs with the Release in `change_slot`: who sees a slot live sees its positions reset.
        Slot::read(self.words()[self.layout().slot_state(client)].load(Acquire))
    }

    /// Moves a slot from one state to another, unless another process has moved it.
    pub(crate) fn change_slot(&self, client: ClientIndex, from: Slot, to: Slot) -> bool {
        let words = self.words();
        let word = &words[self.layout().slot_state(client)];
        let changed = word.compare_exchange(from.word(), to.word(), AcqRel, Relaxed).is_ok();
        if changed {
            // Pairs with the Acquire in `slot_changes`.
            words[self.layout().slot_changes()].fetch_add(1, Release);
        }
        changed
    }

    /// Grows with every change of any slot.
    pub(crate) fn slot_changes(&self) -> u64 {
        self.words()[self.layout().slot_changes()].load(Acquire)
    }

    /// A worker has cleaned up after a client's life.
    pub(crate) fn confirm_gone(&self, client: ClientIndex, worker: WorkerIndex, epoch: u32) {
        // Pairs with the Acquire in `has_confirmed`: the worker does not touch the queues after this.
        self.words()[self.layout().slot_settled(client, worker)].store(epoch.into(), Release);
    }

    pub(crate) fn has_confirmed(&self, client: ClientIndex, worker: WorkerIndex, epoch: u32) -> bool {
        self.words()[self.layout().slot_settled(client, worker)].load(Acquire) == u64::from(epoch)
    }

    /// Empties the queues and counters of a slot that nobody uses.
    pub(crate) fn reset_slot(&self, client: ClientIndex) {
        let words = self.words();
        let reset = |place: QueuePlace| [place.head, place.tail].map(|word| words[word].store(0, Relaxed));
        for worker in self.plan().workers() {
            reset(self.layout().commands(client, worker));
            reset(self.layout().events(client, worker));
        }
        words[self.layout().client_bell(client)].store(0, Relaxed);
        self.signal_counters(client).publish(Counts::<SignalCounter>::default().values());
    }
}
