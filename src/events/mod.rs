//! Events: what happened to sessions, as subscribers receive it.

pub(crate) mod custom;
mod filter;

pub use filter::{EventClass, EventFilter};

use crate::api::{DialogId, QualityChange, RecordingSummary, SessionId, SessionState};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;
use tokio::sync::broadcast;

/// Something that happened to a session. It serialises, for a log that other programs read.
///
/// ```
/// # use ringplane::api::*;
/// let line = r#"{"session_id":"19abc01f2d4-0-1f","correlation_id":"a84b4c76e66710","at":"2026-11-30T10:49:47.25Z",
///     "from":"sip:alice@example.com","to":"sip:bob@example.com","kind":{"DtmfReceived":{"digit":"5"}}}"#;
/// let event: SessionEvent = serde_json::from_str(line)?;
/// assert_eq!((event.kind.class(), &*event.to), (EventClass::Dtmf, "sip:bob@example.com"));
/// assert_eq!(event.session_id.to_string(), "19abc01f2d4-0-1f");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SessionEvent {
    /// Which session.
    pub session_id: SessionId,
    /// Its Call-ID: the same on every event, log line and SIP message of the call.
    pub correlation_id: Arc<str>,
    /// When; in JSON by RFC 3339, in UTC.
    #[serde(with = "rfc3339")]
    pub at: SystemTime,
    /// The caller, as a URI.
    pub from: Arc<str>,
    /// The called address, as a URI.
    pub to: Arc<str>,
    /// What happened.
    pub kind: EventKind,
}

/// The kind of an event, with what belongs to it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum EventKind {
    /// A call came in and waits for a decision.
    IncomingCall {
        /// Caller.
        from: String,
        /// Called, as the To field has it.
        to: String,
        /// The user part of who is really called (Request-URI).
        called_user: String,
    },
    /// Its state has changed.
    StateChanged {
        /// The state before.
        #[serde(serialize_with = "state_out", deserialize_with = "state_in")]
        old: SessionState,
        /// The state now.
        #[serde(serialize_with = "state_out", deserialize_with = "state_in")]
        new: SessionState,
    },
    /// The peer pressed a key.
    DtmfReceived {
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        digit: char,
    },
    /// The peer has begun to speak, or has ended, where [`crate::api::VoiceProcessing::activity`] asks for it; at most three times
    /// a second. It ends 200 ms after its last sound.
    VoiceActivity {
        /// It speaks.
        is_speaking: bool,
    },
    /// A member of a room ([`crate::api::Call::join_room`]) has begun to speak there, or has ceased to, where
    /// [`crate::api::RoomRole::telling_speaking`] asks for it.
    RoomSpeaking {
        /// It is one of those who are heard now.
        is_speaking: bool,
    },
    /// An announcement of this call in its room ([`crate::api::Call::announce`]) is over.
    AnnouncementEnded {
        /// The announcement that is over.
        announcement: crate::api::AnnouncementId,
        /// It was not played: as many wait as may, or the call was in no room any more.
        is_refused: bool,
    },
    /// The media plane has no place for one more peer whose voice is processed (`voice_processors` of `[media]`): this one is
    /// heard as it is.
    VoiceProcessingRefused,
    /// The one that we called says something before it answers.
    Progress {
        /// 101 to 199.
        status: u16,
        /// Whether early media comes with it.
        has_media: bool,
    },
    /// An incoming call goes on to somewhere else, as another session.
    Forwarded {
        /// The session there.
        to: SessionId,
    },
    /// The peer asked us to call a third party in its place (REFER).
    TransferRequested {
        /// The address of the third party, as Refer-To has it.
        target: String,
    },
    /// The call that a transfer asks for is being placed, as another session; once answered it takes the place of this one.
    TransferStarted {
        /// The session of the new call.
        to: SessionId,
    },
    /// The call that we asked the peer for was answered; this one ends.
    TransferAccepted,
    /// The call that we asked the peer for was not taken; this one goes on.
    TransferFailed {
        /// Its status; 408 when nothing was heard of it.
        status: u16,
    },
    /// The peer reports about the call that we asked it for.
    TransferProgress {
        /// Status of that call.
        status: u16,
    },
    /// One side has put the other on hold, or has taken that back.
    HoldChanged {
        /// We hold the peer.
        here: bool,
        /// The peer holds us.
        there: bool,
    },
    /// What was agreed on for media changed: address, codec or direction.
    MediaChanged,
    /// What was played came to its end.
    AudioEnded,
    /// What is said and heard is being written into a file.
    RecordingStarted {
        /// The other session.
        path: std::path::PathBuf,
    },
    /// A recording is over and its file whole: it was stopped, the call ended, or it is as long as it may be. That of a
    /// call that ends comes after the end of the call.
    RecordingEnded {
        /// What is in it.
        summary: Arc<RecordingSummary>,
    },
    /// The session was answered, and its media was set up.
    MediaEstablished,
    /// Its media is paused: one side has put the other on hold.
    MediaPaused,
    /// Its media flows again.
    MediaResumed,
    /// Its media is gone, and its port is free. Follows [`Self::MediaEstablished`] in every call.
    MediaTerminated,
    /// Its numbers, again and again while [`crate::api::MediaControl::start_statistics_monitoring`] asks for them.
    MediaQuality {
        /// What was counted by now.
        statistics: crate::api::MediaStatistics,
    },
    /// The quality of what is heard is better or worse than before.
    QualityChanged {
        /// From where to where.
        change: QualityChange,
    },
    /// A stream of the call is degraded: for two intervals in a row it scored below
    /// [`crate::api::SessionManagerBuilder::with_degraded_mos`].
    QualityDegraded {
        /// Which stream, and how it sounds.
        change: QualityChange,
    },
    /// The call is degraded, and its peer is offered another codec that both have ([`crate::api::QualitySettings::codec_change`]).
    CodecChangeOffered {
        /// The codec.
        codec: crate::api::Codec,
    },
    /// A degraded stream has recovered.
    QualityRecovered {
        /// Which stream, and how it sounds.
        change: QualityChange,
    },
    /// The peer wants to change what was agreed on, by re-INVITE or UPDATE.
    ReinviteReceived {
        /// Its session description; `None` where it asks for ours.
        sdp: Option<String>,
    },
    /// Its dialog is there: it was answered.
    DialogCreated {
        /// What identifies it.
        dialog: DialogId,
    },
    /// Its dialog is over. Follows [`Self::DialogCreated`] in every call.
    DialogTerminated {
        /// What identified it.
        dialog: DialogId,
    },
    /// The peer ended it: BYE, or CANCEL before it was answered.
    TerminatedByRemote,
    /// The session is over.
    Ended {
        /// Why, in words.
        reason: String,
        /// The SIP status that it ended with before it was answered: the called side's, or ours; `None` for a call that was
        /// answered.
        status: Option<u16>,
        /// Where the end came from: `the peer`, `this switch`, ..., as `ringplane calls` and the log have it.
        origin: String,
    },
    /// Something of the program's own ([`crate::api::SessionCoordinator::publish_event`]).
    Custom {
        /// What, as the program calls it.
        name: Arc<str>,
        /// What is to be known of it.
        detail: Arc<str>,
    },
}

/// A subscription. A slow one loses its own oldest events, counted, and slows no other.
#[derive(Debug)]
pub struct Receiver<T: Clone> {
    inner: broadcast::Receiver<T>,
    filter: EventFilter,
    takes: fn(&EventFilter, &T) -> bool,
    lost: u64,
    lost_of_all: Arc<AtomicU64>,
}

impl<T: Clone> Receiver<T> {
    /// The next event; `None` once the coordinator is gone.
    pub async fn recv(&mut self) -> Option<T> {
        loop {
            match self.inner.recv().await {
                Ok(event) if (self.takes)(&self.filter, &event) => return Some(event),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(count)) => self.lose(count),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// The next event if there is one now.
    pub fn try_recv(&mut self) -> Option<T> {
        loop {
            match self.inner.try_recv() {
                Ok(event) if (self.takes)(&self.filter, &event) => return Some(event),
                Ok(_) => {}
                Err(broadcast::error::TryRecvError::Lagged(count)) => self.lose(count),
                Err(_) => return None,
            }
        }
    }

    /// Events, of all kinds, that went by while this subscriber was too slow.
    pub fn lost_count(&self) -> u64 {
        self.lost
    }

    fn lose(&mut self, count: u64) {
        self.lost += count;
        self.lost_of_all.fetch_add(count, Relaxed);
    }
}

/// Where events come from.
#[derive(Debug)]
pub(crate) struct Publisher<T: Clone> {
    sender: broadcast::Sender<T>,
    lost: Arc<AtomicU64>,
}

impl<T: Clone> Publisher<T> {
    /// A subscriber may be `backlog` events behind.
    pub(crate) fn new(backlog: usize) -> Self {
        Self { sender: broadcast::Sender::new(backlog), lost: Arc::default() }
    }

    pub(crate) fn publish(&self, event: T) {
        // Without a subscriber the event is dropped.
        let _ = self.sender.send(event);
    }

    pub(crate) fn has_subscribers(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    pub(crate) fn subscriber_count(&self) -> usize {
        self.sender.receiver_count()
    }

    pub(crate) fn lost_count(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    pub(crate) fn subscribe(&self, filter: EventFilter, takes: fn(&EventFilter, &T) -> bool) -> Receiver<T> {
        Receiver { inner: self.sender.subscribe(), filter, takes, lost: 0, lost_of_all: self.lost.clone() }
    }
}

impl Publisher<SessionEvent> {
    pub(crate) fn subscribe_to_sessions(&self, filter: EventFilter) -> Receiver<SessionEvent> {
        self.subscribe(filter, EventFilter::takes)
    }
}

/// Times as people and other programs read them.
pub(crate) mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::SystemTime;

    pub(crate) fn serialize<S: Serializer>(at: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_rfc3339(*at))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        humantime::parse_rfc3339(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

fn state_out<S: Serializer>(state: &SessionState, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(state.name())
}

fn state_in<'de, D: Deserializer<'de>>(from: D) -> Result<SessionState, D::Error> {
    let name = String::deserialize(from)?;
    let found = SessionState::ALL.into_iter().find(|state| state.name() == name);
    found.ok_or_else(|| serde::de::Error::custom(format!("`{name}` is no state of a session")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{QualityLevel, QualityStream};

    fn event(session: u64, kind: EventKind) -> SessionEvent {
        let session_id = SessionId::new(0, session::SessionId::from_u64(session));
        let (from, to) = ("sip:a@h".into(), "sip:b@h".into());
        SessionEvent { session_id, correlation_id: "c".into(), at: SystemTime::UNIX_EPOCH, from, to, kind }
    }

    #[test]
    fn events_come_back_from_json() {
        let states = EventKind::StateChanged { old: SessionState::Ringing, new: SessionState::Connected };
        let dialog = DialogId { call_id: "c".into(), local_tag: "l".into(), remote_tag: "r".into() };
        assert_eq!(dialog.to_string(), "c;to-tag=r;from-tag=l");
        let metrics = crate::api::QualityMetrics {
            mos_score: Some(3.5),
            packet_loss_percent: 10.0,
            jitter_ms: 1.5,
            round_trip_time_ms: 12.0,
            remote_loss_percent: 0.0,
            r_factor: Some(70.0),
            ..crate::api::QualityMetrics::default()
        };
        let change = QualityChange {
            stream: QualityStream::Sent,
            old: QualityLevel::Excellent,
            new: QualityLevel::of(3.5),
            is_degraded: true,
            mos_score: 3.5,
            metrics,
        };
        let all = [
            states,
            EventKind::DtmfReceived { digit: '#' },
            EventKind::QualityChanged { change },
            EventKind::QualityDegraded { change },
            EventKind::QualityRecovered { change },
            EventKind::DialogCreated { dialog },
            EventKind::ReinviteReceived { sdp: None },
            EventKind::Ended { reason: "r".into(), status: Some(486), origin: "o".into() },
        ];
        for kind in all {
            let event = event(5, kind);
            let text = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<SessionEvent>(&text).unwrap(), event, "{text}");
            assert!(text.contains(r#""at":"1970-01-01T00:00:00Z""#) && text.contains(r#""to":"sip:b@h""#), "{text}");
        }
        let unknown = crate::api::QualityMetrics { round_trip_time_ms: f64::NAN, ..metrics };
        let text = serde_json::to_string(&unknown).unwrap();
        assert!(text.contains(r#""round_trip_time_ms":null"#), "{text}");
        let back: crate::api::QualityMetrics = serde_json::from_str(&text).unwrap();
        assert!(back.round_trip_time_ms.is_nan() && back.mos_score == Some(3.5));
    }

    #[tokio::test]
    async fn filters_choose_and_slow_subscribers_lose_their_own() {
        let publisher = Publisher::new(4);
        let mut all = publisher.subscribe_to_sessions(EventFilter::all());
        let mut keys = publisher
            .subscribe_to_sessions(EventFilter::all().class(EventClass::Dtmf).session(event(2, end()).session_id));
        let key = |session| event(session, EventKind::DtmfReceived { digit: '1' });
        for sent in [key(1), key(2), event(2, end())] {
            publisher.publish(sent);
        }
        assert_eq!(keys.recv().await, Some(key(2)));
        assert_eq!(keys.try_recv(), None);
        (0..4).for_each(|_| publisher.publish(key(3)));
        let mut seen = Vec::new();
        while let Some(event) = all.try_recv() {
            seen.push(event);
        }
        assert_eq!((seen.len(), all.lost_count(), keys.lost_count()), (4, 3, 0));
        assert_eq!(publisher.lost_count(), 3);
        drop(publisher);
        assert_eq!(all.recv().await, None);
    }

    fn end() -> EventKind {
        EventKind::Ended { reason: "end".into(), status: None, origin: "the peer".into() }
    }
}
