//! Events of the SIP endpoint, each handed to the part of a session that it is about.

use crate::{EndOrigin, Sessions, Turn};
use sip_core::{ClientRequestId, Content, DialogId, Event, RequestId, Span};
use sip_wire::Method;

impl Sessions {
    /// Takes an event of the SIP endpoint. The caller goes on until the endpoint has no more: handling one may make
    /// further ones.
    pub fn handle(&mut self, turn: &mut Turn<'_>, event: Event) {
        if let Event::Reinvite { dialog, .. }
        | Event::Pracked { dialog, .. }
        | Event::Request { dialog: Some(dialog), .. } = event
        {
            self.has_asked(turn, dialog);
        }
        match event {
            Event::Invite { invite, dialog, message, replaces } => {
                self.invited(turn, invite, dialog, message, replaces)
            }
            Event::Reinvite { invite, dialog, message } => self.reinvited(turn, invite, dialog, message),
            Event::ReinviteCancelled { invite, dialog } => self.reinvite_cancelled(turn, invite, dialog),
            Event::Ending { dialog, cause } => self.dialog_ending(turn, dialog, cause),
            Event::Acknowledged { dialog, message } => {
                if let Some(id) = self.find(dialog) {
                    self.leave_seat(id);
                }
                self.acknowledged(turn, dialog, message);
            }
            Event::Ended { dialog, cause, message } => self.dialog_ended(turn, dialog, cause, message),
            Event::Request { request, dialog, message } => match (method(turn, message), dialog) {
                (Some(Method::Options), None) => self.asked_for_options(turn, request),
                (_, None) if !turn.lets_in(request, message) => {}
                (Some(Method::Update), Some(dialog)) => self.update_requested(turn, request, dialog, message),
                (Some(Method::Options), _) => self.asked_for_options(turn, request),
                (Some(Method::Refer), Some(dialog)) => match self.find_any(dialog) {
                    // It makes a call as an INVITE does: the sender has to be as good as for one.
                    Some(_) if !turn.lets_in(request, message) => {}
                    Some(id) => self.refer_requested(turn, id, request, message),
                    None => drop(turn.sip.respond(turn.now, request, 481, "")),
                },
                (Some(Method::Info), Some(dialog)) => match self.find_any(dialog) {
                    Some(id) => self.info_requested(turn, id, request, message),
                    None => drop(turn.sip.respond(turn.now, request, 481, "")),
                },
                // RFC 3515 §2.4.4: what REFER makes cannot be made by SUBSCRIBE; other packages are refused with 489 before.
                // Only the call that it is about says on whose behalf it is (RFC 3515 §5.1).
                (Some(Method::Refer), None) => {
                    // Where its transaction has ended the sender waits for nothing.
                    let _ = turn.sip.respond_with(turn.now, request, 403, "REFER Within Calls Only", Content::NONE);
                }
                (Some(Method::Subscribe), _) => drop(turn.sip.respond(turn.now, request, 403, "")),
                _ => {
                    // What is not allowed at all has been answered 405 before: this is in Allow (RFC 3261 §21.4.6).
                    if !turn.is_for_user(request, dialog.and_then(|dialog| self.find_any(dialog)), message) {
                        turn.sip.respond(turn.now, request, 403, "");
                    }
                }
            },
            Event::Pracked { dialog, request, message, .. } => self.pracked(turn, dialog, request, message),
            // Refused with 504 by the endpoint; `Ended` follows.
            Event::NotPracked { .. } => {}
            Event::Response { request, dialog, status, message, .. } => {
                self.responded(turn, request, dialog, status, message);
            }
            Event::Progress { call, dialog, status, message, .. } => {
                self.call_progress(turn, call, dialog, status, message);
            }
            Event::Answered { call, dialog, message, .. } => self.call_answered(turn, call, dialog, message),
            Event::Failed { call, status, message } => self.call_failed(turn, call, status, message),
            Event::Notified { subscription, message, is_last, .. } => {
                self.notified(turn, subscription, message, is_last);
            }
            Event::SubscriptionEnded { subscription, .. } => self.subscription_ended(turn, subscription),
            Event::RefreshDue { dialog } => self.refresh_due(turn, dialog),
            // The shard finds the path.
            Event::PathWanted { .. } => {}
        }
    }

    /// A response to a request of ours inside a dialog.
    fn responded(
        &mut self,
        turn: &mut Turn<'_>,
        request: ClientRequestId,
        dialog: Option<DialogId>,
        status: u16,
        message: Option<Span>,
    ) {
        // Each part says whether the response is to a request of its own.
        let is_ours = dialog.and_then(|dialog| self.find_any(dialog)).is_some_and(|id| {
            let origin = EndOrigin::of_response(status, message.is_some());
            self.offer_answered(turn, id, request, status, message)
                || self.info_answered(turn, id, request, (status, origin))
                || self.refer_answered(turn, id, request, (status, origin))
                || self.relayed_answered(turn, id, request, status)
                || self.report_answered(turn, id, request, status)
                || self.probe_answered(turn, id, request, status)
        });
        if !is_ours {
            turn.decide.responded(request, status, message.map(|message| turn.sip.bytes(message)));
        }
    }

    /// OPTIONS (RFC 3261 §11): the status is the one that an INVITE would get.
    fn asked_for_options(&mut self, turn: &mut Turn<'_>, request: RequestId) {
        let status = if self.table.is_full() { 486 } else { 200 };
        turn.sip.respond(turn.now, request, status, "");
    }
}

fn method(turn: &Turn<'_>, message: Span) -> Option<Method> {
    turn.sip.message(message)?.method()
}
