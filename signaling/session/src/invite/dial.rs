//! Calls that the user places, up to the opening of the leg.

use crate::admission::address_validation::Proof;
use crate::admission::admitted::Admitted;
use crate::admission::source_limit::Seat;
use crate::invite::dial_check::{bracketed, uri_of, user_of};
use crate::invite::outgoing::Outgoing;
use crate::lifecycle::call_facts::CallFacts;
use crate::negotiation::sdp_state::SdpState;
use crate::playback::Playback;
use crate::session::Session;
use crate::timers::timer::Timer;
use crate::{CallNumber, Parties, Path, Plan, PlannedSource, SessionError, SessionId, Sessions, Standing, Turn};
use clock::Duration;
use sdp_core::Origin;
use sip_core::auth::Account;
use sip_core::{AccountId, Flow};

/// Most targets of one call, redirections included.
pub const TARGETS_MAX: usize = 16;

/// Longest time that any target may take to answer.
const RING_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A call to be placed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dial {
    /// The caller: a URI, or `"Alice" <sip:alice@example.com>`.
    pub from: Box<str>,
    /// The called party, for the To field; empty: the first target's URI.
    pub to: Box<str>,
    /// The targets, in order: the next one is tried when one cannot be reached, fails by itself (5xx) or does not answer.
    pub targets: Vec<Target>,
    /// The session description to offer; none: one of the switch. Media reaches the media plane only if it names our port.
    pub sdp: Option<Box<str>>,
    /// The credentials for a proxy or a called side that asks for some.
    pub account: Option<AccountId>,
    /// Hops that the INVITE may take: 70, or one less than that of a call that it goes on from.
    pub max_forwards: u8,
    /// Further header fields of the INVITE.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// How long each target may take to answer; none: the setting.
    pub answer_timeout: Option<Duration>,
    /// What is sent once it is answered.
    pub plan: Plan,
}

/// A target of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// The Request-URI.
    pub uri: Box<str>,
    /// The path to its next hop.
    pub flow: Flow,
    /// Route values, as `<sip:proxy.example.com;lr>`; the first is the next hop.
    pub routes: Vec<Box<str>>,
}

impl Target {
    /// A URI over a path, without routes.
    pub fn new(uri: &str, flow: Flow) -> Self {
        Self { uri: uri.into(), flow, routes: Vec::new() }
    }
}

impl Dial {
    /// A call to one target, with silence once it is answered.
    pub fn new(from: &str, target: Target) -> Self {
        Self {
            from: from.into(),
            to: "".into(),
            targets: vec![target],
            sdp: None,
            account: None,
            max_forwards: 70,
            headers: Vec::new(),
            answer_timeout: None,
            plan: Plan::of(PlannedSource::Silence),
        }
    }
}

impl Sessions {
    /// Places a call. Its port is taken at once, the INVITE leaves when its leg runs. `StateChanged` and `Progress` tell
    /// its progress, `Ended` why it failed.
    pub fn dial(&mut self, turn: &mut Turn<'_>, dial: Dial) -> Result<SessionId, SessionError> {
        self.place(turn, dial, None, false)
    }

    /// Places a call with its leg on the worker of another session, as the other side of that call.
    pub(crate) fn dial_beside(
        &mut self,
        turn: &mut Turn<'_>,
        dial: Dial,
        other: SessionId,
    ) -> Result<SessionId, SessionError> {
        self.place(turn, dial, Some(other), true)
    }

    /// Places a call with its leg on the worker of another session, which it may hear later.
    pub(crate) fn dial_near(
        &mut self,
        turn: &mut Turn<'_>,
        dial: Dial,
        other: SessionId,
    ) -> Result<SessionId, SessionError> {
        self.place(turn, dial, Some(other), false)
    }

    fn place(
        &mut self,
        turn: &mut Turn<'_>,
        mut dial: Dial,
        beside: Option<SessionId>,
        is_tied: bool,
    ) -> Result<SessionId, SessionError> {
        if self.is_stopping {
            return Err(SessionError::Stopping);
        }
        dial.check()?;
        dial.account = dial.account.or(self.account);
        if self.table.is_full() {
            return Err(SessionError::ResourceExhausted { what: "calls", limit: self.settings.limits.max_calls });
        }
        let leg = self.reserve(turn, beside);
        let leg = leg.ok_or(SessionError::Media("no media port is free, or no media plane is there"))?;
        dial.from = bracketed(&dial.from);
        if !dial.to.is_empty() {
            dial.to = bracketed(&dial.to);
        }
        let to = if dial.to.is_empty() { bracketed(&dial.targets[0].uri) } else { dial.to.clone() };
        let (number, origin) = (self.draw(), Origin::new(self.draw()));
        let beside_number = beside.and_then(|other| self.table.get(other)).map(|other| other.number());
        let call_number = beside_number.unwrap_or(CallNumber(number));
        let flow = dial.targets[0].flow;
        let path = Path {
            local: self.settings.media.advertised.unwrap_or(flow.local.ip()),
            remote: flow.remote,
            is_ours: true,
            standing: Standing::Trusted,
        };
        let parties = Parties {
            from: uri_of(&dial.from),
            to: uri_of(&to),
            called_user: user_of(&dial.targets[0].uri),
            call_id: call_id(call_number, number).into(),
        };
        let (now, plan) = (turn.now, dial.plan);
        // The second leg of a call counts as part of the first one.
        let counts_for = if beside.is_some() { Some(None) } else { self.count_user(&parties.from) };
        let Some(counts_for) = counts_for else {
            self.drop_reserved(turn, leg);
            let limit = self.settings.limits.user_limit.as_ref().map_or(0, crate::UserLimit::limit);
            return Err(SessionError::ResourceExhausted { what: "calls of this user", limit });
        };
        let mut outgoing = Some(Box::new(Outgoing::new(dial)));
        let added = self.table.add(|id| Session {
            outgoing: outgoing.take(),
            ..Session::new(
                CallFacts::new(id, call_number, now, parties, path),
                // Its address is proven: it can only answer an INVITE that was sent there.
                Admitted::new(Proof::Address, Seat::None, counts_for),
                SdpState::new(origin),
                Playback::new(plan),
            )
        });
        let Some(id) = added else {
            self.drop_reserved(turn, leg);
            return Err(SessionError::ResourceExhausted { what: "calls", limit: self.settings.limits.max_calls });
        };
        if let Some(other) = beside.filter(|_| is_tied) {
            self.tie(id, other);
        }
        self.limit_age(turn, id);
        self.give_leg(id, leg);
        self.open_leg(turn, id);
        Ok(id)
    }

    /// Adds credentials for calls that are placed with them.
    pub fn add_account(&mut self, turn: &mut Turn<'_>, account: Account) -> Result<AccountId, SessionError> {
        turn.sip.add_account(account).map_err(SessionError::Protocol)
    }

    /// Removes credentials.
    pub fn remove_account(&mut self, turn: &mut Turn<'_>, account: AccountId) -> Result<(), SessionError> {
        turn.sip.remove_account(account).map_err(SessionError::Protocol)
    }

    /// The limit for the answer starts anew with each target.
    pub(crate) fn limit_answer(&mut self, turn: &Turn<'_>, id: SessionId) {
        let Some(out) = self.table.get(id).and_then(|session| session.outgoing.as_ref()) else { return };
        // RFC 3261 §13.2.1: an INVITE that says how long it is good is cancelled then.
        let expires = out.dial.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("Expires"));
        let expires =
            expires.and_then(|(_, seconds)| seconds.trim().parse().ok()).map_or(RING_LIMIT, Duration::from_secs);
        let limit = out.dial.answer_timeout.unwrap_or(self.settings.timeouts.answer).min(expires).min(RING_LIMIT);
        let progress_limit = self.settings.timeouts.progress.min(limit);
        if let Some(out) = self.table.get_mut(id).and_then(|session| session.outgoing.as_mut()) {
            out.answer_by = Some(turn.now + limit);
        }
        self.wake(id, Timer::Answer, Some(turn.now + progress_limit));
    }

    /// A target that rings has all the time that an answer may take.
    pub(crate) fn limit_ringing(&mut self, id: SessionId) {
        let out = self.table.get_mut(id).and_then(|session| session.outgoing.as_mut());
        if let Some(answer_by) = out.and_then(|out| out.answer_by.take()) {
            self.wake(id, Timer::Answer, Some(answer_by));
        }
    }
}

/// A Call-ID for a call that we place: the number of the call, by which its other leg is known as well, and one that was
/// drawn for this INVITE.
pub(crate) fn call_id(call: CallNumber, drawn: u64) -> String {
    format!("{call}-{:08x}", drawn as u32)
}
