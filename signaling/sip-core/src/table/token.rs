//! Tags, branches and Call-IDs: deterministic from the seed, unguessable without it (RFC 3261 §19.3).

use crate::table::hash::Keyed;

/// Characters of one token: a mark and 70 bits of a keyed hash, five to a character.
pub(crate) const TOKEN_BYTES: usize = 15;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A short piece of text made here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Token([u8; TOKEN_BYTES]);

impl Token {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn from_bits(mut bits: u128) -> Self {
        let mut text = [0; TOKEN_BYTES];
        for character in &mut text {
            *character = ALPHABET[(bits & 31) as usize];
            bits >>= 5;
        }
        Self(text)
    }
}

/// Whose tag this is, if it is one of [`crate::Endpoint`]: what [`crate::EndpointConfig::mark`] said.
pub fn mark_of(tag: &[u8]) -> Option<u8> {
    let first = tag.first().filter(|_| tag.len() == TOKEN_BYTES)?;
    ALPHABET.iter().position(|character| character == first).map(|mark| mark as u8)
}

/// The generator: a keyed hash of a counter, behind the mark of its user.
pub(crate) struct Tokens {
    key: Keyed,
    drawn_count: u64,
    mark: u8,
}

impl Tokens {
    pub(crate) fn new(seed: u64, mark: u8) -> Self {
        Self { key: Keyed::new(seed ^ 0x746f_6b65_6e73), drawn_count: 0, mark }
    }

    fn draw(&mut self) -> u128 {
        self.drawn_count += 1;
        self.key.key(&[&self.drawn_count.to_le_bytes()]).0
    }

    pub(crate) fn next(&mut self) -> Token {
        let bits = self.draw();
        self.marked(bits)
    }

    fn marked(&self, bits: u128) -> Token {
        Token::from_bits(bits & !31 | u128::from(self.mark & 31))
    }

    /// The same text for the same input: To tags of responses sent without state (RFC 3261 §8.2.7).
    pub(crate) fn derived(&self, parts: &[&[u8]]) -> Token {
        self.marked(self.key.key(parts).0)
    }

    /// Evenly spread over `0..bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { (self.draw() as u64) % bound }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_repeat_by_seed_only() {
        let draw = |seed| {
            (0..1000).map({
                let mut tokens = Tokens::new(seed, 9);
                move |_| tokens.next().as_str().to_owned()
            })
        };
        assert!(draw(1).eq(draw(1)));
        let all: std::collections::HashSet<_> = draw(1).chain(draw(2)).collect();
        assert_eq!(all.len(), 2000);
        assert!(all.iter().all(|token| token.len() == TOKEN_BYTES && mark_of(token.as_bytes()) == Some(9)));
        let others: [&[u8]; 4] = [b"", b"a", b"1aaaaaaaaaaaaaa", b"aaaaaaaaaaaaaaaa"];
        assert!(others.iter().all(|other| mark_of(other).is_none()));
    }
}
