//! Writing messages into a buffer that the caller owns and reuses. Nothing a caller hands in can start a header field of
//! its own: CR, LF and NUL are refused, and a refused message leaves the buffer as it was.

pub(crate) mod reply;
pub(crate) mod rewrite;

use crate::limits::MESSAGE_MAX_BYTES;
use crate::{Message, Method, Name, scan};
use core::fmt;
use std::io::Write as _;

/// Why a message was not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WriteError {
    /// CR, LF or NUL in a value.
    #[error("{0}: value holds CR, LF or NUL, which would start a header field of its own; remove them")]
    Injection(Name),
    /// A Request-URI that is no URI.
    #[error("Request-URI is not a valid URI; check it with Uri::parse")]
    RequestUri,
    /// A header field name that is no token.
    #[error("header field name is not a token: letters, digits and - . ! % * _ + ` ' ~")]
    HeaderName,
    /// The message would be longer than [`MESSAGE_MAX_BYTES`].
    #[error("message longer than {MESSAGE_MAX_BYTES} bytes")]
    TooLarge,
    /// The message that an answer or a rewrite starts from lacks what it must copy.
    #[error("{0} is missing in the message that is answered or forwarded")]
    Missing(Name),
    /// More edits than [`crate::limits::EDITS_MAX_COUNT`].
    #[error("more edits to one message than EDITS_MAX_COUNT")]
    TooManyEdits,
    /// The message is a response where a request is needed, or the other way round.
    #[error("a request was needed and a response was given, or the other way round")]
    WrongKind,
}

/// The buffer and the first error: what both writers are made of. Writing goes on after an error and is undone at the end.
#[derive(Debug)]
pub(crate) struct Out<'b> {
    pub(crate) bytes: &'b mut Vec<u8>,
    start: usize,
    error: Option<WriteError>,
}

impl<'b> Out<'b> {
    pub(crate) fn new(bytes: &'b mut Vec<u8>) -> Out<'b> {
        let start = bytes.len();
        Out { bytes, start, error: None }
    }

    pub(crate) fn fail(&mut self, error: WriteError) {
        self.error.get_or_insert(error);
    }

    #[inline]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A value from outside.
    #[inline]
    pub(crate) fn checked(&mut self, name: Name, value: &[u8]) {
        if is_clean(value) { self.raw(value) } else { self.fail(WriteError::Injection(name)) }
    }

    /// A value from outside in several pieces.
    pub(crate) fn formatted(&mut self, name: Name, value: fmt::Arguments<'_>) {
        let at = self.bytes.len();
        let written = self.bytes.write_fmt(value);
        if written.is_err() || !is_clean(&self.bytes[at..]) {
            self.fail(WriteError::Injection(name));
        }
    }

    pub(crate) fn name(&mut self, name: Name) {
        if name == Name::Other {
            return self.fail(WriteError::HeaderName);
        }
        self.raw(name.as_str().as_bytes());
        self.raw(b": ");
    }

    pub(crate) fn header(&mut self, name: Name, value: &[u8]) {
        self.name(name);
        self.checked(name, value);
        self.raw(b"\r\n");
    }

    pub(crate) fn named(&mut self, name: &str, value: &[u8]) {
        if !scan::is_token(name.as_bytes()) {
            return self.fail(WriteError::HeaderName);
        }
        self.raw(name.as_bytes());
        self.raw(b": ");
        self.checked(Name::parse(name.as_bytes()), value);
        self.raw(b"\r\n");
    }

    /// A value copied from a parsed message; its folds are legal and stay.
    pub(crate) fn copied(&mut self, name: Name, value: &[u8]) {
        self.name(name);
        self.lines(value);
        self.raw(b"\r\n");
    }

    /// Bytes of a parsed message. A line that ends with LF alone is forgiven by the parser but never passed on: the next
    /// receiver may read it otherwise, and would see other header fields. A CR of its own is refused for the same reason.
    pub(crate) fn lines(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let line = &rest[..at];
            self.line_part(line.strip_suffix(b"\r").unwrap_or(line));
            self.raw(b"\r\n");
            rest = &rest[at + 1..];
        }
        self.line_part(rest);
    }

    fn line_part(&mut self, bytes: &[u8]) {
        if memchr::memchr(b'\r', bytes).is_some() {
            self.fail(WriteError::Injection(Name::Other));
        }
        self.raw(bytes);
    }

    #[inline]
    pub(crate) fn number(&mut self, value: u64) {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        let mut rest = value;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.raw(&digits[at..]);
    }

    /// Content-Type when there is a body, Content-Length, the empty line and the body.
    pub(crate) fn body(&mut self, content_type: &[u8], body: &[u8]) {
        if !body.is_empty() && !content_type.is_empty() {
            self.header(Name::ContentType, content_type);
        }
        self.name(Name::ContentLength);
        self.number(body.len() as u64);
        self.raw(b"\r\n\r\n");
        self.raw(body);
    }

    pub(crate) fn finish(self) -> Result<usize, WriteError> {
        let written = self.bytes.len() - self.start;
        let error = self.error.or((written > MESSAGE_MAX_BYTES).then_some(WriteError::TooLarge));
        match error {
            None => Ok(written),
            Some(error) => {
                self.bytes.truncate(self.start);
                Err(error)
            }
        }
    }
}

/// No CR, LF or NUL.
#[inline]
pub fn is_clean(value: &[u8]) -> bool {
    memchr::memchr3(b'\r', b'\n', 0, value).is_none()
}

/// Writes a request. Calls chain; the first error is kept and reported by [`RequestWriter::finish`].
///
/// ```
/// use sip_wire::{Method, Name, RequestWriter};
/// let mut out = Vec::new();
/// let mut request = RequestWriter::new(&mut out, Method::Options, "sip:bob@example.com");
/// request
///     .header(Name::Via, "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK1")
///     .header(Name::MaxForwards, "70")
///     .header(Name::From, "<sip:alice@example.com>;tag=1")
///     .header(Name::To, "<sip:bob@example.com>")
///     .header(Name::CallId, "1@192.0.2.1")
///     .cseq(1, &Method::Options);
/// request.finish()?;
/// assert!(out.ends_with(b"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"));
/// # Ok::<(), sip_wire::WriteError>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is checked before finish"]
pub struct RequestWriter<'b> {
    out: Out<'b>,
}

impl<'b> RequestWriter<'b> {
    /// Starts a request at the end of `out`.
    pub fn new(out: &'b mut Vec<u8>, method: Method, uri: impl AsRef<[u8]>) -> RequestWriter<'b> {
        let mut out = Out::new(out);
        let uri = uri.as_ref();
        if crate::Uri::parse(uri).is_err() {
            out.fail(WriteError::RequestUri);
        }
        out.raw(method.as_bytes());
        out.raw(b" ");
        out.raw(uri);
        out.raw(b" SIP/2.0\r\n");
        RequestWriter { out }
    }

    /// A header field.
    pub fn header(&mut self, name: Name, value: impl AsRef<[u8]>) -> &mut Self {
        self.out.header(name, value.as_ref());
        self
    }

    /// A header field from pieces: `header_fmt(Name::To, format_args!("<{uri}>"))`.
    pub fn header_fmt(&mut self, name: Name, value: fmt::Arguments<'_>) -> &mut Self {
        self.out.name(name);
        self.out.formatted(name, value);
        self.out.raw(b"\r\n");
        self
    }

    /// A header field with any name.
    pub fn named(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.out.named(name, value.as_ref());
        self
    }

    /// Every header field of that name as `message` has it, folds and all: the one way to pass on a folded value.
    pub fn copy(&mut self, message: &Message<'_>, name: Name) -> &mut Self {
        for value in message.header_lines(name) {
            self.out.copied(name, value);
        }
        self
    }

    /// A header field with a number.
    pub fn number(&mut self, name: Name, value: u64) -> &mut Self {
        self.out.name(name);
        self.out.number(value);
        self.out.raw(b"\r\n");
        self
    }

    /// CSeq.
    pub fn cseq(&mut self, number: u32, method: &Method) -> &mut Self {
        self.out.name(Name::CSeq);
        self.out.number(u64::from(number));
        self.out.raw(b" ");
        self.out.raw(method.as_bytes());
        self.out.raw(b"\r\n");
        self
    }

    /// Ends the request without a body; gives its size. On an error the buffer is as it was before.
    pub fn finish(mut self) -> Result<usize, WriteError> {
        self.out.body(b"", b"");
        self.out.finish()
    }

    /// Ends the request with a body of that type. An empty body writes no Content-Type.
    pub fn finish_with_body(mut self, content_type: &str, body: &[u8]) -> Result<usize, WriteError> {
        self.out.body(content_type.as_bytes(), body);
        self.out.finish()
    }
}
