//! Requests in progress whose senders have shown nothing ([`proven`](super::proven)): how many of each source.

use crate::flow::Flow;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Where such a request came from, and whether it is an INVITE: neither kind takes the places of the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Source {
    /// An IPv4 address, or the /64 that one IPv6 host has for itself.
    block: IpAddr,
    is_invite: bool,
}

impl Source {
    pub(crate) fn of(flow: &Flow, is_invite: bool) -> Self {
        Self { block: block(flow.remote.ip()), is_invite }
    }
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
    by_source: HashMap<Source, usize>,
}

impl Strangers {
    /// Requests in progress of one source.
    pub(crate) fn count_of(&self, source: Source) -> usize {
        self.by_source.get(&source).copied().unwrap_or_default()
    }

    /// A request has come.
    pub(crate) fn enter(&mut self, source: Source) {
        *self.by_source.entry(source).or_default() += 1;
    }

    /// It is over, or its sender has shown where it is.
    pub(crate) fn leave(&mut self, source: Source) {
        match self.by_source.get_mut(&source) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.by_source.remove(&source)),
        }
    }
}
