//! Commands about rooms, and what rooms have to tell.

use super::{MemberIndex, Play, Recorded, Rooms};
use crate::Worker;
use crate::incoming::tap::TapId;
use crate::io::{Buffers, Output};
use contract::{AnnouncedSound, Announcement, LegRef, PlayerId, RefuseReason};
use stats::MediaCounter;

impl Rooms {
    pub(super) fn announce(&mut self, index: MemberIndex, to: LegRef, play: Play) -> Result<(), RefuseReason> {
        if !to.is_none() && !self.is_beside(index, to) {
            return Err(RefuseReason::Invalid);
        }
        let room = self.room_of(index).ok_or(RefuseReason::Invalid)?;
        if room.announce(play) { Ok(()) } else { Err(RefuseReason::Full) }
    }

    pub(super) fn record(&mut self, index: MemberIndex, leg: LegRef, id: TapId) -> Result<(), RefuseReason> {
        let room = self.room_of(index).ok_or(RefuseReason::Invalid)?;
        if room.recorded().is_some() {
            return Err(RefuseReason::AlreadyOpen);
        }
        room.record(Some(Recorded::new(id, leg)));
        self.shown.reserve(1);
        Ok(())
    }

    /// Points at the frames of rooms that are recorded; says how many found no room.
    pub(super) fn show(&mut self, buffers: &mut impl Buffers, out: &mut Output) -> u64 {
        let Self { rooms, shown, .. } = self;
        let mut lost = 0;
        for index in shown.drain(..) {
            if let Some(recorded) = rooms.get_mut(usize::from(index)).and_then(|room| room.as_mut()?.recorded()) {
                lost += recorded.show(buffers, out);
            }
        }
        lost
    }
}

impl Worker {
    pub(crate) fn announce(&mut self, leg: LegRef, announcement: &Announcement) -> Result<(), RefuseReason> {
        let member = self.legs[self.find(leg)?].links.member;
        let (rate, tone) = match announcement.sound {
            AnnouncedSound::Prompt(play) => {
                (self.sounds.prompts.get(play.prompt as usize).map(|it| it.sample_rate()), None)
            }
            AnnouncedSound::Tone(tone, _) => (Some(8_000), Some(self.tone_of(tone).ok_or(RefuseReason::Invalid)?)),
        };
        let play = rate.and_then(|rate| Play::new(*announcement, leg, rate, tone)).ok_or(RefuseReason::Invalid)?;
        self.rooms.announce(member, announcement.to, play)
    }

    pub(crate) fn stop_announcement(&mut self, leg: LegRef, id: PlayerId) -> Result<(), RefuseReason> {
        let member = self.legs[self.find(leg)?].links.member;
        let mut ended = std::mem::take(&mut self.rooms.events);
        let room = self.rooms.room_of(member).ok_or(RefuseReason::Invalid);
        let stopped = room.map(|room| room.stop_announcement(id, &mut ended));
        self.rooms.events = ended;
        stopped
    }

    /// Records the room of a leg, until it is empty.
    pub fn tap_room(&mut self, leg: LegRef, id: TapId) -> Result<(), RefuseReason> {
        let member = self.legs[self.find(leg)?].links.member;
        self.rooms.record(member, leg, id)
    }

    /// The number under which the room of a leg is recorded.
    pub fn room_tap_of(&mut self, leg: LegRef) -> Option<TapId> {
        let member = self.legs[self.find(leg).ok()?].links.member;
        self.rooms.room_of(member)?.recorded().map(|recorded| recorded.id)
    }

    /// The room that is recorded under this number is recorded no more.
    pub fn untap_room(&mut self, id: TapId) {
        for room in self.rooms.rooms.iter_mut().flatten() {
            if room.recorded().is_some_and(|recorded| recorded.id == id) {
                room.record(None);
            }
        }
    }

    /// The next recording whose room is gone.
    pub fn next_ended_room_tap(&mut self) -> Option<TapId> {
        self.rooms.ended_taps.pop()
    }

    /// Tells what has happened in rooms, and shows the sound of those that are recorded.
    pub(crate) fn tell_of_rooms(&mut self, buffers: &mut impl Buffers, out: &mut Output) {
        out.events.append(&mut self.rooms.events);
        let lost = self.rooms.show(buffers, out);
        if lost > 0 {
            self.counts.add(MediaCounter::RecordingOverflow, lost);
        }
    }
}
