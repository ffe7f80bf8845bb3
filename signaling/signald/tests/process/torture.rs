//! Messages that want to break us, over every transport.

use crate::line::Line;
use crate::media::Media;
use crate::phone::Phone;
use crate::streams::{address, everywhere};
use crate::switch::{Switch, level_in};
use std::net::UdpSocket;
use std::path::Path;
use transport::Transport;

/// Sound and unsound messages of RFC 4475 and RFC 5118, by name.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sip-wire/tests/torture");
    let mut all: Vec<_> = ["rfc4475", "rfc5118"]
        .iter()
        .flat_map(|name| std::fs::read_dir(folder.join(name)).unwrap().map(|entry| entry.unwrap().path()))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    all.sort();
    assert!(all.len() > 55, "{}", all.len());
    all
}

/// Damage that repeats itself from run to run.
fn damage(bytes: &mut Vec<u8>, dice: &mut u64) {
    for _ in 0..3 {
        *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (at, what) = ((*dice >> 33) as usize % bytes.len().max(1), (*dice >> 20) as u8);
        match what % 4 {
            0 => bytes.truncate(at.max(10)),
            1 => bytes.insert(at, what),
            2 => drop(bytes.drain(at..(at + 9).min(bytes.len()))),
            _ => bytes[at] = what,
        }
    }
}

#[test]
fn after_all_of_it_the_switch_answers() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let (config, authority) = everywhere(folder.path(), "127.0.0.1:0");
    let client = authority.client(None);
    let switch = Switch::with(folder, config);
    let corpus = corpus();
    let phone = Phone::new(&switch);
    let tag = phone.call("kept");
    // RFC 4475 §3.1.2.16 and §3.3.5 have one right answer each. Their Vias lead elsewhere: over UDP only they would not come.
    let mut answers = 0;
    for transport in [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss] {
        let open = || Line::open(transport, address(&switch, transport), Some((&client, "one.example.com")));
        let mut lines = Vec::new();
        for (name, bytes) in &corpus {
            let mut line = open();
            // What it closes by itself may already be closed.
            let _ = line.send_bytes(bytes);
            let expected = match name.as_str() {
                "badvers" => "SIP/2.0 505",
                "unkscm" => "SIP/2.0 416",
                "bext01" => "SIP/2.0 420",
                _ => "",
            };
            if !expected.is_empty() {
                line.hear(expected);
                answers += 1;
            }
            lines.push(line);
        }
        open().options(&format!("after-{}", transport.via_name()));
    }
    assert_eq!(answers, 12);
    let (socket, mut dice) = (UdpSocket::bind("127.0.0.1:0").unwrap(), 7);
    for round in 0..10_000 {
        let mut bytes = corpus[round % corpus.len()].1.clone();
        if round >= corpus.len() {
            damage(&mut bytes, &mut dice);
        }
        socket.send_to(&bytes, phone.switch).unwrap();
        if round % 500 == 0 {
            // It keeps up, so that nothing is lost on the way.
            phone.send("OPTIONS", &format!("u{round}"), "", 1, "");
            phone.hear("SIP/2.0 200");
        }
    }
    let mut dice = 8;
    for round in 0..200 {
        let mut bytes = corpus[round % corpus.len()].1.clone();
        damage(&mut bytes, &mut dice);
        let mut line = Line::open(Transport::Tcp, address(&switch, Transport::Tcp), None);
        let _ = line.send_bytes(&bytes);
    }
    // The call that was up is up.
    phone.send("BYE", "kept", &tag, 2, "");
    phone.hear("SIP/2.0 200");
    assert_eq!(switch.ask("health")["status"], "ok");
    switch.ask_until("stats", |stats| level_in(stats, "sip_dropped_malformed_packets") > 1_000);
    switch.end();
}
