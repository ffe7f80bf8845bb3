//! Legs that are connected come to one worker.

use super::Edge;
use crate::legs::leg::{Leg, Stage};
use crate::{Legs, MediaTurn};

/// Most legs that are looked at to find the worker where a group of legs meets.
const GROUP_MAX: usize = 64;

impl Legs {
    /// Moves the legs that are connected with this one to one worker, once they run.
    pub(crate) fn bring_together(&mut self, turn: &mut MediaTurn<'_>, slot: usize) {
        self.bring_to_room(turn, slot);
        let Some(leg) = self.rows.get(slot).and_then(Option::as_deref).filter(|leg| leg.has_edges()) else { return };
        if self.is_pair_on_one_worker(leg) {
            return;
        }
        let mut group = std::mem::take(&mut self.group);
        self.find_group(slot as u16, &mut group);
        if let Some(home) = group.iter().any(|place| self.is_apart(*place)).then(|| self.home(&group)).flatten() {
            for place in &group {
                if self.has_to_move(*place, home) {
                    self.send_move(turn, usize::from(*place), home);
                }
            }
        }
        self.group = group;
    }

    /// Whether this leg and another one hear each other and no other one, as those of nearly every call, and need not move.
    fn is_pair_on_one_worker(&self, leg: &Leg) -> bool {
        let Some((source, sink)) = self.edges.get(leg.first_in).zip(self.edges.get(leg.first_out)) else {
            return false;
        };
        let is_only_sink = |edge: &Edge| edge.next_out.is_none();
        let is_pair = source.from == sink.to && source.is_alone() && sink.is_alone() && is_only_sink(sink);
        let Some(other) = self.at(source.from).filter(|_| is_pair) else { return false };
        if !self.edges.get(other.first_out).is_some_and(is_only_sink) {
            return false;
        }
        let ports = leg.still_port().zip(other.still_port());
        ports.is_none_or(|(here, there)| here.worker == there.worker)
    }

    /// The legs that are connected with this one by edges, and itself.
    fn find_group(&self, place: u16, group: &mut Vec<u16>) {
        group.clear();
        group.push(place);
        let mut at = 0;
        while let Some(leg) = group.get(at).and_then(|place| self.at(*place)) {
            at += 1;
            let mut next = leg.first_in;
            while let Some(edge) = self.edges.get(next) {
                Self::add_to_group(group, edge.from);
                next = edge.next_in;
            }
            let mut next = leg.first_out;
            while let Some(edge) = self.edges.get(next) {
                Self::add_to_group(group, edge.to);
                next = edge.next_out;
            }
        }
    }

    fn add_to_group(group: &mut Vec<u16>, place: u16) {
        if group.len() < GROUP_MAX && !group.contains(&place) {
            group.push(place);
        }
    }

    /// Whether a leg that this one is to hear runs on another worker.
    fn is_apart(&self, place: u16) -> bool {
        let Some(leg) = self.at(place).filter(|leg| !leg.first_in.is_none()) else { return false };
        let Some(here) = leg.still_port() else { return false };
        let mut next = leg.first_in;
        while let Some(edge) = self.edges.get(next) {
            let there = self.at(edge.from).and_then(Leg::still_port).filter(|_| !edge.has_failed);
            if there.is_some_and(|there| here.worker != there.worker) {
                return true;
            }
            next = edge.next_in;
        }
        false
    }

    /// The worker of the oldest leg that runs: it stays, so that a group never wanders. None while it moves itself.
    fn home(&self, group: &[u16]) -> Option<u8> {
        let runs = |leg: &&Leg| matches!(leg.stage, Stage::Open | Stage::Moving(_));
        let oldest = group.iter().filter_map(|place| self.at(*place)).filter(runs).min_by_key(|leg| leg.id);
        oldest?.still_port().map(|port| port.worker)
    }

    fn has_to_move(&self, place: u16, home: u8) -> bool {
        let Some(leg) = self.at(place) else { return false };
        let has_way = |edge: &Edge| !edge.has_failed;
        leg.still_port().is_some_and(|port| port.worker != home)
            && (self.edges.incoming(leg.first_in).any(has_way) || self.edges.outgoing(leg.first_out).any(has_way))
    }

    /// A leg could not move: its edges to other workers have failed, until they are made anew.
    pub(crate) fn fail_edges(&mut self, slot: usize) {
        let Some(leg) = self.rows[slot].as_deref() else { return };
        let worker = leg.port.map(|port| port.worker);
        let (mut next_in, mut next_out) = (leg.first_in, leg.first_out);
        let is_elsewhere = |place: u16, rows: &[Option<Box<Leg>>]| {
            let other = rows[usize::from(place)].as_deref();
            other.is_none_or(|other| other.port.map(|port| port.worker) != worker)
        };
        while let Some(edge) = self.edges.get_mut(next_in) {
            edge.has_failed |= is_elsewhere(edge.from, &self.rows);
            next_in = edge.next_in;
        }
        while let Some(edge) = self.edges.get_mut(next_out) {
            edge.has_failed |= is_elsewhere(edge.to, &self.rows);
            next_out = edge.next_out;
        }
    }
}
