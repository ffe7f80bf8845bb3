//! One helper that touches the API: an endpoint on a bench, in virtual time. The scripts are data.
#![allow(dead_code, unreachable_pub)]

use clock::{Duration, Instant};
use sip_core::*;
use std::net::SocketAddr;

pub fn udp() -> Flow {
    Flow::udp(address("192.0.2.1:5060"), address("192.0.2.9:5062"))
}

pub fn tcp() -> Flow {
    Flow { transport: Transport::Tcp, connection: 7, ..udp() }
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub struct Bench {
    pub endpoint: Endpoint,
    pub now: Instant,
    pub flow: Flow,
    pub out: Output,
    pub events: Vec<Event>,
    /// Messages of the events, by their index.
    pub messages: Vec<String>,
    /// Next hops that paths were wanted to, in order.
    pub wanted: Vec<String>,
    /// What is found for them; nothing for any other.
    pub paths: Vec<(&'static str, Flow)>,
    /// Set to leave the questions open.
    pub is_looking_up: bool,
    /// Where the messages went that were drained last.
    pub flows: Vec<Flow>,
}

impl Bench {
    pub fn new(flow: Flow) -> Self {
        Self::with(EndpointConfig::default(), flow)
    }

    pub fn with(config: EndpointConfig, flow: Flow) -> Self {
        let now = Instant::ZERO + Duration::from_secs(1);
        Self {
            endpoint: Endpoint::new(config, 42),
            now,
            flow,
            out: Output::new(),
            events: vec![],
            messages: vec![],
            wanted: vec![],
            paths: vec![],
            is_looking_up: false,
            flows: vec![],
        }
    }

    /// Drains the output; gives what was sent.
    pub fn drain(&mut self) -> Vec<String> {
        let text = |out: &Output, span| String::from_utf8_lossy(out.bytes(span)).into_owned();
        while let Some(event) = self.out.next_event() {
            if let Event::PathWanted { dialog } = event {
                self.find_path(dialog);
                continue;
            }
            self.messages.push(message_of(&event).map_or(String::new(), |span| text(&self.out, span)));
            self.events.push(event);
        }
        let sent = self.out.transmits.iter().map(|transmit| text(&self.out, transmit.bytes)).collect();
        self.flows = self.out.transmits.iter().map(|transmit| transmit.flow).collect();
        self.out.clear();
        sent
    }

    fn find_path(&mut self, dialog: DialogId) {
        let next_hop = self.endpoint.dialog_info(dialog).expect("the dialog is there").next_hop;
        let next_hop = String::from_utf8_lossy(next_hop).into_owned();
        let found = self.paths.iter().find(|(uri, _)| *uri == next_hop).map(|(_, flow)| *flow);
        self.wanted.push(next_hop);
        if !self.is_looking_up {
            self.endpoint.set_path(self.now, dialog, found, &mut self.out);
        }
    }

    /// Where the message that was drained last went.
    pub fn went_to(&self) -> String {
        let flow = self.flows.last().expect("something was sent");
        format!("{} {}", flow.transport.via_name(), flow.remote)
    }

    /// A message from the peer; lines end with `\n` in scripts.
    pub fn feed(&mut self, text: &str) -> Vec<String> {
        let bytes = text.replace('\n', "\r\n");
        let flow = self.flow;
        self.endpoint.receive(self.now, &flow, bytes.as_bytes(), &mut self.out);
        self.drain()
    }

    /// Lets the time pass, deadline by deadline; gives when what was sent, in milliseconds from now.
    pub fn pass(&mut self, time: Duration) -> Vec<(u64, String)> {
        let start = self.now;
        let end = start + time;
        let mut sent = vec![];
        while let Some(at) = self.endpoint.deadline().filter(|at| *at <= end) {
            assert!(at >= self.now, "a deadline in the past");
            self.now = at;
            self.endpoint.wake(at, &mut self.out);
            let after = at.since(start).as_millis() as u64;
            sent.extend(self.drain().into_iter().map(|message| (after, message)));
            assert!(self.endpoint.deadline().is_none_or(|next| next > at), "a deadline that does not move");
        }
        self.now = end;
        sent
    }

    /// First lines of what is sent while the time passes.
    pub fn pass_lines(&mut self, time: Duration) -> Vec<(u64, String)> {
        self.pass(time).into_iter().map(|(at, message)| (at, first(&message))).collect()
    }

    pub fn invite(&self) -> InviteId {
        let found = self.events.iter().rev().find_map(|event| match event {
            Event::Invite { invite, .. } | Event::Reinvite { invite, .. } => Some(*invite),
            _ => None,
        });
        found.expect("an INVITE was handed up")
    }

    pub fn dialog(&self) -> DialogId {
        let found = self.events.iter().rev().find_map(|event| match event {
            Event::Invite { dialog, .. } | Event::Answered { dialog, .. } => Some(*dialog),
            Event::Progress { dialog, .. } => *dialog,
            _ => None,
        });
        found.expect("a dialog was announced")
    }

    pub fn request(&self) -> RequestId {
        let found = self.events.iter().rev().find_map(|event| match event {
            Event::Request { request, .. } => Some(*request),
            _ => None,
        });
        found.expect("a request was handed up")
    }

    pub fn accept(&mut self, content: Content<'_>) -> Vec<String> {
        let invite = self.invite();
        self.endpoint.accept(self.now, invite, content, &mut self.out).unwrap();
        self.drain()
    }

    pub fn ring(&mut self, status: u16) -> Vec<String> {
        let invite = self.invite();
        self.endpoint.provisional(self.now, invite, &Answer::of(status), &mut self.out).unwrap();
        self.drain()
    }

    pub fn reject(&mut self, status: u16) -> Vec<String> {
        let invite = self.invite();
        self.endpoint.reject(self.now, invite, &Answer::of(status), &mut self.out).unwrap();
        self.drain()
    }

    /// Why dialogs ended, in order.
    pub fn endings(&self) -> Vec<Cause> {
        let causes = self.events.iter().filter_map(|event| match event {
            Event::Ended { cause, .. } => Some(*cause),
            _ => None,
        });
        causes.collect()
    }

    /// After everything has run out nothing may be left.
    pub fn assert_empty(&mut self) {
        self.pass(Duration::from_secs(4000));
        assert_eq!(self.endpoint.sizes(), Sizes::default());
    }
}

pub fn message_of(event: &Event) -> Option<Span> {
    match *event {
        Event::Invite { message, .. }
        | Event::Reinvite { message, .. }
        | Event::Acknowledged { message, .. }
        | Event::Pracked { message, .. }
        | Event::Request { message, .. }
        | Event::Progress { message, .. }
        | Event::Answered { message, .. }
        | Event::Notified { message, .. } => Some(message),
        Event::Ended { message, .. } | Event::Failed { message, .. } | Event::Response { message, .. } => message,
        _ => None,
    }
}

pub fn first(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

/// Status or method of a message: `200`, `BYE`.
pub fn word(message: &str) -> &str {
    message.strip_prefix("SIP/2.0 ").unwrap_or(message).split(' ').next().unwrap_or_default()
}

/// First words of messages.
pub fn words(messages: &[String]) -> Vec<&str> {
    messages.iter().map(|message| word(message)).collect()
}

/// The value of a header field.
pub fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let head = message.split("\r\n\r\n").next().unwrap_or_default();
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}

pub fn tag(value: &str) -> &str {
    value.split(";tag=").nth(1).unwrap_or_default()
}

/// What phones write into an INVITE beside the needful.
pub const USUAL: &str = "User-Agent: Telephone of a usual kind 1.0 (build 12345)\nAccept-Language: en, de;q=0.8\n\
     Organization: The makers of usual telephones, a limited company\nX-Serial: 0123456789-0123456789-0123456789-0123456789\n\
     X-Place: the third desk from the window in the second room on the left hand side of the corridor, ground floor\n\
     X-Lines: 1=idle;2=idle;3=idle;4=idle;5=idle;6=idle;7=idle;8=idle;9=idle;10=idle;11=idle;12=idle;13=idle;14=idle\n\
     X-Keys: 1=redial;2=hold;3=transfer;4=conference;5=mute;6=speaker;7=directory;8=message;9=park;10=pickup;11=record\n";

/// A request of the peer that a script varies.
#[derive(Clone)]
pub struct Peer {
    pub call_id: &'static str,
    pub from_tag: String,
    pub to_tag: String,
    pub cseq: u32,
    pub branch: String,
}

impl Peer {
    pub fn new() -> Self {
        Self { call_id: "abc@peer", from_tag: "p1".into(), to_tag: String::new(), cseq: 1, branch: "1".into() }
    }

    /// Takes our tag from a response.
    pub fn learn(&mut self, response: &str) {
        self.to_tag = tag(header(response, "To")).to_owned();
    }

    pub fn request(&self, method: &str, cseq_method: &str, more: &str, body: &str) -> String {
        let Self { call_id, from_tag, to_tag, cseq, branch } = self;
        let to = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
        let length = body.len();
        // INVITEs of phones are longer than this; where nothing is shown yet, what comes back depends on it.
        let more = if method == "INVITE" { format!("{USUAL}{more}") } else { more.to_owned() };
        format!(
            "{method} sip:us@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK{branch};rport\n\
             Max-Forwards: 70\nFrom: <sip:peer@example.org>;tag={from_tag}\nTo: <sip:us@example.com>{to}\n\
             Call-ID: {call_id}\nCSeq: {cseq} {cseq_method}\nContact: <sip:peer@192.0.2.9:5062>\n{more}\
             Content-Length: {length}\n\n{body}"
        )
    }

    pub fn invite(&self) -> String {
        self.request("INVITE", "INVITE", "Content-Type: application/sdp\n", "v=0")
    }

    /// The next request in the dialog, in its own transaction.
    pub fn next(&mut self, method: &str) -> String {
        self.cseq += 1;
        self.branch = format!("{method}{}", self.cseq);
        self.request(method, method, "", "")
    }

    /// The ACK for a 2xx.
    pub fn ack(&self) -> String {
        let peer = Peer { branch: format!("ack{}", self.cseq), ..self.clone() };
        peer.request("ACK", "ACK", "", "")
    }

    /// The ACK for a refusal: same branch.
    pub fn ack_refusal(&self) -> String {
        self.request("ACK", "ACK", "", "")
    }

    pub fn cancel(&self) -> String {
        Peer { to_tag: String::new(), ..self.clone() }.request("CANCEL", "CANCEL", "", "")
    }
}

/// A request of ours to `sip:bob@192.0.2.9:5062`.
pub fn new_request(flow: Flow) -> NewRequest<'static> {
    NewRequest::new(flow, "sip:bob@192.0.2.9:5062", "\"Us\" <sip:us@example.com>", "<sip:bob@example.org>")
}

/// A response to a request of ours, as the peer with this tag makes it. `more` are header lines that end with `\n`.
pub fn reply(request: &str, status: u16, to_tag: &str, more: &str, body: &str) -> String {
    let mut head = format!("SIP/2.0 {status} Words\n");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        let value = header(request, name);
        let tagged = name == "To" && !value.contains(";tag=") && !to_tag.is_empty();
        let tag = if tagged { format!(";tag={to_tag}") } else { String::new() };
        head += &format!("{name}: {value}{tag}\n");
    }
    format!("{head}{more}Content-Length: {}\n\n{body}", body.len())
}

/// The header lines of an answer with a session description, from a peer that is at this port.
pub fn answer_lines(port: u16) -> String {
    format!("Contact: <sip:bob@192.0.2.9:{port}>\nAllow: INVITE, ACK, BYE, UPDATE\nContent-Type: application/sdp\n")
}

/// A request of the peer in a dialog that we asked for with `invite`.
pub fn from_callee(invite: &str, to_tag: &str, (method, cseq): (&str, u32), more: &str, body: &str) -> String {
    let (from, to, call_id) = (header(invite, "From"), header(invite, "To"), header(invite, "Call-ID"));
    format!(
        "{method} sip:192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK{to_tag}{method}{cseq};rport\n\
         Max-Forwards: 70\nFrom: {to};tag={to_tag}\nTo: {from}\nCall-ID: {call_id}\nCSeq: {cseq} {method}\n{more}\
         Content-Length: {}\n\n{body}",
        body.len()
    )
}

impl Bench {
    /// Places a call with an offer; gives it and the INVITE.
    pub fn call(&mut self) -> (CallId, String) {
        let request = NewRequest { content: Content::sdp(b"v=0"), ..new_request(self.flow) };
        let call = self.endpoint.invite(self.now, &request, &mut self.out).unwrap();
        (call, self.drain().remove(0))
    }

    /// A call that was answered by the peer with tag `b`; gives its dialog and the INVITE.
    pub fn answered_call(&mut self) -> (DialogId, String) {
        let (_, invite) = self.call();
        let sent = self.feed(&reply(&invite, 200, "b", &answer_lines(5070), "v=0"));
        assert_eq!(words(&sent), ["ACK"]);
        (self.dialog(), invite)
    }

    /// The statuses of `Failed` and `Response` events, in order.
    pub fn failures(&self) -> Vec<u16> {
        let statuses = self.events.iter().filter_map(|event| match event {
            Event::Failed { status, .. } | Event::Response { status, .. } => Some(*status),
            _ => None,
        });
        statuses.collect()
    }
}
