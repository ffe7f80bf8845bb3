//! A turn's messages on their way out: datagrams as many as possible with one system call, the rest to its connections.

use super::datagrams::{self, Datagrams};
use crate::operator::trace::{Tracer, Way};
use crate::paths::own_address::leads_home;
use crate::shard::sharding::Sharding;
use crate::sockets::carriers::Carriers;
use crate::sockets::listener::Listener;
use crate::sockets::streams::respond_anew;
use crate::sockets::tcp_fallback::TcpFallback;
use shard_core::intake::Arrived;
use sip_core::{Flow, Output, Transport};
use std::sync::Arc;
use transport::{SendError, Streams};

/// One shard's way out.
pub(crate) struct Sender {
    listeners: Arc<[Listener]>,
    datagrams: Datagrams,
    streams: Option<Arc<Streams>>,
    /// Large requests that go by TCP instead of UDP.
    tcp_fallback: Arc<TcpFallback>,
    /// Paths on which requests could not be sent.
    broken: Vec<Flow>,
    carriers: Carriers,
    /// The shards, for messages of the switch to itself.
    sharding: Sharding,
    tracer: Tracer,
}

/// What became of a turn's messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) sent_count: u64,
    pub(crate) failed_count: u64,
}

impl Sent {
    fn one(is_sent: bool) -> Self {
        Self { sent_count: is_sent.into(), failed_count: (!is_sent).into() }
    }

    fn add(&mut self, other: Self) {
        self.sent_count += other.sent_count;
        self.failed_count += other.failed_count;
    }
}

impl Sender {
    pub(crate) fn new(
        listeners: Arc<[Listener]>,
        streams: Option<Arc<Streams>>,
        tcp_fallback: Arc<TcpFallback>,
        sharding: Sharding,
        tracer: Tracer,
    ) -> Self {
        let (datagrams, broken, carriers) = (Datagrams::new(), Vec::new(), Carriers::default());
        Self { listeners, datagrams, streams, tcp_fallback, broken, carriers, sharding, tracer }
    }

    /// Sends everything. What the kernel or a connection does not take is counted; SIP's retransmissions repeat it over
    /// UDP, and [`Self::broken`] tells of it otherwise.
    pub(crate) fn send<E: Copy>(&mut self, out: &Output<E>) -> Sent {
        for sent in &out.transmits {
            self.tracer.pass(Way::Out, &sent.flow, out.bytes(sent.bytes));
        }
        let mut total = Sent::default();
        let mut rest = &out.transmits[..];
        while let Some(first) = rest.first() {
            let goes_alone = |next: &sip_core::Transmit| {
                let flow = &next.flow;
                flow.transport != Transport::Udp || TcpFallback::concerns(out.bytes(next.bytes)) || leads_home(flow)
            };
            if goes_alone(first) {
                total.add(Sent::one(self.send_alone(&first.flow, out.bytes(first.bytes))));
                rest = &rest[1..];
                continue;
            }
            // One call has one source address, so a batch is a run of messages that share theirs.
            let local = first.flow.local;
            let is_alike = |next: &&sip_core::Transmit| next.flow.local == local && !goes_alone(next);
            let run = rest.iter().take(datagrams::BATCH_COUNT).take_while(is_alike).count();
            let (batch, later) = rest.split_at(run);
            total.add(self.datagrams.send(&self.listeners, batch, out));
            rest = later;
        }
        total
    }

    /// Sends one message on its own.
    pub(crate) fn send_one(&mut self, flow: &Flow, bytes: &[u8]) -> bool {
        self.tracer.pass(Way::Out, flow, bytes);
        self.send_alone(flow, bytes)
    }

    fn send_alone(&mut self, flow: &Flow, bytes: &[u8]) -> bool {
        if flow.transport != Transport::Udp {
            return self.send_on_connection(flow, bytes);
        }
        if leads_home(flow) {
            return self.send_home(flow, bytes);
        }
        if TcpFallback::concerns(bytes)
            && let Some(streams) = &self.streams
            && self.tcp_fallback.send(streams, flow, bytes)
        {
            return true;
        }
        datagrams::send_one(&self.listeners, flow, bytes)
    }

    fn send_home(&self, flow: &Flow, bytes: &[u8]) -> bool {
        let Some(inbox) = self.sharding.inboxes.get(self.sharding.of(bytes)) else { return false };
        let has_room = inbox.push(Arrived { flow: *flow, at: clock::now(), bytes: bytes.into(), is_ours: true });
        inbox.wake();
        has_room
    }

    fn send_on_connection(&mut self, flow: &Flow, bytes: &[u8]) -> bool {
        let Some(streams) = &self.streams else { return false };
        let is_response = bytes.starts_with(b"SIP/");
        match streams.send(flow, bytes) {
            Ok(carrier) => {
                if !is_response {
                    self.carriers.note(carrier.connection, flow);
                }
                true
            }
            Err(SendError::Gone) if is_response => respond_anew(streams, flow, bytes),
            Err(error) => {
                tracing::debug!(remote = %flow.remote, transport = flow.transport.via_name(), "not sent: {error}");
                if !is_response {
                    self.carriers.note(flow.connection, flow);
                    self.broken.push(*flow);
                }
                false
            }
        }
    }

    /// All paths with requests that are broken because this one is.
    pub(crate) fn broken_with(&mut self, flow: &Flow) -> Vec<Flow> {
        self.carriers.broken_with(flow)
    }

    /// The next path on which a request could not be sent.
    pub(crate) fn broken(&mut self) -> Option<Flow> {
        self.broken.pop()
    }
}
