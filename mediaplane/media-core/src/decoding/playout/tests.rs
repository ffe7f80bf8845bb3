use super::*;
use rtp_wire::{RtpTime, Seq, Ssrc};
use std::f64::consts::TAU;

const RATE: usize = 8_000;
const FRAME: usize = 160;

/// A tone of 8 kHz that changes slowly, like a vowel: with its harmonics.
fn vowel(index: usize) -> i16 {
    let time = index as f64 / RATE as f64;
    // The phase of a pitch of 122 to 138 Hz.
    let phase = TAU * 130.0 * time - 8.0 / 0.7 * (TAU * 0.7 * time).cos();
    (4_000.0 * (phase.sin() + 0.6 * (2.0 * phase).sin() + 0.4 * (3.0 * phase).sin())) as i16
}

struct World {
    playout: Playout,
    now: Instant,
    heard: Vec<i16>,
}

impl World {
    fn new() -> Self {
        let playout = Playout::new(CodecFormat::PCMU, Some(13), 1);
        Self { playout, now: Instant::ZERO + Duration::from_secs(1), heard: Vec::new() }
    }

    /// The packet with this index comes at `at`.
    fn come(&mut self, index: usize, at: Instant) {
        let samples: Vec<i16> = (index * FRAME..(index + 1) * FRAME).map(vowel).collect();
        let payload = audio::Law::Mu.encode_all(&samples);
        self.come_as(index, 0, &payload, at);
    }

    fn come_as(&mut self, index: usize, payload_type: u8, payload: &[u8], at: Instant) {
        let (seq, time) = (Seq(index as u16), RtpTime((index * FRAME) as u32));
        self.playout.insert(&Arrival { at, seq, time, ssrc: Ssrc(1), payload_type, payload });
    }

    fn pull(&mut self, samples: usize) {
        let mut out = vec![0; samples];
        self.playout.pull(self.now, &mut out);
        self.heard.extend(out);
    }
}

/// The largest step between neighbours, beside that of the vowel itself.
fn largest_step(samples: &[i16]) -> i32 {
    samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
}

fn vowel_step() -> i32 {
    largest_step(&(0..RATE * 2).map(vowel).collect::<Vec<_>>())
}

#[test]
fn a_clean_stream_comes_out_sample_by_sample_in_blocks_of_any_length() {
    let coded: Vec<i16> =
        (0..60 * FRAME).map(|index| audio::Law::Mu.decode(audio::Law::Mu.encode(vowel(index)))).collect();
    for block_ms in [10, 20, 30, 60] {
        let mut world = World::new();
        let (start, mut next) = (world.now, 0);
        for block in 0..(1_200 / block_ms) {
            world.now = start + Duration::from_millis(6 + (block * block_ms) as u64);
            while start + Duration::from_millis(20) * next as u32 <= world.now {
                world.come(next, start + Duration::from_millis(20) * next as u32);
                next += 1;
            }
            world.pull(8 * block_ms);
        }
        let counts = world.playout.counts();
        assert_eq!((counts.concealed_samples, counts.shortened, counts.lengthened), (0, 0, 0), "{block_ms} ms");
        // Blocks longer than a packet begin when they are whole.
        let silent = world.heard.iter().position(|sample| *sample != 0).unwrap();
        assert!(silent <= 8 * 2 * block_ms, "{silent} samples of silence before blocks of {block_ms} ms");
        let heard = &world.heard[silent / FRAME * FRAME..][..7_000];
        assert!(heard == &coded[..7_000], "{block_ms} ms");
    }
}

#[test]
fn a_lost_packet_is_made_up_without_a_click() {
    let mut world = World::new();
    let start = world.now;
    for index in 0..100 {
        if index % 20 != 10 {
            world.come(index, world.now);
        }
        world.now = start + Duration::from_millis(20) * index as u32 + Duration::from_millis(7);
        world.pull(FRAME);
    }
    let counts = world.playout.counts();
    assert!((640..=960).contains(&counts.concealed_samples), "{counts:?}");
    assert!(largest_step(&world.heard[800..]) < vowel_step() * 3 / 2, "{}", largest_step(&world.heard[800..]));
    // A fade to silence would show as a quiet frame.
    let quiet =
        world.heard[800..].chunks(FRAME).map(|frame| frame.iter().map(|s| i32::from(s.abs())).sum::<i32>()).min();
    assert!(quiet.unwrap() > 160 * 800, "{quiet:?}");
}

#[test]
fn clocks_that_differ_cost_no_packet_and_no_click() {
    for (frame_us, name) in [(19_996, "fast"), (20_004, "slow")] {
        let mut world = World::new();
        let start = world.now;
        let mut next = 0;
        // Ten minutes at 200 ppm.
        for index in 0..30_000_u64 {
            world.now = start + Duration::from_micros(5_000 + index * frame_us);
            while start + Duration::from_millis(20) * next as u32 <= world.now {
                world.come(next, start + Duration::from_millis(20) * next as u32);
                next += 1;
            }
            world.pull(FRAME);
        }
        let counts = world.playout.counts();
        assert!(counts.shortened + counts.lengthened >= 5, "{name}: {counts:?}");
        assert!(counts.concealed_samples <= 2 * FRAME as u64, "{name}: {counts:?}");
        assert_eq!((counts.jitter.missing, counts.jitter.skipped), (0, 0), "{name}");
        let step = largest_step(&world.heard[1_600..]);
        assert!(step < vowel_step() * 3 / 2, "{name}: {step} beside {}", vowel_step());
    }
}

#[test]
fn delay_grows_with_jitter_and_shrinks_again() {
    let mut world = World::new();
    let start = world.now;
    let mut arrivals: Vec<(Instant, usize)> = (0..6_000)
        .map(|index| {
            let jitter = if (1_000..3_000).contains(&index) { (index * 37 % 61) as u64 } else { 0 };
            (start + Duration::from_millis(20 * index as u64 + jitter), index)
        })
        .collect();
    arrivals.sort();
    let mut arrivals = arrivals.into_iter().peekable();
    let mut longest = Duration::ZERO;
    for index in 0..5_900 {
        world.now = start + Duration::from_millis(20 * index + 9);
        while let Some((at, index)) = arrivals.next_if(|(at, _)| *at <= world.now) {
            world.come(index, at);
        }
        world.pull(FRAME);
        longest = longest.max(world.playout.delay());
    }
    let counts = world.playout.counts();
    assert!((50..=75).contains(&longest.as_millis()), "{longest:?}");
    assert!(world.playout.delay() <= Duration::from_millis(10), "{:?}", world.playout.delay());
    assert!(counts.lengthened + counts.concealed_samples / FRAME as u64 >= 2 && counts.shortened >= 2, "{counts:?}");
    // 2 % of the 2,000 packets with jitter may be late, and some while the delay grows.
    assert!(counts.jitter.late < 90, "{counts:?}");
    // The sound is as late as the network makes necessary, and at most a packet's length more.
    let played = world.playout.jitter.next(world.now + Duration::from_millis(20), 160, 160);
    assert!(matches!(played, Next::Packet { slack: Slack(-80..=320), .. } | Next::Nothing), "{played:?}");
}

#[test]
fn comfort_noise_lasts_until_the_sender_speaks_again() {
    let mut world = World::new();
    let start = world.now;
    for index in 0..200_usize {
        world.now = start + Duration::from_millis(20 * index as u64 + 6);
        match index {
            0..50 | 150.. => world.come(index, start + Duration::from_millis(20 * index as u64)),
            // -40 dBov, white; told once in a second (RFC 3389 §3).
            50 => world.come_as(index, 13, &[40], world.now),
            _ => {}
        }
        // Numbers go on with the packets, so those after the silence are not the next ones.
        world.pull(FRAME);
    }
    let noise = &world.heard[60 * FRAME..140 * FRAME];
    let power: f64 = noise.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / noise.len() as f64;
    let dbov = 10.0 * (power / 32_768_f64.powi(2)).log10();
    assert!((-45.0..-35.0).contains(&dbov), "{dbov}");
    let counts = world.playout.counts();
    assert_eq!((counts.jitter.late, counts.bad_payloads), (0, 0), "{counts:?}");
}

#[test]
fn a_second_stream_takes_the_place_of_the_first() {
    let mut world = World::new();
    for index in 0..40 {
        world.come(index, world.now);
        world.now += Duration::from_millis(20);
        world.pull(FRAME);
    }
    for index in 0..40_usize {
        let payload = [0x7f; FRAME];
        let (seq, time) = (Seq(9_000 + index as u16), RtpTime(77 + (index * FRAME) as u32));
        world.playout.insert(&Arrival { at: world.now, seq, time, ssrc: Ssrc(2), payload_type: 0, payload: &payload });
        world.now += Duration::from_millis(20);
        world.pull(FRAME);
    }
    assert_eq!(world.playout.counts().jitter.begun, 2);
    assert!(world.heard[70 * FRAME..].iter().all(|sample| *sample == 0));
}

#[test]
fn payloads_of_any_bytes_are_taken() {
    let mut random = 1_u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let formats = [
        CodecFormat::PCMA,
        CodecFormat::G722,
        CodecFormat::new(audio::codec::CodecKind::L16, 48_000, 2).unwrap(),
        CodecFormat::new(audio::codec::CodecKind::Opus, 48_000, 2).unwrap(),
        CodecFormat::new(audio::codec::CodecKind::Opus, 8_000, 1).unwrap(),
    ];
    for format in formats {
        let mut playout = Playout::new(format, Some(13), 3);
        let mut now = Instant::ZERO + Duration::from_secs(1);
        for index in 0..3_000_u64 {
            let payload: Vec<u8> = (0..next(400)).map(|_| next(256) as u8).collect();
            let seq = Seq((index + next(4)) as u16);
            let time = RtpTime((index * 960) as u32);
            let payload_type = if next(10) == 0 { 13 } else { 96 };
            playout.insert(&Arrival { at: now, seq, time, ssrc: Ssrc(1), payload_type, payload: &payload });
            let mut out = [0; 2_880];
            let count = 1 + next(out.len() as u64) as usize;
            playout.pull(now, &mut out[..count]);
            now += Duration::from_millis(next(30));
        }
    }
}
