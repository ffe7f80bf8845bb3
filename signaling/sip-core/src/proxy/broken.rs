//! Paths that broke, or are said to have broken, under branches (RFC 3261 §16.9, RFC 5927).

use super::branch::Branch;
use super::{Proxy, ProxyOutput};
use crate::flow::{Flow, Transport};
use crate::quoted::{DOUBTFUL_PATIENCE, Quoted};
use crate::slab::Handle;
use clock::Instant;

impl Proxy {
    /// The transport could not deliver on this path: the branches on it count as answered 503 (RFC 3261 §16.9); over UDP
    /// only those that [`unreachable`](Self::unreachable) could end.
    pub fn transport_failed(&mut self, now: Instant, flow: &Flow, out: &mut ProxyOutput) {
        let is_on_it = |branch: &Branch| {
            branch.flow.transport == flow.transport
                && branch.flow.remote == flow.remote
                && branch.flow.connection == flow.connection
        };
        let may_end = |branch: &Branch| {
            if flow.transport == Transport::Udp { is_unheard(branch) } else { branch.machine.is_waiting() }
        };
        for handle in self.branches_that(|branch| is_on_it(branch) && may_end(branch)) {
            self.fail_branch(now, handle, out);
        }
    }

    /// ICMP says that nobody is at a target's address: a hint, by the rules of
    /// [`Endpoint::unreachable`](crate::Endpoint::unreachable).
    pub fn unreachable(&mut self, now: Instant, flow: &Flow, quoted: &[u8], out: &mut ProxyOutput) {
        let is_to_it = |branch: &Branch| {
            branch.flow.transport == Transport::Udp && branch.flow.remote == flow.remote && is_unheard(branch)
        };
        let is_used = match Quoted::new(quoted) {
            Quoted::Request { method, branch } => {
                let key = self.keyed.key(&[b"client", branch, method]);
                let handle = self.branch_index.get(&key).copied();
                let handle = handle.filter(|handle| self.branches.get(*handle).is_some_and(is_to_it));
                handle.map(|handle| self.fail_branch(now, handle, out)).is_some()
            }
            Quoted::Short => {
                let doubtful = self.branches_that(is_to_it);
                for handle in &doubtful {
                    let Some(branch) = self.branches.get_mut(*handle) else { continue };
                    branch.machine.hurry(now + DOUBTFUL_PATIENCE);
                    self.settle_branch(*handle);
                }
                !doubtful.is_empty()
            }
            Quoted::Other => false,
        };
        self.counters.unreachable += 1;
        self.counters.unreachable_ignored += u64::from(!is_used);
    }

    fn branches_that(&self, fits: impl Fn(&Branch) -> bool) -> Vec<Handle> {
        self.branches.handles().filter(|handle| self.branches.get(*handle).is_some_and(&fits)).collect()
    }

    fn fail_branch(&mut self, now: Instant, handle: Handle, out: &mut ProxyOutput) {
        let Some(branch) = self.branches.get_mut(handle) else { return };
        branch.machine.abandon();
        if !branch.is_cancel {
            self.branch_failed(now, handle, 503, None, out);
        }
        self.settle_branch(handle);
    }
}

/// Whether nothing speaks for the target being there: no response, no dialog, and no INVITE before it (CANCEL follows a
/// provisional response).
fn is_unheard(branch: &Branch) -> bool {
    branch.machine.is_unheard() && !branch.is_cancel && sip_wire::to_tag(&branch.bytes).is_none()
}
