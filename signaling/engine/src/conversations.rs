//! Bridges whose calls are one conversation: when either call ends, the other one has to end too.

use crate::Name;
use std::collections::HashMap;

/// The calls of each such bridge now.
#[derive(Clone, Debug)]
pub struct Conversations<B, C>(HashMap<B, Vec<C>>);

impl<B, C> Default for Conversations<B, C> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<B: Name, C: Name> Conversations<B, C> {
    /// From now on the end of one call in this bridge is the end of the other.
    pub fn tie(&mut self, bridge: B, calls: Vec<C>) {
        self.0.insert(bridge, calls);
    }

    /// A call joined the bridge, as one that takes the place of another after a transfer does.
    pub fn joined(&mut self, bridge: B, call: C) {
        if let Some(calls) = self.0.get_mut(&bridge).filter(|calls| !calls.contains(&call)) {
            calls.push(call);
        }
    }

    /// A call left the bridge and goes on.
    pub fn left(&mut self, bridge: B, call: C) {
        if let Some(calls) = self.0.get_mut(&bridge) {
            calls.retain(|member| *member != call);
        }
    }

    /// A call left the bridge because it ends: gives those that have to end with it.
    pub fn ended(&mut self, bridge: B, call: C) -> Vec<C> {
        let calls = self.0.remove(&bridge).unwrap_or_default();
        calls.into_iter().filter(|member| *member != call).collect()
    }

    /// The bridge is gone.
    pub fn destroyed(&mut self, bridge: B) {
        self.0.remove(&bridge);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_one_is_told_once_and_one_that_went_elsewhere_is_let_go() {
        let mut conversations = Conversations::default();
        conversations.tie('a', vec![1, 2]);
        assert_eq!(conversations.ended('b', 1), []);
        assert_eq!(conversations.ended('a', 2), [1]);
        assert_eq!(conversations.ended('a', 1), []);
        // 3 takes the place of 2 after a transfer.
        conversations.tie('b', vec![1, 2]);
        conversations.left('b', 2);
        conversations.joined('b', 3);
        assert_eq!(conversations.ended('b', 1), [3]);
        conversations.tie('c', vec![1, 2]);
        conversations.destroyed('c');
        assert!(conversations.ended('c', 1).is_empty() && conversations.0.is_empty());
    }
}
