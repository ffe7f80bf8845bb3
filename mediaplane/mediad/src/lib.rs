//! The media process: one pinned worker per core that relays and makes RTP, a thread that hands the shared region to
//! control clients, and nothing that either has to wait for.
//!
//! [`Media::start`] makes the region, binds the ports and starts the threads; a program may do that in itself (same
//! region, same queues, [`Media::host`]), the executable does it in a process of its own ([`run`]). Here is no SIP, no
//! decision about calls, and no packet format: what becomes of a packet is `media-core`'s business, how it travels
//! `uring`'s. Prompts are read by a thread of its own before the workers start,
//! recordings are written by another one.
//!
//! Read [`Media`] first, then `worker.rs`. Tests: `cargo test -p ringplane-mediad` (real sockets on loopback, ephemeral ranges).

#![forbid(unsafe_code)]

mod clients;
mod error;
mod leg_transfer;
mod prompts;
mod publish;
mod rebuild;
mod recording;
mod shared;
mod simulated;
mod start;
mod stopper;
mod streams;
#[cfg(test)]
mod tests;
mod worker;
mod worker_loop;

pub use audio::tone_countries;
pub use error::StartError;
pub use prompts::check_prompt;
pub use simulated::{FileDoor, SimulatedPlane};
pub use start::{Media, run};
pub use stopper::Stopper;
