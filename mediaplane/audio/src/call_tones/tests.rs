use super::*;
use crate::ToneMeter;
use crate::testing::{largest_bend, level_dbov};

fn played(signal: &ToneSignal, rate: u32, seconds: usize) -> Vec<i16> {
    let mut generator = ToneGenerator::new(signal, rate);
    let mut sound = vec![0; seconds * rate as usize];
    // Frames of any length make the same sound.
    let mut rest = &mut sound[..];
    for length in [80, 1, 160, 333].into_iter().cycle() {
        let (frame, others) = rest.split_at_mut(length.min(rest.len()));
        generator.fill(frame);
        rest = others;
        if rest.is_empty() {
            break;
        }
    }
    sound
}

/// Beginnings of sound and silence in milliseconds, found by level.
fn cadence(sound: &[i16], per_ms: usize) -> Vec<(bool, usize)> {
    let mut found: Vec<(bool, usize)> = Vec::new();
    for (index, window) in sound.chunks_exact(5 * per_ms).enumerate() {
        let sounds = level_dbov(window) > -40.0;
        if found.last().is_none_or(|(last, _)| *last != sounds) {
            found.push((sounds, 5 * index));
        }
    }
    found
}

#[test]
fn every_country_has_all_tones_and_they_are_heard() {
    assert!(tone_countries().count() >= 30);
    for country in tone_countries() {
        for tone in CallTone::ALL {
            let signal = ToneSignal::of_country(country, tone).expect("a tone");
            let sound = played(&signal, 8_000, 7);
            // Every part is found in the middle of its time, with its frequencies and its level.
            let mut start = 0;
            for part in &signal.parts {
                let length = part.duration_ms.unwrap_or(1_000) as usize * 8;
                let middle = &sound[start + length / 10..start + length - length / 10];
                let share = |hertz: u32| ToneMeter::new(f64::from(hertz)).purity(middle);
                let heard = match part.sound {
                    Sound::Silence => 1.0,
                    Sound::One(hertz) => share(hertz),
                    Sound::Both(one, other) => share(one) + share(other),
                    Sound::Modulated(carrier, by) => share(carrier) + share(carrier - by) + share(carrier + by),
                };
                assert!(heard > 0.95, "{country} {tone:?} {part:?}: {heard}");
                let level = level_dbov(middle);
                let expected = if part.sound == Sound::Silence { -200.0..-100.0 } else { -18.0..-13.0 };
                assert!(expected.contains(&level), "{country} {tone:?} {part:?}: {level} dBov");
                start += length;
            }
        }
    }
    assert_eq!(ToneSignal::of_country("xx", CallTone::Busy), None);
    assert!(ToneSignal::of_country("GB", CallTone::Busy).is_some());
}

#[test]
fn cadences_are_those_of_the_network() {
    for rate in [8_000, 16_000, 24_000, 48_000] {
        let british = ToneSignal::of_country("gb", CallTone::Ringing).unwrap();
        assert_eq!(british.period(), Some(Duration::from_secs(3)));
        let found = cadence(&played(&british, rate, 6), rate as usize / 1_000);
        let expected = [0, 400, 600, 1_000, 3_000, 3_400, 3_600, 4_000];
        assert_eq!(found.iter().map(|(_, ms)| *ms).collect::<Vec<_>>(), expected, "{rate}");
        assert!(found[0].0);
    }
    assert_eq!(ToneSignal::of_country("de", CallTone::Dial).unwrap().period(), None);
    let recall = ToneSignal::parse("!350+440/100,!0/100,350+440").unwrap();
    assert_eq!(cadence(&played(&recall, 8_000, 3), 8), [(true, 0), (false, 100), (true, 200)]);
}

#[test]
fn tones_do_not_click() {
    for rate in [8_000, 48_000] {
        let busy = played(&ToneSignal::parse("425/333,0/100").unwrap(), rate, 3);
        let steady = played(&ToneSignal::parse("425").unwrap(), rate, 3);
        let steady = largest_bend(&steady[rate as usize..]);
        let bend = largest_bend(&busy);
        assert!(bend <= steady * 2, "{rate}: {bend} beside {steady} of the steady tone");
    }
}

#[test]
fn what_is_no_tone_is_refused_with_its_reason() {
    for (notation, reason) in [
        ("", ToneError::Part(String::new())),
        ("425/", ToneError::Part("425/".into())),
        ("425/500/3", ToneError::Part("425/500/3".into())),
        ("+425", ToneError::Part("+425".into())),
        ("-425", ToneError::Part("-425".into())),
        ("99999999999", ToneError::Part("99999999999".into())),
        ("4000/100", ToneError::Frequency(4_000)),
        ("425*5/100", ToneError::Frequency(5)),
        ("425/0", ToneError::Duration(0)),
        ("425/60001", ToneError::Duration(60_001)),
        ("425,0/500", ToneError::Order),
        ("!425/100", ToneError::Order),
        ("425/100,!0/100", ToneError::Order),
    ] {
        assert_eq!(ToneSignal::parse(notation), Err(reason), "{notation}");
    }
    assert_eq!(ToneSignal::parse(&"425/1,".repeat(33)[..197]), Err(ToneError::Parts));
}
