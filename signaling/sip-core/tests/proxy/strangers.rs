//! What senders get, and may take, that have not shown that they get our answers: their address may be forged.

use super::*;
use sip_core::proxy::ProxyConfig;

fn total(sent: &[(u64, u8, String)]) -> usize {
    sent.iter().filter(|(_, host, _)| *host == 9).map(|(_, _, text)| text.len()).sum()
}

/// A target's refusal is repeated to a stranger up to three times of what came, and as the RFC says once its ACK has
/// named the tag.
#[test]
fn refusals_are_repeated_as_far_as_the_request_has_paid() {
    let mut bench = Bench::new();
    let mut peer = Peer::new();
    for (is_proven, copies_count) in [(false, 2..10), (true, 9..10)] {
        bench.feed(&peer.invite());
        let sent = bench.forward(&[(1, 0)]);
        let refusal = bench.answer(&sent[0].1, 486, "b").into_iter().find(|(host, _)| *host == 9).unwrap().1;
        let copies = bench.pass(Duration::from_secs(31));
        assert!(copies_count.contains(&copies.len()), "{is_proven} {}", copies.len());
        assert!(is_proven || refusal.len() + total(&copies) <= 3 * peer.invite().len());
        peer.learn(&refusal);
        bench.feed(&peer.ack_refusal());
        bench.pass(Duration::from_secs(10));
        peer = Peer { call_id: "another", branch: "another".into(), to_tag: String::new(), ..peer };
    }
    bench.assert_empty();
}

/// The branch of an ACK is its sender's own, and shows nothing without the tag.
#[test]
fn an_ack_that_does_not_know_the_refusal_shows_nothing() {
    let mut bench = Bench::with(ProxyConfig { max_unproven_invites: 1, ..ProxyConfig::default() });
    let mut peer = Peer::new();
    bench.feed(&peer.invite());
    let sent = bench.forward(&[(1, 0)]);
    let refusal = bench.answer(&sent[0].1, 486, "b").into_iter().find(|(host, _)| *host == 9).unwrap().1;
    peer.to_tag = "guessed".into();
    bench.feed(&peer.ack_refusal());
    let other = Peer { branch: "other".into(), call_id: "other", to_tag: String::new(), ..peer.clone() };
    assert_eq!(hosts(&bench.feed(&other.invite())), [(9, "503")]);
    assert!(tag(header(&refusal, "To")) == "b");
}

/// Copies of a 2xx are its maker's, and many; a proxied INVITE of a forged source would bring them all to a third party.
#[test]
fn copies_of_a_2xx_go_to_who_has_paid_or_acknowledged() {
    let mut bench = Bench::new();
    let mut peer = Peer::new();
    bench.feed(&peer.invite());
    let invite = bench.forward(&[(1, 0)]).remove(0).1;
    let ringing: usize = (0..9).map(|_| bench.answer(&invite, 180, "b").len()).sum();
    assert!((1..9).contains(&ringing), "{ringing}");
    let recorded = format!("Record-Route: {}\nContact: <sip:bob@198.51.100.1>\n", header(&invite, "Record-Route"));
    let mut answers: Vec<String> = Vec::new();
    for _ in 0..11 {
        answers.extend(bench.answer_with(&invite, 200, "b", &recorded).into_iter().map(|(_, text)| text));
    }
    assert!((1..4).contains(&answers.len()), "{}", answers.len());
    // A copy of the INVITE gets what waits.
    assert_eq!(hosts(&bench.feed(&peer.invite())), [(9, "200")]);
    peer.learn(&answers[0]);
    let route = format!("Route: {}\n", header(&answers[0], "Record-Route"));
    let target = header(&answers[0], "Contact").trim_matches(['<', '>']).to_owned();
    let ack = Peer { branch: "ack".into(), ..peer.clone() }.request("ACK", "ACK", &route, "");
    bench.feed(&ack.replacen("sip:us@192.0.2.1", &target, 1));
    let copies = (0..11).map(|_| bench.answer_with(&invite, 200, "b", &recorded).len()).sum::<usize>();
    assert_eq!(copies, 11, "it has shown that it gets them");
    bench.assert_empty();
}

/// One source has so many INVITEs in progress, until it has acknowledged something; others are served.
#[test]
fn a_stranger_has_so_many_invites_in_progress() {
    let mut bench = Bench::with(ProxyConfig { max_unproven_invites: 5, ..ProxyConfig::default() });
    let call = |number: u32| Peer {
        call_id: format!("flood-{number}").leak(),
        branch: format!("flood{number}"),
        ..Peer::new()
    };
    let mut refusals = Vec::new();
    for number in 0..1_000 {
        refusals.extend(bench.feed(&call(number).invite()));
    }
    assert_eq!((refusals.len(), bench.proxy.sizes().requests), (995, 5));
    assert!(refusals.iter().all(|(_, text)| word(text) == "503" && header(text, "Retry-After") == "5"));
    assert_eq!(bench.proxy.counters().source_limited, 995);
    let other = Flow { remote: address("192.0.2.10:5062"), ..caller() };
    assert!(bench.feed_on(other, &call(2_000).invite()).is_empty(), "served");
    // The ACK of another source for that refusal shows nothing, that of its own does.
    let refused = Peer { to_tag: tag(header(&refusals[0].1, "To")).to_owned(), ..call(5) };
    bench.feed_on(other, &refused.ack_refusal());
    assert_eq!(bench.feed(&call(3_000).invite()).len(), 1);
    bench.feed(&refused.ack_refusal());
    assert!(bench.feed(&call(3_001).invite()).is_empty(), "served");
    assert_eq!(bench.proxy.sizes().requests, 7);
}
