//! Captures by the writer, read back by a reader that knows only the format.

use super::super::queues::{Recorder, RecordingInfo};
use super::super::writer::Writer;
use super::queue::PacketFacts;
use clock::{Duration, Instant};
use contract::{
    Address, ClockRate, FileOffer, LegRef, RecordingEnd, RecordingFormat, RecordingOutcome, RecordingShape,
};
use media_core::{Side, TapId};
use shm::{ClientIndex, ClientLife};
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

const CLIENT: ClientLife = ClientLife { index: ClientIndex(0), epoch: 1 };

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(1_000) + Duration::from_millis(ms)
}

fn leg(port: u16) -> LegRef {
    LegRef::new(port.into(), 1)
}

struct Scene {
    recorder: Arc<Recorder>,
    writer: Writer<fn(u8)>,
    file: File,
}

impl Scene {
    fn new() -> Self {
        Self::into(tempfile::tempfile().unwrap())
    }

    fn into(file: File) -> Self {
        let recorder = Arc::new(Recorder::new(2, Some("192.0.2.1".parse().unwrap())));
        let writer = Writer::new(recorder.clone(), (|_| {}) as fn(u8));
        Self { recorder, writer, file }
    }

    /// Begins a capture of the leg on a port.
    fn begin(&mut self, port: u16, shape: RecordingShape) -> TapId {
        let (leg, recording) = (leg(port), u64::from(port));
        self.recorder.take_file(CLIENT, FileOffer::new(leg, recording), self.file.try_clone().unwrap());
        let clock = ClockRate::default();
        let (number, client, worker, limit_s, began_at) = (7, CLIENT, 0, 60, at(0));
        let info = RecordingInfo { leg, port, number, recording, client, worker, shape, clock, limit_s, began_at };
        self.recorder.begin(info).unwrap()
    }

    fn push(&self, worker: u8, tap: TapId, (ms, side): (u64, Side), datagram: &[u8]) -> bool {
        let remote: SocketAddr = "198.51.100.7:4000".parse().unwrap();
        let facts = PacketFacts { at: at(ms), remote: remote.into(), local_port: 10_000, side };
        self.recorder.push_packet(worker, tap, facts, datagram)
    }

    /// Everything is written, and the capture is over.
    fn end(&mut self, tap: TapId, ms: u64) -> RecordingOutcome {
        self.recorder.end(tap, at(ms), RecordingEnd::Stopped);
        self.writer.pass(at(ms));
        self.writer.pass(at(ms + 10));
        self.recorder.next_outcome(0).expect("it is over").outcome
    }

    fn blocks(&self) -> Vec<Block> {
        let mut bytes = vec![0; self.file.metadata().unwrap().len() as usize];
        self.file.read_exact_at(&mut bytes, 0).unwrap();
        blocks(&bytes)
    }
}

/// What the tests look at of a block.
#[derive(Debug)]
struct Block {
    kind: u32,
    body: Vec<u8>,
}

impl Block {
    fn number(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.body[at..at + 4].try_into().unwrap())
    }

    /// Nanoseconds since 1970 of a packet.
    fn time(&self) -> u64 {
        u64::from(self.number(4)) << 32 | u64::from(self.number(8))
    }

    /// A packet from its IP header on.
    fn packet(&self) -> &[u8] {
        &self.body[20..20 + self.number(12) as usize]
    }
}

fn blocks(mut bytes: &[u8]) -> Vec<Block> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let count = number(4) as usize;
        assert!(count.is_multiple_of(4) && number(count - 4) as usize == count, "a block of {count} bytes");
        found.push(Block { kind: number(0), body: bytes[8..count - 4].to_vec() });
        bytes = &bytes[count..];
    }
    found
}

const SECTION: u32 = 0x0a0d_0d0a;

/// Two legs in one file, on two workers: each is an interface, and packets lie in the order of time.
#[test]
fn legs_share_a_file() {
    let mut scene = Scene::new();
    let shape = RecordingFormat::Pcapng.into();
    let (one, other) = (scene.begin(10_000, shape), scene.begin(10_002, shape));
    scene.writer.pass(at(1));
    let long: Vec<u8> = (0..1_300).map(|n| n as u8).collect();
    assert!(scene.push(1, other, (40, Side::Sent), &[3; 172]));
    assert!(scene.push(0, one, (20, Side::Received), &long) && scene.push(0, one, (60, Side::Sent), &[]));
    let (first, second) = (scene.end(one, 100), scene.end(other, 200));
    assert_eq!((first.end(), first.received_packets, first.sent_packets), (RecordingEnd::Stopped, 1, 1));
    assert_eq!((second.received_packets, second.sent_packets, second.overflow_packets), (0, 1, 0));
    assert_eq!((first.duration(), second.duration()), (Duration::from_millis(100), Duration::from_millis(200)));
    assert_eq!(second.file_bytes, scene.file.metadata().unwrap().len());
    let blocks = scene.blocks();
    let kinds: Vec<u32> = blocks.iter().map(|block| block.kind).collect();
    assert_eq!(kinds, [SECTION, 1, 1, 6, 6, 6]);
    let packets = &blocks[3..];
    let interfaces: Vec<u32> = packets.iter().map(|block| block.number(0)).collect();
    assert_eq!(interfaces, [0, 1, 0]);
    assert_eq!(packets[1].time() - packets[0].time(), 20_000_000);
    assert_eq!(packets[0].packet()[28..], long);
    // From the peer to the leg, with a good header of IPv4.
    let ip = packets[0].packet();
    assert_eq!((&ip[12..16], &ip[16..20]), (&[198, 51, 100, 7][..], &[192, 0, 2, 1][..]));
    assert_eq!((&ip[20..22], &ip[22..24]), (&4_000_u16.to_be_bytes()[..], &10_000_u16.to_be_bytes()[..]));
    let words = ip[..20].chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let sum: u32 = words.sum();
    assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    assert!(scene.writer.is_idle());
}

/// A file that goes on gets a section of its own; one that does not is written anew.
#[test]
fn a_file_goes_on_or_begins_anew() {
    let mut scene = Scene::new();
    let shape: RecordingShape = RecordingFormat::Pcapng.into();
    for (continues, sections) in [(false, 1), (true, 2), (true, 3), (false, 1)] {
        let tap = scene.begin(10_000, RecordingShape { continues, ..shape });
        scene.writer.pass(at(1));
        assert!(scene.push(0, tap, (20, Side::Received), &[1; 172]));
        scene.end(tap, 100);
        let blocks = scene.blocks();
        assert_eq!(blocks.iter().filter(|block| block.kind == SECTION).count(), sections);
        assert_eq!(blocks.len(), 3 * sections);
    }
}

/// Packets of a pause are left out, those without room counted, and the limits of time and size end it.
#[test]
fn pauses_limits_and_what_finds_no_room() {
    let mut scene = Scene::new();
    let shape: RecordingShape = RecordingFormat::Pcapng.into();
    let tap = scene.begin(10_000, shape);
    scene.writer.pass(at(1));
    for (ms, is_paused) in [(100, true), (200, false)] {
        assert!(scene.recorder.pause(tap, at(ms), is_paused));
    }
    for ms in (0..300).step_by(20) {
        assert!(scene.push(0, tap, (ms, Side::Received), &[1; 172]));
    }
    scene.writer.pass(at(300));
    let mut refused = 0;
    for _ in 0..20_000 {
        refused += u64::from(!scene.push(0, tap, (300, Side::Sent), &[1; 172]));
    }
    let outcome = scene.end(tap, 400);
    assert!(refused > 3_000);
    assert_eq!((outcome.received_packets, outcome.paused_ms, outcome.overflow_packets), (10, 100, refused));
    assert_eq!(outcome.sent_packets, 20_000 - refused);

    let small = RecordingShape { file_mb_max: 1, ..shape };
    let tap = scene.begin(10_000, small);
    scene.writer.pass(at(1));
    for _ in 0..900 {
        assert!(scene.push(0, tap, (20, Side::Received), &[1; 1_200]));
    }
    scene.writer.pass(at(20));
    let outcome = scene.recorder.next_outcome(0).expect("it is over").outcome;
    assert_eq!(outcome.end(), RecordingEnd::LimitReached);
    assert!((1_000_000..1_200_000).contains(&outcome.file_bytes) && !scene.recorder.is_running(tap));
    assert_eq!(scene.blocks().len(), 902);

    scene.begin(10_000, shape);
    scene.writer.pass(at(1));
    scene.writer.pass(at(60_000));
    let outcome = scene.recorder.next_outcome(0).expect("it is over").outcome;
    assert_eq!((outcome.end(), outcome.duration()), (RecordingEnd::LimitReached, Duration::from_secs(60)));
}

/// A disk that takes no more ends the captures of the file, and leaves whole blocks behind.
#[test]
fn a_full_disk_leaves_a_valid_file() {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
    let memory = memfd_create("small", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    let mut scene = Scene::into(memory.into());
    let tap = scene.begin(10_000, RecordingFormat::Pcapng.into());
    scene.writer.pass(at(1));
    assert!(scene.push(0, tap, (20, Side::Received), &[1; 172]));
    scene.writer.pass(at(400));
    let before = scene.file.metadata().unwrap().len();
    ftruncate(&scene.file, before).unwrap();
    fcntl_add_seals(&scene.file, SealFlags::GROW).unwrap();
    assert!(scene.push(0, tap, (420, Side::Received), &[1; 172]));
    let outcome = scene.end(tap, 500);
    assert_eq!(outcome.end(), RecordingEnd::WriteFailed);
    assert!(outcome.os_error != 0);
    assert_eq!(scene.file.metadata().unwrap().len(), before);
    scene.blocks();
}

/// IPv6 has its checksum of UDP (RFC 8200 §8.1), and an unknown end the unspecified address.
#[test]
fn ipv6_and_unknown_ends() {
    let mut scene = Scene::new();
    let recorder = Arc::new(Recorder::new(1, Some("2001:db8::1".parse().unwrap())));
    scene.writer = Writer::new(recorder.clone(), (|_| {}) as fn(u8));
    scene.recorder = recorder;
    let tap = scene.begin(10_000, RecordingFormat::Pcapng.into());
    scene.writer.pass(at(1));
    let remote: SocketAddr = "[2001:db8::2]:4000".parse().unwrap();
    for remote in [remote.into(), Address::NONE] {
        let facts = PacketFacts { at: at(10), remote, local_port: 10_001, side: Side::Received };
        assert!(scene.recorder.push_packet(0, tap, facts, &[1, 2, 3]));
    }
    scene.end(tap, 100);
    let blocks = scene.blocks();
    let ip = blocks[2].packet();
    assert_eq!((ip[0] >> 4, ip[6], ip.len()), (6, 17, 40 + 8 + 3));
    let mut sum: u32 = 17 + 11;
    let padded = [&ip[8..], &[0]].concat();
    sum += padded.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum::<u32>();
    assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    assert_eq!(blocks[3].packet()[8..24], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]);
}
