//! Conferences: the legs of a room hear each other, each in its own codec.
//!
//! A room is there as long as it has members, all on one worker. The first member whose packet is due in a frame of 20 ms has
//! the room mixed; the others take what was mixed. Members that are not heard all hear the same, which is encoded once
//! for each format. What a member with packets of another length hears is kept until one of them is due.

mod announcer;
mod chimes;
mod commands;
mod member;
mod recorded;
mod room;
mod speaking;

use crate::worker::Sounds;
pub(crate) use announcer::Play;
pub(crate) use member::MemberIndex;

use crate::decoding::coders::format_at;
use crate::decoding::jitter::Arrival;
use crate::decoding::playout::PlayoutCounts;
use crate::incoming::tap::TapId;
use crate::leg::law_of;
use audio::codec::CodecFormat;
use clock::Duration;
use contract::{Codec, Event, LegRef, OpusParameters, RoomMember};
use member::Member;
use recorded::Recorded;
use room::Room;
use std::collections::HashMap;

/// Samples in a second of what is mixed: all that G.722 carries, and all that matters in speech.
const RATE: u32 = 16_000;
/// Milliseconds of a frame of the mix.
const FRAME_MS: u8 = 20;
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
    /// What clients are to be told.
    pub(crate) events: Vec<Event>,
    /// Rooms whose recordings have frames.
    shown: Vec<u16>,
    /// Recordings whose rooms are gone.
    ended_taps: Vec<TapId>,
    /// Of a kind of random numbers that nobody has to be unable to guess.
    seed: u32,
}

/// What a member is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Said {
    pub(crate) codec: Codec,
    pub(crate) opus: OpusParameters,
    /// Milliseconds of sound in its packets.
    pub(crate) ptime_ms: u8,
}

/// A packet that is due.
#[derive(Clone, Copy)]
pub(crate) struct DuePacket<'s> {
    pub(crate) due_ms: u64,
    /// The member is sent silence, and heard all the same.
    pub(crate) is_muted: bool,
    pub(crate) sounds: &'s Sounds,
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
        let member = Member::new(leg, (room_index, slot), part, (said, format), self.seed);
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
        self.events.reserve(8);
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
        if member.speaking.is_speaking() && member.part.tells_speaking {
            self.events.push(Event::Speaking { leg: member.leg, is_speaking: false });
        }
        let place = usize::from(member.room);
        let Some(room) = self.rooms.get_mut(place).and_then(Option::as_mut) else { return };
        room.let_go(member.slot, &member.part);
        if room.count() == 0 {
            room.end(&mut self.events);
            self.ended_taps.extend(room.recorded().map(|recorded| recorded.id));
            self.by_number.remove(&room.number());
            self.rooms[place] = None;
            self.free_rooms.push(member.room);
        }
    }

    /// Gives a member another part in its room. `false`: it is another room.
    pub(crate) fn change(&mut self, index: MemberIndex, part: &RoomMember) -> bool {
        let Some(member) = index.get().and_then(|place| self.members.get_mut(place)?.as_mut()) else { return false };
        let Some(room) = self.rooms.get_mut(usize::from(member.room)).and_then(Option::as_mut) else { return false };
        if room.number() != part.room {
            return false;
        }
        let before = std::mem::replace(&mut member.part, *part);
        room.change_part(member.slot, (&before, part));
        true
    }

    /// A member is sent this from now on. `false`: a room cannot make it.
    pub(crate) fn send_as(&mut self, index: MemberIndex, said: Said) -> bool {
        let Some(member) = index.get().and_then(|place| self.members.get_mut(place)?.as_mut()) else { return true };
        let before = member.said();
        if before == said {
            return true;
        }
        let Some(format) = format_in_room(said.codec) else { return false };
        self.coded_count -= usize::from(law_of(before.codec).is_none());
        self.coded_count += usize::from(law_of(said.codec).is_none());
        member.send_as(said, format);
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

    /// The payload of the packet that a member is due; 0 bytes: its codec leaves this packet out.
    pub(crate) fn make(&mut self, index: MemberIndex, due: &DuePacket<'_>, payload: &mut [u8]) -> usize {
        let place = index.get().and_then(|place| Some((place, self.members.get(place)?.as_ref()?.room)));
        let Some((place, room_index)) = place else { return 0 };
        let Some(room) = self.rooms.get_mut(usize::from(room_index)).and_then(Option::as_mut) else { return 0 };
        if room.be_mixed(due.due_ms, &mut self.members, due.sounds, &mut self.events) {
            self.shown.push(room_index);
        }
        let Some(member) = self.members.get_mut(place).and_then(Option::as_mut) else { return 0 };
        room.say_to(member, due.is_muted, payload)
    }

    /// How loud a member has been lately, in decibels below full scale, and whether it speaks.
    pub(crate) fn level_of(&self, index: MemberIndex) -> Option<(i8, bool)> {
        let member = index.get().and_then(|place| self.members.get(place)?.as_ref())?;
        Some((member.speaking.level_dbov(), member.speaking.is_speaking()))
    }

    /// The room of a member.
    fn room_of(&mut self, index: MemberIndex) -> Option<&mut Room> {
        let room = index.get().and_then(|place| self.members.get(place)?.as_ref())?.room;
        self.rooms.get_mut(usize::from(room))?.as_mut()
    }

    /// Whether a leg is a member of the same room.
    fn is_beside(&self, index: MemberIndex, leg: LegRef) -> bool {
        let room_of = |member: &Member| member.room;
        let room = index.get().and_then(|place| self.members.get(place)?.as_ref()).map(room_of);
        room.is_some() && self.members.iter().flatten().any(|member| member.leg == leg && Some(member.room) == room)
    }
}

#[cfg(test)]
mod tests;
