//! `name-addr` and `addr-spec` with their parameters: From, To, Contact, Route and their kin (RFC 3261 §20.10).

use crate::{Params, Uri, UriError, scan};
use std::borrow::Cow;

/// One address of a header field.
#[derive(Clone, Copy, Debug)]
pub struct Address<'a> {
    raw: &'a [u8],
    display: &'a [u8],
    /// The URI.
    pub uri: Uri<'a>,
    /// The parameters of the header value, not those of the URI.
    pub params: Params<'a>,
}

/// One value of Contact.
#[derive(Clone, Copy, Debug)]
pub enum Contact<'a> {
    /// `*`: every binding, in a REGISTER that removes them.
    Star,
    /// An address.
    Address(Address<'a>),
}

impl<'a> Address<'a> {
    /// Reads one value; `None` when it breaks the grammar. A comma ends an address, so split lists first.
    pub fn parse(value: &'a [u8]) -> Option<Address<'a>> {
        let raw = scan::trim(value);
        match raw.first()? {
            b'"' => {
                let (display, rest) = raw.split_at(scan::quoted_bytes(raw)?);
                Self::parse_bracketed(raw, display, scan::trim_start(rest))
            }
            b'<' => Self::parse_bracketed(raw, b"", raw),
            _ => match memchr::memchr3(b'<', b';', b'"', raw) {
                Some(at) if raw[at] == b'<' => Self::parse_bracketed(raw, display_name(&raw[..at])?, &raw[at..]),
                Some(at) if raw[at] == b'"' => None,
                at => Self::parse_bare(raw, at.unwrap_or(raw.len())),
            },
        }
    }

    fn parse_bracketed(raw: &'a [u8], display: &'a [u8], rest: &'a [u8]) -> Option<Address<'a>> {
        let rest = rest.strip_prefix(b"<")?;
        let (uri, rest) = rest.split_at(memchr::memchr(b'>', rest)?);
        let params = Params::parse(&rest[1..])?;
        Some(Address { raw, display, uri: Uri::parse(uri).ok()?, params })
    }

    /// Without brackets the parameters belong to the header, and `,` and `?` are not allowed (RFC 3261 §20).
    fn parse_bare(raw: &'a [u8], uri_bytes: usize) -> Option<Address<'a>> {
        let (uri, rest) = raw.split_at(uri_bytes);
        let uri = scan::trim_end(uri);
        if memchr::memchr2(b'?', b',', uri).is_some() {
            return None;
        }
        Some(Address { raw, display: b"", uri: Uri::parse(uri).ok()?, params: Params::parse(rest)? })
    }

    /// The whole value as it came, trimmed.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.raw
    }

    /// The display name as it came, quotes included; empty when there is none.
    pub fn display_raw(&self) -> &'a [u8] {
        self.display
    }

    /// The display name as a person reads it: no quotes, escapes resolved, bytes that are no UTF-8 replaced.
    pub fn display_name(&self) -> Option<Cow<'a, str>> {
        if self.display.is_empty() {
            return None;
        }
        Some(unescape_quoted(self.display))
    }

    /// The `tag` parameter (RFC 3261 §19.3).
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params.get("tag")
    }

    /// The `expires` parameter of a Contact; `None` when absent or no number (RFC 3261 §10.3: then take the default).
    pub fn expires(&self) -> Option<u32> {
        scan::number(self.params.get("expires")?, u64::from(u32::MAX)).map(|v| v as u32)
    }

    /// The `q` parameter in thousandths; `None` when absent or not from 0 to 1 with three decimals.
    pub fn q_thousandths(&self) -> Option<u16> {
        qvalue(self.params.get("q")?)
    }

    /// `+sip.instance` without quotes (RFC 5626 §4.1).
    pub fn sip_instance(&self) -> Option<&'a [u8]> {
        self.params.get("+sip.instance")
    }

    /// `reg-id` (RFC 5626 §4.2).
    pub fn reg_id(&self) -> Option<u32> {
        scan::number(self.params.get("reg-id")?, u64::from(u32::MAX)).map(|v| v as u32)
    }

    /// Why a text is no address, for users who typed one; a bare URI and `"Name" <uri>` both pass.
    pub fn check(text: &str) -> Result<Address<'_>, UriError> {
        if text.bytes().any(|b| b.is_ascii_control()) {
            return Err(UriError::Character);
        }
        match Address::parse(text.as_bytes()) {
            Some(address) => Ok(address),
            None => Err(Uri::parse(text.as_bytes()).err().unwrap_or(UriError::Params)),
        }
    }
}

impl<'a> Contact<'a> {
    /// Reads one value of Contact.
    pub fn parse(value: &'a [u8]) -> Option<Contact<'a>> {
        match scan::trim(value) {
            b"*" => Some(Contact::Star),
            value => Address::parse(value).map(Contact::Address),
        }
    }

    /// The address, unless it is `*`.
    pub fn address(&self) -> Option<&Address<'a>> {
        match self {
            Contact::Star => None,
            Contact::Address(address) => Some(address),
        }
    }
}

/// Tokens and white space by the grammar. Phones send more (dots with spaces, UTF-8); only what separates values is refused.
fn display_name(bytes: &[u8]) -> Option<&[u8]> {
    let display = scan::trim(bytes);
    display.iter().all(|b| !matches!(b, b',' | b';' | b'>' | b'"' | b'\\' | b'=' | 0)).then_some(display)
}

/// A quoted string or plain text with its escapes resolved and its folds turned into spaces.
pub(crate) fn unescape_quoted(bytes: &[u8]) -> Cow<'_, str> {
    let inner = crate::uri::params::unquote(bytes);
    if memchr::memchr3(b'\\', b'\r', b'\n', inner).is_none() {
        return String::from_utf8_lossy(inner);
    }
    let mut plain = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let [first, tail @ ..] = rest {
        let (byte, after) = match (first, tail) {
            (b'\\', [next, after @ ..]) => (next, after),
            _ => (first, tail),
        };
        plain.push(*byte);
        rest = after;
    }
    plain.retain(|b| !matches!(b, b'\r' | b'\n'));
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}

/// `q=0.5` as 500 (RFC 3261 §25.1, qvalue).
pub(crate) fn qvalue(bytes: &[u8]) -> Option<u16> {
    let (whole, decimals) = match memchr::memchr(b'.', bytes) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &b""[..]),
    };
    if decimals.len() > 3 || whole.len() > 1 {
        return None;
    }
    let mut value = scan::number(whole, 1)? as u16 * 1000;
    let mut weight = 100;
    for digit in decimals {
        value += scan::number(core::slice::from_ref(digit), 9)? as u16 * weight;
        weight /= 10;
    }
    (value <= 1000).then_some(value)
}
