//! Prompts one after the other, several times, from a place in them, louder, paused; and the tones of networks.

use crate::api::{AudioSource, Call, SessionError};
#[doc(inline)]
pub use contract::ToneMeaning as CallTone;
use contract::{NamedTone, PromptPlay};
use session::{AtEnd, PlannedSource};
use std::time::Duration;

/// The tone of a country's network, by the country's two letters.
pub(crate) fn tone_of(country: &str, meaning: CallTone) -> Result<NamedTone, SessionError> {
    let known = mediad::tone_countries().find(|known| known.eq_ignore_ascii_case(country));
    match known.map(str::as_bytes) {
        Some(&[first, second]) => Ok(NamedTone { country: [first, second], meaning }),
        _ => {
            let known = mediad::tone_countries().collect::<Vec<_>>().join(", ");
            Err(SessionError::config(format!("the tones of `{country}` are not known; there are those of {known}")))
        }
    }
}

/// How prompts are played ([`Call::play_with`]): once, from their beginning, as loud as they are, unless this says otherwise.
///
/// ```
/// use ringplane::api::PlayOptions;
/// use std::time::Duration;
///
/// let options = PlayOptions::default().times(3).start(Duration::from_secs(2)).gain_db(-6);
/// assert_ne!(options, PlayOptions::default().forever());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlayOptions {
    start: Duration,
    times: u16,
    gain_db: i8,
}

impl Default for PlayOptions {
    fn default() -> Self {
        Self { start: Duration::ZERO, times: 1, gain_db: 0 }
    }
}

impl PlayOptions {
    /// So often, 1 to 65,535 times, without a gap.
    pub fn times(self, times: u16) -> Self {
        Self { times: times.max(1), ..self }
    }

    /// Again and again, until something else is played.
    pub fn forever(self) -> Self {
        Self { times: 0, ..self }
    }

    /// From here on; the first time only.
    pub fn start(self, start: Duration) -> Self {
        Self { start, ..self }
    }

    /// Louder by so many decibels, or more quiet: -60 to 20, and what is beyond that is taken as the nearest.
    pub fn gain_db(self, gain_db: i8) -> Self {
        let (least, most) = (*PromptPlay::GAINS_DB.start(), *PromptPlay::GAINS_DB.end());
        Self { gain_db: gain_db.clamp(least, most), ..self }
    }

    fn apply(self, source: PlannedSource) -> PlannedSource {
        match source.prompt() {
            Some(play) => PlannedSource::PromptPlay(PromptPlay {
                start_ms: milliseconds(self.start),
                times: self.times,
                gain_db: self.gain_db,
                ..play
            }),
            None => source,
        }
    }
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// Prompts under control. What is not a prompt (a tone, an echo) has no end, no beginning and no gain: options leave it as it is.
impl Call {
    /// Plays a prompt several times, from a place in it, louder or more quiet. It can be paused and sought in.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.play_with(AudioSource::Prompt("news".into()), PlayOptions::default().times(2).gain_db(6)).await?;
    /// call.pause_playing().await?;
    /// call.resume_playing().await?;
    /// call.seek(std::time::Duration::from_secs(30)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn play_with(&self, source: AudioSource, options: PlayOptions) -> Result<(), SessionError> {
        self.play_sources(vec![source], options).await
    }

    /// Plays prompts one after the other, up to 64. [`crate::api::EventKind::AudioEnded`] is told after the last one.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// let words = ["you-have", "three", "messages"];
    /// call.play_all(words.map(|word| AudioSource::Prompt(word.into()))).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn play_all(&self, sources: impl IntoIterator<Item = AudioSource> + Send) -> Result<(), SessionError> {
        let sources = sources.into_iter().collect();
        self.play_sources(sources, PlayOptions::default()).await
    }

    async fn play_sources(&self, sources: Vec<AudioSource>, options: PlayOptions) -> Result<(), SessionError> {
        let last_repeats = matches!(sources.last(), Some(AudioSource::Music(_)));
        let at_end = if last_repeats { AtEnd::Repeat } else { AtEnd::Silence };
        let planned = sources.into_iter().map(|source| Ok(options.apply(self.coordinator().planned(source)?)));
        let planned = planned.collect::<Result<Vec<_>, SessionError>>()?;
        let play =
            move |order: signald::OrderTurn<'_, '_>, id| order.sessions.play_all(order.turn, id, planned, at_end);
        self.coordinator().operate(self.id, play).await?;
        self.coordinator().rooms.leave(self.id);
        Ok(())
    }

    /// Silence in place of a prompt of [`Self::play_with`] or [`Self::play_all`], which stays where it is.
    pub async fn pause_playing(&self) -> Result<(), SessionError> {
        self.coordinator().operate(self.id, |order, id| order.sessions.pause_playing(order.turn, id, true)).await
    }

    /// A paused prompt goes on.
    pub async fn resume_playing(&self) -> Result<(), SessionError> {
        self.coordinator().operate(self.id, |order, id| order.sessions.pause_playing(order.turn, id, false)).await
    }

    /// A prompt of [`Self::play_with`] or [`Self::play_all`] goes on at another place, counted from its beginning.
    pub async fn seek(&self, to: Duration) -> Result<(), SessionError> {
        let to_ms = milliseconds(to);
        self.coordinator().operate(self.id, move |order, id| order.sessions.seek(order.turn, id, to_ms)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_known_or_named_in_the_error() {
        let tone = tone_of("GB", CallTone::Busy).unwrap();
        assert_eq!(tone, NamedTone { country: *b"gb", meaning: CallTone::Busy });
        let words = tone_of("zz", CallTone::Busy).unwrap_err().to_string();
        assert!(words.contains("`zz`") && words.contains("gb"), "{words}");
    }

    #[test]
    fn options_say_what_a_prompt_becomes_and_leave_tones_alone() {
        let options = PlayOptions::default().times(0).start(Duration::from_millis(1_500)).gain_db(99);
        let play = PromptPlay { prompt: 3, start_ms: 1_500, times: 1, gain_db: 20 };
        assert_eq!(options.apply(PlannedSource::Prompt(3)), PlannedSource::PromptPlay(play));
        assert_eq!(options.apply(PlannedSource::Echo), PlannedSource::Echo);
    }
}
