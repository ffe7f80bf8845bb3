//! Requests inside dialogs that we send: re-INVITE, UPDATE, their glare, and what moves the route and the target.

mod common;
use clock::Duration;
use common::*;
use sip_core::*;

fn reinvite(bench: &mut Bench, dialog: DialogId) -> String {
    bench.endpoint.reinvite(bench.now, dialog, Content::sdp(b"v=1"), &mut bench.out).unwrap();
    bench.drain().remove(0)
}

#[test]
fn reinvite_moves_target_and_number() {
    let mut bench = Bench::new(udp());
    let (dialog, _) = bench.answered_call();
    let second = reinvite(&mut bench, dialog);
    assert_eq!(first(&second), "INVITE sip:bob@192.0.2.9:5070 SIP/2.0");
    assert_eq!((header(&second, "CSeq"), tag(header(&second, "To"))), ("2 INVITE", "b"));
    let busy = bench.endpoint.reinvite(bench.now, dialog, Content::sdp(b"v=1"), &mut bench.out);
    assert_eq!(busy, Err(Refused::Busy));
    bench.feed(&reply(&second, 100, "b", "", ""));
    let ok = reply(&second, 200, "b", &answer_lines(5080), "v=1");
    let ack = bench.feed(&ok);
    assert_eq!(first(&ack[0]), "ACK sip:bob@192.0.2.9:5080 SIP/2.0");
    assert_eq!(header(&ack[0], "CSeq"), "2 ACK");
    assert_eq!(bench.feed(&ok), ack, "a copy");
    assert_eq!(bench.failures(), [100, 200]);
    // A refused one ends nothing and moves nothing.
    let third = reinvite(&mut bench, dialog);
    assert_eq!(words(&bench.feed(&reply(&third, 488, "b", "Contact: <sip:elsewhere>\n", ""))), ["ACK"]);
    assert_eq!(bench.endpoint.dialog_info(dialog).unwrap().target, b"sip:bob@192.0.2.9:5080");
    // Without an offer, the ACK is the user's.
    bench.endpoint.reinvite(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    let fourth = bench.drain().remove(0);
    assert!(bench.feed(&reply(&fourth, 200, "b", &answer_lines(5080), "v=2")).is_empty());
    assert!(matches!(bench.events.last(), Some(Event::Response { status: 200, wants_ack: true, .. })));
    bench.endpoint.ack(bench.now, dialog, Content::sdp(b"v=3"), &mut bench.out).unwrap();
    assert_eq!(header(&bench.drain()[0], "CSeq"), "4 ACK");
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    assert_eq!(header(&bench.drain()[0], "CSeq"), "5 BYE");
    bench.assert_empty();
}

#[test]
fn a_strict_router_becomes_the_request_uri() {
    let mut bench = Bench::new(udp());
    let (_, invite) = bench.call();
    let lines = format!("Record-Route: <sip:p2;lr>\nRecord-Route: <sip:p1>\n{}", answer_lines(5070));
    let ack = bench.feed(&reply(&invite, 200, "b", &lines, "v=0")).remove(0);
    assert_eq!(first(&ack), "ACK sip:p1 SIP/2.0");
    assert_eq!(header(&ack, "Route"), "<sip:p2;lr>, <sip:bob@192.0.2.9:5070>");
    // Later Record-Routes do not change the set (RFC 3261 §12.2).
    let dialog = bench.dialog();
    let again = reinvite(&mut bench, dialog);
    let lines = format!("Record-Route: <sip:p9;lr>\n{}", answer_lines(5080));
    let ack = bench.feed(&reply(&again, 200, "b", &lines, "v=0")).remove(0);
    assert_eq!(header(&ack, "Route"), "<sip:p2;lr>, <sip:bob@192.0.2.9:5080>");
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.assert_empty();
}

#[test]
fn glare_is_repeated_after_the_pause_of_each_side() {
    // The caller waits 2.1 to 4 s.
    for seed in 0..20 {
        let mut bench = Bench::new(udp());
        bench.endpoint = Endpoint::new(EndpointConfig::default(), seed);
        let (dialog, _) = bench.answered_call();
        let second = reinvite(&mut bench, dialog);
        assert_eq!(words(&bench.feed(&reply(&second, 491, "b", "", ""))), ["ACK"]);
        let sent = bench.pass(ms(4000));
        assert_eq!(words(&[sent[0].1.clone()]), ["INVITE"]);
        assert!((2100..=4000).contains(&sent[0].0) && sent[0].0.is_multiple_of(10), "{}", sent[0].0);
        assert_eq!(header(&sent[0].1, "CSeq"), "3 INVITE");
        assert!(sent[0].1.ends_with("v=1"), "with its offer");
        assert!(bench.failures().is_empty(), "the user does not hear of it");
        bench.feed(&reply(&sent[0].1, 200, "b", &answer_lines(5070), "v=1"));
        assert_eq!(bench.failures(), [200]);
    }
    // The callee waits up to 2 s.
    for seed in 0..20 {
        let mut bench = Bench::new(udp());
        bench.endpoint = Endpoint::new(EndpointConfig::default(), seed);
        let mut peer = Peer::new();
        bench.feed(&peer.invite());
        peer.learn(&bench.accept(Content::sdp(b"v=0"))[0]);
        bench.feed(&peer.ack());
        let dialog = bench.dialog();
        let second = reinvite(&mut bench, dialog);
        bench.feed(&reply(&second, 491, "p1", "", ""));
        assert!(bench.pass(ms(2000))[0].0 <= 2000);
    }
}

#[test]
fn glare_in_which_the_peer_was_faster_is_told() {
    let mut bench = Bench::new(udp());
    let (dialog, invite) = bench.answered_call();
    let second = reinvite(&mut bench, dialog);
    // Ours is open: the peer's is refused with 491 and changes nothing.
    let offer = "Contact: <sip:bob@192.0.2.9:5070>\nContent-Type: application/sdp\n";
    assert_eq!(words(&bench.feed(&from_callee(&invite, "b", ("INVITE", 1), offer, "v=7"))), ["491"]);
    bench.feed(&reply(&second, 491, "b", "", ""));
    bench.feed(&from_callee(&invite, "b", ("INVITE", 2), offer, "v=7"));
    assert!(matches!(bench.events.last(), Some(Event::Reinvite { .. })));
    assert!(bench.pass(ms(5000)).iter().all(|(_, message)| word(message) != "INVITE"));
    assert_eq!(bench.failures(), [491]);
    bench.accept(Content::sdp(b"v=8"));
    bench.feed(&from_callee(&invite, "b", ("ACK", 2), "", ""));
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.assert_empty();
}

#[test]
fn a_reinvite_that_waits_after_a_491_can_be_withdrawn() {
    let mut bench = Bench::new(udp());
    let (dialog, invite) = bench.answered_call();
    let open = bench.endpoint.reinvite(bench.now, dialog, Content::sdp(b"v=1"), &mut bench.out).unwrap();
    let sent = bench.drain().remove(0);
    // One that is on its way is not.
    bench.endpoint.withdraw_reinvite(open);
    bench.feed(&reply(&sent, 491, "b", "", ""));
    bench.endpoint.withdraw_reinvite(open);
    let offer = "Contact: <sip:bob@192.0.2.9:5070>\nContent-Type: application/sdp\n";
    bench.feed(&from_callee(&invite, "b", ("INVITE", 1), offer, "v=7"));
    bench.accept(Content::sdp(b"v=8"));
    bench.feed(&from_callee(&invite, "b", ("ACK", 1), "", ""));
    assert!(bench.pass(ms(40_000)).iter().all(|(_, message)| word(message) != "INVITE"));
    assert!(bench.failures().is_empty());
    reinvite(&mut bench, dialog);
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.pass(ms(80_000));
    bench.assert_empty();
}

/// The peer that it was for waits, and the peer's own goes through meanwhile.
#[test]
fn glare_is_handed_up_at_once_where_the_reinvite_is_somebody_elses() {
    let mut bench = Bench::new(udp());
    let (dialog, _) = bench.answered_call();
    let sent = reinvite(&mut bench, dialog);
    bench.endpoint.pass_glare_on(dialog);
    assert_eq!(words(&bench.feed(&reply(&sent, 491, "b", "", ""))), ["ACK"]);
    assert_eq!(bench.failures(), [491]);
    // The next one is our own again.
    let sent = reinvite(&mut bench, dialog);
    bench.feed(&reply(&sent, 491, "b", "", ""));
    assert_eq!(bench.failures(), [491]);
    assert!(bench.pass(ms(5000)).iter().any(|(_, message)| word(message) == "INVITE"));
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.pass(ms(40_000));
    bench.assert_empty();
}

#[test]
fn endless_glare_is_told_after_some_tries() {
    let mut bench = Bench::new(udp());
    let (dialog, _) = bench.answered_call();
    let mut sent = reinvite(&mut bench, dialog);
    let mut tries_count = 1;
    while bench.failures().is_empty() {
        bench.feed(&reply(&sent, 491, "b", "", ""));
        if let Some((_, message)) = bench.pass(ms(4000)).into_iter().next() {
            sent = message;
            tries_count += 1;
        }
    }
    assert_eq!((tries_count, bench.failures()), (6, vec![491]));
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.assert_empty();
}

#[test]
fn update_has_one_offer_at_a_time() {
    let mut bench = Bench::new(udp());
    let (dialog, invite) = bench.answered_call();
    bench.endpoint.update(bench.now, dialog, Content::sdp(b"v=1"), &mut bench.out).unwrap();
    let update = bench.drain().remove(0);
    assert_eq!(header(&update, "CSeq"), "2 UPDATE");
    let busy = bench.endpoint.update(bench.now, dialog, Content::sdp(b"v=2"), &mut bench.out);
    assert_eq!(busy, Err(Refused::Busy));
    let offer = "Content-Type: application/sdp\n";
    assert_eq!(words(&bench.feed(&from_callee(&invite, "b", ("UPDATE", 1), offer, "v=3"))), ["491"]);
    bench.feed(&reply(&update, 200, "b", &answer_lines(5090), "v=1"));
    assert_eq!(bench.endpoint.dialog_info(dialog).unwrap().target, b"sip:bob@192.0.2.9:5090");
    // A bare one is answered by itself; one with an offer by the user, and a second has to wait.
    assert_eq!(words(&bench.feed(&from_callee(&invite, "b", ("UPDATE", 2), "", ""))), ["200"]);
    assert!(bench.feed(&from_callee(&invite, "b", ("UPDATE", 3), offer, "v=3")).is_empty());
    let second = bench.feed(&from_callee(&invite, "b", ("UPDATE", 4), offer, "v=4"));
    assert_eq!(words(&second), ["500"]);
    assert!(!header(&second[0], "Retry-After").is_empty());
    let request = bench.request();
    // A re-INVITE that overtakes the answer is for the user to keep until then; no further UPDATE comes between.
    let reinvite = from_callee(&invite, "b", ("INVITE", 5), offer, "v=6");
    assert!(bench.feed(&reinvite).iter().all(|message| word(message) == "100"));
    assert_eq!(words(&bench.feed(&from_callee(&invite, "b", ("UPDATE", 6), offer, "v=7"))), ["500"]);
    bench.endpoint.respond(bench.now, request, &Answer::with(200, Content::sdp(b"v=3")), &mut bench.out).unwrap();
    bench.drain();
    assert_eq!(words(&bench.accept(Content::sdp(b"v=6"))), ["200"]);
    bench.feed(&from_callee(&invite, "b", ("ACK", 5), "", ""));
    bench.endpoint.update(bench.now, dialog, Content::sdp(b"v=5"), &mut bench.out).unwrap();
    let update = bench.drain().remove(0);
    bench.feed(&reply(&update, 491, "b", "", ""));
    let again = bench.pass(ms(4000)).remove(0);
    assert!((2100..=4000).contains(&again.0) && word(&again.1) == "UPDATE");
    bench.feed(&reply(&again.1, 200, "b", &answer_lines(5090), "v=5"));
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.assert_empty();
}

#[test]
fn numbers_only_grow_and_copies_change_nothing() {
    let mut bench = Bench::new(udp());
    let (_, invite) = bench.answered_call();
    bench.feed(&from_callee(&invite, "b", ("INFO", 10), "", ""));
    let request = bench.request();
    bench.endpoint.respond(bench.now, request, &Answer::of(200), &mut bench.out).unwrap();
    bench.drain();
    assert_eq!(words(&bench.feed(&from_callee(&invite, "b", ("INFO", 10), "", ""))), ["200"], "a copy");
    assert_eq!(words(&bench.feed(&from_callee(&invite, "b", ("INFO", 9), "", ""))), ["500"]);
    let split = from_callee(&invite, "b", ("INFO", 10), "", "").replace("z9hG4bKb", "z9hG4bKother");
    assert_eq!(words(&bench.feed(&split)), ["482"]);
    assert_eq!(words(&bench.feed(&from_callee(&invite, "x", ("INFO", 11), "", ""))), ["481"], "a wrong tag");
    assert_eq!(words(&bench.feed(&from_callee(&invite, "b", ("BYE", 12), "Require: magic\n", ""))), ["420"]);
    assert_eq!(words(&bench.feed(&from_callee(&invite, "b", ("BYE", 13), "", ""))), ["200"]);
    bench.assert_empty();
}

#[test]
fn a_peer_that_forgot_the_dialog_ends_it() {
    for (method, status, cause) in [("INFO", 481, Cause::Lost(481)), ("INVITE", 481, Cause::Lost(481))] {
        let mut bench = Bench::new(udp());
        let (dialog, _) = bench.answered_call();
        let sent = if method == "INFO" {
            bench.endpoint.info(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
            bench.drain().remove(0)
        } else {
            reinvite(&mut bench, dialog)
        };
        bench.feed(&reply(&sent, status, "b", "", ""));
        assert_eq!((bench.failures(), bench.endings()), (vec![status], vec![cause]));
        bench.assert_empty();
    }
    // One that answers a re-INVITE no more is told BYE.
    let mut bench = Bench::new(udp());
    let (dialog, _) = bench.answered_call();
    reinvite(&mut bench, dialog);
    let sent = bench.pass_lines(Duration::from_secs(33));
    assert!(sent.iter().any(|(at, line)| *at == 32_000 && line.starts_with("BYE")), "{sent:?}");
    bench.assert_empty();
    assert_eq!((bench.failures(), bench.endings()), (vec![408], vec![Cause::Lost(408)]));
}

#[test]
fn a_reinvite_that_rings_too_long_is_cancelled() {
    let mut bench = Bench::new(udp());
    let (dialog, _) = bench.answered_call();
    let second = reinvite(&mut bench, dialog);
    bench.feed(&reply(&second, 180, "b", "", ""));
    assert_eq!(
        bench.pass_lines(Duration::from_secs(301))[0],
        (300_000, "CANCEL sip:bob@192.0.2.9:5070 SIP/2.0".into())
    );
    assert_eq!(words(&bench.feed(&reply(&second, 487, "b", "", ""))), ["ACK"]);
    assert_eq!(bench.failures(), [180, 487]);
    assert!(bench.endings().is_empty(), "the call goes on");
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.assert_empty();
}

#[test]
fn a_late_copy_of_an_answer_is_not_another_answer() {
    let mut bench = Bench::new(udp());
    let (_, invite) = bench.answered_call();
    let dialog = bench.dialog();
    let second = reinvite(&mut bench, dialog);
    let ok = reply(&second, 200, "b", &answer_lines(5070), "v=1");
    bench.feed(&ok);
    bench.feed(&from_callee(&invite, "b", ("BYE", 1), "", ""));
    assert!(bench.feed(&ok).is_empty());
    assert_eq!((bench.failures(), bench.endings()), (vec![200], vec![Cause::RemoteBye]));
    bench.assert_empty();
}

#[test]
fn refusals_are_the_same_for_every_copy() {
    let mut bench = Bench::new(udp());
    let (dialog, invite) = bench.answered_call();
    let second = reinvite(&mut bench, dialog);
    let offer = "Contact: <sip:bob@192.0.2.9:5070>\nContent-Type: application/sdp\n";
    let crossing = from_callee(&invite, "b", ("INVITE", 1), offer, "v=7");
    let refused = bench.feed(&crossing);
    bench.feed(&reply(&second, 488, "b", "", ""));
    let unknown = from_callee(&invite, "b", ("BREW", 2), "", "");
    let first_time = bench.feed(&unknown);
    assert_eq!((words(&refused), words(&first_time)), (vec!["491"], vec!["501"]));
    assert_eq!(bench.feed(&crossing), refused, "though nothing of ours is open any more");
    bench.feed(&from_callee(&invite, "b", ("BYE", 3), "", ""));
    assert_eq!(bench.feed(&unknown), first_time, "though the dialog is gone");
    bench.assert_empty();
}

/// A 491 to an UPDATE without an offer, which crossed a re-INVITE of ours, opens the way to no second re-INVITE; and the UPDATE
/// goes out again whatever else is being changed.
#[test]
fn glare_of_a_request_without_offer_does_not_open_the_others() {
    let mut bench = Bench::new(udp());
    let (dialog, _) = bench.answered_call();
    let change = reinvite(&mut bench, dialog);
    bench.endpoint.update(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    let update = bench.drain().remove(0);
    bench.feed(&reply(&update, 491, "b", "", ""));
    let second = bench.endpoint.reinvite(bench.now, dialog, Content::sdp(b"v=2"), &mut bench.out);
    assert_eq!(second, Err(Refused::Busy));
    bench.feed(&reply(&change, 100, "", "", ""));
    let sent = bench.pass(ms(4000));
    assert_eq!(sent.iter().map(|(_, message)| word(message)).next(), Some("UPDATE"));
    bench.feed(&reply(&sent[0].1, 200, "b", "", ""));
    bench.feed(&reply(&change, 200, "b", &answer_lines(5070), "v=1"));
    assert_eq!(bench.failures(), [100, 200, 200]);
}
