//! Corpora and other people's fuzzers against the running switch: it goes on, and its memory does not grow with what it was
//! sent.

use crate::machine::{alone, plan, root, start};
use clock::Duration;
use loadtest::connection::{Connector, Over};
use loadtest::corpus::{flood_corpus, read};
use loadtest::is_full_run;
use loadtest::peers::{Process, Switch, free_port, wait_for};
use loadtest::usage::{self, Usage};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use tempfile::TempDir;

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A switch on every transport that forgets in seconds (64*T1) what it remembers of a request.
struct Place {
    switch: Switch,
    folder: TempDir,
    /// The configuration names what is in it.
    _certificates: TempDir,
    ways: Vec<(Over, SocketAddr)>,
}

fn everywhere() -> Place {
    let certificates = tempfile::tempdir().unwrap();
    let (chain, key) = (certificates.path().join("c.pem"), certificates.path().join("c.key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&chain)
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let at = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(Ipv4Addr::LOCALHOST.into()).unwrap()));
    let (tls, ws, wss) = (at(), at(), at());
    let mut plan = plan(200);
    plan.sip = format!("t1_ms = 50\nlisten_tls = [\"{tls}\"]\nlisten_ws = [\"{ws}\"]\nlisten_wss = [\"{wss}\"]");
    plan.media = format!("\n[tls]\ncertificates = [{{ chain = {chain:?}, key = {key:?} }}]");
    let (switch, folder) = start(&plan);
    let sip = switch.sip;
    let ways = vec![(Over::Udp, sip), (Over::Tcp, sip), (Over::Tls, tls), (Over::Ws, ws), (Over::Wss, wss)];
    Place { switch, folder, _certificates: certificates, ways }
}

impl Place {
    fn signaling(&self) -> (u32, Usage) {
        let pid = self.switch.part("signal").expect("signaling runs");
        (pid, usage::of_process(pid).expect("its usage is readable"))
    }

    /// Waits until nothing is remembered any more; gives what signaling needs then.
    fn idle(&self) -> (u32, Usage) {
        const LEVELS: [&str; 5] =
            ["calls_active", "transactions_open", "legs_open", "ports_in_use", "stream_connections_open"];
        // One question for all of them: each is a process of its own.
        let left = || -> Option<u64> {
            let stats = self.switch.ask("stats").ok()?;
            let rows = stats.as_array()?.iter().filter(|row| LEVELS.iter().any(|name| row["name"] == *name));
            let values: Vec<u64> = rows.filter_map(|row| row["value"].as_u64()).collect();
            (values.len() >= LEVELS.len()).then(|| values.iter().sum())
        };
        let is_idle = wait_for(PATIENCE, || (left() == Some(0)).then_some(()));
        assert!(is_idle.is_some(), "{} of {LEVELS:?} are left", left().unwrap_or(u64::MAX));
        self.signaling()
    }

    /// OPTIONS is answered over every transport.
    fn is_answered(&self, name: &str) {
        for (over, to) in &self.ways {
            let request = |local: SocketAddr| {
                let via = over.via_name();
                format!(
                    "OPTIONS sip:tone@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{via} {local};rport;branch=z9hG4bK{name}{via}\r\n\
                     From: <sip:a@example.com>;tag=1\r\nTo: <sip:tone@example.com>\r\nCall-ID: {name}{via}\r\n\
                     CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
                )
            };
            if *over != Over::Udp {
                let mut connection = Connector::new(*over, *to).unwrap().open().unwrap();
                connection.send(request(connection.local).as_bytes()).unwrap();
                let answer = connection.answer().unwrap();
                assert!(answer.starts_with("SIP/2.0 200"), "{over:?}: {answer}");
                continue;
            }
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let answered = wait_for(PATIENCE, || {
                socket.send_to(request(socket.local_addr().unwrap()).as_bytes(), to).unwrap();
                let mut buffer = [0; 2_048];
                let bytes = socket.recv(&mut buffer).ok()?;
                buffer[..bytes].starts_with(b"SIP/2.0 200").then_some(())
            });
            assert!(answered.is_some(), "no answer over UDP");
        }
    }
}

/// Every sample of the tree, each time as another call: as many messages as a transaction of 300 bytes that is never
/// forgotten would make 50 MB of.
#[test]
fn memory_is_flat_whatever_is_sent() {
    const DATAGRAMS: u64 = 25_000;
    const MESSAGES: u64 = 650; // over each kind of connection
    /// Rounds before memory counts, and between readings of it.
    const WARM_UP: usize = 2;
    let rounds = if is_full_run() { 8 } else { 4 };
    /// Pages that the allocator keeps from the busiest moment; a leak of 16 bytes a message would be more.
    const GROWTH_MAX_BYTES: u64 = 2 << 20;
    let _turn = alone();
    let place = everywhere();
    let wire = root().join("signaling/sip-wire");
    let samples = read(&["fuzz/corpus", "tests/torture", "tests/samples"].map(|name| wire.join(name))).unwrap();
    let (mut first, mut datagrams, mut messages, mut answered) = (None, 0, 0, 0);
    for round in 0..rounds {
        for (over, to) in &place.ways {
            let (count, rate) = if *over == Over::Udp { (DATAGRAMS, 25_000) } else { (MESSAGES, 1_000_000) };
            let name = format!("{round}.{}", over.via_name());
            let flood = flood_corpus(*to, *over, &samples, &name, count, rate).unwrap();
            if *over == Over::Udp {
                datagrams += flood.sent
            } else {
                messages += flood.sent
            }
            answered += flood.answered;
        }
        place.is_answered(&format!("o{round}"));
        if (round + 1) % WARM_UP == 0 {
            let idle = place.idle();
            println!("after round {round}: {} KB", idle.1.private_bytes / 1_024);
            first = first.or(Some(idle));
        }
    }
    let ((pid, first), (last_pid, last)) = (first.unwrap(), place.idle());
    println!(
        "{datagrams} datagrams, {messages} messages over connections ({answered} answered): {} KB, then {} KB; {} us of \
         CPU a message",
        first.private_bytes / 1_024,
        last.private_bytes / 1_024,
        last.cpu_ns / 1_000 / (datagrams + messages)
    );
    let came = place.switch.counter("sip_received_packets").unwrap()
        + place.switch.counter("sip_dropped_malformed_packets").unwrap();
    // A socket that is full loses some.
    assert!(came > (datagrams + messages) / 4, "{came} of {datagrams} + {messages} came");
    assert!(answered > messages / 2, "{answered} of {messages}");
    assert_eq!((pid, first.descriptors, first.threads), (last_pid, last.descriptors, last.threads));
    let growth = last.private_bytes.saturating_sub(first.private_bytes);
    assert!(growth < GROWTH_MAX_BYTES, "signaling grew by {growth} bytes");
    assert!(place.switch.stop(PATIENCE).unwrap().success());
}

/// sipsak's modes against a SIP server, and sipvicious, which looks for servers, users and passwords.
#[test]
fn tools_that_attack_change_nothing() {
    let _turn = alone();
    let place = everywhere();
    let (folder, sip, (pid, _)) = (place.folder.path(), place.switch.sip, place.signaling());
    let run = |name: &str, command: &mut Command| -> String {
        let mut process = Process::start(name, command, folder).expect("`make peers` installs it");
        process.wait(PATIENCE).unwrap();
        process.output()
    };
    let port = sip.port().to_string();
    let uri = format!("sip:tone@{sip}");
    // Trash until one request is answered by nothing or by something else than 4xx, again and again.
    for round in 0..8 {
        let how = if round % 2 == 0 { "udp" } else { "tcp" };
        let output = run("trash", Command::new("sipsak").args(["-R", "-Z", "5", "-E", how, "-s", &uri]));
        assert!(output.contains("random"), "{output}");
    }
    let flood = run("flood", Command::new("sipsak").args(["-F", "-e", "20000", "-s", &uri]));
    assert!(flood.contains("flood end reached"), "{flood}");
    for how in ["udp", "tcp"] {
        let answer = run("shoot", Command::new("sipsak").args(["-vv", "-E", how, "-s", &uri]));
        assert!(answer.contains("SIP/2.0 200 OK"), "{answer}");
    }
    let at_home = ["-b", "127.0.0.1", "-x", "127.0.0.1", "-p", &port, "-t", "0.002"];
    // It listens on 5060, where the calls of svwar are ended: those would follow what it has found.
    let found = run("svmap", Command::new("svmap").args(at_home).arg("127.0.0.1"));
    assert!(found.contains(&format!("{sip}")) && found.contains("ringplane"), "{found}");
    // All at once: each of them waits for answers most of its time.
    let users = |method| ["--force", "-e", "100-150", "-m", method].to_vec();
    let scans = [
        ("svwar-register", "svwar", users("REGISTER")),
        ("svwar-options", "svwar", users("OPTIONS")),
        ("svwar-invite", "svwar", users("INVITE")),
        ("svcrack", "svcrack", ["-u", "100", "-r", "1-100"].to_vec()),
    ];
    let scans = scans.map(|(name, program, more)| {
        let mut command = Command::new(program);
        command.args(at_home).args(more).arg("127.0.0.1");
        Process::start(name, &mut command, folder).expect("`make peers` installs it")
    });
    for mut scan in scans {
        scan.wait(2 * PATIENCE).unwrap();
    }
    place.is_answered("then");
    assert_eq!(place.idle().0, pid);
    assert!(place.switch.counter("sip_dropped_malformed_packets").unwrap() > 0);
    assert!(place.switch.stop(PATIENCE).unwrap().success());
}
