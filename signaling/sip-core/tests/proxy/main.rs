//! The stateful proxy (RFC 3261 §16): forking, best responses, CANCEL, timers, routes.

mod call_off;
#[path = "../common/mod.rs"]
mod common;
mod floods;
mod signed_routes;
mod stopping;
mod strangers;

use clock::{Duration, Instant};
use common::{Peer, address, first, header, ms, reply, tag, word};
use sip_core::proxy::*;
use sip_core::{Answer, Content, Flow, Refused, Transport};

fn caller() -> Flow {
    Flow::udp(address("192.0.2.1:5060"), address("192.0.2.9:5062"))
}

fn target(host: u8) -> Flow {
    Flow::udp(address("192.0.2.1:5060"), address(&format!("198.51.100.{host}:5060")))
}

pub(crate) struct Bench {
    proxy: Proxy,
    now: Instant,
    out: ProxyOutput,
    events: Vec<ProxyEvent>,
    /// Messages of `Request` and `Stateless` events with their next hops.
    messages: Vec<(String, String)>,
}

/// What was sent: the last number of the address, and the message.
type Sent = Vec<(u8, String)>;

impl Bench {
    fn new() -> Self {
        Self::with(ProxyConfig { names: vec!["proxy.example.com".to_owned()], ..ProxyConfig::default() })
    }

    fn with(config: ProxyConfig) -> Self {
        let now = Instant::ZERO + Duration::from_secs(1);
        Self { proxy: Proxy::new(config, 7), now, out: ProxyOutput::new(), events: vec![], messages: vec![] }
    }

    fn drain(&mut self) -> Sent {
        let text = |out: &ProxyOutput, span| String::from_utf8_lossy(out.bytes(span)).into_owned();
        let host = |flow: &Flow| match flow.remote.ip() {
            std::net::IpAddr::V4(ip) => ip.octets()[3],
            std::net::IpAddr::V6(_) => 0,
        };
        let sent = self.out.transmits.iter().map(|sent| (host(&sent.flow), text(&self.out, sent.bytes))).collect();
        while let Some(event) = self.out.next_event() {
            if let ProxyEvent::Request { message, next_hop, .. } | ProxyEvent::Stateless { message, next_hop, .. } =
                event
            {
                self.messages.push((text(&self.out, message), text(&self.out, next_hop)));
            }
            self.events.push(event);
        }
        self.out.clear();
        sent
    }

    fn feed_on(&mut self, flow: Flow, text: &str) -> Sent {
        let bytes = text.replace("\r\n", "\n").replace('\n', "\r\n");
        self.proxy.receive(self.now, &flow, bytes.as_bytes(), &mut self.out);
        self.drain()
    }

    fn feed(&mut self, text: &str) -> Sent {
        self.feed_on(caller(), text)
    }

    fn answer(&mut self, request: &str, status: u16, to_tag: &str) -> Sent {
        self.answer_with(request, status, to_tag, "")
    }

    /// A response of a target, with every Via of the request.
    fn answer_with(&mut self, request: &str, status: u16, to_tag: &str, more: &str) -> Sent {
        let response = reply(request, status, to_tag, more, "");
        let vias: String = vias(request).iter().map(|via| format!("Via: {via}\n")).collect();
        let own = format!("Via: {}\n", header(request, "Via"));
        self.feed(&response.replacen(&own, &vias, 1))
    }

    fn forward(&mut self, targets: &[(u8, u16)]) -> Sent {
        let uris: Vec<String> = targets.iter().map(|(host, _)| format!("sip:bob@198.51.100.{host}")).collect();
        let targets: Vec<Target<'_>> = targets
            .iter()
            .zip(&uris)
            .map(|((host, group), uri)| Target { uri: Some(uri), group: *group, ..Target::unchanged(target(*host)) })
            .collect();
        let request = self.request();
        self.proxy.forward(self.now, request, &targets, &mut self.out).unwrap();
        self.drain()
    }

    /// The request that was handed up last goes to target 1 as it is.
    fn forward_unchanged(&mut self) -> Sent {
        let request = self.request();
        self.proxy.forward(self.now, request, &[Target::unchanged(target(1))], &mut self.out).unwrap();
        self.drain()
    }

    fn request(&self) -> ProxyId {
        let found = self.events.iter().rev().find_map(|event| match event {
            ProxyEvent::Request { request, .. } => Some(*request),
            _ => None,
        });
        found.expect("a request was handed up")
    }

    fn pass(&mut self, time: Duration) -> Vec<(u64, u8, String)> {
        let start = self.now;
        let end = start + time;
        let mut sent = vec![];
        while let Some(at) = self.proxy.deadline().filter(|at| *at <= end) {
            self.now = at;
            self.proxy.wake(at, &mut self.out);
            let after = at.since(start).as_millis() as u64;
            sent.extend(self.drain().into_iter().map(|(host, message)| (after, host, message)));
            assert!(self.proxy.deadline().is_none_or(|next| next > at), "a deadline that does not move");
        }
        self.now = end;
        sent
    }

    fn finished(&self) -> Vec<u16> {
        let statuses = self.events.iter().filter_map(|event| match event {
            ProxyEvent::Finished { status, .. } => Some(*status),
            _ => None,
        });
        statuses.collect()
    }

    fn assert_empty(&mut self) {
        self.pass(Duration::from_secs(1000));
        assert_eq!(self.proxy.sizes(), ProxySizes::default());
    }
}

fn vias(message: &str) -> Vec<&str> {
    message.lines().filter_map(|line| line.strip_prefix("Via: ")).collect()
}

fn hosts(sent: &Sent) -> Vec<(u8, &str)> {
    sent.iter().map(|(host, message)| (*host, word(message))).collect()
}

/// A call that a target has answered: the caller in its dialog, with its Route line.
fn answered(bench: &mut Bench, invite: &str) -> (Peer, String) {
    let more = format!("Record-Route: {}\nContact: <sip:bob@198.51.100.1>\n", header(invite, "Record-Route"));
    let answer = bench.answer_with(invite, 200, "b", &more);
    let answer = &answer.iter().find(|(_, message)| word(message) == "200").expect("it goes to the caller").1;
    let route = format!("Route: {}\n", header(answer, "Record-Route"));
    (Peer { to_tag: "b".into(), branch: "within".into(), ..Peer::new() }, route)
}

fn in_dialog(peer: &Peer, method: &str, route: &str) -> String {
    peer.request(method, method, route, "").replacen("sip:us@192.0.2.1 ", "sip:bob@198.51.100.1 ", 1)
}

#[test]
fn a_call_through_the_proxy() {
    let mut bench = Bench::new();
    let peer = Peer::new();
    assert!(bench.feed(&peer.invite()).is_empty());
    assert!(matches!(bench.events[..], [ProxyEvent::Request { standing: Standing::New, .. }]));
    assert_eq!(bench.messages[0].1, "sip:us@192.0.2.1");
    let sent = bench.forward(&[(1, 0)]);
    let invite = &sent[0].1;
    assert_eq!((hosts(&sent), first(invite)), (vec![(1, "INVITE")], "INVITE sip:bob@198.51.100.1 SIP/2.0".to_owned()));
    assert_eq!(vias(invite).len(), 2);
    assert!(vias(invite)[0].starts_with("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK"));
    assert!(vias(invite)[1].ends_with(";rport=5062;received=192.0.2.9"));
    assert_eq!(header(invite, "Max-Forwards"), "69");
    assert!(header(invite, "Record-Route").starts_with("<sip:192.0.2.1:5060;lr;rp="));
    assert!(invite.ends_with("\r\n\r\nv=0"));
    assert!(bench.answer(invite, 100, "").is_empty(), "100 ends here");
    let trying = bench.pass(ms(300));
    assert_eq!((trying[0].0, trying.len(), word(&trying[0].2)), (200, 1, "100"));
    assert!(!header(&trying[0].2, "To").contains("tag="));
    let ringing = bench.answer(invite, 180, "b");
    assert_eq!((hosts(&ringing), vias(&ringing[0].1)), (vec![(9, "180")], vec![vias(invite)[1]]));
    assert_eq!(hosts(&bench.feed(&peer.invite())), [(9, "180")], "a copy of the INVITE");
    let ok = bench.answer(invite, 200, "b");
    assert_eq!((hosts(&ok), bench.finished()), (vec![(9, "200")], vec![200]));
    assert!(bench.feed(&peer.invite()).is_empty(), "RFC 6026: copies are absorbed now");
    assert!(bench.pass(ms(5000)).is_empty(), "the 2xx is repeated by its maker");
    assert_eq!(hosts(&bench.answer(invite, 200, "b")), [(9, "200")]);
    // The ACK has a Route of ours that no response of this target carried.
    let ack = Peer { to_tag: "b".into(), branch: "ack".into(), ..peer };
    let route = "Route: <sip:192.0.2.1:5060;lr>\n";
    assert!(bench.feed(&ack.request("ACK", "ACK", route, "")).is_empty());
    let (message, next_hop) = bench.messages.last().unwrap().clone();
    assert!(matches!(bench.events.last(), Some(ProxyEvent::Stateless { .. })));
    assert!(header(&message, "Route").is_empty() && next_hop == "sip:us@192.0.2.1");
    bench.proxy.forward_stateless(message.as_bytes(), &Target::unchanged(target(1)), &mut bench.out).unwrap();
    let ack = bench.drain();
    assert_eq!((hosts(&ack), vias(&ack[0].1).len()), (vec![(1, "ACK")], 2));
    bench.assert_empty();
}

#[test]
fn parallel_branches_are_cancelled_when_one_answers() {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    let sent = bench.forward(&[(1, 0), (2, 0), (3, 0), (4, 0)]);
    assert_eq!(hosts(&sent), [(1, "INVITE"), (2, "INVITE"), (3, "INVITE"), (4, "INVITE")]);
    let invites: Vec<&String> = sent.iter().map(|(_, invite)| invite).collect();
    bench.answer(invites[0], 180, "a");
    assert_eq!(hosts(&bench.answer(invites[1], 486, "b")), [(2, "ACK")]);
    let sent = bench.answer(invites[2], 200, "c");
    assert_eq!(hosts(&sent), [(9, "200"), (1, "CANCEL")], "one that has not answered yet is not cancelled yet");
    let cancel = &sent[1].1;
    assert_eq!(vias(cancel), [vias(invites[0])[0]]);
    assert_eq!((first(cancel).as_str(), header(cancel, "CSeq")), ("CANCEL sip:bob@198.51.100.1 SIP/2.0", "1 CANCEL"));
    let elsewhere = "SIP;cause=200;text=\"Call completed elsewhere\"";
    assert_eq!(header(cancel, "Reason"), elsewhere, "a phone that has heard this shows no missed call");
    let late = bench.answer(invites[3], 180, "d");
    assert_eq!((hosts(&late), header(&late[0].1, "Reason")), (vec![(4, "CANCEL")], elsewhere));
    assert!(bench.answer(cancel, 200, "a").is_empty());
    assert_eq!(hosts(&bench.answer(invites[0], 487, "a")), [(1, "ACK")]);
    assert_eq!(hosts(&bench.answer(invites[3], 200, "d")), [(9, "200")], "it crossed the CANCEL: the caller ends it");
    assert_eq!(bench.finished(), [200]);
    bench.assert_empty();
}

#[test]
fn groups_are_tried_one_after_the_other() {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    let sent = bench.forward(&[(3, 2), (1, 1), (2, 1), (4, 3)]);
    assert_eq!(hosts(&sent), [(1, "INVITE"), (2, "INVITE")]);
    bench.answer(&sent[0].1, 486, "a");
    let next = bench.answer(&sent[1].1, 404, "b");
    assert_eq!(hosts(&next), [(2, "ACK"), (3, "INVITE")]);
    let silent = bench.pass(Duration::from_secs(33));
    let (at, host, last) = silent.iter().find(|(_, host, _)| *host == 4).unwrap();
    assert_eq!((*at, *host, word(last)), (32_000, 4, "INVITE"), "timer B of the third");
    let sent = bench.answer(last, 500, "d");
    assert_eq!(hosts(&sent), [(4, "ACK"), (9, "486")], "the best of all");
    assert_eq!(bench.finished(), [486]);
    let late = bench.proxy.forward(bench.now, bench.request(), &[Target::unchanged(target(5))], &mut bench.out);
    assert_eq!(late, Err(Refused::WrongState));
    assert_eq!(bench.pass(ms(4000)).len(), 3, "the refusal is repeated");
    let peer = Peer { to_tag: "a".into(), ..Peer::new() };
    assert!(bench.feed(&peer.ack_refusal()).is_empty());
    assert!(bench.pass(ms(4000)).is_empty());
    bench.assert_empty();
}

#[test]
fn challenges_of_all_branches_go_up_together() {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    let sent = bench.forward(&[(1, 0), (2, 0), (3, 0)]);
    bench.answer_with(&sent[0].1, 407, "a", "Proxy-Authenticate: Digest realm=\"one\", nonce=\"1\"\n");
    bench.answer_with(&sent[1].1, 401, "b", "WWW-Authenticate: Digest realm=\"two\", nonce=\"2\"\n");
    let up = bench.answer(&sent[2].1, 404, "c");
    let response = &up[1].1;
    assert_eq!((hosts(&up), word(response)), (vec![(3, "ACK"), (9, "407")], "407"));
    assert!(
        header(response, "Proxy-Authenticate").contains("one") && header(response, "WWW-Authenticate").contains("two")
    );
    assert_eq!(response.matches("realm=").count(), 2);
    bench.assert_empty();
}

#[test]
fn a_6xx_ends_everything() {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    let sent = bench.forward(&[(1, 0), (2, 0), (3, 1)]);
    bench.answer(&sent[0].1, 180, "a");
    let refused = bench.answer(&sent[1].1, 603, "b");
    assert_eq!(hosts(&refused), [(2, "ACK"), (1, "CANCEL")]);
    assert!(header(&refused[1].1, "Reason").starts_with("SIP;cause=603;"));
    let up = bench.answer(&sent[0].1, 487, "a");
    assert_eq!(hosts(&up), [(1, "ACK"), (9, "603")], "and the second group is not tried");
    bench.assert_empty();
}

#[test]
fn a_503_alone_becomes_500() {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    let sent = bench.forward(&[(1, 0)]);
    let up = bench.answer_with(&sent[0].1, 503, "a", "Retry-After: 60\n");
    assert_eq!((hosts(&up), header(&up[1].1, "Retry-After")), (vec![(1, "ACK"), (9, "500")], ""));
    bench.assert_empty();
}

#[test]
fn the_caller_cancels() {
    let mut bench = Bench::new();
    let peer = Peer::new();
    bench.feed(&peer.invite());
    let sent = bench.forward(&[(1, 0), (2, 0), (3, 1)]);
    bench.answer(&sent[0].1, 180, "a");
    let why = peer.cancel().replace("Content-Length", "Reason: SIP;cause=200;text=\"x\"\r\nContent-Length");
    let cancelled = bench.feed(&why);
    assert_eq!(hosts(&cancelled), [(9, "200"), (1, "CANCEL")]);
    assert_eq!(header(&cancelled[1].1, "Reason"), "SIP;cause=200;text=\"x\"");
    assert!(matches!(bench.events.last(), Some(ProxyEvent::Cancelled { .. })));
    assert_eq!(hosts(&bench.feed(&peer.cancel())), [(9, "200")]);
    let more = bench.proxy.forward(bench.now, bench.request(), &[Target::unchanged(target(5))], &mut bench.out);
    assert_eq!(more, Err(Refused::WrongState));
    bench.answer(&sent[0].1, 487, "a");
    assert!(bench.finished().is_empty(), "the second may still answer");
    let silent = bench.pass(Duration::from_secs(33));
    let up: Vec<_> = silent.iter().filter(|(_, host, _)| *host == 9).collect();
    assert_eq!((up[0].0, word(&up[0].2)), (32_000, "487"));
    bench.assert_empty();
    // Before any target is known.
    let mut bench = Bench::new();
    bench.feed(&peer.invite());
    assert_eq!(hosts(&bench.feed(&peer.cancel())), [(9, "200"), (9, "487")]);
    bench.feed(&peer.ack_refusal());
    bench.assert_empty();
    // For an INVITE that we do not know.
    assert_eq!(hosts(&bench.feed(&peer.cancel())), [(9, "481")]);
    bench.assert_empty();
}

/// The CANCEL has a transaction of its own (RFC 3261 §17.2.2): a copy of it gets the same answer after its INVITE is over.
#[test]
fn a_copy_of_a_cancel_is_answered_alike_when_its_invite_is_gone() {
    let mut bench = Bench::new();
    let peer = Peer::new();
    bench.feed(&peer.invite());
    let sent = bench.forward(&[(1, 0)]);
    assert_eq!(hosts(&bench.answer(&sent[0].1, 200, "a")), [(9, "200")]);
    bench.pass(ms(31_000));
    assert_eq!(hosts(&bench.feed(&peer.cancel())), [(9, "200")], "it crosses an answer that was lost");
    bench.pass(ms(20_000));
    let copy = bench.feed(&peer.cancel());
    assert_eq!(hosts(&copy), [(9, "200")], "timer L has ended the INVITE");
    bench.pass(ms(12_001));
    assert_eq!(hosts(&bench.feed(&peer.cancel())), [(9, "481")], "timer J has ended the CANCEL");
    bench.assert_empty();
}

/// RFC 3261 §16.10: the CANCEL of a request that is there is answered 200; only an INVITE is cancelled (§9.1).
#[test]
fn a_cancel_of_another_request_than_invite_is_answered_and_changes_nothing() {
    for method in ["MESSAGE", "SUBSCRIBE", "BYE", "OPTIONS"] {
        let mut bench = Bench::new();
        let peer = Peer::new();
        assert_eq!(hosts(&bench.feed(&peer.cancel())), [(9, "481")], "{method} has not come yet");
        bench.feed(&peer.request(method, method, "", ""));
        let sent = bench.forward(&[(1, 0)]).remove(0).1;
        assert_eq!(hosts(&bench.feed(&peer.cancel())), [(9, "200")], "{method}");
        assert!(!bench.events.iter().any(|event| matches!(event, ProxyEvent::Cancelled { .. })), "{method}");
        assert_eq!(hosts(&bench.answer(&sent, 200, "b")), [(9, "200")], "{method}");
        assert_eq!(hosts(&bench.feed(&peer.cancel())), [(9, "200")], "{method} has its answer");
        bench.assert_empty();
    }
}

#[test]
fn timer_c_cancels_what_rings_for_too_long() {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    let sent = bench.forward(&[(1, 0)]);
    bench.answer(&sent[0].1, 180, "a");
    assert!(bench.pass(Duration::from_secs(200)).is_empty());
    bench.answer(&sent[0].1, 180, "a");
    let silent = bench.pass(Duration::from_secs(301));
    assert_eq!((silent[0].0, silent[0].1, word(&silent[0].2)), (300_000, 1, "CANCEL"), "from the last provisional");
    let up = bench.pass(Duration::from_secs(33));
    let up: Vec<_> = up.iter().filter(|(_, host, _)| *host == 9).collect();
    assert_eq!((word(&up[0].2), bench.finished()), ("408", vec![408]), "it does not react to the CANCEL");
    bench.assert_empty();
}

#[test]
fn requests_that_are_no_invite() {
    let mut bench = Bench::new();
    let mut peer = Peer::new();
    let message = peer.request("MESSAGE", "MESSAGE", "", "");
    bench.feed(&message);
    let sent = bench.forward(&[(1, 0)]);
    assert!(header(&sent[0].1, "Record-Route").is_empty());
    assert!(bench.feed(&message).is_empty(), "a copy; no 100 for it");
    let up = bench.answer(&sent[0].1, 202, "a");
    assert_eq!(hosts(&up), [(9, "202")]);
    assert_eq!(hosts(&bench.feed(&message)), [(9, "202")]);
    assert!(bench.answer(&sent[0].1, 202, "a").is_empty());
    bench.assert_empty();
    // RFC 4320: silence is answered with silence.
    peer.branch = "second".into();
    bench.feed(&peer.request("MESSAGE", "MESSAGE", "", ""));
    bench.forward(&[(1, 0)]);
    assert!(bench.pass(Duration::from_secs(100)).iter().all(|(_, host, _)| *host == 1));
    bench.assert_empty();
}

#[test]
fn loops_and_exhausted_hops_are_refused_and_spirals_are_not() {
    let mut bench = Bench::new();
    let peer = Peer::new();
    bench.feed(&peer.request("OPTIONS", "OPTIONS", "", ""));
    let sent = bench.forward_unchanged().remove(0).1;
    assert_eq!(hosts(&bench.feed_on(target(1), &sent)), [(1, "482")]);
    let spiral = sent.replace("OPTIONS sip:us@192.0.2.1", "OPTIONS sip:else@192.0.2.1");
    assert!(bench.feed_on(target(1), &spiral).is_empty());
    assert_eq!(bench.events.len(), 2);
    let other = Peer { branch: "mf".into(), ..Peer::new() };
    let request = |more: &str| other.request("OPTIONS", "OPTIONS", more, "");
    let zero = request("").replace("Max-Forwards: 70", "Max-Forwards: 0");
    assert_eq!(hosts(&bench.feed(&zero)), [(9, "483")]);
    let refused = bench.feed(&request("Proxy-Require: privacy, x\n"));
    assert_eq!((hosts(&refused), header(&refused[0].1, "Unsupported")), (vec![(9, "420")], "privacy, x"));
    let none = request("").replace("Max-Forwards: 70\n", "");
    bench.feed(&none);
    assert_eq!(header(&bench.forward(&[(2, 0)])[0].1, "Max-Forwards"), "70");
    bench.assert_empty();
}

#[test]
fn routes_that_name_us_go_and_others_stay() {
    let route = |uri: &str, routes: &str| {
        let mut bench = Bench::new();
        let text = Peer { to_tag: "t".into(), ..Peer::new() }.request("INFO", "INFO", routes, "");
        bench.feed(&text.replace("sip:us@192.0.2.1", uri));
        let (message, next_hop) = bench.messages[0].clone();
        assert!(matches!(bench.events[..], [ProxyEvent::Request { standing: Standing::Unproven, .. }]));
        let sent = bench.forward_unchanged().remove(0).1;
        assert!(message.starts_with("INFO "));
        let uri = first(&sent).split(' ').nth(1).unwrap().to_owned();
        let result = (next_hop, uri, header(&sent, "Route").to_owned());
        bench.assert_empty();
        result
    };
    let expect = |next: &str, uri: &str, routes: &str| (next.to_owned(), uri.to_owned(), routes.to_owned());
    let ours = "<sip:192.0.2.1;lr>";
    assert_eq!(route("sip:b@c", &format!("Route: {ours}\n")), expect("sip:b@c", "sip:b@c", ""));
    // Two of ours in a row (RFC 5658), then another proxy.
    let routes = format!("Route: {ours}, <sip:proxy.example.com;lr>, <sip:p2;lr>\n");
    assert_eq!(route("sip:b@c", &routes), expect("sip:p2;lr", "sip:b@c", "<sip:p2;lr>"));
    let far = "Route: <sip:p2;lr>\nRoute: <sip:192.0.2.1;lr>\n";
    assert_eq!(route("sip:b@c", far), expect("sip:p2;lr", "sip:b@c", "<sip:p2;lr>"), "each on its own line");
    // A strict router before us put our Record-Route into the Request-URI, and one follows us.
    let strict = "Route: <sip:p3>, <sip:b@c>\n";
    assert_eq!(route("sip:192.0.2.1;lr", strict), expect("sip:p3", "sip:p3", "<sip:b@c>"));
    let strict = "Route: <sip:b@c>\n";
    assert_eq!(route("sip:192.0.2.1;lr", strict), expect("sip:b@c", "sip:b@c", ""));
}

#[test]
fn two_record_routes_join_two_transports() {
    let mut bench = Bench::new();
    let tcp = Flow { transport: Transport::Tcp, connection: 1, ..caller() };
    bench.feed_on(tcp, &Peer::new().invite().replace("SIP/2.0/UDP", "SIP/2.0/TCP"));
    let invite = bench.forward(&[(1, 0)]).remove(0).1;
    let lines: Vec<_> = invite.lines().filter_map(|line| line.strip_prefix("Record-Route: ")).collect();
    let texts: Vec<_> = lines.iter().map(|line| line.split(";rp=").next().unwrap()).collect();
    assert_eq!(texts, ["<sip:192.0.2.1:5060;lr", "<sip:192.0.2.1:5060;transport=tcp;lr"]);
    bench.answer(&invite, 404, "b");
    bench.assert_empty();
}

#[test]
fn a_path_is_put_on_top() {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    let route = "<sip:edge.example.com;lr>";
    let target = Target { uri: Some("sip:bob@10.0.0.9"), route: Some(route), ..Target::unchanged(target(1)) };
    bench.proxy.forward(bench.now, bench.request(), &[target], &mut bench.out).unwrap();
    let invite = bench.drain().remove(0).1;
    assert_eq!((header(&invite, "Route"), first(&invite).as_str()), (route, "INVITE sip:bob@10.0.0.9 SIP/2.0"));
    bench.answer(&invite, 404, "b");
    for bad in [Target { uri: Some("sip:a b"), ..target }, Target { route: Some("x\r\ny"), ..target }] {
        let refused = bench.proxy.forward(bench.now, bench.request(), &[bad], &mut bench.out);
        assert_eq!(refused, Err(Refused::BadText));
    }
    bench.assert_empty();
}

#[test]
fn redirecting_and_refusing() {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    let request = bench.request();
    bench.proxy.redirect(bench.now, request, (302, &["<sip:bob@a>;q=0.9", "<sip:bob@b>"]), &mut bench.out).unwrap();
    let sent = bench.drain();
    assert_eq!((hosts(&sent), header(&sent[0].1, "Contact")), (vec![(9, "302")], "<sip:bob@a>;q=0.9"));
    assert!(!tag(header(&sent[0].1, "To")).is_empty());
    let again = bench.proxy.reject(bench.now, request, &Answer::of(404), &mut bench.out);
    assert_eq!(again, Err(Refused::WrongState));
    let bad = bench.proxy.redirect(bench.now, request, (200, &[]), &mut bench.out);
    assert_eq!(bad, Err(Refused::BadStatus));
    bench.assert_empty();
    assert_eq!(bench.finished(), [302]);
    // Nobody decides: the caller does not wait for ever.
    bench.feed(&Peer { branch: "2".into(), ..Peer::new() }.invite());
    bench.assert_empty();
    assert_eq!(bench.finished(), [302, 480]);
}

#[test]
fn icmp_moves_an_unanswered_branch_on_and_no_other() {
    let unreachable = |bench: &mut Bench, host, quoted: &str| {
        bench.proxy.unreachable(bench.now, &target(host), quoted.as_bytes(), &mut bench.out);
        bench.drain()
    };
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    let sent = bench.forward(&[(1, 0), (2, 1), (3, 2)]);
    assert!(unreachable(&mut bench, 2, &sent[0].1).is_empty(), "another address");
    assert!(unreachable(&mut bench, 1, &sent[0].1.replacen("z9hG4bK", "z9hG4bKx", 1)).is_empty(), "another branch");
    let sent = unreachable(&mut bench, 1, &sent[0].1);
    assert_eq!(hosts(&sent), [(2, "INVITE")], "on to the next group");
    // Nothing quoted: two seconds for an answer, with copies.
    assert!(unreachable(&mut bench, 2, "").is_empty());
    let passed: Vec<_> =
        bench.pass(ms(2_100)).into_iter().map(|(at, host, message)| (at, host, word(&message).to_owned())).collect();
    let expected = [(200, 9, "100"), (500, 2, "INVITE"), (1_500, 2, "INVITE"), (2_000, 3, "INVITE")];
    assert_eq!(passed, expected.map(|(at, host, what)| (at, host, what.to_owned())));
    // One that rings goes on ringing.
    assert_eq!((bench.proxy.counters().unreachable, bench.proxy.counters().unreachable_ignored), (4, 2));
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    let sent = bench.forward(&[(1, 0), (2, 1)]);
    bench.answer(&sent[0].1, 180, "a");
    assert!(unreachable(&mut bench, 1, &sent[0].1).is_empty() && unreachable(&mut bench, 1, "").is_empty());
    bench.proxy.transport_failed(bench.now, &target(1), &mut bench.out);
    assert!(bench.drain().is_empty());
    assert_eq!(hosts(&bench.answer(&sent[0].1, 200, "a")), [(9, "200")]);
}

#[test]
fn broken_paths_and_full_tables() {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    bench.forward(&[(1, 0), (2, 1)]);
    bench.proxy.transport_failed(bench.now, &target(1), &mut bench.out);
    let sent = bench.drain();
    assert_eq!(hosts(&sent), [(2, "INVITE")], "on to the next group");
    bench.proxy.transport_failed(bench.now, &target(2), &mut bench.out);
    assert_eq!(hosts(&bench.drain()), [(9, "500")]);
    bench.assert_empty();
    let config = ProxyConfig { max_requests: 1, max_branches: 8, max_targets: 3, ..ProxyConfig::default() };
    let mut bench = Bench::with(config);
    bench.feed(&Peer::new().invite());
    let refused = bench.feed(&Peer { branch: "2".into(), ..Peer::new() }.invite());
    assert_eq!((hosts(&refused), header(&refused[0].1, "Retry-After")), (vec![(9, "503")], "5"));
    let four = [Target::unchanged(target(1)); 4];
    assert_eq!(bench.proxy.forward(bench.now, bench.request(), &four, &mut bench.out), Err(Refused::Full));
    let sent = bench.forward(&[(1, 0), (2, 0)]);
    assert_eq!(hosts(&sent), [(1, "INVITE")]);
    assert_eq!(hosts(&bench.answer(&sent[0].1, 404, "a")), [(1, "ACK"), (9, "404")]);
    bench.assert_empty();
}

#[test]
fn stray_and_broken_messages_are_counted() {
    let mut bench = Bench::new();
    assert!(bench.answer(&Peer::new().invite(), 200, "x").is_empty());
    assert_eq!(bench.proxy.counters().stray_responses, 1);
    let invite = Peer::new().invite().replace('\n', "\r\n");
    let mut bytes = invite.clone().into_bytes();
    for index in 0..bytes.len() {
        for noise in [0, b'\r', b'\n', b' ', b';', b'"', 0xff] {
            let kept = std::mem::replace(&mut bytes[index], noise);
            bench.proxy.receive(bench.now, &caller(), &bytes, &mut bench.out);
            bytes[index] = kept;
        }
        bench.drain();
    }
    for event in bench.events.clone() {
        if let ProxyEvent::Request { request, .. } = event {
            let _ = bench.proxy.forward(bench.now, request, &[Target::unchanged(target(1))], &mut bench.out);
        }
    }
    bench.drain();
    assert!(bench.proxy.counters().malformed > 500);
    bench.assert_empty();
}

/// What some read as the end of a line or of a text and others do not is passed on to nobody.
#[test]
fn control_characters_and_bare_line_ends_are_not_passed_on() {
    let evil =
        ["Subject: a\0b", "Subject: a\u{1b}[2Jb", "Subject: a\u{7f}", "X: \u{8}", "Contact: \"\u{1b}\" <sip:a@b>"];
    let bare = ["Subject: a\nEvil: b", "Subject: a\rEvil: b", "Subject: a\n folded"];
    for line in evil.iter().chain(&bare) {
        let mut bench = Bench::new();
        let invite = Peer::new().invite().replace('\n', "\r\n");
        let request = invite.replacen("Content-Type", &format!("{line}\r\nContent-Type"), 1);
        bench.proxy.receive(bench.now, &caller(), request.as_bytes(), &mut bench.out);
        let sent = bench.drain();
        assert_eq!((hosts(&sent), bench.events.len()), (vec![(9, "400")], 0), "{line:?}");
        assert_eq!(bench.proxy.counters().malformed, 1);
        // A target's response with it is lost, and the next one is not.
        let mut bench = Bench::new();
        bench.feed(&Peer::new().invite());
        let invite = bench.forward(&[(1, 0)]).remove(0).1;
        let vias: String = vias(&invite).iter().map(|via| format!("Via: {via}\n")).collect();
        let own = format!("Via: {}\n", header(&invite, "Via"));
        let response = reply(&invite, 180, "b", "", "").replacen(&own, &vias, 1).replace('\n', "\r\n");
        let response = response.replace("\r\r", "\r");
        let evil = response.replacen("Content-Length", &format!("{line}\r\nContent-Length"), 1);
        bench.proxy.receive(bench.now, &caller(), evil.as_bytes(), &mut bench.out);
        assert!(bench.drain().is_empty(), "{line:?}");
        let reason = response.replacen("180 Words", "180 Wo\u{1b}rds", 1);
        bench.proxy.receive(bench.now, &caller(), reason.as_bytes(), &mut bench.out);
        assert!(bench.drain().is_empty());
        assert_eq!(bench.proxy.counters().malformed, 2);
        bench.proxy.receive(bench.now, &caller(), response.as_bytes(), &mut bench.out);
        assert_eq!(hosts(&bench.drain()), [(9, "180")]);
    }
    // Quoted by the book (RFC 4475 §3.1.1.2), in UTF-8, folded, and in a body: all of it as it came.
    let fine = "From-X: \"BEL:\\\u{7} NUL:\\\0\" gr\u{fc}n\r\n\tfolded";
    let mut bench = Bench::new();
    let invite = Peer::new().request("INVITE", "INVITE", "", "\u{0}\u{1b}").replace('\n', "\r\n");
    let request = invite.replacen("Content-Length", &format!("{fine}\r\nContent-Length"), 1);
    bench.proxy.receive(bench.now, &caller(), request.as_bytes(), &mut bench.out);
    bench.drain();
    let invite = bench.forward(&[(1, 0)]).remove(0).1;
    assert!(invite.contains(fine) && invite.ends_with("\r\n\r\n\0\u{1b}"), "{invite:?}");
}

#[test]
fn the_breadth_of_a_fork_is_limited_and_shared() {
    let mut bench = Bench::new();
    let peer = Peer::new();
    bench.feed(&peer.request("INVITE", "INVITE", "Max-Breadth: 5\n", ""));
    let sent = bench.forward(&[(1, 0), (2, 0)]);
    assert!(sent.iter().all(|(_, invite)| header(invite, "Max-Breadth") == "2"));
    for (_, invite) in &sent {
        bench.answer(invite, 404, "x");
    }
    bench.assert_empty();
    // Two at once where three are wanted.
    bench.feed(&Peer { branch: "2".into(), ..Peer::new() }.request("INVITE", "INVITE", "Max-Breadth: 2\n", ""));
    let sent = bench.forward(&[(1, 0), (2, 0), (3, 0)]);
    assert_eq!(hosts(&sent), [(1, "INVITE"), (2, "INVITE")]);
    bench.answer(&sent[0].1, 404, "x");
    let third = bench.answer(&sent[1].1, 404, "y");
    assert_eq!((hosts(&third), header(&third[1].1, "Max-Breadth")), (vec![(2, "ACK"), (3, "INVITE")], "2"));
    bench.answer(&third[1].1, 404, "z");
    bench.assert_empty();
    let none = Peer { branch: "3".into(), ..Peer::new() }.request("INVITE", "INVITE", "Max-Breadth: 0\n", "");
    assert_eq!(hosts(&bench.feed(&none)), [(9, "440")]);
    // Nobody asked, and nobody forks: the request stays as it is.
    bench.feed(&Peer { branch: "4".into(), ..Peer::new() }.invite());
    let sent = bench.forward(&[(1, 0)]);
    assert_eq!(header(&sent[0].1, "Max-Breadth"), "");
    bench.answer(&sent[0].1, 404, "z");
    bench.assert_empty();
}

#[test]
fn an_ack_does_not_go_round_in_circles() {
    let mut bench = Bench::new();
    let ack = Peer { to_tag: "b".into(), ..Peer::new() }.request("ACK", "ACK", "", "");
    assert!(bench.feed(&ack).is_empty());
    let (message, _) = bench.messages.last().unwrap().clone();
    bench.proxy.forward_stateless(message.as_bytes(), &Target::unchanged(target(1)), &mut bench.out).unwrap();
    let sent = bench.drain().remove(0).1;
    assert!(bench.feed(&sent).is_empty());
    assert_eq!((bench.events.len(), bench.proxy.counters().refused), (1, 1));
    bench.assert_empty();
}

/// Two paths to the second target; the first path is dead.
#[test]
fn the_next_path_is_tried_where_the_path_failed_and_only_there() {
    let path = |bench: &mut Bench| {
        bench.feed(&Peer::new().invite());
        let alternates = [target(2), target(3)];
        let to = Target { uri: Some("sip:bob@b.example"), alternates: &alternates, ..Target::unchanged(target(1)) };
        bench.proxy.forward(bench.now, bench.request(), &[to], &mut bench.out).unwrap();
        bench.drain().remove(0).1
    };
    // 503, then a broken path, then an answer.
    let mut bench = Bench::new();
    let first_invite = path(&mut bench);
    let sent = bench.answer(&first_invite, 503, "x");
    assert_eq!(hosts(&sent), [(1, "ACK"), (2, "INVITE")]);
    assert_ne!(header(&sent[1].1, "Via"), header(&first_invite, "Via"));
    bench.proxy.transport_failed(bench.now, &target(2), &mut bench.out);
    let sent = bench.drain();
    assert_eq!(hosts(&sent), [(3, "INVITE")]);
    let sent = bench.answer(&sent[0].1, 486, "y");
    assert_eq!(hosts(&sent), [(3, "ACK"), (9, "486")]);
    assert_eq!(bench.finished(), [486]);
    bench.feed(&Peer::new().ack_refusal());
    bench.assert_empty();

    // Silence, then the same.
    let mut bench = Bench::new();
    path(&mut bench);
    let sent = bench.pass(Duration::from_secs(33));
    assert!(sent.iter().any(|(after, host, message)| (*after, *host, word(message)) == (32_000, 2, "INVITE")));

    // A refusal is the target's, and a call that was given up goes nowhere.
    let mut bench = Bench::new();
    let invite = path(&mut bench);
    assert_eq!(hosts(&bench.answer(&invite, 404, "x")), [(1, "ACK"), (9, "404")]);
    let mut bench = Bench::new();
    let invite = path(&mut bench);
    bench.feed(&Peer::new().cancel());
    assert_eq!(hosts(&bench.answer(&invite, 503, "x")), [(1, "ACK"), (9, "500")]);
}

#[test]
fn redirections_are_followed_to_their_bound() {
    let config = ProxyConfig { max_redirects: 1, ..ProxyConfig::default() };
    let mut bench = Bench::with(config);
    bench.feed(&Peer::new().invite());
    let invite = bench.forward(&[(1, 0), (4, 1)]).remove(0).1;
    let sent = bench.answer_with(&invite, 302, "x", "Contact: <sip:bob@198.51.100.2>\n");
    assert_eq!(hosts(&sent), [(1, "ACK")], "it waits for a decision, and so does the next group");
    let Some(ProxyEvent::Redirected { request, redirect, .. }) = bench.events.last().copied() else {
        panic!("{:?}", bench.events)
    };
    let uris = ["sip:bob@198.51.100.1", "sip:bob@198.51.100.2"];
    let to = |host: u8, uri| Target { uri: Some(uri), ..Target::unchanged(target(host)) };
    let targets = [to(1, uris[0]), to(2, uris[1])];
    bench.proxy.follow(bench.now, (request, redirect), &targets, &mut bench.out).unwrap();
    let sent = bench.drain();
    assert_eq!(hosts(&sent), [(2, "INVITE")], "the first was tried already");
    assert_eq!(bench.proxy.follow(bench.now, (request, redirect), &targets, &mut bench.out), Err(Refused::WrongState));
    // The next 302 is one too many: an answer like others, and the other target is asked.
    let sent = bench.answer_with(&sent[0].1, 302, "y", "Contact: <sip:bob@198.51.100.3>\n");
    assert_eq!(hosts(&sent), [(2, "ACK"), (4, "INVITE")]);
    let sent = bench.answer(&sent[1].1, 404, "z");
    assert!(sent[1].1.starts_with("SIP/2.0 302") && sent[1].1.contains("198.51.100.3"), "{}", sent[1].1);
    bench.feed(&Peer::new().ack_refusal());
    bench.assert_empty();
}

#[test]
fn a_redirection_that_nobody_follows_is_the_answer() {
    let config = || ProxyConfig { max_redirects: 1, ..ProxyConfig::default() };
    let redirected = |bench: &mut Bench| {
        bench.feed(&Peer::new().invite());
        let invite = bench.forward(&[(1, 0)]).remove(0).1;
        bench.answer_with(&invite, 302, "x", "Contact: <sip:bob@b.example>\n");
        match bench.events.last() {
            Some(ProxyEvent::Redirected { request, redirect, .. }) => (*request, *redirect),
            other => panic!("{other:?}"),
        }
    };
    let mut bench = Bench::with(config());
    let (request, redirect) = redirected(&mut bench);
    bench.proxy.follow(bench.now, (request, redirect), &[], &mut bench.out).unwrap();
    assert!(bench.drain()[0].1.starts_with("SIP/2.0 302"));
    // Given up meanwhile: the caller gets its 487, whatever is decided.
    let mut bench = Bench::with(config());
    let (request, redirect) = redirected(&mut bench);
    let sent = bench.feed(&Peer::new().cancel());
    assert!(sent[1].1.starts_with("SIP/2.0 487"), "{sent:?}");
    assert!(bench.proxy.follow(bench.now, (request, redirect), &[], &mut bench.out).is_err());
    bench.assert_empty();
    // Never decided: it ends all the same.
    let mut bench = Bench::with(config());
    redirected(&mut bench);
    bench.assert_empty();
}

#[test]
fn credentials_for_us_end_here() {
    let config = ProxyConfig { realms: vec!["ours".into()], ..ProxyConfig::default() };
    let mut bench = Bench::with(config);
    let credentials = "Proxy-Authorization: Digest username=\"a\", realm=\"ours\", nonce=\"n\", uri=\"u\", response=\"r\"\n\
                       Proxy-Authorization: Digest username=\"a\", realm=\"theirs\", nonce=\"n\", uri=\"u\", response=\"r\"\n";
    bench.feed(&Peer::new().invite().replacen("Call-ID", &format!("{credentials}Call-ID"), 1));
    assert!(bench.messages[0].0.contains("realm=\"ours\""), "whoever judges them sees them");
    let invite = bench.forward(&[(1, 0)]).remove(0).1;
    assert!(!invite.contains("realm=\"ours\"") && invite.contains("realm=\"theirs\""), "{invite}");
}

#[test]
fn a_browser_is_found_by_the_connection_that_it_opened() {
    let config = ProxyConfig { names: vec!["192.0.2.1:443".into(), "192.0.2.1:5060".into()], ..ProxyConfig::default() };
    let mut bench = Bench::with(config);
    let browser = Flow {
        transport: Transport::Wss,
        local: address("192.0.2.1:443"),
        remote: address("192.0.2.9:40000"),
        connection: 7,
    };
    bench.feed_on(browser, &Peer::new().invite());
    let invite = bench.forward(&[(1, 0)]).remove(0).1;
    let routes: Vec<String> = invite
        .lines()
        .filter_map(|line| line.strip_prefix("Record-Route: "))
        .flat_map(|line| line.split(", ").map(str::to_owned))
        .collect();
    assert_eq!(routes.len(), 2, "{invite}");
    // The callee hangs up: its route set is as it came.
    let bye = format!(
        "BYE sip:x@abc.invalid;transport=ws SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKbye\nRoute: {}\n\
         From: <sip:b@b>;tag=b1\nTo: <sip:a@a>;tag=p1\nCall-ID: abc@peer\nCSeq: 1 BYE\nContent-Length: 0\n\n",
        routes.join(", ")
    );
    bench.feed_on(target(1), &bye);
    match bench.events.last() {
        Some(ProxyEvent::Request {
            flow,
            standing: Standing::InDialog { from: Side::Callee },
            is_for_us: false,
            ..
        }) => {
            assert_eq!(*flow, Some(browser));
        }
        other => panic!("{other:?}"),
    }
    assert!(!bench.messages.last().unwrap().0.contains("Route:"), "both values are ours");
    // The browser's own go the other way, by the address.
    let turned = format!("{}, {}", routes[1], routes[0]);
    let bye =
        bye.replace(&routes.join(", "), &turned).replace("z9hG4bKbye", "z9hG4bKbye2").replace("CSeq: 1", "CSeq: 2");
    bench.feed_on(browser, &bye);
    assert!(matches!(bench.events.last(), Some(ProxyEvent::Request { flow: None, .. })), "{:?}", bench.events.last());
}

#[test]
fn what_is_addressed_to_the_proxy_can_be_answered() {
    let mut bench = Bench::new();
    let options = "OPTIONS sip:proxy.example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bKo\n\
                   From: <sip:a@a>;tag=1\nTo: <sip:proxy.example.com>\nCall-ID: o\nCSeq: 1 OPTIONS\nContent-Length: 0\n\n";
    bench.feed(options);
    assert!(matches!(bench.events.last(), Some(ProxyEvent::Request { is_for_us: true, .. })));
    let request = bench.request();
    let content = Content::headers(&[("Accept", "application/sdp")]);
    bench.proxy.reject(bench.now, request, &Answer::with(200, content), &mut bench.out).unwrap();
    assert!(bench.drain()[0].1.starts_with("SIP/2.0 200 OK"));
    bench.feed(&Peer::new().invite());
    let refused = bench.proxy.reject(bench.now, bench.request(), &Answer::of(200), &mut bench.out);
    assert_eq!(refused, Err(Refused::BadStatus), "no call is for the proxy");
}

/// A 2xx that has no Via but the proxy's leads to no caller: that gets another answer, and nothing is left.
#[test]
fn an_answer_without_the_callers_via_ends_the_request() {
    for targets in [&[(1, 0)][..], &[(1, 0), (2, 0)]] {
        let mut bench = Bench::new();
        bench.feed(&Peer::new().invite());
        let sent = bench.forward(targets);
        let up = bench.feed(&reply(&sent[0].1, 200, "a", "", ""));
        let is_alone = targets.len() == 1;
        assert_eq!(hosts(&up), if is_alone { vec![(9, "408")] } else { vec![] });
        bench.assert_empty();
        assert_eq!(bench.finished(), [408]);
    }
}
