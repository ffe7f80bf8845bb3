//! The life of a session: its states, its end, and what is told of it afterwards.

/// What is known of a call for good.
pub(crate) mod call_facts;
/// What is told of a call that is over.
pub(crate) mod call_story;
/// Why a session ended.
pub(crate) mod end_reason;
/// BYE, CANCEL or a refusal, then the end of the leg.
pub(crate) mod ending;
/// The state of one session, and why it ends.
pub(crate) mod life;
/// States, and the operations that each allows.
pub(crate) mod state;
