//! Input that is wrong on purpose, over every transport: each has its answer, or a counted drop, and the switch goes on.

use crate::line::Line;
use crate::media::Media;
use crate::phone::Phone;
use crate::streams::{address, everywhere};
use crate::switch::Switch;
use std::sync::Arc;
use tokio_rustls::rustls::ClientConfig;
use transport::Transport;

const ALL: [Transport; 5] = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

/// A peer that sends one thing and looks at what comes.
struct Sender<'s> {
    switch: &'s Switch,
    client: Arc<ClientConfig>,
}

enum Way {
    Line(Box<Line>),
    Phone(Phone),
}

impl Sender<'_> {
    fn way(&self, transport: Transport) -> Way {
        match transport {
            Transport::Udp => Way::Phone(Phone::new(self.switch)),
            _ => {
                let tls = Some((&self.client, "one.example.com"));
                Way::Line(Box::new(Line::open(transport, address(self.switch, transport), tls)))
            }
        }
    }

    /// The status of the answer to a request; 0: the connection was closed without one.
    fn ask(&self, transport: Transport, request: &[u8]) -> u16 {
        let answer = match self.way(transport) {
            Way::Line(mut line) => {
                // It may close before all of it is sent.
                let _ = line.send_bytes(request);
                line.next()
            }
            Way::Phone(phone) => {
                phone.socket.send_to(request, phone.switch).unwrap();
                Some(phone.hear("SIP/2.0 "))
            }
        };
        answer.and_then(|answer| answer.split(' ').nth(1)?.parse().ok()).unwrap_or(0)
    }
}

/// An OPTIONS with these lines changed: `(beginning of the line, what stands there instead)`.
fn options(transport: Transport, number: usize, changes: &[(&str, &str)], body: &str) -> Vec<u8> {
    let name = transport.via_name();
    let text = format!(
        "OPTIONS sip:tone@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{name} 127.0.0.1:9;rport;branch=z9hG4bKbad{name}{number}\r\n\
         From: <sip:a@example.com>;tag=1\r\nTo: <sip:tone@example.com>\r\nCall-ID: bad{name}{number}\r\n\
         CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: {}\r\n",
        body.len()
    );
    let mut all = String::new();
    for line in text.split_inclusive("\r\n") {
        match changes.iter().find(|(start, _)| line.starts_with(start)) {
            Some((_, instead)) => all.push_str(instead),
            None => all.push_str(line),
        }
    }
    (all + "\r\n" + body).into_bytes()
}

#[test]
fn every_fault_has_its_answer_on_every_transport() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let (config, authority) = everywhere(folder.path(), "127.0.0.1:0");
    let client = authority.client(None);
    let switch = Switch::with(folder, config);
    let sender = Sender { switch: &switch, client };
    let many = |text: &str, count: usize| text.repeat(count);
    let headers = many("X-Header: value\r\n", 10_000) + "CSeq: 1 OPTIONS\r\n";
    let some_headers = many("X-Header: value\r\n", 200) + "CSeq: 1 OPTIONS\r\n";
    let long_uri = format!("OPTIONS sip:{}@127.0.0.1 SIP/2.0\r\n", many("u", 5_000));
    let comments = format!("CSeq: 1 OPTIONS\r\nUser-Agent: {}x{}\r\n", many("(", 3_000), many(")", 3_000));
    let unclosed = format!("CSeq: 1 OPTIONS\r\nServer: {}\r\n", many("(\\\\\"", 3_000));
    let vias = many("Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKloop\r\n", 100) + "CSeq: 1 OPTIONS\r\n";
    type Fault<'f> = (&'f str, &'f [(&'f str, &'f str)], u16);
    let faults: [Fault<'_>; 16] = [
        ("nothing wrong", &[], 200),
        ("200 headers", &[("CSeq", &some_headers)], 400),
        ("a long URI", &[("OPTIONS", &long_uri)], 414),
        ("nested comments", &[("CSeq", &comments)], 200),
        ("comments that never close", &[("CSeq", &unclosed)], 200),
        ("a NUL in a header field", &[("CSeq", "CSeq: 1 OPTIONS\r\nSubject: a\0b\r\n")], 400),
        ("a NUL in From", &[("From", "From: <sip:a\0b@example.com>;tag=1\r\n")], 400),
        ("two tags", &[("From", "From: <sip:a@example.com>;tag=1;tag=2\r\n")], 400),
        ("two Call-IDs", &[("Call-ID", "Call-ID: bad1\r\nCall-ID: bad2\r\n")], 400),
        ("another method in CSeq", &[("CSeq", "CSeq: 1 INVITE\r\n")], 400),
        ("a CSeq without end", &[("CSeq", "CSeq: 99999999999 OPTIONS\r\n")], 400),
        ("no hops left", &[("Max-Forwards", "Max-Forwards: 256\r\n")], 400),
        ("a hundred Vias of its own", &[("CSeq", &vias)], 200),
        ("another version", &[("OPTIONS", "OPTIONS sip:tone@127.0.0.1 SIP/7.0\r\n")], 505),
        ("another scheme", &[("OPTIONS", "OPTIONS nobody:tone@127.0.0.1 SIP/2.0\r\n")], 416),
        ("an extension of nobody's", &[("CSeq", "CSeq: 1 OPTIONS\r\nRequire: nothing\r\n")], 420),
    ];
    let mut wrong = Vec::new();
    for transport in ALL {
        for (number, (what, changes, expected)) in faults.iter().enumerate() {
            let status = sender.ask(transport, &options(transport, number, changes, ""));
            if status != *expected {
                wrong.push(format!("{} {what}: {status} for {expected}", transport.via_name()));
            }
        }
        // The length lies: a datagram is too short for it (RFC 3261 §18.3), a stream waits for the rest until its limit.
        let lie = options(transport, 90, &[("Content-Length", "Content-Length: 60\r\n")], "short");
        let expected = if matches!(transport, Transport::Tcp | Transport::Tls) { None } else { Some(400) };
        for (what, request, expected) in [
            ("a length that is too long", lie, expected),
            ("no length", options(transport, 91, &[("Content-Length", "Content-Length: -1\r\n")], ""), Some(400)),
            (
                "two lengths",
                options(transport, 92, &[("Content-Length", "l: 0\r\nContent-Length: 5\r\n")], ""),
                Some(400),
            ),
        ] {
            let Some(expected) = expected else { continue };
            let status = sender.ask(transport, &request);
            if status != expected {
                wrong.push(format!("{} {what}: {status} for {expected}", transport.via_name()));
            }
        }
        // More than a message may have: refused, or closed once that many bytes have come.
        if transport != Transport::Udp {
            let status = sender.ask(transport, &options(transport, 93, &[("CSeq", &headers)], ""));
            if ![0, 400, 413, 513].contains(&status) {
                wrong.push(format!("{} 10,000 headers: {status}", transport.via_name()));
            }
        }
        assert_eq!(sender.ask(transport, &options(transport, 99, &[], "")), 200, "{}", transport.via_name());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    switch.end();
}

#[test]
fn what_belongs_to_nothing_is_dropped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let switch = Switch::start(folder);
    let phone = Phone::new(&switch);
    let stray = |expected: u64| {
        switch.ask_until("stats", |stats| {
            let rows = stats.as_array().unwrap().iter().filter(|row| row["name"] == "sip_stray_packets");
            rows.filter_map(|row| row["value"].as_u64()).sum::<u64>() == expected
        });
    };
    // An ACK without an INVITE, and answers to what we never asked.
    phone.send("ACK", "never", ";tag=x", 1, "");
    stray(1);
    for (number, status) in [200, 180, 401, 302, 503].into_iter().enumerate() {
        let text = format!(
            "SIP/2.0 {status} x\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKspoofed{number}\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: spoofed\r\nCSeq: 1 INVITE\r\nContact: <sip:x@203.0.113.9>\r\n\
             Content-Length: 0\r\n\r\n",
            switch.address
        );
        phone.socket.send_to(text.as_bytes(), phone.switch).unwrap();
    }
    stray(6);
    // CANCEL of nothing; a BYE, an INFO and a re-INVITE of nothing.
    for method in ["CANCEL", "BYE", "INFO", "INVITE"] {
        assert!(phone.insist(method, "never", ";tag=x", 7).starts_with("SIP/2.0 481"), "{method}");
    }
    phone.send("ACK", "never", ";tag=x", 7, "");
    let tag = phone.call("c1");
    switch.ask_until("calls", |calls| calls[0]["state"] == "connected");
    // Numbers that go backwards (RFC 3261 §12.2.2), and a CANCEL that comes after the answer.
    phone.insist("INFO", "c1", &tag, 100);
    assert!(phone.insist("INFO", "c1", &tag, 50).starts_with("SIP/2.0 500"));
    let us = phone.socket.local_addr().unwrap();
    let cancel = format!(
        "CANCEL sip:tone@{} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKc11INVITE\r\nFrom: <sip:alice@example.com>;tag=a1\r\n\
         To: <sip:tone@example.com>\r\nCall-ID: c1\r\nCSeq: 1 CANCEL\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        phone.switch
    );
    phone.socket.send_to(cancel.as_bytes(), phone.switch).unwrap();
    assert!(phone.hear("SIP/2.0 200").contains("1 CANCEL"), "it is answered, and changes nothing");
    assert_eq!(switch.ask("calls")[0]["state"], "connected");
    // A stranger with another tag is no part of the call.
    assert!(phone.insist("BYE", "c1", ";tag=guessed", 200).starts_with("SIP/2.0 481"));
    assert!(phone.insist("BYE", "c1", &tag, 201).starts_with("SIP/2.0 200"));
    switch.end();
}
