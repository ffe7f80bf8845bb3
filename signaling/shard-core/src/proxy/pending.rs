//! What waits for a name to be looked up.

use crate::intake::source_of;
use crate::names::{Lookups, QUESTION_COUNT_MAX, Questions};
use sip_core::Flow;
use sip_core::proxy::ProxyId;
use std::collections::HashMap;
use std::net::IpAddr;
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

/// One source may have one of so many parts of the questions: names may be answered as slowly as their owner likes.
const SOURCE_PART: usize = 4;

/// All of a shard.
pub struct Table {
    questions: Questions,
    waiting: HashMap<u64, Waiting>,
    /// How many questions each source has open.
    count_by_source: HashMap<IpAddr, usize>,
}

/// What waits, and where it came from.
struct Waiting {
    pending: Pending,
    source: IpAddr,
}

impl Table {
    pub fn new(shard: usize, lookups: Arc<dyn Lookups>) -> Self {
        let questions = Questions::of_proxy(shard, lookups);
        Self { questions, waiting: HashMap::new(), count_by_source: HashMap::new() }
    }

    /// Asks for the paths to `uris`, for a message that came from `source`; `false`: too much waits already, in all or of this
    /// source.
    pub fn ask(&mut self, pending: Pending, uris: Vec<String>, source: IpAddr) -> bool {
        let source = source_of(source);
        let of_source = self.count_by_source.get(&source).copied().unwrap_or_default();
        if of_source >= QUESTION_COUNT_MAX / SOURCE_PART {
            return false;
        }
        let Some(ticket) = self.questions.ask(uris) else { return false };
        self.count_by_source.insert(source, of_source + 1);
        self.waiting.insert(ticket, Waiting { pending, source });
        true
    }

    /// Whether a message without a transaction waits: an ACK.
    pub fn has_acks(&self) -> bool {
        self.waiting.values().any(|one| matches!(one.pending, Pending::Stateless(_)))
    }

    /// What waits for the answer to this question, which has come.
    pub fn take(&mut self, ticket: u64) -> Option<Pending> {
        self.questions.answered();
        let Waiting { pending, source } = self.waiting.remove(&ticket)?;
        match self.count_by_source.get_mut(&source) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.count_by_source.remove(&source)),
        }
        Some(pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Lookup;

    struct Slow;
    impl Lookups for Slow {
        fn ask(&self, _: Lookup) -> bool {
            true
        }
    }

    /// Names that are answered slowly keep out no name that others need.
    #[test]
    fn one_source_has_a_quarter_of_the_questions() {
        for (first, same, other) in
            [("192.0.2.9", "::ffff:192.0.2.9", "192.0.2.10"), ("2001:db8::1", "2001:db8::2:3", "2001:db8:0:1::1")]
        {
            let [first, same, other] = [first, same, other].map(|ip| ip.parse().unwrap());
            let mut table = Table::new(0, Arc::new(Slow));
            let ask = |table: &mut Table, source| {
                table.ask(Pending::Stateless(Vec::new()), vec!["sip:a.example".into()], source)
            };
            assert_eq!((0..2_000).filter(|_| ask(&mut table, first)).count(), QUESTION_COUNT_MAX / SOURCE_PART);
            assert!(!ask(&mut table, same) && ask(&mut table, other));
            let tickets: Vec<u64> = table.waiting.keys().copied().collect();
            assert!(table.take(tickets[0]).is_some() && table.take(tickets[1]).is_some());
            assert!(ask(&mut table, first), "one of its questions was answered");
            let tickets: Vec<u64> = table.waiting.keys().copied().collect();
            tickets.into_iter().for_each(|ticket| drop(table.take(ticket)));
            assert!(table.count_by_source.is_empty() && !table.has_acks());
        }
    }
}
