//! From packets to sound: what a leg needs whose sound has to be understood, and a relayed one does without.
//!
//! [`jitter`] puts packets into time, [`playout`] makes an unbroken stream of samples of them, [`transcoder`] encodes that
//! stream for another leg, `coders` are those of a worker. All of it is made once and reset for the next stream; nothing allocates in between.

pub(crate) mod coders;
pub mod jitter;
pub mod playout;
pub mod transcoder;

use clock::Duration;

/// A stream that changes its codec sooner after its last change is not followed: each change costs a new decoder.
pub const CHANGE_TIME: Duration = Duration::from_millis(200);
