//! Plays one call a number of times against an endpoint, for counting instructions:
//!
//! ```text
//! cargo build --release -p ringplane-sip-core --example call_instructions
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/call_instructions refused 1000
//! ```
//!
//! Run it with 1000 and with 2000 and divide the difference: start-up falls out. What is left of the peer's side is its
//! response, written from the request by `sip-wire` (`peer` counts that alone). Calls: `refused` (our INVITE, 486, ACK),
//! `cancelled` (our INVITE, 180, CANCEL, 200, 487, ACK), `answered` (our INVITE, 200, ACK, our BYE, 200), `called` (the
//! peer's INVITE, 180, 200, ACK, BYE, 200), `ping` (the peer's MESSAGE, 200), and through a proxy `proxied` (INVITE, 180, 200,
//! ACK, BYE, 200) and `flood` (INVITEs of a source that has enough of them, which get 503).

use clock::{Duration, Instant};
use sip_core::proxy::{Proxy, ProxyConfig, ProxyEvent, ProxyOutput, Target};
use sip_core::{Answer, Content, Endpoint, EndpointConfig, Event, Flow, NewRequest, Output};
use sip_wire::{Message, Name, Reply, ResponseWriter, StatusCode};

const SDP: &[u8] =
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n\
    a=rtpmap:101 telephone-event/8000\r\n";

fn main() {
    let mut args = std::env::args().skip(1);
    let (call, count) = (args.next().unwrap_or_default(), args.next().and_then(|c| c.parse().ok()).unwrap_or(1000));
    let Some(flow) = flow() else { return };
    if matches!(&*call, "proxied" | "flood") {
        let proxy = Proxy::new(ProxyConfig::default(), 1);
        let relay = Relay { proxy, now: Instant::ZERO, caller: flow, out: ProxyOutput::new() };
        return if call == "flood" { relay.flood(count) } else { relay.calls(count) };
    }
    let mut switch =
        Switch { endpoint: Endpoint::new(EndpointConfig::default(), 1), now: Instant::ZERO, flow, out: Output::new() };
    let play: fn(&mut Switch, u32) = match &*call {
        "refused" => |switch, _| switch.refused(),
        "cancelled" => |switch, _| switch.cancelled(),
        "answered" => |switch, _| switch.answered(),
        "called" => Switch::called,
        "ping" => Switch::ping,
        "peer" => |switch, _| switch.peer(),
        _ => return eprintln!("usage: instructions refused|cancelled|answered|called|ping|peer|proxied|flood [COUNT]"),
    };
    for number in 0..count {
        play(&mut switch, number);
        switch.rest();
    }
}

fn flow() -> Option<Flow> {
    Some(Flow::udp("192.0.2.1:5060".parse().ok()?, "192.0.2.9:5062".parse().ok()?))
}

struct Switch {
    endpoint: Endpoint,
    now: Instant,
    flow: Flow,
    out: Output,
}

impl Switch {
    /// What was sent since the last time, first message first; events are passed over.
    fn sent(&mut self) -> Vec<Vec<u8>> {
        let sent = self.out.transmits.iter().map(|transmit| self.out.bytes(transmit.bytes).to_vec()).collect();
        self.out.clear();
        sent
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.endpoint.receive(self.now, &self.flow, bytes, &mut self.out);
    }

    /// Lets every timer run out, so that the tables are empty again.
    fn rest(&mut self) {
        self.now += Duration::from_secs(40);
        self.endpoint.wake(self.now, &mut self.out);
        self.out.clear();
    }

    fn invite(&mut self) -> Vec<u8> {
        let request = NewRequest {
            content: Content::sdp(SDP),
            ..NewRequest::new(self.flow, "sip:bob@192.0.2.9:5062", "<sip:us@example.com>", "<sip:bob@example.org>")
        };
        let call = self.endpoint.invite(self.now, &request, &mut self.out);
        assert!(call.is_ok());
        self.sent().remove(0)
    }

    fn refused(&mut self) {
        let invite = self.invite();
        self.feed(&reply(&invite, 486, &[]));
        assert_eq!(self.sent().len(), 1);
    }

    fn cancelled(&mut self) {
        let invite = self.invite();
        self.feed(&reply(&invite, 180, &[]));
        let call = self.out.events.iter().find_map(|event| match event {
            Event::Progress { call, .. } => Some(*call),
            _ => None,
        });
        self.out.clear();
        let cancelled = call.map(|call| self.endpoint.cancel(self.now, call, &mut self.out));
        assert_eq!(cancelled, Some(Ok(())));
        let cancel = self.sent().remove(0);
        self.feed(&reply(&cancel, 200, &[]));
        self.feed(&reply(&invite, 487, &[]));
        assert_eq!(self.sent().len(), 1);
    }

    fn answered(&mut self) {
        let invite = self.invite();
        self.feed(&reply(&invite, 200, SDP));
        let dialog = self.out.events.iter().find_map(|event| match event {
            Event::Answered { dialog, .. } => Some(*dialog),
            _ => None,
        });
        assert_eq!(self.sent().len(), 1);
        let ended = dialog.map(|dialog| self.endpoint.bye(self.now, dialog, Content::NONE, &mut self.out));
        assert_eq!(ended, Some(Ok(())));
        let bye = self.sent().remove(0);
        self.feed(&reply(&bye, 200, &[]));
        self.out.clear();
    }

    fn called(&mut self, number: u32) {
        self.feed(&request("INVITE", number, 1, "", SDP));
        let invite = self.out.events.iter().find_map(|event| match event {
            Event::Invite { invite, .. } => Some(*invite),
            _ => None,
        });
        self.out.clear();
        let Some(invite) = invite else { return };
        let rings = self.endpoint.provisional(self.now, invite, &Answer::of(180), &mut self.out);
        let takes = self.endpoint.accept(self.now, invite, Content::sdp(SDP), &mut self.out);
        assert!(rings.is_ok() && takes.is_ok());
        let answer = self.sent().remove(1);
        let tag = sip_wire::to_tag(&answer).map(|tag| format!(";tag={}", String::from_utf8_lossy(tag)));
        let tag = tag.unwrap_or_default();
        self.feed(&request("ACK", number, 1, &tag, &[]));
        self.feed(&request("BYE", number, 2, &tag, &[]));
        assert_eq!(self.sent().len(), 1);
    }

    fn ping(&mut self, number: u32) {
        self.feed(&request("MESSAGE", number, 1, "", &[]));
        let asked = self.out.events.iter().find_map(|event| match event {
            Event::Request { request, .. } => Some(*request),
            _ => None,
        });
        let Some(asked) = asked else { return };
        let answered = self.endpoint.respond(self.now, asked, &Answer::of(200), &mut self.out);
        assert!(answered.is_ok());
        self.out.clear();
    }

    fn peer(&mut self) {
        let invite = self.invite();
        assert!(!reply(&invite, 486, &[]).is_empty());
    }
}

/// A proxy between the peer and a phone.
struct Relay {
    proxy: Proxy,
    now: Instant,
    caller: Flow,
    out: ProxyOutput,
}

impl Relay {
    fn phone(&self) -> Flow {
        Flow::udp(self.caller.local, ([198, 51, 100, 1], 5060).into())
    }

    fn calls(mut self, count: u32) {
        for number in 0..count {
            self.call(number);
            self.now += Duration::from_secs(60);
            self.proxy.wake(self.now, &mut self.out);
            self.out.clear();
        }
    }

    fn flood(mut self, count: u32) {
        for number in 0..count {
            self.feed(self.caller, &request("INVITE", number, 1, "", SDP));
        }
    }

    /// Takes a message, and sends what is handed up to the phone; gives what was sent.
    fn feed(&mut self, flow: Flow, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.proxy.receive(self.now, &flow, bytes, &mut self.out);
        let target = Target::unchanged(self.phone());
        while let Some(event) = self.out.next_event() {
            match event {
                ProxyEvent::Request { request, .. } => {
                    assert!(self.proxy.forward(self.now, request, &[target], &mut self.out).is_ok());
                }
                ProxyEvent::Stateless { message, .. } => {
                    let ack = self.out.bytes(message).to_vec();
                    assert!(self.proxy.forward_stateless(&ack, &target, &mut self.out).is_ok());
                }
                _ => {}
            }
        }
        let sent = self.out.transmits.iter().map(|transmit| self.out.bytes(transmit.bytes).to_vec()).collect();
        self.out.clear();
        sent
    }

    fn call(&mut self, number: u32) {
        let invite = self.feed(self.caller, &request("INVITE", number, 1, "", SDP)).remove(0);
        let phone = self.phone();
        for (status, body) in [(180, &[][..]), (200, SDP)] {
            assert_eq!(self.feed(phone, &reply(&invite, status, body)).len(), 1);
        }
        assert_eq!(self.feed(self.caller, &request("ACK", number, 1, ";tag=bob", &[])).len(), 1);
        let bye = self.feed(self.caller, &request("BYE", number, 2, ";tag=bob", &[])).remove(0);
        assert_eq!(self.feed(phone, &reply(&bye, 200, &[])).len(), 1);
    }
}

fn request(method: &str, number: u32, cseq: u32, tag: &str, body: &[u8]) -> Vec<u8> {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let mut bytes = format!(
        "{method} sip:us@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK{method}{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: \"Bob\" <sip:bob@example.org>;tag=b{number}\r\nTo: <sip:us@example.com>{tag}\r\n\
         Call-ID: {number}@192.0.2.9\r\nCSeq: {cseq} {method}\r\nContact: <sip:bob@192.0.2.9:5062>\r\n\
         Allow: INVITE, ACK, BYE, CANCEL, UPDATE\r\n{kind}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn reply(request: &[u8], status: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1024);
    let (Ok(message), Some(status)) = (Message::parse(request), StatusCode::new(status)) else { return bytes };
    let reply = Reply { to_tag: Some(b"bob"), source: None, reason: None };
    let mut writer = ResponseWriter::new(&mut bytes, &message, status, &reply);
    writer.header(Name::Contact, b"<sip:bob@192.0.2.9:5062>");
    assert!(writer.finish_with_body("application/sdp", body).is_ok());
    bytes
}
