//! Nanoseconds of the steps of a packet: parse, latch check, rewrite, relay, a frame of tone.

use clock::{Duration, Instant, WallTime};
use contract::{Codec, Command, LegRef, LegSpec, PortRef, Source};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use media_core::io::{Output, Received, SocketIndex};
use media_core::sim::SimBuffers;
use media_core::suite::rtp_packet;
use media_core::{Worker, WorkerConfig};
use rtp_wire::{Header, Seq, Ssrc, overwrite};
use std::hint::black_box;
use std::net::SocketAddr;

const BATCH: usize = 64;

struct Rig {
    worker: Worker,
    buffers: SimBuffers,
    out: Output,
    received: Vec<Received>,
    now: Instant,
    seq: u16,
}

fn peer(n: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 20_000 + n as u16))
}

/// `count` legs; in pairs where `relay`, else each with a tone.
fn rig(count: usize, relay: bool, rewriting: u8) -> Rig {
    let ports: Vec<u16> = (0..count as u16).map(|n| 10_000 + 2 * n).collect();
    let leg = |n: usize| LegRef::new(n as u32, 1);
    let mut rig = Rig {
        worker: Worker::new(WorkerConfig::new(0, ports.clone())),
        buffers: SimBuffers::new(2_048),
        out: Output::with_limits(2_048, 4_096),
        received: Vec::new(),
        now: Instant::ZERO + Duration::from_secs(5),
        seq: 0,
    };
    for second in [false, true] {
        for (n, port) in ports.iter().enumerate() {
            let source = match (relay, second) {
                (true, true) => Source::Leg(leg(n ^ 1)),
                (true, false) => Source::None,
                (false, _) => Source::Tone440,
            };
            let mut spec = LegSpec::default().with(|spec| {
                spec.transport.port = PortRef::new(*port, 1);
                spec.transport.remote_rtp = peer(n).into();
                spec.flow.source = source.into();
                spec.flow.rewriting = rewriting;
                spec.transport.rtcp = 4;
                spec.transport.media_timeout_ms = 0;
            });
            assert!(spec.formats.payloads.push(0, Codec::Pcmu));
            let (leg, number) = (leg(n), 0);
            let command = if second {
                Command::Update { leg, number, update: spec.into() }
            } else {
                Command::Open { leg, number, spec }
            };
            rig.worker.handle_command(rig.now, command, &mut rig.buffers, &mut rig.out);
        }
    }
    rig.clear();
    rig
}

impl Rig {
    fn clear(&mut self) {
        self.out.sends.clear();
        self.out.sockets.clear();
        self.out.events.clear();
        self.out.lateness.clear();
        self.buffers.end_turn();
    }

    /// One packet for each of the first 64 legs; copying them is part of what is measured, 172 bytes each.
    fn receive(&mut self, stride: usize, stranger: bool, connected: bool) {
        self.received.clear();
        self.seq = self.seq.wrapping_add(1);
        let packet = rtp_packet(1, self.seq);
        for n in (0..BATCH).map(|n| n * stride) {
            let span = self.buffers.fill(&packet).expect("a buffer");
            let from = match (stranger, connected) {
                (true, _) => peer(n + 30_000).into(),
                (false, true) => contract::Address::NONE,
                (false, false) => peer(n).into(),
            };
            self.received.push(Received { socket: SocketIndex(2 * n as u32), span, at: self.now, from });
        }
        self.now += Duration::from_millis(20);
    }

    fn relay(&mut self) {
        self.worker.handle_packets(self.now, &mut self.buffers, &self.received, &mut self.out);
    }
}

fn steps(criterion: &mut Criterion) {
    let bytes = rtp_packet(1, 7);
    criterion.bench_function("RTP parse", |bench| bench.iter(|| Header::parse(black_box(&bytes))));
    let mut changed = bytes.clone();
    let header = Header::parse(&bytes).expect("RTP");
    criterion.bench_function("RTP rewrite in place", |bench| {
        bench.iter(|| overwrite(black_box(&mut changed), &Header { seq: Seq(9), ssrc: Ssrc(8), ..header }));
    });
    let mut group = criterion.benchmark_group("batch of 64");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("copying 172 bytes only (part of the others)", |bench| {
        let mut rig = rig(BATCH, true, 0);
        bench.iter(|| {
            rig.receive(1, false, true);
            rig.clear();
        });
    });
    for (name, count, stride, rewriting) in [
        ("relay byte for byte, 64 legs", BATCH, 1, 0),
        ("relay rewriting, 64 legs", BATCH, 1, 1),
        ("relay byte for byte, 2,048 legs", 2_048, 32, 0),
    ] {
        group.bench_function(name, |bench| {
            let mut rig = rig(count, true, rewriting);
            rig.receive(stride, false, false);
            rig.relay();
            rig.clear();
            bench.iter(|| {
                rig.receive(stride, false, true);
                rig.relay();
                assert_eq!(rig.out.sends.len(), BATCH);
                rig.clear();
            });
        });
    }
    group.bench_function("latch check of strangers", |bench| {
        let mut rig = rig(BATCH, true, 0);
        // A peer that was found: who sends steadily before that is the peer.
        rig.receive(1, false, false);
        rig.relay();
        rig.clear();
        bench.iter(|| {
            rig.receive(1, true, false);
            rig.relay();
            assert_eq!(rig.out.sends.len(), 0);
            rig.clear();
        });
    });
    group.finish();
    let mut group = criterion.benchmark_group("1,000 legs with a tone");
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("20 ms of frames", |bench| {
        let mut rig = rig(1_000, false, 0);
        bench.iter(|| {
            for _ in 0..20 {
                rig.now += Duration::from_millis(1);
                let wall_now = WallTime::from_unix_nanos(rig.now.as_nanos());
                rig.worker.run_due(rig.now, wall_now, &mut rig.buffers, &mut rig.out);
            }
            rig.clear();
        });
    });
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
