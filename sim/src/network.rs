//! The bad network: loss, delay, reordering, copies and partitions for datagrams; order and breaks for connections.

use crate::rng::Rng;
use clock::{Duration, Instant};
use sip_core::{Flow, Transport};
use sip_wire::{Framer, Framing};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;

/// How bad, chosen once for a seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    loss_percent: u64,
    copy_percent: u64,
    delay_ms: (u64, u64),
    partitions_count: u64,
    /// Damaged copies beside the messages.
    noise_percent: u64,
    /// Sends over a connection that find it broken.
    break_percent: u64,
    /// Connections carry bytes, in pieces as they like, and not messages.
    has_streams: bool,
}

impl Faults {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let quiet = rng.chance(15);
        Self {
            loss_percent: if quiet { 0 } else { *rng.pick(&[0, 1, 5, 10, 25]) },
            copy_percent: if quiet { 0 } else { *rng.pick(&[0, 2, 10]) },
            delay_ms: *rng.pick(&[(1, 1), (5, 40), (20, 400), (1, 1500)]),
            partitions_count: if quiet { 0 } else { rng.below(4) },
            noise_percent: 0,
            break_percent: 0,
            has_streams: false,
        }
    }
}

/// What has come of a stream and is no whole message yet.
#[derive(Default)]
struct Inflow {
    bytes: Vec<u8>,
    framer: Framer,
}

/// Something that arrives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Arrival {
    Message(Vec<u8>),
    /// Bytes of a connection that are no whole message yet.
    Piece(Vec<u8>),
    /// The connection broke.
    Broken,
}

type Queued = Reverse<(Instant, u64, SocketAddr, SocketAddr, Arrival, u64)>;

pub(crate) struct Network {
    faults: Faults,
    queue: BinaryHeap<Queued>,
    sent_count: u64,
    /// When the last message of a connection arrives, by its direction.
    order: BTreeMap<(SocketAddr, SocketAddr), Instant>,
    /// What has come of the streams, by their direction.
    inflows: BTreeMap<(SocketAddr, SocketAddr), Inflow>,
    /// Addresses that are cut off, from when to when.
    partitions: Vec<(Instant, Instant, SocketAddr)>,
    pub(crate) lost_count: u64,
}

impl Network {
    pub(crate) fn new(rng: &mut Rng, addresses: &[SocketAddr], until: Duration, is_noisy: bool) -> Self {
        let faults = Faults { noise_percent: if is_noisy { 20 } else { 0 }, ..Faults::draw(rng) };
        Self::with(faults, rng, addresses, until)
    }

    /// One whose connections are streams that may break.
    pub(crate) fn with_streams(rng: &mut Rng, addresses: &[SocketAddr], until: Duration) -> Self {
        let break_percent = *rng.pick(&[0, 0, 1, 5]);
        let faults = Faults { has_streams: true, break_percent, ..Faults::draw(rng) };
        Self::with(faults, rng, addresses, until)
    }

    fn with(faults: Faults, rng: &mut Rng, addresses: &[SocketAddr], until: Duration) -> Self {
        let partitions = (0..faults.partitions_count).map(|_| {
            let from = Instant::ZERO + rng.between_ms(0, until.as_millis() as u64);
            (from, from + rng.between_ms(100, 60_000), *rng.pick(addresses))
        });
        let partitions = partitions.collect();
        let (queue, order, inflows) = (BinaryHeap::new(), BTreeMap::new(), BTreeMap::new());
        Self { faults, queue, sent_count: 0, order, inflows, partitions, lost_count: 0 }
    }

    /// Whether all that is sent arrives.
    pub(crate) fn is_lossless(&self) -> bool {
        self.faults.loss_percent == 0 && self.faults.break_percent == 0 && self.partitions.is_empty()
    }

    fn is_cut(&self, now: Instant, a: SocketAddr, b: SocketAddr) -> bool {
        self.partitions.iter().any(|(from, to, who)| (*from..*to).contains(&now) && (*who == a || *who == b))
    }

    /// Sends; gives what becomes of it, for the trace.
    pub(crate) fn send(&mut self, rng: &mut Rng, now: Instant, flow: &Flow, bytes: &[u8]) -> &'static str {
        let (from, to) = (flow.local, flow.remote);
        let delay = rng.between_ms(self.faults.delay_ms.0, self.faults.delay_ms.1);
        let cut = self.is_cut(now, from, to);
        if flow.transport.is_reliable() {
            if cut {
                self.lost_count += 1;
                self.push(now + delay, to, from, Arrival::Broken, flow); // to the sender, from its peer
                return "broken";
            }
            if self.faults.has_streams {
                return self.send_stream(rng, now, flow, bytes);
            }
            let at = self.in_order(now + delay, from, to);
            self.push(at, from, to, Arrival::Message(bytes.to_vec()), flow);
            return "";
        }
        if self.faults.noise_percent > 0 && rng.chance(self.faults.noise_percent) {
            self.push(now + delay, from, to, Arrival::Message(damaged(rng, bytes)), flow);
        }
        if cut || rng.chance(self.faults.loss_percent) {
            self.lost_count += 1;
            return "lost";
        }
        self.push(now + delay, from, to, Arrival::Message(bytes.to_vec()), flow);
        if rng.chance(self.faults.copy_percent) {
            let later = rng.between_ms(0, 3000);
            self.push(now + delay + later, from, to, Arrival::Message(bytes.to_vec()), flow);
            return "doubled";
        }
        ""
    }

    /// Nothing of a connection arrives before what was sent before it.
    fn in_order(&mut self, at: Instant, from: SocketAddr, to: SocketAddr) -> Instant {
        let last = self.order.entry((from, to)).or_default();
        *last = at.max(*last);
        *last
    }

    /// Sends in pieces, or finds the connection broken: both sides hear of that, and what was on its way is lost.
    fn send_stream(&mut self, rng: &mut Rng, now: Instant, flow: &Flow, bytes: &[u8]) -> &'static str {
        let (from, to) = (flow.local, flow.remote);
        if rng.chance(self.faults.break_percent) {
            self.lost_count += 1;
            let is_its = |queued: &Queued| {
                let (a, b) = (queued.0.2, queued.0.3);
                queued.0.5 == flow.connection && ((a, b) == (from, to) || (a, b) == (to, from))
            };
            self.queue.retain(|queued| !is_its(queued));
            for (near, far) in [(from, to), (to, from)] {
                self.inflows.remove(&(near, far));
                self.push(now, far, near, Arrival::Broken, flow);
            }
            return "broken";
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let all = rng.chance(60);
            let piece = if all { rest.len() } else { 1 + rng.below(rest.len() as u64) as usize };
            let (first, after) = rest.split_at(piece);
            rest = after;
            let delay = rng.between_ms(self.faults.delay_ms.0, self.faults.delay_ms.1);
            let at = self.in_order(now + delay, from, to);
            self.push(at, from, to, Arrival::Piece(first.to_vec()), flow);
        }
        ""
    }

    fn push(&mut self, at: Instant, from: SocketAddr, to: SocketAddr, arrival: Arrival, flow: &Flow) {
        self.sent_count += 1;
        self.queue.push(Reverse((at, self.sent_count, from, to, arrival, flow.connection)));
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse(queued)| queued.0)
    }

    /// What arrives now: its receiver, the path as the receiver sees it, and the message or error.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(SocketAddr, Flow, Arrival)> {
        if self.next()? > now {
            return None;
        }
        let Reverse((_, _, from, to, arrival, connection)) = self.queue.pop()?;
        let transport = if connection == 0 { Transport::Udp } else { Transport::Tcp };
        let flow = Flow { transport, local: to, remote: from, connection };
        if let Arrival::Piece(piece) = arrival {
            let inflow = self.inflows.entry((from, to)).or_default();
            inflow.bytes.extend(piece);
            let Some(message) = inflow.next_message() else { return Some((to, flow, Arrival::Piece(Vec::new()))) };
            // There may be another one behind it.
            self.sent_count += 1;
            self.queue.push(Reverse((now, 0, from, to, Arrival::Piece(Vec::new()), connection)));
            return Some((to, flow, Arrival::Message(message)));
        }
        Some((to, flow, arrival))
    }
}

impl Inflow {
    /// The next whole message.
    fn next_message(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.framer.frame(&self.bytes) {
                Framing::Complete { bytes } => return Some(self.bytes.drain(..bytes).collect()),
                Framing::KeepAlive { bytes, .. } => drop(self.bytes.drain(..bytes)),
                Framing::Incomplete => return None,
                Framing::Invalid(error) => unreachable!("nodes send what can be framed: {error:?}"),
            }
        }
    }
}

/// Some bytes changed, doubled or gone; now and then the rest cut off.
fn damaged(rng: &mut Rng, bytes: &[u8]) -> Vec<u8> {
    const TEMPTING: &[u8] = b"\r\n\0 \t\"<>;:,=@%?0919azAZ\xff";
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + rng.below(4) {
        let at = rng.below(bytes.len() as u64) as usize;
        match rng.below(4) {
            0 => drop(bytes.remove(at)),
            1 => bytes.insert(at, *rng.pick(TEMPTING)),
            2 => bytes[at] = rng.next() as u8,
            _ => bytes[at] = *rng.pick(TEMPTING),
        }
        if bytes.is_empty() {
            return bytes;
        }
    }
    if rng.chance(10) {
        bytes.truncate(rng.below(bytes.len() as u64) as usize);
    }
    bytes
}
