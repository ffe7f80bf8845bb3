//! Where requests in dialogs go, from the messages that make the dialogs (RFC 3261 §8.1.2, §12.2.1.1).

mod common;
use clock::Duration;
use common::*;
use sip_core::*;

/// A request of the peer whose Via, Contact and Record-Route are as written.
fn request(peer: &Peer, method: &str, via: &str, contact: &str, more: &str) -> String {
    let own = format!("Via: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK{};rport", peer.branch);
    let via = via.replace("BRANCH", &format!("branch=z9hG4bK{}", peer.branch));
    peer.request(method, method, more, "")
        .replace(&own, &via)
        .replace("Contact: <sip:peer@192.0.2.9:5062>", &format!("Contact: <{contact}>"))
}

/// A call that came to us, answered and acknowledged.
fn called(bench: &mut Bench, via: &str, contact: &str, record_route: &str) -> (DialogId, Peer) {
    let mut peer = Peer::new();
    bench.feed(&request(&peer, "INVITE", via, contact, record_route));
    let ok = bench.accept(Content::sdp(b"v=0")).remove(0);
    assert_eq!(bench.flows[0].remote.ip(), bench.flow.remote.ip(), "the answer goes to where the request came from");
    peer.learn(&ok);
    let ack = Peer { branch: "ack".into(), ..peer.clone() };
    assert!(bench.feed(&request(&ack, "ACK", via, contact, "")).is_empty());
    (bench.dialog(), peer)
}

fn bye(bench: &mut Bench, dialog: DialogId) -> String {
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.drain().remove(0)
}

fn info(bench: &mut Bench, dialog: DialogId) -> String {
    bench.endpoint.info(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.drain().first().cloned().unwrap_or_default()
}

const PROXY: &str = "Via: SIP/2.0/UDP 192.0.2.9:5062;BRANCH\nVia: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKx";

#[test]
fn a_proxy_that_does_not_record_itself_is_left_out() {
    let mut bench = Bench::new(udp());
    let (dialog, _) = called(&mut bench, PROXY, "sip:alice@192.0.2.77", "");
    info(&mut bench, dialog);
    assert_eq!(bench.went_to(), "UDP 192.0.2.77:5060");
    bye(&mut bench, dialog);
    assert_eq!(bench.went_to(), "UDP 192.0.2.77:5060");
    let again = bench.pass_lines(ms(600));
    assert_eq!((again.len(), bench.went_to().as_str()), (2, "UDP 192.0.2.77:5060"), "copies as well");
}

#[test]
fn every_request_goes_to_the_first_route() {
    let routes: Vec<String> = (0..60).map(|number| format!("Record-Route: <sip:10.7.0.{number};lr>\n")).collect();
    let mut bench = Bench::new(udp());
    let (dialog, _) = called(&mut bench, PROXY, "sip:alice@192.0.2.77", &routes.concat());
    let sent = bye(&mut bench, dialog);
    assert!(sent.starts_with("BYE sip:alice@192.0.2.77 SIP/2.0\r\n"));
    assert_eq!(header(&sent, "Route").split(", ").count(), 60);
    // Further away than the peer is a private address: only the peer leads there.
    assert_eq!(bench.went_to(), "UDP 192.0.2.9:5062");
    let mut bench = Bench::new(udp());
    let (dialog, _) = called(&mut bench, PROXY, "sip:alice@192.0.2.77", &routes.concat().replace("10.7", "198.51"));
    bye(&mut bench, dialog);
    assert_eq!(bench.went_to(), "UDP 198.51.0.0:5060");
    // A strict router is the Request-URI, and the next hop all the same.
    let mut bench = Bench::new(udp());
    let strict = "Record-Route: <sip:198.51.100.1:5090>\n";
    let (dialog, _) = called(&mut bench, PROXY, "sip:alice@192.0.2.77", strict);
    let sent = bye(&mut bench, dialog);
    assert!(sent.starts_with("BYE sip:198.51.100.1:5090 SIP/2.0\r\n"), "{sent}");
    assert_eq!((header(&sent, "Route"), bench.went_to().as_str()), ("<sip:alice@192.0.2.77>", "UDP 198.51.100.1:5090"));
}

#[test]
fn what_shows_a_nat_is_answered_where_it_came_from() {
    let own = "Via: SIP/2.0/UDP 192.0.2.9:5062;BRANCH;rport";
    for (via, contact, goes_to) in [
        // Behind a NAT: Via and Contact are those of the other side of it.
        ("Via: SIP/2.0/UDP 10.0.0.5;BRANCH;rport", "sip:a@10.0.0.5", "UDP 192.0.2.9:5062"),
        ("Via: SIP/2.0/UDP 10.0.0.5;BRANCH", "sip:a@10.0.0.5", "UDP 192.0.2.9:5062"),
        // It has learned its address, but not the port.
        ("Via: SIP/2.0/UDP 10.0.0.5;BRANCH;rport", "sip:a@192.0.2.9:5060", "UDP 192.0.2.9:5062"),
        ("Via: SIP/2.0/UDP 192.0.2.9:5060;BRANCH;rport", "sip:a@192.0.2.9:5060", "UDP 192.0.2.9:5062"),
        // It sends from one port and listens on another, and says so.
        ("Via: SIP/2.0/UDP 192.0.2.9:5060;BRANCH", "sip:a@192.0.2.9:5060", "UDP 192.0.2.9:5060"),
        // Two addresses.
        (own, "sip:a@192.0.2.10:5070", "UDP 192.0.2.10:5070"),
        (own, "sip:a@192.0.2.10:5070;ob", "UDP 192.0.2.9:5062"),
        // What nobody can be reached at, and what a stranger would have us send to.
        (own, "sip:a@0.0.0.0", "UDP 192.0.2.9:5062"),
        (own, "sip:a@224.0.0.1", "UDP 192.0.2.9:5062"),
        (own, "sip:a@255.255.255.255", "UDP 192.0.2.9:5062"),
        (own, "sip:a@127.0.0.1:25", "UDP 192.0.2.9:5062"),
        (own, "sip:a@192.0.2.1:10002", "UDP 192.0.2.9:5062"),
        (own, "sip:a@[ff02::1]", "UDP 192.0.2.9:5062"),
        (own, "sip:a@192.0.2.9:5062;maddr=224.0.0.1", "UDP 192.0.2.9:5062"),
        (own, "sip:a@phone.invalid", "UDP 192.0.2.9:5062"),
        (own, "tel:+1", "UDP 192.0.2.9:5062"),
    ] {
        let config = EndpointConfig { media_ports: Some(10_000..=20_000), ..EndpointConfig::default() };
        let mut bench = Bench::with(config, udp());
        let (dialog, _) = called(&mut bench, via, contact, "");
        bye(&mut bench, dialog);
        assert_eq!(bench.went_to(), goes_to, "{via} {contact}");
        assert!(bench.wanted.is_empty(), "{via} {contact}");
    }
}

#[test]
fn nobody_is_sent_anything_before_the_peer_has_shown_itself() {
    let mut bench = Bench::new(udp());
    let mut peer = Peer::new();
    let via = "Via: SIP/2.0/UDP 192.0.2.9:5062;BRANCH";
    bench.feed(&request(&peer, "INVITE", via, "sip:victim@198.51.100.1", ""));
    let ok = bench.accept(Content::sdp(b"v=0")).remove(0);
    peer.learn(&ok);
    // No ACK comes: neither copies of our 2xx nor the BYE go to a third address.
    let has_bye = |bench: &mut Bench| bench.pass(ms(100)).iter().any(|(_, message)| word(message) == "BYE");
    assert!((0..330).any(|_| has_bye(&mut bench)));
    assert_eq!(bench.went_to(), "UDP 192.0.2.9:5062");
}

#[test]
fn a_target_refresh_moves_requests() {
    let mut bench = Bench::new(udp());
    let (dialog, mut peer) = called(&mut bench, PROXY, "sip:alice@192.0.2.77", "");
    // UPDATE without an offer, answered at once.
    peer.next("UPDATE");
    assert_eq!(words(&bench.feed(&request(&peer, "UPDATE", PROXY, "sip:alice@192.0.2.78:5070", ""))), ["200"]);
    info(&mut bench, dialog);
    assert_eq!(bench.went_to(), "UDP 192.0.2.78:5070");
    // A re-INVITE moves it when it is accepted, not before.
    peer.next("INVITE");
    bench.feed(&request(&peer, "INVITE", PROXY, "sip:alice@192.0.2.79", ""));
    info(&mut bench, dialog);
    assert_eq!(bench.went_to(), "UDP 192.0.2.78:5070");
    bench.accept(Content::sdp(b"v=0"));
    peer.branch = "ack2".into();
    bench.feed(&request(&peer, "ACK", PROXY, "sip:alice@192.0.2.79", ""));
    info(&mut bench, dialog);
    assert_eq!(bench.went_to(), "UDP 192.0.2.79:5060");
    // So does the answer to a re-INVITE of ours, for its ACK already.
    bench.endpoint.reinvite(bench.now, dialog, Content::sdp(b"v=1"), &mut bench.out).unwrap();
    let reinvite = bench.drain().remove(0);
    assert_eq!(bench.went_to(), "UDP 192.0.2.79:5060");
    bench.feed(&reply(&reinvite, 200, "", "Contact: <sip:alice@192.0.2.80>\nContent-Type: application/sdp\n", "v=0"));
    assert_eq!(bench.went_to(), "UDP 192.0.2.80:5060");
    bye(&mut bench, dialog);
    assert_eq!(bench.went_to(), "UDP 192.0.2.80:5060");
}

#[test]
fn a_nat_that_gives_another_port_is_followed() {
    let nat = "Via: SIP/2.0/UDP 10.0.0.5;BRANCH;rport";
    let mut bench = Bench::new(udp());
    let (dialog, mut peer) = called(&mut bench, nat, "sip:a@10.0.0.5", "");
    bench.flow = Flow::udp(udp().local, address("192.0.2.9:40001"));
    peer.next("UPDATE");
    bench.feed(&request(&peer, "UPDATE", nat, "sip:a@10.0.0.5", ""));
    bye(&mut bench, dialog);
    assert_eq!(bench.went_to(), "UDP 192.0.2.9:40001");
}

#[test]
fn calls_of_ours_go_on_where_the_answer_says() {
    let mut bench = Bench::new(udp());
    let (_, invite) = bench.call();
    // Reliable, so that PRACK goes there before the answer.
    let reliable = "Require: 100rel\nRSeq: 1\nContact: <sip:bob@192.0.2.77>\n";
    let sent = bench.feed(&reply(&invite, 183, "b", reliable, ""));
    assert_eq!((words(&sent), bench.went_to().as_str()), (vec!["PRACK"], "UDP 192.0.2.77:5060"));
    let reliable = "Require: 100rel\nRSeq: 2\nContact: <sip:bob@192.0.2.78>\n";
    bench.feed(&reply(&invite, 183, "b", reliable, ""));
    assert_eq!(bench.went_to(), "UDP 192.0.2.78:5060");
    let ok = reply(&invite, 200, "b", "Contact: <sip:bob@192.0.2.79>\nContent-Type: application/sdp\n", "v=0");
    assert_eq!(words(&bench.feed(&ok)), ["ACK"]);
    assert_eq!(bench.went_to(), "UDP 192.0.2.79:5060");
    assert_eq!(words(&bench.feed(&ok)), ["ACK"]);
    assert_eq!(bench.went_to(), "UDP 192.0.2.79:5060", "the copy too");
    let dialog = bench.dialog();
    bench.endpoint.refer(bench.now, dialog, "sip:c@example.com", &mut bench.out).unwrap();
    bench.drain();
    assert_eq!(bench.went_to(), "UDP 192.0.2.79:5060");
    bye(&mut bench, dialog);
    assert_eq!(bench.went_to(), "UDP 192.0.2.79:5060");
    // With a route that the answer brings.
    let mut bench = Bench::new(udp());
    let (_, invite) = bench.call();
    bench.feed(&reply(&invite, 180, "b", "Contact: <sip:bob@192.0.2.77>\n", ""));
    let lines = format!("Record-Route: <sip:192.0.2.50;lr>, <sip:192.0.2.51;lr>\n{}", answer_lines(5070));
    bench.feed(&reply(&invite, 200, "b", &lines, "v=0"));
    assert_eq!(bench.went_to(), "UDP 192.0.2.51:5060");
    // A called host that names an address which only it knows is reached as before.
    let mut bench = Bench::new(udp());
    let (_, invite) = bench.call();
    bench.feed(&reply(&invite, 200, "b", "Contact: <sip:bob@10.0.0.9>\nContent-Type: application/sdp\n", "v=0"));
    assert_eq!(bench.went_to(), "UDP 192.0.2.9:5062");
}

#[test]
fn another_transport_is_asked_for_and_shown() {
    let over_tcp =
        Flow { transport: Transport::Tcp, connection: 20, ..Flow::udp(udp().local, address("192.0.2.77:5060")) };
    let mut bench = Bench::new(udp());
    bench.paths = vec![("sip:alice@192.0.2.77;transport=tcp", over_tcp)];
    let (dialog, _) = called(&mut bench, PROXY, "sip:alice@192.0.2.77;transport=tcp", "");
    bench.endpoint.reinvite(bench.now, dialog, Content::sdp(b"v=1"), &mut bench.out).unwrap();
    let sent = bench.drain();
    assert_eq!((words(&sent), bench.went_to().as_str()), (vec!["INVITE"], "TCP 192.0.2.77:5060"));
    assert!(header(&sent[0], "Via").starts_with("SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK"), "{}", sent[0]);
    assert_eq!(header(&sent[0], "Contact"), "<sip:192.0.2.1:5060;transport=tcp>");
    assert!(bench.pass(Duration::from_secs(5)).is_empty(), "TCP repeats by itself");
    assert_eq!(bench.wanted.len(), 1);
    // The answer finds its request.
    let sent = bench.feed(&reply(&sent[0], 200, "", "Content-Type: application/sdp\n", "v=0"));
    assert_eq!((words(&sent), bench.went_to().as_str()), (vec!["ACK"], "TCP 192.0.2.77:5060"));
}

#[test]
fn a_name_is_looked_up_before_the_first_request_and_no_sooner() {
    let found = Flow::udp(udp().local, address("192.0.2.44:5064"));
    let mut bench = Bench::new(udp());
    bench.is_looking_up = true;
    let (dialog, _) = called(&mut bench, PROXY, "sip:alice@pc33.example.org", "");
    assert!(bench.wanted.is_empty());
    bench.endpoint.info(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    assert!(bench.drain().is_empty());
    assert!(bench.pass(ms(1200)).is_empty(), "nothing is repeated that has not been sent");
    assert_eq!(bench.wanted, ["sip:alice@pc33.example.org"], "asked once");
    bench.endpoint.set_path(bench.now, dialog, Some(found), &mut bench.out);
    assert_eq!(words(&bench.drain()), ["INFO", "BYE"]);
    assert!(bench.flows.iter().all(|flow| *flow == found));
    let again = bench.pass(ms(500));
    assert_eq!(again.len(), 2, "timers begin with the first copy");
    // The same for the ACK of a call of ours; where there is no such name the peer is where it was.
    let mut bench = Bench::new(udp());
    bench.is_looking_up = true;
    let (_, invite) = bench.call();
    let ok = reply(&invite, 200, "b", "Contact: <sip:bob@nowhere.example>\nContent-Type: application/sdp\n", "v=0");
    assert!(bench.feed(&ok).is_empty());
    assert!(bench.feed(&ok).is_empty());
    let dialog = bench.dialog();
    bench.endpoint.set_path(bench.now, dialog, None, &mut bench.out);
    assert_eq!((words(&bench.drain()), bench.went_to().as_str()), (vec!["ACK"], "UDP 192.0.2.9:5062"));
    assert_eq!(words(&bench.feed(&ok)), ["ACK"]);
}

#[test]
fn a_connection_is_used_while_it_lives() {
    for (via, contact, goes_to) in [
        ("Via: SIP/2.0/TCP 192.0.2.9:5070;BRANCH", "sip:a@192.0.2.9:5070;transport=tcp", "7"),
        ("Via: SIP/2.0/TCP 192.0.2.9:5070;BRANCH", "sip:a@192.0.2.9:5071;transport=tcp", "7"),
        ("Via: SIP/2.0/TCP 192.0.2.9:5070;BRANCH", "sip:a@192.0.2.9", "7"),
        ("Via: SIP/2.0/TCP 10.0.0.9;BRANCH", "sip:a@10.0.0.9;transport=tcp", "7"),
        ("Via: SIP/2.0/WS k3.invalid;BRANCH", "sip:a@k3.invalid;transport=ws", "7"),
        ("Via: SIP/2.0/TCP 192.0.2.9:5070;BRANCH", "sip:a@198.51.100.1;transport=tcp;ob", "7"),
        ("Via: SIP/2.0/TCP 192.0.2.9:5070;BRANCH", "sip:a@198.51.100.1;transport=tcp;alias", "7"),
        // Another peer, for which the proxy of this connection does not want to carry requests.
        (
            "Via: SIP/2.0/TCP 192.0.2.9;BRANCH\nVia: SIP/2.0/TCP h;branch=z9hG4bKx",
            "sip:a@192.0.2.9:5071;transport=tcp",
            "asked",
        ),
        (
            "Via: SIP/2.0/TCP 192.0.2.9;BRANCH\nVia: SIP/2.0/TCP h;branch=z9hG4bKx",
            "sip:a@198.51.100.1;transport=tcp;ob",
            "asked",
        ),
        ("Via: SIP/2.0/TCP 192.0.2.9:5070;BRANCH", "sip:a@192.0.2.9;transport=udp", "asked"),
        ("Via: SIP/2.0/TCP 192.0.2.9:5070;BRANCH", "sips:a@192.0.2.9", "asked"),
    ] {
        let mut bench = Bench::new(Flow { remote: address("192.0.2.9:34567"), ..tcp() });
        let (dialog, _) = called(&mut bench, via, contact, "");
        bye(&mut bench, dialog);
        let went = if bench.wanted.is_empty() { bench.flows[0].connection.to_string() } else { "asked".into() };
        assert_eq!(went, goes_to, "{via} {contact}");
    }
}

#[test]
fn a_lost_connection_is_replaced() {
    let via = "Via: SIP/2.0/TCP 192.0.2.9:5070;BRANCH";
    let contact = "sip:a@192.0.2.9:5070;transport=tcp";
    let anew = Flow { remote: address("192.0.2.9:5070"), connection: 22, ..tcp() };
    let mut bench = Bench::new(tcp());
    bench.paths = vec![("sip:a@192.0.2.9:5070;transport=tcp", anew)];
    let (dialog, mut peer) = called(&mut bench, via, contact, "");
    info(&mut bench, dialog);
    assert_eq!(bench.flows[0].connection, 7);
    bench.endpoint.transport_failed(bench.now, &tcp(), &mut bench.out);
    let sent = bench.drain();
    assert_eq!((words(&sent), bench.flows[0]), (vec!["INFO"], anew), "over a new one, to where it listens");
    assert!(bench.failures().is_empty());
    // That one does not open: enough.
    bench.endpoint.transport_failed(bench.now, &anew, &mut bench.out);
    assert!(bench.drain().is_empty());
    assert_eq!(bench.failures(), [503]);
    // The peer comes back by itself.
    bench.flow = Flow { remote: address("192.0.2.9:40404"), connection: 31, ..tcp() };
    peer.next("OPTIONS");
    bench.feed(&request(&peer, "OPTIONS", via, contact, ""));
    bye(&mut bench, dialog);
    assert_eq!(bench.flows[0].connection, 22, "it has a way of ours");
    // A browser cannot be called back.
    let mut bench = Bench::new(Flow { transport: Transport::Ws, ..tcp() });
    let browser = "Via: SIP/2.0/WS k3.invalid;BRANCH";
    let (dialog, mut peer) = called(&mut bench, browser, "sip:a@k3.invalid;transport=ws", "");
    let flow = bench.flow;
    info(&mut bench, dialog);
    bench.endpoint.transport_failed(bench.now, &flow, &mut bench.out);
    bench.drain();
    assert_eq!((bench.failures(), bench.wanted.len()), (vec![503], 0));
    bench.flow.connection = 9;
    peer.next("OPTIONS");
    bench.feed(&request(&peer, "OPTIONS", browser, "sip:a@k3.invalid;transport=ws", ""));
    bye(&mut bench, dialog);
    assert_eq!(bench.flows[0].connection, 9, "but it comes back");
}

/// The peer may have carried out an UPDATE and answered it on the connection that broke: it is asked for by a request of its
/// own, behind those that have a lower number. What is not to be done twice goes as the copy that it is.
#[test]
fn an_update_that_a_lost_connection_took_is_a_new_request_over_another() {
    let via = "Via: SIP/2.0/TCP 192.0.2.9:5070;BRANCH";
    let contact = "sip:a@192.0.2.9:5070;transport=tcp";
    let anew = Flow { remote: address("192.0.2.9:5070"), connection: 22, ..tcp() };
    let mut bench = Bench::new(tcp());
    bench.paths = vec![("sip:a@192.0.2.9:5070;transport=tcp", anew)];
    let (dialog, _) = called(&mut bench, via, contact, "");
    bench.endpoint.update(bench.now, dialog, Content::sdp(b"v=1"), &mut bench.out).unwrap();
    let update = bench.drain().remove(0);
    let info = info(&mut bench, dialog);
    bench.endpoint.transport_failed(bench.now, &tcp(), &mut bench.out);
    let sent = bench.drain();
    assert_eq!((words(&sent), bench.flows.clone()), (vec!["INFO", "UPDATE"], vec![anew, anew]));
    let number = |request: &str| header(request, "CSeq").split(' ').next().unwrap().parse::<u32>().unwrap();
    let branch = |request: &str| header(request, "Via").split("branch=").nth(1).unwrap().to_owned();
    assert_eq!((number(&sent[0]), number(&sent[1])), (number(&info), number(&info) + 1));
    assert_eq!(branch(&sent[0]), branch(&info));
    assert_ne!(branch(&sent[1]), branch(&update));
    assert!(sent[1].ends_with("v=1"));
    // An answer to the first one comes too late, that to the second one counts.
    bench.flow = anew;
    assert!(bench.feed(&reply(&update, 500, "", "", "")).is_empty() && bench.failures().is_empty());
    bench.feed(&reply(&sent[1], 200, "", "", ""));
    assert_eq!(bench.failures(), [200]);
    bench.feed(&reply(&sent[0], 200, "", "", ""));
    bye(&mut bench, dialog);
}

#[test]
fn an_ack_that_a_lost_connection_took_goes_over_another() {
    let anew = Flow { connection: 22, ..tcp() };
    let mut bench = Bench::new(tcp());
    bench.paths = vec![("sip:bob@192.0.2.9:5062;transport=tcp", anew)];
    let (_, invite) = bench.call();
    let lines = "Contact: <sip:bob@192.0.2.9:5062;transport=tcp>\nContent-Type: application/sdp\n";
    assert_eq!(words(&bench.feed(&reply(&invite, 200, "b", lines, "v=0"))), ["ACK"]);
    bench.endpoint.transport_failed(bench.now, &tcp(), &mut bench.out);
    assert_eq!((words(&bench.drain()), bench.flows.clone()), (vec!["ACK"], vec![anew]));
    bench.endpoint.transport_failed(bench.now, &anew, &mut bench.out);
    assert!(bench.drain().is_empty(), "not for ever");
}

#[test]
fn reports_follow_the_subscriber() {
    let mut bench = Bench::new(udp());
    let mut peer = Peer::new();
    let lines = "Event: refer\nExpires: 600\n";
    let config = EndpointConfig::default();
    bench.endpoint =
        Endpoint::new(EndpointConfig { allow: [&config.allow[..], &["SUBSCRIBE".to_owned()]].concat(), ..config }, 42);
    bench.feed(&request(&peer, "SUBSCRIBE", PROXY, "sip:alice@192.0.2.77", lines));
    let request_id = bench.request();
    let accepted = bench.endpoint.accept_subscription(bench.now, request_id, 600, &mut bench.out);
    let subscription = accepted.unwrap();
    peer.learn(&bench.drain().remove(0));
    let report = |bench: &mut Bench| {
        bench
            .endpoint
            .notify(bench.now, subscription, &Report { state: "active", content: Content::NONE }, &mut bench.out)
            .unwrap();
        bench.drain();
        bench.went_to()
    };
    assert_eq!(report(&mut bench), "UDP 192.0.2.77:5060");
    peer.next("SUBSCRIBE");
    bench.feed(&request(&peer, "SUBSCRIBE", PROXY, "sip:alice@192.0.2.78", lines));
    let request_id = bench.request();
    bench.endpoint.accept_subscription(bench.now, request_id, 600, &mut bench.out).unwrap();
    bench.drain();
    assert_eq!(report(&mut bench), "UDP 192.0.2.78:5060");
}
