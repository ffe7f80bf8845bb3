//! Nonces that need no memory: when they were made, a number, and a keyed hash over both and over the address that it was sent to.

use super::algorithm::to_hex;
use super::digest::same;
use super::failures::network;
use clock::{Duration, Instant};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::net::IpAddr;

/// Sixteen digits of time, sixteen of the number, thirty-two of the hash.
pub(crate) const NONCE_BYTES: usize = 64;

/// What became of a nonce that came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Age {
    /// Ours and young enough.
    Fresh,
    /// One of ours, too old; or sent to another address; or not ours, as after a restart with another secret.
    Stale,
}

/// Makes and recognises nonces.
#[derive(Clone)]
pub(crate) struct Nonces {
    mac: Hmac<Sha256>,
    life: Duration,
    made_count: u64,
}

impl Nonces {
    pub(crate) fn new(secret: &[u8; 32], realm: &str, life: Duration) -> Self {
        // RFC 2104 §2: a key shorter than a block is filled with zeros.
        let mut block = [0; 64];
        block[..secret.len()].copy_from_slice(secret);
        let mut mac = <Hmac<Sha256> as hmac::digest::KeyInit>::new(&block.into());
        mac.update(realm.as_bytes());
        Self { mac, life, made_count: 0 }
    }

    pub(crate) fn make(&mut self, now: Instant, source: IpAddr) -> String {
        self.made_count += 1;
        let stem = format!("{:016x}{:016x}", now.as_nanos(), self.made_count);
        let hash = self.hash(stem.as_bytes(), source);
        stem + &hash
    }

    fn hash(&self, stem: &[u8], source: IpAddr) -> String {
        let mut mac = self.mac.clone();
        mac.update(stem);
        mac.update(&network(source));
        let mut hash = to_hex(&mac.finalize().into_bytes());
        hash.truncate(32);
        hash
    }

    pub(crate) fn age(&self, now: Instant, nonce: &[u8], source: IpAddr) -> Age {
        if nonce.len() != NONCE_BYTES || !same(self.hash(&nonce[..32], source).as_bytes(), &nonce[32..]) {
            return Age::Stale;
        }
        let made_at = std::str::from_utf8(&nonce[..16]).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
        match made_at.map(Instant::from_nanos) {
            Some(at) if at <= now && now.since(at) <= self.life => Age::Fresh,
            _ => Age::Stale,
        }
    }
}
