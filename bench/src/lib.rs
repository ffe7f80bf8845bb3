//! Measurements side by side with peers, on the same host in the same run, with few numbers out.
//!
//! It starts the programs it compares and ends them; it never judges by absolute numbers of another day. Read
//! [`media::MediaBench`] first; what the numbers mean is in `bench/README.md`. Tests: `cargo test -p ringplane-bench`.

#![forbid(unsafe_code)]

pub mod audio;
pub mod b2bua;
pub mod events;
pub mod held;
pub mod host;
pub mod legs;
pub mod media;
pub mod options;
pub mod pacing;
pub mod parse;
pub mod plot;
pub mod results;
pub mod setup;
pub mod sip;
