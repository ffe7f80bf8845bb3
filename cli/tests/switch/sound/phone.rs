//! A SIP phone by hand: one call at a time, one codec, and an RTP socket that the test fills itself.

use super::media::Line;
use audio::codec::CodecKind;
use clock::Duration;
use loadtest::peers::free_range;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// An answer that takes longer is a fault; requests are sent again each [`RESEND`].
const PATIENCE: Duration = Duration::from_secs(20);
const RESEND: Duration = Duration::from_millis(500);
/// A socket is waited for so long at once.
const STEP: Duration = Duration::from_millis(50);
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A phone with one codec, calling or called.
pub(super) struct Phone {
    name: String,
    sip: UdpSocket,
    /// Its sound.
    pub(super) line: Line,
    codec: CodecKind,
    payload_type: u8,
    version: u32,
    /// The direction of its last offer within the call.
    offered: Option<String>,
    /// An offer that came while it waited for an answer.
    waiting: Option<(String, SocketAddr)>,
    /// The dialog, once there is one.
    dialog: Dialog,
}

/// The head of the last INVITE, and what requests within the call need.
#[derive(Default)]
struct Dialog {
    switch: Option<SocketAddr>,
    target: String,
    /// `To` of a caller, `From` of a called phone, with its tag.
    remote: String,
    local: String,
    call_id: String,
    cseq: u32,
}

/// The payload type that phones of these tests give a codec.
pub(super) fn payload_type(codec: CodecKind) -> u8 {
    match codec {
        CodecKind::Pcmu => 0,
        CodecKind::Pcma => 8,
        CodecKind::G722 => 9,
        CodecKind::L16 => 97,
        CodecKind::Opus => 96,
    }
}

fn header(message: &str, name: &str) -> Option<String> {
    let head = message.split("\r\n\r\n").next()?;
    let mut lines = head.split("\r\n").skip(1);
    lines.find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

fn uri(value: &str) -> String {
    value.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(value, |(uri, _)| uri).to_owned()
}

/// Where a session description wants audio.
fn media(message: &str) -> Option<SocketAddr> {
    let sdp = message.split_once("\r\n\r\n")?.1;
    let ip = sdp.lines().find_map(|line| line.strip_prefix("c=IN IP4 "))?.trim();
    let port = sdp.lines().find_map(|line| line.strip_prefix("m=audio "))?.split(' ').next()?;
    Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok().filter(|port| *port != 0)?))
}

impl Phone {
    /// With a port pair of its own for media.
    pub(super) fn new(name: &str, codec: CodecKind) -> Self {
        let sip = UdpSocket::bind((LOOPBACK, 0)).expect("a port");
        sip.set_read_timeout(Some(STEP)).expect("a time is set");
        let rtp = free_range(LOOPBACK, 2).expect("two ports");
        let line = Line::new(UdpSocket::bind((LOOPBACK, rtp)).expect("it was free"));
        let dialog = Dialog::default();
        Self {
            name: name.into(),
            sip,
            line,
            codec,
            payload_type: payload_type(codec),
            version: 0,
            offered: None,
            waiting: None,
            dialog,
        }
    }

    /// The line of a configuration that leads to it, by its name.
    pub(super) fn route(&self) -> String {
        format!("{} = \"sip:phone@{}\"", self.name, self.address())
    }

    /// Where it takes calls.
    pub(super) fn address(&self) -> SocketAddr {
        self.sip.local_addr().expect("it is bound")
    }

    /// Its codec.
    pub(super) fn codec(&self) -> CodecKind {
        self.codec
    }

    /// Talks with another codec from its next offer or answer on.
    pub(super) fn take_codec(&mut self, codec: CodecKind) {
        (self.codec, self.payload_type) = (codec, payload_type(codec));
    }

    fn sdp(&mut self, direction: &str) -> String {
        self.version += 1;
        let (port, payload_type, version) = (self.line.port(), self.payload_type, self.version);
        let rtpmap = match self.codec {
            CodecKind::G722 => "G722/8000".to_owned(),
            CodecKind::Opus => "opus/48000/2".to_owned(),
            CodecKind::Pcmu | CodecKind::Pcma | CodecKind::L16 => format!("{}/8000", self.codec.name()),
        };
        format!(
            "v=0\r\no=- 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP \
             {payload_type} 101\r\na=rtpmap:{payload_type} {rtpmap}\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
        )
    }

    fn request(&self, method: &str, body: &str) -> String {
        let Dialog { target, remote, local, call_id, cseq, .. } = &self.dialog;
        let here = self.address();
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{}{method}{cseq};rport\r\n\
             Max-Forwards: 70\r\nFrom: {local}\r\nTo: {remote}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:{}@{here}>\r\n{content}Content-Length: {}\r\n\r\n{body}",
            self.name,
            self.name,
            body.len()
        )
    }

    fn send(&self, message: &str) {
        let switch = self.dialog.switch.expect("the switch is known");
        self.sip.send_to(message.as_bytes(), switch).expect("it leaves");
    }

    fn receive(&self) -> Option<(String, SocketAddr)> {
        let mut bytes = [0; 4_096];
        let (count, from) = self.sip.recv_from(&mut bytes).ok()?;
        Some((String::from_utf8_lossy(&bytes[..count]).into_owned(), from))
    }

    /// Sends a request, again and again until its final answer is there.
    fn transact(&mut self, method: &str, body: &str) -> String {
        let give_up = clock::now() + PATIENCE;
        let request = self.request(method, body);
        let cseq = format!("{} {method}", self.dialog.cseq);
        self.send(&request);
        let mut again = clock::now() + RESEND;
        while clock::now() < give_up {
            if clock::now() >= again {
                self.send(&request);
                again = clock::now() + RESEND;
            }
            let Some((message, _)) = self.receive() else { continue };
            let is_answer = message.starts_with("SIP/2.0 ") && header(&message, "CSeq").as_ref() == Some(&cseq);
            if is_answer && !message.starts_with("SIP/2.0 1") {
                return message;
            }
        }
        panic!("{}: no answer to {method}", self.name);
    }

    /// Calls a user of the switch; [`Self::acknowledge`] must follow once the called phone has answered.
    pub(super) fn dial(&mut self, switch: SocketAddr, user: &str) {
        let here = self.address();
        self.dialog = Dialog {
            switch: Some(switch),
            target: format!("sip:{user}@{switch}"),
            remote: format!("<sip:{user}@{switch}>"),
            local: format!("<sip:{}@{here}>;tag=1", self.name),
            call_id: format!("{}-{here}", self.name),
            cseq: 1,
        };
        let body = self.sdp("sendrecv");
        let invite = self.request("INVITE", &body);
        self.send(&invite);
    }

    /// Waits for the answer to its INVITE, and says ACK.
    pub(super) fn acknowledge(&mut self) {
        let give_up = clock::now() + PATIENCE;
        while clock::now() < give_up {
            if self.is_acknowledged() {
                return;
            }
        }
        panic!("{}: its INVITE is not answered", self.name);
    }

    /// Looks for the answer to its INVITE once, and says ACK to it. Refused with 491 for the time being (RFC 3261 §14.1), it
    /// offers again.
    fn is_acknowledged(&mut self) -> bool {
        let Some((message, from)) = self.receive() else { return false };
        if message.starts_with("INVITE ") {
            self.waiting = Some((message, from));
            return false;
        }
        let is_of_invite = header(&message, "CSeq") == Some(format!("{} INVITE", self.dialog.cseq));
        if !is_of_invite || message.starts_with("SIP/2.0 1") || !message.starts_with("SIP/2.0 ") {
            return false;
        }
        if let Some((direction, _)) = self.offered.clone().zip(message.strip_prefix("SIP/2.0 491")) {
            let ack =
                self.request("ACK", "").replacen(&format!("{}ACK", self.name), &format!("{}INVITE", self.name), 1);
            self.send(&ack);
            std::thread::sleep(STEP);
            self.offer(&direction);
            return false;
        }
        assert!(message.starts_with("SIP/2.0 2"), "{}: {message}", self.name);
        self.confirm(&message);
        true
    }

    fn confirm(&mut self, answer: &str) {
        self.dialog.remote = header(answer, "To").expect("a To");
        if let Some(contact) = header(answer, "Contact") {
            self.dialog.target = uri(&contact);
        }
        self.line.to = Some(media(answer).unwrap_or_else(|| panic!("{}: {answer}", self.name)));
        let ack = self.request("ACK", "");
        self.send(&ack);
    }

    /// Calls a number that the switch answers itself.
    pub(super) fn call(&mut self, switch: SocketAddr, user: &str) {
        self.dial(switch, user);
        self.acknowledge();
    }

    /// Offers its codec anew, with a direction; the answer must be a 200.
    pub(super) fn offer(&mut self, direction: &str) {
        self.dialog.cseq += 1;
        self.offered = Some(direction.to_owned());
        let body = self.sdp(direction);
        let invite = self.request("INVITE", &body);
        self.send(&invite);
    }

    /// Takes the next offer and answers with its codec. Its ACK is waited for by nothing here.
    pub(super) fn answer(&mut self, direction: &str) {
        let give_up = clock::now() + PATIENCE;
        while clock::now() < give_up {
            if self.has_answered(direction) {
                return;
            }
        }
        panic!("{}: no offer comes", self.name);
    }

    /// Looks for an offer once, and answers it.
    fn has_answered(&mut self, direction: &str) -> bool {
        let Some((message, from)) = self.waiting.take().or_else(|| self.receive()) else { return false };
        if !message.starts_with("INVITE ") {
            return false;
        }
        self.line.to = Some(media(&message).unwrap_or_else(|| panic!("{}: {message}", self.name)));
        let get = |name| header(&message, name).unwrap_or_default();
        let local = match get("To") {
            to if to.contains(";tag=") => to,
            to => format!("{to};tag=2"),
        };
        let call_id = get("Call-ID");
        let cseq = if self.dialog.call_id == call_id { self.dialog.cseq } else { 100 };
        let (target, remote) = (uri(&get("Contact")), get("From"));
        let body = self.sdp(direction);
        let vias: String = message
            .split("\r\n")
            .filter(|line| line.to_ascii_lowercase().starts_with("via:"))
            .map(|line| format!("{line}\r\n"))
            .collect();
        let answer = format!(
            "SIP/2.0 200 OK\r\n{vias}From: {remote}\r\nTo: {local}\r\nCall-ID: {call_id}\r\nCSeq: {}\r\n\
             Contact: <sip:{}@{}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            get("CSeq"),
            self.name,
            self.address(),
            body.len()
        );
        self.dialog = Dialog { switch: Some(from), target, remote, local, call_id, cseq };
        self.send(&answer);
        true
    }

    /// Ends the call.
    pub(super) fn hang_up(&mut self) {
        self.dialog.cseq += 1;
        let answer = self.transact("BYE", "");
        assert!(answer.starts_with("SIP/2.0 200"), "{}: {answer}", self.name);
    }
}

/// A call from one phone to the other over a route that is called like the called phone.
pub(super) fn connect(switch: SocketAddr, caller: &mut Phone, called: &mut Phone) {
    let name = called.name.clone();
    caller.dial(switch, &name);
    called.answer("sendrecv");
    caller.acknowledge();
}

/// The caller offers its codec anew with a direction; the called phone answers with its own, if it is asked at all.
pub(super) fn renegotiate(pair: &mut [Phone], offered: &str, answered: &str) {
    let [caller, called] = pair else { panic!("a caller and a called phone") };
    caller.offer(offered);
    let give_up = clock::now() + PATIENCE;
    while !caller.is_acknowledged() {
        called.has_answered(answered);
        assert!(clock::now() < give_up, "{}: its offer is not answered", caller.name);
    }
    // The switch may have an offer for either side now: codecs that both have are relayed again.
    for _ in 0..4 {
        called.has_answered(answered);
        caller.has_answered(offered);
    }
}
