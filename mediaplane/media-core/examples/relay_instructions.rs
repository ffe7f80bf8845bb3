//! Relays packets of one leg to another, for callgrind: `relay_instructions PACKETS [pcmu|g722|opus]`. With a codec, the packets are
//! searched for digits as tones. The difference between two runs, divided by the packets, is the cost of one.

use clock::{Duration, Instant};
use contract::{Codec, Command, LegRef, LegSpec, PortRef, Rewriting, Source};
use media_core::io::{Output, Received, SocketIndex};
use media_core::sim::SimBuffers;
use media_core::suite::rtp_packet;
use media_core::{Worker, WorkerConfig};
use std::net::SocketAddr;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let packets: u16 = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1_000);
    let searched = arguments.next();
    let codec = match searched.as_deref() {
        Some("g722") => Codec::G722,
        Some("opus") => Codec::Opus,
        _ => Codec::Pcmu,
    };
    let mut worker = Worker::new(WorkerConfig::new(0, vec![10_000, 10_002]));
    let (mut buffers, mut out) = (SimBuffers::new(64), Output::with_limits(64, 64));
    let mut now = Instant::ZERO + Duration::from_secs(5);
    let peer = |n: u16| SocketAddr::from(([192, 0, 2, 1], 20_000 + n));
    let leg = |n: u16| LegRef::new(n.into(), 1);
    let spec = |n: u16, source: Source| {
        let mut spec = LegSpec::default().with(|spec| {
            spec.transport.port = PortRef::new(10_000 + 2 * n, 1);
            spec.transport.remote_rtp = peer(n).into();
            spec.flow.source = source.into();
            spec.flow.rewriting = Rewriting::Continuous as u8;
            spec.flow.digits = spec.flow.digits.listening(searched.is_some());
        });
        assert!(spec.formats.payloads.push(0, codec));
        spec
    };
    for n in [0, 1] {
        let open = Command::Open { leg: leg(n), number: 0, spec: spec(n, Source::None) };
        worker.handle_command(now, open, &mut buffers, &mut out);
    }
    for n in [0, 1] {
        let update = Command::Update { leg: leg(n), number: 0, update: spec(n, Source::Leg(leg(1 - n))).into() };
        worker.handle_command(now, update, &mut buffers, &mut out);
    }
    // One sound for all: a sweep of codes for G.711 and G.722, 20 ms of silence for Opus.
    let mut packet = rtp_packet(7, 0);
    packet[12..].iter_mut().enumerate().for_each(|(at, code)| *code = (at * 37) as u8);
    if codec == Codec::Opus {
        packet.truncate(12);
        packet.extend([0xf8, 0xff, 0xfe]);
    }
    for seq in 0..packets {
        packet[2..4].copy_from_slice(&seq.to_be_bytes());
        packet[4..8].copy_from_slice(&(u32::from(seq) * if codec == Codec::Opus { 960 } else { 160 }).to_be_bytes());
        let Some(span) = buffers.fill(&packet) else { return };
        let received = [Received { socket: SocketIndex(0), span, at: now, from: peer(0).into() }];
        worker.handle_packets(now, &mut buffers, &received, &mut out);
        assert_eq!(out.sends.len(), 1, "it is relayed");
        out.sends.clear();
        out.sockets.clear();
        out.events.clear();
        buffers.end_turn();
        now += Duration::from_millis(20);
    }
}
