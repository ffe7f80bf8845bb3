//! Deadlines, and what is over.

use crate::content::{Answer, Content};
use crate::message::compose::{put_content, put_status_line};
use crate::message::incoming::Request;
use crate::proxy::targets::branch::Failure;
use crate::proxy::{Proxy, ProxyOutput};
use crate::table::deadlines::{Deadlines, Owner};
use crate::table::hash::give_back;
use crate::table::slab::Handle;
use crate::transactions::quota::Usage;
use crate::transactions::{Consequence, Drive, Due, Heard, ServerInput, Transactions};
use clock::Instant;
use sip_wire::Message;

impl Proxy {
    /// Does everything that is due. Call it at [`deadline`](Self::deadline), or as soon after as possible.
    pub fn wake(&mut self, now: Instant, out: &mut ProxyOutput) {
        while let Some((at, owner)) = self.transactions.deadlines.pop(now) {
            match owner {
                Owner::Server(handle) => self.wake_context(now, at, handle, out),
                Owner::Client(handle) => self.wake_branch(now, at, handle, out),
                Owner::Dialog(_) | Owner::Subscription(_) => {}
            }
        }
        self.wake_stopping(now, out);
        self.sweep_room();
        self.transactions.sweep(0, |_| false);
        give_back(&mut self.ack_index);
    }

    fn wake_context(&mut self, now: Instant, at: Instant, handle: Handle, out: &mut ProxyOutput) {
        let Some(context) = self.transactions.servers.get_mut(handle) else { return };
        if !Deadlines::fired(&mut context.alarm, at) {
            return;
        }
        if context.machine.deadline().is_some_and(|deadline| deadline <= now) {
            self.drive_context(now, handle, ServerInput::Deadline, out);
        }
        self.answer_called_off_at(now, handle, out);
        self.settle_context(handle);
    }

    fn wake_branch(&mut self, now: Instant, at: Instant, handle: Handle, out: &mut ProxyOutput) {
        let is_cancel = self.transactions.clients.get(handle).is_some_and(|branch| branch.is_cancel);
        let Some(heard) = self.transactions.wake_client(now, at, handle, out) else { return };
        if heard == Heard::Timeout && !is_cancel {
            self.branch_failed(now, handle, Failure::Silence, out);
        }
        match self.transactions.ring_due(now, handle) {
            Due::Nothing => {}
            Due::CancelUnanswered => self.branch_failed(now, handle, Failure::Silence, out),
            Due::RingLimit => self.cancel_branch(now, handle, out),
        }
        self.settle_branch(handle);
    }

    /// Gives the transaction of a request an input, and does what follows.
    pub(crate) fn drive_context(&mut self, now: Instant, handle: Handle, input: ServerInput, out: &mut ProxyOutput) {
        let Some(context) = self.transactions.servers.get(handle) else { return };
        let is_proven = self.transactions.proven.has(now, &context.address);
        match self.transactions.drive_server(now, handle, Drive { input, fresh: None, is_proven }, out) {
            Consequence::Nothing | Consequence::NoAck => {}
            Consequence::WantsTrying => self.send_trying(handle, is_proven, out),
            Consequence::Unanswered => self.give_up_deciding(now, handle, out),
        }
        self.settle_context(handle);
    }

    /// The user of the proxy never decided about a request.
    fn give_up_deciding(&mut self, now: Instant, handle: Handle, out: &mut ProxyOutput) {
        let Some(context) = self.transactions.servers.get_mut(handle) else { return };
        let redirects = std::mem::take(&mut context.targets.redirects);
        let (is_routed, is_undecided) = (context.targets.count > 0, !redirects.is_empty());
        if !is_routed {
            self.answer_own(now, handle, &Answer::of(480), out);
        } else if is_undecided {
            self.finish(now, handle, out);
        }
    }

    fn send_trying(&mut self, handle: Handle, is_proven: bool, out: &mut ProxyOutput) {
        let Some(context) = self.transactions.servers.get(handle) else { return };
        let Ok(message) = Message::parse(&context.request) else { return };
        let Ok(request) = Request::new(&message) else { return };
        let mark = out.mark();
        put_status_line(out.arena(), 100, "");
        request.put_head(&context.in_flow, "", out.arena());
        put_content(out.arena(), &Content::NONE);
        let span = out.span_from(mark);
        self.transactions.send_trying(handle, span, is_proven, out);
    }

    /// Forgets a request whose transaction and branches are over, or sees to its deadline.
    pub(crate) fn settle_context(&mut self, handle: Handle) {
        let is_over = self.transactions.settle_server(handle);
        let Transactions { servers, clients, .. } = &mut self.transactions;
        let Some(context) = servers.get_mut(handle) else { return };
        context.targets.branches.retain(|branch| clients.get(*branch).is_some());
        if !is_over || !context.targets.branches.is_empty() {
            return self.recount(handle);
        }
        self.forget_context(handle);
    }

    pub(crate) fn forget_context(&mut self, handle: Handle) {
        self.release_stranger(handle);
        self.forget_ack(handle);
        if let Some(mut context) = self.transactions.forget_server(handle) {
            if !context.outcome.is_answered {
                self.unanswered.remove(context.is_call());
            }
            self.room.quota.change(&mut context.caller, Usage::default());
        }
    }

    /// Forgets a branch that is over, or sees to its deadline.
    pub(crate) fn settle_branch(&mut self, handle: Handle) {
        if self.transactions.settle_client(handle)
            && let Some(branch) = self.transactions.forget_client(handle)
        {
            self.settle_context(branch.context);
        }
    }
}
