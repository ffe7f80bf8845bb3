//! Times by which something has to have happened to a session.

/// What happens when one of them expires.
pub(crate) mod expiry;
/// OPTIONS to peers that have nothing to send.
pub(crate) mod probing;
/// The timers of one session.
pub(crate) mod timer;
