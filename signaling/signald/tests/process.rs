//! The whole of signaling over loopback, with a small media process of the test's own behind real shared memory.

use config::Config;
use contract::{CloseReason, Command, Event};
use shm::{FromClient, Host, RegionPlan, WorkerIndex};
use signald::Stop;
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A media process that does all that it is asked to, and lives until it is dropped.
struct Media {
    die: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Media {
    fn start(path: PathBuf) -> Self {
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (die, death) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let plan = RegionPlan { rtp_ports: 10_000..=10_007, ..RegionPlan::default() };
            let host = Host::create(&plan).unwrap();
            let mut worker = host.worker(WorkerIndex(0)).unwrap();
            let mut clients = Vec::new();
            while death.recv_timeout(Duration::from_millis(1)) == Err(mpsc::RecvTimeoutError::Timeout) {
                if let Ok((stream, _)) = listener.accept() {
                    host.offer(&stream).unwrap();
                    clients.push(stream);
                }
                while let Some((client, message)) = worker.pop() {
                    let FromClient::Command(command) = message else { continue };
                    let (leg, tag) = (command.leg(), command.tag());
                    let event = match command {
                        Command::Open { .. } => Event::Opened { leg, tag },
                        Command::Update { .. } => Event::Updated { leg, tag },
                        _ => Event::Closed { leg, tag, reason: CloseReason::Asked },
                    };
                    worker.push(client, &event).unwrap();
                }
                worker.wake_clients();
            }
            // The test may have removed the folder already.
            let _ = std::fs::remove_file(path);
        });
        Self { die, thread: Some(thread) }
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        let _ = self.die.send(());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

struct Switch {
    folder: tempfile::TempDir,
    address: SocketAddr,
    stop: Stop,
    thread: Option<JoinHandle<Result<(), signald::Error>>>,
}

fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    config.sip.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.process.runtime_dir = folder.to_owned();
    config
}

impl Switch {
    fn start(folder: tempfile::TempDir) -> Self {
        let config = config(folder.path());
        Self::with(folder, config)
    }

    fn with(folder: tempfile::TempDir, config: Config) -> Self {
        let stop = Stop::new().unwrap();
        let (tell, told) = mpsc::channel();
        let flag = stop.clone();
        let thread =
            std::thread::spawn(move || signald::run(&config, &flag, |ready| tell.send(ready.listening[0]).unwrap()));
        let address = told.recv_timeout(PATIENCE).expect("it starts");
        Self { folder, address, stop, thread: Some(thread) }
    }

    fn ask(&self, command: &str) -> serde_json::Value {
        let mut stream = UnixStream::connect(self.folder.path().join("signal.sock")).unwrap();
        writeln!(stream, "{command}").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Asks until the answer is as it should be.
    fn ask_until(&self, command: &str, is_right: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let until = std::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(command);
            if is_right(&answer) {
                return answer;
            }
            assert!(std::time::Instant::now() < until, "{command}: {answer}");
        }
    }

    fn level(&self, name: &str) -> u64 {
        let stats = self.ask("stats");
        let rows = stats.as_array().unwrap().iter().filter(|row| row["name"] == name);
        rows.map(|row| row["value"].as_u64().unwrap()).sum()
    }

    fn end(mut self) {
        self.stop.request();
        self.thread.take().unwrap().join().unwrap().unwrap();
        assert!(!self.folder.path().join("signal.sock").exists());
    }
}

struct Phone {
    socket: UdpSocket,
    switch: SocketAddr,
}

const SDP: &str = "v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

impl Phone {
    fn new(switch: &Switch) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, switch: switch.address }
    }

    fn send(&self, method: &str, call: &str, to_tag: &str, cseq: u32, body: &str) {
        let us = self.socket.local_addr().unwrap();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{method} sip:tone@{} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{call}{cseq}{method}\r\n\
             From: <sip:alice@example.com>;tag=a1\r\nTo: <sip:tone@example.com>{to_tag}\r\nCall-ID: {call}\r\n\
             CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nContact: <sip:alice@{us}>\r\n{kind}\
             Content-Length: {}\r\n\r\n{body}",
            self.switch,
            body.len()
        );
        self.socket.send_to(text.as_bytes(), self.switch).unwrap();
    }

    /// The next message that starts so; others are passed over.
    fn hear(&self, start: &str) -> String {
        let mut buffer = [0; 4_096];
        loop {
            let (bytes, from) = self.socket.recv_from(&mut buffer).unwrap_or_else(|_| panic!("no {start}"));
            assert_eq!(from, self.switch, "answers come from where the request went");
            let text = String::from_utf8_lossy(&buffer[..bytes]).into_owned();
            if text.starts_with(start) {
                return text;
            }
        }
    }

    fn call(&self, call: &str) -> String {
        self.send("INVITE", call, "", 1, SDP);
        self.hear("SIP/2.0 180");
        let answer = self.hear("SIP/2.0 200");
        let line = answer.lines().find(|line| line.starts_with("To:")).unwrap();
        let tag = format!(";tag={}", line.split("tag=").nth(1).unwrap());
        self.send("ACK", call, &tag, 1, "");
        tag
    }

    /// Takes a BYE and answers it.
    fn hear_bye(&self) {
        let bye = self.hear("BYE ");
        let lines: Vec<&str> = bye
            .lines()
            .filter(|line| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)))
            .collect();
        let text = format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n"));
        self.socket.send_to(text.as_bytes(), self.switch).unwrap();
    }
}

#[test]
fn calls_come_and_go_and_the_operator_sees_them() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let switch = Switch::start(folder);
    let phone = Phone::new(&switch);
    let tag = phone.call("c1");
    let calls = switch.ask_until("calls", |calls| calls[0]["state"] == "connected");
    assert_eq!((calls[0]["codec"].as_str(), calls[0]["remote"].as_str()), (Some("PCMU"), Some("127.0.0.1:4000")));
    assert!(calls[0]["local"].as_str().unwrap().starts_with("127.0.0.1:1000"), "{calls}");
    assert_eq!((switch.level("calls_active"), switch.level("ports_in_use"), switch.level("ports_free")), (1, 1, 3));
    phone.send("BYE", "c1", &tag, 2, "");
    phone.hear("SIP/2.0 200");
    switch.ask_until("calls", |calls| calls.as_array().unwrap().is_empty());
    assert_eq!((switch.level("calls_completed"), switch.level("ports_free")), (1, 4));
    // One more than there are ports.
    for call in ["d1", "d2", "d3", "d4"] {
        phone.call(call);
    }
    phone.send("INVITE", "d5", "", 1, SDP);
    assert!(phone.hear("SIP/2.0 503").contains("Retry-After: 5"));
    // Rubbish and keep-alives are counted.
    phone.socket.send_to(b"hello", phone.switch).unwrap();
    phone.socket.send_to(b"\r\n\r\n", phone.switch).unwrap();
    let rows = |stats: &serde_json::Value, name: &str| {
        stats.as_array().unwrap().iter().any(|row| row["name"] == name && row["value"] == 1)
    };
    switch.ask_until("stats", |stats| {
        rows(stats, "sip_dropped_malformed_packets") && rows(stats, "sip_keep_alive_packets")
    });
    assert_eq!(switch.ask("health")["status"], "ok");
    let stop = switch.stop.clone();
    stop.request();
    for _ in 0..4 {
        phone.hear_bye();
    }
    switch.end();
}

#[test]
fn several_shards_share_the_port_and_each_call_finds_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let mut config = config(folder.path());
    config.sip.shards = 3;
    let switch = Switch::with(folder, config);
    assert_eq!(switch.ask("health")["shards_with_media_plane"], 3);
    for round in 0..10 {
        // Each message of a call from another port, so that most come to a shard that is not theirs.
        let call = format!("c{round}");
        let phones: Vec<Phone> = (0..3).map(|_| Phone::new(&switch)).collect();
        let tag = phones[0].call(&call);
        phones[1].send("BYE", &call, &tag, 2, "");
        phones[1].hear("SIP/2.0 200");
        phones[2].send("BYE", &call, &tag, 3, "");
        phones[2].hear("SIP/2.0 481");
    }
    let sum = |stats: &serde_json::Value, name: &str| {
        let rows = stats.as_array().unwrap().iter().filter(|row| row["name"] == name);
        rows.map(|row| row["value"].as_u64().unwrap()).sum::<u64>()
    };
    switch.ask_until("stats", |stats| sum(stats, "calls_completed") == 10 && sum(stats, "ports_free") == 4);
    switch.end();
}

#[test]
fn a_dead_media_process_ends_its_calls_and_may_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("media-control.sock");
    let media = Media::start(path.clone());
    let switch = Switch::start(folder);
    let phone = Phone::new(&switch);
    phone.call("c1");
    drop(media);
    phone.hear_bye();
    switch.ask_until("health", |health| health["status"] == "no media plane");
    phone.send("INVITE", "c2", "", 1, SDP);
    phone.hear("SIP/2.0 503");
    let _media = Media::start(path);
    switch.ask_until("health", |health| health["status"] == "ok");
    let tag = phone.call("c3");
    phone.send("BYE", "c3", &tag, 2, "");
    phone.hear("SIP/2.0 200");
    switch.ask_until("calls", |calls| calls.as_array().unwrap().is_empty());
    assert_eq!(switch.level("ports_free"), 4);
    switch.end();
}

#[test]
fn trouble_at_the_start_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut config = config(folder.path());
    config.sip.listen = vec![taken.local_addr().unwrap()];
    let error = signald::run(&config, &Stop::new().unwrap(), |_| panic!("it is not ready")).unwrap_err();
    assert!(error.to_string().contains("ss -ulpn"), "{error}");
    // Asked to end before a media process came: no error.
    config.sip.listen = vec!["127.0.0.1:0".parse().unwrap()];
    let stop = Stop::new().unwrap();
    stop.request();
    signald::run(&config, &stop, |_| panic!("it is not ready")).unwrap();
    config.process.runtime_dir = "/proc/none".into();
    let error = signald::run(&config, &Stop::new().unwrap(), |_| panic!("it is not ready")).unwrap_err();
    assert!(error.to_string().contains("runtime_dir"), "{error}");
}
