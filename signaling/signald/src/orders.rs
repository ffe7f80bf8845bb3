//! Orders: what a program that has the signaling side in itself wants done on the thread of a shard.

use crate::link::Link;
use crate::paths::Paths;
use crate::shard::inbox::Inbox;
use clock::Instant;
use session::{Sessions, Turn};
use shard_core::{Shard, ShardOutput};
use shm::{ClientIndex, Region};
use std::sync::Arc;

/// What an order works with, on the thread of its shard.
pub struct OrderTurn<'o, 't> {
    /// The shard's calls.
    pub sessions: &'o mut Sessions,
    /// What their operations need.
    pub turn: &'o mut Turn<'t>,
    /// The media plane's shared memory, while there is one.
    pub region: Option<Region>,
    /// Which of its clients we are.
    pub client: Option<ClientIndex>,
    /// Levels of the shard's SIP tables.
    pub sizes: sip_core::Sizes,
}

/// Something to do on a shard's thread. It must not wait.
pub type Order = Box<dyn FnOnce(OrderTurn<'_, '_>) + Send>;

/// The way to the shards, for any thread.
#[derive(Clone)]
pub struct Orders {
    inboxes: Arc<[Arc<Inbox>]>,
    paths: Option<Paths>,
}

/// The shard has too many orders waiting, or there is no such shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the shard takes no further order now")]
pub struct OrdersFull;

impl Orders {
    pub(crate) fn new(inboxes: &[Arc<Inbox>]) -> Self {
        Self { inboxes: inboxes.into(), paths: None }
    }

    pub(crate) fn with_paths(self, paths: Paths) -> Self {
        Self { paths: Some(paths), ..self }
    }

    /// How URIs become paths; `None` in tests without sockets.
    pub fn paths(&self) -> Option<&Paths> {
        self.paths.as_ref()
    }

    /// How many shards there are.
    pub fn shard_count(&self) -> usize {
        self.inboxes.len()
    }

    /// Hands in an order. It is carried out soon, or never if the switch stops first.
    pub fn send(&self, shard: usize, order: Order) -> Result<(), OrdersFull> {
        let inbox = self.inboxes.get(shard).ok_or(OrdersFull)?;
        inbox.orders.push(order).map_err(|_| OrdersFull)?;
        inbox.wake();
        Ok(())
    }
}

/// Carries out an order on its shard.
pub(crate) fn carry_out(order: Order, now: Instant, shard: &mut Shard, link: &mut Link, out: &mut ShardOutput) {
    let (region, client) = link.place().unzip();
    let sizes = shard.sizes();
    shard.work(now, link, out, |sessions, turn| order(OrderTurn { sessions, turn, region, client, sizes }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::inbox::ORDER_COUNT_MAX;

    #[test]
    fn orders_are_bounded() {
        let orders = Orders::new(&[Arc::new(Inbox::new().unwrap())]);
        assert!((0..ORDER_COUNT_MAX).all(|_| orders.send(0, Box::new(|_| {})).is_ok()));
        assert_eq!(orders.send(0, Box::new(|_| {})), Err(OrdersFull));
        assert_eq!(orders.send(1, Box::new(|_| {})), Err(OrdersFull));
    }
}
