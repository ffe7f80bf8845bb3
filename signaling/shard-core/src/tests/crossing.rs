//! A call through a shard from the wire to the wire: what its two sides see of each other.

use crate::{B2bua, Input, Routes, Shard, ShardOutput, Transfers};
use clock::{Duration, Instant};
use config::{Config, Route};
use contract::{CloseReason, Command, Event, LegRef, PortRef};
use session::{Port, Ports};
use sip_core::Flow;
use std::collections::VecDeque;

const SDP: &str = "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

struct SomePorts(VecDeque<u16>, u32);

impl Ports for SomePorts {
    fn take(&mut self) -> Option<Port> {
        self.1 += 1;
        let port = self.0.pop_front()?;
        Some(Port { leg: LegRef::new(u32::from(port) / 2, self.1), pair: PortRef::new(port, self.1), worker: 0 })
    }
    fn take_on(&mut self, _: u8) -> Option<Port> {
        self.take()
    }
    fn has_worker(&self, worker: u8) -> bool {
        worker == 0
    }
    fn give_back(&mut self, port: Port) {
        self.0.push_back(port.pair.rtp);
    }
}

pub(super) struct Wire {
    now: Instant,
    shard: Shard,
    ports: SomePorts,
    out: ShardOutput,
    /// How often the shard parsed a message, and how many came.
    #[cfg(debug_assertions)]
    parses: (u64, u64),
}

/// A calls through us (192.0.2.9) to B.
fn path_of_a() -> Flow {
    Flow::udp("192.0.2.9:5060".parse().unwrap(), "192.0.2.1:5070".parse().unwrap())
}

fn path_of_b() -> Flow {
    Flow::udp("192.0.2.9:5060".parse().unwrap(), "192.0.2.7:5060".parse().unwrap())
}

impl Wire {
    pub(super) fn new(headers: &str) -> Self {
        let config = Config::parse(&format!("[headers]\n{headers}\n")).unwrap();
        let route = |pattern: &str, targets: &[&str]| Route {
            pattern: pattern.to_owned(),
            targets: targets.iter().map(|uri| vec![(*uri).to_owned()]).collect(),
        };
        let routes = [route("+49-30*", &["sip:trunk.example.net"]), route("two", &["sip:first.net", "sip:second.net"])];
        let routes = Routes::new(&routes).unwrap().lead_by(path_of_b());
        let user = B2bua::new(routes.clone(), Transfers::new(&config, routes));
        Self {
            now: Instant::ZERO,
            shard: Shard::new(&config, 0, 1, 7, Box::new(user)),
            ports: SomePorts((0..8).map(|index| 10_000 + 2 * index).collect(), 0),
            out: ShardOutput::default(),
            #[cfg(debug_assertions)]
            parses: (0, 0),
        }
    }

    /// Hands something in; gives what goes to A and what goes to B. The media plane does at once what it is asked to.
    fn input(&mut self, input: Input<'_>) -> (Vec<String>, Vec<String>) {
        #[cfg(debug_assertions)]
        let (before, message_count) = (sip_wire::parse_count(), u64::from(matches!(input, Input::Message { .. })));
        self.shard.handle(self.now, input, &mut self.ports, &mut self.out);
        while !self.out.commands.is_empty() {
            for (_, command) in std::mem::take(&mut self.out.commands) {
                let (leg, tag) = (command.leg(), command.number());
                let event = match command {
                    Command::Open { .. } => Event::Opened { leg, number: tag },
                    Command::Update { .. } => Event::Updated { leg, number: tag },
                    Command::Close { .. } => Event::Closed { leg, number: tag, reason: CloseReason::Asked },
                    _ => continue,
                };
                self.shard.handle(self.now, Input::Media(event), &mut self.ports, &mut self.out);
            }
        }
        #[cfg(debug_assertions)]
        {
            self.parses.0 += sip_wire::parse_count() - before;
            self.parses.1 += message_count;
        }
        let sip = &self.out.sip;
        let to = |path: Flow| {
            let mine = sip.transmits.iter().filter(|transmit| transmit.flow.remote == path.remote);
            mine.map(|transmit| String::from_utf8_lossy(sip.bytes(transmit.bytes)).into_owned()).collect::<Vec<_>>()
        };
        let sent = (to(path_of_a()), to(path_of_b()));
        self.out.sip.clear();
        sent
    }

    pub(super) fn a_says(&mut self, text: &str) -> (Vec<String>, Vec<String>) {
        self.input(Input::Message { flow: path_of_a(), bytes: text.as_bytes() })
    }

    pub(super) fn b_says(&mut self, text: &str) -> (Vec<String>, Vec<String>) {
        self.input(Input::Message { flow: path_of_b(), bytes: text.as_bytes() })
    }

    pub(super) fn wait(&mut self, pause: Duration) -> (Vec<String>, Vec<String>) {
        let until = self.now + pause;
        let mut sent = (Vec::new(), Vec::new());
        while let Some(at) = self.shard.deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            let (a, b) = self.input(Input::Deadline);
            sent.0.extend(a);
            sent.1.extend(b);
        }
        self.now = until;
        sent
    }
}

fn request(method: &str, uri: &str, from: &str, to: &str, lines: &[&str]) -> String {
    let body = if method == "INVITE" { SDP } else { "" };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let (branch, cseq) = if method == "BYE" { ("b", 2) } else { ("i", 1) };
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK{branch}\r\nFrom: {from};tag=a1\r\nTo: {to}\r\n\
         Call-ID: c1\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nContact: <sip:alice@192.0.2.1:5070>\r\n{lines}{kind}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// B's response to a request of ours.
fn response(request: &str, status: &str, lines: &[&str]) -> String {
    let copied = |name: &str| request.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    let body = if status.starts_with("200") && request.starts_with("INVITE") { SDP } else { "" };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!(
        "SIP/2.0 {status}\r\n{}\r\n{}\r\n{};tag=b1\r\n{}\r\n{}\r\nContact: <sip:b@192.0.2.7>\r\n{lines}{kind}\
         Content-Length: {}\r\n\r\n{body}",
        copied("Via:"),
        copied("From:"),
        copied("To:"),
        copied("Call-ID:"),
        copied("CSeq:"),
        body.len()
    )
}

pub(super) fn line<'m>(message: &'m str, name: &str) -> &'m str {
    let found = message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no {name} in {message}"))
}

const NUMBER: &str = "tel:+49-30-12";

#[test]
fn a_call_between_numbers_from_invite_to_bye() {
    let mut wire = Wire::new("trusted = [\"192.0.2.0/24\"]");
    let lines = [
        "P-Asserted-Identity: \"Alice\" <tel:+49-89-1>",
        "Diversion: <tel:+49-40-5>;reason=unconditional",
        "Alert-Info: <http://h/bell>",
        "User-to-User: 56a3;encoding=hex",
        "Session-ID: aa;remote=00",
        "Timestamp: 54.25",
    ];
    let (a, b) = wire.a_says(&request(
        "INVITE",
        NUMBER,
        "\"Alic\u{e9} \\\"A\\\"\" <tel:+49-89-1>",
        "\"Desk\" <tel:+493012>",
        &lines,
    ));
    assert!(a.is_empty(), "{a:?}");
    let (trying, _) = wire.wait(Duration::from_millis(300));
    assert!(trying[0].starts_with("SIP/2.0 100 ") && line(&trying[0], "Timestamp") == "54.25", "{trying:?}");
    let [invite] = &b[..] else { panic!("{b:?}") };
    assert!(invite.starts_with("INVITE sip:+493012@trunk.example.net;user=phone SIP/2.0\r\n"), "{invite}");
    assert!(
        line(invite, "From").starts_with("\"Alic\u{e9} \\\"A\\\"\" <sip:+49891@192.0.2.9;user=phone>;tag="),
        "{invite}"
    );
    assert_eq!(line(invite, "To"), "\"Desk\" <sip:+493012@trunk.example.net;user=phone>");
    assert!(lines[..5].iter().all(|line| invite.contains(&format!("\r\n{line}\r\n"))), "{invite}");
    assert!(!invite.contains("Timestamp"), "{invite}");
    let (a, _) = wire.b_says(&response(invite, "180 Ringing", &["Alert-Info: <http://h/ring>", "X-B: 1"]));
    assert!(a[0].starts_with("SIP/2.0 180 Ringing") && line(&a[0], "Alert-Info") == "<http://h/ring>", "{a:?}");
    assert!(!a[0].contains("X-B") && line(&a[0], "Timestamp") == "54.25");
    let said = ["P-Asserted-Identity: \"Bob\" <sip:bob@h>", "Session-ID: bb;remote=aa"];
    let (a, b) = wire.b_says(&response(invite, "200 OK", &said));
    assert!(b[0].starts_with("ACK sip:b@192.0.2.7 SIP/2.0"), "{b:?}");
    assert!(a[0].starts_with("SIP/2.0 200 OK") && said.iter().all(|line| a[0].contains(line)), "{a:?}");
    let to = line(&a[0], "To").to_owned();
    wire.a_says(&request("ACK", "sip:192.0.2.9", "<tel:+49-89-1>", &to, &[]));
    let why = "Reason: Q.850;cause=16;text=\"Normal call clearing\"";
    let (a, b) = wire.a_says(&request("BYE", "sip:192.0.2.9", "<tel:+49-89-1>", &to, &[why, "User-to-User: 77"]));
    assert!(a[0].starts_with("SIP/2.0 200 OK"), "{a:?}");
    assert!(
        b[0].starts_with("BYE sip:b@192.0.2.7") && b[0].contains(why) && line(&b[0], "User-to-User") == "77",
        "{b:?}"
    );
}

/// Shard, endpoint, session and routes read the same parse of a message: from INVITE to BYE, for a change in the middle, and
/// for a call whose first target refuses.
#[cfg(debug_assertions)]
#[test]
fn each_message_that_arrives_is_parsed_once() {
    let mut wire = Wire::new("trusted = [\"192.0.2.0/24\"]");
    let alice = "\"Alice\" <sip:alice@example.com>";
    let (_, b) = wire.a_says(&request("INVITE", NUMBER, alice, "<tel:+493012>", &["Subject: x"]));
    assert_eq!(wire.parses, (1, 1), "INVITE");
    let invite = b[0].clone();
    wire.b_says(&response(&invite, "180 Ringing", &["Alert-Info: <http://h/ring>"]));
    assert_eq!(wire.parses, (2, 2), "180");
    let (a, _) = wire.b_says(&response(&invite, "200 OK", &[]));
    assert_eq!(wire.parses, (3, 3), "200");
    let to = line(&a[0], "To").to_owned();
    wire.a_says(&request("ACK", "sip:192.0.2.9", alice, &to, &[]));
    assert_eq!(wire.parses, (4, 4), "ACK");
    let held = format!("{SDP}a=sendonly\r\n");
    let again =
        request("INVITE", "sip:192.0.2.9", alice, &to, &[]).replace("CSeq: 1", "CSeq: 2").replace("4bKi", "4bKr");
    let length = |body: &str| format!("Content-Length: {}\r\n", body.len());
    let (_, b) = wire.a_says(&again.replace(&length(SDP), &length(&held)).replace(SDP, &held));
    assert_eq!(wire.parses, (5, 5), "re-INVITE");
    let crossed = b.iter().find(|text| text.starts_with("INVITE ")).expect("the hold crosses");
    wire.b_says(&response(crossed, "200 OK", &[]).replace(";tag=b1;tag=b1", ";tag=b1"));
    assert_eq!(wire.parses, (6, 6), "200 to the re-INVITE");
    wire.a_says(&request("ACK", "sip:192.0.2.9", alice, &to, &[]).replace("CSeq: 1", "CSeq: 2"));
    let bye = request("BYE", "sip:192.0.2.9", alice, &to, &["Reason: Q.850;cause=16"]).replace("CSeq: 2", "CSeq: 3");
    let (_, b) = wire.a_says(&bye);
    wire.b_says(&response(b.iter().find(|text| text.starts_with("BYE ")).unwrap(), "200 OK", &[]));
    assert_eq!(wire.parses, (9, 9), "ACK, BYE and its answer");

    let mut wire = Wire::new("");
    let (_, b) = wire.a_says(&request("INVITE", "sip:two@us", alice, "<sip:two@us>", &[]));
    let (_, b) = wire.b_says(&response(&b[0], "500 Broken", &["Reason: Q.850;cause=41"]));
    let second = b.iter().find(|text| text.starts_with("INVITE ")).unwrap();
    wire.b_says(&response(second, "486 At lunch", &["Retry-After: 33"]));
    assert_eq!(wire.parses, (3, 3), "an INVITE and two refusals");
}

#[test]
fn strangers_hear_less_and_nothing_of_who_wants_privacy() {
    let mut wire = Wire::new("trusted = [\"192.0.2.1\"]");
    let lines = ["P-Asserted-Identity: <sip:alice@h>", "Privacy: id", "Referred-By: <sip:alice@h>", "Priority: urgent"];
    let (_, b) = wire.a_says(&request("INVITE", NUMBER, "\"Alice\" <sip:alice@example.com>", "<tel:+493012>", &lines));
    assert!(line(&b[0], "From").starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag="), "{b:?}");
    assert!(!b[0].to_ascii_lowercase().contains("alice") && line(&b[0], "Privacy") == "id", "{b:?}");
    assert_eq!(line(&b[0], "Priority"), "urgent");
    // The answer of a stranger asserts nothing.
    let (a, _) = wire.b_says(&response(&b[0], "200 OK", &["P-Asserted-Identity: <sip:bob@h>"]));
    assert!(a[0].starts_with("SIP/2.0 200 OK") && !a[0].contains("Asserted"), "{a:?}");
}

#[test]
fn the_next_target_does_not_see_the_last_one_and_the_refusal_says_why() {
    let mut wire = Wire::new("");
    let (_, b) =
        wire.a_says(&request("INVITE", "sip:two@us", "<sip:alice@example.com>", "<sip:two@us>", &["Subject: x"]));
    assert_eq!(line(&b[0], "To"), "<sip:two@first.net>");
    let (_, b) = wire.b_says(&response(&b[0], "500 Broken", &[]));
    let second = b.iter().find(|text| text.starts_with("INVITE sip:two@second.net ")).unwrap();
    assert!(!second.contains("first.net") && line(second, "Subject") == "x", "{second}");
    let lines = ["Reason: Q.850;cause=17", "Retry-After: 33", "Warning: 399 h \"later\""];
    let (a, _) = wire.b_says(&response(second, "486 At lunch", &lines));
    assert!(a[0].starts_with("SIP/2.0 486 At lunch\r\n") && lines.iter().all(|line| a[0].contains(line)), "{a:?}");
}

#[test]
fn a_cancel_says_why_whenever_it_goes_out() {
    let why = "Reason: SIP;cause=200;text=\"Call completed elsewhere\"";
    for rings_first in [true, false] {
        let mut wire = Wire::new("");
        let (_, b) = wire.a_says(&request("INVITE", NUMBER, "<sip:alice@example.com>", "<tel:+493012>", &[]));
        let ringing = response(&b[0], "180 Ringing", &[]);
        if rings_first {
            wire.b_says(&ringing);
        }
        let (_, mut b) = wire.a_says(&request("CANCEL", NUMBER, "<sip:alice@example.com>", "<tel:+493012>", &[why]));
        if !rings_first {
            // RFC 3261 §9.1: it has to wait for a provisional response.
            assert!(b.is_empty(), "{b:?}");
            (_, b) = wire.b_says(&ringing);
        }
        assert!(b[0].starts_with("CANCEL sip:+493012@trunk.example.net;user=phone") && b[0].contains(why), "{b:?}");
    }
}

#[test]
fn an_invite_that_expires_is_cancelled_and_answered_487() {
    let mut wire = Wire::new("");
    let (_, b) = wire.a_says(&request("INVITE", NUMBER, "<sip:alice@example.com>", "<tel:+493012>", &["Expires: 12"]));
    assert_eq!(line(&b[0], "Expires"), "12");
    wire.b_says(&response(&b[0], "180 Ringing", &[]));
    let (a, b) = wire.wait(Duration::from_secs(13));
    assert!(a.iter().any(|text| text.starts_with("SIP/2.0 487 ")), "{a:?}");
    assert!(b.iter().any(|text| text.starts_with("CANCEL ")), "{b:?}");
}

#[test]
fn numbers_that_are_none_are_refused() {
    for uri in ["tel:", "tel:+", "tel:+49a", "tel:49x", "tel:+49;ext=", "tel:1;phone-context="] {
        let mut wire = Wire::new("");
        let (a, b) = wire.a_says(&request("INVITE", uri, "<sip:alice@example.com>", "<sip:x@us>", &[]));
        assert!(a[0].starts_with("SIP/2.0 400 ") && b.is_empty(), "{uri} {a:?}");
        let (a, b) = wire.a_says(&request("INVITE", NUMBER, &format!("<{uri}>"), "<sip:x@us>", &[]));
        assert!(a[0].starts_with("SIP/2.0 400 ") && b.is_empty(), "{uri} {a:?}");
    }
}

/// What crosses is what `check` says can: the two lists of what never does are the same.
#[test]
fn what_the_configuration_refuses_never_crosses() {
    for name in sip_wire::Name::all() {
        let refused = config::why_never(name.as_str()).is_some();
        assert_eq!(refused, session::CrossingPolicy::never_crosses(name.as_str()), "{name}");
        if let Some(letter) = name.compact() {
            assert_eq!(config::why_never(&char::from(letter).to_string()).is_some(), refused, "{name}");
        }
    }
}
