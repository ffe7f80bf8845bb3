//! Captures: the RTP and RTCP of a leg as a pcapng file, with real addresses, ports and arrival times.
//!
//! `captures.rs` is what a worker does (it copies datagrams of captured legs, before and after the core has them, into the
//! bounded queue of `queue.rs`); `files.rs` is what the writer thread does with them, and `pcapng.rs` knows the format.

mod captures;
mod files;
mod pcapng;
mod queue;
#[cfg(test)]
mod tests;

pub(crate) use captures::Captures;
pub(super) use files::{Capture, PacketFiles};
pub(crate) use queue::{PacketFacts, PacketPiece, PacketQueues};
