//! Hold with something to hear.

use crate::api::{AudioSource, SessionCoordinator, SessionError, SessionId};
use crate::media::tone_of;
use session::PlannedSource;

impl SessionCoordinator {
    /// Holds the peer like [`SessionControl::hold_session`](crate::api::SessionControl::hold_session), but lets it hear this
    /// meanwhile: music, most often, as a prompt of the program's. `SessionControl::resume_session` takes it back.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # use std::sync::Arc;
    /// # async fn example(coordinator: Arc<SessionCoordinator>, call: CallSession) -> Result<(), SessionError> {
    /// coordinator.hold_with_audio(call.id(), AudioSource::Prompt("music".into())).await?;
    /// // Ask a colleague.
    /// SessionControl::resume_session(&coordinator, call.id()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn hold_with_audio(&self, id: &SessionId, source: AudioSource) -> Result<(), SessionError> {
        self.live_call(*id)?.hold_with(source).await
    }

    /// The source as sessions know it.
    pub(crate) fn planned(&self, source: AudioSource) -> Result<PlannedSource, SessionError> {
        Ok(match source {
            AudioSource::Silence => PlannedSource::Silence,
            AudioSource::Tone => PlannedSource::Tone440,
            AudioSource::Ringing => PlannedSource::Ringing,
            AudioSource::Echo => PlannedSource::Echo,
            AudioSource::Prompt(name) | AudioSource::Music(name) => {
                PlannedSource::Prompt(self.config.prompt_number(&name)?)
            }
            AudioSource::CallTone { country, tone } => PlannedSource::CallTone(tone_of(&country, tone)?),
        })
    }
}
