//! The behaviour suite of `media-core` over real sockets on loopback.

use clock::{Duration, Instant};
use media_core::io::{PacketIo, SocketIndex};
use media_core::suite::{self, Lab};
use rustix::event::{EventfdFlags, eventfd};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use uring::{BindTo, IoSettings, Sockets, UringIo, WaitMode};

/// Names of the pairs; the sockets behind them have ports of the system's choice.
const PAIRS: [u16; 4] = [10_000, 10_002, 10_004, 10_006];

struct UringLab {
    io: UringIo,
    peers: Vec<UdpSocket>,
}

impl UringLab {
    fn new(wait: WaitMode) -> Self {
        let sockets = Arc::new(Sockets::ephemeral(2 * PAIRS.len(), BindTo::Any).expect("ports"));
        let waker = eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
        let settings = IoSettings { wait, ..IoSettings::default() };
        Self { io: UringIo::new(sockets, waker, settings).expect("io_uring"), peers: Vec::new() }
    }

    fn add(&mut self, ip: IpAddr) -> Option<usize> {
        let socket = UdpSocket::bind((ip, 0)).ok()?;
        socket.set_nonblocking(true).expect("a socket");
        self.peers.push(socket);
        Some(self.peers.len() - 1)
    }
}

impl Lab for UringLab {
    type Io = UringIo;
    fn io(&mut self) -> &mut UringIo {
        &mut self.io
    }
    fn now(&mut self) -> Instant {
        clock::now()
    }
    fn ports(&self) -> Vec<u16> {
        PAIRS.into()
    }
    fn address(&self, socket: SocketIndex) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.io.sockets().local_port(socket).expect("a port")).into()
    }
    fn add_peer(&mut self) -> usize {
        self.add(Ipv4Addr::LOCALHOST.into()).expect("a socket")
    }
    fn add_peer_v6(&mut self) -> Option<usize> {
        // Without IPv6 our own sockets are IPv4 only.
        if self.io.sockets().ip().is_ipv6() { self.add(Ipv6Addr::LOCALHOST.into()) } else { None }
    }
    fn stall(&mut self, time: Duration) {
        std::thread::sleep(time);
    }
    fn peer_address(&self, peer: usize) -> SocketAddr {
        self.peers[peer].local_addr().expect("an address")
    }
    fn peer_send(&mut self, peer: usize, to: SocketAddr, bytes: &[u8]) {
        // A closed port answers by ICMP, which fails the next send of this socket; that one goes out all the same.
        if self.peers[peer].send_to(bytes, to).is_err() {
            let _ = self.peers[peer].send_to(bytes, to);
        }
    }
    fn peer_take(&mut self, peer: usize) -> Option<Vec<u8>> {
        // What was submitted last goes out now, and nothing is taken in: there is no room for it.
        self.io.wait(Instant::ZERO, &mut Vec::new()).expect("a turn");
        let mut bytes = [0; 2_048];
        let count = self.peers[peer].recv(&mut bytes).ok()?;
        Some(bytes[..count].to_vec())
    }
}

/// Tests mostly wait: several run beside each other.
const THREADS: usize = 2;

#[test]
fn it_holds_when_the_worker_blocks() {
    suite::run_all(THREADS, || UringLab::new(WaitMode::Block));
}

#[test]
fn it_holds_when_the_worker_adapts() {
    suite::run_all(THREADS, || UringLab::new(WaitMode::Adaptive));
}

/// Such a worker takes a core for itself, so that its tests come one by one: a third of them, and all in `make test-all`.
#[test]
fn it_holds_when_the_worker_is_busy() {
    let is_full = loadtest::is_full_run();
    suite::run_some(1, if is_full { 1 } else { 3 }, || UringLab::new(WaitMode::Busy));
}
