//! A telephone of our own, for what ready-made ones cannot do: it says exactly these samples, leaves out exactly these
//! packets, and offers and answers by descriptions that a test writes.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(60);
/// RFC 3261 §17.1.1.2: an INVITE without an answer goes out again.
const AGAIN: Duration = Duration::from_millis(500);
/// Samples of a packet.
const PACKET: usize = 160;

pub(crate) struct Phone {
    sip: UdpSocket,
    pub(crate) rtp: UdpSocket,
    switch: SocketAddr,
    call_id: String,
    /// To, as the answer has it.
    to: String,
    /// Where the answer wants RTP.
    pub(crate) remote: Option<SocketAddr>,
    /// The description in the answer.
    pub(crate) answer: String,
    next: u16,
}

impl Phone {
    pub(crate) fn new(switch: SocketAddr) -> Self {
        let socket = || UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let (sip, rtp) = (socket(), socket());
        let call_id = format!("{}-{}", sip.local_addr().expect("bound").port(), std::process::id());
        Self { sip, rtp, switch, call_id, to: String::new(), remote: None, answer: String::new(), next: 100 }
    }

    /// An offer of these payload types with our RTP address.
    pub(crate) fn offer(&self, payload_types: &str) -> String {
        let port = self.rtp.local_addr().expect("bound").port();
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP \
             {payload_types}\r\n"
        )
    }

    fn send(&self, method: &str, number: u32, body: &str) {
        let (switch, us) = (self.switch, self.sip.local_addr().expect("bound"));
        let to = if self.to.is_empty() { format!("<sip:any@{switch}>") } else { self.to.clone() };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{method} sip:any@{switch} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{method}{number}{}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:phone@{us}>;tag=p\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {number} {method}\r\n\
             Contact: <sip:phone@{us}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            self.call_id,
            self.call_id,
            body.len()
        );
        self.sip.send_to(text.as_bytes(), switch).expect("loopback takes it");
    }

    /// The status of the final response; the request goes out again until it is there.
    fn ask(&mut self, method: &str, number: u32, body: &str) -> u16 {
        let (give_up_at, mut bytes) = (Instant::now() + PATIENCE, [0; 8_192]);
        let mut is_silent = true;
        self.sip.set_read_timeout(Some(AGAIN)).expect("a socket option");
        self.send(method, number, body);
        while Instant::now() < give_up_at {
            let Ok((count, _)) = self.sip.recv_from(&mut bytes) else {
                if is_silent {
                    self.send(method, number, body);
                }
                continue;
            };
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            let is_ours = text.contains(&format!("CSeq: {number} {method}"));
            let status =
                text.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)).and_then(|word| word.parse().ok());
            let (Some(status), true) = (status, is_ours) else { continue };
            is_silent = false;
            if status >= 200 {
                self.hear(&text);
                return status;
            }
        }
        panic!("no answer to {method}");
    }

    fn hear(&mut self, text: &str) {
        if let Some(to) = text.lines().find_map(|line| line.strip_prefix("To: ")) {
            self.to = to.into();
        }
        let (_, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        if let Some(port) = body.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok())
        {
            self.remote = Some(([127, 0, 0, 1], port).into());
            self.answer = body.into();
        }
    }

    /// Calls; without an offer the answer is one. The status of the final response.
    pub(crate) fn call(&mut self, offer: &str) -> u16 {
        let status = self.ask("INVITE", 1, offer);
        let answer = if offer.is_empty() && status == 200 { self.offer("0") } else { String::new() };
        self.send("ACK", 1, &answer);
        status
    }

    /// Hangs up.
    pub(crate) fn hang_up(&mut self) {
        assert_eq!(self.ask("BYE", 2, ""), 200);
    }

    /// Says these samples, a packet every 20 ms, without the packets that `is_lost` names.
    pub(crate) fn say(&mut self, samples: &[i16], is_lost: impl Fn(usize) -> bool) {
        let (to, began) = (self.remote.expect("somebody listens"), Instant::now());
        for (number, sound) in samples.chunks(PACKET).enumerate() {
            let mut packet = vec![0x80, 0];
            packet.extend(self.next.to_be_bytes());
            packet.extend((u32::from(self.next) * PACKET as u32).to_be_bytes());
            packet.extend(0x7068_6f6e_u32.to_be_bytes());
            packet.extend(sound.iter().map(|sample| audio::Law::Mu.encode(*sample)));
            self.next += 1;
            if !is_lost(number) {
                self.rtp.send_to(&packet, to).expect("loopback takes it");
            }
            let due = Duration::from_millis(20 * (number as u64 + 1));
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
    }

    /// The samples of the next packets that come, without those that were waiting.
    pub(crate) fn listen(&self, packets: usize) -> Vec<i16> {
        self.rtp.set_nonblocking(true).expect("a socket option");
        let mut bytes = [0; 2_048];
        while self.rtp.recv_from(&mut bytes).is_ok() {}
        self.rtp.set_nonblocking(false).expect("a socket option");
        self.rtp.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        let mut heard = Vec::new();
        for _ in 0..packets {
            let (count, _) = self.rtp.recv_from(&mut bytes).expect("RTP comes");
            heard.extend(bytes[12..count].iter().map(|code| audio::Law::Mu.decode(*code)));
        }
        heard
    }

    /// The samples of the packets that came and were not listened to, oldest first.
    pub(crate) fn waiting(&self) -> Vec<i16> {
        self.rtp.set_nonblocking(true).expect("a socket option");
        let (mut bytes, mut heard) = ([0; 2_048], Vec::new());
        while let Ok((count, _)) = self.rtp.recv_from(&mut bytes) {
            heard.extend(bytes[12..count].iter().map(|code| audio::Law::Mu.decode(*code)));
        }
        self.rtp.set_nonblocking(false).expect("a socket option");
        heard
    }

    /// Waits until a tone is what comes.
    pub(crate) fn hears(&self, hertz: f64) -> bool {
        let give_up_at = Instant::now() + PATIENCE;
        while Instant::now() < give_up_at {
            if loadtest::capture::share_of(&self.listen(20), hertz) > 0.9 {
                return true;
            }
        }
        false
    }
}
