//! The checks that a message must pass before anybody acts on it (RFC 3261 §8.1.1, §8.2, §18.3, §16.3).

use crate::limits::CSEQ_LIMIT;
use crate::{Contact, ErrorKind, Message, Method, Name, ParseError, Scheme, StatusCode, Uri, UriError, Verdict, scan};

const MANDATORY: [Name; 5] = [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq];

impl Message<'_> {
    /// Checks a request. The error knows the answer; [`Message::answer_to`] says whether there is one to give.
    pub fn validate_request(&self) -> Result<(), ParseError> {
        if let Some(fault) = self.fault() {
            return Err(fault);
        }
        self.check_line_ends()?;
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
        self.check_line_ends()?;
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

    /// A CR without LF ends a line for some and not for others; nobody honest sends one.
    fn check_line_ends(&self) -> Result<(), ParseError> {
        let head = self.head();
        match memchr::memchr_iter(b'\r', head).all(|at| head.get(at + 1) == Some(&b'\n')) {
            true => Ok(()),
            false => Err(ParseError::message(ErrorKind::HeaderLine)),
        }
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

    /// A Request-URI without angle brackets and without `?headers` (RFC 3261 §19.1.1, table 1), of a scheme that somebody
    /// here understands (§8.2.2.1, §16.3).
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
