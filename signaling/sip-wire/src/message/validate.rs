//! The checks that a message must pass before anybody acts on it (RFC 3261 §8.1.1, §8.2, §18.3, §16.3).

use crate::limits::CSEQ_LIMIT;
use crate::message::logical_line_end;
use crate::{Contact, ErrorKind, Message, Method, Name, ParseError, Scheme, StatusCode, Uri, UriError, Verdict, scan};

const MANDATORY: [Name; 5] = [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq];

impl Message<'_> {
    /// Checks a request. The error knows the answer; [`Message::answer_to`] says whether there is one to give.
    pub fn validate_request(&self) -> Result<(), ParseError> {
        if let Some(fault) = self.fault() {
            return Err(fault);
        }
        self.check_characters()?;
        self.check_single_headers()?;
        self.check_identity()?;
        self.check_cseq()?;
        self.check_request_uri()?;
        self.check_max_forwards()?;
        self.check_contact()?;
        self.check_rest()?;
        self.check_body()
    }

    /// Checks a response; one that fails is dropped (RFC 3261 §8.1.3, §18.1.2).
    pub fn validate_response(&self) -> Result<(), ParseError> {
        if let Some(fault) = self.fault() {
            return Err(fault);
        }
        self.check_characters()?;
        self.check_single_headers()?;
        self.check_identity()?;
        self.cseq()?;
        self.check_body()
    }

    /// The answer that a faulty request gets: `None` for a response, an ACK, or a request without Via.
    /// When [`Message::top_via`] is an error the answer goes to the source address of the request.
    pub fn answer_to(&self, fault: &ParseError) -> Option<StatusCode> {
        let possible = self.is_request() && self.method_raw() != b"ACK" && self.has(Name::Via);
        match fault.verdict() {
            Verdict::Answer(status) if possible => Some(status),
            _ => None,
        }
    }

    /// A CR without LF ends a line for some and not for others, a NUL ends a text for some, and an escape character moves the
    /// cursor of a terminal that shows a log: no honest peer sends them. Tabs are white space, and a quoted string may hold any of
    /// them behind a backslash (RFC 3261 §25.1, RFC 4475 §3.1.1.2).
    fn check_characters(&self) -> Result<(), ParseError> {
        let head = self.head();
        let are_whole = memchr::memchr_iter(b'\r', head).all(|at| head.get(at + 1) == Some(&b'\n'));
        let is_clean = !head.iter().fold(false, |found, byte| found | is_control(*byte));
        match are_whole && (is_clean || controls_are_quoted(head)) {
            true => Ok(()),
            false => Err(ParseError::message(ErrorKind::HeaderLine)),
        }
    }

    /// Whether a line of the header section ends with LF alone. The parser reads on; a proxy should not pass the message on,
    /// for peers before or behind it may have seen other lines.
    pub fn has_bare_line_end(&self) -> bool {
        let head = self.head();
        memchr::memchr_iter(b'\n', head).any(|at| at.checked_sub(1).and_then(|before| head.get(before)) != Some(&b'\r'))
    }

    fn check_single_headers(&self) -> Result<(), ParseError> {
        for name in MANDATORY {
            if !self.has(name) {
                return Err(ParseError::of(ErrorKind::Missing, name));
            }
        }
        match self.doubled_single_header() {
            Some(name) => Err(ParseError::of(ErrorKind::Duplicate, name)),
            None => Ok(()),
        }
    }

    fn check_identity(&self) -> Result<(), ParseError> {
        for via in self.vias() {
            via?;
        }
        self.from()?;
        self.to()?;
        self.call_id()?;
        Ok(())
    }

    /// The method must match; a number of digits that is too big says so (RFC 3261 §8.1.1.5).
    fn check_cseq(&self) -> Result<(), ParseError> {
        let raw = self.header(Name::CSeq).unwrap_or_default();
        let digits = raw.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits > 0 && scan::number(&raw[..digits], u64::from(CSEQ_LIMIT - 1)).is_none() {
            return Err(ParseError::of(ErrorKind::OutOfRange, Name::CSeq));
        }
        if self.cseq()?.method_raw == self.method_raw() {
            return Ok(());
        }
        let kind = match self.method() {
            Some(Method::Other(_)) => ErrorKind::CSeqMethodUnknown,
            _ => ErrorKind::CSeqMethod,
        };
        Err(ParseError::of(kind, Name::CSeq))
    }

    /// A Request-URI without angle brackets and without `?headers` (RFC 3261 §19.1.1, table 1), of a scheme that this
    /// switch understands (§8.2.2.1, §16.3).
    fn check_request_uri(&self) -> Result<(), ParseError> {
        match Uri::parse(self.request_uri_raw()) {
            Ok(uri) if uri.scheme == Scheme::Other => Err(ParseError::message(ErrorKind::Scheme)),
            Ok(uri) if uri.headers().is_empty() => Ok(()),
            Ok(_) => Err(ParseError::message(ErrorKind::Uri)),
            Err(UriError::TooLong) => Err(ParseError::message(ErrorKind::UriTooLong)),
            Err(_) => Err(ParseError::message(ErrorKind::Uri)),
        }
    }

    fn check_max_forwards(&self) -> Result<(), ParseError> {
        match self.max_forwards() {
            Err(_) => Err(ParseError::of(ErrorKind::OutOfRange, Name::MaxForwards)),
            Ok(_) => Ok(()),
        }
    }

    /// `*` stands alone and only in REGISTER (RFC 3261 §10.2.2); elsewhere each is an address.
    fn check_contact(&self) -> Result<(), ParseError> {
        let mut stars = 0;
        let mut count = 0;
        for contact in self.contacts() {
            stars += usize::from(matches!(contact?, Contact::Star));
            count += 1;
        }
        let star_ok = stars == 0 || (count == 1 && self.method() == Some(Method::Register));
        if star_ok { Ok(()) } else { Err(ParseError::malformed(Name::Contact)) }
    }

    /// Header fields that decide what happens next, when they are there.
    fn check_rest(&self) -> Result<(), ParseError> {
        for route in self.routes() {
            route?;
        }
        for record_route in self.record_routes() {
            record_route?;
        }
        if self.expires().is_err() {
            return Err(ParseError::of(ErrorKind::OutOfRange, Name::Expires));
        }
        self.date()?;
        self.content_type()?;
        Ok(())
    }

    /// A datagram that ends before its body does is a bad request; bytes behind the body are not ours (RFC 3261 §18.3).
    fn check_body(&self) -> Result<(), ParseError> {
        match self.content_length()? {
            Some(bytes) if bytes > self.after_headers().len() => {
                Err(ParseError::of(ErrorKind::BodyTooShort, Name::ContentLength))
            }
            _ => Ok(()),
        }
    }
}

/// Control characters that are neither a tab nor part of a line end.
fn is_control(byte: u8) -> bool {
    (byte < b' ' && !matches!(byte, b'\t' | b'\r' | b'\n')) || byte == 0x7f
}

/// Whether each control character stands behind a backslash inside a quoted string of a header field.
fn controls_are_quoted(head: &[u8]) -> bool {
    let start_line = memchr::memchr(b'\n', head).map_or(head.len(), |at| at + 1);
    if head.iter().take(start_line).any(|byte| is_control(*byte)) {
        return false;
    }
    let mut at = start_line;
    while at < head.len() {
        let end = logical_line_end(head, at);
        let (mut is_quoted, mut is_escaped) = (false, false);
        for &byte in head.get(at..end).unwrap_or_default() {
            if is_control(byte) && !is_escaped {
                return false;
            }
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if is_quoted => is_escaped = true,
                b'"' => is_quoted = !is_quoted,
                _ => {}
            }
        }
        at = end;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(more: &str) -> String {
        format!(
            "OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n\
             Call-ID: c\r\nCSeq: 1 OPTIONS\r\n{more}Content-Length: 0\r\n\r\n"
        )
    }

    fn is_fine(text: &str) -> bool {
        let message = Message::parse(text.as_bytes()).unwrap();
        if message.is_request() { message.validate_request().is_ok() } else { message.validate_response().is_ok() }
    }

    /// Every control character in every kind of place, in requests and in responses.
    #[test]
    fn control_characters_stand_only_behind_a_backslash_in_quotes() {
        for byte in (0..0x20u8).chain([0x7f]).map(char::from) {
            let is_space = matches!(byte, '\t' | '\r' | '\n');
            for (more, is_allowed) in [
                (format!("Subject: a{byte}b\r\n"), byte == '\t'),
                (format!("X-Own: a {byte}\r\n"), byte == '\t' || byte == '\r'),
                (format!("Contact: \"a{byte}b\" <sip:a@h>\r\n"), byte == '\t'),
                (format!("Contact: \"a\\{byte}b\" <sip:a@h>\r\n"), !matches!(byte, '\r' | '\n')),
                (format!("Subject: a\\{byte}b\r\n"), byte == '\t'),
                (format!("Subject: \"a\" \\{byte}b\r\n"), byte == '\t'),
            ] {
                if byte == '\n' || (byte == '\r' && is_allowed) {
                    continue; // line ends have their own tests
                }
                let request = request(&more);
                assert_eq!(is_fine(&request), is_allowed, "{more:?}");
                let response = request.replacen("OPTIONS sip:b@h SIP/2.0", "SIP/2.0 200 OK", 1);
                assert_eq!(is_fine(&response), is_allowed, "response: {more:?}");
            }
            if !is_space {
                assert!(!is_fine(&request("").replace("sip:b@h SIP", &format!("sip:b{byte}@h SIP"))), "{byte:?}");
                assert!(!is_fine(&request("").replace("OPTIONS sip:b@h SIP/2.0", &format!("SIP/2.0 200 O{byte}K"))));
                assert!(!is_fine(&request("").replace("Call-ID: c", &format!("Call-ID: c{byte}"))), "{byte:?}");
            }
        }
        let body = request("").replace("Content-Length: 0", "Content-Length: 4") + "\0\u{1b}\n\r";
        assert!(is_fine(&body), "a body may hold anything");
        assert!(is_fine(&request("Subject: gr\u{fc}\u{df}e\tund so weiter\r\n\tfort\r\n")));
    }

    #[test]
    fn bare_line_ends_are_seen_in_the_head_only() {
        let has = |text: &str| Message::parse(text.as_bytes()).unwrap().has_bare_line_end();
        let whole = request("Subject: a\r\n b\r\n");
        assert!(!has(&whole) && !has(&whole.replace("Length: 0\r\n\r\n", "Length: 2\r\n\r\n\n\n")));
        for (at, _) in whole.match_indices("\r\n") {
            let mut bare = whole.clone();
            bare.remove(at);
            assert!(has(&bare), "{at}");
        }
    }
}
