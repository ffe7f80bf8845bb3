//! Deterministic simulation: phones, a forking proxy and a bridge on a bad network, in virtual time, by one seed.
//!
//! Everything that happens follows from the seed: which agent calls which, what users decide, which packets are lost, late,
//! doubled or held back by a partition. [`run`] plays one seed to its end, checks the rules of [`Ledger`] all the way
//! and gives a [`Report`], or the rule that was broken. It opens no socket and reads no clock.
//!
//! Run `cargo run --profile ci -p ringplane-sim -- --seeds 10000`; a failing seed prints itself and is played alone, with its
//! trace, by `SIM_SEED=<seed> cargo run --profile ci -p ringplane-sim`. `--noisy 1` damages messages as well ([`run_noisy`]),
//! `--system 1` plays shards and media workers with phones that speak, and their deaths ([`run_system`]).
//! Tests: `cargo test -p ringplane-sim`.

#![forbid(unsafe_code)]

mod agent;
mod bridge;
mod decide;
mod guard;
mod ledger;
mod network;
mod node;
mod relay;
mod rng;
mod system;
mod todo;
mod world;

pub use ledger::{Broken, Ledger};
pub use system::{SystemReport, run_system};
pub use world::{Report, run, run_noisy};
