//! What each codec and each conversion takes of a core for 20 ms of sound, and how many streams a core carries at that
//! (the real-time factor). `cargo run --release -p ringplane-audio --example codecs`; an argument chooses rows by a
//! part of their name, a second one the packets of each.

use audio::codec::opus::OpusSettings;
use audio::codec::{CodecFormat, CodecKind, Decoder, Encoder, PAYLOAD_BYTES_MAX, PAYLOAD_SAMPLES_MAX};
use audio::{Law, Resampler};
use std::hint::black_box;

const PACKETS: usize = 2_000;

/// Ten seconds that resemble speech: a pitch with harmonics, syllables, and noise.
fn sound(rate: u32, channels: usize) -> Vec<i16> {
    let mut noise = 1_u32;
    let frame = |n: u32| {
        let t = f64::from(n) / f64::from(rate);
        let pitch = 110.0 + 30.0 * (2.0 * t).sin();
        let voiced: f64 =
            (1..12).map(|k| (f64::from(k) * pitch * t * std::f64::consts::TAU).sin() / f64::from(k)).sum();
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let hiss = f64::from((noise >> 16) as i16) / 32_768.0;
        let syllable = (12.0 * t).sin().max(0.0);
        (syllable * (5_000.0 * voiced + 800.0 * hiss) + 60.0 * hiss) as i16
    };
    (0..10 * rate).map(frame).flat_map(|sample| std::iter::repeat_n(sample, channels)).collect()
}

/// Microseconds of processor time that `work` takes for a packet: the fastest of five runs.
fn measure(packet_count: usize, mut work: impl FnMut(usize)) -> f64 {
    let runs = [(); 5].map(|()| {
        let start = processor_time_us();
        (0..packet_count).for_each(&mut work);
        (processor_time_us() - start) / packet_count as f64
    });
    runs.into_iter().fold(f64::INFINITY, f64::min)
}

fn processor_time_us() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes to a value that lives.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0, "every Linux knows a thread's processor time");
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn row(name: &str, us: f64) {
    println!("{name:44} {us:9.3} us {:10.0}x", 20_000.0 / us);
}

fn codec(name: &str, format: CodecFormat, settings: Option<OpusSettings>, packet_count: usize) {
    let sound = sound(format.sample_rate(), format.channel_count().into());
    let packets: Vec<&[i16]> = sound.chunks_exact(format.samples_in_ms(20)).collect();
    let (mut encoder, mut decoder) = (Encoder::new(format), Decoder::new(format));
    if let Some(settings) = settings {
        encoder.set_opus(&settings);
    }
    let (mut payload, mut samples) = (vec![0; PAYLOAD_BYTES_MAX], vec![0; PAYLOAD_SAMPLES_MAX]);
    let encoding = measure(packet_count, |n| {
        black_box(encoder.encode(black_box(packets[n % packets.len()]), &mut payload));
    });
    encoder.reset();
    let payloads: Vec<Vec<u8>> = packets
        .iter()
        .map(|packet| {
            let bytes = encoder.encode(packet, &mut payload);
            payload[..bytes].to_vec()
        })
        .collect();
    let decoding = measure(packet_count, |n| {
        let _ = black_box(decoder.decode(black_box(&payloads[n % payloads.len()]), &mut samples));
    });
    row(&format!("{name} encode"), encoding);
    row(&format!("{name} decode"), decoding);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = arguments.first().map_or("", String::as_str);
    let packet_count = arguments.get(1).and_then(|count| count.parse().ok()).unwrap_or(PACKETS);
    let is_wanted = |name: &str| name.contains(wanted);
    println!("{:44} {:>12} {:>11}", "20 ms of", "time", "real time");
    for (name, format) in [("PCMU", CodecFormat::PCMU), ("PCMA", CodecFormat::PCMA), ("G722", CodecFormat::G722)] {
        if is_wanted(name) {
            codec(name, format, None, packet_count);
        }
    }
    for (rate, channels) in [(8_000, 1), (16_000, 1), (48_000, 2)] {
        let name = format!("L16 {rate} Hz, {channels} ch");
        if is_wanted(&name) {
            codec(&name, CodecFormat::new(CodecKind::L16, rate, channels).expect("a rate of L16"), None, packet_count);
        }
    }
    for (rate, channels, complexity) in [
        (8_000, 1, 5),
        (16_000, 1, 0),
        (16_000, 1, 5),
        (16_000, 1, 9),
        (48_000, 1, 0),
        (48_000, 1, 5),
        (48_000, 1, 9),
        (48_000, 2, 5),
    ] {
        for (fec, loss_percent) in [(false, 0), (true, 10)] {
            let repair = if fec { ", FEC" } else { "" };
            let name = format!("opus {rate} Hz, {channels} ch, complexity {complexity}{repair}");
            if is_wanted(&name) {
                let settings = OpusSettings {
                    complexity,
                    loss_percent,
                    inband_fec: fec,
                    stereo: channels == 2,
                    ..OpusSettings::default()
                };
                let format = CodecFormat::new(CodecKind::Opus, rate, channels).expect("a rate of Opus");
                codec(&name, format, Some(settings), packet_count);
            }
        }
    }
    if is_wanted("PCMU to PCMA") {
        let (mut codes, mut other) = ([0; 160], [0; 160]);
        Law::Mu.encode_slice(&sound(8_000, 1)[..160], &mut codes);
        row(
            "PCMU to PCMA",
            measure(packet_count, |_| {
                Law::Mu.transcode(black_box(&mut other));
            }),
        );
    }
    for (from, to) in [
        (8_000, 16_000),
        (16_000, 8_000),
        (8_000, 48_000),
        (48_000, 8_000),
        (16_000, 48_000),
        (48_000, 16_000),
        (16_000, 24_000),
        (24_000, 16_000),
    ] {
        let name = format!("resample {from} to {to} Hz");
        if is_wanted(&name) {
            let sound = sound(from, 1);
            let packets: Vec<&[i16]> = sound.chunks_exact(from as usize / 50).collect();
            let mut resampler = Resampler::new(from, to, 1).expect("rates that it has");
            let mut out = vec![0; to as usize / 50];
            row(
                &name,
                measure(packet_count, |n| {
                    black_box(resampler.push(black_box(packets[n % packets.len()]), &mut out));
                }),
            );
        }
    }
}
