//! A phone over UDP.

use crate::PATIENCE;
use crate::switch::Switch;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

pub(crate) struct Phone {
    pub(crate) socket: UdpSocket,
    pub(crate) switch: SocketAddr,
}

pub(crate) const SDP: &str =
    "v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

impl Phone {
    pub(crate) fn new(switch: &Switch) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, switch: switch.address }
    }

    pub(crate) fn send(&self, method: &str, call: &str, to_tag: &str, cseq: u32, body: &str) {
        let us = self.socket.local_addr().unwrap();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        // Phones write more than the needful, and who has shown nothing is sent in proportion to it.
        let usual = if method == "INVITE" { format!("X-Lines: {}\r\n", "idle;".repeat(80)) } else { String::new() };
        let text = format!(
            "{method} sip:tone@{} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{call}{cseq}{method}\r\n\
             From: <sip:alice@example.com>;tag=a1\r\nTo: <sip:tone@example.com>{to_tag}\r\nCall-ID: {call}\r\n\
             CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nContact: <sip:alice@{us}>\r\n{kind}{usual}\
             Content-Length: {}\r\n\r\n{body}",
            self.switch,
            body.len()
        );
        self.socket.send_to(text.as_bytes(), self.switch).unwrap();
    }

    /// The next message that starts so; others are passed over.
    pub(crate) fn hear(&self, start: &str) -> String {
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

    /// Sends a request until an answer to it comes, as timer E does (RFC 3261 §17.1.2.2). Other messages are passed over.
    pub(crate) fn insist(&self, method: &str, call: &str, to_tag: &str, cseq: u32) -> String {
        const T1: Duration = Duration::from_millis(500);
        let (until, mut buffer) = (Instant::now() + PATIENCE, [0; 4_096]);
        self.socket.set_read_timeout(Some(T1)).unwrap();
        while Instant::now() < until {
            self.send(method, call, to_tag, cseq, "");
            while let Ok(bytes) = self.socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..bytes]).into_owned();
                if text.starts_with("SIP/2.0 ") && text.contains(&format!("CSeq: {cseq} {method}\r\n")) {
                    self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
                    return text;
                }
            }
        }
        panic!("no answer to {method}");
    }

    pub(crate) fn call(&self, call: &str) -> String {
        self.send("INVITE", call, "", 1, SDP);
        self.hear("SIP/2.0 180");
        let answer = self.hear("SIP/2.0 200");
        let line = answer.lines().find(|line| line.starts_with("To:")).unwrap();
        let tag = format!(";tag={}", line.split("tag=").nth(1).unwrap());
        self.send("ACK", call, &tag, 1, "");
        tag
    }

    /// Takes a BYE and answers it.
    pub(crate) fn hear_bye(&self) {
        self.hear_and_answer("BYE ");
    }

    /// Takes a request that starts so, and says 200 to it.
    pub(crate) fn hear_and_answer(&self, start: &str) -> String {
        let request = self.hear(start);
        let lines: Vec<&str> = request
            .lines()
            .filter(|line| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)))
            .collect();
        let text = format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n"));
        self.socket.send_to(text.as_bytes(), self.switch).unwrap();
        request
    }
}
