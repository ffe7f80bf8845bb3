//! The behaviour that a worker must show over every back end. Each function is one test; it panics where it fails.
//!
//! A back end implements [`Lab`] once (the simulated one in its tests, the io_uring one over loopback) and calls
//! [`run_all`] with a fresh lab for each.

mod bad_input;
mod latching;
mod patience;
mod proving;
mod relaying;
mod reports;
mod restarting;
mod rooms;
mod sound;
mod tapping;
pub(crate) mod transcoding;

use crate::io::{Buffers, Output, PacketIo, Received, SocketIndex};
use crate::{Tapped, Worker, WorkerConfig};
use clock::{Duration, Instant, WallTime};
use contract::{CloseReason, Codec, Command, Event, LegRef, LegRow, LegSpec, PortRef, Source};
use rtp_wire::{FIXED_HEADER_BYTES, Header, RtpTime, Seq, Ssrc};
use stats::MediaCounter;
use std::cell::Cell;
use std::io::Write;
use std::net::{Ipv6Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// A back end with peers around it.
pub trait Lab {
    /// The back end.
    type Io: PacketIo;
    /// The back end, with its sockets bound.
    fn io(&mut self) -> &mut Self::Io;
    /// The time.
    fn now(&mut self) -> Instant;
    /// Names of its socket pairs, as RTP ports: at least three. They need not be where [`Lab::address`] is.
    fn ports(&self) -> Vec<u16>;
    /// Where peers reach a socket.
    fn address(&self, socket: SocketIndex) -> SocketAddr;
    /// One more peer, on IPv4.
    fn add_peer(&mut self) -> usize;
    /// One more peer, on IPv6; `None` where the host has none. It reaches the sockets on `::1`.
    fn add_peer_v6(&mut self) -> Option<usize>;
    /// Time passes in which nobody turns the worker.
    fn stall(&mut self, time: Duration);
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
    /// Sound of recorded legs so far, with its bytes.
    pub tapped: Vec<(Tapped, Vec<u8>)>,
    received: Vec<Received>,
    output: Output,
}

impl<L: Lab> Scene<L> {
    /// A worker over the lab, with RTCP every 200 ms on average so that tests are short.
    pub fn new(lab: L) -> Self {
        let mut config = WorkerConfig::new(3, lab.ports());
        config.rtcp_interval = Duration::from_millis(200);
        config.prompts = [audio::Prompt::new(&[4_000; 500]), sound::wideband_prompt()].into();
        config.seed = 7;
        Self {
            lab,
            worker: Worker::new(config),
            events: Vec::new(),
            closed: Vec::new(),
            tapped: Vec::new(),
            received: Vec::with_capacity(64),
            output: Output::with_limits(1_024, 64),
        }
    }

    /// The leg on the lab's `n`th port. Its row says nothing of that.
    pub fn leg(&self, n: usize) -> LegRef {
        LegRef::new((self.lab.ports().len() - 1 - n) as u32, 1)
    }

    /// The same in a later life.
    pub fn leg_again(&self, n: usize, generation: u32) -> LegRef {
        LegRef::new(self.leg(n).row, generation)
    }

    /// The spec with the lab's `n`th port.
    pub fn at_port(&self, n: usize, spec: LegSpec) -> LegSpec {
        spec.with(|spec| spec.transport.port = PortRef::new(self.lab.ports()[n], 1))
    }

    /// Where RTP of the `n`th port goes.
    pub fn rtp(&self, n: u32) -> SocketAddr {
        self.lab.address(SocketIndex(2 * n))
    }

    /// Where RTCP of the `n`th port goes.
    pub fn rtcp(&self, n: u32) -> SocketAddr {
        self.lab.address(SocketIndex(2 * n + 1))
    }

    /// Where RTP of the `n`th port goes from a peer on IPv6.
    pub fn rtp_v6(&self, n: u32) -> SocketAddr {
        (Ipv6Addr::LOCALHOST, self.rtp(n).port()).into()
    }

    /// Gives a command in a turn of its own.
    pub fn command(&mut self, command: Command) {
        let now = self.lab.now();
        self.worker.handle_command(now, command, self.lab.io().buffers(), &mut self.output);
        self.finish();
    }

    /// Opens the `n`th leg.
    pub fn open(&mut self, n: usize, spec: LegSpec) {
        let (leg, spec) = (self.leg(n), self.at_port(n, spec));
        self.command(Command::Open { leg, number: n as u64, spec });
        assert!(self.events.contains(&Event::Opened { leg, number: n as u64 }), "{:?}", self.events);
    }

    /// Changes the `n`th leg.
    pub fn update(&mut self, n: usize, spec: LegSpec) {
        let (leg, spec) = (self.leg(n), self.at_port(n, spec));
        self.command(Command::Update { leg, number: n as u64, update: spec.into() });
        assert_eq!(self.events.last(), Some(&Event::Updated { leg, number: n as u64 }));
    }

    /// Turns of the worker for so long.
    pub fn run(&mut self, time: Duration) {
        let end = self.lab.now() + time;
        loop {
            let until = self.worker.deadline().unwrap_or(end).min(end);
            self.lab.io().wait(until, &mut self.received).expect("the back end waits");
            let now = self.lab.now();
            note_lateness(now.since(until));
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

    /// Closes all legs, as a process does that ends.
    pub fn close_all(&mut self, reason: CloseReason) {
        let now = self.lab.now();
        while !self.worker.close_all(now, reason, self.lab.io().buffers(), &mut self.output) {
            self.finish();
        }
        self.finish();
    }

    /// What was counted.
    pub fn count(&self, counter: MediaCounter) -> u64 {
        self.worker.counts().get(counter)
    }

    fn finish(&mut self) {
        self.events.append(&mut self.output.events);
        self.closed.append(&mut self.output.closed);
        for tapped in self.output.taps.drain(..) {
            self.tapped.push((tapped, self.lab.io().buffers().bytes(tapped.payload).to_vec()));
        }
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

    /// Two legs that send what the other receives, with peers of the first and the second one, by specs made from those.
    pub fn bridge(&mut self, change: impl Fn(usize, &mut LegSpec)) -> (usize, usize) {
        let peers = (self.lab.add_peer(), self.lab.add_peer());
        self.bridge_to(peers, change);
        peers
    }

    /// The same with peers that are there.
    pub fn bridge_to(&mut self, (a, b): (usize, usize), change: impl Fn(usize, &mut LegSpec)) {
        let spec = |scene: &Self, n: usize, source| {
            let mut spec = scene.spec(if n == 0 { a } else { b }, source);
            change(n, &mut spec);
            spec
        };
        self.open(0, spec(self, 0, Source::None));
        self.open(1, spec(self, 1, Source::Leg(self.leg(0))));
        self.update(0, spec(self, 0, Source::Leg(self.leg(1))));
    }

    /// A spec for PCMU and telephone events with a peer.
    pub fn spec(&self, peer: usize, source: Source) -> LegSpec {
        let mut spec = LegSpec::default().with(|spec| {
            spec.transport.remote_rtp = self.lab.peer_address(peer).into();
            spec.flow.source = source.into();
        });
        assert!(spec.formats.payloads.push(0, Codec::Pcmu) && spec.formats.payloads.push(101, Codec::TelephoneEvent));
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

/// A telephone-event packet of a peer.
pub fn event_packet(ssrc: u32, seq: u16, time: u32, event: u8, end: bool) -> Vec<u8> {
    let mut bytes = rtp_packet(ssrc, seq)[..FIXED_HEADER_BYTES + 4].to_vec();
    bytes[1] = 101;
    bytes[4..8].copy_from_slice(&time.to_be_bytes());
    bytes[12..16].copy_from_slice(&rtp_wire::TelephoneEvent { event, end, volume: 10, duration: 160 }.write());
    bytes
}

fn headers(packets: &[Vec<u8>]) -> Vec<Header> {
    packets.iter().map(|bytes| Header::parse(bytes).expect("RTP")).collect()
}

/// A test by its name.
pub type Test<L> = (&'static str, fn(L));

/// Every test.
pub fn tests<L: Lab>() -> Vec<Test<L>> {
    [
        sound::tests(),
        relaying::tests(),
        latching::tests(),
        restarting::tests(),
        proving::tests(),
        patience::tests(),
        reports::tests(),
        bad_input::tests(),
        tapping::tests(),
        transcoding::tests(),
        rooms::tests(),
    ]
    .concat()
}

/// A worker that gets no processor for so long cannot keep what peers sent meanwhile, and no test can ask it to.
const STALL: Duration = Duration::from_millis(30);
/// Second tries of all tests of one run of the suite together; one more fails it.
const SECOND_TRIES_MAX: usize = 10;

thread_local! {
    /// How late the worker of the running test was woken at worst. Always zero in virtual time.
    static LATENESS: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

fn note_lateness(late: Duration) {
    LATENESS.with(|worst| worst.set(worst.get().max(late)));
}

/// Runs every test, each with a lab of its own, on so many threads. A test that fails while the host, and not the worker, was
/// late gets a second try; what needed one is reported with its count. Any other failure counts.
pub fn run_all<L: Lab>(threads: usize, lab: impl Fn() -> L + Sync) {
    run_some(threads, 1, lab);
}

/// The same with every `nth` test only.
pub fn run_some<L: Lab>(threads: usize, nth: usize, lab: impl Fn() -> L + Sync) {
    let tests: Vec<Test<L>> = tests().into_iter().step_by(nth.max(1)).collect();
    let (next, second_tries) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((name, test)) = tests.get(next.fetch_add(1, Relaxed)) {
            run_one(name, *test, &lab, &second_tries);
        }
    };
    let outcome = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut outcomes = vec![catch_unwind(AssertUnwindSafe(work))];
        outcomes.extend(others.into_iter().map(|other| other.join()));
        outcomes.into_iter().collect::<Result<(), _>>()
    });
    report(&second_tries.lock().unwrap_or_else(PoisonError::into_inner), tests.len());
    if let Err(failure) = outcome {
        resume_unwind(failure);
    }
}

fn run_one<L: Lab>(name: &str, test: fn(L), lab: &impl Fn() -> L, second_tries: &Mutex<Vec<String>>) {
    loop {
        eprintln!("{name}");
        LATENESS.set(Duration::ZERO);
        let lab = lab();
        let Err(failure) = catch_unwind(AssertUnwindSafe(|| test(lab))) else { return };
        let late = LATENESS.get();
        let mut second_tries = second_tries.lock().unwrap_or_else(PoisonError::into_inner);
        if late < STALL || second_tries.len() == SECOND_TRIES_MAX {
            drop(second_tries);
            resume_unwind(failure);
        }
        second_tries.push(format!("{name}, while the host was {} ms late", late.as_millis()));
    }
}

/// Prints past the test harness, which keeps back what a passing test prints, and adds to the list that `make test` shows
/// at its end (`RINGPLANE_SECOND_TRIES` names its file).
fn report(second_tries: &[String], tests_count: usize) {
    let count = second_tries.len();
    let mut lines: String = second_tries.iter().map(|what| format!("SECOND TRY {what}\n")).collect();
    lines +=
        &format!("SECOND TRIES {count} of {tests_count} tests of the behaviour suite, at most {SECOND_TRIES_MAX}\n");
    if count > 0 {
        std::io::stderr().write_all(lines.as_bytes()).expect("stderr is there");
    }
    if let Some(list) = std::env::var_os("RINGPLANE_SECOND_TRIES") {
        let list = std::fs::File::options().create(true).append(true).open(list);
        list.and_then(|mut list| list.write_all(lines.as_bytes())).expect("the list of second tries is writable");
    }
}
