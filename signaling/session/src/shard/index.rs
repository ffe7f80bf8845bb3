//! Sessions by the names that the SIP endpoint has for their parts.

use crate::SessionId;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A table by a handle.
pub(crate) type Index<K> = HashMap<K, SessionId, BuildHasherDefault<HandleHasher>>;

/// Room for fewer entries than this is not worth giving back.
pub(crate) const KEPT_ROOM: usize = 1_024;

/// Gives room back that a rush needed and nothing uses any more.
pub(crate) fn give_back<K: std::hash::Hash + Eq>(index: &mut Index<K>) {
    if index.capacity() > KEPT_ROOM && index.len() < index.capacity() / 8 {
        index.shrink_to(2 * index.len());
    }
}

/// Hashes handles. The endpoint numbers them, so no peer can choose colliding ones, and spreading their bits is enough.
#[derive(Default, Clone, Copy)]
pub(crate) struct HandleHasher(u64);

impl Hasher for HandleHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(32) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_core::DialogId;

    #[test]
    fn handles_are_found_and_room_comes_back() {
        let dialog = |number: u64| DialogId::from_u64((number << 32) | (number % 700));
        let mut index: Index<DialogId> =
            (1..10_000).map(|number| (dialog(number), SessionId::from_u64(number))).collect();
        assert!((1..10_000).all(|number| index.get(&dialog(number)) == Some(&SessionId::from_u64(number))));
        index.retain(|_, id| id.as_u64() < 100);
        give_back(&mut index);
        assert!(index.capacity() < KEPT_ROOM && index.contains_key(&dialog(7)) && !index.contains_key(&dialog(200)));
    }
}
