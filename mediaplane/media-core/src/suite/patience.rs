//! The media timeout: from when it counts, and what says that a peer is there.

use super::{Lab, Scene, Test, rtp_packet};
use clock::Duration;
use contract::{Direction, Event, Source};
use rtp_wire::{Ssrc, Writer};

pub(super) fn tests<L: Lab>() -> Vec<Test<L>> {
    vec![
        ("a_timeout_counts_from_when_it_begins", a_timeout_counts_from_when_it_begins),
        ("a_silent_peer_that_is_alive_is_not_dead", a_silent_peer_that_is_alive_is_not_dead),
    ]
}

const LIMIT_MS: u32 = 400;

fn has_timed_out<L: Lab>(scene: &Scene<L>) -> bool {
    scene.events.iter().any(|event| matches!(event, Event::MediaTimeout { .. }))
}

/// Silence that was agreed on, before the answer or on hold of any kind, does not count; then the whole limit does.
fn a_timeout_counts_from_when_it_begins<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peer = scene.lab.add_peer();
    let spec = |media_timeout_ms, direction: Direction| {
        scene.spec(peer, Source::Silence).with(|spec| {
            spec.transport.media_timeout_ms = media_timeout_ms;
            spec.flow.direction = direction as u8;
        })
    };
    let silences = [
        ("early media", spec(0, Direction::Both)),
        ("held by sendonly", spec(0, Direction::Receive)),
        ("held by recvonly", spec(0, Direction::Send)),
        ("held by inactive", spec(0, Direction::Inactive)),
        ("a limit where nothing is to come", spec(LIMIT_MS, Direction::Send)),
    ];
    let talks = spec(LIMIT_MS, Direction::Both);
    scene.open(0, silences[0].1);
    for (name, silence) in silences {
        scene.update(0, silence);
        scene.run(Duration::from_millis(600));
        scene.update(0, talks);
        scene.run(Duration::from_millis(300));
        assert!(!has_timed_out(&scene), "{name}");
        // What does not restart it: a change of what is sent, muting, the same again.
        scene.say(peer, scene.rtp(0), &rtp_packet(1, 0));
    }
    scene.run(Duration::from_millis(250));
    scene.update(
        0,
        talks.with(|spec| {
            spec.flow.source = Source::Tone440.into();
            spec.flow.muted = 1;
        }),
    );
    scene.update(0, talks);
    scene.run(Duration::from_millis(250));
    assert!(has_timed_out(&scene), "it ends all the same");
}

/// RTCP, empty packets, STUN, comfort noise and unknown payload types (RFC 6263) say that the peer is there; the same of a
/// stranger says nothing.
fn a_silent_peer_that_is_alive_is_not_dead<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (peer, control, stranger) = (scene.lab.add_peer(), scene.lab.add_peer(), scene.lab.add_peer());
    let spec = scene.spec(peer, Source::Silence).with(|spec| {
        spec.transport.media_timeout_ms = LIMIT_MS;
        spec.transport.remote_rtcp = scene.lab.peer_address(control).into();
    });
    scene.open(0, spec);
    let mut stun = vec![0; 20];
    stun[..8].copy_from_slice(&[0, 0x11, 0, 0, 0x21, 0x12, 0xa4, 0x42]);
    let mut report = [0; 64];
    let mut writer = Writer::new(&mut report);
    writer.receiver_report(Ssrc(5), &[]).expect("room");
    writer.source_description(Ssrc(5), "x").expect("room");
    let bytes = writer.finish();
    let noise = |payload_type: u8| {
        let mut bytes = rtp_packet(1, 1)[..13].to_vec();
        bytes[1] = payload_type;
        bytes
    };
    let signs = [
        (peer, 0, Vec::new()),
        (peer, 0, stun.clone()),
        (control, 1, report[..bytes].to_vec()),
        (peer, 0, noise(13)),
        (peer, 0, noise(99)),
        (peer, 0, rtp_packet(1, 2)[..12].to_vec()),
        (peer, 0, rtp_packet(1, 3)),
        (peer, 0, Vec::new()),
        (peer, 0, stun.clone()),
        (peer, 0, noise(13)),
    ];
    for (n, (from, socket, bytes)) in signs.into_iter().enumerate() {
        scene.run(Duration::from_millis(250));
        assert!(!has_timed_out(&scene), "before sign {n}");
        let to = scene.lab.address(crate::io::SocketIndex(socket));
        scene.say(from, to, &bytes);
    }
    for _ in 0..10 {
        scene.say(stranger, scene.rtp(0), &[]);
        scene.say(stranger, scene.rtp(0), &stun);
        scene.say(stranger, scene.rtp(0), &rtp_packet(7, 1));
        scene.run(Duration::from_millis(60));
    }
    assert!(has_timed_out(&scene));
}
