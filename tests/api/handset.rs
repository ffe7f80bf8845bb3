//! A phone of a few lines: it calls, speaks with as much loss as a test wants, and hangs up.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

const SILENCE: Duration = Duration::from_millis(500);

pub(crate) struct Handset {
    sip: UdpSocket,
    rtp: UdpSocket,
    to: SocketAddr,
    answer: String,
    sequence: u16,
    time: u32,
}

impl Handset {
    /// Calls, until that is answered.
    pub(crate) fn call(to: SocketAddr) -> Self {
        let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut phone = Self { sip: bind(), rtp: bind(), to, answer: String::new(), sequence: 0, time: 0 };
        phone.sip.set_read_timeout(Some(SILENCE)).unwrap();
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n",
            phone.rtp.local_addr().unwrap().port()
        );
        let invite = phone.request("INVITE", 1, "", "Content-Type: application/sdp\r\n", &sdp);
        phone.answer = phone.ask(&invite, "INVITE");
        assert!(phone.answer.starts_with("SIP/2.0 200"), "{}", phone.answer);
        let ack = phone.request("ACK", 1, phone.to_tag(), "", "");
        phone.sip.send_to(ack.as_bytes(), phone.to).unwrap();
        phone
    }

    /// Speaks so many packets of 20 ms, of which those that `is_lost` names never leave.
    pub(crate) fn speak(&mut self, packets: u16, is_lost: impl Fn(u16) -> bool) {
        let port = self.answer.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()).unwrap();
        let media = SocketAddr::new(self.to.ip(), port.parse().unwrap());
        for number in 0..packets {
            let mut packet = vec![0x80, 0];
            packet.extend(self.sequence.to_be_bytes());
            packet.extend(self.time.to_be_bytes());
            packet.extend([7, 7, 7, 7]);
            packet.extend([0xff; 160]);
            if !is_lost(number) {
                self.rtp.send_to(&packet, media).unwrap();
            }
            (self.sequence, self.time) = (self.sequence.wrapping_add(1), self.time.wrapping_add(160));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn hang_up(self) {
        let bye = self.request("BYE", 2, self.to_tag(), "", "");
        assert!(self.ask(&bye, "BYE").starts_with("SIP/2.0 200"));
    }

    /// Sends a request again and again until a final answer comes.
    fn ask(&self, request: &str, method: &str) -> String {
        let mut bytes = [0; 4_096];
        for _ in 0..120 {
            self.sip.send_to(request.as_bytes(), self.to).unwrap();
            while let Ok((count, _)) = self.sip.recv_from(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
                let is_final = text.starts_with("SIP/2.0 ") && !text.starts_with("SIP/2.0 1");
                if is_final && text.contains(&format!(" {method}\r\n")) {
                    return text;
                }
            }
        }
        panic!("no answer to {request}");
    }

    fn to_tag(&self) -> &str {
        let to = self.answer.lines().find(|line| line.starts_with("To:")).unwrap();
        to.split(";tag=").nth(1).unwrap()
    }

    fn request(&self, method: &str, cseq: u32, to_tag: &str, more: &str, body: &str) -> String {
        let (us, to) = (self.sip.local_addr().unwrap(), self.to);
        let to_tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
        format!(
            "{method} sip:us@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{method}{cseq}\r\nMax-Forwards: 70\r\n\
             From: <sip:phone@{us}>;tag=1\r\nTo: <sip:us@{to}>{to_tag}\r\nCall-ID: phone-{}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:phone@{us}>\r\n{more}Content-Length: {}\r\n\r\n{body}",
            us.port(),
            body.len()
        )
    }
}
