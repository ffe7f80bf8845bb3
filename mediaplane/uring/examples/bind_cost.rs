//! Ports bound ahead or on demand: what start, memory and the set-up of a leg cost either way.
//!
//! `cargo run --release -p ringplane-uring --example bind_cost -- PORTS`

use clock::Instant;
use contract::Address;
use io_uring::IoUring;
use media_core::io::{Output, PacketIo, SocketAction, SocketIndex};
use rustix::fd::AsRawFd;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use uring::{BindTo, IoSettings, Sockets, UringIo};

const FIRST_PORT: u16 = 40_000;

fn main() {
    let ports: usize = std::env::args().nth(1).map_or(10_000, |word| word.parse().expect("PORTS"));
    uring::raise_descriptor_limit(2 * ports as u64 + 100);
    let to: Address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9)).into();

    let (slab, resident, from) = (slab_kib(), resident_kib(), clock::now());
    let sockets = Arc::new(Sockets::bind(FIRST_PORT, ports, BindTo::Any).expect("ports"));
    let bound = clock::now().since(from);
    let (kernel, own) = (slab_kib().saturating_sub(slab), resident_kib().saturating_sub(resident));
    println!("ahead: {ports} ports bound in {bound:?}; kernel {kernel} KiB, process {own} KiB");
    let waker = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).expect("an eventfd");
    let from = clock::now();
    let mut io = UringIo::new(sockets, waker, IoSettings::default()).expect("io_uring");
    println!("ahead: ring over all of them in {:?}", clock::now().since(from));
    let mut output = Output::default();
    let ahead = times(ports.min(2_000), |at| {
        let socket = SocketIndex(at as u32);
        output.sockets.push(SocketAction::Open { socket, dscp: 46 });
        output.sockets.push(SocketAction::Connect { socket, to });
        io.submit(&mut output);
        io.wait(Instant::ZERO, &mut Vec::new()).expect("a turn");
    });
    println!("ahead: a socket opened, connected and armed in p50 {:.1} p99 {:.1} us", ahead.0, ahead.1);
    drop(io);

    let ring = IoUring::new(64).expect("io_uring");
    ring.submitter().register_files_sparse(ports as u32).expect("a table");
    let mut kept = Vec::with_capacity(ports);
    let demand = times(ports.min(2_000), |at| {
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, FIRST_PORT - 5_000 + at as u16));
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).expect("a socket");
        socket.bind(&address.into()).expect("a port");
        socket.set_tos_v4(184).expect("a mark");
        socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, 9)).into()).expect("a peer");
        ring.submitter().register_files_update(at as u32, &[socket.as_raw_fd()]).expect("registered");
        kept.push(socket);
    });
    println!("on demand: made, bound, connected, registered (not armed) in p50 {:.1} p99 {:.1} us", demand.0, demand.1);
    let mut sockets = kept.into_iter();
    let closed = times(sockets.len(), |_| drop(sockets.next()));
    println!("on demand: closed in p50 {:.1} p99 {:.1} us", closed.0, closed.1);
}

/// Median and 99th percentile of what `each` takes, microseconds.
fn times(count: usize, mut each: impl FnMut(usize)) -> (f64, f64) {
    let mut times: Vec<f64> = (0..count)
        .map(|at| {
            let from = clock::now();
            each(at);
            clock::now().since(from).as_nanos() as f64 / 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[count / 2], times[count * 99 / 100])
}

fn slab_kib() -> u64 {
    line("/proc/meminfo", "Slab:")
}

fn resident_kib() -> u64 {
    line("/proc/self/status", "VmRSS:")
}

fn line(path: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let found = text.lines().find_map(|line| line.strip_prefix(name));
    found.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
