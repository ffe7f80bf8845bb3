//! The writer, without threads or files that anybody could see.

use super::queues::{Recorder, RecordingInfo};
use super::writer::Writer;
use audio::codec::Encoder;
use clock::{Duration, Instant};
use contract::{
    ClockRate, Codec, FileOffer, LegRef, RECORDINGS_MAX, RecordingEnd, RecordingFormat, RecordingLayout,
    RecordingOutcome, RecordingShape,
};
use media_core::io::{BufferIndex, Span};
use media_core::{Side, TapId, Tapped};
use rtp_wire::{Header, RtpTime, Seq, Ssrc};
use shm::{ClientIndex, ClientLife};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

const LEG: LegRef = LegRef::new(10_000, 1);
const CLIENT: ClientLife = ClientLife { index: ClientIndex(0), epoch: 1 };

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(1_000) + Duration::from_millis(ms)
}

fn info(recording: u64, limit_s: u32) -> RecordingInfo {
    let (client, shape) = (CLIENT, RecordingLayout::Stereo.into());
    let (port, number, worker, clock) = (10_000, 7, 0, Codec::Pcmu.clock_rate());
    RecordingInfo { leg: LEG, port, number, recording, client, worker, shape, clock, limit_s, began_at: at(0) }
}

/// u-law at 16 kHz: another clock than that of G.711.
fn wideband() -> ClockRate {
    ClockRate::from_hz(16_000).unwrap()
}

fn wideband_packet(tap: TapId, side: Side, number: u64) -> Tapped {
    let packet = packet(tap, side, number, Codec::Pcmu);
    let header = Header { time: RtpTime(number as u32 * 320), payload_bytes: 320, ..packet.header };
    Tapped { clock: wideband(), header, ..packet }
}

/// A packet of 20 ms.
fn packet(tap: TapId, side: Side, number: u64, codec: Codec) -> Tapped {
    let header = Header {
        marker: false,
        payload_type: 0,
        seq: Seq(number as u16),
        time: RtpTime(number as u32 * 160),
        ssrc: Ssrc(1),
        payload_start: 12,
        payload_bytes: 160,
    };
    let payload = Span { buffer: BufferIndex(0), start: 0, bytes: 0 };
    Tapped { id: tap, leg: LEG, side, codec, clock: codec.clock_rate(), header, payload, at: at(number * 20) }
}

fn bytes(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn samples(file: &File) -> Vec<i16> {
    hound::WavReader::new(&bytes(file)[..]).expect("a sound file").samples().map(Result::unwrap).collect()
}

/// What the header says.
fn rate(file: &File) -> u32 {
    hound::WavReader::new(&bytes(file)[..]).expect("a sound file").spec().sample_rate
}

fn outcome(recorder: &Recorder) -> RecordingOutcome {
    let done = recorder.next_outcome(0).expect("it is over");
    assert_eq!((done.info.leg, done.info.number), (LEG, 7));
    done.outcome
}

#[test]
fn both_directions_are_in_step_and_everything_is_accounted_for() {
    let recorder = Arc::new(Recorder::new(2, None));
    let mut writer = Writer::new(recorder.clone(), |_| {});
    let file = tempfile::tempfile().unwrap();
    recorder.take_file(CLIENT, FileOffer::new(LEG, 3), file.try_clone().unwrap());
    let tap = recorder.begin(info(3, 60)).unwrap();
    let codes = [Codec::Pcmu, Codec::Pcma].map(|codec| match codec {
        Codec::Pcma => audio::Law::A.encode(-1_000),
        _ => audio::Law::Mu.encode(1_000),
    });
    for number in 0..100_u64 {
        // The peer's packets 30 to 39 are lost; the leg moves to another worker in the middle.
        if !(30..40).contains(&number) {
            let worker = u8::from(number >= 50);
            assert!(recorder.push(worker, &packet(tap, Side::Received, number, Codec::Pcmu), &[codes[0]; 160]));
        }
        assert!(recorder.push(0, &packet(tap, Side::Sent, number, Codec::Pcma), &[codes[1]; 160]));
        writer.pass(at(number * 20 + 5));
    }
    recorder.push(0, &packet(tap, Side::Sent, 100, Codec::Other), &[0; 33]);
    recorder.end(tap, at(2_000), RecordingEnd::Stopped);
    // What was on its way while the end was said still belongs to it.
    writer.pass(at(2_001));
    assert!(!recorder.has_outcomes(0) && recorder.is_running(tap));
    writer.pass(at(2_011));
    let outcome = outcome(&recorder);
    assert!(writer.is_idle() && !recorder.is_running(tap));
    assert_eq!((outcome.end(), outcome.sample_count, outcome.file_bytes), (RecordingEnd::Stopped, 16_000, 44 + 64_000));
    assert_eq!((outcome.received_packets, outcome.received_lost_packets), (90, 10));
    assert_eq!((outcome.sent_packets, outcome.sent_lost_packets), (100, 0));
    assert_eq!((outcome.overflow_packets, outcome.late_packets, outcome.undecoded_packets), (0, 0, 1));
    let (left, right) = (audio::Law::Mu.decode(codes[0]), audio::Law::A.decode(codes[1]));
    for (index, frame) in samples(&file).chunks(2).enumerate() {
        let said = if (30..40).contains(&(index / 160)) { 0 } else { left };
        assert_eq!(frame, [said, right], "{index}");
    }
}

#[test]
fn a_recording_counts_in_the_clock_of_its_leg() {
    let recorder = Arc::new(Recorder::new(1, None));
    let mut writer = Writer::new(recorder.clone(), |_| {});
    let file = tempfile::tempfile().unwrap();
    recorder.take_file(CLIENT, FileOffer::new(LEG, 3), file.try_clone().unwrap());
    let tap = recorder.begin(RecordingInfo { clock: wideband(), ..info(3, 60) }).unwrap();
    let code = audio::Law::Mu.encode(1_000);
    for number in 0..100_u64 {
        if !(30..40).contains(&number) {
            assert!(recorder.push(0, &wideband_packet(tap, Side::Received, number), &[code; 320]));
        }
        if number >= 50 {
            assert!(recorder.push(0, &wideband_packet(tap, Side::Sent, number), &[code; 320]));
        }
        writer.pass(at(number * 20 + 5));
    }
    recorder.end(tap, at(2_000), RecordingEnd::Stopped);
    writer.pass(at(2_001));
    writer.pass(at(2_011));
    let outcome = outcome(&recorder);
    assert_eq!((outcome.end(), outcome.sample_count, outcome.clock_rate), (RecordingEnd::Stopped, 32_000, wideband()));
    assert_eq!((outcome.duration(), outcome.file_bytes), (Duration::from_secs(2), 44 + 4 * 32_000));
    assert_eq!((outcome.received_packets, outcome.received_lost_packets, outcome.sent_packets), (90, 10, 50));
    assert_eq!(rate(&file), 16_000);
    let said = audio::Law::Mu.decode(code);
    for (index, frame) in samples(&file).chunks(2).enumerate() {
        let number = index / 320;
        let left = if (30..40).contains(&number) { 0 } else { said };
        assert_eq!(frame, [left, if number >= 50 { said } else { 0 }], "{index}");
    }
    // A limit is in seconds whatever the clock.
    recorder.take_file(CLIENT, FileOffer::new(LEG, 4), tempfile::tempfile().unwrap());
    recorder.begin(RecordingInfo { clock: wideband(), ..info(4, 1) }).unwrap();
    writer.pass(at(10));
    writer.pass(at(1_500));
    let limited = self::outcome(&recorder);
    assert_eq!((limited.end(), limited.sample_count), (RecordingEnd::LimitReached, 16_000));
}

#[test]
fn sound_of_another_clock_comes_into_the_rate_of_the_file() {
    let recorder = Arc::new(Recorder::new(1, None));
    let mut writer = Writer::new(recorder.clone(), |_| {});
    let file = tempfile::tempfile().unwrap();
    recorder.take_file(CLIENT, FileOffer::new(LEG, 3), file.try_clone().unwrap());
    let tap = recorder.begin(info(3, 60)).unwrap();
    let code = audio::Law::Mu.encode(1_000);
    for number in 0..100_u64 {
        match number {
            ..50 => recorder.push(0, &packet(tap, Side::Received, number, Codec::Pcmu), &[code; 160]),
            _ => recorder.push(0, &wideband_packet(tap, Side::Received, number), &[code; 320]),
        };
        // A codec that is only relayed has a clock of its own.
        let relayed = packet(tap, Side::Sent, number, Codec::Other);
        recorder.push(0, &Tapped { clock: wideband(), ..relayed }, &[0; 60]);
        writer.pass(at(number * 20 + 5));
    }
    recorder.end(tap, at(2_000), RecordingEnd::Stopped);
    writer.pass(at(2_001));
    writer.pass(at(2_011));
    let outcome = outcome(&recorder);
    assert!(writer.is_idle() && !recorder.is_running(tap));
    assert_eq!((outcome.end(), outcome.duration()), (RecordingEnd::Stopped, Duration::from_secs(2)));
    assert_eq!((outcome.received_packets, outcome.received_lost_packets, outcome.undecoded_packets), (100, 0, 100));
    assert_eq!((outcome.clock_rate.hz(), rate(&file)), (8_000, 8_000));
    let said = audio::Law::Mu.decode(code);
    let samples = samples(&file);
    assert!(samples.chunks(2).take(7_950).all(|frame| frame == [said, 0]));
    // The filter swells, once.
    let heard = samples.chunks(2).skip(8_200).take(7_700);
    assert!(
        heard.clone().all(|frame| (frame[0] - said).abs() < 20 && frame[1] == 0),
        "{:?}",
        heard.take(3).collect::<Vec<_>>()
    );
}

/// 20 ms of a tone of 1 kHz in the codec of the encoder, from `number` on.
fn tone(encoder: &mut Encoder, number: u64) -> Vec<u8> {
    let rate = encoder.format().sample_rate() as usize;
    let start = number as usize * rate / 50;
    let sound: Vec<i16> = (start..start + rate / 50)
        .map(|at| (10_000.0 * (at as f64 / rate as f64 * 1_000.0 * std::f64::consts::TAU).sin()) as i16)
        .collect();
    let mut payload = [0; 1_500];
    let bytes = encoder.encode(&sound, &mut payload);
    payload[..bytes].to_vec()
}

/// Two seconds of a tone in a codec each way, 20 ms a packet, the first one 10 % of it lost.
fn record_tone(codec: Codec, shape: RecordingShape) -> (File, RecordingOutcome) {
    let format = media_core::format_of(codec).unwrap();
    let mut encoders = [Encoder::new(format), Encoder::new(format)];
    let recorder = Arc::new(Recorder::new(1, None));
    let mut writer = Writer::new(recorder.clone(), |_| {});
    let file = tempfile::tempfile().unwrap();
    recorder.take_file(CLIENT, FileOffer::new(LEG, 3), file.try_clone().unwrap());
    let clock = ClockRate::from_hz(format.sample_rate()).unwrap();
    let tap = recorder.begin(RecordingInfo { clock, shape, ..info(3, 60) }).unwrap();
    for number in 0..100_u64 {
        for (side, encoder) in [Side::Received, Side::Sent].into_iter().zip(&mut encoders) {
            let payload = tone(encoder, number);
            let mut packet = packet(tap, side, number, codec);
            packet.header.time = RtpTime(number as u32 * codec.clock_rate().hz() / 50);
            if side == Side::Sent || !(40..50).contains(&number) {
                assert!(recorder.push(0, &packet, &payload));
            }
        }
        writer.pass(at(number * 20 + 5));
    }
    recorder.end(tap, at(2_000), RecordingEnd::Stopped);
    writer.pass(at(2_001));
    writer.pass(at(2_011));
    let outcome = outcome(&recorder);
    assert_eq!((outcome.received_packets, outcome.received_lost_packets), (90, 10), "{codec:?}");
    assert_eq!((outcome.sent_packets, outcome.undecoded_packets), (100, 0), "{codec:?}");
    (file, outcome)
}

/// The amplitude of the tone in every second sample from the first or second one on.
fn amplitude(samples: impl Iterator<Item = i16>) -> i16 {
    samples.map(i16::saturating_abs).max().unwrap_or(0)
}

#[test]
fn wideband_codecs_are_recorded_as_they_sound() {
    for codec in [Codec::G722, Codec::Opus] {
        let (file, outcome) = record_tone(codec, RecordingLayout::Stereo.into());
        let rate = media_core::format_of(codec).unwrap().sample_rate();
        assert_eq!((outcome.clock_rate.hz(), self::rate(&file)), (rate, rate));
        assert_eq!(outcome.duration(), Duration::from_secs(2));
        let samples = samples(&file);
        assert_eq!(samples.len(), 4 * rate as usize);
        let part = |ms: std::ops::Range<usize>, channel: usize| {
            let frames = samples[ms.start * rate as usize / 500..ms.end * rate as usize / 500].chunks(2);
            amplitude(frames.map(|frame| frame[channel]))
        };
        assert!((9_000..11_500).contains(&part(200..700, 0)), "{codec:?}: {}", part(200..700, 0));
        assert!((9_000..11_500).contains(&part(820..980, 1)));
        assert_eq!(part(820..980, 0), 0, "what was lost is silence");
        assert!((9_000..11_500).contains(&part(1_200..1_900, 0)));
    }
}

#[test]
fn opus_in_ogg_has_the_length_and_the_sound_of_the_call() {
    for (codec, layout) in [
        (Codec::Pcmu, RecordingLayout::Mono),
        (Codec::G722, RecordingLayout::Received),
        (Codec::Opus, RecordingLayout::Stereo),
        (Codec::Pcma, RecordingLayout::Sent),
    ] {
        let shape = RecordingShape { layout, ..RecordingFormat::OggOpus.into() };
        let (file, outcome) = record_tone(codec, shape);
        let bytes = bytes(&file);
        assert_eq!(outcome.file_bytes, bytes.len() as u64);
        assert!((4_000..40_000).contains(&bytes.len()), "{codec:?}: {}", bytes.len());
        let prompt = audio::Prompt::decode(&bytes).expect("a sound file");
        assert_eq!((prompt.sample_rate(), prompt.sample_count()), (48_000, 16_000), "{codec:?}");
        let part = |ms: u64| {
            let mut frame = vec![0; 4_800];
            prompt.copy_samples(ms * 48, &mut frame);
            amplitude(frame.into_iter())
        };
        let loud = if layout == RecordingLayout::Mono { 17_000..22_500 } else { 8_500..11_500 };
        assert!(loud.contains(&part(500)), "{codec:?}: {}", part(500));
        let is_silent_then = layout == RecordingLayout::Received;
        assert_eq!(part(840) < 500, is_silent_then, "{codec:?}: {}", part(840));
        // A page that is not written yet, as after the writer was killed, leaves a file that is sound so far.
        let cut = (0..bytes.len()).rev().find(|at| bytes[*at..].starts_with(b"OggS")).unwrap();
        let so_far = audio::Prompt::decode(&bytes[..cut]).expect("still a sound file");
        assert!((8_000..16_000).contains(&so_far.sample_count()), "{}", so_far.sample_count());
    }
}

/// opusinfo finds nothing to complain about.
#[test]
fn another_program_takes_opus_in_ogg() {
    let shape = RecordingFormat::OggOpus.into();
    let (file, _) = record_tone(Codec::Pcmu, shape);
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), bytes(&file)).unwrap();
    let Ok(output) = std::process::Command::new("opusinfo").arg(path.path()).output() else { return };
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("Playback length: 0m:02.000s"), "{text}");
    assert!(text.contains("Channels: 2") && !text.to_lowercase().contains("warning"), "{text}");
}

#[test]
fn a_pause_is_silence_and_is_told() {
    let recorder = Arc::new(Recorder::new(1, None));
    let mut writer = Writer::new(recorder.clone(), |_| {});
    let file = tempfile::tempfile().unwrap();
    recorder.take_file(CLIENT, FileOffer::new(LEG, 3), file.try_clone().unwrap());
    let tap = recorder.begin(info(3, 60)).unwrap();
    let code = audio::Law::Mu.encode(1_000);
    for number in 0..100_u64 {
        match number {
            20 => assert!(recorder.pause(tap, at(400), true)),
            // Twice is as good as once.
            25 => assert!(recorder.pause(tap, at(500), true)),
            60 => assert!(recorder.pause(tap, at(1_200), false)),
            90 => assert!(recorder.pause(tap, at(1_800), true)),
            _ => {}
        }
        recorder.push(0, &packet(tap, Side::Received, number, Codec::Pcmu), &[code; 160]);
        writer.pass(at(number * 20 + 5));
    }
    recorder.end(tap, at(2_000), RecordingEnd::Stopped);
    writer.pass(at(2_001));
    writer.pass(at(2_011));
    let outcome = outcome(&recorder);
    assert_eq!((outcome.sample_count, outcome.paused_ms, outcome.received_packets), (16_000, 1_000, 100));
    let said = audio::Law::Mu.decode(code);
    for (index, frame) in samples(&file).chunks(2).enumerate() {
        let is_paused = (20..60).contains(&(index / 160)) || index / 160 >= 90;
        assert_eq!(frame, [if is_paused { 0 } else { said }, 0], "{index}");
    }
    assert!(recorder.pause(tap, at(2_100), true), "one that is over has nothing to pause");
}

#[test]
fn a_full_queue_costs_sound_and_is_counted() {
    let recorder = Arc::new(Recorder::new(1, None));
    let mut writer = Writer::new(recorder.clone(), |_| {});
    let file = tempfile::tempfile().unwrap();
    recorder.take_file(CLIENT, FileOffer::new(LEG, 1), file.try_clone().unwrap());
    let tap = recorder.begin(info(1, 600)).unwrap();
    let taken =
        (0..20_000).filter(|n| recorder.push(0, &packet(tap, Side::Received, *n, Codec::Pcmu), &[0; 160])).count();
    recorder.end(tap, at(400_000), RecordingEnd::LegClosed);
    writer.pass(at(400_000));
    writer.pass(at(400_001));
    let outcome = outcome(&recorder);
    assert_eq!(outcome.overflow_packets, 20_000 - taken as u64);
    assert!((16_000..17_000).contains(&taken), "{taken}");
    assert_eq!((outcome.end(), outcome.received_packets), (RecordingEnd::LegClosed, taken as u64));
    assert_eq!(outcome.sample_count, 400 * 8_000, "silence up to the end");
}

#[test]
fn limits_end_it_and_places_come_back() {
    let recorder = Arc::new(Recorder::new(1, None));
    let mut writer = Writer::new(recorder.clone(), |_| {});
    let taps: Vec<TapId> = (0..RECORDINGS_MAX as u64).map(|n| recorder.begin(info(n, 1)).unwrap()).collect();
    assert!(recorder.begin(info(9, 1)).is_none(), "there are as many as there may be");
    // One has a file, and ends after its second; the others have waited for theirs in vain by then.
    recorder.take_file(CLIENT, FileOffer::new(LEG, 0), tempfile::tempfile().unwrap());
    writer.pass(at(10));
    writer.pass(at(1_500));
    let first = outcome(&recorder);
    assert_eq!((first.end(), first.sample_count), (RecordingEnd::LimitReached, 8_000));
    assert!(!recorder.is_running(taps[0]) && recorder.is_running(taps[1]));
    assert!(!recorder.has_outcomes(0));
    let mut ended = 0;
    for ms in [2_500, 2_510, 2_520, 2_530, 2_540] {
        writer.pass(at(ms));
        while let Some(done) = recorder.next_outcome(0) {
            assert_eq!((done.outcome.end(), done.outcome.file_bytes), (RecordingEnd::NoFile, 0));
            ended += 1;
        }
    }
    assert_eq!(ended, RECORDINGS_MAX - 1);
    assert!(writer.is_idle() && taps.iter().all(|tap| !recorder.is_running(*tap)));
    let again = recorder.begin(info(9, 1)).unwrap();
    assert!(!taps.contains(&again), "a number is never used twice");
    // Sound of a recording that had the place before goes nowhere.
    let old = taps.iter().find(|tap| tap.0.get() & 0xffff == again.0.get() & 0xffff).copied().unwrap();
    let file = tempfile::tempfile().unwrap();
    recorder.take_file(CLIENT, FileOffer::new(LEG, 9), file.try_clone().unwrap());
    recorder.push(0, &packet(old, Side::Received, 0, Codec::Pcmu), &[0; 160]);
    recorder.end(again, at(500), RecordingEnd::Stopped);
    writer.pass(at(500));
    writer.pass(at(510));
    assert_eq!(outcome(&recorder).received_packets, 0);
    assert_eq!(samples(&file), vec![0; 2 * 4_000]);
}

#[test]
fn a_file_that_is_none_is_not_taken_and_one_that_nobody_wants_goes() {
    let recorder = Arc::new(Recorder::new(1, None));
    let mut writer = Writer::new(recorder.clone(), |_| {});
    let (_, pipe) = rustix::pipe::pipe().unwrap();
    recorder.take_file(CLIENT, FileOffer::new(LEG, 1), File::from(pipe));
    writer.pass(at(0));
    assert!(writer.is_idle());
    recorder.take_file(CLIENT, FileOffer::new(LEG, 1), tempfile::tempfile().unwrap());
    writer.pass(at(0));
    assert!(!writer.is_idle());
    writer.pass(at(2_500));
    assert!(writer.is_idle());
}
