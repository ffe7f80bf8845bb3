//! Sequences: the legs of one call in the order in which they came. The A-leg is who called, B-legs are whom it was
//! connected to, or tried to be.

use super::numbered;
use crate::api::{SessionCoordinator, SessionError, SessionId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::SystemTime;

/// Most legs of one sequence.
pub const SEQUENCE_LEGS_MAX: usize = 64;
/// Sequences of calls that are over, kept for whoever asks later.
const REMEMBERED_MAX: usize = 256;

numbered!(
    /// Names a sequence of one [`SessionCoordinator`]; it is never used twice.
    SequenceId
);

/// Which side of a call a leg is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LegRole {
    /// Who called.
    A,
    /// Whom the call went to.
    B,
}

/// What the end of one leg means for the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SequenceRule {
    /// The A-leg takes the B-legs with it; the last B-leg takes the A-leg with it.
    Together,
    /// The A-leg takes the B-legs with it; without B-legs it goes on.
    WithA,
    /// Nothing.
    Alone,
}

/// One leg of a sequence.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SequenceLeg {
    /// Its session.
    pub session_id: SessionId,
    /// Which side.
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
    /// Which.
    pub id: SequenceId,
    /// What the end of one leg means.
    pub rule: SequenceRule,
    /// The A-leg, then the B-legs in order.
    pub legs: Vec<SequenceLeg>,
}

impl SequenceInfo {
    /// Whether every leg has ended.
    pub fn is_over(&self) -> bool {
        self.legs.iter().all(|leg| leg.end.is_some())
    }

    /// Legs that are up, of one side.
    pub fn live(&self, role: LegRole) -> impl Iterator<Item = SessionId> {
        self.legs.iter().filter(move |leg| leg.role == role && leg.end.is_none()).map(|leg| leg.session_id)
    }
}

#[derive(Default)]
pub(crate) struct Sequences {
    rows: BTreeMap<SequenceId, SequenceInfo>,
    by_session: HashMap<SessionId, SequenceId>,
    over: VecDeque<SequenceInfo>,
    made_count: u64,
}

impl Sequences {
    fn create(&mut self, a: SessionId, rule: SequenceRule, now: SystemTime) -> Result<SequenceId, SessionError> {
        self.check_free(a)?;
        self.made_count += 1;
        let id = SequenceId(self.made_count);
        let leg = SequenceLeg { session_id: a, role: LegRole::A, number: 0, since: now, end: None };
        self.rows.insert(id, SequenceInfo { id, rule, legs: vec![leg] });
        self.by_session.insert(a, id);
        Ok(id)
    }

    fn add(&mut self, id: SequenceId, b: SessionId, now: SystemTime) -> Result<(), SessionError> {
        self.check_free(b)?;
        let row = self.rows.get_mut(&id).ok_or_else(|| {
            SessionError::config(format!("there is no sequence {id} with a leg that is up; create one for its A-leg"))
        })?;
        if row.legs.len() >= SEQUENCE_LEGS_MAX {
            return Err(SessionError::exhausted("legs of one sequence", SEQUENCE_LEGS_MAX));
        }
        let number = row.legs.len() as u32;
        row.legs.push(SequenceLeg { session_id: b, role: LegRole::B, number, since: now, end: None });
        self.by_session.insert(b, id);
        Ok(())
    }

    fn check_free(&self, id: SessionId) -> Result<(), SessionError> {
        match self.by_session.get(&id) {
            Some(sequence) => Err(SessionError::config(format!("{id} is a leg of sequence {sequence} already"))),
            None => Ok(()),
        }
    }

    /// A call went on from `a` to `b` by itself. The session layer has tied the two, so no rule is needed.
    pub(crate) fn went_on(&mut self, a: SessionId, b: SessionId, now: SystemTime) {
        let id = match self.by_session.get(&a) {
            Some(id) => Ok(*id),
            None => self.create(a, SequenceRule::Alone, now),
        };
        // A call that goes on more often than a sequence may be long is still a call.
        let _ = id.and_then(|id| self.add(id, b, now));
    }

    /// A leg is over: gives those that go with it.
    pub(crate) fn ended(&mut self, id: SessionId, reason: &str) -> Vec<SessionId> {
        let Some(sequence) = self.by_session.remove(&id) else { return Vec::new() };
        let Some(row) = self.rows.get_mut(&sequence) else { return Vec::new() };
        let mut role = LegRole::B;
        if let Some(leg) = row.legs.iter_mut().find(|leg| leg.session_id == id && leg.end.is_none()) {
            (leg.end, role) = (Some(reason.to_owned()), leg.role);
        }
        let b_is_left = row.live(LegRole::B).next().is_some();
        let along = match (row.rule, role) {
            (SequenceRule::Together | SequenceRule::WithA, LegRole::A) => row.live(LegRole::B).collect(),
            (SequenceRule::Together, LegRole::B) if !b_is_left => row.live(LegRole::A).collect(),
            _ => Vec::new(),
        };
        if row.is_over()
            && let Some(row) = self.rows.remove(&sequence)
        {
            if self.over.len() >= REMEMBERED_MAX {
                self.over.pop_front();
            }
            self.over.push_back(row);
        }
        along
    }

    pub(crate) fn count(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn legs(&self) -> impl Iterator<Item = (SequenceId, SessionId)> {
        self.by_session.iter().map(|(session, sequence)| (*sequence, *session))
    }

    fn known(&self, id: SequenceId) -> Option<SequenceInfo> {
        self.rows.get(&id).or_else(|| self.over.iter().find(|row| row.id == id)).cloned()
    }

    fn of(&self, session: SessionId) -> Option<SequenceInfo> {
        let was = |row: &&SequenceInfo| row.legs.iter().any(|leg| leg.session_id == session);
        match self.by_session.get(&session) {
            Some(id) => self.rows.get(id).cloned(),
            None => self.rows.values().chain(&self.over).find(was).cloned(),
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
        let mut ties = self.care.ties();
        self.entry(*a_leg)?;
        ties.sequences.create(*a_leg, rule, SystemTime::now())
    }

    /// Adds the next B-leg.
    pub fn add_b_leg(&self, sequence: &SequenceId, b_leg: &SessionId) -> Result<(), SessionError> {
        let mut ties = self.care.ties();
        self.entry(*b_leg)?;
        ties.sequences.add(*sequence, *b_leg, SystemTime::now())
    }

    /// A sequence that is there now, or one of the last that are over.
    pub fn sequence(&self, id: &SequenceId) -> Option<SequenceInfo> {
        self.care.ties().sequences.known(*id)
    }

    /// The sequence that a session is a leg of, or was.
    pub fn sequence_of(&self, session: &SessionId) -> Option<SequenceInfo> {
        self.care.ties().sequences.of(*session)
    }

    /// All sequences with a leg that is up.
    pub fn list_sequences(&self) -> Vec<SequenceInfo> {
        self.care.ties().sequences.rows.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::care::id;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn sequences(rule: SequenceRule) -> (Sequences, SequenceId) {
        let mut all = Sequences::default();
        let sequence = all.create(id(1), rule, NOW).unwrap();
        all.add(sequence, id(2), NOW).unwrap();
        all.add(sequence, id(3), NOW).unwrap();
        (all, sequence)
    }

    #[test]
    fn legs_go_together_as_the_rule_says() {
        for (rule, with_a, with_last_b) in [
            (SequenceRule::Together, vec![id(2), id(3)], vec![id(1)]),
            (SequenceRule::WithA, vec![id(2), id(3)], vec![]),
            (SequenceRule::Alone, vec![], vec![]),
        ] {
            let (mut all, _) = sequences(rule);
            assert_eq!(all.ended(id(1), "bye"), with_a, "{rule:?}");
            let (mut all, _) = sequences(rule);
            assert_eq!(all.ended(id(2), "busy"), [], "one is left");
            assert_eq!(all.ended(id(3), "bye"), with_last_b, "{rule:?}");
        }
    }

    #[test]
    fn a_sequence_tells_its_story_after_the_end() {
        let (mut all, sequence) = sequences(SequenceRule::Alone);
        assert!(all.create(id(2), SequenceRule::Alone, NOW).is_err() && all.add(sequence, id(1), NOW).is_err());
        for (number, why) in [(2, "busy"), (1, "bye"), (3, "bye")] {
            all.ended(id(number), why);
        }
        let info = all.known(sequence).unwrap();
        assert!(info.is_over() && all.count() == 0 && all.legs().count() == 0);
        let legs: Vec<_> = info.legs.iter().map(|leg| (leg.role, leg.number, leg.end.as_deref())).collect();
        assert_eq!(legs, [(LegRole::A, 0, Some("bye")), (LegRole::B, 1, Some("busy")), (LegRole::B, 2, Some("bye"))]);
        assert_eq!(all.of(id(3)).unwrap().id, sequence);
        let again = serde_json::from_str(&serde_json::to_string(&info).unwrap()).unwrap();
        assert_eq!(info, again);
        assert!(all.add(sequence, id(9), NOW).is_err(), "it is over");
    }

    #[test]
    fn a_call_that_goes_on_has_a_sequence_and_all_is_bounded() {
        let mut all = Sequences::default();
        for number in 2..200 {
            all.went_on(id(1), id(number), NOW);
        }
        assert_eq!(all.of(id(1)).unwrap().legs.len(), SEQUENCE_LEGS_MAX);
        for number in 1..2_000 {
            all.went_on(id(1_000_000 + number), id(2_000_000 + number), NOW);
            all.ended(id(2_000_000 + number), "bye");
            all.ended(id(1_000_000 + number), "bye");
        }
        assert_eq!((all.over.len(), all.count()), (REMEMBERED_MAX, 1));
    }
}
