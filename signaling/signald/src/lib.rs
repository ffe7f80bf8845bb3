//! The signaling process: sockets, shards, the media plane's queues, and the operator's socket.
//!
//! [`run`] is the process. Each shard is a thread with sockets of its own on every listening address; the kernel gives a
//! peer's datagrams to one of them, and a shard passes on what belongs to another by its Call-ID. A [`Shard`] decides, with
//! time and datagrams as arguments; the thread around it carries out what it decided. Protocols live in `sip-core` and
//! `session`, media in another process: nothing here looks into SIP further than it takes to choose the shard and the
//! transaction user of a message, which is parsed once and handed on; no RTP packet comes by. Read [`Shard`] first. Tests:
//! `cargo test -p ringplane-signald`.

#![forbid(unsafe_code)]

mod attach;
mod auth;
mod dialplan;
mod error;
mod link;
mod log;
mod operator;
mod orders;
mod paths;
mod proxy;
mod role;
mod run;
mod shard;
mod sockets;
mod stop;
mod supervise;

pub use auth::{Auth, nonce_key, users};
pub use dialplan::CallHandler;
pub use dialplan::builtin::BuiltinDialplan;
pub use dialplan::routes::Routes;
pub use dialplan::transfers::Transfers;
pub use error::Error;
pub use operator::reload::Reload;
pub use orders::{Order, OrderTurn, Orders, OrdersFull};
pub use paths::{PathError, Paths};
pub use run::{Ready, run, run_reloading, run_with};
pub use shard::Shard;
pub use shard::idle_work::when_idle;
pub use shard::io::{Input, ShardOutput};
pub use sockets::streams::check_tls;
pub use stop::Stop;

#[cfg(test)]
mod tests;
