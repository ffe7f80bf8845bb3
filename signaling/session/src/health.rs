//! How a shard's sessions are: what is there, and whether anything is that should not be.

use crate::{Session, SessionState, Sessions};
use clock::{Duration, Instant};

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
    /// Age of the oldest session.
    pub oldest: Duration,
    /// Entries of tables that belong to no session, and ending sessions that nothing would ever end. More than none is
    /// a leak.
    pub leak_count: usize,
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
            leak_count: self.orphans(),
            ..Health::default()
        };
        for session in self.table.iter() {
            let is_stuck = session.state.is_ending() && !session.alarms.is_any_set();
            health.ending_count += usize::from(session.state == SessionState::Terminating);
            health.leg_count += usize::from(session.port().is_some());
            health.session_bytes += session.bytes();
            health.leak_count += usize::from(is_stuck);
            health.oldest = health.oldest.max(now.since(session.created_at));
        }
        health
    }

    /// Entries that lead nowhere.
    fn orphans(&self) -> usize {
        let lost = |id: &crate::SessionId| self.table.get(*id).is_none();
        let dialogs = self.by_dialog.values().filter(|id| lost(id)).count();
        let calls = self.by_call.values().filter(|id| lost(id)).count();
        let transfers = self.by_subscription.values().filter(|id| lost(id)).count();
        let members = self.bridges().flat_map(|(_, members)| members).filter(|id| lost(id)).count();
        dialogs + calls + transfers + members
    }
}

impl Session {
    /// Bytes that it takes, what it points to included.
    pub fn bytes(&self) -> usize {
        let parties = &self.parties;
        let texts = [&parties.from, &parties.to, &parties.called_user, &parties.call_id];
        let others = self.description.as_ref().map_or(0, |text| text.len()) + self.raw_offer.len();
        let boxes = [
            self.offer.as_ref().map_or(0, |_| size_of::<sdp_core::Offer>()),
            self.change.as_ref().map_or(0, |change| size_of_val(&**change) + change.description.len()),
            self.out.as_ref().map_or(0, |out| size_of_val(&**out)),
        ];
        size_of::<Self>() + texts.iter().map(|text| text.len()).sum::<usize>() + others + boxes.iter().sum::<usize>()
    }
}
