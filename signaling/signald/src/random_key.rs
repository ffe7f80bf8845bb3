//! Keys from the random source of the system.

use std::io::{self, Read};

/// A key for nonces that nobody can guess, from `/dev/urandom`.
pub fn nonce_key() -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(key)
}
