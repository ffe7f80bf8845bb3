//! Deadlines of everything an endpoint holds: a binary heap with lazy deletion.
//!
//! A thing keeps its own deadline and the instant it is armed for. A deadline that moves later costs nothing: the old
//! entry fires, sees that it came too early, and is put back. Entries of things that ended are skipped, and swept when
//! they outnumber the living.

use crate::table::slab::Handle;
use clock::Instant;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What a deadline belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Owner {
    Server(Handle),
    Client(Handle),
    Dialog(Handle),
    Subscription(Handle),
}

/// Below this many entries a sweep is not worth it.
const SWEEP_FROM_COUNT: usize = 1024;

/// The deadline of one thing and when the queue will look at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alarm {
    armed_for: Instant,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { armed_for: Instant::FAR_FUTURE }
    }
}

/// The queue of deadlines.
#[derive(Default)]
pub(crate) struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, Owner)>>,
}

impl Deadlines {
    /// Makes sure that `owner` is looked at no later than `deadline`.
    pub(crate) fn arm(&mut self, alarm: &mut Alarm, owner: Owner, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if deadline < alarm.armed_for {
            alarm.armed_for = deadline;
            self.heap.push(Reverse((deadline, owner)));
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// The next thing to look at, when its time has come. The caller tells its alarm with [`fired`](Self::fired).
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Instant, Owner)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// Whether the entry that fired at `at` is the one that the alarm waits for; older ones are of no use.
    pub(crate) fn fired(alarm: &mut Alarm, at: Instant) -> bool {
        if alarm.armed_for == at {
            alarm.armed_for = Instant::FAR_FUTURE;
            return true;
        }
        false
    }

    /// Drops the entries of things that ended, once they are the most, and gives back room that a rush needed.
    pub(crate) fn sweep(&mut self, live_count: usize, is_live: impl Fn(Owner) -> bool) {
        if self.heap.len() > SWEEP_FROM_COUNT && self.heap.len() / 4 > live_count {
            self.heap.retain(|Reverse((_, owner))| is_live(*owner));
        }
        if self.heap.capacity() > SWEEP_FROM_COUNT && self.heap.len() < self.heap.capacity() / 8 {
            self.heap.shrink_to(2 * self.heap.len());
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.heap.len()
    }
}
