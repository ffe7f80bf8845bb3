//! Calls that the operator ends while they are being set up.

use super::*;

const PATIENCE: Duration = Duration::from_secs(1);

/// Ends the call that was handed up last; gives what is sent.
fn call_off(bench: &mut Bench) -> Result<Sent, Refused> {
    let ends = (480, bench.now + PATIENCE);
    bench.proxy.call_off(bench.now, bench.request(), ends, &mut bench.out)?;
    Ok(bench.drain())
}

/// A call that rings at one target and is not answered at all by the others.
fn ringing(targets: &[(u8, u16)]) -> (Bench, Vec<String>) {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    let sent: Vec<String> = bench.forward(targets).into_iter().map(|(_, text)| text).collect();
    bench.answer(&sent[0], 180, "a");
    (bench, sent)
}

#[test]
fn targets_are_cancelled_and_the_caller_is_refused() {
    let (mut bench, sent) = ringing(&[(1, 0), (2, 1)]);
    let cancelled = call_off(&mut bench).unwrap();
    assert_eq!(hosts(&cancelled), [(1, "CANCEL")]);
    assert_eq!(header(&cancelled[0].1, "Reason"), "SIP;cause=480;text=\"Ended by the operator\"");
    assert_eq!(call_off(&mut bench), Err(Refused::WrongState), "it is ending");
    bench.answer(&cancelled[0].1, 200, "a");
    // The target's 487 is not what the caller asked for, and no further target is tried.
    assert_eq!(hosts(&bench.answer(&sent[0], 487, "a")), [(1, "ACK"), (9, "480")]);
    assert_eq!(bench.finished(), [480]);
    assert_eq!(bench.proxy.story(bench.request()).unwrap().answered_by, AnsweredBy::Proxy);
    assert_eq!(call_off(&mut bench), Err(Refused::WrongState), "it is over");
    bench.assert_empty();
    assert_eq!(call_off(&mut bench), Err(Refused::Gone));
}

#[test]
fn a_target_that_says_nothing_is_not_waited_for() {
    let (mut bench, sent) = ringing(&[(1, 0), (2, 0)]);
    let cancelled = call_off(&mut bench).unwrap();
    assert_eq!(hosts(&cancelled), [(1, "CANCEL")], "RFC 3261 §9.1: the other one has not answered");
    assert_eq!(hosts(&bench.answer(&sent[0], 487, "a")), [(1, "ACK")]);
    let later = bench.pass(PATIENCE);
    let answers: Vec<_> = later.iter().filter(|(_, host, _)| *host == 9).collect();
    assert!(matches!(answers[..], [(1_000, 9, text)] if word(text) == "480"), "{answers:?}");
    // When it does answer, it is cancelled.
    assert_eq!(hosts(&bench.answer(&sent[1], 180, "b")), [(2, "CANCEL")]);
    assert_eq!(hosts(&bench.answer(&sent[1], 487, "b")), [(2, "ACK")]);
    bench.assert_empty();
}

#[test]
fn an_answer_that_crosses_reaches_the_caller_and_a_refusal_is_its_targets() {
    for (status, told) in [(200, "200"), (486, "486")] {
        let (mut bench, sent) = ringing(&[(1, 0)]);
        call_off(&mut bench).unwrap();
        let heard = bench.answer(&sent[0], status, "a");
        assert_eq!(heard.iter().find(|(host, _)| *host == 9).map(|(_, text)| word(text)), Some(told));
        bench.assert_empty();
    }
}

/// RFC 3261 §17.2.1: what is repeated until its ACK comes is the answer that the caller got. A 2xx that comes later goes to the
/// caller, who ends it (§16.7, step 5), whether the operator has ended the call or the proxy is being stopped.
#[test]
fn a_2xx_after_the_refusal_takes_no_place_of_it() {
    let hang_up = |bench: &mut Bench| drop(call_off(bench).unwrap());
    let stop = |bench: &mut Bench| bench.proxy.stop(bench.now, bench.now + PATIENCE, &mut bench.out);
    let hung_up = (&hang_up as &dyn Fn(&mut Bench), "480");
    for ((end, told), record_route) in [(hung_up, true), (hung_up, false), ((&stop, "503"), true)] {
        let mut bench = Bench::with(ProxyConfig { record_route, ..ProxyConfig::default() });
        bench.proxy.trust(bench.now, &caller());
        let peer = Peer::new();
        bench.feed(&peer.invite());
        let sent = bench.forward(&[(1, 0)]).remove(0).1;
        end(&mut bench);
        let refusal =
            bench.pass(PATIENCE).into_iter().map(|(_, _, text)| text).find(|text| word(text) == told).unwrap();
        for _ in 0..2 {
            assert_eq!(hosts(&bench.answer(&sent, 200, "a")), [(9, "200")]);
        }
        let copies = bench.pass(Duration::from_secs(4));
        assert_eq!(copies.iter().map(|(_, host, text)| (*host, word(text))).collect::<Vec<_>>(), [(9, told); 3]);
        assert!(copies.iter().all(|(_, _, text)| *text == refusal));
        assert_eq!(hosts(&bench.feed(&peer.invite())), [(9, told)], "a copy of the INVITE");
        assert_eq!((bench.proxy.answered_calls().count(), bench.finished()), (0, vec![told.parse().unwrap()]));
        let acknowledged = Peer { to_tag: tag(header(&refusal, "To")).to_owned(), ..peer };
        assert!(bench.feed(&acknowledged.ack_refusal()).is_empty());
        assert!(bench.pass(Duration::from_secs(4)).is_empty(), "it was acknowledged");
        bench.assert_empty();
    }
}

#[test]
fn a_call_that_nobody_has_decided_about_is_refused_at_once() {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().invite());
    assert_eq!(hosts(&call_off(&mut bench).unwrap()), [(9, "480")]);
    bench.assert_empty();
}

#[test]
fn only_a_call_that_is_being_set_up_can_be_called_off() {
    let mut bench = Bench::new();
    bench.feed(&Peer::new().request("MESSAGE", "MESSAGE", "", ""));
    bench.forward(&[(1, 0)]);
    assert_eq!(call_off(&mut bench), Err(Refused::WrongState), "no call");
    let (mut bench, sent) = ringing(&[(1, 0)]);
    assert_eq!((bench.proxy.open_calls().count(), bench.proxy.answered_calls().count()), (1, 0));
    bench.answer(&sent[0], 200, "a");
    assert_eq!((bench.proxy.open_calls().count(), bench.proxy.answered_calls().count()), (0, 1));
    assert_eq!(call_off(&mut bench), Err(Refused::WrongState), "it is up");
    let refused = bench.proxy.call_off(bench.now, bench.request(), (200, bench.now), &mut bench.out);
    assert_eq!(refused, Err(Refused::BadStatus));
    bench.assert_empty();
}

/// A caller that was refused over a connection gives way once its ACK has come, not when its last target is through.
#[test]
fn a_refusal_over_a_connection_stays_until_its_ack() {
    let by_tcp =
        |host: u8| Flow { remote: address(&format!("192.0.2.{host}:5062")), connection: host.into(), ..common::tcp() };
    let mut bench = Bench::with(ProxyConfig { max_requests: 4, ..ProxyConfig::default() });
    let peer = Peer::new();
    let invite = peer.invite().replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    bench.feed_on(by_tcp(10), &invite);
    let first = bench.request();
    let sent = bench.forward(&[(1, 0)]).remove(0).1;
    bench.answer(&sent, 180, "a");
    call_off(&mut bench).unwrap();
    let refusal = bench.pass(PATIENCE).into_iter().find(|(_, host, _)| *host == 10).expect("a refusal").2;
    assert_eq!(word(&refusal), "480");
    bench.answer(&sent, 487, "a");
    let others = |bench: &mut Bench, hosts: std::ops::Range<u8>| {
        for host in hosts {
            let call_id: &str = format!("other{host}").leak();
            let other = Peer { call_id, branch: format!("other{host}"), ..Peer::new() };
            bench.feed_on(by_tcp(host), &other.invite().replace("SIP/2.0/UDP", "SIP/2.0/TCP"));
        }
    };
    others(&mut bench, 20..25);
    assert!(bench.proxy.story(first).is_some(), "its ACK is missing");
    let ack = invite
        .replace("INVITE sip", "ACK sip")
        .replace("1 INVITE", "1 ACK")
        .replace(header(&invite, "To"), header(&refusal, "To"));
    bench.feed_on(by_tcp(10), &ack);
    others(&mut bench, 25..27);
    assert!(bench.proxy.story(first).is_none());
}
