//! The machine of a request of ours, INVITE or another (RFC 3261 §17.1).

use crate::config::Timers;
use crate::transactions::machines::{Actions, InviteClient, NonInviteClient};
use clock::Instant;

/// The machine of a request of ours.
pub(crate) enum ClientMachine {
    Invite(InviteClient),
    Other(NonInviteClient),
}

impl ClientMachine {
    /// The first action of both machines is to send, which is the caller's.
    pub(crate) fn start(now: Instant, timers: &Timers, is_invite: bool, reliable: bool) -> Self {
        match is_invite {
            true => Self::Invite(InviteClient::start(now, timers, reliable, &mut Actions::default())),
            false => Self::Other(NonInviteClient::start(now, timers, reliable, &mut Actions::default())),
        }
    }

    pub(crate) fn is_invite(&self) -> bool {
        matches!(self, Self::Invite(_))
    }

    /// The same request from its start, over a flow that may be of another kind.
    pub(crate) fn start_again(&mut self, now: Instant, timers: &Timers, reliable: bool) {
        *self = Self::start(now, timers, self.is_invite(), reliable);
    }

    pub(crate) fn abandon(&mut self) {
        match self {
            Self::Invite(machine) => machine.abandon(),
            Self::Other(machine) => machine.abandon(),
        }
    }

    pub(crate) fn is_terminated(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_terminated(),
            Self::Other(machine) => machine.is_terminated(),
        }
    }

    /// Whether a final response is still awaited.
    pub(crate) fn is_waiting(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_waiting(),
            Self::Other(machine) => machine.is_waiting(),
        }
    }

    /// Whether a provisional response came.
    pub(crate) fn is_proceeding(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_proceeding(),
            Self::Other(machine) => machine.is_proceeding(),
        }
    }

    /// Whether no response has come at all.
    pub(crate) fn is_unheard(&self) -> bool {
        self.is_waiting() && !self.is_proceeding()
    }

    /// Waits no longer than that for the first response.
    pub(crate) fn hurry(&mut self, give_up_at: Instant) {
        match self {
            Self::Invite(machine) => machine.hurry(give_up_at),
            Self::Other(machine) => machine.hurry(give_up_at),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Invite(machine) => machine.deadline(),
            Self::Other(machine) => machine.deadline(),
        }
    }
}
