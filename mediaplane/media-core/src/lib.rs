//! What a media worker decides: legs, relay, sources, latching, RTCP. Packets in batches in, packets in batches out.
//!
//! No socket, no clock, no thread, no random source: time and a seed arrive as arguments, packets come and go through
//! the seam in [`io`]. After [`Worker::new`] nothing is allocated for a packet. Nothing here
//! writes recordings; what a recorded leg says and hears is pointed at in [`io::Output::taps`], what a program hears of a leg in [`io::Output::program_taps`]. Read
//! [`Worker`] first, then [`io`]; [`sim`] is a network for tests, [`suite`] the behaviour that every back end must show.
//!
//! Tests: `cargo test -p ringplane-media-core`; benches: `cargo bench -p ringplane-media-core`.

#![forbid(unsafe_code)]

pub mod io;
pub mod sim;
pub mod suite;

mod close;
mod command;
mod config;
pub mod decoding;
mod incoming;
mod latching;
mod leg;
mod moving;
mod outgoing;
mod random;
mod rooms;
mod rtcp;
mod rtp_clock;
mod timers;
mod voice;
mod worker;

pub use config::WorkerConfig;
pub use decoding::coders::{format_at, format_of};
pub use incoming::packets::LATE_AFTER;
pub use incoming::tap::{Side, TapId, Tapped};
pub use latching::candidates::{SETTLE_PACKETS, SETTLE_TIME};
pub use latching::source_filter::{QUIET, RESTART_QUIET};
pub use leg::LEG_BYTES;
pub use leg::law_of;
pub use moving::MovingLeg;
pub use outgoing::program::{BLOCK_MS, BLOCK_SAMPLES_MAX, Block, Program, ProgramState};
pub use rtcp::watch::QualityLimits;
pub use worker::Worker;
