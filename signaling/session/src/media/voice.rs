//! What is done to the sound of a session's peer before anything else hears it.

use crate::{Operation, SessionError, SessionId, Sessions, Turn};
use contract::{Codec, VoiceProcessing};

impl Sessions {
    /// Has the sound of the peer processed like this from now on, in the place of what the settings say. `VoiceActivity` is told
    /// where it is asked for; should the media plane have no place for one more, `VoiceProcessingRefused` is told.
    pub fn set_voice_processing(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        voice: VoiceProcessing,
    ) -> Result<(), SessionError> {
        self.check(id, Operation::ChangeMedia)?;
        let Some(session) = self.table.get_mut(id) else { return Ok(()) };
        if !voice.is_none() && session.codec() == Some(Codec::Other) {
            return Err(SessionError::Media("the codec of the call is only relayed: its sound is not known here"));
        }
        session.leg.set_voice(voice);
        self.sync(turn, id);
        Ok(())
    }

    /// What is done to the sound of the peer of a session.
    pub fn voice_processing(&self, id: SessionId) -> Option<VoiceProcessing> {
        Some(self.table.get(id)?.leg.voice().unwrap_or(self.settings.media.voice))
    }
}
