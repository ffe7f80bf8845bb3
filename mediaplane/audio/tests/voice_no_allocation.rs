//! Once it is built, nothing that processes voice allocates, counted by the allocator itself.

mod counting;

use audio::{
    CallTone, ComfortNoise, Concealer, DtmfDetector, DtmfGenerator, Hears, MOST_COMFORT_NOISE_BYTES, Mixer,
    MixerLimits, NoiseAnalyser, SilenceMeter, Stretcher, ToneGenerator, ToneSignal, VoiceActivity,
};
use counting::ALLOCATIONS;
use std::time::Duration;

/// Frames of loud tones, quiet noise and silence.
fn frames(rate: u32) -> Vec<Vec<i16>> {
    let length = rate as usize / 50;
    let mut random = 1_u32;
    (0..60)
        .map(|frame| {
            let sample = |index: usize| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (random >> 24) as f32 - 128.0;
                let turn = std::f32::consts::TAU * (frame * length + index) as f32 / rate as f32;
                match frame % 3 {
                    0 => 6_000.0 * ((770.0 * turn).sin() + (1_336.0 * turn).sin()) + noise,
                    1 => noise / 4.0,
                    _ => 9_000.0 * (180.0 * turn).sin(),
                }
            };
            (0..length).map(sample).map(|sample| sample as i16).collect()
        })
        .collect()
}

fn process(rate: u32) -> usize {
    let sounds = frames(rate);
    let length = sounds[0].len();
    let limits = MixerLimits { rate, frame_samples: length, members: 5, speakers: 2 };
    let (mut concealer, mut stretcher, mut mixer) = (Concealer::new(rate), Stretcher::new(rate), Mixer::new(limits));
    let (mut analyser, mut noise, mut activity) =
        (NoiseAnalyser::new(rate), ComfortNoise::new(rate, 1), VoiceActivity::new(rate));
    let (mut silence, mut detector, mut digits) =
        (SilenceMeter::new(rate, -50.0), DtmfDetector::new(rate), DtmfGenerator::new(rate));
    let ringing = ToneSignal::of_country("gb", CallTone::Ringing).expect("British tones are known");
    let mut tone = ToneGenerator::new(&ringing, rate);
    let slots = [(); 5].map(|()| mixer.join().expect("there is room"));
    let (mut frame, mut payload, mut events) = (vec![0; 2 * length], [0; MOST_COMFORT_NOISE_BYTES], 0);
    let before = ALLOCATIONS.get();
    for (index, sound) in sounds.iter().enumerate() {
        frame[..length].copy_from_slice(sound);
        if index % 4 == 3 {
            concealer.conceal(&mut frame[..length]);
        } else {
            concealer.hear(&mut frame[..length]);
        }
        stretcher.lengthen(&mut frame, length);
        stretcher.shorten(&mut frame[..length]);
        analyser.hear(sound);
        let written = analyser.write(10, &mut payload);
        noise.receive(&payload[..written]);
        noise.fill(&mut frame);
        activity.hear(sound);
        silence.hear(sound);
        detector.hear(sound, |_| events += 1);
        digits.start((index % 16) as u8, Duration::from_millis(70), Duration::from_millis(50));
        digits.fill(&mut frame);
        tone.fill(&mut frame);
        mixer.set_muted(slots[index % 5], index % 7 == 0);
        mixer.mix(|slot| (slot != slots[4]).then_some(&sound[..]));
        for slot in slots {
            if mixer.hears(slot) == Hears::Own {
                mixer.write(slot, &mut frame);
            }
        }
        if index % 10 == 9 {
            mixer.leave(slots[index % 5]);
            mixer.join();
        }
    }
    let allocations = ALLOCATIONS.get() - before;
    assert!(allocations == 0, "{allocations} allocations at {rate} Hz");
    events
}

#[test]
fn nothing_allocates_once_it_is_built() {
    for rate in [8_000, 16_000, 24_000, 48_000] {
        process(rate);
    }
}
