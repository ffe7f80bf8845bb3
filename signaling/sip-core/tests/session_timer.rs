//! Session timers (RFC 4028): both refreshers, both roles.

mod common;
use clock::Duration;
use common::*;
use sip_core::*;

fn config(interval_s: u64) -> EndpointConfig {
    let session_timer = SessionTimer { interval: Duration::from_secs(interval_s), ..SessionTimer::default() };
    EndpointConfig { session_timer, ..EndpointConfig::default() }
}

fn answered(bench: &mut Bench, timer_lines: &str) -> (DialogId, String) {
    let (_, invite) = bench.call();
    let lines = format!("{timer_lines}{}", answer_lines(5070));
    bench.feed(&reply(&invite, 200, "b", &lines, "v=0"));
    (bench.dialog(), invite)
}

#[test]
fn we_refresh_by_update_at_half_the_interval() {
    let mut bench = Bench::with(config(1800), udp());
    let (dialog, invite) = answered(&mut bench, "Require: timer\nSession-Expires: 600;refresher=uac\n");
    assert_eq!(header(&invite, "Session-Expires"), "1800");
    assert_eq!(bench.endpoint.dialog_info(dialog).unwrap().session_interval_s, 600);
    let sent = bench.pass(Duration::from_secs(301));
    assert_eq!((sent[0].0, word(&sent[0].1)), (300_000, "UPDATE"));
    assert_eq!(header(&sent[0].1, "Session-Expires"), "600;refresher=uac");
    bench.feed(&reply(&sent[0].1, 200, "b", "Session-Expires: 600;refresher=uac\n", ""));
    // The answer restarted the clock; this refresh is never answered and its 408 ends the call.
    let sent = bench.pass(Duration::from_secs(300));
    assert_eq!((sent.len(), bench.endings()), (1, vec![]));
    bench.pass(Duration::from_secs(100));
    assert_eq!(bench.endings(), [Cause::Lost(408)]);
    assert!(bench.failures().is_empty(), "the refresh is the endpoint's own");
    bench.assert_empty();
}

#[test]
fn a_refused_refresh_ends_the_call_with_its_interval() {
    let mut bench = Bench::with(config(1800), udp());
    answered(&mut bench, "Session-Expires: 600;refresher=uac\n");
    let update = bench.pass(Duration::from_secs(301)).remove(0).1;
    bench.feed(&reply(&update, 500, "b", "", ""));
    let sent = bench.pass_lines(Duration::from_secs(300));
    assert_eq!(sent[0], (299_000, "BYE sip:bob@192.0.2.9:5070 SIP/2.0".to_owned()));
    bench.assert_empty();
    assert_eq!(bench.endings(), [Cause::SessionExpired]);
}

/// The peer was changing the session itself, and its change has failed.
#[test]
fn a_refresh_that_is_refused_for_now_is_repeated() {
    for (status, lines) in [(500, "Retry-After: 3\n"), (503, ""), (491, "")] {
        let mut bench = Bench::with(config(1800), udp());
        answered(&mut bench, "Session-Expires: 600;refresher=uac\n");
        bench.pass(Duration::from_secs(299));
        // After a 491 it is repeated at once, five times.
        let repeats = if status == 491 { 6 } else { 1 };
        for _ in 0..repeats {
            let update = bench.pass(Duration::from_secs(5)).remove(0).1;
            assert_eq!(word(&update), "UPDATE");
            bench.feed(&reply(&update, status, "b", lines, ""));
        }
        let (after, update) = bench.pass(Duration::from_secs(150)).remove(0);
        assert!(word(&update) == "UPDATE" && after > 100_000, "{status}: {after}");
        bench.feed(&reply(&update, 200, "b", "Session-Expires: 600;refresher=uac\n", ""));
        assert!(bench.pass(Duration::from_secs(299)).is_empty() && bench.endings().is_empty(), "{status}");
    }
}

#[test]
fn a_peer_without_update_is_refreshed_by_the_users_reinvite() {
    let mut bench = Bench::with(config(600), udp());
    let (_, invite) = bench.call();
    let lines = "Contact: <sip:bob@192.0.2.9:5070>\nContent-Type: application/sdp\n";
    bench.feed(&reply(&invite, 200, "b", lines, "v=0"));
    let dialog = bench.dialog();
    assert_eq!(bench.endpoint.dialog_info(dialog).unwrap().session_interval_s, 600, "we refresh alone");
    assert!(bench.pass(Duration::from_secs(300)).is_empty());
    assert_eq!(bench.events.last(), Some(&Event::RefreshDue { dialog }));
    bench.endpoint.reinvite(bench.now, dialog, Content::sdp(b"v=0"), &mut bench.out).unwrap();
    let again = bench.drain().remove(0);
    assert_eq!(header(&again, "Session-Expires"), "600;refresher=uac");
    bench.feed(&reply(&again, 200, "b", lines, "v=0"));
    assert!(bench.pass(Duration::from_secs(299)).is_empty());
    assert!(bench.endings().is_empty());
    bench.assert_empty();
    assert_eq!(bench.endings(), [Cause::SessionExpired], "nobody refreshed");
}

/// The user may be unable to send the re-INVITE at that moment, and a 491 may have it withdrawn.
#[test]
fn the_users_reinvite_is_asked_for_until_the_session_is_refreshed() {
    let mut bench = Bench::with(config(600), udp());
    let (_, invite) = bench.call();
    let lines = "Contact: <sip:bob@192.0.2.9:5070>\nContent-Type: application/sdp\n";
    bench.feed(&reply(&invite, 200, "b", lines, "v=0"));
    let dialog = bench.dialog();
    let count = |bench: &Bench| bench.events.iter().filter(|event| matches!(event, Event::RefreshDue { .. })).count();
    bench.pass(Duration::from_secs(300));
    assert_eq!(count(&bench), 1);
    bench.pass(Duration::from_secs(150));
    assert_eq!(count(&bench), 2, "half of the time that was left is over");
    let request = bench.endpoint.reinvite(bench.now, dialog, Content::sdp(b"v=0"), &mut bench.out).unwrap();
    let again = bench.drain().remove(0);
    bench.feed(&reply(&again, 491, "b", "", ""));
    bench.endpoint.withdraw_reinvite(request);
    bench.pass(Duration::from_secs(75));
    assert_eq!(count(&bench), 3);
    bench.endpoint.reinvite(bench.now, dialog, Content::sdp(b"v=0"), &mut bench.out).unwrap();
    let again = bench.drain().remove(0);
    bench.feed(&reply(&again, 200, "b", lines, "v=0"));
    bench.pass(Duration::from_secs(299));
    assert_eq!((count(&bench), bench.endings()), (3, vec![]));
}

/// An UPDATE of ours with an offer is open while a refresh without one is sent again.
#[test]
fn a_refresh_that_is_repeated_leaves_an_open_offer_open() {
    let mut bench = Bench::with(config(1800), udp());
    let (dialog, _) = answered(&mut bench, "Session-Expires: 600;refresher=uac\n");
    bench.pass(Duration::from_secs(299));
    bench.endpoint.update(bench.now, dialog, Content::sdp(b"v=0"), &mut bench.out).unwrap();
    let offer = bench.drain().remove(0);
    let is_refresh = |text: &String| word(text) == "UPDATE" && header(text, "CSeq") != header(&offer, "CSeq");
    let sent = bench.pass(Duration::from_secs(2));
    let refresh = sent.into_iter().map(|(_, text)| text).find(is_refresh).expect("a refresh");
    bench.feed(&reply(&refresh, 491, "b", "", ""));
    let sent = bench.pass(Duration::from_secs(5));
    let number = header(&refresh, "CSeq");
    assert!(sent.iter().any(|(_, text)| is_refresh(text) && header(text, "CSeq") != number), "{sent:?}");
    let other = bench.endpoint.update(bench.now, dialog, Content::sdp(b"v=0"), &mut bench.out);
    assert_eq!(other, Err(Refused::Busy));
}

#[test]
fn the_callee_refreshes_or_the_call_ends_shortly_before_the_interval() {
    let mut bench = Bench::with(config(1800), udp());
    let (_, invite) = answered(&mut bench, "Session-Expires: 600;refresher=uas\n");
    bench.pass(Duration::from_secs(500));
    let refresh =
        from_callee(&invite, "b", ("UPDATE", 1), "Supported: timer\nSession-Expires: 600;refresher=uac\n", "");
    let ok = bench.feed(&refresh).remove(0);
    assert_eq!((word(&ok), header(&ok, "Session-Expires")), ("200", "600;refresher=uac"));
    assert_eq!(header(&ok, "Require"), "timer");
    let sent = bench.pass_lines(Duration::from_secs(600));
    assert_eq!(sent[0], (568_000, "BYE sip:bob@192.0.2.9:5070 SIP/2.0".to_owned()), "32 s before the end");
    bench.assert_empty();
    assert_eq!(bench.endings(), [Cause::SessionExpired]);
}

#[test]
fn a_short_interval_is_asked_for_again() {
    let mut bench = Bench::with(config(90), udp());
    let (_, invite) = bench.call();
    let sent = bench.feed(&reply(&invite, 422, "b", "Min-SE: 1200\n", ""));
    assert_eq!(words(&sent), ["ACK", "INVITE"]);
    assert_eq!((header(&sent[1], "Session-Expires"), header(&sent[1], "Min-SE")), ("1200", "1200"));
    assert_eq!(header(&sent[1], "CSeq"), "2 INVITE");
    assert_eq!(tag(header(&sent[1], "From")), tag(header(&invite, "From")));
    assert!(bench.failures().is_empty());
    // A peer that always wants more is heard in the end, and one that names no interval at once.
    let mut last = sent[1].clone();
    for _ in 0..4 {
        last = bench.feed(&reply(&last, 422, "b", "Min-SE: 1200\n", "")).remove(1);
    }
    assert_eq!(words(&bench.feed(&reply(&last, 422, "b", "Min-SE: 1200\n", ""))), ["ACK"]);
    assert_eq!(bench.failures(), [422]);
    bench.assert_empty();
}

#[test]
fn as_callee_we_refuse_short_intervals_and_refresh_for_peers_that_cannot() {
    let mut bench = Bench::with(config(0), udp());
    let mut peer = Peer::new();
    let lines = "Supported: timer\nSession-Expires: 60\nContent-Type: application/sdp\n";
    let refused = bench.feed(&peer.request("INVITE", "INVITE", lines, "v=0"));
    assert_eq!((words(&refused), header(&refused[0], "Min-SE")), (vec!["422"], "90"));
    bench.feed(&peer.ack_refusal());
    peer.cseq = 2;
    peer.branch = "second".into();
    let lines = "Supported: timer\nSession-Expires: 900;refresher=uas\nContent-Type: application/sdp\n";
    bench.feed(&peer.request("INVITE", "INVITE", lines, "v=0"));
    let ok = bench.accept(Content::sdp(b"v=0")).remove(0);
    peer.learn(&ok);
    assert_eq!(header(&ok, "Session-Expires"), "900;refresher=uas");
    bench.feed(&peer.ack());
    assert!(bench.pass(Duration::from_secs(450)).is_empty());
    assert!(matches!(bench.events.last(), Some(Event::RefreshDue { .. })), "its INVITE did not allow UPDATE");
    let sent = bench.pass_lines(Duration::from_secs(451));
    assert!(sent[0].0 == 450_000 && sent[0].1.starts_with("BYE"), "{sent:?}");
    bench.assert_empty();
    assert_eq!(bench.endings(), [Cause::SessionExpired]);
}
