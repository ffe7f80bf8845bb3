//! URIs: `sip:`, `sips:`, `tel:`, and others carried as they are.

pub(crate) mod buf;
pub(crate) mod compare;
pub(crate) mod host;
pub(crate) mod number;
pub(crate) mod params;

use crate::limits::{PARAMS_MAX_COUNT, URI_MAX_BYTES};
use crate::uri::host::split_host_port;
use crate::uri::number::{are_tel_params, is_number};
use crate::{Host, Params, scan};
use core::fmt;

/// The scheme of a URI.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (RFC 3966)
    Tel,
    /// Anything else; [`Uri::opaque`] has what follows the colon.
    Other,
}

impl Scheme {
    /// `sip:` or `sips:`.
    pub fn is_sip(self) -> bool {
        matches!(self, Scheme::Sip | Scheme::Sips)
    }
}

/// A URI, borrowed from the bytes that it was parsed from. [`crate::UriBuf`] owns one.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    raw: &'a [u8],
    /// The scheme.
    pub scheme: Scheme,
    /// The user part, escapes as they came; `None` without `@` and for other schemes than `sip:` and `sips:`.
    pub user: Option<&'a [u8]>,
    /// The password, escapes as they came.
    pub password: Option<&'a [u8]>,
    /// The host of `sip:` and `sips:`.
    pub host: Option<Host<'a>>,
    /// The port of `sip:` and `sips:`.
    pub port: Option<u16>,
    /// The parameters of `sip:`, `sips:` and `tel:`.
    pub params: Params<'a>,
    headers: &'a [u8],
    opaque: &'a [u8],
}

/// Why something is no URI, in words for the user who typed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UriError {
    /// Nothing there.
    #[error("empty URI: write sip:user@host")]
    Empty,
    /// Longer than [`URI_MAX_BYTES`].
    #[error("URI longer than {URI_MAX_BYTES} bytes")]
    TooLong,
    /// No `scheme:` at the start.
    #[error("URI without a scheme: write sip:, sips: or tel: first")]
    NoScheme,
    /// Broken user part.
    #[error("user part holds a character that must be written as %HH")]
    User,
    /// Broken host or port.
    #[error("host or port is not valid: write host, host:port or [ipv6]:port with a port up to 65535")]
    Host,
    /// Broken parameters.
    #[error("URI parameter without a name or with a character that must be written as %HH")]
    Params,
    /// Broken `?headers`.
    #[error("URI header is not name=value, or holds a character that must be written as %HH")]
    Headers,
    /// A control character, white space, or a byte outside ASCII.
    #[error("URI holds a control character, white space or a non-ASCII byte")]
    Character,
    /// Broken telephone number.
    #[error("tel: number holds digits and the separators - . ( ) after a +, or without it * # and a to f as well")]
    Number,
}

impl<'a> Uri<'a> {
    /// Reads a URI from a peer or from a user. Nothing that passes can end a line or start a header field.
    pub fn parse(raw: &'a [u8]) -> Result<Uri<'a>, UriError> {
        if raw.is_empty() {
            return Err(UriError::Empty);
        }
        if raw.len() > URI_MAX_BYTES {
            return Err(UriError::TooLong);
        }
        let (scheme, rest) = split_scheme(raw)?;
        match scheme {
            Scheme::Sip | Scheme::Sips => Self::parse_sip(raw, scheme, rest),
            Scheme::Tel => Self::parse_tel(raw, rest),
            Scheme::Other if scan::all(rest, scan::URI_ANY) => Ok(Self::bare(raw, scheme, rest)),
            Scheme::Other => Err(UriError::Character),
        }
    }

    fn bare(raw: &'a [u8], scheme: Scheme, opaque: &'a [u8]) -> Uri<'a> {
        let params = Params::default();
        Uri { raw, scheme, user: None, password: None, host: None, port: None, params, headers: b"", opaque }
    }

    fn parse_sip(raw: &'a [u8], scheme: Scheme, rest: &'a [u8]) -> Result<Uri<'a>, UriError> {
        let mut uri = Self::bare(raw, scheme, rest);
        let at = span_escaped(rest, scan::USER);
        let after_user = match rest.get(at) {
            Some(b'@') => {
                uri.set_userinfo(&rest[..at])?;
                &rest[at + 1..]
            }
            Some(_) if memchr::memchr(b'@', rest).is_some() => return Err(UriError::User),
            _ => rest,
        };
        let (host, port, tail) = split_host_port(after_user).ok_or(UriError::Host)?;
        (uri.host, uri.port) = (Some(host), port);
        if !tail.is_empty() {
            (uri.params, uri.headers) = split_tail(tail)?;
        }
        Ok(uri)
    }

    fn set_userinfo(&mut self, info: &'a [u8]) -> Result<(), UriError> {
        match info.iter().position(|b| *b == b':') {
            _ if info.is_empty() => return Err(UriError::User),
            Some(0) => return Err(UriError::User),
            Some(at) => (self.user, self.password) = (Some(&info[..at]), Some(&info[at + 1..])),
            None => self.user = Some(info),
        }
        Ok(())
    }

    fn parse_tel(raw: &'a [u8], rest: &'a [u8]) -> Result<Uri<'a>, UriError> {
        let number_bytes = memchr::memchr(b';', rest).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_bytes);
        if !is_number(number) {
            return Err(UriError::Number);
        }
        let mut uri = Self::bare(raw, Scheme::Tel, number);
        (uri.params, uri.headers) = split_tail(tail)?;
        let is_whole = uri.headers.is_empty() && !tail.contains(&b'?') && are_tel_params(&uri.params);
        if is_whole { Ok(uri) } else { Err(UriError::Params) }
    }

    /// The URI as it came.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.raw
    }

    /// The URI as it came; only ASCII passes [`Uri::parse`].
    pub fn as_str(&self) -> &'a str {
        core::str::from_utf8(self.raw).unwrap_or("")
    }

    /// What follows the scheme's colon for [`Scheme::Other`]; the number with its separators for [`Scheme::Tel`].
    pub fn opaque(&self) -> &'a [u8] {
        self.opaque
    }

    /// What follows the `?`, without it.
    pub fn headers(&self) -> &'a [u8] {
        self.headers
    }

    /// The URI headers as pairs, escapes as they came.
    pub fn header_pairs(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.headers.split(|b| *b == b'&').filter(|p| !p.is_empty()).map(|pair| {
            let at = memchr::memchr(b'=', pair).unwrap_or(pair.len());
            (&pair[..at], pair.get(at + 1..).unwrap_or_default())
        })
    }

    /// The user part with its escapes resolved; allocates. For comparing without allocation see [`Uri::user_is`].
    pub fn user_decoded(&self) -> Option<Vec<u8>> {
        self.user.map(|user| scan::unescaped(user).collect())
    }

    /// Whether the user part, escapes resolved, is `user`.
    pub fn user_is(&self, user: &[u8]) -> bool {
        self.user.is_some_and(|u| scan::unescaped(u).eq(user.iter().copied()))
    }

    /// The port to use: the one written, else 5061 for `sips:` and 5060 for `sip:`.
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(if self.scheme == Scheme::Sips { 5061 } else { 5060 })
    }

    /// The `transport` parameter as it came.
    pub fn transport(&self) -> Option<&'a [u8]> {
        self.params.get("transport")
    }

    /// Whether the `lr` parameter marks a loose router (RFC 3261 §19.1.1).
    pub fn is_loose(&self) -> bool {
        self.params.has("lr")
    }
}

fn split_scheme(raw: &[u8]) -> Result<(Scheme, &[u8]), UriError> {
    if let [b's', b'i', b'p', b':', rest @ ..] = raw
        && !rest.is_empty()
    {
        return Ok((Scheme::Sip, rest));
    }
    let colon = raw.iter().position(|b| *b == b':').ok_or(UriError::NoScheme)?;
    let (name, rest) = (&raw[..colon], &raw[colon + 1..]);
    let scheme = match name {
        b"sip" => Scheme::Sip,
        b"sips" => Scheme::Sips,
        b"tel" => Scheme::Tel,
        _ => rare_scheme(name)?,
    };
    if rest.is_empty() { Err(UriError::Empty) } else { Ok((scheme, rest)) }
}

fn rare_scheme(name: &[u8]) -> Result<Scheme, UriError> {
    let legal = |b: &u8| b.is_ascii_alphanumeric() || b"+-.".contains(b);
    match name {
        [first, rest @ ..] if first.is_ascii_alphabetic() && rest.iter().all(legal) => {}
        _ => return Err(UriError::NoScheme),
    }
    Ok(match name.len() {
        3 if name.eq_ignore_ascii_case(b"sip") => Scheme::Sip,
        4 if name.eq_ignore_ascii_case(b"sips") => Scheme::Sips,
        3 if name.eq_ignore_ascii_case(b"tel") => Scheme::Tel,
        _ => Scheme::Other,
    })
}

/// How many bytes at the start are of `class`, counting whole `%HH` in.
#[inline]
fn span_escaped(bytes: &[u8], class: u16) -> usize {
    let mut at = 0;
    loop {
        at += scan::span(&bytes[at..], class);
        match bytes[at..] {
            [b'%', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => at += 3,
            _ => return at,
        }
    }
}

/// Splits `;params?headers` and checks both.
fn split_tail(tail: &[u8]) -> Result<(Params<'_>, &[u8]), UriError> {
    let mut at = 0;
    let mut count = 0;
    while tail.get(at) == Some(&b';') {
        let param = &tail[at + 1..];
        let size = span_escaped(param, scan::URI_PARAM);
        count += 1;
        if size == 0 || param[0] == b'=' || count > PARAMS_MAX_COUNT {
            return Err(UriError::Params);
        }
        at += 1 + size;
    }
    let (params, headers) = tail.split_at(at);
    match headers {
        [] => Ok((Params::of_uri(params), b"")),
        [b'?', ..] => Ok((Params::of_uri(params), uri_headers(headers)?)),
        [byte, ..] if scan::is_space(*byte) || !byte.is_ascii_graphic() => Err(UriError::Character),
        _ if at == 0 => Err(UriError::Host),
        _ => Err(UriError::Params),
    }
}

fn uri_headers(raw: &[u8]) -> Result<&[u8], UriError> {
    let Some(headers) = raw.strip_prefix(b"?") else { return Ok(b"") };
    if !scan::all(headers, scan::URI_HEADER) || !scan::escapes_are_whole(headers) {
        return Err(UriError::Headers);
    }
    let mut count = 0;
    for pair in headers.split(|b| *b == b'&') {
        count += 1;
        if count > PARAMS_MAX_COUNT || !matches!(memchr::memchr(b'=', pair), Some(1..)) {
            return Err(UriError::Headers);
        }
    }
    Ok(headers)
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
