//! The signaling process: sockets, shards, the media plane's queues, and the operator's socket.
//!
//! [`run`] is the process. Each shard is a thread with sockets of its own on every listening address; the kernel gives a
//! peer's datagrams to one of them, and a shard passes on what belongs to another by its Call-ID. A [`Shard`] decides, with
//! time and datagrams as arguments; the thread around it carries out what it decided. Protocols live in `sip-core` and
//! `session`, media in another process: nothing here parses SIP beyond the Call-ID and whether a request begins something
//! new, and no RTP packet comes by. Read [`Shard`] first. Tests: `cargo test -p ringplane-signald`.

#![forbid(unsafe_code)]

mod attach;
mod b2bua;
mod calllog;
mod certificates;
mod endpoint;
mod error;
mod guard;
mod hangup;
mod home;
mod inbox;
mod intake;
mod link;
mod listener;
mod lookups;
mod moved;
mod next_hops;
mod numbers;
mod operator;
mod own_names;
mod paths;
mod proxying;
mod quiet;
mod rate;
mod reader;
mod reload;
mod report;
mod role;
mod route_secret;
mod routes;
mod run;
mod sender;
mod shard;
mod shard_io;
mod sharding;
mod shares;
mod source;
mod stateless;
mod stop;
mod streams;
mod trace;
mod transfers;
mod user;
mod wait;
mod waiter;
mod watching;
mod worker;

pub use error::Error;
pub use guard::{Guard, nonce_key, users};
pub use numbers::Numbers;
pub use paths::{PathError, Paths};
pub use quiet::when_quiet;
pub use reload::Reload;
pub use routes::Routes;
pub use run::{Ready, run, run_reloading, run_with};
pub use shard::Shard;
pub use shard_io::{Input, ShardOutput};
pub use stop::Stop;
pub use streams::check_tls;
pub use transfers::Transfers;
pub use user::{Order, OrderTurn, Orders, OrdersFull, User};

#[cfg(test)]
mod calls_tests;
#[cfg(test)]
mod crossing_tests;
#[cfg(test)]
mod descriptions_tests;
#[cfg(test)]
mod shard_tests;
