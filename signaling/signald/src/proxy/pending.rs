//! What waits for a name to be looked up.

use crate::paths::lookups::{Lookups, Questions};
use sip_core::Flow;
use sip_core::proxy::ProxyId;
use std::collections::HashMap;

/// What goes on once the paths are there.
pub(crate) enum Pending {
    /// A request in a dialog.
    Request(ProxyId),
    /// A message without a transaction.
    Stateless(Vec<u8>),
    /// A redirection.
    Redirect { request: ProxyId, redirect: u32, contacts: Vec<Contact> },
}

/// Where a 3xx leads to.
#[derive(Clone)]
pub(crate) struct Contact {
    pub(crate) uri: String,
    /// Those that may be taken; `None`: they are not known yet.
    pub(crate) paths: Option<Vec<Flow>>,
}

/// All of a shard.
pub(crate) struct Table {
    questions: Questions,
    waiting: HashMap<u64, Pending>,
}

impl Table {
    pub(crate) fn new(shard: usize, lookups: Lookups) -> Self {
        Self { questions: Questions::of_proxy(shard, lookups), waiting: HashMap::new() }
    }

    /// Asks for the paths to `uris`; `false`: too much waits already.
    pub(crate) fn ask(&mut self, pending: Pending, uris: Vec<String>) -> bool {
        let Some(ticket) = self.questions.ask(uris) else { return false };
        self.waiting.insert(ticket, pending);
        true
    }

    pub(crate) fn take(&mut self, ticket: u64) -> Option<Pending> {
        self.questions.answered();
        self.waiting.remove(&ticket)
    }
}
