//! One script for every transaction user: what the transaction layer does is the same below the user agent and the proxy.

mod common;

use clock::{Duration, Instant};
use common::{Peer, address, header, ms, reply, tcp, udp, word};
use sip_core::proxy::{Proxy, ProxyConfig, ProxyEvent, ProxyOutput, Target};
use sip_core::{CallId, Counters, Endpoint, EndpointConfig, Event, Flow, Limits, Output};
use sip_wire::Message;

const MAX_MESSAGE_BYTES: usize = 8_000;

/// Where its own requests go.
fn target(flow: Flow) -> Flow {
    Flow { remote: address("198.51.100.1:5060"), ..flow }
}

enum User {
    Agent(Box<Endpoint>, Output),
    Proxy(Box<Proxy>, ProxyOutput),
}

struct Bench {
    user: User,
    now: Instant,
    /// The user agent's INVITE.
    call: Option<CallId>,
    /// Final statuses of its INVITE: as the user agent's own user hears of them, as the proxy's caller does.
    ended: Vec<u16>,
}

fn both() -> [Bench; 2] {
    let limits = Limits { max_message_bytes: MAX_MESSAGE_BYTES, ..Limits::default() };
    let agent = Endpoint::new(EndpointConfig { limits, ..EndpointConfig::default() }, 7);
    let proxy = Proxy::new(ProxyConfig { max_message_bytes: MAX_MESSAGE_BYTES, ..ProxyConfig::default() }, 7);
    let users = [User::Agent(Box::new(agent), Output::new()), User::Proxy(Box::new(proxy), ProxyOutput::new())];
    users.map(|user| Bench { user, now: Instant::ZERO + Duration::from_secs(1), call: None, ended: vec![] })
}

impl Bench {
    fn is_proxy(&self) -> bool {
        matches!(self.user, User::Proxy(..))
    }

    fn counters(&self) -> Counters {
        match &self.user {
            User::Agent(agent, _) => agent.counters(),
            User::Proxy(proxy, _) => proxy.counters(),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.user {
            User::Agent(agent, _) => agent.deadline(),
            User::Proxy(proxy, _) => proxy.deadline(),
        }
    }

    /// What was sent: whether to the target of its INVITE, and the message.
    fn drain(&mut self) -> Vec<(bool, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let is_target = |flow: &Flow| flow.remote == target(udp()).remote;
        let sent: Vec<(bool, String)>;
        match &mut self.user {
            User::Agent(_, out) => {
                while let Some(event) = out.next_event() {
                    if let Event::Failed { status, .. } = event {
                        self.ended.push(status);
                    }
                }
                let all = out.transmits.iter();
                sent = all.map(|one| (is_target(&one.flow), text(out.bytes(one.bytes)))).collect();
                out.clear();
            }
            User::Proxy(_, out) => {
                while let Some(event) = out.next_event() {
                    if let ProxyEvent::Finished { status, .. } = event {
                        self.ended.push(status);
                    }
                }
                let all = out.transmits.iter();
                sent = all.map(|one| (is_target(&one.flow), text(out.bytes(one.bytes)))).collect();
                out.clear();
            }
        }
        sent
    }

    fn feed_bytes(&mut self, flow: Flow, bytes: &[u8]) -> Vec<String> {
        match &mut self.user {
            User::Agent(agent, out) => agent.receive(self.now, &flow, bytes, out),
            User::Proxy(proxy, out) => proxy.receive(self.now, &flow, bytes, out),
        }
        self.drain().into_iter().map(|(_, message)| message).collect()
    }

    /// A message that was parsed elsewhere.
    fn feed_parsed(&mut self, flow: Flow, text: &str) -> Vec<String> {
        let bytes = text.replace('\n', "\r\n").into_bytes();
        let message = Message::parse(&bytes).unwrap();
        match &mut self.user {
            User::Agent(agent, out) => agent.receive_parsed(self.now, &flow, &message, out),
            User::Proxy(proxy, out) => proxy.receive_parsed(self.now, &flow, &message, out),
        }
        self.drain().into_iter().map(|(_, message)| message).collect()
    }

    fn feed(&mut self, flow: Flow, text: &str) -> Vec<String> {
        self.feed_bytes(flow, text.replace("\r\n", "\n").replace('\n', "\r\n").as_bytes())
    }

    /// An INVITE of its own to the target.
    fn invite(&mut self, flow: Flow) -> String {
        if let User::Agent(agent, out) = &mut self.user {
            self.call = Some(agent.invite(self.now, &common::new_request(target(flow)), out).unwrap());
            return self.drain().remove(0).1;
        }
        self.feed_quietly(&Peer::new().invite());
        let User::Proxy(proxy, out) = &mut self.user else { unreachable!() };
        let request = out.next_event().and_then(|event| match event {
            ProxyEvent::Request { request, .. } => Some(request),
            _ => None,
        });
        proxy.forward(self.now, request.unwrap(), &[Target::unchanged(target(flow))], out).unwrap();
        self.drain().remove(0).1
    }

    fn feed_quietly(&mut self, text: &str) {
        if let User::Proxy(proxy, out) = &mut self.user {
            proxy.receive(self.now, &udp(), text.replace('\n', "\r\n").as_bytes(), out);
        }
    }

    /// Gives its INVITE up.
    fn cancel(&mut self) -> Vec<String> {
        if let User::Agent(agent, out) = &mut self.user {
            agent.cancel(self.now, self.call.unwrap(), out).unwrap();
            return self.drain().into_iter().filter(|(is_target, _)| *is_target).map(|(_, sent)| sent).collect();
        }
        let cancel = Peer::new().cancel();
        self.feed_quietly(&cancel);
        self.drain().into_iter().filter(|(is_target, _)| *is_target).map(|(_, sent)| sent).collect()
    }

    /// An answer to its request, with every Via of that.
    fn answer(&mut self, flow: Flow, request: &str, status: u16) -> Vec<String> {
        let answer = self.answer_to(request, status);
        self.feed(target(flow), &answer)
    }

    fn answer_to(&self, request: &str, status: u16) -> String {
        let vias: String =
            request.lines().filter(|line| line.starts_with("Via: ")).map(|line| format!("{line}\n")).collect();
        let own = format!("Via: {}\n", header(request, "Via"));
        reply(request, status, "b", "", "").replacen(&own, &vias, 1)
    }

    /// What goes to the target while the time passes, and when.
    fn pass(&mut self, time: Duration) -> Vec<(u64, String)> {
        let (start, end) = (self.now, self.now + time);
        let mut sent = vec![];
        while let Some(at) = self.deadline().filter(|at| *at <= end) {
            self.now = at;
            match &mut self.user {
                User::Agent(agent, out) => agent.wake(at, out),
                User::Proxy(proxy, out) => proxy.wake(at, out),
            }
            let after = at.since(start).as_millis() as u64;
            let to_target = self.drain().into_iter().filter(|(is_target, _)| *is_target);
            sent.extend(to_target.map(|(_, message)| (after, word(&message).to_owned())));
            assert!(self.deadline().is_none_or(|next| next > at), "a deadline that does not move");
        }
        self.now = end;
        sent
    }

    fn unreachable(&mut self, flow: Flow, quoted: &[u8]) {
        match &mut self.user {
            User::Agent(agent, out) => agent.unreachable(self.now, &flow, quoted, out),
            User::Proxy(proxy, out) => proxy.unreachable(self.now, &flow, quoted, out),
        }
        self.drain();
    }

    fn broken(&mut self, flow: Flow) {
        match &mut self.user {
            User::Agent(agent, out) => agent.transport_failed(self.now, &flow, out),
            User::Proxy(proxy, out) => proxy.transport_failed(self.now, &flow, out),
        }
        self.drain();
    }

    /// How its own user, or its caller, hears of a path that broke: to the proxy's caller ours is not the server that is
    /// out of service (RFC 3261 §16.7).
    fn path_status(&self) -> u16 {
        if self.is_proxy() { 500 } else { 503 }
    }

    fn assert_empty(&mut self) {
        self.pass(Duration::from_secs(4_000));
        let count = match &self.user {
            User::Agent(agent, _) => agent.sizes().server_transactions + agent.sizes().client_transactions,
            User::Proxy(proxy, _) => proxy.sizes().requests + proxy.sizes().branches,
        };
        assert_eq!(count, 0);
    }
}

#[test]
fn malformed_input_is_counted_and_answered_alike() {
    for mut bench in both() {
        for nothing in [&b""[..], b"\r\n\r\n", b"\0"] {
            assert!(bench.feed_bytes(udp(), nothing).is_empty());
        }
        assert_eq!(bench.counters(), Counters::default(), "keep-alives are the transport's");
        let good = Peer::new().request("OPTIONS", "OPTIONS", "", "");
        let long = Peer::new().request("OPTIONS", "OPTIONS", "", &"x".repeat(MAX_MESSAGE_BYTES));
        for dropped in ["garbage\r\n\r\n", &long] {
            assert!(bench.feed(udp(), dropped).is_empty());
        }
        assert!(bench.feed_parsed(udp(), &long).is_empty());
        assert_eq!(bench.counters().malformed, 3);
        let broken = [
            (good.replace("CSeq: 1 OPTIONS", "CSeq: x"), "400"),
            (good.replace("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"), "400"),
            (good.replace("tag=p1", "tag=p1;tag=p2"), "400"),
            (good.replace("Call-ID: abc@peer\n", ""), "400"),
            (good.replace(" SIP/2.0\nVia", " SIP/7.0\nVia"), "505"),
        ];
        for (number, (text, status)) in broken.iter().enumerate() {
            let answers = bench.feed(udp(), text);
            assert_eq!(answers.iter().map(|answer| word(answer)).collect::<Vec<_>>(), [*status], "{text}");
            assert_eq!(bench.counters().malformed, 4 + number as u64);
        }
        // Where the answer goes is in the topmost Via, or known by the connection.
        let no_via = good.replace("Via: SIP/2.0/UDP 192.0.2.9:5062", "Via: nonsense");
        assert!(bench.feed(udp(), &no_via).is_empty());
        assert_eq!(word(&bench.feed(tcp(), &no_via)[0]), "400");
        bench.assert_empty();
    }
}

#[test]
fn copies_of_requests_and_answers_to_nothing_are_counted_alike() {
    for mut bench in both() {
        let request = Peer::new().request("MESSAGE", "MESSAGE", "", "");
        bench.feed(udp(), &request);
        assert!(bench.feed(udp(), &request).is_empty(), "there is no answer to repeat yet");
        assert_eq!((bench.counters().received, bench.counters().retransmissions), (2, 1));
        let invite = bench.invite(udp());
        let answer = bench.answer_to(&invite, 486);
        let strays = [
            answer.replace("z9hG4bK", "z9hG4bKx"),
            answer.replace("CSeq: 1 INVITE", "CSeq: 1 BYE"),
            // A branch alone would let anybody who guesses it answer.
            answer.replace(header(&answer.replace('\n', "\r\n"), "Call-ID"), "another"),
        ];
        for (number, stray) in strays.iter().enumerate() {
            assert!(bench.feed(target(udp()), stray).is_empty(), "{stray}");
            assert_eq!(bench.counters().stray_responses, 1 + number as u64);
        }
        assert!(bench.ended.is_empty());
        let acks = bench.feed(target(udp()), &answer);
        assert_eq!((word(&acks[0]), header(&acks[0], "To").ends_with(";tag=b")), ("ACK", true));
        assert_eq!(bench.ended, [486]);
        assert_eq!(word(&bench.feed(target(udp()), &answer)[0]), "ACK", "a copy of the refusal: the ACK was lost");
        assert_eq!(bench.ended, [486]);
        bench.assert_empty();
    }
}

#[test]
fn an_invite_is_repeated_over_udp_alone_and_given_up_alike() {
    for mut bench in both() {
        bench.invite(udp());
        let copies: Vec<u64> = bench.pass(Duration::from_secs(40)).into_iter().map(|(after, _)| after).collect();
        assert_eq!((copies, &bench.ended[..]), (vec![500, 1_500, 3_500, 7_500, 15_500, 31_500], &[408][..]));
        bench.assert_empty();
    }
    for mut bench in both() {
        bench.invite(tcp());
        assert_eq!((bench.pass(Duration::from_secs(40)), &bench.ended[..]), (vec![], &[408][..]));
        bench.assert_empty();
    }
}

#[test]
fn cancel_waits_for_a_provisional_answer_and_is_repeated_alike() {
    for mut bench in both() {
        let invite = bench.invite(udp());
        assert!(bench.cancel().is_empty(), "RFC 3261 §9.1");
        let sent = bench.answer(udp(), &invite, 180);
        let cancel = sent.iter().find(|message| word(message) == "CANCEL").expect("it may go now").clone();
        assert_eq!((header(&cancel, "Via"), header(&cancel, "CSeq")), (header(&invite, "Via"), "1 CANCEL"));
        assert_eq!(cancel.lines().filter(|line| line.starts_with("Via: ")).count(), 1);
        let copies = bench.pass(ms(1_600));
        assert_eq!(copies, [(500, "CANCEL".to_owned()), (1_500, "CANCEL".to_owned())]);
        bench.answer(udp(), &cancel, 200);
        assert!(bench.pass(ms(5_000)).is_empty());
        bench.answer(udp(), &invite, 487);
        assert_eq!(bench.ended, [487]);
        bench.assert_empty();
    }
}

#[test]
fn bad_news_of_the_network_counts_alike() {
    for mut bench in both() {
        let invite = bench.invite(udp());
        let elsewhere = Flow { remote: address("198.51.100.2:5060"), ..udp() };
        for (flow, quoted) in [
            (elsewhere, invite.clone()),
            (target(udp()), invite.replacen("z9hG4bK", "z9hG4bKx", 1)),
            (target(udp()), "SIP/2.0 200 OK\r\n\r\n".into()),
        ] {
            bench.unreachable(flow, quoted.as_bytes());
        }
        assert_eq!((bench.counters().unreachable, bench.counters().unreachable_ignored), (3, 3));
        bench.unreachable(target(udp()), b"INVITE sip:");
        assert!(bench.ended.is_empty(), "too little is quoted to believe it at once");
        bench.pass(ms(2_000));
        assert_eq!((bench.counters().unreachable_ignored, &bench.ended[..]), (3, &[408][..]));
        bench.assert_empty();
    }
    for mut bench in both() {
        let invite = bench.invite(udp());
        bench.unreachable(target(udp()), invite.as_bytes());
        assert_eq!(bench.ended, [bench.path_status()]);
        bench.assert_empty();
    }
    for mut bench in both() {
        let invite = bench.invite(udp());
        bench.answer(udp(), &invite, 180);
        bench.unreachable(target(udp()), invite.as_bytes());
        assert_eq!((bench.counters().unreachable_ignored, bench.ended.len()), (1, 0), "it has answered");
        bench.answer(udp(), &invite, 486);
        bench.assert_empty();
    }
    for mut bench in both() {
        bench.invite(tcp());
        bench.broken(Flow { connection: 8, ..target(tcp()) });
        assert!(bench.ended.is_empty(), "another connection");
        bench.broken(target(tcp()));
        assert_eq!(bench.ended, [bench.path_status()]);
        bench.assert_empty();
    }
}
