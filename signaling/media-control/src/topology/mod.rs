//! Brings legs together that are to hear each other, and says what each of them sends because of that.

mod edges;

pub(crate) use edges::{Edge, EdgeSlot, Edges};
pub use edges::{EdgeKind, EdgeState};

use crate::legs::leg::{Leg, Stage};
use crate::wish::{Desired, Flow, Formats};
use crate::{Hears, Legs, MediaTurn, Transport};
use contract::{Direction, PayloadMap, PlayerId, Rewriting, Source};

/// What a leg sends because of others.
pub(crate) struct Resolved {
    pub(crate) source: Source,
    pub(crate) payloads: PayloadMap,
    /// The source is another leg.
    pub(crate) hears: bool,
}

/// Whether a leg can do anything with what it hears.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum UseOfSource {
    Sent,
    /// Nothing is agreed on with its peer: neither payload types, nor where packets go, nor that any flow.
    None,
}

impl UseOfSource {
    pub(crate) fn of(formats: &Formats, transport: &Transport, direction: Direction) -> Self {
        let is_idle = direction == Direction::Inactive && transport.remote_rtp.is_none() && !formats.is_agreed();
        if is_idle { Self::None } else { Self::Sent }
    }
}

/// Most legs that are looked at to find the worker where a group of legs meets.
const GROUP_MAX: usize = 64;

impl Legs {
    pub(crate) fn at(&self, place: u16) -> Option<&Leg> {
        self.rows.get(usize::from(place)).and_then(Option::as_deref)
    }

    /// Whether media can flow along an edge, once its source has formats: both legs run on one worker and stay there.
    fn is_ready(&self, edge: &Edge) -> bool {
        let ports = self.at(edge.from).and_then(Leg::still_port).zip(self.at(edge.to).and_then(Leg::still_port));
        ports.is_some_and(|(here, there)| here.worker == there.worker)
    }

    pub(crate) fn edge_state(&self, edge: &Edge) -> EdgeState {
        let (Some(from), Some(to)) = (self.at(edge.from), self.at(edge.to)) else { return EdgeState::Waiting };
        let is_moving = |leg: &Leg| matches!(leg.stage, Stage::Moving(_));
        let source = from.port.map(|port| Source::Leg(port.leg));
        match (from.port, to.port) {
            _ if edge.has_failed => EdgeState::Failed,
            _ if is_moving(from) || is_moving(to) => EdgeState::Moving,
            (Some(here), Some(there)) if from.stage == Stage::Open && to.stage == Stage::Open => {
                if here.worker != there.worker {
                    EdgeState::Moving
                } else if source != Some(to.wanted.flow.source) {
                    EdgeState::Waiting
                } else if to.confirmed().map(|confirmed| confirmed.flow.source) == source && !to.is_told_more() {
                    EdgeState::Flowing
                } else {
                    EdgeState::Told
                }
            }
            _ => EdgeState::Waiting,
        }
    }

    /// What a leg sends, and the payload types with their numbers on the leg that gets them.
    pub(crate) fn resolve(&self, leg: &Leg, own: &Formats, use_of_source: UseOfSource) -> Resolved {
        let may_hear = !leg.is_held && use_of_source == UseOfSource::Sent;
        let edge = self.edges.get(leg.first_in).filter(|edge| may_hear && self.is_ready(edge));
        let heard = edge.and_then(|edge| self.at(edge.from)).filter(|from| from.wanted.formats.is_agreed());
        let heard = heard.and_then(|from| from.port);
        let played = leg.player.zip(leg.port).map_or(Source::None, |(player, port)| player.source(port.leg));
        let source = match heard {
            Some(port) => Source::Leg(port.leg),
            // Nothing can be made without a codec.
            None if !matches!(played, Source::None | Source::Leg(_)) && own.payloads.audio().is_none() => Source::None,
            None => played,
        };
        let has_formats = |to: &&Leg| to.wanted.formats.is_agreed();
        let ready = self.edges.outgoing(leg.first_out).filter(|edge| self.is_ready(edge));
        let sink = ready.filter_map(|edge| self.at(edge.to)).find(has_formats);
        let payloads = own.mapped_to(sink.map(|sink| &sink.wanted.formats));
        Resolved { source, payloads, hears: heard.is_some() }
    }

    /// The player of a leg's source: the one that makes it already, as it is wanted or was told, or a new one.
    pub(crate) fn player_of(&mut self, slot: usize, source: Source) -> PlayerId {
        let leg = self.rows[slot].as_deref();
        let wanted = leg.map(|leg| leg.wanted.flow);
        let told = leg.and_then(|leg| leg.in_flight.as_deref()?.told_flow());
        let known = [wanted, told].into_iter().flatten().find(|flow| flow.source == source);
        known.map_or_else(|| self.new_player(slot, source), |flow| flow.player)
    }

    /// Another player for a leg than it has; none where nothing is played.
    pub(crate) fn new_player(&mut self, slot: usize, source: Source) -> PlayerId {
        if !source.is_played() {
            return PlayerId::NONE;
        }
        self.serial += 1;
        // An adopted leg may have one of an earlier client, by the same number.
        let has = self.rows[slot].as_deref().map_or(PlayerId::NONE, |leg| leg.wanted.flow.player);
        self.serial += u64::from(has == PlayerId::new(self.serial));
        PlayerId::new(self.serial)
    }

    /// Looks again at what a leg sends because of others, and tells it what has become different.
    pub(crate) fn refresh(&mut self, turn: &mut MediaTurn<'_>, slot: usize) {
        let Some(leg) = self.rows[slot].as_deref().filter(|leg| !matches!(leg.stage, Stage::Closing(_))) else {
            return;
        };
        let own = leg.own_formats();
        let use_of_source = UseOfSource::of(&own, &leg.wanted.transport, leg.wanted.flow.direction);
        let Resolved { source, payloads, hears } = self.resolve(leg, &own, use_of_source);
        let wanted = &leg.wanted;
        if source != wanted.flow.source || payloads != wanted.formats.payloads {
            let rewriting = if hears { Rewriting::Continuous } else { wanted.flow.rewriting };
            let formats = Formats { payloads, ..own };
            let desired = *wanted;
            let player = self.player_of(slot, source);
            let desired = Desired { formats, flow: Flow { source, player, rewriting, ..desired.flow }, ..desired };
            self.set_wanted(slot, &desired);
        }
        self.send_update(turn, slot);
    }

    /// Looks again at all legs that hear this one, and the one that it hears.
    pub(crate) fn refresh_neighbours(&mut self, turn: &mut MediaTurn<'_>, slot: usize) {
        let Some(leg) = self.rows[slot].as_deref() else { return };
        let (source, mut next) = (self.edges.get(leg.first_in).map(|edge| edge.from), leg.first_out);
        if let Some(source) = source {
            self.refresh(turn, source.into());
        }
        while let Some(edge) = self.edges.get(next).copied() {
            if source != Some(edge.to) {
                self.refresh(turn, edge.to.into());
            }
            next = edge.next_out;
        }
    }

    /// A leg is no longer heard by another one. Without any leg that hears it, its payload numbers for them do not matter.
    pub(crate) fn lost_sink(&mut self, turn: &mut MediaTurn<'_>, slot: usize) {
        let leg = self.rows.get(slot).and_then(Option::as_deref);
        if leg.is_some_and(|leg| self.edges.get(leg.first_out).is_some()) {
            self.refresh(turn, slot);
        }
        self.bring_together(turn, slot);
    }

    /// Has a leg hear another one from now on, or none. Whether that is new.
    pub(crate) fn set_source(&mut self, slot: usize, hears: Option<Hears>) -> bool {
        let Some(leg) = self.rows[slot].as_deref() else { return false };
        let now = self.edges.get(leg.first_in).map(|edge| (usize::from(edge.from), edge.kind));
        if now == hears.map(|hears| (hears.leg.slot(), hears.kind)) {
            return false;
        }
        self.drop_source(slot);
        if let Some(Hears { leg, kind }) = hears {
            self.connect(leg.slot(), slot, kind);
        }
        true
    }

    fn connect(&mut self, from: usize, to: usize, kind: EdgeKind) {
        let Some(next_out) = self.rows[from].as_deref().map(|leg| leg.first_out) else { return };
        let edge = Edge { from: from as u16, to: to as u16, kind, has_failed: false, next_out };
        let added = self.edges.add(edge);
        if let Some(leg) = self.rows[from].as_deref_mut() {
            leg.first_out = added;
        }
        if let Some(leg) = self.rows[to].as_deref_mut() {
            leg.first_in = added;
        }
    }

    fn drop_source(&mut self, slot: usize) {
        let Some(leg) = self.rows[slot].as_deref_mut() else { return };
        let removed = std::mem::replace(&mut leg.first_in, EdgeSlot::NONE);
        let Some(edge) = self.edges.remove(removed) else { return };
        let mut at = match self.rows[usize::from(edge.from)].as_deref_mut() {
            Some(from) if from.first_out == removed => return from.first_out = edge.next_out,
            Some(from) => from.first_out,
            None => return,
        };
        while let Some(other) = self.edges.get_mut(at) {
            if other.next_out == removed {
                return other.next_out = edge.next_out;
            }
            at = other.next_out;
        }
    }

    /// A leg is gone, and all its edges with it. The legs that heard it are looked at again by the caller.
    pub(crate) fn drop_edges(&mut self, slot: usize) {
        self.drop_source(slot);
        while let Some(edge) = self.rows[slot].as_deref().and_then(|leg| self.edges.get(leg.first_out)).copied() {
            self.drop_source(edge.to.into());
        }
    }

    /// Moves the legs that are connected with this one to one worker, once they run.
    pub(crate) fn bring_together(&mut self, turn: &mut MediaTurn<'_>, slot: usize) {
        let has_edges = |leg: &Leg| self.edges.get(leg.first_in).is_some() || self.edges.get(leg.first_out).is_some();
        if !self.rows.get(slot).and_then(Option::as_deref).is_some_and(has_edges) {
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

    /// The legs that are connected with this one by edges, and itself.
    fn find_group(&self, place: u16, group: &mut Vec<u16>) {
        group.clear();
        group.push(place);
        let mut at = 0;
        while let Some(leg) = group.get(at).and_then(|place| self.at(*place)) {
            at += 1;
            let source = self.edges.get(leg.first_in).map(|edge| edge.from);
            for place in source.into_iter().chain(self.edges.outgoing(leg.first_out).map(|edge| edge.to)) {
                if group.len() < GROUP_MAX && !group.contains(&place) {
                    group.push(place);
                }
            }
        }
    }

    /// Whether the leg that this one hears runs on another worker.
    fn is_apart(&self, place: u16) -> bool {
        let edge = self.at(place).and_then(|leg| self.edges.get(leg.first_in)).filter(|edge| !edge.has_failed);
        let ports = edge.and_then(|edge| Some((self.at(edge.from)?.still_port()?, self.at(edge.to)?.still_port()?)));
        ports.is_some_and(|(here, there)| here.worker != there.worker)
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
            && (self.edges.get(leg.first_in).is_some_and(has_way) || self.edges.outgoing(leg.first_out).any(has_way))
    }

    /// A leg could not move: its edges to other workers have failed, until they are made anew.
    pub(crate) fn fail_edges(&mut self, slot: usize) {
        let Some(leg) = self.rows[slot].as_deref() else { return };
        let worker = leg.port.map(|port| port.worker);
        let (source, mut next) = (leg.first_in, leg.first_out);
        let is_elsewhere = |place: u16, rows: &[Option<Box<Leg>>]| {
            let other = rows[usize::from(place)].as_deref();
            other.is_none_or(|other| other.port.map(|port| port.worker) != worker)
        };
        if let Some(edge) = self.edges.get_mut(source) {
            edge.has_failed |= is_elsewhere(edge.from, &self.rows);
        }
        while let Some(edge) = self.edges.get_mut(next) {
            edge.has_failed |= is_elsewhere(edge.to, &self.rows);
            next = edge.next_out;
        }
    }
}

impl Leg {
    /// Updates wait for their answers, or to be sent.
    pub(crate) fn is_told_more(&self) -> bool {
        self.in_flight.as_ref().is_some_and(|in_flight| in_flight.count() > 0 || !in_flight.is_told())
    }
}
