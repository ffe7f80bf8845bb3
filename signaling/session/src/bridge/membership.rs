//! Which sessions a session belongs together with.

use super::link::{Link, Tie};
use crate::{BridgeId, SessionId};

/// A session goes alone, or belongs to a group: the two sides of a call, or the members of a bridge, as many as there are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Membership(Option<InGroup>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct InGroup {
    /// What holds the group together.
    tie: Tie,
    /// The other sessions of the group, in the order in which they came.
    others: Box<[SessionId]>,
}

impl Membership {
    /// The other session of a group of two, and what holds the two together. Whatever only two sessions can do with each
    /// other, as settling on a codec or relaying RTP, goes by this.
    pub(crate) fn link(&self) -> Option<Link> {
        let InGroup { tie, others } = self.0.as_ref()?;
        if let [peer] = **others { Some(Link { peer, tie: *tie }) } else { None }
    }

    /// The other sessions of the group.
    pub(crate) fn others(&self) -> &[SessionId] {
        self.0.as_ref().map(|group| &*group.others).unwrap_or_default()
    }

    pub(crate) fn bridge(&self) -> Option<BridgeId> {
        if let Some(InGroup { tie: Tie::Bridge(bridge), .. }) = self.0 { Some(bridge) } else { None }
    }

    /// It is in a group with this session from now on.
    pub(crate) fn join(&mut self, other: SessionId, tie: Tie) {
        debug_assert!(self.0.as_ref().is_none_or(|group| group.tie == tie), "a session is in one group");
        let before = self.others().iter().copied().filter(|id| *id != other);
        let others = before.chain([other]).collect();
        self.0 = Some(InGroup { tie, others });
    }

    /// That session is not in its group any more. A member of a bridge stays in it, the side of a call goes alone.
    pub(crate) fn part(&mut self, other: SessionId) {
        let Some(group) = &mut self.0 else { return };
        group.others = group.others.iter().copied().filter(|id| *id != other).collect();
        if group.others.is_empty() && group.tie == Tie::Call {
            self.0 = None;
        }
    }

    /// It is in a bridge, where there is no other member yet.
    pub(crate) fn enter(&mut self, bridge: BridgeId) {
        self.0 = Some(InGroup { tie: Tie::Bridge(bridge), others: Box::default() });
    }

    /// It leaves its bridge.
    pub(crate) fn leave(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_linked_while_it_has_two_members() {
        let [one, other, third] = [1, 2, 3].map(SessionId::from_u64);
        let bridge = BridgeId::from_u64(1);
        let tie = Tie::Bridge(bridge);
        let mut membership = Membership::default();
        membership.enter(bridge);
        assert_eq!((membership.link(), membership.bridge()), (None, Some(bridge)));
        membership.join(one, tie);
        membership.join(one, tie);
        assert_eq!(membership.link(), Some(Link { peer: one, tie }));
        membership.join(other, tie);
        membership.join(third, tie);
        assert_eq!((membership.link(), membership.others()), (None, &[one, other, third][..]));
        membership.part(other);
        membership.part(one);
        assert_eq!(membership.link(), Some(Link { peer: third, tie }));
        membership.part(third);
        assert_eq!((membership.link(), membership.bridge()), (None, Some(bridge)), "alone in its bridge");
        membership.leave();
        assert_eq!(membership, Membership::default());
    }

    #[test]
    fn a_side_of_a_call_goes_alone_without_the_other() {
        let other = SessionId::from_u64(2);
        let mut membership = Membership::default();
        membership.join(other, Tie::Call);
        assert_eq!((membership.link(), membership.bridge()), (Some(Link { peer: other, tie: Tie::Call }), None));
        membership.part(other);
        assert_eq!(membership, Membership::default());
    }
}
