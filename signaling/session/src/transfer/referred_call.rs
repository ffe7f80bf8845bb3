//! The call that was placed for a REFER: it takes the place of the referrer's call, or reports why it could not.

use crate::bridge::link::Tie;
use crate::timers::timer::Timer;
use crate::transfer::received_refer::Referred;
use crate::{EndOrigin, EndReason, Session, SessionId, Sessions, Turn, UserLimit};
use clock::Duration;
use sip_core::{ClientRequestId, SubscriptionId};

/// How long a peer may take to confirm the last report before its call ends without that.
const REPORT_LIMIT: Duration = Duration::from_secs(5);

impl Turn<'_> {
    /// Reports the status of the new call to the referrer, unless it declined reports.
    pub(crate) fn report(
        &mut self,
        subscription: Option<SubscriptionId>,
        status: u16,
        is_last: bool,
    ) -> Option<ClientRequestId> {
        self.sip.notify_refer(self.now, subscription?, status, is_last)
    }
}

impl Sessions {
    /// A provisional response to the new call: the referrer gets a report.
    pub(crate) fn referral_progress(&mut self, turn: &mut Turn<'_>, id: SessionId, status: u16) {
        let Some(referral) = self.table.get(id).and_then(|session| session.transfers.referral()) else { return };
        turn.report(referral.subscription, status, false);
    }

    /// The new call was answered: it takes the place of the referrer's call.
    pub(crate) fn referral_answered(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        let Some(referral) = session.transfers.take_referral() else { return };
        let last = turn.report(referral.subscription, 200, true);
        self.take_place(turn, id, referral.by);
        self.leave_after_report(turn, referral.by, last);
        self.end_among_ourselves(turn, id);
    }

    /// Ends a call of the switch with itself once its referrer has left: no peer is in it that could end it.
    fn end_among_ourselves(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get(id) else { return };
        if session.link().is_none() && turn.sip.home(session.remote_signaling()).is_some() {
            self.end(turn, id, EndReason::LocalBye);
        }
    }

    /// The referrer's call ends once it has confirmed the last report, as no report can follow a BYE.
    pub(crate) fn leave_after_report(&mut self, turn: &mut Turn<'_>, id: SessionId, last: Option<ClientRequestId>) {
        let session = self.table.get_mut(id).filter(|session| !session.state().is_ending());
        match (last, session) {
            (Some(last), Some(session)) => {
                session.transfers.set_received(Referred::Reported(last));
                self.wake(id, Timer::Transfer, Some(turn.now + REPORT_LIMIT));
            }
            _ => self.end(turn, id, EndReason::Transferred),
        }
    }

    /// The answer to that report. `false`: it is to something else.
    pub(crate) fn report_answered(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        request: ClientRequestId,
        status: u16,
    ) -> bool {
        let is_last =
            self.table.get(id).is_some_and(|session| session.transfers.received() == Referred::Reported(request));
        if is_last && status >= 200 {
            self.end(turn, id, EndReason::Transferred);
        }
        is_last
    }

    /// A transfer, sent or received, has taken too long.
    pub(crate) fn transfer_overdue(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        match self.table.get(id).map(|session| session.transfers.received()) {
            Some(Referred::Reported(_)) => self.end(turn, id, EndReason::Transferred),
            _ => self.transfer_failed(turn, id, (408, EndOrigin::TimeOut)),
        }
    }

    /// The new call ends: the referrer's call goes on.
    pub(crate) fn referral_failed(&mut self, turn: &mut Turn<'_>, id: SessionId, reason: EndReason) {
        let Some(session) = self.table.get_mut(id) else { return };
        let Some(referral) = session.transfers.take_referral() else { return };
        turn.report(referral.subscription, reason.status(), true);
        if let Some(by) = self.table.get_mut(referral.by) {
            by.transfers.set_received(Referred::Nothing);
        }
    }

    /// The referrer's call ends before the new call was answered: its reports end first, as none can follow a BYE.
    pub(crate) fn end_reports(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let referred = self.table.get(id).and_then(|session| session.transfers.received().call());
        let referral = referred.and_then(|other| self.table.get(other)?.transfers.referral());
        if let Some(referral) = referral {
            turn.report(referral.subscription, EndReason::Cancelled.status(), true);
        }
        if let Some(join) = self.joining(id).filter(|join| join.by == id) {
            turn.report(join.subscription, 200, true); // what it asked for is done when it leaves
        }
    }

    /// The referrer's call ends before the new call was answered, as is usual in blind transfers: the other side of its call
    /// waits for the new one. `false`: there is no other side, and the new call ends.
    pub(crate) fn leave_to_referred(&mut self, turn: &mut Turn<'_>, id: SessionId) -> bool {
        let Some(session) = self.table.get_mut(id) else { return false };
        let received = session.transfers.received();
        session.transfers.set_received(Referred::Nothing);
        let Some(other) = received.call() else { return false };
        if let Some(session) = self.table.get_mut(other) {
            session.transfers.take_referral();
        }
        if self.other_side(id).is_none() {
            self.end(turn, other, EndReason::Cancelled);
            return false;
        }
        self.take_place(turn, other, id);
        true
    }

    /// One session takes the place of another, in its call or in its bridge.
    pub(crate) fn take_place(&mut self, turn: &mut Turn<'_>, id: SessionId, old: SessionId) {
        if let Some(session) = self.table.get_mut(old) {
            session.transfers.set_received(Referred::Nothing);
        }
        let Some(link) = self.table.get(old).and_then(|session| session.link()) else { return };
        match link.tie {
            Tie::Call => {
                self.untie(turn, old);
                self.tie(id, link.peer);
                self.bring_together(turn, link.peer);
                self.directions_meet(turn, id, link.peer);
            }
            Tie::Bridge(bridge) => self.change_seats(turn, bridge, old, id),
        }
    }
}

impl Session {
    /// The URI of the peer.
    pub(crate) fn peer_uri(&self) -> &str {
        if self.is_outgoing() { &self.parties().to } else { &self.parties().from }
    }

    /// The URI of the peer as other peers may see it: a caller who asked for privacy stays unknown (RFC 3323).
    pub(crate) fn shown_uri(&self) -> &str {
        if self.facts.hides_caller() { crate::crossing::ANONYMOUS } else { self.peer_uri() }
    }

    /// Host and user of the peer, for [`Self::is_with`].
    pub(crate) fn party(&self) -> Box<str> {
        format!("{} {}", self.remote_signaling().ip(), UserLimit::user_of(self.peer_uri())).into()
    }

    /// Whether the peer is this party of another call: the same host, or the same user.
    pub(crate) fn is_with(&self, party: &str) -> bool {
        let (host, name) = party.split_once(' ').unwrap_or((party, ""));
        let has_host = self.remote_signaling().ip().to_string() == host;
        has_host || !name.is_empty() && *UserLimit::user_of(self.peer_uri()) == *name
    }
}
