use crate::{Conversations, Dependencies, Groups, Name, Sequences};

/// Which calls belong together, and which have to end when one of them has.
///
/// ```
/// use engine::{Relations, SequenceRule};
///
/// let now = clock::WallTime::from_unix_nanos(0);
/// let (caller, agent, supervisor) = (1, 2, 3);
/// let mut relations = Relations::<u32, u32>::default();
/// let sequence = relations.sequences().create(now, caller, SequenceRule::Together).unwrap();
/// relations.sequences().add(now, sequence, agent).unwrap();
/// relations.dependencies().add(supervisor, agent).unwrap();
/// assert_eq!(relations.ended(agent, "bye"), [supervisor, caller]);
/// ```
#[derive(Clone, Debug)]
pub struct Relations<B, C> {
    groups: Groups<C>,
    dependencies: Dependencies<C>,
    sequences: Sequences<C>,
    conversations: Conversations<B, C>,
}

impl<B, C> Default for Relations<B, C> {
    fn default() -> Self {
        Self {
            groups: Groups::default(),
            dependencies: Dependencies::default(),
            sequences: Sequences::default(),
            conversations: Conversations::default(),
        }
    }
}

impl<B: Name, C: Name> Relations<B, C> {
    /// Calls that are treated as one.
    pub fn groups(&mut self) -> &mut Groups<C> {
        &mut self.groups
    }

    /// Calls that end when another one does.
    pub fn dependencies(&mut self) -> &mut Dependencies<C> {
        &mut self.dependencies
    }

    /// The legs of calls.
    pub fn sequences(&mut self) -> &mut Sequences<C> {
        &mut self.sequences
    }

    /// Bridges whose calls end together. What happens to a bridge is told to this table; [`Self::ended`] does not look here.
    pub fn conversations(&mut self) -> &mut Conversations<B, C> {
        &mut self.conversations
    }

    /// A call is over, and leaves groups, dependencies and sequences: gives those that have to end now. Each of them is told of
    /// here again once it has ended, which brings forth those that depend on it.
    pub fn ended(&mut self, call: C, reason: &str) -> Vec<C> {
        self.groups.ended(call);
        let mut along = self.dependencies.ended(call);
        along.extend(self.sequences.ended(call, reason));
        along
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SequenceRule;
    use clock::WallTime;

    /// Ends a call, then all that end with it, as a switch does: the order in which they ended.
    fn ends(relations: &mut Relations<u32, u32>, call: u32) -> Vec<u32> {
        let mut ended = vec![call];
        let mut next = 0;
        while let Some(call) = ended.get(next).copied() {
            for along in relations.ended(call, "bye") {
                if !ended.contains(&along) {
                    ended.push(along);
                }
            }
            next += 1;
        }
        ended
    }

    #[test]
    fn one_end_brings_forth_the_others_and_leaves_nothing() {
        let now = WallTime::from_unix_nanos(0);
        let mut relations = Relations::default();
        let group = relations.groups().create("team", 10).unwrap();
        let sequence = relations.sequences().create(now, 1, SequenceRule::WithA).unwrap();
        for call in 1..=6 {
            relations.groups().add(group, call).unwrap();
        }
        relations.sequences().add(now, sequence, 2).unwrap();
        relations.sequences().add(now, sequence, 3).unwrap();
        // 4 consults for 2, 5 listens to 4; 6 has to do with none of them.
        relations.dependencies().add(4, 2).unwrap();
        relations.dependencies().add(5, 4).unwrap();
        assert_eq!(ends(&mut relations, 3), [3], "the A-leg goes on without a B-leg");
        assert_eq!(ends(&mut relations, 1), [1, 2, 4, 5]);
        assert_eq!(relations.groups().get(group).unwrap().calls().collect::<Vec<_>>(), [6]);
        assert_eq!((relations.dependencies().count(), relations.sequences().count()), (0, 0));
    }
}
