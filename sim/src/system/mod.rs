//! The whole system in virtual time: shards of the signaling plane and workers of the media plane with the queues of their
//! shared memory between them, phones that speak SIP and RTP over the bad network, and deaths of processes and workers.
//!
//! [`run_system`] plays one seed. What is drawn for it: how bad the network is, the role of the switch (back-to-back user agent,
//! the same with a proxy for some methods, proxy), its shards and media workers, how long legs are kept after the death of
//! signaling, and phones on UDP or TCP, with and without telephone events, UPDATE and session timers. Then users call, cancel,
//! hold, resume, press keys, transfer and hang up, an operator changes calls by the programming interface, calls are recorded,
//! and workers, processes and phones die, stop and come back.
//!
//! Rules: every request has one final answer, and every final response to an INVITE its ACK; every call ends on every side, for
//! a reason that it can have; no session, dialog, transaction, subscription, leg or port is left, and the counters add up; a call
//! that both phones have is up in the switch; what both are told about its direction fits; what a phone hears comes from its
//! peer, a phone that holds hears nothing, a digit is told once; no packet or digit of an undisturbed call is missing; files of
//! recordings are whole; legs that are kept are heard on and can be adopted.

mod audio;
mod keeper;
mod media;
mod phone;
mod signaling;
mod world;

pub use world::{SystemReport, run_system};
