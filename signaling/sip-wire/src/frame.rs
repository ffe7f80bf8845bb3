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
    for (name, value) in lines(head) {
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

/// The header lines of a head as (name, trimmed value); lines without a colon are passed over.
fn lines(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
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
    let window = &datagram[..datagram.len().min(MESSAGE_MAX_BYTES)];
    let skipped = window.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let head = &window[skipped..];
    let mut at = memchr::memchr(b'\n', head)? + 1;
    while let Some(&first) = head.get(at) {
        if matches!(first, b'\n') || head[at..].starts_with(b"\r\n") {
            return None;
        }
        if matches!(first | 0x20, b'i' | b'c') && starts_as_call_id(&head[at..]) {
            let line = &head[at..logical_line_end(head, at)];
            if let Some(value) = call_id_line(line) {
                return crate::typed::call_id(value);
            }
        }
        at += memchr::memchr(b'\n', &head[at..])? + 1;
    }
    None
}

fn starts_as_call_id(line: &[u8]) -> bool {
    match line {
        [b'i' | b'I', next, ..] if *next == b':' || scan::is_space(*next) => true,
        _ => line.get(..7).is_some_and(|name| name.eq_ignore_ascii_case(b"Call-ID")),
    }
}

/// The value, when this header field is a Call-ID.
fn call_id_line(line: &[u8]) -> Option<&[u8]> {
    let colon = scan::find_near(line, b':')?;
    let named = Name::parse(scan::trim_end(&line[..colon])) == Name::CallId;
    named.then(|| scan::trim(&line[colon + 1..]))
}
