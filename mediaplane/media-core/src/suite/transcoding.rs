//! Two sides that have no codec in common, and sound of our own in any codec.

use super::{Lab, Scene, Test, event_packet, headers};
use crate::decoding::coders::format_of;
use audio::Law;
use audio::codec::{Decoder, Encoder};
use clock::Duration;
use contract::{Codec, LegSpec, PayloadMapping, Rewriting, Source};
use rtp_wire::{FIXED_HEADER_BYTES, Header, RtpTime, Seq, Ssrc, TelephoneEvent};
use std::f64::consts::TAU;

const CODECS: [Codec; 7] =
    [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16Narrow, Codec::L16Wide, Codec::L16SuperWide];
/// Payload types of telephone events, in the clock of the sound.
const EVENTS: u8 = 101;

pub(super) fn tests<L: Lab>() -> Vec<Test<L>> {
    vec![
        ("sides_without_a_common_codec_hear_each_other", sides_without_a_common_codec_hear_each_other),
        ("the_laws_of_g711_change_in_their_packets", the_laws_of_g711_change_in_their_packets),
        ("a_digit_crosses_between_codecs", a_digit_crosses_between_codecs),
        ("a_common_codec_is_relayed_again", a_common_codec_is_relayed_again),
        ("tones_go_to_any_codec", tones_go_to_any_codec),
        ("a_prompt_keeps_its_rate", a_prompt_keeps_its_rate),
        ("a_transcoder_ends_with_its_legs", a_transcoder_ends_with_its_legs),
    ]
}

pub(super) fn payload_type(codec: Codec) -> u8 {
    codec.static_payload_type().unwrap_or(96)
}

/// A leg with one codec, and what the other leg has.
pub(crate) fn with_codec(spec: LegSpec, codec: Codec, other: Codec) -> LegSpec {
    spec.with(|spec| {
        spec.flow.rewriting = Rewriting::Continuous as u8;
        spec.transport.rtcp = 4;
        spec.formats.payloads = Default::default();
        let own = payload_type(codec);
        let peer_payload_type = if codec == other { own } else { PayloadMapping::NOT_THERE };
        let clock_rate = codec.clock_rate();
        let payloads = &mut spec.formats.payloads;
        assert!(payloads.push_entry(PayloadMapping { peer_payload_type, ..PayloadMapping::of(own, codec) }));
        assert!(payloads.push_clocked(EVENTS, Codec::TelephoneEvent, clock_rate));
    })
}

/// Two legs that hear each other, in a codec each.
pub(crate) fn call<L: Lab>(scene: &mut Scene<L>, codecs: [Codec; 2]) -> (usize, usize) {
    let peers = (scene.lab.add_peer(), scene.lab.add_peer());
    for n in [0, 1] {
        let spec = scene.spec(if n == 0 { peers.0 } else { peers.1 }, Source::None);
        scene.open(n, with_codec(spec, codecs[n], codecs[1 - n]));
    }
    for n in [0, 1] {
        let spec = scene.spec(if n == 0 { peers.0 } else { peers.1 }, Source::Leg(scene.leg(1 - n)));
        scene.update(n, with_codec(spec, codecs[n], codecs[1 - n]));
    }
    peers
}

/// A peer that says a tone of 1 kHz in its codec.
pub(crate) struct Singer {
    codec: Codec,
    encoder: Encoder,
    index: u16,
}

impl Singer {
    pub(crate) fn new(codec: Codec) -> Self {
        let format = format_of(codec).expect("it can be encoded");
        Self { codec, encoder: Encoder::new(format), index: 0 }
    }

    pub(crate) fn packet(&mut self) -> Vec<u8> {
        let format = self.encoder.format();
        let count = format.samples_in_ms(20);
        let first = usize::from(self.index) * count;
        let sample = |at: usize| 8_000.0 * (TAU * 1_000.0 * at as f64 / f64::from(format.sample_rate())).sin();
        let samples: Vec<i16> = (first..first + count).map(|at| sample(at) as i16).collect();
        let mut payload = [0; 1_500];
        let bytes = self.encoder.encode(&samples, &mut payload);
        let header = Header {
            marker: self.index == 0,
            payload_type: payload_type(self.codec),
            seq: Seq(self.index),
            time: RtpTime(u32::from(self.index) * format.ticks_in_ms(20)),
            ssrc: Ssrc(9),
            payload_start: FIXED_HEADER_BYTES as u16,
            payload_bytes: bytes as u16,
        };
        self.index += 1;
        let mut head = [0; FIXED_HEADER_BYTES];
        header.write(&mut head);
        [&head[..], &payload[..bytes]].concat()
    }
}

/// The part of a tone in the energy of what packets of a codec hold, but for the first `skipped`; and their energy a sample.
pub(super) fn tone_in(codec: Codec, packets: &[Vec<u8>], skipped: usize, hertz: f64) -> (f64, f64) {
    let mut decoder = Decoder::new(format_of(codec).expect("it can be decoded"));
    let rate = f64::from(decoder.format().sample_rate());
    let (mut sine, mut cosine, mut energy, mut count) = (0.0, 0.0, 0.0, 0);
    for (index, bytes) in packets.iter().enumerate() {
        let mut samples = [0; 5_760];
        let made = decoder.decode(&bytes[FIXED_HEADER_BYTES..], &mut samples).expect("a sound payload");
        for sample in samples[..made].iter().filter(|_| index >= skipped) {
            let (phase, value) = (TAU * hertz * f64::from(count) / rate, f64::from(*sample));
            sine += value * phase.sin();
            cosine += value * phase.cos();
            energy += value * value;
            count += 1;
        }
    }
    (2.0 * (sine * sine + cosine * cosine) / (f64::from(count) * energy), energy / f64::from(count))
}

/// The sound packets among these, without telephone events.
fn sound(packets: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    packets.into_iter().filter(|bytes| bytes[1] & 0x7f != EVENTS).collect()
}

/// Packets 20 ms apart, whole in number and time, in the codec of the side that hears them.
fn sides_without_a_common_codec_hear_each_other<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let mut first = None;
    for (round, codecs) in CODECS.iter().flat_map(|one| CODECS.map(|other| [*one, other])).enumerate() {
        if codecs[0] == codecs[1] || (round % 3 != 1 && codecs != [Codec::Pcmu, Codec::Pcma]) {
            continue; // a third of all pairs: real time passes on a real host
        }
        let peers = match first {
            None => call(&mut scene, codecs),
            Some(peers) => peers,
        };
        first = Some(peers);
        for n in [0, 1] {
            let spec = scene.spec(if n == 0 { peers.0 } else { peers.1 }, Source::Leg(scene.leg(1 - n)));
            scene.update(n, with_codec(spec, codecs[n], codecs[1 - n]));
        }
        let (mut singer, to) = (Singer::new(codecs[0]), scene.rtp(0));
        scene.heard(peers.1);
        for _ in 0..40 {
            let packet = singer.packet();
            scene.say(peers.0, to, &packet);
            scene.run(Duration::from_millis(18)); // saying takes the rest
        }
        let heard = scene.heard(peers.1);
        assert!((33..=44).contains(&heard.len()), "{codecs:?}: {} packets", heard.len());
        let headers = headers(&heard);
        for pair in headers.windows(2) {
            assert_eq!(pair[1].seq.since(pair[0].seq), 1, "{codecs:?}");
            assert_eq!(pair[1].payload_type, payload_type(codecs[1]), "{codecs:?}");
            let ticks = codecs[1].clock_rate().hz() / 50;
            let whole = pair[1].time.since(pair[0].time) as u32;
            assert!(whole > 0 && whole.is_multiple_of(ticks), "{codecs:?}: {whole} ticks");
        }
        // What is made up or left out at a busy host's holes costs some purity, silence would cost all of it.
        let (purity, energy) = tone_in(codecs[1], &heard, 12, 1_000.0);
        assert!(purity > 0.8 && energy > 3_000_000.0, "{codecs:?}: {purity}, {energy}");
    }
}

/// PCMU and PCMA need no transcoder: each packet goes on at once, code by code, and back; a muted side says silence.
fn the_laws_of_g711_change_in_their_packets<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peers = call(&mut scene, [Codec::Pcmu, Codec::Pcma]);
    for (from, to, at, codec, law) in
        [(peers.0, peers.1, 0, Codec::Pcmu, Law::Mu), (peers.1, peers.0, 1, Codec::Pcma, Law::A)]
    {
        let (mut singer, rtp) = (Singer::new(codec), scene.rtp(at));
        let packets: Vec<Vec<u8>> = (0..4).map(|_| singer.packet()).collect();
        packets.iter().for_each(|packet| scene.say(from, rtp, packet));
        let heard = scene.heard(to);
        assert_eq!(heard.len(), packets.len(), "{codec:?}");
        for (heard, said) in heard.iter().zip(&packets) {
            let mut codes = said[FIXED_HEADER_BYTES..].to_vec();
            law.transcode(&mut codes);
            assert_eq!(heard[FIXED_HEADER_BYTES..], codes, "{codec:?}");
        }
        let other = if codec == Codec::Pcmu { Codec::Pcma } else { Codec::Pcmu };
        assert!(headers(&heard).iter().all(|header| header.payload_type == payload_type(other)), "{codec:?}");
    }
    assert_eq!(scene.worker.transcoder_count(), 0);
    let muted = scene.spec(peers.1, Source::Leg(scene.leg(0))).with(|spec| spec.flow.muted = 1);
    scene.update(1, with_codec(muted, Codec::Pcma, Codec::Pcmu));
    let mut singer = Singer::new(Codec::Pcmu);
    let packet = singer.packet();
    scene.say(peers.0, scene.rtp(0), &packet);
    let heard = scene.heard(peers.1);
    assert!(heard.iter().all(|packet| packet[FIXED_HEADER_BYTES..].iter().all(|code| *code == Law::A.silence())));
    assert_eq!(heard.len(), 1);
}

/// Telephone events of one side go out among the packets that are made for the other one, once, in its clock.
fn a_digit_crosses_between_codecs<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peers = call(&mut scene, [Codec::Pcmu, Codec::Opus]);
    let (mut singer, to) = (Singer::new(Codec::Pcmu), scene.rtp(0));
    for _ in 0..5 {
        let packet = singer.packet();
        scene.say(peers.0, to, &packet);
        scene.run(Duration::from_millis(18)); // saying takes the rest
    }
    for seq in 5..11 {
        let mut packet = event_packet(9, seq, 800, 5, seq > 8);
        packet[1] = packet[1] & 0x80 | EVENTS;
        scene.say(peers.0, to, &packet);
    }
    scene.run(Duration::from_millis(300));
    let packets: Vec<Vec<u8>> = scene.heard(peers.1).into_iter().filter(|bytes| bytes[1] & 0x7f == EVENTS).collect();
    let events: Vec<TelephoneEvent> =
        packets.iter().map(|bytes| TelephoneEvent::parse(&bytes[FIXED_HEADER_BYTES..]).expect("an event")).collect();
    assert!(events.len() >= 4 && events.iter().all(|event| event.event == 5), "{events:?}");
    assert_eq!(events.iter().filter(|event| event.end).count(), 3, "{events:?}");
    let times = headers(&packets);
    assert!(times.iter().all(|header| header.time == times[0].time), "one event has one timestamp");
    // A second one right behind it, as quick fingers press them.
    for seq in 11..15 {
        let mut packet = event_packet(9, seq, 1_440, 6, seq > 12);
        packet[1] = packet[1] & 0x80 | EVENTS;
        scene.say(peers.0, to, &packet);
        scene.run(Duration::from_millis(18));
    }
    for seq in 15..19 {
        let mut packet = event_packet(9, seq, 2_240, 7, seq > 16);
        packet[1] = packet[1] & 0x80 | EVENTS;
        scene.say(peers.0, to, &packet);
    }
    scene.run(Duration::from_millis(600));
    let later: Vec<u8> =
        scene.heard(peers.1).into_iter().filter(|it| it[1] & 0x7f == EVENTS).map(|it| it[12]).collect();
    assert!(later.contains(&6) && later.contains(&7), "{later:?}");
    // The peer's digit had 20 ms; 40 ms of 48 kHz are the shortest that is sent.
    assert!(events.iter().any(|event| event.end && event.duration == 1_920), "{events:?}");
}

/// A side that changes to the codec of the other one is relayed from its next packet on.
fn a_common_codec_is_relayed_again<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peers = call(&mut scene, [Codec::G722, Codec::Pcma]);
    let to = scene.rtp(0);
    let mut singer = Singer::new(Codec::G722);
    for _ in 0..10 {
        let packet = singer.packet();
        scene.say(peers.0, to, &packet);
        scene.run(Duration::from_millis(18)); // saying takes the rest
    }
    let before = headers(&sound(scene.heard(peers.1)));
    for n in [0, 1] {
        let spec = scene.spec(if n == 0 { peers.0 } else { peers.1 }, Source::Leg(scene.leg(1 - n)));
        scene.update(n, with_codec(spec, Codec::Pcma, Codec::Pcma));
    }
    let mut singer = Singer::new(Codec::Pcma);
    let sent: Vec<Vec<u8>> = (0..5).map(|_| singer.packet()).collect();
    for packet in &sent {
        scene.say(peers.0, to, packet);
    }
    let heard = sound(scene.heard(peers.1));
    let payloads = |packets: &[Vec<u8>]| packets.iter().map(|it| it[FIXED_HEADER_BYTES..].to_vec()).collect::<Vec<_>>();
    assert_eq!(payloads(&heard[heard.len() - 5..]), payloads(&sent), "byte for byte");
    let (last, first) = (before.last().expect("transcoded before"), headers(&heard)[0]);
    assert_eq!((first.ssrc, first.seq), (last.ssrc, last.seq.next()));
    scene.run(Duration::from_millis(100));
    assert!(sound(scene.heard(peers.1)).is_empty(), "nothing is made beside what is relayed");
}

/// What is made here is heard in any codec.
fn tones_go_to_any_codec<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peer = scene.lab.add_peer();
    for (round, codec) in CODECS.into_iter().enumerate() {
        // Opus has no packets of 30 ms.
        let spec = with_codec(scene.spec(peer, Source::Tone440), codec, codec)
            .with(|spec| spec.formats.ptime_ms = if codec == Codec::Opus { 30 } else { 20 });
        if round == 0 {
            scene.open(0, spec)
        } else {
            scene.update(0, spec)
        }
        scene.heard(peer);
        scene.run(Duration::from_millis(500));
        let heard = scene.heard(peer);
        assert!((22..=27).contains(&heard.len()), "{codec:?}: {} packets", heard.len());
        assert!(heard.iter().all(|bytes| bytes[1] & 0x7f == payload_type(codec)), "{codec:?}");
        let (purity, energy) = tone_in(codec, &heard, 4, 440.0);
        assert!(purity > 0.9 && energy > 3_000_000.0, "{codec:?}: {purity}, {energy}");
    }
}

/// A prompt of 48 kHz is heard as wide as the codec is, from its beginning, though silence came before it.
fn a_prompt_keeps_its_rate<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peer = scene.lab.add_peer();
    let spec = |scene: &Scene<L>, source, codec| {
        with_codec(scene.spec(peer, source), codec, codec).with(|spec| spec.formats.ptime_ms = 20)
    };
    let first = spec(&scene, Source::Silence, Codec::G722);
    scene.open(0, first);
    for codec in [Codec::G722, Codec::Opus] {
        let silence = spec(&scene, Source::Silence, codec);
        scene.update(0, silence);
        scene.run(Duration::from_millis(100));
        scene.heard(peer);
        let prompt = spec(&scene, Source::Prompt(1), codec);
        scene.update(0, prompt);
        scene.run(Duration::from_millis(400));
        let heard = scene.heard(peer);
        assert!((17..=22).contains(&heard.len()), "{codec:?}: {} packets", heard.len());
        let (purity, energy) = tone_in(codec, &heard, 4, 6_000.0);
        assert!(purity > 0.9 && energy > 3_000_000.0, "{codec:?}: {purity}, {energy}");
    }
}

/// Nothing is made for a leg whose source is gone, and nothing of a leg that is gone stays.
fn a_transcoder_ends_with_its_legs<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peers = call(&mut scene, [Codec::Pcmu, Codec::G722]);
    let (mut singer, to) = (Singer::new(Codec::Pcmu), scene.rtp(0));
    for _ in 0..5 {
        let packet = singer.packet();
        scene.say(peers.0, to, &packet);
        scene.run(Duration::from_millis(18)); // saying takes the rest
    }
    assert_eq!(scene.worker.transcoder_count(), 1);
    assert!(!scene.heard(peers.1).is_empty());
    scene.command(contract::Command::Close { leg: scene.leg(0), number: 7 });
    scene.run(Duration::from_millis(100));
    scene.heard(peers.1);
    scene.run(Duration::from_millis(100));
    assert!(sound(scene.heard(peers.1)).is_empty());
    assert_eq!(scene.worker.transcoder_count(), 0);
}
