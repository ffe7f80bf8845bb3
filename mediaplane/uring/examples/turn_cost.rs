//! What a turn costs by itself: one thread lets packets arrive, then relays them with nobody beside it, and only the
//! relaying is timed, by the thread's own CPU time. Others on the host disturb the median little.
//!
//! `cargo run --release -p ringplane-uring --example turn_cost -- LEGS BATCH ROUNDS EVICT_KIB`: with EVICT_KIB, so much memory is
//! written before each turn, which pushes what the turn needs out of the caches, as the rest of a busy host does.

use clock::Duration;
use contract::Address;
use media_core::io::{Output, PacketIo, Send, SocketAction, SocketIndex};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use uring::{BindTo, IoSettings, Sockets, UringIo, WaitMode};

fn main() {
    let args: Vec<usize> = std::env::args().skip(1).map(|word| word.parse().expect("a number")).collect();
    let at = |index: usize, default: usize| args.get(index).copied().unwrap_or(default);
    let (legs, batch, rounds) = (at(0, 1_000), at(1, 16), at(2, 4_000));
    uring::raise_descriptor_limit(4 * legs as u64 + 100);
    let sockets = Arc::new(Sockets::ephemeral(legs, BindTo::Address(Ipv4Addr::LOCALHOST.into())).expect("ports"));
    let peers: Vec<UdpSocket> = (0..4).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a peer")).collect();
    peers.iter().for_each(|peer| peer.set_nonblocking(true).expect("a peer"));
    let waker = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).expect("an eventfd");
    let settings = IoSettings { wait: WaitMode::Block, ..IoSettings::default() };
    let mut io = UringIo::new(sockets.clone(), waker, settings).expect("io_uring");
    let mut output = Output::default();
    let ports: Vec<SocketAddr> = (0..legs)
        .map(|leg| {
            let socket = SocketIndex(leg as u32);
            output.sockets.push(SocketAction::Open { socket, dscp: 46 });
            let to = Address::from(peers[leg % peers.len()].local_addr().expect("an address"));
            output.sockets.push(SocketAction::Connect { socket, to });
            (Ipv4Addr::LOCALHOST, sockets.local_port(socket).expect("a port")).into()
        })
        .collect();
    io.submit(&mut output);
    let mut received = Vec::with_capacity(512);
    io.wait(clock::now(), &mut received).expect("a turn");
    let (mut costs, mut next) = (Vec::with_capacity(rounds), 0);
    let mut bytes = [0; 2_048];
    let mut evict = vec![0u8; at(3, 0) << 10];
    for round in 0..rounds {
        for _ in 0..batch {
            let leg = next % legs;
            next += 7; // legs that arrive together are no neighbours
            peers[leg % peers.len()].send_to(&[0x80; 172], ports[leg]).expect("sent");
        }
        evict.iter_mut().step_by(64).for_each(|byte| *byte = byte.wrapping_add(1));
        let (from, mut done) = (cpu_ns(), 0);
        while done < batch {
            received.clear();
            io.wait(clock::now() + Duration::from_millis(100), &mut received).expect("a turn");
            assert!(!received.is_empty(), "lost packets");
            done += received.len();
            for packet in &received {
                let socket = SocketIndex(packet.socket.0 ^ 1);
                output.sends.push(Send { socket, span: packet.span, to: Address::NONE, received_at: packet.at });
            }
            io.submit(&mut output);
        }
        received.clear();
        io.wait(clock::now(), &mut received).expect("the sends go out");
        if round > rounds / 10 {
            costs.push((cpu_ns() - from) as f64 / 1e3 / batch as f64);
        }
        for peer in &peers {
            while peer.recv(&mut bytes).is_ok() {}
        }
    }
    costs.sort_by(f64::total_cmp);
    let part = |part: f64| costs[(costs.len() as f64 * part) as usize];
    println!("{legs} legs, {batch} a turn: p10 {:.3} p50 {:.3} p90 {:.3} us/packet", part(0.1), part(0.5), part(0.9));
}

fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
