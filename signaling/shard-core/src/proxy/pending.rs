//! What waits for a name to be looked up.

use crate::names::{Lookups, Questions};
use sip_core::Flow;
use sip_core::proxy::ProxyId;
use std::collections::HashMap;
use std::sync::Arc;

/// What goes on once the paths are there.
pub enum Pending {
    /// A request in a dialog.
    Request(ProxyId),
    /// A message without a transaction.
    Stateless(Vec<u8>),
    /// A redirection.
    Redirect { request: ProxyId, redirect: u32, contacts: Vec<Contact> },
}

/// Where a 3xx leads to.
#[derive(Clone)]
pub struct Contact {
    pub uri: String,
    /// Those that may be taken; `None`: they are not known yet.
    pub paths: Option<Vec<Flow>>,
}

/// All of a shard.
pub struct Table {
    questions: Questions,
    waiting: HashMap<u64, Pending>,
}

impl Table {
    pub fn new(shard: usize, lookups: Arc<dyn Lookups>) -> Self {
        Self { questions: Questions::of_proxy(shard, lookups), waiting: HashMap::new() }
    }

    /// Asks for the paths to `uris`; `false`: too much waits already.
    pub fn ask(&mut self, pending: Pending, uris: Vec<String>) -> bool {
        let Some(ticket) = self.questions.ask(uris) else { return false };
        self.waiting.insert(ticket, pending);
        true
    }

    /// Whether a message without a transaction waits: an ACK.
    pub fn has_acks(&self) -> bool {
        self.waiting.values().any(|one| matches!(one, Pending::Stateless(_)))
    }

    pub fn take(&mut self, ticket: u64) -> Option<Pending> {
        self.questions.answered();
        self.waiting.remove(&ticket)
    }
}
