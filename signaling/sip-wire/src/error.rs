//! What is wrong with a peer's message, and what the RFCs want done about it.

use crate::{Name, StatusCode};
use core::fmt;

/// A fault in a message: what, and in which header field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Where; `None` when it is not one header field.
    pub name: Option<Name>,
}

/// The kinds of faults.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKind {
    /// No SIP start line at all.
    NotSip,
    /// More than [`crate::limits::MESSAGE_MAX_BYTES`].
    MessageTooLarge,
    /// Extra or missing white space, angle brackets or an impossible method in the request line.
    StartLine,
    /// A status line whose code is not a number from 100 to 699.
    StatusLine,
    /// SIP, but not 2.0.
    Version,
    /// A method longer than [`crate::limits::METHOD_MAX_BYTES`].
    MethodTooLong,
    /// A Request-URI of a scheme that we cannot route.
    Scheme,
    /// A URI longer than [`crate::limits::URI_MAX_BYTES`].
    UriTooLong,
    /// A URI that breaks the grammar.
    Uri,
    /// More than [`crate::limits::HEADERS_MAX_COUNT`] header fields.
    TooManyHeaders,
    /// More than [`crate::limits::VALUES_MAX_COUNT`] values of one header field.
    TooManyValues,
    /// More than [`crate::limits::PARAMS_MAX_COUNT`] parameters of one value.
    TooManyParams,
    /// Comments nested deeper than [`crate::limits::COMMENT_MAX_DEPTH`].
    CommentTooDeep,
    /// A line that is no `name: value`.
    HeaderLine,
    /// The message ends before the empty line behind its header fields.
    Truncated,
    /// A mandatory header field is absent.
    Missing,
    /// A header field that may stand once stands several times.
    Duplicate,
    /// A value that breaks its grammar.
    Malformed,
    /// A number beyond what its header field allows.
    OutOfRange,
    /// The method in CSeq is not the method of the request.
    CSeqMethod,
    /// As [`ErrorKind::CSeqMethod`], of a method that nobody knows.
    CSeqMethodUnknown,
    /// Content-Length promises more bytes than came (RFC 3261 §18.3).
    BodyTooShort,
    /// A stream message without Content-Length cannot be framed (RFC 3261 §18.3).
    LengthRequired,
}

/// What to do with a message that has a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Count it and forget it.
    Drop,
    /// Answer with this status (unless the request is an ACK) and [`ParseError::reason`].
    Answer(StatusCode),
}

impl ParseError {
    /// A fault of one header field.
    pub const fn of(kind: ErrorKind, name: Name) -> ParseError {
        ParseError { kind, name: Some(name) }
    }

    /// A fault of the message as a whole.
    pub const fn message(kind: ErrorKind) -> ParseError {
        ParseError { kind, name: None }
    }

    /// The value of `name` breaks its grammar.
    pub const fn malformed(name: Name) -> ParseError {
        ParseError::of(ErrorKind::Malformed, name)
    }

    /// What the RFCs want done, as far as the fault alone tells. Without a Via no answer can be matched; one that does not
    /// parse is still copied into the 400 (RFC 4475 §3.1.2.1), which then goes to where the request came from.
    pub const fn verdict(&self) -> Verdict {
        use ErrorKind::*;
        match self.kind {
            NotSip | StatusLine => Verdict::Drop,
            Missing if matches!(self.name, Some(Name::Via)) => Verdict::Drop,
            MessageTooLarge => Verdict::Answer(StatusCode::MESSAGE_TOO_LARGE),
            Version => Verdict::Answer(StatusCode::VERSION_NOT_SUPPORTED),
            MethodTooLong | CSeqMethodUnknown => Verdict::Answer(StatusCode::NOT_IMPLEMENTED),
            Scheme => Verdict::Answer(StatusCode::UNSUPPORTED_URI_SCHEME),
            UriTooLong => Verdict::Answer(StatusCode::REQUEST_URI_TOO_LONG),
            _ => Verdict::Answer(StatusCode::BAD_REQUEST),
        }
    }

    /// The status of the answer, `None` when the message is to be dropped.
    pub const fn status(&self) -> Option<StatusCode> {
        match self.verdict() {
            Verdict::Drop => None,
            Verdict::Answer(status) => Some(status),
        }
    }

    /// The reason phrase for the answer: the standard one where it says enough, else this fault in words.
    pub fn reason(&self) -> impl fmt::Display {
        *self
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ErrorKind::*;
        let name = self.name.unwrap_or(Name::Other);
        match self.kind {
            NotSip => f.write_str("Not a SIP message"),
            MessageTooLarge => f.write_str("Message Too Large"),
            StartLine => f.write_str("Malformed Request-Line"),
            StatusLine => f.write_str("Malformed Status-Line"),
            Version => f.write_str("Version Not Supported"),
            MethodTooLong => f.write_str("Method Too Long"),
            Scheme => f.write_str("Unsupported URI Scheme"),
            UriTooLong => f.write_str("Request-URI Too Long"),
            Uri => f.write_str("Malformed Request-URI"),
            TooManyHeaders => f.write_str("Too Many Header Fields"),
            TooManyValues => write!(f, "Too Many Values in {name}"),
            TooManyParams => write!(f, "Too Many Parameters in {name}"),
            CommentTooDeep => write!(f, "Comment Too Deep in {name}"),
            HeaderLine => f.write_str("Malformed Header Line"),
            Truncated => f.write_str("Truncated Header Section"),
            Missing => write!(f, "Missing {name}"),
            Duplicate => write!(f, "Multiple Values in {name}"),
            Malformed => write!(f, "Malformed {name}"),
            OutOfRange => write!(f, "Value Out of Range in {name}"),
            CSeqMethod | CSeqMethodUnknown => f.write_str("CSeq Method Does Not Match Request Method"),
            BodyTooShort => f.write_str("Body Shorter Than Content-Length"),
            LengthRequired => f.write_str("Missing Content-Length"),
        }
    }
}

impl core::error::Error for ParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_via_there_is_nobody_to_answer() {
        assert_eq!(ParseError::of(ErrorKind::Missing, Name::Via).verdict(), Verdict::Drop);
        assert_eq!(ParseError::malformed(Name::Contact).status(), Some(StatusCode::BAD_REQUEST));
        assert_eq!(ParseError::message(ErrorKind::Version).status(), Some(StatusCode::VERSION_NOT_SUPPORTED));
        assert_eq!(ParseError::malformed(Name::Contact).to_string(), "Malformed Contact");
    }
}
