//! When frames are made: the 20 ms frame (and those of 10, 30, 40, 60 ms) cut into slots of 1 ms.
//!
//! A leg keeps its slot: its frames are due at fixed points of absolute time, so nothing drifts.

use crate::leg::{Leg, LegIndex, NOWHERE};
use clock::{Duration, Instant};

/// Packet lengths in milliseconds that a leg may have.
const PTIMES: [u8; 5] = [10, 20, 30, 40, 60];
/// Where the slots of each packet length begin.
const STARTS: [u16; 5] = [0, 10, 30, 60, 100];
/// Slots of all packet lengths together.
const SLOTS: usize = 160;
/// After so many milliseconds all packet lengths meet again.
const ROUND_MS: usize = 120;
const NANOS_PER_MS: u64 = 1_000_000;

/// Which legs are due in which millisecond.
#[derive(Debug)]
pub(crate) struct Pace {
    heads: [LegIndex; SLOTS],
    /// For each packet length, which of its slots have a leg.
    occupied: [u64; 5],
    /// Frames due in each millisecond of a round.
    load: [u16; ROUND_MS],
    /// Everything up to this millisecond was made.
    done_ms: u64,
}

/// A slot that is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub(crate) slot: u16,
    pub(crate) ptime_ms: u8,
    pub(crate) due_ms: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { heads: [LegIndex::NONE; SLOTS], occupied: [0; 5], load: [0; ROUND_MS], done_ms: 0 }
    }
}

pub(crate) fn whole_ms(at: Instant) -> u64 {
    at.as_nanos() / NANOS_PER_MS
}

pub(crate) fn instant_of(ms: u64) -> Instant {
    Instant::from_nanos(ms.saturating_mul(NANOS_PER_MS))
}

impl Pace {
    /// Puts a leg into the emptiest slot for its packet length; its first frame is due within one packet from `now`.
    pub(crate) fn join(&mut self, legs: &mut [Leg], index: LegIndex, ptime_ms: u8, now: Instant) {
        self.join_between(legs, index, ptime_ms, (now, Duration::from_millis(ptime_ms.into())));
    }

    /// Puts a leg into the emptiest of the slots for its packet length that are due in a time: from an instant, and so long.
    pub(crate) fn join_between(
        &mut self,
        legs: &mut [Leg],
        index: LegIndex,
        ptime_ms: u8,
        (from, within): (Instant, Duration),
    ) {
        let kind = PTIMES.iter().position(|ptime| *ptime == ptime_ms).unwrap_or(1);
        let period = usize::from(PTIMES[kind]);
        let after = self.done_ms.max(whole_ms(from)) + 1;
        let choices = (within.as_millis() as usize).clamp(1, period);
        // Among equally empty slots the one that comes first: audio begins sooner.
        let first = (after % period as u64) as usize;
        let emptiest = (0..choices)
            .map(|step| (first + step) % period)
            .min_by_key(|phase| self.load.iter().skip(*phase).step_by(period).max().copied())
            .unwrap_or(0);
        self.add(legs, index, kind, emptiest);
        let wait = (emptiest + period - first) % period;
        if let Some(leg) = index.get().and_then(|place| legs.get_mut(place)) {
            leg.making.next_due_ms = after + wait as u64;
        }
    }

    /// Puts a leg that comes from another worker into the slot that it had there.
    pub(crate) fn rejoin(&mut self, legs: &mut [Leg], index: LegIndex, slot: u16) {
        let kind = kind_of(slot);
        self.add(legs, index, kind, usize::from(slot - STARTS[kind]));
    }

    fn add(&mut self, legs: &mut [Leg], index: LegIndex, kind: usize, phase: usize) {
        let slot = usize::from(STARTS[kind]) + phase;
        let Some(place) = index.get() else { return };
        let next = self.heads[slot];
        let links = &mut legs[place].links;
        debug_assert_eq!(links.slot, NOWHERE);
        (links.slot, links.slot_before, links.slot_after) = (slot as u16, LegIndex::NONE, next);
        if let Some(next) = next.get() {
            legs[next].links.slot_before = index;
        }
        self.heads[slot] = index;
        self.occupied[kind] |= 1 << phase;
        self.load.iter_mut().skip(phase).step_by(usize::from(PTIMES[kind])).for_each(|load| *load += 1);
    }

    /// Takes a leg out; nothing happens where it is in no slot.
    pub(crate) fn leave(&mut self, legs: &mut [Leg], place: usize) {
        let links = legs[place].links;
        if links.slot == NOWHERE {
            return;
        }
        let kind = kind_of(links.slot);
        let phase = usize::from(links.slot - STARTS[kind]);
        match links.slot_before.get() {
            Some(before) => legs[before].links.slot_after = links.slot_after,
            None => self.heads[usize::from(links.slot)] = links.slot_after,
        }
        if let Some(after) = links.slot_after.get() {
            legs[after].links.slot_before = links.slot_before;
        }
        if self.heads[usize::from(links.slot)] == LegIndex::NONE {
            self.occupied[kind] &= !(1 << phase);
        }
        self.load.iter_mut().skip(phase).step_by(usize::from(PTIMES[kind])).for_each(|load| *load -= 1);
        let links = &mut legs[place].links;
        (links.slot, links.slot_before, links.slot_after) = (NOWHERE, LegIndex::NONE, LegIndex::NONE);
    }

    /// First leg of a slot.
    pub(crate) fn head(&self, slot: u16) -> LegIndex {
        self.heads[usize::from(slot)]
    }

    /// Names each slot that fell due up to `now`, once, in the order of their last due time.
    pub(crate) fn advance(&mut self, now: Instant, mut due: impl FnMut(Due)) {
        let now_ms = whole_ms(now);
        let longest = u64::from(PTIMES[PTIMES.len() - 1]);
        let from = (self.done_ms + 1).max((now_ms + 1).saturating_sub(longest));
        for due_ms in from..=now_ms {
            for (kind, ptime_ms) in PTIMES.into_iter().enumerate() {
                let (period, phase) = (u64::from(ptime_ms), due_ms % u64::from(ptime_ms));
                let again = due_ms + period <= now_ms;
                if !again && self.occupied[kind] & (1 << phase) != 0 {
                    due(Due { slot: STARTS[kind] + phase as u16, ptime_ms, due_ms });
                }
            }
        }
        self.done_ms = self.done_ms.max(now_ms);
    }

    /// When the next slot is due that has a leg.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let wait = |(occupied, ptime): (&u64, u8)| {
            let (period, next) = (u64::from(ptime), self.done_ms + 1);
            let phase = next % period;
            match (occupied >> phase, *occupied) {
                (_, 0) => None,
                (0, all) => Some(next + period - phase + u64::from(all.trailing_zeros())),
                (ahead, _) => Some(next + u64::from(ahead.trailing_zeros())),
            }
        };
        self.occupied.iter().zip(PTIMES).filter_map(wait).min().map(instant_of)
    }
}

fn kind_of(slot: u16) -> usize {
    STARTS.iter().rposition(|start| *start <= slot).unwrap_or(0)
}

/// Whether packets of a slot have this length.
pub(crate) fn has_length(slot: u16, ptime_ms: u8) -> bool {
    PTIMES[kind_of(slot)] == ptime_ms
}

/// How many frames a leg missed that was due at `next_due_ms` and is made at `due_ms` only.
pub(crate) fn missed(next_due_ms: u64, due_ms: u64, ptime_ms: u8) -> u64 {
    due_ms.saturating_sub(next_due_ms) / u64::from(ptime_ms)
}

/// How late a frame is.
pub(crate) fn lateness(now: Instant, due_ms: u64) -> Duration {
    now.since(instant_of(due_ms))
}
