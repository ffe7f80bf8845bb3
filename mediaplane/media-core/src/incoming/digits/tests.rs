//! Digits through a whole worker, in virtual time.

use crate::decoding::coders::format_of;
use crate::sim::tests::{SimLab, lab};
use crate::suite::{Lab, Scene, event_packet};
use audio::codec::{Decoder, Encoder};
use audio::{DtmfDetector, DtmfEvent, DtmfGenerator};
use clock::Duration;
use contract::{
    Codec, Command, DigitPassing, DigitRules, Event, LegSpec, PayloadMap, PayloadMapping, Rewriting, Source,
};
use rtp_wire::{FIXED_HEADER_BYTES, Header, RtpTime, Seq, Ssrc, TelephoneEvent};

const EVENTS: u8 = 101;

/// One side of a call.
#[derive(Clone, Copy)]
struct Side {
    codec: Codec,
    has_events: bool,
    rules: DigitRules,
}

impl Side {
    fn new(codec: Codec, has_events: bool) -> Self {
        Self { codec, has_events, rules: DigitRules::default() }
    }

    fn listening(self) -> Self {
        Self { rules: self.rules.listening(true), ..self }
    }

    fn passing(self, passing: DigitPassing) -> Self {
        Self { rules: self.rules.with_passing(passing), ..self }
    }

    fn payloads(self, other: Self) -> PayloadMap {
        let map = |side: Self| {
            let (mut map, clock_rate) = (PayloadMap::default(), side.codec.clock_rate());
            let number = side.codec.static_payload_type().unwrap_or(96);
            assert!(map.push(number, side.codec));
            let events = PayloadMapping { clock_rate, ..PayloadMapping::of(EVENTS, Codec::TelephoneEvent) };
            assert!(!side.has_events || map.push_entry(events));
            map
        };
        map(self).mapped_to(Some(&map(other)))
    }
}

/// Two sides that hear each other.
fn call(sides: [Side; 2]) -> (Scene<SimLab>, [usize; 2]) {
    let mut scene = Scene::new(lab());
    let peers = [scene.lab.add_peer(), scene.lab.add_peer()];
    let spec = |scene: &Scene<SimLab>, n: usize, source: Source| -> LegSpec {
        scene.spec(peers[n], source).with(|spec| {
            spec.formats.payloads = sides[n].payloads(sides[1 - n]);
            spec.flow.rewriting = Rewriting::Continuous as u8;
            spec.flow.digits = sides[n].rules;
            spec.transport.rtcp = 4;
        })
    };
    for n in [0, 1] {
        let spec = spec(&scene, n, Source::None);
        scene.open(n, spec);
    }
    for n in [0, 1] {
        let spec = spec(&scene, n, Source::Leg(scene.leg(1 - n)));
        scene.update(n, spec);
    }
    (scene, peers)
}

/// Sound with digits in it, as packets of a peer.
struct Phone {
    encoder: Encoder,
    number: u8,
    seq: u16,
    time: u32,
}

impl Phone {
    fn new(codec: Codec) -> Self {
        let encoder = Encoder::new(format_of(codec).expect("it can be encoded"));
        Self { encoder, number: codec.static_payload_type().unwrap_or(96), seq: 7, time: 900 }
    }

    fn packet(&mut self, samples: &[i16]) -> Vec<u8> {
        let mut payload = [0; 1_500];
        let bytes = self.encoder.encode(samples, &mut payload);
        let header = Header {
            marker: false,
            payload_type: self.number,
            seq: Seq(self.seq),
            time: RtpTime(self.time),
            ssrc: Ssrc(9),
            payload_start: FIXED_HEADER_BYTES as u16,
            payload_bytes: bytes as u16,
        };
        (self.seq, self.time) = (self.seq + 1, self.time + self.encoder.format().ticks_in_ms(20));
        let mut head = [0; FIXED_HEADER_BYTES];
        header.write(&mut head);
        [&head[..], &payload[..bytes]].concat()
    }

    /// Packets of digits with so many milliseconds of tone and of pause each.
    fn press(&mut self, digits: &[u8], tone_ms: u64, pause_ms: u64) -> Vec<Vec<u8>> {
        let format = self.encoder.format();
        let per_ms = (format.sample_rate() / 1_000) as usize;
        let mut sound = vec![0; 40 * per_ms];
        for digit in digits {
            let mut generator = DtmfGenerator::new(format.sample_rate());
            let [tone, pause] = [tone_ms, pause_ms].map(std::time::Duration::from_millis);
            assert!(generator.start(*digit, tone, pause));
            let mut samples = vec![0; (tone_ms + pause_ms) as usize * per_ms];
            generator.fill(&mut samples);
            sound.extend(samples);
        }
        sound.resize(sound.len().next_multiple_of(20 * per_ms) + 100 * per_ms, 0);
        sound.chunks(20 * per_ms).map(|samples| self.packet(samples)).collect()
    }
}

fn say(scene: &mut Scene<SimLab>, peer: usize, leg: u32, packets: &[Vec<u8>]) {
    let to = scene.rtp(leg);
    for packet in packets {
        scene.lab.peer_send(peer, to, packet);
        scene.run(Duration::from_millis(20));
    }
}

/// Packets of a digit as an event, in steps of 20 ms.
fn event(digit: u8, seq: u16, time: u32, packets: u16, ends: usize, ticks: u16) -> Vec<Vec<u8>> {
    let packet = |index: u16, end| {
        let mut bytes = event_packet(9, seq + index, time, digit, end);
        let event = TelephoneEvent { event: digit, end, volume: 10, duration: ticks * (index.min(packets - 1) + 1) };
        bytes[12..16].copy_from_slice(&event.write());
        bytes
    };
    let (begin, end) =
        ((0..packets).map(|index| packet(index, false)), (0..ends as u16).map(|index| packet(packets + index, true)));
    begin.chain(end).collect()
}

/// Digits that were told of a leg, with their lengths.
fn told(scene: &Scene<SimLab>) -> Vec<(u8, u32)> {
    let began = |event: &Event| if let Event::Digit { digit, .. } = *event { Some(digit) } else { None };
    let ended = |event: &Event| match *event {
        Event::DigitEnded { digit, duration_ms, .. } => Some((digit, duration_ms)),
        _ => None,
    };
    let began: Vec<u8> = scene.events.iter().filter_map(began).collect();
    let ended: Vec<(u8, u32)> = scene.events.iter().filter_map(ended).collect();
    assert_eq!(began, ended.iter().map(|it| it.0).collect::<Vec<_>>());
    ended
}

/// Digits with their lengths in milliseconds.
type Presses = Vec<(u8, u32)>;

/// Digits in the tones and in the events of what came to a peer.
fn heard(codec: Codec, packets: &[Vec<u8>]) -> (Presses, Presses) {
    let mut decoder = Decoder::new(format_of(codec).expect("it can be decoded"));
    let mut detector = DtmfDetector::new(decoder.format().sample_rate());
    let (mut tones, mut events, mut samples): (Vec<_>, Vec<(u8, u32, u32)>, _) =
        (Vec::new(), Vec::new(), vec![0; 5_760]);
    for bytes in packets {
        let header = Header::parse(bytes).expect("RTP");
        let payload = header.payload(bytes);
        if header.payload_type == EVENTS {
            let event = TelephoneEvent::parse(payload).expect("an event");
            let duration = u32::from(event.duration) * 1_000 / codec.clock_rate().hz();
            match events.last_mut() {
                Some(last) if last.1 == header.time.0 => last.2 = duration,
                _ => events.push((event.event, header.time.0, duration)),
            }
            continue;
        }
        let count = decoder.decode(payload, &mut samples).expect("a sound payload");
        detector.hear(&samples[..count], |event| {
            if let DtmfEvent::Ended { number, duration_ms } = event {
                tones.push((number, duration_ms));
            }
        });
    }
    (tones, events.into_iter().map(|(event, _, duration)| (event, duration)).collect())
}

fn assert_digits(what: &str, found: &[(u8, u32)], digits: &[u8], ms: std::ops::RangeInclusive<u32>) {
    assert_eq!(found.iter().map(|it| it.0).collect::<Vec<_>>(), digits, "{what}: {found:?}");
    assert!(found.iter().all(|it| ms.contains(&it.1)), "{what}: {found:?}");
}

const ALL: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

#[test]
fn tones_in_a_relayed_leg_are_told_and_pass() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus] {
        let (mut scene, peers) = call([Side::new(codec, false).listening(), Side::new(codec, false)]);
        let packets = Phone::new(codec).press(&ALL, 70, 70);
        say(&mut scene, peers[0], 0, &packets);
        assert_digits(&format!("{codec:?}"), &told(&scene), &ALL, 55..=90);
        let sent: Vec<_> = packets.iter().map(|bytes| bytes[FIXED_HEADER_BYTES..].to_vec()).collect();
        let passed: Vec<_> = scene.heard(peers[1]).iter().map(|bytes| bytes[FIXED_HEADER_BYTES..].to_vec()).collect();
        assert_eq!(passed, sent, "{codec:?}: byte for byte");
    }
}

#[test]
fn a_tone_is_told_within_fifty_milliseconds() {
    let (mut scene, peers) = call([Side::new(Codec::Pcmu, false).listening(), Side::new(Codec::Pcmu, false)]);
    // 40 ms of silence, and then the tone: two packets of it are enough.
    say(&mut scene, peers[0], 0, &Phone::new(Codec::Pcmu).press(&[5], 100, 100)[..4]);
    assert!(scene.events.iter().any(|event| matches!(event, Event::Digit { digit: 5, .. })), "{:?}", scene.events);
}

#[test]
fn lost_and_overtaken_packets_make_no_second_digit_of_a_tone() {
    let (mut scene, peers) = call([Side::new(Codec::Pcmu, false).listening(), Side::new(Codec::Pcmu, false)]);
    let mut packets = Phone::new(Codec::Pcmu).press(&[1, 1, 2, 3, 3], 140, 100);
    // Each fifth packet comes behind its successor, each seventh one not at all, and each third one twice.
    for at in (0..packets.len() - 1).step_by(5) {
        packets.swap(at, at + 1);
    }
    let packets: Vec<_> = packets.into_iter().enumerate().filter(|(at, _)| at % 7 != 6).collect();
    let packets: Vec<_> =
        packets.iter().flat_map(|(at, bytes)| vec![bytes.clone(); 1 + usize::from(at % 3 == 0)]).collect();
    say(&mut scene, peers[0], 0, &packets);
    assert_digits("with losses", &told(&scene), &[1, 1, 2, 3, 3], 80..=180);
}

#[test]
fn digits_without_telephone_events_are_sent_as_tones_in_any_codec() {
    for (codec, other) in [
        (Codec::Pcmu, Codec::Pcmu),
        (Codec::Pcma, Codec::Pcma),
        (Codec::G722, Codec::G722),
        (Codec::Opus, Codec::Opus),
        (Codec::Pcmu, Codec::Opus),
        (Codec::Opus, Codec::G722),
    ] {
        let (mut scene, peers) = call([Side::new(other, true), Side::new(codec, false)]);
        let mut phone = Phone::new(other);
        let silence = vec![0; phone.encoder.format().samples_in_ms(20)];
        let talk: Vec<_> = (0..120).map(|_| phone.packet(&silence)).collect();
        say(&mut scene, peers[0], 0, &talk[..10]);
        let leg = scene.leg(1);
        for (number, digit) in [5, 5, 11, 0].into_iter().enumerate() {
            scene.command(Command::SendDigit { leg, number: number as u64, digit, duration_ms: 90 });
        }
        say(&mut scene, peers[0], 0, &talk[10..]);
        let packets = scene.heard(peers[1]);
        let (tones, events) = heard(codec, &packets);
        assert_digits(&format!("{other:?} to {codec:?}"), &tones, &[5, 5, 11, 0], 75..=110);
        assert!(events.is_empty());
        let headers: Vec<_> = packets.iter().map(|bytes| Header::parse(bytes).expect("RTP")).collect();
        assert!(headers.windows(2).all(|pair| pair[1].seq.since(pair[0].seq) == 1), "{other:?} to {codec:?}");
        assert!(headers.windows(2).all(|pair| pair[1].time.since(pair[0].time) > 0), "{other:?} to {codec:?}");
        assert!(!scene.events.iter().any(|event| matches!(event, Event::Refused { .. })));
    }
}

#[test]
fn events_become_tones_and_tones_become_events() {
    for codecs in [[Codec::Pcmu; 2], [Codec::Pcmu, Codec::Pcma], [Codec::Pcmu, Codec::G722], [Codec::Opus, Codec::Pcmu]]
    {
        let (mut scene, peers) = call([Side::new(codecs[0], true), Side::new(codecs[1], false).listening()]);
        let (mut phone, ticks) = (Phone::new(codecs[0]), codecs[0].clock_rate().hz() / 50);
        let silence = vec![0; phone.encoder.format().samples_in_ms(20)];
        let before: Vec<_> = (0..10).map(|_| phone.packet(&silence)).collect();
        say(&mut scene, peers[0], 0, &before);
        // 160 ms, and all ends but one are lost.
        say(&mut scene, peers[0], 0, &event(7, phone.seq, phone.time, 8, 1, ticks as u16));
        (phone.seq, phone.time) = (phone.seq + 9, phone.time + 12 * ticks);
        let after: Vec<_> = (0..30).map(|_| phone.packet(&silence)).collect();
        say(&mut scene, peers[0], 0, &after);
        let (tones, events) = heard(codecs[1], &scene.heard(peers[1]));
        assert_digits(&format!("{codecs:?}, to tones"), &tones, &[7], 140..=190);
        assert!(events.is_empty(), "{events:?}");
        assert_digits("told", &told(&scene), &[7], 160..=160);
        scene.events.clear();
        let packets = Phone::new(codecs[1]).press(&[3, 3, 15], 120, 120);
        say(&mut scene, peers[1], 1, &packets);
        let (_, events) = heard(codecs[0], &scene.heard(peers[0]));
        assert_digits(&format!("{codecs:?}, to events"), &events, &[3, 3, 15], 100..=160);
        assert_digits("told", &told(&scene), &[3, 3, 15], 100..=140);
    }
}

#[test]
fn digits_that_are_removed_or_replaced_are_told_and_do_not_pass() {
    for passing in [DigitPassing::Remove, DigitPassing::Replace(10)] {
        let replaced: &[u8] = if passing == DigitPassing::Remove { &[] } else { &[10, 10] };
        for codec in [Codec::Pcmu, Codec::G722] {
            // As tones, to a side without events and to one with them.
            for has_events in [false, true] {
                let from = Side::new(codec, false).listening().passing(passing);
                let (mut scene, peers) = call([from, Side::new(codec, has_events)]);
                say(&mut scene, peers[0], 0, &Phone::new(codec).press(&[4, 9], 120, 150));
                let (tones, events) = heard(codec, &scene.heard(peers[1]));
                let what = format!("{codec:?} {passing:?} {has_events}");
                let found = if has_events { &events } else { &tones };
                assert_digits(&what, found, replaced, 80..=170);
                assert!(tones.is_empty() || !has_events, "{what}: {tones:?}");
                assert_digits(&what, &told(&scene), &[4, 9], 100..=140);
            }
            // As events.
            let (mut scene, peers) = call([Side::new(codec, true).passing(passing), Side::new(codec, true)]);
            say(&mut scene, peers[0], 0, &event(4, 20, 1_000, 5, 3, 160));
            say(&mut scene, peers[0], 0, &event(9, 28, 3_000, 5, 3, 160));
            scene.run(Duration::from_millis(500));
            let (_, events) = heard(codec, &scene.heard(peers[1]));
            assert_digits(&format!("{codec:?} {passing:?}"), &events, replaced, 80..=160);
            assert_digits("told", &told(&scene), &[4, 9], 100..=100);
        }
    }
}

#[test]
fn an_event_ends_without_its_last_packets_also_where_nothing_follows() {
    let (mut scene, peers) = call([Side::new(Codec::Pcmu, true), Side::new(Codec::Opus, true)]);
    say(&mut scene, peers[0], 0, &event(2, 20, 1_000, 6, 0, 160));
    scene.run(Duration::from_millis(400));
    assert_digits("told", &told(&scene), &[2], 120..=120);
}

#[test]
fn a_peer_that_sends_both_is_told_once() {
    let (mut scene, peers) = call([Side::new(Codec::Pcmu, true).listening(), Side::new(Codec::Pcmu, true)]);
    let mut phone = Phone::new(Codec::Pcmu);
    let sound = phone.press(&[6, 6, 8], 120, 120);
    let to = scene.rtp(0);
    let mut seq = 500;
    for (at, packet) in sound.iter().enumerate() {
        scene.lab.peer_send(peers[0], to, packet);
        // The event of each press is a packet later than its tone.
        let (press, step) = ((at.saturating_sub(3)) / 12, (at.saturating_sub(3)) % 12);
        if at >= 3 && press < 3 && step < 8 {
            let mut packet = event_packet(9, seq, 960 + 1_920 * press as u32, [6, 6, 8][press], step >= 6);
            packet[14..16].copy_from_slice(&(160 * (step.min(6) as u16)).to_be_bytes());
            scene.lab.peer_send(peers[0], to, &packet);
            seq += 1;
        }
        scene.run(Duration::from_millis(20));
    }
    assert_digits("both ways", &told(&scene), &[6, 6, 8], 80..=140);
}
