//! A single-producer single-consumer queue of fixed slots, in words that two processes share.
//!
//! Positions only grow; a slot's place is its position modulo the capacity. Each end keeps its own position to itself
//! and only publishes it, so a peer that scribbles over the positions can stop the queue ([`Corrupt`]) but cannot send
//! an index out of bounds. Loom runs this very code: see `tests/loom_queue.rs`.

#[cfg(not(loom))]
mod client;
#[cfg(not(loom))]
mod wake;
#[cfg(not(loom))]
mod worker;

#[cfg(not(loom))]
pub use {
    client::ClientEnd,
    wake::WakeFd,
    worker::{FromClient, Rejected, WorkerEnd},
};

use crate::sync::{AtomicU64, Ordering::*, Words, fence};
use std::marker::PhantomData;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Where a queue lies in its [`Words`], as word indexes. The three positions belong on cache lines of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueuePlace {
    /// The producer's position.
    pub tail: usize,
    /// The consumer's position.
    pub head: usize,
    /// Not 0 while the consumer sleeps. Several queues with one consumer share it.
    pub bell: usize,
    /// The first word of the first slot.
    pub slots: usize,
    /// How many slots; a power of two.
    pub slot_count: usize,
}

impl QueuePlace {
    fn slot<'a, T>(&self, words: &'a [AtomicU64], position: u64) -> &'a [AtomicU64] {
        let stride = words_of::<T>();
        let start = self.slots + (position as usize & (self.slot_count - 1)) * stride;
        &words[start..start + stride]
    }

    /// How many slots are taken, or [`Corrupt`] where the two positions cannot both be true.
    fn distance(&self, tail: u64, head: u64) -> Result<u64, Corrupt> {
        let distance = tail.wrapping_sub(head);
        if distance <= self.slot_count as u64 { Ok(distance) } else { Err(Corrupt) }
    }
}

const fn words_of<T>() -> usize {
    const { assert!(size_of::<T>().is_multiple_of(8), "a slot is a whole number of words") };
    size_of::<T>() / 8
}

/// The consumer sleeps: write its wake-up descriptor. Told to one producer, once per sleep.
#[must_use = "a consumer that is not woken sleeps until something else wakes it"]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NeedsWake(pub bool);

/// Positions that cannot be: the peer wrote nonsense. The queue is of no use any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the queue's positions contradict each other: the peer has written nonsense, restart it")]
pub struct Corrupt;

/// Why a message was not pushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PushError {
    /// Every slot is taken; the consumer is behind.
    #[error("the queue is full: the other process is behind, refuse new work")]
    Full,
    /// See [`Corrupt`].
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// There is nobody at the other end.
    #[error("nobody is attached to this queue")]
    Gone,
}

/// The end that pushes. One thread owns it.
pub struct Producer<T, M> {
    memory: M,
    place: QueuePlace,
    tail: u64,
    head_seen: u64,
    message: PhantomData<fn(T)>,
}

impl<T: IntoBytes + Immutable, M: Words> Producer<T, M> {
    /// Takes up the producer's end where the published position says.
    pub fn resume(memory: M, place: QueuePlace) -> Self {
        let tail = memory.words()[place.tail].load(Acquire);
        let head_seen = tail.wrapping_sub(place.slot_count as u64); // looks full, so that the first push looks up
        Self { memory, place, tail, head_seen, message: PhantomData }
    }

    /// Puts a message into the queue, or refuses it at once when there is no room.
    pub fn push(&mut self, message: &T) -> Result<NeedsWake, PushError> {
        self.push_quietly(message)?;
        Ok(self.needs_wake())
    }

    /// The same without a look whether the consumer sleeps: a later [`Self::push`] or [`Self::needs_wake`] tells for all.
    pub fn push_quietly(&mut self, message: &T) -> Result<(), PushError> {
        let words = self.memory.words();
        if self.tail.wrapping_sub(self.head_seen) >= self.place.slot_count as u64 {
            // Pairs with the Release in `Consumer::pop`: the slots before it have been read, they may be overwritten.
            let head = words[self.place.head].load(Acquire);
            if self.place.distance(self.tail, head)? == self.place.slot_count as u64 {
                return Err(PushError::Full);
            }
            self.head_seen = head;
        }
        let slot = self.place.slot::<T>(words, self.tail);
        for (word, bytes) in slot.iter().zip(message.as_bytes().as_chunks::<8>().0) {
            word.store(u64::from_ne_bytes(*bytes), Relaxed);
        }
        self.tail = self.tail.wrapping_add(1);
        // Pairs with the Acquire in `Consumer::taken`: who sees the position sees the slot.
        words[self.place.tail].store(self.tail, Release);
        Ok(())
    }

    /// Whether the consumer sleeps, and has to be woken for what was pushed.
    pub fn needs_wake(&self) -> NeedsWake {
        // Pairs with the fence in `ring_bell`: either we see that the consumer sleeps, or it sees our message.
        fence(SeqCst);
        let bell = &self.memory.words()[self.place.bell];
        NeedsWake(bell.load(Relaxed) != 0 && bell.swap(0, Relaxed) != 0)
    }
}

/// The end that pops. One thread owns it.
pub struct Consumer<T, M> {
    memory: M,
    place: QueuePlace,
    head: u64,
    tail_seen: u64,
    message: PhantomData<fn() -> T>,
}

impl<T: FromBytes + IntoBytes, M: Words> Consumer<T, M> {
    /// Takes up the consumer's end where the published position says.
    pub fn resume(memory: M, place: QueuePlace) -> Self {
        let head = memory.words()[place.head].load(Acquire);
        Self { memory, place, head, tail_seen: head, message: PhantomData }
    }

    /// The oldest message, if there is one. It is a copy: what the peer writes later does not change it.
    pub fn pop(&mut self) -> Result<Option<T>, Corrupt> {
        if self.is_empty()? {
            return Ok(None);
        }
        let words = self.memory.words();
        let mut message = T::new_zeroed();
        let slot = self.place.slot::<T>(words, self.head);
        for (bytes, word) in message.as_mut_bytes().as_chunks_mut::<8>().0.iter_mut().zip(slot) {
            *bytes = word.load(Relaxed).to_ne_bytes();
        }
        self.head = self.head.wrapping_add(1);
        // Pairs with the Acquire in `Producer::push`: the slot has been read.
        words[self.place.head].store(self.head, Release);
        Ok(Some(message))
    }

    /// Whether there is nothing to pop now.
    pub fn is_empty(&mut self) -> Result<bool, Corrupt> {
        if self.head == self.tail_seen {
            // Pairs with the Release in `Producer::push`.
            let tail = self.memory.words()[self.place.tail].load(Acquire);
            self.place.distance(tail, self.head)?;
            self.tail_seen = tail;
        }
        Ok(self.head == self.tail_seen)
    }

    /// Says that this end is about to sleep. `true`: do, the next push asks for a wake-up. `false`: there is something
    /// to pop (or the queue is corrupt), stay awake.
    pub fn prepare_sleep(&mut self) -> bool {
        ring_bell(self.memory.words(), self.place.bell);
        let sleep = self.is_empty() == Ok(true);
        if !sleep {
            self.cancel_sleep();
        }
        sleep
    }

    /// Says that this end is awake again.
    pub fn cancel_sleep(&mut self) {
        silence_bell(self.memory.words(), self.place.bell);
    }
}

/// Says that the consumer of all queues with this bell is about to sleep; it must look at each of them after this.
pub(crate) fn ring_bell(words: &[AtomicU64], bell: usize) {
    // A swap and not a store, so that all writes of a bell are read-modify-writes and loom can put them in one order.
    words[bell].swap(1, Relaxed);
    // Pairs with the fence in `Producer::push`.
    fence(SeqCst);
}

/// Says that the consumer is awake. A producer that has already claimed the bell wakes it once for nothing.
pub(crate) fn silence_bell(words: &[AtomicU64], bell: usize) {
    words[bell].swap(0, Relaxed);
}
