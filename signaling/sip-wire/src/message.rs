//! A message as spans over its bytes: start line, index of header fields, body. Values are typed on demand.

pub(crate) mod body;
pub(crate) mod frame;
pub(crate) mod header_lines;
pub(crate) mod method;
pub(crate) mod name;
#[cfg(debug_assertions)]
pub(crate) mod parse_count;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod typed;
pub(crate) mod validate;

use crate::limits::{HEADERS_MAX_COUNT, MESSAGE_MAX_BYTES};
use crate::message::header_lines::HeaderLines;
use crate::message::name::NAMES_COUNT;
use crate::message::start::StartLine;
use crate::{ErrorKind, Method, Name, ParseError, StatusCode, Uri, scan};
use core::fmt;

/// Where one header field stands. Eight bytes, so that the whole index is one kilobyte.
#[derive(Clone, Copy)]
struct Slot {
    name_at: u16,
    name_end: u16,
    value_at: u16,
    value_end: u16,
}

const NOTHING: Slot = Slot { name_at: 0, name_end: 0, value_at: 0, value_end: 0 };
const NONE: u8 = u8::MAX;

/// A parsed message, borrowing the bytes it came in.
///
/// [`Message::parse`] refuses only what is not SIP at all. Everything else that is wrong is remembered and reported by
/// [`Message::validate_request`] or [`Message::validate_response`], so that there is still a Via, From, To, Call-ID and
/// CSeq to answer from.
#[derive(Clone)]
pub struct Message<'a> {
    bytes: &'a [u8],
    index: MessageIndex,
}

/// Where everything stands in a message that was parsed, without its bytes: with a copy of those it is the parsed message
/// again ([`Message::indexed`]). About 1.3 KB, on no heap.
#[derive(Clone)]
pub struct MessageIndex {
    start: StartLine,
    /// The first fault that parsing met and worked around.
    fault: Option<ParseError>,
    body_at: u16,
    count: u8,
    /// Index of the first header field of each name.
    first: [u8; NAMES_COUNT],
    names: [Name; HEADERS_MAX_COUNT],
    slots: [Slot; HEADERS_MAX_COUNT],
}

/// One header field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header<'a> {
    /// The name, [`Name::Other`] when it is none that this crate knows.
    pub name: Name,
    /// The name as it came.
    pub raw_name: &'a [u8],
    /// The value as it came, trimmed, folds inside.
    pub value: &'a [u8],
}

impl<'a> Message<'a> {
    /// Parses one datagram, or one message that [`crate::frame`] cut out of a stream.
    pub fn parse(datagram: &'a [u8]) -> Result<Message<'a>, ParseError> {
        #[cfg(debug_assertions)]
        parse_count::note();
        if datagram.len() > MESSAGE_MAX_BYTES {
            return Err(ParseError::message(ErrorKind::MessageTooLarge));
        }
        // Empty lines before a start line are ignored (RFC 3261 §7.5).
        let skipped = datagram.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let bytes = &datagram[skipped..];
        let (line, head_at) = cut_line(bytes, 0);
        let (start, fault) = StartLine::parse(line)?;
        let index = MessageIndex {
            start,
            fault,
            body_at: bytes.len() as u16,
            count: 0,
            first: [NONE; NAMES_COUNT],
            names: [Name::Other; HEADERS_MAX_COUNT],
            slots: [NOTHING; HEADERS_MAX_COUNT],
        };
        let mut message = Message { bytes, index };
        message.index_headers(head_at);
        Ok(message)
    }

    /// What its index says about the message, for a copy of its bytes.
    pub fn index(&self) -> &MessageIndex {
        &self.index
    }

    /// The message again, from a copy of [`Self::as_bytes`] and its index. `None`: these bytes are shorter than those of the
    /// message that was parsed.
    pub fn indexed(bytes: &'a [u8], index: &MessageIndex) -> Option<Message<'a>> {
        (bytes.len() >= index.end()).then(|| Message { bytes, index: index.clone() })
    }

    fn index_headers(&mut self, head_at: usize) {
        let bytes = self.bytes;
        let mut at = head_at;
        while let Some(&first) = bytes.get(at) {
            if matches!(first, b'\r' | b'\n')
                && let Some(size) = empty_line(&bytes[at..])
            {
                self.index.body_at = (at + size) as u16;
                return;
            }
            let end = logical_line_end(bytes, at);
            if usize::from(self.index.count) == HEADERS_MAX_COUNT {
                return self.note(ErrorKind::TooManyHeaders);
            }
            if self.index_line(at, &bytes[at..end]).is_none() {
                self.note(ErrorKind::HeaderLine);
            }
            at = end;
        }
        self.note(ErrorKind::Truncated);
    }

    #[inline]
    fn index_line(&mut self, at: usize, line: &[u8]) -> Option<()> {
        let colon = scan::find_near(line, b':')?;
        let name_bytes = end_of(line, colon);
        let name = Name::parse(&line[..name_bytes]);
        if name == Name::Other && !scan::is_token(&line[..name_bytes]) {
            return None;
        }
        let value_at = match line[colon + 1..] {
            [b' ', b'!'..=u8::MAX, ..] => colon + 2,
            _ => line.len() - scan::trim_start(&line[colon + 1..]).len(),
        };
        let without_line_end = if line.ends_with(b"\r\n") { line.len() - 2 } else { line.len() };
        let value_end = end_of(line, without_line_end).max(value_at);
        let index = usize::from(self.index.count);
        self.index.names[index] = name;
        self.index.slots[index] = Slot {
            name_at: at as u16,
            name_end: (at + name_bytes) as u16,
            value_at: (at + value_at) as u16,
            value_end: (at + value_end) as u16,
        };
        let first = &mut self.index.first[name as usize];
        if *first == NONE {
            *first = self.index.count;
        }
        self.index.count += 1;
        Some(())
    }

    fn note(&mut self, kind: ErrorKind) {
        self.index.fault.get_or_insert(ParseError::message(kind));
    }

    /// The fault that parsing met and worked around, if any.
    pub fn fault(&self) -> Option<ParseError> {
        self.index.fault
    }

    /// The bytes of the message, from the start line to the end of what came.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether it is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.index.start, StartLine::Request { .. })
    }

    /// The method of a request.
    pub fn method(&self) -> Option<Method> {
        match self.index.start {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Response { .. } => None,
        }
    }

    /// The method's bytes of a request.
    pub fn method_raw(&self) -> &'a [u8] {
        match self.index.start {
            StartLine::Request { method_raw, .. } => method_raw.in_message(self.bytes),
            StartLine::Response { .. } => b"",
        }
    }

    /// The Request-URI as it came; empty for a response.
    pub fn request_uri_raw(&self) -> &'a [u8] {
        match self.index.start {
            StartLine::Request { uri, .. } => uri.in_message(self.bytes),
            StartLine::Response { .. } => b"",
        }
    }

    /// The Request-URI.
    pub fn request_uri(&self) -> Result<Uri<'a>, ParseError> {
        Uri::parse(self.request_uri_raw()).map_err(|e| {
            ParseError::message(match e {
                crate::UriError::TooLong => ErrorKind::UriTooLong,
                _ => ErrorKind::Uri,
            })
        })
    }

    /// The status of a response.
    pub fn status(&self) -> Option<StatusCode> {
        match self.index.start {
            StartLine::Response { status, .. } => Some(status),
            StartLine::Request { .. } => None,
        }
    }

    /// The reason phrase of a response as it came, UTF-8 or not.
    pub fn reason_phrase(&self) -> &'a [u8] {
        match self.index.start {
            StartLine::Response { reason, .. } => reason.in_message(self.bytes),
            StartLine::Request { .. } => b"",
        }
    }

    /// How many header fields there are.
    pub fn header_count(&self) -> usize {
        usize::from(self.index.count)
    }

    /// The header field at `index`, in the order of the message.
    pub fn header_at(&self, index: usize) -> Option<Header<'a>> {
        if index >= self.header_count() {
            return None;
        }
        let slot = self.index.slots[index];
        Some(Header {
            name: self.index.names[index],
            raw_name: &self.bytes[usize::from(slot.name_at)..usize::from(slot.name_end)],
            value: &self.bytes[usize::from(slot.value_at)..usize::from(slot.value_end)],
        })
    }

    /// Every header field in the order of the message.
    pub fn headers(&self) -> impl Iterator<Item = Header<'a>> + '_ {
        (0..self.header_count()).filter_map(|index| self.header_at(index))
    }

    /// The lines of the header section that hold the header field at `index`, line ends included.
    pub(crate) fn line_at(&self, index: usize) -> &'a [u8] {
        let Some(slot) = self.index.slots[..self.header_count()].get(index) else { return b"" };
        let at = usize::from(slot.name_at);
        &self.bytes[at..logical_line_end(self.bytes, at)]
    }

    /// The raw value of the first header field of that name.
    #[inline]
    pub fn header(&self, name: Name) -> Option<&'a [u8]> {
        let index = usize::from(self.index.first[name as usize]);
        if name == Name::Other { None } else { self.header_at(index).map(|h| h.value) }
    }

    /// The raw values of every header field of that name, not split at commas.
    pub fn header_lines(&self, name: Name) -> HeaderLines<'a, '_> {
        HeaderLines { message: self, name, next: usize::from(self.index.first[name as usize]) }
    }

    /// The raw value of the first header field with that name, known or not, in any case.
    pub fn header_named(&self, name: &str) -> Option<&'a [u8]> {
        match Name::parse(name.as_bytes()) {
            Name::Other => self.headers().find(|h| h.raw_name.eq_ignore_ascii_case(name.as_bytes())).map(|h| h.value),
            known => self.header(known),
        }
    }

    /// Whether there is such a header field.
    pub fn has(&self, name: Name) -> bool {
        self.index.first[name as usize] != NONE
    }

    /// A header field that may stand once and stands several times.
    pub(crate) fn doubled_single_header(&self) -> Option<Name> {
        let names = self.index.names.iter().take(self.header_count()).enumerate();
        names.filter(|(index, name)| name.is_single() && !self.is_first(*index, **name)).map(|(_, name)| *name).next()
    }

    /// Whether the header field at `index` is the first of its name.
    pub(crate) fn is_first(&self, index: usize, name: Name) -> bool {
        usize::from(self.index.first[name as usize]) == index
    }

    /// How many header fields of that name there are.
    pub fn count_of(&self, name: Name) -> usize {
        self.header_lines(name).count()
    }

    /// Everything before the body.
    pub(crate) fn head(&self) -> &'a [u8] {
        self.bytes.get(..usize::from(self.index.body_at)).unwrap_or_default()
    }

    /// Everything behind the empty line, also what Content-Length does not cover.
    pub fn after_headers(&self) -> &'a [u8] {
        self.bytes.get(usize::from(self.index.body_at)..).unwrap_or_default()
    }

    /// The body: as long as Content-Length says, or to the end of the datagram (RFC 3261 §18.3).
    pub fn body(&self) -> &'a [u8] {
        let rest = self.after_headers();
        match self.content_length() {
            Ok(Some(bytes)) => rest.get(..bytes).unwrap_or(rest),
            _ => rest,
        }
    }

    /// Content-Length, if there is one.
    pub fn content_length(&self) -> Result<Option<usize>, ParseError> {
        let Some(value) = self.header(Name::ContentLength) else { return Ok(None) };
        let bytes = scan::number(value, u64::from(u32::MAX)).ok_or(ParseError::malformed(Name::ContentLength))?;
        Ok(Some(bytes as usize))
    }
}

impl MessageIndex {
    /// The end of what it names: nothing stands behind the headers but the body.
    fn end(&self) -> usize {
        usize::from(self.body_at)
    }
}

/// The size of the empty line that `bytes` starts with, if it does.
fn empty_line(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}

/// `end`, or less where white space stands before it. Mostly there is none.
#[inline]
fn end_of(line: &[u8], end: usize) -> usize {
    match line[..end] {
        [.., b'!'..=u8::MAX] => end,
        _ => scan::trim_end(&line[..end]).len(),
    }
}

/// The line at `at` without its end, and where the next one starts.
fn cut_line(bytes: &[u8], at: usize) -> (&[u8], usize) {
    match memchr::memchr(b'\n', &bytes[at..]) {
        Some(size) => {
            let line = &bytes[at..at + size];
            (line.strip_suffix(b"\r").unwrap_or(line), at + size + 1)
        }
        None => (&bytes[at..], bytes.len()),
    }
}

/// Where the header field that starts at `at` ends: behind the first line end that no white space follows.
#[inline]
pub(crate) fn logical_line_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at;
    while let Some(size) = memchr::memchr(b'\n', &bytes[end..]) {
        end += size + 1;
        if !matches!(bytes.get(end), Some(b' ' | b'\t')) {
            return end;
        }
    }
    bytes.len()
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.bytes))
    }
}
