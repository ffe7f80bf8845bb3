//! Where datagrams come from and where answers go: both families, `maddr`, and what ICMP says.

use crate::media::Media;
use crate::phone::{Phone, SDP};
use crate::switch::{Switch, config, level_in};
use config::{Mode, Route};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{SocketAddr, UdpSocket};

fn phone_at(switch: SocketAddr) -> Phone {
    let ip = switch.ip();
    let socket = UdpSocket::bind(SocketAddr::new(ip, 0)).unwrap();
    socket.set_read_timeout(Some(crate::PATIENCE)).unwrap();
    Phone { socket, switch }
}

#[test]
fn both_families_are_answered_beside_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let mut config = config(folder.path());
    config.sip.listen = vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
    let switch = Switch::with(folder, config);
    let phones: Vec<Phone> = switch.listening.iter().map(|address| phone_at(*address)).collect();
    for round in 0..100 {
        for phone in &phones {
            // Keep-alives and empty datagrams use the same headers.
            phone.socket.send_to(if round % 2 == 0 { b"" } else { b"\r\n\r\n" }, phone.switch).unwrap();
            phone.send("OPTIONS", &format!("o{round}"), "", 1, "");
        }
        phones.iter().for_each(|phone| drop(phone.hear("SIP/2.0 200")));
    }
    switch.counts([("sip_keep_alive_packets", 200)]);
    let sdp = [SDP.to_owned(), SDP.replace("IP4 127.0.0.1", "IP6 ::1")];
    for round in 0..20 {
        let tags: Vec<String> = phones
            .iter()
            .zip(&sdp)
            .map(|(phone, sdp)| {
                let call = format!("c{round}.{}", phone.switch.is_ipv6());
                phone.send("INVITE", &call, "", 1, sdp);
                phone.hear("SIP/2.0 180");
                let answer = phone.hear("SIP/2.0 200");
                let to = answer.lines().find(|line| line.starts_with("To:")).unwrap();
                let tag = format!(";tag={}", to.split("tag=").nth(1).unwrap());
                phone.send("ACK", &call, &tag, 1, "");
                tag
            })
            .collect();
        for (phone, tag) in phones.iter().zip(tags) {
            phone.send("BYE", &format!("c{round}.{}", phone.switch.is_ipv6()), &tag, 2, "");
            phone.hear("SIP/2.0 200");
        }
    }
    switch.ask_until("calls", |calls| calls.as_array().unwrap().is_empty());
    switch.counts([("calls_completed", 40)]);
    let lost = ["sip_dropped_unreadable_packets", "sip_dropped_overflow_packets", "sip_dropped_source_packets"];
    assert_eq!(lost.map(|name| switch.level(name)), [0; 3]);
    switch.end();
}

/// What phones say beside what they have to. Without it the answer with our offer is more than three times as long as the
/// INVITE, so that it would wait for the request to be repeated.
const PHONE: &str = "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY, MESSAGE\r\n\
                     Supported: replaces, timer, 100rel, norefersub, outbound\r\nUser-Agent: a phone of some maker 1.2.3\r\n";

#[test]
fn no_answer_goes_where_a_via_points() {
    for mode in [Mode::Numbers, Mode::B2bua, Mode::Proxy, Mode::Redirect] {
        let folder = tempfile::tempdir().unwrap();
        let _media = Media::start(folder.path().join("media-control.sock"));
        let mut config = config(folder.path());
        config.sip.mode = mode;
        config.sip.routes = vec![Route { pattern: "x".into(), targets: vec![vec!["sip:127.0.0.1:9".into()]] }];
        let switch = Switch::run(folder, config);
        let phone = phone_at(switch.address);
        let third = UdpSocket::bind("127.0.0.2:0").unwrap();
        third.set_nonblocking(true).unwrap();
        let (us, victim) = (phone.socket.local_addr().unwrap(), third.local_addr().unwrap());
        let vias = [
            format!("{}:{};branch=z9hG4bK1;maddr={};rport", us.ip(), victim.port(), victim.ip()),
            format!("{us};branch=z9hG4bK2;maddr={}", victim.ip()),
            format!("{us};branch=z9hG4bK3;maddr=239.255.255.1;ttl=1"),
            format!("{victim};branch=z9hG4bK4;received={};rport={}", victim.ip(), victim.port()),
        ];
        // Answered by the transaction, by rule, and as malformed.
        let requests = [("OPTIONS", "Max-Forwards: 70"), ("INVITE", "Max-Forwards: 0"), ("OPTIONS", "Max-Forwards: x")];
        for (number, (via, (method, line))) in
            vias.iter().flat_map(|via| requests.map(|request| (via, request))).enumerate()
        {
            let via = via.replacen(";branch=", &format!(";branch=z9hG4bKx{number}"), 1);
            let text = format!(
                "{method} sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {via}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:{to}>\r\n\
                 Call-ID: m{number}\r\nCSeq: 1 {method}\r\nContact: <sip:a@{us}>\r\n{PHONE}{line}\r\nContent-Length: 0\r\n\r\n",
                to = switch.address
            );
            phone.socket.send_to(text.as_bytes(), switch.address).unwrap();
            // Refusals of an INVITE before it are repeated, for nobody acknowledges them.
            while !phone.hear("SIP/2.0 ").contains(&format!("Call-ID: m{number}\r\n")) {}
        }
        let nothing = third.recv(&mut [0; 2_048]).unwrap_err();
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock, "{mode:?}");
        // Those that could be read.
        switch.counts([("maddr_not_followed", 6)]);
        switch.end();
    }
}

/// The one who is called through the switch. It may go away and come back on its port.
struct Far(UdpSocket);

impl Far {
    fn new() -> Self {
        // An address that no other test uses, so that the port is free when it comes back.
        Self::at("127.0.0.3:0".parse().unwrap())
    }

    fn at(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(crate::PATIENCE)).unwrap();
        Self(socket)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    fn hear(&self, start: &str) -> String {
        let mut buffer = [0; 4_096];
        loop {
            let bytes = self.0.recv(&mut buffer).unwrap_or_else(|_| panic!("no {start}"));
            let text = String::from_utf8_lossy(&buffer[..bytes]).into_owned();
            if text.starts_with(start) {
                return text;
            }
        }
    }

    fn answer(&self, switch: SocketAddr, request: &str, status: u16, body: &str) {
        let keep = ["Via:", "Record-Route:", "From:", "Call-ID:", "CSeq:"];
        let mut head: Vec<&str> =
            request.lines().filter(|line| keep.iter().any(|name| line.starts_with(name))).collect();
        let to = request.lines().find(|line| line.starts_with("To:")).unwrap();
        let to = if to.contains(";tag=") { to.to_owned() } else { format!("{to};tag=far") };
        head.push(&to);
        let text = format!(
            "SIP/2.0 {status} x\r\n{}\r\nContact: <sip:far@{}>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{body}",
            head.join("\r\n"),
            self.address(),
            body.len()
        );
        self.0.send_to(text.as_bytes(), switch).unwrap();
    }
}

/// Sends what a router would say to `from` about a datagram of its to `to`: port unreachable, and the datagram, of which
/// `payload` is the rest behind UDP's header. `false`: only root may.
fn forge_icmp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> bool {
    let Ok(raw) = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)) else { return false };
    let (SocketAddr::V4(source), SocketAddr::V4(goal)) = (from, to) else { panic!("IPv4 only") };
    let mut packet = vec![3, 3, 0, 0, 0, 0, 0, 0];
    let length = (28 + payload.len()) as u16;
    packet.extend([0x45, 0, (length >> 8) as u8, length as u8, 0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend(source.ip().octets());
    packet.extend(goal.ip().octets());
    for word in [source.port(), goal.port(), length - 20, 0] {
        packet.extend(word.to_be_bytes());
    }
    packet.extend(payload);
    let words = packet.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let checksum = !((sum + (sum >> 16)) as u16);
    packet[2..4].copy_from_slice(&checksum.to_be_bytes());
    raw.send_to(&packet, &SocketAddr::new(from.ip(), 0).into()).unwrap();
    true
}

#[test]
fn icmp_ends_no_call_that_rings_or_is_up() {
    for mode in [Mode::B2bua, Mode::Proxy] {
        let folder = tempfile::tempdir().unwrap();
        let _media = Media::start(folder.path().join("media-control.sock"));
        let (far, spare) = (Far::new(), Far::new());
        let mut config = config(folder.path());
        config.sip.mode = mode;
        config.sip.shards = 2;
        let targets = [&far, &spare].map(|far| vec![format!("sip:far@{}", far.address())]);
        config.sip.routes = vec![Route { pattern: "*".into(), targets: targets.to_vec() }];
        let switch = Switch::run(folder, config);
        let phone = phone_at(switch.address);
        phone.send("INVITE", "c1", "", 1, SDP);
        let invite = far.hear("INVITE ");
        // With nothing quoted, before any answer: no more than a reason to wait for two seconds.
        let is_root = forge_icmp(switch.address, far.address(), b"");
        far.answer(switch.address, &invite, 180, "");
        phone.hear("SIP/2.0 180");
        // While it rings: from a stranger, and from one on the path who has seen everything.
        for payload in ["", "INVITE sip:far SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKguess;rport\r\n", &invite] {
            forge_icmp(switch.address, far.address(), payload.as_bytes());
        }
        if is_root {
            // Each shard looks into those that name no shard.
            let told = if mode == Mode::B2bua { 3 + 2 * 2 } else { 2 + 2 * 2 };
            switch.ask_until("stats", |stats| level_in(stats, "icmp_unreachable") >= told - 1);
        }
        far.answer(switch.address, &invite, 200, SDP);
        let answer = phone.hear("SIP/2.0 200");
        let value = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        let (to, route) = (value("To: "), value("Record-Route: "));
        let us = phone.socket.local_addr().unwrap();
        let uri =
            if mode == Mode::Proxy { format!("sip:far@{}", far.address()) } else { format!("sip:{}", switch.address) };
        let within = |method: &str, cseq: u32| {
            let route = if route.is_empty() { String::new() } else { format!("Route: {route}\r\n") };
            let text = format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKw{cseq}{method}\r\n{route}\
                 From: <sip:alice@example.com>;tag=a1\r\nTo: {to}\r\nCall-ID: c1\r\nCSeq: {cseq} {method}\r\n\
                 Max-Forwards: 70\r\nContact: <sip:alice@{us}>\r\nContent-Length: 0\r\n\r\n"
            );
            phone.socket.send_to(text.as_bytes(), phone.switch).unwrap();
        };
        within("ACK", 1);
        far.hear("ACK ");
        // The peer restarts just when the call is to end: what the network says of that time is no reason to forget it.
        let address = far.address();
        drop(far);
        within("BYE", 2);
        switch
            .ask_until("stats", |stats| level_in(stats, "icmp_ignored") > 0 || level_in(stats, "icmp_unreachable") > 8);
        let far = Far::at(address);
        let bye = far.hear("BYE ");
        far.answer(switch.address, &bye, 200, "");
        phone.hear("SIP/2.0 200");
        switch.ask_until("calls", |calls| calls.as_array().unwrap().is_empty());
        switch.end();
    }
}

#[test]
fn a_target_that_is_not_there_is_passed_over_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::with_ports(folder.path().join("media-control.sock"), 10_000..=10_063);
    // No other test is given that port while this one runs.
    let gone = "127.0.0.1:9".parse().unwrap();
    let far = Far::new();
    let mut config = config(folder.path());
    config.sip.mode = Mode::B2bua;
    // The kernel gives ICMP messages to the socket that the peer's datagrams would come to, mostly another shard's.
    config.sip.shards = 4;
    let targets = [gone, far.address()].map(|address| vec![format!("sip:far@{address}")]);
    config.sip.routes = vec![Route { pattern: "*".into(), targets: targets.to_vec() }];
    let switch = Switch::run(folder, config);
    let phone = phone_at(switch.address);
    for call in 0..8 {
        let start = std::time::Instant::now();
        phone.send("INVITE", &format!("c{call}"), "", 1, SDP);
        let invite = far.hear("INVITE ");
        // Timer B would be 32 s, a message that quotes nothing 2 s.
        assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
        far.answer(switch.address, &invite, 486, "");
        while !phone.hear("SIP/2.0 486").contains(&format!("Call-ID: c{call}\r\n")) {}
    }
    assert_eq!(switch.level("icmp_ignored"), 0);
    switch.end();
}
