//! How many calls one source may have waiting for their answer or for its ACK, across all shards: a datagram's source may
//! be forged, and a call that is never acknowledged holds its place for half a minute (RFC 3261 §13.3.1.4).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a source has shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Standing {
    /// Nothing: its address may be forged.
    Unproven,
    /// It gets what we send there.
    #[default]
    Proven,
    /// The operator knows it: it has no limit of its own.
    Trusted,
}

/// How many calls may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourceLimits {
    /// Of a source that has shown nothing.
    pub unproven: usize,
    /// Of one that has shown that it gets our answers.
    pub proven: usize,
    /// Of all that have shown nothing.
    pub all_unproven: usize,
}

impl SourceLimits {
    /// A quarter of all calls for a source that is proven, half of them for all that are not.
    pub fn of(unproven: usize, max_calls: usize) -> Self {
        Self { unproven, proven: unproven.max(max_calls / 4), all_unproven: unproven.max(max_calls / 2) }
    }
}

/// Counts the calls of each source that wait. A clone counts in the same place: give one to every shard, because a source's
/// calls fall on all of them.
#[derive(Clone, Debug)]
pub struct Sources {
    limits: SourceLimits,
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    /// Only sources that have a call waiting; the shards' limits of calls bound it.
    waiting: HashMap<IpAddr, usize>,
    unproven_count: usize,
}

/// The place of a call among those that wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Seat {
    #[default]
    None,
    Unproven,
    Proven,
}

impl Sources {
    /// With these limits.
    pub fn new(limits: SourceLimits) -> Self {
        Self { limits, table: Arc::default() }
    }

    /// Whether another call from there may come.
    pub fn has_room(&self, source: IpAddr, standing: Standing) -> bool {
        self.table().has_room(&self.limits, block(source), standing)
    }

    /// Sources that have a call waiting, and calls of sources that have shown nothing.
    pub fn counts(&self) -> (usize, usize) {
        let table = self.table();
        (table.waiting.len(), table.unproven_count)
    }

    /// One more call waits, unless that were too many.
    pub(crate) fn enter(&self, source: IpAddr, standing: Standing) -> Option<Seat> {
        let mut table = self.table();
        if !table.has_room(&self.limits, block(source), standing) {
            return None;
        }
        let seat = match standing {
            Standing::Trusted => return Some(Seat::None),
            Standing::Proven => Seat::Proven,
            Standing::Unproven => Seat::Unproven,
        };
        table.unproven_count += usize::from(seat == Seat::Unproven);
        *table.waiting.entry(block(source)).or_default() += 1;
        Some(seat)
    }

    /// One call less.
    pub(crate) fn leave(&self, source: IpAddr, seat: Seat) {
        if seat == Seat::None {
            return;
        }
        let mut table = self.table();
        table.unproven_count = table.unproven_count.saturating_sub(usize::from(seat == Seat::Unproven));
        match table.waiting.get_mut(&block(source)) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(table.waiting.remove(&block(source))),
        }
    }

    /// Nothing panics while it is held, and numbers stay numbers.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn has_room(&self, limits: &SourceLimits, source: IpAddr, standing: Standing) -> bool {
        let waiting = || self.waiting.get(&source).copied().unwrap_or_default();
        match standing {
            Standing::Trusted => true,
            Standing::Proven => waiting() < limits.proven,
            Standing::Unproven => waiting() < limits.unproven && self.unproven_count < limits.all_unproven,
        }
    }
}

/// An IPv4 address, or the /64 that one IPv6 host has for itself.
fn block(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from(u128::from(ip) & !u128::from(u64::MAX))),
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Standing::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_has_so_many_and_all_strangers_together() {
        let sources = Sources::new(SourceLimits { unproven: 2, proven: 3, all_unproven: 3 });
        let (one, other) = (ip("192.0.2.1"), ip("192.0.2.2"));
        let shared = sources.clone();
        assert_eq!(sources.enter(one, Unproven), Some(Seat::Unproven));
        assert_eq!(shared.enter(ip("::ffff:192.0.2.1"), Unproven), Some(Seat::Unproven), "the same host");
        assert_eq!(sources.enter(one, Unproven), None);
        assert_eq!(sources.enter(one, Proven), Some(Seat::Proven));
        assert_eq!((sources.enter(one, Proven), sources.enter(one, Trusted)), (None, Some(Seat::None)));
        assert_eq!(sources.enter(other, Unproven), Some(Seat::Unproven));
        let third = ip("192.0.2.3");
        assert!(!sources.has_room(third, Unproven) && sources.has_room(third, Proven));
        for seat in [Seat::Unproven, Seat::Unproven, Seat::Proven, Seat::None] {
            sources.leave(one, seat);
        }
        assert_eq!((sources.counts(), sources.has_room(third, Unproven)), ((1, 1), true));
        sources.leave(other, Seat::Unproven);
        assert_eq!(sources.counts(), (0, 0));
    }

    #[test]
    fn an_ipv6_host_is_its_network() {
        let sources = Sources::new(SourceLimits { unproven: 1, proven: 1, all_unproven: 9 });
        assert!(sources.enter(ip("2001:db8::1"), Unproven).is_some());
        assert_eq!(sources.enter(ip("2001:db8::ffff:1"), Unproven), None);
        assert!(sources.enter(ip("2001:db8:0:1::1"), Unproven).is_some());
    }
}
