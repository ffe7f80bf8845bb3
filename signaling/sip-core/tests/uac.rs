//! Calls that we place: INVITE, its forks, ACK and CANCEL, and the loss of each message.

mod common;
use clock::Duration;
use common::*;
use sip_core::*;

#[test]
fn a_call_from_invite_to_bye_by_the_callee() {
    let mut bench = Bench::new(udp());
    let (call, invite) = bench.call();
    assert_eq!(first(&invite), "INVITE sip:bob@192.0.2.9:5062 SIP/2.0");
    assert!(header(&invite, "Via").starts_with("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK"));
    assert_eq!(header(&invite, "CSeq"), "1 INVITE");
    assert_eq!(header(&invite, "Contact"), "<sip:192.0.2.1:5060>");
    assert!(header(&invite, "Supported").contains("100rel") && header(&invite, "Allow").contains("UPDATE"));
    bench.feed(&reply(&invite, 100, "", "", ""));
    assert!(matches!(bench.events[..], [Event::Progress { status: 100, dialog: None, .. }]));
    bench.feed(&reply(&invite, 180, "b", "", ""));
    assert!(matches!(bench.events[..], [_, Event::Progress { status: 180, dialog: Some(_), wants_prack: false, .. }]));
    let lines = format!("Record-Route: <sip:p2;lr>, <sip:p1;lr>\n{}", answer_lines(5070));
    let ok = reply(&invite, 200, "b", &lines, "v=0");
    let ack = bench.feed(&ok).remove(0);
    assert_eq!(first(&ack), "ACK sip:bob@192.0.2.9:5070 SIP/2.0");
    assert_eq!(header(&ack, "Route"), "<sip:p1;lr>, <sip:p2;lr>", "turned around for the caller");
    assert_eq!(header(&ack, "CSeq"), "1 ACK");
    assert_ne!(header(&ack, "Via"), header(&invite, "Via"), "an ACK for a 2xx has its own branch");
    let answered = bench.events.last().copied();
    assert!(matches!(answered, Some(Event::Answered { call: c, wants_ack: false, .. }) if c == call));
    let dialog = bench.dialog();
    assert_eq!(bench.endpoint.dialog_info(dialog).unwrap().next_hop, b"sip:p1;lr");
    assert!(bench.endpoint.dialog_bytes(dialog).unwrap() < 1500);
    assert_eq!(bench.feed(&ok), [ack], "our ACK was lost");
    assert!(bench.pass(Duration::from_secs(100)).is_empty());
    assert_eq!(bench.endpoint.sizes(), Sizes { dialogs: 1, dialog_keys: 1, ..Sizes::default() }, "timer M");
    assert!(bench.feed(&ok).is_empty());
    assert_eq!(words(&bench.feed(&from_callee(&invite, "b", ("BYE", 1), "", ""))), ["200"]);
    assert_eq!(bench.endings(), [Cause::RemoteBye]);
    bench.assert_empty();
}

#[test]
fn an_unanswered_invite_is_repeated_by_timer_a_until_timer_b() {
    let mut bench = Bench::new(udp());
    bench.call();
    let (times, sent): (Vec<_>, Vec<_>) = bench.pass(Duration::from_secs(40)).into_iter().unzip();
    assert_eq!(times, [500, 1500, 3500, 7500, 15500, 31500]);
    assert!(sent.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(bench.failures(), [408]);
    bench.assert_empty();
    let mut bench = Bench::new(tcp());
    bench.call();
    assert!(bench.pass(Duration::from_secs(31)).is_empty(), "a stream repeats by itself");
    assert!(bench.failures().is_empty());
    bench.assert_empty();
    assert_eq!(bench.failures(), [408]);
}

#[test]
fn a_refusal_is_acknowledged_each_time_until_timer_d() {
    let mut bench = Bench::new(udp());
    let (_, invite) = bench.call();
    bench.feed(&reply(&invite, 180, "b", "", ""));
    let busy = reply(&invite, 486, "b", "", "");
    let ack = bench.feed(&busy).remove(0);
    assert_eq!((word(&ack), header(&ack, "Via")), ("ACK", header(&invite, "Via")));
    assert_eq!(tag(header(&ack, "To")), "b");
    assert_eq!((bench.failures(), bench.endings()), (vec![486], vec![Cause::Refused(486)]));
    bench.pass(Duration::from_secs(31));
    assert_eq!(bench.feed(&busy), [ack], "a copy");
    assert_eq!(bench.endpoint.sizes().client_transactions, 1, "timer D runs");
    bench.pass(Duration::from_secs(2));
    assert!(bench.feed(&busy).is_empty());
    assert_eq!(bench.endpoint.counters().stray_responses, 1);
    bench.assert_empty();
    let mut bench = Bench::new(tcp());
    let (_, invite) = bench.call();
    assert_eq!(words(&bench.feed(&reply(&invite, 486, "b", "", "").replace("UDP", "TCP"))), ["ACK"]);
    assert_eq!(bench.endpoint.sizes().client_transactions, 0, "timer D is zero over a stream");
    bench.assert_empty();
}

#[test]
fn forks_each_have_their_dialog_and_only_one_is_kept() {
    let mut bench = Bench::new(udp());
    let (call, invite) = bench.call();
    for fork in ["a", "b", "c", "a"] {
        bench.feed(&reply(&invite, 180, fork, "", ""));
    }
    assert_eq!(bench.endpoint.sizes().dialogs, 3);
    assert_eq!(words(&bench.feed(&reply(&invite, 200, "b", &answer_lines(5070), "v=0"))), ["ACK"]);
    let dialog = bench.dialog();
    assert_eq!(bench.endpoint.dialog_info(dialog).unwrap().remote_tag, b"b");
    assert_eq!(bench.endings(), [Cause::LocalCancel; 2], "the branches that did not answer");
    // One that had rung answers as well, and one that was never heard of.
    for fork in ["a", "d"] {
        let answer = reply(&invite, 200, fork, &answer_lines(5071), "v=0");
        let sent = bench.feed(&answer);
        assert_eq!(words(&sent), ["ACK", "BYE"]);
        assert!(sent.iter().all(|request| tag(header(request, "To")) == fork));
        assert_eq!(words(&bench.feed(&answer)), ["ACK"], "its copy");
        bench.feed(&reply(&sent[1], 200, fork, "", ""));
        assert_eq!(words(&bench.feed(&answer)), ["ACK"], "its copy after the BYE was answered (RFC 3261 §13.2.2.4)");
    }
    assert_eq!(bench.events.iter().filter(|event| matches!(event, Event::Answered { .. })).count(), 1);
    assert_eq!(bench.endings().len(), 2, "nobody heard of the late ones");
    assert_eq!(bench.endpoint.cancel(bench.now, call, &mut bench.out), Err(Refused::WrongState));
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.drain();
    bench.assert_empty();
    assert_eq!(bench.endings().len(), 3);
}

#[test]
fn forks_are_bounded() {
    let limits = Limits { max_forks: 4, ..Limits::default() };
    let mut bench = Bench::with(EndpointConfig { limits, ..EndpointConfig::default() }, udp());
    let (_, invite) = bench.call();
    for fork in 0..100 {
        bench.feed(&reply(&invite, 183, &format!("f{fork}"), "", ""));
    }
    assert_eq!(bench.endpoint.sizes().dialogs, 4);
    bench.feed(&reply(&invite, 404, "f1", "", ""));
    assert_eq!(bench.endings(), [Cause::Refused(404); 4]);
    bench.assert_empty();
    // Answers have more room, and not without end.
    let mut bench = Bench::with(EndpointConfig { limits, ..EndpointConfig::default() }, udp());
    let (_, invite) = bench.call();
    let mut acks_count = 0;
    for fork in 0..100 {
        let sent = bench.feed(&reply(&invite, 200, &format!("f{fork}"), &answer_lines(5070), "v=0"));
        acks_count += sent.iter().filter(|message| word(message) == "ACK").count();
    }
    // Eight dialogs, and sixteen times ACK and BYE for those that find no room.
    assert_eq!((acks_count, bench.endpoint.sizes().dialogs), (24, 8));
    bench.feed(&from_callee(&invite, "f0", ("BYE", 1), "", ""));
    bench.assert_empty();
}

#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut bench = Bench::new(udp());
    let (call, invite) = bench.call();
    bench.endpoint.cancel(bench.now, call, &mut bench.out).unwrap();
    assert!(bench.drain().is_empty(), "RFC 3261 §9.1");
    assert_eq!(bench.endpoint.cancel(bench.now, call, &mut bench.out), Err(Refused::WrongState));
    let cancel = bench.feed(&reply(&invite, 180, "b", "", "")).remove(0);
    assert_eq!(first(&cancel), "CANCEL sip:bob@192.0.2.9:5062 SIP/2.0");
    assert_eq!((header(&cancel, "Via"), header(&cancel, "CSeq")), (header(&invite, "Via"), "1 CANCEL"));
    assert_eq!(words(&bench.pass(ms(600)).into_iter().map(|(_, m)| m).collect::<Vec<_>>()), ["CANCEL"], "timer E");
    bench.feed(&reply(&cancel, 200, "b", "", ""));
    assert_eq!(words(&bench.feed(&reply(&invite, 487, "b", "", ""))), ["ACK"]);
    assert_eq!(bench.failures(), [487]);
    assert!(bench.events.iter().all(|event| !matches!(event, Event::Progress { .. })), "nobody listens any more");
    bench.assert_empty();
}

#[test]
fn an_answer_that_crosses_the_cancel_is_ended_with_bye() {
    let mut bench = Bench::new(udp());
    let (call, invite) = bench.call();
    bench.feed(&reply(&invite, 180, "b", "", ""));
    bench.endpoint.cancel(bench.now, call, &mut bench.out).unwrap();
    let cancel = bench.drain().remove(0);
    assert_eq!(words(&bench.feed(&reply(&invite, 200, "b", &answer_lines(5070), "v=0"))), ["ACK", "BYE"]);
    bench.feed(&reply(&cancel, 481, "b", "", ""));
    assert_eq!(bench.failures(), [487]);
    bench.assert_empty();
    assert_eq!(bench.endings(), [Cause::LocalCancel]);
}

#[test]
fn a_cancelled_invite_without_final_response_is_given_up() {
    let mut bench = Bench::new(udp());
    let (call, invite) = bench.call();
    bench.feed(&reply(&invite, 180, "b", "", ""));
    bench.endpoint.cancel(bench.now, call, &mut bench.out).unwrap();
    let cancel = bench.drain().remove(0);
    bench.feed(&reply(&cancel, 200, "b", "", ""));
    assert!(bench.pass(Duration::from_secs(31)).is_empty());
    assert!(bench.failures().is_empty());
    bench.assert_empty();
    assert_eq!((bench.failures(), bench.endings()), (vec![487], vec![Cause::LocalCancel]));
}

#[test]
fn a_call_that_rings_too_long_is_cancelled() {
    let mut bench = Bench::new(udp());
    let (_, invite) = bench.call();
    bench.feed(&reply(&invite, 180, "b", "", ""));
    let sent = bench.pass_lines(Duration::from_secs(301));
    assert_eq!(sent[0], (300_000, "CANCEL sip:bob@192.0.2.9:5062 SIP/2.0".to_owned()));
    assert_eq!(words(&bench.feed(&reply(&invite, 487, "b", "", ""))), ["ACK"]);
    assert_eq!(bench.failures(), [408]);
    bench.assert_empty();
}

#[test]
fn an_offer_in_the_answer_is_acknowledged_by_the_user() {
    let mut bench = Bench::new(udp());
    bench.endpoint.invite(bench.now, &new_request(udp()), &mut bench.out).unwrap();
    let invite = bench.drain().remove(0);
    let ok = reply(&invite, 200, "b", &answer_lines(5070), "v=0");
    assert!(bench.feed(&ok).is_empty());
    assert!(matches!(bench.events.last(), Some(Event::Answered { wants_ack: true, .. })));
    assert!(bench.feed(&ok).is_empty(), "a copy before the user knows the answer");
    let dialog = bench.dialog();
    assert_eq!(bench.endpoint.reinvite(bench.now, dialog, Content::NONE, &mut bench.out), Err(Refused::Busy));
    bench.endpoint.ack(bench.now, dialog, Content::sdp(b"v=1"), &mut bench.out).unwrap();
    let ack = bench.drain().remove(0);
    assert!(ack.ends_with("v=1") && word(&ack) == "ACK");
    assert_eq!(bench.feed(&ok), [ack]);
    let again = bench.endpoint.ack(bench.now, dialog, Content::NONE, &mut bench.out);
    assert_eq!(again, Err(Refused::WrongState));
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.drain();
    bench.assert_empty();
    // A user that ends the call instead: the peer gets its ACK all the same.
    let mut bench = Bench::new(udp());
    bench.endpoint.invite(bench.now, &new_request(udp()), &mut bench.out).unwrap();
    let invite = bench.drain().remove(0);
    bench.feed(&reply(&invite, 200, "b", &answer_lines(5070), "v=0"));
    let dialog = bench.dialog();
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    assert_eq!(words(&bench.drain()), ["ACK", "BYE"]);
    bench.assert_empty();
}

#[test]
fn other_requests_are_repeated_by_timer_e_until_timer_f() {
    let mut bench = Bench::new(udp());
    let id = bench.endpoint.request(bench.now, sip_wire::Method::Options, &new_request(udp()), &mut bench.out).unwrap();
    let options = bench.drain().remove(0);
    let times: Vec<_> = bench.pass(Duration::from_secs(40)).into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
    assert!(matches!(bench.events[..], [Event::Response { request, status: 408, message: None, .. }] if request == id));
    assert_eq!(bench.endpoint.sizes(), Sizes::default());
    assert!(bench.feed(&reply(&options, 200, "b", "", "")).is_empty(), "too late");
    // Proceeding: every T2. Completed: timer K takes the copies.
    let mut bench = Bench::new(udp());
    bench.endpoint.request(bench.now, sip_wire::Method::Message, &new_request(udp()), &mut bench.out).unwrap();
    let message = bench.drain().remove(0);
    bench.feed(&reply(&message, 100, "", "", ""));
    let times: Vec<_> = bench.pass(Duration::from_secs(10)).into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [500, 4500, 8500]);
    for _ in 0..2 {
        bench.feed(&reply(&message, 202, "b", "", ""));
    }
    assert_eq!(bench.failures(), [100, 202], "the copy is absorbed");
    bench.pass(ms(4900));
    assert_eq!(bench.endpoint.sizes().client_transactions, 1);
    bench.pass(ms(200));
    assert_eq!(bench.endpoint.sizes(), Sizes::default());
    let mut bench = Bench::new(tcp());
    bench.endpoint.request(bench.now, sip_wire::Method::Register, &new_request(tcp()), &mut bench.out).unwrap();
    bench.drain();
    assert!(bench.pass(Duration::from_secs(31)).is_empty());
    bench.assert_empty();
    assert_eq!(bench.failures(), [408]);
}

#[test]
fn a_broken_path_fails_everything_that_waits_on_it() {
    let mut bench = Bench::new(tcp());
    bench.call();
    bench.endpoint.request(bench.now, sip_wire::Method::Options, &new_request(tcp()), &mut bench.out).unwrap();
    let other = Flow { connection: 8, ..tcp() };
    bench.endpoint.request(bench.now, sip_wire::Method::Options, &new_request(other), &mut bench.out).unwrap();
    bench.drain();
    bench.endpoint.transport_failed(bench.now, &tcp(), &mut bench.out);
    bench.drain();
    assert_eq!(bench.failures(), [503, 503]);
    assert_eq!(bench.endpoint.sizes().client_transactions, 1, "the one on another connection waits on");
    bench.assert_empty();
    // A BYE that cannot be sent ends its dialog.
    let mut bench = Bench::new(tcp());
    let (dialog, _) = bench.answered_call();
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.drain();
    bench.endpoint.transport_failed(bench.now, &tcp(), &mut bench.out);
    bench.drain();
    assert_eq!(bench.endings(), [Cause::LocalBye]);
    bench.assert_empty();
}

/// A call that the peer placed and we have answered.
fn taken_call(bench: &mut Bench) -> DialogId {
    let mut peer = Peer::new();
    bench.feed(&peer.invite());
    peer.learn(&bench.accept(Content::sdp(b"v=0"))[0]);
    bench.feed(&peer.ack());
    bench.dialog()
}

/// What an ICMP message does that quotes so much of a request.
fn icmp(bench: &mut Bench, flow: Flow, quoted: &[u8]) -> Vec<String> {
    bench.endpoint.unreachable(bench.now, &flow, quoted, &mut bench.out);
    bench.drain()
}

#[test]
fn icmp_ends_an_invite_without_any_answer_at_once_if_it_quotes_its_branch() {
    let mut bench = Bench::new(udp());
    let (_, invite) = bench.call();
    let elsewhere = Flow { remote: address("192.0.2.9:5064"), ..udp() };
    let forged = invite.replacen("branch=z9hG4bK", "branch=z9hG4bKx", 1);
    icmp(&mut bench, elsewhere, invite.as_bytes());
    icmp(&mut bench, udp(), forged.as_bytes());
    icmp(&mut bench, udp(), invite.replacen("INVITE", "BYE", 1).as_bytes());
    icmp(&mut bench, udp(), b"SIP/2.0 200 OK\r\n\r\n");
    assert!(bench.failures().is_empty());
    assert_eq!((bench.endpoint.counters().unreachable, bench.endpoint.counters().unreachable_ignored), (4, 4));
    let end = invite.find(";rport").unwrap() + 1;
    icmp(&mut bench, udp(), &invite.as_bytes()[..end]);
    assert_eq!((bench.failures(), bench.endpoint.counters().unreachable_ignored), (vec![503], 4));
    bench.assert_empty();
}

#[test]
fn icmp_that_quotes_too_little_only_shortens_the_wait_for_a_first_answer() {
    for quoted_bytes in [0, 8, 40] {
        let mut bench = Bench::new(udp());
        let (_, invite) = bench.call();
        bench.endpoint.request(bench.now, sip_wire::Method::Options, &new_request(udp()), &mut bench.out).unwrap();
        bench.drain();
        icmp(&mut bench, udp(), &invite.as_bytes()[..quoted_bytes]);
        let copies =
            |bench: &mut Bench| bench.pass(Duration::from_secs(3)).iter().map(|(at, _)| *at).collect::<Vec<_>>();
        assert_eq!(copies(&mut bench), [500, 500, 1500, 1500], "an INVITE and an OPTIONS");
        assert_eq!(bench.failures(), [408, 408]);
        bench.assert_empty();
        // A stranger says the same of a peer who is there: it changes nothing.
        let mut bench = Bench::new(udp());
        let (_, invite) = bench.call();
        let request = new_request(udp());
        bench.endpoint.request(bench.now, sip_wire::Method::Options, &request, &mut bench.out).unwrap();
        let options = bench.drain().remove(0);
        icmp(&mut bench, udp(), b"");
        bench.pass(ms(1_900));
        bench.feed(&reply(&invite, 100, "", "", ""));
        bench.feed(&reply(&options, 100, "", "", ""));
        bench.pass(Duration::from_secs(25));
        assert_eq!(bench.failures(), [100], "what the OPTIONS was told");
        bench.feed(&reply(&options, 200, "o", "", ""));
        let answer = reply(&invite, 200, "b", &answer_lines(5070), "v=0");
        assert_eq!(words(&bench.feed(&answer)), ["ACK"]);
    }
}

#[test]
fn icmp_is_nothing_to_what_has_been_answered() {
    // A ringing call, one that waits for its peer to say more than 100, and the CANCEL of one.
    for status in [100, 180, 183] {
        let mut bench = Bench::new(udp());
        let (call, invite) = bench.call();
        bench.feed(&reply(&invite, status, "b", "", ""));
        for quoted in [&invite[..], ""] {
            assert!(icmp(&mut bench, udp(), quoted.as_bytes()).is_empty());
        }
        assert!(bench.failures().is_empty(), "{status}");
        bench.endpoint.cancel(bench.now, call, &mut bench.out).unwrap();
        let cancel = bench.drain().remove(0);
        for quoted in [&cancel[..], ""] {
            icmp(&mut bench, udp(), quoted.as_bytes());
        }
        assert_eq!(bench.pass_lines(ms(600))[0].1, first(&cancel), "it is repeated until it is answered");
        bench.feed(&reply(&cancel, 200, "b", "", ""));
        bench.feed(&reply(&invite, 487, "b", "", ""));
        assert_eq!(bench.failures(), [487]);
        assert_eq!(bench.endpoint.counters().unreachable_ignored, 4);
        bench.assert_empty();
    }
    // A call that is up, from either side, whatever we send in it.
    for is_caller in [true, false] {
        for method in [sip_wire::Method::Invite, sip_wire::Method::Info, sip_wire::Method::Update] {
            let mut bench = Bench::new(udp());
            let dialog = if is_caller { bench.answered_call().0 } else { taken_call(&mut bench) };
            let content = if method == sip_wire::Method::Invite { Content::sdp(b"v=0") } else { Content::NONE };
            bench.endpoint.request_in(bench.now, dialog, &DialogRequest { method, content }, &mut bench.out).unwrap();
            let request = bench.drain().remove(0);
            for quoted in [&request[..], ""] {
                assert!(icmp(&mut bench, udp(), quoted.as_bytes()).is_empty());
            }
            assert_eq!(bench.pass_lines(ms(600))[0].1, first(&request));
            assert!(bench.endings().is_empty() && bench.failures().is_empty());
        }
        let mut bench = Bench::new(udp());
        let dialog = if is_caller { bench.answered_call().0 } else { taken_call(&mut bench) };
        bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
        let bye = bench.drain().remove(0);
        icmp(&mut bench, udp(), bye.as_bytes());
        icmp(&mut bench, udp(), b"");
        bench.endpoint.transport_failed(bench.now, &udp(), &mut bench.out);
        assert_eq!(bench.pass_lines(ms(600))[0].1, first(&bye), "the peer is still told");
        bench.feed(&reply(&bye, 200, "", "", ""));
        assert_eq!(bench.endings(), [Cause::LocalBye]);
    }
}

#[test]
fn what_would_break_a_message_is_refused() {
    let mut bench = Bench::new(udp());
    let base = new_request(udp());
    let headers: &[(&str, &str)] = &[("X", "a\r\nEvil: 1")];
    for bad in [
        NewRequest { uri: "sip:a b", ..base },
        NewRequest { uri: "", ..base },
        NewRequest { from: "<sip:a>\r\nX: y", ..base },
        NewRequest { from: "<sip:a>;tag=mine", ..base },
        NewRequest { to: "nobody", ..base },
        NewRequest { call_id: Some("a b"), ..base },
        NewRequest { routes: &["<sip:p>\n"], ..base },
        NewRequest { cseq: 1 << 31, ..base },
        NewRequest { content: Content::headers(headers), ..base },
        NewRequest { content: Content::headers(&[("Via", "x")]), ..base },
    ] {
        assert_eq!(bench.endpoint.invite(bench.now, &bad, &mut bench.out), Err(Refused::BadText), "{bad:?}");
    }
    assert!(bench.drain().is_empty());
    assert_eq!(bench.endpoint.sizes(), Sizes::default());
}

#[test]
fn full_tables_refuse() {
    let limits = Limits { max_transactions: 2, ..Limits::default() };
    let mut bench = Bench::with(EndpointConfig { limits, ..EndpointConfig::default() }, udp());
    bench.call();
    bench.call();
    assert_eq!(bench.endpoint.invite(bench.now, &new_request(udp()), &mut bench.out), Err(Refused::Full));
    assert_eq!(bench.endpoint.sizes().calls, 2);
    bench.assert_empty();
}

#[test]
fn spoofed_responses_change_nothing() {
    let mut bench = Bench::new(udp());
    let (_, invite) = bench.call();
    let ok = reply(&invite, 200, "b", &answer_lines(5070), "v=0");
    let other_method = ok.replace("1 INVITE", "1 BYE");
    let other_branch = ok.replace("z9hG4bK", "z9hG4bKx");
    let two_vias = ok.replacen("Via:", "Via: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKz\nVia:", 1);
    let other_call = ok.replace("Call-ID: ", "Call-ID: x");
    for spoofed in [other_method, other_branch, two_vias, other_call] {
        assert!(bench.feed(&spoofed).is_empty());
    }
    assert!(bench.events.is_empty(), "{:?}", bench.events);
    bench.assert_empty();
}

#[test]
fn an_answer_finds_room_in_a_full_table() {
    let limits = Limits { max_dialogs: 2, ..Limits::default() };
    let mut bench = Bench::with(EndpointConfig { limits, ..EndpointConfig::default() }, udp());
    let (_, first_invite) = bench.call();
    let (_, second_invite) = bench.call();
    for invite in [&first_invite, &second_invite] {
        for fork in ["b", "x"] {
            bench.feed(&reply(invite, 180, fork, "", ""));
        }
    }
    assert_eq!(bench.endpoint.sizes().dialogs, 2, "early dialogs can wait");
    assert_eq!(bench.endpoint.invite(bench.now, &new_request(udp()), &mut bench.out), Err(Refused::Full));
    let mut sent = Vec::new();
    for invite in [&first_invite, &second_invite] {
        for fork in ["b", "c", "d"] {
            sent.extend(bench.feed(&reply(invite, 200, fork, &answer_lines(5070), "v=0")));
        }
    }
    assert_eq!(words(&sent), ["ACK", "ACK", "BYE", "ACK", "BYE", "ACK", "ACK", "BYE", "ACK", "BYE"]);
    assert!(bench.failures().is_empty());
    for (cseq, invite) in [(1, &first_invite), (2, &second_invite)] {
        bench.feed(&from_callee(invite, "b", ("BYE", cseq), "", ""));
    }
    bench.assert_empty();
}

#[test]
fn an_answer_without_tag_is_that_of_an_older_peer() {
    let mut bench = Bench::new(udp());
    let (_, invite) = bench.call();
    bench.feed(&reply(&invite, 180, "", "Contact: <sip:bob@192.0.2.9:5062>\n", ""));
    assert!(matches!(bench.events.last(), Some(Event::Progress { status: 180, dialog: None, .. })));
    let sent = bench.feed(&reply(&invite, 200, "", &answer_lines(5062), "v=0"));
    assert_eq!(words(&sent), ["ACK"]);
    assert_eq!(header(&sent[0], "To"), "<sip:bob@example.org>");
    let dialog = bench.dialog();
    let from_callee = from_callee(&invite, "", ("INFO", 1), "", "").replace(">;tag=\n", ">\n");
    bench.feed(&from_callee);
    assert!(matches!(bench.events.last(), Some(Event::Request { dialog: Some(other), .. }) if *other == dialog));
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    let bye = bench.drain().remove(0);
    assert_eq!(header(&bye, "To"), "<sip:bob@example.org>");
    bench.feed(&reply(&bye, 200, "", "", ""));
    assert_eq!(bench.endings(), [Cause::LocalBye]);
    bench.assert_empty();
}

#[test]
fn an_answer_that_cannot_be_used_is_acknowledged_and_ended() {
    let twice = format!("From: <sip:x@y>;tag=2\n{}", answer_lines(5070));
    let no_to = |text: String| text.replace("To: <sip:bob@example.org>;tag=b\n", "");
    let as_it_is = |text: String| text;
    type Change = fn(String) -> String;
    let cases: [(&str, Change); 3] =
        [(&twice, as_it_is), (&answer_lines(5070), no_to), ("Contact: <<\nCall-ID: other\n", as_it_is)];
    for (lines, change) in cases {
        let mut bench = Bench::new(udp());
        let (_, invite) = bench.call();
        let ok = change(reply(&invite, 200, "b", lines, "v=0"));
        let sent = bench.feed(&ok);
        assert_eq!(words(&sent), ["ACK", "BYE"], "{ok}");
        assert_eq!((header(&sent[0], "CSeq"), header(&sent[1], "CSeq")), ("1 ACK", "2 BYE"));
        assert_eq!(header(&sent[1], "Call-ID"), header(&invite, "Call-ID"));
        assert_eq!(bench.failures(), [502]);
        assert_eq!(words(&bench.feed(&ok)), ["ACK", "BYE"], "as often as it comes");
        assert!(bench.pass(ms(1000)).is_empty(), "the INVITE is not repeated");
        bench.assert_empty();
        assert_eq!(bench.endpoint.counters().unusable_answers, 2);
    }
    // To a re-INVITE.
    let mut bench = Bench::new(udp());
    let (dialog, _) = bench.answered_call();
    bench.endpoint.reinvite(bench.now, dialog, Content::sdp(b"v=1"), &mut bench.out).unwrap();
    let reinvite = bench.drain().remove(0);
    assert_eq!(words(&bench.feed(&reply(&reinvite, 200, "", &twice, "v=0"))), ["ACK", "BYE"]);
    bench.assert_empty();
    assert_eq!(bench.endings(), [Cause::Lost(502)]);
    // Damaged copies of answers that were taken end nothing: to the INVITE, and to a re-INVITE.
    let mut bench = Bench::new(udp());
    let (_, invite) = bench.call();
    assert_eq!(words(&bench.feed(&reply(&invite, 200, "b", &answer_lines(5070), "v=0"))), ["ACK"]);
    assert!(bench.feed(&reply(&invite, 200, "b", &twice, "v=0")).is_empty());
    let dialog = bench.dialog();
    bench.endpoint.reinvite(bench.now, dialog, Content::sdp(b"v=1"), &mut bench.out).unwrap();
    let reinvite = bench.drain().remove(0);
    assert_eq!(words(&bench.feed(&reply(&reinvite, 200, "", &answer_lines(5070), "v=0"))), ["ACK"]);
    assert!(bench.feed(&reply(&reinvite, 200, "", &twice, "v=0")).is_empty());
    assert_eq!((bench.endings(), bench.failures()), (vec![], vec![200]), "told once, and nothing ended");
    // A copy after the BYE has been answered: the ACK alone was lost.
    let mut bench = Bench::new(udp());
    let (_, invite) = bench.call();
    let ok = reply(&invite, 200, "b", &answer_lines(5070), "v=0");
    bench.feed(&ok);
    let dialog = bench.dialog();
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    let bye = bench.drain().remove(0);
    bench.feed(&reply(&bye, 200, "", "", ""));
    assert_eq!(words(&bench.feed(&ok)), ["ACK"]);
    bench.assert_empty();
}

#[test]
fn a_called_side_may_end_its_early_dialog() {
    // The only one: the call has failed, and the INVITE is cancelled.
    let mut bench = Bench::new(udp());
    let (_, invite) = bench.call();
    bench.feed(&reply(&invite, 180, "b", &answer_lines(5070), ""));
    let sent = bench.feed(&from_callee(&invite, "b", ("BYE", 1), "", ""));
    assert_eq!(words(&sent), ["200", "CANCEL"]);
    assert_eq!((bench.endings(), bench.failures()), (vec![Cause::RemoteBye], vec![480]));
    bench.feed(&reply(&sent[1], 200, "", "", ""));
    // It answers all the same.
    let sent = bench.feed(&reply(&invite, 200, "b", &answer_lines(5070), "v=0"));
    assert_eq!(words(&sent), ["ACK", "BYE"]);
    bench.assert_empty();
    assert_eq!(bench.failures(), [480], "told once");
    // One of two: the other goes on.
    let mut bench = Bench::new(udp());
    let (_, invite) = bench.call();
    bench.feed(&reply(&invite, 180, "b", &answer_lines(5070), ""));
    bench.feed(&reply(&invite, 180, "c", &answer_lines(5071), ""));
    assert_eq!(words(&bench.feed(&from_callee(&invite, "b", ("BYE", 1), "", ""))), ["200"]);
    assert_eq!(words(&bench.feed(&reply(&invite, 200, "c", &answer_lines(5071), "v=0"))), ["ACK"]);
    assert!(bench.failures().is_empty());
}

/// What still rings of a call that has failed is told to nobody and makes no dialog.
#[test]
fn a_call_that_has_failed_makes_no_further_dialogs() {
    let mut bench = Bench::new(udp());
    let (_, invite) = bench.call();
    bench.feed(&reply(&invite, 180, "b", &answer_lines(5070), ""));
    let sent = bench.feed(&from_callee(&invite, "b", ("BYE", 1), "", ""));
    bench.feed(&reply(&sent[1], 200, "", "", ""));
    let told = bench.events.len();
    for tag in ["b", "c", "d"] {
        assert!(bench.feed(&reply(&invite, 183, tag, &answer_lines(5070), "")).is_empty());
    }
    assert_eq!((bench.events.len(), bench.endpoint.sizes().dialogs), (told, 0));
    assert_eq!(words(&bench.feed(&reply(&invite, 487, "b", "", ""))), ["ACK"]);
    bench.assert_empty();
}

/// A Contact may have headers in its URI, a Request-URI may not (RFC 3261 §19.1.1, table 1). What an answer calls a route and
/// is no address is left out.
#[test]
fn requests_go_to_what_a_request_uri_may_be() {
    let mut bench = Bench::new(udp());
    let (_, invite) = bench.call();
    let lines = "Contact: <sip:bob@192.0.2.9:5070;x=1?Subject=hello&Priority=urgent>\nContent-Type: application/sdp\n";
    let odd_routes = "Record-Route: <sip:192.0.2.9:5071;lr>\n ;a=b, no address\n";
    let sent = bench.feed(&reply(&invite, 200, "b", &format!("{odd_routes}{lines}"), "v=0"));
    assert_eq!(first(&sent[0]), "ACK sip:bob@192.0.2.9:5070;x=1 SIP/2.0");
    assert_eq!(header(&sent[0], "Route"), "<sip:192.0.2.9:5071;lr>   ;a=b");
    // A request of the peer that moves it, and ours after that.
    let moved = "Contact: <sip:bob@192.0.2.9:5072?Subject=x>\nContent-Type: application/sdp\n";
    bench.feed(&from_callee(&invite, "b", ("INVITE", 1), moved, "v=1"));
    bench.accept(Content::sdp(b"v=1"));
    bench.feed(&from_callee(&invite, "b", ("ACK", 1), "", ""));
    bench.endpoint.bye(bench.now, bench.dialog(), Content::NONE, &mut bench.out).unwrap();
    assert_eq!(first(&bench.drain()[0]), "BYE sip:bob@192.0.2.9:5072 SIP/2.0");
}
