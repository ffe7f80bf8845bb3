//! Responses in (RFC 3261 §16.7).

use crate::content::Answer;
use crate::flow::Flow;
use crate::proxy::targets::branch::Failure;
use crate::proxy::targets::cancel::{ANSWERED_ELSEWHERE, refused_elsewhere};
use crate::proxy::{Proxy, ProxyOutput};
use crate::table::slab::Handle;
use crate::transactions::{Cancel, ClientInput, Heard, Matched};
use clock::Instant;
use sip_wire::{Message, Name, Rewrite};

impl Proxy {
    pub(crate) fn receive_response(&mut self, now: Instant, message: &Message<'_>, out: &mut ProxyOutput) {
        let Some(status) = message.status().map(|status| status.code()) else { return };
        let Matched::Client(handle) = self.transactions.match_response(now, message) else { return };
        if let Some(branch) = self.transactions.clients.get_mut(handle).filter(|_| status < 200) {
            branch.copies_left = u8::MAX; // the target is there
            if status > 100 {
                branch.ring_until = now + self.config.timers.ring_limit; // §16.7, step 2: timer C starts over
            }
        }
        let heard = self.transactions.drive_client(now, handle, ClientInput::Response(status, message), out);
        if heard == Heard::Response {
            self.relay(now, handle, message, out);
        }
        self.settle_branch(handle);
    }

    fn relay(&mut self, now: Instant, handle: Handle, message: &Message<'_>, out: &mut ProxyOutput) {
        let Some(status) = message.status().map(|status| status.code()) else { return };
        let Some(branch) = self.transactions.clients.get(handle) else { return };
        let (context, is_final, wants_cancel) = (branch.context, branch.is_final, branch.cancel == Cancel::Wanted);
        let flow = branch.flow;
        if branch.is_cancel {
            return;
        }
        match status {
            ..200 => {
                if wants_cancel {
                    self.cancel_branch(now, handle, out);
                }
                if status > 100 {
                    self.pass_up(now, (context, &flow), message, out);
                }
            }
            200..300 => {
                self.pass_up(now, (context, &flow), message, out);
                if !is_final {
                    self.close_branch(handle);
                    self.cancel_all(now, context, ANSWERED_ELSEWHERE, out);
                }
                self.note_over(context);
                // A 2xx that has no Via but ours leads to nobody: the caller gets another answer.
                if self.transactions.servers.get(context).is_some_and(|open| !open.outcome.is_answered) {
                    self.finish(now, context, out);
                }
            }
            300..400 if self.hand_redirection_up(now, handle, message, out) => {}
            _ => self.branch_failed(now, handle, Failure::Refusal { status, message }, out),
        }
    }

    /// A response goes upstream as it is, without our Via.
    fn pass_up(
        &mut self,
        now: Instant,
        (context, branch_flow): (Handle, &Flow),
        message: &Message<'_>,
        out: &mut ProxyOutput,
    ) {
        if message.raw_values(Name::Via).nth(1).is_none() {
            return; // there is nobody above us
        }
        let mut bytes = Vec::with_capacity(message.as_bytes().len());
        let mut rewrite = Rewrite::new(message);
        rewrite.pop_via().for_stream();
        if rewrite.write(&mut bytes).is_ok() {
            self.turn_record_route(context, branch_flow, &mut bytes);
            self.send_upstream(now, context, bytes.into_boxed_slice(), out);
        }
    }

    pub(crate) fn close_branch(&mut self, handle: Handle) -> Option<Handle> {
        let branch = self.transactions.clients.get_mut(handle)?;
        if std::mem::replace(&mut branch.is_final, true) {
            return None;
        }
        let context = branch.context;
        let open = self.transactions.servers.get_mut(context)?;
        open.targets.open_count = open.targets.open_count.saturating_sub(1);
        Some(context)
    }

    /// A branch got its final refusal, or never will get a response.
    pub(crate) fn branch_failed(&mut self, now: Instant, handle: Handle, failure: Failure<'_>, out: &mut ProxyOutput) {
        let Some(context) = self.close_branch(handle) else { return };
        if failure.is_of_path() && self.try_next_path(now, context, handle, out) {
            return;
        }
        self.note_final(context, &failure);
        let status = failure.status();
        if status >= 600 {
            // §16.7, step 5: nobody else shall be asked.
            if let Some(context) = self.transactions.servers.get_mut(context) {
                context.targets.drop_untried();
            }
            self.cancel_all(now, context, &refused_elsewhere(status), out);
        }
        self.finish(now, context, out);
    }

    /// All branches of the group are through: the next group, or the best response.
    pub(crate) fn finish(&mut self, now: Instant, handle: Handle, out: &mut ProxyOutput) {
        self.recount(handle);
        let Some(context) = self.transactions.servers.get(handle) else { return };
        if context.targets.open_count > 0 {
            return;
        }
        if context.outcome.is_answered {
            return self.note_over(handle);
        }
        if !context.targets.redirects.is_empty() || (!context.outcome.is_ending() && self.start_group(now, handle, out))
        {
            return;
        }
        let Some(context) = self.transactions.servers.get(handle) else { return };
        let status = match &context.outcome.best {
            Some(best) => best.status,
            None if context.outcome.is_cancelled => 487,
            None => 408,
        };
        match &context.outcome.best {
            // The targets' 487 says that they were cancelled, which the caller did not ask for.
            _ if context.outcome.called_off.is_some()
                && !context.outcome.is_cancelled
                && matches!(status, 408 | 487 | 503) =>
            {
                self.answer_called_off(now, handle, out);
            }
            Some(best) if !best.bytes.is_empty() => {
                let bytes = Self::best_bytes(best, &context.outcome.challenges);
                self.send_upstream(now, handle, bytes, out);
            }
            // RFC 4320 §4.2: a 408 to anything but INVITE comes too late for its caller, always.
            _ if status == 408 && !context.is_invite => {
                if let Some(context) = self.transactions.servers.get_mut(handle) {
                    context.outcome.is_answered = true;
                    self.note_answered(handle);
                }
            }
            _ if status == 503 && context.outcome.lacked_room => {
                self.transactions.counters.overloaded += 1;
                self.answer_unavailable(now, handle, out);
            }
            _ => self.answer_own(now, handle, &Answer::of(if status == 503 { 500 } else { status }), out),
        }
    }
}
