//! Calls that programs place: from a URI to addresses, and from there to a shard.

use crate::api::advanced::OutgoingCall;
use crate::api::{CallSession, SessionCoordinator, SessionError, SessionId, SessionState};
use crate::calls::entry::Entry;
use session::{Dial, EndReason, Target};
use signald::OrderTurn;
use std::sync::Arc;
use std::time::Duration;

/// How long an answer may take to reach the media plane before `wait_for_answer` returns all the same.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

impl SessionCoordinator {
    /// The paths to a URI, best first (RFC 3263).
    pub(crate) async fn targets(&self, uri: &str) -> Result<Vec<Target>, SessionError> {
        let wrong = |reason: String| SessionError::invalid_uri(uri, reason);
        let text = session::bracketed(uri);
        if text.contains(char::is_control) {
            return Err(wrong("it has line ends or other control signs".into()));
        }
        let address = sip_wire::Address::check(&text).map_err(|error| wrong(error.to_string()))?;
        if !address.uri.scheme.is_sip() || address.uri.host.is_none() {
            return Err(wrong("only sip: and sips: with a host can be called".into()));
        }
        let paths = self.paths().ok_or_else(|| SessionError::transport("signaling does not run; start it first"))?;
        let found = paths.find(&address.uri).await;
        let found = found.map_err(|error| SessionError::transport(format!("`{uri}`: {error}")))?;
        let request_uri = String::from_utf8_lossy(address.uri.as_bytes()).into_owned();
        Ok(found.into_iter().map(|path| Target::new(&request_uri, path)).collect())
    }

    /// Our side of a call: as given, as configured, or by where we are.
    pub(crate) fn checked_address(&self, from: &str, target: &Target) -> Result<Box<str>, SessionError> {
        let from = if from.is_empty() { &self.config.local_address } else { from };
        let from = if from.is_empty() { &format!("sip:ringplane@{}", target.flow.local) } else { from };
        let text = session::bracketed(from);
        let is_sound = !text.contains(char::is_control)
            && sip_wire::Address::check(&text).is_ok_and(|address| address.tag().is_none());
        if is_sound { Ok(text) } else { Err(SessionError::invalid_uri(from, "it cannot be a caller")) }
    }

    /// Places a call; its session is known when this returns. [`SessionError::ResourceExhausted`]: the share of its level
    /// is full.
    pub(crate) async fn dial(&self, call: OutgoingCall) -> Result<CallSession, SessionError> {
        let level = call.priority;
        let place = self.admission.take(level).map_err(|limit| crate::admission::full(level, limit))?;
        self.start(None).await?;
        let targets = self.targets(&call.to).await?;
        let from = self.checked_address(&call.from, &targets[0])?;
        let mut dial = Dial::new(&from, targets[0].clone());
        (dial.targets, dial.sdp, dial.to) = (targets, call.sdp.map(Into::into), call.to.into());
        (dial.headers, dial.answer_timeout) = (call.headers.boxed(), call.answer_timeout);
        let shard = self.next_shard();
        let this = self.this.clone();
        let placed = self.order(shard, move |order| {
            let id = order.sessions.dial(order.turn, dial)?;
            let parties = order.sessions.get(id).map(session::Session::parties).cloned().unwrap_or_default();
            let id = SessionId::new(shard, id);
            let entry = Arc::new(Entry::new(id, &parties.from, &parties.to, &parties.call_id, false));
            entry.facts().place = Some(place);
            if let Some(this) = this.upgrade() {
                this.registry.insert(entry.clone());
            }
            Ok(entry)
        });
        let entry = placed.await?.map_err(SessionError::of_nothing)?;
        Ok(self.session_of(&entry))
    }

    /// Waits until a call that we placed is answered.
    pub(crate) async fn answered(&self, id: SessionId, limit: Duration) -> Result<CallSession, SessionError> {
        let entry = self.registry.known(id).ok_or_else(|| SessionError::not_found(id))?;
        match tokio::time::timeout(limit, entry.left_ringing()).await {
            Err(_) => Err(SessionError::timeout(id, limit).of_call(&entry)),
            Ok(SessionState::Terminating | SessionState::Terminated) => Err(self.failed_because(&entry).await),
            Ok(_) => {
                self.media_settles(&entry).await;
                Ok(self.session_of(&entry))
            }
        }
    }

    /// What an answer says about media reaches the media plane a moment after the answer itself. A program that is told of
    /// the answer finds both.
    async fn media_settles(&self, entry: &Entry) {
        let id = entry.id;
        let is_moving = move |order: OrderTurn<'_, '_>| {
            let session = order.sessions.get(id.inner());
            session.is_some_and(|session| session.leg().is_some() && session.remote_rtp().is_none())
        };
        let settled = entry.look_until(|| async move {
            let is_moving = self.order(id.shard(), is_moving).await.unwrap_or(false);
            (!is_moving).then_some(())
        });
        // Where the media plane takes longer the call is answered all the same.
        let _ = tokio::time::timeout(ANSWER_LIMIT, settled).await;
    }

    /// Waits until a call that was accepted is up. The media plane is asked first, which takes a moment.
    pub(crate) async fn comes_up(&self, entry: &Arc<Entry>) -> Result<CallSession, SessionError> {
        let is_over = |state| matches!(state, SessionState::Terminating | SessionState::Terminated);
        match tokio::time::timeout(ANSWER_LIMIT, entry.left_ringing()).await {
            Ok(state) if is_over(state) => Err(self.failed_because(entry).await),
            // Where the peer or the media plane takes its time the answer goes out as soon as it can.
            _ => Ok(self.session_of(entry)),
        }
    }

    /// Why a call never came up. Its end follows its last state within the same turn of its shard, or a little later.
    async fn failed_because(&self, entry: &Entry) -> SessionError {
        const SETTLE_LIMIT: Duration = Duration::from_secs(40);
        let ended = entry.look_until(|| std::future::ready(entry.facts().end));
        let error = match tokio::time::timeout(SETTLE_LIMIT, ended).await {
            Ok(EndReason::Rejected(status) | EndReason::Refused(status)) => {
                let phrase = sip_wire::StatusCode::new(status).map_or("", sip_wire::StatusCode::reason_phrase);
                SessionError::rejected(entry.id, status, phrase)
            }
            Ok(EndReason::NoAnswer) => SessionError::timeout(entry.id, entry.created_at.elapsed()),
            Ok(EndReason::Cancelled | EndReason::LocalBye) => SessionError::rejected(entry.id, 487, "cancelled"),
            Ok(reason) => SessionError::transport(reason.name()),
            Err(_) => SessionError::timeout(entry.id, SETTLE_LIMIT),
        };
        error.of_call(entry)
    }
}
