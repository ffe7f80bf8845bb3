//! After set-up a worker allocates nothing: counted over two million relayed packets and half a minute of tones, half of
//! them recorded, some heard by a program, one that a program speaks on, and a room with members of four codecs. Some legs are
//! searched for digits, and the voice of some is processed.

use clock::{Duration, Instant, WallTime};
use contract::{Codec, Command, LegRef, LegSpec, PortRef, RoomMember, Source};
use media_core::io::{Output, Received, SocketIndex};
use media_core::sim::SimBuffers;
use media_core::suite::rtp_packet;
use media_core::{Block, Program, ProgramState, TapId, Worker, WorkerConfig};
use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, which is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const LEGS: usize = 64;
const TONES: usize = 8;
/// Relayed legs whose sound is searched for tones of digits.
const LISTENING: usize = 8;
/// Relayed legs whose sound is brought to one level, and of which it is told when the peer speaks.
const PROCESSED: usize = 4;
/// The members of the room: payload type, codec, and whether the others hear them.
const MEMBERS: [(u8, Codec, bool); 8] = [
    (0, Codec::Pcmu, true),
    (8, Codec::Pcma, true),
    (9, Codec::G722, true),
    (0, Codec::Pcmu, false),
    (0, Codec::Pcmu, false),
    (9, Codec::G722, false),
    (96, Codec::Opus, false),
    (96, Codec::Opus, false),
];
/// The first leg that is a member.
const FIRST_MEMBER: usize = LEGS + TONES;
/// Turns of 1 ms until every leg has sent and every encoder of the room is there.
const SET_UP_TURNS: u32 = 100;

#[test]
fn relaying_tones_and_recording_allocate_nothing() {
    let ports: Vec<u16> = (0..(FIRST_MEMBER + MEMBERS.len()) as u16).map(|n| 10_000 + 2 * n).collect();
    let mut worker = Worker::new(WorkerConfig::new(0, ports.clone()));
    let mut buffers = SimBuffers::new(1_024);
    let mut out = Output::with_limits(512, 256);
    let mut now = Instant::ZERO + Duration::from_secs(5);
    let peer = |n: usize| SocketAddr::from(([192, 0, 2, 1], 20_000 + n as u16));
    let spec = |n: usize, source: Source| {
        let mut spec = LegSpec::default().with(|spec| {
            spec.transport.port = PortRef::new(ports[n], 1);
            spec.transport.remote_rtp = peer(n).into();
            spec.flow.source = source.into();
            spec.flow.digits = spec.flow.digits.listening(n < LISTENING);
            let is_processed = (LISTENING..LISTENING + PROCESSED).contains(&n);
            spec.formats.voice = spec.formats.voice.with_gain(is_processed).with_activity(is_processed);
        });
        assert!(spec.formats.payloads.push(0, Codec::Pcmu));
        spec
    };
    let leg = |n: usize| LegRef::new(n as u32, 1);
    for n in 0..LEGS {
        worker.handle_command(
            now,
            Command::Open { leg: leg(n), number: 0, spec: spec(n, Source::None) },
            &mut buffers,
            &mut out,
        );
    }
    for n in 0..LEGS {
        // Half of them renumbers what it relays.
        let spec = spec(n, Source::Leg(leg(n ^ 1))).with(|spec| spec.flow.rewriting = (n % 4 / 2) as u8);
        worker.handle_command(
            now,
            Command::Update { leg: leg(n), number: 0, update: spec.into() },
            &mut buffers,
            &mut out,
        );
    }
    for n in LEGS..LEGS + TONES {
        let spec = spec(n, Source::Tone440).with(|spec| spec.transport.media_timeout_ms = 0);
        worker.handle_command(now, Command::Open { leg: leg(n), number: 0, spec }, &mut buffers, &mut out);
    }
    for (index, (payload_type, codec, is_heard)) in MEMBERS.into_iter().enumerate() {
        let n = FIRST_MEMBER + index;
        let member = RoomMember { is_muted: !is_heard, ..RoomMember::of(1) };
        let mut spec = spec(n, Source::Room(member));
        spec.formats.payloads = Default::default();
        assert!(spec.formats.payloads.push(payload_type, codec));
        worker.handle_command(now, Command::Open { leg: leg(n), number: 0, spec }, &mut buffers, &mut out);
    }
    assert_eq!(worker.room_count(), (1, MEMBERS.len()));
    // Half of all is recorded.
    for n in (0..LEGS + TONES).step_by(2) {
        worker.tap(leg(n), NonZeroU64::new(n as u64 + 1).map(TapId)).expect("the leg is open");
    }
    let program = |n: usize, speaks| {
        let id = TapId(NonZeroU64::new(n as u64 + 1).expect("not 0"));
        let program = Arc::new(Program::new(id, [true, true], speaks));
        program.set_state(ProgramState::Connected);
        program
    };
    for n in (0..LEGS).step_by(8) {
        worker.connect_program(now, leg(n), Some(program(n, false))).expect("the leg is open");
    }
    let speaker = program(LEGS, true);
    worker.connect_program(now, leg(LEGS), Some(speaker.clone())).expect("the leg is open");
    let mut received = Vec::with_capacity(LEGS + MEMBERS.len());
    let (mut sent, mut said, mut tapped, mut heard) = (0, 0, 0, 0);
    let mut packet = rtp_packet(1, 0);
    let mut speech = rtp_packet(2, 0);
    let mut start = 0;
    const TURNS: u32 = 32_000;
    for turn in 0..TURNS {
        if turn == SET_UP_TURNS {
            start = ALLOCATIONS.load(Ordering::Relaxed);
        }
        buffers.end_turn();
        received.clear();
        packet[2..4].copy_from_slice(&(turn as u16).to_be_bytes());
        for n in 0..LEGS {
            let span = buffers.fill(&packet).expect("a buffer");
            received.push(Received { socket: SocketIndex(2 * n as u32), span, at: now, from: peer(n).into() });
        }
        speech[2..4].copy_from_slice(&((turn / 20) as u16).to_be_bytes());
        speech[4..8].copy_from_slice(&(turn * 8).to_be_bytes());
        for (index, (payload_type, ..)) in
            MEMBERS.into_iter().enumerate().filter(|(_, member)| member.2 && turn % 20 == 0)
        {
            speech[1] = payload_type;
            let span = buffers.fill(&speech).expect("a buffer");
            let n = FIRST_MEMBER + index;
            received.push(Received { socket: SocketIndex(2 * n as u32), span, at: now, from: peer(n).into() });
        }
        if turn > 0 {
            // The first packet of each made the socket connected.
            received.iter_mut().for_each(|packet| packet.from = contract::Address::NONE);
        }
        worker.handle_packets(now, &mut buffers, &received, &mut out);
        worker.run_due(now, WallTime::from_unix_nanos(now.as_nanos()), &mut buffers, &mut out);
        sent += out.sends.len();
        let members = 2 * FIRST_MEMBER as u32..;
        said += out.sends.iter().filter(|send| members.contains(&send.socket.0)).count();
        tapped += out.taps.len();
        out.taps.clear();
        heard += out.program_taps.len();
        out.program_taps.clear();
        while speaker.push(Block::new(&[1_000; 80]).expect("10 ms")) {}
        out.sends.clear();
        out.sockets.clear();
        out.events.clear();
        out.lateness.clear();
        now += Duration::from_millis(1);
    }
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - start;
    assert!(sent >= LEGS * TURNS as usize, "{sent} packets sent");
    assert!(tapped >= LEGS * TURNS as usize, "{tapped} packets of recorded legs");
    assert!(heard >= LEGS / 8 * TURNS as usize, "{heard} packets of legs that a program hears");
    assert!(speaker.played() > 2 * u64::from(TURNS) / 20 - 10, "{} blocks of a program", speaker.played());
    assert!(said >= MEMBERS.len() * (TURNS as usize / 20 - 2), "{said} packets to members of the room");
    assert_eq!(allocations, 0, "allocations in {sent} packets");
}
