//! Six levels of importance, and who is refused first when it becomes full.

use crate::api::advanced::OutgoingCall;
use crate::api::{CallSession, IncomingCall, SessionCoordinator, SessionError, SessionId};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How important a call is. When the sessions of a coordinator approach
/// [`max_sessions`](crate::api::SessionConfig::max_sessions), the lower levels are refused first: see
/// [`PriorityShares`]. A handler says it of a call that comes in
/// ([`CallHandler::call_priority`](crate::api::CallHandler::call_priority)), the program of one that it places
/// ([`SessionCoordinator::create_call_with_priority`]).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug, Serialize, Deserialize)]
pub enum Priority {
    /// Life is at stake.
    Emergency,
    /// The operation of the house is at stake.
    Critical,
    /// Before others.
    High,
    /// Like most.
    #[default]
    Normal,
    /// After others.
    Low,
    /// Whenever there is room.
    Background,
}

impl Priority {
    /// All of them, highest first.
    pub const ALL: [Priority; 6] =
        [Self::Emergency, Self::Critical, Self::High, Self::Normal, Self::Low, Self::Background];

    /// In one word.
    pub fn name(self) -> &'static str {
        ["emergency", "critical", "high", "normal", "low", "background"][self as usize]
    }

    /// What the caller itself asks for: by `Priority` (RFC 3261 §20.26), `Resource-Priority` in the namespaces `ets`,
    /// `wps` and `q735` (RFC 4412 §10), or an emergency number (`urn:service:sos`, RFC 5031). Anybody can write that, so
    /// ask only for callers whom you trust:
    ///
    /// ```
    /// # use ringplane::api::*;
    /// struct Trusting;
    ///
    /// #[async_trait]
    /// impl CallHandler for Trusting {
    ///     fn call_priority(&self, call: &IncomingCall) -> Option<Priority> {
    ///         Priority::asked_for(call).filter(|_| call.remote.ip().is_loopback())
    ///     }
    ///     async fn on_incoming_call(&self, _: IncomingCall) -> CallDecision {
    ///         CallDecision::Accept(None)
    ///     }
    /// }
    /// ```
    pub fn asked_for(call: &IncomingCall) -> Option<Self> {
        if call.to.to_ascii_lowercase().starts_with("urn:service:sos") {
            return Some(Self::Emergency);
        }
        let resource = call.headers.get("Resource-Priority").and_then(|value| value.split(',').find_map(by_namespace));
        let plain = || match call.headers.get("Priority")?.trim().to_ascii_lowercase().as_str() {
            "emergency" => Some(Self::Emergency),
            "urgent" => Some(Self::High),
            "normal" => Some(Self::Normal),
            "non-urgent" => Some(Self::Low),
            _ => None,
        };
        resource.or_else(plain)
    }
}

/// `ets.0` is the highest of its namespace, `.4` the lowest.
fn by_namespace(value: &str) -> Option<Priority> {
    let (namespace, level) = value.trim().split_once('.')?;
    if !["ets", "wps", "q735"].iter().any(|known| namespace.eq_ignore_ascii_case(known)) {
        return None;
    }
    match level {
        "0" => Some(Priority::Emergency),
        "1" => Some(Priority::Critical),
        "2" | "3" => Some(Priority::High),
        "4" => Some(Priority::Normal),
        _ => None,
    }
}

/// How much of `max_sessions` the calls of each level, together with all others, may fill. A call of a level whose share
/// is full gets 503 with Retry-After while higher ones are still taken: the rest is reserved for those. Calls that are
/// up are never ended for others.
///
/// As long as nobody says otherwise, low calls are refused from 90 % on and background calls from 75 % on; all other
/// levels may fill everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PriorityShares([u8; 6]);

impl Default for PriorityShares {
    fn default() -> Self {
        Self([100, 100, 100, 100, 90, 75])
    }
}

impl PriorityShares {
    /// Calls of `level` and below may fill at most `percent` of all sessions; above 100 is 100. No level may fill more
    /// than a higher one, so those above are raised to it and those below are lowered.
    ///
    /// ```
    /// # use ringplane::api::*;
    /// let shares = PriorityShares::default().with(Priority::Normal, 80);
    /// assert_eq!([Priority::High, Priority::Normal, Priority::Low].map(|level| shares.percent(level)), [100, 80, 80]);
    /// ```
    #[must_use]
    pub fn with(mut self, level: Priority, percent: u8) -> Self {
        let percent = percent.min(100);
        for other in Priority::ALL {
            let share = &mut self.0[other as usize];
            *share = match other.cmp(&level) {
                std::cmp::Ordering::Less => percent.max(*share),
                std::cmp::Ordering::Equal => percent,
                std::cmp::Ordering::Greater => percent.min(*share),
            };
        }
        self
    }

    /// The share of a level.
    pub fn percent(&self, level: Priority) -> u8 {
        self.0[level as usize]
    }

    /// Sessions that there may be when a call of this level comes, itself included; a share above 0 is at least one.
    pub fn limit(&self, level: Priority, max_sessions: usize) -> usize {
        max_sessions.saturating_mul(usize::from(self.percent(level))).div_ceil(100)
    }
}

/// The places of a coordinator's sessions.
pub(crate) struct Admission {
    max_sessions: usize,
    shares: PriorityShares,
    counts: Mutex<Places>,
}

/// By level.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Places {
    pub(crate) taken: [usize; 6],
    pub(crate) refused: [u64; 6],
}

/// One of the places; it is free again when this is dropped.
pub(crate) struct Place {
    admission: Arc<Admission>,
    level: Priority,
}

impl Admission {
    pub(crate) fn new(max_sessions: usize, shares: PriorityShares) -> Arc<Self> {
        Arc::new(Self { max_sessions, shares, counts: Mutex::default() })
    }

    /// A place for a call of this level; the limit that stands in its way otherwise.
    pub(crate) fn take(self: &Arc<Self>, level: Priority) -> Result<Place, usize> {
        let limit = self.shares.limit(level, self.max_sessions);
        let mut places = self.places();
        if places.taken.iter().sum::<usize>() >= limit {
            places.refused[level as usize] += 1;
            return Err(limit);
        }
        places.taken[level as usize] += 1;
        Ok(Place { admission: self.clone(), level })
    }

    /// For a session that is there already, whatever the shares say.
    pub(crate) fn seat(self: &Arc<Self>, level: Priority) -> Place {
        self.places().taken[level as usize] += 1;
        Place { admission: self.clone(), level }
    }

    pub(crate) fn levels(&self) -> Places {
        *self.places()
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(crate) fn level(&self) -> Priority {
        self.level
    }

    fn change(&mut self, level: Priority) {
        let mut places = self.admission.places();
        places.taken[self.level as usize] -= 1;
        places.taken[level as usize] += 1;
        self.level = level;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.places().taken[self.level as usize] -= 1;
    }
}

pub(crate) fn full(level: Priority, limit: usize) -> SessionError {
    SessionError::exhausted(format!("sessions of priority {}", level.name()), limit)
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
            None => facts.place = Some(self.care.admission.seat(priority)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(to: &str, headers: &[(&str, &str)]) -> IncomingCall {
        IncomingCall {
            id: SessionId::new(0, session::SessionId::from_u64(1)),
            from: "sip:a@example.com".into(),
            to: to.into(),
            user: None,
            called_user: String::new(),
            sdp: None,
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            remote: ([127, 0, 0, 1], 5060).into(),
            received_at: std::time::SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn callers_may_ask_for_a_level() {
        let asked = |to, headers: &[(&str, &str)]| Priority::asked_for(&call(to, headers));
        assert_eq!(asked("sip:b@example.com", &[]), None);
        assert_eq!(asked("URN:service:sos.fire", &[]), Some(Priority::Emergency));
        assert_eq!(asked("sip:b@example.com", &[("Priority", " Urgent ")]), Some(Priority::High));
        assert_eq!(asked("sip:b@example.com", &[("Priority", "whatever")]), None);
        let both = [("Priority", "non-urgent"), ("Resource-Priority", "dsn.flash, WPS.1")];
        assert_eq!(asked("sip:b@example.com", &both), Some(Priority::Critical));
        assert_eq!(asked("sip:b@example.com", &[("Resource-Priority", "ets.9")]), None);
    }

    #[test]
    fn no_level_has_more_than_a_higher_one() {
        for level in Priority::ALL {
            for percent in [0, 1, 50, 99, 100, 255] {
                let shares = PriorityShares::default().with(level, percent);
                let all = Priority::ALL.map(|level| shares.percent(level));
                assert!(all.is_sorted_by(|high, low| high >= low), "{all:?}");
                assert_eq!(shares.percent(level), percent.min(100));
            }
        }
        let shares = PriorityShares::default().with(Priority::Background, 1);
        assert_eq!((shares.limit(Priority::Background, 10), shares.limit(Priority::Normal, 10)), (1, 10));
    }

    #[test]
    fn the_lowest_are_refused_first_and_places_come_back() {
        let shares = PriorityShares::default().with(Priority::Normal, 80).with(Priority::Critical, 90);
        let admission = Admission::new(10, shares);
        let mut places: Vec<Place> = (0..7).map(|_| admission.take(Priority::Normal).ok().unwrap()).collect();
        // Three quarters are 7.5 sessions, and the eighth would be more than 7.
        places.push(admission.take(Priority::Background).ok().unwrap());
        let refused = |level| admission.take(level).err();
        assert_eq!(refused(Priority::Background), Some(8));
        assert_eq!((refused(Priority::Low), refused(Priority::Normal)), (Some(8), Some(8)));
        places.push(admission.take(Priority::High).ok().unwrap());
        assert_eq!((refused(Priority::High), refused(Priority::Critical)), (Some(9), Some(9)));
        places.push(admission.take(Priority::Emergency).ok().unwrap());
        assert_eq!(refused(Priority::Emergency), Some(10));
        let levels = admission.levels();
        assert_eq!((levels.taken, levels.refused), ([1, 0, 1, 7, 0, 1], [1, 1, 1, 1, 1, 1]));
        // Who becomes less important makes room for nobody, who goes does.
        places[9].change(Priority::Background);
        assert!(admission.take(Priority::Critical).is_err());
        places.truncate(8);
        drop(admission.take(Priority::Emergency).ok().unwrap());
        places.clear();
        assert_eq!(admission.levels().taken, [0; 6]);
        drop(admission.seat(Priority::Low));
    }
}
