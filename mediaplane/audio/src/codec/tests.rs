use super::opus::{OpusSettings, Packet};
use super::*;
use proptest::prelude::*;
use std::f64::consts::TAU;

fn formats() -> Vec<CodecFormat> {
    let mut formats = vec![CodecFormat::PCMU, CodecFormat::PCMA, CodecFormat::G722];
    for rate in [8_000, 16_000, 24_000, 48_000] {
        for channels in [1, 2] {
            formats
                .extend([CodecKind::L16, CodecKind::Opus].map(|kind| CodecFormat::new(kind, rate, channels).unwrap()));
        }
    }
    formats.extend([1, 2].map(|channels| CodecFormat::new(CodecKind::Opus, 12_000, channels).unwrap()));
    formats
}

fn opus(sample_rate: u32, channels: u8) -> CodecFormat {
    CodecFormat::new(CodecKind::Opus, sample_rate, channels).unwrap()
}

/// A sine in all channels.
fn tone(format: CodecFormat, hertz: f64, ms: u32) -> Vec<i16> {
    let channels = usize::from(format.channel_count());
    let radians = TAU * hertz / f64::from(format.sample_rate());
    (0..format.samples_in_ms(ms)).map(|n| (8_000.0 * (radians * (n / channels) as f64).sin()) as i16).collect()
}

/// The shipped prompt: speech of 8 kHz, here at the format's rate without more bandwidth.
fn speech(format: CodecFormat, ms: u32) -> Vec<i16> {
    let prompt = crate::Prompt::welcome();
    let mut codes = vec![0; 8 * ms as usize];
    prompt.copy_frame(Law::Mu, 2_000, &mut codes);
    let mut samples = vec![0; codes.len()];
    Law::Mu.decode_slice(&codes, &mut samples);
    let mut resampler = crate::Resampler::new(8_000, format.sample_rate(), 1).unwrap();
    let mut mono = vec![0; resampler.output_samples(samples.len())];
    resampler.push(&samples, &mut mono);
    mono.iter().flat_map(|sample| std::iter::repeat_n(*sample, format.channel_count().into())).collect()
}

/// Payloads of 20 ms; empty where nothing is to be sent.
fn payloads(encoder: &mut Encoder, sound: &[i16]) -> Vec<Vec<u8>> {
    let mut payload = vec![0; PAYLOAD_BYTES_MAX];
    let packets = sound.chunks_exact(encoder.format().samples_in_ms(20));
    packets
        .map(|packet| {
            let bytes = encoder.encode(packet, &mut payload);
            payload[..bytes].to_vec()
        })
        .collect()
}

fn decoded(decoder: &mut Decoder, payloads: &[Vec<u8>]) -> Vec<i16> {
    let (mut sound, mut samples) = (Vec::new(), vec![0; PAYLOAD_SAMPLES_MAX]);
    for payload in payloads {
        let count = decoder.decode(payload, &mut samples).unwrap();
        sound.extend_from_slice(&samples[..count]);
    }
    sound
}

fn energy(samples: &[i16]) -> f64 {
    samples.iter().map(|sample| f64::from(*sample).powi(2)).sum()
}

/// Energy of the first sound over that of its difference to the second, in dB.
fn likeness_db(wanted: &[i16], other: &[i16]) -> f64 {
    let differences = wanted.iter().zip(other).map(|(a, b)| f64::from(*a) - f64::from(*b));
    10.0 * (energy(wanted) / differences.map(|difference| difference * difference).sum::<f64>().max(1.0)).log10()
}

#[test]
fn a_tone_survives_every_codec() {
    for format in formats() {
        let sound = tone(format, 1_000.0, 1_000);
        let heard = decoded(&mut Decoder::new(format), &payloads(&mut Encoder::new(format), &sound));
        assert_eq!(heard.len(), sound.len(), "{format:?}");
        let left: Vec<i16> = heard.iter().step_by(format.channel_count().into()).copied().collect();
        let (mut re, mut im) = (0.0, 0.0);
        let settled = &left[left.len() / 2..];
        for (n, sample) in settled.iter().enumerate() {
            let angle = TAU * 1_000.0 * n as f64 / f64::from(format.sample_rate());
            re += f64::from(*sample) * angle.cos();
            im += f64::from(*sample) * angle.sin();
        }
        let power = 2.0 * (re * re + im * im) / settled.len() as f64;
        assert!(power > 0.97 * energy(settled), "{format:?}: {power} of {}", energy(settled));
        let gain = (energy(settled) / settled.len() as f64).sqrt() / (8_000.0 / 2_f64.sqrt());
        assert!((0.9..1.1).contains(&gain), "{format:?}: {gain}");
    }
}

#[test]
fn what_was_reset_is_as_new() {
    for format in formats() {
        let sound = speech(CodecFormat::new(CodecKind::L16, 48_000, 1).unwrap(), 400);
        let (first, second) = (tone(format, 700.0, 200), &sound[..format.samples_in_ms(200)]);
        let (mut encoder, mut decoder) = (Encoder::new(format), Decoder::new(format));
        let payloads_before = payloads(&mut encoder, &first);
        decoded(&mut decoder, &payloads_before);
        encoder.reset();
        decoder.reset();
        let made = payloads(&mut encoder, second);
        assert!(made == payloads(&mut Encoder::new(format), second), "{format:?}");
        assert!(decoded(&mut decoder, &made) == decoded(&mut Decoder::new(format), &made), "{format:?}");
    }
}

#[test]
fn payloads_of_every_time_have_the_length_that_is_told() {
    for format in formats() {
        for wanted_ms in (10..=120).step_by(10) {
            let ms = format.nearest_ptime_ms(wanted_ms);
            let (mut encoder, mut decoder) = (Encoder::new(format), Decoder::new(format));
            let (mut payload, mut samples) = (vec![0; PAYLOAD_BYTES_MAX], vec![0; PAYLOAD_SAMPLES_MAX]);
            let bytes = encoder.encode(&tone(format, 500.0, ms), &mut payload);
            let payload = &payload[..bytes];
            assert_eq!(format.samples_in(payload), Ok(format.samples_in_ms(ms)), "{format:?} {ms} ms");
            assert_eq!(format.ticks_in(payload), Ok(format.ticks_in_ms(ms)), "{format:?} {ms} ms");
            assert_eq!(decoder.decode(payload, &mut samples), Ok(format.samples_in_ms(ms)), "{format:?} {ms} ms");
            let mut small = vec![0; format.samples_in_ms(ms) - 1];
            assert_eq!(decoder.decode(payload, &mut small), Err(BadPayload::TooLong), "{format:?} {ms} ms");
        }
    }
}

#[test]
fn little_room_is_no_harm() {
    for format in formats() {
        let mut encoder = Encoder::new(format);
        let sound = tone(format, 500.0, 20);
        for room in 0..20 {
            let mut payload = vec![0; room];
            assert!(encoder.encode(&sound, &mut payload) <= room);
        }
        assert_eq!(encoder.encode(&[], &mut [0; 100]), 0);
        // 7 ms is no length of Opus.
        let odd = &sound[..sound.len() * 7 / 20];
        assert_eq!(encoder.encode(odd, &mut [0; 4_000]) == 0, format.kind() == CodecKind::Opus, "{format:?}");
    }
}

#[test]
fn only_opus_conceals_by_itself() {
    for format in formats() {
        let mut decoder = Decoder::new(format);
        decoded(&mut decoder, &payloads(&mut Encoder::new(format), &tone(format, 300.0, 200)));
        let mut made_up = vec![0; format.samples_in_ms(20)];
        let count = decoder.decode_lost(&mut made_up);
        if format.kind() == CodecKind::Opus {
            assert_eq!(count, made_up.len());
            assert!(energy(&made_up) > 0.1 * energy(&tone(format, 300.0, 20)), "{format:?}");
        } else {
            assert_eq!((count, decoder.decode_fec(&[1; 160], &mut made_up)), (0, Ok(0)));
        }
    }
}

/// Every 7th packet is lost. Repaired from the next one it is closer to what was lost than made up.
#[test]
fn lost_packets_come_back_from_the_next_ones() {
    for format in [opus(8_000, 1), opus(16_000, 1), opus(48_000, 1), opus(48_000, 2)] {
        let sound = speech(format, 2_000);
        let mut encoder = Encoder::new(format);
        encoder.set_opus(&OpusSettings { loss_percent: 20, inband_fec: true, stereo: true, ..OpusSettings::default() });
        let payloads = payloads(&mut encoder, &sound);
        let whole = decoded(&mut Decoder::new(format), &payloads);
        let packet_samples = format.samples_in_ms(20);
        let (mut samples, mut copies) = (vec![0; PAYLOAD_SAMPLES_MAX], 0);
        let [repaired, made_up] = [true, false].map(|is_repairing| {
            let mut decoder = Decoder::new(format);
            let mut heard = vec![0; whole.len()];
            for (number, (payload, place)) in payloads.iter().zip(heard.chunks_exact_mut(packet_samples)).enumerate() {
                if number % 7 != 3 {
                    decoder.decode(payload, &mut samples).unwrap();
                    place.copy_from_slice(&samples[..packet_samples]);
                } else if is_repairing && decoder.decode_fec(&payloads[number + 1], place).unwrap() > 0 {
                    copies += 1;
                } else {
                    assert_eq!(decoder.decode_lost(place), packet_samples);
                }
            }
            likeness_db(&whole, &heard)
        });
        println!("{format:?}: {copies} copies, {repaired:.1} dB repaired, {made_up:.1} dB made up");
        // The encoder makes copies of speech only.
        assert!(copies > 5, "{format:?}: {copies} copies");
        assert!(repaired > made_up + 3.0, "{format:?}: {repaired:.1} dB repaired, {made_up:.1} dB made up");
    }
}

#[test]
fn a_packet_without_a_copy_repairs_nothing() {
    let format = opus(16_000, 1);
    let payloads = payloads(&mut Encoder::new(format), &speech(format, 200));
    let mut samples = vec![0; format.samples_in_ms(20)];
    for payload in payloads {
        assert_eq!(Decoder::new(format).decode_fec(&payload, &mut samples), Ok(0));
    }
    assert_eq!(Decoder::new(format).decode_fec(&[], &mut samples), Err(BadPayload::Empty));
    assert_eq!(Decoder::new(format).decode_fec(&[3], &mut samples), Err(BadPayload::Corrupt));
}

#[test]
fn silence_is_left_out_when_asked_for() {
    let format = opus(16_000, 1);
    let silence = vec![0; format.samples_in_ms(2_000)];
    let count = |dtx: bool, sound: &[i16]| {
        let mut encoder = Encoder::new(format);
        encoder.set_opus(&OpusSettings { dtx, ..OpusSettings::default() });
        payloads(&mut encoder, sound).iter().filter(|payload| !payload.is_empty()).count()
    };
    assert_eq!(count(false, &silence), 100);
    assert!(count(true, &silence) < 30, "{} packets", count(true, &silence));
    let of_speech = count(true, &speech(format, 2_000));
    assert!((50..=100).contains(&of_speech), "{of_speech} packets");
}

#[test]
fn bit_rates_are_kept() {
    let format = opus(48_000, 1);
    let sound = speech(format, 2_000);
    let sizes = |settings: OpusSettings| {
        let mut encoder = Encoder::new(format);
        encoder.set_opus(&settings);
        payloads(&mut encoder, &sound).iter().map(Vec::len).collect::<Vec<_>>()
    };
    for bitrate in [8_000, 16_000, 32_000, 64_000] {
        let settings = OpusSettings { bitrate: Some(bitrate), ..OpusSettings::default() };
        let mean = 8.0 * sizes(settings).iter().sum::<usize>() as f64 / 2.0;
        assert!((0.6..1.15).contains(&(mean / f64::from(bitrate))), "{mean} bit/s of {bitrate}");
        let constant = sizes(OpusSettings { constant_bitrate: true, ..settings });
        assert!(constant.iter().all(|size| *size == bitrate as usize / 400), "{constant:?}");
    }
    // Values outside the range are taken as its ends.
    assert!(
        sizes(OpusSettings { bitrate: Some(1), complexity: 99, loss_percent: 255, ..OpusSettings::default() }).len()
            == 100
    );
}

#[test]
fn the_receivers_wishes_are_followed() {
    let format = opus(48_000, 2);
    let sound = speech(format, 400);
    let mut encoder = Encoder::new(format);
    for (max_playback_rate, bitrate, wanted_config_max, is_stereo) in
        [(8_000, None, 3, false), (16_000, Some(40_000), 11, true), (48_000, None, 15, true), (48_000, None, 15, false)]
    {
        let settings = OpusSettings { max_playback_rate, bitrate, stereo: is_stereo, ..OpusSettings::default() };
        encoder.set_opus(&settings);
        // The encoder may take a packet to change over.
        for payload in payloads(&mut encoder, &sound).iter().skip(2) {
            assert!(payload[0] >> 3 <= wanted_config_max, "{settings:?}: configuration {}", payload[0] >> 3);
            assert_eq!(Packet::parse(payload).unwrap().is_stereo(), is_stereo, "{settings:?}");
        }
    }
}

/// Lengths found without libopus agree with what it decodes.
#[test]
fn lengths_agree_with_the_decoder() {
    for config in 0..32_u8 {
        for tail in [&[0, 9, 1][..], &[1, 7, 7, 7, 7], &[2, 1, 5, 6, 6], &[3, 2, 4, 4, 4, 4], &[3, 0x83, 1, 1, 8, 8, 8]]
        {
            let mut payload = tail.to_vec();
            payload[0] |= config << 3;
            for format in [opus(8_000, 1), opus(48_000, 2)] {
                let mut samples = vec![0; PAYLOAD_SAMPLES_MAX];
                let wanted = format.samples_in(&payload);
                assert_eq!(Decoder::new(format).decode(&payload, &mut samples), wanted, "{payload:?}");
            }
        }
    }
}

fn any_format() -> impl Strategy<Value = CodecFormat> {
    proptest::sample::select(formats())
}

proptest! {
    #![proptest_config(crate::testing::cases(400))]

    /// Random bytes decode to sound or are refused; either way the decoder goes on.
    #[test]
    fn random_payloads_do_no_harm(
        format in any_format(),
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..1_500), 1..8),
        room in 0..=PAYLOAD_SAMPLES_MAX,
    ) {
        let mut decoder = Decoder::new(format);
        let mut samples = vec![0; room];
        for payload in &payloads {
            let told = format.samples_in(payload);
            match decoder.decode(payload, &mut samples) {
                Ok(count) => prop_assert_eq!(told, Ok(count)),
                Err(reason) => prop_assert!(told == Err(reason) || reason != BadPayload::Empty),
            }
            let lost = room.min(format.samples_in_ms(20));
            prop_assert!(decoder.decode_lost(&mut samples[..lost]) <= lost);
            if let Ok(count) = decoder.decode_fec(payload, &mut samples[..lost]) {
                prop_assert!(count <= lost);
            }
        }
        let sound = tone(format, 440.0, 20);
        let mut payload = vec![0; PAYLOAD_BYTES_MAX];
        let bytes = Encoder::new(format).encode(&sound, &mut payload);
        let mut samples = vec![0; PAYLOAD_SAMPLES_MAX];
        prop_assert_eq!(decoder.decode(&payload[..bytes], &mut samples), Ok(sound.len()));
    }

    /// Real payloads with a few bytes changed, cut or drawn out: sound or a refusal, and the next good payload is sound again.
    #[test]
    fn changed_payloads_do_no_harm(
        format in any_format(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<proptest::sample::Index>(),
        more in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let payloads = payloads(&mut Encoder::new(format), &tone(format, 500.0, 100));
        let mut decoder = Decoder::new(format);
        let mut samples = vec![0; PAYLOAD_SAMPLES_MAX];
        for good in &payloads {
            let mut payload = good.clone();
            for (at, value) in &changes {
                let at = at.index(payload.len());
                payload[at] = *value;
            }
            if more.len() % 2 == 0 {
                payload.truncate(cut.index(payload.len() + 1));
            }
            payload.extend(&more);
            prop_assert_eq!(decoder.decode(&payload, &mut samples).ok(), format.samples_in(&payload).ok());
            if let Ok(count) = decoder.decode_fec(&payload, &mut samples[..format.samples_in_ms(20)]) {
                prop_assert!(count <= format.samples_in_ms(20));
            }
            prop_assert_eq!(decoder.decode(good, &mut samples), Ok(format.samples_in_ms(20)));
        }
    }

    /// Framing of Opus, with first bytes that say something.
    #[test]
    fn random_framing_does_no_harm(
        code in 0..4_u8,
        config in 0..32_u8,
        counts in any::<u8>(),
        rest in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut payload = vec![config << 3 | code, counts];
        payload.extend(rest);
        let format = opus(16_000, 1);
        let mut samples = vec![0; PAYLOAD_SAMPLES_MAX];
        if let Ok(packet) = Packet::parse(&payload) {
            prop_assert!(packet.ticks() <= 5_760);
            packet.repairs_the_one_before();
        }
        prop_assert_eq!(Decoder::new(format).decode(&payload, &mut samples), format.samples_in(&payload));
    }

    /// Any sound encodes to what its decoder takes.
    #[test]
    fn any_sound_is_encoded(format in any_format(), seed in any::<u32>(), loudness in 0..16_u32) {
        let mut state = seed;
        let sound: Vec<i16> = (0..format.samples_in_ms(60)).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i16 >> loudness
        }).collect();
        let payloads = payloads(&mut Encoder::new(format), &sound);
        prop_assert_eq!(decoded(&mut Decoder::new(format), &payloads).len(), sound.len());
    }
}
