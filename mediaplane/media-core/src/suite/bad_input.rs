//! What strangers, broken phones and stale handles say.

use super::{Lab, Scene, Test, rtp_packet};
use clock::Duration;
use contract::{Command, Event, LegRef, PortRef, RefuseReason, Source};
use stats::MediaCounter;

pub(super) fn tests<L: Lab>() -> Vec<Test<L>> {
    vec![
        ("stale_handles_change_nothing", stale_handles_change_nothing),
        ("garbage_is_counted", garbage_is_counted),
        ("lying_lengths_are_counted", lying_lengths_are_counted),
        ("packets_for_a_closed_leg_go_nowhere", packets_for_a_closed_leg_go_nowhere),
    ]
}

/// Handles of an earlier life, unknown prompts, absent peers: refused, nothing changed.
fn stale_handles_change_nothing<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peer = scene.lab.add_peer();
    let spec = scene.spec(peer, Source::None);
    scene.open(0, spec);
    let spec = scene.at_port(0, spec);
    let (leg, stale) = (scene.leg(0), scene.leg_again(0, 99));
    let absent = spec.with(|spec| spec.flow.source = Source::Leg(scene.leg(1)).into());
    let unknown = spec.with(|spec| spec.flow.source = Source::Prompt(5).into());
    let (other_port, no_port) = (scene.at_port(1, spec), spec.with(|spec| spec.transport.port = PortRef::NONE));
    let row = scene.row(0);
    for (command, reason) in [
        (Command::Close { leg: stale, number: 1 }, RefuseReason::NoSuchLeg),
        (Command::Update { leg: stale, number: 1, update: spec.into() }, RefuseReason::NoSuchLeg),
        (Command::Open { leg: stale, number: 1, spec }, RefuseReason::AlreadyOpen),
        (Command::Open { leg: stale, number: 1, spec: other_port }, RefuseReason::AlreadyOpen),
        (Command::Open { leg: scene.leg(1), number: 1, spec }, RefuseReason::AlreadyOpen),
        (Command::Open { leg: scene.leg(1), number: 1, spec: no_port }, RefuseReason::Invalid),
        (Command::Open { leg: LegRef::new(u32::MAX, 1), number: 1, spec: other_port }, RefuseReason::Invalid),
        (Command::Update { leg, number: 1, update: other_port.into() }, RefuseReason::Invalid),
        (Command::Update { leg, number: 1, update: absent.into() }, RefuseReason::Invalid),
        (Command::Update { leg, number: 1, update: unknown.into() }, RefuseReason::Invalid),
        (Command::Move { leg, number: 1, worker: 77 }, RefuseReason::Invalid),
    ] {
        scene.command(command);
        assert_eq!(scene.events.last(), Some(&Event::Refused { leg: command.leg(), number: 1, reason }));
    }
    assert_eq!(scene.row(0), row);
    assert_eq!(scene.worker.counts().get(MediaCounter::CommandsRefused), 11);
}

/// What is neither RTP nor RTCP is dropped and counted; the leg goes on.
fn garbage_is_counted<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peer = scene.lab.add_peer();
    let spec = scene.spec(peer, Source::Leg(scene.leg(0)));
    scene.open(0, spec);
    scene.say(peer, scene.rtp(0), &rtp_packet(1, 0));
    for garbage in [&b""[..], b"x", b"INVITE sip:x SIP/2.0", &[0x9f; 40], &[0x8f; 13]] {
        scene.say(peer, scene.rtp(0), garbage);
        scene.say(peer, scene.rtcp(0), garbage);
    }
    let mut foreign = rtp_packet(1, 1);
    foreign[1] = 99;
    scene.say(peer, scene.rtp(0), &foreign);
    scene.say(peer, scene.rtp(0), &rtp_packet(1, 2));
    assert_eq!(scene.heard(peer), [rtp_packet(1, 0), rtp_packet(1, 2)]);
    let counts = scene.worker.counts();
    assert!(counts.get(MediaCounter::DroppedMalformed) >= 8);
    assert_eq!(counts.get(MediaCounter::DroppedPayloadType), 1);
}

/// Lengths that say more than there is: of CSRC lists, extensions, padding, RTCP parts and report blocks.
fn lying_lengths_are_counted<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peer = scene.lab.add_peer();
    let spec = scene.spec(peer, Source::Leg(scene.leg(0)));
    scene.open(0, spec);
    let change = |bytes: &[u8], changes: &[(usize, u8)]| {
        let mut bytes = bytes.to_vec();
        changes.iter().for_each(|(at, value)| bytes[*at] = *value);
        bytes
    };
    let short = &rtp_packet(1, 5)[..16];
    let rtp = [
        rtp_packet(1, 5)[..11].to_vec(),
        change(short, &[(0, 0x8f)]),                         // 15 CSRCs in 4 bytes
        change(short, &[(0, 0x90), (14, 0xff), (15, 0xff)]), // an extension of 65,535 words
        change(short, &[(0, 0xa0), (15, 200)]),              // 200 bytes of padding
        change(short, &[(0, 0xa0), (15, 0)]),                // padding of no bytes
        change(short, &[(0, 0x40)]),                         // version 1
    ];
    let report = [0x81, 200, 0, 6, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 0, 0, 0, 1, 0, 0, 0, 1];
    let rtcp = [
        report.to_vec(),                               // a report block that is not there
        change(&report, &[(0, 0x80), (3, 60)]),        // longer than the datagram
        change(&report, &[(0, 0xa0), (27, 99)]),       // padding longer than the packet
        change(&report, &[(0, 0x80), (1, 99)]),        // no type of RTCP
        change(&report, &[(0, 0x80), (2, 0), (3, 0)]), // an SR without a body, then rubbish
        vec![0x80, 202, 0, 1],                         // a description that ends early
    ];
    let before = scene.row(0);
    rtp.iter().for_each(|bytes| scene.say(peer, scene.rtp(0), bytes));
    rtcp.iter().for_each(|bytes| scene.say(peer, scene.rtcp(0), bytes));
    assert_eq!(scene.count(MediaCounter::DroppedMalformed), (rtp.len() + rtcp.len()) as u64);
    assert_eq!(scene.row(0).received.packets, before.received.packets);
    // None of that was the peer; it is welcome now.
    scene.say(peer, scene.rtp(0), &rtp_packet(1, 6));
    assert_eq!(scene.heard(peer), [rtp_packet(1, 6)]);
}

/// A phone that goes on talking after BYE disturbs nobody, not even the next call on the port.
fn packets_for_a_closed_leg_go_nowhere<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (alice, bob) = scene.bridge(|_, spec| spec.transport.rtcp = 4);
    scene.say(alice, scene.rtp(0), &rtp_packet(1, 0));
    assert_eq!(scene.heard(bob), [rtp_packet(1, 0)]);
    for n in 0..2 {
        let leg = scene.leg(n);
        scene.command(Command::Close { leg, number: 5 });
    }
    scene.run(Duration::from_millis(5));
    (1..50).for_each(|seq| scene.lab.peer_send(alice, scene.rtp(0), &rtp_packet(1, seq)));
    scene.run(Duration::from_millis(5));
    let carol = scene.lab.add_peer();
    let leg = scene.leg_again(0, 2);
    let mut spec = scene.at_port(0, scene.spec(carol, Source::Leg(leg)));
    spec.transport.rtcp = 4;
    scene.command(Command::Open { leg, number: 7, spec });
    scene.run(Duration::from_millis(5));
    scene.say(carol, scene.rtp(0), &rtp_packet(3, 0));
    assert_eq!(scene.heard(carol), [rtp_packet(3, 0)]);
    assert!(scene.heard(bob).is_empty() && scene.heard(alice).is_empty());
    let row = scene.worker.row(leg).expect("open");
    assert_eq!((row.received.packets, row.received.dropped_packets), (1, 0));
}
