//! Sessions: what a call is to whoever runs a switch. SIP events and media events in, SIP operations and media commands
//! out, one table per shard, in virtual time.
//!
//! [`Sessions`] owns the calls of one shard. [`Sessions::handle`] takes what `sip_core` says, [`Sessions::handle_media`]
//! what a media worker says, [`Sessions::handle_deadline`] the time; each gets a [`Turn`] with the four sides it may
//! talk to: [`Sip`], [`Ports`], [`Decide`] and the list of media commands. A session leaves the table only when its
//! dialog is over and its port is given back, and both have named limits, so none can stay behind. Nothing here opens a
//! socket, reads a clock or knows shared memory. Tests: `cargo test -p session`.

#![forbid(unsafe_code)]

mod alarm;
mod change;
mod changing;
mod decide;
mod dtmf;
mod due;
mod ending;
mod error;
mod event;
mod handle;
mod id;
mod incoming;
mod invitation;
mod local;
mod media;
mod offering;
mod ports;
mod reason;
mod session;
mod sessions;
mod settings;
mod spec;
mod state;
mod table;
mod view;

pub use decide::{AtEnd, Decide, Decision, IncomingCall, Plan, PlannedSource, Side};
pub use dtmf::DIGITS_MAX;
pub use error::SessionError;
pub use event::SessionEvent;
pub use id::SessionId;
pub use ports::{Accepted, Port, Ports, Refusal, Sip};
pub use reason::{EndKind, EndReason};
pub use session::{Parties, Session};
pub use sessions::{Path, Sessions, Turn};
pub use settings::{MEDIA_ANSWER_LIMIT, MEDIA_CLOSE_LIMIT, REMEMBERED_BYTES_MAX, Settings};
pub use state::{Operation, SessionState};

#[cfg(test)]
mod tests;
