//! The legs of one call in the order in which they came.

use crate::api::{SessionCoordinator, SessionError, SessionId};
use engine::{Leg, LegRole, Sequence, SequenceId, SequenceRule};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// One leg of a sequence.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SequenceLeg {
    /// Its session.
    pub session_id: SessionId,
    /// Which side it is.
    pub role: LegRole,
    /// 0 for the A-leg; B-legs are counted from 1.
    pub number: u32,
    /// When it came; in JSON by RFC 3339, in UTC.
    #[serde(with = "crate::events::rfc3339")]
    pub since: SystemTime,
    /// Why it ended; `None` while it has not.
    pub end: Option<String>,
}

/// A sequence with all its legs, those that have ended included.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SequenceInfo {
    /// Its name.
    pub id: SequenceId,
    /// What the end of one leg means for the others.
    pub rule: SequenceRule,
    /// The A-leg, then the B-legs in order.
    pub legs: Vec<SequenceLeg>,
}

impl SequenceInfo {
    fn of(sequence: &Sequence<SessionId>) -> Self {
        Self { id: sequence.id, rule: sequence.rule, legs: sequence.legs.iter().map(SequenceLeg::of).collect() }
    }

    /// Whether every leg has ended.
    pub fn is_over(&self) -> bool {
        self.legs.iter().all(|leg| leg.end.is_some())
    }

    /// Legs that are up, of one side.
    pub fn live(&self, role: LegRole) -> impl Iterator<Item = SessionId> {
        self.legs.iter().filter(move |leg| leg.role == role && leg.end.is_none()).map(|leg| leg.session_id)
    }
}

impl SequenceLeg {
    fn of(leg: &Leg<SessionId>) -> Self {
        Self {
            session_id: leg.call,
            role: leg.role,
            number: leg.number,
            since: SystemTime::UNIX_EPOCH + Duration::from_nanos(leg.since.as_unix_nanos()),
            end: leg.end.clone(),
        }
    }
}

/// A-leg and B-legs of calls. A call that a handler forwards has a sequence by itself; for calls that a program puts
/// together (queues, call-backs, conferences) it makes one.
///
/// ```no_run
/// # use ringplane::api::*;
/// # use std::sync::Arc;
/// # async fn example(coordinator: Arc<SessionCoordinator>, caller: CallSession) -> Result<(), SessionError> {
/// let sequence = coordinator.create_sequence(caller.id(), SequenceRule::Together)?;
/// let agent = SessionControl::create_outgoing_call(&coordinator, "", "sip:agent@192.0.2.7", None).await?;
/// coordinator.add_b_leg(&sequence, agent.id())?;
/// // From now on the agent hangs up when the caller does, and the other way round.
/// # Ok(())
/// # }
/// ```
impl SessionCoordinator {
    /// A sequence with this session as its A-leg.
    pub fn create_sequence(&self, a_leg: &SessionId, rule: SequenceRule) -> Result<SequenceId, SessionError> {
        let mut relations = self.relations();
        self.entry(*a_leg)?;
        relations.sequences().create(clock::wall_now(), *a_leg, rule).map_err(SessionError::of_engine)
    }

    /// Adds the next B-leg.
    pub fn add_b_leg(&self, sequence: &SequenceId, b_leg: &SessionId) -> Result<(), SessionError> {
        let mut relations = self.relations();
        self.entry(*b_leg)?;
        relations.sequences().add(clock::wall_now(), *sequence, *b_leg).map_err(SessionError::of_engine)
    }

    /// A sequence that is there now, or one of the last that are over.
    pub fn sequence(&self, id: &SequenceId) -> Option<SequenceInfo> {
        self.relations().sequences().get(*id).map(SequenceInfo::of)
    }

    /// The sequence that a session is a leg of, or was.
    pub fn sequence_of(&self, session: &SessionId) -> Option<SequenceInfo> {
        self.relations().sequences().of(*session).map(SequenceInfo::of)
    }

    /// All sequences with a leg that is up.
    pub fn list_sequences(&self) -> Vec<SequenceInfo> {
        self.relations().sequences().iter().map(SequenceInfo::of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_shown_with_its_times_and_can_be_written_and_read() {
        let id = |number| SessionId::new(0, session::SessionId::from_u64(number));
        let now = clock::WallTime::from_unix_nanos(1_796_000_000_250_000_000);
        let mut relations = crate::groups::Relations::default();
        let sequence = relations.sequences().create(now, id(1), SequenceRule::Together).unwrap();
        relations.sequences().add(now, sequence, id(2)).unwrap();
        relations.ended(id(2), "busy");
        let info = SequenceInfo::of(relations.sequences().get(sequence).unwrap());
        assert!(!info.is_over() && info.live(LegRole::A).eq([id(1)]) && info.live(LegRole::B).next().is_none());
        let text = serde_json::to_string(&info).unwrap();
        assert!(text.contains("\"since\":\"2026-11-30T") && text.contains("\"end\":\"busy\""), "{text}");
        assert_eq!(serde_json::from_str::<SequenceInfo>(&text).unwrap(), info);
    }
}
