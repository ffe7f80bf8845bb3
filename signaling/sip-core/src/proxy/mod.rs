//! The stateful proxy of RFC 3261 §16, with RFC 6026: response contexts, forking, best responses, Record-Route.
//!
//! A [`Proxy`] hands each new request up as a [`ProxyEvent::Request`]; its user names targets with
//! [`forward`](Proxy::forward) (groups one after the other, inside a group all at once), or answers with
//! [`reject`](Proxy::reject) or [`redirect`](Proxy::redirect). Everything after that is the proxy's.
//! Its Record-Route is signed: a request belongs to a dialog ([`Standing::InDialog`]) only by a Route that this proxy wrote
//! for that dialog, and then it goes where the dialog goes and nowhere else.
//! It has no dialogs: it is another user of the transaction layer than the [`Endpoint`](crate::Endpoint).

mod admit;
mod call_off;
mod config;
mod context;
mod failures;
mod limits;
mod receive;
mod reply;
mod routes;
mod stop;
mod story;
mod targets;
mod wake;

pub use config::{ProxyConfig, ProxyEvent, ProxyId, ProxySizes, SenderIdentity, Standing, Target, TrustedSources};
pub use routes::signed_route::Side;
pub use story::{AnsweredBy, ProxyStory};

use crate::table::hash::Index;
use crate::table::slab::Handle;
use crate::transactions::proven::Sources;
use crate::transactions::quota::Usage;
use crate::transactions::room::Room;
use crate::transactions::{Counters, Rules, Transactions};
use clock::Instant;
use context::Context;
use routes::signed_route::{RefreshedTargets, RouteKey};
use stop::{Stopping, Unanswered};
use targets::branch::Branch;

/// What leaves a proxy.
pub type ProxyOutput = crate::output::Output<ProxyEvent>;

/// The proxy. Time, messages and one seed are arguments, what it wants leaves through a [`ProxyOutput`].
pub struct Proxy {
    config: ProxyConfig,
    transactions: Transactions<Context, Branch>,
    /// INVITEs by what the ACK of their 2xx has in common with them, until that comes.
    ack_index: Index<Handle>,
    route_key: RouteKey,
    refreshed_targets: RefreshedTargets,
    room: Room,
    /// Sources that have proven by credentials who they are.
    authenticated: Sources,
    stopping: Option<Stopping>,
    unanswered: Unanswered,
}

impl Proxy {
    /// A proxy with empty tables. Branches follow from `seed`: never give two proxies the same.
    pub fn new(config: ProxyConfig, seed: u64) -> Self {
        let rules = Rules {
            timers: config.timers,
            max_servers: config.max_requests,
            max_clients: config.max_branches,
            max_message_bytes: config.max_message_bytes,
            retry_after: config.retry_after,
            server_line: Box::default(),
            relays: true,
            mark: config.mark,
        };
        let transactions = Transactions::new(rules, seed);
        Self {
            ack_index: Index::default(),
            route_key: RouteKey::new(&config.route_secret),
            refreshed_targets: RefreshedTargets::default(),
            room: Room::new(Usage {
                requests: config.max_requests,
                branches: config.max_branches,
                bytes: config.max_stored_bytes,
            }),
            authenticated: Sources::new(transactions.keyed),
            transactions,
            stopping: None,
            unanswered: Unanswered::default(),
            config,
        }
    }

    /// When to call [`wake`](Self::wake); `None` when nothing is going on.
    pub fn deadline(&self) -> Option<Instant> {
        self.transactions.deadlines.next().into_iter().chain(self.stop_deadline()).min()
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.transactions.counters
    }

    /// Levels of the tables, for leak checks and statistics.
    pub fn sizes(&self) -> ProxySizes {
        ProxySizes {
            requests: self.transactions.servers.count(),
            request_keys: self.transactions.server_index.len(),
            branches: self.transactions.clients.count(),
            branch_keys: self.transactions.client_index.len(),
            deadlines: self.transactions.deadlines.count(),
            stored_bytes: self.room.quota.bytes(),
        }
    }
}
