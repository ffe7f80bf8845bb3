//! The transaction layer (RFC 3261 §17, §18): below every transaction user, whether it answers requests
//! ([`Endpoint`](crate::Endpoint)) or sends them on ([`Proxy`](crate::proxy::Proxy)).
//!
//! It reads messages and refuses what cannot be read, matches them to transactions, runs the four machines and their timers,
//! absorbs and answers copies, sends no more to a source that has shown nothing than that has paid for, and counts. What a
//! transaction means is its user's: each transaction carries what its user keeps of it.

pub(crate) mod answered;
mod client;
mod counters;
mod failures;
pub mod machines;
pub(crate) mod proven;
pub(crate) mod quota;
pub mod quoted;
mod receive;
pub(crate) mod room;
mod server;
pub(crate) mod stateless;
pub(crate) mod strangers;
#[cfg(test)]
mod third_user;

pub(crate) use client::{Cancel, Client, ClientInput, ClientUse, Due, Heard, Opening};
pub use counters::Counters;
pub(crate) use failures::is_same_path;
pub(crate) use receive::Matched;
pub(crate) use server::{Consequence, Drive, Server, ServerInput, ServerUse};

use crate::config::Timers;
use crate::flow::Flow;
use crate::table::deadlines::{Deadlines, Owner};
use crate::table::hash::{Index, Keyed, give_back};
use crate::table::slab::{Handle, Slab};
use crate::table::token::Tokens;
use crate::transactions::proven::{Address, Proven};
use clock::{Duration, Instant};

/// What a transaction user tells its transaction layer once.
pub(crate) struct Rules {
    pub(crate) timers: Timers,
    /// Requests of peers that are remembered at once.
    pub(crate) max_servers: usize,
    /// Requests of ours that are remembered at once.
    pub(crate) max_clients: usize,
    /// Longest message that is taken; the rest is dropped.
    pub(crate) max_message_bytes: usize,
    /// `Retry-After` of a 503.
    pub(crate) retry_after: Duration,
    /// The `Server` line of answers, complete; empty: none.
    pub(crate) server_line: Box<[u8]>,
    /// Requests are sent on: what they say has to be read in one way only, and copies of answers are their makers'.
    pub(crate) relays: bool,
    /// What every tag and branch begins with; see [`mark_of`](crate::mark_of).
    pub(crate) mark: u8,
}

/// The transactions of one user. `S` is what that keeps of a request that came, `C` of one that it sent.
pub(crate) struct Transactions<S, C> {
    pub(crate) rules: Rules,
    pub(crate) keyed: Keyed,
    pub(crate) tokens: Tokens,
    /// Of transactions, and of what else the user has.
    pub(crate) deadlines: Deadlines,
    pub(crate) servers: Slab<Server<S>>,
    pub(crate) server_index: Index<Handle>,
    /// Requests outside dialogs, by what two of them have in common that took different ways (RFC 3261 §8.2.2.2).
    pub(crate) merge_index: Index<Handle>,
    pub(crate) clients: Slab<Client<C>>,
    pub(crate) client_index: Index<Handle>,
    pub(crate) proven: Proven,
    pub(crate) counters: Counters,
}

impl<S: ServerUse, C: ClientUse> Transactions<S, C> {
    /// With empty tables. Tags and branches follow from `seed`.
    pub(crate) fn new(rules: Rules, seed: u64) -> Self {
        let keyed = Keyed::new(seed);
        Self {
            keyed,
            tokens: Tokens::new(seed, rules.mark),
            deadlines: Deadlines::default(),
            servers: Slab::new(rules.max_servers),
            server_index: Index::default(),
            merge_index: Index::default(),
            clients: Slab::new(rules.max_clients),
            client_index: Index::default(),
            proven: Proven::new(keyed),
            counters: Counters::default(),
            rules,
        }
    }

    /// Whether the peer at the other end of a path has lately shown that it gets what is sent there.
    pub(crate) fn is_proven(&self, now: Instant, flow: &Flow) -> bool {
        self.proven.has(now, &Address::of(&self.keyed, flow))
    }

    /// The peer at the other end of a path has shown that.
    pub(crate) fn prove(&mut self, now: Instant, flow: &Flow) {
        self.proven.note(now, Address::of(&self.keyed, flow), flow.remote.ip());
    }

    /// The sender of a request has shown it.
    pub(crate) fn prove_sender(&mut self, now: Instant, server: Handle) {
        if let Some(server) = self.servers.get(server) {
            self.proven.note(now, server.address, server.flow.remote.ip());
        }
    }

    /// Drops deadlines of things that ended when there are too many of them, and gives back room that a rush needed.
    /// `others`: how many other things have deadlines, and which of them live.
    pub(crate) fn sweep(&mut self, other_count: usize, lives: impl Fn(Owner) -> bool) {
        for index in [&mut self.server_index, &mut self.merge_index, &mut self.client_index] {
            give_back(index);
        }
        let live_count = self.servers.count() + self.clients.count() + other_count;
        let Self { deadlines, servers, clients, .. } = self;
        deadlines.sweep(live_count, |owner| match owner {
            Owner::Server(handle) => servers.get(handle).is_some(),
            Owner::Client(handle) => clients.get(handle).is_some(),
            Owner::Dialog(_) | Owner::Subscription(_) => lives(owner),
        });
    }
}
