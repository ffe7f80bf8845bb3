//! The endpoint: every transaction and dialog of one shard, in virtual time.

pub(crate) mod calls;
mod client;
pub(crate) mod dialogs;
mod failures;
mod receive;
pub(crate) mod requests;
pub(crate) mod responses;
pub(crate) mod room;
mod server;
pub(crate) mod subscriptions;
mod wake;

pub use requests::new_request::NewRequest;
pub use requests::outgoing::DialogRequest;
pub use subscriptions::notify::{ReferProgress, Report};
pub use subscriptions::subscribe::NewSubscription;

use crate::auth::Account;
use crate::config::EndpointConfig;
use crate::endpoint::calls::call::Call;
use crate::endpoint::dialogs::dialog::Dialog;
use crate::endpoint::subscriptions::subscription::Subscription;
use crate::event::DialogId;
use crate::flow::Flow;
use crate::message::compose::Lines;
use crate::output::Output;
use crate::table::deadlines::Owner;
use crate::table::hash::{Index, give_back};
use crate::table::slab::{Handle, Slab};
use crate::transactions::quota::Usage;
use crate::transactions::room::Room;
use crate::transactions::{Counters, Rules, Transactions};
use clock::Instant;
use requests::{Kind, Received, Sent};

/// Transactions, dialogs and their timers. It reads no clock, opens no socket and draws no randomness: time, messages
/// and a seed are arguments, what it wants leaves through an [`Output`].
pub struct Endpoint {
    pub(crate) config: EndpointConfig,
    pub(crate) lines: Lines,
    pub(crate) transactions: Transactions<Received, Sent>,
    pub(crate) dialogs: Slab<Dialog>,
    pub(crate) dialog_index: Index<Handle>,
    pub(crate) calls: Slab<Call>,
    pub(crate) subscriptions: Slab<Subscription>,
    /// Subscriptions of ours without a dialog yet, by Call-ID and our tag.
    pub(crate) pending_index: Index<Handle>,
    pub(crate) accounts: Slab<Account>,
    pub(crate) request_count: u64,
    /// What OPTIONS outside dialogs is answered with; handed up where there is none.
    pub(crate) options_status: Option<u16>,
    pub(crate) new_calls: NewCalls,
    pub(crate) room: Room,
}

/// What becomes of INVITEs that would make a new call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NewCalls {
    /// They are handed up.
    #[default]
    Taken,
    /// They are answered 503 with Retry-After, without memory.
    Refused,
}

/// Levels of the tables: all zero when nothing is going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Server transactions.
    pub server_transactions: usize,
    /// Keys under which they are found.
    pub server_keys: usize,
    /// Client transactions.
    pub client_transactions: usize,
    /// Keys under which they are found.
    pub client_keys: usize,
    /// Bytes of the headers and answers in server transactions ([`Limits::max_stored_bytes`](crate::Limits::max_stored_bytes)).
    pub stored_bytes: usize,
    /// Dialogs.
    pub dialogs: usize,
    /// Keys under which they are found.
    pub dialog_keys: usize,
    /// Calls of ours that are not answered yet.
    pub calls: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Keys of those that have no dialog yet.
    pub pending_keys: usize,
    /// Deadlines; some may be of things that ended, until their time comes.
    pub deadlines: usize,
}

impl Endpoint {
    /// An endpoint with empty tables. Tags, branches and Call-IDs follow from `seed`: never give two endpoints the same.
    pub fn new(config: EndpointConfig, seed: u64) -> Self {
        let limits = config.limits;
        let lines = Lines::new(&config);
        let rules = Rules {
            timers: config.timers,
            max_servers: limits.max_transactions,
            max_clients: limits.max_transactions,
            max_message_bytes: limits.max_message_bytes,
            retry_after: config.retry_after,
            server_line: lines.server.clone(),
            relays: false,
            mark: config.mark,
        };
        Self {
            lines,
            transactions: Transactions::new(rules, seed),
            dialogs: Slab::with_reserve(limits.max_dialogs, limits.max_dialogs),
            dialog_index: Index::default(),
            calls: Slab::new(limits.max_dialogs),
            subscriptions: Slab::new(limits.max_subscriptions),
            pending_index: Index::default(),
            accounts: Slab::new(limits.max_accounts),
            request_count: 0,
            options_status: None,
            new_calls: NewCalls::default(),
            room: Room::new(Usage { requests: limits.max_transactions, branches: 0, bytes: limits.max_stored_bytes }),
            config,
        }
    }

    /// When to call [`wake`](Self::wake); `None` when nothing is going on.
    pub fn deadline(&self) -> Option<Instant> {
        self.transactions.deadlines.next()
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.transactions.counters
    }

    /// Levels of the tables, for leak checks and statistics.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            server_transactions: self.transactions.servers.count(),
            server_keys: self.transactions.server_index.len(),
            stored_bytes: self.room.quota.bytes(),
            client_transactions: self.transactions.clients.count(),
            client_keys: self.transactions.client_index.len(),
            dialogs: self.dialogs.count(),
            dialog_keys: self.dialog_index.len(),
            calls: self.calls.count(),
            subscriptions: self.subscriptions.count(),
            pending_keys: self.pending_index.len(),
            deadlines: self.transactions.deadlines.count(),
        }
    }

    /// The number that the user gave a dialog; 0 at first, `None` when it has ended.
    pub fn user_data(&self, dialog: DialogId) -> Option<u64> {
        Some(self.dialogs.get(dialog.0)?.user.data)
    }

    /// Gives a dialog a number of the user's, so that events find their way without another table.
    pub fn set_user_data(&mut self, dialog: DialogId, user_data: u64) {
        if let Some(dialog) = self.dialogs.get_mut(dialog.0) {
            dialog.user.data = user_data;
        }
    }

    /// The dialog with this Call-ID and these tags, local as we see it (RFC 3891, RFC 4538).
    pub fn find_dialog(&self, call_id: &[u8], local_tag: &[u8], remote_tag: &[u8]) -> Option<DialogId> {
        let key = crate::endpoint::dialogs::identity::key(&self.transactions.keyed, call_id, local_tag, remote_tag);
        self.dialog_index.get(&key).copied().map(DialogId)
    }

    /// What identifies a dialog, for Replaces, logs and records.
    pub fn dialog_info(&self, dialog: DialogId) -> Option<DialogInfo<'_>> {
        let dialog = self.dialogs.get(dialog.0)?;
        Some(DialogInfo {
            call_id: dialog.identity.call_id(),
            local: dialog.identity.local(),
            local_tag: dialog.identity.local_tag(),
            remote: dialog.identity.remote(),
            remote_tag: dialog.identity.remote_tag(),
            target: &dialog.route.target,
            next_hop: dialog.next_hop(),
            flow: dialog.route.flow,
            is_confirmed: dialog.state == crate::endpoint::dialogs::dialog::State::Confirmed,
            session_interval_s: dialog.session.interval_s(),
        })
    }

    /// Answers OPTIONS outside dialogs from now on with this status, the one that an INVITE would get (RFC 3261 §11.2),
    /// and without memory (§8.2.7): those who ask whether we live ask often. `None` hands them up.
    pub fn answer_options(&mut self, status: Option<u16>) {
        self.options_status = status;
    }

    /// What becomes of new calls from now on.
    pub fn take_calls(&mut self, new_calls: NewCalls) {
        self.new_calls = new_calls;
    }

    /// Whether the peer at the other end of a path has lately shown that it gets what we send there: it acknowledged an
    /// answer of ours, or answered a request.
    pub fn is_proven(&self, now: Instant, flow: &Flow) -> bool {
        self.transactions.is_proven(now, flow)
    }

    /// The peer has shown it in another way, as by credentials for a nonce of ours.
    pub fn prove(&mut self, now: Instant, flow: &Flow) {
        self.transactions.prove(now, flow);
    }

    /// Whether a dialog was made by an INVITE of the peer whose 2xx has not been acknowledged, or is yet to come.
    pub(crate) fn is_unacknowledged(&self, dialog: Handle) -> bool {
        let invite = self.dialogs.get(dialog).and_then(|dialog| dialog.in_flight.server_invite);
        invite
            .and_then(|invite| self.transactions.servers.get(invite))
            .is_some_and(|invite| invite.kind == Kind::Invite)
    }

    /// Whether copies of an answer may go out as the RFC says: to where the dialog's other messages go and are confirmed,
    /// or to a source that has shown that it gets them.
    pub(crate) fn may_repeat(&self, now: Instant, transaction: Handle) -> bool {
        let Some(transaction) = self.transactions.servers.get(transaction) else { return false };
        let is_on_its_path = |handle: Handle| {
            let remote = self.dialogs.get(handle).map(|dialog| dialog.route.flow.remote);
            remote == Some(transaction.flow.remote) && !self.is_unacknowledged(handle)
        };
        self.transactions.proven.has(now, &transaction.address) || transaction.dialog.is_some_and(is_on_its_path)
    }

    /// What we answered in a transaction arrived.
    pub(crate) fn got_ours(&mut self, now: Instant, transaction: Handle) {
        self.transactions.prove_sender(now, transaction);
        self.release_stranger(transaction);
    }

    /// Bytes that one dialog accounts for: its place in the tables and what it alone keeps on the heap.
    pub fn dialog_bytes(&self, dialog: DialogId) -> Option<usize> {
        const TABLES: usize = size_of::<Dialog>() + 8 + 4 + 32 + 2 * size_of::<(Instant, Owner)>();
        Some(TABLES + self.dialogs.get(dialog.0)?.heap_bytes())
    }

    /// The dialog's deadline may have moved: make sure that the queue knows.
    pub(crate) fn arm_dialog(&mut self, handle: Handle) {
        if let Some(dialog) = self.dialogs.get_mut(handle) {
            let deadline = dialog.deadline();
            self.transactions.deadlines.arm(&mut dialog.alarm, Owner::Dialog(handle), deadline);
        }
    }

    /// Drops deadlines of things that ended when there are too many of them, and gives back room that a rush needed.
    pub(crate) fn sweep(&mut self) {
        give_back(&mut self.dialog_index);
        self.sweep_room();
        let Self { transactions, dialogs, subscriptions, .. } = self;
        transactions.sweep(dialogs.count() + subscriptions.count(), |owner| match owner {
            Owner::Dialog(handle) => dialogs.get(handle).is_some(),
            Owner::Subscription(handle) => subscriptions.get(handle).is_some(),
            Owner::Server(_) | Owner::Client(_) => false,
        });
    }

    /// A received message, kept for the events about it.
    pub(crate) fn keep(message: &sip_wire::Message<'_>, out: &mut Output) -> crate::output::Span {
        out.keep_message(message)
    }
}

/// What is known of a dialog.
#[derive(Clone, Copy, Debug)]
pub struct DialogInfo<'a> {
    /// Call-ID.
    pub call_id: &'a [u8],
    /// Our name with our tag, as it goes into From.
    pub local: &'a [u8],
    /// Our tag.
    pub local_tag: &'a [u8],
    /// The peer's name with its tag, as it goes into To.
    pub remote: &'a [u8],
    /// The peer's tag.
    pub remote_tag: &'a [u8],
    /// The remote target: the peer's Contact.
    pub target: &'a [u8],
    /// The URI whose host requests go to: the first route, or the target.
    pub next_hop: &'a [u8],
    /// The path that requests take, as far as it is known.
    pub flow: Flow,
    /// Whether a 2xx made it.
    pub is_confirmed: bool,
    /// The session timer's interval, 0 without one.
    pub session_interval_s: u32,
}
