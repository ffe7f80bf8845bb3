//! Who gets in, and who does not.

use super::{Lab, Scene, Test, rtp_packet};
use crate::PROBATION_PACKETS;
use clock::Duration;
use contract::{Event, Latching, Source};
use stats::MediaCounter;

pub(super) fn tests<L: Lab>() -> Vec<Test<L>> {
    vec![
        ("a_stranger_never_gets_in", a_stranger_never_gets_in),
        ("a_peer_behind_nat_is_found_and_moves_by_update_only", a_peer_behind_nat_is_found_and_moves_by_update_only),
        ("what_waited_when_the_peer_was_found_is_no_way_in", what_waited_when_the_peer_was_found_is_no_way_in),
        ("without_latching_only_sdp_counts", without_latching_only_sdp_counts),
    ]
}

/// Once the peer of SDP was heard, nobody else is.
fn a_stranger_never_gets_in<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (peer, stranger) = (scene.lab.add_peer(), scene.lab.add_peer());
    let spec = scene.spec(peer, Source::Leg(scene.leg(0)));
    scene.open(0, spec);
    scene.say(peer, scene.rtp(0), &rtp_packet(1, 0));
    for seq in 1..50 {
        scene.say(stranger, scene.rtp(0), &rtp_packet(9, seq));
        scene.say(peer, scene.rtp(0), &rtp_packet(1, seq));
    }
    assert_eq!(scene.heard(stranger), [] as [Vec<u8>; 0]);
    assert_eq!(scene.heard(peer).len(), 50);
    assert_eq!(scene.row(0).received_packets, 50);
}

/// Several steady packets move the leg once; then only a new address in SDP does.
fn a_peer_behind_nat_is_found_and_moves_by_update_only<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (said, real, other) = (scene.lab.add_peer(), scene.lab.add_peer(), scene.lab.add_peer());
    let spec = scene.spec(said, Source::Leg(scene.leg(0)));
    scene.open(0, spec);
    for seq in 0..20 {
        scene.say(real, scene.rtp(0), &rtp_packet(1, seq));
    }
    let latched = Event::Latched { leg: scene.leg(0), tag: 0, address: scene.lab.peer_address(real).into() };
    assert_eq!(scene.events.iter().filter(|event| **event == latched).count(), 1);
    assert_eq!(scene.heard(real).len(), 20 - usize::from(PROBATION_PACKETS) + 1);
    for seq in 0..20 {
        scene.say(said, scene.rtp(0), &rtp_packet(3, seq));
        scene.say(other, scene.rtp(0), &rtp_packet(2, seq));
    }
    assert!(scene.heard(other).is_empty() && scene.heard(said).is_empty());
    // The same SDP again changes nothing; another address does.
    scene.update(0, spec);
    scene.say(real, scene.rtp(0), &rtp_packet(1, 20));
    assert_eq!(scene.heard(real).len(), 1);
    let moved = scene.spec(other, Source::Leg(scene.leg(0)));
    scene.update(0, moved);
    scene.say(real, scene.rtp(0), &rtp_packet(1, 21));
    scene.say(other, scene.rtp(0), &rtp_packet(2, 100));
    assert!(scene.heard(real).is_empty());
    assert_eq!(scene.heard(other), [rtp_packet(2, 100)]);
}

/// Packets of strangers that lie in the socket when it is connected have come in; they are dropped all the same.
fn what_waited_when_the_peer_was_found_is_no_way_in<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (peer, stranger) = (scene.lab.add_peer(), scene.lab.add_peer());
    let spec = scene.spec(peer, Source::Leg(scene.leg(0)));
    scene.open(0, spec);
    let to = scene.rtp(0);
    let send = |scene: &mut Scene<L>, count: u16| {
        // Of one SSRC, but without order: never through probation.
        (0..count).for_each(|n| scene.lab.peer_send(stranger, to, &rtp_packet(9, n.wrapping_mul(777))));
    };
    // More than one turn takes, so that some are looked at before and some after.
    send(&mut scene, 40);
    scene.lab.peer_send(peer, to, &rtp_packet(1, 0));
    send(&mut scene, 60);
    scene.run(Duration::from_millis(5));
    assert_eq!(scene.heard(peer), [rtp_packet(1, 0)]);
    assert!(scene.heard(stranger).is_empty());
    assert_eq!((scene.row(0).received_packets, scene.row(0).dropped_packets), (1, 100));
    assert_eq!(scene.count(MediaCounter::DroppedStranger), 100);
}

/// With latching off the address of SDP is the only one, however steadily others send.
fn without_latching_only_sdp_counts<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (peer, stranger) = (scene.lab.add_peer(), scene.lab.add_peer());
    let mut spec = scene.spec(peer, Source::Leg(scene.leg(0)));
    spec.latching = Latching::Off as u8;
    scene.open(0, spec);
    for seq in 0..20 {
        scene.say(stranger, scene.rtp(0), &rtp_packet(9, seq));
    }
    scene.say(peer, scene.rtp(0), &rtp_packet(1, 0));
    assert!(scene.heard(stranger).is_empty());
    assert_eq!(scene.heard(peer), [rtp_packet(1, 0)]);
}
