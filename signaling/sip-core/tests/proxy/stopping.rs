//! The graceful end of a proxy.

use super::{Bench, Peer, answered, header, hosts, in_dialog, ms, word};
use clock::Duration;
use sip_core::proxy::*;
use sip_core::{Answer, Transport};

const PATIENCE: Duration = Duration::from_secs(4);

impl Bench {
    fn stop(&mut self) -> super::Sent {
        self.proxy.stop(self.now, self.now + PATIENCE, &mut self.out);
        self.drain()
    }
}

#[test]
fn ringing_branches_are_cancelled_and_the_caller_is_told_to_try_another_server() {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    let sent = bench.forward(&[(1, 0), (2, 0), (3, 1)]);
    bench.answer(&sent[0].1, 180, "a");
    assert_eq!((bench.proxy.unanswered_count(), bench.proxy.open_call_count()), (1, 1));
    let cancels = bench.stop();
    assert_eq!(hosts(&cancels), [(1, "CANCEL")], "one that has not answered yet is not cancelled yet");
    assert_eq!(header(&cancels[0].1, "Reason"), "SIP;cause=503;text=\"Proxy is being stopped\"");
    assert!(bench.stop().is_empty(), "once is enough");
    let late = bench.answer(&sent[1].1, 180, "b");
    assert_eq!(hosts(&late), [(2, "CANCEL"), (9, "180")]);
    assert_eq!(hosts(&bench.answer(&sent[0].1, 487, "a")), [(1, "ACK")]);
    let over = bench.answer(&sent[1].1, 487, "b");
    assert_eq!(hosts(&over), [(2, "ACK"), (9, "503")], "the next group is not tried");
    assert_eq!(header(&over[1].1, "Retry-After"), "5");
    assert_eq!((bench.proxy.unanswered_count(), bench.finished()), (0, vec![503]));
    bench.assert_empty();
}

#[test]
fn silent_targets_are_waited_for_no_longer_than_the_limit() {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    let sent = bench.forward(&[(1, 0), (2, 0)]);
    assert_eq!(hosts(&bench.answer(&sent[0].1, 486, "a")), [(1, "ACK")]);
    assert!(bench.stop().is_empty());
    let passed = bench.pass(PATIENCE - ms(1));
    assert!(passed.iter().all(|(_, host, message)| (*host, word(message)) != (9, "503")), "{passed:?}");
    let answered: Vec<_> = bench.pass(ms(1));
    assert!(matches!(&answered[..], [(1, 9, answer)] if word(answer) == "503"), "{answered:?}");
    // RFC 3261 §16.7, step 5: an answer that comes after all is the caller's to end.
    assert_eq!(hosts(&bench.answer(&sent[1].1, 200, "b")), [(9, "200")]);
    bench.assert_empty();
}

#[test]
fn a_refusal_of_all_and_an_answer_that_crosses_are_told_as_they_are() {
    for (status, told) in [(200, "200"), (603, "603"), (486, "486"), (487, "503"), (503, "500")] {
        let mut bench = Bench::new();
        bench.feed(&Peer::new().invite());
        let sent = bench.forward(&[(1, 0)]);
        bench.answer(&sent[0].1, 180, "a");
        bench.stop();
        let heard = bench.answer(&sent[0].1, status, "a");
        assert_eq!(heard.last().map(|(host, message)| (*host, word(message))), Some((9, told)), "{status}");
        bench.assert_empty();
    }
}

#[test]
fn nothing_new_begins_and_dialogs_go_on() {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    let sent = bench.forward(&[(1, 0)]);
    let (peer, route) = answered(&mut bench, &sent[0].1);
    // Nobody has decided about this one yet.
    let undecided = Peer { call_id: "undecided", branch: "undecided".into(), ..Peer::new() };
    bench.feed(&undecided.request("MESSAGE", "MESSAGE", "", ""));
    let refused = bench.stop();
    assert_eq!((hosts(&refused), header(&refused[0].1, "Retry-After")), (vec![(9, "503")], "5"));
    let count = bench.events.len();
    for method in ["INVITE", "OPTIONS", "SUBSCRIBE"] {
        let new = Peer { call_id: method, branch: method.into(), ..Peer::new() };
        let refused = bench.feed(&new.request(method, method, "", ""));
        assert_eq!((hosts(&refused), header(&refused[0].1, "Retry-After")), (vec![(9, "503")], "5"), "{method}");
    }
    assert_eq!((bench.events.len(), bench.proxy.counters().refused_stopping), (count, 3));
    let within = Peer { branch: "bye".into(), cseq: 2, ..peer };
    bench.feed(&in_dialog(&within, "BYE", &route));
    assert!(matches!(bench.events.last(), Some(ProxyEvent::Request { standing: Standing::InDialog { .. }, .. })));
    let bye = bench.forward_unchanged();
    assert_eq!(hosts(&bye), [(1, "BYE")]);
    assert_eq!(bench.proxy.unanswered_count(), 1);
    assert_eq!(hosts(&bench.answer(&bye[0].1, 200, "b")), [(9, "200")]);
    assert_eq!(bench.proxy.unanswered_count(), 0);
    bench.assert_empty();
}

#[test]
fn a_refusal_is_repeated_and_waited_for_until_its_ack_comes() {
    let mut bench = Bench::new();
    let peer = Peer::new();
    bench.feed(&peer.invite());
    let sent = bench.forward(&[(1, 0)]);
    bench.answer(&sent[0].1, 180, "a");
    bench.stop();
    assert!(!bench.proxy.awaits_acks());
    let refusal = bench.answer(&sent[0].1, 487, "a").pop().unwrap().1;
    assert_eq!((word(&refusal), bench.proxy.unanswered_count()), ("503", 0));
    assert!(bench.proxy.awaits_acks(), "the 503 may be lost");
    let copies = bench.pass(ms(1_500)).into_iter().filter(|(_, host, _)| *host == 9);
    let copies: Vec<_> = copies.map(|(at, _, copy)| (at, copy == refusal)).collect();
    assert_eq!(copies, [(500, true), (1_500, true)], "timer G");
    assert!(bench.proxy.awaits_acks());
    let ack = Peer { to_tag: super::tag(header(&refusal, "To")).to_owned(), ..peer };
    assert!(bench.feed(&ack.ack_refusal()).is_empty());
    assert!(!bench.proxy.awaits_acks());
    bench.assert_empty();
}

#[test]
fn a_refusal_of_before_the_stop_is_waited_for_as_well_and_one_over_a_connection_is_not() {
    for (transport, awaits) in [(Transport::Udp, true), (Transport::Tcp, false)] {
        let mut bench = Bench::new();
        let flow = super::Flow { transport, ..super::caller() };
        bench.feed_on(flow, &Peer::new().invite());
        let request = bench.request();
        bench.proxy.reject(bench.now, request, &Answer::of(404), &mut bench.out).unwrap();
        bench.drain();
        assert!(!bench.proxy.awaits_acks(), "nothing is waited for before the stop");
        bench.stop();
        assert_eq!(bench.proxy.awaits_acks(), awaits, "{transport:?}");
        bench.pass(Duration::from_secs(40));
        assert!(!bench.proxy.awaits_acks());
    }
}

#[test]
fn the_ack_of_an_answer_is_waited_for() {
    for is_crossing in [true, false] {
        let mut bench = Bench::new();
        bench.feed(&Peer::new().invite());
        let sent = bench.forward(&[(1, 0)]);
        bench.answer(&sent[0].1, 180, "a");
        if is_crossing {
            assert_eq!(hosts(&bench.stop()), [(1, "CANCEL")]);
        }
        let (peer, route) = answered(&mut bench, &sent[0].1);
        bench.stop();
        assert_eq!((bench.proxy.unanswered_count(), bench.proxy.awaits_acks()), (0, true));
        bench.feed(&in_dialog(&peer, "ACK", &route));
        let ack = bench.events.last();
        assert!(matches!(ack, Some(ProxyEvent::Stateless { standing: Standing::InDialog { .. }, .. })), "{ack:?}");
        assert!(!bench.proxy.awaits_acks());
        bench.assert_empty();
    }
}

#[test]
fn a_call_whose_ack_has_passed_or_never_passes_here_is_not_waited_for() {
    for record_route in [true, false] {
        let mut bench = Bench::with(ProxyConfig { record_route, ..ProxyConfig::default() });
        // A known source is no exception.
        bench.proxy.trust(bench.now, &super::caller());
        bench.feed(&Peer::new().invite());
        let sent = bench.forward(&[(1, 0)]);
        if record_route {
            let (peer, route) = answered(&mut bench, &sent[0].1);
            bench.feed(&in_dialog(&peer, "ACK", &route));
        } else {
            bench.answer(&sent[0].1, 200, "b");
        }
        bench.stop();
        assert!(!bench.proxy.awaits_acks(), "record_route: {record_route}");
    }
}

/// A dialog in which these requests have no answer yet; the proxy is being stopped.
fn pending(methods: &[&str]) -> (Bench, Vec<String>) {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    let sent = bench.forward(&[(1, 0)]);
    let (peer, route) = answered(&mut bench, &sent[0].1);
    bench.feed(&in_dialog(&peer, "ACK", &route));
    let mut forwarded = vec![];
    for (cseq, method) in (2..).zip(methods) {
        let peer = Peer { branch: (*method).into(), cseq, ..peer.clone() };
        bench.feed(&in_dialog(&peer, method, &route));
        forwarded.push(bench.forward_unchanged().remove(0).1);
        if *method == "INVITE" {
            bench.answer(&forwarded[forwarded.len() - 1], 180, "b");
        }
    }
    assert!(bench.stop().is_empty(), "they go on");
    (bench, forwarded)
}

#[test]
fn a_change_in_a_dialog_is_called_off_at_the_limit() {
    let (mut bench, forwarded) = pending(&["INVITE"]);
    assert!(bench.pass(PATIENCE - ms(1)).is_empty());
    let sent: Vec<_> = bench.pass(ms(1)).into_iter().map(|(_, host, message)| (host, message)).collect();
    assert_eq!(hosts(&sent), [(1, "CANCEL"), (9, "503")]);
    assert_eq!(header(&sent[1].1, "CSeq"), "2 INVITE");
    assert_eq!((bench.proxy.unanswered_count(), bench.proxy.awaits_acks()), (0, true));
    assert_eq!(hosts(&bench.answer(&forwarded[0], 487, "b")), [(1, "ACK")]);
    bench.assert_empty();
}

#[test]
fn the_end_answers_everything_at_once() {
    let (mut bench, _) = pending(&["INVITE", "INFO"]);
    bench.proxy.end(bench.now, &mut bench.out);
    let mut sent = bench.drain();
    sent.sort_by_key(|(host, message)| (*host, header(message, "CSeq").to_owned()));
    assert_eq!(hosts(&sent), [(1, "CANCEL"), (9, "503"), (9, "503")]);
    assert_eq!([header(&sent[1].1, "CSeq"), header(&sent[2].1, "CSeq")], ["2 INVITE", "3 INFO"]);
    assert_eq!(bench.proxy.unanswered_count(), 0);
    bench.proxy.end(bench.now, &mut bench.out);
    assert!(bench.drain().is_empty(), "each gets one answer");
    bench.assert_empty();
}

#[test]
fn the_end_tells_a_caller_whose_target_is_silent_and_one_that_gave_up() {
    for is_cancelled in [false, true] {
        let mut bench = Bench::new();
        let peer = Peer::new();
        bench.feed(&peer.invite());
        bench.forward(&[(1, 0)]);
        if is_cancelled {
            assert_eq!(hosts(&bench.feed(&peer.cancel())), [(9, "200")]);
        }
        assert!(bench.stop().is_empty());
        bench.proxy.end(bench.now, &mut bench.out);
        assert_eq!(hosts(&bench.drain()), [(9, if is_cancelled { "487" } else { "503" })]);
        bench.assert_empty();
    }
}
