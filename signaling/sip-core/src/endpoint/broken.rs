//! Paths that broke, or are said to have broken, under requests of ours (RFC 3261 §8.1.3.1, §17.1.4, RFC 5927).

use super::Endpoint;
use super::client::Heard;
use crate::flow::{Flow, Transport};
use crate::output::Output;
use crate::quoted::{DOUBTFUL_PATIENCE, Quoted};
use crate::slab::Handle;
use crate::transactions::{ClientTransaction, Purpose};
use clock::Instant;

impl Endpoint {
    /// The transport could not deliver on this path: a connection broke, or this host has no way there. Every request of ours
    /// that still waits on it fails with status 503 and no message; over UDP only those that
    /// [`unreachable`](Self::unreachable) could end. Copies of responses need no such call: their requests are repeated, or
    /// their timers run out.
    pub fn transport_failed(&mut self, now: Instant, flow: &Flow, out: &mut Output) {
        let is_on_it = |other: &Flow| {
            other.transport == flow.transport && other.remote == flow.remote && other.connection == flow.connection
        };
        let may_end = |sent: &ClientTransaction| {
            if flow.transport == Transport::Udp { is_unheard(sent) } else { sent.machine.is_waiting() }
        };
        let failed = self.clients_that(|sent| is_on_it(&sent.flow) && may_end(sent));
        self.reroute_acks(is_on_it, out);
        for handle in failed {
            if !self.reroute(handle, out) {
                self.fail_client(now, handle, out);
            }
        }
    }

    /// ICMP says that nobody is at the peer's address of this path; `quoted` is the beginning of the datagram that it quotes,
    /// perhaps nothing. Anybody can send such a message (RFC 5927), so it is a hint at most:
    ///
    /// - What the peer has answered, or what belongs to a dialog, goes on as if nothing had come: the timers find a dead peer.
    /// - A request without any answer, whose branch is quoted, fails at once with status 503, so that another target is tried.
    /// - Where less is quoted, requests to that address without any answer wait no longer than
    ///   2 s for one.
    pub fn unreachable(&mut self, now: Instant, flow: &Flow, quoted: &[u8], out: &mut Output) {
        let is_to_it = |sent: &ClientTransaction| {
            sent.flow.transport == Transport::Udp && sent.flow.remote == flow.remote && is_unheard(sent)
        };
        let is_used = match Quoted::new(quoted) {
            Quoted::Request { method, branch } => {
                let key = self.keyed.key(&[b"client", branch, method]);
                let handle = self.client_index.get(&key).copied();
                let handle = handle.filter(|handle| self.clients.get(*handle).is_some_and(is_to_it));
                handle.map(|handle| self.fail_client(now, handle, out)).is_some()
            }
            Quoted::Short => {
                let doubtful = self.clients_that(is_to_it);
                for handle in &doubtful {
                    let Some(transaction) = self.clients.get_mut(*handle) else { continue };
                    transaction.machine.hurry(now + DOUBTFUL_PATIENCE);
                    self.settle_client(*handle);
                }
                !doubtful.is_empty()
            }
            Quoted::Other => false,
        };
        self.counters.unreachable += 1;
        self.counters.unreachable_ignored += u64::from(!is_used);
    }

    fn clients_that(&self, fits: impl Fn(&ClientTransaction) -> bool) -> Vec<Handle> {
        self.clients.handles().filter(|handle| self.clients.get(*handle).is_some_and(&fits)).collect()
    }

    fn fail_client(&mut self, now: Instant, handle: Handle, out: &mut Output) {
        let Some(transaction) = self.clients.get_mut(handle) else { return };
        transaction.machine.abandon();
        self.hear(now, handle, Heard::Timeout, 503, None, out);
        self.settle_client(handle);
    }
}

/// Whether nothing speaks for the peer being there: no response to this request or to the one that it repeats, no dialog, and
/// no INVITE before it (CANCEL and PRACK follow a provisional response).
fn is_unheard(sent: &ClientTransaction) -> bool {
    sent.machine.is_unheard() && sent.dialog.is_none() && sent.retry_count == 0 && sent.purpose != Purpose::Nobody
}
