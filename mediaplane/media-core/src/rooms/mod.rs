//! Conferences: the legs of a room hear each other, each in its own codec.
//!
//! A room is there as long as it has members, all on one worker. The first member whose packet is due in a frame of 20 ms has
//! the room mixed; the others take what was mixed. Who is not heard hears the same as all others like it, which is encoded once
//! for each format.

mod member;
mod room;

pub(crate) use member::MemberIndex;

use crate::decoding::coders::format_at;
use crate::decoding::jitter::Arrival;
use crate::decoding::playout::PlayoutCounts;
use crate::leg::law_of;
use audio::codec::CodecFormat;
use clock::Duration;
use contract::{Codec, LegRef, OpusParameters, RoomMember};
use member::Member;
use room::Room;
use std::collections::HashMap;

/// Samples in a second of what is mixed: all that G.722 carries, and all that matters in speech.
const RATE: u32 = 16_000;
/// Milliseconds of a frame, and of every packet that a member is sent.
pub(crate) const FRAME_MS: u8 = 20;
/// Samples of a frame.
const FRAME_SAMPLES: usize = RATE as usize / 1_000 * FRAME_MS as usize;
/// Members that are heard at once, at most.
const SPEAKERS: usize = 4;

/// All rooms of a worker.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    rooms: Vec<Option<Room>>,
    free_rooms: Vec<u16>,
    by_number: HashMap<u32, u16>,
    members: Vec<Option<Member>>,
    free_members: Vec<MemberIndex>,
    coded_count: usize,
    /// Of a kind of random numbers that nobody has to be unable to guess.
    seed: u32,
}

/// What a member is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Said {
    pub(crate) codec: Codec,
    pub(crate) opus: OpusParameters,
}

/// The format that a room decodes and encodes a codec with.
fn format_in_room(codec: Codec) -> Option<CodecFormat> {
    format_at(codec, RATE)
}

impl Rooms {
    /// Whether one more leg could be a member of this room.
    pub(crate) fn has_place(&self, number: u32) -> bool {
        let room = self.by_number.get(&number).and_then(|room| self.rooms.get(usize::from(*room))?.as_ref());
        room.is_none_or(|room| room.count() < usize::from(RoomMember::COUNT_MAX))
    }

    /// Members of other codecs than G.711, which count as legs that are transcoded for.
    pub(crate) fn coded_count(&self) -> usize {
        self.coded_count
    }

    /// Members of all rooms.
    pub(crate) fn member_count(&self) -> usize {
        self.members.len() - self.free_members.len()
    }

    /// Rooms that have members.
    pub(crate) fn room_count(&self) -> usize {
        self.by_number.len()
    }

    /// Takes a leg in; `None`: the room is full, or its codec has no sound.
    pub(crate) fn join(&mut self, leg: LegRef, part: &RoomMember, said: Said) -> Option<MemberIndex> {
        let format = format_in_room(said.codec)?;
        if self.free_members.is_empty() && self.members.len() >= MemberIndex::COUNT_MAX {
            return None;
        }
        let room_index = match self.by_number.get(&part.room) {
            Some(room) => *room,
            None => self.open(part.room)?,
        };
        let room = self.rooms.get_mut(usize::from(room_index))?.as_mut()?;
        let slot = room.take_in()?;
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let member = Member::new(leg, room_index, slot, (said, format), self.seed);
        let index = match self.free_members.pop() {
            Some(index) => index,
            None => {
                self.members.push(None);
                MemberIndex::new(self.members.len() - 1)
            }
        };
        *self.members.get_mut(index.get()?)? = Some(member);
        self.coded_count += usize::from(law_of(said.codec).is_none());
        room.seat(slot, index, (part, said));
        Some(index)
    }

    fn open(&mut self, number: u32) -> Option<u16> {
        let index = match self.free_rooms.pop() {
            Some(index) => index,
            None => {
                let index = u16::try_from(self.rooms.len()).ok()?;
                self.rooms.push(None);
                index
            }
        };
        self.rooms[usize::from(index)] = Some(Room::new(number));
        self.by_number.insert(number, index);
        Some(index)
    }

    /// Lets a leg go; its voice fades, and the room of the last one is gone.
    pub(crate) fn leave(&mut self, index: &mut MemberIndex) {
        let taken = std::mem::replace(index, MemberIndex::NONE);
        let Some(member) = taken.get().and_then(|place| self.members.get_mut(place)?.take()) else { return };
        self.free_members.push(taken);
        self.coded_count -= usize::from(law_of(member.said().codec).is_none());
        let place = usize::from(member.room);
        let Some(room) = self.rooms.get_mut(place).and_then(Option::as_mut) else { return };
        room.let_go(member.slot);
        if room.count() == 0 {
            self.by_number.remove(&room.number());
            self.rooms[place] = None;
            self.free_rooms.push(member.room);
        }
    }

    /// Gives a member another part in its room. `false`: it is another room.
    pub(crate) fn change(&mut self, index: MemberIndex, part: &RoomMember) -> bool {
        let member = index.get().and_then(|place| self.members.get(place)?.as_ref());
        let Some((room, slot)) = member.map(|member| (usize::from(member.room), member.slot)) else { return false };
        let Some(room) = self.rooms.get_mut(room).and_then(Option::as_mut) else { return false };
        if room.number() != part.room {
            return false;
        }
        room.set_part(slot, part);
        true
    }

    /// Whether a member is sent this, or has to join anew for it.
    pub(crate) fn suits(&mut self, index: MemberIndex, said: Said) -> bool {
        let Some(member) = index.get().and_then(|place| self.members.get_mut(place)?.as_mut()) else { return true };
        if !member.suits(said) {
            return false;
        }
        if let Some(Some(room)) = self.rooms.get_mut(usize::from(member.room)) {
            room.be_able_to_share(said);
        }
        true
    }

    /// A packet of a member's peer. `false`: it is not heard, as its codec has no sound or changes too often.
    pub(crate) fn hear(&mut self, index: MemberIndex, codec: u8, arrival: &Arrival<'_>) -> bool {
        let Some(member) = index.get().and_then(|place| self.members.get_mut(place)?.as_mut()) else { return false };
        let format = Codec::from_number(codec).and_then(format_in_room);
        format.is_some_and(|format| member.hear(format, arrival))
    }

    /// The delay of a member's jitter buffer, and what became of the packets of its peer.
    pub(crate) fn playout(&self, index: MemberIndex) -> Option<(Duration, PlayoutCounts)> {
        Some(self.members.get(index.get()?)?.as_ref()?.playout())
    }

    /// The payload of the packet that a member is due at `due_ms`; 0 bytes: its codec leaves this packet out. `is_muted`: it is
    /// sent silence, and heard all the same.
    pub(crate) fn make(&mut self, index: MemberIndex, due_ms: u64, is_muted: bool, payload: &mut [u8]) -> usize {
        let place = index.get().and_then(|place| Some((place, self.members.get(place)?.as_ref()?.room)));
        let Some((place, room)) = place else { return 0 };
        let Some(room) = self.rooms.get_mut(usize::from(room)).and_then(Option::as_mut) else { return 0 };
        room.be_mixed(due_ms, &mut self.members);
        let Some(member) = self.members.get_mut(place).and_then(Option::as_mut) else { return 0 };
        room.say_to(member, is_muted, payload)
    }
}

#[cfg(test)]
mod tests;
