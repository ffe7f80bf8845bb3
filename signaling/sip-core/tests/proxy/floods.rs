//! Floods of requests that are no INVITE: how much of the proxy one source that has shown nothing may take, and what it
//! makes the proxy send to a target that says nothing.

use super::*;
use sip_core::proxy::ProxyConfig;

/// A request in a transaction and a call of its own.
fn request(method: &str, number: u32, more: &str) -> String {
    let call_id = format!("flood-{number}").leak();
    Peer { call_id, branch: format!("flood{number}"), ..Peer::new() }.request(method, method, more, "")
}

fn other() -> Flow {
    Flow { remote: address("192.0.2.10:5062"), ..caller() }
}

fn by_tcp() -> Flow {
    Flow { transport: Transport::Tcp, connection: 7, ..other() }
}

/// Bytes on the wire: scripts and what is sent differ in their line ends.
fn size(text: &str) -> usize {
    text.replace("\r\n", "\n").replace('\n', "\r\n").len()
}

fn size_of_all(sent: &[(u64, u8, String)]) -> usize {
    sent.iter().filter(|(_, host, _)| *host == 1).map(|(_, _, text)| size(text)).sum()
}

/// 10,000 SUBSCRIBEs of one source within 2 s to a target that says nothing: 100 are sent on, and others are served.
#[test]
fn a_flood_to_a_silent_target_takes_so_many_places() {
    let mut bench = Bench::new();
    let (mut paid, mut sent_on, mut refused_count) = (0, Vec::new(), 0);
    for number in 0..10_000 {
        let subscribe = request("SUBSCRIBE", number, "Event: presence\n");
        let refusals = bench.feed(&subscribe);
        if refusals.is_empty() {
            paid += size(&subscribe);
            sent_on.extend(bench.forward(&[(1, 0)]).into_iter().map(|(host, text)| (0, host, text)));
        }
        refused_count += refusals.len();
        for (host, refusal) in &refusals {
            assert_eq!((*host, word(refusal), header(refusal, "Retry-After")), (9, "503", "5"));
            assert!(size(refusal) <= 3 * size(&subscribe));
        }
        if number % 5 == 0 {
            sent_on.extend(bench.pass(ms(1)));
        }
    }
    let sizes = bench.proxy.sizes();
    assert_eq!((refused_count, sizes.requests, sizes.branches), (9_900, 100, 100));
    assert_eq!((bench.proxy.counters().source_limited, bench.proxy.counters().overloaded), (9_900, 0));
    assert!((50_000..150_000).contains(&sizes.stored_bytes), "{}", sizes.stored_bytes);
    // Another client, and calls of the same source.
    for (flow, host, method, number) in
        [(other(), 10, "MESSAGE", 20_000), (other(), 10, "INVITE", 20_001), (caller(), 9, "INVITE", 20_002)]
    {
        assert!(bench.feed_on(flow, &request(method, number, "")).is_empty(), "{method} is served");
        let branch = bench.forward(&[(2, 0)]).remove(0).1;
        assert_eq!(hosts(&bench.answer(&branch, 200, "b")), [(host, "200")]);
    }
    sent_on.extend(bench.pass(Duration::from_secs(40)));
    assert!(size_of_all(&sent_on) <= 3 * paid, "{} for {paid}", size_of_all(&sent_on));
    bench.pass(Duration::from_secs(40));
    assert_eq!(bench.proxy.sizes(), ProxySizes::default());
    assert!(bench.feed(&request("SUBSCRIBE", 30_000, "")).is_empty(), "its places are free again");
    bench.assert_empty();
}

/// Every method counts, an IPv6 network of 64 bits is one source, and what has shown where it is has no such limit.
#[test]
fn the_limit_is_one_of_a_source_that_has_shown_nothing() {
    let bench = || Bench::with(ProxyConfig { max_unproven_others: 5, ..ProxyConfig::default() });
    let count = |bench: &mut Bench, flow: Flow, method: &str| {
        (0..50).filter(|number| bench.feed_on(flow, &request(method, *number, "")).is_empty()).count()
    };
    for method in ["SUBSCRIBE", "MESSAGE", "PUBLISH", "OPTIONS", "NOTIFY", "INFO", "BYE", "REGISTER"] {
        let mut bench = bench();
        assert_eq!(count(&mut bench, caller(), method), 5, "{method}");
        assert_eq!(count(&mut bench, by_tcp(), method), 50, "{method}: a connection shows it");
    }
    let six = |text: &str| Flow::udp(address("[2001:db8:9::1]:5060"), address(text));
    let mut v6 = bench();
    for number in 0..50 {
        v6.feed_on(six(&format!("[2001:db8::{number:x}]:5062")), &request("MESSAGE", number, ""));
    }
    assert_eq!(v6.proxy.sizes().requests, 5);
    assert!(v6.feed_on(six("[2001:db8:0:1::1]:5062"), &request("MESSAGE", 60, "")).is_empty());
    // A known source, and one that has been proven by its credentials.
    let mut known = bench();
    known.proxy.trust(known.now, &caller());
    assert_eq!(count(&mut known, caller(), "MESSAGE"), 50);
    let mut proven = bench();
    proven.feed(&request("MESSAGE", 100, ""));
    proven.proxy.prove(proven.now, proven.request());
    assert_eq!(count(&mut proven, caller(), "MESSAGE"), 50);
    known.assert_empty();
    proven.assert_empty();
}

/// Half of the table stays for those who have shown who they are.
#[test]
fn all_strangers_together_have_half_of_the_table() {
    let mut bench = Bench::with(ProxyConfig { max_requests: 100, ..ProxyConfig::default() });
    for number in 0..1_000 {
        let flow = Flow { remote: format!("10.0.{}.{}:5060", number / 250, number % 250).parse().unwrap(), ..caller() };
        bench.feed_on(flow, &request("SUBSCRIBE", number, ""));
    }
    assert_eq!(bench.proxy.sizes().requests, 50);
    // A quarter for each; the last eighth is for others than these.
    for number in 0..38 {
        let flow = Flow { remote: address(&format!("192.0.2.{}:5062", 20 + number / 25)), ..by_tcp() };
        assert!(bench.feed_on(flow, &request("MESSAGE", 2_000 + number, "")).is_empty());
    }
    assert_eq!(bench.proxy.sizes().requests, 88);
    bench.assert_empty();
}

/// ACKs keep nothing, whatever they say.
#[test]
fn acks_without_a_transaction_take_no_place() {
    let mut bench = Bench::new();
    for number in 0..1_000 {
        assert!(bench.feed(&request("ACK", number, "")).is_empty());
    }
    assert_eq!(bench.proxy.sizes(), ProxySizes::default());
}

/// What a target has answered, and what the proxy's user has answered itself (a challenge, a redirection), holds no place.
#[test]
fn an_answer_frees_the_place_of_a_stranger() {
    let mut bench = Bench::with(ProxyConfig { max_unproven_others: 5, ..ProxyConfig::default() });
    for number in 0..300 {
        assert!(bench.feed(&request("MESSAGE", number, "")).is_empty(), "{number}");
        let handed_up = bench.request();
        match number % 3 {
            0 => {
                let sent = bench.forward(&[(1, 0)]).remove(0).1;
                assert_eq!(hosts(&bench.answer(&sent, 200, "b")), [(9, "200")]);
            }
            1 => {
                bench.proxy.redirect(bench.now, handed_up, (302, &["<sip:b@h>"]), &mut bench.out).unwrap();
                assert_eq!(hosts(&bench.drain()), [(9, "302")]);
            }
            _ => {
                bench.proxy.reject(bench.now, handed_up, &Answer::of(407), &mut bench.out).unwrap();
                assert_eq!(hosts(&bench.drain()), [(9, "407")]);
            }
        }
        bench.pass(ms(1));
    }
    bench.assert_empty();
}

/// With a full table the requests give way that have been answered for the longest time; the others are answered from
/// memory as before.
#[test]
fn answered_requests_give_way_when_the_table_is_full() {
    let mut bench = Bench::with(ProxyConfig { max_requests: 100, ..ProxyConfig::default() });
    assert!(bench.feed_on(other(), &request("SUBSCRIBE", 9_999, "")).is_empty());
    let waiting = bench.forward(&[(2, 0)]).remove(0).1;
    for number in 0..5_000 {
        assert!(bench.feed(&request("MESSAGE", number, "")).is_empty(), "{number}");
        let sent = bench.forward(&[(1, 0)]).remove(0).1;
        assert_eq!(hosts(&bench.answer(&sent, 200, "b")), [(9, "200")]);
        let sizes = bench.proxy.sizes();
        assert!(sizes.requests <= 100 && sizes.request_keys <= 100 && sizes.branches <= 100, "{sizes:?}");
    }
    assert_eq!(hosts(&bench.feed(&request("MESSAGE", 4_901, ""))), [(9, "200")], "a copy");
    assert_eq!(hosts(&bench.answer(&waiting, 200, "b")), [(10, "200")], "what is open stays");
    bench.assert_empty();
}

/// The bytes of the messages have a limit too, half of it for sources that have shown nothing.
#[test]
fn large_messages_have_a_room_of_their_own() {
    let config = || ProxyConfig { max_stored_bytes: 1_000_000, ..ProxyConfig::default() };
    let mut bench = Bench::with(config());
    let large = format!("X-Pad: {}\n", "y".repeat(50_000));
    // One source first, then others: a quarter of the room for each.
    for (hosts, served_count) in [(9..10, 2), (100..200, 2)] {
        let mut served = 0;
        for (number, host) in (0..100).zip(hosts.cycle()) {
            let flow = Flow { remote: address(&format!("192.0.2.{host}:5062")), ..caller() };
            if bench.feed_on(flow, &request("MESSAGE", 1_000 * host + number, &large)).is_empty() {
                served += 1;
                bench.forward(&[(1, 0)]);
            }
        }
        assert_eq!(served, served_count, "twice 50 KB each, in half of 1 MB");
    }
    assert!(bench.proxy.sizes().stored_bytes <= 500_000);
    assert!(bench.feed_on(other(), &request("MESSAGE", 200, "")).is_empty(), "a usual one");
    bench.forward(&[(2, 0)]);
    // Those who have shown who they are get the rest, and nobody more than there is.
    let mut refused_count = 0;
    for number in 300..400 {
        let flow = Flow { remote: address(&format!("192.0.2.{}:5062", number - 200)), ..by_tcp() };
        match bench.feed_on(flow, &request("MESSAGE", number, &large)).is_empty() {
            true => drop(bench.forward(&[(1, 0)])),
            false => refused_count += 1,
        }
        assert!(bench.proxy.sizes().stored_bytes <= 1_000_000);
    }
    assert!(refused_count >= 94 && bench.proxy.counters().overloaded == refused_count, "{refused_count}");
    bench.pass(Duration::from_secs(80));
    assert_eq!(bench.proxy.sizes(), ProxySizes::default());
    // Many targets of one request count as well.
    let mut bench = Bench::with(config());
    bench.feed(&request("MESSAGE", 1, &large));
    let targets: Vec<(u8, u16)> = (1..=30).map(|host| (host, 0)).collect();
    let sent = bench.forward(&targets);
    assert!(sent.len() < 10 && bench.proxy.sizes().stored_bytes <= 500_000, "{}", sent.len());
    // What was answered gives way.
    let mut bench = Bench::with(config());
    for number in 0..100 {
        assert!(bench.feed(&request("MESSAGE", number, &large)).is_empty());
        let sent = bench.forward(&[(1, 0)]).remove(0).1;
        bench.answer_with(&sent, 200, "b", &large);
        assert!(bench.proxy.sizes().stored_bytes <= 1_000_000);
    }
    bench.assert_empty();
}

/// A target that says nothing gets at most three times what a stranger sent; copies of the stranger's pay for more.
#[test]
fn a_silent_target_gets_what_a_stranger_has_paid_for() {
    let message = request("MESSAGE", 1, "");
    let copies_at = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    for (repeats, targets) in [(false, 1), (true, 1), (false, 3), (true, 3)] {
        let mut bench = Bench::new();
        bench.feed(&message);
        let targets: Vec<(u8, u16)> = (0..targets).map(|_| (1, 0)).collect();
        let mut sent: Vec<(u64, u8, String)> =
            bench.forward(&targets).into_iter().map(|(host, text)| (0, host, text)).collect();
        let first_bytes = size_of_all(&sent);
        let mut paid = size(&message);
        let start = bench.now;
        for at in copies_at {
            sent.extend(bench.pass(start + ms(at) - bench.now));
            if repeats {
                paid += size(&message);
                assert!(bench.feed(&message).is_empty());
            }
        }
        sent.extend(bench.pass(Duration::from_secs(10)));
        assert!(size_of_all(&sent) <= (3 * paid).max(first_bytes), "{} for {paid}", size_of_all(&sent));
        assert!(!repeats || targets.len() > 1 || sent.len() >= 9, "a lossy path is got over: {}", sent.len());
        bench.assert_empty();
    }
}

/// A target that has said that it works on a request, and requests of those who have shown who they are, are asked again
/// as the RFC says.
#[test]
fn timer_e_goes_on_where_somebody_has_shown_something() {
    let message = request("MESSAGE", 1, "");
    for (flow, provisional, copies_count) in [(caller(), true, 8), (by_tcp(), false, 10)] {
        let mut bench = Bench::new();
        bench.feed_on(flow, &message);
        let sent = bench.forward(&[(1, 0)]).remove(0).1;
        if provisional {
            bench.answer(&sent, 100, "");
        }
        let copies = bench.pass(Duration::from_secs(40));
        assert_eq!(copies.iter().filter(|(_, host, _)| *host == 1).count(), copies_count);
        bench.assert_empty();
    }
}

fn from_host(host: u32) -> Flow {
    Flow { remote: address(&format!("192.0.2.{host}:5062")), ..by_tcp() }
}

/// Requests of one source until it is refused, with what refused it; all of them are sent on and not answered.
fn fill(bench: &mut Bench, flow: Flow, method: &str, targets: &[(u8, u16)]) -> (u32, Sent) {
    let first_number =
        100_000 * u32::from(flow.remote.ip().to_string().rsplit('.').next().unwrap().parse::<u8>().unwrap());
    for number in 0..10_000 {
        let answers = bench.feed_on(flow, &request(method, first_number + number, ""));
        if !answers.is_empty() {
            return (number, answers);
        }
        bench.forward(targets);
    }
    panic!("nothing was refused");
}

fn told_full(bench: &Bench) -> Vec<std::net::IpAddr> {
    let source = |event: &ProxyEvent| match event {
        ProxyEvent::SourceFull { source } => Some(*source),
        _ => None,
    };
    bench.events.iter().filter_map(source).collect()
}

/// A source that has shown where it is, and may be as hostile as any, has a quarter of the table; others go on.
#[test]
fn a_proven_source_has_a_quarter_of_the_table() {
    for method in ["MESSAGE", "INVITE"] {
        let mut bench = Bench::with(ProxyConfig { max_requests: 1_000, ..ProxyConfig::default() });
        let (count, refusal) = fill(&mut bench, from_host(10), method, &[(1, 0)]);
        assert_eq!((count, hosts(&refusal), header(&refusal[0].1, "Retry-After")), (250, vec![(10, "503")], "5"));
        for number in 0..100 {
            assert_eq!(hosts(&bench.feed_on(from_host(10), &request(method, 50_000 + number, ""))), [(10, "503")]);
        }
        assert_eq!((bench.proxy.counters().source_limited, bench.proxy.counters().overloaded), (101, 0));
        assert_eq!(told_full(&bench), [from_host(10).remote.ip()], "said once");
        assert!(bench.feed_on(from_host(11), &request("INVITE", 60_000, "")).is_empty(), "another one is served");
        let sent = bench.forward(&[(2, 0)]).remove(0).1;
        assert_eq!(hosts(&bench.answer(&sent, 200, "b")), [(11, "200")]);
        bench.assert_empty();
        assert!(bench.feed_on(from_host(10), &request(method, 1, "")).is_empty(), "its places are free again");
        bench.assert_empty();
    }
}

/// What a trusted source has in progress has no limit but that of the table.
#[test]
fn a_trusted_source_has_the_whole_table() {
    let trusted = TrustedSources::new(|source| source == from_host(10).remote.ip());
    let mut bench = Bench::with(ProxyConfig { max_requests: 1_000, trusted, ..ProxyConfig::default() });
    let (count, refusal) = fill(&mut bench, from_host(10), "MESSAGE", &[(1, 0)]);
    assert_eq!((count, hosts(&refusal)), (1_000, vec![(10, "503")]));
    assert_eq!((bench.proxy.counters().source_limited, bench.proxy.counters().overloaded), (0, 1));
    assert!(told_full(&bench).is_empty());
    bench.assert_empty();
}

/// Four sources fill what strangers to the operator may have. Dialogs go on, and who has proven itself is served.
#[test]
fn the_reserve_is_for_dialogs_and_for_who_has_proven_itself() {
    let mut bench = Bench::with(ProxyConfig { max_requests: 800, ..ProxyConfig::default() });
    // A call that is up, its caller's source being one of those that flood.
    bench.feed_on(from_host(10), &Peer::new().invite());
    let invite = bench.forward(&[(1, 0)]).remove(0).1;
    let (peer, route) = answered(&mut bench, &invite);
    // One that has shown its credentials before.
    bench.feed_on(from_host(50), &request("MESSAGE", 1, ""));
    bench.proxy.prove(bench.now, bench.request());
    let sent = bench.forward(&[(2, 0)]).remove(0).1;
    assert_eq!(hosts(&bench.answer(&sent, 200, "b")), [(50, "200")]);
    for (host, count) in [(10, 199), (11, 200), (12, 200), (13, 100)] {
        let filled = fill(&mut bench, from_host(host), "SUBSCRIBE", &[(1, 0)]);
        assert_eq!((filled.0, hosts(&filled.1)), (count, vec![(host as u8, "503")]));
    }
    assert_eq!(hosts(&bench.feed_on(from_host(14), &request("INVITE", 2, ""))), [(14, "503")], "nobody new");
    assert!(bench.proxy.counters().overloaded > 0);
    // The call is changed and ended, from the source that has its quarter.
    for (cseq, method) in [(2, "INVITE"), (3, "BYE")] {
        let peer = Peer { branch: method.into(), cseq, ..peer.clone() };
        assert!(bench.feed_on(from_host(10), &in_dialog(&peer, method, &route)).is_empty(), "{method}");
        let sent = bench.forward_unchanged();
        assert_eq!(hosts(&sent), [(1, method)]);
        assert_eq!(hosts(&bench.answer(&sent[0].1, 200, "b")), [(10, "200")], "{method}");
    }
    // Who has proven itself begins something.
    assert!(bench.feed_on(from_host(50), &request("INVITE", 3, "")).is_empty());
    let sent = bench.forward(&[(2, 0)]).remove(0).1;
    assert_eq!(hosts(&bench.answer(&sent, 200, "b")), [(50, "200")]);
    // Its reserve has an end as well.
    let (count, refusal) = fill(&mut bench, from_host(50), "MESSAGE", &[(2, 0)]);
    assert!((90..100).contains(&count), "{count}");
    assert_eq!(hosts(&refusal), [(50, "503")]);
    bench.assert_empty();
}

/// A dialog is no way around the limits: its source has a quarter of the table, and a quarter of the reserve beside it.
#[test]
fn requests_in_a_dialog_count_for_their_source() {
    let mut bench = Bench::with(ProxyConfig { max_requests: 800, ..ProxyConfig::default() });
    bench.feed_on(from_host(10), &Peer::new().invite());
    let invite = bench.forward(&[(1, 0)]).remove(0).1;
    let (peer, route) = answered(&mut bench, &invite);
    let mut taken = 0;
    for number in 0..1_000 {
        let peer = Peer { branch: format!("i{number}"), cseq: 2 + number, ..peer.clone() };
        taken += usize::from(bench.feed_on(from_host(10), &in_dialog(&peer, "INFO", &route)).is_empty());
    }
    assert_eq!(taken, 200 + 25 - 1, "beside the INVITE");
    bench.assert_empty();
}

/// The branches have a table of their own: one source has a quarter of it, and all strangers half.
#[test]
fn branches_are_limited_as_requests_are() {
    let config = || ProxyConfig { max_branches: 800, max_unproven_invites: 1_000, ..ProxyConfig::default() };
    let eight: Vec<(u8, u16)> = (1..=8).map(|host| (host, 0)).collect();
    // An INVITE takes a place for each target, and one for each CANCEL.
    let mut bench = Bench::with(config());
    let (count, _) = fill(&mut bench, from_host(10), "INVITE", &eight);
    assert_eq!((count, bench.proxy.sizes().branches), (13, 100), "a quarter, half of it for CANCELs");
    let mut bench = Bench::with(config());
    for host in 10..30 {
        let flow = Flow { transport: Transport::Udp, connection: 0, ..from_host(host) };
        if bench.feed_on(flow, &request("INVITE", host, "")).is_empty() {
            bench.forward(&[&eight[..], &eight[..], &eight[..]].concat());
        }
    }
    assert_eq!(bench.proxy.sizes().branches, 200, "strangers have half");
    assert!(bench.feed_on(from_host(99), &request("INVITE", 99, "")).is_empty(), "others are served");
    assert_eq!(bench.forward(&eight).len(), 8);
    bench.assert_empty();
}

/// Without room for any branch the caller is told when to try again, and a request whose targets partly fit goes to those.
#[test]
fn a_request_without_room_for_its_branches_is_answered_503() {
    let mut bench = Bench::with(ProxyConfig { max_branches: 80, ..ProxyConfig::default() });
    let (first, second) = (request("INVITE", 1, ""), request("INVITE", 2, ""));
    assert!(bench.feed_on(from_host(10), &first).is_empty());
    let waiting = bench.request();
    assert!(bench.feed_on(from_host(10), &second).is_empty());
    let twelve: Vec<(u8, u16)> = (1..=12).map(|host| (host, 0)).collect();
    assert_eq!(bench.forward(&twelve).len(), 10, "as many as there is room for");
    let only = Target { uri: Some("sip:b@198.51.100.1"), ..Target::unchanged(target(1)) };
    bench.proxy.forward(bench.now, waiting, &[only], &mut bench.out).unwrap();
    let refused = bench.drain();
    assert_eq!((hosts(&refused), header(&refused[0].1, "Retry-After")), (vec![(10, "503")], "5"));
    assert_eq!(told_full(&bench).len(), 1);
    bench.assert_empty();
}

/// Calls that are up do not count for their source: their INVITEs give way when the table is full.
#[test]
fn acknowledged_invites_give_way() {
    let mut bench = Bench::with(ProxyConfig { max_requests: 100, ..ProxyConfig::default() });
    for number in 0..1_000 {
        let invite = request("INVITE", number, "");
        assert!(bench.feed_on(from_host(10), &invite).is_empty(), "{number}");
        let sent = bench.forward(&[(1, 0)]).remove(0).1;
        let status = if number % 2 == 0 { 200 } else { 486 };
        let recorded = format!("Record-Route: {}\nContact: <sip:bob@198.51.100.1>\n", header(&sent, "Record-Route"));
        let answers = bench.answer_with(&sent, status, "b", if status == 200 { &recorded } else { "" });
        let answer = &answers.iter().find(|(host, _)| *host == 10).unwrap().1;
        let (method, branch) = ("INVITE sip:us@192.0.2.1", format!("z9hG4bKflood{number};"));
        let ack = match status {
            200 => invite
                .replace(method, "ACK sip:bob@198.51.100.1")
                .replace(&branch, &format!("z9hG4bKack{number};"))
                .replacen("Max-Forwards", &format!("Route: {}\nMax-Forwards", header(answer, "Record-Route")), 1),
            _ => invite.replace(method, "ACK sip:us@192.0.2.1"),
        };
        let ack = ack
            .replace("CSeq: 1 INVITE", "CSeq: 1 ACK")
            .replace("To: <sip:us@example.com>", "To: <sip:us@example.com>;tag=b");
        bench.feed_on(from_host(10), &ack);
        assert!(bench.proxy.sizes().requests <= 100);
    }
    assert_eq!(bench.proxy.counters().source_limited + bench.proxy.counters().overloaded, 0);
    bench.assert_empty();
}

/// The same where the other targets of a call stop ringing after its ACK has come.
#[test]
fn acknowledged_invites_give_way_once_their_last_target_is_through() {
    for record_route in [true, false] {
        let mut bench = Bench::with(ProxyConfig { max_requests: 100, record_route, ..ProxyConfig::default() });
        for number in 0..200 {
            let peer = Peer { call_id: format!("fork{number}").leak(), branch: format!("f{number}"), ..Peer::new() };
            assert!(bench.feed_on(from_host(10), &peer.invite()).is_empty(), "{number}");
            let sent = bench.forward(&[(1, 0), (2, 0)]);
            bench.answer(&sent[1].1, 180, "c");
            if record_route {
                let (_, route) = answered(&mut bench, &sent[0].1);
                let caller = Peer { to_tag: "b".into(), branch: format!("ack{number}"), ..peer };
                bench.feed_on(from_host(10), &in_dialog(&caller, "ACK", &route));
            } else {
                assert_eq!(hosts(&bench.answer(&sent[0].1, 200, "b")), [(10, "200"), (2, "CANCEL")]);
            }
            assert_eq!(hosts(&bench.answer(&sent[1].1, 487, "c")), [(2, "ACK")]);
        }
        assert_eq!(bench.proxy.counters().source_limited + bench.proxy.counters().overloaded, 0);
        bench.assert_empty();
    }
}

/// The same where the ACK of a 2xx does not pass the proxy.
#[test]
fn answered_invites_give_way_where_the_proxy_does_not_stay_in_the_path() {
    let mut bench = Bench::with(ProxyConfig { max_requests: 100, record_route: false, ..ProxyConfig::default() });
    for number in 0..1_000 {
        assert!(bench.feed_on(from_host(10), &request("INVITE", number, "")).is_empty(), "{number}");
        let sent = bench.forward(&[(1, 0)]).remove(0).1;
        assert_eq!(hosts(&bench.answer(&sent, 200, "b")), [(10, "200")]);
        assert_eq!(hosts(&bench.answer(&sent, 200, "b")), [(10, "200")], "a copy of the answer passes");
    }
    assert!(bench.proxy.sizes().requests <= 100);
    bench.assert_empty();
}

/// Copies of a 2xx find their way to the caller for as long as its target may repeat it (RFC 6026 §7.1, §7.2), whatever else
/// fills the table, and no copy of the INVITE becomes another call.
#[test]
fn an_answered_invite_gives_way_after_all_others() {
    for record_route in [false, true] {
        let mut bench = Bench::with(ProxyConfig { max_requests: 100, record_route, ..ProxyConfig::default() });
        let invite = Peer::new().invite();
        bench.feed_on(other(), &invite);
        let sent = bench.forward(&[(1, 0)]).remove(0).1;
        if record_route {
            let (peer, route) = answered(&mut bench, &sent);
            bench.feed_on(other(), &in_dialog(&peer, "ACK", &route));
        } else {
            assert_eq!(hosts(&bench.answer(&sent, 200, "b")), [(10, "200")]);
        }
        let flooder = Flow { transport: Transport::Udp, connection: 0, ..from_host(20) };
        bench.proxy.trust(bench.now, &flooder);
        for number in 0..1_000 {
            // Other requests, calls that are refused and acknowledged, and CANCELs, which come too late.
            let message = request("MESSAGE", number, "");
            assert!(bench.feed_on(flooder, &message).is_empty(), "{number}");
            let other = bench.forward(&[(2, 0)]).remove(0).1;
            assert_eq!(hosts(&bench.answer(&other, 200, "c")), [(20, "200")]);
            let call = Peer { call_id: format!("call{number}").leak(), branch: format!("c{number}"), ..Peer::new() };
            assert!(bench.feed_on(flooder, &call.invite()).is_empty(), "{number}");
            let request = bench.request();
            bench.proxy.reject(bench.now, request, &Answer::of(486), &mut bench.out).unwrap();
            let refusal = bench.drain().remove(0).1;
            assert_eq!(hosts(&bench.feed_on(flooder, &call.cancel())), [(20, "200")]);
            let call = Peer { to_tag: tag(header(&refusal, "To")).to_owned(), ..call };
            bench.feed_on(flooder, &call.ack_refusal());
            assert!(bench.proxy.sizes().requests <= 100);
        }
        bench.events.clear();
        assert!(bench.feed_on(other(), &invite).is_empty() && bench.events.is_empty(), "no call of its own");
        let copy = bench.answer(&sent, 200, "b");
        assert_eq!(hosts(&copy), [(10, "200")], "record_route = {record_route}");
        bench.assert_empty();
    }
}

/// Targets that wait for their turn are kept with URIs that the target of a redirection may have chosen.
#[test]
fn targets_that_wait_count_for_the_bytes_of_their_request() {
    let mut bench = Bench::with(ProxyConfig { max_redirects: 1, ..ProxyConfig::default() });
    bench.feed(&Peer::new().invite());
    let sent = bench.forward(&[(1, 0)]).remove(0).1;
    bench.answer_with(&sent, 302, "a", "Contact: <sip:c@198.51.100.2>\n");
    let redirect = bench.events.iter().find_map(|event| match event {
        ProxyEvent::Redirected { redirect, .. } => Some(*redirect),
        _ => None,
    });
    let uris: Vec<String> = (0..20).map(|number| format!("sip:{}@198.51.100.2", "x".repeat(4_000 + number))).collect();
    let one = |(group, uri): (usize, &'static str)| Target {
        uri: Some(uri),
        group: group as u16,
        ..Target::unchanged(target(2))
    };
    let targets: Vec<Target<'_>> = uris.into_iter().map(|uri| &*uri.leak()).enumerate().map(one).collect();
    let before = bench.proxy.sizes().stored_bytes;
    let request = bench.request();
    bench.proxy.follow(bench.now, (request, redirect.unwrap()), &targets, &mut bench.out).unwrap();
    assert_eq!(hosts(&bench.drain()), [(2, "INVITE")]);
    // Each is kept twice: as one that was tried, and as the branch or as one that waits.
    let kept = bench.proxy.sizes().stored_bytes - before;
    assert!((155_000..200_000).contains(&kept), "{kept}");
    bench.assert_empty();
}

/// A hundred requests that were answered, in a table of as many; gives them.
fn full_of_answered(bench: &mut Bench) -> Vec<String> {
    let all: Vec<String> = (0..100).map(|number| request("MESSAGE", number, "")).collect();
    for message in &all {
        assert!(bench.feed(message).is_empty());
        let sent = bench.forward(&[(1, 0)]).remove(0).1;
        assert_eq!(hosts(&bench.answer(&sent, 200, "b")), [(9, "200")]);
    }
    bench.events.clear();
    all
}

/// What is refused without memory takes nothing away: copies of the requests that were answered are answered from memory.
#[test]
fn refused_requests_push_nothing_out() {
    let config = || ProxyConfig { max_requests: 100, max_stored_bytes: 1_000_000, ..ProxyConfig::default() };
    // Too large with `received`.
    let too_large = |number: u32| {
        let usual =
            request("MESSAGE", number, "").replace(";rport", "").replace("SIP/2.0/UDP 192.0.2.9", "SIP/2.0/UDP x");
        let pad = 65_530 - "X-Pad: \n".len() - size(&usual);
        usual.replacen("Max-Forwards", &format!("X-Pad: {}\nMax-Forwards", "y".repeat(pad)), 1)
    };
    let mut bench = Bench::with(config());
    let all = full_of_answered(&mut bench);
    for number in 0..200 {
        let refused = bench.feed_on(by_tcp(), &too_large(1_000 + number));
        assert_eq!(refused.iter().map(|(_, text)| word(text)).collect::<Vec<_>>(), ["513"]);
    }
    assert!(all.iter().all(|message| hosts(&bench.feed(message)) == [(9, "200")]));
    assert!(bench.events.is_empty(), "none of them is new");
    bench.assert_empty();
}
