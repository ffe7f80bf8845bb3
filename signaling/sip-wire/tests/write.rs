//! What is written: answers, forwarded messages, and everything that must not be.

use sip_wire::{
    Address, Message, Method, Name, Reply, RequestWriter, ResponseWriter, Rewrite, StatusCode, Uri, UriBuf, UriError,
    WriteError,
};

const REQUEST: &str = "INVITE sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bKa;received=6.6.6.6, SIP/2.0/TCP b.example.com\r\n\
    v: SIP/2.0/UDP c.example.com;branch=z9hG4bKc\r\n\
    Record-Route: <sip:p2.example.com;lr>,\r\n <sip:p1.example.com;lr>\r\n\
    Route: <sip:me.example.com;lr>, <sip:next.example.com;lr>\r\n\
    Max-Forwards: 12\r\n\
    f: \"A\" <sip:a@example.com>;tag=1\r\n\
    t: Bob <sip:bob@example.com>\r\n\
    i: x@y\r\n\
    CSeq: 7 INVITE\r\n\
    X-Odd:   kept\t byte for byte\r\n\
    Timestamp: 54\r\n\
    l: 4\r\n\r\nbody and more";

fn request() -> Message<'static> {
    Message::parse(REQUEST.as_bytes()).unwrap()
}

fn answer(status: StatusCode, reply: Reply<'_>) -> String {
    let mut out = Vec::new();
    ResponseWriter::new(&mut out, &request(), status, &reply).finish().unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn an_answer_copies_what_the_rfc_says() {
    let source = Some("192.0.2.77:4711".parse().unwrap());
    let text = answer(StatusCode::RINGING, Reply { to_tag: Some(b"me"), source, reason: None });
    assert_eq!(
        text,
        "SIP/2.0 180 Ringing\r\n\
         Via: SIP/2.0/UDP 10.0.0.1:5060;rport=4711;branch=z9hG4bKa;received=192.0.2.77, SIP/2.0/TCP b.example.com\r\n\
         Via: SIP/2.0/UDP c.example.com;branch=z9hG4bKc\r\n\
         From: \"A\" <sip:a@example.com>;tag=1\r\n\
         To: Bob <sip:bob@example.com>;tag=me\r\n\
         Call-ID: x@y\r\n\
         CSeq: 7 INVITE\r\n\
         Record-Route: <sip:p2.example.com;lr>,\r\n <sip:p1.example.com;lr>\r\n\
         Content-Length: 0\r\n\r\n"
    );
}

#[test]
fn trying_has_no_tag_and_the_timestamp_and_failures_no_record_route() {
    let trying = answer(StatusCode::TRYING, Reply::default());
    assert!(trying.contains("To: Bob <sip:bob@example.com>\r\n") && trying.contains("Timestamp: 54\r\n"));
    assert!(!trying.contains("Record-Route"));
    let busy = answer(StatusCode::BUSY_HERE, Reply { to_tag: Some(b"me"), ..Reply::default() });
    assert!(!busy.contains("Record-Route") && !busy.contains("Timestamp"));
}

#[test]
fn an_ipv6_source_is_written_without_brackets_and_a_mapped_one_as_ipv4() {
    let v6 = Reply { source: Some("[2001:db8::7]:9".parse().unwrap()), ..Reply::default() };
    assert!(answer(StatusCode::OK, v6).contains(";rport=9;branch=z9hG4bKa;received=2001:db8::7,"));
    let mapped = Reply { source: Some("[::ffff:10.0.0.1]:9".parse().unwrap()), ..Reply::default() };
    assert!(answer(StatusCode::OK, mapped).contains(";received=10.0.0.1,"));
}

#[test]
fn a_proxy_changes_only_what_it_must() {
    let message = request();
    let mut forward = Rewrite::new(&message);
    forward.request_uri(b"sip:bob@10.9.9.9").pop_route().max_forwards(11);
    forward.push_via(b"SIP/2.0/UDP p.example.com;branch=z9hG4bKp").via_source("192.0.2.77:4711".parse().unwrap());
    forward.prepend(Name::RecordRoute, b"<sip:p3.example.com;lr>").append_named("X-New", b"1");
    let mut out = Vec::new();
    let size = forward.write(&mut out).unwrap();
    assert_eq!(size, out.len());
    let expected = REQUEST
        .trim_end_matches(" and more")
        .replace("sip:bob@example.com SIP", "sip:bob@10.9.9.9 SIP")
        .replace(
            "Via: SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bKa;received=6.6.6.6",
            concat!(
                "Via: SIP/2.0/UDP p.example.com;branch=z9hG4bKp\r\n",
                "Via: SIP/2.0/UDP 10.0.0.1:5060;rport=4711;branch=z9hG4bKa;received=192.0.2.77"
            ),
        )
        .replace("Record-Route", "Record-Route: <sip:p3.example.com;lr>\r\nRecord-Route")
        .replace("<sip:me.example.com;lr>, ", "")
        .replace("Max-Forwards: 12", "Max-Forwards: 11")
        .replace("l: 4\r\n", "l: 4\r\nX-New: 1\r\n");
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn header_fields_are_added_replaced_and_removed() {
    let message = request();
    let mut out = Vec::new();
    let mut forward = Rewrite::new(&message);
    forward
        .remove(Name::Route)
        .remove_named("x-odd")
        .replace(Name::From, b"<sip:z@z>;tag=2")
        .replace(Name::Expires, b"9");
    forward.prepend(Name::Path, b"<sip:one>").prepend(Name::Path, b"<sip:two>").body(b"text/plain", b"hello");
    forward.write(&mut out).unwrap();
    let written = Message::parse(&out).unwrap();
    assert!(!written.has(Name::Route) && written.header_named("X-Odd").is_none());
    assert_eq!(written.from_tag(), Some(&b"2"[..]));
    assert_eq!(written.expires(), Ok(Some(9)));
    let paths: Vec<_> = written.paths().map(|p| p.unwrap().uri.as_str()).collect();
    assert_eq!(paths, ["sip:two", "sip:one"]);
    assert_eq!((written.body(), written.count_of(Name::ContentLength)), (&b"hello"[..], 1));
}

#[test]
fn a_proxy_takes_its_via_off_a_response() {
    let text = answer(StatusCode::OK, Reply { to_tag: Some(b"me"), ..Reply::default() });
    let message = Message::parse(text.as_bytes()).unwrap();
    let mut vias = Vec::new();
    for pops in 1..=3 {
        let mut out = Vec::new();
        let mut back = Rewrite::new(&message);
        for _ in 0..pops {
            back.pop_via();
        }
        back.write(&mut out).unwrap();
        vias.push(Message::parse(&out).unwrap().vias().map(|v| v.unwrap().host.to_string()).collect::<Vec<_>>());
    }
    assert_eq!(vias, [vec!["b.example.com", "c.example.com"], vec!["c.example.com"], vec![]]);
}

#[test]
fn a_stream_gets_a_content_length() {
    let bytes = REQUEST.replace("l: 4\r\n", "");
    let message = Message::parse(bytes.as_bytes()).unwrap();
    let mut out = Vec::new();
    Rewrite::new(&message).for_stream().write(&mut out).unwrap();
    assert!(out.ends_with(b"Content-Length: 13\r\n\r\nbody and more"));
}

fn new(out: &mut Vec<u8>) -> RequestWriter<'_> {
    RequestWriter::new(out, Method::Options, "sip:a@b")
}

const INJECTIONS: [&str; 4] = ["a\r\nX: y", "a\nb", "a\rb", "a\0b"];

#[test]
fn no_api_string_starts_a_header_field_of_its_own() {
    let message = request();
    for bad in INJECTIONS {
        let mut out = b"untouched".to_vec();
        let refused = |result: Result<usize, WriteError>| assert!(result.is_err(), "{bad:?}");
        let mut w = new(&mut out);
        w.header(Name::Subject, bad);
        assert_eq!(w.finish(), Err(WriteError::Injection(Name::Subject)));
        let mut w = new(&mut out);
        w.named("X-Thing", bad);
        refused(w.finish());
        let mut w = new(&mut out);
        w.named(bad, "x");
        assert_eq!(w.finish(), Err(WriteError::HeaderName));
        let mut w = new(&mut out);
        w.header_fmt(Name::To, format_args!("<sip:{bad}@b>"));
        refused(w.finish());
        refused(new(&mut out).finish_with_body(bad, b"x"));
        assert_eq!(RequestWriter::new(&mut out, Method::Bye, bad).finish(), Err(WriteError::RequestUri));
        for reply in [
            Reply { reason: Some(bad), ..Reply::default() },
            Reply { to_tag: Some(bad.as_bytes()), ..Reply::default() },
        ] {
            refused(ResponseWriter::new(&mut out, &message, StatusCode::OK, &reply).finish());
        }
        let bad = bad.as_bytes();
        refused(Rewrite::new(&message).request_uri(bad).write(&mut out));
        refused(Rewrite::new(&message).push_via(bad).write(&mut out));
        refused(Rewrite::new(&message).append(Name::Subject, bad).write(&mut out));
        refused(Rewrite::new(&message).replace(Name::From, bad).write(&mut out));
        refused(Rewrite::new(&message).append_named("X-Thing", bad).write(&mut out));
        refused(Rewrite::new(&message).body(bad, b"x").write(&mut out));
        assert_eq!(out, b"untouched");
    }
}

#[test]
fn users_strings_with_control_characters_are_no_uris_and_no_addresses() {
    for bad in INJECTIONS {
        assert!(Uri::parse(format!("sip:{bad}@example.com").as_bytes()).is_err(), "{bad:?}");
        assert!(UriBuf::parse(&format!("sip:a@example.com;x={bad}")).is_err(), "{bad:?}");
        assert!(UriBuf::parse(&format!("sip:a@example.com?x={bad}")).is_err(), "{bad:?}");
        assert!(UriBuf::parse(&format!("tel:{bad}")).is_err(), "{bad:?}");
        assert!(UriBuf::parse(&format!("urn:{bad}")).is_err(), "{bad:?}");
        assert_eq!(Address::check(&format!("\"{bad}\" <sip:a@b>")).unwrap_err(), UriError::Character);
    }
}

#[test]
fn limits_are_errors() {
    let message = request();
    let mut forward = Rewrite::new(&message);
    for _ in 0..=sip_wire::limits::EDITS_MAX_COUNT {
        forward.append(Name::Supported, b"x");
    }
    assert_eq!(forward.write(&mut Vec::new()), Err(WriteError::TooManyEdits));
    let long = vec![b'x'; sip_wire::limits::MESSAGE_MAX_BYTES];
    let mut out = Vec::new();
    let writer = RequestWriter::new(&mut out, Method::Message, "sip:a@b");
    assert_eq!(writer.finish_with_body("text/plain", &long), Err(WriteError::TooLarge));
    assert!(out.is_empty());
}

#[test]
fn requests_and_responses_are_not_mixed_up() {
    let text = answer(StatusCode::OK, Reply::default());
    let response = Message::parse(text.as_bytes()).unwrap();
    let mut out = Vec::new();
    assert_eq!(
        ResponseWriter::new(&mut out, &response, StatusCode::OK, &Reply::default()).finish(),
        Err(WriteError::WrongKind)
    );
    assert_eq!(Rewrite::new(&response).request_uri(b"sip:a@b").write(&mut out), Err(WriteError::WrongKind));
    assert_eq!(Rewrite::new(&request()).status(StatusCode::OK).write(&mut out), Err(WriteError::WrongKind));
    assert!(out.is_empty());
}

#[test]
fn lone_line_ends_are_forgiven_but_not_passed_on() {
    let bytes = REQUEST.replace("\r\n", "\n");
    let message = Message::parse(bytes.as_bytes()).unwrap();
    assert_eq!(message.validate_request(), Ok(()));
    let mut out = Vec::new();
    Rewrite::new(&message).write(&mut out).unwrap();
    assert_eq!(out, REQUEST.trim_end_matches(" and more").as_bytes());

    let bytes = REQUEST.replace("kept\t", "kept\r");
    let message = Message::parse(bytes.as_bytes()).unwrap();
    assert_eq!(message.validate_request().unwrap_err().status(), Some(StatusCode::BAD_REQUEST));
    assert!(Rewrite::new(&message).write(&mut out).is_err());
}
