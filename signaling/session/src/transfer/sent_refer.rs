//! Transfers that the user asks for: REFER, and the peer's reports about the new call (RFC 3515, RFC 5589).

use crate::timers::timer::Timer;
use crate::{EndOrigin, EndReason, Operation, SessionError, SessionEvent, SessionId, SessionState, Sessions, Turn};
use sip_core::{ClientRequestId, Span, SubscriptionId};
use sip_wire::{Message, Uri};

/// A REFER of ours and its reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Transfer {
    request: ClientRequestId,
    subscription: SubscriptionId,
    /// In an attended transfer, the other call of ours, which ends with it.
    consultation: Option<SessionId>,
}

impl Sessions {
    /// Asks the peer to call another party instead (blind transfer). `TransferProgress` tells the status of that call;
    /// `Done` and the end of the session tell success, `Failed` that the call goes on as before.
    pub fn transfer(&mut self, turn: &mut Turn<'_>, id: SessionId, target: &str) -> Result<(), SessionError> {
        self.check(id, Operation::Transfer)?;
        let is_sound =
            !target.contains(|sign: char| sign.is_control() || sign.is_whitespace() || "<>\"".contains(sign));
        if !is_sound || !Uri::parse(target.as_bytes()).is_ok_and(|uri| uri.scheme.is_sip()) {
            return Err(SessionError::InvalidUri(target.into()));
        }
        self.refer(turn, id, target, None)
    }

    /// Asks the peer to take over another call of ours (attended transfer, `Replaces` of RFC 3891). Both of our calls end
    /// when that has succeeded.
    pub fn attended_transfer(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        consultation: SessionId,
    ) -> Result<(), SessionError> {
        self.check(id, Operation::Transfer)?;
        self.check(consultation, Operation::Transfer)?;
        if id == consultation {
            return Err(SessionError::Argument("a call cannot be transferred to itself"));
        }
        let dialog = self.table.get(consultation).and_then(|session| session.dialog());
        let target = dialog.and_then(|dialog| turn.sip.replaces_uri(dialog));
        let target = target.ok_or(SessionError::Protocol(sip_core::Refused::Gone))?;
        self.refer(turn, id, &target, Some(consultation))
    }

    fn refer(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        target: &str,
        consultation: Option<SessionId>,
    ) -> Result<(), SessionError> {
        let dialog = self.table.get(id).and_then(|session| session.dialog());
        let dialog = dialog.ok_or(SessionError::Protocol(sip_core::Refused::Gone))?;
        let (request, subscription) = turn.sip.refer(turn.now, dialog, target).map_err(SessionError::Protocol)?;
        if let Some(session) = self.table.get_mut(id) {
            session.transfers.begin(Transfer { request, subscription, consultation });
        }
        self.by_subscription.insert(subscription, id);
        self.go(turn, id, SessionState::Transferring);
        self.wake(id, Timer::Transfer, Some(turn.now + self.settings.timeouts.transfer));
        Ok(())
    }

    /// The answer to our REFER. `false`: it is to something else.
    pub(crate) fn refer_answered(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        request: ClientRequestId,
        (status, origin): (u16, EndOrigin),
    ) -> bool {
        let transfer = self.table.get(id).and_then(|session| session.transfers.sent());
        if transfer.is_none_or(|transfer| transfer.request != request) {
            return false;
        }
        if status >= 300 {
            self.transfer_failed(turn, id, (status, origin));
            if matches!(status, 408 | 481) {
                self.end(turn, id, EndReason::PeerLost);
            }
        }
        true
    }

    /// A report about the referred call: the body is its status line (RFC 3515 §2.4.5).
    pub(crate) fn notified(&mut self, turn: &mut Turn<'_>, subscription: SubscriptionId, message: Span, is_last: bool) {
        let Some(id) = self.by_subscription.get(&subscription).copied() else { return };
        let status = turn.sip.message(message).as_ref().and_then(reported);
        match status {
            Some(200..300) => self.transferred(turn, id),
            Some(status @ 300..700) => self.transfer_failed(turn, id, (status, EndOrigin::Called)),
            // The subscription ends without a final status.
            _ if is_last => self.transfer_failed(turn, id, (500, EndOrigin::Peer)),
            Some(status) => turn.events.push(SessionEvent::TransferProgress { id, status }),
            None => {}
        }
    }

    /// The subscription for reports has ended.
    pub(crate) fn subscription_ended(&mut self, turn: &mut Turn<'_>, subscription: SubscriptionId) {
        if let Some(id) = self.by_subscription.get(&subscription).copied() {
            self.transfer_failed(turn, id, (408, EndOrigin::TimeOut));
        }
    }

    fn transferred(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let consultation = self.drop_transfer(id).and_then(|transfer| transfer.consultation);
        turn.events.push(SessionEvent::Done { id, operation: Operation::Transfer });
        self.end(turn, id, EndReason::Transferred);
        if let Some(consultation) = consultation {
            self.end(turn, consultation, EndReason::Transferred);
        }
    }

    /// The transfer has failed; the call goes on as before.
    pub(crate) fn transfer_failed(&mut self, turn: &mut Turn<'_>, id: SessionId, (status, origin): (u16, EndOrigin)) {
        if self.drop_transfer(id).is_none() {
            return;
        }
        let Some(session) = self.table.get(id).filter(|session| !session.state().is_ending()) else { return };
        let back = session.settled_state();
        self.go(turn, id, back);
        turn.events.push(SessionEvent::Failed { id, operation: Operation::Transfer, status, origin });
    }

    /// Forgets the transfer that the user asked for.
    pub(crate) fn drop_transfer(&mut self, id: SessionId) -> Option<Transfer> {
        let session = self.table.get_mut(id)?;
        session.timers.set(Timer::Transfer, None);
        let transfer = session.transfers.take_sent()?;
        self.by_subscription.remove(&transfer.subscription);
        Some(transfer)
    }
}

/// The status in a `message/sipfrag`.
fn reported(message: &Message<'_>) -> Option<u16> {
    let line = std::str::from_utf8(message.body()).ok()?.lines().next()?;
    let (version, rest) = line.split_once(' ')?;
    let status = rest.get(..3)?.parse().ok()?;
    (version.eq_ignore_ascii_case("SIP/2.0") && (100..700).contains(&status)).then_some(status)
}
