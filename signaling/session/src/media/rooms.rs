//! What a member of a room has the others hear besides itself.

use crate::{Operation, PlannedSource, Session, SessionError, SessionId, Sessions, Turn};
use contract::{AnnouncedSound, LegRef, PlayerId, RoomMember};

impl Session {
    /// Its part in a room, while nothing else is heard.
    pub fn room(&self) -> Option<RoomMember> {
        match self.playback.source() {
            PlannedSource::Room(member) if self.link().is_none() => Some(member),
            _ => None,
        }
    }
}

impl Sessions {
    /// Plays a prompt or a tone to all members of the session's room, or to one of them. `AnnouncementEnded` follows.
    pub fn announce_in_room(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        (sound, to): (AnnouncedSound, LegRef),
        is_ducking: bool,
    ) -> Result<PlayerId, SessionError> {
        let leg = self.member_leg(id)?;
        let announced = self.legs.announce(&mut turn.media(), leg, (sound, to), is_ducking);
        announced.map_err(|_| SessionError::Busy(Operation::ChangeMedia))
    }

    /// Ends an announcement in the session's room; [`PlayerId::NONE`]: all of them. `AnnouncementEnded` follows for each.
    pub fn stop_announcement(
        &mut self,
        turn: &mut Turn<'_>,
        id: SessionId,
        announcement: PlayerId,
    ) -> Result<(), SessionError> {
        let leg = self.member_leg(id)?;
        let stopped = self.legs.stop_announcement(&mut turn.media(), leg, announcement);
        stopped.map_err(|_| SessionError::Busy(Operation::ChangeMedia))
    }

    fn member_leg(&self, id: SessionId) -> Result<media_control::LegId, SessionError> {
        self.check(id, Operation::ChangeMedia)?;
        let session = self.table.get(id).ok_or(SessionError::SessionNotFound(id))?;
        session.room().ok_or(SessionError::Media("the session is in no room"))?;
        session.leg.id().ok_or(SessionError::Busy(Operation::ChangeMedia))
    }
}
