//! Which shard a message belongs to.

use clock::{Duration, Instant};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Call-IDs of calls that are not where their Call-ID says. Without room a CANCEL is answered 481.
const ELSEWHERE_COUNT_MAX: usize = 16_384;
/// How often those are looked for that are remembered for long enough, while there is no room: any INVITE may name a dialog
/// of another shard, and not each of them is worth a walk through all.
const ELSEWHERE_SWEEP_PAUSE: Duration = Duration::from_secs(1);
/// How long one is remembered: as long as an INVITE may ring (Timer C, RFC 3261 §16.6).
const ELSEWHERE_TIME: Duration = Duration::from_secs(180);

/// Whose tags the dialogs have whose messages come by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tags {
    /// Every dialog is one of the user agent, with a tag of ours.
    Ours,
    /// A proxy has none: its messages go by their Call-ID alone.
    Foreign,
    /// A user agent, and a proxy beside it.
    Mixed,
}

/// Which of all shards has what. A dialog's messages go to one of them by the tag that it gave the dialog, whatever comes in
/// before there is one by its Call-ID. Only so a call can begin where another one is whose place it takes (RFC 3891). Clones
/// are the same.
#[derive(Clone)]
pub struct Placement<K = RandomState> {
    count: usize,
    key: K,
    tags: Tags,
    elsewhere: Arc<Elsewhere>,
}

impl<K: BuildHasher> Placement<K> {
    /// With so many shards. `key` is drawn at the start, so that nobody outside can aim at one shard.
    pub fn new(count: usize, tags: Tags, key: K) -> Self {
        Self { count, key, tags, elsewhere: Arc::default() }
    }

    /// How many shards there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The shard of a message; one without a Call-ID is everybody's, so the first one's.
    pub fn of(&self, now: Instant, message: &[u8]) -> usize {
        let count = self.count;
        if count < 2 {
            return 0;
        }
        let hash = sip_wire::call_id(message).map(|id| self.key.hash_one(id)).unwrap_or_default();
        let usual = (hash % count as u64) as usize;
        match self.tags {
            Tags::Foreign => return usual,
            // The proxy sends requests on with the tags of others: their answers name the shard in our branch.
            Tags::Mixed if message.starts_with(b"SIP/") => {
                let mark = sip_core::answered_branch(message).and_then(sip_core::mark_of).map(usize::from);
                return mark.filter(|mark| *mark < count).unwrap_or(usual);
            }
            Tags::Mixed | Tags::Ours => {}
        }
        // Of a new call's INVITE. That of one in a dialog goes where its INVITE went: by our tag.
        if message.starts_with(b"CANCEL ") && sip_wire::to_tag(message).is_none() {
            return self.elsewhere.get(hash, now).unwrap_or(usual);
        }
        let mark = sip_wire::own_tag(message).and_then(sip_core::mark_of).map(usize::from);
        let shard = mark.filter(|mark| *mark < count).unwrap_or(usual);
        if shard != usual && message.starts_with(b"INVITE ") && sip_wire::to_tag(message).is_none() {
            self.elsewhere.note(hash, shard, now);
        }
        shard
    }
}

/// Which shards an ICMP message about a datagram of ours concerns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Concerned {
    One(usize),
    /// Too little was quoted to tell.
    All,
}

impl<K: BuildHasher> Placement<K> {
    /// Whose request a datagram was that an ICMP message quotes the beginning of.
    pub fn of_quoted(&self, now: Instant, quoted: &[u8]) -> Concerned {
        let count = self.count;
        if count < 2 {
            return Concerned::One(0);
        }
        let mark = |branch| sip_core::mark_of(branch).map(usize::from).filter(|mark| *mark < count);
        let found = if self.tags != Tags::Foreign {
            sip_core::quoted_branch(quoted).and_then(mark)
        } else {
            sip_wire::call_id(quoted).map(|_| self.of(now, quoted))
        };
        found.map_or(Concerned::All, Concerned::One)
    }
}

/// Calls that began where the one is whose place they take. Their CANCEL, which has no tag of ours, has to find them.
#[derive(Default)]
struct Elsewhere {
    /// So that nobody locks while there is none.
    count: AtomicUsize,
    calls: Mutex<Calls>,
}

/// The shards of calls, by the hashes of their Call-IDs.
#[derive(Default)]
struct Calls {
    shards: HashMap<u64, (usize, Instant)>,
    swept_at: Option<Instant>,
}

impl Elsewhere {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, hash: u64, now: Instant) -> Option<usize> {
        if self.count.load(Relaxed) == 0 {
            return None;
        }
        let calls = self.calls();
        let (shard, since) = calls.shards.get(&hash)?;
        (now.since(*since) < ELSEWHERE_TIME).then_some(*shard)
    }

    fn note(&self, hash: u64, shard: usize, now: Instant) {
        let mut calls = self.calls();
        let Calls { shards, swept_at } = &mut *calls;
        let is_full = shards.len() >= ELSEWHERE_COUNT_MAX;
        let pause = if is_full { ELSEWHERE_SWEEP_PAUSE } else { ELSEWHERE_TIME };
        if now.since(*swept_at.get_or_insert(now)) >= pause {
            *swept_at = Some(now);
            shards.retain(|_, (_, since)| now.since(*since) < ELSEWHERE_TIME);
        }
        if shards.len() < ELSEWHERE_COUNT_MAX {
            shards.insert(hash, (shard, now));
        }
        self.count.store(shards.len(), Relaxed);
    }
}

/// A message of line ends only (RFC 5626 §3.5.1, and what phones send to keep a NAT open).
pub fn is_keep_alive(message: &[u8]) -> bool {
    message.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sharding(count: usize, tags: Tags) -> Placement {
        Placement::new(count, tags, RandomState::new())
    }

    /// A tag as the endpoint of this shard makes them.
    fn tag(shard: usize) -> String {
        char::from(b"abcdefgh"[shard]).to_string() + "zzzzzzzzzzzzzz"
    }

    #[test]
    fn dialogs_are_found_by_our_tag_and_the_rest_by_call_id() {
        let (sharding, proxy) = (sharding(5, Tags::Ours), sharding(5, Tags::Foreign));
        for number in 0..500 {
            let shard = number % 5;
            let of = |start: &str, from: &str, to: &str| {
                let message = format!("{start}\r\nFrom: a{from}\r\nTo: b{to}\r\nCall-ID: {number}\r\n\r\n");
                assert_eq!(
                    proxy.of(Instant::ZERO, message.as_bytes()),
                    proxy.of(Instant::ZERO, format!("X\r\ni: {number}\r\n").as_bytes())
                );
                sharding.of(Instant::ZERO, message.as_bytes())
            };
            let (ours, theirs) = (format!(";tag={}", tag(shard)), format!(";tag={}", tag((shard + 1) % 5)));
            assert_eq!(of("BYE sip:a SIP/2.0", &theirs, &ours), shard);
            for method in ["INVITE", "CANCEL", "ACK"] {
                assert_eq!(of(&format!("{method} sip:a SIP/2.0"), &theirs, &ours), shard, "{method}");
            }
            assert_eq!(of("SIP/2.0 200 OK", &ours, &theirs), shard);
            let usual = of("INVITE sip:a SIP/2.0", &theirs, "");
            assert_eq!(of("INVITE sip:a SIP/2.0", &ours, ""), usual);
            assert_eq!(of("CANCEL sip:a SIP/2.0", &ours, ""), usual);
            for nobodys in [";tag=1", &format!(";tag={}", tag(6)), ";tag=overload"] {
                assert_eq!(of("ACK sip:a SIP/2.0", &ours, nobodys), usual);
            }
        }
    }

    #[test]
    fn a_quoted_request_is_its_shards_and_a_piece_of_it_everybodys() {
        let request = |shard| {
            format!(
                "BYE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK{};rport\r\nCall-ID: {shard}\r\nX: y\r\n",
                tag(shard)
            )
        };
        let (sharding, proxy) = (sharding(3, Tags::Ours), self::sharding(3, Tags::Foreign));
        for shard in 0..3 {
            let request = request(shard);
            assert_eq!(sharding.of_quoted(Instant::ZERO, request.as_bytes()), Concerned::One(shard));
            assert_eq!(
                proxy.of_quoted(Instant::ZERO, request.as_bytes()),
                Concerned::One(proxy.of(Instant::ZERO, request.as_bytes()))
            );
            assert_eq!(sharding.of_quoted(Instant::ZERO, &request.as_bytes()[..40]), Concerned::All);
            assert_eq!(proxy.of_quoted(Instant::ZERO, &request.as_bytes()[..40]), Concerned::All);
        }
        assert_eq!(sharding.of_quoted(Instant::ZERO, request(7).as_bytes()), Concerned::All);
        assert_eq!(self::sharding(1, Tags::Ours).of_quoted(Instant::ZERO, b""), Concerned::One(0));
    }

    #[test]
    fn answers_go_to_the_shard_that_sent_the_request_whoever_made_the_tags() {
        let sharding = sharding(4, Tags::Mixed);
        for shard in 0..4 {
            // A tag of others that looks like one of another shard's.
            let foreign = tag((shard + 1) % 4);
            for branch in [tag(shard), format!("{}{}", tag(shard), tag(2))] {
                let answer = format!(
                    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK{branch};rport\r\nVia: SIP/2.0/UDP b;branch=z9hG4bKx\r\n\
                     From: a;tag={foreign}\r\nTo: b;tag={foreign}\r\nCall-ID: c\r\n\r\n"
                );
                assert_eq!(sharding.of(Instant::ZERO, answer.as_bytes()), shard);
            }
            let request =
                format!("BYE sip:a SIP/2.0\r\nFrom: a;tag=1\r\nTo: b;tag={}\r\nCall-ID: c\r\n\r\n", tag(shard));
            assert_eq!(sharding.of(Instant::ZERO, request.as_bytes()), shard);
        }
    }

    #[test]
    fn a_call_begins_where_the_one_is_that_it_replaces() {
        let sharding = sharding(4, Tags::Ours);
        for shard in (0..4).cycle().take(200) {
            let of = |method: &str, more: &str| {
                let head = format!("{method} sip:a SIP/2.0\r\nFrom: a;tag=1\r\nTo: b\r\nCall-ID: c{shard}\r\n");
                sharding.of(Instant::ZERO, format!("{head}{more}\r\n").as_bytes())
            };
            let replaces = format!("Replaces: x@y;to-tag={};from-tag=7\r\n", tag(shard));
            assert_eq!(of("INVITE", &replaces), shard);
            assert_eq!(of("CANCEL", ""), shard);
        }
        assert!(sharding.elsewhere.calls().shards.len() < 5);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let elsewhere = Elsewhere::default();
        let (early, late) = (Instant::ZERO, Instant::ZERO + ELSEWHERE_TIME);
        (0..ELSEWHERE_COUNT_MAX as u64 + 9).for_each(|hash| elsewhere.note(hash, 1, early));
        let count = || elsewhere.calls().shards.len();
        assert_eq!((count(), elsewhere.get(3, early)), (ELSEWHERE_COUNT_MAX, Some(1)));
        assert_eq!(elsewhere.get(3, late), None, "it is too old, and has not been swept away");
        elsewhere.note(7, 2, late);
        assert_eq!((count(), elsewhere.get(3, late), elsewhere.get(7, late)), (1, None, Some(2)));
    }

    /// INVITEs that name dialogs of other shards cost a walk through all of them once in a while, not each time.
    #[test]
    fn a_full_memory_is_not_walked_through_for_each_call() {
        let elsewhere = Elsewhere::default();
        let at = |ms: u64| Instant::ZERO + ELSEWHERE_TIME + Duration::from_millis(ms);
        (0..ELSEWHERE_COUNT_MAX as u64)
            .for_each(|hash| elsewhere.note(hash, 1, Instant::ZERO + Duration::from_secs(1)));
        let count = || elsewhere.calls().shards.len();
        elsewhere.note(1 << 40, 1, at(500));
        assert_eq!(count(), ELSEWHERE_COUNT_MAX, "looked through, and none of them is old enough");
        (1_000..1_500).for_each(|ms| elsewhere.note(1 << 41 | ms, 1, at(ms)));
        assert_eq!(count(), ELSEWHERE_COUNT_MAX, "not looked through again");
        elsewhere.note(1 << 42, 1, at(1_500));
        assert_eq!((count(), elsewhere.get(1 << 42, at(1_500))), (1, Some(1)));
    }

    #[test]
    fn a_call_stays_where_it_is_and_calls_are_spread() {
        let sharding = sharding(4, Tags::Ours);
        let mut counts = [0; 4];
        for call in 0..1_000 {
            let of =
                |start: &str| sharding.of(Instant::ZERO, format!("{start}\r\nVia: x\r\ni: c{call}\r\n\r\n").as_bytes());
            assert_eq!(of("INVITE sip:a@b SIP/2.0"), of("SIP/2.0 200 OK"));
            counts[of("INVITE sip:a@b SIP/2.0")] += 1;
        }
        assert!(counts.iter().all(|count| *count > 150), "{counts:?}");
        let without = sharding.of(Instant::ZERO, b"nonsense");
        assert_eq!(sharding.of(Instant::ZERO, b"other nonsense"), without);
        assert!(is_keep_alive(b"\r\n\r\n") && is_keep_alive(b"\0") && is_keep_alive(b"") && !is_keep_alive(b"\r\nx"));
    }
}
