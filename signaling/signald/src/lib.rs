//! The signaling process: sockets, shards, the media plane's queues, and the operator's socket.
//!
//! [`run`] is the process. Each shard is a thread with sockets of its own on every listening address; the kernel gives a
//! peer's datagrams to one of them, and a shard passes on what belongs to another by its Call-ID. A [`Shard`] (`shard-core`)
//! decides, with time and datagrams as arguments; the thread around it carries out what it decided. Media is in another
//! process: no RTP packet comes by. Read [`run`] first. Tests: `cargo test -p ringplane-signald`.

#![forbid(unsafe_code)]

mod attach;
mod error;
mod link;
mod log;
mod operator;
mod orders;
mod paths;
mod random_key;
mod recordings;
mod role;
mod route_secret;
mod run;
mod shard;
mod sockets;
mod stop;
mod supervise;

pub use error::Error;
pub use operator::reload::Reload;
pub use orders::{Order, OrderTurn, Orders, OrdersFull};
pub use paths::{PathError, Paths};
pub use random_key::nonce_key;
pub use run::{Ready, run, run_reloading, run_with};
pub use session::SessionState;
pub use shard::idle_work::when_idle;
pub use shard_core::auth::users;
pub use shard_core::{Auth, BuiltinDialplan, CallHandler, Input, Routes, Shard, ShardOutput, Transfers};
pub use sockets::streams::check_tls;
pub use stop::Stop;
