//! A peer that begins a new stream elsewhere, and others that would like to be taken for it.

use super::latching::{FRAME, echo, heard_seqs, talk};
use super::{Lab, Scene, Test, rtp_packet};
use crate::RESTART_QUIET;
use stats::MediaCounter;

pub(super) fn tests<L: Lab>() -> Vec<Test<L>> {
    vec![
        ("a_stream_that_begins_anew_is_followed_after_silence", a_stream_that_begins_anew_is_followed_after_silence),
        ("a_peer_that_only_paused_gets_the_leg_back", a_peer_that_only_paused_gets_the_leg_back),
        ("a_peer_that_is_heard_now_and_then_is_not_replaced", a_peer_that_is_heard_now_and_then_is_not_replaced),
        (
            "after_silence_too_a_rival_or_another_host_gets_nothing",
            after_silence_too_a_rival_or_another_host_gets_nothing,
        ),
    ]
}

/// Packets of 20 ms in the silence after which a new stream is followed.
const RESTART_PACKETS: u16 = (RESTART_QUIET.as_millis() / 20) as u16;

/// A phone begins a new stream on another port, without a word in signaling: behind a NAT that has rebound, and from the
/// address of its session description.
fn a_stream_that_begins_anew_is_followed_after_silence<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (said, real, moved, again) =
        (scene.lab.add_peer(), scene.lab.add_peer(), scene.lab.add_peer(), scene.lab.add_peer());
    let spec = echo(&scene, said);
    scene.open(0, spec);
    talk(&mut scene, &[(real, 1)], 0..30);
    for (peer, ssrc) in [(moved, 2), (again, 3)] {
        let (silent_since, mut sent_at) = (scene.lab.now() - FRAME, Vec::new());
        for seq in 0..RESTART_PACKETS + 30 {
            sent_at.push(scene.lab.now());
            talk(&mut scene, &[(peer, ssrc)], seq..seq + 1);
        }
        let heard = heard_seqs(&mut scene, peer);
        let first = heard.first().copied().expect("it is followed");
        let silence = sent_at[usize::from(first)].since(silent_since);
        assert!(silence + 5 * FRAME > RESTART_QUIET, "{silence:?}");
        assert_eq!(heard, (first..RESTART_PACKETS + 30).collect::<Vec<_>>(), "what came meanwhile was kept");
        assert_eq!(scene.row(0).remote.get(), Some(scene.lab.peer_address(peer)));
    }
    talk(&mut scene, &[(said, 4)], 0..10);
    assert_eq!(heard_seqs(&mut scene, said), (0..10).collect::<Vec<_>>(), "what it has said wins at once");
    talk(&mut scene, &[(moved, 5)], 0..RESTART_PACKETS + 30);
    assert!(heard_seqs(&mut scene, moved).len() >= 20);
}

/// Another one on the peer's host has used a pause; the peer's next packet, and no other one, ends that.
fn a_peer_that_only_paused_gets_the_leg_back<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (said, real, thief) = (scene.lab.add_peer(), scene.lab.add_peer(), scene.lab.add_peer());
    let spec = echo(&scene, said);
    scene.open(0, spec);
    talk(&mut scene, &[(real, 1)], 0..30);
    // Two of them, one after the other.
    let first = scene.lab.add_peer();
    talk(&mut scene, &[(first, 8)], 0..RESTART_PACKETS + 30);
    talk(&mut scene, &[(thief, 2)], 0..RESTART_PACKETS + 30);
    assert!(scene.heard(thief).len() >= 20);
    scene.heard(real);
    // From where the peer was, but not its stream.
    talk(&mut scene, &[(thief, 2), (real, 9)], RESTART_PACKETS + 30..RESTART_PACKETS + 40);
    assert!(scene.heard(real).is_empty());
    scene.heard(thief);
    for (peer, ssrc, seq) in [(real, 1, 30), (thief, 2, RESTART_PACKETS + 40)] {
        scene.lab.peer_send(peer, scene.rtp(0), &rtp_packet(ssrc, seq));
    }
    scene.run(FRAME);
    talk(&mut scene, &[(real, 1), (thief, 2)], 31..60);
    assert_eq!(heard_seqs(&mut scene, real), (30..60).collect::<Vec<_>>());
    assert!(scene.heard(thief).is_empty());
    // It has to be silent for as long again.
    talk(&mut scene, &[(thief, 2)], 60..80);
    assert!(scene.heard(thief).is_empty());
}

/// A peer that suppresses silence, or says by other means that it is there, is not replaced by one that sends all the time.
fn a_peer_that_is_heard_now_and_then_is_not_replaced<L: Lab>(lab: L) {
    let pause = RESTART_PACKETS / 4;
    let mut scene = Scene::new(lab);
    let (said, real, thief) = (scene.lab.add_peer(), scene.lab.add_peer(), scene.lab.add_peer());
    let spec = echo(&scene, said);
    scene.open(0, spec);
    talk(&mut scene, &[(real, 1)], 0..30);
    for round in 0..8_u16 {
        talk(&mut scene, &[(thief, 9)], round * pause..(round + 1) * pause);
        match round % 2 {
            0 => scene.say(real, scene.rtp(0), &rtp_packet(1, 30 + round)),
            _ => scene.say(real, scene.rtp(0), &[]),
        }
    }
    assert!(scene.heard(thief).is_empty());
    assert_eq!(scene.heard(real).len(), 34);
    assert_eq!(scene.row(0).remote.get(), Some(scene.lab.peer_address(real)));
}

/// Two that begin after the silence, and one that sends steadily from a host that the peer has nothing to do with.
fn after_silence_too_a_rival_or_another_host_gets_nothing<L: Lab>(mut lab: L) {
    let far = lab.add_peer_v6();
    let mut scene = Scene::new(lab);
    let (real, one, other) = (scene.lab.add_peer(), scene.lab.add_peer(), scene.lab.add_peer());
    let spec = echo(&scene, real);
    scene.open(0, spec);
    talk(&mut scene, &[(real, 1)], 0..30);
    for seq in 0..RESTART_PACKETS + 30 {
        if let Some(far) = far {
            scene.lab.peer_send(far, scene.rtp_v6(0), &rtp_packet(9, seq));
        }
        scene.run(FRAME);
    }
    talk(&mut scene, &[(one, 2), (other, 3)], 0..40);
    assert!([Some(one), Some(other), far].into_iter().flatten().all(|peer| scene.heard(peer).is_empty()));
    assert_eq!((scene.row(0).received.packets, scene.count(MediaCounter::PeersMoved)), (30, 0));
}
