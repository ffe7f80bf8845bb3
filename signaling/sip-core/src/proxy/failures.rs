//! Paths that broke, or are said to have broken, under branches (RFC 3261 §16.9, RFC 5927).

use crate::flow::Flow;
use crate::proxy::targets::branch::Failure;
use crate::proxy::{Proxy, ProxyOutput};
use crate::table::slab::Handle;
use clock::Instant;

impl Proxy {
    /// The transport could not deliver on this path: the branches on it count as answered 503 (RFC 3261 §16.9); over UDP
    /// only those that [`unreachable`](Self::unreachable) could end.
    pub fn transport_failed(&mut self, now: Instant, flow: &Flow, out: &mut ProxyOutput) {
        for handle in self.transactions.failed_on(flow) {
            self.fail_branch(now, handle, out);
        }
    }

    /// ICMP says that nobody is at a target's address: a hint, by the rules of
    /// [`Endpoint::unreachable`](crate::Endpoint::unreachable).
    pub fn unreachable(&mut self, now: Instant, flow: &Flow, quoted: &[u8], out: &mut ProxyOutput) {
        if let Some(failed) = self.transactions.unreachable(now, flow, quoted) {
            self.fail_branch(now, failed, out);
        }
    }

    fn fail_branch(&mut self, now: Instant, handle: Handle, out: &mut ProxyOutput) {
        self.transactions.abandon_client(handle);
        if self.transactions.clients.get(handle).is_some_and(|branch| !branch.is_cancel) {
            self.branch_failed(now, handle, Failure::Path, out);
        }
        self.settle_branch(handle);
    }
}
