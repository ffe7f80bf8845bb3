//! The sections of the file: what each key becomes, and what is allowed there.

pub(crate) mod auth;
pub(crate) mod headers;
pub(crate) mod limits;
pub(crate) mod media;
pub(crate) mod process;
pub(crate) mod recording;
/// `[sip] routes`, and what patterns and targets do together.
pub(crate) mod routes;
pub(crate) mod sip;
/// The SIP URIs that routes lead to.
pub(crate) mod target_uri;
pub(crate) mod tls;
pub(crate) mod transfer;
/// What the switch itself gives a call.
pub(crate) mod word;
