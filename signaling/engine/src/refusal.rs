use crate::{GroupId, SequenceId};

/// Why something was not done; nothing has changed then.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal<C> {
    /// A named limit is reached.
    #[error("no more {what}: the limit is {limit}")]
    Full {
        /// What there is no more of, in words.
        what: String,
        /// How many there may be.
        limit: usize,
    },
    /// The group was destroyed, or never was.
    #[error("there is no group {0}")]
    NoGroup(GroupId),
    /// The call is not in that group.
    #[error("the call {0} is not in the group")]
    NotInGroup(C),
    /// All legs of the sequence have ended, or it never was.
    #[error("there is no sequence {0} with a leg that is up")]
    NoSequence(SequenceId),
    /// A call is a leg of one sequence at most.
    #[error("{call} is a leg of sequence {sequence} already")]
    LegAlready {
        /// The call that was to become a leg.
        call: C,
        /// The sequence that it is a leg of.
        sequence: SequenceId,
    },
    /// A call would depend on itself. The way: the call, what it would depend on, and so on, back to the call.
    #[error("a call would depend on itself")]
    Circle(Vec<C>),
}

impl<C> Refusal<C> {
    pub(crate) fn full(what: impl Into<String>, limit: usize) -> Self {
        Self::Full { what: what.into(), limit }
    }

    /// The limit that is reached, for [`Self::Full`].
    pub fn limit(&self) -> Option<usize> {
        match self {
            Self::Full { limit, .. } => Some(*limit),
            _ => None,
        }
    }
}
