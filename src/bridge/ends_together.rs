//! Bridges whose calls end together.

use crate::api::{BridgeId, SessionId};
use std::collections::HashMap;

/// Who is in such a bridge now.
#[derive(Default)]
pub(crate) struct Pairs(HashMap<BridgeId, Vec<SessionId>>);

impl Pairs {
    /// From now on the end of one is the end of the other.
    pub(crate) fn tie(&mut self, bridge: BridgeId, members: Vec<SessionId>) {
        self.0.insert(bridge, members);
    }

    /// A session came, as one that takes the place of another after a transfer does.
    pub(crate) fn came(&mut self, bridge: BridgeId, id: SessionId) {
        if let Some(members) = self.0.get_mut(&bridge).filter(|members| !members.contains(&id)) {
            members.push(id);
        }
    }

    /// A session left and goes on.
    pub(crate) fn left(&mut self, bridge: BridgeId, id: SessionId) {
        if let Some(members) = self.0.get_mut(&bridge) {
            members.retain(|member| *member != id);
        }
    }

    /// A session left because it ends: gives those that end with it.
    pub(crate) fn ended(&mut self, bridge: BridgeId, id: SessionId) -> Vec<SessionId> {
        let members = self.0.remove(&bridge).unwrap_or_default();
        members.into_iter().filter(|member| *member != id).collect()
    }

    /// The bridge is gone.
    pub(crate) fn destroyed(&mut self, bridge: BridgeId) {
        self.0.remove(&bridge);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::care::id;

    #[test]
    fn the_end_of_one_is_told_once_and_one_that_went_elsewhere_is_let_go() {
        let bridge = |number| BridgeId::new(0, session::BridgeId::from_u64(number));
        let mut pairs = Pairs::default();
        pairs.tie(bridge(1), vec![id(1), id(2)]);
        assert_eq!(pairs.ended(bridge(2), id(1)), []);
        assert_eq!(pairs.ended(bridge(1), id(2)), [id(1)]);
        assert_eq!(pairs.ended(bridge(1), id(1)), []);
        // 3 takes the place of 2 after a transfer.
        pairs.tie(bridge(2), vec![id(1), id(2)]);
        pairs.left(bridge(2), id(2));
        pairs.came(bridge(2), id(3));
        assert_eq!(pairs.ended(bridge(2), id(1)), [id(3)]);
        pairs.tie(bridge(3), vec![id(1), id(2)]);
        pairs.destroyed(bridge(3));
        assert!(pairs.ended(bridge(3), id(1)).is_empty() && pairs.0.is_empty());
    }
}
