//! A shard in virtual time: datagrams in, datagrams out, no socket.

use crate::{Input, Shard, ShardOutput};
use clock::{Duration, Instant};
use config::Config;
use contract::{CloseReason, Command, Event, LegRef, PortRef};
use session::{Port, Ports};
use sip_core::Flow;
use stats::SignalCounter;
use std::collections::VecDeque;

struct FakePorts {
    free: VecDeque<u16>,
    lives: u32,
}

impl Ports for FakePorts {
    fn take(&mut self) -> Option<Port> {
        self.lives += 1;
        let port = self.free.pop_front()?;
        let (leg, pair) = (LegRef::new(u32::from(port) / 2, self.lives), PortRef::new(port, self.lives));
        Some(Port { leg, pair, worker: 0 })
    }
    fn take_on(&mut self, _: u8) -> Option<Port> {
        self.take()
    }
    fn has_worker(&self, worker: u8) -> bool {
        worker == 0
    }
    fn give_back(&mut self, port: Port) {
        self.free.push_back(port.pair.rtp);
    }
}

struct Bench {
    now: Instant,
    shard: Shard,
    ports: FakePorts,
    out: ShardOutput,
}

const PORT_COUNT: u16 = 8;

fn flow() -> Flow {
    Flow::udp("192.0.2.9:5060".parse().unwrap(), "192.0.2.1:5070".parse().unwrap())
}

fn request(method: &str, call: &str, to_tag: &str, cseq: u32, body: &str) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    let user = call.split('-').next().unwrap();
    format!(
        "{method} sip:{user}@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK{call}{cseq}{method}\r\n\
         From: <sip:alice@example.com>;tag=a1\r\nTo: <sip:{user}@example.com>{tag}\r\nCall-ID: {call}\r\n\
         CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nContact: <sip:alice@192.0.2.1:5070>\r\n{kind}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

const SDP: &str =
    "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n";

impl Bench {
    fn new() -> Self {
        let ports = FakePorts { free: (0..PORT_COUNT).map(|index| 10_000 + 2 * index).collect(), lives: 0 };
        Self {
            now: Instant::ZERO,
            shard: Shard::new(&Config::default(), 0, 1, 7, Box::new(crate::BuiltinDialplan::default())),
            ports,
            out: ShardOutput::default(),
        }
    }

    /// Hands something in; gives the messages that went out.
    fn input(&mut self, input: Input<'_>) -> Vec<String> {
        self.shard.handle(self.now, input, &mut self.ports, &mut self.out);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let sent = self.out.sip.transmits.iter().map(|transmit| text(self.out.sip.bytes(transmit.bytes))).collect();
        self.out.sip.clear();
        sent
    }

    fn datagram(&mut self, text: &str) -> Vec<String> {
        self.input(Input::Message { flow: flow(), bytes: text.as_bytes() })
    }

    /// Lets time go by, from deadline to deadline.
    fn wait(&mut self, pause: Duration) -> Vec<String> {
        let until = self.now + pause;
        let mut sent = Vec::new();
        while let Some(at) = self.shard.deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            sent.extend(self.input(Input::Deadline));
        }
        self.now = until;
        sent
    }

    /// The media plane does all that it is asked to.
    fn media(&mut self) -> Vec<String> {
        let mut sent = Vec::new();
        for (_, command) in std::mem::take(&mut self.out.commands) {
            let (leg, tag) = (command.leg(), command.number());
            let event = match command {
                Command::Open { .. } => Event::Opened { leg, number: tag },
                Command::Update { .. } => Event::Updated { leg, number: tag },
                Command::Close { .. } => Event::Closed { leg, number: tag, reason: CloseReason::Asked },
                _ => continue,
            };
            sent.extend(self.input(Input::Media(event)));
        }
        sent
    }

    fn call(&mut self, call: &str) -> String {
        let ringing = self.datagram(&request("INVITE", call, "", 1, SDP));
        assert!(ringing[0].starts_with("SIP/2.0 180 Ringing\r\n"), "{ringing:?}");
        let answer = self.media();
        assert!(answer[0].starts_with("SIP/2.0 200 OK\r\n"), "{answer:?}");
        assert!(answer[0].contains("c=IN IP4 192.0.2.9\r\n") && answer[0].contains("Contact: <sip:"), "{answer:?}");
        let tag = to_tag(&answer[0]);
        assert!(self.datagram(&request("ACK", call, &tag, 1, "")).is_empty());
        tag
    }

    fn assert_at_rest(&mut self) {
        assert_eq!(self.shard.sessions().count(), 0);
        assert_eq!(self.ports.free.len(), usize::from(PORT_COUNT));
        let sizes = self.shard.sizes();
        assert_eq!((sizes.server_transactions, sizes.client_transactions, sizes.dialogs), (0, 0, 0), "{sizes:?}");
        assert_eq!(self.shard.deadline(), None);
    }
}

fn to_tag(message: &str) -> String {
    let line = message.lines().find(|line| line.starts_with("To:")).unwrap();
    line.split("tag=").nth(1).unwrap().to_owned()
}

#[test]
fn a_call_leaves_nothing() {
    let mut bench = Bench::new();
    let tag = bench.call("tone-1");
    let ok = bench.datagram(&request("BYE", "tone-1", &tag, 2, ""));
    assert!(ok[0].starts_with("SIP/2.0 200 OK\r\n"), "{ok:?}");
    bench.media();
    bench.wait(Duration::from_secs(70));
    bench.assert_at_rest();
    assert_eq!(bench.shard.counts().get(SignalCounter::CallsCompleted), 1);
}

#[test]
fn lost_messages_are_sent_again_and_a_missing_ack_ends_the_call() {
    let mut bench = Bench::new();
    // The caller has shown before that it gets our answers.
    let tag = bench.call("tone-0");
    bench.datagram(&request("BYE", "tone-0", &tag, 2, ""));
    bench.media();
    let invite = request("INVITE", "tone-1", "", 1, SDP);
    bench.datagram(&invite);
    let answer = bench.media();
    let again = bench.wait(Duration::from_millis(600));
    assert_eq!(again, answer, "the 200 is repeated until it is acknowledged");
    let rest = bench.wait(Duration::from_secs(60));
    assert!(rest.iter().any(|text| text.starts_with("BYE sip:alice@192.0.2.1:5070 SIP/2.0\r\n")), "{rest:?}");
    bench.media();
    bench.wait(Duration::from_secs(130));
    bench.assert_at_rest();
}

#[test]
fn cancel_and_refusals() {
    let mut bench = Bench::new();
    bench.datagram(&request("INVITE", "tone-1", "", 1, SDP));
    let cancel = request("CANCEL", "tone-1", "", 1, "").replace("tone-11CANCEL", "tone-11INVITE");
    let sent = bench.datagram(&cancel);
    assert!(sent.iter().any(|text| text.starts_with("SIP/2.0 487 ")), "{sent:?}");
    bench.media();
    let sent = bench.datagram(&request("INVITE", "busy-1", "", 1, SDP));
    assert!(sent[0].starts_with("SIP/2.0 486 "), "{sent:?}");
    let sent = bench.datagram(&request("INVITE", "tone-2", "", 1, &SDP.replace("0 8", "18")));
    assert!(sent[0].starts_with("SIP/2.0 488 ") && sent[0].contains("can be decoded here"), "{sent:?}");
    let sent = bench.datagram(&request("OPTIONS", "tone-3", "", 1, ""));
    assert!(sent[0].starts_with("SIP/2.0 200 ") && sent[0].contains("UPDATE"), "{sent:?}");
    let sent = bench.datagram(&request("BYE", "tone-4", "none", 1, ""));
    assert!(sent[0].starts_with("SIP/2.0 481 "), "{sent:?}");
    bench.ports.free.clear();
    let sent = bench.datagram(&request("INVITE", "tone-5", "", 1, SDP));
    assert!(sent[0].starts_with("SIP/2.0 503 ") && sent[0].contains("Retry-After: 5\r\n"), "{sent:?}");
    bench.wait(Duration::from_secs(130));
    assert_eq!(bench.shard.sessions().count(), 0);
}

#[test]
fn hold_and_a_lost_media_plane() {
    let mut bench = Bench::new();
    let tag = bench.call("echo-1");
    let held = format!("{SDP}a=inactive\r\n");
    assert!(bench.datagram(&request("INVITE", "echo-1", &tag, 2, &held)).is_empty());
    let answer = bench.media();
    assert!(answer[0].starts_with("SIP/2.0 200 ") && answer[0].contains("a=inactive"), "{answer:?}");
    bench.datagram(&request("ACK", "echo-1", &tag, 2, ""));
    let sent = bench.input(Input::MediaLost);
    assert!(sent[0].starts_with("BYE "), "{sent:?}");
    bench.ports.free.clear();
    let sent = bench.datagram(&request("INVITE", "tone-2", "", 1, SDP));
    assert!(sent[0].starts_with("SIP/2.0 503 "), "{sent:?}");
}

#[test]
fn a_stop_says_bye_and_takes_no_more_calls() {
    let mut bench = Bench::new();
    bench.call("tone-1");
    let sent = bench.input(Input::Stop);
    assert!(sent[0].starts_with("BYE "), "{sent:?}");
    let sent = bench.datagram(&request("INVITE", "tone-2", "", 1, SDP));
    assert!(sent[0].starts_with("SIP/2.0 503 "), "{sent:?}");
    bench.media();
    bench.wait(Duration::from_secs(130));
    bench.assert_at_rest();
}

#[test]
fn garbage_is_counted_and_harmless() {
    let mut bench = Bench::new();
    let invite = request("INVITE", "tone-1", "", 1, SDP);
    let mut dice = 1_u64;
    for length in 0..invite.len() {
        bench.datagram(&invite[..length]);
        let mut bytes = invite.clone().into_bytes();
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        bytes[(dice >> 33) as usize % length.max(1)] = (dice >> 20) as u8;
        bench.input(Input::Message { flow: flow(), bytes: &bytes });
        bench.media();
    }
    assert!(bench.shard.counts().get(SignalCounter::DroppedMalformed) > 10);
    bench.wait(Duration::from_secs(200));
    bench.media();
    bench.wait(Duration::from_secs(200));
    bench.assert_at_rest();
}

/// What the log says about the calls of the bench since its output was emptied.
fn lines(bench: &mut Bench, log: &mut crate::log::CallLog, detail: crate::log::Detail) -> Vec<String> {
    use crate::log::Line;
    let now = bench.now;
    let mut lines = Vec::new();
    for event in &bench.out.events {
        match event {
            session::SessionEvent::Ended { reason, call, .. } => lines.extend(log.ended(now, *reason, call, detail)),
            session::SessionEvent::Refused { call } => {
                let reason = session::EndReason::Refused(call.status.unwrap());
                lines.extend(log.ended(now, reason, call, detail));
            }
            _ => {}
        }
    }
    lines.extend(log.refused(now, &bench.out.refused, detail));
    bench.out.events.clear();
    bench.out.refused.clear();
    lines
        .into_iter()
        .map(|line| match line {
            Line::Failed(text) | Line::Usual(text) => text,
        })
        .collect()
}

#[test]
fn every_refused_invite_has_a_line_that_says_who_refused_it_and_why() {
    use crate::log::{CallLog, Detail::*};
    let (mut bench, mut log) = (Bench::new(), CallLog::default());
    // By the rules of SIP, before there is a session; a copy of it is not told again where it is known to be one.
    for (lines_of, status) in [("Require: no-such\r\n", 420), ("Content-Encoding: zip\r\n", 415)] {
        let bad = request("INVITE", &format!("tone-{status}"), "", 1, SDP)
            .replace("Contact:", &format!("{lines_of}Contact:"));
        let sent = bench.datagram(&bad);
        assert!(sent[0].starts_with(&format!("SIP/2.0 {status} ")), "{sent:?}");
        let told = lines(&mut bench, &mut log, Failures);
        assert_eq!(told.len(), 1, "{status}: {told:?}");
        for words in [
            &format!("call refused: {status} "),
            "(this switch)",
            "from=\"sip:alice@example.com\"",
            "target=\"sip:tone@192.0.2.9\"",
            "peer=192.0.2.1:5070",
            &format!("call_id=\"tone-{status}\""),
        ] {
            assert!(told[0].contains(words), "no `{words}` in {told:?}");
        }
    }
    // Inside a dialog that we do not know.
    let sent = bench.datagram(&request("INVITE", "tone-x", "unknown", 2, SDP));
    assert!(sent[0].starts_with("SIP/2.0 481 "), "{sent:?}");
    assert!(lines(&mut bench, &mut log, Failures)[0].starts_with("INVITE inside a call refused: 481 "));
    // By the program that decides about calls.
    bench.datagram(&request("INVITE", "busy-1", "", 1, SDP));
    bench.datagram(&request("ACK", "busy-1", "x", 1, ""));
    bench.wait(Duration::from_secs(64));
    let told = lines(&mut bench, &mut log, Failures);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("call refused: 486 Busy Here (this switch) call="), "{told:?}");
    assert!(told[0].contains("called=\"busy\"") && told[0].contains("call_id=\"busy-1\""), "{told:?}");
    // A call that ends well is told where all are wanted, with its time.
    for (detail, count) in [(Failures, 0), (All, 1)] {
        let name = format!("tone-{count}");
        let tag = bench.call(&name);
        bench.wait(Duration::from_secs(5));
        bench.datagram(&request("BYE", &name, &tag, 2, ""));
        bench.media();
        let told = lines(&mut bench, &mut log, detail);
        assert_eq!(told.len(), count, "{told:?}");
        assert!(
            told.iter().all(|line| line.starts_with("call ended: hung up by the peer (the peer) call=")),
            "{told:?}"
        );
        assert!(told.iter().all(|line| line.contains(" talked=5.0")), "{told:?}");
    }
    let counts: Vec<(u16, u64)> = log.refused_counts().iter().collect();
    assert_eq!(counts, [(415, 1), (420, 1), (481, 1), (486, 1)]);
}

#[test]
fn a_flood_of_refused_invites_fills_neither_the_log_nor_the_memory() {
    use crate::log::{CallLog, Detail::Failures};
    let (mut bench, mut log) = (Bench::new(), CallLog::default());
    let mut told = 0;
    for number in 0..100 {
        for copy in 0..50 {
            let call = format!("tone-{number}-{copy}");
            let bad = request("INVITE", &call, "", 1, SDP).replace("Contact:", "Require: x\u{7}\u{1b}[2J\r\nContact:");
            bench.datagram(&bad);
        }
        let new = lines(&mut bench, &mut log, Failures);
        assert!(new.iter().all(|line| !line.contains(char::is_control)), "{new:?}");
        told += new.len();
    }
    assert_eq!(told, 50, "a burst, all at one moment");
    let now = bench.now + Duration::from_secs(1);
    assert_eq!(log.take_left_out(now), Some(4_950));
    assert_eq!(log.refused_counts().iter().map(|(_, count)| count).sum::<u64>(), 5_000, "none is lost in the counters");
}

/// Many INVITEs of one source, of which none is acknowledged: it gets some of the switch and everybody else the rest.
#[test]
fn a_flood_without_ack_from_one_source_is_refused_without_state() {
    let mut bench = Bench::new();
    bench.ports.free = (0..3_000).map(|index| 10_000 + 2 * index).collect();
    let from = |host: &str| Flow::udp("192.0.2.9:5060".parse().unwrap(), host.parse().unwrap());
    let send = |bench: &mut Bench, host: &str, call: &str| {
        let text = request("INVITE", call, "", 1, SDP);
        let sent = bench.input(Input::Message { flow: from(host), bytes: text.as_bytes() });
        sent.into_iter().next().unwrap_or_default()
    };
    let mut answers = [0, 0];
    for number in 0..5_200 {
        let first = send(&mut bench, &format!("192.0.2.66:{}", 1_024 + number), &format!("tone-{number}"));
        let is_refused = first.starts_with("SIP/2.0 503 ") && first.contains("Retry-After: 5\r\n");
        assert!(is_refused || first.starts_with("SIP/2.0 180 "), "{first}");
        answers[usize::from(is_refused)] += 1;
    }
    assert_eq!(answers, [100, 5_100]);
    let transactions = bench.shard.sizes().server_transactions;
    assert_eq!((bench.shard.sessions().count(), transactions), (100, 100), "what is refused leaves nothing");
    assert_eq!(bench.shard.counts().get(SignalCounter::RefusedSourceLimit), 5_100);
    // Another one is served, from start to end.
    bench.media();
    let tag = bench.call("tone-good");
    bench.datagram(&request("BYE", "tone-good", &tag, 2, ""));
    bench.media();
    // Forged sources, one INVITE each: they share half of the switch.
    let mut taken = 0;
    for number in 0..4_000_u32 {
        let host = std::net::Ipv4Addr::from(0xc633_0000 + number);
        let first = send(&mut bench, &format!("{host}:5060"), &format!("tone-f{number}"));
        taken += usize::from(first.starts_with("SIP/2.0 180 "));
    }
    assert_eq!(taken, 2_400, "and the hundred of before");
    // Who has acknowledged a call before goes on being served meanwhile.
    bench.media();
    bench.call("tone-again");
    // All of it is forgotten with the last copies.
    bench.wait(Duration::from_secs(40));
    bench.media();
    bench.wait(Duration::from_secs(70));
    assert_eq!(bench.shard.sessions().count(), 1, "the acknowledged one");
    let first = send(&mut bench, "192.0.2.66:1024", "tone-later");
    assert!(first.starts_with("SIP/2.0 180 "), "{first}");
}

/// All that a request of a forged source sets off, over all its life, is at most three times its size; a source that has
/// shown that it gets our answers has the copies of the RFC.
#[test]
fn what_a_forged_source_is_sent_is_bounded() {
    for (call, method) in [("tone-1", "INVITE"), ("busy-1", "INVITE"), ("tone-1", "MESSAGE"), ("tone-1", "OPTIONS")] {
        let mut bench = Bench::new();
        let text = request(method, call, "", 1, if method == "INVITE" { SDP } else { "" });
        // As long as the shortest that common tools write.
        let text = text.replace("Max-F", "User-Agent: a caller of some kind, version 1.2.3, on some system\r\nMax-F");
        let mut sent = bench.datagram(&text);
        sent.extend(bench.media());
        sent.extend(bench.wait(Duration::from_secs(120)));
        let bytes: usize = sent.iter().map(String::len).sum();
        let starts: Vec<&str> = sent.iter().filter_map(|sent| sent.lines().next()).collect();
        assert!(bytes <= 3 * text.len(), "{bytes} bytes for {}: {starts:?}", text.len());
        // Each copy of the request earns one of the answer.
        if method == "INVITE" {
            let mut bench = Bench::new();
            bench.datagram(&text);
            bench.media();
            bench.wait(Duration::from_secs(10));
            let mut earned = 0;
            for _ in 0..5 {
                earned += bench.datagram(&text).len();
            }
            earned += bench.wait(Duration::from_secs(20)).len();
            assert!(earned >= 3, "{call}: {earned}");
        }
    }
    let mut bench = Bench::new();
    bench.call("tone-1");
    bench.datagram(&request("INVITE", "tone-2", "", 1, SDP));
    bench.media();
    let copies = bench.wait(Duration::from_secs(31));
    let answers = copies.iter().filter(|sent| sent.starts_with("SIP/2.0 200 ")).count();
    assert_eq!(answers, 9, "T1, doubled up to T2, for 64*T1");
}
