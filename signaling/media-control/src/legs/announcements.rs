//! Announcements in the room of which a leg is a member.

use crate::{CommandNumber, LegError, LegEvent, LegId, Legs, MediaTurn};
use contract::{AnnouncedSound, Announcement, Command, LegRef, PlayerId};
use std::collections::BTreeMap;

/// Most announcements whose end is not known.
const OPEN_MAX: usize = 1_024;

/// The announcements whose end is not known, by the commands that asked for them.
#[derive(Debug, Default)]
pub(crate) struct Announcements(BTreeMap<CommandNumber, PlayerId>);

impl Legs {
    /// Plays this in the room of which the leg is a member, to all or to one of the members; it waits for those before it.
    /// [`LegEvent::AnnouncementEnded`] tells its end by the id that this gives. Refused while the leg moves.
    pub fn announce(
        &mut self,
        turn: &mut MediaTurn<'_>,
        id: LegId,
        (sound, to): (AnnouncedSound, LegRef),
        is_ducking: bool,
    ) -> Result<PlayerId, LegError> {
        let port = self.leg(id)?.still_port().ok_or(LegError::WrongState)?;
        if self.announcements.0.len() >= OPEN_MAX {
            return Err(LegError::Full);
        }
        self.serial += 1;
        let player = PlayerId::new(self.serial);
        let number = self.next_number(id.slot());
        self.announcements.0.insert(number, player);
        let announcement = Announcement { id: player, sound, to, is_ducking };
        turn.commands.push((port.worker, Command::Announce { leg: port.leg, number: number.get(), announcement }));
        Ok(player)
    }

    /// Ends an announcement in the room of the leg, also one that waits; none: all of them. Their ends are told.
    pub fn stop_announcement(
        &mut self,
        turn: &mut MediaTurn<'_>,
        id: LegId,
        announcement: PlayerId,
    ) -> Result<(), LegError> {
        let port = self.leg(id)?.still_port().ok_or(LegError::WrongState)?;
        let number = self.next_number(id.slot()).get();
        turn.commands.push((port.worker, Command::StopAnnouncement { leg: port.leg, number, id: announcement }));
        Ok(())
    }

    /// It was played, stopped, or nobody is left to hear it.
    pub(crate) fn announcement_ended(&mut self, id: PlayerId) -> LegEvent {
        self.announcements.0.retain(|_, open| *open != id);
        LegEvent::AnnouncementEnded { id, is_refused: false }
    }

    /// The media plane does not play it; `None`: the command asked for something else.
    pub(crate) fn announcement_refused(&mut self, number: CommandNumber) -> Option<LegEvent> {
        let id = self.announcements.0.remove(&number)?;
        Some(LegEvent::AnnouncementEnded { id, is_refused: true })
    }

    /// A leg is gone: nobody is told of the ends of its announcements.
    pub(crate) fn forget_announcements(&mut self, slot: usize) {
        self.announcements.0.retain(|number, _| number.slot() != slot);
    }
}
