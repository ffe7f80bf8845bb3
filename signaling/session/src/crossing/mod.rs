//! What crosses from one side of a call to the other beside its media: the caller's identity, header fields, INFO.
//!
//! `policy.rs` has the list, `privacy.rs` what a caller wants hidden, `identity.rs` names and numbers, `lines.rs` the
//! lines on their way. [`Crossing`] keeps what an INVITE said until its call is answered; what answers, refusals, BYE and
//! CANCEL say goes on in the same turn.

mod farewell;
mod identity;
pub(crate) mod info;
mod lines;
mod policy;
mod privacy;

pub(crate) use farewell::Farewell;
pub(crate) use identity::{ANONYMOUS, from_at};
pub use policy::CrossingPolicy;
pub(crate) use policy::{Moment, Trust};

use crate::SessionId;
use crate::{REMEMBERED_BYTES_MAX, Sessions, Turn};
use clock::{Duration, Instant};
use identity::{display, named, to_at};
use lines::Lines;
use privacy::Privacy;
use sip_core::Span;
use sip_wire::{Message, Uri, UriBuf};
use stats::SignalCounter;

/// What the INVITE of a caller says for the INVITEs to its targets. Freed when the call is answered.
#[derive(Debug)]
pub(crate) struct Crossing {
    /// From of the INVITEs to the targets: anonymous where the caller asks for privacy.
    from: Box<str>,
    /// The display name of To.
    called_name: Box<str>,
    /// The Request-URI.
    called: Option<UriBuf>,
    lines: Lines,
    privacy: Privacy,
    /// When the INVITE is no longer good (RFC 3261 §13.3.1).
    expires_at: Option<Instant>,
}

impl Crossing {
    fn read(now: Instant, message: &Message<'_>, policy: &CrossingPolicy, from: Trust) -> Self {
        let mut lines = policy.read(message, Moment::Call, from);
        lines.shrink();
        let privacy = Privacy::of(message);
        let caller = message.from().ok().filter(|caller| caller.uri.as_bytes().len() <= REMEMBERED_BYTES_MAX);
        let from = match caller {
            _ if privacy.hides_caller() => ANONYMOUS.into(),
            Some(caller) => named(&display(&caller), &caller.uri.canonical()).into(),
            None => "".into(),
        };
        let called = message.request_uri().ok().filter(|called| called.as_bytes().len() <= REMEMBERED_BYTES_MAX);
        let expires_at = message.expires().ok().flatten().map(|seconds| now + Duration::from_secs(seconds.into()));
        Self {
            from,
            called_name: message.to().map(|to| display(&to)).unwrap_or_default().into(),
            called: called.map(UriBuf::from),
            lines,
            privacy,
            expires_at,
        }
    }

    /// From of the INVITEs to the targets.
    pub(crate) fn from(&self) -> &str {
        &self.from
    }

    pub(crate) fn hides_caller(&self) -> bool {
        self.privacy.hides_caller()
    }

    /// To of the INVITE to this target: who was called, at the target's host.
    pub(crate) fn to_at(&self, target: &str) -> Option<String> {
        let target = Uri::parse(target.as_bytes()).ok()?;
        Some(named(&self.called_name, &to_at(&self.called.as_ref()?.uri(), &target)?))
    }

    /// When the caller no longer waits.
    pub(crate) fn expires_at(&self) -> Option<Instant> {
        self.expires_at
    }

    /// The seconds that are left, for the targets' INVITEs.
    pub(crate) fn expires_s(&self, now: Instant) -> Option<u64> {
        let left = self.expires_at?.since(now);
        Some(left.as_millis().div_ceil(1_000).max(1) as u64)
    }

    /// The lines that a target may see.
    pub(crate) fn lines_for<'c>(
        &'c self,
        policy: &'c CrossingPolicy,
        to: Trust,
    ) -> impl Iterator<Item = (&'c str, &'c str)> {
        self.lines.iter().filter(move |(name, value)| policy.may_see(name, value, self.privacy, to))
    }
}

impl Sessions {
    /// Keeps what an INVITE says for its targets, for a call that goes on or may do so.
    pub(crate) fn keep_for_crossing(&mut self, turn: &Turn<'_>, id: SessionId, message: Span) {
        let policy = &self.settings.crossing;
        let from = if turn.path.is_ours { Trust::Stranger } else { policy.trust(turn.path.remote.ip()) };
        let Some(message) = turn.sip.message(message) else { return };
        let crossing = Crossing::read(turn.now, &message, policy, from);
        self.count_dropped(&crossing.lines);
        if let Some(session) = self.table.get_mut(id) {
            session.facts.hide_caller(crossing.hides_caller());
            if let Some(incoming) = &mut session.incoming {
                incoming.keep_crossing(crossing);
            }
        }
    }

    /// The lines of a peer's message that the other side of its call may see.
    pub(crate) fn crossing_lines(
        &mut self,
        turn: &Turn<'_>,
        id: SessionId,
        message: Span,
        moment: Moment,
    ) -> Vec<(Box<str>, Box<str>)> {
        let Some(session) = self.table.get(id) else { return Vec::new() };
        let Some(other) = session.linked_to().and_then(|other| self.table.get(other)) else { return Vec::new() };
        let policy = &self.settings.crossing;
        let from = policy.trust(session.remote_signaling().ip());
        let to = policy.trust(other.remote_signaling().ip());
        let Some(message) = turn.sip.message(message) else { return Vec::new() };
        let lines = policy.read(&message, moment, from);
        let privacy = Privacy::of(&message);
        let seen = lines.iter().filter(|(name, value)| policy.may_see(name, value, privacy, to));
        let seen = seen.map(|(name, value)| (name.into(), value.into())).collect();
        self.count_dropped(&lines);
        seen
    }

    fn count_dropped(&mut self, lines: &Lines) {
        if lines.dropped() > 0 {
            self.counts.add(SignalCounter::HeadersNotPassed, lines.dropped() as u64);
        }
    }
}
