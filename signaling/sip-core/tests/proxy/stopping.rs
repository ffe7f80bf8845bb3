//! The graceful end of a proxy.

use super::{Bench, Peer, header, hosts, ms, word};
use clock::Duration;
use sip_core::proxy::*;

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
    let peer = Peer::new();
    bench.feed(&peer.invite());
    let sent = bench.forward(&[(1, 0)]);
    let invite = &sent[0].1;
    let more = format!("Record-Route: {}\nContact: <sip:bob@198.51.100.1>\n", header(invite, "Record-Route"));
    let answer = bench.answer_with(invite, 200, "b", &more);
    let route = format!("Route: {}\n", header(&answer[0].1, "Record-Route"));
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
    let within = Peer { to_tag: "b".into(), branch: "bye".into(), cseq: 2, ..peer };
    bench.feed(&within.request("BYE", "BYE", &route, "").replacen("sip:us@192.0.2.1 ", "sip:bob@198.51.100.1 ", 1));
    assert!(matches!(bench.events.last(), Some(ProxyEvent::Request { standing: Standing::InDialog { .. }, .. })));
    let request = bench.request();
    bench.proxy.forward(bench.now, request, &[Target::unchanged(super::target(1))], &mut bench.out).unwrap();
    let bye = bench.drain();
    assert_eq!(hosts(&bye), [(1, "BYE")]);
    assert_eq!(bench.proxy.unanswered_count(), 1);
    assert_eq!(hosts(&bench.answer(&bye[0].1, 200, "b")), [(9, "200")]);
    assert_eq!(bench.proxy.unanswered_count(), 0);
    bench.assert_empty();
}
