//! Wrong passwords: who tries too often has to wait (RFC 3261 §22.1 leaves that to us; RFC 7616 §5.2).
//!
//! They are counted for each user at each source address, and for each source address. Nobody is kept out by what comes
//! from another address, so a stranger cannot lock a user out; and since only credentials with a nonce that was sent to
//! that very address are judged at all, nobody can do it with a forged one either. A user who has just proved himself
//! from an address is not held up by his neighbours behind the same NAT.

use crate::table::hash::Keyed;
use clock::{Duration, Instant};
use sip_wire::Message;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// After so long without another one they are forgotten, at the latest after twice that.
const MEMORY: Duration = Duration::from_secs(600);
/// Entries of one generation; the older one goes when the younger one is full.
const GENERATION_COUNT_MAX: usize = 16_384;
/// The wait doubles from a second, up to this many times.
const DOUBLINGS_MAX: u32 = 6;
/// A source may fail this many times as often as one user at it.
const SOURCE_FACTOR: u32 = 10;
/// One line a second for a source is enough for whatever reads them.
const LOG_PAUSE: Duration = Duration::from_secs(1);
/// And so many for all of them.
const LOG_LINES_PER_SECOND: u32 = 100;

/// Credentials that were not right, or came too soon after some that were not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// As claimed: anything at all, up to 64 bytes of it.
    pub username: String,
    /// Which of the two.
    pub kind: FailureKind,
    /// How often this source has failed lately.
    pub source_count: u32,
    /// Whether it is worth a line in the log: a flood of them is not.
    pub is_worth_logging: bool,
}

impl Failure {
    /// The line for the log, always in this form: programs that ban addresses read it. What the peer wrote is in quotes and
    /// cannot end the line or the quotes.
    pub fn line(&self, realm: &str, source: SocketAddr, request: &Message<'_>) -> String {
        let kind = match self.kind {
            FailureKind::Wrong => "wrong",
            FailureKind::TooSoon => "too_soon",
        };
        format!(
            "auth failure source={} port={} user={} realm={} method={} call_id={} reason={kind} failures={}",
            source.ip().to_canonical(),
            source.port(),
            quoted(self.username.as_bytes()),
            quoted(realm.as_bytes()),
            quoted(request.method_raw()),
            quoted(request.call_id().unwrap_or_default()),
            self.source_count,
        )
    }
}

/// In quotes, with everything but plain characters escaped, and cut.
fn quoted(text: &[u8]) -> String {
    format!("\"{}\"", text.get(..64).unwrap_or(text).escape_ascii())
}

/// What was wrong with credentials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureKind {
    /// No such user, or another password.
    Wrong,
    /// Not looked at: too many were wrong before.
    TooSoon,
}

#[derive(Clone, Copy)]
struct Tally {
    count: u32,
    wait_until: Instant,
    logged_at: Option<Instant>,
}

/// A table of two generations.
struct Recent<V> {
    young: HashMap<u128, V>,
    old: HashMap<u128, V>,
    turned_at: Instant,
}

impl<V: Copy> Recent<V> {
    fn new() -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), turned_at: Instant::ZERO }
    }

    fn get(&self, key: u128) -> Option<V> {
        self.young.get(&key).or_else(|| self.old.get(&key)).copied()
    }

    fn put(&mut self, now: Instant, key: u128, value: V) {
        if self.young.len() >= GENERATION_COUNT_MAX || now.since(self.turned_at) > MEMORY {
            let is_long_ago = now.since(self.turned_at) > MEMORY * 2;
            self.old = std::mem::take(&mut self.young);
            if is_long_ago {
                self.old.clear();
            }
            self.turned_at = now;
        }
        self.young.insert(key, value);
    }

    fn remove(&mut self, key: u128) {
        self.young.remove(&key);
        self.old.remove(&key);
    }

    /// What was put before this is too old to count.
    fn is_over(&self, now: Instant) -> bool {
        now.since(self.turned_at) > MEMORY * 2
    }
}

/// The failures of one realm.
pub(crate) struct Failures {
    /// How many one user may make at one source before it has to wait; 0: as many as one likes.
    limit: u32,
    key: Keyed,
    users: Recent<Tally>,
    sources: Recent<Tally>,
    proven: Recent<()>,
    log_second: (u64, u32),
}

impl Failures {
    pub(crate) fn new(limit: u32, secret: &[u8; 32]) -> Self {
        let seed = secret.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte));
        Self {
            limit,
            key: Keyed::new(seed),
            users: Recent::new(),
            sources: Recent::new(),
            proven: Recent::new(),
            log_second: (0, 0),
        }
    }

    fn keys(&self, username: &[u8], source: IpAddr) -> (u128, u128) {
        let source = network(source);
        (self.key.key(&[b"user", username, &source]).0, self.key.key(&[b"source", &source]).0)
    }

    /// Whether credentials of this user from this source are to be judged; otherwise they came too soon.
    pub(crate) fn check(&mut self, now: Instant, username: &[u8], source: IpAddr) -> Result<(), Failure> {
        let (user, from) = self.keys(username, source);
        let waits = |tallies: &Recent<Tally>, key| tallies.get(key).is_some_and(|tally| now < tally.wait_until);
        let is_proven = !self.proven.is_over(now) && self.proven.get(user).is_some();
        if waits(&self.users, user) || (!is_proven && waits(&self.sources, from)) {
            return Err(self.failure(now, username, from, FailureKind::TooSoon));
        }
        Ok(())
    }

    pub(crate) fn wrong(&mut self, now: Instant, username: &[u8], source: IpAddr) -> Failure {
        let (user, from) = self.keys(username, source);
        Self::add(&mut self.users, now, user, self.limit);
        Self::add(&mut self.sources, now, from, self.limit.saturating_mul(SOURCE_FACTOR));
        self.failure(now, username, from, FailureKind::Wrong)
    }

    pub(crate) fn right(&mut self, now: Instant, username: &[u8], source: IpAddr) {
        let (user, _) = self.keys(username, source);
        self.users.remove(user);
        self.proven.put(now, user, ());
    }

    fn add(tallies: &mut Recent<Tally>, now: Instant, key: u128, limit: u32) {
        let before = tallies.get(key).filter(|_| !tallies.is_over(now));
        let mut tally = before.unwrap_or(Tally { count: 0, wait_until: now, logged_at: None });
        tally.count = tally.count.saturating_add(1);
        if limit > 0 && tally.count >= limit {
            tally.wait_until = now + Duration::from_secs(1 << (tally.count - limit).min(DOUBLINGS_MAX));
        }
        tallies.put(now, key, tally);
    }

    fn failure(&mut self, now: Instant, username: &[u8], from: u128, kind: FailureKind) -> Failure {
        let tally = self.sources.get(from);
        let is_worth_logging =
            tally.is_none_or(|tally| tally.logged_at.is_none_or(|at| now >= at + LOG_PAUSE)) && self.may_log(now);
        if let Some(tally) = tally.filter(|_| is_worth_logging) {
            self.sources.put(now, from, Tally { logged_at: Some(now), ..tally });
        }
        let username = username.get(..64).unwrap_or(username);
        Failure {
            username: String::from_utf8_lossy(username).into_owned(),
            kind,
            source_count: tally.map_or(0, |tally| tally.count),
            is_worth_logging,
        }
    }

    fn may_log(&mut self, now: Instant) -> bool {
        let second = now.as_nanos() / 1_000_000_000;
        if self.log_second.0 != second {
            self.log_second = (second, 0);
        }
        self.log_second.1 += 1;
        self.log_second.1 <= LOG_LINES_PER_SECOND
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        [&self.users, &self.sources].iter().map(|recent| recent.young.len() + recent.old.len()).sum()
    }
}

/// What counts as one source: an address, of IPv6 the network that one subscriber has.
pub(crate) fn network(source: IpAddr) -> [u8; 8] {
    match source.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            [0, 0, 0, 4, a, b, c, d]
        }
        IpAddr::V6(ip) => {
            let [a, b, c, d, e, f, g, h, ..] = ip.octets();
            [a, b, c, d, e, f, g, h]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_guesser_waits_longer_and_longer_and_nobody_else_does() {
        let mut failures = Failures::new(5, &[1; 32]);
        let (here, there) = (ip("192.0.2.1"), ip("192.0.2.2"));
        let mut now = at(100);
        let mut tries = 0;
        while now < at(100 + 300) {
            if failures.check(now, b"alice", here).is_ok() {
                failures.wrong(now, b"alice", here);
                tries += 1;
            }
            now += Duration::from_millis(100);
        }
        // Five at once, then after 1, 2, 4, 8, 16, 32, 64, 64, 64 seconds.
        assert!((12..=15).contains(&tries), "{tries}");
        assert_eq!(failures.check(now, b"alice", here).map_err(|failure| failure.kind), Err(FailureKind::TooSoon));
        assert!(failures.check(now, b"alice", there).is_ok(), "from her own address");
        assert!(failures.check(now, b"bob", here).is_ok(), "another user behind the same address");
        assert!(failures.check(now + Duration::from_secs(65), b"alice", here).is_ok());
        failures.right(now, b"alice", here);
        assert!(failures.check(now, b"alice", here).is_ok());
    }

    #[test]
    fn a_source_that_tries_many_users_waits_and_proven_neighbours_do_not() {
        let mut failures = Failures::new(5, &[1; 32]);
        let here = ip("2001:db8::1");
        failures.right(at(1), b"carol", here);
        for user in 0..60 {
            failures.wrong(at(2), format!("u{user}").as_bytes(), ip(&format!("2001:db8::{user}")));
        }
        assert!(failures.check(at(3), b"u99", here).is_err(), "one network is one source");
        assert!(failures.check(at(3), b"carol", here).is_ok());
        assert!(failures.check(at(3), b"u99", ip("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn failures_are_forgotten_and_bounded() {
        let mut failures = Failures::new(1, &[1; 32]);
        failures.wrong(at(1), b"alice", ip("192.0.2.1"));
        let later = at(1) + MEMORY * 3;
        assert_eq!(failures.wrong(later, b"alice", ip("192.0.2.1")).source_count, 1);
        for number in 0..100_000_u32 {
            failures.wrong(later, &number.to_be_bytes(), IpAddr::V4(number.into()));
        }
        assert!(failures.count() <= 4 * GENERATION_COUNT_MAX, "{}", failures.count());
    }

    #[test]
    fn a_limit_of_0_is_none() {
        let mut failures = Failures::new(0, &[1; 32]);
        (0..1000).for_each(|_| drop(failures.wrong(at(1), b"alice", ip("192.0.2.1"))));
        assert!(failures.check(at(1), b"alice", ip("192.0.2.1")).is_ok());
    }

    #[test]
    fn a_line_holds_nothing_that_could_be_another() {
        let mut failures = Failures::new(5, &[1; 32]);
        let username = "a\" realm=\"x\r\nWARN auth failure source=192.0.2.99\u{1b}[2J\u{fc}".as_bytes();
        let failure = failures.wrong(at(1), username, ip("192.0.2.1"));
        let text = b"INVITE sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nCall-ID: \"c\"\r\n\r\n";
        let message = Message::parse(text).unwrap();
        let line = failure.line("example.com", "[::ffff:192.0.2.1]:5070".parse().unwrap(), &message);
        assert!(line.starts_with("auth failure source=192.0.2.1 port=5070 user=\"a\\\" realm="), "{line}");
        assert!(line.ends_with("method=\"INVITE\" call_id=\"\\\"c\\\"\" reason=wrong failures=1"), "{line}");
        assert!(line.bytes().all(|byte| (b' '..0x7f).contains(&byte)), "{line}");
    }

    #[test]
    fn lines_are_few() {
        let mut failures = Failures::new(5, &[1; 32]);
        let lines = |failures: &mut Failures, from: &str, ms: u64| {
            let now = at(10) + Duration::from_millis(ms);
            failures.wrong(now, b"a\nb", ip(from)).is_worth_logging
        };
        assert!(lines(&mut failures, "192.0.2.1", 0) && !lines(&mut failures, "192.0.2.1", 999));
        assert!(lines(&mut failures, "192.0.2.2", 999) && lines(&mut failures, "192.0.2.1", 1_000));
        let many = (0..1_000).filter(|n| lines(&mut failures, &format!("10.0.{}.{}", n / 256, n % 256), 5_000)).count();
        assert_eq!(many, 100);
    }
}
