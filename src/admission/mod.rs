//! Room for calls, and which calls are refused first when it becomes full. [`engine::Admission`] decides; here is what holds a
//! place.

use crate::api::advanced::OutgoingCall;
use crate::api::{CallSession, IncomingCall, SessionCoordinator, SessionError, SessionId};
use engine::{LevelCounts, Priority, PriorityShares};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places of a coordinator's sessions.
pub(crate) struct Admission(Mutex<engine::Admission>);

/// The place of one session; it is free again when this is dropped.
pub(crate) struct Place {
    admission: Arc<Admission>,
    level: Priority,
}

impl Admission {
    pub(crate) fn new(max_sessions: usize, shares: PriorityShares) -> Arc<Self> {
        Arc::new(Self(Mutex::new(engine::Admission::new(max_sessions, shares))))
    }

    /// A place for a call of this level; otherwise the limit that stands in its way.
    pub(crate) fn take(self: &Arc<Self>, level: Priority) -> Result<Place, usize> {
        self.decider().admit(level)?;
        Ok(Place { admission: self.clone(), level })
    }

    /// A place for a session that is there already, whatever the shares say.
    pub(crate) fn seat(self: &Arc<Self>, level: Priority) -> Place {
        self.decider().count_in(level);
        Place { admission: self.clone(), level }
    }

    pub(crate) fn counts(&self) -> LevelCounts {
        self.decider().counts()
    }

    fn decider(&self) -> MutexGuard<'_, engine::Admission> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(crate) fn level(&self) -> Priority {
        self.level
    }

    fn change(&mut self, level: Priority) {
        self.admission.decider().change(self.level, level);
        self.level = level;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.decider().leave(self.level);
    }
}

/// The refusal of a call whose level has filled its share.
pub(crate) fn full(level: Priority, limit: usize) -> SessionError {
    SessionError::exhausted(format!("sessions of priority {}", level.name()), limit)
}

impl engine::CallRequest for IncomingCall {
    fn to(&self) -> &str {
        &self.to
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

impl CallSession {
    /// How important it is.
    pub fn priority(&self) -> Priority {
        self.entry.facts().place.as_ref().map_or_else(Priority::default, Place::level)
    }
}

impl SessionCoordinator {
    /// Places a call of this priority, like
    /// [`SessionControl::create_outgoing_call`](crate::api::SessionControl::create_outgoing_call), which places normal
    /// ones. [`SessionError::ResourceExhausted`]: the share of this level is full.
    pub async fn create_call_with_priority(
        &self,
        from: &str,
        to: &str,
        sdp: Option<String>,
        priority: Priority,
    ) -> Result<CallSession, SessionError> {
        self.dial(OutgoingCall { sdp, priority, ..OutgoingCall::new(from, to) }).await
    }

    /// Makes a session more or less important. It is never refused: the session is there already, and counts among those
    /// of its new level from now on.
    pub fn set_priority(&self, id: &SessionId, priority: Priority) -> Result<(), SessionError> {
        let entry = self.entry(*id)?;
        let mut facts = entry.facts();
        match &mut facts.place {
            Some(place) => place.change(priority),
            None => facts.place = Some(self.admission.seat(priority)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let admission = Admission::new(2, PriorityShares::default());
        let mut places = vec![admission.take(Priority::Normal).ok().unwrap(), admission.seat(Priority::Low)];
        assert_eq!(admission.take(Priority::Emergency).err(), Some(2));
        places[1].change(Priority::High);
        assert_eq!((places[1].level(), admission.counts().admitted), (Priority::High, [0, 0, 1, 1, 0, 0]));
        places.clear();
        assert_eq!(admission.counts().admitted_count(), 0);
    }

    #[test]
    fn an_incoming_call_asks_for_its_priority_by_its_headers() {
        let mut call = IncomingCall {
            id: SessionId::new(0, session::SessionId::from_u64(1)),
            from: "sip:a@example.com".into(),
            to: "urn:service:sos".into(),
            user: None,
            called_user: String::new(),
            sdp: None,
            headers: [("Resource-Priority".to_owned(), "wps.1".to_owned())].into(),
            remote: ([127, 0, 0, 1], 5060).into(),
            received_at: std::time::SystemTime::UNIX_EPOCH,
        };
        assert_eq!(Priority::asked_for(&call), Some(Priority::Emergency));
        call.to = "sip:b@example.com".into();
        assert_eq!(Priority::asked_for(&call), Some(Priority::Critical));
    }
}
