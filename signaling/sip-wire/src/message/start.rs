//! Request-Line and Status-Line (RFC 3261 §7.1, §7.2).

use crate::{ErrorKind, Method, ParseError, StatusCode, scan};

/// A start line, as places in the message that it begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StartLine {
    Request { method: Method, method_raw: Place, uri: Place },
    Response { status: StatusCode, reason: Place },
}

/// A piece of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    at: u16,
    end: u16,
}

impl Place {
    /// Where `piece` stands in `message`, which it was cut from.
    fn of(message: &[u8], piece: &[u8]) -> Self {
        let at = (piece.as_ptr() as usize).wrapping_sub(message.as_ptr() as usize);
        debug_assert!(piece.is_empty() || at + piece.len() <= message.len(), "a piece of this message");
        Self { at: at as u16, end: (at + piece.len()) as u16 }
    }

    #[inline]
    pub(crate) fn in_message(self, message: &[u8]) -> &[u8] {
        message.get(usize::from(self.at)..usize::from(self.end)).unwrap_or_default()
    }
}

impl StartLine {
    /// Reads the line. A request with a fault is still a request, for its sender waits for an answer; a response with a
    /// fault is an error.
    pub(crate) fn parse(line: &[u8]) -> Result<(StartLine, Option<ParseError>), ParseError> {
        match line.get(..4) {
            Some(start) if start.eq_ignore_ascii_case(b"SIP/") => Ok((Self::parse_status(line)?, None)),
            _ => Self::parse_request(line),
        }
    }

    fn parse_status(line: &[u8]) -> Result<StartLine, ParseError> {
        let space = memchr::memchr(b' ', line).unwrap_or(line.len());
        if !line[..space].eq_ignore_ascii_case(b"SIP/2.0") {
            return Err(ParseError::message(ErrorKind::Version));
        }
        let rest = line.get(space + 1..).unwrap_or_default();
        // The space behind the code belongs to the grammar even when no reason follows; forgive its absence.
        let (code, reason) = match memchr::memchr(b' ', rest) {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, &rest[rest.len()..]),
        };
        let code = if code.len() == 3 { scan::number(code, 699) } else { None };
        let status = code.and_then(|c| StatusCode::new(c as u16)).ok_or(ParseError::message(ErrorKind::StatusLine))?;
        Ok(StartLine::Response { status, reason: Place::of(line, reason) })
    }

    fn parse_request(line: &[u8]) -> Result<(StartLine, Option<ParseError>), ParseError> {
        let trimmed = scan::trim(line);
        let last = trimmed.iter().rposition(|b| scan::is_space(*b)).ok_or(ParseError::message(ErrorKind::NotSip))?;
        let version = &trimmed[last + 1..];
        let start = version.get(..4).is_some_and(|v| v.eq_ignore_ascii_case(b"SIP/"));
        let (method_raw, rest) = scan::take(trimmed, scan::TOKEN);
        if !start || method_raw.is_empty() {
            return Err(ParseError::message(ErrorKind::NotSip));
        }
        let uri = trimmed.get(method_raw.len()..last).unwrap_or_default();
        let spaced = rest.first() == Some(&b' ');
        let uri_exact = uri.strip_prefix(b" ").unwrap_or(uri);
        let strict = spaced && trimmed.len() == line.len() && !uri_exact.is_empty() && trimmed[last] == b' ';
        let clean = strict && memchr::memchr2(b' ', b'\t', uri_exact).is_none();
        let method = Method::parse(method_raw);
        let fault = if !version.eq_ignore_ascii_case(b"SIP/2.0") {
            Some(ErrorKind::Version)
        } else if method.is_none() {
            Some(ErrorKind::MethodTooLong)
        } else {
            (!clean).then_some(ErrorKind::StartLine)
        };
        let method = method.unwrap_or(Method::cut(method_raw));
        let (method_raw, uri) = (Place::of(line, method_raw), Place::of(line, scan::trim(uri)));
        let line = StartLine::Request { method, method_raw, uri };
        Ok((line, fault.map(ParseError::message)))
    }
}
