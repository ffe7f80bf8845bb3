//! Requests in progress whose senders have shown nothing ([`proven`](super::proven)): how many of each source.

use crate::table::hash::{Index, Key, give_back};
use std::net::{IpAddr, Ipv6Addr};

/// Where such a request came from, and whether it is an INVITE: neither kind takes the places of the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Source {
    /// The source's key ([`source_key`](super::quota::source_key)).
    pub(crate) key: Key,
    pub(crate) is_invite: bool,
}

/// An IPv4 address, or the /64 that one IPv6 host has for itself.
pub(crate) fn block(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from(u128::from(ip) & !u128::from(u64::MAX))),
        four => four,
    }
}

/// The counts. Only sources with a request in progress are in the table.
#[derive(Default)]
pub(crate) struct Strangers {
    invites: Index<usize>,
    others: Index<usize>,
}

impl Strangers {
    /// Requests in progress of one source.
    pub(crate) fn count_of(&self, source: Source) -> usize {
        let counts = if source.is_invite { &self.invites } else { &self.others };
        counts.get(&source.key).copied().unwrap_or_default()
    }

    /// A request has come.
    pub(crate) fn enter(&mut self, source: Source) {
        *self.counts(source).entry(source.key).or_default() += 1;
    }

    /// It is over, or its sender has shown where it is.
    pub(crate) fn leave(&mut self, source: Source) {
        let counts = self.counts(source);
        match counts.get_mut(&source.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&source.key)),
        }
    }

    fn counts(&mut self, source: Source) -> &mut Index<usize> {
        if source.is_invite { &mut self.invites } else { &mut self.others }
    }

    /// Gives room back that a rush of sources needed.
    pub(crate) fn sweep(&mut self) {
        give_back(&mut self.invites);
        give_back(&mut self.others);
    }
}
