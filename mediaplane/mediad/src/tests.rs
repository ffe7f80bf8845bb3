//! A whole media plane with real sockets, and control clients that take the region over a real Unix socket.

mod adoption;
mod clients;
mod faults;
mod flood;
mod kept;
mod ports;
mod recorded;
mod simulated;
mod sound;
mod streamed;
mod transfers;
mod waiting;

use crate::Media;
use clock::Duration;
use config::Config;
use contract::{Codec, Command, Event, LegRef, LegRow, LegSpec, LegState, PayloadMap, RtcpMode, Source};
use ports::{give_back, take, to, with_port};
use rtp_wire::Header;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use shm::{ClientEnd, WorkerIndex};
use stats::MediaCounter;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// A command with this number makes its worker panic.
pub(crate) const PANIC_NUMBER: u64 = 0x7061_6e69_6321;
/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(60);
const PORTS: u16 = 64;

/// Ranges that do not meet: each test takes the next one, from a place that depends on the process.
fn ports() -> (u16, u16) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 20_000 + (std::process::id() % 32) as u16 * 256;
    let first = start + NEXT.fetch_add(1, Relaxed) * PORTS;
    (first, first + PORTS - 1)
}

struct Plane {
    media: Option<Media>,
    config: Config,
    _folder: tempfile::TempDir,
}

impl Plane {
    fn new(workers: usize) -> Self {
        Self::with(workers, |_| {})
    }

    fn with(workers: usize, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.process.runtime_dir = folder.path().into();
        config.media.workers = workers;
        (config.media.ports.first, config.media.ports.last) = ports();
        change(&mut config);
        let media = Media::start(&config).unwrap_or_else(|error| panic!("{error}"));
        Self { media: Some(media), config, _folder: folder }
    }

    fn client(&self) -> Client {
        let stream = UnixStream::connect(self.config.process.media_control_socket()).unwrap();
        let end = shm::accept_offer(&stream, PATIENCE).unwrap();
        Client { end, stream }
    }

    fn media(&self) -> &Media {
        self.media.as_ref().expect("it runs")
    }

    fn count(&self, counter: MediaCounter) -> u64 {
        let region = self.media().host().region();
        region.plan().workers().map(|worker| region.media_counters(worker).read().get(counter)).sum()
    }

    fn free_ports(&self) -> usize {
        let region = self.media().host().region();
        region.plan().workers().map(|worker| region.ports().levels(worker).free).sum()
    }

    fn stop(mut self) {
        drop(self.media.take());
    }
}

struct Client {
    end: ClientEnd,
    stream: UnixStream,
}

const W0: WorkerIndex = WorkerIndex(0);

impl Client {
    fn command(&mut self, worker: WorkerIndex, command: Command) {
        self.end.push(worker, &with_port(command)).unwrap();
    }

    /// The next event of any worker, woken by the client's descriptor as a real one is.
    fn event(&mut self) -> Event {
        let until = clock::now() + PATIENCE;
        loop {
            if let Some((_, event)) = self.end.pop() {
                return event.unwrap();
            }
            assert!(clock::now() < until, "no event came");
            if self.end.prepare_sleep() {
                let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
                poll(&mut [PollFd::new(self.end.wake_fd(), PollFlags::IN)], Some(&patience)).unwrap();
                self.end.wake_fd().drain();
            }
            self.end.cancel_sleep();
        }
    }

    /// The next event that is about more than latching.
    fn answer(&mut self) -> Event {
        loop {
            let event = self.event();
            if !matches!(event, Event::Latched { .. }) {
                return event;
            }
        }
    }

    fn open(&mut self, worker: WorkerIndex, spec: LegSpec) -> LegRef {
        let leg = take(&self.end, worker).unwrap();
        self.open_on(worker, leg, spec);
        leg
    }

    fn open_on(&mut self, worker: WorkerIndex, leg: LegRef, spec: LegSpec) {
        self.command(worker, Command::Open { leg, number: 1, spec });
        assert_eq!(self.answer(), Event::Opened { leg, number: 1 });
    }

    fn close(&mut self, worker: WorkerIndex, leg: LegRef) {
        self.command(worker, Command::Close { leg, number: 2 });
        assert!(matches!(self.answer(), Event::Closed { leg: closed, number: 2, .. } if closed == leg));
        give_back(&self.end, leg).unwrap();
    }

    fn row(&self, leg: LegRef) -> LegRow {
        self.end.region().legs().read(leg).unwrap()
    }
}

/// A phone: an RTP socket and, on another port, an RTCP socket.
struct Phone {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    seq: u16,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Heard {
    seq: u16,
    time: u32,
    ssrc: u32,
    bytes: Vec<u8>,
    at: clock::Instant,
}

impl Phone {
    fn new() -> Self {
        let socket = || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        };
        Self { rtp: socket(), rtcp: socket(), seq: 100 }
    }

    fn spec(&self, source: Source) -> LegSpec {
        let mut payloads = PayloadMap::default();
        assert!(payloads.push(0, Codec::Pcmu) && payloads.push(101, Codec::TelephoneEvent));
        LegSpec::default().with(|spec| {
            spec.transport.remote_rtp = self.rtp.local_addr().unwrap().into();
            spec.transport.remote_rtcp = self.rtcp.local_addr().unwrap().into();
            spec.flow.source = source.into();
            spec.formats.payloads = payloads;
            spec.transport.rtcp = RtcpMode::Pair as u8;
        })
    }

    /// Sends the next packet of a stream to a leg; its content tells its number.
    fn talk(&mut self, leg: LegRef) -> Vec<u8> {
        let mut bytes = vec![0x80, 0];
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend((u32::from(self.seq) * 160).to_be_bytes());
        bytes.extend(0x1234_5678u32.to_be_bytes());
        bytes.extend((0..160u16).map(|index| (index.wrapping_mul(self.seq)) as u8));
        self.rtp.send_to(&bytes, to(leg)).unwrap();
        self.seq += 1;
        bytes
    }

    fn hear(&self) -> Heard {
        self.hear_within(PATIENCE).expect("RTP")
    }

    fn hear_within(&self, patience: Duration) -> Option<Heard> {
        self.rtp.set_read_timeout(Some(patience)).unwrap();
        let mut bytes = [0; 2_048];
        let (count, _) = self.rtp.recv_from(&mut bytes).ok()?;
        let at = clock::now();
        let header = Header::parse(&bytes[..count]).unwrap();
        let (seq, time, ssrc) = (header.seq.0, header.time.0, header.ssrc.0);
        Some(Heard { seq, time, ssrc, bytes: bytes[..count].to_vec(), at })
    }

    /// Whether an RTCP BYE (packet type 203) comes.
    fn hears_bye(&self) -> bool {
        let mut bytes = [0; 2_048];
        while let Ok((count, _)) = self.rtcp.recv_from(&mut bytes) {
            let mut rest = &bytes[..count];
            while rest.len() >= 4 {
                if rest[1] == 203 {
                    return true;
                }
                let length = 4 * (1 + usize::from(u16::from_be_bytes([rest[2], rest[3]])));
                rest = rest.get(length..).unwrap_or_default();
            }
        }
        false
    }
}

/// Waits for something that another thread does.
fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let until = clock::now() + PATIENCE;
    while !is() {
        assert!(clock::now() < until, "never: {what}");
        std::thread::yield_now();
    }
}
