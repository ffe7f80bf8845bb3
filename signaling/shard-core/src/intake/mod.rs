//! What is handled first when more comes than can be handled: what belongs to calls that are up goes before new work,
//! and new work that has waited too long is refused instead. Time arrives as an argument.

pub mod sharding;
pub mod stateless;

use clock::{Duration, Instant};
use sip_core::{Flow, Transport};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// New work should wait no longer, from its arrival at the host. Its sender repeats it after T1 (500 ms): a queue that is
/// older than that fills with copies.
pub const WAIT_MAX: Duration = Duration::from_millis(200);
/// How long the queue may be older than that before anything is refused: what piled up while the host did not let us run
/// is handled in a moment, and no overload.
const GRACE: Duration = Duration::from_millis(200);
/// Messages that may wait.
pub const WAITING_COUNT_MAX: usize = 8_192;
/// Bytes of them.
pub const WAITING_BYTES_MAX: usize = 16 << 20;

/// Beyond that, CANCELs over connections that may wait, and the largest of them.
const CANCELS_MAX: usize = WAITING_COUNT_MAX / 8;
const CANCEL_BYTES_MAX: usize = 2_048;
/// One source, an IPv4 address or an IPv6 /64, may have one of so many parts of that.
const SOURCE_PART: usize = 2;
/// With fewer messages than this, and fewer bytes, no source can have too much, and none is counted.
const COUNTED_FROM: usize = WAITING_COUNT_MAX / 8;
const COUNTED_FROM_BYTES: usize = WAITING_BYTES_MAX / 8;

/// A message on its way to its shard.
pub struct Arrived {
    pub flow: Flow,
    /// When it came to the host.
    pub at: Instant,
    pub bytes: Box<[u8]>,
    /// It never left the process.
    pub is_ours: bool,
}

/// New work in the order of its arrival.
#[derive(Default)]
pub struct Intake {
    waiting: VecDeque<Arrived>,
    bytes: usize,
    /// What each source has of it, from the moment when so much waits that it matters until nothing does.
    by_source: HashMap<IpAddr, Share>,
    /// Since when the oldest has been too old, each time that we looked.
    old_since: Option<Instant>,
}

/// Messages of one source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Share {
    count: usize,
    bytes: usize,
}

impl Share {
    fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
    }

    fn fits(self) -> bool {
        self.count <= WAITING_COUNT_MAX / SOURCE_PART && self.bytes <= WAITING_BYTES_MAX / SOURCE_PART
    }
}

/// What to do with new work whose turn has come.
pub enum Triage {
    Handle(Arrived),
    /// Answer 503 without any state. Handle it after all if that is no answer for it.
    Refuse(Arrived),
}

impl Intake {
    /// Keeps new work; `false`: there is no room, or its source has enough of it. A CANCEL over a connection, where its client
    /// does not repeat it, has room of its own: what it cancels has been taken, and rings until it is cancelled.
    pub fn push(&mut self, flow: Flow, at: Instant, bytes: &[u8]) -> bool {
        let is_cancel = flow.transport != Transport::Udp && bytes.starts_with(b"CANCEL ");
        let is_kept =
            is_cancel && self.waiting.len() < WAITING_COUNT_MAX + CANCELS_MAX && bytes.len() <= CANCEL_BYTES_MAX;
        let has_room = self.waiting.len() < WAITING_COUNT_MAX && self.bytes + bytes.len() <= WAITING_BYTES_MAX;
        if !(has_room || is_kept) || !self.count_source(&flow, bytes.len(), is_kept) {
            return false;
        }
        self.bytes += bytes.len();
        self.waiting.push_back(Arrived { flow, at, bytes: bytes.into(), is_ours: false });
        true
    }

    /// The next one.
    pub fn pop(&mut self, now: Instant) -> Option<Triage> {
        let next = self.waiting.pop_front()?;
        self.bytes -= next.bytes.len();
        if self.waiting.is_empty() {
            self.waiting.shrink_to(64); // a flood leaves no large table
            self.by_source = HashMap::new();
        } else if !self.by_source.is_empty() {
            self.uncount_source(&next);
        }
        if now.since(next.at) <= WAIT_MAX {
            self.old_since = None;
            return Some(Triage::Handle(next));
        }
        let is_overload = now.since(*self.old_since.get_or_insert(now)) > GRACE;
        if self.waiting.is_empty() {
            self.old_since = None;
        }
        Some(if is_overload { Triage::Refuse(next) } else { Triage::Handle(next) })
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Counts one more message of a source, where so much waits that it matters; `false`: the source has enough, and this is none
    /// that is kept in any case.
    fn count_source(&mut self, flow: &Flow, bytes: usize, is_kept: bool) -> bool {
        if self.by_source.is_empty() {
            if self.waiting.len() < COUNTED_FROM && self.bytes < COUNTED_FROM_BYTES {
                return true;
            }
            for one in &self.waiting {
                self.by_source.entry(source_of(one.flow.remote.ip())).or_default().add(one.bytes.len());
            }
        }
        let share = self.by_source.entry(source_of(flow.remote.ip())).or_default();
        let mut more = *share;
        more.add(bytes);
        let is_taken = is_kept || more.fits();
        if is_taken {
            *share = more;
        }
        is_taken
    }

    fn uncount_source(&mut self, gone: &Arrived) {
        if let Entry::Occupied(mut source) = self.by_source.entry(source_of(gone.flow.remote.ip())) {
            let share = source.get_mut();
            share.count -= 1;
            share.bytes -= gone.bytes.len();
            if share.count == 0 {
                source.remove();
            }
        }
    }
}

/// What counts as one source: an IPv4 address, or the /64 that one IPv6 host has for itself.
pub(crate) fn source_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) & !u128::from(u64::MAX)).into()),
        four => four,
    }
}

/// Whether a message is new work: a request outside of any dialog, or a CANCEL, which must not overtake its INVITE.
/// A look at the first line and at To, no more; a message that fools it is only handled earlier or later than others.
pub fn is_new_work(message: &[u8]) -> bool {
    let start = message.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(0);
    let message = &message[start..];
    if message.starts_with(b"SIP/") || message.starts_with(b"ACK ") {
        return false;
    }
    message.starts_with(b"CANCEL ") || sip_wire::to_tag(message).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    fn flow() -> Flow {
        Flow::udp("192.0.2.9:5060".parse().unwrap(), "192.0.2.1:5070".parse().unwrap())
    }

    #[test]
    fn new_work_is_told_from_the_rest() {
        let message = |start: &str, to: &str| {
            format!("{start}\r\nVia: x\r\nTopic: y;tag=1\r\n{to}\r\nCSeq: 1\r\n\r\nTo: a;tag=1")
        };
        let new = |start: &str, to: &str| is_new_work(message(start, to).as_bytes());
        let invite = "INVITE sip:a@b SIP/2.0";
        for to in ["To: <sip:a@b>", "to:sip:a@b", "t : <sip:a@b;tag=1>", "T: \"tag\" <sip:a>;x=tag", "X: y"] {
            assert!(new(invite, to), "{to}");
        }
        for to in ["To: <sip:a@b>;tag=1", "TO\t:sip:a@b;x;TAG=2", "t: \"<>\" <sip:a> ; tag=1"] {
            assert!(!new(invite, to) && !new("BYE sip:a@b SIP/2.0", to), "{to}");
            assert!(new("CANCEL sip:a@b SIP/2.0", to));
        }
        assert!(!new("ACK sip:a@b SIP/2.0", "To: <sip:a@b>") && !new("SIP/2.0 200 OK", "To: <sip:a@b>"));
        assert!(
            is_new_work(b"\r\n\r\nOPTIONS sip:a SIP/2.0\r\nTo: a\r\n\r\n") && is_new_work(b"") && is_new_work(b"\r\n")
        );
    }

    /// One request each ms from `from_ms` to `until_ms`; one is handled each `cost_ms`. How many were handled and refused,
    /// and the longest wait of those that were handled.
    fn flood(from_ms: u64, until_ms: u64, cost_ms: u64, start_ms: u64) -> (u32, u32, Duration) {
        let (mut intake, mut arrived, mut now) = (Intake::default(), from_ms, start_ms);
        let (mut handled, mut refused, mut longest) = (0, 0, Duration::ZERO);
        loop {
            while arrived < until_ms && arrived <= now {
                assert!(intake.push(flow(), at(arrived), b"INVITE"));
                arrived += 1;
            }
            match intake.pop(at(now)) {
                Some(Triage::Handle(work)) => {
                    (handled, longest) = (handled + 1, longest.max(at(now).since(work.at)));
                    now += cost_ms;
                }
                Some(Triage::Refuse(_)) => refused += 1,
                None if arrived >= until_ms => return (handled, refused, longest),
                None => now += 1,
            }
        }
    }

    #[test]
    fn overload_is_refused_before_it_becomes_copies() {
        let (handled, refused, longest) = flood(0, 60_000, 4, 0);
        assert_eq!(handled + refused, 60_000);
        assert!((14_900..15_200).contains(&handled), "all that can be handled is: {handled}");
        assert!(longest < Duration::from_millis(500), "{longest:?}");
    }

    #[test]
    fn a_pause_of_the_host_is_no_overload() {
        // 3 s of work wait when we come to run again, and need 150 ms.
        let (mut intake, mut now) = (Intake::default(), 3_000_000_000_u64);
        (0..3_000).for_each(|ms| assert!(intake.push(flow(), at(ms), b"INVITE")));
        while let Some(next) = intake.pop(Instant::from_nanos(now)) {
            assert!(matches!(next, Triage::Handle(_)));
            now += 50_000;
        }
        assert_eq!(flood(0, 500, 1, 0).1, 0);
    }

    fn from(host: &str, port: u16) -> Flow {
        Flow { remote: SocketAddr::new(host.parse().unwrap(), port), ..flow() }
    }

    #[test]
    fn the_room_is_bounded() {
        let mut intake = Intake::default();
        let of = |number: usize| from(["192.0.2.1", "192.0.2.2"][number % 2], 5070);
        assert!((0..WAITING_COUNT_MAX).all(|number| intake.push(of(number), at(0), b"x")));
        assert!(!intake.push(from("192.0.2.3", 5070), at(0), b"x"));
        while intake.pop(at(0)).is_some() {}
        assert!(intake.is_empty() && intake.by_source.is_empty());
        let large = vec![0; 65_535];
        assert!((0..WAITING_BYTES_MAX / 65_535).all(|number| intake.push(of(number), at(0), &large)));
        assert!(!intake.push(from("192.0.2.3", 5070), at(0), &large));
    }

    /// Whatever its ports and, in its /64, its addresses, one host leaves room for others, in messages and in bytes.
    #[test]
    fn one_source_has_half_of_the_room() {
        type Address = fn(usize) -> Flow;
        let four: Address = |number| from("192.0.2.1", number as u16);
        let mapped: Address = |number| from("::ffff:192.0.2.1", number as u16);
        let six: Address = |number| from(&format!("2001:db8::{:x}", number % 65_536), 5070);
        for (of, bytes) in [(four, 400), (mapped, 400), (six, 400), (four, 65_000), (six, 65_000)] {
            let (mut intake, message) = (Intake::default(), vec![0; bytes]);
            let taken = (0..20_000).filter(|number| intake.push(of(*number), at(0), &message)).count();
            assert_eq!(taken, (WAITING_COUNT_MAX / 2).min(WAITING_BYTES_MAX / 2 / bytes), "{bytes}");
            let other = from("192.0.2.7", 5070);
            assert!((0..100).all(|_| intake.push(other, at(0), &message)));
            // What was handled makes room for as much of the same source.
            for _ in 0..50 {
                assert!(matches!(intake.pop(at(0)), Some(Triage::Handle(_))));
            }
            assert_eq!((0..100).filter(|number| intake.push(of(*number), at(0), &message)).count(), 50, "{bytes}");
            // A source of which nothing waits is not remembered.
            for host in 0..1_000 {
                intake.pop(at(0));
                assert!(intake.push(from(&format!("10.0.{}.{}", host / 250, host % 250), 5070), at(0), b"x"));
            }
            assert!(intake.by_source.len() <= 1_002 && intake.by_source.len() <= intake.waiting.len());
        }
    }

    /// A CANCEL over a connection comes once: it has room where its source has no more, and counts for it all the same.
    #[test]
    fn a_cancel_over_a_connection_has_room_of_its_own() {
        let (mut intake, source) = (Intake::default(), from("192.0.2.1", 5070));
        let stream = Flow { transport: Transport::Tcp, ..source };
        let cancel = [&b"CANCEL "[..], &vec![b'x'; CANCEL_BYTES_MAX - 7]].concat();
        while intake.push(source, at(0), b"x") {}
        assert!(!intake.push(source, at(0), &cancel) && !intake.push(stream, at(0), &[&cancel[..], b"x"].concat()));
        assert!((0..100).all(|_| intake.push(stream, at(0), &cancel)));
        // What comes after them waits behind them.
        for _ in 0..200 {
            intake.pop(at(0));
        }
        assert_eq!((0..200).filter(|_| intake.push(source, at(0), b"x")).count(), 100);
        for number in 0.. {
            let other = from(&format!("198.51.{}.{}", 100 + number / 250, number % 250), 5070);
            if !intake.push(other, at(0), b"x") {
                break;
            }
        }
        while intake.push(stream, at(0), &cancel) {}
        assert_eq!(intake.waiting.len(), WAITING_COUNT_MAX + CANCELS_MAX);
        while intake.pop(at(0)).is_some() {}
        assert!(intake.is_empty() && intake.by_source.is_empty() && intake.bytes == 0);
    }
}
