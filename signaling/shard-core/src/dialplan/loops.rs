//! Calls that come back to the switch that has sent them on. Call-ID, tags and Via are new on the other side of a
//! back-to-back user agent, so that the loop detection of proxies (RFC 3261 §16.3) finds nothing there. `Session-ID` (RFC
//! 7329, RFC 7989) was made to survive: a call that has none gets one, and one that is being set up by the same route for
//! the same user with the same Session-ID as others is refused with 482.

use crate::dialplan::routes::Called;
use session::{SessionEvent, SessionId, SessionState};
use sip_wire::{Message, Name};
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Calls of one Session-ID that are set up at once by one route for one user, with fewer hops left than the first. Such a
/// call has come back; the second may be a new attempt by another way.
const SAME_CALLS_MAX: u32 = 2;
/// And with as many hops left: branches of a proxy before us that forks, unless a server on the way counts hops anew.
const SAME_FORKS_MAX: u32 = 8;
/// Longest Session-ID that is looked at: its UUID has 32 hexadecimal digits.
const ID_BYTES_MAX: usize = 64;

/// What two calls have in common of which one is the other come back.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct SameCall {
    session_id: String,
    user: String,
    route: Arc<str>,
}

/// Calls that have this in common.
#[derive(Default)]
struct Rounds {
    count: u32,
    /// What the first of them had left of its Max-Forwards.
    hops: u8,
}

/// Calls of a switch that are being set up. Clones are of different shards and count together.
#[derive(Default)]
pub(super) struct LoopGuard {
    counts: Arc<Mutex<HashMap<SameCall, Rounds>>>,
    /// Those of this shard.
    own: HashMap<SessionId, SameCall>,
}

impl Clone for LoopGuard {
    fn clone(&self) -> Self {
        Self { counts: self.counts.clone(), own: HashMap::new() }
    }
}

/// What becomes of a call that is to be sent on.
pub(super) enum Seen {
    /// It goes on; with this Session-ID, where it has none.
    GoesOn(Option<String>),
    /// It has come back too often.
    Loop,
}

impl LoopGuard {
    /// Notes a call that is to be sent on by a route.
    pub(super) fn note(&mut self, id: SessionId, invite: &Message<'_>, called: &Called, route: &Arc<str>) -> Seen {
        let written = session_id(invite);
        if written.as_deref().is_some_and(is_null) {
            // RFC 7989 §5: this one names no session. Max-Forwards ends a loop of such calls.
            return Seen::GoesOn(None);
        }
        let hops = invite.max_forwards().ok().flatten().unwrap_or(70);
        let session_id = written.clone().unwrap_or_else(|| new_session_id(invite));
        let call = SameCall { session_id: session_id.clone(), user: called.user().to_owned(), route: route.clone() };
        let mut counts = self.counts();
        let rounds = counts.entry(call.clone()).or_insert(Rounds { count: 0, hops });
        if rounds.count >= if hops < rounds.hops { SAME_CALLS_MAX } else { SAME_FORKS_MAX } {
            return Seen::Loop;
        }
        rounds.count += 1;
        drop(counts);
        self.own.insert(id, call);
        Seen::GoesOn(written.is_none().then_some(session_id))
    }

    /// Forgets calls that are answered or over.
    pub(super) fn handle(&mut self, events: &[SessionEvent]) {
        for event in events {
            match event {
                SessionEvent::StateChanged { id, new: SessionState::Connected, .. }
                | SessionEvent::Ended { id, .. } => {
                    self.forget(*id);
                }
                _ => {}
            }
        }
    }

    fn forget(&mut self, id: SessionId) {
        let Some(call) = self.own.remove(&id) else { return };
        let mut counts = self.counts();
        match counts.get_mut(&call) {
            Some(rounds) if rounds.count > 1 => rounds.count -= 1,
            _ => drop(counts.remove(&call)),
        }
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<SameCall, Rounds>> {
        // A count that was not taken back is all that a thread which died can leave.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The UUID that stands where none is known.
fn is_null(id: &str) -> bool {
    id.bytes().all(|digit| digit == b'0')
}

/// The caller's own UUID, without parameters.
fn session_id(invite: &Message<'_>) -> Option<String> {
    let line = invite.header_lines(Name::SessionId).next()?;
    let id = line.split(|byte| *byte == b';').next()?.trim_ascii();
    let is_one = !id.is_empty() && id.len() <= ID_BYTES_MAX && id.iter().all(u8::is_ascii_hexdigit);
    is_one.then(|| String::from_utf8_lossy(id).to_ascii_lowercase())
}

/// One for a call that has none: what nobody else's call has, and this one has again.
fn new_session_id(invite: &Message<'_>) -> String {
    let half = |name: &str| {
        let mut hasher = DefaultHasher::new();
        (name, invite.header(Name::CallId), invite.header(Name::From), invite.header(Name::Via)).hash(&mut hasher);
        hasher.finish()
    };
    format!("{:016x}{:016x}", half("first"), half("second"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_come_back_are_told_from_forks_and_from_sessions_without_a_name() {
        let goes_on = |guard: &mut LoopGuard, number: u64, id: &str, hops: u8| {
            let text = format!(
                "INVITE sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nCall-ID: c{number}\r\nMax-Forwards: {hops}\r\n\
                 Session-ID: {id}\r\n\r\n"
            );
            let invite = Message::parse(text.as_bytes()).unwrap();
            let called = Called::of(&sip_wire::Uri::parse(b"sip:a@h").unwrap());
            matches!(guard.note(SessionId::from_u64(number), &invite, &called, &"*".into()), Seen::GoesOn(_))
        };
        let (mut guard, id) = (LoopGuard::default(), "ab30317f1a784dc48ff824d0d3715d86");
        let forks: Vec<bool> = (0..9).map(|number| goes_on(&mut guard, number, id, 70)).collect();
        assert_eq!(forks, [true, true, true, true, true, true, true, true, false]);
        let mut guard = LoopGuard::default();
        assert_eq!([70, 67, 64].map(|hops| goes_on(&mut guard, hops.into(), id, hops)), [true, true, false]);
        let mut guard = LoopGuard::default();
        assert!((0..20).all(|number| goes_on(&mut guard, number, &"0".repeat(32), 70)));
    }

    #[test]
    fn a_session_id_is_its_uuid_alone() {
        let id = |line: &str| {
            let text = format!("INVITE sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nCall-ID: c\r\n{line}\r\n");
            session_id(&Message::parse(text.as_bytes()).unwrap())
        };
        let uuid = "ab30317f1a784dc48ff824d0d3715d86";
        assert_eq!(id(&format!("Session-ID: {uuid};remote={}\r\n", "0".repeat(32))).as_deref(), Some(uuid));
        assert_eq!(id(&format!("session-id: {}\r\n", uuid.to_uppercase())).as_deref(), Some(uuid));
        for none in ["", "Session-ID: \r\n", "Session-ID: xyz\r\n", &format!("Session-ID: {}\r\n", "a".repeat(65))] {
            assert_eq!(id(none), None, "{none}");
        }
    }
}
