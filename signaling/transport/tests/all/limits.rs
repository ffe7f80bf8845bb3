//! Everything that takes too long or is too much. Time is virtual: nothing here waits.

use crate::certificates::Authority;
use crate::site::{Event, Site, config, message, read_exactly, read_to_end, write};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use transport::{CloseReason, Limits, SendError, StreamCounter, StreamsConfig, Target, Transport};

const S: fn(u64) -> Duration = Duration::from_secs;

#[tokio::test(start_paused = true)]
async fn a_trickle_of_bytes_is_no_message() {
    let mut site = Site::limited(Transport::Tcp, Limits { message: S(10), ..Limits::default() });
    let mut client = site.client().await;
    write(&mut client, &message(1)).await;
    let (flow, _) = site.message().await;
    let start = Instant::now();
    let trickle = tokio::spawn(async move {
        for byte in message(2).iter().chain(&[b'x'; 1_000]) {
            if tokio::io::AsyncWriteExt::write_all(&mut client, &[*byte]).await.is_err() {
                break;
            }
            sleep(S(1)).await;
        }
    });
    assert_eq!(site.closed().await, (flow, CloseReason::MessageLate(S(10))));
    assert!((S(10)..S(12)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(site.count(StreamCounter::MessageLate), 1);
    trickle.abort();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_closes() {
    let mut site = Site::limited(Transport::Tcp, Limits { message: S(10), ..Limits::default() });
    let mut client = site.client().await;
    write(&mut client, b"INVITE sip:b SIP/2.0\r\nContent-Length: 100\r\n\r\nv=0").await;
    assert_eq!(site.closed().await.1, CloseReason::MessageLate(S(10)));
    assert_eq!(read_to_end(&mut client).await, b"");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_opens_and_says_nothing_closes() {
    let mut site = Site::limited(Transport::Tcp, Limits { first_message: S(30), ..Limits::default() });
    let start = Instant::now();
    let mut client = site.client().await;
    sleep(S(20)).await;
    write(&mut client, b"\r\n\r\n").await;
    assert_eq!(read_exactly(&mut client, 2).await, b"\r\n");
    assert_eq!(site.closed().await.1, CloseReason::FirstMessageLate(S(30)), "a ping is no message");
    assert!((S(30)..S(31)).contains(&start.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn idle_connections_close_in_order_on_both_sides() {
    let mut a = Site::limited(Transport::Tcp, Limits { idle: S(600), ..Limits::default() });
    let mut b = Site::limited(Transport::Tcp, Limits { idle: S(60), ..Limits::default() });
    let start = Instant::now();
    let flow = b.streams.send_to(&a.target(None), &message(1)).unwrap();
    let (accepted, _) = a.message().await;
    sleep(S(50)).await;
    a.streams.send(&accepted, &message(2)).unwrap();
    assert_eq!(b.message().await.1, message(2));
    assert_eq!(b.closed().await, (flow, CloseReason::Idle(S(60))));
    assert_eq!(a.closed().await, (accepted, CloseReason::PeerClosed));
    assert!((S(110)..S(112)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!((b.count(StreamCounter::Idle), a.count(StreamCounter::Idle)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn keep_alives_keep_a_healthy_connection_and_find_a_dead_one() {
    for transport in [Transport::Tcp, Transport::Ws] {
        let a = Site::limited(transport, Limits { idle: S(200), first_message: S(500), ..Limits::default() });
        let limits = Limits { keep_alive: Some(S(100)), idle: S(150), pong: S(10), ..Limits::default() };
        let mut b = Site::limited(transport, limits);
        b.streams.flow_to(&a.target(None)).unwrap();
        b.opened().await;
        sleep(S(450)).await;
        assert!(b.is_quiet(), "pings and pongs are life");
        assert_eq!(b.count(StreamCounter::PingsSent), 4);
    }
    // A peer that answers once and then dies.
    let limits = Limits { keep_alive: Some(S(100)), idle: S(500), pong: S(10), ..Limits::default() };
    let mut site = Site::limited(Transport::Tcp, limits);
    let mut client = site.client().await;
    write(&mut client, &message(1)).await;
    let (flow, _) = site.message().await;
    let start = Instant::now();
    assert_eq!(read_exactly(&mut client, 4).await, b"\r\n\r\n");
    write(&mut client, b"\r\n").await;
    assert_eq!(read_exactly(&mut client, 4).await, b"\r\n\r\n");
    assert_eq!(site.closed().await, (flow, CloseReason::NoPong(S(10))));
    assert!((S(210)..S(212)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_dropped() {
    let limits = Limits { write_stall: S(10), queue_max_bytes: 70_000, ..Limits::default() };
    let mut site = Site::limited(Transport::Tcp, limits);
    let mut client = site.client().await;
    write(&mut client, &message(1)).await;
    let (flow, _) = site.message().await;
    while site.streams.send(&flow, &message(299)).is_ok() {
        tokio::task::yield_now().await;
    }
    let first = site.next().await;
    assert!(matches!(first, Event::SendFailed(failed, _, CloseReason::WriteStalled(_)) if failed == flow), "{first:?}");
    assert_eq!(site.closed().await, (flow, CloseReason::WriteStalled(S(10))));
}

#[tokio::test(start_paused = true)]
async fn half_open_handshakes_end_in_time() {
    let authority = Authority::new();
    for transport in [Transport::Tls, Transport::Ws, Transport::Wss] {
        let mut site = Site::secure(&[transport], authority.tls(&["a.example.com"]));
        let start = Instant::now();
        let mut silent = site.client().await;
        let mut half = site.client().await;
        let begun: &[u8] = if transport == Transport::Ws { b"GET / HTTP/1.1\r\n" } else { b"\x16\x03\x01\x02\x00\x01" };
        write(&mut half, begun).await;
        read_to_end(&mut silent).await;
        read_to_end(&mut half).await;
        assert!((S(5)..S(6)).contains(&start.elapsed()), "{:?}", start.elapsed());
        assert_eq!(site.count(StreamCounter::HandshakeTimedOut), 2);
        assert_eq!(site.count(StreamCounter::ConnectionsOpen), 0);
        assert!(site.is_quiet(), "what never opened is nobody's business");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_shakes_hands_gives_the_message_back() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = Authority::new();
    let mut site = Site::secure(&[], authority.tls(&[]));
    let address = silent.local_addr().unwrap();
    let target = Target { transport: Transport::Tls, address, tls_name: Some("a.example.com".into()) };
    let flow = site.streams.send_to(&target, &message(1)).unwrap();
    assert_eq!(site.next().await, Event::SendFailed(flow, message(1), CloseReason::HandshakeTimedOut(S(5))));
}

#[tokio::test(start_paused = true)]
async fn a_websocket_message_that_never_ends_closes() {
    use tokio_tungstenite::tungstenite::{ClientRequestBuilder, http::Uri};
    let mut site = Site::limited(Transport::Ws, Limits { message: S(10), ..Limits::default() });
    let request = ClientRequestBuilder::new(Uri::from_static("ws://a/")).with_sub_protocol("sip");
    let (browser, _) = tokio_tungstenite::client_async(request, site.client().await).await.unwrap();
    let mut raw = browser.into_inner();
    let start = Instant::now();
    write(&mut raw, b"\x81\xfe\x01\x00").await; // a masked text frame of 256 bytes, and nothing of it
    assert_eq!(site.closed().await.1, CloseReason::MessageLate(S(10)));
    assert!((S(10)..S(11)).contains(&start.elapsed()), "{:?}", start.elapsed());
    // Pings between its fragments do not give it more time.
    let request = ClientRequestBuilder::new(Uri::from_static("ws://a/")).with_sub_protocol("sip");
    let (browser, _) = tokio_tungstenite::client_async(request, site.client().await).await.unwrap();
    let mut raw = browser.into_inner();
    let start = Instant::now();
    let trickle = tokio::spawn(async move {
        write(&mut raw, b"\x01\x81\0\0\0\0S").await;
        while tokio::io::AsyncWriteExt::write_all(&mut raw, b"\x89\x80\0\0\0\0\x00\x81\0\0\0\0I").await.is_ok() {
            sleep(S(1)).await;
        }
    });
    assert_eq!(site.closed().await.1, CloseReason::MessageLate(S(10)));
    assert!((S(10)..S(12)).contains(&start.elapsed()), "{:?}", start.elapsed());
    trickle.abort();
}

#[tokio::test]
async fn a_flood_of_connections_stops_at_its_bounds() {
    let limits = Limits { connections_max_count: 20, connections_per_source_max_count: 8, ..Limits::default() };
    let mut site = Site::limited(Transport::Tcp, limits);
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(site.client().await);
    }
    for _ in 0..8 {
        site.opened().await;
    }
    // The ones refused are closed at once, and the others work.
    let mut alive = 0;
    for client in &mut clients {
        use tokio::io::AsyncWriteExt;
        let _ = client.write_all(&message(1)).await;
    }
    while alive < 8 {
        site.message().await;
        alive += 1;
    }
    assert_eq!((site.count(StreamCounter::Accepted), site.count(StreamCounter::RefusedSource)), (8, 42));
    // Another address of this host has its own count, up to the total.
    let mut others = Vec::new();
    for host in 2..5 {
        for _ in 0..8 {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind(std::net::SocketAddr::from(([127, 0, 0, host], 0))).unwrap();
            others.push(socket.connect(site.address()).await.unwrap());
        }
    }
    for _ in 0..12 {
        site.opened().await;
    }
    read_to_end(others.last_mut().unwrap()).await;
    assert_eq!((site.count(StreamCounter::ConnectionsOpen), site.count(StreamCounter::RefusedTotal)), (20, 12));
    let target = Target { transport: Transport::Tcp, address: "127.0.0.1:9".parse().unwrap(), tls_name: None };
    assert_eq!(site.streams.send_to(&target, &message(1)), Err(SendError::TooManyConnections));
    drop(clients.remove(0));
    site.closed().await;
    let mut again = site.client().await;
    write(&mut again, &message(5)).await;
    assert_eq!(site.message().await.1, message(5));
}

#[tokio::test]
async fn unfinished_messages_have_a_bound_together() {
    let limits = Limits { unfinished_total_max_bytes: 100_000, ..Limits::default() };
    let mut site = Site::limited(Transport::Tcp, limits);
    let unfinished = format!("INVITE sip:b SIP/2.0\r\nX: {}", "x".repeat(40_000));
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = site.client().await;
        write(&mut client, unfinished.as_bytes()).await;
        clients.push(client);
    }
    assert_eq!(site.closed().await.1, CloseReason::MemoryExceeded);
    // What it took is free again.
    let mut client = site.client().await;
    write(&mut client, &message(1)).await;
    assert_eq!(site.message().await.1, message(1));
    assert_eq!(site.count(StreamCounter::MemoryExceeded), 1);
}

#[tokio::test]
async fn all_queues_have_a_bound_together() {
    let limits = Limits { queue_max_bytes: 70_000, queues_total_max_bytes: 100_000, ..Limits::default() };
    let site = Site::new(StreamsConfig { limits, ..config(&[], "127.0.0.1") });
    let listeners: Vec<_> = (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let targets: Vec<_> = listeners
        .iter()
        .map(|listener| Target { transport: Transport::Tcp, address: listener.local_addr().unwrap(), tls_name: None })
        .collect();
    // Nothing is written before this task waits for the first time.
    let large = vec![b'x'; 60_000];
    assert!(site.streams.send_to(&targets[0], &large).is_ok());
    assert_eq!(site.streams.send_to(&targets[0], &large), Err(SendError::QueueFull));
    assert_eq!(site.streams.send_to(&targets[1], &large), Err(SendError::QueueFull));
    assert!(site.streams.send_to(&targets[1], &large[..30_000]).is_ok());
    assert_eq!(site.count(StreamCounter::QueueFull), 2);
}
