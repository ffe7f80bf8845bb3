//! Packets of sources that have yet to show that they are the peer: kept for a moment, so that none of a peer behind a NAT
//! is lost. One store for all legs of a worker, set aside at the start; where it is full, what comes more is dropped.

use clock::Instant;

/// Packets that one source may have in here; of a source of a call that is not answered yet, the last few.
pub(crate) const HELD_MAX: u8 = 16;
pub(crate) const HELD_EARLY_MAX: u8 = 4;
/// Longer packets are not kept: 60 ms of G.711 fit.
const SLOT_BYTES: usize = 512;
/// Packets of all sources.
const SLOTS_MAX: usize = 1_024;
const NONE: u16 = u16::MAX;

/// The store.
#[derive(Debug)]
pub(crate) struct HeldPackets {
    bytes: Box<[u8]>,
    slots: Box<[Slot]>,
    free: u16,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    at: Instant,
    bytes: u16,
    next: u16,
}

/// The packets of one source, oldest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HeldList {
    first: u16,
    last: u16,
    count: u8,
}

impl Default for HeldList {
    fn default() -> Self {
        Self { first: NONE, last: NONE, count: 0 }
    }
}

impl HeldPackets {
    /// For a worker with so many legs. Pages are touched when they are needed.
    pub(crate) fn new(leg_limit: usize) -> Self {
        let count = (usize::from(HELD_MAX) * leg_limit).min(SLOTS_MAX);
        let slot = |place: usize| {
            let next = if place + 1 < count { (place + 1) as u16 } else { NONE };
            Slot { at: Instant::ZERO, bytes: 0, next }
        };
        let free = if count > 0 { 0 } else { NONE };
        Self { bytes: vec![0; count * SLOT_BYTES].into(), slots: (0..count).map(slot).collect(), free }
    }

    /// Keeps a packet behind the others of its list. Where the list has `most` the oldest one goes. Says how many were
    /// lost by that: none, the oldest, or this one.
    pub(crate) fn push(&mut self, list: &mut HeldList, packet: &[u8], at: Instant, most: u8) -> u64 {
        let lost = u64::from(list.count >= most && self.drop_first(list));
        let slot = self.free;
        let Some(place) = self.slots.get_mut(usize::from(slot)).filter(|_| packet.len() <= SLOT_BYTES) else {
            return lost + 1;
        };
        self.free = place.next;
        *place = Slot { at, bytes: packet.len() as u16, next: NONE };
        self.bytes[usize::from(slot) * SLOT_BYTES..][..packet.len()].copy_from_slice(packet);
        match self.slots.get_mut(usize::from(list.last)) {
            Some(last) => last.next = slot,
            None => list.first = slot,
        }
        (list.last, list.count) = (slot, list.count + 1);
        lost
    }

    /// The oldest packet and when it came; it stays until [`Self::drop_first`].
    pub(crate) fn first(&self, list: &HeldList) -> Option<(&[u8], Instant)> {
        let slot = self.slots.get(usize::from(list.first))?;
        Some((&self.bytes[usize::from(list.first) * SLOT_BYTES..][..usize::from(slot.bytes)], slot.at))
    }

    /// Lets the oldest packet go.
    pub(crate) fn drop_first(&mut self, list: &mut HeldList) -> bool {
        let Some(slot) = self.slots.get_mut(usize::from(list.first)) else { return false };
        let (freed, next) = (list.first, slot.next);
        slot.next = self.free;
        self.free = freed;
        (list.first, list.count) = (next, list.count - 1);
        if next == NONE {
            list.last = NONE;
        }
        true
    }

    /// Lets them all go; says how many they were.
    pub(crate) fn drop_all(&mut self, mut list: HeldList) -> u64 {
        let count = list.count.into();
        while self.drop_first(&mut list) {}
        count
    }

    #[cfg(test)]
    pub(crate) fn free_count(&self) -> usize {
        std::iter::successors(self.slots.get(usize::from(self.free)), |slot| self.slots.get(usize::from(slot.next)))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_back_in_order_and_nothing_leaks() {
        let mut store = HeldPackets::new(2);
        let all = store.free_count();
        assert_eq!(all, 2 * usize::from(HELD_MAX));
        let (mut one, mut other) = (HeldList::default(), HeldList::default());
        let lost: u64 = (0..20).map(|n| store.push(&mut one, &[n], Instant::ZERO, HELD_MAX)).sum();
        assert_eq!(lost, 4, "the oldest ones");
        assert_eq!((0..20).map(|n| store.push(&mut other, &[n], Instant::ZERO, 20)).sum::<u64>(), 4, "no room");
        assert_eq!(store.push(&mut HeldList::default(), &[0; SLOT_BYTES + 1], Instant::ZERO, HELD_MAX), 1, "too long");
        for n in 4..20 {
            assert_eq!(store.first(&one).map(|(bytes, _)| bytes), Some(&[n][..]));
            assert!(store.drop_first(&mut one));
        }
        assert!(store.first(&one).is_none() && !store.drop_first(&mut one));
        assert_eq!(store.drop_all(other), 16);
        assert_eq!(store.free_count(), all);
    }
}
