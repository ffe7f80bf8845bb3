//! The proxy: it knows where everybody lives, forks, and is sometimes slow or unwilling.

use crate::network::Arrival;
use crate::node::Turn;
use crate::todo::Todo;
use clock::Instant;
use sip_core::proxy::{Proxy, ProxyConfig, ProxyEvent, ProxyId, ProxyOutput, Standing, Target};
use sip_core::{Answer, Flow};
use sip_wire::Uri;
use std::collections::BTreeMap;
use std::net::SocketAddr;

pub(crate) struct Relay {
    pub(crate) proxy: Proxy,
    out: ProxyOutput,
    address: SocketAddr,
    /// Where requests that wait for the database go next, and whether their Request-URI stays.
    waiting: BTreeMap<ProxyId, (Vec<u8>, bool)>,
}

impl Relay {
    pub(crate) fn new(config: ProxyConfig, seed: u64, address: SocketAddr) -> Self {
        Self { proxy: Proxy::new(config, seed), out: ProxyOutput::new(), address, waiting: BTreeMap::new() }
    }

    pub(crate) fn arrive(&mut self, flow: &Flow, arrival: &Arrival, turn: &mut Turn<'_>) {
        match arrival {
            Arrival::Message(bytes) => self.proxy.receive(turn.now, flow, bytes, &mut self.out),
            Arrival::Broken => self.proxy.transport_failed(turn.now, flow, &mut self.out),
            Arrival::Piece(_) => {}
        }
        self.drain(turn);
    }

    pub(crate) fn wake(&mut self, turn: &mut Turn<'_>) {
        self.proxy.wake(turn.now, &mut self.out);
        self.drain(turn);
    }

    pub(crate) fn act(&mut self, todo: Todo, turn: &mut Turn<'_>) {
        if let Todo::Route(request) = todo {
            self.route(request, turn);
            self.drain(turn);
        }
    }

    fn drain(&mut self, turn: &mut Turn<'_>) {
        while let Some(event) = self.out.next_event() {
            turn.note(|| format!("proxy: {event:?}"));
            match event {
                ProxyEvent::Request { request, next_hop, standing, .. } => {
                    let is_fixed = standing != Standing::New;
                    self.waiting.insert(request, (self.out.bytes(next_hop).to_vec(), is_fixed));
                    if turn.rng.chance(50) {
                        self.route(request, turn);
                    } else {
                        turn.later_ms(1, 800, Todo::Route(request));
                    }
                }
                ProxyEvent::Stateless { message, next_hop, .. } => {
                    let message = self.out.bytes(message).to_vec();
                    // Now and then it is sent to itself, as a bad address book would have it.
                    let Some(to) = address_in(self.out.bytes(next_hop)) else { continue };
                    let flow = turn.book.flow(self.address, to);
                    let _ = self.proxy.forward_stateless(&message, &Target::unchanged(flow), &mut self.out);
                }
                ProxyEvent::Redirected { request, redirect, .. } => {
                    let flow = turn.book.flow(self.address, *turn.rng.pick(&turn.book.agents));
                    let uri = format!("sip:elsewhere@{}", flow.remote);
                    let target = [Target { uri: Some(&uri), ..Target::unchanged(flow) }];
                    let targets = if turn.rng.chance(70) { &target[..] } else { &[] };
                    let _ = self.proxy.follow(turn.now, (request, redirect), targets, &mut self.out);
                }
                ProxyEvent::Cancelled { .. } | ProxyEvent::Finished { .. } | ProxyEvent::SourceFull { .. } => {}
            }
        }
        for transmit in &self.out.transmits {
            turn.sent.push((transmit.flow, self.out.bytes(transmit.bytes).to_vec()));
        }
        self.out.clear();
    }

    fn route(&mut self, request: ProxyId, turn: &mut Turn<'_>) {
        let Some((next_hop, is_fixed)) = self.waiting.remove(&request) else { return };
        let now: Instant = turn.now;
        let direct = address_in(&next_hop).filter(|to| *to != self.address);
        if is_fixed && let Some(to) = direct {
            let target = Target::unchanged(turn.book.flow(self.address, to));
            let _ = self.proxy.forward(now, request, &[target], &mut self.out);
            return;
        }
        match turn.rng.below(20) {
            0 => drop(self.proxy.reject(now, request, &Answer::of(404), &mut self.out)),
            1 => drop(self.proxy.redirect(now, request, (302, &["<sip:somewhere@else>"]), &mut self.out)),
            _ => {
                let count = 1 + turn.rng.below(3);
                let places: Vec<SocketAddr> = (0..count).map(|_| *turn.rng.pick(&turn.book.agents)).collect();
                let uris: Vec<String> = places.iter().map(|place| format!("sip:user@{place}")).collect();
                let other = turn.book.flow(self.address, *turn.rng.pick(&turn.book.agents));
                let alternates = if turn.rng.chance(20) { vec![other] } else { Vec::new() };
                let targets: Vec<Target<'_>> = places
                    .iter()
                    .zip(&uris)
                    .map(|(place, uri)| {
                        let group = turn.rng.below(2) as u16;
                        let flow = turn.book.flow(self.address, *place);
                        Target { uri: Some(uri), group, alternates: &alternates, ..Target::unchanged(flow) }
                    })
                    .collect();
                let _ = self.proxy.forward(now, request, &targets, &mut self.out);
            }
        }
    }
}

/// The address that a URI names.
pub(crate) fn address_in(uri: &[u8]) -> Option<SocketAddr> {
    let uri = Uri::parse(uri).ok()?;
    Some(SocketAddr::new(uri.host?.ip()?, uri.port_or_default()))
}
