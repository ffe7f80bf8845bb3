//! Calls that the proxy's user ends while they are being set up.

use crate::content::{Answer, Refused};
use crate::proxy::context::CalledOff;
use crate::proxy::{Proxy, ProxyId, ProxyOutput};
use crate::table::slab::Handle;
use clock::Instant;

impl Proxy {
    /// Ends a call that is being set up: its targets are cancelled, and it is answered `status` (400 to 699) when these have
    /// said so, or at `answer_at` where one says nothing. An answer that crosses the CANCEL goes to the caller all the same. A call
    /// that was answered is its two ends' alone: a proxy has no dialog in which it could send BYE.
    pub fn call_off(
        &mut self,
        now: Instant,
        request: ProxyId,
        (status, answer_at): (u16, Instant),
        out: &mut ProxyOutput,
    ) -> Result<(), Refused> {
        if !(400..700).contains(&status) {
            return Err(Refused::BadStatus);
        }
        let handle = request.0;
        let context = self.transactions.servers.get_mut(handle).ok_or(Refused::Gone)?;
        if !context.is_call() || context.outcome.is_ending() {
            return Err(Refused::WrongState);
        }
        context.call_off(CalledOff { status, answer_at: Some(answer_at) });
        let why = format!("Reason: SIP;cause={status};text=\"Ended by the operator\"\r\n");
        self.end_targets(now, handle, why.as_bytes(), out);
        self.settle_context(handle);
        Ok(())
    }

    /// Answers a request that was called off where it has no target, and cancels its targets otherwise. `why`: complete header
    /// lines.
    pub(crate) fn end_targets(&mut self, now: Instant, handle: Handle, why: &[u8], out: &mut ProxyOutput) {
        if self.transactions.servers.get(handle).is_some_and(|context| context.targets.count == 0) {
            self.answer_called_off(now, handle, out);
        } else {
            self.cancel_all(now, handle, why, out);
            self.finish(now, handle, out);
        }
    }

    /// The answer to a request that was called off.
    pub(crate) fn answer_called_off(&mut self, now: Instant, handle: Handle, out: &mut ProxyOutput) {
        let called_off = self.transactions.servers.get(handle).and_then(|context| context.called_off());
        match called_off.map(|called_off| called_off.status) {
            Some(503) => self.answer_unavailable(now, handle, out),
            Some(status) => self.answer_own(now, handle, &Answer::of(status), out),
            None => {}
        }
    }

    /// The same where it has waited for its targets long enough.
    pub(crate) fn answer_called_off_at(&mut self, now: Instant, handle: Handle, out: &mut ProxyOutput) {
        let called_off = self.transactions.servers.get(handle).and_then(|context| context.called_off());
        if called_off.and_then(|called_off| called_off.answer_at).is_some_and(|at| at <= now) {
            self.answer_called_off(now, handle, out);
        }
    }
}
