//! What a media worker decides: legs, relay, sources, latching, RTCP. Packets in batches in, packets in batches out.
//!
//! No socket, no clock, no thread, no random source: time and a seed arrive as arguments, packets come and go through
//! the seam in [`io`]. After [`Worker::new`] nothing is allocated. Nothing here transcodes, mixes
//! or writes recordings; what a recorded leg says and hears is pointed at in [`io::Output::taps`]. Read
//! [`Worker`] first, then [`io`]; [`sim`] is a network for tests, [`suite`] the behaviour that every back end must show.
//!
//! Tests: `cargo test -p ringplane-media-core`; benches: `cargo bench -p ringplane-media-core`.

#![forbid(unsafe_code)]

pub mod io;
pub mod sim;
pub mod suite;

mod candidates;
mod close;
mod command;
mod config;
mod dial;
mod digits;
mod frames;
mod held_packets;
mod latch;
mod leg;
mod moving;
mod pace;
mod probation;
mod quality;
mod random;
mod receive;
mod receiving;
mod relay;
mod reports;
mod rtcp_in;
mod rtp_clock;
mod sending;
mod sinks;
mod source_filter;
mod tap;
mod timers;
mod worker;

pub use candidates::{SETTLE_PACKETS, SETTLE_TIME};
pub use config::WorkerConfig;
pub use leg::LEG_BYTES;
pub use moving::MovingLeg;
pub use receive::LATE_AFTER;
pub use source_filter::QUIET;
pub use tap::{Side, TapId, Tapped};
pub use worker::Worker;
