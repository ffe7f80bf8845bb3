//! Stream transports of SIP: TCP, TLS, WS and WSS, and the way from a URI to addresses (RFC 3263).
//!
//! Bytes with a [`Flow`] come in, bytes with a [`Flow`] go out. This crate knows where a message ends on a stream and
//! nothing else about it: no transaction, no dialog, no header but Content-Length. It never blocks a caller: what does
//! not fit into a connection's queue is refused at once, and everything has a named limit in [`Limits`]. UDP sockets
//! are not here; only the rule when a request is too large for them is ([`carriage`]).
//!
//! Read [`Streams`] first, then [`Inbound`], which is all that comes back from it, to a [`Receiver`]; [`resolve::Resolver`] is independent
//! of both. Tests: `cargo test -p ringplane-transport` (real sockets on loopback).

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod carrier;
mod config;
mod connection;
mod connector;
mod counters;
mod error;
mod inbound;
mod listener;
mod outbox;
mod pump;
mod registry;
pub mod resolve;
mod shared;
mod size;
mod streams;
mod tls;

pub use config::{
    CertificateFiles, ClientCertificates, Limits, Listen, Origins, Runtime, StreamsConfig, TlsConfig, Trust,
};
pub use connector::route;
pub use counters::StreamCounter;
pub use error::{CloseReason, SendError, StartError};
pub use inbound::{Inbound, Receiver, Side};
pub use resolve::Target;
pub use sip_core::{Flow, Transport};
pub use size::{Carriage, MTU_MARGIN_BYTES, UNKNOWN_MTU_MAX_BYTES, carriage};
pub use streams::Streams;
pub use tls::TlsError;
