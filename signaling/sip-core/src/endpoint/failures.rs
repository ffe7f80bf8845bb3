//! Paths that broke, or are said to have broken, under requests of ours (RFC 3261 §8.1.3.1, §17.1.4, RFC 5927).

use crate::endpoint::Endpoint;
use crate::endpoint::responses::Outcome;
use crate::flow::Flow;
use crate::output::Output;
use crate::table::slab::Handle;
use clock::Instant;

impl Endpoint {
    /// The transport could not deliver on this path: a connection broke, or this host has no way there. Every request of ours
    /// that still waits on it fails with status 503 and no message; over UDP only those that
    /// [`unreachable`](Self::unreachable) could end. Copies of responses need no such call: their requests are repeated, or
    /// their timers run out.
    pub fn transport_failed(&mut self, now: Instant, flow: &Flow, out: &mut Output) {
        let failed = self.transactions.failed_on(flow);
        self.reroute_acks(flow, out);
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
        if let Some(failed) = self.transactions.unreachable(now, flow, quoted) {
            self.fail_client(now, failed, out);
        }
    }

    fn fail_client(&mut self, now: Instant, handle: Handle, out: &mut Output) {
        self.transactions.abandon_client(handle);
        self.hear(&Outcome::without_response(now, handle, 503), out);
        self.settle_client(handle);
    }
}
