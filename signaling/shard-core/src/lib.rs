//! One shard of the signaling plane: which calls it takes and where its requests go. It has no socket, clock or thread;
//! the process around it hands in time, datagrams, media events and found names, and carries out what comes out.
//!
//! Read [`Shard`] first: [`Input`] goes in, [`ShardOutput`] comes out. `dialplan` decides about calls, `proxy` about requests
//! that are sent on, `intake` about what is handled first and by which shard. Tests: `cargo test -p ringplane-shard-core`.

#![forbid(unsafe_code)]

pub mod auth;
pub mod call_row;
pub mod dialplan;
pub mod intake;
pub mod log;
pub mod names;
pub mod proxy;
pub mod shard;

pub use auth::Auth;
pub use dialplan::CallHandler;
pub use dialplan::b2bua::B2bua;
pub use dialplan::builtin::BuiltinDialplan;
pub use dialplan::routes::{RouteError, Routes};
pub use dialplan::transfers::Transfers;
pub use names::{Lookups, PathFinder};
pub use shard::Shard;
pub use shard::io::{Input, ShardOutput};

#[cfg(test)]
mod tests;
