//! What processing the voice of a leg takes from the allocator, counted by the allocator itself.

mod counting;

use audio::{VoiceParts, VoiceProcessor};
use counting::ALLOCATIONS;

/// Allocations in a second of sound, in packets of these milliseconds, once the processor has been at work for a while.
fn allocations(rate: u32, parts: VoiceParts, packet_ms: u32) -> u64 {
    let mut processor = VoiceProcessor::new(rate, parts).expect("a rate that is processed");
    let (length, mut random, mut before) = ((rate / 1_000 * packet_ms) as usize, 1_u32, 0);
    let mut packet = vec![0; length];
    let packets = 1_000 / packet_ms;
    for index in 0..3 * packets {
        if index == 2 * packets {
            before = ALLOCATIONS.get();
        }
        for sample in &mut packet {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample = ((random >> 16) as i16) / if index / 10 % 2 == 0 { 4 } else { 400 };
        }
        let at = i64::from(index) * length as i64;
        processor.hear_sent(at, &packet);
        processor.process(at, &mut packet);
    }
    ALLOCATIONS.get() - before
}

#[test]
fn gain_and_activity_take_nothing() {
    for (rate, packet_ms) in [(8_000, 20), (16_000, 25), (48_000, 60)] {
        let parts = VoiceParts { gain: true, ..VoiceParts::default() };
        assert_eq!(allocations(rate, parts, packet_ms), 0, "{rate} Hz");
    }
}

/// The library takes scratch memory for its transforms and gives it back within the block: as much for each, never more.
#[test]
fn echo_and_noise_take_no_more_than_the_scratch_of_their_library() {
    for rate in [8_000, 16_000, 48_000] {
        let noise = allocations(rate, VoiceParts { noise: true, ..VoiceParts::default() }, 20);
        let echo = allocations(rate, VoiceParts { echo: true, ..VoiceParts::default() }, 20);
        println!("{rate} Hz: {} for noise and {} for echo in a block of 10 ms", noise / 100, echo / 100);
        assert!(noise <= 12 * 100 && echo <= 60 * 100, "{rate} Hz: {noise} for noise, {echo} for echo in a second");
    }
}
