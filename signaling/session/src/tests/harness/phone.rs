use clock::{Duration, Instant};
use sip_core::{
    CallId, ClientRequestId, DialogId, Endpoint, EndpointConfig, Event, Flow, InviteId, Output, Reliability, RequestId,
    SubscriptionId,
};
use sip_wire::{Message, Method};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

/// A real endpoint with at most one call, and the messages on their way to it.
pub(in crate::tests) struct Phone {
    pub(super) endpoint: Endpoint,
    pub(super) out: Output,
    /// The path to the switch, as the phone sees it.
    pub(super) flow: Flow,
    /// The INVITE that it has sent.
    pub(super) call: Option<CallId>,
    pub(super) dialog: Option<DialogId>,
    /// INVITEs of the switch that wait for its answer, by CSeq number.
    pub(super) invites: HashMap<u32, InviteId>,
    /// Other requests of the switch that wait for its answer, by CSeq number.
    pub(super) requests: HashMap<u32, RequestId>,
    /// What the test calls its requests, by method and CSeq number.
    pub(super) names: HashMap<(Vec<u8>, u32), u64>,
    /// REFERs of the switch that it has accepted, by CSeq number.
    pub(super) subscriptions: HashMap<u32, SubscriptionId>,
    /// Messages of the switch that have not arrived.
    pub(super) held: VecDeque<Vec<u8>>,
    /// Whatever comes is lost.
    pub(super) is_deaf: bool,
    /// Whatever it sends is lost.
    pub(super) is_mute: bool,
    /// It has sent CANCEL or BYE: the switch ends its INVITEs with 487.
    pub(super) has_given_up: bool,
    /// It owes an ACK with the answer to an offer in a 2xx.
    pub(super) owes_answer: bool,
    /// Lines that the next request gets on its way; From and To take the place of those that are there.
    pub(super) lines: Vec<String>,
    /// The CSeq number of its last request.
    pub(super) cseq: u32,
    /// The last INVITE that it has sent.
    pub(super) last_invite: Vec<u8>,
    /// Final answers to its requests, by the number that its endpoint gave them.
    pub(super) heard: Vec<(Option<ClientRequestId>, u16)>,
}

/// How phones are configured.
pub(super) fn config(reliability: Reliability) -> EndpointConfig {
    let mut config = EndpointConfig { reliability, ..EndpointConfig::default() };
    config.timers.trying_after = Duration::ZERO;
    config
}

impl Phone {
    pub(super) fn new(config: EndpointConfig, seed: u64, flow: Flow) -> Self {
        Self {
            endpoint: Endpoint::new(config, seed),
            out: Output::new(),
            flow,
            call: None,
            dialog: None,
            invites: HashMap::new(),
            requests: HashMap::new(),
            names: HashMap::new(),
            subscriptions: HashMap::new(),
            held: VecDeque::new(),
            is_deaf: false,
            is_mute: false,
            has_given_up: false,
            owes_answer: false,
            lines: Vec::new(),
            cseq: 0,
            last_invite: Vec::new(),
            heard: Vec::new(),
        }
    }

    /// Its call is answered, as far as it knows, and goes on.
    pub(super) fn is_up(&self) -> bool {
        self.dialog.and_then(|dialog| self.endpoint.dialog_info(dialog)).is_some_and(|info| info.is_confirmed)
    }

    /// A message of the switch arrives.
    pub(super) fn receive(&mut self, now: Instant, text: &[u8]) {
        if !self.is_deaf {
            self.endpoint.receive(now, &self.flow, text, &mut self.out);
        }
    }

    /// Notes what its endpoint says, and gives the messages that it sends.
    pub(super) fn act(&mut self, now: Instant) -> Vec<(SocketAddr, Vec<u8>)> {
        if self.endpoint.deadline().is_some_and(|at| at <= now) {
            self.endpoint.wake(now, &mut self.out);
        }
        while let Some(event) = self.out.next_event() {
            let cseq = |message| {
                let message = Message::parse(self.out.bytes(message)).expect("a message");
                message.cseq().expect("a CSeq").number
            };
            match event {
                Event::Invite { invite, dialog, message, .. } => {
                    self.dialog = Some(dialog);
                    self.invites.insert(cseq(message), invite);
                }
                Event::Reinvite { invite, message, .. } => drop(self.invites.insert(cseq(message), invite)),
                Event::Request { request, message, .. } => drop(self.requests.insert(cseq(message), request)),
                Event::Progress { dialog, .. } => self.dialog = dialog.or(self.dialog),
                Event::Answered { dialog, wants_ack, .. } => {
                    (self.dialog, self.owes_answer) = (Some(dialog), wants_ack);
                }
                Event::Response { request, status, wants_ack, .. } if status >= 200 => {
                    self.heard.push((Some(request), status));
                    self.owes_answer |= wants_ack;
                }
                Event::Failed { status, .. } => self.heard.push((None, status)),
                Event::ReinviteCancelled { invite, .. } => self.invites.retain(|_, open| *open != invite),
                Event::Ended { dialog, .. } if self.dialog == Some(dialog) => {
                    self.invites.clear();
                    self.requests.clear();
                }
                Event::PathWanted { dialog } => {
                    self.endpoint.set_path(now, dialog, Some(self.flow), &mut self.out);
                }
                _ => {}
            }
        }
        let sent: Vec<_> =
            self.out.transmits.iter().map(|one| (one.flow.remote, self.out.bytes(one.bytes).to_vec())).collect();
        self.out.clear();
        sent.into_iter().map(|(to, text)| (to, self.on_its_way(text))).collect()
    }

    /// Adds the lines that a test wants in a request, and remembers an INVITE.
    fn on_its_way(&mut self, mut text: Vec<u8>) -> Vec<u8> {
        let method = Message::parse(&text).expect("a message of an endpoint").method();
        let Some(method) = method.filter(|method| *method != Method::Ack) else { return text };
        let number = Message::parse(&text).expect("a message of an endpoint").cseq().expect("a CSeq").number;
        self.cseq = self.cseq.max(number);
        if !self.lines.is_empty() {
            let whole = String::from_utf8(text).expect("text");
            let (header, body) = whole.split_once("\r\n\r\n").expect("a header");
            let mut lines: Vec<String> = header.split("\r\n").map(str::to_owned).collect();
            let mut replaced = Vec::new();
            for added in std::mem::take(&mut self.lines) {
                let name = added.split(':').next().unwrap_or_default().to_owned();
                let is_first = matches!(&*name, "From" | "To" | "Refer-To" | "Allow") && !replaced.contains(&name);
                let place = lines.iter().position(|line| is_first && line.starts_with(&format!("{name}:")));
                replaced.push(name);
                match place {
                    Some(place) => {
                        let tag = lines[place].rfind(";tag=").map_or("", |at| &lines[place][at..]);
                        lines[place] = format!("{}{tag}", added.trim_end_matches(";tag=1"));
                    }
                    None => lines.insert(lines.len() - 1, added),
                }
            }
            lines.retain(|line| line != "Refer-To: ");
            text = format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes();
        }
        if method == Method::Invite {
            self.last_invite = text.clone();
        }
        text
    }
}
