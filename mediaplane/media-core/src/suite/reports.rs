//! RTCP: ours, and that of the peers.

use super::{Lab, Scene, Test, rtp_packet};
use clock::Duration;
use contract::{Command, Event, Rewriting, RtcpMode, Source};
use rtp_wire::{Compound, ReportBlock, RtcpPacket, RtpTime, SenderInfo, Ssrc, Writer, is_rtcp};
use stats::MediaCounter;

pub(super) fn tests<L: Lab>() -> Vec<Test<L>> {
    vec![
        ("reports_flow_and_closing_ends_everything", reports_flow_and_closing_ends_everything),
        ("the_round_trip_is_measured", the_round_trip_is_measured),
        ("reports_pass_a_relay", reports_pass_a_relay),
        ("reports_are_renamed_by_a_relay_that_renumbers", reports_are_renamed_by_a_relay_that_renumbers),
        ("rtp_and_rtcp_share_a_port", rtp_and_rtcp_share_a_port),
    ]
}

/// Reports come to the RTCP port; after `Close` there is BYE and then nothing.
fn reports_flow_and_closing_ends_everything<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (peer, control) = (scene.lab.add_peer(), scene.lab.add_peer());
    let spec = scene
        .spec(peer, Source::Tone440)
        .with(|spec| spec.transport.remote_rtcp = scene.lab.peer_address(control).into());
    scene.open(0, spec);
    scene.say(peer, scene.rtp(0), &rtp_packet(77, 1));
    scene.run(Duration::from_millis(700));
    let reports = scene.heard(control);
    assert!((2..=7).contains(&reports.len()), "{} reports in 700 ms", reports.len());
    let compound = Compound::parse(reports.last().expect("a report")).expect("RTCP");
    let Some(RtcpPacket::SenderReport { info, reports: blocks, .. }) = compound.iter().next() else {
        panic!("no sender report first")
    };
    assert!(info.packet_count > 5);
    assert_eq!(blocks.iter().next().map(|block| block.ssrc), Some(Ssrc(77)));
    scene.heard(peer);
    let leg = scene.leg(0);
    scene.command(Command::Close { leg, number: 9 });
    scene.run(Duration::from_millis(100));
    assert!(scene.heard(peer).is_empty(), "RTP after Close");
    let last = scene.heard(control);
    let bye = last
        .last()
        .map(|bytes| Compound::parse(bytes).expect("RTCP").iter().any(|part| matches!(part, RtcpPacket::Bye { .. })));
    assert_eq!((last.len(), bye), (1, Some(true)));
    assert!(is_rtcp(&last[0]));
    assert!(matches!(scene.events.last(), Some(Event::Closed { number: 9, .. })));
    assert_eq!(scene.closed.last().map(|row| row.leg), Some(leg));
    assert_eq!(scene.worker.leg_count(), 0);
}

/// An SR of `ssrc`, with what it says of `about`.
fn sender_report(ssrc: u32, about: &[ReportBlock]) -> Vec<u8> {
    let info = SenderInfo { ntp: 0x1122_3344_5566_7788, time: RtpTime(1_000), packet_count: 7, octet_count: 1_120 };
    let mut bytes = [0; 256];
    let mut writer = Writer::new(&mut bytes);
    writer.sender_report(Ssrc(ssrc), &info, about).expect("room");
    writer.source_description(Ssrc(ssrc), "peer@example").expect("room");
    let count = writer.finish();
    bytes[..count].to_vec()
}

/// Our SR goes out, the peer says when it got it and how long it kept it: the rest is the way there and back.
fn the_round_trip_is_measured<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (peer, control) = (scene.lab.add_peer(), scene.lab.add_peer());
    let spec = scene
        .spec(peer, Source::Tone440)
        .with(|spec| spec.transport.remote_rtcp = scene.lab.peer_address(control).into());
    scene.open(0, spec);
    let (ssrc, ntp) = loop {
        scene.run(Duration::from_millis(20));
        if let Some(bytes) = scene.heard(control).last()
            && let Some(RtcpPacket::SenderReport { ssrc, info, .. }) =
                Compound::parse(bytes).expect("RTCP").iter().next()
        {
            break (ssrc, info.ntp);
        }
    };
    scene.run(Duration::from_millis(50));
    let kept_30_ms = 30 * 65_536 / 1_000;
    let block = ReportBlock {
        ssrc,
        fraction_lost: 64,
        jitter: 80,
        last_sr: (ntp >> 16) as u32,
        delay_since_last_sr: kept_30_ms,
        ..ReportBlock::default()
    };
    scene.say(control, scene.rtcp(0), &sender_report(9, &[block]));
    let row = scene.row(0);
    assert!((15_000..1_000_000).contains(&row.reported.round_trip_us), "{} us", row.reported.round_trip_us);
    assert_eq!((row.reported.loss_fraction, row.reported.jitter_us), (64, 10_000));
}

/// Both control ports of a bridge, each with a peer of its own.
fn relayed<L: Lab>(scene: &mut Scene<L>, rewriting: Rewriting) -> [usize; 4] {
    let peers = (scene.lab.add_peer(), scene.lab.add_peer());
    let controls = [scene.lab.add_peer(), scene.lab.add_peer()];
    let at = controls.map(|control| scene.lab.peer_address(control));
    scene.bridge_to(peers, |n, spec| {
        spec.transport.rtcp = RtcpMode::RelayPair as u8;
        (spec.transport.remote_rtcp, spec.flow.rewriting) = (at[n].into(), rewriting as u8);
    });
    [peers.0, peers.1, controls[0], controls[1]]
}

/// Where nothing is renumbered reports pass byte for byte, both ways, and we add none of our own.
fn reports_pass_a_relay<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let [alice, bob, from_alice, from_bob] = relayed(&mut scene, Rewriting::None);
    scene.say(alice, scene.rtp(0), &rtp_packet(1, 0));
    scene.say(bob, scene.rtp(1), &rtp_packet(2, 0));
    let (of_alice, of_bob) = (sender_report(1, &[]), sender_report(2, &[]));
    scene.say(from_alice, scene.rtcp(0), &of_alice);
    scene.say(from_bob, scene.rtcp(1), &of_bob);
    scene.run(Duration::from_millis(500));
    assert_eq!(scene.heard(from_bob), [of_alice]);
    assert_eq!(scene.heard(from_alice), [of_bob]);
    assert_eq!((scene.count(MediaCounter::RtcpReceived), scene.count(MediaCounter::RtcpSent)), (2, 2));
}

/// Bob knows alice's stream by the name that we gave it; her reports must use that name, and his the one she has.
fn reports_are_renamed_by_a_relay_that_renumbers<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let [alice, bob, from_alice, from_bob] = relayed(&mut scene, Rewriting::Continuous);
    scene.say(alice, scene.rtp(0), &rtp_packet(1, 0));
    scene.say(bob, scene.rtp(1), &rtp_packet(2, 0));
    let heard = scene.heard(bob);
    let name = super::headers(&heard)[0].ssrc;
    assert_ne!(name, Ssrc(1));
    scene.say(from_alice, scene.rtcp(0), &sender_report(1, &[]));
    let about = ReportBlock { ssrc: name, ..ReportBlock::default() };
    scene.say(from_bob, scene.rtcp(1), &sender_report(2, &[about]));
    let at_bob = scene.heard(from_bob);
    let first = Compound::parse(&at_bob[0]).expect("RTCP").iter().next();
    assert!(matches!(first, Some(RtcpPacket::SenderReport { ssrc, .. }) if ssrc == name), "{first:?}");
    let at_alice = scene.heard(from_alice);
    let Some(RtcpPacket::SenderReport { reports, .. }) = Compound::parse(&at_alice[0]).expect("RTCP").iter().next()
    else {
        panic!("no SR")
    };
    assert_eq!(reports.iter().map(|block| block.ssrc).collect::<Vec<_>>(), [Ssrc(1)]);
}

/// With rtcp-mux (RFC 5761) both come and go on the RTP port, and are told apart.
fn rtp_and_rtcp_share_a_port<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peer = scene.lab.add_peer();
    let spec = scene.spec(peer, Source::Leg(scene.leg(0))).with(|spec| spec.transport.rtcp = RtcpMode::Mux as u8);
    scene.open(0, spec);
    for seq in 0..10 {
        scene.say(peer, scene.rtp(0), &rtp_packet(1, seq));
        scene.say(peer, scene.rtp(0), &sender_report(1, &[]));
    }
    scene.run(Duration::from_millis(500));
    let heard = scene.heard(peer);
    let (rtcp, rtp): (Vec<_>, Vec<_>) = heard.into_iter().partition(|bytes| is_rtcp(bytes));
    assert_eq!(rtp, (0..10).map(|seq| rtp_packet(1, seq)).collect::<Vec<_>>());
    assert!(!rtcp.is_empty() && rtcp.iter().all(|bytes| Compound::parse(bytes).is_ok()));
    assert_eq!((scene.row(0).received.packets, scene.count(MediaCounter::RtcpReceived)), (10, 10));
}
