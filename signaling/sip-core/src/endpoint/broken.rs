//! Paths that broke under requests of ours (RFC 3261 §8.1.3.1, §17.1.4).

use super::Endpoint;
use super::client::Heard;
use crate::flow::Flow;
use crate::output::Output;
use crate::slab::Handle;
use clock::Instant;

impl Endpoint {
    /// The transport could not deliver on this path: a connection broke, ICMP said that nobody listens. Every request of
    /// ours that still waits on it fails with status 503 and no message. Copies of responses need no such call: their
    /// requests are repeated, or their timers run out.
    pub fn transport_failed(&mut self, now: Instant, flow: &Flow, out: &mut Output) {
        let is_on_it = |other: &Flow| {
            other.transport == flow.transport && other.remote == flow.remote && other.connection == flow.connection
        };
        let failed: Vec<Handle> = self
            .clients
            .handles()
            .filter(|handle| {
                self.clients.get(*handle).is_some_and(|sent| is_on_it(&sent.flow) && sent.machine.is_waiting())
            })
            .collect();
        for handle in failed {
            let Some(transaction) = self.clients.get_mut(handle) else { continue };
            transaction.machine.abandon();
            self.hear(now, handle, Heard::Timeout, 503, None, out);
            self.settle_client(handle);
        }
    }
}
