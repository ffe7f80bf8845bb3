//! Reliable provisional responses (RFC 3262), both ways.

mod common;
use clock::Duration;
use common::*;
use sip_core::*;

const RELIABLE: &str = "Supported: 100rel\nContent-Type: application/sdp\n";

fn ringing_reliably(bench: &mut Bench, sdp: bool) -> (Peer, String) {
    let mut peer = Peer::new();
    bench.feed(&peer.request("INVITE", "INVITE", RELIABLE, "v=0"));
    let invite = bench.invite();
    let content = if sdp { Content::sdp(b"v=1") } else { Content::NONE };
    bench.endpoint.provisional_reliably(bench.now, invite, &Answer::with(183, content), &mut bench.out).unwrap();
    let sent = bench.drain().remove(0);
    assert_eq!(header(&sent, "Require"), "100rel");
    peer.learn(&sent);
    (peer, sent)
}

fn prack(peer: &mut Peer, rack: &str, body: &str) -> String {
    peer.cseq += 1;
    peer.branch = format!("prack{}", peer.cseq);
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\n" };
    peer.request("PRACK", "PRACK", &format!("RAck: {rack}\n{kind}"), body)
}

#[test]
fn a_reliable_response_is_repeated_until_its_prack() {
    let mut bench = Bench::new(udp());
    // What a source gets that has shown nothing is bounded elsewhere.
    bench.endpoint.prove(bench.now, &udp());
    let (mut peer, sent) = ringing_reliably(&mut bench, true);
    let copies = bench.pass(ms(4000));
    assert_eq!(copies.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [500, 1500, 3500]);
    assert!(copies.iter().all(|(_, copy)| *copy == sent));
    let invite = bench.invite();
    let second = bench.endpoint.provisional_reliably(bench.now, invite, &Answer::of(183), &mut bench.out);
    assert_eq!(second, Err(Refused::AwaitingPrack));
    let early = bench.endpoint.accept(bench.now, invite, Content::NONE, &mut bench.out);
    assert_eq!(early, Err(Refused::AwaitingPrack), "the description may not have arrived");
    let rseq: u32 = header(&sent, "RSeq").parse().unwrap();
    assert_eq!(words(&bench.feed(&prack(&mut peer, &format!("{} 1 INVITE", rseq + 1), ""))), ["481"]);
    assert_eq!(words(&bench.feed(&prack(&mut peer, &format!("{rseq} 1 BYE"), ""))), ["481"]);
    let good = prack(&mut peer, &format!("{rseq} 1 INVITE"), "");
    for _ in 0..2 {
        assert_eq!(words(&bench.feed(&good)), ["200"]);
    }
    let pracked = bench.events.iter().filter(|event| matches!(event, Event::Pracked { request: None, .. })).count();
    assert_eq!(pracked, 1);
    assert!(bench.pass(ms(40_000)).is_empty());
    bench.endpoint.provisional_reliably(bench.now, invite, &Answer::of(180), &mut bench.out).unwrap();
    let next = bench.drain().remove(0);
    assert_eq!(header(&next, "RSeq"), (rseq + 1).to_string());
    // Without a description the answer need not wait, and stops the copies.
    assert_eq!(words(&bench.accept(Content::NONE)), ["200"]);
    let cseq = peer.cseq;
    peer.cseq = 1;
    bench.feed(&peer.ack());
    peer.cseq = cseq;
    assert!(bench.pass(ms(5000)).is_empty());
    assert_eq!(words(&bench.feed(&peer.next("BYE"))), ["200"]);
    bench.assert_empty();
}

#[test]
fn a_reliable_response_without_prack_refuses_the_invite() {
    let mut bench = Bench::new(udp());
    let (peer, _) = ringing_reliably(&mut bench, false);
    let sent = bench.pass_lines(Duration::from_secs(32));
    assert_eq!(sent.last(), Some(&(32_000, "SIP/2.0 504 Server Time-out".to_owned())));
    assert!(bench.events.iter().any(|event| matches!(event, Event::NotPracked { .. })));
    assert_eq!(bench.endings(), [Cause::Rejected(504)]);
    bench.feed(&peer.ack_refusal());
    bench.assert_empty();
}

#[test]
fn an_offer_in_prack_is_the_users_to_answer() {
    let mut bench = Bench::new(udp());
    let (mut peer, sent) = ringing_reliably(&mut bench, true);
    let rack = format!("{} 1 INVITE", header(&sent, "RSeq"));
    assert!(bench.feed(&prack(&mut peer, &rack, "v=5")).is_empty());
    let Some(Event::Pracked { request: Some(request), .. }) = bench.events.last().copied() else { panic!() };
    bench.endpoint.respond(bench.now, request, &Answer::with(200, Content::sdp(b"v=6")), &mut bench.out).unwrap();
    let ok = bench.drain().remove(0);
    assert!(ok.ends_with("v=6") && header(&ok, "CSeq").ends_with("PRACK"));
    assert_eq!(
        words(&bench.feed(&peer.cancel().replace("z9hG4bKprack2", "z9hG4bK1").replace("2 CANCEL", "1 CANCEL"))),
        ["200", "487"]
    );
    bench.assert_empty();
}

#[test]
fn who_requires_it_gets_it_and_who_cannot_is_not_asked() {
    let mut bench = Bench::new(udp());
    let peer = Peer::new();
    bench.feed(&peer.request("INVITE", "INVITE", "Require: 100rel\n", ""));
    assert!(!header(&bench.ring(180)[0], "RSeq").is_empty(), "RFC 3262 §3");
    bench.reject(486);
    let mut bench = Bench::new(udp());
    bench.feed(&peer.invite());
    let invite = bench.invite();
    let refused = bench.endpoint.provisional_reliably(bench.now, invite, &Answer::of(183), &mut bench.out);
    assert_eq!(refused, Err(Refused::Unsupported));
    bench.reject(486);
    let config = EndpointConfig { reliability: Reliability::Off, ..EndpointConfig::default() };
    let mut bench = Bench::with(config, udp());
    let refused = bench.feed(&peer.request("INVITE", "INVITE", "Require: 100rel\n", ""));
    assert_eq!((words(&refused), header(&refused[0], "Unsupported")), (vec!["420"], "100rel"));
    bench.assert_empty();
}

fn reliable(rseq: u32) -> String {
    format!("Require: 100rel\nRSeq: {rseq}\n{}", answer_lines(5070))
}

#[test]
fn we_confirm_each_once_and_in_order() {
    let mut bench = Bench::new(udp());
    let (_, invite) = bench.call();
    let prack = bench.feed(&reply(&invite, 183, "b", &reliable(7), "v=0")).remove(0);
    assert_eq!(first(&prack), "PRACK sip:bob@192.0.2.9:5070 SIP/2.0");
    assert_eq!((header(&prack, "RAck"), header(&prack, "CSeq")), ("7 1 INVITE", "2 PRACK"));
    let heard_count = bench.events.len();
    assert!(bench.feed(&reply(&invite, 183, "b", &reliable(7), "v=0")).is_empty(), "a copy");
    assert!(bench.feed(&reply(&invite, 180, "b", &reliable(9), "")).is_empty(), "out of order");
    assert_eq!(bench.events.len(), heard_count);
    let again = bench.pass(ms(600));
    assert_eq!((again.len(), word(&again[0].1)), (1, "PRACK"), "timer E");
    bench.feed(&reply(&prack, 200, "b", "", ""));
    let second = bench.feed(&reply(&invite, 180, "b", &reliable(8), "v=0")).remove(0);
    assert_eq!((header(&second, "RAck"), header(&second, "CSeq")), ("8 1 INVITE", "3 PRACK"));
    // Another branch has numbers of its own.
    let other = bench.feed(&reply(&invite, 183, "c", &reliable(1), "v=0")).remove(0);
    assert_eq!((header(&other, "RAck"), tag(header(&other, "To"))), ("1 1 INVITE", "c"));
    assert_eq!(words(&bench.feed(&reply(&invite, 200, "b", &answer_lines(5070), ""))), ["ACK"]);
    let dialog = bench.dialog();
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.assert_empty();
}

#[test]
fn an_offer_in_a_reliable_response_is_answered_in_our_prack() {
    let mut bench = Bench::new(udp());
    bench.endpoint.invite(bench.now, &new_request(udp()), &mut bench.out).unwrap();
    let invite = bench.drain().remove(0);
    assert!(bench.feed(&reply(&invite, 183, "b", &reliable(7), "v=0")).is_empty());
    assert!(matches!(bench.events.last(), Some(Event::Progress { wants_prack: true, .. })));
    let dialog = bench.dialog();
    bench.endpoint.prack(bench.now, dialog, Content::sdp(b"v=1"), &mut bench.out).unwrap();
    let prack = bench.drain().remove(0);
    assert!(prack.ends_with("v=1") && header(&prack, "RAck") == "7 1 INVITE");
    let again = bench.endpoint.prack(bench.now, dialog, Content::NONE, &mut bench.out);
    assert_eq!(again, Err(Refused::WrongState));
    bench.feed(&reply(&prack, 200, "b", "", ""));
    // Offer and answer are through: the 2xx needs an ACK without a description, and the endpoint sends it.
    assert_eq!(words(&bench.feed(&reply(&invite, 200, "b", &answer_lines(5070), "v=0"))), ["ACK"]);
    assert!(matches!(bench.events.last(), Some(Event::Answered { wants_ack: false, .. })));
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.assert_empty();
}

#[test]
fn reliable_responses_to_a_reinvite_are_confirmed() {
    let mut bench = Bench::new(udp());
    let (dialog, _) = bench.answered_call();
    bench.endpoint.reinvite(bench.now, dialog, Content::sdp(b"v=1"), &mut bench.out).unwrap();
    let second = bench.drain().remove(0);
    let prack = bench.feed(&reply(&second, 183, "b", &reliable(70), "v=0")).remove(0);
    assert_eq!(header(&prack, "RAck"), "70 2 INVITE");
    assert_eq!(words(&bench.feed(&reply(&second, 200, "b", &answer_lines(5070), "v=0"))), ["ACK"]);
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.assert_empty();
}

/// RFC 3262 §4: the numbers of one request say nothing of those of another.
#[test]
fn reliable_responses_to_a_reinvite_that_is_repeated_are_confirmed() {
    let mut bench = Bench::new(udp());
    let (dialog, _) = bench.answered_call();
    bench.endpoint.reinvite(bench.now, dialog, Content::sdp(b"v=1"), &mut bench.out).unwrap();
    let second = bench.drain().remove(0);
    let prack = bench.feed(&reply(&second, 183, "b", &reliable(70), "v=0")).remove(0);
    bench.feed(&reply(&prack, 200, "b", "", ""));
    bench.feed(&reply(&second, 491, "b", "", ""));
    let again = bench.pass(Duration::from_secs(5)).remove(0).1;
    assert_eq!((word(&again), header(&again, "CSeq")), ("INVITE", "4 INVITE"));
    let prack = bench.feed(&reply(&again, 183, "b", &reliable(5), "v=0")).remove(0);
    assert_eq!(header(&prack, "RAck"), "5 4 INVITE");
}

/// The peer has confirmed, if late: it is not told that there is no such dialog.
#[test]
fn a_prack_that_the_ack_overtook_is_answered() {
    let mut bench = Bench::new(udp());
    let (mut peer, sent) = ringing_reliably(&mut bench, false);
    assert_eq!(words(&bench.accept(Content::sdp(b"v=1"))), ["200"]);
    bench.feed(&peer.ack());
    let late = prack(&mut peer, &format!("{} 1 INVITE", header(&sent, "RSeq")), "");
    assert_eq!(words(&bench.feed(&late)), ["200"]);
    assert_eq!(words(&bench.feed(&prack(&mut peer, "0 1 INVITE", ""))), ["481"]);
    assert!(!bench.events.iter().any(|event| matches!(event, Event::Pracked { .. })), "nothing waited for it");
    assert_eq!(words(&bench.feed(&peer.next("BYE"))), ["200"]);
    bench.assert_empty();
}
