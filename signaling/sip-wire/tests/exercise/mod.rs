//! Everything that can be asked of bytes from a stranger, with what must hold whatever they are. Shared by the mutation
//! test and by the fuzz targets, so it panics when a promise is broken and says nothing else.

use sip_wire::limits::{MESSAGE_MAX_BYTES, PARAMS_MAX_COUNT, URI_MAX_BYTES, VALUES_MAX_COUNT};
use sip_wire::{
    Address, Auth, CSeq, Contact, DialogId, Framer, Framing, Host, MediaType, Message, Method, Name, Params, RAck,
    Reason, Reply, RequestWriter, ResponseWriter, RetryAfter, Rewrite, SessionExpires, SipDate, StatusCode,
    SubscriptionState, Timestamp, TokenValue, Uri, UriBuf, Via, Warning, escaped_user,
};

/// Bytes as a datagram and as the start of a stream.
pub(crate) fn message(bytes: &[u8]) {
    let _ = sip_wire::call_id(bytes);
    stream(bytes);
    let Ok(message) = Message::parse(bytes) else { return };
    if message.fault().is_none() {
        assert_eq!(sip_wire::call_id(bytes), message.call_id().ok(), "the scan and the parser disagree");
    }
    accessors(&message);
    for header in message.headers() {
        assert!(!header.raw_name.is_empty());
        values(header.value);
    }
    if message.is_request() {
        answers(&message)
    } else {
        assert!(message.status().is_some())
    }
    forwards(&message);
}

/// Bytes as a stream: framing never reports more than there is, and never changes its mind.
pub(crate) fn stream(bytes: &[u8]) {
    let whole = sip_wire::frame(bytes);
    match whole {
        Framing::Complete { bytes: size } => assert!(size > 0 && size <= bytes.len() && size <= MESSAGE_MAX_BYTES),
        Framing::KeepAlive { bytes: size, .. } => assert!(size > 0 && size <= bytes.len()),
        Framing::Incomplete => assert!(bytes.len() < 2 * MESSAGE_MAX_BYTES),
        Framing::Invalid(_) => return,
    }
    if let Framing::Complete { bytes: size } = whole {
        let mut framer = Framer::default();
        let step = (size / 7).max(1);
        let mut end = 0;
        while end + step < size {
            end += step;
            assert_eq!(framer.frame(&bytes[..end]), Framing::Incomplete);
        }
        assert_eq!(framer.frame(bytes), whole);
    }
}

fn accessors(m: &Message<'_>) {
    let _ = (m.from(), m.to(), m.from_tag(), m.to_tag(), m.call_id(), m.cseq(), m.top_via(), m.contact());
    let _ = (m.max_forwards(), m.content_length(), m.content_type(), m.content_disposition(), m.expires());
    let _ = (m.min_expires(), m.session_expires(), m.min_se(), m.rseq(), m.rack(), m.refer_to(), m.referred_by());
    let _ = (m.reply_to(), m.replaces(), m.join(), m.target_dialog(), m.event(), m.subscription_state());
    let _ = (m.retry_after(), m.timestamp(), m.date(), m.refer_sub(), m.info_package(), m.sip_etag());
    let _ = (m.sip_if_match(), m.authentication_info(), m.flow_timer(), m.max_breadth(), m.request_uri());
    let _ = (m.validate_request(), m.validate_response(), m.text(Name::Subject), m.method(), m.reason_phrase());
    assert!(m.body().len() <= m.after_headers().len());
    let lists = [
        m.vias().count(),
        m.contacts().count(),
        m.routes().count(),
        m.record_routes().count(),
        m.paths().count(),
        m.service_routes().count(),
        m.asserted_identities().count(),
        m.preferred_identities().count(),
        m.remote_party_ids().count(),
        m.associated_uris().count(),
        m.diversions().count(),
        m.history_infos().count(),
        m.reasons().count(),
        m.warnings().count(),
        m.accepts().count(),
        m.alert_infos().count(),
        m.call_infos().count(),
        m.recv_infos().count(),
        m.tokens(Name::Supported).count(),
        m.authorizations().count(),
        m.proxy_authorizations().count(),
        m.www_authenticates().count(),
        m.proxy_authenticates().count(),
    ];
    assert!(lists.iter().all(|count| *count <= VALUES_MAX_COUNT + 1));
}

/// One value through every parser of values.
pub(crate) fn values(value: &[u8]) {
    if let Some(via) = Via::parse(value) {
        let _ = (via.branch(), via.rfc3261_branch(), via.received(), via.rport(), via.maddr(), via.ttl());
        assert!(via.same_sent_by(&via));
        params(&via.params);
    }
    if let Some(address) = Address::parse(value) {
        let _ = (address.display_name(), address.tag(), address.expires(), address.q_thousandths());
        let _ = (address.sip_instance(), address.reg_id());
        params(&address.params);
        uri(address.uri.as_bytes());
        let again = Address::parse(address.as_bytes()).expect("what was parsed parses again");
        assert_eq!(again.uri.as_bytes(), address.uri.as_bytes());
    }
    for auth in [Auth::parse(value), Auth::parse_info(value)].into_iter().flatten() {
        assert!(auth.iter().count() <= PARAMS_MAX_COUNT + 1);
        let _ = (auth.nc(), auth.is_stale(), auth.is_digest(), auth.username());
    }
    let _ = (Contact::parse(value), CSeq::parse(value), RAck::parse(value), SessionExpires::parse(value));
    let _ = (DialogId::parse(value), TokenValue::parse(value), SubscriptionState::parse(value));
    let _ = (MediaType::parse(value), RetryAfter::parse(value), Timestamp::parse(value), Host::parse(value));
    let _ = (Reason::parse(value).map(|r| r.text()), Warning::parse(value).map(|w| w.text()));
    if let Some(date) = SipDate::parse(value) {
        assert_eq!(SipDate::parse(date.to_string().as_bytes()).map(|d| d.to_unix()), Some(date.to_unix()));
    }
    if let Some(method) = Method::parse(value) {
        assert_eq!(method.as_bytes(), value);
    }
    if let Some(p) = Params::parse(value) {
        params(&p);
    }
    let _ = sip_wire::text(value);
    uri(value);
}

fn params(params: &Params<'_>) {
    assert!(params.iter().count() <= PARAMS_MAX_COUNT);
    for param in params.iter() {
        assert!(!param.name.is_empty());
        assert!(
            params.has(std::str::from_utf8(param.name).unwrap_or("tag")) || std::str::from_utf8(param.name).is_err()
        );
    }
}

/// Bytes as a URI.
pub(crate) fn uri(bytes: &[u8]) {
    let Ok(uri) = Uri::parse(bytes) else { return };
    assert!(bytes.iter().all(u8::is_ascii_graphic), "nothing that passes can end a line");
    assert_eq!(uri.as_str().as_bytes(), bytes);
    assert!(uri.same(&uri));
    let owned = UriBuf::from(uri);
    assert!(owned.uri().same(&uri) && owned == owned.clone());
    let number = uri.number();
    let canonical = uri.canonical();
    assert!(canonical.len() > URI_MAX_BYTES || Uri::parse(canonical.as_bytes()).is_ok(), "{uri} as {canonical}");
    if uri.scheme.is_sip() {
        let other = uri.with_user_part(&escaped_user(&uri.user_text()));
        let is_whole = uri.user_text().is_empty() || Uri::parse(other.as_bytes()).is_ok();
        assert!(is_whole || other.len() > URI_MAX_BYTES, "{uri} as {other}");
    }
    if let Some(number) = &number {
        for text in [number.to_string(), number.of_host("h")].iter().filter(|text| text.len() <= URI_MAX_BYTES) {
            let again = Uri::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{uri} as {text}: {error}"));
            assert_eq!(again.number().as_ref(), Some(number), "{uri} as {text}");
        }
    }
    let _ = (uri.user_decoded(), uri.port_or_default(), uri.transport(), uri.is_loose(), uri.opaque());
    assert!(uri.header_pairs().count() <= PARAMS_MAX_COUNT);
    assert!(uri.params.iter().count() <= PARAMS_MAX_COUNT);
}

/// An answer has the header fields of an answer and no other, whatever the request holds.
fn answers(request: &Message<'_>) {
    let fault = request.validate_request().err();
    let status = fault.and_then(|f| request.answer_to(&f)).unwrap_or(StatusCode::OK);
    let reason = fault.map(|f| f.to_string());
    let source = Some(([192, 0, 2, 1], 5060).into());
    let reply = Reply { to_tag: Some(b"tag"), source, reason: reason.as_deref() };
    let mut out = Vec::new();
    if ResponseWriter::new(&mut out, request, status, &reply).finish().is_err() {
        assert!(out.is_empty());
        return;
    }
    let answer = Message::parse(&out).expect("our answer parses");
    assert_eq!((answer.status(), answer.fault()), (Some(status), None));
    assert_eq!(answer.count_of(Name::Via), request.count_of(Name::Via));
    for header in answer.headers() {
        use Name::*;
        assert!(matches!(header.name, Via | From | To | CallId | CSeq | RecordRoute | Timestamp | ContentLength));
    }
    if request.validate_request().is_ok() {
        assert_eq!(answer.validate_response(), Ok(()));
        assert_eq!(answer.call_id(), request.call_id());
        let (theirs, ours) = (request.top_via().expect("valid"), answer.top_via().expect("answer"));
        assert_eq!((theirs.branch(), ours.received()), (ours.branch(), ours.received()));
    }
}

/// Forwarding without edits changes nothing that a parser sees; forwarding that again changes nothing at all.
fn forwards(message: &Message<'_>) {
    let mut once = Vec::new();
    if Rewrite::new(message).write(&mut once).is_err() {
        assert!(once.is_empty());
        return;
    }
    if message.fault().is_some() {
        return;
    }
    let copy = Message::parse(&once).expect("our copy parses");
    assert_eq!(copy.fault(), None);
    assert_eq!(copy.header_count(), message.header_count());
    for (a, b) in copy.headers().zip(message.headers()) {
        assert_eq!((a.name, a.raw_name), (b.name, b.raw_name));
    }
    assert_eq!(copy.body(), message.body());
    let mut twice = Vec::new();
    Rewrite::new(&copy).write(&mut twice).expect("a copy can be copied");
    assert_eq!(once, twice);
    let mut edited = Vec::new();
    let mut edits = Rewrite::new(message);
    edits.push_via(b"SIP/2.0/UDP p;branch=z9hG4bKp").pop_route().max_forwards(9).via_source(([192, 0, 2, 1], 9).into());
    edits.remove(Name::Subject).replace(Name::Contact, b"<sip:c>").append_named("X-P", b"1").for_stream();
    if edits.write(&mut edited).is_ok() {
        let edited = Message::parse(&edited).expect("our edit parses");
        assert_eq!(edited.top_via().map(|v| v.as_bytes()), Ok(&b"SIP/2.0/UDP p;branch=z9hG4bKp"[..]));
        assert_eq!((edited.max_forwards(), edited.has(Name::Subject)), (Ok(Some(9)), false));
        assert_eq!(edited.count_of(Name::Contact), 1);
    }
}

/// Bytes as what a user hands to the writers: whatever gets through adds no header field of its own.
pub(crate) fn written(bytes: &[u8]) {
    let mut parts = bytes.splitn(4, |b| *b == b'|');
    let mut next = || parts.next().unwrap_or_default();
    let (uri, name, value, body) = (next(), String::from_utf8_lossy(next()), next(), next());
    let mut out = Vec::new();
    let mut request = RequestWriter::new(&mut out, Method::Message, uri);
    request.header(Name::Subject, value).named(&name, value);
    request.header_fmt(Name::Reason, format_args!("{}", String::from_utf8_lossy(value)));
    if request.finish_with_body(&String::from_utf8_lossy(value), body).is_err() {
        assert!(out.is_empty());
        return;
    }
    let read = Message::parse(&out).expect("what we write parses");
    assert_eq!((read.fault(), read.request_uri_raw()), (None, uri));
    assert_eq!(read.header_count(), 4 + usize::from(!value.is_empty() && !body.is_empty()));
    assert!(read.after_headers() == body);
}
