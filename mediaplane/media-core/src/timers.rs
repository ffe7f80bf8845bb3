//! A wheel for what is slow: RTCP reports and media timeouts. A leg is in it at most once, at its next point of time.

use crate::leg::{Leg, LegIndex, NOWHERE};
use clock::Instant;

/// Points in the wheel; with the one below, one turn takes 10 s.
const SLOTS: u64 = 1_024;
/// Nothing here is more exact than this.
const STEP_NANOS: u64 = 10_000_000;
const WORDS: usize = SLOTS as usize / 64;

#[derive(Debug)]
pub(crate) struct Timers {
    heads: Box<[LegIndex; SLOTS as usize]>,
    occupied: [u64; WORDS],
    /// Every point up to this one was looked at.
    done: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Self { heads: Box::new([LegIndex::NONE; SLOTS as usize]), occupied: [0; WORDS], done: 0 }
    }
}

impl Timers {
    /// Wakes the leg at `at`, or earlier if that is more than a turn away: who is woken looks what is due. What was
    /// planned before is forgotten.
    pub(crate) fn plan(&mut self, legs: &mut [Leg], place: usize, now: Instant, at: Instant) {
        self.cancel(legs, place);
        if at == Instant::FAR_FUTURE {
            return;
        }
        let base = self.done.max(now.as_nanos() / STEP_NANOS);
        let point = at.as_nanos().div_ceil(STEP_NANOS).clamp(base + 1, base + SLOTS - 1);
        let slot = (point % SLOTS) as usize;
        let (index, next) = (LegIndex::new(place), self.heads[slot]);
        let links = &mut legs[place].links;
        (links.timer, links.timer_before, links.timer_after) = (slot as u16, LegIndex::NONE, next);
        links.timer_point = point;
        if let Some(next) = next.get() {
            legs[next].links.timer_before = index;
        }
        self.heads[slot] = index;
        self.occupied[slot / 64] |= 1 << (slot % 64);
    }

    pub(crate) fn cancel(&mut self, legs: &mut [Leg], place: usize) {
        let links = legs[place].links;
        if links.timer == NOWHERE {
            return;
        }
        let slot = usize::from(links.timer);
        match links.timer_before.get() {
            Some(before) => legs[before].links.timer_after = links.timer_after,
            None => self.heads[slot] = links.timer_after,
        }
        if let Some(after) = links.timer_after.get() {
            legs[after].links.timer_before = links.timer_before;
        }
        if self.heads[slot] == LegIndex::NONE {
            self.occupied[slot / 64] &= !(1 << (slot % 64));
        }
        let links = &mut legs[place].links;
        (links.timer, links.timer_before, links.timer_after) = (NOWHERE, LegIndex::NONE, LegIndex::NONE);
    }

    /// Takes one leg out whose time came; call until there is none.
    pub(crate) fn pop(&mut self, legs: &mut [Leg], now: Instant) -> Option<usize> {
        let now_point = now.as_nanos() / STEP_NANOS;
        // After a pause of more than a turn each slot is looked at once.
        self.done = self.done.max(now_point.saturating_sub(SLOTS));
        while self.done < now_point {
            let slot = ((self.done + 1) % SLOTS) as usize;
            // After a pause a slot may already hold legs of the next turn.
            let mut next = self.heads[slot];
            while let Some(place) = next.get() {
                if legs[place].links.timer_point <= now_point {
                    self.cancel(legs, place);
                    return Some(place);
                }
                next = legs[place].links.timer_after;
            }
            self.done += 1;
        }
        None
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let first = self.done + 1;
        let start = (first % SLOTS) as usize;
        for step in 0..=WORDS {
            let word = (start / 64 + step) % WORDS;
            let mut bits = self.occupied[word];
            if step == 0 {
                bits &= u64::MAX << (start % 64);
            }
            if bits != 0 {
                let slot = word * 64 + bits.trailing_zeros() as usize;
                let wait = (slot + SLOTS as usize - start) % SLOTS as usize;
                return Some(Instant::from_nanos((first + wait as u64) * STEP_NANOS));
            }
        }
        None
    }
}
