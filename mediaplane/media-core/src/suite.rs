//! The behaviour that a worker must show over every back end. Each function is one test; it panics where it fails.
//!
//! A back end implements [`Lab`] once (the simulated one below in its tests, the io_uring one over loopback) and calls
//! [`run_all`] with a fresh lab for each.

use crate::io::{Output, PacketIo, Received, SocketIndex};
use crate::{PROBATION_PACKETS, Worker, WorkerConfig};
use clock::{Duration, Instant, WallTime};
use contract::{Codec, Command, Direction, Event, LegRef, LegRow, LegSpec, RefuseReason, Source};
use rtp_wire::{Compound, FIXED_HEADER_BYTES, Header, RtcpPacket, RtpTime, Seq, Ssrc, is_rtcp};
use std::net::SocketAddr;

/// A back end with peers around it.
pub trait Lab {
    /// The back end.
    type Io: PacketIo;
    /// The back end, with its sockets bound.
    fn io(&mut self) -> &mut Self::Io;
    /// The time.
    fn now(&mut self) -> Instant;
    /// RTP ports of its socket pairs: at least two.
    fn ports(&self) -> Vec<u16>;
    /// Where peers reach a socket.
    fn address(&self, socket: SocketIndex) -> SocketAddr;
    /// One more peer.
    fn add_peer(&mut self) -> usize;
    /// Where it is.
    fn peer_address(&self, peer: usize) -> SocketAddr;
    /// It sends.
    fn peer_send(&mut self, peer: usize, to: SocketAddr, bytes: &[u8]);
    /// The next packet that came to it, without waiting.
    fn peer_take(&mut self, peer: usize) -> Option<Vec<u8>>;
}

/// A lab with a worker in it.
pub struct Scene<L: Lab> {
    /// The back end and the peers.
    pub lab: L,
    /// The worker.
    pub worker: Worker,
    /// What was said so far.
    pub events: Vec<Event>,
    /// Final rows so far.
    pub closed: Vec<LegRow>,
    received: Vec<Received>,
    output: Output,
}

impl<L: Lab> Scene<L> {
    /// A worker over the lab, with RTCP every 200 ms on average so that tests are short.
    pub fn new(lab: L) -> Self {
        let mut config = WorkerConfig::new(3, lab.ports());
        config.rtcp_interval = Duration::from_millis(200);
        config.prompts = [audio::Prompt::new(&[4_000; 500])].into();
        config.seed = 7;
        Self {
            lab,
            worker: Worker::new(config),
            events: Vec::new(),
            closed: Vec::new(),
            received: Vec::with_capacity(64),
            output: Output::with_limits(1_024, 64),
        }
    }

    /// A handle of the lab's `n`th port.
    pub fn leg(&self, n: usize) -> LegRef {
        LegRef::new(self.lab.ports()[n], 1)
    }

    /// Where RTP of the `n`th port goes.
    pub fn rtp(&self, n: u32) -> SocketAddr {
        self.lab.address(SocketIndex(2 * n))
    }

    /// Where RTCP of the `n`th port goes.
    pub fn rtcp(&self, n: u32) -> SocketAddr {
        self.lab.address(SocketIndex(2 * n + 1))
    }

    /// Gives a command in a turn of its own.
    pub fn command(&mut self, command: Command) {
        let now = self.lab.now();
        self.worker.handle_command(now, command, self.lab.io().buffers(), &mut self.output);
        self.finish();
    }

    /// Opens the `n`th leg.
    pub fn open(&mut self, n: usize, spec: LegSpec) {
        let leg = self.leg(n);
        self.command(Command::Open { leg, tag: n as u64, spec });
        assert!(self.events.contains(&Event::Opened { leg, tag: n as u64 }), "{:?}", self.events);
    }

    /// Changes the `n`th leg.
    pub fn update(&mut self, n: usize, spec: LegSpec) {
        let leg = self.leg(n);
        self.command(Command::Update { leg, tag: n as u64, spec });
        assert_eq!(self.events.last(), Some(&Event::Updated { leg, tag: n as u64 }));
    }

    /// Turns of the worker for so long.
    pub fn run(&mut self, time: Duration) {
        let end = self.lab.now() + time;
        loop {
            let until = self.worker.deadline().unwrap_or(end).min(end);
            self.lab.io().wait(until, &mut self.received).expect("the back end waits");
            let now = self.lab.now();
            let buffers = self.lab.io().buffers();
            self.worker.handle_packets(now, buffers, &self.received, &mut self.output);
            let wall_now = WallTime::from_unix_nanos(1_700_000_000_000_000_000 + now.as_nanos());
            self.worker.run_due(now, wall_now, buffers, &mut self.output);
            let idle = self.received.is_empty();
            self.received.clear();
            self.finish();
            if now >= end && idle {
                return;
            }
        }
    }

    fn finish(&mut self) {
        self.events.append(&mut self.output.events);
        self.closed.append(&mut self.output.closed);
        self.output.lateness.clear();
        self.lab.io().submit(&mut self.output);
    }

    /// A peer sends RTP and the worker takes it.
    pub fn say(&mut self, peer: usize, to: SocketAddr, bytes: &[u8]) {
        self.lab.peer_send(peer, to, bytes);
        self.run(Duration::from_millis(2));
    }

    /// All RTP that came to a peer, or all RTCP.
    pub fn heard(&mut self, peer: usize) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.lab.peer_take(peer)).collect()
    }

    /// The row of the `n`th leg.
    pub fn row(&self, n: usize) -> LegRow {
        self.worker.row(self.leg(n)).expect("the leg is open")
    }

    /// A spec for PCMU and telephone events with a peer.
    pub fn spec(&self, peer: usize, source: Source) -> LegSpec {
        let mut spec =
            LegSpec { remote_rtp: self.lab.peer_address(peer).into(), source: source.into(), ..LegSpec::default() };
        assert!(spec.payloads.push(0, Codec::Pcmu) && spec.payloads.push(101, Codec::TelephoneEvent));
        spec
    }
}

/// An RTP packet of a peer: PCMU, 20 ms.
pub fn rtp_packet(ssrc: u32, seq: u16) -> Vec<u8> {
    let header = Header {
        marker: false,
        payload_type: 0,
        seq: Seq(seq),
        time: RtpTime(u32::from(seq).wrapping_mul(160)),
        ssrc: Ssrc(ssrc),
        payload_start: 12,
        payload_bytes: 160,
    };
    let mut bytes = vec![seq as u8; FIXED_HEADER_BYTES + 160];
    header.write(bytes.first_chunk_mut().expect("long enough"));
    bytes
}

/// Everything, each with a lab of its own.
pub fn run_all<L: Lab>(mut lab: impl FnMut() -> L) {
    echo_comes_back_byte_for_byte(lab());
    relay_crosses_both_ways(lab());
    a_tone_has_no_hole(lab());
    a_stranger_never_gets_in(lab());
    a_peer_behind_nat_is_found_and_moves_by_update_only(lab());
    hold_stops_both_ways(lab());
    reports_flow_and_closing_ends_everything(lab());
    stale_handles_change_nothing(lab());
    garbage_is_counted(lab());
}

/// What a caller of `echo` sends comes back unchanged and in order.
pub fn echo_comes_back_byte_for_byte<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peer = scene.lab.add_peer();
    let spec = scene.spec(peer, Source::Leg(scene.leg(0)));
    scene.open(0, spec);
    let sent: Vec<_> = (0..50).map(|seq| rtp_packet(5, seq)).collect();
    for bytes in &sent {
        scene.say(peer, scene.rtp(0), bytes);
    }
    assert_eq!(scene.heard(peer), sent);
    assert_eq!((scene.row(0).received_packets, scene.row(0).sent_packets), (50, 50));
}

/// A to B and B to A, byte for byte.
pub fn relay_crosses_both_ways<L: Lab>(lab: L) {
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
    assert_eq!((row.lost_packets, row.received_packets, row.sent_packets), (0, 20, 20));
    assert!(row.mos_x100 > 400, "{row:?}");
}

/// Sequence numbers without a hole, timestamps 160 apart, 50 packets a second.
pub fn a_tone_has_no_hole<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peer = scene.lab.add_peer();
    let spec = LegSpec { rtcp: 4, ..scene.spec(peer, Source::Tone440) };
    scene.open(0, spec);
    scene.run(Duration::from_millis(500));
    let packets = scene.heard(peer);
    assert!((24..=26).contains(&packets.len()), "{} packets in 500 ms", packets.len());
    let headers: Vec<_> = packets.iter().map(|bytes| Header::parse(bytes).expect("RTP")).collect();
    assert!(headers[0].marker && !headers[1].marker);
    let skipped = scene.worker.counts().get(stats::MediaCounter::FramesSkipped);
    for pair in headers.windows(2) {
        assert_eq!(pair[1].seq.since(pair[0].seq), 1);
        assert!(pair[1].time.since(pair[0].time) == 160 || skipped > 0, "{pair:?}");
    }
    let sound: Vec<i16> =
        packets.iter().flat_map(|bytes| &bytes[12..]).map(|code| audio::Law::Mu.decode(*code)).collect();
    assert!(skipped > 0 || audio::ToneMeter::new(440.0).purity(&sound) > 0.99);
}

/// Once the peer of SDP was heard, nobody else is.
pub fn a_stranger_never_gets_in<L: Lab>(lab: L) {
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
pub fn a_peer_behind_nat_is_found_and_moves_by_update_only<L: Lab>(lab: L) {
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

/// On hold nothing is sent and what comes is dropped; afterwards the stream goes on.
pub fn hold_stops_both_ways<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peer = scene.lab.add_peer();
    let spec = LegSpec { rtcp: 4, ..scene.spec(peer, Source::Tone440) };
    scene.open(0, spec);
    scene.run(Duration::from_millis(100));
    scene.say(peer, scene.rtp(0), &rtp_packet(1, 0));
    let before = scene.heard(peer);
    scene.update(0, LegSpec { direction: Direction::Inactive as u8, ..spec });
    scene.say(peer, scene.rtp(0), &rtp_packet(1, 1));
    scene.run(Duration::from_millis(200));
    assert!(scene.heard(peer).is_empty());
    assert_eq!((scene.row(0).received_packets, scene.row(0).dropped_packets), (1, 1));
    scene.update(0, spec);
    scene.run(Duration::from_millis(100));
    let after = scene.heard(peer);
    let last = Header::parse(before.last().expect("sent before hold")).expect("RTP");
    let first = Header::parse(after.first().expect("sent after hold")).expect("RTP");
    assert_eq!((first.seq, first.ssrc, first.marker), (last.seq.next(), last.ssrc, true));
    assert!((1_600..4_000).contains(&first.time.since(last.time)), "the clock went on: {first:?} after {last:?}");
}

/// Reports come to the RTCP port; after `Close` there is BYE and then nothing.
pub fn reports_flow_and_closing_ends_everything<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let (peer, control) = (scene.lab.add_peer(), scene.lab.add_peer());
    let spec = LegSpec { remote_rtcp: scene.lab.peer_address(control).into(), ..scene.spec(peer, Source::Tone440) };
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
    scene.command(Command::Close { leg, tag: 9 });
    scene.run(Duration::from_millis(100));
    assert!(scene.heard(peer).is_empty(), "RTP after Close");
    let last = scene.heard(control);
    let bye = last
        .last()
        .map(|bytes| Compound::parse(bytes).expect("RTCP").iter().any(|part| matches!(part, RtcpPacket::Bye { .. })));
    assert_eq!((last.len(), bye), (1, Some(true)));
    assert!(is_rtcp(&last[0]));
    assert!(matches!(scene.events.last(), Some(Event::Closed { tag: 9, .. })));
    assert_eq!(scene.closed.last().map(|row| row.leg), Some(leg));
    assert_eq!(scene.worker.leg_count(), 0);
}

/// Handles of an earlier life, unknown prompts, absent peers: refused, nothing changed.
pub fn stale_handles_change_nothing<L: Lab>(lab: L) {
    let mut scene = Scene::new(lab);
    let peer = scene.lab.add_peer();
    let spec = scene.spec(peer, Source::None);
    scene.open(0, spec);
    let (leg, stale) = (scene.leg(0), LegRef::new(scene.leg(0).port, 99));
    let absent = scene.spec(peer, Source::Leg(scene.leg(1)));
    let unknown = scene.spec(peer, Source::Prompt(5));
    let row = scene.row(0);
    for (command, reason) in [
        (Command::Close { leg: stale, tag: 1 }, RefuseReason::NoSuchLeg),
        (Command::Update { leg: stale, tag: 1, spec }, RefuseReason::NoSuchLeg),
        (Command::Open { leg: stale, tag: 1, spec }, RefuseReason::AlreadyOpen),
        (Command::Open { leg: LegRef::new(2, 1), tag: 1, spec }, RefuseReason::Invalid),
        (Command::Update { leg, tag: 1, spec: absent }, RefuseReason::Invalid),
        (Command::Update { leg, tag: 1, spec: unknown }, RefuseReason::Invalid),
        (Command::Move { leg, tag: 1, worker: 77 }, RefuseReason::Invalid),
    ] {
        scene.command(command);
        assert_eq!(scene.events.last(), Some(&Event::Refused { leg: command.leg(), tag: 1, reason }));
    }
    assert_eq!(scene.row(0), row);
    assert_eq!(scene.worker.counts().get(stats::MediaCounter::CommandsRefused), 7);
}

/// What is neither RTP nor RTCP is dropped and counted; the leg goes on.
pub fn garbage_is_counted<L: Lab>(lab: L) {
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
    assert!(counts.get(stats::MediaCounter::DroppedMalformed) >= 8);
    assert_eq!(counts.get(stats::MediaCounter::DroppedPayloadType), 1);
}
