//! What waits for a name to be looked up.

use crate::lookups::{Lookup, Lookups, QUESTION_COUNT_MAX};
use sip_core::proxy::ProxyId;
use std::collections::HashMap;

/// What goes on once the paths are there.
pub(crate) enum Pending {
    /// A request in a dialog.
    Request(ProxyId),
    /// A message without a transaction.
    Stateless(Vec<u8>),
    /// A redirection.
    Redirect { request: ProxyId, redirect: u32, uris: Vec<String> },
}

/// All of a shard.
pub(crate) struct Table {
    shard: usize,
    lookups: Lookups,
    waiting: HashMap<u64, Pending>,
    last_ticket: u64,
}

impl Table {
    pub(crate) fn new(shard: usize, lookups: Lookups) -> Self {
        Self { shard, lookups, waiting: HashMap::new(), last_ticket: 0 }
    }

    /// Asks for the paths to `uris`; `false`: too much waits already.
    pub(crate) fn ask(&mut self, pending: Pending, uris: Vec<String>) -> bool {
        if self.waiting.len() >= QUESTION_COUNT_MAX {
            return false;
        }
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let is_asked = self.lookups.ask(Lookup { shard: self.shard, ticket, uris });
        if is_asked {
            self.waiting.insert(ticket, pending);
        }
        is_asked
    }

    pub(crate) fn take(&mut self, ticket: u64) -> Option<Pending> {
        self.waiting.remove(&ticket)
    }
}
