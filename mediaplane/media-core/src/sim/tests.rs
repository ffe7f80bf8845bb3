use super::*;
use crate::suite::{self, Lab, Scene, rtp_packet};
use contract::{
    ClockRate, Codec, Command, Event, FlowSpec, FormatSpec, LegUpdate, PayloadMap, PayloadMapping, PlayerId, Rewriting,
    Source, TransportSpec,
};
use rtp_wire::{Header, TelephoneEvent};
use stats::MediaCounter;

pub(crate) struct SimLab {
    network: SimNetwork,
    io: SimIo,
    next_port: u16,
}

const PORTS: [u16; 4] = [10_000, 10_002, 10_004, 10_006];

pub(crate) fn lab() -> SimLab {
    let network = SimNetwork::new(&PORTS);
    SimLab { io: network.io(), network, next_port: 40_000 }
}

impl Lab for SimLab {
    type Io = SimIo;
    fn io(&mut self) -> &mut SimIo {
        &mut self.io
    }
    fn now(&mut self) -> Instant {
        self.network.now()
    }
    fn ports(&self) -> Vec<u16> {
        PORTS.into()
    }
    fn address(&self, socket: SocketIndex) -> SocketAddr {
        self.network.address(socket)
    }
    fn add_peer(&mut self) -> usize {
        self.next_port += 2;
        self.network.add_peer(([127, 0, 0, 1], self.next_port).into())
    }
    fn add_peer_v6(&mut self) -> Option<usize> {
        self.next_port += 2;
        Some(self.network.add_peer((std::net::Ipv6Addr::LOCALHOST, self.next_port).into()))
    }
    fn stall(&mut self, time: Duration) {
        self.network.stall(time);
    }
    fn peer_address(&self, peer: usize) -> SocketAddr {
        self.network.peer_address(peer)
    }
    fn peer_send(&mut self, peer: usize, to: SocketAddr, bytes: &[u8]) {
        self.network.peer_send(peer, to, bytes);
    }
    fn peer_take(&mut self, peer: usize) -> Option<Vec<u8>> {
        self.network.peer_take(peer).map(|arrived| arrived.bytes)
    }
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn the_suite_holds() {
    suite::run_all(1, lab);
}

#[test]
fn frames_are_exactly_20_ms_apart_for_a_minute() {
    let mut scene = Scene::new(lab());
    let peer = scene.lab.add_peer();
    let spec = scene.spec(peer, Source::Ringing).with(|spec| {
        spec.transport.rtcp = 4;
        spec.transport.media_timeout_ms = 0;
    });
    scene.open(0, spec);
    scene.run(Duration::from_secs(60));
    let arrivals: Vec<_> = std::iter::from_fn(|| scene.lab.network.peer_take(peer)).map(|arrived| arrived.at).collect();
    assert!((2_999..=3_001).contains(&arrivals.len()));
    assert!(arrivals.windows(2).all(|pair| pair[1].since(pair[0]) == ms(20)));
    assert_eq!(scene.lab.network.failed_count(), 0);
}

#[test]
fn a_late_worker_does_not_burst() {
    let mut scene = Scene::new(lab());
    let peer = scene.lab.add_peer();
    let spec = scene.spec(peer, Source::Tone440).with(|spec| spec.transport.rtcp = 4);
    scene.open(0, spec);
    scene.run(ms(100));
    scene.heard(peer);
    scene.lab.network.stall(ms(110));
    scene.run(ms(1));
    let late = scene.heard(peer);
    assert_eq!(late.len(), 1, "one frame, not five");
    scene.run(ms(100));
    let headers: Vec<_> = late.iter().chain(&scene.heard(peer)).map(|bytes| Header::parse(bytes).unwrap()).collect();
    assert!(headers.windows(2).all(|pair| pair[1].seq.since(pair[0].seq) == 1));
    assert!(headers.windows(2).all(|pair| pair[1].time.since(pair[0].time) == 160));
    assert!((4..=5).contains(&scene.worker.counts().get(MediaCounter::FramesSkipped)));
}

#[test]
fn legs_spread_over_the_frame_and_every_packet_length_works() {
    for ptime_ms in [10, 20, 30, 40, 60_u8] {
        let mut scene = Scene::new(lab());
        let peers: Vec<_> = (0..4).map(|_| scene.lab.add_peer()).collect();
        for (n, peer) in peers.iter().enumerate() {
            let spec = scene.spec(*peer, Source::Silence).with(|spec| {
                spec.transport.rtcp = 4;
                spec.formats.ptime_ms = ptime_ms;
            });
            scene.open(n, spec);
        }
        scene.run(ms(1_200));
        let mut phases = std::collections::HashSet::new();
        for peer in peers {
            let arrived: Vec<_> = std::iter::from_fn(|| scene.lab.network.peer_take(peer)).collect();
            let wanted = 1_200 / usize::from(ptime_ms);
            assert!((wanted - 1..=wanted + 1).contains(&arrived.len()), "{ptime_ms}: {}", arrived.len());
            assert_eq!(arrived[0].bytes.len(), 12 + 8 * usize::from(ptime_ms));
            phases.insert(arrived[0].at.as_nanos() / 1_000_000 % u64::from(ptime_ms));
        }
        assert_eq!(phases.len(), 4, "four legs in four slots");
    }
}

#[test]
fn a_prompt_ends_once_and_silence_follows() {
    let mut scene = Scene::new(lab());
    let peer = scene.lab.add_peer();
    let spec = |scene: &Scene<SimLab>, player| {
        scene.spec(peer, Source::Prompt(0)).with(|spec| (spec.transport.rtcp, spec.flow.player) = (4, player))
    };
    let [first, second] = [5, 6].map(PlayerId::new);
    scene.open(0, spec(&scene, first));
    scene.run(ms(400));
    let leg = scene.leg(0);
    let ends = |scene: &Scene<SimLab>, player| {
        scene.events.iter().filter(|event| **event == Event::PlayerEnded { leg, player }).count()
    };
    assert_eq!(ends(&scene, first), 1);
    let sound: Vec<u8> = scene.heard(peer).iter().flat_map(|bytes| bytes[12..].to_vec()).collect();
    let code = audio::Law::Mu.encode(4_000);
    let is_whole =
        |sound: &[u8]| sound[..500].iter().all(|it| *it == code) && sound[500..].iter().all(|it| *it == 0xff);
    assert!(is_whole(&sound));
    // The same player has played; another one with the same prompt begins with it.
    scene.update(0, spec(&scene, first));
    scene.run(ms(400));
    let sound: Vec<u8> = scene.heard(peer).iter().flat_map(|bytes| bytes[12..].to_vec()).collect();
    assert!(!sound.is_empty() && sound.iter().all(|it| *it == 0xff) && ends(&scene, first) == 1);
    scene.update(0, spec(&scene, second));
    scene.run(ms(400));
    let sound: Vec<u8> = scene.heard(peer).iter().flat_map(|bytes| bytes[12..].to_vec()).collect();
    assert!(is_whole(&sound));
    assert_eq!((ends(&scene, first), ends(&scene, second)), (1, 1));
}

#[test]
fn an_update_changes_its_parts_and_nothing_else() {
    let mut scene = Scene::new(lab());
    let (peer, other) = (scene.lab.add_peer(), scene.lab.add_peer());
    let spec = scene.at_port(0, scene.spec(peer, Source::Tone440).with(|spec| spec.transport.rtcp = 4));
    scene.open(0, spec);
    scene.run(ms(100));
    let leg = scene.leg(0);
    let told = |scene: &mut Scene<SimLab>, number, update| {
        scene.command(Command::Update { leg, number, update });
        assert_eq!(scene.events.last(), Some(&Event::Updated { leg, number }));
        scene.heard(peer)
    };
    let before = headers(&told(
        &mut scene,
        8,
        LegUpdate { flow: Some(FlowSpec { muted: 1, ..spec.flow }), ..LegUpdate::default() },
    ));
    scene.run(ms(100));
    let formats = FormatSpec { ptime_ms: 40, ..spec.formats };
    let muted = told(&mut scene, 9, LegUpdate { formats: Some(formats), ..LegUpdate::default() });
    assert!(muted.iter().all(|bytes| bytes[12..].iter().all(|code| *code == 0xff)), "silence, to the same place");
    scene.run(ms(200));
    let remote_rtp = scene.lab.peer_address(other).into();
    let transport = TransportSpec { remote_rtp, ..spec.transport };
    let slow = told(&mut scene, 10, LegUpdate { transport: Some(transport), ..LegUpdate::default() });
    assert!(slow.len() >= 4 && slow.iter().all(|bytes| bytes.len() == 12 + 320), "the new length, muted as before");
    assert!(slow.iter().all(|bytes| bytes[12..].iter().all(|code| *code == 0xff)));
    scene.run(ms(200));
    assert!(scene.heard(peer).is_empty());
    let moved = scene.heard(other);
    assert!(moved.iter().all(|bytes| bytes.len() == 12 + 320 && bytes[12..].iter().all(|code| *code == 0xff)));
    let all: Vec<Header> = before.into_iter().chain([muted, slow, moved].iter().flat_map(|it| headers(it))).collect();
    assert!(
        all.windows(2).all(|pair| pair[1].seq.since(pair[0].seq) == 1 && pair[1].ssrc == pair[0].ssrc),
        "one stream"
    );
}

/// Whenever a peer begins, what is made of its packets leaves soon after they could be played, and goes on to do so when the
/// session is agreed on anew.
#[test]
fn a_transcoded_packet_leaves_well_within_a_frame_of_its_arrival() {
    for offset_ms in (0..20).step_by(3) {
        let mut scene = Scene::new(lab());
        let (from, to) = suite::transcoding::call(&mut scene, [Codec::Pcmu, Codec::G722]);
        scene.run(ms(100 + offset_ms));
        let (mut singer, rtp) = (suite::transcoding::Singer::new(Codec::Pcmu), scene.rtp(0));
        let mut said = Vec::new();
        for index in 0..100 {
            said.push(scene.lab.now());
            scene.say(from, rtp, &singer.packet());
            if index == 50 {
                let spec = scene.spec(to, Source::Leg(scene.leg(0)));
                scene.update(1, suite::transcoding::with_codec(spec, Codec::G722, Codec::Pcmu));
            }
            scene.run(ms(18)); // saying takes the rest
        }
        let arrived: Vec<_> = std::iter::from_fn(|| scene.lab.network.peer_take(to)).map(|it| it.at).collect();
        assert!((98..=100).contains(&arrived.len()), "{offset_ms}: {}", arrived.len());
        for at in arrived {
            let last = said.iter().rev().find(|said| **said <= at).expect("a packet before it");
            let after = at.since(*last);
            assert!((ms(10)..=ms(15)).contains(&after), "{offset_ms}: {after:?} after a packet");
        }
    }
}

/// What is only relayed has the clock that its session description said: jitter is told in its ticks.
#[test]
fn a_relayed_codec_has_its_own_clock() {
    let jitter_us = |hz: u32| {
        let mut scene = Scene::new(lab());
        let peer = scene.lab.add_peer();
        let mut spec = scene.spec(peer, Source::None).with(|spec| spec.transport.rtcp = 4);
        let clock_rate = ClockRate::from_hz(hz).unwrap();
        spec.formats.payloads = PayloadMap::default();
        let format = PayloadMapping { clock_rate, ..PayloadMapping::of(0, Codec::Other) };
        assert!(spec.formats.payloads.push_entry(format));
        scene.open(0, spec);
        for n in 0..200_u32 {
            let mut packet = rtp_packet(1, n as u16);
            packet[4..8].copy_from_slice(&(n * hz / 50).to_be_bytes());
            scene.lab.network.peer_send(peer, scene.rtp(0), &packet);
            // Every other packet comes 4 ms later than its timestamp says.
            scene.run(ms(if n % 2 == 0 { 24 } else { 16 }));
        }
        scene.row(0).received.jitter_us
    };
    for hz in [8_000, 16_000, 44_100, 48_000] {
        assert!((3_800..=4_050).contains(&jitter_us(hz)), "{hz}: {}", jitter_us(hz));
    }
}

#[test]
fn a_silent_peer_times_out_and_rtp_stops() {
    let mut scene = Scene::new(lab());
    let peer = scene.lab.add_peer();
    let spec = scene.spec(peer, Source::Tone440).with(|spec| {
        spec.transport.rtcp = 4;
        spec.transport.media_timeout_ms = 1_000;
    });
    scene.open(0, spec);
    let leg = scene.leg(0);
    scene.run(ms(600));
    scene.say(peer, scene.rtp(0), &rtp_packet(1, 1));
    scene.run(ms(900));
    assert!(!scene.events.contains(&Event::MediaTimeout { leg }));
    scene.heard(peer);
    scene.run(ms(150));
    assert!(scene.events.contains(&Event::MediaTimeout { leg }));
    scene.heard(peer);
    scene.run(ms(500));
    assert!(scene.heard(peer).is_empty());
    scene.command(Command::Close { leg, number: 0 });
    assert!(matches!(scene.events.last(), Some(Event::Closed { .. })));
}

/// A port goes from call to call, and a phone that missed the end of its own may still send there. A peer that was heard from
/// where it says it is keeps its leg while it is silent, also after another offer and answer; on its own host it may move.
#[test]
fn a_stranger_on_another_host_never_takes_the_leg_of_a_peer_that_was_heard_where_it_is() {
    for is_heard in [false, true] {
        let mut scene = Scene::new(lab());
        let (peer, moved) = (scene.lab.add_peer(), scene.lab.add_peer());
        let stranger = scene.lab.network.add_peer(([127, 0, 0, 9], 40_000).into());
        let spec = scene.spec(peer, Source::Leg(scene.leg(0))).with(|spec| spec.transport.rtcp = 4);
        scene.open(0, spec);
        let talk = |scene: &mut Scene<SimLab>, peer, ssrc, seqs: std::ops::Range<u16>| {
            for seq in seqs {
                scene.lab.network.peer_send(peer, scene.rtp(0), &rtp_packet(ssrc, seq));
                scene.run(ms(20));
            }
            scene.heard(peer).len()
        };
        if is_heard {
            assert_eq!(talk(&mut scene, peer, 1, 0..10), 10);
        }
        scene.update(0, spec.with(|spec| spec.transport.negotiation = 1));
        let heard = talk(&mut scene, stranger, 9, 100..150);
        assert_eq!(heard, if is_heard { 0 } else { 50 }, "behind NAT only the source shows where the peer is");
        if is_heard {
            assert_eq!(talk(&mut scene, moved, 2, 0..50), 50);
        }
    }
}

/// Alice on leg 0, Bob on leg 1, each sending what the other receives.
fn bridged(rewriting: Rewriting) -> (Scene<SimLab>, usize, usize) {
    let mut scene = Scene::new(lab());
    let (alice, bob) = (scene.lab.add_peer(), scene.lab.add_peer());
    let common = scene.spec(alice, Source::None).with(|spec| {
        spec.transport.rtcp = 4;
        spec.flow.rewriting = rewriting as u8;
    });
    scene.open(0, common);
    let to_bob = common.with(|spec| spec.flow.source = Source::Leg(scene.leg(0)).into());
    scene.open(1, to_bob.with(|spec| spec.transport.remote_rtp = scene.lab.peer_address(bob).into()));
    scene.update(0, common.with(|spec| spec.flow.source = Source::Leg(scene.leg(1)).into()));
    (scene, alice, bob)
}

fn headers(packets: &[Vec<u8>]) -> Vec<Header> {
    packets.iter().map(|bytes| Header::parse(bytes).unwrap()).collect()
}

#[test]
fn a_rewriting_relay_stays_continuous_when_the_peer_changes_its_stream() {
    let (mut scene, alice, bob) = bridged(Rewriting::Continuous);
    for (ssrc, first) in [(1, 100), (2, 30_000), (3, 65_520_u16)] {
        for n in 0..10_u16 {
            scene.lab.network.peer_send(alice, scene.rtp(0), &rtp_packet(ssrc, first.wrapping_add(n)));
            scene.run(ms(20));
        }
    }
    let headers = headers(&scene.heard(bob));
    assert_eq!(headers.len(), 30);
    for pair in headers.windows(2) {
        assert_eq!((pair[1].seq.since(pair[0].seq), pair[1].ssrc), (1, pair[0].ssrc));
        assert_eq!(pair[1].time.since(pair[0].time), 160);
    }
}

#[test]
fn a_digit_in_a_relay_leaves_no_hole_and_no_audio_beside_it() {
    let (mut scene, alice, bob) = bridged(Rewriting::None);
    let send = |scene: &mut Scene<SimLab>, range: std::ops::Range<u16>| {
        for seq in range {
            scene.lab.network.peer_send(alice, scene.rtp(0), &rtp_packet(1, seq));
            scene.run(ms(20));
        }
    };
    send(&mut scene, 0..5);
    let leg = scene.leg(1);
    scene.command(Command::SendDigit { leg, number: 1, digit: 7, duration_ms: 100 });
    send(&mut scene, 5..25);
    let packets = scene.heard(bob);
    let headers = headers(&packets);
    assert!(headers.windows(2).all(|pair| pair[1].seq.since(pair[0].seq) == 1), "{headers:?}");
    assert!(headers.iter().all(|header| header.ssrc.0 == 1));
    let events: Vec<_> = packets
        .iter()
        .zip(&headers)
        .filter(|(_, header)| header.payload_type == 101)
        .map(|(bytes, header)| (header.time, TelephoneEvent::parse(header.payload(bytes)).unwrap()))
        .collect();
    assert_eq!(events.len(), 7);
    assert!(events.iter().all(|(time, event)| *time == events[0].0 && event.event == 7));
    assert_eq!(events.iter().filter(|(_, event)| event.end && event.duration == 800).count(), 3);
    // The sound keeps its own clock across the digit.
    let sound: Vec<_> = headers.iter().filter(|header| header.payload_type == 0).map(|header| header.time.0).collect();
    assert_eq!(sound.last(), Some(&(24 * 160)));
}

#[test]
fn a_moved_call_goes_on_where_it_was() {
    let (mut scene, alice, bob) = bridged(Rewriting::Continuous);
    for seq in 0..5 {
        scene.say(alice, scene.rtp(0), &rtp_packet(1, seq));
    }
    let before = scene.row(1);
    let mut other = Scene::new(lab()).worker;
    let mut out = Output::with_limits(64, 64);
    let now = scene.lab.network.now();
    for n in 0..2 {
        let moving = scene.worker.extract(scene.leg(n)).unwrap();
        other.insert(now, moving, 5, &mut out).map_err(|(_, reason)| reason).unwrap();
    }
    assert_eq!(scene.worker.leg_count(), 0);
    assert_eq!(out.events.len(), 2);
    std::mem::swap(&mut scene.worker, &mut other);
    assert_eq!(scene.row(1), before);
    for seq in 5..10 {
        scene.say(alice, scene.rtp(0), &rtp_packet(1, seq));
    }
    let headers = headers(&scene.heard(bob));
    assert_eq!(headers.len(), 10);
    assert!(headers.windows(2).all(|pair| pair[1].seq.since(pair[0].seq) == 1));
    assert_eq!(scene.lab.network.failed_count(), 0);
}

#[test]
fn closing_in_the_turn_of_a_relay_sends_nothing_after_bye() {
    let (mut scene, alice, bob) = bridged(Rewriting::None);
    scene.say(alice, scene.rtp(0), &rtp_packet(1, 1));
    scene.say(bob, scene.rtp(1), &rtp_packet(2, 1));
    scene.heard(bob);
    for n in 0..2 {
        let leg = scene.leg(n);
        scene.command(Command::Close { leg, number: 1 });
    }
    scene.lab.network.peer_send(alice, scene.rtp(0), &rtp_packet(1, 2));
    scene.run(ms(50));
    assert!(scene.heard(bob).is_empty());
    assert_eq!((scene.lab.network.failed_count(), scene.lab.network.dropped_count()), (0, 1));
}

#[test]
fn a_worker_without_legs_waits_for_nothing() {
    let mut scene = Scene::new(lab());
    assert_eq!(scene.worker.deadline(), None);
    let peer = scene.lab.add_peer();
    let spec = scene.spec(peer, Source::Tone440);
    scene.open(0, spec);
    assert!(scene.worker.deadline().is_some());
    let leg = scene.leg(0);
    scene.command(Command::Close { leg, number: 1 });
    assert_eq!(scene.worker.deadline(), None);
}
