//! Callers over real sockets: media streams whose every packet is checked, SIP calls with sound, and the processes
//! that we are measured against and tested with.
//!
//! It measures and checks; it is never part of the switch, never leaves the addresses that it is told, and ends only
//! processes that it started. Read [`media::Traffic`] first. Tests: `cargo test -p ringplane-loadtest`.

#![forbid(unsafe_code)]

pub mod callers;
pub mod capture;
pub mod connection;
pub mod corpus;
pub mod flood;
pub mod heard;
pub mod loss;
pub mod media;
pub mod ng;
pub mod peers;
pub mod relay;
pub mod usage;

/// Whether matrices are to be played in full and soaks at full length: `make test-all` sets `RINGPLANE_TEST_ALL=1`.
pub fn is_full_run() -> bool {
    std::env::var_os("RINGPLANE_TEST_ALL").is_some_and(|value| value == "1")
}
