//! Sequences: the legs of one call in the order in which they came. The A-leg is the caller's, B-legs are those of the called
//! sides that it was connected to, or tried to be.

use crate::{Name, Refusal, numbered};
use clock::WallTime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Most legs of one sequence.
pub const SEQUENCE_LEGS_MAX: usize = 64;
/// Sequences of calls that are over which can still be asked for.
const REMEMBERED_MAX: usize = 256;

numbered!(
    /// Names a sequence of one coordinator; it is never used twice.
    SequenceId
);

/// Which side of a call a leg is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LegRole {
    /// The caller's side.
    A,
    /// A side that the call went to.
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
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leg<C> {
    /// The call that is this leg.
    pub call: C,
    /// Which side it is.
    pub role: LegRole,
    /// 0 for the A-leg; B-legs are counted from 1.
    pub number: u32,
    /// When it came.
    pub since: WallTime,
    /// Why it ended; `None` while it has not.
    pub end: Option<String>,
}

/// A sequence with all its legs, those that have ended included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sequence<C> {
    /// Its name.
    pub id: SequenceId,
    /// What the end of one leg means for the others.
    pub rule: SequenceRule,
    /// The A-leg, then the B-legs in order.
    pub legs: Vec<Leg<C>>,
}

impl<C: Name> Sequence<C> {
    fn is_over(&self) -> bool {
        self.legs.iter().all(|leg| leg.end.is_some())
    }

    /// Legs of one side that are up.
    fn live(&self, role: LegRole) -> impl Iterator<Item = C> {
        self.legs.iter().filter(move |leg| leg.role == role && leg.end.is_none()).map(|leg| leg.call)
    }
}

/// All sequences with a leg that is up, and the last that are over.
#[derive(Clone, Debug)]
pub struct Sequences<C> {
    rows: BTreeMap<SequenceId, Sequence<C>>,
    by_call: HashMap<C, SequenceId>,
    over: VecDeque<Sequence<C>>,
    made_count: u64,
}

impl<C> Default for Sequences<C> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), by_call: HashMap::new(), over: VecDeque::new(), made_count: 0 }
    }
}

impl<C: Name> Sequences<C> {
    /// A sequence with this call as its A-leg, which came at `now`.
    pub fn create(&mut self, now: WallTime, a_leg: C, rule: SequenceRule) -> Result<SequenceId, Refusal<C>> {
        self.check_free(a_leg)?;
        self.made_count += 1;
        let id = SequenceId(self.made_count);
        let leg = Leg { call: a_leg, role: LegRole::A, number: 0, since: now, end: None };
        self.rows.insert(id, Sequence { id, rule, legs: vec![leg] });
        self.by_call.insert(a_leg, id);
        Ok(id)
    }

    /// Adds the next B-leg, which came at `now`.
    pub fn add(&mut self, now: WallTime, id: SequenceId, b_leg: C) -> Result<(), Refusal<C>> {
        self.check_free(b_leg)?;
        let row = self.rows.get_mut(&id).ok_or(Refusal::NoSequence(id))?;
        if row.legs.len() >= SEQUENCE_LEGS_MAX {
            return Err(Refusal::full("legs of one sequence", SEQUENCE_LEGS_MAX));
        }
        let number = row.legs.len() as u32;
        row.legs.push(Leg { call: b_leg, role: LegRole::B, number, since: now, end: None });
        self.by_call.insert(b_leg, id);
        Ok(())
    }

    fn check_free(&self, call: C) -> Result<(), Refusal<C>> {
        match self.by_call.get(&call) {
            Some(sequence) => Err(Refusal::LegAlready { call, sequence: *sequence }),
            None => Ok(()),
        }
    }

    /// The call of `a_leg` went on to `b_leg` by a forward, which ties the two by itself: the sequence is there to be read, and
    /// has no rule.
    pub fn forwarded(&mut self, now: WallTime, a_leg: C, b_leg: C) {
        let id = match self.by_call.get(&a_leg) {
            Some(id) => Ok(*id),
            None => self.create(now, a_leg, SequenceRule::Alone),
        };
        // A call that is forwarded more often than a sequence may be long is still a call.
        let _ = id.and_then(|id| self.add(now, id, b_leg));
    }

    /// A leg is over: gives those that have to end with it.
    pub(crate) fn ended(&mut self, call: C, reason: &str) -> Vec<C> {
        let Some(sequence) = self.by_call.remove(&call) else { return Vec::new() };
        let Some(row) = self.rows.get_mut(&sequence) else { return Vec::new() };
        let mut role = LegRole::B;
        if let Some(leg) = row.legs.iter_mut().find(|leg| leg.call == call && leg.end.is_none()) {
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

    /// A sequence that is there now, or one of the last that are over.
    pub fn get(&self, id: SequenceId) -> Option<&Sequence<C>> {
        self.rows.get(&id).or_else(|| self.over.iter().find(|row| row.id == id))
    }

    /// The sequence that a call is a leg of, or was.
    pub fn of(&self, call: C) -> Option<&Sequence<C>> {
        let has_leg = |row: &&Sequence<C>| row.legs.iter().any(|leg| leg.call == call);
        match self.by_call.get(&call) {
            Some(id) => self.rows.get(id),
            None => self.rows.values().chain(&self.over).find(has_leg),
        }
    }

    /// All sequences with a leg that is up, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Sequence<C>> {
        self.rows.values()
    }

    /// Each leg that is up, with its sequence.
    pub fn legs(&self) -> impl Iterator<Item = (SequenceId, C)> {
        self.by_call.iter().map(|(call, sequence)| (*sequence, *call))
    }

    /// How many sequences have a leg that is up.
    pub fn count(&self) -> usize {
        self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime::from_unix_nanos(1_000_000_000);
    const LATER: WallTime = WallTime::from_unix_nanos(3_000_000_000);

    fn sequences(rule: SequenceRule) -> (Sequences<u32>, SequenceId) {
        let mut all = Sequences::default();
        let sequence = all.create(NOW, 1, rule).unwrap();
        all.add(LATER, sequence, 2).unwrap();
        all.add(LATER, sequence, 3).unwrap();
        (all, sequence)
    }

    #[test]
    fn legs_go_together_as_the_rule_says() {
        for (rule, with_a, with_last_b) in [
            (SequenceRule::Together, vec![2, 3], vec![1]),
            (SequenceRule::WithA, vec![2, 3], vec![]),
            (SequenceRule::Alone, vec![], vec![]),
        ] {
            let (mut all, _) = sequences(rule);
            assert_eq!(all.ended(1, "bye"), with_a, "{rule:?}");
            let (mut all, _) = sequences(rule);
            assert_eq!(all.ended(2, "busy"), [], "one is left");
            assert_eq!(all.ended(3, "bye"), with_last_b, "{rule:?}");
        }
    }

    #[test]
    fn a_sequence_tells_its_story_after_the_end() {
        let (mut all, sequence) = sequences(SequenceRule::Alone);
        assert_eq!(all.create(NOW, 2, SequenceRule::Alone), Err(Refusal::LegAlready { call: 2, sequence }));
        assert_eq!(all.add(NOW, sequence, 1), Err(Refusal::LegAlready { call: 1, sequence }));
        for (call, why) in [(2, "busy"), (1, "bye"), (3, "bye")] {
            all.ended(call, why);
        }
        let row = all.get(sequence).unwrap();
        assert!(row.is_over() && all.count() == 0 && all.legs().count() == 0);
        let legs: Vec<_> = row.legs.iter().map(|leg| (leg.role, leg.number, leg.since, leg.end.as_deref())).collect();
        let expected = [
            (LegRole::A, 0, NOW, Some("bye")),
            (LegRole::B, 1, LATER, Some("busy")),
            (LegRole::B, 2, LATER, Some("bye")),
        ];
        assert_eq!(legs, expected);
        assert_eq!(all.of(3).unwrap().id, sequence);
        assert_eq!(all.add(NOW, sequence, 9), Err(Refusal::NoSequence(sequence)), "it is over");
    }

    #[test]
    fn a_forwarded_call_has_a_sequence_and_all_is_bounded() {
        let mut all = Sequences::default();
        for call in 2..200 {
            all.forwarded(NOW, 1, call);
        }
        assert_eq!(all.of(1).unwrap().legs.len(), SEQUENCE_LEGS_MAX);
        for call in 1..2_000 {
            all.forwarded(NOW, 1_000_000 + call, 2_000_000 + call);
            all.ended(2_000_000 + call, "bye");
            all.ended(1_000_000 + call, "bye");
        }
        assert_eq!((all.over.len(), all.count()), (REMEMBERED_MAX, 1));
    }
}
