//! Packets of one leg on others.

use super::{Lab, Scene, Test, event_packet, headers, rtp_packet};
use clock::Duration;
use contract::{CloseReason, Codec, Event, FormatId, PayloadMap, PayloadMapping, Rewriting, Source};
use stats::MediaCounter;

pub(super) fn tests<L: Lab>() -> Vec<Test<L>> {
    vec![
        ("relay_crosses_both_ways", relay_crosses_both_ways),
        ("ipv4_and_ipv6_hear_each_other", ipv4_and_ipv6_hear_each_other),
        ("payload_types_are_mapped", payload_types_are_mapped),
        ("what_nobody_can_decode_is_relayed_or_dropped", what_nobody_can_decode_is_relayed_or_dropped),
        ("a_rewriting_relay_makes_one_stream_of_many", a_rewriting_relay_makes_one_stream_of_many),
        ("digits_pass_and_are_told_once", digits_pass_and_are_told_once),
        ("several_legs_take_from_one", several_legs_take_from_one),
        ("a_muted_leg_says_silence", a_muted_leg_says_silence),
        ("a_worker_that_fell_behind_gives_up_the_oldest", a_worker_that_fell_behind_gives_up_the_oldest),
        ("closing_all_says_so_to_everybody", closing_all_says_so_to_everybody),
    ]
}

/// A to B and B to A, byte for byte.
fn relay_crosses_both_ways<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (alice, bob) = (scene.lab.add_peer(), scene.lab.add_peer());
    let waiting = scene.spec(alice, Source::None);
    scene.open(0, waiting);
    let to_bob = scene.spec(bob, Source::Leg(scene.leg(0)));
    scene.open(1, to_bob);
    let to_alice = scene.spec(alice, Source::Leg(scene.leg(1)));
    scene.update(0, to_alice);
    for seq in 0..20 {
        scene.say(alice, scene.rtp(0), &rtp_packet(1, seq));
        scene.say(bob, scene.rtp(1), &rtp_packet(2, seq));
    }
    assert_eq!(scene.heard(bob), (0..20).map(|seq| rtp_packet(1, seq)).collect::<Vec<_>>());
    assert_eq!(scene.heard(alice), (0..20).map(|seq| rtp_packet(2, seq)).collect::<Vec<_>>());
    let row = scene.row(1);
    assert_eq!((row.received.lost_packets, row.received.packets, row.sent.packets), (0, 20, 20));
    assert!(row.quality.received.mos_x100 > 400, "{row:?}");
}

/// One side on IPv4, the other on IPv6.
fn ipv4_and_ipv6_hear_each_other<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (four, six) = (scene.lab.add_peer(), scene.lab.add_peer_v6());
    let Some(six) = six else { return };
    scene.bridge_to((four, six), |_, _| {});
    for seq in 0..10 {
        scene.say(four, scene.rtp(0), &rtp_packet(1, seq));
        scene.say(six, scene.rtp_v6(1), &rtp_packet(2, seq));
    }
    assert_eq!(scene.heard(six), (0..10).map(|seq| rtp_packet(1, seq)).collect::<Vec<_>>());
    assert_eq!(scene.heard(four), (0..10).map(|seq| rtp_packet(2, seq)).collect::<Vec<_>>());
    let remote = scene.row(1).remote;
    assert_eq!(remote, scene.lab.peer_address(six).into());
}

/// A format that both sides have gets the other side's number; one that only this side has goes nowhere, and is not taken
/// for the other.
fn what_nobody_can_decode_is_relayed_or_dropped<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (alice, bob) = (scene.lab.add_peer(), scene.lab.add_peer());
    let relayed = |payload_type, hash| {
        let format = FormatId::new(hash, false);
        PayloadMapping { format, ..PayloadMapping::of(payload_type, Codec::Other) }
    };
    scene.bridge_to((alice, bob), |n, spec| {
        let mut sides = [PayloadMap::default(); 2];
        for (side, formats) in sides.iter_mut().zip([&[(97, 1), (98, 2)][..], &[(110, 1)][..]]) {
            assert!(formats.iter().all(|(number, hash)| side.push_entry(relayed(*number, *hash))));
        }
        spec.formats.payloads = sides[n].mapped_to(Some(&sides[1 - n]));
    });
    let said = |ssrc, seq, number| {
        let mut packet = rtp_packet(ssrc, seq);
        packet[1] = number;
        packet
    };
    let dropped = scene.count(MediaCounter::DroppedNoTranscoder);
    for seq in 0..10 {
        scene.say(alice, scene.rtp(0), &said(1, 2 * seq, 97));
        scene.say(alice, scene.rtp(0), &said(1, 2 * seq + 1, 98));
        scene.say(bob, scene.rtp(1), &said(2, seq, 110));
    }
    assert_eq!(scene.heard(bob), (0..10).map(|seq| said(1, 2 * seq, 110)).collect::<Vec<_>>());
    assert_eq!(scene.heard(alice), (0..10).map(|seq| said(2, seq, 97)).collect::<Vec<_>>());
    assert_eq!(scene.count(MediaCounter::DroppedNoTranscoder) - dropped, 10);
}

/// A number that means PCMU here may mean it under another name there; what nobody agreed on goes nowhere.
fn payload_types_are_mapped<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (alice, bob) = scene.bridge(|n, spec| {
        if n == 0 {
            spec.formats.payloads = Default::default();
            assert!(spec.formats.payloads.push_mapped(0, Codec::Pcmu, 96));
            assert!(spec.formats.payloads.push_mapped(101, Codec::TelephoneEvent, 110));
        }
    });
    let sent = [rtp_packet(1, 0), event_packet(1, 1, 160, 5, false), rtp_packet(1, 2)];
    sent.iter().for_each(|bytes| scene.say(alice, scene.rtp(0), bytes));
    let mut foreign = rtp_packet(1, 3);
    foreign[1] = 8;
    scene.say(alice, scene.rtp(0), &foreign);
    let heard = scene.heard(bob);
    let types: Vec<_> = headers(&heard).iter().map(|header| header.payload_type).collect();
    assert_eq!(types, [96, 110, 96]);
    assert!(heard.iter().zip(&sent).all(|(heard, sent)| heard[2..] == sent[2..]));
    assert_eq!(scene.count(MediaCounter::DroppedPayloadType), 1);
}

/// Whatever SSRC, sequence and timestamps the source_leg jumps to, the sink's peer hears one stream without a break.
fn a_rewriting_relay_makes_one_stream_of_many<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (alice, bob) =
        scene.bridge(|_, spec| (spec.flow.rewriting, spec.transport.rtcp) = (Rewriting::Continuous as u8, 4));
    for (ssrc, first) in [(1, 100), (2, 30_000), (3, 65_520_u16)] {
        (0..10_u16).for_each(|n| scene.say(alice, scene.rtp(0), &rtp_packet(ssrc, first.wrapping_add(n))));
    }
    // A late packet of the stream before last has no number in ours.
    let headers = headers(&scene.heard(bob));
    assert_eq!(headers.len(), 30);
    for (at, pair) in headers.windows(2).enumerate() {
        assert_eq!((pair[1].seq.since(pair[0].seq), pair[1].ssrc), (1, pair[0].ssrc));
        let changes = at % 10 == 9;
        let step = pair[1].time.since(pair[0].time);
        assert!(step == 160 || (changes && step > 0), "{step} ticks at {at}");
        assert_eq!(pair[1].marker, changes);
    }
}

/// RFC 4733 events go through as they are, also out of order, and are told once.
fn digits_pass_and_are_told_once<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (alice, bob) = scene.bridge(|_, _| {});
    let event = |seq, end| event_packet(1, seq, 320, 11, end);
    let sent = [rtp_packet(1, 1), event(2, false), event(4, true), event(3, false), event(5, true), event(6, true)];
    sent.iter().for_each(|bytes| scene.say(alice, scene.rtp(0), bytes));
    assert_eq!(scene.heard(bob), sent);
    let told = scene.events.iter().filter(|event| matches!(event, Event::Digit { digit: 11, .. })).count();
    assert_eq!(told, 1);
}

/// A leg may give to several: one that passes on and one that renumbers do not disturb each other.
fn several_legs_take_from_one<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (alice, bob) = scene.bridge(|_, _| {});
    let carol = scene.lab.add_peer();
    let spec = scene.spec(carol, Source::Leg(scene.leg(0))).with(|spec| {
        spec.flow.rewriting = Rewriting::Continuous as u8;
        spec.flow.ssrc = 4_711;
    });
    scene.open(2, spec);
    let sent: Vec<_> = (0..20).map(|seq| rtp_packet(1, seq)).collect();
    sent.iter().for_each(|bytes| scene.say(alice, scene.rtp(0), bytes));
    assert_eq!(scene.heard(bob), sent);
    let at_carol = scene.heard(carol);
    assert!(at_carol.iter().zip(&sent).all(|(heard, sent)| heard[12..] == sent[12..]));
    assert!(headers(&at_carol).iter().all(|header| header.ssrc.0 == 4_711) && at_carol.len() == 20);
    // One of them goes: the other notices nothing.
    let leg = scene.leg(2);
    scene.command(contract::Command::Close { leg, number: 2 });
    scene.say(alice, scene.rtp(0), &rtp_packet(1, 20));
    assert_eq!(scene.heard(bob), [rtp_packet(1, 20)]);
}

/// The stream goes on, without a hole, and without the sound.
fn a_muted_leg_says_silence<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (alice, bob) = scene.bridge(|n, spec| spec.flow.muted = n as u8);
    for seq in 0..10 {
        scene.say(alice, scene.rtp(0), &rtp_packet(1, seq));
        scene.say(bob, scene.rtp(1), &rtp_packet(2, seq));
    }
    let at_bob = scene.heard(bob);
    assert_eq!(at_bob.len(), 10);
    for (seq, heard) in at_bob.iter().enumerate() {
        assert_eq!(heard[..12], rtp_packet(1, seq as u16)[..12]);
        assert!(heard[12..].iter().all(|code| *code == audio::Law::Mu.silence()));
    }
    assert_eq!(scene.heard(alice), (0..10).map(|seq| rtp_packet(2, seq)).collect::<Vec<_>>());
    // Digits are sound too.
    scene.say(alice, scene.rtp(0), &event_packet(1, 10, 1_600, 5, true));
    assert!(scene.heard(bob).is_empty());
}

/// What waited for too long is measured, counted and left out; what came last goes on, and the numbers show the gap.
fn a_worker_that_fell_behind_gives_up_the_oldest<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (alice, bob) =
        scene.bridge(|_, spec| (spec.flow.rewriting, spec.transport.rtcp) = (Rewriting::Continuous as u8, 4));
    scene.say(alice, scene.rtp(0), &rtp_packet(1, 0));
    let to = scene.rtp(0);
    (1..10).for_each(|seq| scene.lab.peer_send(alice, to, &rtp_packet(1, seq)));
    scene.lab.stall(crate::LATE_AFTER + Duration::from_millis(50));
    (10..15).for_each(|seq| scene.lab.peer_send(alice, to, &rtp_packet(1, seq)));
    scene.run(Duration::from_millis(5));
    let headers = headers(&scene.heard(bob));
    assert_eq!(headers.len(), 6);
    assert_eq!(headers[1].seq.since(headers[0].seq), 10);
    assert_eq!((scene.count(MediaCounter::DroppedLate), scene.row(0).received.packets), (9, 15));
    assert_eq!(scene.row(0).received.lost_packets, 0);
}

/// The end of the process: every leg says BYE and is told closed, then nothing goes out any more.
fn closing_all_says_so_to_everybody<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (alice, bob) = scene.bridge(|_, spec| spec.transport.rtcp = contract::RtcpMode::Mux as u8);
    scene.say(alice, scene.rtp(0), &rtp_packet(1, 0));
    scene.say(bob, scene.rtp(1), &rtp_packet(2, 0));
    scene.heard(alice);
    scene.heard(bob);
    scene.close_all(CloseReason::Shutdown);
    for (n, peer) in [(0, alice), (1, bob)] {
        let (leg, reason) = (scene.leg(n), CloseReason::Shutdown);
        assert!(scene.events.contains(&Event::Closed { leg, number: 0, reason }));
        let last = scene.heard(peer);
        let compound = rtp_wire::Compound::parse(last.last().expect("a BYE")).expect("RTCP");
        assert!(compound.iter().any(|part| matches!(part, rtp_wire::RtcpPacket::Bye { .. })) && last.len() == 1);
    }
    assert_eq!((scene.worker.leg_count(), scene.closed.len()), (0, 2));
    scene.lab.peer_send(alice, scene.rtp(0), &rtp_packet(1, 1));
    scene.run(Duration::from_millis(20));
    assert!(scene.heard(bob).is_empty() && scene.heard(alice).is_empty());
}
