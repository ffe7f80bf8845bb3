use super::*;
use crate::sockets::BindTo;
use contract::Address;
use media_core::io::{Buffers, Send, SocketAction, Span};
use std::net::{SocketAddr, UdpSocket};

const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    io: UringIo,
    received: Vec<Received>,
    waker: OwnedFd,
}

impl Bench {
    fn new(sockets: usize, settings: IoSettings) -> Self {
        let sockets = Arc::new(Sockets::ephemeral(sockets, BindTo::Any).unwrap());
        let waker = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
        let io = UringIo::new(sockets, waker.try_clone().unwrap(), settings).unwrap();
        Self { io, received: Vec::with_capacity(256), waker }
    }

    fn address(&self, socket: u32) -> SocketAddr {
        ([127, 0, 0, 1], self.io.sockets().local_port(SocketIndex(socket)).unwrap()).into()
    }

    fn act(&mut self, actions: &[SocketAction]) {
        self.io.submit(&mut Output { sockets: actions.to_vec(), ..Default::default() });
    }

    fn open(&mut self, socket: u32) {
        self.act(&[SocketAction::Open { socket: SocketIndex(socket), dscp: 46 }]);
        self.settle();
    }

    /// One turn without waiting: what was queued reaches the kernel.
    fn settle(&mut self) {
        self.io.wait(Instant::ZERO, &mut self.received).unwrap();
    }

    /// Waits until `count` packets are here.
    fn receive(&mut self, count: usize) -> Vec<(Received, Vec<u8>)> {
        let until = clock::now() + PATIENCE;
        let mut all = Vec::new();
        while all.len() < count && clock::now() < until {
            self.received.clear();
            self.io.wait(until, &mut self.received).unwrap();
            for packet in &self.received {
                all.push((*packet, self.io.buffers().bytes(packet.span).to_vec()));
            }
            self.io.submit(&mut Output::default());
        }
        all
    }

    fn send(&mut self, socket: u32, to: Address, bytes: &[u8]) {
        let buffer = self.io.buffers().take().unwrap();
        let span = Span { buffer, start: 0, bytes: bytes.len() as u16 };
        self.io.buffers().bytes_mut(span).copy_from_slice(bytes);
        let send = Send { socket: SocketIndex(socket), span, to, received_at: Instant::ZERO };
        self.io.submit(&mut Output { sends: vec![send], ..Default::default() });
        self.settle();
    }
}

fn peer() -> (UdpSocket, Address) {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = peer.local_addr().unwrap().into();
    (peer, address)
}

fn heard(peer: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut bytes = [0; 2_048];
    let (count, from) = peer.recv_from(&mut bytes).unwrap();
    (bytes[..count].to_vec(), from)
}

#[test]
fn an_open_socket_hears_anybody_with_address_and_kernel_time() {
    let mut bench = Bench::new(2, IoSettings::default());
    let (peer, address) = peer();
    bench.open(1);
    let before = clock::now();
    peer.send_to(b"hello", bench.address(1)).unwrap();
    let all = bench.receive(1);
    assert_eq!((all.len(), all[0].1.as_slice()), (1, &b"hello"[..]));
    assert_eq!((all[0].0.socket, all[0].0.from), (SocketIndex(1), address));
    let early = before - Duration::from_millis(1);
    assert!(all[0].0.at > early && all[0].0.at <= clock::now(), "{:?} after {before:?}", all[0].0.at);
}

#[test]
fn ipv6_and_ipv4_share_a_socket() {
    let mut bench = Bench::new(1, IoSettings::default());
    let Ok(six) = UdpSocket::bind("[::1]:0") else { return };
    six.set_read_timeout(Some(PATIENCE)).unwrap();
    bench.open(0);
    six.send_to(b"six", ("::1", bench.address(0).port())).unwrap();
    let all = bench.receive(1);
    assert_eq!(all[0].0.from, Address::from(six.local_addr().unwrap()));
    bench.send(0, all[0].0.from, b"back");
    assert_eq!(heard(&six).0, b"back");
}

#[test]
fn sends_go_out_addressed_and_connected() {
    let mut bench = Bench::new(1, IoSettings::default());
    let (peer, address) = peer();
    bench.open(0);
    bench.send(0, address, b"addressed");
    assert_eq!(heard(&peer), (b"addressed".to_vec(), bench.address(0)));
    bench.act(&[SocketAction::Connect { socket: SocketIndex(0), to: address }]);
    bench.send(0, Address::NONE, b"connected");
    assert_eq!(heard(&peer), (b"connected".to_vec(), bench.address(0)));
    assert_eq!(bench.io.counters().send_errors, 0);
}

#[test]
fn a_received_packet_is_sent_on_from_where_it_lies() {
    let mut bench = Bench::new(2, IoSettings::default());
    let ((a, _), (b, to)) = (peer(), peer());
    bench.open(0);
    bench.open(1);
    for round in 0..5_000u32 {
        a.send_to(&round.to_be_bytes(), bench.address(0)).unwrap();
        bench.received.clear();
        bench.io.wait(clock::now() + PATIENCE, &mut bench.received).unwrap();
        let mut output = Output::default();
        for packet in &bench.received {
            let socket = SocketIndex(1);
            output.sends.push(Send { socket, span: packet.span, to, received_at: packet.at });
        }
        bench.io.submit(&mut output);
        bench.settle();
        assert_eq!(heard(&b).0, round.to_be_bytes());
    }
    assert_eq!(bench.io.counters().no_buffer, 0);
}

#[test]
fn a_connected_socket_hears_its_peer_only() {
    let mut bench = Bench::new(1, IoSettings::default());
    let ((peer, address), (stranger, strange)) = (peer(), peer());
    bench.open(0);
    // In the socket's queue before it is connected: still told apart by its sender.
    stranger.send_to(b"early", bench.address(0)).unwrap();
    bench.act(&[SocketAction::Connect { socket: SocketIndex(0), to: address }]);
    stranger.send_to(b"late", bench.address(0)).unwrap();
    peer.send_to(b"mine", bench.address(0)).unwrap();
    let all = bench.receive(2);
    let facts: Vec<_> = all.iter().map(|(packet, bytes)| (packet.from, bytes.as_slice())).collect();
    assert_eq!(facts, [(strange, &b"early"[..]), (Address::NONE, b"mine")]);
    bench.act(&[SocketAction::Disconnect { socket: SocketIndex(0) }]);
    stranger.send_to(b"again", bench.address(0)).unwrap();
    assert_eq!(bench.receive(1)[0].0.from, strange);
}

#[test]
fn opening_throws_away_what_waited_and_closing_takes_no_more() {
    let mut bench = Bench::new(2, IoSettings::default());
    let (peer, address) = peer();
    let _ = peer.send_to(b"before", bench.address(0));
    bench.open(0);
    bench.open(1);
    peer.send_to(b"first", bench.address(0)).unwrap();
    assert_eq!(bench.receive(1)[0].1, b"first");
    // The last packet of a leg (RTCP BYE) is queued in the turn that closes the socket, and still goes out.
    bench.act(&[SocketAction::Close { socket: SocketIndex(0) }]);
    bench.send(0, address, b"bye");
    assert_eq!(heard(&peer).0, b"bye");
    bench.settle();
    let _ = peer.send_to(b"after", bench.address(0));
    let _ = peer.send_to(b"after", bench.address(0));
    peer.send_to(b"neighbour", bench.address(1)).unwrap();
    assert_eq!(bench.receive(1)[0].1, b"neighbour");
    // A second life of the same socket starts empty.
    bench.open(0);
    peer.send_to(b"second life", bench.address(0)).unwrap();
    assert_eq!(bench.receive(1)[0].1, b"second life");
}

#[test]
fn a_waker_ends_a_wait_again_and_again() {
    let mut bench = Bench::new(1, IoSettings::default());
    for round in 1..=3 {
        rustix::io::write(&bench.waker, &1u64.to_ne_bytes()).unwrap();
        let until = clock::now() + PATIENCE;
        bench.io.wait(until, &mut bench.received).unwrap();
        assert!(clock::now() < until && bench.received.is_empty());
        assert_eq!(bench.io.counters().wakes, round);
    }
}

#[test]
fn a_wait_ends_at_its_deadline() {
    for wait in [WaitMode::Block, WaitMode::Adaptive, WaitMode::Busy] {
        let mut bench = Bench::new(1, IoSettings { wait, ..Default::default() });
        let until = clock::now() + Duration::from_millis(3);
        bench.io.wait(until, &mut bench.received).unwrap();
        assert!(clock::now() >= until && clock::now() < until + PATIENCE, "{wait:?}");
    }
}

#[test]
fn an_unreachable_peer_never_makes_us_spin() {
    let mut bench = Bench::new(2, IoSettings::default());
    let (gone, address) = peer();
    bench.open(0);
    bench.open(1);
    bench.act(&[SocketAction::Connect { socket: SocketIndex(0), to: address }]);
    drop(gone);
    for _ in 0..10 {
        bench.send(0, Address::NONE, b"anybody?");
        let until = clock::now() + Duration::from_millis(3);
        bench.io.wait(until, &mut bench.received).unwrap();
    }
    let counters = bench.io.counters();
    assert!(counters.rearms <= 10 && counters.enters < 100, "{counters:?}");
    // The socket itself is as good as ever.
    let (peer, address) = peer();
    bench.act(&[SocketAction::Connect { socket: SocketIndex(0), to: address }]);
    peer.send_to(b"there", bench.address(0)).unwrap();
    assert_eq!(bench.receive(1)[0].1, b"there");
}

#[test]
fn without_free_buffers_packets_wait_in_their_sockets() {
    let mut bench = Bench::new(2, IoSettings { receive_buffer_count: 8, ..Default::default() });
    let (peer, _) = peer();
    bench.open(0);
    bench.open(1);
    for round in 0..40u8 {
        peer.send_to(&[round], bench.address(u32::from(round % 2))).unwrap();
    }
    let all = bench.receive(40);
    for socket in 0..2 {
        let order: Vec<u8> = all.iter().filter(|(p, _)| p.socket == SocketIndex(socket)).map(|(_, b)| b[0]).collect();
        let sent: Vec<u8> = (0..40).filter(|round| u32::from(round % 2) == socket).collect();
        assert_eq!(order, sent);
    }
    assert!(bench.io.counters().no_buffer > 0);
}

#[test]
fn a_burst_gets_more_buffers_and_loses_nothing() {
    let mut bench = Bench::new(8, IoSettings::default());
    bench.received = Vec::with_capacity(1_024);
    let (peer, _) = peer();
    (0..8).for_each(|socket| bench.open(socket));
    for at in 0..800_u32 {
        peer.send_to(&at.to_be_bytes(), bench.address(at % 8)).unwrap();
    }
    let mut heard: Vec<_> =
        bench.receive(800).iter().map(|(_, b)| u32::from_be_bytes(b[..4].try_into().unwrap())).collect();
    heard.sort_unstable();
    assert_eq!(heard, (0..800).collect::<Vec<_>>());
    // As many more as the kernel was first lent came at once.
    assert!(bench.io.counters().no_buffer > 0);
}

#[test]
fn more_packets_than_room_come_with_the_next_turn() {
    let mut bench = Bench::new(1, IoSettings::default());
    bench.received = Vec::with_capacity(4);
    let room = bench.received.capacity();
    let (peer, _) = peer();
    bench.open(0);
    (0..20u8).for_each(|round| assert_eq!(peer.send_to(&[round], bench.address(0)).unwrap(), 1));
    let all = bench.receive(20);
    assert_eq!(bench.received.capacity(), room);
    assert_eq!(all.iter().map(|(_, bytes)| bytes[0]).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
}

#[test]
fn what_is_too_long_for_a_buffer_is_dropped_and_counted() {
    let mut bench = Bench::new(1, IoSettings::default());
    let (peer, _) = peer();
    bench.open(0);
    peer.send_to(&[7; 4_000], bench.address(0)).unwrap();
    peer.send_to(&[8; 1_500], bench.address(0)).unwrap();
    let all = bench.receive(1);
    assert_eq!((all.len(), all[0].1.len(), bench.io.counters().truncated), (1, 1_500, 1));
}

#[test]
fn actions_and_sends_for_sockets_that_are_not_there_are_counted() {
    let mut bench = Bench::new(1, IoSettings::default());
    bench.act(&[
        SocketAction::Open { socket: SocketIndex(9), dscp: 0 },
        SocketAction::Close { socket: SocketIndex(u32::MAX) },
        SocketAction::Connect { socket: SocketIndex(0), to: Address::NONE },
    ]);
    bench.send(9, peer().1, b"x");
    bench.send(0, Address::NONE, b"x");
    let counters = bench.io.counters();
    assert_eq!((counters.socket_errors, counters.send_errors), (3, 2));
}

#[test]
fn a_socket_moves_to_another_ring_without_losing_a_packet() {
    let mut one = Bench::new(1, IoSettings::default());
    let waker = one.waker.try_clone().unwrap();
    let other = UringIo::new(one.io.sockets.clone(), waker, IoSettings::default()).unwrap();
    let mut other = Bench { io: other, received: Vec::with_capacity(256), waker: one.waker.try_clone().unwrap() };
    let (peer, address) = peer();
    one.open(0);
    one.act(&[SocketAction::Connect { socket: SocketIndex(0), to: address }]);
    let to = one.address(0);
    let mut next = 0u8;
    let mut send = |count: u8| {
        (0..count).for_each(|_| {
            peer.send_to(&[next], to).unwrap();
            next += 1;
        })
    };
    let (mut heard, socket) = (Vec::new(), SocketIndex(0));
    let (mut from, mut to) = (&mut one, &mut other);
    for _ in 0..20 {
        send(2);
        from.io.detach(socket);
        send(2);
        while !from.io.is_detached(socket) {
            from.received.clear();
            from.io.wait(Instant::ZERO, &mut from.received).unwrap();
            heard.extend(from.received.iter().map(|packet| from.io.buffers.bytes(packet.span)[0]));
            from.io.submit(&mut Output::default());
        }
        send(2);
        to.io.attach(socket, address);
        let here = to.receive(usize::from(next_after(&heard, 6)));
        assert!(here.iter().all(|(packet, _)| packet.from == Address::NONE));
        heard.extend(here.iter().map(|(_, bytes)| bytes[0]));
        (from, to) = (to, from);
    }
    assert_eq!(heard, (0..120).collect::<Vec<_>>());
}

/// How many of a round's packets are still to come.
fn next_after(heard: &[u8], round: usize) -> u8 {
    (round - heard.len() % round) as u8
}
