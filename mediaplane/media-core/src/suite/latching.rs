//! Who gets in, and who does not.

use super::{Lab, Scene, Test, event_packet, rtp_packet};
use crate::{QUIET, SETTLE_TIME};
use clock::Duration;
use contract::{Event, Latching, LegSpec, RtcpMode, Source};
use rtp_wire::{ReportBlock, Ssrc, Writer};
use stats::MediaCounter;
use std::net::SocketAddr;
use std::ops::Range;

pub(super) fn tests<L: Lab>() -> Vec<Test<L>> {
    vec![
        ("a_stranger_never_gets_in", a_stranger_never_gets_in),
        ("a_peer_behind_nat_loses_nothing", a_peer_behind_nat_loses_nothing),
        ("the_address_of_sdp_wins_the_leg_back", the_address_of_sdp_wins_the_leg_back),
        ("nobody_settles_before_the_answer", nobody_settles_before_the_answer),
        ("a_spray_while_it_rings_takes_nothing", a_spray_while_it_rings_takes_nothing),
        ("a_rival_keeps_the_leg_where_it_is", a_rival_keeps_the_leg_where_it_is),
        ("a_nat_that_rebinds_is_followed", a_nat_that_rebinds_is_followed),
        ("a_stolen_ssrc_is_not_enough", a_stolen_ssrc_is_not_enough),
        ("each_offer_and_answer_lets_the_leg_learn_anew", each_offer_and_answer_lets_the_leg_learn_anew),
        ("without_an_address_nobody_is_heard", without_an_address_nobody_is_heard),
        ("ipv6_is_the_same", ipv6_is_the_same),
        ("rtcp_of_a_stranger_is_not_taken", rtcp_of_a_stranger_is_not_taken),
        ("what_waited_when_the_peer_was_found_is_no_way_in", what_waited_when_the_peer_was_found_is_no_way_in),
        ("without_latching_only_sdp_counts", without_latching_only_sdp_counts),
    ]
}

pub(super) const FRAME: Duration = Duration::from_millis(20);

/// A leg that hears itself: the source of its packets is where they are sent.
pub(super) fn echo<L: Lab>(scene: &Scene<L>, peer: usize) -> LegSpec {
    scene.spec(peer, Source::Leg(scene.leg(0))).with(|spec| spec.transport.rtcp = RtcpMode::Off as u8)
}

fn not_answered(spec: LegSpec) -> LegSpec {
    spec.with(|spec| {
        spec.transport.latching = Latching::NotYet as u8;
        spec.transport.media_timeout_ms = 0;
    })
}

/// Peers send, each with an SSRC, one packet every 20 ms.
pub(super) fn talk<L: Lab>(scene: &mut Scene<L>, peers: &[(usize, u32)], seqs: Range<u16>) {
    let to = scene.rtp(0);
    for seq in seqs {
        peers.iter().for_each(|(peer, ssrc)| scene.lab.peer_send(*peer, to, &rtp_packet(*ssrc, seq)));
        scene.run(FRAME);
    }
}

pub(super) fn heard_seqs<L: Lab>(scene: &mut Scene<L>, peer: usize) -> Vec<u16> {
    super::headers(&scene.heard(peer)).iter().map(|header| header.seq.0).collect()
}

/// Once the peer of SDP was heard, nobody else is, also while it is silent for a while.
fn a_stranger_never_gets_in<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (peer, stranger) = (scene.lab.add_peer(), scene.lab.add_peer());
    let spec = echo(&scene, peer);
    scene.open(0, spec);
    talk(&mut scene, &[(peer, 1)], 0..1);
    talk(&mut scene, &[(stranger, 9), (peer, 1)], 1..50);
    talk(&mut scene, &[(stranger, 9)], 50..70);
    talk(&mut scene, &[(stranger, 9), (peer, 1)], 100..110);
    assert_eq!(scene.heard(stranger), [] as [Vec<u8>; 0]);
    assert_eq!((scene.heard(peer).len(), scene.row(0).received.packets), (60, 60));
    // Digits of a stranger are no digits.
    let event = event_packet(9, 110, 17_600, 5, true);
    scene.say(stranger, scene.rtp(0), &event);
    assert!(!scene.events.iter().any(|event| matches!(event, Event::Digit { .. })));
}

/// A source that is steady and alone is the peer; its packets of before come first, none is lost.
fn a_peer_behind_nat_loses_nothing<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (said, real) = (scene.lab.add_peer(), scene.lab.add_peer());
    let spec = echo(&scene, said);
    scene.open(0, spec);
    let event = event_packet(1, 2, 320, 7, false);
    talk(&mut scene, &[(real, 1)], 0..2);
    scene.lab.peer_send(real, scene.rtp(0), &event);
    scene.run(FRAME);
    talk(&mut scene, &[(real, 1)], 3..40);
    let latched = Event::Latched { leg: scene.leg(0), address: scene.lab.peer_address(real).into() };
    assert_eq!(scene.events.iter().filter(|event| **event == latched).count(), 1);
    assert_eq!(heard_seqs(&mut scene, real), (0..40).collect::<Vec<_>>());
    assert_eq!(
        (scene.row(0).received.packets, scene.row(0).received.dropped_packets, scene.row(0).received.lost_packets),
        (40, 0, 0)
    );
    assert!(scene.count(MediaCounter::RtpHeld) >= 5 && scene.count(MediaCounter::DroppedStranger) == 0);
    assert_eq!(scene.events.iter().filter(|event| matches!(event, Event::Digit { digit: 7, .. })).count(), 1);
    assert!(scene.heard(said).is_empty());
    // It stays there while others send.
    let other = scene.lab.add_peer();
    talk(&mut scene, &[(real, 1), (other, 2)], 40..80);
    assert_eq!((heard_seqs(&mut scene, real).len(), scene.heard(other).len()), (40, 0));
}

/// A source that has got the leg loses it to the address of the session description, with that one's first packet.
fn the_address_of_sdp_wins_the_leg_back<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (said, thief) = (scene.lab.add_peer(), scene.lab.add_peer());
    let spec = echo(&scene, said);
    scene.open(0, spec);
    talk(&mut scene, &[(thief, 9)], 0..30);
    assert_eq!(scene.heard(thief).len(), 30, "steady and alone: so are peers behind NAT");
    let moves = scene.count(MediaCounter::PeersMoved);
    talk(&mut scene, &[(thief, 9), (said, 1)], 30..31);
    assert!(scene.heard(thief).len() <= 1, "what came just before");
    talk(&mut scene, &[(thief, 9), (said, 1)], 31..60);
    assert!(scene.heard(thief).is_empty());
    assert_eq!(heard_seqs(&mut scene, said), (30..60).collect::<Vec<_>>());
    assert_eq!(scene.count(MediaCounter::PeersMoved) - moves, 1);
    assert_eq!(scene.row(0).remote.get(), Some(scene.lab.peer_address(said)));
}

/// Before the answer only the address of the session description is heard, and nothing goes elsewhere. Who was there
/// before the answer has to be steady after it.
fn nobody_settles_before_the_answer<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (said, other) = (scene.lab.add_peer(), scene.lab.add_peer());
    let spec = echo(&scene, said);
    scene.open(0, not_answered(spec));
    talk(&mut scene, &[(other, 9)], 0..50);
    assert!(scene.heard(other).is_empty() && scene.row(0).received.packets == 0);
    assert_eq!(scene.row(0).remote.get(), Some(scene.lab.peer_address(said)));
    talk(&mut scene, &[(other, 9), (said, 1)], 50..60);
    assert_eq!(scene.heard(said).len(), 10, "early media");
    // The answer; the peer starts a little later than the stranger.
    scene.update(0, spec);
    talk(&mut scene, &[(other, 9)], 60..66);
    talk(&mut scene, &[(other, 9), (said, 1)], 66..100);
    assert!(scene.heard(other).is_empty());
    assert_eq!(scene.heard(said).len(), 34);
}

/// A spray over all ports from before the peer has said its address: neither side of the call is taken by it, whether its
/// peer is where it said or behind NAT.
fn a_spray_while_it_rings_takes_nothing<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (said, real, spray) = (scene.lab.add_peer(), scene.lab.add_peer(), scene.lab.add_peer());
    let spec = echo(&scene, said);
    let unknown = not_answered(spec).with(|spec| spec.transport.remote_rtp = contract::Address::NONE);
    scene.open(0, unknown);
    talk(&mut scene, &[(spray, 9)], 0..60);
    scene.update(0, spec);
    talk(&mut scene, &[(spray, 9)], 60..80);
    assert!(scene.heard(spray).is_empty(), "it could not know the port from the peer");
    talk(&mut scene, &[(spray, 9), (real, 1)], 80..120);
    assert!(scene.heard(spray).is_empty());
    assert_eq!(heard_seqs(&mut scene, real), (80..120).collect::<Vec<_>>(), "and is no rival");
}

/// Two sources that are equal: nobody gets the leg, until one of them is silent.
fn a_rival_keeps_the_leg_where_it_is<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (said, one, other) = (scene.lab.add_peer(), scene.lab.add_peer(), scene.lab.add_peer());
    let spec = echo(&scene, said);
    scene.open(0, spec);
    talk(&mut scene, &[(one, 1), (other, 2)], 0..50);
    assert!(scene.heard(one).is_empty() && scene.heard(other).is_empty());
    talk(&mut scene, &[(one, 1)], 50..80);
    let heard = heard_seqs(&mut scene, one);
    assert!(heard.len() >= 30 && heard.ends_with(&(60..80).collect::<Vec<_>>()), "{heard:?}");
    assert!(scene.heard(other).is_empty());
}

/// The peer goes on from another port with the same stream: behind NAT, or where it was at the address of its session
/// description and the kernel lets in nobody else. Little is lost.
fn a_nat_that_rebinds_is_followed<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (said, first, second, third) =
        (scene.lab.add_peer(), scene.lab.add_peer(), scene.lab.add_peer(), scene.lab.add_peer());
    let stranger = scene.lab.add_peer();
    let spec = echo(&scene, said);
    scene.open(0, spec);
    talk(&mut scene, &[(first, 1)], 0..30);
    talk(&mut scene, &[(second, 1), (stranger, 9)], 30..60);
    talk(&mut scene, &[(third, 1)], 60..90);
    assert_eq!(heard_seqs(&mut scene, first), (0..30).collect::<Vec<_>>());
    assert_eq!(heard_seqs(&mut scene, second), (30..60).collect::<Vec<_>>(), "what came meanwhile was kept");
    assert_eq!(heard_seqs(&mut scene, third), (60..90).collect::<Vec<_>>());
    talk(&mut scene, &[(said, 1)], 90..120);
    talk(&mut scene, &[(second, 1), (stranger, 9)], 120..160);
    assert_eq!(heard_seqs(&mut scene, said), (90..120).collect::<Vec<_>>());
    let heard = heard_seqs(&mut scene, second);
    let most_lost = 1 + QUIET.as_millis() as usize / 20;
    assert!(heard.len() >= 40 - most_lost - 1 && heard.ends_with(&[158, 159]), "{heard:?}");
    assert!(scene.heard(stranger).is_empty());
}

/// The SSRC alone, or numbers that do not go on, move nothing, also where the peer is silent for longer than [`QUIET`] again and
/// again.
fn a_stolen_ssrc_is_not_enough<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (said, real, thief) = (scene.lab.add_peer(), scene.lab.add_peer(), scene.lab.add_peer());
    let spec = echo(&scene, said);
    scene.open(0, spec);
    talk(&mut scene, &[(real, 1)], 0..30);
    talk(&mut scene, &[(thief, 1)], 40_000..40_020);
    talk(&mut scene, &[(real, 1)], 30..31);
    for seq in 31..51 {
        let mut ahead = rtp_packet(1, seq);
        ahead[4] ^= 0x20; // hours ahead
        scene.lab.peer_send(thief, scene.rtp(0), &ahead);
        scene.run(FRAME);
    }
    talk(&mut scene, &[(real, 1)], 51..52);
    talk(&mut scene, &[(thief, 9)], 60..80);
    assert!(scene.heard(thief).is_empty());
    talk(&mut scene, &[(real, 1)], 100..110);
    assert_eq!(scene.heard(real).len(), 42);
}

/// A new address in the session description counts at once. The same one again does not interrupt a peer that goes on, and
/// lets one be found that has moved.
fn each_offer_and_answer_lets_the_leg_learn_anew<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (said, real, moved) = (scene.lab.add_peer(), scene.lab.add_peer(), scene.lab.add_peer());
    let spec = echo(&scene, said);
    scene.open(0, spec);
    talk(&mut scene, &[(real, 1)], 0..30);
    let again = |negotiation| spec.with(|spec| spec.transport.negotiation = negotiation);
    scene.update(0, again(1));
    talk(&mut scene, &[(real, 1)], 30..60);
    assert_eq!(scene.heard(real).len(), 60);
    // Silent where it was, it speaks elsewhere, with another stream.
    scene.update(0, again(2));
    talk(&mut scene, &[(moved, 2)], 0..40);
    assert_eq!(heard_seqs(&mut scene, moved).len(), 40);
    // And then at the address that it had said all the time, and moves from there after another re-INVITE.
    talk(&mut scene, &[(said, 3)], 0..20);
    assert_eq!(scene.heard(said).len(), 20);
    talk(&mut scene, &[(moved, 4)], 0..20);
    assert!(scene.heard(moved).is_empty(), "no word of that from the peer");
    scene.update(0, again(3));
    talk(&mut scene, &[(moved, 5)], 0..40);
    assert_eq!(heard_seqs(&mut scene, moved).len(), 40);
    let other = scene.lab.add_peer();
    let elsewhere = echo(&scene, other);
    scene.update(0, elsewhere.with(|spec| spec.transport.negotiation = 4));
    talk(&mut scene, &[(moved, 5)], 40..42);
    talk(&mut scene, &[(other, 6)], 0..10);
    assert!(scene.heard(moved).is_empty());
    assert_eq!(scene.heard(other).len(), 10);
}

/// A leg whose peer has not said where it is hears nobody and sends nothing.
fn without_an_address_nobody_is_heard<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let stranger = scene.lab.add_peer();
    let spec = echo(&scene, stranger).with(|spec| spec.transport.remote_rtp = contract::Address::NONE);
    scene.open(0, spec);
    talk(&mut scene, &[(stranger, 1)], 0..40);
    assert_eq!((scene.heard(stranger).len(), scene.row(0).received.packets), (0, 0));
    scene.update(0, spec.with(|spec| spec.flow.source = Source::Tone440.into()));
    scene.run(Duration::from_millis(100));
    assert!(scene.heard(stranger).is_empty());
}

/// The peer of SDP, one behind NAT, a rebinding and a stranger, all on IPv6; and IPv4 beside it.
fn ipv6_is_the_same<L: Lab>(mut lab: L) {
    let peers: Option<Vec<usize>> = (0..4).map(|_| lab.add_peer_v6()).collect();
    let Some([said, real, moved, stranger]) = peers.as_deref().and_then(|peers| peers.first_chunk().copied()) else {
        return eprintln!("no IPv6 here");
    };
    let mut scene = Scene::new(lab);
    let v4 = scene.lab.add_peer();
    let spec = echo(&scene, said);
    scene.open(0, spec);
    let to = scene.rtp_v6(0);
    let talk = |scene: &mut Scene<L>, peers: &[(usize, u32)], seqs: Range<u16>| {
        for seq in seqs {
            peers.iter().for_each(|(peer, ssrc)| scene.lab.peer_send(*peer, to, &rtp_packet(*ssrc, seq)));
            scene.lab.peer_send(v4, scene.rtp(0), &rtp_packet(77, seq.wrapping_mul(99)));
            scene.run(FRAME);
        }
    };
    talk(&mut scene, &[(real, 1)], 0..30);
    talk(&mut scene, &[(moved, 1), (stranger, 9)], 30..60);
    talk(&mut scene, &[(moved, 1), (said, 2), (stranger, 9)], 60..90);
    assert_eq!(heard_seqs(&mut scene, real), (0..30).collect::<Vec<_>>());
    assert!(heard_seqs(&mut scene, moved).starts_with(&(30..60).collect::<Vec<_>>()));
    assert_eq!(heard_seqs(&mut scene, said), (60..90).collect::<Vec<_>>());
    assert!(scene.heard(stranger).is_empty() && scene.heard(v4).is_empty());
}

/// An RR of `ssrc`.
fn report(ssrc: u32, about: &[ReportBlock]) -> Vec<u8> {
    let mut bytes = [0; 128];
    let mut writer = Writer::new(&mut bytes);
    writer.receiver_report(Ssrc(ssrc), about).expect("room");
    writer.source_description(Ssrc(ssrc), "peer@example").expect("room");
    let count = writer.finish();
    bytes[..count].to_vec()
}

/// RTCP is taken from where the description says, and from the host of RTP where it names what only the peer knows. Our
/// reports go to nobody else, and a stranger's do not say that the peer is there.
fn rtcp_of_a_stranger_is_not_taken<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (peer, control, nat, stranger) =
        (scene.lab.add_peer(), scene.lab.add_peer(), scene.lab.add_peer(), scene.lab.add_peer());
    let spec = scene.spec(peer, Source::Leg(scene.leg(0))).with(|spec| {
        spec.transport.remote_rtcp = scene.lab.peer_address(control).into();
        spec.transport.media_timeout_ms = 2_000;
    });
    scene.open(0, spec);
    let to: SocketAddr = scene.rtcp(0);
    let taken = |scene: &Scene<L>| scene.count(MediaCounter::RtcpReceived);
    // Before anything was heard, and after: a stranger's SSRC is not the peer's.
    scene.say(stranger, to, &report(9, &[]));
    scene.say(peer, scene.rtp(0), &rtp_packet(1, 0));
    scene.say(stranger, to, &report(9, &[ReportBlock { ssrc: Ssrc(9), ..ReportBlock::default() }]));
    assert_eq!(taken(&scene), 0);
    scene.run(Duration::from_millis(900));
    assert!(scene.heard(stranger).is_empty() && !scene.heard(control).is_empty());
    // From another port of its host, by its SSRC: the peer behind NAT.
    scene.say(nat, to, &report(1, &[]));
    assert_eq!(taken(&scene), 1);
    scene.say(stranger, to, &report(9, &[]));
    scene.run(Duration::from_millis(700));
    assert!(scene.heard(stranger).is_empty() && !scene.heard(nat).is_empty());
    // Where the description says wins it back.
    scene.say(control, to, &report(4, &[]));
    scene.heard(control);
    scene.run(Duration::from_millis(700));
    assert_eq!(taken(&scene), 2);
    assert!(!scene.heard(control).is_empty());
    for _ in 0..40 {
        scene.say(stranger, to, &report(9, &[]));
        scene.run(Duration::from_millis(50));
    }
    assert!(scene.events.iter().any(|event| matches!(event, Event::MediaTimeout { .. })), "strangers are no life");
}

/// Packets of strangers that lie in the socket when it is connected have come in; they are dropped all the same.
fn what_waited_when_the_peer_was_found_is_no_way_in<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (peer, stranger) = (scene.lab.add_peer(), scene.lab.add_peer());
    let spec = scene.spec(peer, Source::Leg(scene.leg(0)));
    scene.open(0, spec);
    let to = scene.rtp(0);
    let send = |scene: &mut Scene<L>, count: u16| {
        (0..count).for_each(|n| scene.lab.peer_send(stranger, to, &rtp_packet(9, n.wrapping_mul(777))));
    };
    // More than one turn takes, so that some are looked at before and some after.
    send(&mut scene, 40);
    scene.lab.peer_send(peer, to, &rtp_packet(1, 0));
    send(&mut scene, 60);
    scene.run(Duration::from_millis(5));
    assert_eq!(scene.heard(peer), [rtp_packet(1, 0)]);
    assert!(scene.heard(stranger).is_empty());
    assert_eq!((scene.row(0).received.packets, scene.row(0).received.dropped_packets), (1, 100));
    assert_eq!(scene.count(MediaCounter::DroppedStranger), 100);
}

/// With latching off the address of SDP is the only one, however steadily others send.
fn without_latching_only_sdp_counts<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (peer, stranger) = (scene.lab.add_peer(), scene.lab.add_peer());
    let mut spec = echo(&scene, peer);
    spec.transport.latching = Latching::Off as u8;
    scene.open(0, spec);
    talk(&mut scene, &[(stranger, 9)], 0..2 * (SETTLE_TIME.as_millis() / 20) as u16);
    scene.say(peer, scene.rtp(0), &rtp_packet(1, 0));
    assert!(scene.heard(stranger).is_empty());
    assert_eq!(scene.heard(peer), [rtp_packet(1, 0)]);
}
