//! Transfers among calls that different shards have: a peer that hands over or takes over must not see which.

use crate::PATIENCE;
use crate::media::Media;
use crate::phone::{Phone, SDP};
use crate::switch::{Switch, config};
use config::{Mode, Route};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::time::Duration;

/// Rounds: that all calls of all of them fall on the same of four shards by chance has odds of 4^-8.
const ROUNDS: usize = 8;

/// Takes every call and hangs up when told to.
struct Answerer {
    address: SocketAddr,
    /// Method and Call-ID of every request that it gets.
    heard: mpsc::Receiver<(String, String)>,
    orders: mpsc::Sender<()>,
}

impl Answerer {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let address = socket.local_addr().unwrap();
        let ((tell, heard), (orders, ordered)) = (mpsc::channel(), mpsc::channel());
        std::thread::spawn(move || {
            let (mut call, mut buffer, mut cseq) = (None, [0; 4_096], 100);
            loop {
                match ordered.try_recv() {
                    Err(mpsc::TryRecvError::Disconnected) => return,
                    Ok(()) => {
                        cseq += 1;
                        let (invite, from): (String, SocketAddr) = call.clone().unwrap();
                        socket.send_to(bye(&invite, address, cseq).as_bytes(), from).unwrap();
                    }
                    Err(mpsc::TryRecvError::Empty) => {}
                }
                let Ok((bytes, from)) = socket.recv_from(&mut buffer) else { continue };
                let text = String::from_utf8_lossy(&buffer[..bytes]).into_owned();
                let method = text.split(' ').next().unwrap().to_owned();
                if method == "INVITE" {
                    call = Some((text.clone(), from));
                }
                if !matches!(&*method, "ACK" | "SIP/2.0") {
                    socket.send_to(answer(&text, address).as_bytes(), from).unwrap();
                }
                // The test may be over.
                let _ = tell.send((method, line(&text, "Call-ID:").to_owned()));
            }
        });
        Self { address, heard, orders }
    }

    /// Waits for a request.
    fn hear(&self, method: &str) -> String {
        loop {
            let (heard, call) = self.heard.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {method}"));
            if heard == method {
                return call;
            }
        }
    }
}

fn line<'t>(text: &'t str, name: &str) -> &'t str {
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
}

fn answer(request: &str, contact: SocketAddr) -> String {
    let keep = ["Via:", "From:", "Call-ID:", "CSeq:", "Record-Route:"];
    let kept: Vec<&str> = request.lines().filter(|line| keep.iter().any(|name| line.starts_with(name))).collect();
    let to = line(request, "To:");
    let tag = if to.contains(";tag=") { "" } else { ";tag=b1" };
    let body = if request.starts_with("INVITE ") { SDP } else { "" };
    format!(
        "SIP/2.0 200 OK\r\n{}\r\nTo: {to}{tag}\r\nContact: <sip:bob@{contact}>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        kept.join("\r\n"),
        body.len()
    )
}

/// By the one who was invited.
fn bye(invite: &str, us: SocketAddr, cseq: u32) -> String {
    let to = line(invite, "Contact:").trim_matches(['<', '>']);
    let (from, call) = (line(invite, "From:"), line(invite, "Call-ID:"));
    let own = line(invite, "To:");
    let own = if own.contains(";tag=") { own.to_owned() } else { format!("{own};tag=b1") };
    format!(
        "BYE {to} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKb{cseq}\r\nFrom: {own}\r\nTo: {from}\r\n\
         Call-ID: {call}\r\nCSeq: {cseq} BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Calls `bob` and `carol`, who answer.
fn switch(bob: &Answerer, carol: &Answerer) -> (Media, Switch) {
    let folder = tempfile::tempdir().unwrap();
    let media = Media::with_ports(folder.path().join("media-control.sock"), 10_000..=10_063);
    let mut config = config(folder.path());
    config.sip.mode = Mode::B2bua;
    config.sip.shards = 4;
    let route = |user: &str, to: &Answerer| Route {
        pattern: user.into(),
        targets: vec![vec![format!("sip:{user}@{}", to.address)]],
    };
    config.sip.routes = vec![route("bob", bob), route("tone", bob), route("carol", carol)];
    let switch = Switch::run(folder, config);
    (media, switch)
}

/// Sets a call up; gives what the switch said of itself: its tag, and its Contact.
fn call(phone: &Phone, call: &str, more: &str) -> (String, String) {
    let us = phone.socket.local_addr().unwrap();
    let user = if call.starts_with('d') { "carol" } else { "bob" };
    let text = format!(
        "INVITE sip:{user}@{} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{call}\r\n\
         From: <sip:alice@example.com>;tag=a1\r\nTo: <sip:{user}@example.com>\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\n\
         Max-Forwards: 70\r\nContact: <sip:alice@{us}>\r\n{more}Content-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{SDP}",
        phone.switch,
        SDP.len()
    );
    phone.socket.send_to(text.as_bytes(), phone.switch).unwrap();
    let answer = loop {
        let answer = phone.hear("SIP/2.0 ");
        if !answer.starts_with("SIP/2.0 1") && answer.contains(&format!("Call-ID: {call}\r\n")) {
            break answer;
        }
    };
    assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    let tag = line(&answer, "To:").split("tag=").nth(1).unwrap().to_owned();
    phone.send("ACK", call, &format!(";tag={tag}"), 1, "");
    (tag, line(&answer, "Contact:").trim_matches(['<', '>']).to_owned())
}

#[test]
fn a_call_that_replaces_another_finds_it_in_any_shard() {
    let (bob, carol) = (Answerer::start(), Answerer::start());
    let (_media, switch) = switch(&bob, &carol);
    let alice = Phone::new(&switch);
    for round in 0..ROUNDS {
        let (old, new) = (format!("c{round}"), format!("n{round}"));
        let (tag, _) = call(&alice, &old, "");
        let dave = Phone::new(&switch);
        let (taken, _) = call(&dave, &new, &format!("Replaces: {old};to-tag={tag};from-tag=a1\r\n"));
        alice.hear_bye();
        switch.ask_until("calls", |calls| calls.as_array().unwrap().len() == 2);
        dave.send("BYE", &new, &format!(";tag={taken}"), 2, "");
        dave.hear("SIP/2.0 200");
        bob.hear("BYE");
        switch.ask_until("calls", |calls| calls.as_array().unwrap().is_empty());
    }
    switch.counts([("ports_in_use", 0)]);
    switch.end();
}

#[test]
fn two_calls_of_one_phone_are_put_together_whatever_shards_have_them() {
    let (bob, carol) = (Answerer::start(), Answerer::start());
    let (_media, switch) = switch(&bob, &carol);
    let alice = Phone::new(&switch);
    let (mut counts, us) = (Vec::new(), alice.socket.local_addr().unwrap());
    for round in 0..ROUNDS {
        let (first, second) = (format!("c{round}"), format!("d{round}"));
        let (tag, contact) = call(&alice, &first, "");
        let (other_tag, other_contact) = call(&alice, &second, "");
        let refer = format!(
            "REFER {contact} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKr{first}\r\n\
             From: <sip:alice@example.com>;tag=a1\r\nTo: <sip:bob@example.com>;tag={tag}\r\nCall-ID: {first}\r\n\
             CSeq: 2 REFER\r\nMax-Forwards: 70\r\nContact: <sip:alice@{us}>\r\n\
             Refer-To: <{other_contact}?Replaces={second}%3Bto-tag%3D{other_tag}%3Bfrom-tag%3Da1>\r\n\
             Content-Length: 0\r\n\r\n"
        );
        alice.socket.send_to(refer.as_bytes(), alice.switch).unwrap();
        alice.hear("SIP/2.0 202");
        let report = loop {
            let report = alice.hear_and_answer("NOTIFY ");
            if report.contains("Subscription-State: terminated") {
                break report;
            }
        };
        assert!(report.ends_with("SIP/2.0 200 OK\r\n"), "{report}");
        alice.hear_bye();
        alice.hear_bye();
        // In one shard the two parties' own legs, otherwise two more that carry the sound between shards.
        let calls = switch.ask_until("calls", |calls| {
            let calls = calls.as_array().unwrap();
            matches!(calls.len(), 2 | 4) && calls.iter().all(|call| call["state"] == "connected")
        });
        counts.push(calls.as_array().unwrap().len());
        bob.orders.send(()).unwrap();
        carol.hear("BYE");
        switch.ask_until("calls", |calls| calls.as_array().unwrap().is_empty());
    }
    assert!(counts.contains(&4), "some were in different shards: {counts:?}");
    switch.counts([("ports_in_use", 0)]);
    switch.end();
}
