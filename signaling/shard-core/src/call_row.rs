//! A call as operators see it.

use clock::Instant;
use contract::{Codec, LegRef};
use session::{Session, SessionId, SessionState, Sessions};
use sip_core::proxy::ProxyStory;
use sip_wire::Message;
use std::net::SocketAddr;

/// What a shard knows of a call.
pub struct CallRow {
    pub id: String,
    pub number: String,
    pub is_outgoing: bool,
    /// The other leg of the call, or of the bridge.
    pub linked: Option<String>,
    pub route: Option<Box<str>>,
    pub state: &'static str,
    pub from: Box<str>,
    pub to: Box<str>,
    pub call_id: Box<str>,
    pub age_s: u64,
    pub codec: Option<Codec>,
    pub leg: Option<LegRef>,
    pub local: Option<SocketAddr>,
    pub remote: Option<SocketAddr>,
    pub signaling: SocketAddr,
}

/// What operators name a call by. It is there before anything else of the call is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallNames<'c> {
    /// The id of a leg, or of a call of the proxy.
    pub id: &'c str,
    pub number: &'c str,
    pub call_id: &'c str,
    /// Where its signaling comes from.
    pub signaling: SocketAddr,
}

impl CallNames<'_> {
    /// Whether this is one of its names.
    pub fn has(&self, name: &str) -> bool {
        [self.id, self.number, self.call_id].contains(&name)
    }
}

pub fn calls(now: Instant, shard: usize, sessions: &Sessions) -> Vec<CallRow> {
    sessions.iter().map(|session| CallRow::of(now, shard, session)).collect()
}

impl CallRow {
    /// Its Call-ID, if this is one of its names.
    pub fn call_id_of(&self, name: &str) -> Option<&str> {
        self.names().has(name).then_some(&self.call_id)
    }

    /// What operators name it by.
    pub fn names(&self) -> CallNames<'_> {
        CallNames { id: &self.id, number: &self.number, call_id: &self.call_id, signaling: self.signaling }
    }

    /// A call that the proxy sets up.
    pub fn proxied(now: Instant, id: String, route: Option<String>, call: &ProxyStory<'_>) -> Self {
        let message = Message::parse(call.request).ok();
        let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        let from = message.as_ref().and_then(|message| message.from().ok());
        let to = message.as_ref().and_then(|message| message.to().ok());
        Self {
            number: id.clone(),
            id,
            is_outgoing: false,
            linked: None,
            route: route.map(Into::into),
            state: if call.is_ringing { SessionState::Ringing } else { SessionState::Initializing }.name(),
            from: text(from.map(|from| from.uri.as_bytes())).into(),
            to: text(to.map(|to| to.uri.as_bytes())).into(),
            call_id: text(message.as_ref().and_then(|message| message.call_id().ok())).into(),
            age_s: now.since(call.began_at).as_secs(),
            codec: None,
            leg: None,
            local: None,
            remote: None,
            signaling: call.remote,
        }
    }

    /// A session.
    pub fn of(now: Instant, shard: usize, session: &Session) -> Self {
        let parties = session.parties();
        Self {
            id: leg_id(shard, session.id()),
            number: session.number().to_string(),
            is_outgoing: session.is_outgoing(),
            linked: session.linked_to().map(|other| leg_id(shard, other)),
            route: session.route().map(Into::into),
            state: session.state().name(),
            from: parties.from.clone(),
            to: parties.to.clone(),
            call_id: parties.call_id.clone(),
            age_s: now.since(session.created_at()).as_secs(),
            codec: session.codec(),
            leg: session.leg(),
            local: session.local_rtp(),
            remote: session.remote_rtp(),
            signaling: session.remote_signaling(),
        }
    }
}

/// A session of a shard, as operators name it.
/// What operators name a leg by.
pub fn leg_id(shard: usize, id: SessionId) -> String {
    format!("{shard}-{id}")
}
