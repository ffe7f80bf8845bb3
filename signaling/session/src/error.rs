use crate::{Operation, SessionId, SessionState};

/// Why an operation on a session was refused. Nothing changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SessionError {
    /// It has ended, or never was.
    #[error("there is no session {0}")]
    SessionNotFound(SessionId),
    /// Not in this state.
    #[error("a session that is {} does not allow {operation:?}; it allows {allowed:?}", state.name())]
    InvalidState {
        /// What was asked.
        operation: Operation,
        /// Where the session is.
        state: SessionState,
        /// What may be asked there.
        allowed: Vec<Operation>,
    },
}

impl SessionError {
    pub(crate) fn invalid(operation: Operation, state: SessionState) -> Self {
        Self::InvalidState { operation, state, allowed: state.allowed() }
    }
}
