//! Sessions that hear each other.

/// Bridges: created, joined, left, destroyed by the user.
pub(crate) mod bridges;
/// The link of two sessions, as sides of one call or members of a bridge, and what each may offer because of it.
pub(crate) mod link;
/// The session or bridge that a session belongs together with.
pub(crate) mod membership;
