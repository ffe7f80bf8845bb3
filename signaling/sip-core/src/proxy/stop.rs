//! The graceful end of a proxy: nothing new begins, what rings is called off, dialogs go on.

use crate::content::Content;
use crate::proxy::{Proxy, ProxyOutput, Standing};
use crate::table::slab::Handle;
use clock::Instant;

/// Why the targets of a call that was ringing are told to stop (RFC 3326).
const STOPPED: &[u8] = b"Reason: SIP;cause=503;text=\"Proxy is being stopped\"\r\n";

/// A proxy that is being stopped.
#[derive(Clone, Copy)]
pub(crate) struct Stopping {
    /// INVITEs without a final answer are answered 503 then.
    answer_at: Instant,
    has_answered: bool,
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
    /// CANCEL goes to the caller.
    pub fn stop(&mut self, now: Instant, answer_at: Instant, out: &mut ProxyOutput) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(Stopping { answer_at, has_answered: false });
        for handle in self.contexts_to_stop() {
            let Some(context) = self.transactions.servers.get_mut(handle) else { continue };
            let is_undecided = context.targets_count == 0;
            if is_undecided || context.is_invite {
                context.is_stopped = true;
                context.waiting.clear();
                context.redirects.clear();
            }
            if is_undecided {
                self.answer_stopped(now, handle, out);
            } else {
                self.cancel_all(now, handle, STOPPED, out);
                self.finish(now, handle, out);
            }
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
        self.stopping.filter(|stopping| !stopping.has_answered).map(|stopping| stopping.answer_at)
    }

    /// Answers the calls that are still open when it is time.
    pub(crate) fn wake_stopping(&mut self, now: Instant, out: &mut ProxyOutput) {
        if self.stop_deadline().is_none_or(|at| at > now) {
            return;
        }
        if let Some(stopping) = &mut self.stopping {
            stopping.has_answered = true;
        }
        for handle in self.contexts_to_stop() {
            if self.transactions.servers.get(handle).is_some_and(|context| context.is_stopped) {
                self.answer_stopped(now, handle, out);
            }
        }
    }

    /// 503 with Retry-After, so that the caller tries another server at once.
    pub(crate) fn answer_stopped(&mut self, now: Instant, handle: Handle, out: &mut ProxyOutput) {
        let after = self.config.retry_after.as_secs().max(1).to_string();
        self.answer_own(now, handle, 503, "", &Content::headers(&[("Retry-After", &after)]), out);
    }

    fn contexts_to_stop(&self) -> Vec<Handle> {
        let is_open = |handle: &Handle| {
            let context = self.transactions.servers.get(*handle);
            context.is_some_and(|open| !open.is_answered && !matches!(open.standing, Standing::InDialog { .. }))
        };
        self.transactions.servers.handles().filter(is_open).collect()
    }
}
