use crate::{ClientIndex, Region, WorkerIndex};
use contract::{LegRef, PortRef};

/// What a client takes for a leg before it opens it: the id by which both sides name it, and the port of its transport.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Reservation {
    /// The leg.
    pub leg: LegRef,
    /// Its port.
    pub port: PortRef,
}

/// Every port of the worker is in use or unavailable, or every leg id is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no free RTP port on worker {0}: refuse the call (503), or widen the port range")]
pub struct Exhausted(pub u8);

/// The leg or its port is not this client's, or not in this life of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "leg {} in its generation {} or port {} in its generation {} is not held by this client",
    .0.leg.row, .0.leg.generation, .0.port.rtp, .0.port.generation
)]
pub struct NotYours(pub Reservation);

/// Takes and gives back leg ids together with their ports, and gives them other owners.
#[derive(Clone, Debug)]
pub struct Reservations {
    region: Region,
}

impl Reservations {
    pub(crate) fn new(region: Region) -> Self {
        Self { region }
    }

    /// The id and the worker's port that have rested longest.
    pub fn take(&self, worker: WorkerIndex, client: ClientIndex) -> Result<Reservation, Exhausted> {
        let plan = self.region.plan();
        assert!(client.index() < plan.clients, "{client:?} of {}", plan.clients);
        let exhausted = Exhausted(worker.0);
        if worker.index() >= plan.workers {
            return Err(exhausted);
        }
        let port = self.region.ports().take(worker, client).ok_or(exhausted)?;
        let Some(leg) = self.region.leg_ids().take(client) else {
            self.region.ports().give_back(port, client);
            return Err(exhausted);
        };
        Ok(Reservation { leg, port })
    }

    /// Gives both back. They are used again after all the others that are free now. What of them is not the client's stays
    /// as it is.
    pub fn give_back(&self, reservation: Reservation, client: ClientIndex) -> Result<(), NotYours> {
        let Reservation { leg, port } = reservation;
        let port_is_back = self.region.ports().give_back(port, client);
        let leg_is_back = self.region.leg_ids().give_back(leg, client);
        if port_is_back && leg_is_back { Ok(()) } else { Err(NotYours(reservation)) }
    }

    /// Whether the client has both.
    pub fn is_held(&self, reservation: Reservation, client: ClientIndex) -> bool {
        let Reservation { leg, port } = reservation;
        self.holder(leg) == Some(client) && self.region.ports().holder(port.rtp) == Some((client, port))
    }

    /// The client that has a leg's id.
    pub fn holder(&self, leg: LegRef) -> Option<ClientIndex> {
        self.region.leg_ids().holder(leg)
    }

    /// A client is dead, and this leg of it goes on for a while: its holder is [`ClientIndex::KEPT`] from now on, and the
    /// client's end does not take it back. `false`: it is not the client's. This and the next two are for the worker that
    /// runs the leg.
    pub fn keep(&self, reservation: Reservation, client: ClientIndex) -> bool {
        self.change_owner(reservation, client, ClientIndex::KEPT)
    }

    /// A client has adopted a leg that was kept. `false`: it is not kept.
    pub fn adopt(&self, reservation: Reservation, client: ClientIndex) -> bool {
        self.change_owner(reservation, ClientIndex::KEPT, client)
    }

    /// A leg that was kept has ended: its id and port may be used again. `false`: it is not kept.
    pub fn end_keeping(&self, reservation: Reservation) -> bool {
        self.give_back(reservation, ClientIndex::KEPT).is_ok()
    }

    /// Takes all ids and ports away from a client that is dead: what it held, and what it was about to give back. Says how
    /// many ports. Only the media process calls it, through [`crate::Host::settle`].
    pub(crate) fn reclaim(&self, client: ClientIndex) -> usize {
        self.region.leg_ids().reclaim(client);
        self.region.ports().reclaim(client)
    }

    /// Both change their owner, or neither does.
    fn change_owner(&self, reservation: Reservation, from: ClientIndex, to: ClientIndex) -> bool {
        let (Reservation { leg, port }, ids) = (reservation, self.region.leg_ids());
        if !ids.change_owner(leg, from, to) {
            return false;
        }
        let is_done = self.region.ports().change_owner(port, from, to);
        if !is_done {
            ids.change_owner(leg, to, from);
        }
        is_done
    }
}
