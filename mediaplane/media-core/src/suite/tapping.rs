//! What recorded legs show of themselves.

use super::{Lab, Scene, Test, event_packet, rtp_packet};
use crate::{Side, TapId};
use clock::Duration;
use contract::{Codec, Rewriting, Source};
use rtp_wire::Header;
use std::num::NonZeroU64;

pub(super) fn tests<L: Lab>() -> Vec<Test<L>> {
    vec![
        ("a_tap_shows_both_directions_of_a_relay", a_tap_shows_both_directions_of_a_relay),
        (
            "a_tap_hears_what_was_said_when_the_other_side_is_muted",
            a_tap_hears_what_was_said_when_the_other_side_is_muted,
        ),
        ("a_tap_shows_frames_of_our_own_and_ends", a_tap_shows_frames_of_our_own_and_ends),
    ]
}

fn id(number: u64) -> Option<TapId> {
    NonZeroU64::new(number).map(TapId)
}

/// One leg of two is recorded, with renumbered streams: what came to it as it came, what it sent as it went.
fn a_tap_shows_both_directions_of_a_relay<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (alice, bob) = scene.bridge(|_, spec| spec.flow.rewriting = Rewriting::Continuous as u8);
    scene.worker.tap(scene.leg(0), id(5)).expect("the leg is open");
    for seq in 0..10 {
        scene.say(alice, scene.rtp(0), &rtp_packet(1, seq));
        scene.say(bob, scene.rtp(1), &rtp_packet(2, 100 + seq));
    }
    scene.say(alice, scene.rtp(0), &event_packet(1, 10, 1_600, 5, false));
    let to_alice = scene.heard(alice);
    let of = |side| scene.tapped.iter().filter(move |(tapped, _)| tapped.side == side).collect::<Vec<_>>();
    let (received, sent) = (of(Side::Received), of(Side::Sent));
    assert_eq!((received.len(), sent.len(), to_alice.len()), (10, 10, 10), "an event has no sound");
    for (seq, (tapped, bytes)) in received.into_iter().enumerate() {
        let expected = rtp_packet(1, seq as u16);
        assert_eq!((tapped.header, &bytes[..]), (Header::parse(&expected).expect("RTP"), &expected[12..]));
        assert_eq!((tapped.id, tapped.leg, tapped.codec), (id(5).expect("not 0"), scene.leg(0), Codec::Pcmu));
    }
    for ((tapped, bytes), heard) in sent.into_iter().zip(&to_alice) {
        assert_eq!((tapped.header, &bytes[..]), (Header::parse(heard).expect("RTP"), &heard[12..]));
    }
}

/// A muted leg overwrites what it passes on: not before the recording has it.
fn a_tap_hears_what_was_said_when_the_other_side_is_muted<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (alice, bob) = scene.bridge(|n, spec| spec.flow.muted = u8::from(n == 1));
    scene.worker.tap(scene.leg(0), id(1)).expect("the leg is open");
    scene.worker.tap(scene.leg(1), id(2)).expect("the leg is open");
    scene.say(alice, scene.rtp(0), &rtp_packet(1, 77));
    assert_eq!(scene.heard(bob)[0][12..], [0xff; 160]);
    let shown: Vec<_> =
        scene.tapped.iter().map(|(tapped, bytes)| (tapped.id, tapped.side, bytes[..] == [77; 160])).collect();
    assert_eq!(shown, [(id(1).expect("not 0"), Side::Received, true), (id(2).expect("not 0"), Side::Sent, false)]);
    assert_eq!(scene.tapped[1].1, [0xff; 160]);
}

/// A tone is shown frame by frame as it goes out, until the tap is taken off.
fn a_tap_shows_frames_of_our_own_and_ends<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let alice = scene.lab.add_peer();
    let spec = scene.spec(alice, Source::Tone440);
    scene.open(0, spec);
    scene.worker.tap(scene.leg(0), id(9)).expect("the leg is open");
    assert_eq!(scene.worker.tap_of(scene.leg(0)), id(9));
    scene.run(Duration::from_millis(200));
    scene.worker.tap(scene.leg(0), None).expect("the leg is open");
    let shown: Vec<_> = scene.tapped.iter().map(|(_, bytes)| bytes.clone()).collect();
    scene.run(Duration::from_millis(100));
    let heard: Vec<_> = scene.heard(alice).iter().map(|packet| packet[12..].to_vec()).collect();
    assert!(shown.len() >= 9 && heard.len() > shown.len() && heard[..shown.len()] == shown, "{}", shown.len());
    assert_eq!(scene.tapped.len(), shown.len());
    assert!(scene.worker.tap(scene.leg(1), id(9)).is_err(), "no such leg");
}
