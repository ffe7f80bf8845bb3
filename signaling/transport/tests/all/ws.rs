use crate::certificates::Authority;
use crate::site::{Event, Site, message, read_to_end, write};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Error, Message, http::Uri};
use tokio_tungstenite::{WebSocketStream, client_async};
use transport::{CloseReason, Side, StreamCounter, Transport};

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

#[tokio::test]
async fn what_is_no_sip_or_too_large_closes() {
    let mut site = Site::listening(Transport::Ws);
    let too_large = vec![b'x'; 70_000];
    for bad in [Message::text("hello"), Message::binary(too_large), Message::binary(vec![0; 10])] {
        let mut browser = browser(&site).await;
        browser.send(bad).await.unwrap();
        assert_eq!(site.closed().await.1, CloseReason::Garbage);
    }
    let mut raw = browser(&site).await.into_inner();
    write(&mut raw, b"\x81\x05hello").await; // not masked (RFC 6455 §5.1)
    assert_eq!(site.closed().await.1, CloseReason::Garbage);
    assert_eq!(site.count(StreamCounter::Garbage), 4);
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
