//! What goes to a peer that has not shown that it is where it says.

use super::{Lab, Scene, Test, rtp_packet};
use clock::Duration;
use contract::{Command, Event, Latching, LegSpec, Source};
use rtp_wire::{Ssrc, Writer};
use stats::MediaCounter;

pub(super) fn tests<L: Lab>() -> Vec<Test<L>> {
    vec![
        ("nothing_goes_to_a_peer_that_has_shown_nothing", nothing_goes_to_a_peer_that_has_shown_nothing),
        ("early_media_has_a_limit_until_the_peer_is_heard", early_media_has_a_limit_until_the_peer_is_heard),
        ("a_relay_has_the_same_limit", a_relay_has_the_same_limit),
        ("rtp_rtcp_and_stun_show_that_the_peer_is_there", rtp_rtcp_and_stun_show_that_the_peer_is_there),
        ("a_prompt_that_may_not_be_heard_ends_all_the_same", a_prompt_that_may_not_be_heard_ends_all_the_same),
    ]
}

fn unproven(spec: LegSpec, bytes: u32) -> LegSpec {
    spec.with(|spec| {
        spec.transport.unproven_bytes = bytes;
        spec.transport.latching = Latching::NotYet as u8;
    })
}

/// An answer that is not acknowledged: neither sound nor RTCP, not even at the end. With the ACK it begins, from its start.
fn nothing_goes_to_a_peer_that_has_shown_nothing<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (peer, control, stranger) = (scene.lab.add_peer(), scene.lab.add_peer(), scene.lab.add_peer());
    let spec = |source| {
        scene.spec(peer, source).with(|spec| spec.transport.remote_rtcp = scene.lab.peer_address(control).into())
    };
    let (tone, prompt) = (spec(Source::Tone440), scene.at_port(0, spec(Source::Prompt(0))));
    scene.open(0, unproven(tone, 0));
    scene.run(Duration::from_millis(700));
    // A digit waits as well, and a stranger proves nothing.
    let leg = scene.leg(0);
    scene.command(Command::SendDigit { leg, number: 0, digit: 5, duration_ms: 60 });
    assert!(!scene.events.iter().any(|event| matches!(event, Event::Refused { .. })), "{:?}", scene.events);
    for seq in 0..20 {
        scene.say(stranger, scene.rtp(0), &rtp_packet(9, seq));
        scene.run(Duration::from_millis(18));
    }
    assert!(scene.heard(peer).is_empty() && scene.heard(control).is_empty() && scene.heard(stranger).is_empty());
    assert_eq!(scene.row(0).sent.packets, 0);
    scene.command(Command::Close { leg, number: 0 });
    assert!(scene.heard(peer).is_empty() && scene.heard(control).is_empty(), "no BYE to who was never sent anything");
    // The ACK.
    let leg = scene.leg_again(0, 2);
    scene.command(Command::Open { leg, number: 1, spec: unproven(prompt, 0) });
    scene.run(Duration::from_millis(200));
    scene.command(Command::Update { leg, number: 1, update: prompt.into() });
    scene.run(Duration::from_millis(200));
    assert!(
        (3..=5)
            .contains(&scene.heard(peer).iter().filter(|bytes| bytes[12..].iter().any(|byte| *byte != 0xff)).count())
    );
    assert!(scene.events.contains(&Event::PlayerEnded { leg, player: contract::PlayerId::NONE }));
}

/// Early media: so many bytes, then nothing, until the peer sends something.
fn early_media_has_a_limit_until_the_peer_is_heard<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peer = scene.lab.add_peer();
    let spec = unproven(scene.spec(peer, Source::Ringing), 1_376);
    scene.open(0, spec);
    scene.run(Duration::from_secs(1));
    assert_eq!(scene.heard(peer).len(), 8);
    // An update that changes nothing of it gives nothing more.
    scene.update(0, spec.with(|spec| spec.flow.source = Source::Tone440.into()));
    scene.run(Duration::from_millis(300));
    assert!(scene.heard(peer).is_empty());
    assert!(scene.count(MediaCounter::HeldBackUnproven) > 40);
    scene.say(peer, scene.rtp(0), &rtp_packet(1, 0));
    scene.run(Duration::from_millis(400));
    assert!((18..=22).contains(&scene.heard(peer).len()));
    scene.update(0, spec.with(|spec| spec.flow.source = Source::Ringing.into()));
    scene.run(Duration::from_millis(400));
    assert!((18..=22).contains(&scene.heard(peer).len()), "what was shown stays so");
}

/// What another peer says early is held back in the same way, byte for byte and renumbered.
fn a_relay_has_the_same_limit<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (caller, called) = scene.bridge(|n, spec| {
        if n == 0 {
            *spec = unproven(*spec, 400);
        }
    });
    for seq in 0..10 {
        scene.say(called, scene.rtp(1), &rtp_packet(1, seq));
    }
    assert_eq!((scene.heard(caller).len(), scene.count(MediaCounter::HeldBackUnproven)), (2, 8));
    scene.say(caller, scene.rtp(0), &rtp_packet(2, 0));
    for seq in 10..20 {
        scene.say(called, scene.rtp(1), &rtp_packet(1, seq));
    }
    assert_eq!((scene.heard(caller).len(), scene.heard(called).len()), (10, 1));
}

fn rtp_rtcp_and_stun_show_that_the_peer_is_there<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (peer, control, stranger) = (scene.lab.add_peer(), scene.lab.add_peer(), scene.lab.add_peer());
    let mut stun = vec![0; 20];
    stun[..8].copy_from_slice(&[0, 0x11, 0, 0, 0x21, 0x12, 0xa4, 0x42]);
    let mut report = [0; 64];
    let mut writer = Writer::new(&mut report);
    writer.receiver_report(Ssrc(5), &[]).expect("room");
    writer.source_description(Ssrc(5), "x").expect("room");
    let bytes = writer.finish();
    let report = report[..bytes].to_vec();
    let mut unknown = rtp_packet(1, 1);
    unknown[1] = 99;
    let shows = [
        (peer, 0, rtp_packet(1, 0)),
        (peer, 0, unknown),
        (peer, 0, Vec::new()),
        (peer, 0, stun.clone()),
        (control, 1, report.clone()),
    ];
    for (generation, (from, socket, bytes)) in shows.into_iter().enumerate() {
        let leg = scene.leg_again(0, 1 + generation as u32);
        let remote_rtcp = scene.lab.peer_address(control).into();
        let spec = unproven(scene.spec(peer, Source::Tone440), 0).with(|spec| spec.transport.remote_rtcp = remote_rtcp);
        scene.command(Command::Open { leg, number: 0, spec: scene.at_port(0, spec) });
        scene.run(Duration::from_millis(60));
        for (socket, bytes) in [(0, &stun), (0, &Vec::new()), (1, &report)] {
            let to = scene.lab.address(crate::io::SocketIndex(socket));
            scene.say(stranger, to, bytes);
        }
        scene.run(Duration::from_millis(60));
        assert!(scene.heard(peer).is_empty() && scene.heard(stranger).is_empty(), "case {generation}");
        let to = scene.lab.address(crate::io::SocketIndex(socket));
        scene.say(from, to, &bytes);
        scene.run(Duration::from_millis(100));
        assert!(scene.heard(peer).len() >= 4, "case {generation}");
        scene.command(Command::Close { leg, number: 0 });
        scene.run(Duration::from_millis(5));
        scene.heard(peer);
        scene.heard(control);
    }
}

/// An announcement before a refusal: nobody hears it, and the call goes on.
fn a_prompt_that_may_not_be_heard_ends_all_the_same<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peer = scene.lab.add_peer();
    let spec = unproven(scene.spec(peer, Source::Prompt(0)), 1);
    scene.open(0, spec);
    scene.run(Duration::from_millis(200));
    assert!(scene.heard(peer).is_empty());
    assert!(scene.events.contains(&Event::PlayerEnded { leg: scene.leg(0), player: contract::PlayerId::NONE }));
}
