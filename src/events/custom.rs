//! Events of the program's own.

use crate::api::{EventKind, SessionCoordinator, SessionError, SessionId};
use std::sync::Arc;

/// Longest name of an event, and longest detail, in bytes: what is longer is refused.
pub const CUSTOM_EVENT_BYTES_MAX: usize = 64 * 1_024;

impl SessionCoordinator {
    /// Tells all subscribers something about a session, in order with what the switch itself tells, and with the same
    /// correlation id.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # fn example(coordinator: &SessionCoordinator, call: &CallSession) -> Result<(), SessionError> {
    /// coordinator.publish_event(call.id(), "agent assigned", "anna")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish_event(
        &self,
        id: &SessionId,
        name: impl Into<Arc<str>>,
        detail: impl Into<Arc<str>>,
    ) -> Result<(), SessionError> {
        let (name, detail) = (name.into(), detail.into());
        if name.len().max(detail.len()) > CUSTOM_EVENT_BYTES_MAX {
            return Err(SessionError::exhausted("bytes of an event", CUSTOM_EVENT_BYTES_MAX));
        }
        let entry = self.entry(*id)?;
        self.publish(&entry, EventKind::Custom { name, detail });
        Ok(())
    }
}
