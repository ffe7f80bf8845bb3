//! Calls that come back to the switch that has sent them on.

use crate::PATIENCE;
use crate::media::Media;
use crate::phone::{Phone, SDP};
use crate::roles::role;
use crate::switch::Switch;
use config::Mode;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Passes what comes from one switch on to the other, so that each has a target before the other one listens.
fn pass_between(socket: &UdpSocket, switches: [SocketAddr; 2], is_over: &AtomicBool) {
    let mut buffer = [0; 65_536];
    while !is_over.load(Relaxed) {
        let Ok((bytes, from)) = socket.recv_from(&mut buffer) else { continue };
        let to = if from == switches[0] { switches[1] } else { switches[0] };
        socket.send_to(&buffer[..bytes], to).unwrap();
    }
}

/// One call into two switches that route everything to each other. Gives the answer to it, and how many INVITEs each has sent.
fn call_into_loop(modes: [Mode; 2], drop: &[&str]) -> (String, [u64; 2]) {
    let between = UdpSocket::bind("127.0.0.1:0").unwrap();
    between.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let target = format!("sip:{}", between.local_addr().unwrap());
    let both = modes.map(|mode| {
        let folder = tempfile::tempdir().unwrap();
        let media = Media::with_ports(folder.path().join("media-control.sock"), 10_000..=10_399);
        let mut config = role(folder.path(), mode, &[("*", vec![vec![target.clone()]])]);
        config.headers.drop = drop.iter().map(|name| (*name).to_owned()).collect();
        (Switch::run(folder, config), media)
    });
    let (is_over, [first, second]) = (AtomicBool::new(false), &both);
    let addresses = [first.0.address, second.0.address];
    let answer = std::thread::scope(|scope| {
        scope.spawn(|| pass_between(&between, addresses, &is_over));
        let phone = Phone::new(&first.0);
        phone.send("INVITE", "c1", "", 1, SDP);
        let mut buffer = [0; 4_096];
        let until = std::time::Instant::now() + PATIENCE;
        let answer = loop {
            assert!(std::time::Instant::now() < until, "no final answer");
            let bytes = phone.socket.recv(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..bytes]).into_owned();
            if !text.starts_with("SIP/2.0 1") {
                break text.lines().next().unwrap().to_owned();
            }
        };
        phone.send("ACK", "c1", "", 1, "");
        for (switch, _) in &both {
            switch.ask_until("health", |health| health["calls"] == 0);
        }
        is_over.store(true, Relaxed);
        answer
    });
    let placed = [&first.0, &second.0].map(|switch| switch.level("calls_placed"));
    for (switch, media) in both {
        switch.end();
        std::mem::drop(media);
    }
    (answer, placed)
}

#[test]
fn a_call_between_two_switches_that_route_to_each_other_is_refused_early() {
    let (answer, placed) = call_into_loop([Mode::B2bua, Mode::B2bua], &[]);
    assert!(answer.starts_with("SIP/2.0 482 "), "{answer}");
    assert_eq!(placed, [2, 2], "two calls with two ports each");
}

#[test]
fn a_call_between_a_switch_and_a_proxy_that_route_to_each_other_is_refused_early() {
    for modes in [[Mode::B2bua, Mode::Proxy], [Mode::Proxy, Mode::B2bua]] {
        let (answer, placed) = call_into_loop(modes, &[]);
        assert!(answer.starts_with("SIP/2.0 482 "), "{answer}");
        assert!(placed.iter().all(|count| (2..=3).contains(count)), "{placed:?}");
    }
}

#[test]
fn without_a_session_id_max_forwards_ends_the_loop() {
    let (answer, placed) = call_into_loop([Mode::B2bua, Mode::B2bua], &["Session-ID"]);
    assert!(answer.starts_with("SIP/2.0 483 "), "{answer}");
    assert_eq!(placed, [16, 15], "Max-Forwards is 30 after the first of them");
}
