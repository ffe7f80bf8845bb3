//! What the members of a room are told beside what the others say.

use crate::api::{AudioSource, Call, SessionError, SessionId};
use contract::{AnnouncedSound, Announcement, LegRef, PlayerId, PromptPlay};
use serde::{Deserialize, Serialize};
use session::PlannedSource;
use std::time::Duration;

/// How long a call may take to come to the worker of its room, and how often it is looked at meanwhile.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// An announcement of a call in its room.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct AnnouncementId(u64);

impl AnnouncementId {
    pub(crate) fn new(id: PlayerId) -> Self {
        Self(id.get())
    }
}

/// How an announcement is heard ([`Call::announce`]): by all members, while their talk is 12 dB quieter, and a tone for a second,
/// unless this says otherwise.
///
/// ```
/// use ringplane::api::AnnounceOptions;
/// use std::time::Duration;
///
/// let options = AnnounceOptions::default().ducking(false).tone_for(Duration::from_millis(300));
/// assert_ne!(options, AnnounceOptions::default());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnnounceOptions {
    to: Option<SessionId>,
    is_ducking: bool,
    tone_ms: u32,
}

impl Default for AnnounceOptions {
    fn default() -> Self {
        Self { to: None, is_ducking: true, tone_ms: 1_000 }
    }
}

impl AnnounceOptions {
    /// This member alone hears it.
    pub fn to(self, member: SessionId) -> Self {
        Self { to: Some(member), ..self }
    }

    /// Whether the talk is quieter meanwhile.
    pub fn ducking(self, is_ducking: bool) -> Self {
        Self { is_ducking, ..self }
    }

    /// How long a tone is heard: 1 ms to a minute, and what is beyond that is taken as the nearest. A prompt has its own length.
    pub fn tone_for(self, duration: Duration) -> Self {
        let tone_ms = u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        Self { tone_ms: tone_ms.clamp(1, Announcement::TONE_MS_MAX), ..self }
    }
}

/// Announcements in rooms.
impl Call {
    /// Plays a prompt or the tone of a network in the room of which this call is a member, to all members or to one. It waits
    /// until those before it are over; sixteen may wait. [`crate::api::EventKind::AnnouncementEnded`] of this call tells that
    /// it is over. [`SessionError`] when the call is in no room, or the source is neither a prompt nor a tone of a network.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(chair: Call) -> Result<()> {
    /// chair.join_room("board", RoomRole::default()).await?;
    /// chair.announce(AudioSource::Prompt("this-call-is-recorded".into()), AnnounceOptions::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn announce(
        &self,
        source: AudioSource,
        options: AnnounceOptions,
    ) -> Result<AnnouncementId, SessionError> {
        let coordinator = self.coordinator();
        let planned = coordinator.planned(source)?;
        let sound = match planned {
            PlannedSource::CallTone(tone) => AnnouncedSound::Tone(tone, options.tone_ms),
            PlannedSource::Prompt(prompt) => {
                AnnouncedSound::Prompt(PromptPlay { prompt, start_ms: 0, times: 1, gain_db: 0 })
            }
            _ => return Err(SessionError::config("an announcement is a prompt or the tone of a network")),
        };
        let to = match options.to {
            Some(member) => coordinator.leg_of(member).await?,
            None => LegRef::NONE,
        };
        let announce = move |order: signald::OrderTurn<'_, '_>, id| {
            order.sessions.announce_in_room(order.turn, id, (sound, to), options.is_ducking)
        };
        once_settled(async || coordinator.operate(self.id, announce).await).await.map(AnnouncementId::new)
    }

    /// Ends an announcement of this call's room, also one that waits.
    pub async fn stop_announcement(&self, announcement: AnnouncementId) -> Result<(), SessionError> {
        self.stop_announcing(PlayerId::new(announcement.0)).await
    }

    /// Ends all announcements of this call's room, those of the other members too.
    pub async fn stop_announcements(&self) -> Result<(), SessionError> {
        self.stop_announcing(PlayerId::NONE).await
    }

    async fn stop_announcing(&self, which: PlayerId) -> Result<(), SessionError> {
        let stop = move |order: signald::OrderTurn<'_, '_>, id| order.sessions.stop_announcement(order.turn, id, which);
        once_settled(async || self.coordinator().operate(self.id, stop).await).await
    }
}

/// Asks again while the call is on its way to the worker of its room, which takes some milliseconds.
async fn once_settled<R>(ask: impl AsyncFn() -> Result<R, SessionError>) -> Result<R, SessionError> {
    let give_up_at = tokio::time::Instant::now() + SETTLE_LIMIT;
    loop {
        match ask().await {
            Err(SessionError::Rejected { status: 491, .. }) if tokio::time::Instant::now() < give_up_at => {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            other => return other,
        }
    }
}
