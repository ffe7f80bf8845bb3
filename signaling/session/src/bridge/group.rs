//! The members of a bridge.

use crate::SessionId;

/// Sessions that a bridge puts together, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    members: Vec<SessionId>,
    /// Its members are about to hear each other; [`crate::SessionEvent::BridgeJoined`] tells when they do.
    is_joining: bool,
}

impl Group {
    pub(crate) fn members(&self) -> &[SessionId] {
        &self.members
    }

    /// Adds a session; gives those that were there before.
    pub(crate) fn add(&mut self, id: SessionId) -> Vec<SessionId> {
        let before = self.members.clone();
        self.members.push(id);
        self.is_joining = !before.is_empty();
        before
    }

    pub(crate) fn remove(&mut self, id: SessionId) {
        self.members.retain(|member| *member != id);
        self.is_joining = false;
    }

    /// Whether its members are about to hear each other.
    pub(crate) fn is_joining(&self) -> bool {
        self.is_joining
    }

    /// They do.
    pub(crate) fn has_joined(&mut self) {
        self.is_joining = false;
    }
}
