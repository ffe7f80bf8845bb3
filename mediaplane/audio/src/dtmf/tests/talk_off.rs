//! Speech has no digits in it.

use super::*;
use crate::testing::{Noise, espeak, recordings, sine, speech, welcome};

#[test]
fn synthesised_speech_and_the_prompt_have_no_digit() {
    assert_eq!(digits(8_000, &welcome()), "");
    for rate in [8_000, 16_000] {
        assert_eq!(digits(rate, &speech(rate, 60)), "", "{rate}");
    }
}

#[test]
fn tones_of_networks_and_noise_have_no_digit() {
    for (one, other) in
        [(350.0, 440.0), (440.0, 480.0), (480.0, 620.0), (697.0, 697.0), (950.0, 1_400.0), (1_100.0, 2_100.0)]
    {
        let sound = crate::testing::sum(&sine(8_000, one, 7_000.0, 8_000), &sine(8_000, other, 7_000.0, 8_000));
        assert_eq!(digits(8_000, &sound), "", "{one} and {other} Hz");
    }
    assert_eq!(digits(8_000, &Noise::new(12).samples(-15.0, 8_000 * 60)), "");
    let mut square = Noise::new(13);
    let loud: Vec<i16> = (0..80_000).map(|_| if square.next() > 0.0 { 32_767 } else { -32_768 }).collect();
    assert_eq!(digits(8_000, &loud), "");
}

/// Two tones that glide through all frequencies within a second stay at none of them.
#[test]
fn whistling_has_no_digit() {
    for ratio in [1.2, 1.5, 1.74, 1.9, 2.0, 2.3] {
        let mut phase = 0.0;
        let glide: Vec<i16> = (0..80_000)
            .map(|index| {
                phase += TAU * (500.0 + 1_500.0 * f64::from(index % 8_000) / 8_000.0) / 8_000.0;
                (9_000.0 * (phase.sin() + (ratio * phase).sin())) as i16
            })
            .collect();
        assert_eq!(digits(8_000, &glide), "", "{ratio}");
    }
}

/// Whether what takes long, or needs packages, has to run.
fn takes_all() -> bool {
    std::env::var_os("RINGPLANE_TEST_ALL").is_some_and(|value| value == "1")
}

#[test]
fn recorded_speech_has_no_digit() {
    let recordings = recordings();
    assert!(!takes_all() || recordings.len() > 500, "the recordings are not installed: `make peers` does it");
    for (name, sound) in recordings {
        assert_eq!(digits(8_000, &sound), "", "{name}");
    }
}

/// Words of all sounds of speech: numbers, spelling alphabets, and what is said on the phone.
const WORDS: &str = "zero one two three four five six seven eight nine ten eleven twelve thirteen twenty thirty hundred \
    thousand alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec \
    romeo sierra tango uniform victor whiskey x-ray yankee zulu hello welcome please hold the line your call is very \
    important to us all our operators are busy at the moment thank you for waiting who is speaking could you repeat that \
    we would like to know when the meeting begins tomorrow afternoon because nobody here has received an invitation yet \
    blue moon school rule food soon you few music beauty cool pool shoe true through lose move group soup fruit juice \
    see meet please need people believe machine police street seat key green deep sleep week these three evening \
    water father garden large heart calm palm start market party law thought caught daughter always morning four more \
    yes yesterday measure pleasure vision television usual seizure judge bridge age large church watch much choose \
    mama lullaby really rarely railway yellow million onion europe value human huge unusual mountain meaning moaning \
    numbers seventeen seventy extension office department sales support account balance invoice customer service agent";

/// Words read by many voices: a minute, or an hour with `make test-all`.
#[test]
fn an_hour_of_read_words_has_no_digit() {
    let seconds = if takes_all() { 3_600 } else { 60 };
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let voices =
        ["en", "en-us", "de", "fr", "es", "it", "pt", "nl", "sv", "pl", "en+f2", "en+f4", "en+m3", "de+f1", "fr+f3"];
    let mut random = Noise::new(1);
    let (mut heard, mut turn) = (0, 0);
    while heard < seconds * 8_000 {
        let mut word = || words[(random.next().abs() * words.len() as f64) as usize % words.len()];
        let text = (0..60).map(|_| word()).collect::<Vec<_>>().join(" ");
        let (pitch, speed) = ((turn * 13 % 100) as u32, 120 + (turn * 29 % 120) as u32);
        let voice = voices[turn % voices.len()];
        let Some(sound) = espeak(voice, pitch, speed, &text) else {
            assert!(!takes_all(), "espeak-ng is not installed: `make peers` does it");
            return;
        };
        assert_eq!(digits(8_000, &sound), "", "{voice}, pitch {pitch}, {speed} words a minute: {text}");
        heard += sound.len();
        turn += 1;
    }
}
