//! All sessions of one shard.

/// Counts of what is there, and of what should not be.
pub(crate) mod health;
/// Sessions by the endpoint's handles.
pub(crate) mod index;
/// The table with its indexes and timers, and the turn in which it works.
pub(crate) mod sessions;
/// Events of the SIP endpoint, handed to the part of a session that they are about.
pub(crate) mod sip_events;
/// Sessions by number.
pub(crate) mod table;
