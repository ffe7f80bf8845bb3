//! Paths that broke, or are said to have broken, under requests of ours (RFC 3261 §8.1.3.1, §16.9, §17.1.4, RFC 5927).

use crate::flow::{Flow, Transport};
use crate::table::slab::Handle;
use crate::transactions::Transactions;
use crate::transactions::client::{Client, ClientUse};
use crate::transactions::quoted::{DOUBTFUL_PATIENCE, Quoted};
use crate::transactions::server::ServerUse;
use clock::Instant;

impl<S: ServerUse, C: ClientUse> Transactions<S, C> {
    /// The requests of ours that fail because the transport could not deliver on this path; over UDP only those that
    /// [`unreachable`](Self::unreachable) could end.
    pub(crate) fn failed_on(&self, flow: &Flow) -> Vec<Handle> {
        self.clients_that(|sent| {
            let may_end = if flow.transport == Transport::Udp { sent.is_unheard() } else { sent.machine.is_waiting() };
            may_end && is_same_path(&sent.flow, flow)
        })
    }

    /// ICMP says that nobody is at the peer's address of this path; `quoted` is the beginning of the datagram that it quotes.
    /// Anybody can send such a message (RFC 5927), so it is a hint at most. A request without any answer whose branch is
    /// quoted has failed: its handle is given. Where less is quoted, requests to that address without any answer wait no
    /// longer than [`DOUBTFUL_PATIENCE`] for one. All others go on as if nothing had come.
    pub(crate) fn unreachable(&mut self, now: Instant, flow: &Flow, quoted: &[u8]) -> Option<Handle> {
        let is_to_it = |sent: &Client<C>| {
            sent.flow.transport == Transport::Udp && sent.flow.remote == flow.remote && sent.is_unheard()
        };
        let (mut failed, mut is_used) = (None, false);
        match Quoted::new(quoted) {
            Quoted::Request { method, branch } => {
                let handle = self.client_index.get(&self.client_key(branch, method)).copied();
                failed = handle.filter(|handle| self.clients.get(*handle).is_some_and(is_to_it));
                is_used = failed.is_some();
            }
            Quoted::Short => {
                for handle in self.clients_that(is_to_it) {
                    if let Some(sent) = self.clients.get_mut(handle) {
                        sent.machine.hurry(now + DOUBTFUL_PATIENCE);
                    }
                    self.settle_client(handle);
                    is_used = true;
                }
            }
            Quoted::Other => {}
        }
        self.counters.unreachable += 1;
        self.counters.unreachable_ignored += u64::from(!is_used);
        failed
    }

    /// No answer to a request can come any more.
    pub(crate) fn abandon_client(&mut self, handle: Handle) {
        if let Some(client) = self.clients.get_mut(handle) {
            client.machine.abandon();
        }
    }

    fn clients_that(&self, fits: impl Fn(&Client<C>) -> bool) -> Vec<Handle> {
        self.clients.handles().filter(|handle| self.clients.get(*handle).is_some_and(&fits)).collect()
    }
}

/// Whether what is sent by these two goes over the same connection, or to the same address.
pub(crate) fn is_same_path(one: &Flow, other: &Flow) -> bool {
    one.transport == other.transport && one.remote == other.remote && one.connection == other.connection
}
