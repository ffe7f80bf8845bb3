//! The end of a leg, and of the media plane.

use super::leg::Stage;
use crate::{LegError, LegEvent, LegId, Legs, MediaTurn, Port};

impl Legs {
    /// Closes a leg; what it was still to do is forgotten. Whether it is gone at once, because the media plane has never
    /// heard of it or is lost. Otherwise [`LegEvent::Closed`] or [`LegEvent::CloseTimedOut`] follows.
    pub fn close(&mut self, turn: &mut MediaTurn<'_>, id: LegId) -> Result<bool, LegError> {
        let slot = id.slot();
        let moving = match self.leg(id)?.stage {
            Stage::Reserved | Stage::Lost => {
                self.gone(turn, slot, LegEvent::Late);
                return Ok(true);
            }
            Stage::Closing(_) => return Ok(false),
            Stage::Moving(leaving) => Some(leaving),
            Stage::Opening(_) | Stage::Open | Stage::Adopting(_) => None,
        };
        self.forget_recordings(slot);
        self.stop_waiting(slot);
        self.send_close(turn, slot, moving);
        self.replace_source(turn, slot);
        Ok(false)
    }

    /// The media plane is gone, and with it the ports of all legs. Legs that were to be closed are gone; the others wait to be
    /// opened again ([`Self::reopen`]) or closed. Gives the recordings that end with it, each with the owner of its leg.
    pub fn media_lost(&mut self) -> Vec<(u64, u64)> {
        for slot in 0..self.rows.len() {
            let Some(leg) = self.rows.get(slot).and_then(Option::as_deref) else { continue };
            if let Stage::Closing(_) = leg.stage {
                self.drop_edges(slot);
                self.remove(slot);
                continue;
            }
            self.stop_waiting(slot);
            let Some(leg) = self.rows[slot].as_deref_mut() else { continue };
            (leg.stage, leg.port, leg.recordings, leg.digits) = (Stage::Lost, None, [None; 2], None);
        }
        self.by_leg.clear();
        self.deadlines = Default::default();
        self.awaited = Default::default();
        self.forget_keeping();
        self.recordings.take_all()
    }

    /// Opens a leg that was lost with its media plane on this port, with all that is wanted of it.
    pub fn reopen(&mut self, turn: &mut MediaTurn<'_>, id: LegId, port: Port) -> Result<(), LegError> {
        let leg = self.leg_mut(id)?;
        if leg.stage != Stage::Lost {
            return Err(LegError::WrongState);
        }
        (leg.port, leg.stage) = (Some(port), Stage::Reserved);
        self.by_leg.insert(port.leg, id.slot() as u16);
        self.refresh(turn, id.slot());
        self.send_open(turn, id.slot());
        Ok(())
    }
}
