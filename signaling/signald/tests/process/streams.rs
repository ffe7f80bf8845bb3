//! TCP, TLS, WS and WSS.

use crate::certificates::Authority;
use crate::line::{Line, tcp};
use crate::media::Media;
use crate::phone::{Phone, SDP};
use crate::switch::{Switch, config};
use config::{ClientCertificates, Config};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use transport::Transport;

const ALL: [Transport; 4] = [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

/// Every transport on one address.
pub(crate) fn everywhere(folder: &Path, address: &str) -> (Config, Authority) {
    let authority = Authority::new(folder);
    let mut config = config(folder);
    let any = vec![address.parse().unwrap()];
    config.sip.listen.clone_from(&any);
    (config.sip.streams.listen_tls, config.sip.streams.listen_ws, config.sip.streams.listen_wss) =
        (any.clone(), any.clone(), any);
    config.tls.certificates = ["one.example.com", "two.example.com"].map(|name| authority.issue(folder, name)).into();
    config.tls.authorities = Some(authority.path.clone());
    (config, authority)
}

pub(crate) fn address(switch: &Switch, transport: Transport) -> SocketAddr {
    switch.connections.iter().find(|(other, _)| *other == transport).unwrap().1
}

#[test]
fn calls_over_every_transport_and_both_families() {
    for host in ["127.0.0.1:0", "[::1]:0"] {
        let folder = tempfile::tempdir().unwrap();
        let _media = Media::start(folder.path().join("media-control.sock"));
        let (config, authority) = everywhere(folder.path(), host);
        let client = authority.client(None);
        let switch = Switch::with(folder, config);
        let listening = switch.ask("health")["listening"].to_string();
        assert!(listening.contains(&format!("tcp:{}", address(&switch, Transport::Tcp))), "{listening}");
        for transport in ALL {
            let name = transport.via_name();
            let mut line = Line::open(transport, address(&switch, transport), Some((&client, "two.example.com")));
            line.options(&format!("o{name}"));
            let call = format!("c{name}");
            let tag = line.call(&call);
            line.hang_up(&call, &tag);
        }
        switch.ask_until("stats", |stats| {
            let rows = stats.as_array().unwrap();
            rows.iter().any(|row| row["name"] == "calls_completed" && row["value"] == 4)
                && rows.iter().any(|row| row["name"] == "stream_connections_accepted" && row["value"] == 4)
        });
        // A call that is up is ended over its connection.
        let mut line = Line::open(Transport::Ws, address(&switch, Transport::Ws), None);
        line.call("last");
        switch.stop.request();
        assert!(line.hear_bye().contains("\r\nVia: SIP/2.0/WS "));
        assert_eq!(line.next(), None, "closed in order");
        switch.end();
    }
}

#[test]
fn segments_and_bursts_are_no_matter() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let switch = Switch::start(folder);
    let mut line = Line::open(Transport::Tcp, address(&switch, Transport::Tcp), None);
    let invite = line.request("INVITE", "slow", "", 1, SDP);
    for byte in invite.as_bytes() {
        line.send_bytes(&[*byte]).unwrap();
    }
    let ok = line.hear("SIP/2.0 200");
    let tag = format!(";tag={}", ok.lines().find_map(|line| line.strip_prefix("To:")?.split("tag=").nth(1)).unwrap());
    let burst: String = [
        line.request("ACK", "slow", &tag, 1, ""),
        "\r\n\r\n".to_owned(),
        line.request("OPTIONS", "o1", "", 1, ""),
        line.request("OPTIONS", "o2", "", 1, ""),
        line.request("BYE", "slow", &tag, 2, ""),
    ]
    .concat();
    line.send(&burst);
    let mut answers: Vec<String> = (0..3).map(|_| line.hear("SIP/2.0 200")).collect();
    answers.sort_by_key(|answer| answer.contains("CSeq: 2 BYE"));
    assert!(answers[2].contains("Call-ID: slow\r\n") && answers[0].contains("rport="), "{answers:?}");
    // What has no end is answered, and then closed.
    line.send("OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n");
    assert!(line.hear("SIP/2.0 400").contains("Call-ID: x\r\n"));
    assert_eq!(line.next(), None);
    switch.end();
}

#[test]
fn an_answer_outlives_its_connection() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let switch = Switch::start(folder);
    let listening = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut line = Line::open(Transport::Tcp, address(&switch, Transport::Tcp), None);
    let from = line.local;
    line.local = listening.local_addr().unwrap();
    line.send(&line.request("INVITE", "c1", "", 1, SDP));
    line.hear("SIP/2.0 200");
    // RFC 3261 §18.2.2: the 200 is repeated until it is acknowledged; without its connection it goes to the Via's port.
    drop(line);
    let (stream, peer) = listening.accept().unwrap();
    assert_ne!(peer, from);
    let mut back = Line::accepted(stream);
    assert!(back.hear("SIP/2.0 200").contains("Call-ID: c1\r\n"));
    // Nobody acknowledges: the BYE that ends it comes here as well.
    switch.stop.request();
    switch.end();
}

#[test]
fn certificates_are_asked_for_chosen_and_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let (mut config, authority) = everywhere(folder.path(), "127.0.0.1:0");
    config.tls.client_certificates = ClientCertificates::Required;
    config.tls.client_authorities = Some(authority.path.clone());
    let ours = config.tls.certificates.clone();
    let own = authority.issue(folder.path(), "phone.example.com");
    let (known, stranger) = (authority.client(Some(&own)), authority.client(None));
    let switch = Switch::with(folder, config);
    let at = address(&switch, Transport::Tls);
    for name in ["one.example.com", "two.example.com"] {
        Line::open(Transport::Tls, at, Some((&known, name))).options(name);
    }
    let mut refused = Line::open(Transport::Tls, at, Some((&stranger, "one.example.com")));
    let _ = refused.send_bytes(refused.request("OPTIONS", "x", "", 1, "").as_bytes());
    assert_eq!(refused.next(), None);
    // Browsers are not asked.
    Line::open(Transport::Wss, address(&switch, Transport::Wss), Some((&stranger, "one.example.com"))).options("w");
    let mut open = Line::open(Transport::Tls, at, Some((&known, "one.example.com")));
    open.options("before");
    authority.issue_into(&ours[1], "three.example.com");
    assert_eq!(switch.ask("reload")["status"], "ok");
    Line::open(Transport::Tls, at, Some((&known, "three.example.com"))).options("after");
    open.options("still");
    std::fs::write(&ours[0].key, "nonsense").unwrap();
    assert!(switch.ask("reload")["error"].as_str().unwrap().contains("holds no private key"));
    Line::open(Transport::Tls, at, Some((&known, "three.example.com"))).options("kept");
    switch.counts([("stream_certificates_refused", 1)]);
    switch.end();
}

/// An INVITE with a route set that makes every request of ours in its dialog larger than 1,300 bytes.
fn invite_with_long_route(phone: &Phone, call: &str) -> String {
    let us = phone.socket.local_addr().unwrap();
    let routes: String =
        (0..20).map(|hop| format!("Record-Route: <sip:{us};lr;hop={hop};pad={}>\r\n", "x".repeat(60))).collect();
    format!(
        "INVITE sip:tone@{} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{call}\r\nFrom: <sip:alice@example.com>;tag=a1\r\n\
         To: <sip:tone@example.com>\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n{routes}\
         Contact: <sip:alice@{us}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
        phone.switch,
        SDP.len()
    )
}

#[test]
fn large_requests_go_by_tcp_and_come_back_where_nobody_listens() {
    for listens in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let _media = Media::start(folder.path().join("media-control.sock"));
        let switch = Switch::start(folder);
        // A port that is free for both.
        let (phone, listening) = loop {
            let phone = Phone::new(&switch);
            if let Ok(listening) = TcpListener::bind(phone.socket.local_addr().unwrap()) {
                break (phone, listening);
            }
        };
        phone.socket.send_to(invite_with_long_route(&phone, "c1").as_bytes(), phone.switch).unwrap();
        let answer = phone.hear("SIP/2.0 200");
        let line = answer.lines().find(|line| line.starts_with("To:")).unwrap();
        phone.send("ACK", "c1", &format!(";tag={}", line.split("tag=").nth(1).unwrap()), 1, "");
        switch.ask_until("calls", |calls| calls[0]["state"] == "connected");
        if listens {
            switch.stop.request();
            let mut line = Line::accepted(listening.accept().unwrap().0);
            let bye = line.hear_bye();
            assert!(bye.len() > 1_300 && bye.contains("\r\nVia: SIP/2.0/TCP "), "{bye}");
            assert_eq!(line.next(), None, "one copy is enough on a connection");
        } else {
            drop(listening);
            switch.stop.request();
            phone.hear_bye();
        }
        switch.end();
    }
}

#[test]
fn a_phone_that_is_gone_is_told_of_the_end_until_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let switch = Switch::start(folder);
    let phone = Phone::new(&switch);
    phone.call("c1");
    drop(phone);
    let start = std::time::Instant::now();
    switch.end();
    // The network says that nobody is there, but anybody can say so (RFC 5927): the BYE is repeated until the limit of 5 s, as for
    // a phone that starts anew.
    let elapsed = start.elapsed();
    assert!(elapsed >= std::time::Duration::from_secs(4) && elapsed < crate::PATIENCE, "{elapsed:?}");
}

#[test]
fn trouble_with_connections_at_the_start_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = config(folder.path());
    let start = |config: &Config| {
        signald::run(config, &signald::Stop::new().unwrap(), |_| panic!("it is not ready")).unwrap_err().to_string()
    };
    config.sip.streams.listen_tcp = Some(vec![holder.local_addr().unwrap()]);
    assert!(start(&config).contains("ss -ltnp"));
    config.sip.streams.listen_tcp = Some(Vec::new());
    config.sip.streams.listen_tls = vec!["127.0.0.1:0".parse().unwrap()];
    assert!(start(&config).contains("needs a certificate"));
    drop(tcp(holder.local_addr().unwrap()));
}
