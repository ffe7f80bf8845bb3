//! Edges come and go: sources of a leg are connected and disconnected.

use super::{Edge, EdgeSlot, EdgeState, Places, SOURCES_MAX};
use crate::legs::leg::{Leg, Stage};
use crate::{EdgeKind, Hears, LegError, LegId, Legs, MediaTurn, Sources};

impl Legs {
    /// Adds a source to those that a leg has, behind them; one that is connected already stays where it is. Gives the state
    /// of the edge. As long as the media plane does not mix, a leg hears the first of its sources that can be heard, and
    /// the edges from the others are in the state [`EdgeState::NeedsMixer`]. Wishes leave the edge as it is where they say
    /// [`Sources::AsConnected`].
    pub fn connect(&mut self, turn: &mut MediaTurn<'_>, sink: LegId, hears: Hears) -> Result<EdgeState, LegError> {
        if hears.leg == sink {
            return Err(LegError::OwnSource);
        }
        self.leg(hears.leg)?;
        if let Stage::Closing(_) = self.leg(sink)?.stage {
            return Err(LegError::WrongState);
        }
        let (from, to) = (hears.leg.slot(), sink.slot());
        if self.add_source(from, to, hears.kind)? {
            self.refresh(turn, to);
            self.refresh_sources_of(turn, to);
            self.bring_together(turn, to);
        }
        self.edge(hears.leg, sink).ok_or(LegError::NoSuchLeg)
    }

    /// Takes a source from a leg; the next one that can be heard is heard at once. Whether it was a source of that leg.
    pub fn disconnect_source(
        &mut self,
        turn: &mut MediaTurn<'_>,
        sink: LegId,
        source: LegId,
    ) -> Result<bool, LegError> {
        self.leg(source)?;
        let Some((slot, _)) = self.find_edge(self.leg(sink)?, source.slot()) else { return Ok(false) };
        self.remove_edge(slot);
        self.refresh(turn, sink.slot());
        self.refresh_sources_of(turn, sink.slot());
        let sources = Places { first: Some(source.slot() as u16), further: Vec::new() };
        self.lost_sink(turn, &sources);
        Ok(true)
    }

    /// Has a leg hear no other one any more. What it sends instead is told with the next wish, unless it is closed before.
    pub fn disconnect(&mut self, id: LegId) -> Result<(), LegError> {
        self.leg(id)?;
        self.drop_sources(id.slot());
        Ok(())
    }

    /// The leg that this one hears, or is to hear before its other sources, and how far that has come.
    pub fn source(&self, id: LegId) -> Option<(LegId, EdgeState)> {
        let leg = self.leg(id).ok()?;
        let first = self.edges.get(leg.first_in)?;
        let edge = if first.is_alone() { first } else { self.heard(leg).unwrap_or(first) };
        Some((self.at(edge.from)?.id, self.edge_state(edge)))
    }

    /// All legs that this one is to hear, in the order in which they were connected, and how far each of them has come.
    pub fn sources(&self, id: LegId) -> impl Iterator<Item = (LegId, EdgeState)> + '_ {
        let first = self.leg(id).map_or(EdgeSlot::NONE, |leg| leg.first_in);
        let edges = self.edges.incoming(first);
        edges.filter_map(|edge| Some((self.at(edge.from)?.id, self.edge_state(edge))))
    }

    /// How far the edge from one leg to another one has come; `None`: there is none.
    pub fn edge(&self, source: LegId, sink: LegId) -> Option<EdgeState> {
        self.edge_between(source, sink).map(|edge| self.edge_state(edge))
    }

    /// Whether one leg is to hear another one.
    pub fn is_heard_by(&self, source: LegId, sink: LegId) -> bool {
        self.edge_between(source, sink).is_some()
    }

    fn edge_between(&self, source: LegId, sink: LegId) -> Option<&Edge> {
        self.leg(source).ok()?;
        self.find_edge(self.leg(sink).ok()?, source.slot()).map(|(_, edge)| edge)
    }

    /// The legs that are to hear this one.
    pub fn sinks(&self, id: LegId) -> impl Iterator<Item = LegId> + '_ {
        let first = self.leg(id).map_or(EdgeSlot::NONE, |leg| leg.first_out);
        self.edges.outgoing(first).filter_map(|edge| self.at(edge.to).map(|leg| leg.id))
    }

    /// The edge into a leg from the leg in this place.
    fn find_edge(&self, leg: &Leg, from: usize) -> Option<(EdgeSlot, &Edge)> {
        let mut slot = leg.first_in;
        loop {
            let edge = self.edges.get(slot)?;
            if usize::from(edge.from) == from {
                return Some((slot, edge));
            }
            slot = edge.next_in;
        }
    }

    /// Gives a leg the sources that a wish names. Whether they are others than it had.
    pub(crate) fn set_sources(&mut self, slot: usize, sources: Sources) -> bool {
        let Some(leg) = self.rows[slot].as_deref() else { return false };
        if self.has_sources(leg, sources) {
            return false;
        }
        self.drop_sources(slot);
        if let Sources::One(Hears { leg, kind }) = sources {
            self.add_edge(leg.slot(), slot, kind);
        }
        true
    }

    /// Whether a leg has the sources that a wish names.
    pub(crate) fn has_sources(&self, leg: &Leg, sources: Sources) -> bool {
        match sources {
            Sources::AsConnected => true,
            Sources::None => leg.first_in.is_none(),
            Sources::One(hears) => self.edges.get(leg.first_in).is_some_and(|edge| {
                let is_first = usize::from(edge.from) == hears.leg.slot() && edge.kind == hears.kind;
                is_first && edge.next_in.is_none()
            }),
        }
    }

    /// Adds an edge where there is none. Whether it is new.
    pub(crate) fn add_source(&mut self, from: usize, to: usize, kind: EdgeKind) -> Result<bool, LegError> {
        let Some(leg) = self.rows[to].as_deref() else { return Err(LegError::NoSuchLeg) };
        if self.find_edge(leg, from).is_some() {
            return Ok(false);
        }
        if self.edges.incoming(leg.first_in).count() >= SOURCES_MAX {
            return Err(LegError::Sources);
        }
        self.add_edge(from, to, kind);
        Ok(true)
    }

    /// Adds an edge, as the last one into its sink.
    fn add_edge(&mut self, from: usize, to: usize, kind: EdgeKind) {
        let Some(next_out) = self.rows[from].as_deref().map(|leg| leg.first_out) else { return };
        let next_in = EdgeSlot::NONE;
        let edge =
            Edge { from: from as u16, to: to as u16, kind, has_failed: false, has_earlier: false, next_out, next_in };
        let added = self.edges.add(edge);
        if let Some(leg) = self.rows[from].as_deref_mut() {
            leg.first_out = added;
        }
        let Some(leg) = self.rows[to].as_deref_mut() else { return };
        let mut last = leg.first_in;
        if last.is_none() {
            leg.first_in = added;
            return;
        }
        if let Some(edge) = self.edges.get_mut(added) {
            edge.has_earlier = true;
        }
        while let Some(edge) = self.edges.get_mut(last) {
            if edge.next_in.is_none() {
                edge.next_in = added;
                return;
            }
            last = edge.next_in;
        }
    }

    fn remove_edge(&mut self, slot: EdgeSlot) {
        if let Some(edge) = self.edges.remove(slot) {
            self.unlink_out(slot, &edge);
            self.unlink_in(slot, &edge);
        }
    }

    /// An edge that is removed no longer comes out of its source.
    fn unlink_out(&mut self, slot: EdgeSlot, edge: &Edge) {
        let mut at = match self.rows[usize::from(edge.from)].as_deref_mut() {
            Some(from) if from.first_out == slot => return from.first_out = edge.next_out,
            Some(from) => from.first_out,
            None => return,
        };
        while let Some(other) = self.edges.get_mut(at) {
            if other.next_out == slot {
                return other.next_out = edge.next_out;
            }
            at = other.next_out;
        }
    }

    /// An edge that is removed no longer comes into its sink.
    fn unlink_in(&mut self, slot: EdgeSlot, edge: &Edge) {
        let mut at = match self.rows[usize::from(edge.to)].as_deref_mut() {
            Some(to) if to.first_in == slot => {
                to.first_in = edge.next_in;
                if let Some(first) = self.edges.get_mut(edge.next_in) {
                    first.has_earlier = false;
                }
                return;
            }
            Some(to) => to.first_in,
            None => return,
        };
        while let Some(other) = self.edges.get_mut(at) {
            if other.next_in == slot {
                return other.next_in = edge.next_in;
            }
            at = other.next_in;
        }
    }

    fn drop_sources(&mut self, slot: usize) {
        let Some(leg) = self.rows[slot].as_deref_mut() else { return };
        let mut next = std::mem::replace(&mut leg.first_in, EdgeSlot::NONE);
        while !next.is_none()
            && let Some(edge) = self.edges.remove(next)
        {
            self.unlink_out(next, &edge);
            next = edge.next_in;
        }
    }

    /// A leg is gone, and all its edges with it. The legs that it heard and those that heard it are looked at again by the
    /// caller.
    pub(crate) fn drop_edges(&mut self, slot: usize) {
        self.drop_sources(slot);
        let Some(leg) = self.rows[slot].as_deref_mut() else { return };
        let mut next = std::mem::replace(&mut leg.first_out, EdgeSlot::NONE);
        while !next.is_none()
            && let Some(edge) = self.edges.remove(next)
        {
            self.unlink_in(next, &edge);
            next = edge.next_out;
        }
    }
}
