//! A peer transfers its call by REFER (RFC 3515, RFC 5589). The switch places the new call, reports its progress, and puts
//! it in the place of the referrer's call.

use crate::invite::dial::{Dial, Target};
use crate::invite::name_lookup::{Located, Lookup, Named};
use crate::negotiation::capabilities::fits;
use crate::negotiation::codec_matching::Join;
use crate::transfer::refer_request::{Reports, Unwanted, Wanted};
use crate::{
    Destination, EndReason, Operation, Plan, PlannedSource, SessionEvent, SessionId, Sessions, TransferKind,
    TransferRequest, Turn,
};
use sip_core::{Content, RequestId, Span, SubscriptionId};
use sip_wire::Uri;

/// What a call that was placed for a REFER knows of the referrer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Referral {
    /// The referrer's call, whose place the new call takes.
    pub(crate) by: SessionId,
    /// The subscription for reports; none where the referrer declined them (RFC 4488).
    pub(crate) subscription: Option<SubscriptionId>,
}

/// Where a transfer goes: the targets, or the names that have to be looked up before.
struct Ways {
    targets: Vec<Target>,
    lookup: Option<Lookup>,
}

impl Sessions {
    pub(crate) fn refer_requested(&mut self, turn: &mut Turn<'_>, id: SessionId, request: RequestId, message: Span) {
        let Err(Unwanted { status, reason }) = self.consider(turn, id, request, message) else { return };
        // Where the dialog has ended meanwhile the endpoint has answered.
        let _ = turn.sip.respond_with(turn.now, request, status, reason, Content::NONE);
    }

    fn consider(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        request: RequestId,
        message: Span,
    ) -> Result<(), Unwanted> {
        let wanted = Wanted::read(turn, message)?;
        let session = self.table.get(id).ok_or(481)?;
        if !session.allows(Operation::Transfer) || !session.transfers.received().is_nothing() || self.is_stopping {
            return Err(491.into());
        }
        let consultation = wanted.ours.and_then(|dialog| self.find(dialog));
        let is_here = turn.home_of(&wanted.uri).is_some();
        let kind = match (consultation, &wanted.replaces) {
            (Some(_), _) => TransferKind::TakeOver,
            (None, Some(_)) if is_here => TransferKind::TakeOver,
            _ if is_here => TransferKind::Here,
            _ => TransferKind::Elsewhere,
        };
        let destination = turn.decide.transfer_requested(&TransferRequest { id, target: &wanted.uri, kind });
        if let Destination::Refused(status) = destination {
            return Err(status.into());
        }
        match consultation {
            Some(consultation) => self.join_calls(turn, id, request, consultation, wanted.reports),
            None => self.call_instead(turn, id, request, wanted, destination),
        }
    }

    /// An attended transfer between two calls of the referrer that both run through this switch: the other sides of the two
    /// become one call.
    fn join_calls(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        request: RequestId,
        consultation: SessionId,
        reports: Reports,
    ) -> Result<(), Unwanted> {
        let sides = (self.other_side(id), self.other_side(consultation));
        let (Some(one), Some(other)) = sides else { return Err(603.into()) };
        let agreed = |id| self.table.get(id).filter(|session| session.is_answered())?.agreement();
        let (Some(first), Some(second)) = (agreed(one), agreed(other)) else { return Err(480.into()) };
        let fits = fits(first, second);
        // The two calls have to be different ones.
        if one == consultation || id == consultation || !(fits || self.could_match(one, other)) {
            return Err(488.into());
        }
        let by = self.table.get(id).map(|session| session.party()).unwrap_or_default();
        if !self.table.get(consultation).is_some_and(|session| session.is_with(&by)) {
            return Err(Unwanted { status: 403, reason: "Not A Call Of The Referrer" });
        }
        if self.table.get(consultation).is_none_or(|session| !session.transfers.received().is_nothing()) {
            return Err(491.into());
        }
        turn.events.push(SessionEvent::TransferRequested { id });
        let subscription = self.take_refer(turn, request, reports)?;
        let join = Join { by: id, consultation, subscription, one, other };
        if fits {
            self.join_matched(turn, &join);
        } else {
            turn.report(subscription, 100, false);
            self.mark_joining(&join, true);
            self.match_before_join(turn, join);
        }
        Ok(())
    }

    /// The two sides speak one codec, or are transcoded: they become one call.
    pub(crate) fn join_matched(&mut self, turn: &mut Turn<'_>, join: &Join) {
        let &Join { by, consultation, subscription, one, other } = join;
        if self.other_side(by) != Some(one) || self.other_side(consultation) != Some(other) {
            return self.join_refused(turn, join);
        }
        self.mark_joining(join, false);
        let can_hear = self.table.get(by).is_some_and(|session| !session.state().is_ending());
        let last = if can_hear { turn.report(subscription, 200, true) } else { None };
        self.untie(turn, by);
        self.untie(turn, consultation);
        self.tie(one, other);
        self.bring_together(turn, one);
        self.directions_meet(turn, one, other);
        self.leave_after_report(turn, by, last);
        self.end(turn, consultation, EndReason::Transferred);
    }

    /// The two sides have no codec in common: both calls go on as they are.
    pub(crate) fn join_refused(&mut self, turn: &mut Turn<'_>, join: &Join) {
        self.mark_joining(join, false);
        turn.report(join.subscription, 488, true);
    }

    fn call_instead(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        request: RequestId,
        wanted: Wanted,
        destination: Destination,
    ) -> Result<(), Unwanted> {
        let session = self.table.get(id).ok_or(481)?;
        let (peer, plan, party) = (session.link().map(|link| link.peer), session.playback.plan(), session.party());
        let flow = session.dialog().and_then(|dialog| turn.sip.flow_of(dialog)).ok_or(481)?;
        let by = Target::new(session.peer_uri(), flow);
        let ways = self.ways(turn, &wanted, destination, by)?;
        turn.events.push(SessionEvent::TransferRequested { id });
        let session = self.table.get(id).ok_or(481)?;
        let caller = peer.and_then(|peer| self.table.get(peer)).unwrap_or(session);
        let mut headers = wanted.headers;
        if wanted.replaces.is_some() && ways.targets.iter().all(|target| turn.sip.home(target.flow.remote).is_some()) {
            headers.push((PARTY.into(), party));
        }
        let dial = Dial {
            from: caller.shown_uri().into(),
            to: "".into(),
            targets: ways.targets,
            sdp: None,
            account: None,
            max_forwards: 70,
            headers,
            answer_timeout: None,
            plan: if peer.is_some() { Plan::of(PlannedSource::Silence) } else { plan },
        };
        let beside = peer.unwrap_or(id);
        let other = self.dial_near(turn, dial, beside).map_err(|error| error.status())?;
        if let Some(lookup) = ways.lookup {
            self.wait_for_targets(turn, other, lookup);
        }
        let Ok(subscription) = self.take_refer(turn, request, wanted.reports) else {
            self.end(turn, other, EndReason::Cancelled);
            return Err(503.into());
        };
        turn.report(subscription, 100, false);
        turn.events.push(SessionEvent::Referred { id, to: other });
        if let Some(session) = self.table.get_mut(other) {
            session.transfers.refer(Referral { by: id, subscription }, peer);
        }
        if let Some(session) = self.table.get_mut(id) {
            session.transfers.set_received(Referred::Call(other));
        }
        Ok(())
    }

    /// The paths that the new call may take, by the user's decision.
    fn ways(
        &self,
        turn: &mut Turn<'_>,
        wanted: &Wanted,
        destination: Destination,
        by: Target,
    ) -> Result<Ways, Unwanted> {
        let is_sip = Uri::parse(wanted.uri.as_bytes()).is_ok_and(|uri| uri.scheme.is_sip());
        let named = match destination {
            Destination::Refused(status) => return Err(status.into()),
            Destination::Targets(targets) if targets.is_empty() => return Err(503.into()),
            Destination::Targets(targets) => return Ok(Ways { targets, lookup: None }),
            Destination::Home | Destination::Named if !is_sip => return Err(416.into()),
            Destination::Home => {
                let home =
                    turn.home_of(&wanted.uri).ok_or(Unwanted { status: 403, reason: "Not A Call Through Us" })?;
                return Ok(Ways { targets: vec![Target::new(&wanted.uri, home)], lookup: None });
            }
            Destination::Named => Named {
                uris: vec![wanted.uri.clone()],
                by: by.clone(),
                otherwise: EndReason::NoPath,
                takes_over: wanted.replaces.is_some(),
                allowed: self.settings.destinations,
            },
        };
        match turn.locate(named) {
            Located::Now(targets) | Located::Full(targets) if !targets.is_empty() => Ok(Ways { targets, lookup: None }),
            Located::Now(_) => Err(404.into()),
            Located::Full(_) => Err(503.into()),
            Located::Forbidden => Err(Unwanted { status: 403, reason: "Not To This Address" }),
            Located::Later(lookup) => {
                Ok(Ways { targets: vec![Target::new(&wanted.uri, by.flow)], lookup: Some(lookup) })
            }
        }
    }

    /// Accepts the REFER with 202; reports may follow from now on, unless they were declined.
    fn take_refer(
        &self,
        turn: &mut Turn<'_>,
        request: RequestId,
        reports: Reports,
    ) -> Result<Option<SubscriptionId>, Unwanted> {
        match reports {
            Reports::Wanted => Ok(Some(turn.sip.accept_refer(turn.now, request).ok_or(503)?)),
            Reports::Declined => {
                let content = Content::headers(&[("Refer-Sub", "false")]);
                turn.sip.respond_with(turn.now, request, 202, "", content).map_err(|_| 503)?;
                Ok(None)
            }
        }
    }
}

/// Header field of an INVITE from the switch to itself: the referring party ([`crate::Session::party`]).
pub(crate) const PARTY: &str = "X-Ringplane-Party";

/// What became of a received REFER, for the call in which it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Referred {
    /// There was no REFER.
    #[default]
    Nothing,
    /// A call was placed for it.
    Call(SessionId),
    /// This call of the same peer and this one are to become one, once their other sides speak one codec.
    Joining(SessionId),
    /// The transfer has succeeded; the peer has yet to confirm the report that says so.
    Reported(sip_core::ClientRequestId),
}

impl Referred {
    pub(crate) fn is_nothing(self) -> bool {
        self == Self::Nothing
    }

    pub(crate) fn call(self) -> Option<SessionId> {
        if let Self::Call(id) = self { Some(id) } else { None }
    }
}
