//! What 5,000 relayed legs take of a worker's heap, with digits on some of them.

use clock::{Duration, Instant, WallTime};
use contract::{Codec, Command, LegRef, LegSpec, PortRef, Source};
use media_core::io::Output;
use media_core::sim::SimBuffers;
use media_core::{LEG_BYTES, Worker, WorkerConfig};
use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Counting;

static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE_BYTES.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller keeps the promises of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the pointer came from `alloc` above, which is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const LEGS: usize = 5_000;
/// Of every so many legs one sends a digit.
const DIGITS_EVERY: usize = 50;

#[test]
fn five_thousand_legs_take_less_than_a_kilobyte_each() {
    let ports: Vec<u16> = (0..LEGS as u16).map(|n| 10_000 + 2 * n).collect();
    let (mut buffers, mut out) = (SimBuffers::new(64), Output::with_limits(LEGS, 4 * LEGS));
    let config = WorkerConfig::new(0, ports.clone());
    let before = LIVE_BYTES.load(Relaxed);
    let mut worker = Worker::new(config);
    let set_aside = LIVE_BYTES.load(Relaxed) - before;
    let mut now = Instant::ZERO + Duration::from_secs(5);
    let leg = |n: usize| LegRef::new(n as u32, 1);
    let spec = |n: usize, source: Source| {
        let remote_rtp = SocketAddr::from(([192, 0, 2, 1], 20_000 + n as u16)).into();
        let mut spec = LegSpec::default().with(|spec| {
            spec.transport.port = PortRef::new(ports[n], 1);
            spec.transport.remote_rtp = remote_rtp;
            spec.flow.source = source.into();
        });
        assert!(spec.formats.payloads.push(0, Codec::Pcmu) && spec.formats.payloads.push(101, Codec::TelephoneEvent));
        spec
    };
    for n in 0..LEGS {
        let open = Command::Open { leg: leg(n), number: 0, spec: spec(n, Source::None) };
        worker.handle_command(now, open, &mut buffers, &mut out);
    }
    for n in 0..LEGS {
        let update = Command::Update { leg: leg(n), number: 0, update: spec(n, Source::Leg(leg(n ^ 1))).into() };
        worker.handle_command(now, update, &mut buffers, &mut out);
    }
    for n in (0..LEGS).step_by(DIGITS_EVERY) {
        let press = Command::SendDigit { leg: leg(n), number: 0, digit: 5, duration_ms: 100 };
        worker.handle_command(now, press, &mut buffers, &mut out);
    }
    now += Duration::from_secs(1);
    worker.run_due(now, WallTime::from_unix_nanos(now.as_nanos()), &mut buffers, &mut out);
    assert_eq!((worker.leg_count(), out.events.len()), (LEGS, 2 * LEGS), "all opened, updated, none refused");
    let bytes = LIVE_BYTES.load(Relaxed) - before;
    println!(
        "{} bytes a leg, {} of them its state; {set_aside} set aside before the first leg",
        bytes / LEGS,
        LEG_BYTES
    );
    assert!(bytes < LEGS * 1_024, "{} bytes a leg", bytes / LEGS);

    worker.give_back_memory();
    assert_eq!(worker.leg_count(), LEGS, "not while one is open");
    for n in 0..LEGS {
        let mut closed = Output::with_limits(4, 4);
        worker.handle_command(now, Command::Close { leg: leg(n), number: 0 }, &mut buffers, &mut closed);
    }
    assert_eq!(worker.leg_count(), 0);
    worker.give_back_memory();
    assert_eq!(worker.place_count(), 0, "a new table");
    let left = LIVE_BYTES.load(Relaxed) - before;
    assert!(left <= set_aside + 64 * 1_024, "{left} bytes where {set_aside} were set aside");
    let mut again = Output::with_limits(4, 4);
    worker.handle_command(
        now,
        Command::Open { leg: leg(7), number: 1, spec: spec(7, Source::None) },
        &mut buffers,
        &mut again,
    );
    assert!(worker.row(leg(7)).is_some() && worker.leg_count() == 1);
}
