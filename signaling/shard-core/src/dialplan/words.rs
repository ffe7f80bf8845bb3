//! The configuration's words for what a call hears, as sources of sessions.

use config::{CallTone, Media, Word};
use contract::{NamedTone, PromptPlay, RoomMember, ToneMeaning};
use session::PlannedSource;

/// What is heard by a word. `None`: it names a prompt or a room that is not there, which no checked configuration does.
pub fn source_of(word: &Word, media: &Media) -> Option<PlannedSource> {
    Some(match word {
        Word::Echo => PlannedSource::Echo,
        Word::Tone => PlannedSource::Tone440,
        Word::Ringing => PlannedSource::Ringing,
        Word::CallTone(country, tone) => {
            PlannedSource::CallTone(NamedTone { country: *country, meaning: meaning_of(*tone) })
        }
        Word::Play(name) => PlannedSource::Prompt(media.prompt(name)?),
        Word::Room(name) => PlannedSource::Room(RoomMember::of(room_of(name, media)?)),
        Word::Record => PlannedSource::Silence,
    })
}

/// What a caller hears while the called side rings: a prompt again and again.
pub fn ringback_of(word: &Word, media: &Media) -> Option<PlannedSource> {
    let source = source_of(word, media)?;
    Some(match source {
        PlannedSource::Prompt(number) => PlannedSource::PromptPlay(PromptPlay { times: 0, ..PromptPlay::once(number) }),
        other => other,
    })
}

/// The number of a room of the configuration. Programs have numbers that are far from these.
fn room_of(name: &str, media: &Media) -> Option<u32> {
    media.rooms.iter().zip(1..).find(|(room, _)| *room == name).map(|(_, number)| number)
}

/// The contract's word for a tone.
pub(super) fn meaning_of(tone: CallTone) -> ToneMeaning {
    match tone {
        CallTone::Dial => ToneMeaning::Dial,
        CallTone::Ringing => ToneMeaning::Ringing,
        CallTone::Busy => ToneMeaning::Busy,
        CallTone::Congestion => ToneMeaning::Congestion,
        CallTone::SpecialInformation => ToneMeaning::SpecialInformation,
    }
}
