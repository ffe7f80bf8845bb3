//! The graceful end of a proxy: nothing new begins, what rings is called off, dialogs go on.

use crate::content::{Answer, Content};
use crate::proxy::context::{CalledOff, Context};
use crate::proxy::{Proxy, ProxyOutput};
use crate::table::slab::Handle;
use clock::Instant;

/// Why the targets of a call that was ringing are told to stop (RFC 3326).
const STOPPED: &[u8] = b"Reason: SIP;cause=503;text=\"Proxy is being stopped\"\r\n";

/// A proxy that is being stopped.
pub(crate) struct Stopping {
    /// INVITEs without a final answer are answered 503 then.
    answer_at: Instant,
    has_answered: bool,
    /// INVITEs that got their final answer: the ACK may still be missing.
    answered: Vec<Handle>,
}

/// Counts of requests that have no final answer yet.
#[derive(Clone, Copy, Default)]
pub(crate) struct Unanswered {
    calls: usize,
    others: usize,
}

impl Unanswered {
    pub(crate) fn add(&mut self, is_call: bool) {
        *self.of(is_call) += 1;
    }

    pub(crate) fn remove(&mut self, is_call: bool) {
        let count = self.of(is_call);
        *count = count.saturating_sub(1);
    }

    fn of(&mut self, is_call: bool) -> &mut usize {
        if is_call { &mut self.calls } else { &mut self.others }
    }
}

impl Proxy {
    /// Takes no new request from now on: each is refused with 503 and Retry-After, without memory. Requests in dialogs and
    /// ACKs go on as before.
    ///
    /// Calls that are being set up are called off: those that nobody has decided about are answered 503 at once. The others
    /// are cancelled at their targets, and answered 503 when these have said so, or at `answer_at` if a target never said
    /// anything (RFC 3261 §9.1: a target that has not answered at all cannot be sent a CANCEL). A 2xx that crosses the
    /// CANCEL goes to the caller. INVITEs in dialogs go on until `answer_at`, and are called off then.
    pub fn stop(&mut self, now: Instant, answer_at: Instant, out: &mut ProxyOutput) {
        if self.stopping.is_some() {
            return;
        }
        let servers = &self.transactions.servers;
        let is_answered =
            |handle: &Handle| servers.get(*handle).is_some_and(|one| one.is_invite && one.outcome.is_answered);
        let answered = servers.handles().filter(is_answered).collect();
        self.stopping = Some(Stopping { answer_at, has_answered: false, answered });
        for handle in self.open_contexts(|context| !context.is_in_dialog()) {
            let Some(context) = self.transactions.servers.get_mut(handle) else { continue };
            if context.targets.count == 0 || context.is_invite {
                context.call_off(CalledOff::STOPPED);
            }
            self.end_targets(now, handle, STOPPED, out);
        }
    }

    /// Answers everything that has no final answer, because the process ends now: 503, and CANCEL to the targets of INVITEs.
    pub fn end(&mut self, now: Instant, out: &mut ProxyOutput) {
        self.stop(now, now, out);
        self.answer_open(now, |_| true, out);
    }

    /// Whether ACKs are missing, after [`stop`](Self::stop): those of refusals over UDP, which are repeated until then (RFC
    /// 3261 §17.2.1), and those of 2xx that pass through this proxy (RFC 3261 §13.2.2.4).
    pub fn awaits_acks(&mut self) -> bool {
        let Some(mut answered) = self.stopping.as_mut().map(|stopping| std::mem::take(&mut stopping.answered)) else {
            return false;
        };
        // One that waits is enough to know.
        while answered.pop_if(|handle| !self.awaits_ack(*handle)).is_some() {}
        let awaits = !answered.is_empty();
        if let Some(stopping) = &mut self.stopping {
            stopping.answered = answered;
        }
        awaits
    }

    /// Whether the ACK for the final answer to an INVITE is missing, where it passes here.
    pub(crate) fn awaits_ack(&self, handle: Handle) -> bool {
        let Some(context) = self.transactions.servers.get(handle) else { return false };
        if context.machine.is_refused_invite() {
            return context.machine.is_repeating_refusal();
        }
        let passes_here = self.config.record_route || context.is_in_dialog();
        passes_here && context.ack_key.is_some_and(|key| self.ack_index.get(&key) == Some(&handle))
    }

    /// An INVITE got its final answer while the proxy is being stopped.
    pub(crate) fn note_end_at_stop(&mut self, handle: Handle) {
        if let Some(stopping) = &mut self.stopping
            && self.transactions.servers.get(handle).is_some_and(|context| context.is_invite)
        {
            stopping.answered.push(handle);
        }
    }

    /// Whether [`stop`](Self::stop) was called.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// Requests that have no final answer yet.
    pub fn unanswered_count(&self) -> usize {
        self.unanswered.calls + self.unanswered.others
    }

    /// Those of them that would make a call: INVITEs outside dialogs.
    pub fn open_call_count(&self) -> usize {
        self.unanswered.calls
    }

    pub(crate) fn stop_deadline(&self) -> Option<Instant> {
        self.stopping.as_ref().filter(|stopping| !stopping.has_answered).map(|stopping| stopping.answer_at)
    }

    /// Answers the INVITEs that are still open when it is time.
    pub(crate) fn wake_stopping(&mut self, now: Instant, out: &mut ProxyOutput) {
        if self.stop_deadline().is_none_or(|at| at > now) {
            return;
        }
        if let Some(stopping) = &mut self.stopping {
            stopping.has_answered = true;
        }
        self.answer_open(now, |context| context.is_invite, out);
    }

    /// Gives requests their final answer, whatever their targets do.
    fn answer_open(&mut self, now: Instant, is_meant: impl Fn(&Context) -> bool, out: &mut ProxyOutput) {
        for handle in self.open_contexts(is_meant) {
            let Some(context) = self.transactions.servers.get_mut(handle) else { continue };
            context.call_off(CalledOff::STOPPED);
            let is_cancelled = context.outcome.is_cancelled;
            self.cancel_all(now, handle, STOPPED, out);
            if is_cancelled {
                self.answer_own(now, handle, &Answer::of(487), out);
            } else {
                self.answer_unavailable(now, handle, out);
            }
        }
    }

    /// 503 with Retry-After, so that the caller tries another server at once.
    pub(crate) fn answer_unavailable(&mut self, now: Instant, handle: Handle, out: &mut ProxyOutput) {
        let after = self.config.retry_after.as_secs().max(1).to_string();
        let headers = [("Retry-After", &*after)];
        self.answer_own(now, handle, &Answer::with(503, Content::headers(&headers)), out);
    }

    /// Requests without a final answer of which `is_meant` holds.
    fn open_contexts(&self, is_meant: impl Fn(&Context) -> bool) -> Vec<Handle> {
        let is_open = |handle: &Handle| {
            let context = self.transactions.servers.get(*handle);
            context.is_some_and(|open| !open.outcome.is_answered && is_meant(open))
        };
        self.transactions.servers.handles().filter(is_open).collect()
    }
}
