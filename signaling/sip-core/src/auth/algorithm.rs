//! The hash functions of RFC 8760.

use sha2::Digest;
use std::fmt::Write;

/// A digest algorithm, without its `-sess` form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Algorithm {
    /// What every SIP device can; broken as a hash, still what most trunks ask for.
    Md5,
    /// RFC 8760.
    Sha256,
    /// RFC 8760: SHA-512, cut to 256 bits, with its own start value.
    Sha512_256,
}

impl Algorithm {
    /// From the `algorithm` parameter, which means MD5 when it is absent; the flag says `-sess`.
    pub fn parse(name: Option<&[u8]>) -> Option<(Self, bool)> {
        let Some(name) = name else { return Some((Self::Md5, false)) };
        let (name, session) = match name.len().checked_sub(5).map(|at| name.split_at(at)) {
            Some((start, end)) if end.eq_ignore_ascii_case(b"-sess") => (start, true),
            _ => (name, false),
        };
        let known = [Self::Md5, Self::Sha256, Self::Sha512_256];
        let found = known.into_iter().find(|known| known.name().as_bytes().eq_ignore_ascii_case(name))?;
        Some((found, session))
    }

    /// As the parameter spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512_256 => "SHA-512-256",
        }
    }

    /// The hash of parts joined by colons, in lower-case hexadecimal.
    pub(crate) fn hex(self, parts: &[&[u8]]) -> String {
        match self {
            Self::Md5 => hex_of::<md5::Md5>(parts),
            Self::Sha256 => hex_of::<sha2::Sha256>(parts),
            Self::Sha512_256 => hex_of::<sha2::Sha512_256>(parts),
        }
    }
}

fn hex_of<D: Digest>(parts: &[&[u8]]) -> String {
    let mut hash = D::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    to_hex(&hash.finalize())
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
