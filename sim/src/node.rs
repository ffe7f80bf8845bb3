//! A node of the network and what it may touch while it has its turn.

use crate::agent::Agent;
use crate::bridge::Bridge;
use crate::ledger::Ledger;
use crate::network::Arrival;
use crate::relay::Relay;
use crate::rng::Rng;
use crate::todo::Todo;
use clock::{Duration, Instant};
use sip_core::{Flow, Transport};
use std::net::SocketAddr;

/// Who lives where.
pub(crate) struct Book {
    pub(crate) agents: Vec<SocketAddr>,
    pub(crate) proxy: SocketAddr,
    pub(crate) bridge: SocketAddr,
    /// Pairs whose lower bits say so speak over connections.
    pub(crate) connected: u64,
    /// Nobody places calls after this.
    pub(crate) until: Instant,
}

impl Book {
    /// The path between two nodes; both see the same kind of it.
    pub(crate) fn flow(&self, from: SocketAddr, to: SocketAddr) -> Flow {
        let number = |address: SocketAddr| match address.ip() {
            std::net::IpAddr::V4(ip) => u64::from(ip.octets()[3]),
            std::net::IpAddr::V6(_) => 0,
        };
        let (a, b) = (number(from).min(number(to)), number(from).max(number(to)));
        let pair = a * 256 + b;
        if self.connected >> (pair % 64) & 1 == 1 {
            return Flow { transport: Transport::Tcp, local: from, remote: to, connection: 1 + pair };
        }
        Flow::udp(from, to)
    }
}

pub(crate) struct Turn<'t> {
    pub(crate) now: Instant,
    pub(crate) rng: &'t mut Rng,
    pub(crate) ledger: &'t mut Ledger,
    pub(crate) book: &'t Book,
    pub(crate) todos: &'t mut Vec<(Instant, Todo)>,
    pub(crate) sent: &'t mut Vec<(Flow, Vec<u8>)>,
    pub(crate) notes: Option<&'t mut Vec<String>>,
}

impl Turn<'_> {
    pub(crate) fn later(&mut self, after: Duration, todo: Todo) {
        self.todos.push((self.now + after, todo));
    }

    pub(crate) fn later_ms(&mut self, from: u64, to: u64, todo: Todo) {
        let after = self.rng.between_ms(from, to);
        self.later(after, todo);
    }

    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(notes) = &mut self.notes {
            notes.push(text());
        }
    }
}

pub(crate) enum Node {
    Agent(Box<Agent>),
    Relay(Box<Relay>),
    Bridge(Box<Bridge>),
}

impl Node {
    pub(crate) fn is_agent(&self) -> bool {
        !matches!(self, Self::Relay(_))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Agent(agent) => agent.endpoint.deadline(),
            Self::Relay(relay) => relay.proxy.deadline(),
            Self::Bridge(bridge) => bridge.endpoint.deadline(),
        }
    }

    pub(crate) fn arrive(&mut self, flow: &Flow, arrival: &Arrival, turn: &mut Turn<'_>) {
        match self {
            Self::Agent(agent) => agent.arrive(flow, arrival, turn),
            Self::Relay(relay) => relay.arrive(flow, arrival, turn),
            Self::Bridge(bridge) => bridge.arrive(flow, arrival, turn),
        }
    }

    pub(crate) fn wake(&mut self, turn: &mut Turn<'_>) {
        match self {
            Self::Agent(agent) => agent.wake(turn),
            Self::Relay(relay) => relay.wake(turn),
            Self::Bridge(bridge) => bridge.wake(turn),
        }
    }

    pub(crate) fn act(&mut self, todo: Todo, turn: &mut Turn<'_>) {
        match self {
            Self::Agent(agent) => agent.act(todo, turn),
            Self::Relay(relay) => relay.act(todo, turn),
            Self::Bridge(_) => {}
        }
    }

    /// What is left in the tables, in words; empty when nothing is.
    pub(crate) fn leftovers(&self) -> String {
        match self {
            Self::Agent(agent) => leftovers(&agent.endpoint),
            Self::Relay(relay) => {
                let sizes = relay.proxy.sizes();
                if sizes == Default::default() { String::new() } else { format!("{sizes:?}") }
            }
            Self::Bridge(bridge) => bridge.leftovers() + &leftovers(&bridge.endpoint),
        }
    }
}

fn leftovers(endpoint: &sip_core::Endpoint) -> String {
    let sizes = endpoint.sizes();
    if sizes == Default::default() { String::new() } else { format!("{sizes:?}") }
}
