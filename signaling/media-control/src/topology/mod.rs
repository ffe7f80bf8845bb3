//! Brings legs together that are to hear each other, and says what each of them sends because of that.

mod connecting;
mod edges;
mod home;
mod rooms;

pub(crate) use edges::{Edge, EdgeSlot, Edges, Places};
pub use edges::{EdgeKind, EdgeState, SOURCES_MAX};

use crate::legs::leg::{Leg, Stage};
use crate::wish::{Desired, Flow, Formats};
use crate::{Legs, MediaTurn, Transport};
use contract::{Direction, PayloadMap, PlayerId, Rewriting, Source};

/// What a leg sends because of others.
pub(crate) struct Resolved {
    pub(crate) source: Source,
    pub(crate) payloads: PayloadMap,
    /// The source is another leg.
    pub(crate) hears: bool,
}

impl Legs {
    pub(crate) fn at(&self, place: u16) -> Option<&Leg> {
        self.rows.get(usize::from(place)).and_then(Option::as_deref)
    }

    /// Whether media can flow along an edge, once its source has formats: both legs run on one worker and stay there.
    fn is_ready(&self, edge: &Edge) -> bool {
        let ports = self.at(edge.from).and_then(Leg::still_port).zip(self.at(edge.to).and_then(Leg::still_port));
        ports.is_some_and(|(here, there)| here.worker == there.worker)
    }

    /// Whether the source of an edge could be heard along it.
    fn can_be_heard(&self, edge: &Edge) -> bool {
        self.is_ready(edge) && self.at(edge.from).is_some_and(|from| from.wanted.formats.is_agreed())
    }

    /// The edge along which a leg hears another one unless its peer is on hold: the first that can be heard, because the
    /// media plane does not mix.
    fn heard(&self, leg: &Leg) -> Option<&Edge> {
        let mut next = leg.first_in;
        loop {
            let edge = self.edges.get(next)?;
            if self.can_be_heard(edge) {
                return Some(edge);
            }
            next = edge.next_in;
        }
    }

    /// Whether the sink of an edge that is ready hears this source, or would if it could be heard.
    fn is_in_use(&self, edge: &Edge, sink: &Leg) -> bool {
        edge.is_alone() || self.heard(sink).is_some_and(|heard| heard.from == edge.from)
    }

    /// The sink of an edge, which could be heard, sends what comes from another one of its sources.
    fn is_displaced(&self, edge: &Edge, sink: &Leg) -> bool {
        let heard = self.heard(sink).and_then(|heard| self.at(heard.from)?.port);
        heard.is_some_and(|port| Source::Leg(port.leg) == sink.wanted.flow.source) && self.can_be_heard(edge)
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
                    if self.is_displaced(edge, to) { EdgeState::NeedsMixer } else { EdgeState::Waiting }
                } else if to.confirmed().map(|confirmed| confirmed.flow.source) == source && !to.is_told_more() {
                    EdgeState::Flowing
                } else {
                    EdgeState::Told
                }
            }
            _ => EdgeState::Waiting,
        }
    }

    /// The leg whose payload numbers a leg's packets get.
    fn sink_with_formats(&self, leg: &Leg) -> Option<&Leg> {
        let mut next = leg.first_out;
        loop {
            let edge = self.edges.get(next)?;
            let sink = self.at(edge.to).filter(|sink| sink.wanted.formats.is_agreed());
            if let Some(sink) = sink.filter(|sink| self.is_ready(edge) && self.is_in_use(edge, sink)) {
                return Some(sink);
            }
            next = edge.next_out;
        }
    }

    /// What a leg sends, and the payload types with their numbers on the leg that gets them.
    pub(crate) fn resolve(&self, leg: &Leg, own: &Formats, transport: &Transport, direction: Direction) -> Resolved {
        // Nothing is agreed on with its peer: neither payload types, nor where packets go, nor that any flow.
        let is_idle = direction == Direction::Inactive && transport.remote_rtp.is_none() && !own.is_agreed();
        let heard = if leg.is_held || is_idle { None } else { self.heard(leg) };
        let heard = heard.and_then(|edge| self.at(edge.from)?.port);
        let played = leg.player.zip(leg.port).map_or(Source::None, |(player, port)| player.source(port.leg));
        let played = if self.is_away_from_room(leg) { Source::None } else { played };
        let source = match heard {
            Some(port) => Source::Leg(port.leg),
            // Nothing can be made without a codec.
            None if makes_sound(played) && own.payloads.decodable().is_none() => Source::None,
            None => played,
        };
        let payloads = own.mapped_to(self.sink_with_formats(leg).map(|sink| &sink.wanted.formats));
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
        let wanted = &leg.wanted;
        let Resolved { source, payloads, hears } = self.resolve(leg, &own, &wanted.transport, wanted.flow.direction);
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

    /// Looks again at all legs that hear this one, and those that it hears.
    pub(crate) fn refresh_neighbours(&mut self, turn: &mut MediaTurn<'_>, slot: usize) {
        let Some(leg) = self.rows[slot].as_deref() else { return };
        let mut next = leg.first_out;
        let first = self.edges.get(leg.first_in).map(|edge| (edge.from, edge.next_in));
        if let Some((from, next_in)) = first {
            self.refresh(turn, from.into());
            if !next_in.is_none() {
                self.refresh_sources(turn, next_in);
            }
        }
        while let Some(edge) = self.edges.get(next) {
            let (to, is_alone) = (usize::from(edge.to), edge.is_alone());
            next = edge.next_out;
            if first.is_none_or(|(from, _)| usize::from(from) != to) {
                self.refresh(turn, to);
            }
            if !is_alone {
                self.refresh_sources_of(turn, to);
            }
        }
    }

    /// Looks again at the legs that a leg hears: which payload numbers they have there, and whether they are heard.
    pub(crate) fn refresh_sources_of(&mut self, turn: &mut MediaTurn<'_>, slot: usize) {
        if let Some(leg) = self.rows[slot].as_deref() {
            self.refresh_sources(turn, leg.first_in);
        }
    }

    /// The same from one of the edges into the leg on.
    fn refresh_sources(&mut self, turn: &mut MediaTurn<'_>, first: EdgeSlot) {
        let mut next = first;
        while let Some(edge) = self.edges.get(next) {
            let from = edge.from;
            next = edge.next_in;
            self.refresh(turn, from.into());
        }
    }

    /// A leg is about to end: those that have other sources hear one of them.
    pub(crate) fn replace_source(&mut self, turn: &mut MediaTurn<'_>, slot: usize) {
        let mut next = self.rows[slot].as_deref().map_or(EdgeSlot::NONE, |leg| leg.first_out);
        while let Some(edge) = self.edges.get(next) {
            let (to, is_alone) = (usize::from(edge.to), edge.is_alone());
            next = edge.next_out;
            if !is_alone {
                self.refresh(turn, to);
                self.refresh_sources_of(turn, to);
            }
        }
    }

    /// These legs are no longer heard by another one. Without any leg that hears one of them, its payload numbers for them do
    /// not matter; what was withheld until the other one is known is told.
    pub(crate) fn lost_sink(&mut self, turn: &mut MediaTurn<'_>, sources: &Places) {
        for place in sources.first.iter().chain(&sources.further) {
            let slot = usize::from(*place);
            let leg = self.rows.get(slot).and_then(Option::as_deref);
            if leg.is_some_and(|leg| !leg.first_out.is_none()) {
                self.refresh(turn, slot);
            } else if leg.is_some() {
                self.send_update(turn, slot);
            }
            self.bring_together(turn, slot);
        }
    }
}

/// Whether the media plane has to encode what it is made of.
fn makes_sound(source: Source) -> bool {
    source.is_played() || matches!(source, Source::Room(_))
}

impl Leg {
    /// Whether it is to hear or to be heard.
    pub(crate) fn has_edges(&self) -> bool {
        !self.first_in.is_none() || !self.first_out.is_none()
    }

    /// Updates wait for their answers, or to be sent.
    pub(crate) fn is_told_more(&self) -> bool {
        self.in_flight.as_ref().is_some_and(|in_flight| in_flight.count() > 0 || !in_flight.is_told())
    }
}
