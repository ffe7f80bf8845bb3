//! Cutting messages out of a byte stream (RFC 3261 §18.3), and the Call-ID out of a datagram before it is parsed.

use crate::limits::MESSAGE_MAX_BYTES;
use crate::message::logical_line_end;
use crate::{ErrorKind, Name, ParseError, scan};

/// What stands at the start of a stream's buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// Read more. The buffer never has to hold more than [`MESSAGE_MAX_BYTES`].
    Incomplete,
    /// One message in so many bytes.
    Complete {
        /// Its size, empty lines before it included.
        bytes: usize,
    },
    /// Empty lines between messages (RFC 5626 §3.5.1).
    KeepAlive {
        /// How many bytes they take.
        bytes: usize,
        /// Two line ends ask for a pong, one is a pong.
        kind: KeepAlive,
    },
    /// No message will be found here any more: answer from the head if it parses, then close the connection.
    Invalid(ParseError),
}

/// What a run of empty lines means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeepAlive {
    /// CRLF CRLF: answer with CRLF.
    Ping,
    /// CRLF with a message behind it.
    Pong,
    /// CRLF at the end of what has come: a pong for who asked; else wait, it may become a ping.
    PongOrHalfPing,
}

/// Looks at the start of a stream's buffer. Stateless; a connection that is fed byte by byte should use [`Framer`].
pub fn frame(buffer: &[u8]) -> Framing {
    Framer::default().frame(buffer)
}

/// [`frame`] that remembers how far it has looked, so that a slow sender costs no more than a fast one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Framer {
    /// Bytes in which no end of the header section was found.
    searched: usize,
    /// Size of the message, once its head has been read.
    whole: usize,
}

impl Framer {
    /// As [`frame`]. Call it with the same buffer and more at its end until it is not [`Framing::Incomplete`]; what it
    /// reported must then be taken off the buffer.
    pub fn frame(&mut self, buffer: &[u8]) -> Framing {
        let framing = self.look(buffer);
        if framing != Framing::Incomplete {
            *self = Framer::default();
        }
        framing
    }

    fn look(&mut self, buffer: &[u8]) -> Framing {
        if self.whole == 0 {
            match buffer {
                [] | [b'\r'] => return Framing::Incomplete,
                [b'\r', b'\n', ..] | [b'\n', ..] => return keep_alive(buffer),
                _ => {}
            }
            match self.find_head(buffer) {
                Ok(Some(whole)) => self.whole = whole,
                Ok(None) => return Framing::Incomplete,
                Err(error) => return Framing::Invalid(error),
            }
        }
        if buffer.len() >= self.whole { Framing::Complete { bytes: self.whole } } else { Framing::Incomplete }
    }

    fn find_head(&mut self, buffer: &[u8]) -> Result<Option<usize>, ParseError> {
        let too_large = ParseError::message(ErrorKind::MessageTooLarge);
        let Some(head_bytes) = self.head_bytes(buffer) else {
            return if buffer.len() >= MESSAGE_MAX_BYTES { Err(too_large) } else { Ok(None) };
        };
        let body_bytes = content_length(&buffer[..head_bytes])?;
        let whole = head_bytes.checked_add(body_bytes).filter(|w| *w <= MESSAGE_MAX_BYTES).ok_or(too_large)?;
        Ok(Some(whole))
    }

    /// Where the body starts: behind the first empty line.
    fn head_bytes(&mut self, buffer: &[u8]) -> Option<usize> {
        let window = &buffer[..buffer.len().min(MESSAGE_MAX_BYTES)];
        let mut at = self.searched;
        while let Some(found) = memchr::memchr(b'\n', &window[at..]) {
            match &window[at + found + 1..] {
                [b'\n', ..] => return Some(at + found + 2),
                [b'\r', b'\n', ..] => return Some(at + found + 3),
                [] | [b'\r'] => {
                    self.searched = at + found; // look at this line end again when more has come
                    return None;
                }
                _ => at += found + 1,
            }
        }
        self.searched = window.len();
        None
    }
}

fn keep_alive(buffer: &[u8]) -> Framing {
    match buffer {
        [b'\r', b'\n', b'\r', b'\n', ..] => Framing::KeepAlive { bytes: 4, kind: KeepAlive::Ping },
        [b'\r', b'\n'] => Framing::KeepAlive { bytes: 2, kind: KeepAlive::PongOrHalfPing },
        [b'\r', b'\n', b'\r'] => Framing::Incomplete,
        [b'\r', b'\n', ..] => Framing::KeepAlive { bytes: 2, kind: KeepAlive::Pong },
        _ => Framing::KeepAlive { bytes: 1, kind: KeepAlive::Pong },
    }
}

/// The one Content-Length of a head. Several that agree are forgiven, several that differ are an attack on framing.
fn content_length(head: &[u8]) -> Result<usize, ParseError> {
    let mut found = None;
    for (name, value) in header_fields(head) {
        if Name::parse(name) != Name::ContentLength {
            continue;
        }
        let bytes = scan::number(value, u64::from(u32::MAX)).ok_or(ParseError::malformed(Name::ContentLength))?;
        if found.is_some_and(|f| f != bytes) {
            return Err(ParseError::of(ErrorKind::Duplicate, Name::ContentLength));
        }
        found = Some(bytes);
    }
    found.map(|bytes| bytes as usize).ok_or(ParseError::message(ErrorKind::LengthRequired))
}

/// The header fields of a message that was parsed or written before, as (name as it came, trimmed value), found in one pass
/// without an index. Lines without a colon are passed over.
pub fn header_fields(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut at = logical_line_end(head, 0); // the start line
    core::iter::from_fn(move || {
        loop {
            if matches!(&head[at..], [] | [b'\n', ..] | [b'\r', b'\n', ..]) {
                return None;
            }
            let end = logical_line_end(head, at);
            let (name, rest) = scan::take(&head[at..end], scan::TOKEN);
            at = end;
            if let Some(value) = scan::trim_start(rest).strip_prefix(b":") {
                return Some((name, scan::trim(value)));
            }
        }
    })
}

/// The Call-ID of a datagram, found with one scan and without parsing: what [`crate::Message::call_id`] would say.
#[inline]
pub fn call_id(datagram: &[u8]) -> Option<&[u8]> {
    crate::message::typed::call_id(field(datagram, b"Call-ID", b"i")?)
}

/// The tag of To, found in the same way.
#[inline]
pub fn to_tag(datagram: &[u8]) -> Option<&[u8]> {
    tag(field(datagram, b"To", b"t")?)
}

/// The tag that the receiver of this message gave its dialog, found like the Call-ID: that of To in a request, that of
/// From in a response, and that of the dialog to be replaced in an INVITE that begins one (RFC 3891 §3).
pub fn own_tag(datagram: &[u8]) -> Option<&[u8]> {
    let start = &datagram[line_ends(datagram)..];
    if start.starts_with(b"SIP/") {
        return tag(field(datagram, b"From", b"f")?);
    }
    let replaced = || crate::DialogId::parse(field(datagram, b"Replaces", b"")?).map(|dialog| dialog.to_tag);
    to_tag(datagram).or_else(|| start.starts_with(b"INVITE ").then(replaced).flatten())
}

/// Line ends before the start line (RFC 3261 §7.5).
fn line_ends(datagram: &[u8]) -> usize {
    datagram.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// The value of the first header field of this name, or of its compact form.
#[inline]
fn field<'d>(datagram: &'d [u8], name: &[u8], compact: &[u8]) -> Option<&'d [u8]> {
    let window = &datagram[..datagram.len().min(MESSAGE_MAX_BYTES)];
    let head = &window[line_ends(window)..];
    let mut at = memchr::memchr(b'\n', head)? + 1;
    while let Some(&first) = head.get(at) {
        let rest = &head[at..];
        if matches!(first, b'\n') || rest.starts_with(b"\r\n") {
            return None;
        }
        let begins = |name: &[u8]| name.first().is_some_and(|letter| letter.eq_ignore_ascii_case(&first));
        if (begins(name) || begins(compact))
            && let Some(after) = after_name(rest, name).or_else(|| after_name(rest, compact))
        {
            let line = &rest[..logical_line_end(head, at) - at];
            return line.get(after..).map(scan::trim);
        }
        at += memchr::memchr(b'\n', rest)? + 1;
    }
    None
}

/// Where the value of a line with this name begins.
fn after_name(line: &[u8], name: &[u8]) -> Option<usize> {
    if name.is_empty() || !line.get(..name.len())?.eq_ignore_ascii_case(name) {
        return None;
    }
    let colon = name.len() + line[name.len()..].iter().take_while(|byte| scan::is_space(**byte)).count();
    (line.get(colon) == Some(&b':')).then_some(colon + 1)
}

/// The tag of an address: nothing before its last `>` is a parameter.
fn tag(value: &[u8]) -> Option<&[u8]> {
    let parameters = &value[memchr::memrchr(b'>', value).unwrap_or(0)..];
    let mut parameters = parameters.split(|byte| *byte == b';').skip(1);
    parameters.find_map(|parameter| {
        let equals = memchr::memchr(b'=', parameter)?;
        let is_tag = scan::trim(&parameter[..equals]).eq_ignore_ascii_case(b"tag");
        is_tag.then(|| scan::trim(&parameter[equals + 1..]))
    })
}
