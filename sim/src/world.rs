//! One seed from its beginning to its end.

use crate::agent::Agent;
use crate::bridge::Bridge;
use crate::ledger::{Broken, Ledger};
use crate::network::{Arrival, Network};
use crate::node::{Book, Node, Turn};
use crate::relay::Relay;
use crate::rng::Rng;
use crate::todo::Todo;
use clock::{Duration, Instant};
use sip_core::proxy::ProxyConfig;
use sip_core::{EndpointConfig, Flow, Limits, SessionTimer};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddr};

/// Nothing may take longer than this after the last call.
const LONGEST: Duration = Duration::from_secs(20_000);
/// Messages of one seed; more would be a storm.
const MAX_MESSAGES_COUNT: u64 = 200_000;

/// What a seed came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Virtual time until nothing was left.
    pub lasted: Duration,
    /// A hash over everything that was sent, and when: the same seed has the same.
    pub trace_hash: u64,
    /// Messages that were sent.
    pub messages_count: u64,
    /// Messages that the network lost.
    pub lost_count: u64,
    /// Calls that were answered.
    pub answered_count: u64,
    /// Calls that failed.
    pub failed_count: u64,
    /// Dialogs that ended.
    pub ended_count: u64,
}

struct World {
    now: Instant,
    rng: Rng,
    book: Book,
    network: Network,
    nodes: Vec<(SocketAddr, Node)>,
    todos: BinaryHeap<Reverse<(Instant, u64, usize, Todo)>>,
    todos_count: u64,
    ledger: Ledger,
    trace_hash: u64,
    trace: Option<Vec<String>>,
}

/// Plays a seed. With `trace` everything that happens is written down.
pub fn run(seed: u64, trace: Option<&mut Vec<String>>) -> Result<Report, Broken> {
    run_on(seed, false, trace)
}

/// Plays a seed like [`run`] on a network that sends damaged copies beside the messages: no node may fail over them, or keep
/// state of them.
pub fn run_noisy(seed: u64, trace: Option<&mut Vec<String>>) -> Result<Report, Broken> {
    run_on(seed, true, trace)
}

fn run_on(seed: u64, is_noisy: bool, trace: Option<&mut Vec<String>>) -> Result<Report, Broken> {
    let mut world = World::new(seed, is_noisy, trace.is_some());
    let played = world.play();
    if let Some(trace) = trace {
        trace.append(world.trace.get_or_insert_default());
    }
    played
}

fn address(number: u8) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::new(10, 0, 0, number).into(), 5060)
}

fn endpoint_config(rng: &mut Rng) -> EndpointConfig {
    let interval = Duration::from_secs(*rng.pick(&[0, 90, 120, 1800]));
    let mut config = EndpointConfig {
        session_timer: SessionTimer { interval, ..SessionTimer::default() },
        limits: Limits { max_transactions: 2000, max_dialogs: 1000, max_subscriptions: 500, ..Limits::default() },
        event_packages: vec!["refer".to_owned(), "dialog".to_owned()],
        ..EndpointConfig::default()
    };
    config.allow.push("SUBSCRIBE".to_owned());
    if rng.chance(20) {
        config.allow.retain(|method| method != "UPDATE");
    }
    if rng.chance(10) {
        config.limits = Limits { max_transactions: 12, max_dialogs: 4, max_subscriptions: 2, ..config.limits };
    }
    config
}

impl World {
    fn new(seed: u64, is_noisy: bool, traced: bool) -> Self {
        let mut rng = Rng::new(seed);
        let agents_count = 2 + rng.below(4) as u8;
        let agents: Vec<SocketAddr> = (1..=agents_count).map(address).collect();
        let (proxy, bridge) = (address(100), address(101));
        let all: Vec<SocketAddr> = agents.iter().copied().chain([proxy, bridge]).collect();
        let busy = Duration::from_secs(60 + rng.below(600));
        let connected = if rng.chance(50) { 0 } else { rng.next() & rng.next() };
        let book = Book { agents, proxy, bridge, connected, until: Instant::ZERO + busy };
        let network = Network::new(&mut rng, &all, busy, is_noisy);
        let nodes = Self::nodes(&mut rng, &book);
        let mut world = Self {
            now: Instant::ZERO + Duration::from_secs(1),
            rng,
            book,
            network,
            nodes,
            todos: BinaryHeap::new(),
            todos_count: 0,
            ledger: if is_noisy { Ledger::noisy() } else { Ledger::default() },
            trace_hash: 0xcbf2_9ce4_8422_2325,
            trace: traced.then(Vec::new),
        };
        world.plan();
        world
    }

    fn nodes(rng: &mut Rng, book: &Book) -> Vec<(SocketAddr, Node)> {
        let mut nodes = Vec::new();
        for (index, at) in book.agents.iter().enumerate() {
            let config = endpoint_config(rng);
            nodes.push((*at, Node::Agent(Box::new(Agent::new(index as u64, config, rng, *at)))));
        }
        let config = ProxyConfig {
            max_redirects: 2,
            record_route: rng.chance(70),
            max_requests: 2000,
            ..ProxyConfig::default()
        };
        nodes.push((book.proxy, Node::Relay(Box::new(Relay::new(config, rng.next(), book.proxy)))));
        let (mut config, seed) = (endpoint_config(rng), rng.next());
        // Both legs of a bridged call may lose their peers at once; nobody is there to hang up.
        config.session_timer.interval = Duration::from_secs(*rng.pick(&[90, 600]));
        nodes.push((book.bridge, Node::Bridge(Box::new(Bridge::new(100, config, seed, book.bridge)))));
        nodes
    }

    /// What users mean to do on their own.
    fn plan(&mut self) {
        let busy_ms = self.book.until.since(self.now).as_millis() as u64;
        for node in 0..self.book.agents.len() {
            for _ in 0..1 + self.rng.below(8) {
                let todo = match self.rng.below(10) {
                    0 => Todo::Options,
                    1 => Todo::Subscribe,
                    _ => Todo::Call,
                };
                let at = self.now + self.rng.between_ms(0, busy_ms);
                self.push(at, node, todo);
            }
        }
    }

    fn push(&mut self, at: Instant, node: usize, todo: Todo) {
        self.todos_count += 1;
        self.todos.push(Reverse((at, self.todos_count, node, todo)));
    }

    fn next(&self) -> Option<Instant> {
        let todo = self.todos.peek().map(|Reverse(todo)| todo.0);
        let deadlines = self.nodes.iter().filter_map(|(_, node)| node.deadline());
        deadlines.chain(todo).chain(self.network.next()).min()
    }

    fn play(&mut self) -> Result<Report, Broken> {
        let end = self.book.until + LONGEST;
        while let Some(at) = self.next() {
            if at < self.now {
                self.ledger.fail(format!("a deadline in the past: {at:?} at {:?}", self.now));
            }
            if at > end || self.ledger.messages_count > MAX_MESSAGES_COUNT {
                let left: Vec<String> = self.nodes.iter().map(|(_, node)| node.leftovers()).collect();
                self.ledger.fail(format!("it does not come to an end: {left:?}"));
            }
            if let Some(broken) = self.ledger.broken() {
                return Err(broken.clone());
            }
            self.now = at.max(self.now);
            self.step();
        }
        for (at, node) in &self.nodes {
            let left = node.leftovers();
            if !left.is_empty() {
                self.ledger.fail(format!("{at} has something left: {left}"));
            }
        }
        self.ledger.finish();
        match self.ledger.broken() {
            Some(broken) => Err(broken.clone()),
            None => Ok(self.report()),
        }
    }

    fn report(&self) -> Report {
        Report {
            lasted: self.now.since(Instant::ZERO),
            trace_hash: self.trace_hash,
            messages_count: self.ledger.messages_count,
            lost_count: self.network.lost_count,
            answered_count: self.ledger.answered_count,
            failed_count: self.ledger.failed_count,
            ended_count: self.ledger.ended_count,
        }
    }

    /// Everything that is due now, one thing after the other.
    fn step(&mut self) {
        if let Some((to, flow, arrival)) = self.network.pop(self.now) {
            if let Some(index) = self.nodes.iter().position(|(at, _)| *at == to) {
                self.turn(index, |node, turn| node.arrive(&flow, &arrival, turn));
            }
            let _: &Arrival = &arrival;
            return;
        }
        if let Some(Reverse((at, ..))) = self.todos.peek()
            && *at <= self.now
            && let Some(Reverse((_, _, index, todo))) = self.todos.pop()
        {
            return self.turn(index, |node, turn| node.act(todo, turn));
        }
        for index in 0..self.nodes.len() {
            if self.nodes[index].1.deadline().is_some_and(|at| at <= self.now) {
                self.turn(index, |node, turn| node.wake(turn));
                if self.nodes[index].1.deadline().is_some_and(|at| at <= self.now) {
                    let at = self.nodes[index].0;
                    self.ledger.fail(format!("{at}: a deadline that does not move at {:?}", self.now));
                }
            }
        }
    }

    fn turn(&mut self, index: usize, work: impl FnOnce(&mut Node, &mut Turn<'_>)) {
        let (mut todos, mut sent, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        let is_agent = self.nodes[index].1.is_agent();
        let mut turn = Turn {
            now: self.now,
            rng: &mut self.rng,
            ledger: &mut self.ledger,
            book: &self.book,
            todos: &mut todos,
            sent: &mut sent,
            notes: self.trace.is_some().then_some(&mut notes),
        };
        work(&mut self.nodes[index].1, &mut turn);
        for note in notes {
            self.write_down(note);
        }
        for (at, todo) in todos {
            self.push(at, index, todo);
        }
        for (flow, bytes) in sent {
            self.send(&flow, &bytes, is_agent);
        }
    }

    fn send(&mut self, flow: &Flow, bytes: &[u8], is_agent: bool) {
        self.ledger.sends(self.now, flow, is_agent, bytes);
        let fate = self.network.send(&mut self.rng, self.now, flow, bytes);
        for byte in self.now.as_nanos().to_le_bytes().iter().chain(bytes) {
            self.trace_hash = (self.trace_hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        if self.trace.is_some() {
            let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n    ");
            self.write_down(format!("{} -> {} {:?} {fate}\n    {text}", flow.local, flow.remote, flow.transport));
        }
    }

    fn write_down(&mut self, text: String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:?} {text}", self.now));
        }
    }
}
