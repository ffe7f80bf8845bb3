//! The SIP wire: bytes to typed values and back.
//!
//! It never keeps state, never allocates on the common path, never touches a socket, a clock or a random source, and
//! never decides what to do with a message; that is `sip-core`'s. Read [`Message`] first: it indexes a message in one
//! pass and types a value when it is asked for it. [`frame`] cuts streams, [`own_tag`] and [`call_id`] find the shard of a datagram,
//! [`RequestWriter`], [`ResponseWriter`] and [`Rewrite`] write into a buffer that the caller reuses.
//!
//! Where to look: `message` has the parts of a message (start line, names of header fields, body, checks, accessors by type),
//! `values` what stands in header fields, `uri` addresses and their parameters, `write` new messages, answers and edits.
//!
//! Tests: `cargo test -p ringplane-sip-wire`. Fuzzers: `fuzz/`, one target per entry point.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod error;
pub mod limits;
mod message;
mod scan;
mod uri;
mod values;
mod write;

pub use error::{ErrorKind, ParseError, Verdict};
pub use message::body::{BODY_DEPTH_MAX, BODY_PARTS_MAX, BodyError};
pub use message::frame::{Framer, Framing, KeepAlive, call_id, frame, header_fields, own_tag, to_tag};
pub use message::header_lines::HeaderLines;
pub use message::method::{Method, OtherMethod};
pub use message::name::Name;
#[cfg(debug_assertions)]
pub use message::parse_count::parse_count;
pub use message::status::StatusCode;
pub use message::typed::{RawValues, Values};
pub use message::{Header, Message, MessageIndex};
pub use uri::buf::UriBuf;
pub use uri::host::Host;
pub use uri::number::{Number, escaped_user};
pub use uri::params::{Param, ParamIter, Params, unquote};
pub use uri::{Scheme, Uri, UriError};
pub use values::address::{Address, Contact};
pub use values::auth::Auth;
pub use values::date::SipDate;
pub use values::via::{BRANCH_COOKIE, Transport, Via};
pub use values::{
    CSeq, DialogId, MediaType, RAck, Reason, Refresher, RetryAfter, SessionExpires, SubscriptionState, Timestamp,
    TokenValue, Warning,
};
pub use write::reply::{Reply, ResponseWriter};
pub use write::rewrite::Rewrite;
pub use write::{RequestWriter, WriteError, is_clean};

/// A value as a person reads it: quotes and escapes resolved, folds turned into spaces, broken UTF-8 replaced.
pub fn text(value: &[u8]) -> std::borrow::Cow<'_, str> {
    values::address::unescape_quoted(value)
}
