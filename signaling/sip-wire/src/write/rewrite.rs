//! Forwarding: a parsed message written again with a few edits, and everything else byte for byte as it came.

use crate::limits::EDITS_MAX_COUNT;
use crate::write::Out;
use crate::write::reply::write_first_via;
use crate::{Message, Name, StatusCode, Uri, WriteError, scan};
use core::net::SocketAddr;

#[derive(Clone, Copy, Debug)]
enum Edit<'v> {
    Prepend(Name, &'v [u8]),
    Append(Name, &'v [u8]),
    Replace(Name, &'v [u8]),
    Remove(Name),
    AppendNamed(&'v str, &'v [u8]),
    RemoveNamed(&'v str),
}

/// Edits to a message that is passed on. Values are borrowed until [`Rewrite::write`].
///
/// ```
/// # use sip_wire::{Message, Name, Rewrite};
/// # let bytes = b"OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nX-Odd:  kept\r\n\r\n";
/// let message = Message::parse(bytes)?;
/// let mut out = Vec::new();
/// let mut forward = Rewrite::new(&message);
/// forward.push_via(b"SIP/2.0/UDP p;branch=z9hG4bK2").max_forwards(69).request_uri(b"sip:b@10.0.0.1");
/// forward.write(&mut out)?;
/// assert!(out.starts_with(b"OPTIONS sip:b@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP p;branch=z9hG4bK2\r\nVia: SIP/2.0/UDP a;"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Rewrite<'m, 'a, 'v> {
    message: &'m Message<'a>,
    uri: Option<&'v [u8]>,
    status: Option<StatusCode>,
    via_source: Option<SocketAddr>,
    max_forwards: Option<u8>,
    pops: [(Name, u8); 3],
    body: Option<(&'v [u8], &'v [u8])>,
    for_stream: bool,
    edits: [Option<Edit<'v>>; EDITS_MAX_COUNT],
    count: usize,
    overflow: bool,
}

impl<'m, 'a, 'v> Rewrite<'m, 'a, 'v> {
    /// Starts without any edit: writing it now would copy the message.
    pub fn new(message: &'m Message<'a>) -> Self {
        Rewrite {
            message,
            uri: None,
            status: None,
            via_source: None,
            max_forwards: None,
            pops: [(Name::Via, 0), (Name::Route, 0), (Name::RecordRoute, 0)],
            body: None,
            for_stream: false,
            edits: [None; EDITS_MAX_COUNT],
            count: 0,
            overflow: false,
        }
    }

    fn edit(&mut self, edit: Edit<'v>) -> &mut Self {
        match self.edits.get_mut(self.count) {
            Some(slot) => *slot = Some(edit),
            None => self.overflow = true,
        }
        self.count += 1;
        self
    }

    /// Another Request-URI.
    pub fn request_uri(&mut self, uri: &'v [u8]) -> &mut Self {
        self.uri = Some(uri);
        self
    }

    /// Another status, with its standard reason phrase, for a response.
    pub fn status(&mut self, status: StatusCode) -> &mut Self {
        self.status = Some(status);
        self
    }

    /// Puts our Via on top.
    pub fn push_via(&mut self, value: &'v [u8]) -> &mut Self {
        self.prepend(Name::Via, value)
    }

    /// Takes the topmost Via value off, as a proxy does with a response.
    pub fn pop_via(&mut self) -> &mut Self {
        self.pop(Name::Via)
    }

    /// Takes the topmost Route value off (RFC 3261 §16.4).
    pub fn pop_route(&mut self) -> &mut Self {
        self.pop(Name::Route)
    }

    fn pop(&mut self, name: Name) -> &mut Self {
        for (popped, count) in &mut self.pops {
            if *popped == name {
                *count = count.saturating_add(1);
            }
        }
        self
    }

    /// Fills `received` and `rport` of the Via that came on top (RFC 3261 §18.2.1).
    pub fn via_source(&mut self, source: SocketAddr) -> &mut Self {
        self.via_source = Some(source);
        self
    }

    /// Sets Max-Forwards, whether it was there or not (RFC 3261 §16.6).
    pub fn max_forwards(&mut self, value: u8) -> &mut Self {
        self.max_forwards = Some(value);
        self
    }

    /// A header field before those of its name (at the top of the message when there is none).
    pub fn prepend(&mut self, name: Name, value: &'v [u8]) -> &mut Self {
        self.edit(Edit::Prepend(name, value))
    }

    /// A header field behind all others.
    pub fn append(&mut self, name: Name, value: &'v [u8]) -> &mut Self {
        self.edit(Edit::Append(name, value))
    }

    /// One header field instead of all of its name; appended when there was none.
    pub fn replace(&mut self, name: Name, value: &'v [u8]) -> &mut Self {
        self.edit(Edit::Replace(name, value))
    }

    /// No header field of that name.
    pub fn remove(&mut self, name: Name) -> &mut Self {
        self.edit(Edit::Remove(name))
    }

    /// A header field of any name behind all others.
    pub fn append_named(&mut self, name: &'v str, value: &'v [u8]) -> &mut Self {
        self.edit(Edit::AppendNamed(name, value))
    }

    /// No header field of that name, known or not.
    pub fn remove_named(&mut self, name: &'v str) -> &mut Self {
        self.edit(Edit::RemoveNamed(name))
    }

    /// Another body; an empty one takes Content-Type away.
    pub fn body(&mut self, content_type: &'v [u8], body: &'v [u8]) -> &mut Self {
        self.body = Some((content_type, body));
        self
    }

    /// Adds Content-Length if the message has none: a stream needs it (RFC 3261 §18.3).
    pub fn for_stream(&mut self) -> &mut Self {
        self.for_stream = true;
        self
    }

    /// Writes the message at the end of `out`; gives its size. On an error `out` is as it was before.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<usize, WriteError> {
        let mut out = Out::new(out);
        if self.overflow {
            out.fail(WriteError::TooManyEdits);
        }
        self.write_start(&mut out);
        self.write_head_prepends(&mut out);
        self.write_headers(&mut out);
        self.write_appends(&mut out);
        self.write_body(&mut out);
        out.finish()
    }

    fn edits(&self) -> impl Iterator<Item = Edit<'v>> + '_ {
        self.edits.iter().filter_map(|e| *e)
    }

    fn write_start(&self, out: &mut Out<'_>) {
        let message = self.message;
        if let Some(status) = message.status() {
            if self.uri.is_some() {
                out.fail(WriteError::WrongKind);
            }
            let new = self.status.unwrap_or(status);
            out.raw(b"SIP/2.0 ");
            out.number(u64::from(new.code()));
            out.raw(b" ");
            out.lines(if new == status { message.reason_phrase() } else { new.reason_phrase().as_bytes() });
        } else {
            if self.status.is_some() {
                out.fail(WriteError::WrongKind);
            }
            out.raw(message.method_raw());
            out.raw(b" ");
            match self.uri {
                Some(uri) if Uri::parse(uri).is_err() => out.fail(WriteError::RequestUri),
                Some(uri) => out.raw(uri),
                None => out.raw(message.request_uri_raw()),
            }
            out.raw(b" SIP/2.0");
        }
        out.raw(b"\r\n");
    }

    /// What is to stand before header fields that are not there.
    fn write_head_prepends(&self, out: &mut Out<'_>) {
        for (index, name) in self.edits().map(prepended).enumerate() {
            let Some(name) = name else { continue };
            let met = self.edits().take(index).any(|e| prepended(e) == Some(name));
            if !self.message.has(name) && !met {
                self.write_prepends(out, name);
            }
        }
    }

    /// The last one given stands on top.
    fn write_prepends(&self, out: &mut Out<'_>, name: Name) {
        for index in (0..EDITS_MAX_COUNT).rev() {
            if let Some(Edit::Prepend(n, value)) = self.edits[index]
                && n == name
            {
                out.header(name, value);
            }
        }
    }

    fn write_headers(&self, out: &mut Out<'_>) {
        let mut pops = self.pops;
        let mut replaced = [false; EDITS_MAX_COUNT];
        let mut source = self.via_source;
        for (index, header) in self.message.headers().enumerate() {
            let first = self.message.is_first(index, header.name);
            if first {
                self.write_prepends(out, header.name);
            }
            if self.is_dropped(out, header.name, header.raw_name, &mut replaced) {
                continue;
            }
            let popped = pops.iter_mut().find(|(name, count)| *name == header.name && *count > 0);
            if let Some((_, count)) = popped {
                write_popped(out, header.name, header.value, count);
            } else if header.name == Name::Via && source.is_some() {
                out.name(Name::Via);
                write_first_via(out, header.value, source.take());
                out.raw(b"\r\n");
            } else {
                out.lines(self.message.line_at(index));
            }
        }
    }

    /// Whether this header field is not to be copied; writes what replaces it.
    fn is_dropped(&self, out: &mut Out<'_>, name: Name, raw_name: &[u8], replaced: &mut [bool]) -> bool {
        if name == Name::MaxForwards
            && let Some(value) = self.max_forwards
        {
            write_max_forwards(out, value);
            return true;
        }
        if self.body.is_some() && matches!(name, Name::ContentLength | Name::ContentType) {
            return true;
        }
        let mut dropped = false;
        for (edit, done) in self.edits.iter().zip(replaced) {
            match edit {
                Some(Edit::Remove(n)) if *n == name && name != Name::Other => dropped = true,
                Some(Edit::RemoveNamed(n)) if same_name(n, name, raw_name) => dropped = true,
                Some(Edit::Replace(n, value)) if *n == name && name != Name::Other => {
                    if !*done {
                        out.header(name, value);
                        *done = true;
                    }
                    dropped = true;
                }
                _ => {}
            }
        }
        dropped
    }

    fn write_appends(&self, out: &mut Out<'_>) {
        if let Some(value) = self.max_forwards
            && !self.message.has(Name::MaxForwards)
        {
            write_max_forwards(out, value);
        }
        for edit in self.edits() {
            match edit {
                Edit::Append(name, value) => out.header(name, value),
                Edit::Replace(name, value) if !self.message.has(name) => out.header(name, value),
                Edit::AppendNamed(name, value) => out.named(name, value),
                _ => {}
            }
        }
    }

    fn write_body(&self, out: &mut Out<'_>) {
        match self.body {
            Some((content_type, body)) => out.body(content_type, body),
            None => {
                let body = self.message.body();
                if self.for_stream && !self.message.has(Name::ContentLength) {
                    out.name(Name::ContentLength);
                    out.number(body.len() as u64);
                    out.raw(b"\r\n");
                }
                out.raw(b"\r\n");
                out.raw(body);
            }
        }
    }
}

fn prepended(edit: Edit<'_>) -> Option<Name> {
    match edit {
        Edit::Prepend(name, _) => Some(name),
        _ => None,
    }
}

fn same_name(text: &str, name: Name, raw_name: &[u8]) -> bool {
    match Name::parse(text.as_bytes()) {
        Name::Other => raw_name.eq_ignore_ascii_case(text.as_bytes()),
        known => known == name,
    }
}

fn write_max_forwards(out: &mut Out<'_>, value: u8) {
    out.name(Name::MaxForwards);
    out.number(u64::from(value));
    out.raw(b"\r\n");
}

/// A header line without its first `count` values; nothing when none is left.
fn write_popped(out: &mut Out<'_>, name: Name, value: &[u8], count: &mut u8) {
    let mut rest = Some(value);
    while let Some(bytes) = rest
        && *count > 0
    {
        (_, rest) = scan::split_comma(bytes);
        *count -= 1;
    }
    if let Some(bytes) = rest {
        out.copied(name, scan::trim(bytes));
    }
}
