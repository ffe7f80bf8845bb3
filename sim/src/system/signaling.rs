//! The signaling process of the system: its shards, each with its end of the media plane.

use super::media::Link;
use clock::Instant;
use config::{Config, Route};
use mediad::SimulatedPlane;
use session::Sessions;
use shard_core::intake::sharding::{Placement, Tags};
use shard_core::{B2bua, Input, Routes, Shard, ShardOutput, Transfers};
use sip_core::Flow;
use stats::SignalCounter;
use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;
use std::net::SocketAddr;

struct Seat {
    shard: Shard,
    link: Link,
    out: ShardOutput,
}

pub(super) struct Signaling {
    seats: Vec<Seat>,
    placement: Placement<BuildHasherDefault<DefaultHasher>>,
}

impl Signaling {
    /// Shards of a back-to-back user agent whose routes lead to the phones.
    pub(super) fn new(config: &Config, shards: usize, seed: u64, switch: SocketAddr, phones: &[SocketAddr]) -> Self {
        let targets: Vec<String> = phones.iter().map(|phone| format!("sip:{phone}")).collect();
        let route =
            |(index, uri): (usize, &String)| Route { pattern: format!("p{index}-*"), targets: vec![vec![uri.clone()]] };
        let rows: Vec<Route> = targets.iter().enumerate().map(route).collect();
        let routes = Routes::new(&rows).expect("the routes have addresses");
        for (uri, phone) in targets.iter().zip(phones) {
            routes.set_paths(uri, &[Flow::udp(switch, *phone)]);
        }
        let seat = |number: usize| {
            let user = Box::new(B2bua::new(routes.clone(), Transfers::new(config, routes.clone())));
            let shard = Shard::new(config, number, shards, seed.wrapping_add(number as u64 + 1), user);
            Seat { shard, link: Link::default(), out: ShardOutput::default() }
        };
        let seats = (0..shards).map(seat).collect();
        Self { seats, placement: Placement::new(shards, Tags::Ours, BuildHasherDefault::default()) }
    }

    /// Gives every shard an end of a media plane.
    pub(super) fn attach(&mut self, plane: &SimulatedPlane) -> Result<(), String> {
        for seat in &mut self.seats {
            seat.link = Link::new(plane.attach().map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    /// The process dies: the media plane sees its clients hang up.
    pub(super) fn die(self, plane: Option<&mut SimulatedPlane>) {
        let clients: Vec<_> = self.seats.iter().filter_map(|seat| Some(seat.link.end()?.index())).collect();
        drop(self);
        if let Some(plane) = plane {
            clients.into_iter().for_each(|client| plane.hang_up(client));
        }
    }

    pub(super) fn receive(&mut self, now: Instant, flow: Flow, bytes: &[u8]) {
        let seat = self.placement.of(now, bytes);
        self.seats[seat].handle(now, Input::Message { flow, bytes });
    }

    pub(super) fn lose_media(&mut self, now: Instant) {
        for seat in &mut self.seats {
            seat.link = Link::default();
            seat.handle(now, Input::MediaLost);
        }
    }

    /// Takes events, does what is due and sends commands; adds the messages to send to `sent`.
    pub(super) fn turn(&mut self, now: Instant, sent: &mut Vec<(Flow, Vec<u8>)>) -> Result<(), String> {
        for seat in &mut self.seats {
            while let Some(event) = seat.link.pop()? {
                seat.handle(now, Input::Media(event));
            }
            if seat.shard.deadline().is_some_and(|at| at <= now) {
                seat.handle(now, Input::Deadline);
                if seat.shard.deadline().is_some_and(|at| at <= now) {
                    return Err("a deadline of a shard does not move".to_owned());
                }
            }
            sent.extend(seat.out.sip.transmits.iter().map(|one| (one.flow, seat.out.sip.bytes(one.bytes).to_vec())));
            seat.link.push(&mut seat.out.commands)?;
            seat.out.clear();
        }
        Ok(())
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.seats.iter().filter_map(|seat| seat.shard.deadline()).min()
    }

    /// Whether the counters of a process without calls add up.
    pub(super) fn check_counters(&mut self) -> Result<(), String> {
        use SignalCounter::*;
        for seat in &mut self.seats {
            let counts = seat.shard.counts();
            for counter in [CallsActive, TransactionsOpen, DialogsNeverEnded, LegsNeverClosed] {
                if counts.get(counter) != 0 {
                    return Err(format!("{counter:?} is {} at the end", counts.get(counter)));
                }
            }
            let (answered, completed, failed) =
                (counts.get(CallsAnswered), counts.get(CallsCompleted), counts.get(CallsFailed));
            if answered > completed + failed {
                return Err(format!("{answered} calls were answered, {completed} completed, {failed} failed"));
            }
        }
        Ok(())
    }

    /// What is left in its tables, in words; empty when nothing is.
    pub(super) fn leftovers(&self) -> String {
        let mut text = String::new();
        for seat in &self.seats {
            let (sizes, sessions) = (seat.shard.sizes(), seat.shard.sessions());
            if sizes != Default::default() || sessions.count() > 0 {
                text += &format!("{sizes:?}, {} sessions {:?}; ", sessions.count(), states(sessions));
            }
        }
        text
    }
}

fn states(sessions: &Sessions) -> Vec<String> {
    sessions.iter().map(|session| format!("{} {}", session.id(), session.state().name())).collect()
}

impl Seat {
    fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.shard.handle(now, input, &mut self.link, &mut self.out);
    }
}
