//! Writing the response to a request, straight from the request's spans (RFC 3261 §8.2.6).

use crate::write::Out;
use crate::{Message, Name, StatusCode, Via, WriteError, scan};
use core::fmt;
use core::net::SocketAddr;

/// Writes a response to a request. Calls chain; the first error is kept and reported by [`ResponseWriter::finish`].
///
/// From, Call-ID, CSeq and every Via are copied, To gets its tag, and Record-Route comes along in the answers that make
/// a dialog (RFC 3261 §12.1.1).
#[derive(Debug)]
#[must_use = "nothing is checked before finish"]
pub struct ResponseWriter<'b> {
    out: Out<'b>,
}

/// What an answer needs to know beyond the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reply<'r> {
    /// Our tag for To, when the request has none. Leave it `None` for 100 and only there (RFC 3261 §8.2.6.2).
    pub to_tag: Option<&'r [u8]>,
    /// Where the request came from: fills `received` and `rport` of the top Via (RFC 3261 §18.2.1, RFC 3581 §4).
    pub source: Option<SocketAddr>,
    /// Another reason phrase than the standard one.
    pub reason: Option<&'r str>,
}

impl<'b> ResponseWriter<'b> {
    /// Starts the response to `request` at the end of `out`.
    pub fn new(out: &'b mut Vec<u8>, request: &Message<'_>, status: StatusCode, reply: &Reply<'_>) -> Self {
        let mut out = Out::new(out);
        if !request.is_request() {
            out.fail(WriteError::WrongKind);
        }
        write_status_line(&mut out, status, reply.reason);
        write_vias(&mut out, request, reply.source);
        copy_first(&mut out, request, Name::From, status);
        write_to(&mut out, request, reply.to_tag, status);
        copy_first(&mut out, request, Name::CallId, status);
        copy_first(&mut out, request, Name::CSeq, status);
        let makes_dialog = request.method().is_some_and(|m| m.creates_dialog());
        if makes_dialog && (101..300).contains(&status.code()) {
            for value in request.header_lines(Name::RecordRoute) {
                out.copied(Name::RecordRoute, value);
            }
        }
        if status == StatusCode::TRYING
            && let Some(value) = request.header(Name::Timestamp)
        {
            out.copied(Name::Timestamp, value);
        }
        ResponseWriter { out }
    }

    /// A header field.
    pub fn header(&mut self, name: Name, value: impl AsRef<[u8]>) -> &mut Self {
        self.out.header(name, value.as_ref());
        self
    }

    /// A header field from pieces: `header_fmt(Name::Contact, format_args!("<sip:{addr}>"))`.
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

    /// Ends the response without a body; gives its size. On an error the buffer is as it was before.
    pub fn finish(mut self) -> Result<usize, WriteError> {
        self.out.body(b"", b"");
        self.out.finish()
    }

    /// Ends the response with a body of that type. An empty body writes no Content-Type.
    pub fn finish_with_body(mut self, content_type: &str, body: &[u8]) -> Result<usize, WriteError> {
        self.out.body(content_type.as_bytes(), body);
        self.out.finish()
    }
}

fn write_status_line(out: &mut Out<'_>, status: StatusCode, reason: Option<&str>) {
    out.raw(b"SIP/2.0 ");
    out.number(u64::from(status.code()));
    out.raw(b" ");
    out.checked(Name::Other, reason.unwrap_or(status.reason_phrase()).as_bytes());
    out.raw(b"\r\n");
}

fn write_vias(out: &mut Out<'_>, request: &Message<'_>, source: Option<SocketAddr>) {
    let mut lines = request.header_lines(Name::Via);
    let Some(first) = lines.next() else { return out.fail(WriteError::Missing(Name::Via)) };
    out.name(Name::Via);
    write_first_via(out, first, source);
    out.raw(b"\r\n");
    for line in lines {
        out.copied(Name::Via, line);
    }
}

/// The first Via line with `received` and `rport` of its first value filled in; all else as it came.
pub(crate) fn write_first_via(out: &mut Out<'_>, line: &[u8], source: Option<SocketAddr>) {
    let (value, rest) = scan::split_comma(line);
    match (source, Via::parse(value)) {
        (Some(source), Some(via)) => write_via_with_source(out, &via, source),
        _ => out.lines(value),
    }
    if let Some(rest) = rest {
        out.raw(b",");
        out.lines(rest);
    }
}

/// `received` is written where sent-by is not the source address or `rport` was asked for (RFC 3581 §4).
fn write_via_with_source(out: &mut Out<'_>, via: &Via<'_>, source: SocketAddr) {
    let ip = source.ip().to_canonical();
    let asked = via.rport().is_some();
    let needed = asked || via.host.ip() != Some(ip);
    let params = via.params.as_bytes();
    let head_bytes = via.as_bytes().len() - params.len();
    out.lines(scan::trim_end(&via.as_bytes()[..head_bytes]));
    for param in via.params.iter() {
        if param.name.eq_ignore_ascii_case(b"received") {
            continue; // what the sender says of itself does not count
        }
        out.raw(b";");
        out.raw(param.name);
        if param.name.eq_ignore_ascii_case(b"rport") {
            out.raw(b"=");
            out.number(u64::from(source.port()));
        } else if let Some(value) = param.value {
            out.raw(b"=");
            out.lines(value);
        }
    }
    if needed {
        out.raw(b";received=");
        out.formatted(Name::Via, format_args!("{ip}"));
    }
}

fn copy_first(out: &mut Out<'_>, request: &Message<'_>, name: Name, status: StatusCode) {
    match request.header(name) {
        Some(value) => out.copied(name, value),
        None => missing(out, name, status),
    }
}

/// A refusal may lack what the request lacked (RFC 4475 §3.3.1); any other answer would be of no use to anybody.
fn missing(out: &mut Out<'_>, name: Name, status: StatusCode) {
    if !status.is_failure() {
        out.fail(WriteError::Missing(name));
    }
}

/// To with our tag, unless it has one. A To that does not parse is copied as it came: the 400 says why.
fn write_to(out: &mut Out<'_>, request: &Message<'_>, tag: Option<&[u8]>, status: StatusCode) {
    let Some(value) = request.header(Name::To) else { return missing(out, Name::To, status) };
    out.name(Name::To);
    out.lines(value);
    if let (Some(tag), Ok(to)) = (tag, request.to())
        && to.tag().is_none()
    {
        out.raw(b";tag=");
        out.checked(Name::To, tag);
    }
    out.raw(b"\r\n");
}
