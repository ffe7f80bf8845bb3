//! RFC 4475 and RFC 5118: every message, judged and answered as those documents say.

use sip_wire::{
    Framing, Host, KeepAlive, Message, Method, Name, Reply, ResponseWriter, Rewrite, Scheme, StatusCode, Via, frame,
};
use std::path::PathBuf;

/// What is to become of a message, as far as the wire can tell.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Judged {
    /// Nothing wrong here; what the RFC asks for beyond it is in the note and is sip-core's.
    Fine,
    /// To be answered with this status.
    Answer(u16),
    /// To be dropped: a response that nobody can use.
    Drop,
}

use Judged::{Answer, Drop, Fine};

/// File, section, verdict, and what the RFC wants in words.
const RFC4475: [(&str, &str, Judged, &str); 49] = [
    ("wsinv", "3.1.1.1", Fine, "folds, white space and mixed case all over"),
    ("intmeth", "3.1.1.2", Fine, "the widest range of legal characters"),
    ("esc01", "3.1.1.3", Fine, "escapes in URIs"),
    ("escnull", "3.1.1.4", Fine, "escaped NUL in user parts"),
    ("esc02", "3.1.1.5", Fine, "% that is no escape, in method, header name and quotes"),
    ("lwsdisp", "3.1.1.6", Fine, "no space between display name and <"),
    ("longreq", "3.1.1.7", Fine, "long values, 34 Via values"),
    ("dblreq", "3.1.1.8", Fine, "octets behind the body are not part of the message"),
    ("semiuri", "3.1.1.9", Fine, "semicolon in the user part"),
    ("transports", "3.1.1.10", Fine, "known and unknown transports"),
    ("mpart01", "3.1.1.11", Fine, "multipart body with binary data"),
    ("unreason", "3.1.1.12", Fine, "reason phrase in UTF-8"),
    ("noreason", "3.1.1.13", Fine, "empty reason phrase"),
    ("badinv01", "3.1.2.1", Answer(400), "extra separators in Via and Contact"),
    ("clerr", "3.1.2.2", Answer(400), "Content-Length larger than the datagram"),
    ("ncl", "3.1.2.3", Answer(400), "negative Content-Length"),
    ("scalar02", "3.1.2.4", Answer(400), "CSeq, Max-Forwards, Expires beyond their range"),
    ("scalarlg", "3.1.2.5", Drop, "response with overlarge scalars"),
    ("quotbal", "3.1.2.6", Answer(400), "quote that never closes"),
    ("ltgtruri", "3.1.2.7", Answer(400), "Request-URI in angle brackets"),
    ("lwsruri", "3.1.2.8", Answer(400), "white space inside the Request-URI"),
    ("lwsstart", "3.1.2.9", Answer(400), "several spaces in the request line"),
    ("trws", "3.1.2.10", Answer(400), "spaces at the end of the request line"),
    ("escruri", "3.1.2.11", Answer(400), "header fields in the Request-URI"),
    ("baddate", "3.1.2.12", Answer(400), "Date in another time zone than GMT"),
    ("regbadct", "3.1.2.13", Answer(400), "? in a Contact without angle brackets"),
    ("badaspec", "3.1.2.14", Answer(400), "spaces inside addr-spec"),
    ("baddn", "3.1.2.15", Answer(400), "comma in an unquoted display name"),
    ("badvers", "3.1.2.16", Answer(505), "SIP/7.0"),
    ("mismatch01", "3.1.2.17", Answer(400), "CSeq names another method"),
    ("mismatch02", "3.1.2.18", Answer(501), "the same with an unknown method"),
    ("bigcode", "3.1.2.19", Drop, "status code of 33 bits"),
    ("badbranch", "3.2.1", Fine, "branch of the cookie alone: match transactions by RFC 2543 rules"),
    ("insuf", "3.3.1", Answer(400), "no From, To, Call-ID"),
    ("unkscm", "3.3.2", Answer(416), "unknown scheme in the Request-URI"),
    ("novelsc", "3.3.3", Answer(416), "known but unusual scheme in the Request-URI"),
    ("unksm2", "3.3.4", Fine, "unknown schemes in To, From and Contact: a registrar's matter"),
    ("bext01", "3.3.5", Fine, "420 from whoever does not support what is required"),
    ("invut", "3.3.6", Fine, "415 from a UAS"),
    ("regaut01", "3.3.7", Fine, "unknown scheme of credentials: 401 with a challenge"),
    ("multi01", "3.3.8", Answer(400), "single header fields several times"),
    ("mcl01", "3.3.9", Answer(400), "two Content-Length"),
    ("bcast", "3.3.10", Fine, "response with a second Via: a UAC discards it"),
    ("zeromf", "3.3.11", Fine, "Max-Forwards 0: a proxy says 483, a UAS answers"),
    ("cparam01", "3.3.12", Fine, "unknown parameter of the Contact header field"),
    ("cparam02", "3.3.13", Fine, "unknown parameter of the Contact URI"),
    ("regescrt", "3.3.14", Fine, "escaped header in a Contact URI"),
    ("sdp01", "3.3.15", Fine, "Accept without SDP: 406 from a UAS"),
    ("inv2543", "3.4.1", Fine, "RFC 2543: no branch, no tags, no Max-Forwards"),
];

const RFC5118: [(&str, &str, Judged, &str); 12] = [
    ("ipv6-good", "4.1", Fine, "IPv6 reference in the Request-URI"),
    ("ipv6-bad", "4.2", Answer(400), "the same without brackets"),
    ("port-ambiguous", "4.3", Fine, "a port swallowed by the address"),
    ("port-unambiguous", "4.4", Fine, "a port behind the address"),
    ("via-received-param-with-delim", "4.5", Fine, "received in brackets"),
    ("via-received-param-no-delim", "4.5", Fine, "received without brackets"),
    ("ipv6-in-sdp", "4.6", Answer(400), "IPv6 in SDP; as archived it promises 268 bytes of body and has 251"),
    ("mult-ip-in-header", "4.7", Fine, "both families in Via"),
    ("mult-ip-in-sdp", "4.8", Fine, "both families in SDP"),
    ("ipv4-mapped-ipv6", "4.9", Fine, "IPv4-mapped addresses"),
    ("ipv6-bug-abnf-3-colons", "4.10", Fine, "three colons, as the grammar of RFC 3261 has them"),
    ("ipv6-correct-abnf-2-colons", "4.10", Fine, "two colons, as it should be"),
];

fn load(rfc: &str, name: &str) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "torture", rfc, &format!("{name}.dat")].iter().collect();
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn all() -> impl Iterator<Item = (&'static str, &'static str, Judged, Vec<u8>)> {
    let four = RFC4475.iter().map(|(name, section, judged, _)| ("rfc4475", *name, *section, *judged));
    let six = RFC5118.iter().map(|(name, section, judged, _)| ("rfc5118", *name, *section, *judged));
    four.chain(six).map(|(rfc, name, section, judged)| (name, section, judged, load(rfc, name)))
}

fn judge(bytes: &[u8]) -> Judged {
    let Ok(message) = Message::parse(bytes) else { return Drop };
    let checked = if message.is_request() { message.validate_request() } else { message.validate_response() };
    match checked {
        Ok(()) => Fine,
        Err(fault) => message.answer_to(&fault).map_or(Drop, |status| Answer(status.code())),
    }
}

#[test]
fn every_message_is_judged_as_the_rfc_says() {
    let wrong: Vec<String> = all()
        .filter(|(_, _, judged, bytes)| judge(bytes) != *judged)
        .map(|(name, section, judged, bytes)| {
            let fault = Message::parse(&bytes).map(|m| m.validate_request());
            format!("{name} ({section}): wanted {judged:?}, got {:?}: {fault:?}", judge(&bytes))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_answer_can_be_written_and_carries_what_matches_it() {
    let mut out = Vec::new();
    for (name, _, judged, bytes) in all() {
        let Answer(code) = judged else { continue };
        let request = Message::parse(&bytes).unwrap();
        let fault = request.validate_request().unwrap_err();
        let status = request.answer_to(&fault).unwrap();
        assert_eq!(status.code(), code, "{name}");
        out.clear();
        let reason = fault.to_string();
        let reply = Reply { to_tag: Some(b"1"), reason: Some(&reason), ..Reply::default() };
        ResponseWriter::new(&mut out, &request, status, &reply).finish().unwrap_or_else(|e| panic!("{name}: {e}"));
        let answer = Message::parse(&out).unwrap();
        assert_eq!(answer.status(), Some(status), "{name}");
        for copied in [Name::Via, Name::From, Name::CallId, Name::CSeq] {
            assert_eq!(answer.header(copied), request.header(copied), "{name}: {copied}");
        }
    }
}

#[test]
fn a_rewrite_without_edits_is_the_message_itself() {
    for (name, _, judged, bytes) in all() {
        let Ok(message) = Message::parse(&bytes) else { continue };
        if judged != Fine {
            continue;
        }
        let mut out = Vec::new();
        Rewrite::new(&message).write(&mut out).unwrap();
        let size = bytes.len() - message.after_headers().len() + message.body().len();
        assert_eq!(out, bytes[..size], "{name}");
    }
}

#[test]
fn a_stream_of_valid_messages_is_cut_where_they_end_however_it_arrives() {
    let mut stream = Vec::new();
    let mut sizes = Vec::new();
    for (_, _, judged, bytes) in all() {
        let Ok(message) = Message::parse(&bytes) else { continue };
        if judged == Fine && message.has(Name::ContentLength) {
            let size = bytes.len() - message.after_headers().len() + message.body().len();
            stream.extend_from_slice(&bytes[..size]);
            sizes.push(size);
        }
    }
    for step in [1, 2, 3, 7, 100, 1460, stream.len()] {
        let mut framer = sip_wire::Framer::default();
        let (mut at, mut end, mut found) = (0, 0, Vec::new());
        while at < stream.len() {
            match framer.frame(&stream[at..end]) {
                Framing::Incomplete => end = (end + step).min(stream.len()),
                Framing::Complete { bytes } => {
                    assert_eq!(frame(&stream[at..end]), Framing::Complete { bytes });
                    found.push(bytes);
                    at += bytes;
                }
                other => panic!("step {step} at {at}: {other:?}"),
            }
        }
        assert_eq!(found, sizes, "step {step}");
    }
}

#[test]
fn the_scans_agree_with_the_parser() {
    let mut tags = 0;
    for (name, _, _, bytes) in all() {
        let Ok(message) = Message::parse(&bytes) else { continue };
        assert_eq!(sip_wire::call_id(&bytes), message.call_id().ok(), "{name}");
        if message.to().is_ok() && message.from().is_ok() {
            assert_eq!(sip_wire::to_tag(&bytes), message.to_tag(), "{name}");
            let own = if message.is_request() { message.to_tag() } else { message.from_tag() };
            assert_eq!(sip_wire::own_tag(&bytes), own, "{name}");
            tags += usize::from(own.is_some());
        }
    }
    assert!(tags > 5, "{tags}");
}

#[test]
fn whose_dialog_a_message_is_about() {
    let of = |start: &str, lines: &str| {
        let message =
            format!("\r\n{start}\r\nVia: x\r\nTopic: y;tag=0\r\nf: <sip:b>;tag=2\r\n{lines}\r\n\r\nTo: a;tag=9");
        sip_wire::own_tag(message.as_bytes()).map(|tag| String::from_utf8_lossy(tag).into_owned())
    };
    let (bye, invite, answer) = ("BYE sip:a@b SIP/2.0", "INVITE sip:a@b SIP/2.0", "SIP/2.0 200 OK");
    for to in ["To: <sip:a>;tag=1", "t :sip:a;x;TAG = 1", "TO\t: \"a>;tag=5\" <sip:a;tag=6>\r\n ;tag=1;y"] {
        assert_eq!(of(bye, to).as_deref(), Some("1"), "{to}");
        assert_eq!(of(answer, to).as_deref(), Some("2"), "{to}");
    }
    for to in ["To: <sip:a;tag=1>", "To: \"a;tag=1\" <sip:a>", "Total: <sip:a>;tag=1", "To: <sip:a>;tagged=1"] {
        assert_eq!(of(invite, to), None, "{to}");
    }
    let replaces = "Replaces: 98732@x;from-tag=r33th4x0r;to-tag=ff87ff";
    assert_eq!(of(invite, &format!("To: <sip:a>\r\n{replaces}")).as_deref(), Some("ff87ff"));
    assert_eq!(of(invite, &format!("To: <sip:a>;tag=1\r\n{replaces}")).as_deref(), Some("1"));
    assert_eq!(of(bye, &format!("To: <sip:a>\r\n{replaces}")), None);
    assert_eq!(of(invite, "Replaces: nonsense"), None);
}

fn with<T>(rfc: &str, name: &str, look: impl FnOnce(&Message<'_>) -> T) -> T {
    let bytes = load(rfc, name);
    look(&Message::parse(&bytes).unwrap())
}

#[test]
fn wsinv_in_detail() {
    with("rfc4475", "wsinv", |m| {
        assert_eq!(m.method(), Some(Method::Invite));
        assert_eq!(m.to_tag(), Some(&b"1918181833n"[..]));
        assert_eq!(m.from_tag(), Some(&b"98asjd8"[..]));
        assert_eq!(m.from().unwrap().display_name().as_deref(), Some("J Rosenberg \\\""));
        assert_eq!(m.max_forwards(), Ok(Some(68)));
        assert_eq!(m.cseq().unwrap().number, 9);
        assert_eq!(m.content_length(), Ok(Some(150)));
        assert_eq!(m.body().len(), 150);
        assert_eq!(m.header(Name::Subject), Some(&b""[..]));
        let vias: Vec<Via<'_>> = m.vias().collect::<Result<_, _>>().unwrap();
        assert_eq!(vias.len(), 3);
        assert_eq!(vias[0].branch(), Some(&b"390skdjuw"[..]));
        assert_eq!(vias[0].rfc3261_branch(), None);
        assert_eq!(vias[1].host, Host::Name("spindle.example.com"));
        assert_eq!(vias[2].branch(), Some(&b"z9hG4bK30239"[..]));
        let contact = m.contact().unwrap().unwrap();
        assert_eq!(contact.display_name().as_deref(), Some("Quoted string \"\""));
        assert_eq!(contact.params.get("newparam"), Some(&b"newvalue"[..]));
        assert_eq!(contact.q_thousandths(), Some(330));
        let route = m.routes().next().unwrap().unwrap();
        assert!(route.uri.is_loose());
        assert_eq!(m.header_named("unknownheaderwithunusualvalue"), Some(&b";;,,;;,;"[..]));
        assert_eq!(
            m.header_named("NewFangledHeader").map(sip_wire::text).as_deref(),
            Some("newfangled value continued newfangled value")
        );
    });
}

#[test]
fn the_odd_ones_in_detail() {
    with("rfc4475", "intmeth", |m| {
        assert_eq!(m.method().unwrap().as_bytes(), b"!interesting-Method0123456789_*+`.%indeed'~");
        let uri = m.request_uri().unwrap();
        assert_eq!(uri.user, Some(&b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"[..]));
        assert_eq!(uri.password, Some(&b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"[..]));
        assert_eq!(m.to().unwrap().display_name().as_deref(), Some("BEL:\u{7} NUL:\0 DEL:\u{7f}"));
        assert_eq!(m.from_tag(), Some(&b"_token~1'+`*%!-."[..]));
    });
    with("rfc4475", "esc01", |m| {
        assert!(m.request_uri().unwrap().user_is(b"sips:user@example.com"));
        assert!(m.to().unwrap().uri.user_is(b"user"));
        let contact = m.contact().unwrap().unwrap();
        let lr = sip_wire::Uri::parse(b"sip:caller@host5.example.net;lr;name=value%2541").unwrap();
        assert!(contact.uri.same(&lr), "escapes count as what they stand for");
    });
    with("rfc4475", "escnull", |m| {
        let contacts: Vec<_> =
            m.contacts().map(|c| c.unwrap().address().unwrap().uri.user_decoded().unwrap()).collect();
        assert_eq!(contacts, [b"\0".to_vec(), b"\0\0".to_vec()]);
    });
    with("rfc4475", "esc02", |m| {
        assert_eq!(m.method().unwrap().as_str(), "RE%47IST%45R");
        assert_eq!(m.contacts().count(), 2);
        assert!(m.header_named("C%6Fntact").is_some());
    });
    with("rfc4475", "longreq", |m| assert_eq!(m.vias().filter(Result::is_ok).count(), 34));
    with("rfc4475", "dblreq", |m| {
        assert_eq!(m.body(), b"");
        assert!(m.after_headers().len() > 400);
    });
    with("rfc4475", "semiuri", |m| {
        assert!(m.request_uri().unwrap().user_is(b"user;par=u@example.net"));
        assert_eq!(m.accepts().filter(Result::is_ok).count(), 6);
    });
    with("rfc4475", "mpart01", |m| {
        assert_eq!(m.body().len(), 553);
        assert_eq!(m.content_type().unwrap().unwrap().params.get("boundary"), Some(&b"7a9cbec02ceef655"[..]));
    });
    with("rfc4475", "unreason", |m| {
        assert!(String::from_utf8_lossy(m.reason_phrase()).contains("но сто девяносто девять"))
    });
    with("rfc4475", "noreason", |m| assert_eq!(m.reason_phrase(), b""));
    with("rfc4475", "badbranch", |m| assert_eq!(m.top_via().unwrap().rfc3261_branch(), None));
    with("rfc4475", "bext01", |m| {
        assert_eq!(m.tokens(Name::Require).count(), 2);
        assert!(m.has_token(Name::ProxyRequire, "nordoanyproxiessupportthis"));
    });
    with("rfc4475", "regaut01", |m| {
        let auth = m.authorizations().next().unwrap().unwrap();
        assert_eq!((auth.scheme, auth.get("opaque-data")), (&b"NoOneKnowsThisScheme"[..], Some(&b"here"[..])));
    });
    with("rfc4475", "unksm2", |m| assert_eq!(m.to().unwrap().uri.scheme, Scheme::Other));
    with("rfc4475", "regescrt", |m| {
        let uri = m.contact().unwrap().unwrap().uri;
        assert_eq!(uri.header_pairs().collect::<Vec<_>>(), [(&b"Route"[..], &b"%3Csip:sip.example.com%3E"[..])]);
    });
    with("rfc4475", "cparam01", |m| assert!(m.contact().unwrap().unwrap().params.has("unknownparam")));
    with("rfc4475", "cparam02", |m| assert!(m.contact().unwrap().unwrap().uri.params.has("unknownparam")));
}

#[test]
fn ipv6_in_detail() {
    with("rfc5118", "port-ambiguous", |m| {
        let uri = m.request_uri().unwrap();
        assert_eq!((uri.host, uri.port), (Some(Host::V6("2001:db8::10:5070".parse().unwrap())), None));
    });
    with("rfc5118", "port-unambiguous", |m| {
        let uri = m.request_uri().unwrap();
        assert_eq!((uri.host, uri.port), (Some(Host::V6("2001:db8::10".parse().unwrap())), Some(5070)));
    });
    for name in ["via-received-param-with-delim", "via-received-param-no-delim"] {
        with("rfc5118", name, |m| {
            assert_eq!(m.top_via().unwrap().received(), Some("2001:db8::9:255".parse().unwrap()), "{name}");
        });
    }
    let two = with("rfc5118", "ipv6-correct-abnf-2-colons", |m| m.request_uri().unwrap().host.unwrap().ip());
    let three = with("rfc5118", "ipv6-bug-abnf-3-colons", |m| m.request_uri().unwrap().host.unwrap().ip());
    assert_eq!(two, three);
}

/// What RFC 5118 §4.6 is about, once its Content-Length is put right.
#[test]
fn ipv6_in_sdp_is_fine_with_an_honest_content_length() {
    let text = String::from_utf8(load("rfc5118", "ipv6-in-sdp")).unwrap().replace("Length: 268", "Length: 251");
    assert_eq!(judge(text.as_bytes()), Fine);
    assert!(Message::parse(text.as_bytes()).unwrap().body().ends_with(b"H263-1998/90000\r\n"));
}

#[test]
fn keep_alives_between_messages() {
    assert_eq!(frame(b"\r\n\r\nOPTIONS"), Framing::KeepAlive { bytes: 4, kind: KeepAlive::Ping });
    assert_eq!(frame(b"\r\nOPTIONS"), Framing::KeepAlive { bytes: 2, kind: KeepAlive::Pong });
    assert_eq!(frame(b"\r\n"), Framing::KeepAlive { bytes: 2, kind: KeepAlive::PongOrHalfPing });
    assert_eq!(frame(b"\r\n\r"), Framing::Incomplete);
    assert_eq!(frame(b"\r"), Framing::Incomplete);
    assert_eq!(frame(b""), Framing::Incomplete);
}

#[test]
fn standard_statuses_are_what_the_answers_use() {
    assert_eq!(StatusCode::new(416), Some(StatusCode::UNSUPPORTED_URI_SCHEME));
}
