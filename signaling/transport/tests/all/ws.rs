use crate::certificates::Authority;
use crate::site::{Event, Site, config, message, read_exactly, read_to_end, write};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Error, Message, http::Uri};
use tokio_tungstenite::{WebSocketStream, client_async};
use transport::{CloseReason, Origins, Side, StreamCounter, StreamsConfig, Transport};

fn request(protocol: Option<&str>) -> ClientRequestBuilder {
    let request = ClientRequestBuilder::new(Uri::from_static("ws://sip.example.com/"));
    match protocol {
        Some(protocol) => request.with_sub_protocol(protocol),
        None => request,
    }
}

async fn browser(site: &Site) -> WebSocketStream<TcpStream> {
    let (stream, response) = client_async(request(Some("sip")), site.client().await).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "sip");
    stream
}

#[tokio::test]
async fn a_browser_sends_text_or_binary_whole_or_in_fragments() {
    let mut site = Site::listening(Transport::Ws);
    let mut browser = browser(&site).await;
    browser.send(Message::text(String::from_utf8(message(10)).unwrap())).await.unwrap();
    let (flow, bytes) = site.message().await;
    assert_eq!((flow.transport, bytes), (Transport::Ws, message(10)));
    browser.send(Message::binary(message(11))).await.unwrap();
    assert_eq!(site.message().await, (flow, message(11)));
    let whole = message(12);
    let (first, rest) = whole.split_at(100);
    let (middle, last) = rest.split_at(1);
    let fragment =
        |bytes: &[u8], code, is_last| Message::Frame(Frame::message(bytes.to_vec(), OpCode::Data(code), is_last));
    browser.send(fragment(first, Data::Text, false)).await.unwrap();
    browser.send(fragment(middle, Data::Continue, false)).await.unwrap();
    browser.send(Message::Ping("between".into())).await.unwrap();
    browser.send(fragment(last, Data::Continue, true)).await.unwrap();
    assert_eq!(site.message().await, (flow, message(12)));
    assert_eq!(browser.next().await.unwrap().unwrap(), Message::Pong("between".into()));
    // A message of RFC 7118 needs no Content-Length.
    browser.send(Message::text("OPTIONS sip:b SIP/2.0\r\nTo: x\r\n\r\n")).await.unwrap();
    assert_eq!(site.message().await.1, b"OPTIONS sip:b SIP/2.0\r\nTo: x\r\n\r\n");
    // Ours: text if it is UTF-8, binary otherwise.
    site.streams.send(&flow, &message(1)).unwrap();
    site.streams.send(&flow, b"SIP/2.0 200 \xff\r\n\r\n").unwrap();
    assert_eq!(browser.next().await.unwrap().unwrap(), Message::text(String::from_utf8(message(1)).unwrap()));
    assert_eq!(browser.next().await.unwrap().unwrap(), Message::binary(b"SIP/2.0 200 \xff\r\n\r\n".to_vec()));
    browser.send(Message::text("\r\n\r\n")).await.unwrap();
    assert_eq!(browser.next().await.unwrap().unwrap(), Message::text("\r\n"));
    browser.close(None).await.unwrap();
    assert_eq!(site.closed().await, (flow, CloseReason::PeerClosed));
}

#[tokio::test]
async fn without_the_subprotocol_the_answer_is_400() {
    let mut site = Site::listening(Transport::Ws);
    for protocol in [None, Some("chat"), Some("sipx")] {
        match client_async(request(protocol), site.client().await).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 400),
            other => panic!("{other:?}"),
        }
    }
    let several = request(Some("sip")).with_sub_protocol("chat");
    let _open = client_async(several, site.client().await).await.unwrap();
    site.opened().await;
    let mut not_http = site.client().await;
    write(&mut not_http, &message(1)).await;
    drop(read_to_end(&mut not_http).await);
    assert!(site.is_quiet(), "what never opened is nobody's business");
    assert_eq!((site.count(StreamCounter::HandshakeFailed), site.count(StreamCounter::Accepted)), (4, 1));
}

/// A masked frame of a client with this first byte; the mask is zero.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let mut frame = vec![first];
    match length {
        0..126 => frame.push(0x80 | length as u8),
        _ => frame.extend([0xfe, (length >> 8) as u8, length as u8]),
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

#[tokio::test]
async fn what_breaks_a_rule_closes_with_the_code_that_says_so() {
    let mut site = Site::listening(Transport::Ws);
    let long = [b'x'; 126];
    let fragment = [frame(0x01, b"SIP/"), frame(0x81, b"SIP/2.0")].concat();
    let too_large = [&b"\x82\xff\0\0\0\0\0\x02\0\0\0\0\0\0"[..], &[b'x'; 1_000]].concat();
    let cases: [(&str, Vec<u8>, u16); 15] = [
        ("not masked", b"\x81\x05hello".to_vec(), 1002),
        ("opcode 3", frame(0x83, b"x"), 1002),
        ("opcode 11", frame(0x8b, b"x"), 1002),
        ("reserved bit", frame(0xc1, b"x"), 1002),
        ("fragmented ping", frame(0x09, b"x"), 1002),
        ("long ping", frame(0x89, &long), 1002),
        ("continuation of nothing", frame(0x80, b"x"), 1002),
        ("text inside a fragmented text", fragment, 1002),
        ("close with half a code", frame(0x88, b"\x03"), 1002),
        ("close with a reserved code", frame(0x88, &1005_u16.to_be_bytes()), 1002),
        ("close with a code that nobody has", frame(0x88, &999_u16.to_be_bytes()), 1002),
        ("text that is no UTF-8", frame(0x81, b"SIP/2.0 \xff\xfe"), 1007),
        ("too large", too_large, 1009),
        ("no SIP, as text", frame(0x81, b"hello"), 1003),
        ("no SIP, as bytes", frame(0x82, &[0; 10]), 1003),
    ];
    for has_spoken in [false, true] {
        for (name, bytes, code) in &cases {
            let mut raw = browser(&site).await.into_inner();
            if has_spoken {
                write(&mut raw, &frame(0x82, &message(1))).await;
                assert_eq!(site.message().await.1, message(1));
            }
            // What follows the fault on its way does not turn the goodbye into a reset.
            write(&mut raw, &[&bytes[..], &[0xff; 300]].concat()).await;
            let goodbye = read_to_end(&mut raw).await;
            let (head, words) = goodbye.split_at_checked(4).unwrap_or((&goodbye, b""));
            let expected = [&[0x88, 2 + words.len() as u8][..], &code.to_be_bytes()].concat();
            assert_eq!(head, expected, "{name}: one close frame and no more");
            drop(raw);
            let reason = site.closed().await.1;
            match (code, name.starts_with("close with a")) {
                (1003, _) => assert_eq!(reason, CloseReason::Garbage, "{name}"),
                (_, true) => assert_eq!(reason, CloseReason::PeerClosed, "{name}"),
                _ => assert_eq!(reason, CloseReason::WebSocket(*code), "{name}"),
            }
        }
    }
    assert_eq!((site.count(StreamCounter::Garbage), site.count(StreamCounter::WebSocket)), (4, 22));
    // A goodbye of the peer is answered with its code.
    let mut raw = browser(&site).await.into_inner();
    write(&mut raw, &frame(0x88, &1001_u16.to_be_bytes())).await;
    assert_eq!(read_to_end(&mut raw).await, b"\x88\x02\x03\xe9");
    assert_eq!(site.closed().await.1, CloseReason::PeerClosed);
}

#[tokio::test]
async fn pages_of_foreign_origins_are_kept_out() {
    let list = |list: &[&str]| Origins::Only(list.iter().map(|text| (*text).to_owned()).collect());
    let ours = ["https://phone.example.com", "http://localhost:8080"];
    let with_none = [&ours[..], &["none"]].concat();
    let cases: [(Origins, &[&str], bool); 11] = [
        (Origins::Any, &["https://evil.example.com"], true),
        (Origins::Any, &[], true),
        (list(&ours), &["https://phone.example.com"], true),
        (list(&ours), &["HTTPS://Phone.example.com"], true),
        (list(&ours), &["http://localhost:8080"], true),
        (list(&ours), &["https://evil.example.com"], false),
        (list(&ours), &["https://phone.example.com.evil.example"], false),
        (list(&ours), &["null"], false),
        (list(&ours), &["https://phone.example.com", "https://evil.example.com"], false),
        (list(&ours), &[], false),
        (list(&with_none), &[], true),
    ];
    for (origins, sent, is_let_in) in cases {
        let site = Site::new(StreamsConfig { origins, ..config(&[Transport::Ws], "127.0.0.1") });
        let mut client = site.client().await;
        let lines: String = sent.iter().map(|origin| format!("Origin: {origin}\r\n")).collect();
        let text = format!(
            "GET / HTTP/1.1\r\nHost: sip.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{lines}\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: sip\r\n\r\n"
        );
        write(&mut client, text.as_bytes()).await;
        let status = read_exactly(&mut client, 12).await;
        assert_eq!(status, if is_let_in { b"HTTP/1.1 101" } else { b"HTTP/1.1 403" }, "{sent:?}");
        if !is_let_in {
            read_to_end(&mut client).await;
            drop(client);
            while site.count(StreamCounter::OriginRefused) == 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!((site.count(StreamCounter::HandshakeFailed), site.count(StreamCounter::Accepted)), (0, 0));
        }
    }
}

#[tokio::test]
async fn two_servers_talk_over_ws_and_wss() {
    let authority = Authority::new();
    for transport in [Transport::Ws, Transport::Wss] {
        let mut a = Site::secure(&[transport], authority.tls(&["a.example.com"]));
        let mut b = Site::secure(&[transport], authority.tls(&["b.example.com"]));
        let sent = b.streams.send_to(&a.target(Some("a.example.com")), &message(200)).unwrap();
        assert_eq!(b.opened().await, (sent, Side::Connected, transport.is_secure()));
        let (accepted, bytes) = a.message().await;
        assert_eq!(bytes, message(200));
        for number in 0..50 {
            a.streams.send(&accepted, &message(number)).unwrap();
        }
        for number in 0..50 {
            assert_eq!(b.message().await, (sent, message(number)));
        }
        b.streams.close(&sent);
        assert_eq!(a.closed().await, (accepted, CloseReason::PeerClosed));
        assert_eq!(b.closed().await, (sent, CloseReason::Asked));
        let wrong = b.streams.send_to(&a.target(Some("c.example.com")), &message(1)).unwrap();
        if transport == Transport::Wss {
            assert!(matches!(b.next().await, Event::SendFailed(_, _, CloseReason::CertificateRefused(_))));
            assert_eq!(b.closed().await.0, wrong);
        } else {
            assert_eq!(a.message().await.1, message(1));
        }
    }
}
