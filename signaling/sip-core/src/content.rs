//! What a user adds to a message, and why it may be refused.

/// Header fields and a body for a request or a response.
#[derive(Clone, Copy, Debug, Default)]
pub struct Content<'a> {
    /// Further header fields, name and value. A `Contact` given here replaces ours.
    pub headers: &'a [(&'a str, &'a str)],
    /// Of the body; empty without one.
    pub content_type: &'a str,
    /// The body.
    pub body: &'a [u8],
}

impl<'a> Content<'a> {
    /// Nothing.
    pub const NONE: Content<'static> = Content { headers: &[], content_type: "", body: &[] };

    /// A session description.
    pub const fn sdp(body: &'a [u8]) -> Self {
        Content { headers: &[], content_type: "application/sdp", body }
    }

    /// Header fields alone.
    pub const fn headers(headers: &'a [(&'a str, &'a str)]) -> Self {
        Content { headers, content_type: "", body: &[] }
    }

    /// The same with these header fields.
    pub const fn with_headers(self, headers: &'a [(&'a str, &'a str)]) -> Self {
        Content { headers, ..self }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name))
    }

    /// Refuses what would break the message it goes into: line ends, and header fields that the endpoint writes itself.
    pub fn check(&self) -> Result<(), Refused> {
        const OURS: [&str; 12] =
            ["via", "from", "to", "call-id", "cseq", "content-length", "max-forwards", "v", "f", "t", "i", "l"];
        for (name, value) in self.headers {
            if !is_token(name) || !is_line(value) || OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
                return Err(Refused::BadText);
            }
        }
        if !is_line(self.content_type) || (self.body.is_empty() != self.content_type.is_empty()) {
            return Err(Refused::BadText);
        }
        if self.body.len() > MAX_BODY_BYTES {
            return Err(Refused::TooLong);
        }
        Ok(())
    }
}

/// The user's answer to a request.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// 100 to 699.
    pub status: u16,
    /// Empty: the reason phrase of the status.
    pub reason: &'a str,
    /// Header fields and body.
    pub content: Content<'a>,
}

impl<'a> Answer<'a> {
    /// An answer that says its status and nothing else.
    pub const fn of(status: u16) -> Self {
        Self::with(status, Content::NONE)
    }

    /// An answer with the usual reason phrase.
    pub const fn with(status: u16, content: Content<'a>) -> Self {
        Self { status, reason: "", content }
    }
}

/// A content that has to wait.
pub(crate) struct KeptContent {
    headers: Vec<(String, String)>,
    content_type: String,
    body: Vec<u8>,
}

impl KeptContent {
    pub(crate) fn of(content: &Content<'_>) -> Self {
        let headers = content.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { headers: headers.collect(), content_type: content.content_type.to_owned(), body: content.body.to_vec() }
    }

    /// Lends it as it was.
    pub(crate) fn lend<R>(&self, work: impl FnOnce(&Content<'_>) -> R) -> R {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        work(&Content { headers: &headers, content_type: &self.content_type, body: &self.body })
    }
}

/// The largest body that fits a message of 64 KB with its header.
pub(crate) const MAX_BODY_BYTES: usize = 60_000;

/// One line: no CR, LF or NUL, by which a text could add header fields of its own.
pub(crate) fn is_line(text: &str) -> bool {
    !text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

/// A URI as it may stand in a start line: one line without spaces.
pub(crate) fn is_uri(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 4096
        && !text.bytes().any(|byte| byte <= b' ' || byte == 0x7f || matches!(byte, b'<' | b'>'))
}

pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b))
}

/// Why a call of the user was refused. Nothing changed, nothing was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// The handle is of something that has ended.
    #[error("it has ended already")]
    Gone,
    /// Not in this state, as a second answer.
    #[error("not possible in its present state")]
    WrongState,
    /// Another request of the same kind is open in this dialog.
    #[error("another INVITE or UPDATE is open in this dialog; try again after its answer")]
    Busy,
    /// A reliable provisional response waits for its PRACK.
    #[error("the last reliable provisional response was not acknowledged yet; try again after Event::Pracked")]
    AwaitingPrack,
    /// The peer does not support what was asked for.
    #[error("the peer does not support it")]
    Unsupported,
    /// A text would break the message: line ends, spaces in a URI, a header field that is the endpoint's own.
    #[error(
        "a text has line ends or spaces where none may be, or names a header field that the endpoint writes itself"
    )]
    BadText,
    /// The status does not fit the call.
    #[error("the status does not fit")]
    BadStatus,
    /// The message would exceed 64 KB.
    #[error("the message is too long")]
    TooLong,
    /// A table is full.
    #[error("a table is full; raise its limit in the configuration")]
    Full,
}
