//! Sessions that hear each other.

/// Bridges: created, joined, left, destroyed by the user.
pub(crate) mod bridges;
/// The members of a bridge.
pub(crate) mod group;
/// The link of two sessions, as sides of one call or members of a bridge, and what each may offer because of it.
pub(crate) mod link;
/// The group that a session belongs to.
pub(crate) mod membership;
