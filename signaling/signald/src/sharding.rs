//! Which shard a message belongs to.

use crate::inbox::Inbox;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// All shards. A call's messages go to one of them by its Call-ID, wherever they come in.
#[derive(Clone)]
pub(crate) struct Sharding {
    pub(crate) inboxes: Arc<[Arc<Inbox>]>,
    /// Drawn at the start, so that nobody outside can aim at one shard.
    pub(crate) key: RandomState,
}

impl Sharding {
    /// The shard of a message; one without a Call-ID is everybody's, so the first one's.
    pub(crate) fn of(&self, message: &[u8]) -> usize {
        if self.inboxes.len() < 2 {
            return 0;
        }
        sip_wire::call_id(message).map_or(0, |id| (self.key.hash_one(id) % self.inboxes.len() as u64) as usize)
    }
}

/// A shard's place among the others: the Call-IDs of calls that it places have to fall on it.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) key: RandomState,
    pub(crate) shard: usize,
    pub(crate) shard_count: usize,
}

impl Place {
    /// The only one.
    pub(crate) fn alone() -> Self {
        Self { key: RandomState::new(), shard: 0, shard_count: 1 }
    }

    /// A Call-ID made of this number whose messages come to this shard.
    pub(crate) fn call_id(&self, number: u64) -> String {
        let text = |salt: u64| format!("{number:016x}{salt:x}");
        let falls_here = |text: &String| {
            self.shard_count < 2
                || (self.key.hash_one(text.as_bytes()) % self.shard_count as u64) as usize == self.shard
        };
        // Each fits with one chance in `shard_count`; some thousand misses in a row do not happen.
        (0..4_096).map(text).find(falls_here).unwrap_or_else(|| text(0))
    }
}

/// A message of line ends only (RFC 5626 §3.5.1, and what phones send to keep a NAT open).
pub(crate) fn is_keep_alive(message: &[u8]) -> bool {
    message.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_ids_of_ours_come_back_to_us() {
        let (key, shard_count) = (RandomState::new(), 5);
        let inboxes: Vec<_> = (0..shard_count).map(|_| Arc::new(Inbox::new().unwrap())).collect();
        let sharding = Sharding { inboxes: inboxes.into(), key: key.clone() };
        for number in 0..500_u64 {
            let shard = number as usize % shard_count;
            let id = Place { key: key.clone(), shard, shard_count }.call_id(number);
            let message = format!("OPTIONS sip:a SIP/2.0\r\nCall-ID: {id}\r\n\r\n");
            assert_eq!(sharding.of(message.as_bytes()), shard);
        }
    }

    #[test]
    fn a_call_stays_where_it_is_and_calls_are_spread() {
        let inboxes = (0..4).map(|_| Arc::new(Inbox::new().unwrap())).collect();
        let sharding = Sharding { inboxes, key: RandomState::new() };
        let mut counts = [0; 4];
        for call in 0..1_000 {
            let of = |start: &str| sharding.of(format!("{start}\r\nVia: x\r\ni: c{call}\r\n\r\n").as_bytes());
            assert_eq!(of("INVITE sip:a@b SIP/2.0"), of("SIP/2.0 200 OK"));
            counts[of("INVITE sip:a@b SIP/2.0")] += 1;
        }
        assert!(counts.iter().all(|count| *count > 150), "{counts:?}");
        assert_eq!(sharding.of(b"nonsense"), 0);
        assert!(is_keep_alive(b"\r\n\r\n") && is_keep_alive(b"\0") && is_keep_alive(b"") && !is_keep_alive(b"\r\nx"));
    }
}
