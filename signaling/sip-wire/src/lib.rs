//! The SIP wire: bytes to typed values and back.
//!
//! It never keeps state, never allocates on the common path, never touches a socket, a clock or a random source, and
//! never decides what to do with a message; that is `sip-core`'s. Read [`Message`] first: it indexes a message in one
//! pass and types a value when it is asked for it. [`frame`] cuts streams, [`own_tag`] and [`call_id`] find the shard of a datagram,
//! [`RequestWriter`], [`ResponseWriter`] and [`Rewrite`] write into a buffer that the caller reuses.
//!
//! Tests: `cargo test -p ringplane-sip-wire`. Fuzzers: `fuzz/`, one target per entry point.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod address;
mod auth;
mod body;
mod date;
mod error;
mod frame;
mod host;
pub mod limits;
mod message;
mod method;
mod name;
mod params;
mod reply;
mod rewrite;
mod scan;
mod start;
mod status;
mod typed;
mod uri;
mod uri_buf;
mod uri_compare;
mod uri_number;
mod validate;
mod values;
mod via;
mod write;

pub use address::{Address, Contact};
pub use auth::Auth;
pub use body::{BODY_DEPTH_MAX, BODY_PARTS_MAX, BodyError};
pub use date::SipDate;
pub use error::{ErrorKind, ParseError, Verdict};
pub use frame::{Framer, Framing, KeepAlive, call_id, frame, own_tag, to_tag};
pub use host::Host;
pub use message::{Header, HeaderLines, Message};
pub use method::{Method, OtherMethod};
pub use name::Name;
pub use params::{Param, ParamIter, Params, unquote};
pub use reply::{Reply, ResponseWriter};
pub use rewrite::Rewrite;
pub use status::StatusCode;
pub use typed::{RawValues, Values};
pub use uri::{Scheme, Uri, UriError};
pub use uri_buf::UriBuf;
pub use uri_number::{Number, escaped_user};
pub use values::{
    CSeq, DialogId, MediaType, RAck, Reason, Refresher, RetryAfter, SessionExpires, SubscriptionState, Timestamp,
    TokenValue, Warning,
};
pub use via::{BRANCH_COOKIE, Transport, Via};
pub use write::{RequestWriter, WriteError, is_clean};

/// A value as a person reads it: quotes and escapes resolved, folds turned into spaces, broken UTF-8 replaced.
pub fn text(value: &[u8]) -> std::borrow::Cow<'_, str> {
    address::unescape_quoted(value)
}
