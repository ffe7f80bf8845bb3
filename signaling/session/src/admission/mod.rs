//! Which requests are taken, and what an unproven peer may cause.

/// What a peer has shown of being at its address, and what is sent there before that.
pub(crate) mod address_validation;
/// What a call was admitted with.
pub(crate) mod admitted;
/// Digest authentication of requests outside of dialogs (RFC 3261 §22).
pub(crate) mod auth;
/// The limit of unacknowledged calls for each source address.
pub(crate) mod source_limit;
/// The limit of calls for each user.
pub(crate) mod user_limit;
