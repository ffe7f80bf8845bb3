//! The inboxes of all shards, and which of them a message goes to.

use crate::shard::inbox::Inbox;
use shard_core::intake::sharding::{Concerned, Placement, Tags};
use std::hash::RandomState;
use std::sync::Arc;

/// All shards.
#[derive(Clone)]
pub(crate) struct Sharding {
    pub(crate) inboxes: Arc<[Arc<Inbox>]>,
    placement: Placement,
}

impl Sharding {
    pub(crate) fn new(inboxes: &[Arc<Inbox>], tags: Tags) -> Self {
        Self { inboxes: inboxes.into(), placement: Placement::new(inboxes.len(), tags, RandomState::new()) }
    }

    /// The shard of a message.
    pub(crate) fn of(&self, message: &[u8]) -> usize {
        self.placement.of(clock::now(), message)
    }

    /// Whose request a datagram was that an ICMP message quotes the beginning of.
    pub(crate) fn of_quoted(&self, quoted: &[u8]) -> Concerned {
        self.placement.of_quoted(clock::now(), quoted)
    }
}
