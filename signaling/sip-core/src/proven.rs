//! Who has shown that it gets what we send to its address. A datagram's source may be forged, and until its owner has
//! answered something that only it can have seen, no more goes there than three times what came from there.

use crate::flow::Flow;
use crate::hash::{Index, Key, Keyed};
use clock::{Duration, Instant};
use std::net::IpAddr;

/// How long that counts.
const MEMORY: Duration = Duration::from_secs(600);
/// Sources that are remembered at once; further ones are not until others are forgotten.
const SOURCES_MAX: usize = 65_536;
/// How many times the bytes of a request its answers may have, all copies together, where nothing is shown yet.
const ANSWER_FACTOR: u64 = 3;

/// Addresses with port, by when they showed it last.
#[derive(Default)]
pub(crate) struct Proven(Index<Instant>);

impl Proven {
    pub(crate) fn note(&mut self, now: Instant, keyed: &Keyed, flow: &Flow) {
        if flow.transport.is_reliable() {
            return; // its connection shows it
        }
        if self.0.len() >= SOURCES_MAX {
            self.0.retain(|_, seen| now.since(*seen) < MEMORY);
        }
        let key = key(keyed, flow);
        if self.0.len() < SOURCES_MAX || self.0.contains_key(&key) {
            self.0.insert(key, now);
        }
    }

    pub(crate) fn has(&self, now: Instant, keyed: &Keyed, flow: &Flow) -> bool {
        flow.transport.is_reliable() || self.0.get(&key(keyed, flow)).is_some_and(|seen| now.since(*seen) < MEMORY)
    }
}

fn key(keyed: &Keyed, flow: &Flow) -> Key {
    let ip = match flow.remote.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    keyed.key(&[b"source", &ip.octets(), &flow.remote.port().to_be_bytes()])
}

/// What came and went in one transaction of a peer's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Budget {
    received_bytes: u32,
    sent_bytes: u32,
}

impl Budget {
    pub(crate) fn received(&mut self, count: usize) {
        self.received_bytes = self.received_bytes.saturating_add(count.min(u32::MAX as usize) as u32);
    }

    pub(crate) fn sent(&mut self, count: usize) {
        self.sent_bytes = self.sent_bytes.saturating_add(count.min(u32::MAX as usize) as u32);
    }

    /// Whether another copy of so many bytes may go where nothing is shown yet.
    pub(crate) fn has_room(&self, count: usize) -> bool {
        u64::from(self.sent_bytes) + count as u64 <= ANSWER_FACTOR * u64::from(self.received_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Transport;

    fn flow(host: u32, port: u16) -> Flow {
        let local = "192.0.2.1:5060".parse().unwrap();
        Flow::udp(local, (std::net::Ipv4Addr::from(host), port).into())
    }

    #[test]
    fn a_source_counts_for_a_while_and_with_its_port() {
        let (mut proven, keyed, at) = (Proven::default(), Keyed::new(1), |s| Instant::ZERO + Duration::from_secs(s));
        proven.note(at(1), &keyed, &flow(7, 5060));
        assert!(proven.has(at(600), &keyed, &flow(7, 5060)) && !proven.has(at(601), &keyed, &flow(7, 5060)));
        assert!(!proven.has(at(2), &keyed, &flow(7, 5061)) && !proven.has(at(2), &keyed, &flow(8, 5060)));
        assert!(proven.has(at(2), &keyed, &Flow { transport: Transport::Tcp, ..flow(9, 1) }));
    }

    #[test]
    fn only_so_many_are_remembered_and_old_ones_make_room() {
        let (mut proven, keyed) = (Proven::default(), Keyed::new(1));
        for host in 0..SOURCES_MAX as u32 + 10 {
            proven.note(Instant::ZERO, &keyed, &flow(host, 5060));
        }
        assert_eq!(proven.0.len(), SOURCES_MAX);
        assert!(!proven.has(Instant::ZERO, &keyed, &flow(SOURCES_MAX as u32 + 1, 5060)));
        let later = Instant::ZERO + MEMORY;
        proven.note(later, &keyed, &flow(u32::MAX, 5060));
        assert_eq!(proven.0.len(), 1);
    }

    #[test]
    fn a_budget_is_three_times_what_came() {
        let mut budget = Budget::default();
        budget.received(500);
        budget.sent(1_000);
        assert!(budget.has_room(500) && !budget.has_room(501));
        budget.received(500);
        assert!(budget.has_room(2_000));
    }
}
