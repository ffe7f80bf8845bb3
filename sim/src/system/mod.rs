//! The whole system in virtual time: shards of the signaling plane and workers of the media plane with the queues of their
//! shared memory between them, phones that speak SIP and RTP over the bad network, and deaths of processes and workers.
//!
//! [`run_system`] plays one seed: calls through a back-to-back user agent, then hang-ups, until nothing is left. It checks that
//! every call ends on every side, that no session, dialog, transaction, leg or port is left, and that the packets of an
//! undisturbed call reached the other phone.

mod audio;
mod media;
mod phone;
mod signaling;
mod world;

pub use world::{SystemReport, run_system};
