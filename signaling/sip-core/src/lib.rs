//! SIP transactions, dialogs, authentication and proxying in virtual time: RFC 3261, 6026, 3262, 3311, 3515, 3581, 3891,
//! 4028, 4320, 5393, 5658, 6665, 7616, 8760.
//!
//! The crate decides and never does: it opens no socket, reads no clock, starts no thread and draws no randomness. Time,
//! messages and one seed are arguments; messages to send and events leave through an [`Output`] that the caller owns.
//!
//! Below is one transaction layer ([`transactions`]), above it the transaction users. Read [`Endpoint`] first (the user agent
//! core of one shard, as caller and callee), then [`Event`] (what it says) and [`Content`] (what its user adds to a message).
//! [`proxy`] is the other user, a stateful forking proxy. [`auth`] challenges and answers challenges. Tests: `cargo test -p ringplane-sip-core`, and the `sim` crate for all of it on a bad
//! network.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod auth;
pub mod config;
mod content;
mod endpoint;
mod event;
mod flow;
mod message;
mod output;
pub mod proxy;
mod table;
pub mod transactions;

pub use config::{EndpointConfig, Limits, Reliability, SessionTimer, Timers, WithoutPeer};
pub use content::{Answer, Content, Refused};
pub use endpoint::{
    DialogInfo, DialogRequest, Endpoint, NewCalls, NewRequest, NewSubscription, ReferProgress, Report, Sizes,
};
pub use event::{AccountId, CallId, Cause, ClientRequestId, DialogId, Event, InviteId, RequestId, SubscriptionId};
pub use flow::{Flow, Transport};
pub use output::{Output, Span, Transmit};
pub use table::token::mark_of;
pub use transactions::Counters;
pub use transactions::quoted::{answered_branch, quoted_branch};
