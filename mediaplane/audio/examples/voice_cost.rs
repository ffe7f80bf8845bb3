//! Processes frames of 20 ms, to be counted with `valgrind --tool=callgrind`, once with 0 frames and once with many:
//! `cargo run -p ringplane-audio --example voice_cost -- WHAT RATE FRAMES`, where WHAT is `mix-MEMBERS`, `dtmf`,
//! `activity`, `hear`, `conceal`, `shorten`, `noise`, `digit` or `tone`.

use audio::{
    CallTone, ComfortNoise, Concealer, DtmfDetector, DtmfGenerator, Hears, MemberSlot, Mixer, MixerLimits, Stretcher,
    ToneGenerator, ToneSignal, VoiceActivity,
};
use std::hint::black_box;
use std::time::Duration;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, rate, frames] = &arguments[..] else { panic!("WHAT RATE FRAMES") };
    let (rate, frames): (u32, usize) = (rate.parse().expect("a rate"), frames.parse().expect("a count"));
    let length = rate as usize / 50;
    // A voice of 125 Hz with harmonics, at several positions.
    let sounds: Vec<Vec<i16>> = (0..7)
        .map(|turn| (0..length).map(|at| (((at * 8_000 / rate as usize + turn * 31) % 64) * 90) as i16).collect())
        .collect();
    if let Some(members) = what.strip_prefix("mix-") {
        return mix(members.parse().expect("a count"), rate, frames, &sounds);
    }
    let mut work = work(what, rate);
    let mut frame = vec![0; length];
    for sound in sounds.iter().cycle().take(frames) {
        frame.copy_from_slice(sound);
        work(&mut frame);
        black_box(&frame);
    }
}

/// What is done with a frame.
type Work = Box<dyn FnMut(&mut [i16])>;

fn work(what: &str, rate: u32) -> Work {
    match what {
        "dtmf" => {
            let mut detector = DtmfDetector::new(rate);
            Box::new(move |frame| detector.hear(frame, |event| _ = black_box(event)))
        }
        "activity" => {
            let mut activity = VoiceActivity::new(rate);
            Box::new(move |frame| _ = black_box(activity.hear(frame)))
        }
        "hear" => {
            let mut concealer = Concealer::new(rate);
            Box::new(move |frame| concealer.hear(frame))
        }
        "conceal" => {
            // Every second frame is lost.
            let (mut concealer, mut is_lost) = (Concealer::new(rate), false);
            Box::new(move |frame| {
                is_lost = !is_lost;
                if is_lost { concealer.conceal(frame) } else { concealer.hear(frame) }
            })
        }
        "shorten" => {
            let mut stretcher = Stretcher::new(rate);
            Box::new(move |frame| _ = black_box(stretcher.shorten(frame)))
        }
        "noise" => {
            let mut noise = ComfortNoise::new(rate, 1);
            noise.receive(&[50, 80, 140, 120, 130, 127, 126, 128, 127, 127, 127]);
            Box::new(move |frame| noise.fill(frame))
        }
        "digit" => {
            let mut digits = DtmfGenerator::new(rate);
            digits.start(5, Duration::from_secs(3_600), Duration::ZERO);
            Box::new(move |frame| _ = digits.fill(frame))
        }
        "tone" => {
            let signal = ToneSignal::of_country("gb", CallTone::Dial).expect("British tones are known");
            let mut tone = ToneGenerator::new(&signal, rate);
            Box::new(move |frame| tone.fill(frame))
        }
        other => panic!("{other}"),
    }
}

fn mix(members: u16, rate: u32, frames: usize, sounds: &[Vec<i16>]) {
    let frame_samples = sounds[0].len();
    let mut mixer = Mixer::new(MixerLimits { rate, frame_samples, members, speakers: 3 });
    let slots: Vec<MemberSlot> = (0..members).filter_map(|_| mixer.join()).collect();
    let mut out = vec![0; frame_samples];
    for frame in 0..frames {
        mixer.mix(|slot| Some(&sounds[(slot.index() + frame) % sounds.len()][..]));
        for slot in &slots {
            if mixer.hears(*slot) == Hears::Own {
                mixer.write(*slot, &mut out);
                black_box(&out);
            }
        }
    }
}
