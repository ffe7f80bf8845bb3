use super::{Headers, Method, SipMessage};
use crate::api::SessionError;
use sip_core::Content;

/// Largest body.
const BODY_BYTES_MAX: usize = 60_000;

/// A request of a program's own.
///
/// ```
/// # use ringplane::api::advanced::*;
/// # use ringplane::api::SessionError;
/// let request = Request::new("MESSAGE")?.body("text/plain", "The meeting begins.")?;
/// let other = Request::new("OPTIONS")?.headers(Headers::new().with("Subject", "alive?")?);
/// assert!(Request::new("INVITE").is_err(), "calls have operations of their own");
/// # Ok::<(), SessionError>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    pub(super) method: Method,
    headers: Headers,
    content_type: String,
    body: Vec<u8>,
}

impl Request {
    /// INFO, MESSAGE, OPTIONS, UPDATE, PUBLISH or a method of the program's own: any whose meaning is not the switch's.
    pub fn new(method: &str) -> Result<Self, SessionError> {
        use Method::{Ack, Bye, Cancel, Invite, Notify, Prack, Refer, Register, Subscribe};
        match Method::parse(method.as_bytes()) {
            Some(Invite | Ack | Bye | Cancel | Prack | Refer | Notify | Subscribe | Register) => {
                let words = format!("{method} is not sent by hand: calls, transfers and their like have operations");
                Err(SessionError::protocol(words))
            }
            Some(method) => Ok(Self { method, headers: Headers::new(), content_type: String::new(), body: Vec::new() }),
            None => Err(SessionError::protocol(format!("`{}` is no method", method.escape_debug()))),
        }
    }

    /// With these header fields.
    #[must_use]
    pub fn headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// With a body of a type such as `text/plain`.
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Result<Self, SessionError> {
        (self.content_type, self.body) = checked_body(content_type, body.into())?;
        Ok(self)
    }

    /// Lends header fields and body to the writer of the message.
    pub(super) fn lend<R>(&self, work: impl FnOnce(Content<'_>) -> R) -> R {
        let headers: Vec<_> = self.headers.iter().collect();
        work(Content { headers: &headers, content_type: &self.content_type, body: &self.body })
    }
}

pub(super) fn checked_body(content_type: &str, body: Vec<u8>) -> Result<(String, Vec<u8>), SessionError> {
    let is_type = content_type.split_once('/').is_some_and(|(kind, rest)| !kind.is_empty() && !rest.is_empty())
        && !content_type.contains(char::is_control);
    if !is_type {
        return Err(SessionError::protocol(format!("`{}` is no content type", content_type.escape_debug())));
    }
    if body.is_empty() || body.len() > BODY_BYTES_MAX {
        return Err(SessionError::protocol("a body has 1 to 60000 bytes"));
    }
    Ok((content_type.to_owned(), body))
}

/// What a peer answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// 200 to 699; 408 when the peer did not answer, 503 when the way there broke.
    pub status: u16,
    /// The answer, if one came.
    pub message: Option<SipMessage>,
}

impl Response {
    /// Whether it is a 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
