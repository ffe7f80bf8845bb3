//! Calls by hand over real sockets: who is sent media, when it begins, and who cannot take it.

use crate::machine::{alone, plan, start};
use clock::Duration;
use loadtest::peers::Switch;
use std::net::{SocketAddr, UdpSocket};

/// A caller with its socket for signaling and that of its session description.
struct Caller {
    sip: UdpSocket,
    rtp: UdpSocket,
    to: SocketAddr,
    user: &'static str,
}

fn socket(patience_ms: u64) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(patience_ms))).unwrap();
    socket
}

/// What comes within the socket's patience of each other.
fn heard(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut bytes = [0; 2_048];
    std::iter::from_fn(|| socket.recv(&mut bytes).ok().map(|count| bytes[..count].to_vec())).collect()
}

fn rtp(ssrc: u32, seq: u16) -> Vec<u8> {
    let time = (u32::from(seq) * 160).to_be_bytes();
    [&[0x80, 0][..], &seq.to_be_bytes(), &time, &ssrc.to_be_bytes(), &[seq as u8; 160]].concat()
}

impl Caller {
    fn new(switch: &Switch, user: &'static str) -> Self {
        Self { sip: socket(5_000), rtp: socket(300), to: switch.sip, user }
    }

    fn send(&self, method: &str, to_tag: &str, body: &str) {
        let (here, user, at) = (self.sip.local_addr().unwrap(), self.user, self.to);
        let message = format!(
            "{method} sip:{user}@{at} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{method}{user}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:caller@{here}>;tag=1\r\nTo: <sip:{user}@{at}>{to_tag}\r\n\
             Call-ID: {user}@{here}\r\nCSeq: {} {method}\r\nContact: <sip:caller@{here}>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            if method == "BYE" { 2 } else { 1 },
            body.len()
        );
        self.sip.send_to(message.as_bytes(), at).unwrap();
    }

    /// Sends the INVITE; gives the tag of the 200 and where it wants media.
    fn invite(&self) -> (String, SocketAddr) {
        let port = self.rtp.local_addr().unwrap().port();
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        );
        self.send("INVITE", "", &sdp);
        let mut bytes = [0; 4_096];
        loop {
            let count = self.sip.recv(&mut bytes).expect("an answer");
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            if text.starts_with("SIP/2.0 200") {
                let to = text.lines().find(|line| line.starts_with("To:")).expect("a To");
                let tag = to.split_once(";tag=").expect("a tag").1;
                let media = text.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("audio");
                let port: u16 = media.split(' ').next().unwrap().parse().unwrap();
                return (format!(";tag={tag}"), SocketAddr::new(self.to.ip(), port));
            }
        }
    }
}

/// A forged INVITE costs its victim nothing: media begins with the ACK, and ends with the BYE.
#[test]
fn media_begins_with_the_ack() {
    let _turn = alone();
    let (switch, _folder) = start(&plan(4));
    let caller = Caller::new(&switch, "tone");
    let (tag, _) = caller.invite();
    assert_eq!(heard(&caller.rtp).len(), 0, "before the ACK");
    assert!(switch.counter("rtp_sent_packets").unwrap() == 0);
    caller.send("ACK", &tag, "");
    let mut bytes = [0; 2_048];
    assert_eq!(caller.rtp.recv(&mut bytes).expect("the tone"), 172);
    caller.send("BYE", &tag, "");
    assert!(heard(&caller.rtp).len() < 100, "it ends");
}

/// A stranger that is there before the peer, and goes on, neither hears nor is heard; and a peer that goes on from another
/// port, as behind a NAT that has rebound, is followed.
#[test]
fn a_stranger_takes_no_call_and_a_rebinding_nat_keeps_its_own() {
    const FRAME: Duration = Duration::from_millis(20);
    let _turn = alone();
    let (switch, _folder) = start(&plan(4));
    let (caller, stranger, rebound) = (Caller::new(&switch, "echo"), socket(300), socket(300));
    let (tag, media) = caller.invite();
    let say = |socket: &UdpSocket, ssrc, seqs: std::ops::Range<u16>| {
        let (_never, pause) = std::sync::mpsc::channel::<()>();
        for seq in seqs {
            stranger.send_to(&rtp(9, seq), media).unwrap();
            if ssrc != 9 {
                socket.send_to(&rtp(ssrc, seq), media).unwrap();
            }
            let _ = pause.recv_timeout(FRAME);
        }
    };
    say(&stranger, 9, 0..30);
    caller.send("ACK", &tag, "");
    say(&caller.rtp, 1, 30..80);
    assert_eq!(heard(&caller.rtp).len(), 50, "from its first packet on");
    say(&rebound, 1, 80..130);
    let followed = heard(&rebound).len();
    assert!(followed >= 30, "{followed} of 50 packets came back");
    say(&caller.rtp, 1, 130..150);
    assert_eq!(heard(&caller.rtp).len(), 20, "and back");
    assert!(heard(&stranger).is_empty());
    caller.send("BYE", &tag, "");
}
