use crate::site::{Event, Site, config, message, read_exactly, read_to_end, write};
use sip_wire::ErrorKind;
use std::io;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use transport::{CloseReason, Flow, Limits, SendError, Side, StreamCounter, StreamsConfig, Target, Transport};

#[tokio::test]
async fn messages_go_both_ways_over_one_connection_on_both_families() {
    for host in ["127.0.0.1", "::1"] {
        let mut a = Site::new(config(&[Transport::Tcp], host));
        let mut b = Site::new(config(&[Transport::Tcp], host));
        let sent = b.streams.send_to(&a.target(None), &message(1)).unwrap();
        assert_eq!(sent.remote, a.address());
        assert_eq!(sent.local, b.address(), "Via and Contact say where we listen, not where the kernel sends from");
        let (accepted, side, is_verified) = a.opened().await;
        assert_eq!((side, is_verified, accepted.local), (Side::Accepted, false, a.address()));
        assert_eq!(a.message().await, (accepted, message(1)));
        assert_eq!(a.streams.send(&accepted, &message(2)), Ok(accepted));
        assert_eq!(b.opened().await, (sent, Side::Connected, false));
        assert_eq!(b.message().await, (sent, message(2)));
        // Reuse: by number, and by address from both sides.
        assert_eq!(b.streams.send(&sent, &message(3)), Ok(sent));
        assert_eq!(b.streams.send(&Flow { connection: 0, ..sent }, &message(4)), Ok(sent));
        assert_eq!(b.streams.flow_to(&a.target(None)), Ok(sent));
        assert_eq!(a.message().await, (accepted, message(3)));
        assert_eq!(a.message().await, (accepted, message(4)));
        let back = Target { transport: Transport::Tcp, address: accepted.remote, tls_name: None };
        assert_eq!(a.streams.send_to(&back, &message(5)), Ok(accepted));
        assert_eq!(b.message().await, (sent, message(5)));
        let numbers =
            (b.count(StreamCounter::Connected), b.count(StreamCounter::Reused), a.count(StreamCounter::Accepted));
        assert_eq!(numbers, (1, 2, 1));
        assert_eq!((a.count(StreamCounter::MessagesReceived), b.count(StreamCounter::MessagesSent)), (3, 3));
    }
}

#[tokio::test]
async fn any_segmentation_gives_the_same_messages() {
    let mut site = Site::listening(Transport::Tcp);
    let mut client = site.client().await;
    client.set_nodelay(true).unwrap();
    for byte in message(250) {
        write(&mut client, &[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(site.message().await.1, message(250));
    let many: Vec<u8> = (0..200).flat_map(message).collect();
    write(&mut client, &many).await;
    for number in 0..200 {
        assert_eq!(site.message().await.1, message(number));
    }
    // A large one behind a part of it, then the rest with the start of the next.
    let large = [message(0).as_slice(), &message(299)].concat();
    write(&mut client, &large[..40]).await;
    tokio::task::yield_now().await;
    write(&mut client, &large[40..]).await;
    assert_eq!(site.message().await.1, message(0));
    assert_eq!(site.message().await.1, message(299));
}

#[tokio::test]
async fn the_largest_message_passes_and_a_larger_one_does_not() {
    let (mut a, b) = (Site::listening(Transport::Tcp), Site::listening(Transport::Tcp));
    let head = |body: usize| format!("MESSAGE sip:b SIP/2.0\r\nl: {body}\r\n\r\n");
    let body = 65_535 - head(65_000).len();
    let largest = [head(body).into_bytes(), vec![b'x'; body]].concat();
    assert_eq!(largest.len(), 65_535);
    b.streams.send_to(&a.target(None), &largest).unwrap();
    assert_eq!(a.message().await.1, largest);
    let larger = [largest.as_slice(), b"x"].concat();
    assert_eq!(b.streams.send_to(&a.target(None), &larger), Err(SendError::TooLarge(65_536)));
    let mut client = a.client().await;
    write(&mut client, head(body + 1).as_bytes()).await;
    a.opened().await;
    assert!(matches!(a.next().await, Event::Invalid(_, _, ErrorKind::MessageTooLarge)));
}

#[tokio::test]
async fn pings_are_answered_and_count_for_nothing_else() {
    let mut site = Site::listening(Transport::Tcp);
    let mut client = site.client().await;
    write(&mut client, b"\r\n\r\n").await;
    assert_eq!(read_exactly(&mut client, 2).await, b"\r\n");
    write(&mut client, &[b"\r\n\r\n", message(7).as_slice()].concat()).await;
    assert_eq!(read_exactly(&mut client, 2).await, b"\r\n");
    assert_eq!(site.message().await.1, message(7));
    assert_eq!((site.count(StreamCounter::PingsReceived), site.count(StreamCounter::MessagesSent)), (2, 0));
}

#[tokio::test]
async fn garbage_closes_its_connection_and_no_other() {
    let mut site = Site::listening(Transport::Tcp);
    let mut good = site.client().await;
    write(&mut good, &message(1)).await;
    let (good_flow, _) = site.message().await;
    let garbage: [&[u8]; 4] =
        [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01", b"\0\0\0\0", &[b'A'; 9_000]];
    for bytes in garbage {
        let mut bad = site.client().await;
        write(&mut bad, bytes).await;
        let (flow, reason) = site.closed().await;
        assert_eq!(reason, CloseReason::Garbage);
        assert_ne!(flow, good_flow);
        read_to_end(&mut bad).await;
    }
    assert_eq!(site.count(StreamCounter::Garbage), 4);
    write(&mut good, &message(2)).await;
    assert_eq!(site.message().await, (good_flow, message(2)));
}

#[tokio::test]
async fn what_came_before_noise_is_still_answered() {
    let mut site = Site::listening(Transport::Tcp);
    let mut client = site.client().await;
    write(&mut client, &[message(1).as_slice(), b"noise\r\n\r\n"].concat()).await;
    let (flow, received) = site.message().await;
    assert_eq!(received, message(1));
    let answer = b"SIP/2.0 200 OK\r\nl: 0\r\n\r\n";
    site.streams.send(&flow, answer).unwrap();
    assert_eq!(read_to_end(&mut client).await, answer);
    drop(client);
    assert_eq!(site.closed().await, (flow, CloseReason::Garbage));
    assert_eq!(site.count(StreamCounter::Garbage), 1);
    assert_eq!(site.streams.send(&flow, answer), Err(SendError::Gone));
}

#[tokio::test]
async fn without_content_length_a_request_can_be_answered_then_the_connection_closes() {
    let mut site = Site::listening(Transport::Tcp);
    let mut client = site.client().await;
    let request = b"OPTIONS sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\n\r\n";
    write(&mut client, request).await;
    write(&mut client, &message(1)).await;
    let (flow, ..) = site.opened().await;
    let Event::Invalid(_, head, kind) = site.next().await else { panic!("not refused") };
    assert!(head.starts_with(request));
    assert_eq!(kind, ErrorKind::LengthRequired);
    let answer = b"SIP/2.0 400 Missing Content-Length\r\nl: 0\r\n\r\n";
    site.streams.send(&flow, answer).unwrap();
    assert_eq!(read_to_end(&mut client).await, answer);
    drop(client);
    assert_eq!(site.closed().await, (flow, CloseReason::Invalid));
    assert_eq!((site.count(StreamCounter::Invalid), site.count(StreamCounter::MessagesReceived)), (1, 0));
    assert_eq!(site.streams.send(&flow, answer), Err(SendError::Gone));
}

#[tokio::test]
async fn a_refused_connection_gives_every_message_back() {
    let mut site = Site::listening(Transport::Tcp);
    let free = {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        taken.local_addr().unwrap()
    };
    let target = Target { transport: Transport::Tcp, address: free, tls_name: None };
    let flow = site.streams.send_to(&target, &message(1)).unwrap();
    assert_eq!(site.streams.send_to(&target, &message(2)), Ok(flow));
    let reason = CloseReason::ConnectFailed(io::ErrorKind::ConnectionRefused);
    assert_eq!(site.next().await, Event::SendFailed(flow, message(1), reason.clone()));
    assert_eq!(site.next().await, Event::SendFailed(flow, message(2), reason.clone()));
    assert_eq!(site.next().await, Event::Closed(flow, reason));
    assert_eq!((site.count(StreamCounter::ConnectFailed), site.count(StreamCounter::SendsFailed)), (1, 2));
    assert_eq!(site.count(StreamCounter::ConnectionsOpen), 0);
}

#[tokio::test]
async fn a_reset_is_told_for_its_flow_only() {
    let mut site = Site::listening(Transport::Tcp);
    let (mut first, mut second) = (site.client().await, site.client().await);
    write(&mut first, &message(1)).await;
    let (first_flow, _) = site.message().await;
    write(&mut second, &message(2)).await;
    let (second_flow, _) = site.message().await;
    first.set_zero_linger().unwrap();
    drop(first);
    assert_eq!(site.closed().await, (first_flow, CloseReason::Broken(io::ErrorKind::ConnectionReset)));
    site.streams.send(&second_flow, &message(3)).unwrap();
    assert_eq!(read_exactly(&mut second, message(3).len()).await, message(3));
    assert!(site.is_quiet());
    assert_eq!(site.streams.send(&first_flow, &message(4)), Err(SendError::Gone));
}

#[tokio::test]
async fn a_connection_of_ours_that_is_gone_is_opened_again() {
    let (mut a, mut b) = (Site::listening(Transport::Tcp), Site::listening(Transport::Tcp));
    let first = b.streams.send_to(&a.target(None), &message(1)).unwrap();
    let (accepted, _) = a.message().await;
    a.streams.close(&accepted);
    assert_eq!(b.closed().await, (first, CloseReason::PeerClosed));
    assert_eq!(a.closed().await, (accepted, CloseReason::Asked));
    let second = b.streams.send(&first, &message(2)).unwrap();
    assert!(second.connection > first.connection, "numbers are never used again");
    assert_eq!(a.message().await.1, message(2));
    assert_eq!(a.streams.send(&accepted, &message(3)), Err(SendError::Gone), "nobody listens on the peer's port");
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_loses_nothing_silently() {
    let limits = Limits { queue_max_bytes: 70_000, ..Limits::default() };
    let mut site = Site::limited(Transport::Tcp, limits);
    let mut client = site.client().await;
    write(&mut client, &message(1)).await;
    let (flow, _) = site.message().await;
    let mut other = site.client().await;
    write(&mut other, &message(1)).await;
    let (other_flow, _) = site.message().await;
    // The client reads nothing: what the kernel takes for it is finite, and then so is the queue.
    let mut taken = 0;
    let overflow = loop {
        match site.streams.send(&flow, &message(250)) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 1_000_000, "the queue has no bound");
        if taken % 50 == 0 {
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(overflow, SendError::QueueFull);
    assert_eq!(site.count(StreamCounter::QueueFull), 1);
    site.streams.send(&other_flow, &message(2)).unwrap();
    assert_eq!(read_exactly(&mut other, message(2).len()).await, message(2));
    client.set_zero_linger().unwrap();
    drop(client);
    let mut failed = 0;
    loop {
        match site.next().await {
            Event::SendFailed(failed_flow, bytes, _) if failed_flow == flow => {
                assert_eq!(bytes, message(250));
                failed += 1;
            }
            Event::Closed(closed, CloseReason::Broken(_)) if closed == flow => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(failed > 0);
    // Those two numbers and what was in the batch that broke are all there is.
    assert_eq!(failed, site.count(StreamCounter::SendsFailed));
    assert!(site.count(StreamCounter::MessagesSent) + failed <= taken + 1);
}

#[tokio::test]
async fn messages_that_find_no_room_are_counted() {
    let mut site = Site::listening(Transport::Tcp);
    let mut client = site.client().await;
    site.opened().await;
    site.has_room.store(false, Relaxed);
    write(&mut client, &[message(1), message(2), b"\r\n\r\n".to_vec()].concat()).await;
    assert_eq!(read_exactly(&mut client, 2).await, b"\r\n");
    site.has_room.store(true, Relaxed);
    write(&mut client, &message(3)).await;
    assert_eq!(site.message().await.1, message(3));
    assert_eq!((site.count(StreamCounter::MessagesRefused), site.count(StreamCounter::MessagesReceived)), (2, 3));
}

#[tokio::test]
async fn what_is_queued_at_shutdown_still_arrives() {
    let (mut a, mut b) = (Site::listening(Transport::Tcp), Site::listening(Transport::Tcp));
    let flow = b.streams.send_to(&a.target(None), &message(0)).unwrap();
    b.opened().await;
    for number in 1..100 {
        b.streams.send(&flow, &message(number)).unwrap();
    }
    assert!(b.streams.drain(Duration::from_secs(20)).await);
    for number in 0..100 {
        assert_eq!(a.message().await.1, message(number));
    }
    assert_eq!(a.closed().await.1, CloseReason::PeerClosed);
    assert_eq!(b.closed().await, (flow, CloseReason::Asked));
    assert_eq!(b.streams.send_to(&a.target(None), &message(0)), Err(SendError::ShuttingDown));
    assert!(tokio::net::TcpStream::connect(b.address()).await.is_err(), "nobody listens any more");
    assert_eq!(b.count(StreamCounter::ConnectionsOpen), 0);
}

#[test]
fn with_threads_of_its_own_any_thread_may_send() {
    let (sender, received) = std::sync::mpsc::channel();
    let transport = Transport::Tcp;
    let listen = vec![transport::Listen { transport, address: "127.0.0.1:0".parse().unwrap() }];
    let ours = |listen| StreamsConfig { listen, ..StreamsConfig::default() };
    let server = transport::Streams::start(ours(listen), move |inbound: transport::Inbound<'_>| {
        if let transport::Inbound::Message { bytes, .. } = inbound {
            sender.send(bytes.to_vec()).unwrap();
        }
        true
    });
    let server = server.unwrap();
    let client = transport::Streams::start(ours(Vec::new()), |_: transport::Inbound<'_>| true).unwrap();
    let target = Target { transport, address: server.local_addrs()[0].1, tls_name: None };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (client, target) = (&client, &target);
            scope.spawn(move || {
                (0..50).for_each(|number| assert!(client.send_to(target, &message(thread * 50 + number)).is_ok()))
            });
        }
    });
    let mut all: Vec<_> = (0..200).map(|_| received.recv_timeout(Duration::from_secs(20)).unwrap()).collect();
    let mut expected: Vec<_> = (0..200).map(message).collect();
    all.sort();
    expected.sort();
    assert_eq!(all, expected);
    assert_eq!(server.counters().get(StreamCounter::Accepted), 1, "all threads share one connection");
    client.shutdown(Duration::from_secs(20));
    server.shutdown(Duration::from_secs(20));
}

/// Has room only when told so.
struct Reluctant {
    has_room: Arc<AtomicBool>,
    received: std::sync::mpsc::Sender<Vec<u8>>,
}

impl transport::Receiver for Reluctant {
    fn take(&self, inbound: transport::Inbound<'_>) -> bool {
        if let transport::Inbound::Message { bytes, .. } = inbound {
            self.received.send(bytes.to_vec()).unwrap();
        }
        true
    }

    fn has_room(&self) -> bool {
        self.has_room.load(Relaxed)
    }
}

#[test]
fn nothing_is_read_while_there_is_no_room_and_nothing_is_lost() {
    let (sender, received) = std::sync::mpsc::channel();
    let has_room = Arc::new(AtomicBool::new(false));
    let transport = Transport::Tcp;
    let listen = vec![transport::Listen { transport, address: "127.0.0.1:0".parse().unwrap() }];
    let config = StreamsConfig { listen, ..StreamsConfig::default() };
    let server = transport::Streams::start(config, Reluctant { has_room: has_room.clone(), received: sender }).unwrap();
    let mut client = std::net::TcpStream::connect(server.local_addrs()[0].1).unwrap();
    let all: Vec<_> = (0..2_000).map(message).collect();
    let sent = all.concat();
    let writer = std::thread::spawn(move || client.write_all(&sent).map(|()| client).unwrap());
    while server.counters().get(StreamCounter::ReadsPaused) < 3 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut got: Vec<_> = received.try_iter().collect();
    assert!(got.len() < 1_000, "{} were read without room", got.len());
    has_room.store(true, Relaxed);
    got.extend((got.len()..2_000).map(|_| received.recv_timeout(Duration::from_secs(20)).unwrap()));
    drop(writer.join().unwrap());
    assert_eq!(got, all);
    assert_eq!(server.counters().get(StreamCounter::MessagesRefused), 0);
    server.shutdown(Duration::from_secs(20));
}
