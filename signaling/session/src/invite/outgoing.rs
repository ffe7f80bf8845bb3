//! A call that we place, from its INVITE to its answer.

use crate::admission::address_validation::Proof;
use crate::crossing::{Crossing, Moment, from_at};
use crate::invite::dial::{Dial, Target, call_id};
use crate::invite::dial_check::{bracketed, uri_of};
use crate::invite::early_dialogs::Early;
use crate::invite::name_lookup::Lookup;
use crate::negotiation::capabilities::Reach;
use crate::timers::timer::Timer;
use crate::{CrossingPolicy, EndReason, Outcome, SessionEvent, SessionId, SessionState, Sessions, Side, Turn};
use clock::Instant;
use sdp_core::write_offer;
use sip_core::{CallId, Content, DialogId, NewRequest, Span};
use stats::SignalCounter;
use std::collections::VecDeque;
use std::net::IpAddr;

/// What a placed call needs until it is answered.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// The INVITE that is on its way.
    pub(super) call: Option<CallId>,
    pub(super) dial: Dial,
    /// What the caller's INVITE takes along, where this is the other side of a call.
    pub(super) crossing: Option<Box<Crossing>>,
    /// Targets that have not been tried yet, in order.
    pub(super) waiting: VecDeque<Target>,
    /// The target of the INVITE that is on its way.
    pub(super) target: Option<Target>,
    pub(super) redirect_count: usize,
    /// Names that have to be looked up before the call goes on.
    pub(super) lookup: Option<Lookup>,
    /// When this target has to have answered, once it has sent a provisional response other than 100.
    pub(super) answer_by: Option<Instant>,
    /// The branches of this INVITE. The last one is the one that is heard.
    pub(super) early: Vec<Early>,
}

impl Outgoing {
    pub(crate) fn new(mut dial: Dial) -> Self {
        let waiting = std::mem::take(&mut dial.targets).into();
        let (redirect_count, early, crossing) = (0, Vec::new(), None);
        Self { call: None, dial, crossing, waiting, target: None, redirect_count, lookup: None, answer_by: None, early }
    }

    /// The INVITE that is on its way.
    pub(crate) fn call(&self) -> Option<CallId> {
        self.call
    }
}

impl Outgoing {
    /// To of the INVITE to this target: as asked for, who was called, or the target itself. A target does not learn from
    /// it which others were tried before.
    fn to_at(&self, target: &str) -> Box<str> {
        let crossing = self.crossing.as_deref().filter(|_| self.dial.to.is_empty());
        match crossing.and_then(|crossing| crossing.to_at(target)) {
            Some(to) => to.into(),
            None if self.dial.to.is_empty() => bracketed(target),
            None => self.dial.to.clone(),
        }
    }

    /// The seconds for which the caller's INVITE is good.
    fn expires(&self, now: Instant) -> Option<String> {
        self.crossing.as_ref()?.expires_s(now).map(|seconds| seconds.to_string())
    }

    /// Header fields of the INVITE: those of a program, then those of the caller that a program gave none of.
    fn headers<'o>(
        &'o self,
        policy: &'o CrossingPolicy,
        to: IpAddr,
        expires: Option<&'o str>,
    ) -> Vec<(&'o str, &'o str)> {
        let mut all: Vec<(&str, &str)> = self.dial.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let given = all.len();
        let crossing = self.crossing.iter().flat_map(|crossing| crossing.lines_for(policy, policy.trust(to)));
        for (name, value) in crossing.chain(expires.map(|seconds| ("Expires", seconds))) {
            if !all[..given].iter().any(|(own, _)| own.eq_ignore_ascii_case(name)) {
                all.push((name, value));
            }
        }
        all
    }
}

impl Sessions {
    /// Sends the INVITE to the next target; `false` when there is none left.
    pub(crate) fn call_next(&mut self, turn: &mut Turn<'_>, id: SessionId) -> bool {
        self.leave_target(turn, id);
        // The early dialogs of the last target are over.
        self.drop_relayed(turn, id);
        while let Some(target) = self.next_target(id) {
            if self.call_target(turn, id, &target) {
                return true;
            }
        }
        false
    }

    /// The leg runs: the call begins.
    pub(crate) fn call_first(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        if !self.waits_for_names(id) && !self.call_next(turn, id) {
            self.end(turn, id, EndReason::NotPlaced);
        }
    }

    /// What the last target has agreed on early counts no more: nothing goes there.
    fn leave_target(&mut self, turn: &mut Turn<'_>, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        if session.negotiation.answered().is_some() {
            session.negotiation.take_applying();
        }
        if session.sdp.agreed().is_some() {
            session.sdp.set_agreed(None);
            self.sync(turn, id);
        }
    }

    fn next_target(&mut self, id: SessionId) -> Option<Target> {
        self.forget_early(id);
        let out = self.table.get_mut(id)?.outgoing.as_mut()?;
        out.target = out.waiting.pop_front();
        out.target.clone()
    }

    fn call_target(&mut self, turn: &mut Turn<'_>, id: SessionId, target: &Target) -> bool {
        let (drawn, advertised) = (self.draw(), self.settings.media.advertised);
        if let Some(session) = self.table.get_mut(id) {
            // Targets may be of different families, or seen from different networks.
            session.facts.set_local_ip(advertised.unwrap_or(target.flow.local.ip()));
        }
        let Some(session) = self.table.get(id) else { return false };
        let (Some(out), Some(local)) = (&session.outgoing, session.local()) else { return false };
        let mut origin = session.sdp.origin();
        let media = self.media_of(session, Reach::Transcoded);
        let sdp = match &out.dial.sdp {
            Some(sdp) => sdp.to_string(),
            None => write_offer(&media.settings(), session.sdp.others(), local, &mut origin),
        };
        // The first target is called by the name that users know already.
        let call_id = match session.state() {
            SessionState::Initializing => session.parties().call_id.to_string(),
            _ => call_id(session.number(), drawn),
        };
        let from = from_at(&out.dial.from, session.local_ip());
        let routes: Vec<&str> = target.routes.iter().map(|route| &**route).collect();
        let (to, expires) = (out.to_at(&target.uri), out.expires(turn.now));
        let headers = out.headers(&self.settings.crossing, target.flow.remote.ip(), expires.as_deref());
        let request = NewRequest {
            flow: target.flow,
            uri: &target.uri,
            from: &from,
            to: &to,
            call_id: Some(&call_id),
            cseq: 1,
            max_forwards: out.dial.max_forwards,
            routes: &routes,
            account: out.dial.account,
            content: Content::sdp(sdp.as_bytes()).with_headers(&headers),
        };
        let is_for_target = out.dial.to.is_empty();
        let Ok(call) = turn.sip.invite(turn.now, &request) else {
            if let Some(session) = self.table.get_mut(id) {
                session.attempted(&target.uri, &target.flow, Outcome::NotSent);
            }
            return false;
        };
        turn.decide.described(id, Side::Local, sdp.as_bytes());
        if let Some(session) = self.table.get_mut(id) {
            session.sdp.set_origin(origin);
            let to = is_for_target.then(|| uri_of(&target.uri));
            session.facts.went_to(target.flow.remote, call_id.into(), to);
            session.attempted(&target.uri, &target.flow, Outcome::Open);
            if let Some(out) = &mut session.outgoing {
                out.call = Some(call);
            }
        }
        self.by_call.insert(call, id);
        self.counts.add(SignalCounter::CallsPlaced, 1);
        self.limit_answer(turn, id);
        if self.table.get(id).is_some_and(|session| session.state() == SessionState::Initializing) {
            self.go(turn, id, SessionState::Dialing);
        }
        true
    }

    /// A provisional response.
    pub(crate) fn call_progress(
        &mut self,
        turn: &mut Turn<'_>,
        call: CallId,
        dialog: Option<DialogId>,
        status: u16,
        message: Span,
    ) {
        let Some(id) = self.by_call.get(&call).copied() else { return };
        let Some(session) = self.table.get(id).filter(|session| !session.state().is_ending()) else { return };
        if status <= 100 {
            return;
        }
        if session.state() == SessionState::Dialing {
            self.go(turn, id, SessionState::Ringing);
        }
        self.limit_ringing(id);
        // What cannot be read is no early media; the answer will have to be right.
        let agreed = dialog.and_then(|_| self.answer_to_invite(turn, id, message).ok());
        let has_media = agreed.is_some();
        let agreed = dialog.and_then(|dialog| self.note_early(id, dialog, agreed));
        if let Some(agreed) = agreed {
            // Of several branches the last one that has something to say is heard.
            self.answered(turn, id, agreed, None);
        }
        turn.events.push(SessionEvent::Progress { id, status, has_media });
        let lines = self.crossing_lines(turn, id, message, Moment::Answer);
        self.progress_crosses(turn, id, status, has_media, &lines);
        self.referral_progress(turn, id, status);
    }

    /// The called side has answered the call.
    pub(crate) fn call_answered(&mut self, turn: &mut Turn<'_>, call: CallId, dialog: DialogId, message: Span) {
        let Some(id) = self.by_call.remove(&call) else {
            // The call was given up while it was being answered.
            turn.sip.bye(turn.now, dialog);
            return;
        };
        let before = self.agreed_before(turn, id, dialog, message);
        let is_changing = self.is_changing_early(id, dialog);
        self.forget_early(id);
        self.drop_relayed_in(turn, id, |other| other != dialog);
        let Some(session) = self.table.get_mut(id) else { return };
        session.attempt_is(Outcome::Answered);
        session.outgoing = None;
        session.admitted.prove(Proof::Call);
        session.facts.set_dialog(dialog);
        session.timers.set(Timer::Answer, None);
        self.by_dialog.insert(dialog, id);
        if session.state().is_ending() {
            if !turn.sip.bye(turn.now, dialog) {
                session.life.dialog_is_over();
            }
            return self.settle(turn, id);
        }
        session.facts.connect(turn.now);
        self.counts.add(SignalCounter::CallsAnswered, 1);
        let agreed = before.map_or_else(|| self.answer_to_invite(turn, id, message), Ok);
        turn.decide.heard(id, turn.sip.bytes(message));
        turn.tell_dialog(id, dialog);
        self.probe_later(turn, id);
        match agreed {
            Ok(agreed) => {
                self.go(turn, id, SessionState::Connected);
                self.note_digit_abilities(turn, id, message);
                self.keep_answer_lines(turn, id, message);
                if let Some(session) = self.table.get_mut(id) {
                    session.sdp.forget_shown(); // other branches were other phones
                }
                if !is_changing {
                    self.answered(turn, id, agreed, None);
                }
                self.answer_crosses(turn, id);
                self.referral_answered(turn, id);
            }
            Err(_) => self.end(turn, id, EndReason::BadAnswer),
        }
    }
}
