//! Control of the media plane: every leg as a desired state, numbered commands that lead there, and the state that the
//! media plane has confirmed.
//!
//! [`Legs`] owns the legs of one shard and is the only place in signaling that writes a [`contract::Command`]. A leg begins
//! with a port ([`Legs::reserve`]) and runs from [`Legs::open`] to [`Legs::close`]. In between its owner says what the
//! leg is to be ([`LegWish`], by [`Legs::want`]): the transport towards the peer, the formats that were agreed on, and
//! the flow of media, which includes the other leg that it hears. [`Legs`] compares that with what the media plane was
//! told, sends what is missing, and tells by which [`CommandNumber`] the wish will be confirmed. Two legs that are to
//! hear each other are brought to one worker first; whatever is wanted while a leg moves waits until it has arrived. A
//! leg has any number of sinks and several sources ([`Legs::connect`]), each edge with an [`EdgeState`].
//!
//! The media plane answers with [`contract::Event`]s, which [`Legs::handle`] turns into a [`LegEvent`] for the owner of
//! the leg. The answer to a command is known by its number; nothing is counted or guessed. A command that is not
//! answered in time is reported by [`Legs::handle_deadline`].
//!
//! A leg can be written as a [`Snapshot`] of some hundred bytes and opened again from it, on this media plane or another
//! one.
//!
//! This crate never opens a socket, reads a clock, knows a SIP message or touches shared memory. Read [`LegWish`] first,
//! then [`Legs`]. Tests: `cargo test -p ringplane-media-control`.

#![forbid(unsafe_code)]

mod error;
mod event;
mod id;
mod legs;
mod ports;
mod snapshot;
mod topology;
mod wish;

pub use error::{LegError, SnapshotError};
pub use event::LegEvent;
pub use id::{CommandNumber, LegId};
pub use legs::{
    ANSWER_LIMIT, AwaitedCount, CLOSE_LIMIT, DIGITS_WAITING_MAX, LEGS_MAX, LegState, Legs, MediaTurn, Standing,
    UPDATES_OPEN_MAX, is_awaited,
};
pub use ports::{Port, Ports};
pub use snapshot::{Restoration, SNAPSHOT_BYTES_MAX, SNAPSHOT_BYTES_MIN, Snapshot, SnapshotBytes};
pub use topology::{EdgeKind, EdgeState, SOURCES_MAX};
pub use wish::{FlowWish, Formats, Hears, LegWish, Player, Rtcp, Sources, Transport};

#[cfg(test)]
mod tests;
