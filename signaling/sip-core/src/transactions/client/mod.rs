//! Client transactions: opened, driven, cancelled, forgotten (RFC 3261 §9.1, §17.1).

mod machine;
mod same_branch;

use crate::flow::Flow;
use crate::output::{Output, Span};
use crate::table::deadlines::{Alarm, Deadlines, Owner};
use crate::table::hash::Key;
use crate::table::slab::Handle;
use crate::transactions::Transactions;
use crate::transactions::machines::{
    Actions, InviteClientAction, InviteClientInput, NonInviteClientAction, NonInviteClientInput,
};
use crate::transactions::server::ServerUse;
use clock::Instant;
use machine::ClientMachine;
use same_branch::{branch_in, put_same_branch};
use sip_wire::{Message, Name};
use std::ops::{Deref, DerefMut};

/// What a transaction user keeps of a request that it sent.
pub(crate) trait ClientUse {
    /// Whether something beside a response to this request speaks for the peer being there: then a message of the network
    /// that nobody is there (ICMP) changes nothing.
    fn is_of_known_peer(&self) -> bool;

    /// When the user wants to look at it, beside the deadlines of its transaction.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The user waits for its path: copies of it do not go out.
    fn is_held(&self) -> bool {
        false
    }
}

/// What became of the wish to cancel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Cancel {
    #[default]
    No,
    /// No provisional response has come yet (RFC 3261 §9.1).
    Wanted,
    /// CANCEL is out; without a final response the INVITE is given up then.
    Sent(Instant),
}

/// A request of ours, with what its user keeps of it.
pub(crate) struct Client<C> {
    pub(crate) machine: ClientMachine,
    pub(crate) key: Key,
    pub(crate) flow: Flow,
    /// The request as it went out.
    pub(crate) bytes: Box<[u8]>,
    /// CANCEL as soon as a provisional response allows it; given up this long after it went out.
    pub(crate) cancel: Cancel,
    /// Header lines for the CANCEL, as its `Reason` (RFC 3326).
    pub(crate) cancel_lines: Box<[u8]>,
    /// Copies of it that may still go out by themselves, unless it is an INVITE.
    pub(crate) copies_left: u8,
    /// An INVITE that rings longer is cancelled (timer C of RFC 3261 §16.6).
    pub(crate) ring_until: Instant,
    pub(crate) alarm: Alarm,
    pub(crate) user: C,
}

impl<C> Deref for Client<C> {
    type Target = C;
    fn deref(&self) -> &C {
        &self.user
    }
}

impl<C> DerefMut for Client<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.user
    }
}

impl<C: ClientUse> Client<C> {
    fn deadline(&self) -> Option<Instant> {
        let rings = self.machine.is_waiting() && self.machine.is_invite();
        let limit = match self.cancel {
            Cancel::Sent(until) if rings => Some(until),
            Cancel::No if rings => Some(self.ring_until),
            _ => None,
        };
        [self.machine.deadline(), limit, self.user.deadline()].into_iter().flatten().min()
    }

    /// Whether nothing speaks for the peer being there.
    pub(crate) fn is_unheard(&self) -> bool {
        self.machine.is_unheard() && !self.user.is_of_known_peer()
    }
}

/// An input that both machines know.
#[derive(Clone, Copy)]
pub(crate) enum ClientInput<'m> {
    /// A response with this status.
    Response(u16, &'m Message<'m>),
    Deadline,
}

/// What a client transaction's user has to hear of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    Nothing,
    Response,
    Timeout,
}

/// What is due beside the machine's own timers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    Nothing,
    /// No final response came to the CANCEL: the transaction has ended (RFC 3261 §9.1).
    CancelUnanswered,
    /// It has rung for too long: it is to be cancelled.
    RingLimit,
}

/// What a client transaction is opened with, beside its bytes.
pub(crate) struct Opening<C> {
    pub(crate) key: Key,
    pub(crate) flow: Flow,
    pub(crate) is_invite: bool,
    pub(crate) copies_left: u8,
    pub(crate) user: C,
}

impl<S: ServerUse, C: ClientUse> Transactions<S, C> {
    /// The key of a request of ours. `branch` is without the cookie of RFC 3261.
    pub(crate) fn client_key(&self, branch: &[u8], method: &[u8]) -> Key {
        self.keyed.key(&[b"client", branch, method])
    }

    /// Opens a transaction for a request whose bytes are written, and sends it unless its user holds it. `None`: the table is
    /// full.
    pub(crate) fn open_client<E: Copy>(
        &mut self,
        now: Instant,
        opening: Opening<C>,
        bytes: Span,
        out: &mut Output<E>,
    ) -> Option<Handle> {
        let timers = &self.rules.timers;
        let reliable = opening.flow.transport.is_reliable();
        let client = Client {
            machine: ClientMachine::start(now, timers, opening.is_invite, reliable),
            key: opening.key,
            flow: opening.flow,
            bytes: out.bytes(bytes).into(),
            cancel: Cancel::No,
            cancel_lines: Box::default(),
            copies_left: opening.copies_left,
            ring_until: now + timers.ring_limit,
            alarm: Alarm::default(),
            user: opening.user,
        };
        let (is_held, is_invite) = (client.user.is_held(), opening.is_invite);
        let handle = self.clients.insert(client).ok()?;
        self.client_index.insert(opening.key, handle);
        self.counters.invites_sent += u64::from(is_invite);
        if !is_held {
            out.send(opening.flow, bytes);
        }
        self.settle_client(handle);
        Some(handle)
    }

    /// Gives the machine an input; says whether the user has to hear of it. [`settle_client`](Self::settle_client) has to
    /// follow.
    pub(crate) fn drive_client<E: Copy>(
        &mut self,
        now: Instant,
        handle: Handle,
        input: ClientInput<'_>,
        out: &mut Output<E>,
    ) -> Heard {
        let Some(client) = self.clients.get_mut(handle) else { return Heard::Nothing };
        let timers = &self.rules.timers;
        let (status, response) = match input {
            ClientInput::Response(status, response) => (Some(status), Some(response)),
            ClientInput::Deadline => (None, None),
        };
        let mut heard = Heard::Nothing;
        let (flow, is_held) = (client.flow, client.user.is_held());
        let repeat = |bytes: &[u8], out: &mut Output<E>| {
            if !is_held {
                out.send_copy(flow, bytes);
            }
        };
        match &mut client.machine {
            ClientMachine::Invite(machine) => {
                let mut actions = Actions::default();
                let input = status.map_or(InviteClientInput::Deadline, InviteClientInput::Response);
                machine.handle(now, timers, input, &mut actions);
                for action in actions {
                    match action {
                        InviteClientAction::Send => repeat(&client.bytes, out),
                        InviteClientAction::Deliver => heard = Heard::Response,
                        InviteClientAction::GiveUp => heard = Heard::Timeout,
                        InviteClientAction::Ack => {
                            let to = response.and_then(|response| response.header(Name::To));
                            let mark = out.mark();
                            if put_same_branch(&client.bytes, b"ACK", to, b"", out.arena()).is_some() {
                                let span = out.span_from(mark);
                                out.send(flow, span);
                            }
                        }
                    }
                }
            }
            ClientMachine::Other(machine) => {
                let mut actions = Actions::default();
                let input = status.map_or(NonInviteClientInput::Deadline, NonInviteClientInput::Response);
                machine.handle(now, timers, input, &mut actions);
                for action in actions {
                    match action {
                        NonInviteClientAction::Send if client.copies_left == 0 => {}
                        NonInviteClientAction::Send => {
                            client.copies_left -= 1;
                            repeat(&client.bytes, out);
                        }
                        NonInviteClientAction::Deliver => heard = Heard::Response,
                        NonInviteClientAction::GiveUp => heard = Heard::Timeout,
                    }
                }
            }
        }
        heard
    }

    /// CANCEL now if a provisional response came, else as soon as one does (RFC 3261 §9.1). `user` makes what the user keeps
    /// of the CANCEL from what it keeps of the INVITE.
    pub(crate) fn cancel_client<E: Copy>(
        &mut self,
        now: Instant,
        handle: Handle,
        user: impl FnOnce(&C) -> C,
        out: &mut Output<E>,
    ) {
        let until = now + self.rules.timers.give_up();
        let Some(client) = self.clients.get_mut(handle) else { return };
        let may_be = client.machine.is_invite() && client.machine.is_waiting();
        if !may_be || matches!(client.cancel, Cancel::Sent(_)) {
            return;
        }
        if !client.machine.is_proceeding() {
            client.cancel = Cancel::Wanted;
            return;
        }
        client.cancel = Cancel::Sent(until);
        let (flow, user) = (client.flow, user(&client.user));
        let mark = out.mark();
        let Some(client) = self.clients.get(handle) else { return };
        let via = put_same_branch(&client.bytes, b"CANCEL", None, &client.cancel_lines, out.arena());
        let key = via.and_then(branch_in).map(|branch| self.client_key(branch, b"CANCEL"));
        if let Some(key) = key {
            let bytes = out.span_from(mark);
            // With a full table the INVITE ends by its own clock.
            self.open_client(now, Opening { key, flow, is_invite: false, copies_left: u8::MAX, user }, bytes, out);
        }
        self.settle_client(handle);
    }

    /// The end of the patience with an INVITE that was cancelled, and the limit of one that rings (timer C).
    pub(crate) fn ring_due(&mut self, now: Instant, handle: Handle) -> Due {
        let Some(client) = self.clients.get_mut(handle) else { return Due::Nothing };
        if !client.machine.is_invite() || !client.machine.is_waiting() {
            return Due::Nothing;
        }
        match client.cancel {
            Cancel::Sent(until) if now >= until => {
                client.machine.abandon();
                Due::CancelUnanswered
            }
            Cancel::No if now >= client.ring_until => Due::RingLimit,
            _ => Due::Nothing,
        }
    }

    /// Whether the deadline that fired is the one that this transaction waits for; drives its machine then.
    pub(crate) fn wake_client<E: Copy>(
        &mut self,
        now: Instant,
        at: Instant,
        handle: Handle,
        out: &mut Output<E>,
    ) -> Option<Heard> {
        let client = self.clients.get_mut(handle)?;
        if !Deadlines::fired(&mut client.alarm, at) {
            return None;
        }
        let is_due = client.machine.deadline().is_some_and(|deadline| deadline <= now);
        Some(if is_due { self.drive_client(now, handle, ClientInput::Deadline, out) } else { Heard::Nothing })
    }

    /// Sees to the deadline of a transaction. `true`: it is over, and its user may have it forgotten.
    pub(crate) fn settle_client(&mut self, handle: Handle) -> bool {
        let Some(client) = self.clients.get_mut(handle) else { return false };
        if client.machine.is_terminated() && client.user.deadline().is_none() {
            return true;
        }
        let deadline = client.deadline();
        self.deadlines.arm(&mut client.alarm, Owner::Client(handle), deadline);
        false
    }

    /// Another request takes the place of the one that was sent: responses to that one are strays from now on.
    pub(crate) fn replace_request(&mut self, handle: Handle, key: Key, bytes: Box<[u8]>) {
        let Some(client) = self.clients.get_mut(handle) else { return };
        self.client_index.remove(&client.key);
        (client.key, client.bytes) = (key, bytes);
        self.client_index.insert(key, handle);
    }

    pub(crate) fn forget_client(&mut self, handle: Handle) -> Option<Box<Client<C>>> {
        let client = self.clients.remove(handle)?;
        self.client_index.remove(&client.key);
        Some(client)
    }
}
