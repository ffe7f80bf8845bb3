//! ITU-T Q.24: what must be accepted, and what must not.

use super::*;
use crate::Law;
use crate::testing::{Noise, largest_bend, level_dbov, sum};
use std::time::Duration;

const RATES: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

#[test]
fn every_digit_of_40_ms_is_found_within_50_ms() {
    let mut latest = 0;
    for rate in RATES {
        for number in 0..16 {
            for before in [60.0, 61.3, 62.6, 63.9] {
                // Two presses of the same digit, 40 ms apart.
                let mut sound = Press::new(number, 40.0).sound(rate, before, 40.0);
                sound.extend(Press::new(number, 40.0).sound(rate, 0.0, 100.0));
                let events = found(rate, &sound);
                let told: Vec<u8> = events
                    .iter()
                    .map(|(event, _)| match event {
                        DtmfEvent::Began { number, .. } | DtmfEvent::Ended { number, .. } => *number,
                    })
                    .collect();
                assert_eq!(told, [number; 4], "{rate} {before}: {events:?}");
                for (begins, start) in [(0, before), (2, before + 80.0)] {
                    let (DtmfEvent::Began { dbm0, .. }, at) = events[begins] else { panic!("{events:?}") };
                    let after = at - start as usize;
                    latest = latest.max(after);
                    assert!(after <= 50, "{rate} {number}: told after {after} ms");
                    assert!((dbm0 + 7.0).abs() < 1.0, "two tones of -10 dBm0 are -7 dBm0: {dbm0}");
                    let (DtmfEvent::Ended { duration_ms, .. }, _) = events[begins + 1] else { panic!("{events:?}") };
                    assert!((35..=45).contains(&duration_ms), "{rate} {number}: {duration_ms} ms");
                }
            }
        }
    }
    println!("the latest is told {latest} ms after the beginning");
}

#[test]
fn tones_of_23_ms_are_none() {
    for rate in RATES {
        for number in 0..16 {
            for tenth in 0..10 {
                let sound = Press::new(number, 23.0).sound(rate, 60.0 + f64::from(tenth) * 0.5, 60.0);
                assert_eq!(digits(rate, &sound), "", "{rate} {number} {tenth}");
            }
        }
    }
}

#[test]
fn frequencies_within_1_5_percent_are_accepted_and_from_3_5_percent_refused() {
    for rate in RATES {
        for number in 0..16 {
            let expected: String = dtmf_char(number).into_iter().collect();
            for low in [-0.015, 0.0, 0.015] {
                for high in [-0.015, 0.0, 0.015] {
                    let press = Press { deviations: [low, high], ..Press::new(number, 45.0) };
                    assert_eq!(digits(rate, &press.sound(rate, 61.0, 60.0)), expected, "{rate} {low} {high}");
                }
            }
            for off in [-0.05, -0.035, 0.035, 0.05] {
                for deviations in [[off, 0.0], [0.0, off], [off, off]] {
                    let press = Press { deviations, ..Press::new(number, 100.0) };
                    assert_eq!(digits(rate, &press.sound(rate, 61.0, 60.0)), "", "{rate} {number} {deviations:?}");
                }
            }
        }
    }
}

#[test]
fn tones_may_differ_by_8_and_4_db() {
    for number in 0..16 {
        let expected: String = dtmf_char(number).into_iter().collect();
        for (dbm0, is_digit) in [
            ([-6.0, -14.0], true),
            ([-14.0, -10.0], true),
            ([-6.0, -18.0], false),
            ([-18.0, -10.0], false),
            ([-3.0, -3.0], true),
            ([-27.0, -27.0], true),
            ([-22.0, -30.0], true),
            ([-45.0, -45.0], false),
            ([-10.0, -90.0], false),
            ([-90.0, -10.0], false),
        ] {
            for deviation in [-0.015, 0.0, 0.015] {
                let press = Press { dbm0, deviations: [deviation; 2], ..Press::new(number, 50.0) };
                let told = digits(8_000, &press.sound(8_000, 61.0, 60.0));
                assert_eq!(told, if is_digit { &expected[..] } else { "" }, "{dbm0:?} {deviation}");
            }
        }
    }
}

#[test]
fn an_interruption_of_10_ms_does_not_make_two_digits() {
    for before in 60..70 {
        for number in 0..16 {
            let mut sound = Press::new(number, 45.0).sound(8_000, f64::from(before), 10.0);
            sound.extend(Press::new(number, 45.0).sound(8_000, 0.0, 60.0));
            assert_eq!(digits(8_000, &sound).len(), 1, "{number}");
        }
    }
}

#[test]
fn noise_15_db_below_the_tones_does_not_hide_them() {
    for rate in RATES {
        for (dbm0, deviations) in [(-5.0, [0.0; 2]), (-25.0, [0.015, -0.015]), (-10.0, [-0.015, 0.015])] {
            let mut noise = Noise::new(33);
            let (mut sound, mut expected) = (Vec::new(), String::new());
            for turn in 0..400_u32 {
                let number = (turn * 7 % 16) as u8;
                let press = Press { dbm0: [dbm0; 2], deviations, ..Press::new(number, 40.0) };
                sound.extend(press.sound(rate, 0.0, 40.0 + f64::from(turn % 5)));
                expected.extend(dtmf_char(number));
            }
            // Two tones of a level are 3 dB above it; 0 dBm0 is -6.15 dBov. At higher rates part of the noise lies
            // above the telephone's band.
            let noise_dbov = dbm0 + 3.0 - 6.15 - 15.0 + 10.0 * (f64::from(rate) / 8_000.0).log10();
            let noisy = sum(&sound, &noise.samples(noise_dbov, sound.len()));
            let told = digits(rate, &noisy);
            let missed = expected.len().abs_diff(told.len());
            println!("{rate} Hz, {dbm0} dBm0, {deviations:?}: {missed} of {} missed", expected.len());
            assert!(missed <= 1, "{rate} {dbm0}: {missed} missed");
            assert!(is_part_of(&told, &expected), "{rate} {dbm0}: a digit that was not pressed");
        }
    }
}

/// Whether the digits are those that were pressed, without some of them.
fn is_part_of(told: &str, pressed: &str) -> bool {
    let mut rest = pressed.chars();
    told.chars().all(|digit| rest.any(|pressed| pressed == digit))
}

#[test]
fn codes_of_g711_keep_the_digits() {
    for law in Law::ALL {
        for dbm0 in [-4.0, -25.0] {
            let sound: Vec<i16> = (0..16)
                .flat_map(|number| Press { dbm0: [dbm0; 2], ..Press::new(number, 40.0) }.sound(8_000, 40.0, 0.0))
                .collect();
            let coded: Vec<i16> = sound.iter().map(|sample| law.decode(law.encode(*sample))).collect();
            assert_eq!(digits(8_000, &coded), "0123456789*#ABCD", "{law:?} {dbm0}");
        }
    }
}

#[test]
fn what_is_generated_is_clean_and_found() {
    for rate in RATES {
        let mut generator = DtmfGenerator::new(rate);
        let mut sound = vec![0; rate as usize / 10];
        for number in 0..16 {
            assert!(generator.start(number, Duration::from_millis(70), Duration::from_millis(50)));
            let mut frame = vec![1; rate as usize / 50];
            while generator.is_playing() {
                assert_eq!(generator.fill(&mut frame), frame.len());
                sound.extend(&frame);
            }
            assert_eq!(generator.fill(&mut frame), 0);
            assert!(frame.iter().all(|sample| *sample == 0));
        }
        assert_eq!(digits(rate, &sound), "0123456789*#ABCD");
        // -6 and -4 dBm0 together are -1.9 dBm0, which is 8 dB below overload.
        let tone = &sound[rate as usize * 115 / 1_000..rate as usize * 155 / 1_000];
        assert!((level_dbov(tone) + 8.0).abs() < 0.5, "{}", level_dbov(tone));
        let edges = largest_bend(&sound);
        let steady = largest_bend(tone);
        // Other digits have higher tones than 0.
        assert!(edges <= steady * 3 / 2, "{rate}: {edges} beside {steady}");
    }
    assert!(!DtmfGenerator::new(8_000).start(16, Duration::from_millis(70), Duration::ZERO));
}

#[test]
fn digits_have_the_numbers_of_rfc_4733() {
    for (number, digit) in "0123456789*#ABCD".chars().enumerate() {
        assert_eq!((dtmf_char(number as u8), dtmf_number(digit)), (Some(digit), Some(number as u8)));
    }
    assert_eq!((dtmf_char(16), dtmf_number('E'), dtmf_number('d')), (None, None, Some(15)));
}
