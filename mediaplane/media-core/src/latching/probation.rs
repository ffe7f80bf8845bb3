//! Where the sources of all legs are looked at that may be a peer, and their packets wait: one store for a worker, set
//! aside at the start, so that legs whose peer is where it said need no memory for it.

use crate::latching::candidates::Candidates;
use crate::latching::held_packets::{HeldList, HeldPackets};
use crate::leg::LegIndex;
use clock::{Duration, Instant};
use contract::{Address, LegRef};
use rtp_wire::Header;

/// Legs that have candidates at the same time.
const ROOMS_MAX: usize = 1_024;
/// Rooms that are looked at for one that nobody uses any more.
const ROOMS_TRIED: usize = 16;
/// A room in which nothing came for so long goes to another leg.
const ROOM_QUIET: Duration = Duration::from_millis(500);

/// The store.
#[derive(Debug)]
pub(crate) struct Probation {
    rooms: Box<[Room]>,
    /// Where the last room was found.
    hand: usize,
    packets: HeldPackets,
    /// Packets that were let go since this was last read.
    lost: u64,
}

#[derive(Clone, Debug)]
struct Room {
    owner: LegRef,
    used_at: Instant,
    candidates: Candidates,
}

/// A leg's room, if it is still its own.
pub(crate) type RoomIndex = LegIndex;

impl Probation {
    /// For a worker with so many legs.
    pub(crate) fn new(leg_limit: usize) -> Self {
        let room = Room { owner: LegRef::NONE, used_at: Instant::ZERO, candidates: Candidates::default() };
        Self {
            rooms: vec![room; leg_limit.min(ROOMS_MAX)].into(),
            hand: 0,
            packets: HeldPackets::new(leg_limit),
            lost: 0,
        }
    }

    /// A leg's candidates.
    pub(crate) fn of(&mut self, owner: LegRef, room: RoomIndex) -> Option<&mut Candidates> {
        let room = self.rooms.get_mut(room.get()?).filter(|room| room.owner == owner)?;
        Some(&mut room.candidates)
    }

    /// Counts a packet of a source; says the source's place, or none where there is no room for it.
    pub(crate) fn note(
        &mut self,
        owner: LegRef,
        room: &mut RoomIndex,
        packet: (Address, &Header, Instant),
        is_near: bool,
        goes_on: bool,
    ) -> Option<usize> {
        let (from, header, at) = packet;
        if self.of(owner, *room).is_none() {
            *room = self.find_room(owner, at)?;
        }
        let mine = self.rooms.get_mut(room.get()?)?;
        mine.used_at = at;
        let mut stale = HeldList::default();
        let place = mine.candidates.note(from, header, at, is_near, goes_on, &mut stale);
        self.lost += self.packets.drop_all(stale);
        place
    }

    fn find_room(&mut self, owner: LegRef, at: Instant) -> Option<RoomIndex> {
        let count = self.rooms.len();
        let is_free = |room: &Room| room.owner.is_none() || at.since(room.used_at) > ROOM_QUIET;
        let step = (0..ROOMS_TRIED.min(count)).find(|step| is_free(&self.rooms[(self.hand + step) % count]))?;
        self.hand = (self.hand + step) % count;
        let index = LegIndex::new(self.hand);
        self.leave(self.rooms[self.hand].owner, index);
        self.rooms[self.hand].owner = owner;
        self.hand = (self.hand + 1) % count;
        Some(index)
    }

    /// Keeps a packet of the source at a place, one of the last `most`.
    pub(crate) fn hold(&mut self, owner: LegRef, room: RoomIndex, place: usize, packet: &[u8], at: Instant, most: u8) {
        let room = room.get().and_then(|room| self.rooms.get_mut(room)).filter(|room| room.owner == owner);
        let Some(list) = room.and_then(|room| room.candidates.held(place)) else { return self.lost += 1 };
        self.lost += self.packets.push(list, packet, at, most);
    }

    /// The oldest packet of a list that was taken out, and when it came; it stays until [`Self::drop_first`].
    pub(crate) fn first(&self, list: &HeldList) -> Option<(&[u8], Instant)> {
        self.packets.first(list)
    }

    /// Lets it go.
    pub(crate) fn drop_first(&mut self, list: &mut HeldList) {
        self.packets.drop_first(list);
    }

    /// A leg needs its room no more: who is in there is forgotten, and their packets are let go.
    pub(crate) fn leave(&mut self, owner: LegRef, room: RoomIndex) {
        let room = room.get().and_then(|room| self.rooms.get_mut(room)).filter(|room| room.owner == owner);
        let Some(room) = room else { return };
        room.owner = LegRef::NONE;
        for list in std::mem::take(&mut room.candidates).into_held() {
            self.lost += self.packets.drop_all(list);
        }
    }

    /// Packets that were let go since this was asked last.
    pub(crate) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtp_wire::{RtpTime, Seq, Ssrc};

    /// Ten times as many legs as there are rooms are sprayed: the rooms go round, nothing leaks, and a leg whose room is
    /// gone has none.
    #[test]
    fn rooms_and_packets_are_bounded_and_come_back() {
        let mut store = Probation::new(4);
        let all = store.packets.free_count();
        let header = Header {
            marker: false,
            payload_type: 0,
            seq: Seq(0),
            time: RtpTime(0),
            ssrc: Ssrc(1),
            payload_start: 12,
            payload_bytes: 0,
        };
        let from = Address::from("192.0.2.1:4000".parse::<std::net::SocketAddr>().unwrap());
        let mut rooms = [RoomIndex::NONE; 40];
        for (n, room) in rooms.iter_mut().enumerate() {
            let (owner, at) = (LegRef::new(n as u32, 1), Instant::from_nanos(300_000_000 * (n as u64 + 1)));
            let place = store.note(owner, room, (from, &header, at), true, false);
            assert_eq!(place, Some(0), "{n}");
            store.hold(owner, *room, 0, b"packet", at, 16);
        }
        let owner = |n: usize| LegRef::new(n as u32, 1);
        assert!((0..36).all(|n| store.of(owner(n), rooms[n]).is_none()));
        assert!((38..40).all(|n| store.of(owner(n), rooms[n]).is_some()));
        let at = Instant::from_nanos(300_000_000 * 40);
        for n in 100..104 {
            let _ = store.note(owner(n), &mut RoomIndex::NONE.clone(), (from, &header, at), true, false);
        }
        assert_eq!(store.note(owner(200), &mut RoomIndex::NONE.clone(), (from, &header, at), true, false), None);
        (0..40).for_each(|n| store.leave(owner(n), rooms[n]));
        assert_eq!((store.packets.free_count(), store.take_lost()), (all, 40));
    }
}
