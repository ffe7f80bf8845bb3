//! Challenges and credentials: the words of digest authentication (RFC 3261 §22, RFC 8760). The sums are sip-core's.

use crate::limits::PARAMS_MAX_COUNT;
use crate::{Param, scan};

/// A challenge (`WWW-Authenticate`, `Proxy-Authenticate`) or credentials (`Authorization`, `Proxy-Authorization`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Auth<'a> {
    /// `Digest`, or a scheme that we do not know.
    pub scheme: &'a [u8],
    params: &'a [u8],
}

impl<'a> Auth<'a> {
    /// `scheme name=value, name="value"`; also one value of Authentication-Info through [`Auth::parse_info`].
    pub fn parse(value: &'a [u8]) -> Option<Auth<'a>> {
        let value = scan::trim(value);
        let (scheme, params) = scan::take(value, scan::TOKEN);
        let spaced = params.first().is_some_and(|b| scan::is_space(*b));
        if scheme.is_empty() || !spaced {
            return None;
        }
        Self::checked(scheme, scan::trim_start(params))
    }

    /// Authentication-Info: the parameters without a scheme.
    pub fn parse_info(value: &'a [u8]) -> Option<Auth<'a>> {
        Self::checked(b"", scan::trim(value))
    }

    fn checked(scheme: &'a [u8], params: &'a [u8]) -> Option<Auth<'a>> {
        let mut rest = Some(params);
        for _ in 0..PARAMS_MAX_COUNT {
            let Some(bytes) = rest else { return Some(Auth { scheme, params }) };
            (_, rest) = next_param(bytes)?;
        }
        rest.is_none().then_some(Auth { scheme, params })
    }

    /// Whether the scheme is `Digest`.
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case(b"Digest")
    }

    /// Walks the parameters.
    pub fn iter(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        let mut rest = Some(self.params);
        core::iter::from_fn(move || {
            let (param, after) = next_param(rest?)?;
            rest = after;
            Some(param)
        })
    }

    /// The value of a parameter without its quotes; escapes stay, as digest sums need them (RFC 7616 §3.4).
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|p| p.name.eq_ignore_ascii_case(name.as_bytes())).map(|p| p.unquoted())
    }

    /// `username`
    pub fn username(&self) -> Option<&'a [u8]> {
        self.get("username")
    }

    /// `realm`
    pub fn realm(&self) -> Option<&'a [u8]> {
        self.get("realm")
    }

    /// `nonce`
    pub fn nonce(&self) -> Option<&'a [u8]> {
        self.get("nonce")
    }

    /// `uri`
    pub fn uri(&self) -> Option<&'a [u8]> {
        self.get("uri")
    }

    /// `response`
    pub fn response(&self) -> Option<&'a [u8]> {
        self.get("response")
    }

    /// `algorithm`
    pub fn algorithm(&self) -> Option<&'a [u8]> {
        self.get("algorithm")
    }

    /// `opaque`
    pub fn opaque(&self) -> Option<&'a [u8]> {
        self.get("opaque")
    }

    /// `cnonce`
    pub fn cnonce(&self) -> Option<&'a [u8]> {
        self.get("cnonce")
    }

    /// `qop`: one value in credentials, a list in a challenge.
    pub fn qop(&self) -> Option<&'a [u8]> {
        self.get("qop")
    }

    /// `nc`: eight hexadecimal digits.
    pub fn nc(&self) -> Option<u32> {
        let digits = self.get("nc")?;
        let hex = digits.len() == 8 && digits.iter().all(u8::is_ascii_hexdigit);
        hex.then(|| digits.iter().fold(0, |sum, d| sum << 4 | u32::from(scan::hex(*d))))
    }

    /// `stale=true`
    pub fn is_stale(&self) -> bool {
        self.get("stale").is_some_and(|v| v.eq_ignore_ascii_case(b"true"))
    }
}

/// `name = value [, rest]`.
fn next_param(bytes: &[u8]) -> Option<(Param<'_>, Option<&[u8]>)> {
    let (name, rest) = scan::take(scan::trim_start(bytes), scan::TOKEN);
    let rest = scan::trim_start(scan::trim_start(rest).strip_prefix(b"=")?);
    let value_bytes = match rest.first() {
        Some(b'"') => scan::quoted_bytes(rest)?,
        _ => rest.iter().position(|b| matches!(b, b',' | b'"') || scan::is_space(*b)).unwrap_or(rest.len()),
    };
    let (value, rest) = rest.split_at(value_bytes);
    if name.is_empty() || value.is_empty() {
        return None;
    }
    let after = match scan::trim_start(rest) {
        [] => None,
        [b',', tail @ ..] => Some(tail),
        _ => return None,
    };
    Some((Param { name, value: Some(value) }, after))
}
