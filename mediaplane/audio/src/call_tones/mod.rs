//! The tones of telephone networks, by country (ITU-T E.180 Supplement 2), and a generator for them at any rate.
//!
//! A tone is written as its parts: `425/1000,0/4000` is 425 Hz for 1,000 ms and silence for 4,000 ms, over and over. Two
//! frequencies sound together in `350+440`; the first is modulated by the second in `400*25`. A part without a duration
//! never ends. Parts that begin with `!` are played once, before the others.

mod countries;
mod generate;
#[cfg(test)]
mod tests;

pub use countries::tone_countries;
pub use generate::ToneGenerator;

use std::time::Duration;

/// Most parts of a tone.
const MOST_PARTS: usize = 32;
/// Frequencies that a tone may have, in hertz; modulating ones may be lower.
const FREQUENCIES: std::ops::RangeInclusive<u32> = 10..=3_999;
/// Longest part.
const MOST_MS: u32 = 60_000;

/// What a tone tells the caller.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CallTone {
    /// A number may be dialled.
    Dial,
    /// The called phone rings.
    Ringing,
    /// The called party talks already.
    Busy,
    /// The network has no way to the called party now.
    Congestion,
    /// The call cannot be made for a reason that an announcement tells.
    SpecialInformation,
}

impl CallTone {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Dial, Self::Ringing, Self::Busy, Self::Congestion, Self::SpecialInformation];
}

/// What sounds in a part of a tone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sound {
    Silence,
    One(u32),
    Both(u32, u32),
    /// The first frequency, whose amplitude the second one modulates.
    Modulated(u32, u32),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Part {
    sound: Sound,
    /// `None`: it never ends.
    duration_ms: Option<u32>,
    is_played_once: bool,
}

/// A tone, as the parts that are played in turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ToneSignal {
    parts: Box<[Part]>,
}

/// Why a tone cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ToneError {
    /// A part that is none.
    #[error("`{0}` is not a part of a tone: write `425/500` (hertz/milliseconds), `350+440`, `400*25/400` or `0/500`")]
    Part(String),
    /// A frequency that a telephone cannot play.
    #[error("{0} Hz: a tone has 10 to 3,999 Hz")]
    Frequency(u32),
    /// A part that is too short or too long.
    #[error("{0} ms: a part of a tone lasts 1 to 60,000 ms")]
    Duration(u32),
    /// Nothing in it, or too much.
    #[error("a tone has 1 to {MOST_PARTS} parts")]
    Parts,
    /// Parts that are never reached, or none to go on with.
    #[error("a part without a duration ends a tone, and only parts at the beginning are played once")]
    Order,
}

impl ToneSignal {
    /// The tone of a country, which is named by its two letters of ISO 3166 (`gb`, `us`); `None` if its tones are not
    /// known.
    pub fn of_country(country: &str, tone: CallTone) -> Option<Self> {
        let notation = countries::notation(country, tone)?;
        Some(Self::parse(notation).expect("the tones of the table are well written"))
    }

    /// From the notation at the top of this module.
    pub fn parse(notation: &str) -> Result<Self, ToneError> {
        let parts: Vec<Part> =
            notation.split(',').take(MOST_PARTS + 1).map(|part| parse_part(part.trim())).collect::<Result<_, _>>()?;
        if parts.len() > MOST_PARTS {
            return Err(ToneError::Parts);
        }
        let first_repeated = parts.iter().take_while(|part| part.is_played_once).count();
        let ends_early = parts[..parts.len() - 1].iter().any(|part| part.duration_ms.is_none());
        if ends_early || first_repeated == parts.len() || parts[first_repeated..].iter().any(|part| part.is_played_once)
        {
            return Err(ToneError::Order);
        }
        Ok(Self { parts: parts.into_boxed_slice() })
    }

    /// The time after which the tone repeats; `None` if its last part never ends.
    pub fn period(&self) -> Option<Duration> {
        let repeated = self.parts.iter().filter(|part| !part.is_played_once);
        repeated.map(|part| part.duration_ms).sum::<Option<u32>>().map(|ms| Duration::from_millis(ms.into()))
    }
}

fn parse_part(text: &str) -> Result<Part, ToneError> {
    let wrong = || ToneError::Part(text.chars().take(40).collect());
    let number = |text: &str| match text.is_empty() || text.bytes().any(|byte| !byte.is_ascii_digit()) {
        true => Err(wrong()),
        false => text.parse::<u32>().map_err(|_| wrong()),
    };
    let (is_played_once, rest) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
    let (sound, duration) = rest.split_once('/').map_or((rest, None), |(sound, duration)| (sound, Some(duration)));
    let sound = match (sound.split_once('+'), sound.split_once('*')) {
        (Some((one, other)), _) => Sound::Both(number(one)?, number(other)?),
        (None, Some((carrier, modulation))) => Sound::Modulated(number(carrier)?, number(modulation)?),
        (None, None) => match number(sound)? {
            0 => Sound::Silence,
            hertz => Sound::One(hertz),
        },
    };
    let frequencies = match sound {
        Sound::Silence => [1_000; 2],
        Sound::One(hertz) => [hertz; 2],
        Sound::Both(one, other) | Sound::Modulated(one, other) => [one, other],
    };
    if let Some(hertz) = frequencies.into_iter().find(|hertz| !FREQUENCIES.contains(hertz)) {
        return Err(ToneError::Frequency(hertz));
    }
    let duration_ms = duration.map(number).transpose()?;
    if let Some(ms) = duration_ms.filter(|ms| !(1..=MOST_MS).contains(ms)) {
        return Err(ToneError::Duration(ms));
    }
    Ok(Part { sound, duration_ms, is_played_once })
}
