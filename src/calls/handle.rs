//! A call with its operations: what [`crate::api::SessionControl`] and [`crate::api::MediaControl`] do by a coordinator and a name,
//! said of the call itself.

use crate::api::{
    AudioSource, BridgeId, CallSession, EventFilter, MediaControl, MediaInfo, MediaStatistics, Receiver,
    RecordingOptions, RecordingSummary, SessionControl, SessionCoordinator, SessionError, SessionEvent,
};
use std::future::{Future, IntoFuture};
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A call that a program holds in its hand. It is a [`CallSession`] together with its coordinator, which it keeps alive: as
/// long as a `Call` is there, dropping the coordinator ends nothing. A clone is the same call.
///
/// ```no_run
/// # use ringplane::api::*;
/// # use std::sync::Arc;
/// # use std::time::Duration;
/// # async fn example(coordinator: Arc<SessionCoordinator>, other: Call) -> Result<()> {
/// let call = coordinator.call("sip:bob@example.com").from("sip:alice@example.com").await?;
/// call.answered(Duration::from_secs(30)).await?;
/// call.play(AudioSource::Prompt("play".into())).await?;
/// call.hold().await?;
/// call.resume().await?;
/// call.bridge(&other).ends_together().await?;
/// call.hang_up().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Call {
    session: CallSession,
    coordinator: Arc<SessionCoordinator>,
}

impl Deref for Call {
    type Target = CallSession;
    fn deref(&self) -> &CallSession {
        &self.session
    }
}

impl CallSession {
    /// The same call with its operations.
    pub fn handle(&self) -> Call {
        Call { session: self.clone(), coordinator: self.coordinator() }
    }
}

impl SessionCoordinator {
    /// Calls an address: `coordinator.call("sip:bob@example.com").await` places the call, and returns at once.
    pub fn call(self: &Arc<Self>, to: impl Into<String>) -> Placing {
        Placing { coordinator: self.clone(), to: to.into(), from: String::new(), sdp: None }
    }
}

/// A call that is about to be placed; awaiting it places it.
#[derive(Debug)]
#[must_use = "a call is placed when this is awaited"]
pub struct Placing {
    coordinator: Arc<SessionCoordinator>,
    to: String,
    from: String,
    sdp: Option<String>,
}

impl Placing {
    /// Who calls; our own address, unless this says otherwise.
    pub fn from(mut self, from: impl Into<String>) -> Self {
        self.from = from.into();
        self
    }

    /// A session description of the program's own, whose media is the program's business too.
    pub fn with_sdp(mut self, sdp: impl Into<String>) -> Self {
        self.sdp = Some(sdp.into());
        self
    }
}

impl IntoFuture for Placing {
    type Output = Result<Call, SessionError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { coordinator, to, from, sdp } = self;
            let session = SessionControl::create_outgoing_call(&coordinator, &from, &to, sdp).await?;
            Ok(Call { session, coordinator })
        })
    }
}

impl Call {
    /// Waits until it is answered and its media is set up ([`SessionControl::wait_for_answer`]).
    pub async fn answered(&self, timeout: Duration) -> Result<(), SessionError> {
        self.coordinator.wait_for_answer(self.id(), timeout).await.map(drop)
    }

    /// Ends it: BYE, CANCEL or a refusal, whatever its state asks for.
    pub async fn hang_up(&self) -> Result<(), SessionError> {
        self.coordinator.terminate_session(self.id()).await
    }

    /// Holds the peer, and waits for its answer.
    pub async fn hold(&self) -> Result<(), SessionError> {
        self.coordinator.hold_session(self.id()).await
    }

    /// Takes the hold back, and waits for the peer's answer.
    pub async fn resume(&self) -> Result<(), SessionError> {
        self.coordinator.resume_session(self.id()).await
    }

    /// Replaces what the peer hears by silence.
    pub async fn mute(&self) -> Result<(), SessionError> {
        self.coordinator.mute(self.id()).await
    }

    /// The end of [`Self::mute`].
    pub async fn unmute(&self) -> Result<(), SessionError> {
        self.coordinator.unmute(self.id()).await
    }

    /// Sends digits ([`SessionControl::send_dtmf`]).
    pub async fn send_dtmf(&self, digits: &str) -> Result<(), SessionError> {
        self.coordinator.send_dtmf(self.id(), digits).await
    }

    /// Hands it to a third party ([`SessionControl::transfer_session`]).
    pub async fn transfer(&self, target: &str) -> Result<(), SessionError> {
        self.coordinator.transfer_session(self.id(), target).await
    }

    /// Puts its peer together with the peer of another call of ours ([`SessionControl::attended_transfer`]).
    pub async fn transfer_to(&self, consultation: &CallSession) -> Result<(), SessionError> {
        self.coordinator.attended_transfer(self.id(), consultation.id()).await
    }

    /// Sends this from now on.
    pub async fn play(&self, source: AudioSource) -> Result<(), SessionError> {
        self.coordinator.start_audio_transmission(self.id(), source).await
    }

    /// Sends silence from now on.
    pub async fn stop_playing(&self) -> Result<(), SessionError> {
        self.coordinator.stop_audio_transmission(self.id()).await
    }

    /// Writes what is said and heard into a file ([`MediaControl::start_recording`]).
    pub async fn record(&self, options: impl Into<RecordingOptions> + Send) -> Result<(), SessionError> {
        self.coordinator.start_recording(self.id(), options).await
    }

    /// Ends the recording, and says what is in the file.
    pub async fn stop_recording(&self) -> Result<RecordingSummary, SessionError> {
        self.coordinator.stop_recording(self.id()).await
    }

    /// Where its media flows; `None` while there is none.
    pub async fn media(&self) -> Result<Option<MediaInfo>, SessionError> {
        self.coordinator.get_media_info(self.id()).await
    }

    /// What its media has counted; `None` while there is none.
    pub async fn statistics(&self) -> Result<Option<MediaStatistics>, SessionError> {
        self.coordinator.get_media_statistics(self.id()).await
    }

    /// What happens to it, from now on.
    pub fn events(&self) -> Receiver<SessionEvent> {
        self.coordinator.subscribe(EventFilter::all().session(self.session.id))
    }

    /// Lets its peer and that of another call hear each other, once this is awaited ([`SessionCoordinator::bridge_sessions`]).
    pub fn bridge(&self, other: &CallSession) -> Bridging {
        Bridging { call: self.clone(), other: other.clone(), ends_together: false }
    }
}

/// Two calls that are about to be put together; awaiting it does so.
#[derive(Debug)]
#[must_use = "calls are put together when this is awaited"]
pub struct Bridging {
    call: Call,
    other: CallSession,
    ends_together: bool,
}

impl Bridging {
    /// When either call ends, the other one does too ([`SessionCoordinator::bridge_sessions_together`]).
    pub fn ends_together(mut self) -> Self {
        self.ends_together = true;
        self
    }
}

impl IntoFuture for Bridging {
    type Output = Result<BridgeId, SessionError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (coordinator, one, other) = (&self.call.coordinator, self.call.id(), self.other.id());
            match self.ends_together {
                true => coordinator.bridge_sessions_together(one, other).await,
                false => coordinator.bridge_sessions(one, other).await,
            }
        })
    }
}
