//! Measures the processing of a leg's voice: how much echo and noise is taken out, where the gain ends, and what each part
//! costs for 10 ms: `cargo run --release -p ringplane-audio --example voice_processing`. With `cost PART RATE SECONDS` it only works,
//! to be counted with `valgrind --tool=callgrind`; PART is `echo`, `noise`, `gain`, `activity` or `all`.

use audio::{VoiceParts, VoiceProcessor, level_dbov};

const DELAYS_MS: [usize; 5] = [20, 60, 120, 200, 300];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [what, part, rate, seconds] = &arguments[..]
        && what == "cost"
    {
        let (rate, seconds) = (rate.parse().expect("a rate"), seconds.parse().expect("a count"));
        let sent = speech(rate, seconds);
        let came = echo_of(&sent, rate, 60);
        run(rate, parts(part), &sent, &came);
        return;
    }
    for rate in [8_000, 16_000, 48_000] {
        println!("{rate} Hz");
        for part in ["activity", "gain", "noise", "echo", "all"] {
            let sent = speech(rate, 10);
            let came = echo_of(&sent, rate, 60);
            let began_us = processor_time_us();
            run(rate, parts(part), &sent, &came);
            println!("  {part}: {:.1} us of processor time for 10 ms", (processor_time_us() - began_us) / 1_000.0);
        }
        for delay_ms in DELAYS_MS {
            let sent = speech(rate, 20);
            let came = echo_of(&sent, rate, delay_ms);
            let out = run(rate, parts("echo"), &sent, &came);
            let part = |from: usize, to: usize| {
                let range = from * rate as usize..to * rate as usize;
                level_dbov(&came[range.clone()]) - level_dbov(&out[range])
            };
            println!(
                "  echo of {delay_ms} ms: {:.1} dB less in the 1st second, {:.1} in the 2nd to 5th, {:.1} from the 10th on",
                part(0, 1),
                part(1, 5),
                part(10, 20)
            );
        }
        for below_db in [5, 10] {
            let clean = with_pauses(&speech(rate, 16), rate);
            let noise = white(level_dbov(&speech(rate, 16)) - below_db as f32, clean.len());
            let came: Vec<i16> = clean.iter().zip(&noise).map(|(one, other)| one.saturating_add(*other)).collect();
            let out = run(rate, parts("noise"), &[], &came);
            let pause = 6 * rate as usize + rate as usize / 3..7 * rate as usize;
            let lower = level_dbov(&noise[pause.clone()]) - level_dbov(&out[pause]);
            println!("  noise {below_db} dB below the speech: {lower:.1} dB lower in pauses");
        }
        for level in [-40.0, -30.0, -15.0] {
            let sound = at_level(&speech(rate, 30), level);
            let out = run(rate, parts("gain"), &[], &sound);
            let at = |second: usize| level_dbov(&out[second * rate as usize..(second + 2) * rate as usize]);
            println!(
                "  speech of {level} dBov: {:.1} after 1 s, {:.1} after 5 s, {:.1} after 28 s",
                at(1),
                at(5),
                at(28)
            );
        }
    }
}

fn processor_time_us() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes to a value that lives.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0, "every Linux knows a thread's processor time");
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn parts(name: &str) -> VoiceParts {
    let none = VoiceParts::default();
    match name {
        "activity" => none,
        "echo" => VoiceParts { echo: true, ..none },
        "noise" => VoiceParts { noise: true, ..none },
        "gain" => VoiceParts { gain: true, ..none },
        "all" => VoiceParts { echo: true, noise: true, gain: true },
        other => panic!("no part is called {other}"),
    }
}

/// In packets of 20 ms.
fn run(rate: u32, parts: VoiceParts, sent: &[i16], came: &[i16]) -> Vec<i16> {
    let mut processor = VoiceProcessor::new(rate, parts).expect("a rate that is processed");
    let (mut out, length) = (came.to_vec(), rate as usize / 50);
    for (index, packet) in out.chunks_exact_mut(length).enumerate() {
        let at = index * length;
        if let Some(sent) = sent.get(at..at + length) {
            processor.hear_sent(at as i64, sent);
        }
        processor.process(at as i64, packet);
    }
    out
}

/// A voice: pulses of 90 to 230 Hz through three resonances, in syllables, -20 dBov.
fn speech(rate: u32, seconds: usize) -> Vec<i16> {
    let (mut random, mut sound) = (9_u32, Vec::new());
    let mut next = move || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(random >> 8) / f64::from(1 << 23) - 1.0
    };
    let mut state = [[0.0_f64; 2]; 3];
    while sound.len() < seconds * rate as usize {
        let (pitch, length) = (160.0 + 70.0 * next(), ((0.14 + 0.05 * next()) * f64::from(rate)) as usize);
        let formants = [500.0 + 230.0 * next(), 1_500.0 + 700.0 * next(), 2_600.0 + 300.0 * next()];
        let mut phase = 0.0;
        for index in 0..length {
            phase += pitch / f64::from(rate);
            let mut out = if phase >= 1.0 { 1.0 } else { 0.0 } + 0.01 * next();
            phase = phase.fract();
            for (formant, state) in formants.iter().zip(&mut state) {
                let radius = (-std::f64::consts::PI * 80.0 / f64::from(rate)).exp();
                let turn = (std::f64::consts::TAU * formant / f64::from(rate)).cos();
                out += 2.0 * radius * turn * state[0] - radius * radius * state[1];
                *state = [out, state[0]];
            }
            sound.push(out * (std::f64::consts::PI * index as f64 / length as f64).sin());
        }
        let pause = if next() > 0.7 { 0.25 } else { 0.02 };
        sound.extend((0..(pause * f64::from(rate)) as usize).map(|_| 0.0));
    }
    sound.truncate(seconds * rate as usize);
    let peak = sound.iter().fold(0.0_f64, |peak, sample| peak.max(sample.abs()));
    let sound: Vec<i16> = sound.iter().map(|sample| (sample / peak * 20_000.0) as i16).collect();
    at_level(&sound, -20.0)
}

fn with_pauses(speech: &[i16], rate: u32) -> Vec<i16> {
    let second = vec![0; rate as usize];
    speech.chunks(2 * rate as usize).flat_map(|part| [&second[..], part].concat()).collect()
}

fn white(dbov: f32, count: usize) -> Vec<i16> {
    let mut random = 5_u32;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) as i16 / 8
    };
    at_level(&(0..count).map(|_| next()).collect::<Vec<_>>(), dbov)
}

fn at_level(sound: &[i16], dbov: f32) -> Vec<i16> {
    let gain = 10f32.powf((dbov - level_dbov(sound)) / 20.0);
    sound.iter().map(|sample| (f32::from(*sample) * gain) as i16).collect()
}

/// What comes back of `sent` after `delay_ms` in a room, 10 dB more quiet.
fn echo_of(sent: &[i16], rate: u32, delay_ms: usize) -> Vec<i16> {
    let per_ms = rate as usize / 1_000;
    let taps: Vec<(usize, f32)> = white(-20.0, 60 * per_ms)
        .iter()
        .enumerate()
        .step_by(4)
        .map(|(tap, gain)| (tap + delay_ms * per_ms, f32::from(*gain) * (-(tap as f32) / (12.0 * per_ms as f32)).exp()))
        .collect();
    let tap_of = |at: usize| taps.iter().filter(move |(tap, _)| *tap <= at);
    let echo: Vec<f32> =
        (0..sent.len()).map(|at| tap_of(at).map(|(tap, gain)| gain * f32::from(sent[at - tap])).sum()).collect();
    let peak = echo.iter().fold(1.0_f32, |peak, sample| peak.max(sample.abs()));
    let echo: Vec<i16> = echo.iter().map(|sample| (sample / peak * 20_000.0) as i16).collect();
    at_level(&echo, level_dbov(sent) - 10.0)
}
