//! What is refused by the rules of the protocol alone (RFC 3261 §8.2), and how.

mod common;
use common::*;
use sip_core::*;

/// Sends a request outside dialogs; gives status and the named header field of the answer.
fn refused(request: &str, name: &str) -> (String, String) {
    let config = EndpointConfig {
        allow: ["INVITE", "OPTIONS", "SUBSCRIBE", "REFER", "NOTIFY", "UPDATE"].map(str::to_owned).to_vec(),
        event_packages: vec!["presence".to_owned()],
        ..EndpointConfig::default()
    };
    let mut bench = Bench::with(config, udp());
    let sent = bench.feed(request);
    assert_eq!(sent.len(), 1, "{request}");
    assert!(bench.events.is_empty());
    assert_eq!(bench.endpoint.sizes(), Sizes::default(), "a refusal needs no memory");
    assert_eq!(bench.feed(request), sent, "the same answer again, with the same tag");
    let counters = bench.endpoint.counters();
    assert_eq!(counters.refused + counters.malformed, 2);
    (word(&sent[0]).to_owned(), header(&sent[0], name).to_owned())
}

/// A session description beside something that has to be understood, and is not.
const REQUIRED: &str = "--b\nContent-Type: application/sdp\n\nv=0\n--b\nContent-Type: application/isup\n\
                        Content-Disposition: signal;handling=required\n\nx\n--b--";

#[test]
fn refusals_by_rule() {
    let peer = Peer::new();
    let request = |method: &str, more: &str, body: &str| peer.request(method, method, more, body);
    for (text, status, name, value) in [
        (
            request("MESSAGE", "", ""),
            "405",
            "Allow",
            "INVITE, OPTIONS, SUBSCRIBE, REFER, NOTIFY, UPDATE, ACK, BYE, CANCEL, PRACK",
        ),
        (
            request("BREW", "", ""),
            "501",
            "Allow",
            "INVITE, OPTIONS, SUBSCRIBE, REFER, NOTIFY, UPDATE, ACK, BYE, CANCEL, PRACK",
        ),
        (request("OPTIONS", "Require: a, timer, b\n", ""), "420", "Unsupported", "a, b"),
        (request("INVITE", "Content-Type: text/plain\n", "x"), "415", "Accept", ""),
        (
            request("INVITE", "Content-Encoding: gzip\nContent-Type: application/sdp\n", "x"),
            "415",
            "Accept-Encoding",
            "identity",
        ),
        (
            request("INVITE", "Content-Type: multipart/mixed;boundary=b\n", "--b\nContent-Type: text/x\n\nx\n--b--"),
            "415",
            "Accept",
            "",
        ),
        (request("INVITE", "Content-Type: multipart/mixed\n", "--b\n\nx\n--b--"), "400", "Server", "ringplane"),
        (request("INVITE", "Content-Type: multipart/mixed;boundary=b\n", REQUIRED), "415", "Accept", ""),
        (request("INVITE", "", "x"), "400", "Server", "ringplane"),
        (request("INVITE", "Accept: text/plain\n", ""), "406", "Server", "ringplane"),
        (request("INVITE", "Accept:\n", ""), "406", "Server", "ringplane"),
        (request("INVITE", "Accept: text/plain, application/sdp;q=0.0\n", ""), "406", "Server", "ringplane"),
        (request("MESSAGE", "Content-Encoding: gzip\nContent-Type: text/plain\n", "x"), "405", "Allow", ""),
        (
            request("OPTIONS", "Content-Encoding: gzip\nContent-Type: text/plain\n", "x"),
            "415",
            "Accept-Encoding",
            "identity",
        ),
        (
            request("OPTIONS", "", "").replace("OPTIONS sip:us@192.0.2.1", "OPTIONS http://us"),
            "416",
            "Server",
            "ringplane",
        ),
        (request("INVITE", "Supported: timer\nSession-Expires: 30\n", ""), "422", "Min-SE", "90"),
        (request("SUBSCRIBE", "Event: dialog\n", ""), "489", "Allow-Events", "presence"),
        (request("SUBSCRIBE", "", ""), "489", "Allow-Events", "presence"),
        (request("NOTIFY", "Event: presence\nSubscription-State: active\n", ""), "481", "Server", "ringplane"),
        (request("BYE", "", ""), "481", "Server", "ringplane"),
        (request("UPDATE", "", ""), "481", "Server", "ringplane"),
        (request("PRACK", "RAck: 1 1 INVITE\n", ""), "481", "Server", "ringplane"),
        (request("CANCEL", "", ""), "481", "Server", "ringplane"),
        (request("INVITE", "", "").replace("Contact: <sip:peer@192.0.2.9:5062>\n", ""), "400", "Server", "ringplane"),
        (request("INVITE", "Replaces: x;to-tag=1;from-tag=2\n", ""), "481", "Server", "ringplane"),
        (
            request("INVITE", "Replaces: x;to-tag=1;from-tag=2\nReplaces: y;to-tag=1;from-tag=2\n", ""),
            "400",
            "Server",
            "ringplane",
        ),
    ] {
        let (got, field) = refused(&text, name);
        assert_eq!(got, status, "{text}");
        assert!(value.is_empty() != field.is_empty() || field == value, "{text}: {field:?}");
    }
}

/// RFC 4475 §3.1.2.1: nobody can say where the answer goes, but a connection leads back to its sender.
#[test]
fn a_request_whose_via_cannot_be_read_is_refused_over_connections() {
    let request =
        Peer::new().request("OPTIONS", "OPTIONS", "", "").replace("Via: SIP/2.0/UDP ", "Via: SIP/2.0/UDP ;;,");
    for (flow, answers) in [(udp(), 0), (tcp(), 1)] {
        let mut bench = Bench::new(flow);
        let sent = bench.feed(&request);
        assert_eq!(sent.len(), answers, "{request}");
        for answer in &sent {
            assert_eq!((word(answer), header(answer, "CSeq")), ("400", header(&request, "CSeq")));
            assert!(header(answer, "To").contains(";tag="), "{answer}");
        }
        assert_eq!((bench.endpoint.counters().malformed, bench.endpoint.sizes()), (1, Sizes::default()));
    }
}

#[test]
fn a_request_by_two_ways_is_merged() {
    let mut bench = Bench::new(udp());
    let peer = Peer::new();
    bench.feed(&peer.invite());
    let other_way = Peer { branch: "otherway".into(), ..peer.clone() };
    assert_eq!(words(&bench.feed(&other_way.invite())), ["482"]);
    let next = Peer { branch: "next".into(), cseq: 2, ..peer.clone() };
    assert!(bench.feed(&next.invite()).is_empty(), "another request of the same caller");
    bench.reject(486);
    bench.assert_empty();
}

#[test]
fn optional_bodies_and_unknown_headers_are_let_through() {
    let mut bench = Bench::new(udp());
    let lines = "Content-Type: text/plain\nContent-Disposition: session;handling=optional\nX-Own: <>{};\n";
    assert!(bench.feed(&Peer::new().request("INVITE", "INVITE", lines, "x")).is_empty());
    assert!(matches!(bench.events[..], [Event::Invite { .. }]));
    bench.reject(486);
    bench.assert_empty();
}

/// RFC 5621: one part that is understood is enough, unless another one has to be. Accept says what the answer may be.
#[test]
fn bodies_of_several_parts_are_let_through() {
    for (lines, body) in [
        ("Content-Type: multipart/mixed;boundary=b\n", REQUIRED.replace("required", "optional")),
        ("Content-Type: multipart/mixed;boundary=b\n", REQUIRED.replace(";handling=required", "")),
        ("Content-Type: multipart/alternative; boundary=\"b\"\n", REQUIRED.to_owned()),
        ("c: Application/SDP;charset=utf-8\n", "v=0\n".to_owned()),
        ("", "v=0\n".to_owned()),
        ("Accept: application/sdp, text/plain\n", String::new()),
        ("Accept: application/*;q=0.5\nAccept: text/plain\n", String::new()),
        ("Accept: */*\n", String::new()),
    ] {
        let mut bench = Bench::new(udp());
        let sent = bench.feed(&Peer::new().request("INVITE", "INVITE", lines, &body));
        assert!(sent.is_empty(), "{lines}{body}: {sent:?}");
        assert!(matches!(bench.events[..], [Event::Invite { .. }]), "{lines}{body}");
        bench.reject(486);
        bench.assert_empty();
    }
}

#[test]
fn full_tables_are_answered_503_with_retry_after() {
    let limits = Limits { max_transactions: 1, ..Limits::default() };
    let mut bench = Bench::with(EndpointConfig { limits, ..EndpointConfig::default() }, udp());
    bench.feed(&Peer::new().invite());
    let second = Peer { call_id: "second", branch: "2".into(), ..Peer::new() };
    let sent = bench.feed(&second.invite());
    assert_eq!((words(&sent), header(&sent[0], "Retry-After")), (vec!["503"], "5"));
    assert_eq!(bench.endpoint.counters().overloaded, 1);
    bench.reject(486);
    bench.assert_empty();
}

#[test]
fn noise_is_counted_and_changes_nothing() {
    let mut bench = Bench::new(udp());
    let (dialog, invite) = bench.answered_call();
    let info = from_callee(&invite, "b", ("INFO", 1), "", "").replace('\n', "\r\n");
    let flow = bench.flow;
    for end in 0..info.len() {
        bench.endpoint.receive(bench.now, &flow, &info.as_bytes()[..end], &mut bench.out);
    }
    let mut bytes = info.clone().into_bytes();
    for index in 0..bytes.len() {
        for noise in [0, b'\r', b'\n', b' ', b';', b'"', 0xff] {
            let kept = std::mem::replace(&mut bytes[index], noise);
            bench.endpoint.receive(bench.now, &flow, &bytes, &mut bench.out);
            bytes[index] = kept;
        }
        bench.drain();
    }
    assert!(bench.endpoint.counters().malformed > 1000);
    assert!(bench.endings().is_empty() && bench.endpoint.dialog_info(dialog).is_some());
    for event in bench.events.clone() {
        if let Event::Request { request, .. } = event {
            let _ = bench.endpoint.respond(bench.now, request, &Answer::of(200), &mut bench.out);
        }
    }
    bench.endpoint.bye(bench.now, dialog, Content::NONE, &mut bench.out).unwrap();
    bench.assert_empty();
}

#[test]
fn an_extension_that_we_insist_on() {
    let config = EndpointConfig { reliability: Reliability::Required, ..EndpointConfig::default() };
    let mut bench = Bench::with(config, udp());
    let refused = bench.feed(&Peer::new().invite());
    assert_eq!((words(&refused), header(&refused[0], "Require")), (vec!["421"], "100rel"));
    let able = Peer { cseq: 2, branch: "2".into(), ..Peer::new() };
    bench.feed(&able.request("INVITE", "INVITE", "Supported: 100rel\n", ""));
    assert!(!header(&bench.ring(180)[0], "RSeq").is_empty());
    bench.reject(486);
    let (_, invite) = bench.call();
    assert_eq!(header(&invite, "Require"), "100rel");
    bench.assert_empty();
}

/// What can be read of a broken request is copied as it came, the rest stays out (RFC 3261 §8.2.6.2).
#[test]
fn a_broken_request_gets_a_400_made_of_what_it_has() {
    let good = Peer::new().request("OPTIONS", "OPTIONS", "", "");
    let without = |name: &str| {
        let lines = good.split_inclusive('\n').filter(|line| !line.starts_with(name));
        lines.collect::<String>()
    };
    let cseq = header(&good, "CSeq").to_owned();
    for (text, name, value) in [
        (without("From:"), "CSeq", cseq.as_str()),
        (without("To:"), "CSeq", cseq.as_str()),
        (without("Call-ID:"), "CSeq", cseq.as_str()),
        (without("CSeq:"), "From", header(&good, "From")),
        (good.replace(&cseq, "7 INVITE"), "CSeq", "7 INVITE"),
        (good.replace(&cseq, "seven OPTIONS"), "CSeq", "seven OPTIONS"),
    ] {
        let (status, copied) = refused(&text, name);
        assert_eq!((status.as_str(), copied.as_str()), ("400", value), "{text}");
    }
    assert!(Bench::with(EndpointConfig::default(), udp()).feed(&without("Via:")).is_empty(), "nowhere to send to");
}

#[test]
fn options_are_answered_without_memory_where_the_user_says_how() {
    let peer = Peer::new();
    let request = peer.request("OPTIONS", "OPTIONS", "", "");
    let mut bench = Bench::with(EndpointConfig::default(), udp());
    bench.endpoint.answer_options(Some(200));
    let sent = bench.feed(&request);
    assert_eq!(word(&sent[0]), "200");
    for name in ["Allow", "Supported", "Accept"] {
        assert!(!header(&sent[0], name).is_empty(), "{name} in {sent:?}");
    }
    assert!(header(&sent[0], "To").contains(";tag="), "{sent:?}");
    assert_eq!(bench.feed(&request), sent, "the same answer again, with the same tag");
    bench.endpoint.answer_options(Some(486));
    assert_eq!(word(&bench.feed(&request)[0]), "486");
    assert!(bench.events.is_empty() && bench.endpoint.sizes() == Sizes::default());
    bench.endpoint.answer_options(None);
    bench.feed(&request);
    assert!(matches!(bench.events[..], [Event::Request { .. }]), "it is the user's to answer again");
}

/// RFC 3329: the list comes back on an unprotected path, and has to be repeated word for word on a protected one.
#[test]
fn security_agreements() {
    let tls = Flow { transport: Transport::Tls, ..tcp() };
    let status = |mechanisms: &[&str], flow: Flow, more: &str| {
        let security = mechanisms.iter().map(|word| (*word).to_owned()).collect();
        let mut bench = Bench::with(EndpointConfig { security, ..EndpointConfig::default() }, flow);
        let more = format!("Require: sec-agree\n{more}");
        let text = Peer::new().request("OPTIONS", "OPTIONS", &more, "").replace("\r\n", "\n").replace('\n', "\r\n");
        bench.endpoint.receive(bench.now, &flow, text.as_bytes(), &mut bench.out);
        let sent = bench.drain();
        let handed_up = bench.events.iter().any(|event| matches!(event, Event::Request { .. }));
        match sent.first() {
            Some(answer) => (word(answer).to_owned(), header(answer, "Security-Server").to_owned()),
            None => (if handed_up { "handed up" } else { "nothing" }.to_owned(), String::new()),
        }
    };
    let asked = |text: &str| (text.to_owned(), String::new());
    let (client, own) = ("Security-Client: ipsec-ike, TLS;q=0.1\n", ["tls;q=0.2"]);
    assert_eq!(status(&[], udp(), client), asked("420"), "not known at all");
    for (flow, more) in [
        (udp(), ""),
        (udp(), client),
        (tls, ""),
        (tls, "Security-Client: ipsec-ike\n"),
        (tls, "Security-Verify: tls;q=0.1\n"),
        (tls, "Security-Verify: tls;q=0.2, digest\n"),
    ] {
        assert_eq!(status(&own, flow, more), ("494".to_owned(), own[0].to_owned()), "{more}");
    }
    for more in [client, "Security-Verify: tls;q=0.2\n"] {
        assert_eq!(status(&own, tls, more), asked("handed up"), "{more}");
    }
}
