//! Several switches and phones of ours that call each other in virtual time over a network that may lose messages.

use crate::tests::harness::*;
use crate::*;
use clock::{Duration, Instant};
use sip_core::{EndpointConfig, Flow};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A phone.
pub(in crate::tests) const A: usize = 0;
/// The phone that [`Numbers`] sends calls on to.
pub(in crate::tests) const B: usize = 1;
/// The switch, or another phone.
pub(in crate::tests) const S: usize = 2;

const ADDRESSES: [&str; 3] = ["192.0.2.1:5060", "192.0.2.7:5060", "192.0.2.9:5060"];

fn address(node: usize) -> SocketAddr {
    ADDRESSES[node].parse().unwrap()
}

/// Nodes, and the messages between them.
pub(in crate::tests) struct Wire {
    now: Instant,
    pub(in crate::tests) nodes: Vec<World>,
    in_flight: BTreeMap<(Instant, u64), (usize, Flow, Vec<u8>)>,
    sent_count: u64,
    /// First lines of all messages, with the nodes that sent them.
    pub(in crate::tests) log: Vec<(usize, String)>,
    /// Each message that has this number, counted by all, is lost.
    lost_every: u64,
}

impl Wire {
    pub(in crate::tests) fn new() -> Self {
        Self::losing(u64::MAX)
    }

    /// One of so many messages is lost.
    pub(in crate::tests) fn losing(lost_every: u64) -> Self {
        let node = |seed: u64| {
            let settings = Settings { seed, ..Settings::default() };
            let mut world = World::with(settings, EndpointConfig::default(), 8);
            world.messages = Some(Vec::new());
            world
        };
        Self {
            now: Instant::ZERO,
            nodes: (1..=3).map(node).collect(),
            in_flight: BTreeMap::new(),
            sent_count: 0,
            log: Vec::new(),
            lost_every,
        }
    }

    /// A user of a node does something.
    pub(in crate::tests) fn order<R>(
        &mut self,
        node: usize,
        work: impl FnOnce(&mut Sessions, &mut Turn<'_>) -> R,
    ) -> R {
        self.nodes[node].now = self.now;
        let result = self.nodes[node].turn(work);
        self.settle(node);
        result
    }

    /// One node calls a user of another one; half a second later all that is to happen has happened.
    pub(in crate::tests) fn call(&mut self, from: usize, to: usize, user: &str) -> SessionId {
        let flow = Flow::udp(address(from), address(to));
        let target = Target::new(&format!("sip:{user}@{}", address(to).ip()), flow);
        let dial = Dial::new(&format!("sip:phone{from}@{}", address(from).ip()), target);
        let id = self.order(from, |sessions, turn| sessions.dial(turn, dial)).unwrap();
        self.run(Duration::from_millis(500));
        id
    }

    /// Events, media and messages of a node, until there are none.
    fn settle(&mut self, node: usize) {
        let world = &mut self.nodes[node];
        world.settle();
        world.serve();
        let sent = world.messages.as_mut().map(std::mem::take).expect("messages for the wire");
        for (flow, bytes) in sent {
            let first = String::from_utf8_lossy(bytes.split(|byte| *byte == b'\r').next().unwrap()).into_owned();
            self.log.push((node, first));
            self.sent_count += 1;
            let to = (0..self.nodes.len()).find(|to| address(*to) == flow.remote);
            let Some(to) = to.filter(|_| !self.sent_count.is_multiple_of(self.lost_every)) else { continue };
            let arrives = Flow::udp(flow.remote, flow.local);
            self.in_flight.insert((self.now + Duration::from_millis(5), self.sent_count), (to, arrives, bytes));
        }
    }

    /// Lets time pass, from one thing that happens to the next.
    pub(in crate::tests) fn run(&mut self, pause: Duration) {
        let until = self.now + pause;
        loop {
            let arrives = self.in_flight.keys().next().map(|(at, _)| *at);
            let wakes = self.nodes.iter().enumerate().filter_map(|(node, world)| Some((world.deadline()?, node))).min();
            let next = [arrives, wakes.map(|(at, _)| at)].into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            let node = if arrives == Some(at) {
                let (_, (to, flow, bytes)) = self.in_flight.pop_first().expect("it was there a moment ago");
                let world = &mut self.nodes[to];
                world.now = self.now;
                world.receive(flow, &bytes);
                to
            } else {
                let (_, node) = wakes.expect("something is next");
                let world = &mut self.nodes[node];
                world.now = self.now;
                world.turn(|sessions, turn| sessions.handle_deadline(turn));
                node
            };
            self.nodes[node].now = self.now;
            self.settle(node);
        }
        self.now = until;
    }

    /// The only session of a node.
    pub(in crate::tests) fn only(&self, node: usize) -> SessionId {
        let ids: Vec<_> = self.nodes[node].sessions.iter().map(Session::id).collect();
        let [id] = ids[..] else { panic!("{ids:?}") };
        id
    }

    pub(in crate::tests) fn state(&self, node: usize, id: SessionId) -> SessionState {
        self.nodes[node].session(id).state()
    }

    /// What a node has sent since it was asked last.
    pub(in crate::tests) fn sent(&mut self, node: usize) -> Vec<String> {
        let (its, others) = std::mem::take(&mut self.log).into_iter().partition(|(from, _)| *from == node);
        self.log = others;
        let its: Vec<(usize, String)> = its;
        its.into_iter().map(|(_, line)| line).collect()
    }

    /// All calls are over, and nothing of them is left in any table.
    pub(in crate::tests) fn assert_at_rest(&mut self) {
        self.run(Duration::from_secs(200));
        for world in &self.nodes {
            world.assert_empty();
            let sizes = world.sip.endpoint.sizes();
            assert_eq!((sizes.dialogs, sizes.server_transactions, sizes.client_transactions), (0, 0, 0));
        }
    }
}
