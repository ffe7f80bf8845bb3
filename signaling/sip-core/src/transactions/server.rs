//! Server transactions: made, driven, repeated, forgotten (RFC 3261 §17.2).

use crate::flow::Flow;
use crate::message::incoming::Incoming;
use crate::output::{Output, Span};
use crate::table::deadlines::{Alarm, Owner};
use crate::table::hash::Key;
use crate::table::slab::Handle;
use crate::transactions::Transactions;
use crate::transactions::client::ClientUse;
use crate::transactions::machines::{
    Actions, InviteServer, InviteServerAction, InviteServerInput, NonInviteServer, NonInviteServerAction,
    NonInviteServerInput,
};
use crate::transactions::proven::{Address, Budget};
use clock::Instant;
use sip_wire::Method;
use std::ops::{Deref, DerefMut};

/// What a transaction user keeps of a request that came.
pub(crate) trait ServerUse {
    /// When the user wants to look at it, beside the deadlines of its transaction.
    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// The machine of a request that came to us.
pub(crate) enum ServerMachine {
    Invite(InviteServer),
    Other(NonInviteServer),
}

impl ServerMachine {
    /// Whether a final response is still owed.
    pub(crate) fn is_waiting(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_waiting(),
            Self::Other(machine) => machine.is_waiting(),
        }
    }

    pub(crate) fn is_terminated(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_terminated(),
            Self::Other(machine) => machine.is_terminated(),
        }
    }

    /// Whether it is an INVITE that was refused: the ACK for that ends here.
    pub(crate) fn is_refused_invite(&self) -> bool {
        matches!(self, Self::Invite(machine) if machine.is_refused())
    }

    /// Whether it is an INVITE that was refused, over whatever transport, and waits for its ACK.
    pub(crate) fn is_refusal_unacknowledged(&self) -> bool {
        matches!(self, Self::Invite(machine) if machine.is_refusal_unacknowledged())
    }

    /// Whether it is an INVITE that was refused over UDP and waits for its ACK.
    pub(crate) fn is_repeating_refusal(&self) -> bool {
        matches!(self, Self::Invite(machine) if machine.is_repeating_refusal())
    }

    /// Whether it is an INVITE that was accepted and waits for its ACK.
    pub(crate) fn is_accepted_invite(&self) -> bool {
        matches!(self, Self::Invite(machine) if machine.is_accepted())
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Invite(machine) => machine.deadline(),
            Self::Other(machine) => machine.deadline(),
        }
    }
}

/// A request that came to us, with what its user keeps of it.
pub(crate) struct Server<S> {
    pub(crate) machine: ServerMachine,
    pub(crate) key: Key,
    pub(crate) merge_key: Option<Key>,
    /// Where responses go (RFC 3261 §18.2.2).
    pub(crate) flow: Flow,
    /// The other end of that flow.
    pub(crate) address: Address,
    /// The last response, to be repeated.
    pub(crate) response: Box<[u8]>,
    /// What came and went.
    pub(crate) budget: Budget,
    pub(crate) alarm: Alarm,
    pub(crate) user: S,
}

impl<S> Deref for Server<S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.user
    }
}

impl<S> DerefMut for Server<S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.user
    }
}

/// An input that both machines know.
#[derive(Clone, Copy)]
pub(crate) enum ServerInput {
    Request,
    Respond(u16),
    Ack,
    Deadline,
}

/// An input of a server transaction, and what decides about the answers that it sends.
#[derive(Clone, Copy)]
pub(crate) struct Drive {
    pub(crate) input: ServerInput,
    /// The response that has just been written; without it the kept one goes out.
    pub(crate) fresh: Option<Span>,
    /// The source has shown that it gets what is sent there. Where that may be forged, answers go only as far as the request
    /// and its copies have paid for them.
    pub(crate) is_proven: bool,
}

/// What the user of a transaction has to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Consequence {
    Nothing,
    /// Write 100 Trying and hand it to [`Transactions::send_trying`].
    WantsTrying,
    /// An INVITE was not answered within the ring limit.
    Unanswered,
    /// The final response to an INVITE was never acknowledged.
    NoAck,
}

impl<S: ServerUse, C: ClientUse> Transactions<S, C> {
    /// The transaction of a request, if it is a copy of one that is known; for an ACK, its INVITE.
    pub(crate) fn server_of(&self, inc: &Incoming<'_, '_>) -> Option<Handle> {
        self.server_index.get(&inc.key).copied()
    }

    /// Opens a transaction for a request that is none yet; `None`: the table is full.
    pub(crate) fn open_server(&mut self, inc: &Incoming<'_, '_>, user: S) -> Option<Handle> {
        let (now, timers, reliable) = (inc.now, &self.rules.timers, inc.flow.transport.is_reliable());
        let sender = inc.sender(&self.keyed);
        let merge_key = (inc.to_tag.is_none() && !self.rules.relays).then(|| inc.merge_key(&self.keyed));
        let server = Server {
            machine: match inc.method {
                Method::Invite if self.rules.relays => {
                    ServerMachine::Invite(InviteServer::start_relaying(now, timers, reliable))
                }
                Method::Invite => ServerMachine::Invite(InviteServer::start(now, timers, reliable)),
                _ => ServerMachine::Other(NonInviteServer::start(now, timers, reliable)),
            },
            key: inc.key,
            merge_key,
            flow: sender.flow,
            address: sender.address,
            response: Box::default(),
            budget: Budget::of(inc.message.as_bytes().len()),
            alarm: Alarm::default(),
            user,
        };
        let handle = self.servers.insert(server).ok()?;
        self.server_index.insert(inc.key, handle);
        if let Some(merge_key) = merge_key {
            // One that is refused as merged does not take the place of the first.
            self.merge_index.entry(merge_key).or_insert(handle);
        }
        self.settle_server(handle);
        Some(handle)
    }

    /// A copy of a request came: it earns a copy of the answer. [`drive_server`](Self::drive_server) with
    /// [`ServerInput::Request`] follows.
    pub(crate) fn note_copy(&mut self, handle: Handle, inc: &Incoming<'_, '_>) {
        self.counters.retransmissions += 1;
        if let Some(server) = self.servers.get_mut(handle) {
            server.budget.received(inc.message.as_bytes().len());
        }
    }

    /// Gives the machine an input. [`settle_server`](Self::settle_server) has to follow.
    pub(crate) fn drive_server<E: Copy>(
        &mut self,
        now: Instant,
        handle: Handle,
        drive: Drive,
        out: &mut Output<E>,
    ) -> Consequence {
        let Drive { input, fresh, is_proven } = drive;
        let Some(server) = self.servers.get_mut(handle) else { return Consequence::Nothing };
        let timers = &self.rules.timers;
        let (flow, response, budget) = (server.flow, &server.response, &mut server.budget);
        let is_due = matches!(input, ServerInput::Request) && budget.is_owing();
        let mut is_tried = false;
        let mut send = |out: &mut Output<E>| {
            is_tried = true;
            match fresh {
                Some(span) if budget.admits(is_proven, out.bytes(span)) => out.send(flow, span),
                None if !response.is_empty() && budget.admits(is_proven, response) => out.send_copy(flow, response),
                _ => {}
            }
        };
        let mut consequence = Consequence::Nothing;
        match &mut server.machine {
            ServerMachine::Invite(machine) => {
                let mut actions = Actions::default();
                machine.handle(now, timers, invite_input(input), &mut actions);
                for action in actions {
                    match action {
                        InviteServerAction::Send => send(out),
                        InviteServerAction::SendTrying => consequence = Consequence::WantsTrying,
                        InviteServerAction::Unanswered => consequence = Consequence::Unanswered,
                        InviteServerAction::NoAck => consequence = Consequence::NoAck,
                    }
                }
            }
            ServerMachine::Other(machine) => {
                let Some(input) = other_input(input) else { return Consequence::Nothing };
                let mut actions = Actions::default();
                machine.handle(now, timers, input, &mut actions);
                for action in actions {
                    match action {
                        NonInviteServerAction::Send => send(out),
                        // Its sender has given up as well.
                        NonInviteServerAction::Unanswered => {}
                    }
                }
            }
        }
        // The machine takes a 2xx for sent and leaves copies of the INVITE alone (RFC 6026 §7.1).
        if is_due && !is_tried && !response.is_empty() && budget.admits(is_proven, response) {
            out.send_copy(flow, response);
        }
        consequence
    }

    /// Keeps a 100 Trying that has been written, and sends it.
    pub(crate) fn send_trying<E: Copy>(&mut self, handle: Handle, trying: Span, is_proven: bool, out: &mut Output<E>) {
        let Some(server) = self.servers.get_mut(handle) else { return };
        server.response = out.bytes(trying).into();
        if server.budget.admits(is_proven, &server.response) {
            out.send(server.flow, trying);
        }
    }

    /// Sees to the deadline of a transaction. `true`: it is over, and its user may have it forgotten.
    pub(crate) fn settle_server(&mut self, handle: Handle) -> bool {
        let Some(server) = self.servers.get_mut(handle) else { return false };
        if server.machine.is_terminated() {
            return true;
        }
        let deadline = server.machine.deadline().into_iter().chain(server.user.deadline()).min();
        self.deadlines.arm(&mut server.alarm, Owner::Server(handle), deadline);
        false
    }

    pub(crate) fn forget_server(&mut self, handle: Handle) -> Option<Box<Server<S>>> {
        let server = self.servers.remove(handle)?;
        self.server_index.remove(&server.key);
        if let Some(merge_key) = server.merge_key
            && self.merge_index.get(&merge_key) == Some(&handle)
        {
            self.merge_index.remove(&merge_key);
        }
        Some(server)
    }
}

fn invite_input(input: ServerInput) -> InviteServerInput {
    match input {
        ServerInput::Request => InviteServerInput::Request,
        ServerInput::Respond(status) => InviteServerInput::Respond(status),
        ServerInput::Ack => InviteServerInput::Ack,
        ServerInput::Deadline => InviteServerInput::Deadline,
    }
}

fn other_input(input: ServerInput) -> Option<NonInviteServerInput> {
    match input {
        ServerInput::Request => Some(NonInviteServerInput::Request),
        ServerInput::Respond(status) => Some(NonInviteServerInput::Respond(status)),
        ServerInput::Ack => None,
        ServerInput::Deadline => Some(NonInviteServerInput::Deadline),
    }
}
