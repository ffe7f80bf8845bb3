//! Members of a room come to one worker: the same for all clients of the media plane, by the number of the room.

use crate::legs::leg::{Leg, Stage};
use crate::{Legs, MediaTurn, Player, Ports};

impl Legs {
    /// Looks how many workers there are, before a leg is told to be a member of a room.
    pub(crate) fn count_workers(&mut self, ports: &dyn Ports, player: Option<Player>) {
        if matches!(player, Some(Player::Room(_))) {
            self.worker_count = (0..=u8::MAX).take_while(|worker| ports.has_worker(*worker)).count();
        }
    }

    /// The worker of a room.
    fn room_worker(&self, room: u32) -> u8 {
        // Neighbouring numbers go to different workers, whatever their number is made of.
        let spread = room.wrapping_mul(0x9e37_79b1) >> 16;
        (spread as usize % self.worker_count.max(1)) as u8
    }

    /// Whether a leg is to be a member of a room and is on another worker than that, or on its way.
    pub(crate) fn is_away_from_room(&self, leg: &Leg) -> bool {
        let Some(Player::Room(member)) = leg.player else { return false };
        let is_still = !matches!(leg.stage, Stage::Moving(_));
        !leg.port.is_some_and(|port| is_still && port.worker == self.room_worker(member.room))
    }

    /// Moves a leg that runs to the worker of its room. Where that worker has refused it, it stays, and hears nothing of the
    /// room until something else is wanted of it.
    pub(crate) fn bring_to_room(&mut self, turn: &mut MediaTurn<'_>, slot: usize) {
        let Some(leg) = self.rows.get(slot).and_then(Option::as_deref) else { return };
        let Some(Player::Room(member)) = leg.player.filter(|_| !leg.has_no_room && !leg.is_held && !leg.has_edges())
        else {
            return;
        };
        let home = self.room_worker(member.room);
        if leg.still_port().is_some_and(|port| port.worker != home) {
            self.send_move(turn, slot, home);
        }
    }
}
