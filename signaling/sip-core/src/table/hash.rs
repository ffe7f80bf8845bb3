//! Keys of the tables: 128-bit SipHash-1-3 with a secret key, so that nobody can craft collisions, and two different
//! names never share a key in practice. The tables then hold fixed-size keys instead of strings.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Key of a transaction, a dialog or another entry of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key(pub(crate) u128);

impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0 as u64);
    }
}

/// A [`Key`] is already a keyed hash: its low half is used as it is.
#[derive(Default, Clone, Copy)]
pub(crate) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        debug_assert!(false, "only keys are hashed here");
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A table by [`Key`].
pub(crate) type Index<V> = HashMap<Key, V, BuildHasherDefault<AsIs>>;

/// Room for fewer entries than this is not worth giving back.
const KEPT_ROOM: usize = 1_024;

/// Gives room back that a rush needed and nothing uses any more.
pub(crate) fn give_back<V>(index: &mut Index<V>) {
    if index.capacity() > KEPT_ROOM && index.len() < index.capacity() / 8 {
        index.shrink_to(2 * index.len());
    }
}

/// SipHash-1-3 with its secret key.
#[derive(Clone, Copy)]
pub(crate) struct Keyed {
    k0: u64,
    k1: u64,
}

impl Keyed {
    pub(crate) fn new(seed: u64) -> Self {
        // SplitMix64 spreads one seed over both halves of the key.
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        Self { k0: next(), k1: next() }
    }

    /// The key of a list of parts. Each part's length is part of what is hashed: `ab|c` and `a|bc` differ.
    pub(crate) fn key(&self, parts: &[&[u8]]) -> Key {
        let mut sip = Sip::new(self);
        for part in parts {
            sip.word(part.len() as u64);
            sip.bytes(part);
        }
        Key(sip.finish())
    }
}

struct Sip {
    v: [u64; 4],
    count: u64,
}

impl Sip {
    fn new(key: &Keyed) -> Self {
        let v = [
            key.k0 ^ 0x736f_6d65_7073_6575,
            key.k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            key.k0 ^ 0x6c79_6765_6e65_7261,
            key.k1 ^ 0x7465_6462_7974_6573,
        ];
        Self { v, count: 0 }
    }

    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.v;
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        self.v = [a, b, c, d];
    }

    fn word(&mut self, word: u64) {
        self.v[3] ^= word;
        self.round();
        self.v[0] ^= word;
        self.count = self.count.wrapping_add(8);
    }

    /// Words of eight bytes, the last one filled with zeros; lengths are hashed apart, so this stays unambiguous.
    fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let last = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
            self.word(last);
        }
    }

    fn finish(mut self) -> u128 {
        self.word(self.count << 56);
        self.v[2] ^= 0xee;
        (0..3).for_each(|_| self.round());
        let low = self.v[0] ^ self.v[1] ^ self.v[2] ^ self.v[3];
        self.v[1] ^= 0xdd;
        (0..3).for_each(|_| self.round());
        let high = self.v[0] ^ self.v[1] ^ self.v[2] ^ self.v[3];
        u128::from(low) | u128::from(high) << 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_back_once_little_of_it_is_used() {
        let key = |number: u64| Key(number.wrapping_mul(0x9e37_79b9_7f4a_7c15).into());
        let mut index: Index<u64> = (0..10_000).map(|number| (key(number), number)).collect();
        let most = index.capacity();
        give_back(&mut index);
        assert_eq!(index.capacity(), most);
        index.retain(|_, number| *number < 100);
        give_back(&mut index);
        assert!(index.capacity() < KEPT_ROOM && index.len() == 100 && index.get(&key(7)) == Some(&7));
    }

    #[test]
    fn the_last_word_is_filled_with_zeros() {
        let keyed = Keyed::new(3);
        for count in 0..20usize {
            let bytes: Vec<u8> = (1..=count as u8).collect();
            let mut by_words = Sip::new(&keyed);
            by_words.word(count as u64);
            for chunk in bytes.chunks(8) {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                by_words.word(u64::from_le_bytes(word));
            }
            assert_eq!(keyed.key(&[&bytes]), Key(by_words.finish()), "{count} bytes");
        }
    }

    #[test]
    fn keys_depend_on_seed_parts_and_their_borders() {
        let a = Keyed::new(1);
        assert_eq!(a.key(&[b"ab", b"c"]), a.key(&[b"ab", b"c"]));
        assert_ne!(a.key(&[b"ab", b"c"]), a.key(&[b"a", b"bc"]));
        assert_ne!(a.key(&[b"ab\0"]), a.key(&[b"ab"]));
        assert_ne!(a.key(&[b"ab"]), Keyed::new(2).key(&[b"ab"]));
        let mut seen = std::collections::HashSet::new();
        for i in 0..100_000u32 {
            assert!(seen.insert(a.key(&[&i.to_le_bytes()]).0 as u64));
        }
    }
}
