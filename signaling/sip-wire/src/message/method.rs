//! The method of a request or of a CSeq, small enough to copy and without a lifetime.

use crate::limits::METHOD_MAX_BYTES;
use crate::scan;
use core::fmt;

/// A request method. Methods are case-sensitive (RFC 3261 §7.1); `invite` is an [`Method::Other`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// RFC 3261.
    Invite,
    /// RFC 3261.
    Ack,
    /// RFC 3261.
    Bye,
    /// RFC 3261.
    Cancel,
    /// RFC 3261.
    Options,
    /// RFC 3261.
    Register,
    /// RFC 6086.
    Info,
    /// RFC 3311.
    Update,
    /// RFC 3262.
    Prack,
    /// RFC 3515.
    Refer,
    /// RFC 6665.
    Notify,
    /// RFC 6665.
    Subscribe,
    /// RFC 3903.
    Publish,
    /// RFC 3428.
    Message,
    /// Any other token, kept as it came.
    Other(OtherMethod),
}

/// The bytes of a method that this crate does not know by name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OtherMethod {
    bytes: [u8; METHOD_MAX_BYTES],
    used: u8,
}

const KNOWN: [(Method, &str); 14] = [
    (Method::Invite, "INVITE"),
    (Method::Ack, "ACK"),
    (Method::Bye, "BYE"),
    (Method::Cancel, "CANCEL"),
    (Method::Options, "OPTIONS"),
    (Method::Register, "REGISTER"),
    (Method::Info, "INFO"),
    (Method::Update, "UPDATE"),
    (Method::Prack, "PRACK"),
    (Method::Refer, "REFER"),
    (Method::Notify, "NOTIFY"),
    (Method::Subscribe, "SUBSCRIBE"),
    (Method::Publish, "PUBLISH"),
    (Method::Message, "MESSAGE"),
];

impl Method {
    /// Every method known by name, for `Allow`.
    pub const ALL: [Method; 14] = [
        Method::Invite,
        Method::Ack,
        Method::Bye,
        Method::Cancel,
        Method::Options,
        Method::Register,
        Method::Info,
        Method::Update,
        Method::Prack,
        Method::Refer,
        Method::Notify,
        Method::Subscribe,
        Method::Publish,
        Method::Message,
    ];

    /// Reads a method token; `None` when it is empty, no token, or longer than [`METHOD_MAX_BYTES`].
    pub fn parse(token: &[u8]) -> Option<Method> {
        let known = match token {
            b"INVITE" => Method::Invite,
            b"ACK" => Method::Ack,
            b"BYE" => Method::Bye,
            b"CANCEL" => Method::Cancel,
            b"OPTIONS" => Method::Options,
            b"REGISTER" => Method::Register,
            b"INFO" => Method::Info,
            b"UPDATE" => Method::Update,
            b"PRACK" => Method::Prack,
            b"REFER" => Method::Refer,
            b"NOTIFY" => Method::Notify,
            b"SUBSCRIBE" => Method::Subscribe,
            b"PUBLISH" => Method::Publish,
            b"MESSAGE" => Method::Message,
            _ => return Self::other(token),
        };
        Some(known)
    }

    fn other(token: &[u8]) -> Option<Method> {
        if token.len() > METHOD_MAX_BYTES || !scan::is_token(token) {
            return None;
        }
        let mut bytes = [0; METHOD_MAX_BYTES];
        bytes[..token.len()].copy_from_slice(token);
        Some(Method::Other(OtherMethod { bytes, used: token.len() as u8 }))
    }

    /// The start of a method that is too long, for a message that will be refused because of it.
    pub(crate) fn cut(token: &[u8]) -> Method {
        let size = token.len().min(METHOD_MAX_BYTES);
        let mut bytes = [0; METHOD_MAX_BYTES];
        bytes[..size].copy_from_slice(&token[..size]);
        Method::Other(OtherMethod { bytes, used: size as u8 })
    }

    /// The method as it goes on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Method::Other(other) => &other.bytes[..usize::from(other.used).min(METHOD_MAX_BYTES)],
            known => KNOWN.iter().find(|(m, _)| m == known).map_or(b"", |(_, s)| s.as_bytes()),
        }
    }

    /// The method as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or("")
    }

    /// Whether a successful answer to this method outside a dialog creates one (RFC 3261 §12.1, RFC 6665, RFC 3515).
    pub fn creates_dialog(&self) -> bool {
        matches!(self, Method::Invite | Method::Subscribe | Method::Refer)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_methods_come_back_as_themselves() {
        for method in Method::ALL {
            assert_eq!(Method::parse(method.as_bytes()), Some(method));
        }
    }

    #[test]
    fn unknown_methods_keep_their_bytes_and_case() {
        let odd = Method::parse(b"!interesting-Method0123456789_*+`.%indeed'~").unwrap();
        assert_eq!(odd.as_bytes(), b"!interesting-Method0123456789_*+`.%indeed'~");
        assert_ne!(Method::parse(b"invite"), Some(Method::Invite));
        assert_eq!(Method::parse(b""), None);
        assert_eq!(Method::parse(b"IN VITE"), None);
        assert_eq!(Method::parse(&[b'A'; METHOD_MAX_BYTES + 1]), None);
    }
}
