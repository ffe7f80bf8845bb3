//! The executable as a proxy: signaling alone, and an end in order.

use crate::machine::{alone, plan, start};
use rustix::process::Signal;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(60);

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(WITHIN)).unwrap();
    socket
}

/// The next message that starts so, and its sender; others are passed over.
fn hear(socket: &UdpSocket, start: &str) -> (String, SocketAddr) {
    let mut buffer = [0; 8_192];
    loop {
        let (bytes, from) = socket.recv_from(&mut buffer).unwrap_or_else(|_| panic!("no {start}"));
        let text = String::from_utf8_lossy(&buffer[..bytes]).into_owned();
        if text.starts_with(start) {
            return (text, from);
        }
    }
}

fn answer(socket: &UdpSocket, (request, from): &(String, SocketAddr), status: u16) {
    let is_kept = |line: &&str| ["Via:", "From:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
    let kept: Vec<&str> = request.lines().filter(is_kept).collect();
    let to = request.lines().find(|line| line.starts_with("To:")).unwrap();
    let text = format!("SIP/2.0 {status} x\r\n{}\r\n{to};tag=t\r\nContent-Length: 0\r\n\r\n", kept.join("\r\n"));
    socket.send_to(text.as_bytes(), from).unwrap();
}

#[test]
fn a_proxy_has_no_media_process_and_calls_off_what_rings() {
    let _turn = alone();
    let (caller, target) = (socket(), socket());
    let mut plan = plan(10);
    plan.sip = format!("mode = \"proxy\"\nroutes = {{ \"*\" = \"sip:{}\" }}", target.local_addr().unwrap());
    let (mut switch, folder) = start(&plan);
    assert!(switch.part("media").is_none() && switch.part("signal").is_some());
    assert!(!switch.output().contains("  media "), "{}", switch.output());
    assert!(!folder.path().join("run/media-control.sock").exists());
    let us = caller.local_addr().unwrap();
    let invite = format!(
        "INVITE sip:bob@{0} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK1;rport\r\nFrom: <sip:a@example.com>;tag=1\r\n\
         To: <sip:bob@example.com>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:a@{us}>\r\n\
         Subject: {1}\r\nContent-Length: 0\r\n\r\n",
        switch.sip,
        "as long as those of phones ".repeat(20),
    );
    caller.send_to(invite.as_bytes(), switch.sip).unwrap();
    let invite = hear(&target, "INVITE ");
    answer(&target, &invite, 180);
    hear(&caller, "SIP/2.0 180");
    assert_eq!((switch.call_count().unwrap(), switch.counter("calls_active").unwrap()), (1, 1));
    switch.process().signal(Signal::TERM).unwrap();
    answer(&target, &hear(&target, "CANCEL "), 200);
    answer(&target, &invite, 487);
    hear(&target, "ACK ");
    assert!(hear(&caller, "SIP/2.0 503").0.contains("\r\nRetry-After: "));
    assert!(switch.process().wait(WITHIN).unwrap().success());
}
