//! Who has shown that it gets what we send to its address. A datagram's source may be forged, and until its owner has
//! answered something that only it can have seen, no more goes there than three times what came from there.

use crate::flow::Flow;
use crate::table::hash::{Index, Key, Keyed};
use crate::transactions::quota::source_key;
use clock::{Duration, Instant};
use std::net::IpAddr;

/// How long that counts.
const MEMORY: Duration = Duration::from_secs(600);
/// Sources that are remembered at once; further ones are not until others are forgotten.
const SOURCES_MAX: usize = 65_536;
/// How many of them may be of one host (an IPv4 address or an IPv6 /64), which has as many ports and addresses as it likes.
const SOURCES_OF_HOST_MAX: usize = SOURCES_MAX / 16;
/// How many times the bytes of a request its answers may have, all of them together, where nothing is shown yet.
pub(crate) const ANSWER_FACTOR: usize = 3;
/// What provisional answers leave for the final one. After the first of them a client repeats its INVITE no more
/// (RFC 3261 §17.1.1.2), so that a final answer for which nothing is left could not be earned any more.
const FINAL_BYTES: usize = 600;
/// What copies of a final answer leave, after the first: our BYE, should no ACK come.
const BYE_BYTES: usize = 450;
/// What 100 Trying leaves: it says the least of all.
const AFTER_TRYING_BYTES: usize = 350 + FINAL_BYTES;

/// How often those that count no more are looked for, while there is no room.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Addresses with port, by when they were noted last.
pub(crate) struct Sources {
    keyed: Keyed,
    seen: Index<Seen>,
    /// How many of them each host has.
    count_by_host: Index<usize>,
    swept_at: Option<Instant>,
}

struct Seen {
    at: Instant,
    /// The key of the host.
    host: Key,
}

impl Sources {
    pub(crate) fn new(keyed: Keyed) -> Self {
        Self { keyed, seen: Index::default(), count_by_host: Index::default(), swept_at: None }
    }

    /// Notes a source: `key` stands for its address with port, `ip` is the address.
    pub(crate) fn note(&mut self, now: Instant, key: Key, ip: IpAddr) {
        if let Some(seen) = self.seen.get_mut(&key) {
            seen.at = now;
            return;
        }
        let host = source_key(&self.keyed, ip);
        if !self.has_room_for(&host) && self.swept_at.is_none_or(|swept| now.since(swept) >= SWEEP_EVERY) {
            self.swept_at = Some(now);
            self.sweep(now);
        }
        if self.has_room_for(&host) {
            self.seen.insert(key, Seen { at: now, host });
            *self.count_by_host.entry(host).or_default() += 1;
        }
    }

    pub(crate) fn has(&self, now: Instant, key: &Key) -> bool {
        self.seen.get(key).is_some_and(|seen| now.since(seen.at) < MEMORY)
    }

    fn has_room_for(&self, host: &Key) -> bool {
        let of_host = self.count_by_host.get(host).copied().unwrap_or_default();
        self.seen.len() < SOURCES_MAX && of_host < SOURCES_OF_HOST_MAX
    }

    /// Forgets sources that count no more.
    fn sweep(&mut self, now: Instant) {
        let Self { seen, count_by_host, .. } = self;
        seen.retain(|_, seen| {
            let counts = now.since(seen.at) < MEMORY;
            if !counts {
                match count_by_host.get_mut(&seen.host) {
                    Some(count) if *count > 1 => *count -= 1,
                    _ => drop(count_by_host.remove(&seen.host)),
                }
            }
            counts
        });
    }
}

/// Sources that have shown that they get what is sent to them. A connection shows it by itself.
pub(crate) struct Proven(Sources);

impl Proven {
    pub(crate) fn new(keyed: Keyed) -> Self {
        Self(Sources::new(keyed))
    }

    /// The peer at `address`, of the host `ip`, has shown it.
    pub(crate) fn note(&mut self, now: Instant, address: Address, ip: IpAddr) {
        if let Address::Datagrams(key) = address {
            self.0.note(now, key, ip);
        }
    }

    pub(crate) fn has(&self, now: Instant, address: &Address) -> bool {
        match address {
            Address::Datagrams(key) => self.0.has(now, key),
            Address::Connection => true,
        }
    }
}

/// The other end of a flow, as the table of proven sources knows it.
#[derive(Clone, Copy)]
pub(crate) enum Address {
    /// Host and port: a datagram's source may be forged.
    Datagrams(Key),
    /// A connection, which shows by itself that its other end gets what is sent.
    Connection,
}

impl Address {
    pub(crate) fn of(keyed: &Keyed, flow: &Flow) -> Self {
        match flow.transport.is_reliable() {
            true => Self::Connection,
            false => Self::Datagrams(address_key(keyed, flow)),
        }
    }
}

/// Stands for host and port of the other end.
pub(crate) fn address_key(keyed: &Keyed, flow: &Flow) -> Key {
    keyed.key(&[b"source", &address_bytes(flow)])
}

/// Host and port of the other end.
pub(crate) fn address_bytes(flow: &Flow) -> [u8; 18] {
    let ip = match flow.remote.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut bytes = [0; 18];
    bytes[..16].copy_from_slice(&ip.octets());
    bytes[16..].copy_from_slice(&flow.remote.port().to_be_bytes());
    bytes
}

/// What came and went in one transaction of a peer's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Budget {
    received_bytes: u32,
    sent_bytes: u32,
    gone: Gone,
    /// The last answer did not go for want of room: the next copy of the request gets it.
    is_owing: bool,
}

/// Which answers have left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Gone {
    #[default]
    Nothing,
    Provisional,
    Final,
    Copies,
}

impl Budget {
    /// Of a request of so many bytes.
    pub(crate) fn of(received: usize) -> Self {
        let mut budget = Self::default();
        budget.received(received);
        budget
    }

    pub(crate) fn received(&mut self, count: usize) {
        self.received_bytes = self.received_bytes.saturating_add(count.min(u32::MAX as usize) as u32);
    }

    /// Whether this answer, or this copy of one, goes now; it is counted then. Where nothing is shown yet, all together
    /// take no more than three times what came; only a first final answer after provisional ones always goes.
    pub(crate) fn admits(&mut self, is_proven: bool, answer: &[u8]) -> bool {
        let status = status_of(answer);
        let reserve = match status {
            ..=100 => AFTER_TRYING_BYTES,
            101..200 => FINAL_BYTES,
            _ if self.gone == Gone::Copies => BYE_BYTES,
            _ => 0,
        };
        let is_awaited = status >= 200 && self.gone == Gone::Provisional;
        let goes = is_proven || is_awaited || self.has_room(answer.len().saturating_add(reserve));
        self.is_owing = !goes && status > 100;
        if goes {
            self.sent_bytes = self.sent_bytes.saturating_add(answer.len().min(u32::MAX as usize) as u32);
            self.gone = match self.gone {
                Gone::Final | Gone::Copies => Gone::Copies,
                _ if status >= 200 => Gone::Final,
                _ => Gone::Provisional,
            };
        }
        goes
    }

    /// Whether an answer waits for a copy of the request.
    pub(crate) fn is_owing(&self) -> bool {
        self.is_owing
    }

    /// Whether so many more bytes may go where nothing is shown yet.
    pub(crate) fn has_room(&self, count: usize) -> bool {
        u64::from(self.sent_bytes) + count as u64 <= ANSWER_FACTOR as u64 * u64::from(self.received_bytes)
    }
}

/// Whether an ACK with this To tag is for this refusal. Its branch alone shows nothing: its sender chose that itself.
pub(crate) fn is_acknowledged(refusal: &[u8], to_tag: Option<&[u8]>) -> bool {
    let own = sip_wire::to_tag(refusal);
    own.is_some() && own == to_tag
}

/// Of a response that we wrote or checked; 0 for anything else.
pub(crate) fn status_of(answer: &[u8]) -> u16 {
    let digits = answer.get(b"SIP/2.0 ".len()..).and_then(|rest| rest.get(..3));
    digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or_default()
}

/// Whether a response that we wrote or checked is a 2xx.
pub(crate) fn is_success(answer: &[u8]) -> bool {
    (200..300).contains(&status_of(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Transport;

    fn flow(host: u32, port: u16) -> Flow {
        let local = "192.0.2.1:5060".parse().unwrap();
        Flow::udp(local, (std::net::Ipv4Addr::from(host), port).into())
    }

    /// Sources of a test, which notes and asks by flow.
    struct Table {
        proven: Proven,
        keyed: Keyed,
    }

    impl Table {
        fn new() -> Self {
            let keyed = Keyed::new(1);
            Self { proven: Proven::new(keyed), keyed }
        }

        fn note(&mut self, now: Instant, flow: &Flow) {
            self.proven.note(now, Address::of(&self.keyed, flow), flow.remote.ip());
        }

        fn has(&self, now: Instant, flow: &Flow) -> bool {
            self.proven.has(now, &Address::of(&self.keyed, flow))
        }

        fn count(&self) -> usize {
            self.proven.0.seen.len()
        }
    }

    #[test]
    fn a_source_counts_for_a_while_and_with_its_port() {
        let (mut seen, at) = (Table::new(), |s| Instant::ZERO + Duration::from_secs(s));
        seen.note(at(1), &flow(7, 5060));
        assert!(seen.has(at(600), &flow(7, 5060)) && !seen.has(at(601), &flow(7, 5060)));
        assert!(!seen.has(at(2), &flow(7, 5061)) && !seen.has(at(2), &flow(8, 5060)));
        assert!(seen.has(at(2), &Flow { transport: Transport::Tcp, ..flow(9, 1) }));
    }

    #[test]
    fn only_so_many_are_remembered_and_old_ones_make_room() {
        let mut seen = Table::new();
        for host in 0..SOURCES_MAX as u32 + 10 {
            seen.note(Instant::ZERO, &flow(host, 5060));
        }
        assert_eq!(seen.count(), SOURCES_MAX);
        assert!(!seen.has(Instant::ZERO, &flow(SOURCES_MAX as u32 + 1, 5060)));
        let later = Instant::ZERO + MEMORY;
        seen.note(later, &flow(u32::MAX, 5060));
        assert_eq!((seen.count(), seen.proven.0.count_by_host.len()), (1, 1));
    }

    /// Neither the ports of an address nor the addresses of an IPv6 /64 keep the sources of others out.
    #[test]
    fn one_host_fills_its_own_part_only() {
        let four = |number: u32| flow(7, number as u16);
        let six = |number: u32| {
            let remote = std::net::SocketAddrV6::new((0x2001_0db8 << 96 | u128::from(number)).into(), 5060, 0, 0);
            Flow { remote: remote.into(), ..flow(7, 5060) }
        };
        let mapped = |number: u32| {
            let ip = std::net::Ipv4Addr::from(7).to_ipv6_mapped();
            Flow { remote: (ip, number as u16).into(), ..flow(7, 5060) }
        };
        for of_host in [&four as &dyn Fn(u32) -> Flow, &six, &mapped] {
            let mut seen = Table::new();
            (1..SOURCES_MAX as u32).for_each(|number| seen.note(Instant::ZERO, &of_host(number)));
            assert_eq!(seen.count(), SOURCES_OF_HOST_MAX);
            for other in 0..100 {
                seen.note(Instant::ZERO, &flow(1_000 + other, 5060));
                assert!(seen.has(Instant::ZERO, &flow(1_000 + other, 5060)), "{other}");
            }
            // Its first sources are as good as before, and once they count no more others of it take their places.
            assert!(seen.has(Instant::ZERO, &of_host(1)) && !seen.has(Instant::ZERO, &of_host(SOURCES_MAX as u32 - 1)));
            let later = Instant::ZERO + MEMORY;
            seen.note(later, &of_host(SOURCES_MAX as u32 - 1));
            assert!(seen.has(later, &of_host(SOURCES_MAX as u32 - 1)));
            assert_eq!(seen.count(), 1);
        }
    }

    fn answer(status: u16, count: usize) -> Vec<u8> {
        let mut bytes = format!("SIP/2.0 {status} x").into_bytes();
        bytes.resize(count, b' ');
        bytes
    }

    #[test]
    fn a_budget_is_three_times_what_came() {
        let mut budget = Budget::default();
        budget.received(500);
        assert!(budget.admits(false, &answer(200, 1_000)));
        assert!(!budget.admits(false, &answer(200, 501)) && budget.is_owing());
        assert!(budget.admits(false, &answer(200, 500)) && !budget.is_owing());
        assert!(!budget.admits(false, &answer(200, 50)) && budget.admits(true, &answer(200, 9_000)));
        budget.received(4_000);
        assert!(!budget.admits(false, &answer(200, 3_000)), "that leaves nothing for a BYE");
        assert!(budget.admits(false, &answer(200, 2_500)) && budget.has_room(500) && !budget.has_room(501));
    }

    #[test]
    fn provisional_answers_leave_room_for_the_final_one() {
        let mut budget = Budget::default();
        budget.received(350);
        assert!(!budget.admits(false, &answer(100, 250)) && !budget.is_owing(), "it may be left out");
        assert!(budget.admits(false, &answer(180, 225)) && budget.admits(false, &answer(180, 225)));
        assert!(!budget.admits(false, &answer(180, 300)) && budget.is_owing());
        assert!(budget.admits(false, &answer(200, 900)), "its sender repeats the INVITE no more");
        assert!(!budget.admits(false, &answer(200, 900)), "but once only");
    }

    #[test]
    fn an_answer_that_is_too_large_waits_for_the_next_copy() {
        let mut budget = Budget::default();
        budget.received(180);
        assert!(!budget.admits(false, &answer(200, 600)) && budget.is_owing());
        budget.received(180);
        assert!(budget.admits(false, &answer(200, 600)) && !budget.is_owing());
    }
}
