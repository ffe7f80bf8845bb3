//! Floods of requests that are no INVITE: how much of a user agent one source may take, that calls which are up go on, and
//! that other sources are served.

mod common;
use clock::Duration;
use common::*;
use sip_core::*;

const FLOOD_COUNT: u32 = 100_000;

/// A request in a transaction and a call of its own, or, with `same_call`, as one that split on its way.
fn request(method: &str, number: u32, same_call: bool, more: &str) -> String {
    let from_tag = if same_call { "split".into() } else { format!("flood{number}") };
    let branch = format!("flood{number}");
    Peer { from_tag, branch, call_id: "flood", ..Peer::new() }.request(method, method, more, "")
}

const REFER: &str = "Refer-To: <sip:somewhere@example.net>\n";

fn other() -> Flow {
    Flow::udp(udp().local, address("192.0.2.77:5060"))
}

/// An endpoint whose phone at another address has a call that is up.
fn with_a_call(limits: Limits) -> (Bench, Peer) {
    let mut bench = Bench::with(EndpointConfig { limits, ..EndpointConfig::default() }, other());
    let mut peer = Peer { call_id: "call@other", branch: "other".into(), ..Peer::new() };
    bench.feed(&peer.invite());
    let answer = bench.accept(Content::sdp(b"v=0")).remove(0);
    peer.learn(&answer);
    bench.feed(&peer.ack());
    bench.flow = udp();
    (bench, peer)
}

/// The call that is up is changed and ended, and a source that has shown nothing is served: a request, and a new call.
fn others_are_served(bench: &mut Bench, peer: &mut Peer) {
    bench.flow = other();
    bench.feed(&peer.next("INVITE"));
    let answer = bench.accept(Content::sdp(b"v=0"));
    assert_eq!(words(&answer), ["200"]);
    bench.feed(&peer.ack());
    assert_eq!(words(&bench.feed(&peer.next("BYE"))), ["200"]);
    assert_eq!(bench.endings(), [Cause::RemoteBye]);
    bench.flow = Flow::udp(udp().local, address("198.51.100.4:5060"));
    let stranger = Peer { call_id: "stranger", branch: "stranger".into(), from_tag: "s".into(), ..Peer::new() };
    assert!(bench.feed(&stranger.request("MESSAGE", "MESSAGE", "", "")).is_empty());
    let asked = bench.request();
    bench.endpoint.respond(bench.now, asked, &Answer::of(202), &mut bench.out).unwrap();
    assert_eq!(words(&bench.drain()), ["202"]);
    let caller = Peer { branch: "caller".into(), call_id: "caller", ..stranger };
    bench.feed(&caller.invite());
    assert_eq!(words(&bench.reject(486)), ["486"]);
    bench.flow = udp();
}

/// Requests that nobody answers: one source has a hundred of them, and the others get their answer at once, without memory.
#[test]
fn requests_that_wait_for_their_answer_have_so_many_places() {
    for method in ["MESSAGE", "REFER"] {
        let (mut bench, mut peer) = with_a_call(Limits::default());
        let before = bench.endpoint.sizes();
        let mut refused_count = 0;
        for number in 0..FLOOD_COUNT {
            for refusal in bench.feed(&request(method, number, false, REFER)) {
                assert_eq!((word(&refusal), header(&refusal, "Retry-After")), ("503", "5"));
                refused_count += 1;
            }
        }
        let sizes = bench.endpoint.sizes();
        assert_eq!((refused_count, sizes.server_transactions - before.server_transactions), (FLOOD_COUNT - 100, 100));
        assert_eq!(bench.endpoint.counters().source_limited, u64::from(FLOOD_COUNT) - 100);
        assert!(sizes.stored_bytes < 200_000, "{}", sizes.stored_bytes);
        others_are_served(&mut bench, &mut peer);
        bench.pass(Duration::from_secs(40));
        assert!(bench.feed(&request(method, FLOOD_COUNT, false, REFER)).is_empty(), "its places are free again");
        bench.assert_empty();
    }
}

/// Requests that are answered: for copies of them they stay as long as there is room (timer J), and give way to what is
/// new. All of them together never fill the table.
#[test]
fn requests_that_are_answered_give_way() {
    let limits = Limits { max_transactions: 1_000, ..Limits::default() };
    for (method, status) in [("MESSAGE", 200), ("REFER", 403)] {
        let (mut bench, mut peer) = with_a_call(limits);
        for number in 0..FLOOD_COUNT {
            assert!(bench.feed(&request(method, number, false, REFER)).is_empty());
            let asked = bench.request();
            bench.endpoint.respond(bench.now, asked, &Answer::of(status), &mut bench.out).unwrap();
            bench.drain();
            bench.events.clear();
        }
        let copy = request(method, FLOOD_COUNT - 1, false, REFER);
        assert_eq!(words(&bench.feed(&copy)), [status.to_string()], "copies of the last ones are answered from memory");
        let sizes = bench.endpoint.sizes();
        assert_eq!(sizes.server_transactions, 1_000);
        assert!(sizes.stored_bytes < 500_000, "{}: what a refused REFER asked for is forgotten", sizes.stored_bytes);
        others_are_served(&mut bench, &mut peer);
        assert_eq!(bench.endpoint.counters().overloaded, 0);
        bench.assert_empty();
    }
}

/// Requests that the endpoint refuses by itself: without memory, or such that copies get the same answer.
#[test]
fn requests_that_are_refused_by_rule_do_not_fill_the_table() {
    let limits = Limits { max_transactions: 1_000, ..Limits::default() };
    for (method, same_call) in [
        ("OPTIONS", false),
        ("INFO", false),
        ("NOTIFY", false),
        ("SUBSCRIBE", false),
        ("REGISTER", false),
        ("PUBLISH", false),
        ("BYE", false),
        // The same request by many ways (RFC 3261 §8.2.2.2).
        ("MESSAGE", true),
        ("INVITE", true),
    ] {
        let (mut bench, mut peer) = with_a_call(limits);
        bench.endpoint.answer_options(Some(200));
        bench.feed(&request(method, 0, same_call, ""));
        let before = bench.endpoint.sizes().server_transactions;
        for number in 1..FLOOD_COUNT / 10 {
            assert_eq!(bench.feed(&request(method, number, same_call, "")).len(), 1, "{method}");
        }
        let after = bench.endpoint.sizes().server_transactions;
        assert!(if same_call { after <= 1_000 } else { after == before }, "{method} {before} {after}");
        bench.events.clear();
        others_are_served(&mut bench, &mut peer);
        bench.assert_empty();
    }
}

/// Long requests: what is kept of them has a limit in bytes as well, half of it for all that have shown nothing.
#[test]
fn what_is_kept_has_a_limit_in_bytes() {
    let limits = Limits { max_stored_bytes: 1 << 20, max_unproven_others: 1_000, ..Limits::default() };
    let long = "x".repeat(30_000);
    let long_request = |number: u32| {
        request("MESSAGE", number, false, "").replace("From: <sip:peer", &format!("From: \"{long}\" <sip:peer"))
    };
    for answers in [false, true] {
        let (mut bench, mut peer) = with_a_call(limits);
        let mut taken_count = 0;
        for number in 0..1_000 {
            let is_taken = bench.feed(&long_request(number)).is_empty();
            taken_count += u32::from(is_taken);
            if answers && is_taken {
                let asked = bench.request();
                bench.endpoint.respond(bench.now, asked, &Answer::of(200), &mut bench.out).unwrap();
                bench.drain();
            }
            let stored_bytes = bench.endpoint.sizes().stored_bytes;
            assert!(stored_bytes <= 1 << 20, "{number} {stored_bytes}");
            bench.events.clear();
            bench.messages.clear();
        }
        assert_eq!(taken_count, if answers { 1_000 } else { 8 });
        others_are_served(&mut bench, &mut peer);
        bench.assert_empty();
    }
}

/// A network of IPv6 is one source; connections, and what has shown that it gets our answers, have no such limit.
#[test]
fn the_limit_is_one_of_a_source_that_has_shown_nothing() {
    let limits = Limits { max_unproven_others: 5, ..Limits::default() };
    let bench = |flow| Bench::with(EndpointConfig { limits, ..EndpointConfig::default() }, flow);
    let count = |bench: &mut Bench| {
        (0..50).filter(|number| bench.feed(&request("MESSAGE", *number, false, "")).is_empty()).count()
    };
    assert_eq!((count(&mut bench(udp())), count(&mut bench(tcp()))), (5, 50));
    let mut proven = bench(udp());
    proven.endpoint.prove(proven.now, &udp());
    assert_eq!(count(&mut proven), 50);
    proven.assert_empty();
    let six = |text: &str| Flow::udp(address("[2001:db8:9::1]:5060"), address(text));
    let mut v6 = bench(six("[2001:db8::1]:5062"));
    for number in 0..50 {
        v6.flow = six(&format!("[2001:db8::{number:x}]:5062"));
        v6.feed(&request("MESSAGE", number, false, ""));
    }
    assert_eq!(v6.endpoint.sizes().server_transactions, 5);
    v6.flow = six("[2001:db8:0:1::1]:5062");
    assert!(v6.feed(&request("MESSAGE", 60, false, "")).is_empty(), "another network");
    v6.assert_empty();
}

/// CANCELs on branches of their own, as from behind a proxy that rewrites its Via, for an INVITE that rings.
#[test]
fn cancels_do_not_fill_the_table() {
    let (mut bench, mut peer) = with_a_call(Limits { max_transactions: 1_000, ..Limits::default() });
    let caller = Peer { call_id: "ringing", branch: "ringing".into(), ..Peer::new() };
    bench.feed(&caller.invite());
    bench.ring(180);
    for number in 0..FLOOD_COUNT / 10 {
        bench.feed(&Peer { branch: format!("c{number}"), ..caller.clone() }.cancel());
    }
    assert!(bench.endpoint.sizes().server_transactions <= 1_000);
    bench.events.retain(|event| !matches!(event, Event::Ended { .. }));
    others_are_served(&mut bench, &mut peer);
    bench.assert_empty();
}

/// A peer that has shown where it is, in a call of its own: what nobody answers has a quarter of the table at most, and the
/// other calls go on.
#[test]
fn one_call_does_not_fill_the_table_with_requests_in_its_dialog() {
    let (mut bench, mut peer) = with_a_call(Limits { max_transactions: 1_000, ..Limits::default() });
    let mut flooder = Peer { call_id: "flooder", branch: "flooder".into(), ..Peer::new() };
    bench.feed(&flooder.invite());
    let answer = bench.accept(Content::sdp(b"v=0")).remove(0);
    flooder.learn(&answer);
    bench.feed(&flooder.ack());
    let mut refused_count = 0;
    for _ in 0..FLOOD_COUNT / 10 {
        refused_count += bench.feed(&flooder.next("MESSAGE")).len();
    }
    let waiting_count = bench.endpoint.sizes().server_transactions;
    assert!((250..300).contains(&waiting_count) && refused_count > 9_700, "{waiting_count} {refused_count}");
    others_are_served(&mut bench, &mut peer);
    bench.pass(Duration::from_secs(40));
    assert_eq!(words(&bench.feed(&flooder.next("BYE"))), ["200"]);
    bench.assert_empty();
}

/// INVITEs that are refused and that nobody acknowledges, from a source that has shown where it is: in its own call, out of
/// order, and new ones that our user refuses. They give way to what is new, and the calls of others end as they should.
#[test]
fn invites_that_are_refused_give_way() {
    let (mut bench, mut peer) = with_a_call(Limits { max_transactions: 1_000, ..Limits::default() });
    let mut flooder = Peer { call_id: "flooder", branch: "flooder".into(), cseq: 9, ..Peer::new() };
    bench.feed(&flooder.invite());
    let answer = bench.accept(Content::sdp(b"v=0")).remove(0);
    flooder.learn(&answer);
    bench.feed(&flooder.ack());
    for number in 0..FLOOD_COUNT / 10 {
        let late = Peer { branch: format!("late{number}"), cseq: 3, ..flooder.clone() };
        assert_eq!(words(&bench.feed(&late.invite())), ["500"], "{number}");
    }
    assert!(bench.endpoint.sizes().server_transactions <= 1_000);
    for number in 0..FLOOD_COUNT / 10 {
        let from_tag = format!("n{number}");
        let new = Peer { call_id: "new", branch: from_tag.clone(), from_tag, ..Peer::new() };
        assert!(bench.feed(&new.invite()).iter().all(|answer| word(answer) == "100"), "{number}");
        assert_eq!(words(&bench.reject(404)), ["404"]);
        bench.events.clear();
    }
    assert!(bench.endpoint.sizes().server_transactions <= 1_000);
    others_are_served(&mut bench, &mut peer);
    assert_eq!(words(&bench.feed(&Peer { cseq: 20, ..flooder }.next("BYE"))), ["200"]);
    bench.assert_empty();
}

/// What is refused without memory takes nothing away: copies of the requests that were answered are answered from memory as
/// before.
#[test]
fn refused_calls_push_nothing_out() {
    let mut bench = Bench::with(
        EndpointConfig { limits: Limits { max_transactions: 100, ..Limits::default() }, ..EndpointConfig::default() },
        udp(),
    );
    for number in 0..100 {
        assert!(bench.feed(&request("MESSAGE", number, false, "")).is_empty());
        let asked = bench.request();
        bench.endpoint.respond(bench.now, asked, &Answer::of(200), &mut bench.out).unwrap();
        assert_eq!(words(&bench.drain()), ["200"]);
    }
    bench.events.clear();
    bench.endpoint.take_calls(NewCalls::Refused);
    let replaces = "Replaces: unknown;to-tag=1;from-tag=2\n";
    for number in 0..1_000 {
        let invite = request("INVITE", 1_000 + number, false, if number % 2 == 0 { "" } else { replaces });
        assert_eq!(words(&bench.feed(&invite)), [if number % 2 == 0 { "503" } else { "481" }]);
    }
    let counters = bench.endpoint.counters();
    assert_eq!((counters.source_limited, counters.overloaded), (500, 0));
    for number in 0..100 {
        assert_eq!(words(&bench.feed(&request("MESSAGE", number, false, ""))), ["200"], "{number}");
    }
    assert!(bench.events.is_empty(), "none of them is new");
    bench.assert_empty();
}

/// Answers without memory to requests that are as short as can be: none is more than three times as long, whichever rule or
/// service answers. A request of a usual length gets all that its answer has to say.
#[test]
fn short_requests_get_short_answers() {
    let mut bench = Bench::new(udp());
    bench.endpoint.answer_options(Some(200));
    for method in ["A", "OPTIONS", "BYE", "CANCEL", "INVITE", "INFO", "UPDATE", "NOTIFY", "REGISTER", "SUBSCRIBE"] {
        for more in ["", "Require:a\n", "Max-Forwards:x\n"] {
            let request = format!(
                "{method} sip:a SIP/2.0\nv:SIP/2.0/UDP a;rport\nf:sip:a\nt:sip:a\ni:a\nCSeq:1 {method}\n{more}\n"
            );
            let sent = bench.feed(&request);
            assert_eq!(sent.len(), 1, "{request}");
            let paid = request.replace('\n', "\r\n").len();
            assert!(sent[0].len() <= 3 * paid, "{} for {paid}: {}", sent[0].len(), sent[0]);
        }
    }
    assert_eq!(bench.endpoint.sizes(), Sizes::default());
    let sent = bench.feed(&Peer::new().request("OPTIONS", "OPTIONS", "", "")).remove(0);
    assert!(!header(&sent, "Allow").is_empty() && !header(&sent, "Accept").is_empty());
    let sent = bench.feed(&Peer::new().request("BREW", "BREW", "", "")).remove(0);
    assert!(!header(&sent, "Allow").is_empty());
    // A source that has shown that it gets what is sent to it is told everything.
    let short = "A sip:a SIP/2.0\nv:SIP/2.0/UDP a;rport\nf:sip:a\nt:sip:a\ni:a\nCSeq:1 A\n\n";
    assert!(!bench.feed(short).remove(0).contains("\r\nAllow:"));
    bench.endpoint.prove(bench.now, &udp());
    assert!(!header(&bench.feed(short).remove(0), "Allow").is_empty());
}
