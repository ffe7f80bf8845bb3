//! Where a session is in its life, and how it comes to its end.

use crate::{EndReason, SessionState};

/// The state of a session, and what is known of its end.
#[derive(Debug)]
pub(crate) struct Life {
    state: SessionState,
    /// Why it ends; the first reason counts.
    reason: Option<EndReason>,
    /// The dialog has ended, or there never was one.
    is_dialog_over: bool,
}

impl Default for Life {
    fn default() -> Self {
        Self { state: SessionState::Initializing, reason: None, is_dialog_over: false }
    }
}

impl Life {
    pub(crate) fn state(&self) -> SessionState {
        self.state
    }

    /// Goes to another state. A step that the matrix does not have is a mistake in this crate, and panics.
    pub(crate) fn go(&mut self, next: SessionState) {
        assert!(self.state.can_transition_to(next), "{:?} cannot become {next:?}", self.state);
        self.state = next;
    }

    pub(crate) fn reason(&self) -> Option<EndReason> {
        self.reason
    }

    /// The end has this reason, unless there is one already. Gives the one that counts.
    pub(crate) fn end_for(&mut self, reason: EndReason) -> EndReason {
        *self.reason.get_or_insert(reason)
    }

    pub(crate) fn is_dialog_over(&self) -> bool {
        self.is_dialog_over
    }

    pub(crate) fn dialog_is_over(&mut self) {
        self.is_dialog_over = true;
    }
}
