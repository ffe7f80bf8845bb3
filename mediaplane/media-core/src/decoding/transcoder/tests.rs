use super::*;
use clock::Duration;
use rtp_wire::{RtpTime, Seq, Ssrc};
use std::f64::consts::TAU;

/// One second of a tone of 1 kHz from one format into another, and what is left of it at the other end.
fn purity(from: CodecFormat, to: CodecFormat, ptime_ms: u32) -> f64 {
    let (from, to) = Transcoder::formats(from, to);
    let mut sender = Encoder::new(from);
    let mut transcoder = Transcoder::new(from, to, None, 1).unwrap();
    let mut listener = audio::codec::Decoder::new(to);
    let start = Instant::ZERO + Duration::from_secs(1);
    let (mut heard, mut made_ms, mut tick) = (Vec::new(), 0, 0_u64);
    for index in 0..100_usize {
        let at = start + Duration::from_millis(20 * index as u64);
        let count = from.samples_in_ms(20);
        let samples: Vec<i16> = (index * count..(index + 1) * count)
            .map(|sample| (9_000.0 * (TAU * 1_000.0 * sample as f64 / f64::from(from.sample_rate())).sin()) as i16)
            .collect();
        let mut payload = [0; 4_000];
        let bytes = sender.encode(&samples, &mut payload);
        let (seq, time) = (Seq(index as u16), RtpTime(index as u32 * from.ticks_in_ms(20)));
        let arrival = Arrival { at, seq, time, ssrc: Ssrc(1), payload_type: 96, payload: &payload[..bytes] };
        transcoder.insert(&arrival);
        while start + Duration::from_millis(tick * u64::from(ptime_ms) + 7) < at + Duration::from_millis(20) {
            let now = start + Duration::from_millis(tick * u64::from(ptime_ms) + 7);
            tick += 1;
            let mut payload = [0; 4_000];
            let bytes = transcoder.make(now, ptime_ms, false, &mut payload);
            let mut samples = [0; 11_520];
            let count = listener.decode(&payload[..bytes], &mut samples).unwrap();
            made_ms += count as u32 * 1_000 / to.sample_rate();
            heard.extend_from_slice(&samples[..count]);
        }
    }
    assert!((1_940..=2_060).contains(&made_ms), "{made_ms} ms of 2 s");
    let counts = transcoder.counts();
    assert!(counts.concealed_samples <= 960 && counts.bad_payloads == 0, "{from:?} to {to:?}: {counts:?}");
    // The part of the energy that is the tone, measured without what the beginning and the end add.
    let rate = to.sample_rate() as usize;
    let middle = &heard[rate / 2..rate / 2 * 3];
    let (mut sine, mut cosine, mut energy) = (0.0, 0.0, 0.0);
    for (index, sample) in middle.iter().enumerate() {
        let (phase, value) = (TAU * 1_000.0 * index as f64 / rate as f64, f64::from(*sample));
        sine += value * phase.sin();
        cosine += value * phase.cos();
        energy += value * value;
    }
    assert!(energy / middle.len() as f64 > 2_000_000.0, "{from:?} to {to:?} is quiet");
    2.0 * (sine * sine + cosine * cosine) / (middle.len() as f64 * energy)
}

#[test]
fn a_tone_goes_from_each_codec_into_each_other() {
    let l16 = |rate| CodecFormat::new(CodecKind::L16, rate, 1).unwrap();
    let opus = CodecFormat::new(CodecKind::Opus, 48_000, 1).unwrap();
    let formats = [CodecFormat::PCMU, CodecFormat::PCMA, CodecFormat::G722, opus, l16(16_000), l16(48_000)];
    for from in formats {
        for to in formats {
            let purity = purity(from, to, 20);
            assert!(purity > 0.99, "{from:?} to {to:?}: {purity}");
        }
    }
}

#[test]
fn packets_of_one_length_become_packets_of_another() {
    for ptime_ms in [10, 30, 40, 60] {
        let purity = purity(CodecFormat::PCMA, CodecFormat::G722, ptime_ms);
        assert!(purity > 0.99, "{ptime_ms} ms: {purity}");
    }
}
