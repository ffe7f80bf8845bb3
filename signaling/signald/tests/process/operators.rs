//! What an operator sees of calls, and does about them.

use crate::PATIENCE;
use crate::media::Media;
use crate::phone::{Phone, SDP};
use crate::switch::{Switch, config};
use config::{Mode, Route};
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;

fn start() -> (Switch, Media) {
    let folder = tempfile::tempdir().unwrap();
    let media = Media::start(folder.path().join("media-control.sock"));
    (Switch::start(folder), media)
}

#[test]
fn calls_are_hung_up_by_each_of_their_names() {
    let (switch, _media) = start();
    let phone = Phone::new(&switch);
    let us = phone.socket.local_addr().unwrap();
    let hung_up = |name: &str| {
        let asked = std::thread::scope(|scope| {
            let asked = scope.spawn(|| switch.ask(&format!("hangup {name}")));
            phone.hear_bye();
            asked.join().unwrap()
        });
        assert_eq!(
            (asked[0]["done"].as_str(), asked[0]["is_over"].as_bool()),
            (Some("BYE sent"), Some(true)),
            "{asked}"
        );
        assert_eq!((asked[0]["from"].as_str(), asked.as_array().unwrap().len()), (Some("sip:alice@example.com"), 1));
    };
    for (number, name) in ["id", "call", "call_id"].into_iter().enumerate() {
        phone.call(&format!("c{number}"));
        let calls = switch.ask_until("calls", |calls| calls[0]["state"] == "connected");
        hung_up(&format!("call {}", calls[0][name].as_str().unwrap()));
    }
    for name in [format!("peer {us}"), "peer 127.0.0.1".into(), "all".into()] {
        phone.call(&name.replace([' ', '.', ':'], "-"));
        switch.ask_until("calls", |calls| calls[0]["state"] == "connected");
        hung_up(&name);
    }
    assert_eq!(switch.ask("hangup call nobody"), serde_json::json!([]));
    assert_eq!(switch.ask("hangup peer 192.0.2.1"), serde_json::json!([]));
    assert!(switch.ask("hangup everybody")["error"].as_str().unwrap().contains("hangup all"));
    switch.end();
}

#[test]
fn refused_invites_are_counted_by_status() {
    let (switch, _media) = start();
    let phone = Phone::new(&switch);
    phone.send("INVITE", "c1", ";tag=unknown", 1, SDP);
    phone.hear("SIP/2.0 481");
    phone.send("INVITE", "c2", "", 1, "v=0\r\nthis is none\r\n");
    phone.hear("SIP/2.0 4");
    phone.send("ACK", "c2", "", 1, "");
    let stats = switch.ask_until("stats", |stats| {
        let rows = stats
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["name"].as_str().unwrap().starts_with("invites_refused_"));
        rows.map(|row| row["value"].as_u64().unwrap()).sum::<u64>() == 2
    });
    let row = stats.as_array().unwrap().iter().find(|row| row["name"] == "invites_refused_481").unwrap();
    assert!(row["meaning"].as_str().unwrap().contains("481 Call/Transaction Does Not Exist"), "{row}");
    switch.end();
}

#[test]
fn the_proxy_counts_what_it_refuses_and_what_its_targets_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    // Nobody listens there: the network says so, or nothing comes.
    let dead = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = config(folder.path());
    config.sip.mode = Mode::Proxy;
    config.sip.t1 = std::time::Duration::from_millis(50);
    config.sip.routes = vec![Route { pattern: "tone".into(), targets: vec![vec![format!("sip:{dead}")]] }];
    let switch = Switch::run(folder, config);
    let phone = Phone::new(&switch);
    phone.send("INVITE", "c1", "", 1, SDP);
    let answer = phone.hear("SIP/2.0 [45]".get(..8).unwrap());
    let answer = if answer.starts_with("SIP/2.0 100") { phone.hear("SIP/2.0 ") } else { answer };
    let status = &answer[8..11];
    switch.ask_until("stats", |stats| {
        stats
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["name"] == format!("invites_refused_{status}") && row["value"] == 1)
    });
    switch.end();
}

/// Reads a trace until it has these words.
fn read_until(reader: &mut impl BufRead, words: &str) -> String {
    let mut text = String::new();
    while !text.contains(words) {
        assert!(reader.read_line(&mut text).unwrap() > 0, "no `{words}` in:\n{text}");
    }
    text
}

fn trace(switch: &Switch, words: &str) -> BufReader<UnixStream> {
    let mut stream = UnixStream::connect(switch.folder.path().join("signal.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    writeln!(stream, "trace{words}").unwrap();
    BufReader::new(stream)
}

#[test]
fn a_trace_shows_messages_of_a_peer_or_call_without_secrets() {
    let (switch, _media) = start();
    let (phone, other) = (Phone::new(&switch), Phone::new(&switch));
    let mut all = trace(&switch, "");
    let mut of_peer = trace(&switch, &format!(" peer={}", other.socket.local_addr().unwrap()));
    // Until both are there nothing has to be seen by them.
    let begun = std::time::Instant::now();
    while switch.ask("calls").as_array().is_none() || begun.elapsed().as_millis() < 50 {}
    let tag = phone.call("c1");
    let mut of_call = trace(&switch, " call=c1");
    assert_eq!(switch.ask("calls")[0]["call_id"], "c1");
    let secret = "Authorization: Digest username=\"a\", response=\"0123456789abcdef0123456789abcdef\"\r\nContact:";
    let us = phone.socket.local_addr().unwrap();
    let options = format!(
        "OPTIONS sip:tone@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bKo\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: <sip:c@d>\r\nCall-ID: o1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n{secret} <sip:a@{us}>\r\n\
         Content-Length: 0\r\n\r\n"
    );
    phone.socket.send_to(options.as_bytes(), phone.switch).unwrap();
    phone.hear("SIP/2.0 200");
    other.send("OPTIONS", "o2", "", 1, "");
    other.hear("SIP/2.0 200");
    phone.send("BYE", "c1", &tag, 2, "");
    phone.hear("SIP/2.0 200");
    let seen = read_until(&mut all, "CSeq: 2 BYE\n");
    for words in
        ["INVITE sip:tone@", "SIP/2.0 180 Ringing\n", "response=\"***\"", " in  udp ", " out udp ", "Call-ID: o2\n"]
    {
        assert!(seen.contains(words), "no `{words}` in:\n{seen}");
    }
    assert!(!seen.contains("0123456789abcdef"), "{seen}");
    let seen = read_until(&mut of_call, "SIP/2.0 200 OK\n");
    assert!(seen.contains("BYE sip:tone@") && !seen.contains("OPTIONS"), "{seen}");
    let seen = read_until(&mut of_peer, "SIP/2.0 200 OK\n");
    assert!(seen.contains("Call-ID: o2\n") && !seen.contains("c1"), "{seen}");
    let refused = read_until(&mut trace(&switch, " peer=nowhere"), "\n");
    assert!(refused.contains("is no address"), "{refused}");
    drop((all, of_peer, of_call));
    switch.end();
}
