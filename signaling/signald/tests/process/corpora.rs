//! Every file of every corpus in the tree, over every transport: each message as it is and through a proxy, each URI, header
//! value and session description in otherwise sound requests. Whatever can be answered is answered, and nothing is left.

use crate::PATIENCE;
use crate::line::Line;
use crate::media::Media;
use crate::phone::SDP;
use crate::streams::{address, everywhere};
use crate::switch::Switch;
use loadtest::corpus::{Dialog, Place, Request, Sample, acknowledgement, fresh, messages, read, requests};
use session::{Decide, Decision, IncomingCall, Plan, PlannedSource};
use sip_wire::{Framing, Message, Method};
use std::collections::HashMap;
use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_rustls::rustls::ClientConfig;
use transport::Transport;

/// Requests on their way at once: few enough for every socket's buffer.
const WINDOW: usize = 16;

/// Every folder of samples in the tree.
fn samples() -> Vec<Sample> {
    let wire = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sip-wire");
    let all = read(&["fuzz/corpus", "tests/torture", "tests/samples"].map(|name| wire.join(name)));
    let mut all = all.unwrap();
    all.retain(|sample| !sample.name.ends_with(".md"));
    assert!(all.len() > 95, "{}", all.len());
    all
}

/// Answers `tone` and nobody else, and goes nowhere: Contacts of a corpus lead out of this host.
struct Homely;

impl Decide for Homely {
    fn incoming(&mut self, call: &IncomingCall<'_>) -> Decision {
        match call.called_user {
            "tone" => Decision::Accept(Plan::of(PlannedSource::Tone440)),
            _ => Decision::Reject { status: 404, reason: "".into() },
        }
    }

    fn transfer_requested(&mut self, _: &session::TransferRequest<'_>) -> session::Destination {
        session::Destination::Refused(603)
    }
}

impl signald::CallHandler for Homely {}

/// What becomes of a request, by the judgement of RFC 4475 alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expected {
    Status(u16),
    /// Whatever, but a final one, and none that says that we failed.
    Final,
    Nothing,
}

fn judge(bytes: &[u8]) -> Expected {
    let Ok(message) = Message::parse(bytes) else { return Expected::Nothing };
    if message.method().is_none_or(|method| method == Method::Ack) {
        return Expected::Nothing;
    }
    match message.validate_request() {
        Ok(()) => Expected::Final,
        Err(fault) => message.answer_to(&fault).map_or(Expected::Nothing, |status| Expected::Status(status.code())),
    }
}

impl Expected {
    fn fits(self, status: u16) -> bool {
        match self {
            Expected::Status(expected) => status == expected,
            Expected::Final => (200..500).contains(&status) || [501, 505, 603, 606].contains(&status),
            Expected::Nothing => false,
        }
    }
}

/// One way to the switch.
struct Road<'r> {
    name: &'static str,
    transport: Transport,
    to: SocketAddr,
    client: &'r Arc<ClientConfig>,
}

enum Way {
    Line(Box<Line>),
    Datagrams(UdpSocket),
}

/// Every address of the switch.
fn roads<'r>(switch: &Switch, client: &'r Arc<ClientConfig>) -> Vec<Road<'r>> {
    let datagrams = switch.listening.iter().map(|at| (if at.is_ipv4() { "udp" } else { "udp6" }, Transport::Udp, *at));
    let streams = [("tcp", Transport::Tcp), ("tls", Transport::Tls), ("ws", Transport::Ws), ("wss", Transport::Wss)];
    let streams = streams.map(|(name, transport)| (name, transport, address(switch, transport)));
    let all = datagrams.chain(streams);
    all.map(|(name, transport, to)| Road { name, transport, to, client }).collect()
}

impl Road<'_> {
    fn open(&self) -> Way {
        if self.transport != Transport::Udp {
            let tls = Some((self.client, "one.example.com"));
            return Way::Line(Box::new(Line::open(self.transport, self.to, tls)));
        }
        const T1: Duration = Duration::from_millis(500);
        let socket = UdpSocket::bind((self.to.ip(), 0)).unwrap();
        socket.set_read_timeout(Some(T1)).unwrap();
        socket.connect(self.to).unwrap();
        Way::Datagrams(socket)
    }

    fn place<'p>(&self, way: &Way, run: &'p str) -> Place<'p> {
        let local = match way {
            Way::Line(line) => line.local,
            Way::Datagrams(socket) => socket.local_addr().unwrap(),
        };
        Place { transport: self.transport.via_name(), local, run }
    }
}

impl Way {
    /// A connection may be closed by what was sent before.
    fn send(&mut self, bytes: &[u8]) {
        match self {
            Way::Line(line) => drop(line.send_bytes(bytes)),
            Way::Datagrams(socket) => drop(socket.send(bytes)),
        }
    }

    /// The next message. `Err(true)`: the connection was closed; `Err(false)`: nothing came for a while.
    fn next(&mut self) -> Result<String, bool> {
        match self {
            Way::Line(line) => line.heard().map_err(|_| false)?.ok_or(true),
            Way::Datagrams(socket) => {
                let mut buffer = [0; 65_536];
                let bytes = socket.recv(&mut buffer).map_err(|_| false)?;
                Ok(String::from_utf8_lossy(&buffer[..bytes]).into_owned())
            }
        }
    }
}

/// The branch of the topmost Via.
fn branch(answer: &str) -> Option<&str> {
    let via = answer.lines().find(|line| line.starts_with("Via:"))?;
    via.split("branch=").nth(1)?.split([';', ',', ' ']).next()
}

#[derive(Default)]
struct Sweep {
    /// What went out and what was answered over UDP: it may have been lost.
    datagrams: u64,
    answered_datagrams: u64,
    opened: u64,
    wrong: Vec<String>,
}

impl Sweep {
    fn open(&mut self, road: &Road<'_>) -> Way {
        self.opened += u64::from(road.transport != Transport::Udp);
        road.open()
    }

    fn send(&mut self, road: &Road<'_>, way: &mut Way, bytes: &[u8]) {
        self.datagrams += u64::from(road.transport == Transport::Udp);
        way.send(bytes);
    }

    /// Sends requests, hears a final answer to each, and ends what comes of it. Gives how many were answered.
    fn ask(&mut self, road: &Road<'_>, way: &mut Way, asked: &[(Request, Expected)], is_new: bool) -> usize {
        let place = road.place(way, "");
        let by_branch: HashMap<&str, usize> =
            asked.iter().enumerate().map(|(at, (request, _))| (request.branch.as_str(), at)).collect();
        let mut heard = vec![false; asked.len()];
        let until = Instant::now() + PATIENCE;
        asked.iter().for_each(|(request, _)| self.send(road, way, &request.bytes));
        while heard.contains(&false) {
            let answer = match way.next() {
                Ok(answer) => answer,
                Err(is_closed) if is_closed || Instant::now() > until => {
                    let silent = asked.iter().zip(&heard).find(|(_, heard)| !**heard);
                    let what = silent.map_or("", |((request, _), _)| request.what.as_str());
                    self.wrong.push(format!("{}: no answer to {what}, closed: {is_closed}", road.name));
                    break;
                }
                // A full socket has lost some (timer E).
                Err(_) => {
                    let left = asked.iter().zip(&heard).filter(|(_, heard)| !**heard);
                    left.for_each(|((request, _), _)| self.send(road, way, &request.bytes));
                    continue;
                }
            };
            let status = answer.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
            let Some(status) = status.filter(|status| *status >= 200) else { continue };
            let Some(at) = branch(&answer).and_then(|branch| by_branch.get(branch).copied()) else { continue };
            let (request, expected) = &asked[at];
            if request.method == "INVITE" {
                for text in acknowledgement(&answer, &place, &request.branch, is_new) {
                    self.send(road, way, text.as_bytes());
                }
            }
            if !std::mem::replace(&mut heard[at], true) && !expected.fits(status) {
                self.wrong.push(format!("{}: {}: {status} for {expected:?}\n{answer}", road.name, request.what));
            }
        }
        let heard = heard.iter().filter(|heard| **heard).count();
        self.answered_datagrams += if road.transport == Transport::Udp { heard as u64 } else { 0 };
        heard
    }

    fn options(&mut self, road: &Road<'_>, run: &str) {
        let mut way = self.open(road);
        let place = road.place(&way, run);
        let (name, local) = (place.transport, place.local);
        let text = format!(
            "OPTIONS sip:tone@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{name} {local};branch=z9hG4bK{run};rport\r\n\
             From: <sip:a@example.com>;tag=a1\r\nTo: <sip:tone@example.com>\r\nCall-ID: {run}\r\nCSeq: 1 OPTIONS\r\n\
             Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        let request =
            Request { what: run.into(), branch: format!("z9hG4bK{run}"), method: "OPTIONS", bytes: text.into_bytes() };
        self.ask(road, &mut way, &[(request, Expected::Status(200))], true);
    }

    /// Each message as it stands. Over a connection its answer, where there must be one, comes back on it.
    fn as_they_are(&mut self, road: &Road<'_>, samples: &[Sample]) {
        let mut ways = Vec::new();
        for (number, (name, bytes)) in messages(samples, "").enumerate() {
            let bytes = fresh(&bytes, &format!("{}.{number}.", road.name));
            let mut way = self.open(road);
            self.send(road, &mut way, &bytes);
            let message = match sip_wire::frame(&bytes) {
                _ if road.transport == Transport::Udp => None, // the answer goes where the Via says
                _ if matches!(road.transport, Transport::Ws | Transport::Wss) => Some(&bytes[..]),
                Framing::Complete { bytes: end } => Some(&bytes[..end]),
                _ => None,
            };
            let expected = message.map_or(Expected::Nothing, judge);
            if expected != Expected::Nothing {
                let mut statuses = std::iter::from_fn(|| {
                    Some(way.next().map(|answer| answer.get(8..11).and_then(|word| word.parse().ok()).unwrap_or(0)))
                });
                let last = statuses.find(|status| !status.is_ok_and(|status: u16| (100..200).contains(&status)));
                let is_right = last.is_some_and(|status| status.is_ok_and(|status| expected.fits(status)));
                if !is_right {
                    self.wrong.push(format!("{} {name}: {last:?} for {expected:?}", road.name));
                }
            }
            ways.push(way);
        }
        self.options(road, &format!("as{}", road.name));
    }

    /// Each message with our Via on top, as if a proxy had sent it on: its answer comes to us over every transport.
    fn through_a_proxy(&mut self, road: &Road<'_>, samples: &[Sample]) -> usize {
        let (mut way, mut heard) = (self.open(road), 0);
        for (number, (name, bytes)) in messages(samples, "").enumerate() {
            let run = format!("p{}.{number}.", road.name);
            let Some(line) = bytes.windows(2).position(|two| two == b"\r\n") else { continue };
            if road.transport != Transport::Udp {
                way = self.open(road);
            }
            let place = road.place(&way, &run);
            let branch = format!("z9hG4bK{run}");
            let via = format!("\r\nVia: SIP/2.0/{} {};rport;branch={branch}", place.transport, place.local);
            let mut bytes = fresh(&bytes, &run);
            bytes.splice(line..line, via.into_bytes());
            let end = match sip_wire::frame(&bytes) {
                Framing::Complete { bytes: end } if matches!(road.transport, Transport::Tcp | Transport::Tls) => end,
                _ => bytes.len(),
            };
            let method = if bytes.starts_with(b"INVITE ") { "INVITE" } else { "" };
            let expected = judge(&bytes[..end]);
            let is_cut = end == bytes.len() && matches!(road.transport, Transport::Tcp | Transport::Tls);
            let request = Request { what: format!("{name} through a proxy"), branch, method, bytes };
            match expected {
                // A stream waits for the rest, or cannot find the end.
                _ if is_cut && !matches!(sip_wire::frame(&request.bytes), Framing::Complete { .. }) => {
                    self.send(road, &mut way, &request.bytes);
                }
                Expected::Nothing => self.send(road, &mut way, &request.bytes),
                _ => heard += self.ask(road, &mut way, &[(request, expected)], true),
            }
        }
        self.options(road, &format!("proxy{}", road.name));
        heard
    }

    /// Each piece in every place of a request.
    fn in_every_place(&mut self, road: &Road<'_>, samples: &[Sample]) -> usize {
        let mut way = self.open(road);
        let run = format!("w{}", road.name);
        let all = requests(samples, &road.place(&way, &run), None);
        let all: Vec<_> =
            all.into_iter().map(|request| (judge(&request.bytes), request)).map(|(e, r)| (r, e)).collect();
        let heard = all.chunks(WINDOW).map(|some| self.ask(road, &mut way, some, true)).sum();
        self.options(road, &format!("place{}", road.name));
        heard
    }

    /// The same in a dialog: a call that is up stays up, whatever is said in it, until it is hung up.
    fn in_a_call(&mut self, road: &Road<'_>, samples: &[Sample]) -> usize {
        let mut way = self.open(road);
        let run = format!("d{}", road.name);
        let place = road.place(&way, &run);
        let (name, local) = (place.transport, place.local);
        let request = |method: &str, tag: &str, cseq: u32, body: &str| {
            format!(
                "{method} sip:tone@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{name} {local};branch=z9hG4bK{run}{method};rport\r\n\
                 From: <sip:alice@example.com>;tag=a1\r\nTo: <sip:tone@example.com>{tag}\r\nCall-ID: {run}\r\n\
                 CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nContact: <sip:alice@{local}>\r\n\
                 Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        self.send(road, &mut way, request("INVITE", "", 1, SDP).as_bytes());
        let until = Instant::now() + PATIENCE;
        let answer = loop {
            match way.next() {
                Ok(answer) if answer.starts_with("SIP/2.0 200") => break answer,
                Ok(_) => {}
                Err(false) if Instant::now() < until => {
                    self.send(road, &mut way, request("INVITE", "", 1, SDP).as_bytes());
                }
                Err(_) => panic!("{}: no call", road.name),
            }
        };
        let ack = acknowledgement(&answer, &place, &format!("z9hG4bK{run}INVITE"), false);
        self.send(road, &mut way, ack[0].as_bytes());
        let to = answer.lines().find(|line| line.starts_with("To:")).unwrap();
        let to_tag = format!(";tag={}", to.split("tag=").nth(1).unwrap());
        let mut dialog = Dialog { call_id: run.clone(), to_tag: to_tag.clone(), cseq: 1 };
        let inside = requests(samples, &place, Some(&mut dialog));
        let mut heard = 0;
        for request in inside {
            let expected = judge(&request.bytes);
            heard += self.ask(road, &mut way, &[(request, expected)], false);
        }
        let bye = request("BYE", &to_tag, dialog.cseq + 1_000_000, "").into_bytes();
        let bye = Request { what: "BYE".into(), branch: format!("z9hG4bK{run}BYE"), method: "BYE", bytes: bye };
        self.ask(road, &mut way, &[(bye, Expected::Status(200))], true);
        self.options(road, &format!("call{}", road.name));
        heard
    }
}

#[test]
fn every_file_of_the_corpora_over_every_transport() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::with_ports(folder.path().join("media-control.sock"), 34_000..=34_255);
    let (mut config, authority) = everywhere(folder.path(), "127.0.0.1:0");
    config.sip.listen.push("[::1]:0".parse().unwrap());
    // What is remembered for 64*T1 is gone in seconds, so that the end can be waited for.
    config.sip.t1 = Duration::from_millis(50);
    let client = authority.client(None);
    let (switch, _orders) = Switch::with_user(folder, config, |_| Box::new(Homely));
    let roads = roads(&switch, &client);
    assert_eq!(roads.len(), 6);
    let samples = samples();
    let mut sweep = Sweep::default();
    for road in &roads {
        let start = Instant::now();
        sweep.as_they_are(road, &samples);
        let proxied = sweep.through_a_proxy(road, &samples);
        let placed = sweep.in_every_place(road, &samples);
        let inside = sweep.in_a_call(road, &samples);
        println!("{}: answered {proxied} + {placed} + {inside} in {:?}", road.name, start.elapsed());
        assert!(proxied > 30 && placed > 700 && inside > 700, "{}: {proxied} {placed} {inside}", road.name);
    }
    assert!(sweep.wrong.is_empty(), "{} wrong:\n{}", sweep.wrong.len(), sweep.wrong.join("\n"));
    assert!(!switch.has_ended());
    nothing_is_left(&switch);
    // Every message that came was understood or counted as none.
    let level = |name: &str| switch.level(name);
    let arrived = level("sip_received_packets") + level("sip_dropped_malformed_packets");
    let by_streams = level("stream_received_packets");
    let lost = ["sip_dropped_queue_full_packets", "stream_refused_packets", "stream_connections_refused_source"];
    assert_eq!(lost.map(level), [0; 3]);
    assert!(arrived >= by_streams + sweep.answered_datagrams, "{arrived} {by_streams} {}", sweep.answered_datagrams);
    assert!(arrived <= by_streams + sweep.datagrams, "{arrived} {by_streams} {}", sweep.datagrams);
    // One was given up before its handshake.
    assert_eq!(level("stream_connections_accepted") + level("stream_handshakes_failed"), sweep.opened);
    // A host that stalls for 64*T1 fails a call whose ACK it has.
    assert_eq!(level("calls_answered"), level("calls_completed") + level("calls_failed"));
    assert!(level("calls_completed") > 100, "{}", level("calls_completed"));
    assert_eq!((level("dialogs_never_ended"), level("legs_never_closed")), (0, 0));
    switch.end();
}

/// Every message of the corpora with some of its bits turned by zzuf, the same ones for the same seed. It keeps lengths, so
/// one run of it does for all of them.
fn fuzzed(samples: &[Sample], folder: &Path, seed: u32) -> Vec<Vec<u8>> {
    // From one wrong bit in 2,000 to one in 50.
    let ratio = ["0.0005", "0.001", "0.004", "0.02"][seed as usize % 4];
    let mut all: Vec<Vec<u8>> = messages(samples, &format!("z{seed}.")).map(|(_, bytes)| bytes).collect();
    let place = Place { transport: "UDP", local: "127.0.0.1:9".parse().unwrap(), run: &format!("z{seed}") };
    let calls_nobody = |request: &Request| !request.bytes.starts_with(b"INVITE sip:tone");
    all.extend(requests(samples, &place, None).into_iter().filter(calls_nobody).map(|request| request.bytes));
    let (sound, damaged) = (folder.join("sound"), folder.join("damaged"));
    std::fs::write(&sound, all.concat()).unwrap();
    let status = Command::new("zzuf")
        .args(["-s", &seed.to_string(), "-r", ratio])
        .stdin(File::open(&sound).unwrap())
        .stdout(File::create(&damaged).unwrap())
        .status()
        .expect("zzuf is installed by `make peers`");
    assert!(status.success());
    let damaged = std::fs::read(&damaged).unwrap();
    let (mut at, whole) = (0, all.concat());
    assert!(damaged.len() == whole.len() && damaged != whole);
    let pieces = all.iter().map(|message| {
        at += message.len();
        damaged[at - message.len()..at].to_vec()
    });
    pieces.collect()
}

#[test]
fn what_another_fuzzer_makes_of_the_corpora() {
    /// Of each seed and transport: each has a connection of its own.
    const CONNECTIONS: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let (mut config, authority) = everywhere(folder.path(), "127.0.0.1:0");
    config.sip.t1 = Duration::from_millis(50);
    let client = authority.client(None);
    let (switch, _orders) = Switch::with_user(folder, config, |_| Box::new(Homely));
    let roads = roads(&switch, &client);
    let samples = samples();
    let mut sweep = Sweep::default();
    // Each ratio of damage once, or many times.
    let seeds_count = if loadtest::is_full_run() { 24 } else { 4 };
    for seed in 0..seeds_count {
        let damaged = fuzzed(&samples, scratch.path(), seed);
        for road in &roads {
            let mut way = sweep.open(road);
            let step = if road.transport == Transport::Udp { 1 } else { damaged.len() / CONNECTIONS };
            for (number, message) in damaged.iter().enumerate().skip(seed as usize % step).step_by(step) {
                if road.transport != Transport::Udp {
                    way = sweep.open(road);
                } else if number % 200 == 0 {
                    // It keeps up, so that little is lost on the way.
                    sweep.options(road, &format!("z{seed}.{number}"));
                }
                sweep.send(road, &mut way, message);
            }
            sweep.options(road, &format!("z{seed}{}", road.name));
        }
    }
    println!("{} datagrams, {} connections", sweep.datagrams, sweep.opened);
    assert!(sweep.wrong.is_empty(), "{}", sweep.wrong.join("\n"));
    assert!(!switch.has_ended());
    nothing_is_left(&switch);
    let level = |name: &str| switch.level(name);
    let arrived = level("sip_received_packets") + level("sip_dropped_malformed_packets");
    assert!(arrived > sweep.datagrams / 2, "{arrived} of {}", sweep.datagrams);
    assert_eq!(level("stream_connections_accepted") + level("stream_handshakes_failed"), sweep.opened);
    switch.end();
}

/// No call, transaction, leg, port or connection.
pub(crate) fn nothing_is_left(switch: &Switch) {
    const LEVELS: [&str; 4] = ["calls_active", "transactions_open", "ports_in_use", "stream_connections_open"];
    switch.ask_until("stats", |stats| {
        let rows = stats.as_array().unwrap();
        LEVELS.iter().all(|name| rows.iter().filter(|row| row["name"] == *name).all(|row| row["value"] == 0))
    });
    assert_eq!(switch.ask("calls"), serde_json::json!([]));
    assert_eq!(switch.ask("health")["status"], "ok");
}
