//! What a session has to do with transfers: one that we asked its peer for, one that its peer asked us for, and the call
//! that was placed for that.

use super::received_refer::{Referral, Referred};
use super::sent_refer::Transfer;
use crate::SessionId;

/// The transfers of a session. Without any it takes no memory.
#[derive(Debug, Default)]
pub(crate) struct Transfers(Option<Box<Parts>>);

#[derive(PartialEq, Eq, Debug, Default)]
struct Parts {
    /// We asked the peer to call another party.
    sent: Option<Transfer>,
    /// What became of a REFER of the peer.
    received: Referred,
    /// This session was placed for a REFER.
    referral: Option<Referral>,
    /// The session that this one is to hear once it is answered.
    will_hear: Option<SessionId>,
}

impl Transfers {
    fn edit<R>(&mut self, work: impl FnOnce(&mut Parts) -> R) -> R {
        let mut parts = self.0.take().unwrap_or_default();
        let result = work(&mut parts);
        self.0 = (*parts != Parts::default()).then_some(parts);
        result
    }

    pub(crate) fn sent(&self) -> Option<&Transfer> {
        self.0.as_ref()?.sent.as_ref()
    }

    pub(crate) fn begin(&mut self, transfer: Transfer) {
        self.edit(|parts| parts.sent = Some(transfer));
    }

    pub(crate) fn take_sent(&mut self) -> Option<Transfer> {
        self.sent()?;
        self.edit(|parts| parts.sent.take())
    }

    pub(crate) fn received(&self) -> Referred {
        self.0.as_ref().map_or(Referred::Nothing, |parts| parts.received)
    }

    pub(crate) fn set_received(&mut self, received: Referred) {
        if self.received() != received {
            self.edit(|parts| parts.received = received);
        }
    }

    pub(crate) fn referral(&self) -> Option<Referral> {
        self.0.as_ref()?.referral
    }

    /// The session is placed for a REFER. Once it is answered it hears the other session, if there is one.
    pub(crate) fn refer(&mut self, referral: Referral, will_hear: Option<SessionId>) {
        self.edit(|parts| (parts.referral, parts.will_hear) = (Some(referral), will_hear));
    }

    /// It is a call like any other from now on.
    pub(crate) fn take_referral(&mut self) -> Option<Referral> {
        self.0.as_ref()?;
        self.edit(|parts| {
            parts.will_hear = None;
            parts.referral.take()
        })
    }

    pub(crate) fn will_hear(&self) -> Option<SessionId> {
        self.0.as_ref()?.will_hear
    }

    pub(crate) fn set_will_hear(&mut self, peer: Option<SessionId>) {
        if self.will_hear() != peer {
            self.edit(|parts| parts.will_hear = peer);
        }
    }
}
