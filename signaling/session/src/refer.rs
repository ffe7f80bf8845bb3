//! A peer hands its call to somebody else: REFER that comes to us (RFC 3515, RFC 5589). We place the new call, report
//! how it goes, and put it in the place of the one that asked.

use crate::dial::{Dial, Target};
use crate::link::fits;
use crate::lookup::{Located, Named};
use crate::matching::Join;
use crate::{EndReason, Operation, Plan, PlannedSource, SessionEvent, SessionId, Sessions, Turn};
use sip_core::{DialogId, RequestId, Span, SubscriptionId};
use sip_wire::Message;

/// The part of a new session in a transfer that somebody asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Referral {
    /// Who asked; its place is to be taken.
    pub(crate) by: SessionId,
    pub(crate) subscription: SubscriptionId,
}

/// What a REFER asks for.
struct Wanted {
    uri: Box<str>,
    /// As the header field's value.
    replaces: Option<Box<str>>,
    /// The dialog of ours that it names.
    ours: Option<DialogId>,
}

impl Sessions {
    pub(crate) fn refer_requested(&mut self, turn: &mut Turn<'_>, id: SessionId, request: RequestId, message: Span) {
        let status = match self.consider(turn, id, request, message) {
            Ok(()) => return,
            Err(status) => status,
        };
        turn.sip.respond(turn.now, request, status, "");
    }

    /// The status: why not.
    fn consider(&mut self, turn: &mut Turn<'_>, id: SessionId, request: RequestId, message: Span) -> Result<(), u16> {
        let wanted = read(turn, message)?;
        let session = self.table.get(id).ok_or(481_u16)?;
        if !session.allows(Operation::Transfer) || session.referred.is_some() || self.is_stopping {
            return Err(491);
        }
        if !turn.decide.transfer_requested(id, &wanted.uri) {
            return Err(603);
        }
        turn.events.push(SessionEvent::TransferRequested { id });
        match wanted.ours.and_then(|dialog| self.find(dialog)) {
            Some(consultation) => self.join_calls(turn, id, request, consultation),
            None => self.call_instead(turn, id, request, &wanted),
        }
    }

    /// Attended, and both calls of the one who asks run through us: whom it talks to in one now talks to whom it talks
    /// to in the other.
    fn join_calls(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        request: RequestId,
        consultation: SessionId,
    ) -> Result<(), u16> {
        let sides = (self.other_side(id), self.other_side(consultation));
        let (Some(one), Some(other)) = sides else { return Err(603) };
        let agreed = |id| self.table.get(id).filter(|session| session.connected_at.is_some())?.agreement();
        let (Some(first), Some(second)) = (agreed(one), agreed(other)) else { return Err(480) };
        let fits = fits(first, second);
        // The two have to be different calls.
        if one == consultation || id == consultation || !(fits || self.could_match(one, other)) {
            return Err(488);
        }
        let subscription = turn.sip.accept_refer(turn.now, request).ok_or(503_u16)?;
        let join = Join { by: id, consultation, subscription, one, other };
        if fits {
            self.join_matched(turn, &join);
        } else {
            turn.sip.notify_refer(turn.now, subscription, 100, false);
            self.match_before_join(turn, join);
        }
        Ok(())
    }

    /// The two sides speak one codec: they become one call.
    pub(crate) fn join_matched(&mut self, turn: &mut Turn<'_>, join: &Join) {
        let &Join { by, consultation, subscription, one, other } = join;
        if self.other_side(by) != Some(one) || self.other_side(consultation) != Some(other) {
            return self.join_refused(turn, join);
        }
        turn.sip.notify_refer(turn.now, subscription, 200, true);
        self.untie(turn, by);
        self.untie(turn, consultation);
        self.tie(one, other);
        self.bring_together(turn, one);
        self.let_flow(turn, one);
        self.let_flow(turn, other);
        self.end(turn, by, EndReason::Transferred);
        self.end(turn, consultation, EndReason::Transferred);
    }

    /// They do not, and both calls go on as they are.
    pub(crate) fn join_refused(&mut self, turn: &mut Turn<'_>, join: &Join) {
        turn.sip.notify_refer(turn.now, join.subscription, 488, true);
    }

    fn call_instead(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        request: RequestId,
        wanted: &Wanted,
    ) -> Result<(), u16> {
        let session = self.table.get(id).ok_or(481_u16)?;
        let (peer, plan) = (session.link.map(|link| link.peer), session.plan);
        let flow = session.dialog.and_then(|dialog| turn.sip.flow_of(dialog)).ok_or(481_u16)?;
        let by = Target::new(session.peer_uri(), flow);
        let named = Named {
            uris: vec![wanted.uri.clone()],
            by: by.clone(),
            otherwise: EndReason::NoPath,
            takes_over: wanted.replaces.is_some(),
        };
        let (targets, lookup) = match turn.locate(named) {
            Located::Now(targets) if targets.is_empty() => return Err(404),
            Located::Full(targets) if targets.is_empty() => return Err(503),
            Located::Now(targets) | Located::Full(targets) => (targets, None),
            Located::Later(lookup) => (vec![Target::new(&wanted.uri, by.flow)], Some(lookup)),
        };
        let caller = peer.and_then(|peer| self.table.get(peer)).unwrap_or(session);
        let headers = wanted.replaces.iter().map(|replaces| ("Replaces".into(), replaces.clone())).collect();
        let dial = Dial {
            from: caller.shown_uri().into(),
            to: "".into(),
            targets,
            sdp: None,
            account: None,
            max_forwards: 70,
            headers,
            answer_timeout: None,
            plan: if peer.is_some() { Plan::of(PlannedSource::Silence) } else { plan },
        };
        let beside = peer.unwrap_or(id);
        let other = self.dial_near(turn, dial, beside).map_err(|error| error.status())?;
        if let Some(lookup) = lookup {
            self.wait_for_targets(turn, other, lookup);
        }
        let Some(subscription) = turn.sip.accept_refer(turn.now, request) else {
            self.end(turn, other, EndReason::Cancelled);
            return Err(503);
        };
        turn.sip.notify_refer(turn.now, subscription, 100, false);
        turn.events.push(SessionEvent::Referred { id, to: other });
        if let Some(session) = self.table.get_mut(other) {
            (session.referral, session.will_hear) = (Some(Box::new(Referral { by: id, subscription })), peer);
        }
        if let Some(session) = self.table.get_mut(id) {
            session.referred = Some(other);
        }
        Ok(())
    }
}

fn read(turn: &Turn<'_>, message: Span) -> Result<Wanted, u16> {
    let message = Message::parse(turn.sip.bytes(message)).map_err(|_| 400_u16)?;
    let target = message.refer_to().map_err(|_| 400_u16)?.ok_or(400_u16)?;
    if !target.uri.scheme.is_sip() {
        return Err(416);
    }
    let uri = target.uri.as_str().split('?').next().unwrap_or_default();
    let mut wanted = Wanted { uri: uri.into(), replaces: None, ours: None };
    if let Some((_, value)) = target.uri.header_pairs().find(|(name, _)| name.eq_ignore_ascii_case(b"replaces")) {
        let value: Vec<u8> = unescaped(value);
        let dialog = sip_wire::DialogId::parse(&value).ok_or(400_u16)?;
        wanted.ours = turn.sip.find_dialog(dialog.call_id, dialog.to_tag, dialog.from_tag);
        wanted.replaces = Some(String::from_utf8(value.clone()).map_err(|_| 400_u16)?.into());
    }
    Ok(wanted)
}

/// `%3B` and its like (RFC 3261 §19.1.2).
fn unescaped(value: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut text = Vec::with_capacity(value.len());
    let mut index = 0;
    while let Some(byte) = value.get(index) {
        match (byte, digit(value.get(index + 1)), digit(value.get(index + 2))) {
            (b'%', Some(high), Some(low)) => {
                text.push((high * 16 + low) as u8);
                index += 3;
            }
            _ => {
                text.push(*byte);
                index += 1;
            }
        }
    }
    text
}
