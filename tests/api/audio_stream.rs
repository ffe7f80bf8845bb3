//! The sound of calls to and from programs, directly and over WebSockets.

use crate::certificates::Authority;
use crate::fixture::{builder, until};
use crate::phone::Phone;
use crate::recorded::{Calls, started_recordable};
use futures_util::{SinkExt, StreamExt};
use loadtest::capture::share_of;
use ringplane::api::*;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream as Socket;
use tokio_tungstenite::tungstenite::Message;

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(60);

fn tone(hertz: f64, rate: u32, samples: usize) -> Vec<i16> {
    let step = std::f64::consts::TAU * hertz / f64::from(rate);
    (0..samples).map(|index| (8_000.0 * (step * index as f64).sin()) as i16).collect()
}

fn bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// A program with a call that is up, and its phone.
async fn scene() -> (Arc<SessionCoordinator>, Calls, Phone, Call) {
    let (coordinator, mut calls) = started_recordable(builder(), AudioSource::Silence).await;
    let mut phone = Phone::new(coordinator.local_addr().unwrap());
    let phone = tokio::task::spawn_blocking(move || {
        assert_eq!(phone.call(&phone.offer("0")), 200);
        phone
    });
    let phone = phone.await.unwrap();
    let call = calls.recv().await.unwrap().handle();
    (coordinator, calls, phone, call)
}

/// What a phone says in the background, for so many packets.
fn says(mut phone: Phone, hertz: f64, packets: usize) -> tokio::task::JoinHandle<Phone> {
    tokio::task::spawn_blocking(move || {
        phone.say(&tone(hertz, 8_000, packets * 160), |_| false);
        phone
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_hears_speaks_marks_and_is_told_the_end() {
    let (coordinator, _calls, phone, call) = scene().await;
    assert!(matches!(call.audio_stream(AudioStreamOptions::rate(11_025)).await, Err(SessionError::Config { .. })));
    let options = AudioStreamOptions::rate(16_000);
    let stream = call.audio_stream(options.clone()).await.unwrap();
    assert!(matches!(call.audio_stream(options).await, Err(SessionError::Media { .. })), "one at a time");
    let speaking = says(phone, 1_000.0, 75);
    let mut heard = Vec::new();
    while heard.len() < 16_000 {
        let frame = stream.next().await.unwrap();
        assert_eq!((frame.track, frame.samples.len()), (AudioTrack::Received, 320));
        heard.extend(frame.samples);
    }
    let share = share_at(&heard[6_400..], 1_000.0, 16_000);
    assert!(share > 0.9, "{share} of what is heard");
    let phone = speaking.await.unwrap();
    // Three seconds are given at once; the call takes them at its own pace.
    let sound = tone(440.0, 16_000, 48_000);
    let (listening, sent) = tokio::join!(tokio::task::spawn_blocking(move || (phone.listen(40), phone)), async {
        stream.send(&sound).await?;
        stream.mark("said").await
    });
    sent.unwrap();
    let (heard, phone) = listening.unwrap();
    let share = share_of(&heard[3_200..], 440.0);
    assert!(share > 0.9, "{share} of what the phone hears");
    assert_eq!(stream.next_event().await, Some(AudioStreamEvent::MarkHeard("said".into())));
    // Barge-in: what is on its way is forgotten, and the sender is let go.
    let (sent, flushed) = tokio::join!(stream.send(&sound), async {
        stream.mark("never").await?;
        stream.flush().await
    });
    sent.unwrap();
    flushed.unwrap();
    assert_eq!(stream.next_event().await, Some(AudioStreamEvent::MarkFlushed("never".into())));
    // And the end of the call is the end of the stream.
    let mut phone = phone;
    tokio::task::spawn_blocking(move || phone.hang_up()).await.unwrap();
    while stream.next().await.is_some() {}
    assert_eq!(stream.next_event().await, Some(AudioStreamEvent::Ended(AudioEnd::CallEnded)));
    assert_eq!(stream.next_event().await, None);
    assert!(stream.send(&sound).await.is_err() && stream.flush().await.is_err());
    drop(coordinator);
}

/// The share of a tone at another rate than that of telephones.
fn share_at(samples: &[i16], hertz: f64, rate: u32) -> f64 {
    share_of(samples, hertz * 8_000.0 / f64::from(rate))
}

/// A server's end of a stream, with what it is told first.
async fn server(call: &Call, options: WebSocketOptions) -> (Socket<TcpStream>, WebSocketStream, serde_json::Value) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/agent", listener.local_addr().unwrap());
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        tokio_tungstenite::accept_async(stream).await.unwrap()
    };
    let (mut socket, stream) = tokio::join!(accepting, call.stream_to(&url, options));
    let Message::Text(text) = socket.next().await.unwrap().unwrap() else { panic!("`start` comes first") };
    (socket, stream.unwrap(), serde_json::from_str(&text).unwrap())
}

async fn ended(stream: &WebSocketStream) -> WebSocketSummary {
    tokio::time::timeout(PATIENCE, stream.ended()).await.expect("it ends")
}

/// The next text message of this type.
async fn told(socket: &mut Socket<TcpStream>, kind: &str) -> serde_json::Value {
    loop {
        let Message::Text(text) = socket.next().await.expect("more comes").unwrap() else { continue };
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        if value["type"] == kind {
            return value;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_hears_speaks_and_orders() {
    let (coordinator, _calls, phone, call) = scene().await;
    let options = WebSocketOptions::rate(8_000).tracks(AudioTracks::Both).hang_up_at_end();
    let (mut socket, stream, start) = server(&call, options).await;
    assert_eq!((&start["type"], &start["rate"]), (&"start".into(), &8_000.into()));
    assert_eq!((&start["tracks"], &start["to"]), (&serde_json::json!(["received", "sent"]), &(&*call.to).into()));
    let speaking = says(phone, 1_000.0, 75);
    let (mut left, mut frames) = (Vec::new(), 0);
    while frames < 50 {
        let Message::Binary(frame) = socket.next().await.unwrap().unwrap() else { continue };
        assert_eq!(frame.len(), 4 * 160, "two channels");
        left.extend(frame.chunks_exact(4).map(|pair| i16::from_le_bytes([pair[0], pair[1]])));
        frames += 1;
    }
    let share = share_of(&left[3_200..], 1_000.0);
    assert!(share > 0.9, "{share} of what the server hears");
    let phone = speaking.await.unwrap();
    for _ in 0..30 {
        socket.send(Message::binary(bytes(&tone(440.0, 8_000, 800)))).await.unwrap();
    }
    socket.send(Message::text(r#"{"type":"mark","name":"hello"}"#)).await.unwrap();
    let listening = tokio::task::spawn_blocking(move || (phone.listen(40), phone));
    let mark = told(&mut socket, "mark").await;
    assert_eq!((&mark["name"], &mark["heard"]), (&"hello".into(), &true.into()));
    let (heard, phone) = listening.await.unwrap();
    let share = share_of(&heard[3_200..], 440.0);
    assert!(share > 0.9, "{share} of what the phone hears");
    for text in [r#"{"type":"pause"}"#, r#"{"type":"mark","name":"late"}"#] {
        socket.send(Message::binary(bytes(&[9_000; 1_600]))).await.unwrap();
        socket.send(Message::text(text)).await.unwrap();
    }
    socket.send(Message::text(r#"{"type":"flush"}"#)).await.unwrap();
    let mark = told(&mut socket, "mark").await;
    assert_eq!((&mark["name"], &mark["heard"]), (&"late".into(), &false.into()));
    socket.send(Message::text(r#"{"type":"stop"}"#)).await.unwrap();
    let summary = ended(&stream).await;
    assert_eq!((&summary.end, summary.errors), (&WebSocketEnd::Closed, 0), "{summary:?}");
    assert!(summary.frames_sent >= 50 && summary.messages_received == 32, "{summary:?}");
    // Its phone answers no BYE, so that the last state takes longer.
    assert!(until(PATIENCE, || call.state() != SessionState::Connected).await, "the call ends with it");
    drop((phone, coordinator));
}

/// Nonsense, too much, silence and a dead connection cost the stream, counted and told; the call goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_websocket_costs_only_its_own_stream() {
    let (coordinator, _calls, phone, call) = scene().await;
    for (url, is_config) in [("http://127.0.0.1/", true), ("nonsense", true), ("ws://127.0.0.1:9/", false)] {
        let refused = call.stream_to(url, WebSocketOptions::rate(8_000)).await.unwrap_err();
        assert_eq!(matches!(refused, SessionError::Config { .. }), is_config, "{url}: {refused}");
    }
    // A server that speaks nonsense is told so, and in the end left.
    let options = WebSocketOptions::rate(8_000).buffer(Duration::from_secs(1));
    let (mut socket, stream, _) = server(&call, options.clone()).await;
    socket.send(Message::binary(vec![0; 321])).await.unwrap();
    let error = told(&mut socket, "error").await;
    assert!(error["reason"].as_str().unwrap().contains("321 bytes"), "{error}");
    for _ in 0..30 {
        // The last ones may find nobody.
        let _ = socket.send(Message::text(r#"{"type":"explode"}"#)).await;
    }
    let summary = ended(&stream).await;
    assert_eq!((summary.end, summary.errors), (WebSocketEnd::Nonsense, 20));
    // One that sends a minute at once loses what is beyond its second.
    let (mut socket, stream, _) = server(&call, options.clone()).await;
    for _ in 0..60 {
        socket.send(Message::binary(bytes(&[5; 8_000]))).await.unwrap();
    }
    let error = told(&mut socket, "error").await;
    assert!(error["reason"].as_str().unwrap().contains("too much"), "{error}");
    drop(socket);
    let summary = ended(&stream).await;
    assert!(matches!(summary.end, WebSocketEnd::Broken(_)), "{summary:?}");
    assert!(summary.dropped > Duration::from_secs(40), "{summary:?}");
    // A message longer than any may be breaks the protocol.
    let (mut socket, stream, _) = server(&call, options.clone()).await;
    let _ = socket.send(Message::binary(vec![0; 1 << 20])).await;
    assert!(matches!(ended(&stream).await.end, WebSocketEnd::Broken(_)));
    // A server that takes no handshake, and one that is stopped by the program.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let silent = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4_096]).await;
        drop(stream);
    };
    let (refused, ()) = tokio::join!(call.stream_to(&url, WebSocketOptions::rate(8_000)), silent);
    assert!(matches!(refused, Err(SessionError::Transport { .. })));
    let (mut socket, stream, _) = server(&call, options).await;
    stream.stop();
    assert_eq!(told(&mut socket, "stop").await["reason"], "stopped");
    assert_eq!(ended(&stream).await.end, WebSocketEnd::Stopped);
    assert!(!call.state().is_final(), "the call goes on");
    // One stream after the other, each at once.
    for round in 0..50 {
        let stream = call.audio_stream(AudioStreamOptions::rate(8_000)).await;
        stream.unwrap_or_else(|error| panic!("round {round}: {error}"));
    }
    drop((phone, coordinator));
}

/// The certificate of a `wss://` server has to come from an authority that is trusted, and name the host.
#[tokio::test(flavor = "multi_thread")]
async fn a_secure_websocket_shows_a_certificate_that_is_trusted() {
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let (folders, (coordinator, _calls, phone, call)) = ([(); 2].map(|()| tempfile::tempdir().unwrap()), scene().await);
    let [ours, others] = folders.each_ref().map(|folder| Authority::new(folder.path()));
    let (chain, key) = ours.issue("agent");
    let chain: Vec<_> = CertificateDer::pem_file_iter(chain).unwrap().map(Result::unwrap).collect();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (started, mut start) = tokio::sync::mpsc::channel(8);
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that does not trust us hangs up.
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { continue };
            let Some(Ok(Message::Text(first))) = socket.next().await else { continue };
            started.send(first.to_string()).await.unwrap();
            while let Some(Ok(_)) = socket.next().await {}
        }
    });
    let options = WebSocketOptions::rate(8_000);
    let url = format!("wss://127.0.0.1:{port}/agent");
    for (url, options, is_config) in [
        (&url, options.clone(), false),
        (&url, options.clone().authorities(others.path()), false),
        (&format!("wss://127.0.0.2:{port}/agent"), options.clone().authorities(ours.path()), false),
        (&url, options.clone().authorities("/nowhere/ca.pem"), true),
    ] {
        let refused = call.stream_to(url, options).await.unwrap_err();
        let is_told = matches!(&refused, SessionError::Config { .. } | SessionError::Transport { .. });
        assert!(is_told && (!is_config || matches!(refused, SessionError::Config { .. })), "{url}: {refused}");
    }
    let stream = call.stream_to(&url, options.authorities(ours.path())).await.unwrap();
    let first = tokio::time::timeout(PATIENCE, start.recv()).await.unwrap().unwrap();
    assert!(first.contains(r#""type":"start""#), "{first}");
    stream.stop();
    assert_eq!(ended(&stream).await.end, WebSocketEnd::Stopped);
    server.abort();
    drop((phone, coordinator));
}

/// A server that reads nothing costs its own stream, and never a packet of the call.
#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_never_reads_is_left() {
    let (coordinator, _calls, phone, call) = scene().await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let url = format!("ws://{}/agent", listener.local_addr().unwrap());
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        tokio_tungstenite::accept_async(stream).await.unwrap()
    };
    let options = WebSocketOptions::rate(24_000).tracks(AudioTracks::Both);
    let (deaf, stream) = tokio::join!(accepting, call.stream_to(&url, options));
    let summary = ended(&stream.unwrap()).await;
    assert_eq!(summary.end, WebSocketEnd::TooSlow);
    assert!(summary.frames_sent > 10 && summary.frames_lost > 100, "{summary:?}");
    assert!(!call.state().is_final(), "the call goes on");
    drop((deaf, phone, coordinator));
}
