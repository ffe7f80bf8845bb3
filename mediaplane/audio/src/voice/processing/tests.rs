use super::*;
use crate::testing::{Noise, level_dbov, speech, sum, welcome};

const ECHO: VoiceParts = VoiceParts { echo: true, noise: false, gain: false };
const NOISE: VoiceParts = VoiceParts { echo: false, noise: true, gain: false };
const GAIN: VoiceParts = VoiceParts { echo: false, noise: false, gain: true };
const ALL: VoiceParts = VoiceParts { echo: true, noise: true, gain: true };

fn at_level(sound: &[i16], dbov: f64) -> Vec<i16> {
    let gain = 10f64.powf((dbov - level_dbov(sound)) / 20.0);
    sound.iter().map(|sample| (f64::from(*sample) * gain).clamp(-32_768.0, 32_767.0) as i16).collect()
}

/// What comes back of `sent` after `delay_ms`, in a room whose echo fades within 60 ms, 10 dB more quiet.
fn echo_of(sent: &[i16], rate: u32, delay_ms: usize) -> Vec<i16> {
    let per_ms = rate as usize / 1_000;
    let mut noise = Noise::new(7);
    // Every eighth tap is enough for a room, and for the time that a test takes.
    let taps: Vec<(usize, f64)> = (0..60 * per_ms)
        .step_by(8)
        .map(|tap| (delay_ms * per_ms + tap, noise.next() * (-(tap as f64) / (12.0 * per_ms as f64)).exp()))
        .collect();
    let echo: Vec<f64> = (0..sent.len())
        .map(|at| taps.iter().filter(|(tap, _)| *tap <= at).map(|(tap, gain)| gain * f64::from(sent[at - tap])).sum())
        .collect();
    let echo: Vec<i16> = echo.into_iter().map(|sample| (sample * 0.1).clamp(-32_768.0, 32_767.0) as i16).collect();
    at_level(&echo, level_dbov(sent) - 10.0)
}

/// Passes what came from a phone through a processor, in packets of these milliseconds, one after the other.
fn run(processor: &mut VoiceProcessor, packets_ms: &[usize], sent: &[i16], came: &[i16]) -> Vec<i16> {
    let (per_ms, mut out, mut at) = (processor.rate() as usize / 1_000, came.to_vec(), 0);
    for packet_ms in packets_ms.iter().cycle() {
        let end = (at + packet_ms * per_ms).min(out.len());
        if at == end {
            break;
        }
        if let Some(sent) = sent.get(at..end) {
            processor.hear_sent(at as i64, sent);
        }
        processor.process(at as i64, &mut out[at..end]);
        at = end;
    }
    out
}

fn processed(rate: u32, parts: VoiceParts, sent: &[i16], came: &[i16]) -> Vec<i16> {
    run(&mut VoiceProcessor::new(rate, parts).expect("a rate that is processed"), &[20], sent, came)
}

#[test]
fn echo_is_taken_out_whatever_its_delay_and_the_length_of_packets() {
    for (rate, delay_ms, packets_ms) in
        [(8_000, 20, &[20][..]), (8_000, 200, &[10, 60, 30]), (16_000, 90, &[40]), (48_000, 60, &[20])]
    {
        let sent = at_level(&speech(rate, 5), -20.0);
        let came = sum(&echo_of(&sent, rate, delay_ms), &Noise::new(5).samples(-70.0, sent.len()));
        let out = run(&mut VoiceProcessor::new(rate, ECHO).unwrap(), packets_ms, &sent, &came);
        let last = 2 * rate as usize;
        let erle = level_dbov(&came[came.len() - last..]) - level_dbov(&out[out.len() - last..]);
        println!("{rate} Hz, {delay_ms} ms: {erle:.1} dB of echo are taken out");
        assert!(erle >= 15.0, "{rate} Hz, {delay_ms} ms: {erle:.1} dB");
    }
}

#[test]
fn who_speaks_against_an_echo_is_heard() {
    let rate = 8_000;
    let sent = at_level(&speech(rate, 8), -26.0);
    let mut near = at_level(&welcome().repeat(4)[..sent.len()], -20.0);
    near[..4 * rate as usize].fill(0);
    let came = sum(&echo_of(&sent, rate, 60), &near);
    let out = processed(rate, ECHO, &sent, &came);
    let from = 5 * rate as usize;
    let lost = level_dbov(&near[from..]) - level_dbov(&out[from..]);
    println!("speech over an echo loses {lost:.1} dB");
    assert!(lost < 6.0, "{lost:.1} dB of the speech are lost");
}

#[test]
fn lost_packets_and_a_clock_that_drifts_leave_the_echo_out() {
    let rate = 8_000;
    let sent = at_level(&speech(rate, 8), -20.0);
    let echo = echo_of(&sent, rate, 60);
    let mut processor = VoiceProcessor::new(rate, ECHO).unwrap();
    let (mut came_power, mut out_power) = (0.0, 0.0);
    for (index, (sent, came)) in sent.chunks_exact(160).zip(echo.chunks_exact(160)).enumerate() {
        let at = 160 * index as i64;
        processor.hear_sent(at, sent);
        if index % 20 == 7 {
            continue;
        }
        let mut out = came.to_vec();
        // Once the phone's clock is found to run away, its sound is 5 ms later.
        let drift = if index > 150 { 40 } else { 0 };
        processor.process(at + drift, &mut out);
        if index > 250 {
            let power = |sound: &[i16]| sound.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>();
            (came_power, out_power) = (came_power + power(came), out_power + power(&out));
        }
    }
    let erle = 10.0 * (came_power / out_power).log10();
    println!("{erle:.1} dB of echo are taken out at 5 % loss");
    assert!(erle >= 15.0, "{erle:.1} dB");
}

#[test]
fn noise_is_lowered_and_speech_is_kept() {
    for (rate, speech) in [(8_000, welcome()), (16_000, speech(16_000, 4))] {
        let second = vec![0; rate as usize];
        let clean: Vec<i16> = [&second[..], &second, &at_level(&speech, -22.0), &second].concat();
        let noise = Noise::new(3).samples(-42.0, clean.len());
        let came = sum(&clean, &noise);
        let out = processed(rate, NOISE, &[], &came);
        let (speech_from, speech_end) = (2 * rate as usize, clean.len() - rate as usize);
        let pause = rate as usize..speech_from - rate as usize / 20;
        let lower = level_dbov(&came[pause.clone()]) - level_dbov(&out[pause]);
        let spoken = speech_from..speech_end;
        let kept = level_dbov(&out[spoken.clone()]) - level_dbov(&clean[spoken]);
        println!("{rate} Hz: noise {lower:.1} dB lower, speech {kept:+.1} dB");
        assert!(lower >= 6.0 && kept.abs() < 2.5, "{rate} Hz: {lower:.1} dB, {kept:+.1} dB");
    }
}

#[test]
fn quiet_and_loud_speech_are_brought_to_the_target_without_clipping() {
    for (from_dbov, rate) in [(-40.0, 8_000), (-40.0, 48_000), (-30.0, 16_000), (-12.0, 8_000)] {
        let came = at_level(&speech(rate, 10), from_dbov);
        let was_clipped = came.iter().filter(|sample| sample.unsigned_abs() >= 32_767).count();
        let out = processed(rate, GAIN, &[], &came);
        let level = level_dbov(&out[out.len() - 3 * rate as usize..]);
        let peak = out.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        println!("{rate} Hz: {from_dbov} dBov become {level:.1}, peak {peak}, {was_clipped} were clipped");
        assert!((level + 22.0).abs() < 6.0, "{from_dbov} dBov become {level:.1}");
        assert!(peak < 29_300, "{peak}");
    }
}

#[test]
fn a_shout_after_quiet_speech_is_not_clipped_and_noise_alone_is_not_raised() {
    let rate = 8_000;
    let mut processor = VoiceProcessor::new(rate, GAIN).unwrap();
    run(&mut processor, &[20], &[], &at_level(&speech(rate, 8), -45.0));
    assert!(processor.gain_db() > 15.0, "{}", processor.gain_db());
    let shout = run(&mut processor, &[20], &[], &speech(rate, 2));
    let peak = shout.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    assert!(peak < 29_300, "{peak}");
    let noise = Noise::new(2).samples(-55.0, 20 * rate as usize);
    let out = processed(rate, GAIN, &[], &noise);
    let raised = level_dbov(&out) - level_dbov(&noise);
    assert!(raised < 3.0, "noise is raised by {raised:.1} dB");
}

#[test]
fn silence_stays_silence() {
    for rate in [8_000, 16_000, 48_000] {
        let silence = vec![0; 2 * rate as usize];
        let out = processed(rate, ALL, &silence, &silence);
        assert!(out.iter().all(|sample| *sample == 0), "{rate} Hz");
    }
}

#[test]
fn the_same_sound_becomes_the_same_sound() {
    let sent = speech(8_000, 2);
    let came = sum(&echo_of(&sent, 8_000, 40), &welcome()[..sent.len().min(welcome().len())]);
    assert_eq!(processed(8_000, ALL, &sent, &came), processed(8_000, ALL, &sent, &came));
    let mut processor = VoiceProcessor::new(8_000, ALL).unwrap();
    let first = run(&mut processor, &[20], &sent, &came);
    processor.reset();
    assert_eq!(run(&mut processor, &[20], &sent, &came), first, "it is as new");
}

/// Anything that a peer may send: full scale, noise, silence, positions that jump anywhere, pieces of any length.
#[test]
fn no_sound_and_no_time_is_too_odd() {
    let mut noise = Noise::new(77);
    let mut random = |below: usize| ((noise.next() + 1.0) / 2.0 * below as f64) as usize;
    for rate in [8_000, 16_000, 48_000] {
        let mut processor = VoiceProcessor::new(rate, ALL).unwrap();
        let mut at = 0_i64;
        for round in 0..400 {
            at = match random(12) {
                0 => i64::MAX - 20_000,
                1 => i64::MIN + 20_000,
                2 => at.saturating_sub(random(100_000) as i64),
                3 => at.saturating_add(random(100_000) as i64),
                _ => at,
            };
            let mut sound: Vec<i16> = (0..random(3_000))
                .map(|index| match (round / 8 % 4, index % 2) {
                    (0, 0) => i16::MAX,
                    (0, _) => i16::MIN,
                    (1, _) => random(65_536) as u16 as i16,
                    (2, _) => 0,
                    _ => i16::MIN,
                })
                .collect();
            processor.hear_sent(at.saturating_add(random(500) as i64), &sound);
            processor.process(at, &mut sound);
            at = at.saturating_add(sound.len() as i64);
            if random(40) == 0 {
                processor.set_parts(VoiceParts { echo: random(2) == 0, noise: random(2) == 0, gain: random(2) == 0 });
            }
            if random(60) == 0 {
                processor = processor.at_rate(rate).expect("the same rate");
            }
        }
    }
    assert!([0, 11_025, 24_000, 44_100, 96_000].iter().all(|rate| VoiceProcessor::new(*rate, ALL).is_none()));
}

#[test]
fn parts_come_and_go_without_a_click() {
    let rate = 8_000;
    let tone: Vec<i16> = crate::testing::sine(rate, 300.0, 6_000.0, 2 * rate as usize);
    let mut processor = VoiceProcessor::new(rate, VoiceParts::default()).unwrap();
    let (first, second) = tone.split_at(rate as usize);
    assert_eq!(run(&mut processor, &[20], &[], first), first, "nothing is at work");
    processor.set_parts(NOISE);
    let out = run(&mut processor, &[20], &[], second);
    let step =
        |sound: &[i16]| sound.windows(2).map(|two| (i32::from(two[1]) - i32::from(two[0])).abs()).max().unwrap_or(0);
    assert!(step(&out) < 2 * step(&tone), "a step of {} in a tone whose steps are {}", step(&out), step(&tone));
    let speech = at_level(&speech(rate, 6), -40.0);
    let mut processor = VoiceProcessor::new(rate, GAIN).unwrap();
    run(&mut processor, &[20], &[], &speech);
    let gain_db = processor.gain_db();
    let processor = processor.at_rate(48_000).unwrap();
    assert!(gain_db > 6.0 && processor.gain_db() == gain_db && processor.rate() == 48_000, "{gain_db}");
}
