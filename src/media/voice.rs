//! What is done to the voice of a call's peer.

use crate::api::{Call, SessionError};

/// What is done to the sound of the peer before anything else hears it: the other side of a bridge, the members of a room,
/// recordings and audio streams. Nothing by default.
///
/// ```
/// use ringplane::api::VoiceProcessing;
///
/// let clean = VoiceProcessing { echo: true, noise: true, gain: true, ..VoiceProcessing::default() };
/// assert_ne!(clean, VoiceProcessing::default());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VoiceProcessing {
    /// The echo of what the peer hears is taken out: for phones with a loudspeaker.
    pub echo: bool,
    /// Noise that goes on is lowered by some 12 dB.
    pub noise: bool,
    /// Speech is brought to one level, -22 dBov, by 30 dB at most.
    pub gain: bool,
    /// [`crate::api::EventKind::VoiceActivity`] tells when the peer begins and ends to speak.
    pub activity: bool,
}

impl VoiceProcessing {
    /// Echo, noise and gain.
    pub fn all() -> Self {
        Self { echo: true, noise: true, gain: true, activity: false }
    }
}

impl From<VoiceProcessing> for contract::VoiceProcessing {
    fn from(wanted: VoiceProcessing) -> Self {
        let VoiceProcessing { echo, noise, gain, activity } = wanted;
        Self::default().with_echo(echo).with_noise(noise).with_gain(gain).with_activity(activity)
    }
}

impl From<contract::VoiceProcessing> for VoiceProcessing {
    fn from(wanted: contract::VoiceProcessing) -> Self {
        Self { echo: wanted.echo(), noise: wanted.noise(), gain: wanted.gain(), activity: wanted.activity() }
    }
}

/// The peer's voice.
impl Call {
    /// Has the sound of the peer processed like this from now on, through hold, transfers and other codecs. Its sound is decoded
    /// and encoded for that also where both sides have the same codec; what it costs is in `mediaplane/audio/VOICE.md`. Where
    /// the media plane has no place for one more ([`crate::api::EventKind::VoiceProcessingRefused`] tells that), the peer is
    /// heard as it is. [`SessionError::Media`] for a call whose codec is only relayed.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.set_voice_processing(VoiceProcessing { noise: true, activity: true, ..VoiceProcessing::default() }).await?;
    /// let mut events = call.events();
    /// while let Some(event) = events.recv().await {
    ///     if let EventKind::VoiceActivity { is_speaking } = event.kind {
    ///         println!("{}", if is_speaking { "speaks" } else { "is silent" });
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn set_voice_processing(&self, wanted: VoiceProcessing) -> Result<(), SessionError> {
        let wanted = contract::VoiceProcessing::from(wanted);
        let set =
            move |order: signald::OrderTurn<'_, '_>, id| order.sessions.set_voice_processing(order.turn, id, wanted);
        self.coordinator().operate(self.id, set).await
    }

    /// What is done to the sound of the peer now.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// assert_eq!(call.voice_processing().await?, VoiceProcessing::default());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn voice_processing(&self) -> Result<VoiceProcessing, SessionError> {
        let read = |order: signald::OrderTurn<'_, '_>, id| Ok(order.sessions.voice_processing(id).unwrap_or_default());
        Ok(self.coordinator().operate(self.id, read).await?.into())
    }
}
