//! What a leg makes by itself, echo, and hold.

use super::{Lab, Scene, Test, headers, rtp_packet};
use clock::Duration;
use contract::{Direction, NamedTone, Source, ToneMeaning};
use rtp_wire::Header;
use stats::MediaCounter;

pub(super) fn tests<L: Lab>() -> Vec<Test<L>> {
    vec![
        ("echo_comes_back_byte_for_byte", echo_comes_back_byte_for_byte),
        ("a_tone_has_no_hole", a_tone_has_no_hole),
        (
            "tones_of_countries_are_played_and_unknown_ones_refused",
            tones_of_countries_are_played_and_unknown_ones_refused,
        ),
        ("hold_stops_both_ways", hold_stops_both_ways),
        ("one_way_hold_stops_one_way", one_way_hold_stops_one_way),
    ]
}

/// Prompt 1 of the suite: a second of 6 kHz in 48 kHz, which telephones of G.711 cannot hear.
pub(super) fn wideband_prompt() -> audio::Prompt {
    let mut file = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    file.extend(48_000_u32.to_le_bytes());
    file.extend(96_000_u32.to_le_bytes());
    file.extend(b"\x02\0\x10\0data\xff\xff\xff\xff");
    let samples = (0..48_000).map(|at| (8_000.0 * (f64::from(at) / 8.0 * std::f64::consts::TAU).sin()) as i16);
    file.extend(samples.flat_map(i16::to_le_bytes));
    audio::Prompt::decode(&file).expect("a WAV file")
}

/// What a caller of `echo` sends comes back unchanged and in order.
fn echo_comes_back_byte_for_byte<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peer = scene.lab.add_peer();
    let spec = scene.spec(peer, Source::Leg(scene.leg(0)));
    scene.open(0, spec);
    let sent: Vec<_> = (0..50).map(|seq| rtp_packet(5, seq)).collect();
    for bytes in &sent {
        scene.say(peer, scene.rtp(0), bytes);
    }
    assert_eq!(scene.heard(peer), sent);
    assert_eq!((scene.row(0).received.packets, scene.row(0).sent.packets), (50, 50));
}

/// Sequence numbers without a hole, timestamps 160 apart, 50 packets a second.
fn a_tone_has_no_hole<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peer = scene.lab.add_peer();
    let spec = scene.spec(peer, Source::Tone440).with(|spec| spec.transport.rtcp = 4);
    scene.open(0, spec);
    scene.run(Duration::from_millis(500));
    let packets = scene.heard(peer);
    // A real host may give us no time for a frame: then it is skipped, and said to be.
    let skipped = scene.count(MediaCounter::FramesSkipped);
    let made = packets.len() + skipped as usize;
    assert!((24..=26).contains(&made), "{made} frames in 500 ms");
    let headers = headers(&packets);
    assert!(headers[0].marker && !headers[1].marker);
    for pair in headers.windows(2) {
        assert_eq!(pair[1].seq.since(pair[0].seq), 1);
        assert!(pair[1].time.since(pair[0].time) == 160 || skipped > 0, "{pair:?}");
    }
    let sound: Vec<i16> =
        packets.iter().flat_map(|bytes| &bytes[12..]).map(|code| audio::Law::Mu.decode(*code)).collect();
    assert!(skipped > 0 || audio::ToneMeter::new(440.0).purity(&sound) > 0.99);
}

/// The British dialling tone has two frequencies; a country that nobody knows has no tone, and the leg goes on as it was.
fn tones_of_countries_are_played_and_unknown_ones_refused<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peer = scene.lab.add_peer();
    let tone = |country| Source::CallTone(NamedTone { country, meaning: ToneMeaning::Dial });
    let spec = scene.spec(peer, tone(*b"gb")).with(|spec| spec.transport.rtcp = 4);
    scene.open(0, spec);
    scene.run(Duration::from_millis(500));
    let sound: Vec<i16> =
        scene.heard(peer).iter().flat_map(|bytes| &bytes[12..]).map(|code| audio::Law::Mu.decode(*code)).collect();
    for hertz in [350.0, 440.0] {
        let amplitude = audio::ToneMeter::new(hertz).amplitude(&sound);
        assert!((3_000.0..7_000.0).contains(&amplitude), "{hertz} Hz: {amplitude}");
    }
    let unknown = scene.spec(peer, tone(*b"zz"));
    let leg = scene.leg(0);
    scene.command(contract::Command::Update { leg, number: 77, update: unknown.into() });
    let refused = contract::Event::Refused { leg, number: 77, reason: contract::RefuseReason::Invalid };
    assert!(scene.events.contains(&refused), "{:?}", scene.events);
}

/// On hold nothing is sent and what comes is dropped; afterwards the stream goes on.
fn hold_stops_both_ways<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peer = scene.lab.add_peer();
    let spec = scene.spec(peer, Source::Tone440).with(|spec| spec.transport.rtcp = 4);
    scene.open(0, spec);
    scene.run(Duration::from_millis(100));
    scene.say(peer, scene.rtp(0), &rtp_packet(1, 0));
    let before = scene.heard(peer);
    scene.update(0, spec.with(|spec| spec.flow.direction = Direction::Inactive as u8));
    scene.say(peer, scene.rtp(0), &rtp_packet(1, 1));
    scene.run(Duration::from_millis(200));
    assert!(scene.heard(peer).is_empty());
    assert_eq!((scene.row(0).received.packets, scene.row(0).received.dropped_packets), (1, 1));
    scene.update(0, spec);
    scene.run(Duration::from_millis(100));
    let after = scene.heard(peer);
    let last = Header::parse(before.last().expect("sent before hold")).expect("RTP");
    let first = Header::parse(after.first().expect("sent after hold")).expect("RTP");
    assert_eq!((first.seq, first.ssrc, first.marker), (last.seq.next(), last.ssrc, true));
    let went_on = first.time.since(last.time);
    assert!((1_600..8_000).contains(&went_on), "the clock went on: {first:?} after {last:?}");
}

/// `sendonly` hears nothing, `recvonly` says nothing; each counts what it does not take.
fn one_way_hold_stops_one_way<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (alice, bob) = scene.bridge(|_, spec| spec.transport.rtcp = 4);
    let said = |scene: &mut Scene<L>, seq| {
        scene.say(alice, scene.rtp(0), &rtp_packet(1, seq));
        scene.say(bob, scene.rtp(1), &rtp_packet(2, seq));
        (scene.heard(alice).len(), scene.heard(bob).len())
    };
    let direct = |scene: &mut Scene<L>, direction: Direction| {
        let spec = scene.spec(alice, Source::Leg(scene.leg(1))).with(|spec| {
            spec.flow.direction = direction as u8;
            spec.transport.rtcp = 4;
        });
        scene.update(0, spec);
    };
    assert_eq!(said(&mut scene, 0), (1, 1));
    direct(&mut scene, Direction::Send);
    assert_eq!(said(&mut scene, 1), (1, 0));
    direct(&mut scene, Direction::Receive);
    assert_eq!(said(&mut scene, 2), (0, 1));
    direct(&mut scene, Direction::Inactive);
    assert_eq!(said(&mut scene, 3), (0, 0));
    direct(&mut scene, Direction::Both);
    assert_eq!(said(&mut scene, 4), (1, 1));
    // What alice may not say, and what may not be said to her.
    assert_eq!(scene.count(MediaCounter::DroppedDirection), 4);
}
