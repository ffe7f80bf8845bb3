//! Strangers that send as fast as they can.

use super::*;
use std::sync::atomic::AtomicBool;

/// Datagrams a second on one port.
const FLOOD_PER_SECOND: u64 = 100_000;

#[test]
fn a_flood_of_strangers_harms_no_neighbour() {
    let plane = Plane::new(1);
    let (mut client, neighbour, mut peer) = (plane.client(), Phone::new(), Phone::new());
    client.open(W0, neighbour.spec(Source::Tone440));
    let flooded = take(&client.end, W0).unwrap();
    // The peer is behind NAT: its description names another place than the one that it sends from.
    let said = Phone::new();
    client.open_on(W0, flooded, said.spec(Source::Leg(flooded)));
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let first = neighbour.hear();
    // Garbage, lies about lengths, sound RTP of ever new sources, RTCP that is none.
    let kinds: [&[u8]; 4] =
        [b"garbage", &[0x9f; 12], &[0x80, 0, 1, 2, 0, 0, 0, 0, 1, 2, 3, 4, 5], &[0x80, 200, 255, 255]];
    for round in 0..20_000usize {
        let _ = stranger.send_to(kinds[round % kinds.len()], to(flooded));
        let rtcp = SocketAddr::new(to(flooded).ip(), to(flooded).port() + 1);
        if round % 8 == 0 {
            let _ = stranger.send_to(kinds[round % kinds.len()], rtcp);
        }
    }
    for at in 1..=20 {
        assert_eq!(neighbour.hear().seq, first.seq.wrapping_add(at), "a hole in the neighbour's sound");
    }
    eventually("they were counted", || plane.count(MediaCounter::DroppedMalformed) > 100);
    // Whom the leg is for gets in all the same, by a steady stream.
    let mut echoed = false;
    for _ in 0..40 {
        peer.talk(flooded);
        echoed |= peer.hear_within(Duration::from_millis(20)).is_some();
    }
    assert!(echoed);
}

/// Round trips through an echo leg: (median, 99th percentile, slowest) in microseconds; panics where one is lost.
fn echo_latency(phone: &mut Phone, leg: LegRef, count: usize) -> (u64, u64, u64) {
    let mut times: Vec<u64> = (0..count)
        .map(|_| {
            let from = clock::now();
            let said = phone.talk(leg);
            assert_eq!(phone.hear().bytes, said);
            let took = clock::now() - from;
            std::thread::sleep(std::time::Duration::from_millis(5)); // a phone's pace, four times as fast
            took.as_micros() as u64
        })
        .collect();
    times.sort_unstable();
    (times[count / 2], times[count * 99 / 100], times[count - 1])
}

/// Sends `bytes` to `to` at [`FLOOD_PER_SECOND`] until told to stop; says how many a second it managed.
fn flood(to: SocketAddr, bytes: &[u8], stop: &AtomicBool) -> u64 {
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (from, mut sent) = (clock::now(), 0u64);
    while !stop.load(Relaxed) {
        let due = (clock::now() - from).as_micros() as u64 * FLOOD_PER_SECOND / 1_000_000;
        // What the scheduler took is not made up for in one burst.
        for _ in 0..due.saturating_sub(sent).min(200) {
            let _ = stranger.send_to(bytes, to);
        }
        sent = due;
    }
    sent * 1_000_000 / ((clock::now() - from).as_micros() as u64).max(1)
}

/// One port flooded, its neighbour on the same worker measured: before, and during. `settled`: the flooded leg has found
/// its peer, so that the kernel drops strangers; else the core looks at each packet.
fn neighbours_latency_under_flood(settled: bool, bytes: &[u8]) {
    let plane = Plane::new(1);
    let (mut client, mut neighbour, mut peer) = (plane.client(), Phone::new(), Phone::new());
    let (leg, flooded) = (take(&client.end, W0).unwrap(), take(&client.end, W0).unwrap());
    client.open_on(W0, leg, neighbour.spec(Source::Leg(leg)));
    client.open_on(W0, flooded, peer.spec(Source::Leg(flooded)));
    if settled {
        peer.talk(flooded);
        peer.hear();
    }
    let before = echo_latency(&mut neighbour, leg, 100);
    let stop = AtomicBool::new(false);
    let to_flooded = to(flooded);
    let (during, per_second) = std::thread::scope(|scope| {
        let sender = scope.spawn(|| flood(to_flooded, bytes, &stop));
        let during = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| echo_latency(&mut neighbour, leg, 200)));
        stop.store(true, Relaxed);
        (during, sender.join().unwrap())
    });
    let during = during.expect("every packet of the neighbour came back");
    println!("settled {settled}: {per_second}/s; neighbour's echo p50, p99, max: {before:?} us, flooded {during:?} us");
    // Nothing that a listener hears, however loaded the host of this test may be.
    assert!(during.1 < 100_000, "p99 {} us", during.1);
    // The flooded leg goes on with its peer.
    // Strangers' last packets may still fill the socket's buffer, and a phone talks on.
    let mut said = Vec::new();
    let heard = (0..50).find_map(|_| {
        said.push(peer.talk(flooded));
        peer.hear_within(Duration::from_millis(20))
    });
    assert!(said.contains(&heard.expect("an echo of the peer").bytes));
    let row = client.row(leg);
    assert_eq!((row.received.lost_packets, row.received.dropped_packets), (0, 0));
    if !settled {
        let counted = || plane.count(MediaCounter::DroppedStranger) + plane.count(MediaCounter::DroppedMalformed);
        eventually("strangers were counted", || counted() > 10_000);
    }
}

#[test]
fn a_neighbour_hears_nothing_of_strangers_that_the_kernel_drops() {
    neighbours_latency_under_flood(true, &[0x80; 172]);
}

#[test]
fn a_neighbour_hears_nothing_of_strangers_that_the_core_drops() {
    neighbours_latency_under_flood(false, &[0x80; 172]);
}

#[test]
fn a_neighbour_hears_nothing_of_garbage() {
    neighbours_latency_under_flood(false, b"garbage");
}
