//! What is told of a call at its end: its parties, its targets, its status, and where the end came from.

use crate::{EndReason, Parties, Session, SessionId, Sessions};
use clock::Instant;
use sip_core::{Flow, Transport};
use sip_wire::{Message, Name};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// Most attempts that are remembered of one call.
const ATTEMPTS_MAX: usize = 24;
/// Longest text of a peer that is remembered of a refusal.
const WORDS_BYTES_MAX: usize = 128;

/// Names a call from its first INVITE on: both its legs, the log, `calls` and events have the same, and the Call-IDs that
/// we make begin with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct CallNumber(pub(crate) u64);

impl fmt::Display for CallNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Who or what ended a call, or refused it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndOrigin {
    /// The switch, or the program or person that runs it: a limit, a rule, a decision.
    Here,
    /// The peer of this leg: BYE, CANCEL, or an answer that cannot be used.
    Peer,
    /// The one that was called, or a server on the way there, with a SIP answer.
    Called,
    /// A response, an ACK or media did not come in time.
    TimeOut,
    /// The network: the port is closed, a connection cannot be made, or it broke.
    Network,
    /// No address of the target is known.
    NoPath,
    /// The media plane.
    Media,
}

impl EndOrigin {
    /// Where the outcome of a request of ours comes from: without a message the status is the endpoint's own.
    pub(crate) fn of_response(status: u16, has_message: bool) -> Self {
        match status {
            _ if has_message => Self::Peer,
            408 => Self::TimeOut,
            503 => Self::Network,
            _ => Self::Here,
        }
    }

    /// The origin as operators see it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Here => "this switch",
            Self::Peer => "the peer",
            Self::Called => "the called side",
            Self::TimeOut => "a time-out",
            Self::Network => "the network",
            Self::NoPath => "no path",
            Self::Media => "the media plane",
        }
    }
}

/// What became of one INVITE of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It has no answer yet, or was given up before it had one.
    Open,
    /// It was answered.
    Answered,
    /// It was refused with this status.
    Refused(u16),
    /// There was no answer in time.
    TimedOut,
    /// The target cannot be reached.
    Unreachable,
    /// It could not be sent.
    NotSent,
}

/// A target that a call was sent to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// The Request-URI.
    pub uri: Box<str>,
    /// The next hop.
    pub remote: SocketAddr,
    /// The transport to the next hop.
    pub transport: Transport,
    /// The outcome of its INVITE.
    pub outcome: Outcome,
}

/// Whether a session counts as a call of its own, for example in call records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Share {
    /// It does: it is the only leg of a call, or the first one.
    #[default]
    Call,
    /// It is the leg that was placed for another one, whose end tells of both.
    SecondLeg,
}

/// A call that is over, or that never became a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallStory {
    /// The number of the call; none where it was refused before it had one.
    pub number: Option<CallNumber>,
    /// Caller, called party, and the Call-ID of this leg.
    pub parties: Parties,
    /// The switch has placed it.
    pub is_outgoing: bool,
    /// Whether its end is told with that of another leg.
    pub share: Share,
    /// Where its signaling came from, or went to.
    pub remote: SocketAddr,
    /// When it began.
    pub began_at: Instant,
    /// When it was answered.
    pub answered_at: Option<Instant>,
    /// When it was over.
    pub ended_at: Instant,
    /// The status that ended the call, of the called side or of the switch; none where no response ended it.
    pub status: Option<u16>,
    /// Where the end came from.
    pub origin: EndOrigin,
    /// Words beside the status, of a peer or of the switch; mostly empty. Not escaped: escape it before you show it.
    pub words: Box<str>,
    /// The route that it took, as its pattern is written.
    pub route: Option<Arc<str>>,
    /// The targets that it was sent to, in order.
    pub attempts: Vec<Attempt>,
    /// The Call-ID of its other leg.
    pub other_call_id: Option<Box<str>>,
}

/// What a session remembers for its [`CallStory`].
#[derive(Debug, Default)]
pub(crate) struct Trail {
    pub(crate) share: Share,
    pub(crate) route: Option<Arc<str>>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) words: Box<str>,
    pub(crate) other_call_id: Option<Box<str>>,
    /// Where the end came from, when its other leg knows that better.
    pub(crate) origin: Option<EndOrigin>,
}

impl Session {
    /// The number of its call; both legs of one have the same.
    pub fn number(&self) -> CallNumber {
        self.facts.number()
    }

    /// The route that it took.
    pub fn route(&self) -> Option<&str> {
        self.trail.as_ref()?.route.as_deref()
    }

    fn trail(&mut self) -> &mut Trail {
        self.trail.get_or_insert_default()
    }

    pub(crate) fn took_route(&mut self, route: Option<Arc<str>>) {
        if route.is_some() {
            self.trail().route = route;
        }
    }

    /// Remembers words about the end, of a peer or of the switch.
    pub(crate) fn heard_words(&mut self, words: &str) {
        if !words.is_empty() {
            self.trail().words = shortened(words);
        }
    }

    pub(crate) fn attempted(&mut self, uri: &str, flow: &Flow, outcome: Outcome) {
        let attempts = &mut self.trail().attempts;
        if attempts.len() < ATTEMPTS_MAX {
            attempts.push(Attempt { uri: uri.into(), remote: flow.remote, transport: flow.transport, outcome });
        }
    }

    /// The outcome of the last attempt.
    pub(crate) fn attempt_is(&mut self, outcome: Outcome) {
        if let Some(last) = self.trail.as_mut().and_then(|trail| trail.attempts.last_mut()) {
            last.outcome = outcome;
        }
    }

    /// What is told of the session, once it is over.
    pub(crate) fn into_story(mut self, reason: EndReason, now: Instant) -> CallStory {
        let trail = self.trail.take().map(|trail| *trail).unwrap_or_default();
        let seen = trail.attempts.last().and_then(|last| match last.outcome {
            Outcome::Refused(status) if matches!(reason, EndReason::Rejected(_)) => Some(status),
            _ => None,
        });
        CallStory {
            number: Some(self.number()),
            is_outgoing: self.is_outgoing(),
            share: trail.share,
            remote: self.remote_signaling(),
            began_at: self.created_at(),
            answered_at: self.connected_at(),
            ended_at: now,
            status: seen.or((!self.is_answered()).then(|| reason.sip_status()).flatten()),
            origin: trail.origin.unwrap_or(match reason {
                EndReason::Cancelled if self.is_outgoing() => EndOrigin::Here,
                _ => reason.origin(),
            }),
            words: trail.words,
            route: trail.route,
            attempts: trail.attempts,
            other_call_id: trail.other_call_id,
            parties: self.facts.into_parties(),
        }
    }
}

impl Sessions {
    /// The two sides of a call are about to part, because `one` ends: the leg whose end tells of both gets what the other
    /// one knows.
    pub(crate) fn tell_each_other(&mut self, one: SessionId, other: SessionId, reason: EndReason) {
        let is_outgoing = |id| self.table.get(id).is_some_and(|session| session.is_outgoing());
        let (first, second) = match (is_outgoing(one), is_outgoing(other)) {
            (true, false) => (other, one),
            _ => (one, other),
        };
        let Some(session) = self.table.get_mut(second) else { return };
        let call_id = session.parties().call_id.clone();
        let trail = session.trail();
        let (attempts, words) = (std::mem::take(&mut trail.attempts), std::mem::take(&mut trail.words));
        trail.share = Share::SecondLeg;
        let Some(session) = self.table.get_mut(first) else { return };
        let own_id = session.parties().call_id.clone();
        let trail = session.trail();
        trail.attempts.extend(attempts);
        trail.attempts.truncate(ATTEMPTS_MAX);
        if trail.words.is_empty() {
            trail.words = words;
        }
        trail.other_call_id = Some(call_id);
        if second == one && reason.origin() == EndOrigin::Peer {
            trail.origin = Some(EndOrigin::Called);
        }
        if let Some(session) = self.table.get_mut(second) {
            session.trail().other_call_id = Some(own_id);
        }
    }
}

fn shortened(words: &str) -> Box<str> {
    let mut end = words.len().min(WORDS_BYTES_MAX);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    words[..end].into()
}

/// The reason phrase of a response, with the texts of its Reason and Warning fields: why it was refused, in words.
pub(crate) fn words_of(response: &Message<'_>) -> String {
    let mut words = String::from_utf8_lossy(response.reason_phrase()).trim().to_owned();
    for name in [Name::Reason, Name::Warning] {
        if let Some(value) = response.header(name) {
            words = format!("{words}; {}", String::from_utf8_lossy(value).trim());
        }
    }
    words
}
