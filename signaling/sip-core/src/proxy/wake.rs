//! Deadlines, and what is over.

use super::relay::BranchInput;
use super::{Proxy, ProxyOutput};
use crate::content::Content;
use crate::slab::Handle;
use crate::timer::{Owner, Timers};
use crate::transaction::{Actions, InviteServerAction, InviteServerInput, NonInviteServerAction, NonInviteServerInput};
use crate::transactions::{Cancel, ClientMachine, ServerMachine};
use clock::Instant;

impl Proxy {
    /// Does everything that is due. Call it at [`deadline`](Self::deadline), or as soon after as possible.
    pub fn wake(&mut self, now: Instant, out: &mut ProxyOutput) {
        while let Some((at, owner)) = self.timers.pop(now) {
            match owner {
                Owner::Server(handle) => self.wake_context(now, at, handle, out),
                Owner::Client(handle) => self.wake_branch(now, at, handle, out),
                Owner::Dialog(_) | Owner::Subscription(_) => {}
            }
        }
        self.wake_stopping(now, out);
        self.sweep_timers();
    }

    fn wake_context(&mut self, now: Instant, at: Instant, handle: Handle, out: &mut ProxyOutput) {
        let Some(context) = self.contexts.get_mut(handle) else { return };
        if !Timers::fired(&mut context.alarm, at) {
            return;
        }
        if context.machine.deadline().is_some_and(|deadline| deadline <= now) {
            if context.is_invite {
                self.drive_invite(now, handle, InviteServerInput::Deadline, out);
            } else {
                self.drive_other(now, handle, NonInviteServerInput::Deadline, out);
            }
        }
        self.settle_context(handle);
    }

    fn wake_branch(&mut self, now: Instant, at: Instant, handle: Handle, out: &mut ProxyOutput) {
        let Some(branch) = self.branches.get_mut(handle) else { return };
        if !Timers::fired(&mut branch.alarm, at) {
            return;
        }
        let is_cancel = branch.is_cancel;
        if branch.machine.deadline().is_some_and(|deadline| deadline <= now)
            && self.drive_branch(now, handle, BranchInput::Deadline, None, out) == Some(false)
            && !is_cancel
        {
            self.branch_failed(now, handle, 408, None, out);
        }
        self.wake_ringing(now, handle, out);
        self.settle_branch(handle);
    }

    /// Timer C, and the end of the patience with a branch that was cancelled.
    fn wake_ringing(&mut self, now: Instant, handle: Handle, out: &mut ProxyOutput) {
        let Some(branch) = self.branches.get_mut(handle) else { return };
        if !branch.machine.is_waiting() || !matches!(branch.machine, ClientMachine::Invite(_)) {
            return;
        }
        match branch.cancel {
            Cancel::Sent(until) if now >= until => {
                branch.machine.abandon();
                self.branch_failed(now, handle, 408, None, out);
            }
            Cancel::No if now >= branch.ring_until => self.cancel_branch(now, handle, out),
            _ => {}
        }
    }

    pub(super) fn drive_invite(
        &mut self,
        now: Instant,
        handle: Handle,
        input: InviteServerInput,
        out: &mut ProxyOutput,
    ) {
        let Some(context) = self.contexts.get_mut(handle) else { return };
        let ServerMachine::Invite(machine) = &mut context.machine else { return };
        let mut actions = Actions::default();
        machine.handle(now, &self.config.timers, input, &mut actions);
        let (mut is_unanswered, mut is_late, mut is_sent) = (false, false, false);
        for action in actions {
            match action {
                InviteServerAction::Send => is_sent = true,
                InviteServerAction::SendTrying => is_late = true,
                InviteServerAction::Unanswered => is_unanswered = true,
                InviteServerAction::NoAck => {}
            }
        }
        if is_sent {
            self.send_answer(now, handle, out);
        }
        if is_late {
            self.put_trying(handle);
            self.send_answer(now, handle, out);
        }
        let context = self.contexts.get_mut(handle);
        if let Some(context) = context.filter(|_| is_unanswered) {
            // Whoever should have decided never did.
            let redirects = std::mem::take(&mut context.redirects);
            let (is_routed, is_undecided) = (context.targets_count > 0, !redirects.is_empty());
            if !is_routed {
                self.answer_own(now, handle, 480, "", &Content::NONE, out);
            } else if is_undecided {
                self.finish(now, handle, out);
            }
        }
        self.settle_context(handle);
    }

    fn put_trying(&mut self, handle: Handle) {
        let Some(context) = self.contexts.get_mut(handle) else { return };
        let Ok(message) = sip_wire::Message::parse(&context.request) else { return };
        let Ok(inc) = crate::incoming::Incoming::new(&message) else { return };
        let mut bytes = Vec::with_capacity(512);
        crate::compose::put_status_line(&mut bytes, 100, "");
        inc.put_head(&context.in_flow, "", &mut bytes);
        crate::compose::put_content(&mut bytes, &Content::NONE);
        context.response = bytes.into_boxed_slice();
    }

    pub(super) fn drive_other(
        &mut self,
        now: Instant,
        handle: Handle,
        input: NonInviteServerInput,
        out: &mut ProxyOutput,
    ) {
        let Some(context) = self.contexts.get_mut(handle) else { return };
        let ServerMachine::Other(machine) = &mut context.machine else { return };
        let mut actions = Actions::default();
        machine.handle(now, &self.config.timers, input, &mut actions);
        for action in actions {
            if action == NonInviteServerAction::Send {
                self.send_answer(now, handle, out);
            }
        }
        self.settle_context(handle);
    }

    /// Forgets a request whose transaction and branches are over, or sees to its deadline.
    pub(super) fn settle_context(&mut self, handle: Handle) {
        let Self { contexts, branches, timers, context_index, .. } = self;
        let Some(context) = contexts.get_mut(handle) else { return };
        context.branches.retain(|branch| branches.get(*branch).is_some());
        if !context.machine.is_terminated() {
            let deadline = context.machine.deadline();
            return timers.arm(&mut context.alarm, Owner::Server(handle), deadline);
        }
        if context.branches.is_empty() {
            let (key, stranger) = (context.key, context.stranger.take());
            if !context.is_answered {
                self.unanswered.remove(context.is_call());
            }
            contexts.remove(handle);
            context_index.remove(&key);
            self.forget_stranger(handle, stranger);
        }
    }

    /// Forgets a branch that is over, or sees to its deadline.
    pub(super) fn settle_branch(&mut self, handle: Handle) {
        let Some(branch) = self.branches.get_mut(handle) else { return };
        if !branch.machine.is_terminated() {
            let deadline = branch.deadline();
            return self.timers.arm(&mut branch.alarm, Owner::Client(handle), deadline);
        }
        let (key, context) = (branch.key, branch.context);
        self.branches.remove(handle);
        self.branch_index.remove(&key);
        self.settle_context(context);
    }
}
