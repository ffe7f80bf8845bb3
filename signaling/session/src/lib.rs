//! Sessions: calls as the user of a switch sees them. SIP events and media events in, SIP operations and media commands
//! out, one table per shard, in virtual time.
//!
//! [`Sessions`] owns the calls of one shard. [`Sessions::handle`] takes what `sip_core` says, [`Sessions::handle_media`]
//! what a media worker says, [`Sessions::handle_deadline`] the time; each gets a [`Turn`] with the four sides it may
//! talk to: [`Sip`], [`Ports`], [`Decide`] and the list of media commands. What a user may do is a method with a `Turn`
//! as well: [`Sessions::dial`], [`accept`](Sessions::accept), [`forward`](Sessions::forward), [`hold`](Sessions::hold),
//! [`bridge`](Sessions::bridge), [`transfer`](Sessions::transfer) and their like. It is refused at once without changing
//! anything, or carried out. An operation that takes its time ends with [`SessionEvent::Done`], [`SessionEvent::Failed`] or
//! [`SessionEvent::Declined`]; one that comes while another is on its way waits for that.
//!
//! A session has one leg. Two sessions that hear each other are linked: as the two sides of one call, where requests
//! cross and neither outlives the other, or in a bridge, where each goes on alone. `media/wish.rs` is the one place that says
//! what a leg is to be; everything else changes a session and calls `sync`. [`media_control`] does the rest.
//!
//! Where to look: `invite` has a call up to its answer, `negotiation` its offers and answers afterwards, `transfer` REFER
//! and Replaces, `bridge` sessions that hear each other, `crossing` what else goes from one side of a call to the other,
//! `lifecycle` states and the end, `admission` who may call at all, `timers` what happens when time runs out, `shard` the
//! table of sessions, `api` what a user of this crate sees.
//!
//! Where a peer names a host that has to be looked up, the SIP side is asked ([`Sip::look_up`]) and the call waits for
//! [`Sessions::found`], no longer than [`LOOKUP_LIMIT`].
//!
//! A session leaves the table only when its dialog is over and its port is given back, and both have named limits, so
//! none can stay behind. Nothing here opens a socket, reads a clock or knows shared memory. Tests: `cargo test -p
//! ringplane-session`.

#![forbid(unsafe_code)]

mod admission;
mod api;
mod bridge;
mod crossing;
mod dtmf;
mod endpoint_sip;
mod hold;
mod invite;
mod lifecycle;
mod media;
mod negotiation;
mod playback;
mod ports;
mod session;
mod shard;
mod timers;
mod transfer;
mod user_requests;
mod view;

pub use admission::auth::{DigestAuth, Secrets};
pub use admission::source_limit::{SourceLimits, Sources, Standing};
pub use admission::user_limit::UserLimit;
pub use api::decide::{Admission, AdmissionRequest, AtEnd, Decide, Decision, IncomingCall, Plan, PlannedSource, Side};
pub use api::error::SessionError;
pub use api::event::SessionEvent;
pub use api::id::SessionId;
pub use api::settings::{
    CHANGE_WAIT_LIMIT, CallLimits, MediaSettings, OPERATION_WAIT_LIMIT, REDIRECTS_MAX, REMEMBERED_BYTES_MAX, Settings,
    Timeouts,
};
pub use bridge::bridges::{BRIDGE_MEMBERS_MAX, BridgeId, LeaveReason};
pub use crossing::CrossingPolicy;
pub use dtmf::{DIGITS_MAX, DigitWay};
pub use endpoint_sip::{EndpointSip, Host};
pub use invite::destination::{Destination, Destinations, LocalAddresses, TransferKind, TransferRequest};
pub use invite::dial::{Dial, TARGETS_MAX, Target};
pub use invite::dial_check::bracketed;
pub use invite::forward::Forward;
pub use invite::name_lookup::LOOKUP_LIMIT;
pub use lifecycle::call_story::{Attempt, CallNumber, CallStory, EndOrigin, Outcome, Share};
pub use lifecycle::end_reason::{EndKind, EndReason};
pub use lifecycle::state::{Operation, SessionState};
pub use negotiation::descriptions::Remote;
pub use negotiation::pending_operations::{Carried, PENDING_OPERATIONS_MAX};
pub use playback::QUEUED_SOURCES_MAX;
pub use ports::{Accepted, Refusal, Sip};
pub use session::{Parties, Session};
pub use shard::health::{Health, Leak};
pub use shard::sessions::{Path, Sessions, Turn};

pub use media_control::{ANSWER_LIMIT as MEDIA_ANSWER_LIMIT, CLOSE_LIMIT as MEDIA_CLOSE_LIMIT, Port, Ports};

use bridge::link::Tie;

#[cfg(test)]
mod tests;
