//! Counts of a shard's sessions and of entries that are left over.

use crate::{BridgeId, Session, SessionId, SessionState, Sessions};
use clock::{Duration, Instant};
use media_control::Legs;
use sip_core::{CallId, DialogId, SubscriptionId};
use std::fmt;

/// The numbers of one shard. All of them are zero at rest, except those of deadlines that were set anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Health {
    /// Sessions, ending ones included.
    pub session_count: usize,
    /// Those whose end has been decided.
    pub ending_count: usize,
    /// Those with a media port.
    pub leg_count: usize,
    /// Dialogs that events find a session by.
    pub dialog_count: usize,
    /// INVITEs of ours on their way.
    pub call_count: usize,
    /// Transfers that we wait for.
    pub transfer_count: usize,
    /// Bridges.
    pub bridge_count: usize,
    /// Bytes that sessions take, tables not included.
    pub session_bytes: usize,
    /// Timers that are set.
    pub timer_count: usize,
    /// Times that are waited for; some are of timers that were set anew, or of sessions that are gone.
    pub deadline_count: usize,
    /// Age of the oldest session.
    pub oldest: Duration,
    /// Entries of tables that belong to no session, and ending sessions that nothing would ever end. More than none is
    /// a leak.
    pub leak_count: usize,
}

/// An entry that belongs to no session, or a session that would never end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leak {
    /// A dialog whose session is gone.
    Dialog(DialogId, SessionId),
    /// An INVITE of ours whose session is gone.
    Invite(CallId, SessionId),
    /// A transfer whose session is gone.
    Transfer(SubscriptionId, SessionId),
    /// A seat in a bridge whose session is gone.
    Seat(BridgeId, SessionId),
    /// A session that is ending, and that nothing would ever end.
    Stuck(SessionId),
}

impl Leak {
    /// The session that it was left by.
    pub fn session(&self) -> SessionId {
        match *self {
            Self::Dialog(_, id) | Self::Invite(_, id) | Self::Transfer(_, id) | Self::Seat(_, id) | Self::Stuck(id) => {
                id
            }
        }
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dialog(dialog, id) => write!(f, "{dialog:?} of session {id}, which is gone"),
            Self::Invite(call, id) => write!(f, "INVITE {call:?} of session {id}, which is gone"),
            Self::Transfer(subscription, id) => write!(f, "transfer {subscription:?} of session {id}, which is gone"),
            Self::Seat(bridge, id) => write!(f, "a seat in bridge {bridge} of session {id}, which is gone"),
            Self::Stuck(id) => write!(f, "session {id} is ending, and nothing will end it"),
        }
    }
}

impl Sessions {
    /// Looks at all of it. It takes about a microsecond for each session.
    pub fn health(&self, now: Instant) -> Health {
        let mut health = Health {
            session_count: self.table.count(),
            dialog_count: self.by_dialog.len(),
            call_count: self.by_call.len(),
            transfer_count: self.by_subscription.len(),
            bridge_count: self.bridges().count(),
            deadline_count: self.deadlines.len(),
            leak_count: self.leaks().count(),
            ..Health::default()
        };
        for session in self.table.iter() {
            health.ending_count += usize::from(session.state() == SessionState::Terminating);
            health.leg_count += usize::from(session.leg().is_some());
            health.session_bytes += session.bytes();
            health.timer_count += session.timers.count();
            health.oldest = health.oldest.max(now.since(session.created_at()));
        }
        health
    }

    /// The entries that are left over.
    pub fn leaks(&self) -> impl Iterator<Item = Leak> {
        let lost = |id: &SessionId| self.table.get(*id).is_none();
        let dialogs =
            self.by_dialog.iter().filter(move |(_, id)| lost(id)).map(|(dialog, id)| Leak::Dialog(*dialog, *id));
        let invites = self.by_call.iter().filter(move |(_, id)| lost(id)).map(|(call, id)| Leak::Invite(*call, *id));
        let transfers = self.by_subscription.iter().filter(move |(_, id)| lost(id));
        let transfers = transfers.map(|(subscription, id)| Leak::Transfer(*subscription, *id));
        let seats = self.bridges().flat_map(|(bridge, ids)| ids.iter().map(move |id| (bridge, *id)));
        let seats = seats.filter(move |(_, id)| lost(id)).map(|(bridge, id)| Leak::Seat(bridge, id));
        let stuck = self.table.iter().filter(|session| session.is_stuck(&self.legs));
        dialogs.chain(invites).chain(transfers).chain(seats).chain(stuck.map(|session| Leak::Stuck(session.id())))
    }
}

impl Session {
    /// It is ending, and neither SIP nor the leg has a time by which it must be over.
    fn is_stuck(&self, legs: &Legs) -> bool {
        self.state().is_ending() && self.timers.count() == 0 && !self.has_closing_leg(legs)
    }

    /// Its dialogs: one, or as many early ones as branches of its INVITE have answered so far.
    pub fn dialog_count(&self) -> usize {
        usize::from(self.dialog().is_some()) + self.outgoing.as_ref().map_or(0, |out| out.early_count())
    }

    /// Timers of it that are set.
    pub fn timer_count(&self) -> usize {
        self.timers.count()
    }

    /// Bytes that it takes, what it points to included.
    pub fn bytes(&self) -> usize {
        let parties = self.parties();
        let texts = [&parties.from, &parties.to, &parties.called_user, &parties.call_id];
        let boxes = [
            self.incoming.as_ref().map_or(0, |incoming| incoming.bytes()),
            self.negotiation.bytes(),
            self.sdp.bytes(),
            self.outgoing.as_ref().map_or(0, |out| size_of_val(&**out)),
        ];
        size_of::<Self>() + texts.iter().map(|text| text.len()).sum::<usize>() + boxes.iter().sum::<usize>()
    }
}
