//! Calls to names: a REFER and a 3xx that name a domain with SRV records, some of whose hosts are not there.

use crate::line::Line;
use crate::media::Media;
use crate::name_server::{NameServer, Zone};
use crate::phone::{Phone, SDP};
use crate::switch::{Switch, config};
use config::{Mode, Route, TransferTargets};
use std::net::{SocketAddr, TcpListener, UdpSocket};

/// A port of loopback where nobody is.
fn nobody() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A name server of the test, with the runtime that it lives in.
fn name_server(zone: Zone) -> (tokio::runtime::Runtime, SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(NameServer::start(zone));
    (runtime, server.address)
}

/// `pbx.example` by UDP on the second of its two hosts, `tcp.example` by TCP.
fn zone(udp: u16, tcp: u16) -> Zone {
    Zone::new()
        .naptr("pbx.example", 10, 10, "SIP+D2U", "_sip._udp.pbx.example")
        .srv("_sip._udp.pbx.example", 1, 0, nobody(), "gone.pbx.example")
        .srv("_sip._udp.pbx.example", 2, 0, udp, "here.pbx.example")
        .srv("_sip._tcp.tcp.example", 1, 0, nobody(), "here.pbx.example")
        .srv("_sip._tcp.tcp.example", 2, 0, tcp, "here.pbx.example")
        .address("gone.pbx.example", "127.0.0.1")
        .address("here.pbx.example", "127.0.0.1")
}

/// The one who is called by a name.
struct Carol {
    phone: Phone,
    listener: TcpListener,
}

impl Carol {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(crate::PATIENCE)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Where the switch is is known once it runs.
        Self { phone: Phone { socket, switch: "127.0.0.1:9".parse().unwrap() }, listener }
    }

    fn zone(&self) -> Zone {
        zone(self.phone.socket.local_addr().unwrap().port(), self.listener.local_addr().unwrap().port())
    }

    /// Takes a call by UDP.
    fn answer(&self, uri: &str) {
        let invite = self.phone.hear("INVITE ");
        assert!(invite.starts_with(&format!("INVITE {uri} SIP/2.0\r\n")), "{invite}");
        let answer = answer(&invite, self.phone.socket.local_addr().unwrap());
        self.phone.socket.send_to(answer.as_bytes(), self.phone.switch).unwrap();
        self.phone.hear("ACK ");
    }
}

/// 200 with a description.
fn answer(invite: &str, contact: SocketAddr) -> String {
    let keep = ["Via:", "From:", "Call-ID:", "CSeq:"];
    let mut lines: Vec<&str> = invite.lines().filter(|line| keep.iter().any(|name| line.starts_with(name))).collect();
    let to = invite.lines().find(|line| line.starts_with("To:")).unwrap().to_owned() + ";tag=carol";
    lines.push(&to);
    format!(
        "SIP/2.0 200 OK\r\n{}\r\nContact: <sip:carol@{contact}>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{SDP}",
        lines.join("\r\n"),
        SDP.len()
    )
}

/// Asks for a call to another user, and hears that it is tried; the outcome follows.
fn refer(phone: &Phone, call: &str, tag: &str, cseq: u32, target: &str) -> String {
    ask_for(phone, call, tag, cseq, target);
    phone.hear("SIP/2.0 202");
    let trying = phone.hear_and_answer("NOTIFY ");
    assert!(trying.ends_with("SIP/2.0 100 Trying\r\n"), "{trying}");
    phone.hear_and_answer("NOTIFY ")
}

fn ask_for(phone: &Phone, call: &str, tag: &str, cseq: u32, target: &str) {
    let us = phone.socket.local_addr().unwrap();
    let text = format!(
        "REFER sip:tone@{} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{call}{cseq}\r\n\
         From: <sip:alice@example.com>;tag=a1\r\nTo: <sip:tone@example.com>{tag}\r\nCall-ID: {call}\r\n\
         CSeq: {cseq} REFER\r\nMax-Forwards: 70\r\nContact: <sip:alice@{us}>\r\nRefer-To: <{target}>\r\n\
         Content-Length: 0\r\n\r\n",
        phone.switch
    );
    phone.socket.send_to(text.as_bytes(), phone.switch).unwrap();
}

/// By default a REFER leads to the numbers of the switch and to routes, to nothing else; what it makes is over with it.
#[test]
fn a_refer_leads_nowhere_but_to_our_own_numbers_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let victim = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    victim.set_nonblocking(true).unwrap();
    let config = config(folder.path());
    let switch = Switch::with(folder, config);
    let phone = Phone::new(&switch);
    let tag = phone.call("c1");
    let targets = [
        format!("sip:x@{}", victim.local_addr().unwrap()),
        "sip:x@127.0.0.1:25".to_owned(),
        "sip:x@224.0.1.75".to_owned(),
        "sip:x@192.0.2.1".to_owned(),
        "sip:x@localhost".to_owned(),
    ];
    for (cseq, target) in (2..).zip(&targets) {
        ask_for(&phone, "c1", &tag, cseq, target);
        phone.hear("SIP/2.0 404");
    }
    assert!(victim.recv(&mut [0; 9]).is_err(), "nothing was sent there");
    let mut outcome = refer(&phone, "c1", &tag, 20, &format!("sip:echo@{}", switch.address));
    while outcome.ends_with("SIP/2.0 180 Ringing\r\n") {
        outcome = phone.hear_and_answer("NOTIFY ");
    }
    assert!(outcome.ends_with("SIP/2.0 200 OK\r\n"), "{outcome}");
    phone.hear_bye();
    switch.ask_until("calls", |calls| calls.as_array().unwrap().is_empty());
    switch.counts([("ports_in_use", 0)]);
    switch.end();
}

#[test]
fn a_refer_to_a_name_finds_its_hosts_by_dns_and_one_to_nowhere_leaves_the_call() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let mut carol = Carol::new();
    let (_runtime, server) = name_server(carol.zone());
    let mut config = config(folder.path());
    config.sip.name_servers = vec![server];
    (config.transfer.targets, config.transfer.allow_local) = (TransferTargets::Anybody, true);
    let switch = Switch::with(folder, config);
    carol.phone.switch = switch.address;
    let phone = Phone::new(&switch);
    // Nobody has that name.
    let tag = phone.call("c1");
    let outcome = refer(&phone, "c1", &tag, 2, "sip:x@nowhere.example");
    assert!(outcome.contains("terminated") && outcome.ends_with("SIP/2.0 404 Not Found\r\n"), "{outcome}");
    assert_eq!(switch.ask_until("calls", |calls| calls.as_array().unwrap().len() == 1)[0]["state"], "connected");
    // The first host of the next one is not there, as ICMP says.
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| carol.answer("sip:carol@pbx.example"));
        refer(&phone, "c1", &tag, 3, "sip:carol@pbx.example")
    });
    assert!(outcome.contains("terminated") && outcome.ends_with("SIP/2.0 200 OK\r\n"), "{outcome}");
    phone.hear_bye();
    // Over TCP, where a connection to the first port is refused.
    let tag = phone.call("c2");
    let (listener, outcome) = (&carol.listener, &mut String::new());
    let mut line = std::thread::scope(|scope| {
        let answering = scope.spawn(move || {
            let mut line = Line::accepted(listener.accept().unwrap().0);
            let invite = line.hear("INVITE sip:carol@tcp.example ");
            line.send(&answer(&invite, listener.local_addr().unwrap()));
            line.hear("ACK ");
            line
        });
        *outcome = refer(&phone, "c2", &tag, 2, "sip:carol@tcp.example");
        answering.join().unwrap()
    });
    assert!(outcome.ends_with("SIP/2.0 200 OK\r\n"), "{outcome}");
    phone.hear_bye();
    assert_eq!(switch.ask_until("calls", |calls| calls.as_array().unwrap().len() == 2)[0]["state"], "connected");
    switch.stop.request();
    std::thread::scope(|scope| {
        scope.spawn(|| line.hear_bye());
        carol.phone.hear_bye();
    });
    switch.end();
}

#[test]
fn a_redirection_to_names_is_followed_in_the_order_of_their_worth() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let (mut carol, bob) = (Carol::new(), Carol::new());
    let (_runtime, server) = name_server(carol.zone());
    let mut config = config(folder.path());
    config.sip.name_servers = vec![server];
    config.sip.mode = Mode::B2bua;
    (config.transfer.redirects, config.transfer.allow_local) = (TransferTargets::Anybody, true);
    let target = format!("sip:bob@{}", bob.phone.socket.local_addr().unwrap());
    config.sip.routes = vec![Route { pattern: "*".into(), targets: vec![vec![target]] }];
    let switch = Switch::run(folder, config);
    carol.phone.switch = switch.address;
    let bob = Phone { switch: switch.address, ..bob.phone };
    let phone = Phone::new(&switch);
    phone.send("INVITE", "c1", "", 1, SDP);
    let invite = bob.hear("INVITE ");
    let moved = answer(&invite, bob.socket.local_addr().unwrap());
    let contacts = "<sip:low@pbx.example>;q=0.1, <sip:x@nowhere.example>;q=0.9, <sip:carol@pbx.example>;q=0.5";
    let head = moved.split("Contact:").next().unwrap().replace("200 OK", "302 Moved");
    let moved = format!("{head}Contact: {contacts}\r\nContent-Length: 0\r\n\r\n");
    bob.socket.send_to(moved.as_bytes(), bob.switch).unwrap();
    carol.answer("sip:carol@pbx.example");
    let answer = phone.hear("SIP/2.0 200");
    let tag = answer.lines().find(|line| line.starts_with("To:")).unwrap().split("tag=").nth(1).unwrap().to_owned();
    phone.send("ACK", "c1", &format!(";tag={tag}"), 1, "");
    phone.send("BYE", "c1", &format!(";tag={tag}"), 2, "");
    phone.hear("SIP/2.0 200");
    carol.phone.hear_bye();
    switch.ask_until("calls", |calls| calls.as_array().unwrap().is_empty());
    switch.counts([("ports_in_use", 0)]);
    switch.end();
}
