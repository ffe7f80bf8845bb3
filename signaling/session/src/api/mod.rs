//! What a user of this crate sees beside [`crate::Sessions`].

/// Decisions that the user makes: admission, answer, routing.
pub(crate) mod decide;
/// Why an operation is refused.
pub(crate) mod error;
/// What the user is told.
pub(crate) mod event;
/// Names of sessions.
pub(crate) mod id;
/// Limits and codecs, set once for a shard.
pub(crate) mod settings;
