//! The life of a session: its states, its end, and what is told of it afterwards.

/// What is told of a call that is over.
pub(crate) mod call_story;
/// Why a session ended.
pub(crate) mod end_reason;
/// BYE, CANCEL or a refusal, then the end of the leg.
pub(crate) mod ending;
/// States, and the operations that each allows.
pub(crate) mod state;
