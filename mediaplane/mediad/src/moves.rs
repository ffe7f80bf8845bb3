//! Legs on their way from one worker to another.

use crate::owners::Owned;
use contract::RefuseReason;
use crossbeam::queue::ArrayQueue;
use media_core::MovingLeg;

/// Legs that wait for one worker.
const BOX_COUNT: usize = 1_024;

pub(crate) struct Parcel {
    pub(crate) moving: MovingLeg,
    pub(crate) owned: Owned,
    /// Where it comes from, and goes back to.
    pub(crate) from: u8,
    /// It comes back, for this reason.
    pub(crate) refused: Option<RefuseReason>,
}

/// One letter box per worker.
pub(crate) struct MoveBoxes(Box<[ArrayQueue<Box<Parcel>>]>);

impl MoveBoxes {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| ArrayQueue::new(BOX_COUNT)).collect())
    }

    /// Gives the parcel back where the box is full.
    pub(crate) fn send(&self, worker: u8, parcel: Box<Parcel>) -> Result<(), Box<Parcel>> {
        match self.0.get(usize::from(worker)) {
            Some(letters) => letters.push(parcel),
            None => Err(parcel),
        }
    }

    pub(crate) fn receive(&self, worker: u8) -> Option<Box<Parcel>> {
        self.0.get(usize::from(worker))?.pop()
    }

    pub(crate) fn is_empty(&self, worker: u8) -> bool {
        self.0.get(usize::from(worker)).is_none_or(ArrayQueue::is_empty)
    }

    pub(crate) fn workers(&self) -> usize {
        self.0.len()
    }
}
