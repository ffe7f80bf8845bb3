//! Legs that are opened again from their snapshots.

use crate::legs::leg::Stage;
use crate::topology::Resolved;
use crate::wish::{Desired, Flow};
use crate::{EdgeKind, LegError, LegId, Legs, MediaTurn, Port, SOURCES_MAX, Snapshot};
use contract::{LegRef, Rewriting};
use std::collections::HashMap;

/// Opens legs from snapshots, or adopts those that still run, then connects them as they were connected. Legs may come in any
/// order.
#[derive(Debug, Default)]
pub struct Restoration {
    legs: Vec<Restored>,
    /// By the handle that each had when its snapshot was taken.
    by_leg: HashMap<LegRef, LegId>,
}

#[derive(Debug)]
struct Restored {
    id: LegId,
    sources: [Option<(LegRef, EdgeKind)>; SOURCES_MAX],
}

impl Restoration {
    /// Opens the leg of a snapshot on this port, which may be the one that it had. The port is given back where the leg is
    /// not opened: the table of legs is full, the media plane has no such worker, or the leg was opened already.
    pub fn open(
        &mut self,
        legs: &mut Legs,
        turn: &mut MediaTurn<'_>,
        snapshot: &Snapshot,
        port: Port,
    ) -> Result<LegId, LegError> {
        let added = self.add(legs, turn, snapshot, port);
        let id = added.inspect_err(|_| turn.ports.give_back(port))?;
        legs.send_open(turn, id.slot());
        Ok(id)
    }

    /// Asks for the leg of a snapshot, which has outlived its client ([`Legs::keep_legs`]). The port is that of the snapshot,
    /// with the worker that the leg table names now. [`Adopted`](crate::LegEvent::Adopted),
    /// [`Lost`](crate::LegEvent::Lost) or [`AdoptTimedOut`](crate::LegEvent::AdoptTimedOut) follows. The leg goes on as it is
    /// until it is ours and so are the legs that it is connected with; then it is told all that is wanted of it.
    pub fn adopt(
        &mut self,
        legs: &mut Legs,
        turn: &mut MediaTurn<'_>,
        snapshot: &Snapshot,
        port: Port,
    ) -> Result<LegId, LegError> {
        let id = self.add(legs, turn, snapshot, port)?;
        legs.send_adopt(turn, id.slot());
        Ok(id)
    }

    /// A row for the leg of a snapshot. Nobody can tell where its bytes have been, and who has named the worker.
    fn add(
        &mut self,
        legs: &mut Legs,
        turn: &MediaTurn<'_>,
        snapshot: &Snapshot,
        port: Port,
    ) -> Result<LegId, LegError> {
        if !turn.ports.has_worker(port.worker) {
            return Err(LegError::NoWorker(port.worker));
        }
        if self.by_leg.contains_key(&snapshot.port.leg) || legs.by_leg.contains_key(&port.leg) {
            return Err(LegError::AlreadyThere);
        }
        let id = legs.add(snapshot.owner, port)?;
        legs.count_workers(turn.ports, snapshot.player);
        legs.fill(id, snapshot)?;
        self.by_leg.insert(snapshot.port.leg, id);
        self.legs.push(Restored { id, sources: snapshot.sources });
        Ok(id)
    }

    /// Connects the legs that were opened or asked for; in the same turn, before any answer. Gives how many edges there are;
    /// those whose source was not opened are left out.
    pub fn connect(self, legs: &mut Legs, turn: &mut MediaTurn<'_>) -> usize {
        let mut connected_count = 0;
        for restored in &self.legs {
            if legs.leg(restored.id).is_err() {
                continue;
            }
            let slot = restored.id.slot();
            let before = connected_count;
            for (source, kind) in restored.sources.iter().flatten() {
                let source = self.by_leg.get(source).copied().filter(|id| *id != restored.id);
                let Some(id) = source.filter(|id| legs.leg(*id).is_ok()) else { continue };
                connected_count += usize::from(legs.add_source(id.slot(), slot, *kind) == Ok(true));
            }
            if connected_count > before {
                legs.refresh(turn, slot);
                legs.refresh_sources_of(turn, slot);
                legs.bring_together(turn, slot);
            }
        }
        connected_count
    }
}

impl Legs {
    /// All that is wanted of a leg now.
    pub fn snapshot(&self, id: LegId) -> Result<Snapshot, LegError> {
        let leg = self.leg(id)?;
        let port = leg.port.filter(|_| !matches!(leg.stage, Stage::Closing(_))).ok_or(LegError::WrongState)?;
        let mut sources = [None; SOURCES_MAX];
        let named =
            self.edges.incoming(leg.first_in).filter_map(|edge| Some((self.at(edge.from)?.port?.leg, edge.kind)));
        sources.iter_mut().zip(named).for_each(|(source, named)| *source = Some(named));
        Ok(Snapshot {
            owner: leg.owner,
            port,
            transport: leg.wanted.transport,
            formats: leg.own_formats(),
            direction: leg.wanted.flow.direction,
            is_muted: leg.wanted.flow.is_muted,
            is_held: leg.is_held,
            is_continuous: leg.wanted.flow.rewriting == Rewriting::Continuous,
            digits: leg.wanted.flow.digits,
            player: leg.player,
            playing: leg.wanted.flow.player,
            sources,
        })
    }

    /// Takes over what a snapshot says, apart from the edges.
    fn fill(&mut self, id: LegId, snapshot: &Snapshot) -> Result<(), LegError> {
        let leg = self.leg_mut(id)?;
        (leg.player, leg.is_held) = (snapshot.player, snapshot.is_held);
        let Resolved { source, payloads, .. } =
            self.resolve(self.leg(id)?, &snapshot.formats, &snapshot.transport, snapshot.direction);
        let rewriting = if snapshot.is_continuous { Rewriting::Continuous } else { Rewriting::None };
        let (direction, is_muted) = (snapshot.direction, snapshot.is_muted);
        // The same player goes on where the leg is adopted.
        let is_same = source.is_played() && !snapshot.playing.is_none();
        let player = if is_same { snapshot.playing } else { self.new_player(id.slot(), source) };
        self.leg_mut(id)?.wanted = Desired {
            transport: snapshot.transport,
            formats: crate::Formats { payloads, ..snapshot.formats },
            flow: Flow { source, player, direction, is_muted, rewriting, digits: snapshot.digits },
        };
        Ok(())
    }
}
