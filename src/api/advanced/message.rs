use super::Message;
use crate::api::SessionError;
use std::fmt;
use std::sync::Arc;

/// A SIP message as a peer sent it. Clones share it.
///
/// ```no_run
/// # use ringplane::api::advanced::*;
/// # use ringplane::api::*;
/// # fn example(coordinator: std::sync::Arc<SessionCoordinator>, call: CallSession) -> Result<(), SessionError> {
/// // Of a coordinator that keeps messages.
/// if let Some(invite) = AdvancedControl::message(&coordinator, call.id())? {
///     println!("{:?} {:?}", invite.header("User-Agent"), invite.parse()?.method());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SipMessage(Arc<[u8]>);

impl SipMessage {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes as they came.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// To be read: start line, header fields by name and by type, body.
    pub fn parse(&self) -> Result<Message<'_>, SessionError> {
        Message::parse(&self.0).map_err(|error| SessionError::protocol(error.to_string()))
    }

    /// The first value of a header field, by its long name in any case.
    pub fn header(&self, name: &str) -> Option<String> {
        let message = Message::parse(&self.0).ok()?;
        message.header_named(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        Message::parse(&self.0).map_or(&[], |message| message.body())
    }
}

/// The text of the message; what is no UTF-8 shows as such.
impl fmt::Display for SipMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for SipMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.0);
        write!(f, "SipMessage({:?}, {} bytes)", text.lines().next().unwrap_or_default(), self.0.len())
    }
}
