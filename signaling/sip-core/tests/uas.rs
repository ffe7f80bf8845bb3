//! Calls that come to us: INVITE, ACK, BYE, CANCEL, re-INVITE, and the loss of each message.

mod common;
use clock::Duration;
use common::*;
use sip_core::*;

fn answered() -> (Bench, Peer) {
    let mut bench = Bench::new(udp());
    let mut peer = Peer::new();
    assert!(bench.feed(&peer.invite()).is_empty());
    peer.learn(&bench.ring(180)[0]);
    let sent = bench.accept(Content::sdp(b"v=0"));
    assert_eq!(words(&sent), ["200"]);
    (bench, peer)
}

fn established() -> (Bench, Peer) {
    let (mut bench, peer) = answered();
    assert!(bench.feed(&peer.ack()).is_empty());
    assert!(matches!(bench.events.last(), Some(Event::Acknowledged { .. })));
    (bench, peer)
}

#[test]
fn a_call_from_invite_to_bye() {
    let mut bench = Bench::new(udp());
    let mut peer = Peer::new();
    assert!(bench.feed(&peer.invite()).is_empty());
    let ringing = bench.ring(180).remove(0);
    peer.learn(&ringing);
    assert_eq!(header(&ringing, "Via"), "SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK1;rport=5062;received=192.0.2.9");
    assert_eq!(header(&ringing, "Contact"), "<sip:192.0.2.1:5060>");
    let ok = bench.accept(Content::sdp(b"v=0")).remove(0);
    assert_eq!(tag(header(&ok, "To")), peer.to_tag);
    assert!(ok.ends_with("Content-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0"));
    bench.feed(&peer.ack());
    assert!(bench.pass(Duration::from_secs(600)).is_empty());
    assert_eq!(bench.endpoint.sizes(), Sizes { dialogs: 1, dialog_keys: 1, ..Sizes::default() });
    let bye = peer.next("BYE");
    assert_eq!(words(&bench.feed(&bye)), ["200"]);
    assert_eq!(words(&bench.feed(&bye)), ["200"], "a copy of the BYE");
    assert_eq!(bench.endings(), [Cause::RemoteBye]);
    bench.assert_empty();
    assert_eq!(words(&bench.feed(&bye)), ["481"]);
}

#[test]
fn trying_goes_out_after_200_ms_only() {
    let mut bench = Bench::new(udp());
    let peer = Peer::new();
    bench.feed(&peer.invite());
    assert!(bench.feed(&peer.invite()).is_empty(), "nothing to repeat yet");
    assert_eq!(bench.pass_lines(ms(1000)), [(200, "SIP/2.0 100 Trying".to_owned())]);
    assert_eq!(words(&bench.feed(&peer.invite())), ["100"]);
    assert_eq!(words(&bench.ring(180)), ["180"]);
    assert_eq!(words(&bench.feed(&peer.invite())), ["180"]);
    assert_eq!(bench.events.len(), 1, "copies are absorbed");
}

#[test]
fn lost_ack_repeats_the_200_then_bye() {
    let (mut bench, _) = answered();
    bench.endpoint.prove(bench.now, &udp());
    let sent = bench.pass(Duration::from_secs(32));
    let is_ending = |event: &Event| matches!(event, Event::Ending { cause: Cause::NoAck, .. });
    assert!(bench.events.last().is_some_and(is_ending), "said with the BYE, not with its end: {:?}", bench.events);
    let (times, all): (Vec<_>, Vec<_>) = sent.into_iter().unzip();
    assert_eq!(times, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500, 32000]);
    assert_eq!(words(&all)[..10], ["200"; 10]);
    assert_eq!(word(&all[10]), "BYE");
    assert_eq!(bench.pass(Duration::from_secs(40)).len(), 10, "nobody answers the BYE either");
    assert_eq!(bench.endings(), [Cause::NoAck]);
    bench.assert_empty();
}

#[test]
fn refusal_is_repeated_until_its_ack() {
    let mut bench = Bench::new(udp());
    let peer = Peer::new();
    bench.feed(&peer.invite());
    assert_eq!(words(&bench.reject(486)), ["486"]);
    assert_eq!(bench.endings(), [Cause::Rejected(486)]);
    assert_eq!(words(&bench.feed(&peer.invite())), ["486"]);
    assert_eq!(bench.pass(ms(4000)).len(), 3);
    assert!(bench.feed(&peer.ack_refusal()).is_empty());
    assert!(bench.pass(ms(4900)).is_empty());
    assert_eq!(bench.endpoint.sizes().server_transactions, 1, "timer I");
    bench.assert_empty();
    // Without any ACK timer H ends it; over TCP it is not repeated.
    for (flow, copies) in [(udp(), 10), (tcp(), 0)] {
        let mut bench = Bench::new(flow);
        bench.endpoint.prove(bench.now, &flow);
        bench.feed(&peer.invite());
        bench.reject(486);
        assert_eq!(bench.pass(Duration::from_secs(60)).len(), copies);
        bench.assert_empty();
    }
}

/// A source that has shown nothing may be forged: all that it gets is three times what came, a BYE included.
/// One that has acknowledged a call before gets all the copies of the RFC.
#[test]
fn a_source_that_has_shown_nothing_gets_few_copies() {
    let total = |sent: &[(u64, String)]| sent.iter().map(|(_, text)| text.len()).sum::<usize>();
    let mut bench = Bench::new(udp());
    let peer = Peer::new();
    bench.feed(&peer.invite());
    let mut sent = [bench.ring(180), bench.accept(Content::sdp(b"v=0"))].concat();
    sent.extend(bench.pass(Duration::from_secs(100)).into_iter().map(|(_, text)| text));
    assert_eq!(words(&sent), ["180", "200", "200", "200", "BYE"]);
    assert!(sent.iter().map(String::len).sum::<usize>() <= 3 * peer.invite().len(), "{sent:?}");
    bench.assert_empty();
    let mut bench = Bench::new(udp());
    let peer = Peer::new();
    bench.feed(&peer.invite());
    bench.reject(486);
    let few = bench.pass(Duration::from_secs(60));
    assert!((1..10).contains(&few.len()) && total(&few) <= 3 * peer.invite().len(), "{few:?}");
    // An ACK for a refusal shows nothing by its branch, which its sender made itself, but by our tag.
    for is_learned in [false, true] {
        let mut bench = Bench::new(udp());
        let mut peer = Peer::new();
        bench.feed(&peer.invite());
        let refusal = bench.reject(486).remove(0);
        if is_learned {
            peer.learn(&refusal);
        }
        bench.feed(&peer.ack_refusal());
        assert_eq!(bench.endpoint.is_proven(bench.now, &udp()), is_learned);
    }
    // One for a 2xx names it as well.
    let (mut bench, peer) = answered();
    bench.feed(&peer.ack());
    assert!(bench.endpoint.is_proven(bench.now, &udp()));
}

/// An INVITE so small that its answer would be more than three times as large gets it once the client has sent it again,
/// which it does as long as it hears nothing (RFC 3261 §17.1.1.2).
#[test]
fn a_small_invite_of_a_stranger_earns_its_answer_with_copies() {
    let mut bench = Bench::new(udp());
    let mut peer = Peer::new();
    let small = peer.invite().replace(USUAL, "");
    bench.feed(&small);
    assert!(bench.ring(180).is_empty(), "it would end the copies");
    assert!(bench.pass(ms(499)).is_empty());
    assert_eq!(words(&bench.feed(&small)), ["180"]);
    let mut bench = Bench::new(udp());
    bench.feed(&small);
    assert!(bench.ring(180).is_empty());
    assert_eq!(words(&bench.accept(Content::sdp(b"v=0"))), ["200"]);
    assert!(bench.pass(ms(499)).is_empty());
    let mut copies = bench.feed(&small);
    copies.extend(bench.pass(ms(1)).into_iter().map(|(_, text)| text));
    assert_eq!(words(&copies), ["200"], "the first one was lost: the copy earns another one");
    peer.learn(&copies[0]);
    bench.feed(&peer.ack());
    assert!(bench.endpoint.is_proven(bench.now, &udp()));
}

/// What is refused without any state is acknowledged as well, by a tag that only that source can have seen.
#[test]
fn an_ack_for_a_stateless_refusal_shows_where_it_came_from() {
    let other = Flow { remote: "192.0.2.9:5063".parse().unwrap(), ..udp() };
    for (from, is_proven) in [(udp(), true), (other, false)] {
        let mut bench = Bench::new(udp());
        let mut peer = Peer::new();
        bench.endpoint.take_calls(NewCalls::Refused);
        let refusal = bench.feed(&peer.invite()).remove(0);
        assert_eq!(word(&refusal), "503");
        bench.flow = from;
        bench.feed(&peer.ack_refusal());
        assert!(!bench.endpoint.is_proven(bench.now, &from), "without our tag");
        peer.learn(&refusal);
        bench.feed(&peer.ack_refusal());
        assert_eq!(bench.endpoint.is_proven(bench.now, &from), is_proven, "{from:?}");
        assert_eq!(bench.endpoint.sizes(), Sizes::default());
    }
}

#[test]
fn new_calls_can_be_refused_without_state() {
    let mut bench = Bench::new(udp());
    bench.endpoint.take_calls(NewCalls::Refused);
    let sent = bench.feed(&Peer::new().invite());
    assert_eq!((words(&sent), header(&sent[0], "Retry-After")), (vec!["503"], "5"));
    assert_eq!((bench.endpoint.sizes().server_transactions, bench.endpoint.counters().source_limited), (0, 1));
    bench.assert_empty();
}

/// RFC 3261 §9.1, §9.2: it is answered, and the request goes on.
#[test]
fn a_cancel_of_another_request_than_invite_changes_nothing() {
    let mut bench = Bench::new(udp());
    let peer = Peer::new();
    let sent = bench.feed(&peer.request("OPTIONS", "OPTIONS", "", ""));
    assert_eq!(words(&bench.feed(&peer.cancel())), ["200"], "{sent:?}");
    assert_eq!(bench.endings(), []);
}

#[test]
fn cancel_before_and_after_the_answer() {
    let mut bench = Bench::new(udp());
    let mut peer = Peer::new();
    assert_eq!(words(&bench.feed(&peer.cancel())), ["481"]);
    bench.feed(&peer.invite());
    peer.learn(&bench.ring(180)[0]);
    let sent = bench.feed(&peer.cancel());
    assert_eq!(words(&sent), ["200", "487"]);
    assert!(sent.iter().all(|response| tag(header(response, "To")) == peer.to_tag));
    assert_eq!(bench.endings(), [Cause::RemoteCancel]);
    assert_eq!(words(&bench.feed(&peer.cancel())), ["200"], "CANCEL after final");
    let invite = bench.invite();
    let late = bench.endpoint.accept(bench.now, invite, Content::NONE, &mut bench.out);
    assert_eq!(late, Err(Refused::WrongState));
    bench.feed(&peer.ack_refusal());
    bench.pass(ms(6000));
    assert_eq!(words(&bench.feed(&peer.cancel())), ["200"], "a copy that is late; the INVITE is forgotten");
    bench.assert_empty();
    let (mut bench, peer) = answered();
    assert_eq!(words(&bench.feed(&peer.cancel())), ["200"]);
    assert!(bench.endings().is_empty(), "the answer stands");
}

#[test]
fn local_bye_and_a_crossing_one() {
    let (mut bench, mut peer) = established();
    let dialog = bench.dialog();
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    let bye = bench.drain().remove(0);
    assert_eq!(first(&bye), "BYE sip:peer@192.0.2.9:5062 SIP/2.0");
    assert_eq!(header(&bye, "To"), "<sip:peer@example.org>;tag=p1");
    assert_eq!(tag(header(&bye, "From")), peer.to_tag);
    assert_eq!(words(&bench.feed(&peer.next("BYE"))), ["200"]);
    assert_eq!(words(&bench.feed(&peer.next("INFO"))), ["481"]);
    assert!(bench.endings().is_empty());
    let head: String = ["Via", "From", "To", "Call-ID", "CSeq"].map(|n| format!("{n}: {}\n", header(&bye, n))).concat();
    bench.feed(&format!("SIP/2.0 200 OK\n{head}Content-Length: 0\n\n"));
    assert_eq!(bench.endings(), [Cause::LocalBye]);
    bench.assert_empty();
}

#[test]
fn reinvite_is_answered_and_one_at_a_time() {
    let (mut bench, mut peer) = established();
    peer.next("INVITE");
    bench.feed(&peer.invite());
    assert!(matches!(bench.events.last(), Some(Event::Reinvite { .. })));
    let second = Peer { cseq: peer.cseq + 1, branch: "second".into(), ..peer.clone() };
    let refused = bench.feed(&second.invite());
    assert_eq!(words(&refused), ["500"]);
    assert!(!header(&refused[0], "Retry-After").is_empty());
    assert_eq!(bench.feed(&second.invite()), refused, "a copy");
    bench.feed(&second.ack_refusal());
    assert_eq!(words(&bench.accept(Content::sdp(b"v=0"))), ["200"]);
    assert_eq!(bench.pass(ms(600)).len(), 1, "the 2xx is repeated");
    bench.feed(&peer.ack());
    assert!(bench.pass(Duration::from_secs(60)).is_empty());
    peer.cseq += 1;
    peer.next("INVITE");
    bench.feed(&peer.invite());
    assert_eq!(words(&bench.reject(488)), ["488"]);
    bench.feed(&peer.ack_refusal());
    assert!(bench.endings().is_empty(), "a refused re-INVITE ends nothing");
    peer.next("INVITE");
    bench.feed(&peer.invite());
    assert_eq!(words(&bench.feed(&peer.cancel())), ["200", "487"]);
    assert!(matches!(bench.events.last(), Some(Event::ReinviteCancelled { .. })));
    bench.feed(&peer.ack_refusal());
    assert_eq!(words(&bench.feed(&peer.next("BYE"))), ["200"]);
    bench.assert_empty();
}

#[test]
fn options_and_the_unanswered() {
    let mut bench = Bench::new(udp());
    let mut peer = Peer::new();
    bench.feed(&peer.next("OPTIONS"));
    let request = bench.request();
    bench.endpoint.respond(bench.now, request, &Answer::of(200), &mut bench.out).unwrap();
    let ok = bench.drain().remove(0);
    assert!(header(&ok, "Allow").contains("INVITE") && header(&ok, "Accept").contains("application/sdp"));
    peer.call_id = "other";
    bench.feed(&peer.next("OPTIONS"));
    bench.assert_empty();
}

#[test]
fn a_bye_before_the_ack_waits_for_it() {
    let headers: &[(&str, &str)] = &[("Reason", "Q.850;cause=16")];
    let (mut bench, peer) = answered();
    let dialog = bench.dialog();
    bench.endpoint.bye(bench.now, dialog, Content::headers(headers), &mut bench.out).unwrap();
    assert!(bench.drain().is_empty(), "RFC 3261 §15");
    let again = bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out);
    assert_eq!(again, Err(Refused::WrongState));
    assert_eq!(bench.endpoint.info(bench.now, dialog, Content::NONE, &mut bench.out), Err(Refused::WrongState));
    let sent = bench.feed(&peer.ack());
    assert_eq!((words(&sent), header(&sent[0], "Reason")), (vec!["BYE"], "Q.850;cause=16"));
    bench.assert_empty();
    assert_eq!(bench.endings(), [Cause::LocalBye]);
    // The ACK never comes: it goes out with the end of the wait. The peer is faster: nothing goes out.
    let (mut bench, mut peer) = answered();
    let dialog = bench.dialog();
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    let sent = bench.pass_lines(Duration::from_secs(32));
    assert_eq!(sent.last(), Some(&(32_000, "BYE sip:peer@192.0.2.9:5062 SIP/2.0".to_owned())));
    assert_eq!(words(&bench.feed(&peer.next("BYE"))), ["200"]);
    bench.assert_empty();
    assert_eq!(bench.endings(), [Cause::LocalBye]);
}

/// What phones call by TLS is what they can call back: not all of them know `sips:`.
#[test]
fn over_tls_our_contact_has_the_scheme_of_the_peer() {
    let flow = Flow { transport: Transport::Tls, ..udp() };
    for (scheme, expected) in [("sip", "<sip:192.0.2.1:5060;transport=tls>"), ("sips", "<sips:192.0.2.1:5060>")] {
        let mut bench = Bench::new(flow);
        let contact = format!("Contact: <{scheme}:peer@192.0.2.9:5062>");
        let invite = Peer::new().invite().replace("Contact: <sip:peer@192.0.2.9:5062>", &contact);
        bench.feed(&invite.replace("SIP/2.0/UDP", "SIP/2.0/TLS"));
        let Event::Invite { invite, .. } = bench.events[0] else { panic!("{:?}", bench.events) };
        bench.endpoint.accept(bench.now, invite, Content::sdp(b"v=0"), &mut bench.out).unwrap();
        let answer = bench.drain().remove(0);
        assert_eq!(header(&answer, "Contact"), expected, "{answer}");
        // So has that of our own calls.
        let uri = format!("{scheme}:bob@192.0.2.9:5062");
        let request = NewRequest { uri: &uri, content: Content::sdp(b"v=0"), ..new_request(flow) };
        bench.endpoint.invite(bench.now, &request, &mut bench.out).unwrap();
        assert_eq!(header(&bench.drain()[0], "Contact"), expected);
    }
}

#[test]
fn answers_go_to_where_the_request_came_from() {
    let goal = |via: &str, source: &str| {
        let mut bench = Bench::new(udp());
        let flow = Flow { remote: address(source), ..udp() };
        let options = Peer::new().request("OPTIONS", "OPTIONS", "", "");
        let text = options.replacen("192.0.2.9:5062;branch=z9hG4bK1;rport", via, 1).replace('\n', "\r\n");
        bench.endpoint.answer_options(Some(200));
        bench.endpoint.receive(bench.now, &flow, text.as_bytes(), &mut bench.out);
        let goals: Vec<_> = bench.out.transmits.iter().map(|sent| sent.flow.remote.to_string()).collect();
        let answer = bench.drain().remove(0);
        assert_eq!((goals.len(), word(&answer)), (1, "200"));
        (goals[0].clone(), header(&answer, "Via").to_owned(), bench.endpoint.counters().foreign_maddr)
    };
    let source = "198.51.100.7:40000";
    for (via, port, foreign) in [
        ("192.0.2.9:5062;branch=z9hG4bK1;rport", 40_000, 0),
        ("192.0.2.9:5062;branch=z9hG4bK1", 5_062, 0),
        ("a.example.com;branch=z9hG4bK1", 5_060, 0),
        ("192.0.2.9:5062;branch=z9hG4bK1;maddr=224.0.1.75;ttl=16", 5_062, 1),
        ("192.0.2.9:5062;branch=z9hG4bK1;maddr=127.0.0.1;rport", 40_000, 1),
        ("192.0.2.9:5062;branch=z9hG4bK1;maddr=victim.example.com", 5_062, 1),
        ("192.0.2.9:5062;branch=z9hG4bK1;maddr=198.51.100.7", 5_062, 0),
        ("192.0.2.9:5062;branch=z9hG4bK1;received=203.0.113.9;rport=53", 40_000, 0),
        ("192.0.2.9:5062;branch=z9hG4bK1;received=203.0.113.9", 5_062, 0),
        ("192.0.2.9:0;branch=z9hG4bK1", 40_000, 0),
    ] {
        let (goal, answer_via, foreign_maddr) = goal(via, source);
        assert_eq!((goal, foreign_maddr), (format!("198.51.100.7:{port}"), foreign), "{via}");
        assert!(answer_via.contains("received=198.51.100.7") && !answer_via.contains("received=203"), "{answer_via}");
    }
    // The scope of a link-local address is the host's own business and stays.
    let (goal, ..) = goal("[fe80::1]:5070;branch=z9hG4bK1", "[fe80::1%3]:5060");
    assert_eq!(goal, "[fe80::1%3]:5070");
}

#[test]
fn a_cancel_whose_via_was_rewritten_finds_its_invite() {
    let rewritten = |text: String| {
        text.replace(
            "Via: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK1",
            "Via: SIP/2.0/UDP 192.0.2.9:9999;branch=z9hG4bKalg",
        )
    };
    let mut bench = Bench::new(udp());
    let peer = Peer::new();
    bench.feed(&peer.invite());
    let sent = bench.feed(&rewritten(peer.cancel()));
    assert_eq!(words(&sent), ["200", "487"]);
    assert_eq!(bench.endings(), [Cause::RemoteCancel]);
    // So does the ACK for the refusal: it is not repeated.
    let mut answered = peer.clone();
    answered.learn(&sent[1]);
    assert!(bench.feed(&rewritten(answered.ack_refusal())).is_empty());
    assert!(bench.pass(Duration::from_secs(2)).is_empty());
    // Nobody cancels what he has not seen.
    for (what, other) in [
        ("From: <sip:peer@example.org>;tag=p1", "From: <sip:peer@example.org>;tag=p2"),
        ("Call-ID: abc@peer", "Call-ID: abd@peer"),
        ("CSeq: 1", "CSeq: 2"),
        ("CANCEL sip:us@", "CANCEL sip:them@"),
    ] {
        let mut bench = Bench::new(udp());
        bench.feed(&peer.invite());
        let cancel = rewritten(peer.cancel());
        assert!(cancel.contains(what));
        assert_eq!(words(&bench.feed(&cancel.replace(what, other))), ["481"], "{other}");
    }
    // In a dialog, with the tag of a provisional response, and of a re-INVITE.
    let mut bench = Bench::new(udp());
    let mut peer = Peer::new();
    bench.feed(&peer.invite());
    peer.learn(&bench.ring(180).remove(0));
    assert_eq!(words(&bench.feed(&rewritten(peer.request("CANCEL", "CANCEL", "", "")))), ["200", "487"]);
    let mut bench = Bench::new(udp());
    let mut peer = Peer::new();
    bench.feed(&peer.invite());
    peer.learn(&bench.accept(Content::sdp(b"v=0")).remove(0));
    bench.feed(&peer.ack());
    bench.feed(&peer.next("INVITE"));
    let cancel = peer.request("CANCEL", "CANCEL", "", "").replace("bKINVITE2", "bKalg");
    assert_eq!(words(&bench.feed(&cancel)), ["200", "487"]);
    assert!(matches!(bench.events.last(), Some(Event::ReinviteCancelled { .. })));
    assert!(bench.endings().is_empty(), "the call goes on");
}

#[test]
fn a_caller_may_end_its_early_dialog_with_bye() {
    let mut bench = Bench::new(udp());
    let mut peer = Peer::new();
    bench.feed(&peer.invite());
    peer.learn(&bench.ring(180).remove(0));
    assert_eq!(words(&bench.feed(&peer.next("BYE"))), ["200", "487"]);
    assert_eq!(bench.endings(), [Cause::RemoteBye]);
}

#[test]
fn allow_says_what_is_not_answered_405() {
    for reliability in [Reliability::Supported, Reliability::Off] {
        let config = EndpointConfig {
            reliability,
            allow: ["INVITE", "OPTIONS", "PRACK", "UPDATE"].map(str::to_owned).to_vec(),
            ..EndpointConfig::default()
        };
        for method in [
            "INVITE",
            "BYE",
            "CANCEL",
            "OPTIONS",
            "PRACK",
            "UPDATE",
            "INFO",
            "REFER",
            "MESSAGE",
            "SUBSCRIBE",
            "NOTIFY",
            "PUBLISH",
            "REGISTER",
        ] {
            let mut bench = Bench::with(config.clone(), udp());
            let peer = Peer::new();
            let sent = bench.feed(&peer.request(method, method, "", ""));
            let is_405 = sent.first().is_some_and(|answer| word(answer) == "405");
            let options =
                bench.feed(&Peer { call_id: "o", branch: "o".into(), ..peer }.request("OPTIONS", "OPTIONS", "", ""));
            let request = bench.request();
            let allow = match options.first() {
                Some(answer) => header(answer, "Allow").to_owned(),
                None => {
                    bench.endpoint.respond(bench.now, request, &Answer::of(200), &mut bench.out).unwrap();
                    header(&bench.drain()[0], "Allow").to_owned()
                }
            };
            let is_listed = allow.split(", ").any(|listed| listed == method);
            assert_eq!(is_405, !is_listed, "{method} {reliability:?} {allow}");
            if is_405 {
                assert_eq!(header(&sent[0], "Allow"), allow);
            }
        }
    }
}
