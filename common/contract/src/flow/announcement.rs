use crate::{Invalid, LegRef, NamedTone, PlayerId, PromptPlay, Source};

/// What the members of a room, or one of them, are told beside what the others say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announcement {
    /// Its name, which the client draws among those of its players.
    pub id: PlayerId,
    /// What is heard.
    pub sound: AnnouncedSound,
    /// The member that alone hears it; none: all members do.
    pub to: LegRef,
    /// The talk is 12 dB quieter meanwhile.
    pub is_ducking: bool,
}

/// The sound of an announcement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnnouncedSound {
    /// A prompt of the media process.
    Prompt(PromptPlay),
    /// A tone of a country's network, for so many milliseconds.
    Tone(NamedTone, u32),
}

impl Announcement {
    /// Longest tone, in milliseconds.
    pub const TONE_MS_MAX: u32 = 60_000;
    /// Most announcements of a room that wait for those before them.
    pub const WAITING_MAX: usize = 16;

    /// The sound as the source of a flow, and how long it is heard where it has no length of its own.
    pub(crate) fn source(&self) -> (Source, u32) {
        match self.sound {
            AnnouncedSound::Prompt(play) => (Source::PromptPlay(play), 0),
            AnnouncedSound::Tone(tone, duration_ms) => (Source::CallTone(tone), duration_ms),
        }
    }

    /// The sound of such a source.
    pub(crate) fn sound_of(source: Source, duration_ms: u32) -> Result<AnnouncedSound, Invalid> {
        match source {
            Source::PromptPlay(play) if duration_ms == 0 => Ok(AnnouncedSound::Prompt(play)),
            Source::CallTone(tone) if (1..=Self::TONE_MS_MAX).contains(&duration_ms) => {
                Ok(AnnouncedSound::Tone(tone, duration_ms))
            }
            _ => Err(Invalid::Field("sound")),
        }
    }
}
