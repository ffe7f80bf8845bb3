//! The thread of a media worker allocates nothing while it relays and records: every allocation of that one thread is
//! counted, with real sockets, a real ring and a real writer beside it.

use clock::Duration;
use config::Config;
use contract::{Codec, Command, Event, FileOffer, LegRef, LegSpec, RecordingLayout, Source};
use mediad::Media;
use shm::{ClientEnd, WorkerIndex};
use std::alloc::{GlobalAlloc, Layout, System};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::Relaxed};

struct Counting;

/// The thread that is watched; 0: none.
static WATCHED: AtomicI32 = AtomicI32::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let watched = WATCHED.load(Relaxed);
        if watched != 0 && rustix::thread::gettid().as_raw_nonzero().get() == watched {
            ALLOCATIONS.fetch_add(1, Relaxed);
        }
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

const W0: WorkerIndex = WorkerIndex(0);

fn worker_thread() -> i32 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("proc is there").flatten();
    let is_worker =
        |path: &std::path::Path| std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "media-0");
    let task = tasks.map(|task| task.path()).find(|path| is_worker(path)).expect("the worker runs");
    task.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok()).expect("a number")
}

fn answer(client: &mut ClientEnd) -> Event {
    loop {
        match client.pop() {
            Some((_, Ok(Event::Latched { .. }))) | None => std::thread::yield_now(),
            Some((_, event)) => return event.expect("a sound event"),
        }
    }
}

#[test]
fn a_worker_that_relays_and_records_allocates_nothing() {
    // The counter counts.
    WATCHED.store(rustix::thread::gettid().as_raw_nonzero().get(), Relaxed);
    drop(std::hint::black_box(Box::new(1_u8)));
    WATCHED.store(0, Relaxed);
    assert_eq!(ALLOCATIONS.swap(0, Relaxed), 1);
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = Config::default();
    config.process.runtime_dir = folder.path().into();
    config.media.workers = 1;
    let first = 36_000 + (std::process::id() % 64) as u16 * 128;
    (config.media.ports.first, config.media.ports.last) = (first, first + 63);
    let media = Media::start(&config).expect("it starts");
    let stream = UnixStream::connect(config.process.media_control_socket()).expect("it listens");
    let mut client = shm::accept_offer(&stream, Duration::from_secs(60)).expect("a region");

    let phones = [0, 1].map(|_| UdpSocket::bind("127.0.0.1:0").expect("a socket"));
    let taken = [0, 1].map(|_| client.reserve(W0).expect("a port"));
    let legs: [LegRef; 2] = taken.map(|taken| taken.leg);
    let spec = |n: usize, source: Source| {
        let remote = phones[n].local_addr().expect("bound");
        let mut spec = LegSpec::default().with(|spec| {
            spec.transport.port = taken[n].port;
            spec.transport.remote_rtp = remote.into();
            spec.flow.source = source.into();
        });
        assert!(spec.formats.payloads.push(0, Codec::Pcmu));
        spec
    };
    for (n, leg) in legs.into_iter().enumerate() {
        client.push(W0, &Command::Open { leg, number: 1, spec: spec(n, Source::None) }).expect("room");
        assert_eq!(answer(&mut client), Event::Opened { leg, number: 1 });
    }
    for (n, leg) in legs.into_iter().enumerate() {
        let spec = spec(n, Source::Leg(legs[1 - n]));
        client.push(W0, &Command::Update { leg, number: 1, update: spec.into() }).expect("room");
        assert_eq!(answer(&mut client), Event::Updated { leg, number: 1 });
        let file = tempfile::tempfile().expect("a file");
        shm::give_file(&stream, &FileOffer::new(leg, 1), &file).expect("room");
        let layout = RecordingLayout::Stereo;
        client
            .push(W0, &Command::StartRecording { leg, number: 1, recording: 1, shape: layout.into(), limit_s: 60 })
            .expect("room");
        assert_eq!(answer(&mut client), Event::RecordingStarted { leg, number: 1, recording: 1 });
    }
    for seq in 0..3_000_u16 {
        for (phone, taken) in phones.iter().zip(taken) {
            let mut packet = [0x80; 172];
            packet[1] = 0;
            packet[2..4].copy_from_slice(&seq.to_be_bytes());
            packet[4..8].copy_from_slice(&(u32::from(seq) * 160).to_be_bytes());
            packet[8..12].copy_from_slice(&7_u32.to_be_bytes());
            phone.send_to(&packet, ("127.0.0.1", taken.port.rtp)).expect("loopback takes it");
        }
        if seq == 500 {
            WATCHED.store(worker_thread(), Relaxed);
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    WATCHED.store(0, Relaxed);
    for leg in legs {
        client.push(W0, &Command::StopRecording { leg, number: 1, recording: 1 }).expect("room");
    }
    for _ in legs {
        let Event::RecordingEnded { outcome, .. } = answer(&mut client) else { panic!("an outcome") };
        assert!(
            outcome.received_packets + outcome.late_packets > 2_000 && outcome.overflow_packets == 0,
            "{outcome:?}"
        );
    }
    assert_eq!(ALLOCATIONS.load(Relaxed), 0, "allocations of the worker");
    drop(media);
}
