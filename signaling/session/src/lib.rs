//! Sessions: what a call is to whoever runs a switch. SIP events and media events in, SIP operations and media commands
//! out, one table per shard, in virtual time.
//!
//! [`Sessions`] owns the calls of one shard. [`Sessions::handle`] takes what `sip_core` says, [`Sessions::handle_media`]
//! what a media worker says, [`Sessions::handle_deadline`] the time; each gets a [`Turn`] with the four sides it may
//! talk to: [`Sip`], [`Ports`], [`Decide`] and the list of media commands. What a user may do is a method with a `Turn`
//! as well: [`Sessions::dial`], [`accept`](Sessions::accept), [`forward`](Sessions::forward), [`hold`](Sessions::hold),
//! [`bridge`](Sessions::bridge), [`transfer`](Sessions::transfer) and their like. It is refused at once without changing
//! anything, or carried out; what takes its time ends with [`SessionEvent::Done`] or [`SessionEvent::Failed`].
//!
//! A session has one leg. Two sessions that hear each other are linked: as the two sides of one call, where requests
//! cross and neither outlives the other, or in a bridge, where each goes on alone. `spec.rs` is the one place that says
//! what a leg is told; everything else changes a session and calls `sync`.
//!
//! Where a peer names a host that has to be looked up, the SIP side is asked ([`Sip::look_up`]) and the call waits for
//! [`Sessions::found`], no longer than [`LOOKUP_LIMIT`].
//!
//! A session leaves the table only when its dialog is over and its port is given back, and both have named limits, so
//! none can stay behind. Nothing here opens a socket, reads a clock or knows shared memory. Tests: `cargo test -p
//! session`.

#![forbid(unsafe_code)]

mod alarm;
mod answering;
mod attempts;
mod bridge;
mod change;
mod changing;
mod cross;
mod crossing;
mod decide;
mod describing;
mod destination;
mod dial;
mod dtmf;
mod due;
mod early;
mod ending;
mod error;
mod event;
mod forward;
mod gate;
mod handle;
mod health;
mod id;
mod incoming;
mod index;
mod invitation;
mod kept;
mod leg;
mod limits;
mod link;
mod local;
mod lookup;
mod matching;
mod media;
mod moving;
mod offering;
mod outgoing;
mod ports;
mod probing;
mod proof;
mod reason;
mod recording;
mod refer;
mod referred;
mod refusing;
mod relayed;
mod replacing;
mod requests;
mod session;
mod sessions;
mod settings;
mod sources;
mod spec;
mod state;
mod story;
mod table;
mod target;
mod transfer;
mod view;
mod wanted;

pub use bridge::{BRIDGE_MEMBERS_MAX, BridgeId, LeaveReason};
pub use crossing::CrossingPolicy;
pub use decide::{Admission, Asking, AtEnd, Decide, Decision, IncomingCall, Plan, PlannedSource, Side};
pub use describing::Remote;
pub use destination::{Destination, Destinations, LocalAddresses, TransferKind, TransferRequest};
pub use dial::{Dial, TARGETS_MAX, Target};
pub use dtmf::DIGITS_MAX;
pub use error::SessionError;
pub use event::SessionEvent;
pub use forward::Forward;
pub use gate::{Gate, Users};
pub use health::{Health, Leak};
pub use id::SessionId;
pub use limits::UserLimit;
pub use lookup::LOOKUP_LIMIT;
pub use ports::{Accepted, Port, Ports, Refusal, Sip};
pub use reason::{EndKind, EndReason};
pub use session::{Parties, Session};
pub use sessions::{Path, Sessions, Turn};
pub use settings::{
    CHANGE_WAIT_LIMIT, MEDIA_ANSWER_LIMIT, MEDIA_CLOSE_LIMIT, REDIRECTS_MAX, REMEMBERED_BYTES_MAX, Settings,
};
pub use sources::{SourceLimits, Sources, Standing};
pub use state::{Operation, SessionState};
pub use story::{Attempt, CallNumber, CallStory, EndOrigin, Outcome, Share};
pub use target::bracketed;

use link::Tie;

#[cfg(test)]
mod tests;
