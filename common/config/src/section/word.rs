//! The words for what the switch itself gives a call: the same ones wherever the configuration says what is heard.

use crate::reading::suggest::did_you_mean;

/// What the switch itself gives a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Word {
    /// `echo`: what the caller says comes back.
    Echo,
    /// `tone`: 440 Hz.
    Tone,
    /// `ringing`: the ringing tone of Europe.
    Ringing,
    /// `tone:gb-busy`: a tone of a country, by its two letters (ISO 3166-1).
    CallTone([u8; 2], CallTone),
    /// `play:NAME` or `play:/PATH`: a prompt of `[media] prompts`, or a sound file.
    Play(String),
    /// `room:NAME`: a conference of `[media] rooms`.
    Room(String),
    /// `record`: what the caller says goes into a file of `[recording] folder`, with silence to hear.
    Record,
}

/// A tone of a telephone network (ITU-T E.180).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallTone {
    /// Dial.
    Dial,
    /// The called phone rings.
    Ringing,
    /// The called party is busy.
    Busy,
    /// The network is.
    Congestion,
    /// Before an announcement.
    SpecialInformation,
}

/// All words, for messages.
const WORDS: [&str; 7] = ["echo", "tone", "ringing", "record", "tone:", "play:", "room:"];
const MEANINGS: [(&str, CallTone); 5] = [
    ("dial", CallTone::Dial),
    ("ringing", CallTone::Ringing),
    ("busy", CallTone::Busy),
    ("congestion", CallTone::Congestion),
    ("information", CallTone::SpecialInformation),
];

impl CallTone {
    /// By its name: `dial`, `ringing`, `busy`, `congestion` or `information`.
    pub fn named(name: &str) -> Option<Self> {
        MEANINGS.into_iter().find(|(known, _)| *known == name).map(|(_, tone)| tone)
    }
}

impl Word {
    /// Reads a word; an error says what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None => match text {
                "echo" => Ok(Self::Echo),
                "tone" => Ok(Self::Tone),
                "ringing" => Ok(Self::Ringing),
                "record" => Ok(Self::Record),
                _ => Err(unknown(text)),
            },
            Some(("tone", tone)) => call_tone(tone).ok_or_else(|| {
                let names = MEANINGS.map(|(name, _)| name);
                let meaning = tone.split_once('-').map_or(tone, |(_, meaning)| meaning);
                let hint = did_you_mean(meaning, names);
                format!(
                    "must be two letters of a country and one of {}, such as \"tone:gb-busy\"{hint}",
                    names.join(", ")
                )
            }),
            Some(("play", what)) if what.starts_with('/') || is_name(what) => Ok(Self::Play(what.to_owned())),
            Some(("play", _)) => Err("must be \"play:\" and a name of [media] prompts or an absolute path".to_owned()),
            Some(("room", name)) if is_name(name) => Ok(Self::Room(name.to_owned())),
            Some(("room", _)) => Err("must be \"room:\" and a name of [media] rooms".to_owned()),
            Some(_) => Err(unknown(text)),
        }
    }

    /// The sound file that it names by its path.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Play(what) if what.starts_with('/') => Some(what),
            _ => None,
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(|letter: char| letter == '/' || letter.is_control())
}

fn call_tone(text: &str) -> Option<Word> {
    let (country, meaning) = text.split_once('-')?;
    let country: [u8; 2] = country.to_ascii_lowercase().into_bytes().try_into().ok()?;
    let tone = CallTone::named(meaning)?;
    country.iter().all(u8::is_ascii_lowercase).then_some(Word::CallTone(country, tone))
}

fn unknown(text: &str) -> String {
    let words = r#""echo", "tone", "tone:gb-busy", "ringing", "play:NAME", "play:/PATH", "room:NAME" or "record""#;
    format!("must be {words}{}", did_you_mean(text, WORDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_others_named() {
        for (text, word) in [
            ("echo", Word::Echo),
            ("tone", Word::Tone),
            ("ringing", Word::Ringing),
            ("record", Word::Record),
            ("tone:GB-ringing", Word::CallTone(*b"gb", CallTone::Ringing)),
            ("tone:fr-information", Word::CallTone(*b"fr", CallTone::SpecialInformation)),
            ("play:welcome", Word::Play("welcome".into())),
            ("play:/srv/a.wav", Word::Play("/srv/a.wav".into())),
            ("room:sales", Word::Room("sales".into())),
        ] {
            assert_eq!(Word::parse(text), Ok(word), "{text}");
        }
        assert_eq!(Word::parse("play:/srv/a.wav").unwrap().path(), Some("/srv/a.wav"));
        assert_eq!(Word::parse("play:a").unwrap().path(), None);
        for (text, words) in [
            ("ehco", "did you mean \"echo\""),
            ("tone:gb-bussy", "did you mean \"busy\""),
            ("tone:gbr-busy", "two letters"),
            ("tone:", "two letters"),
            ("play:", "absolute path"),
            ("play:../a.wav", "absolute path"),
            ("play:a\0b", "absolute path"),
            ("room:", "[media] rooms"),
            ("", "must be"),
            ("stream:ws://h", "must be"),
        ] {
            let why = Word::parse(text).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
        }
    }
}
