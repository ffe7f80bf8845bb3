//! The stateful proxy of RFC 3261 §16, with RFC 6026: response contexts, forking, best responses, Record-Route.
//!
//! A [`Proxy`] hands each new request up as a [`ProxyEvent::Request`]; its user names targets with
//! [`forward`](Proxy::forward) (groups one after the other, inside a group all at once), or answers with
//! [`reject`](Proxy::reject) or [`redirect`](Proxy::redirect). Everything after that is the proxy's.
//! Its Record-Route is signed: a request belongs to a dialog ([`Standing::InDialog`]) only by a Route that this proxy wrote
//! for that dialog, and then it goes where the dialog goes and nowhere else.
//! It has no dialogs, so it is no [`Endpoint`](crate::Endpoint) and shares nothing with one but the machines.

mod admit;
mod branch;
mod broken;
mod cancel;
mod choose;
mod config;
mod context;
mod flow_token;
mod follow;
mod forward;
mod own_routes;
mod paying;
mod receive;
mod record_route;
mod relay;
mod reply;
mod signed_route;
mod stop;
mod story;
mod wake;

pub use config::{ProxyConfig, ProxyCounters, ProxyEvent, ProxyId, ProxySizes, SenderIdentity, Standing, Target};
pub use signed_route::Side;
pub use story::{AnsweredBy, ProxyStory};

use crate::hash::{Index, Keyed};
use crate::proven::Proven;
use crate::slab::{Handle, Slab};
use crate::timer::{Owner, Timers};
use crate::token::Tokens;
use branch::Branch;
use clock::Instant;
use context::Context;
use paying::Strangers;
use signed_route::{RefreshedTargets, RouteKey};
use stop::{Stopping, Unanswered};

/// What leaves a proxy.
pub type ProxyOutput = crate::output::Output<ProxyEvent>;

/// The proxy. Time, messages and one seed are arguments, what it wants leaves through a [`ProxyOutput`].
pub struct Proxy {
    config: ProxyConfig,
    keyed: Keyed,
    tokens: Tokens,
    timers: Timers,
    contexts: Slab<Context>,
    context_index: Index<Handle>,
    /// INVITEs by what the ACK of their 2xx has in common with them, where the sender has shown nothing yet.
    ack_index: Index<Handle>,
    branches: Slab<Branch>,
    branch_index: Index<Handle>,
    route_key: RouteKey,
    refreshed_targets: RefreshedTargets,
    proven: Proven,
    strangers: Strangers,
    stopping: Option<Stopping>,
    unanswered: Unanswered,
    /// What was counted; the caller reads it when it likes.
    pub counters: ProxyCounters,
}

impl Proxy {
    /// A proxy with empty tables. Branches follow from `seed`: never give two proxies the same.
    pub fn new(config: ProxyConfig, seed: u64) -> Self {
        Self {
            keyed: Keyed::new(seed),
            tokens: Tokens::new(seed, 0),
            timers: Timers::default(),
            contexts: Slab::new(config.max_requests),
            context_index: Index::default(),
            ack_index: Index::default(),
            branches: Slab::new(config.max_branches),
            branch_index: Index::default(),
            route_key: RouteKey::new(&config.route_secret),
            refreshed_targets: RefreshedTargets::default(),
            proven: Proven::default(),
            strangers: Strangers::default(),
            stopping: None,
            unanswered: Unanswered::default(),
            counters: ProxyCounters::default(),
            config,
        }
    }

    /// When to call [`wake`](Self::wake); `None` when nothing is going on.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.next().into_iter().chain(self.stop_deadline()).min()
    }

    /// Levels of the tables, for leak checks and statistics.
    pub fn sizes(&self) -> ProxySizes {
        ProxySizes {
            requests: self.contexts.count(),
            request_keys: self.context_index.len(),
            branches: self.branches.count(),
            branch_keys: self.branch_index.len(),
            deadlines: self.timers.count(),
        }
    }

    fn sweep_timers(&mut self) {
        let live = self.contexts.count() + self.branches.count();
        let Self { timers, contexts, branches, .. } = self;
        timers.sweep(live, |owner| match owner {
            Owner::Server(handle) => contexts.get(handle).is_some(),
            Owner::Client(handle) => branches.get(handle).is_some(),
            Owner::Dialog(_) | Owner::Subscription(_) => false,
        });
    }
}
