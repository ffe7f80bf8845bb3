//! Calls with voice processing through a whole worker, in virtual time.

use super::*;
use crate::decoding::coders::format_of;
use crate::io::{Buffers, Output, Received, Send, SocketIndex};
use crate::sim::SimBuffers;
use crate::{MovingLeg, TapId, Worker, WorkerConfig};
use audio::codec::{Decoder, Encoder};
use audio::{Prompt, Resampler, WELCOME_WAV, level_dbov};
use clock::{Duration, WallTime};
use contract::{Codec, Command, Event, LegSpec, LegUpdate, PortRef, Rewriting, RoomMember, Source};
use rtp_wire::{FIXED_HEADER_BYTES, RtpTime, Seq, Ssrc};
use stats::MediaCounter;
use std::net::SocketAddr;
use std::num::NonZeroU64;

const PORTS: u16 = 4;
const PACKET_MS: u64 = 20;

fn voice(parts: &str) -> VoiceProcessing {
    let has = |part| parts.split(' ').any(|given| given == part);
    let voice = VoiceProcessing::default().with_echo(has("echo")).with_noise(has("noise"));
    voice.with_gain(has("gain")).with_activity(has("activity"))
}

/// A voice of so many seconds, at a rate and a level.
fn speech(rate: u32, seconds: usize, dbov: f32) -> Vec<i16> {
    let prompt = Prompt::decode(WELCOME_WAV).expect("the shipped prompt");
    let count = (prompt.sample_count() * u64::from(prompt.sample_rate()) / 8_000) as usize;
    let mut sound = vec![0; count];
    prompt.copy_samples(0, &mut sound);
    if prompt.sample_rate() != rate {
        let mut resampler = Resampler::new(prompt.sample_rate(), rate, 1).expect("both rates are known");
        let mut resampled = vec![0; resampler.output_samples(sound.len())];
        let count = resampler.push(&sound, &mut resampled);
        resampled.truncate(count);
        sound = resampled;
    }
    let gain = 10f32.powf((dbov - level_dbov(&sound)) / 20.0);
    sound.iter().map(|sample| (f32::from(*sample) * gain) as i16).cycle().take(seconds * rate as usize).collect()
}

/// The other end of a leg: a phone that sends what it is given, and keeps what it is sent.
struct Phone {
    codec: Codec,
    encoder: Encoder,
    decoder: Decoder,
    ssrc: u32,
    sent: u16,
    heard: Vec<i16>,
    headers: Vec<Header>,
}

impl Phone {
    fn new(codec: Codec, ssrc: u32) -> Self {
        let format = format_of(codec).expect("it has sound");
        let (encoder, decoder) = (Encoder::new(format), Decoder::new(format));
        Self { codec, encoder, decoder, ssrc, sent: 0, heard: Vec::new(), headers: Vec::new() }
    }

    fn rate(&self) -> u32 {
        self.encoder.format().sample_rate()
    }

    fn packet(&mut self, samples: &[i16]) -> Vec<u8> {
        let mut payload = [0; 1_500];
        let bytes = self.encoder.encode(samples, &mut payload);
        let header = Header {
            marker: false,
            payload_type: payload_type(self.codec),
            seq: Seq(self.sent),
            time: RtpTime(u32::from(self.sent) * self.encoder.format().ticks_in_ms(PACKET_MS as u32)),
            ssrc: Ssrc(self.ssrc),
            payload_start: FIXED_HEADER_BYTES as u16,
            payload_bytes: bytes as u16,
        };
        self.sent += 1;
        let mut head = [0; FIXED_HEADER_BYTES];
        header.write(&mut head);
        [&head[..], &payload[..bytes]].concat()
    }

    fn hear(&mut self, bytes: &[u8]) {
        let header = Header::parse(bytes).expect("RTP");
        let mut samples = [0; PAYLOAD_SAMPLES_MAX];
        let count = self.decoder.decode(header.payload(bytes), &mut samples).expect("a sound payload");
        self.heard.extend_from_slice(&samples[..count]);
        self.headers.push(header);
    }

    /// What it heard in the last second.
    fn level(&self) -> f32 {
        level_dbov(&self.heard[self.heard.len().saturating_sub(self.rate() as usize)..])
    }
}

fn payload_type(codec: Codec) -> u8 {
    codec.static_payload_type().unwrap_or(96)
}

struct World {
    worker: Worker,
    buffers: SimBuffers,
    out: Output,
    now: Instant,
    events: Vec<Event>,
    /// What recordings were shown, with its bytes.
    tapped: Vec<(crate::Side, Vec<u8>)>,
}

impl World {
    fn new(voice_limit: usize) -> Self {
        let mut config = WorkerConfig::new(0, (0..PORTS).map(|n| 10_000 + 2 * n).collect());
        config.voice_limit = voice_limit;
        Self {
            worker: Worker::new(config),
            buffers: SimBuffers::new(256),
            out: Output::with_limits(128, 128),
            now: Instant::ZERO + Duration::from_secs(5),
            events: Vec::new(),
            tapped: Vec::new(),
        }
    }

    fn leg(n: usize) -> LegRef {
        LegRef::new(n as u32, 1)
    }

    fn peer(n: usize) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 20_000 + n as u16))
    }

    fn spec(n: usize, source: Source, codecs: &[Codec], voice: VoiceProcessing) -> LegSpec {
        let mut spec = LegSpec::default().with(|spec| {
            spec.transport.port = PortRef::new(10_000 + 2 * n as u16, 1);
            spec.transport.remote_rtp = Self::peer(n).into();
            spec.flow.source = source.into();
            spec.formats.voice = voice;
        });
        for codec in codecs {
            assert!(spec.formats.payloads.push(payload_type(*codec), *codec));
        }
        spec
    }

    fn command(&mut self, command: Command) {
        self.worker.handle_command(self.now, command, &mut self.buffers, &mut self.out);
        self.take_out();
    }

    fn open(&mut self, n: usize, spec: LegSpec) {
        self.command(Command::Open { leg: Self::leg(n), number: 0, spec });
    }

    fn update(&mut self, n: usize, update: impl Into<LegUpdate>) {
        self.command(Command::Update { leg: Self::leg(n), number: 0, update: update.into() });
    }

    /// Two legs that hear each other; the voice of the first one's peer is processed.
    fn call(&mut self, codecs: [Codec; 2], voice: VoiceProcessing) -> [Phone; 2] {
        let spec = |n: usize, source| {
            let mut spec = Self::spec(n, source, &[codecs[n]], if n == 0 { voice } else { Default::default() });
            if codecs[0] != codecs[1] {
                let own = spec.formats.payloads;
                spec.formats.payloads =
                    own.mapped_to(Some(&Self::spec(1 - n, source, &[codecs[1 - n]], voice).formats.payloads));
                spec.flow.rewriting = Rewriting::Continuous as u8;
            }
            spec
        };
        self.open(0, spec(0, Source::None));
        self.open(1, spec(1, Source::Leg(Self::leg(0))));
        self.update(0, spec(0, Source::Leg(Self::leg(1))));
        [Phone::new(codecs[0], 11), Phone::new(codecs[1], 22)]
    }

    fn take_out(&mut self) -> Vec<(Send, Vec<u8>)> {
        self.events.append(&mut self.out.events);
        for tapped in self.out.taps.drain(..) {
            self.tapped.push((tapped.side, self.buffers.bytes(tapped.payload).to_vec()));
        }
        let sends = self.out.sends.drain(..).map(|send| (send, self.buffers.bytes(send.span).to_vec())).collect();
        self.out.sockets.clear();
        self.out.lateness.clear();
        self.buffers.end_turn();
        sends
    }

    /// Packets of peers arrive; what is sent meanwhile comes with the number of its leg.
    fn turn(&mut self, packets: &[(usize, Vec<u8>)]) -> Vec<(usize, Vec<u8>)> {
        let received: Vec<Received> = packets
            .iter()
            .map(|(n, bytes)| {
                let span = self.buffers.fill(bytes).expect("a buffer");
                Received { socket: SocketIndex(2 * *n as u32), span, at: self.now, from: Self::peer(*n).into() }
            })
            .collect();
        self.worker.handle_packets(self.now, &mut self.buffers, &received, &mut self.out);
        let mut sends = self.take_out();
        for _ in 0..PACKET_MS {
            self.now += Duration::from_millis(1);
            let wall = WallTime::from_unix_nanos(self.now.as_nanos());
            self.worker.run_due(self.now, wall, &mut self.buffers, &mut self.out);
            sends.append(&mut self.take_out());
        }
        let is_rtp = |send: &Send| send.socket.0.is_multiple_of(2);
        sends
            .into_iter()
            .filter(|(send, _)| is_rtp(send))
            .map(|(send, bytes)| (send.socket.0 as usize / 2, bytes))
            .collect()
    }

    /// Both phones speak for a while, each what it is given; nothing: the phone sends silence.
    fn talk(&mut self, phones: &mut [Phone], sounds: &[&[i16]], packets: usize) {
        for index in 0..packets {
            let mut said = Vec::new();
            for (n, phone) in phones.iter_mut().enumerate() {
                let length = phone.rate() as usize / 50;
                let silence = vec![0; length];
                let sound = sounds.get(n).and_then(|sound| sound.get(index * length..(index + 1) * length));
                said.push((n, phone.packet(sound.unwrap_or(&silence))));
            }
            for (n, bytes) in self.turn(&said) {
                phones[n].hear(&bytes);
            }
        }
    }

    /// The second phone speaks; the first one returns what it hears after `delay_ms`, 10 dB more quiet. Gives how much less of
    /// the echo the second one hears in the last second than came.
    fn echo(&mut self, phones: &mut [Phone; 2], delay_ms: usize, seconds: usize) -> f32 {
        let sound = speech(phones[1].rate(), seconds, -18.0);
        let mut came = Vec::new();
        for index in 0..50 * seconds {
            let lengths = [phones[0].rate() as usize / 50, phones[1].rate() as usize / 50];
            let delay = delay_ms * phones[0].rate() as usize / 1_000;
            let end = phones[0].heard.len().saturating_sub(delay);
            let mut back: Vec<i16> = phones[0].heard[end.saturating_sub(lengths[0])..end].to_vec();
            back.iter_mut().for_each(|sample| *sample = (f32::from(*sample) * 0.3) as i16);
            back.resize(lengths[0], 0);
            came.extend_from_slice(&back);
            let said = &sound[index * lengths[1]..(index + 1) * lengths[1]];
            let packets = [(0, phones[0].packet(&back)), (1, phones[1].packet(said))];
            for (n, bytes) in self.turn(&packets) {
                phones[n].hear(&bytes);
            }
        }
        level_dbov(&came[came.len() - phones[0].rate() as usize..]) - phones[1].level()
    }

    fn count(&self, counter: MediaCounter) -> u64 {
        self.worker.counts().get(counter)
    }
}

#[test]
fn the_echo_of_a_phone_is_not_heard_by_the_other_one() {
    for (codecs, delay_ms) in [
        ([Codec::Pcmu, Codec::Pcmu], 60),
        ([Codec::Pcmu, Codec::Pcma], 120),
        ([Codec::G722, Codec::G722], 30),
        ([Codec::Pcma, Codec::Opus], 80),
        ([Codec::Opus, Codec::Opus], 60),
    ] {
        let mut world = World::new(4);
        let mut phones = world.call(codecs, voice("echo"));
        let erle = world.echo(&mut phones, delay_ms, 4);
        println!("{codecs:?}: {erle:.1} dB of echo are taken out");
        assert!(erle > 15.0, "{codecs:?}: {erle:.1} dB");
        assert!(world.count(MediaCounter::VoicePackets) > 195);
    }
    let mut world = World::new(4);
    let mut phones = world.call([Codec::Pcmu, Codec::Pcmu], VoiceProcessing::default());
    let erle = world.echo(&mut phones, 60, 2);
    assert!(erle.abs() < 1.0, "without it the echo is there: {erle:.1} dB");
}

#[test]
fn a_processed_relay_keeps_its_numbers_and_a_quiet_voice_is_raised_where_it_is_heard_and_recorded() {
    let mut world = World::new(4);
    let mut phones = world.call([Codec::Pcmu, Codec::Pcmu], voice("gain"));
    world.worker.tap(World::leg(0), NonZeroU64::new(1).map(TapId)).expect("the leg is open");
    let quiet = speech(8_000, 6, -40.0);
    world.talk(&mut phones, &[&quiet], 300);
    let level = phones[1].level();
    assert!((level + 22.0).abs() < 6.0, "{level:.1} dBov");
    let numbers: Vec<_> = phones[1].headers.iter().map(|header| (header.seq.0, header.time.0, header.ssrc.0)).collect();
    let expected: Vec<_> = (0..300).map(|n| (n, u32::from(n) * 160, 11)).collect();
    assert_eq!(numbers, expected, "sequence, time and SSRC of the peer");
    let (mut decoder, mut recorded) = (Decoder::new(format_of(Codec::Pcmu).unwrap()), Vec::new());
    for (_, payload) in world.tapped.iter().filter(|(side, _)| *side == crate::Side::Received) {
        let mut samples = [0; 160];
        decoder.decode(payload, &mut samples).expect("a sound payload");
        recorded.extend(samples);
    }
    assert_eq!(recorded, phones[1].heard, "recorded as it is heard");
    // Nothing is wanted any more: byte for byte.
    world.update(0, World::spec(0, Source::Leg(World::leg(1)), &[Codec::Pcmu], VoiceProcessing::default()));
    let packet = phones[0].packet(&[1_234; 160]);
    assert_eq!(world.turn(&[(0, packet.clone())]), [(1, packet)]);
    assert_eq!(world.count(MediaCounter::VoiceProcessing), 0);
}

#[test]
fn members_of_a_room_are_processed_before_they_are_mixed() {
    let mut world = World::new(4);
    for n in 0..2 {
        let parts = if n == 0 { voice("gain") } else { VoiceProcessing::default() };
        world.open(n, World::spec(n, Source::Room(RoomMember::of(1)), &[Codec::Pcmu], parts));
    }
    let mut phones = [Phone::new(Codec::Pcmu, 1), Phone::new(Codec::Pcmu, 2)];
    world.talk(&mut phones, &[&speech(8_000, 6, -40.0)], 300);
    assert!((phones[1].level() + 22.0).abs() < 6.0, "{:.1} dBov", phones[1].level());
}

#[test]
fn beyond_the_limit_a_leg_goes_on_as_it_is_and_that_is_told() {
    let mut world = World::new(1);
    let mut phones = world.call([Codec::Pcmu, Codec::Pcmu], voice("gain"));
    assert_eq!(world.count(MediaCounter::VoiceProcessing), 1);
    world.update(1, World::spec(1, Source::Leg(World::leg(0)), &[Codec::Pcmu], voice("noise activity")));
    assert!(world.events.contains(&Event::VoiceRefused { leg: World::leg(1) }), "{:?}", world.events);
    assert!(world.events.contains(&Event::Updated { leg: World::leg(1), number: 0 }), "the rest of the update is done");
    assert_eq!((world.count(MediaCounter::VoiceRefused), world.worker.voice_count()), (1, 1));
    world.talk(&mut phones, &[], 3);
    assert_eq!((phones[0].heard.len(), phones[1].heard.len()), (480, 480));
    world.command(Command::Close { leg: World::leg(0), number: 0 });
    assert_eq!(world.worker.voice_count(), 0);
    world.update(1, World::spec(1, Source::None, &[Codec::Pcmu], voice("noise")));
    assert_eq!(
        (world.count(MediaCounter::VoiceRefused), world.worker.voice_count()),
        (1, 1),
        "the place is free again"
    );
}

#[test]
fn it_is_told_when_a_peer_begins_and_ends_to_speak_and_not_too_often() {
    let mut world = World::new(4);
    let mut phones = world.call([Codec::Pcmu, Codec::Pcmu], voice("activity"));
    let second = vec![0; 8_000];
    let sound = [&second[..], &speech(8_000, 3, -25.0), &second, &speech(8_000, 2, -25.0), &second].concat();
    world.talk(&mut phones, &[&sound], sound.len() / 160);
    let told: Vec<bool> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::VoiceActivity { leg, is_speech } if *leg == World::leg(0) => Some(*is_speech),
            _ => None,
        })
        .collect();
    assert!(told.len() >= 4 && told.len() <= 3 * 8, "{told:?}");
    assert!(told.iter().enumerate().all(|(index, is_speech)| *is_speech == (index % 2 == 0)), "{told:?}");
    assert_eq!(told.last(), Some(&false));
    assert_eq!(phones[1].heard.len(), sound.len(), "and all is heard");
}

#[test]
fn a_leg_is_processed_on_another_worker_as_well() {
    let (mut world, mut other) = (World::new(4), World::new(4));
    let mut phones = world.call([Codec::Pcmu, Codec::Pcmu], voice("echo gain"));
    world.echo(&mut phones, 60, 4);
    let moving: Vec<MovingLeg> = (0..2).map(|n| world.worker.extract(World::leg(n)).expect("it is here")).collect();
    assert_eq!(world.worker.voice_count(), 0);
    other.now = world.now;
    for moving in moving {
        other.worker.insert(other.now, moving, 7, &mut other.out).expect("there is room");
    }
    let erle = other.echo(&mut phones, 60, 2);
    assert!(erle > 15.0, "{erle:.1} dB in the second second");
    // Where no place is left the leg goes on without.
    let moving = other.worker.extract(World::leg(0)).expect("it is here");
    let mut full = World::new(0);
    full.worker.insert(full.now, moving, 8, &mut full.out).expect("there is room");
    full.take_out();
    assert!(full.events.contains(&Event::VoiceRefused { leg: World::leg(0) }));
}

#[test]
fn another_codec_keeps_the_gain_and_each_packet_goes_on() {
    let mut world = World::new(4);
    let both = [Codec::Pcmu, Codec::G722];
    for n in 0..2 {
        let parts = if n == 0 { voice("echo gain") } else { VoiceProcessing::default() };
        world.open(n, World::spec(n, Source::None, &both, parts));
    }
    world.update(1, World::spec(1, Source::Leg(World::leg(0)), &both, VoiceProcessing::default()));
    let mut phones = [Phone::new(Codec::Pcmu, 1), Phone::new(Codec::Pcmu, 2)];
    world.talk(&mut phones, &[&speech(8_000, 6, -38.0)], 300);
    let mut phones = [Phone::new(Codec::G722, 1), Phone::new(Codec::G722, 2)];
    let sound = speech(16_000, 2, -38.0);
    world.talk(&mut phones, &[&sound], 100);
    let level = phones[1].level();
    assert!((level + 22.0).abs() < 7.0, "{level:.1} dBov at once in the new codec");
    assert_eq!(phones[1].heard.len(), sound.len());
}

/// A peer that lies about everything: no packet is lost by it, none is kept, nothing fails.
#[test]
fn a_peer_that_lies_gets_its_packets_passed_on() {
    let mut world = World::new(4);
    let all = [Codec::Pcmu, Codec::G722, Codec::Opus, Codec::Pcma];
    for n in 0..2 {
        world.open(n, World::spec(n, Source::None, &all, voice("echo noise gain activity")));
    }
    world.update(0, World::spec(0, Source::Leg(World::leg(1)), &all, voice("echo noise gain activity")));
    world.update(1, World::spec(1, Source::Leg(World::leg(0)), &all, voice("echo noise gain activity")));
    let mut random = 1_u32;
    let mut next = move |below: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % below
    };
    let (mut sent, mut passed) = (0, 0);
    for round in 0..600_u32 {
        let mut packets = Vec::new();
        for n in 0..2 {
            let header = Header {
                marker: next(5) == 0,
                // One codec for a while, then another one in each packet.
                payload_type: payload_type(all[if round / 100 % 2 == 0 { round / 200 } else { next(4) } as usize % 4]),
                seq: Seq(round as u16),
                time: RtpTime(if next(4) == 0 { next(1 << 24) << 8 } else { round * 160 }),
                ssrc: Ssrc(if round / 50 % 2 == 0 { 1 } else { next(3) }),
                payload_start: FIXED_HEADER_BYTES as u16,
                payload_bytes: 0,
            };
            let mut bytes = vec![0; FIXED_HEADER_BYTES + next(if round % 10 == 0 { 1_400 } else { 200 }) as usize];
            bytes.iter_mut().for_each(|byte| *byte = next(256) as u8);
            header.write(bytes.first_chunk_mut().expect("long enough"));
            packets.push((n, bytes));
            sent += 1;
        }
        passed += world.turn(&packets).len();
    }
    // Only what never is passed on is missing: packets that the latching has not settled for, and empty ones.
    assert!(passed >= sent - 30, "{passed} of {sent} packets");
    let counted = world.count(MediaCounter::VoicePackets) + world.count(MediaCounter::VoiceUnprocessed);
    assert!(counted > 1_100, "{counted}");
}
