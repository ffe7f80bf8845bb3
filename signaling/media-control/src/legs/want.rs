//! What a leg is to be from now on.

use super::leg::{Leg, Stage};
use crate::topology::Resolved;
use crate::wish::{Desired, Flow, Formats, Parts};
use crate::{CommandNumber, LegError, LegId, LegWish, Legs, MediaTurn, Sources};
use contract::{Rewriting, Source};

/// Whether the media plane does what is wanted of a leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// The leg does not run yet or any more; what is wanted of it goes with its `Open`.
    NotOpen,
    /// The media plane does what is wanted.
    Confirmed,
    /// The answer to this command, or to a later update, will confirm it. The command may have to wait until it is sent.
    Awaits(CommandNumber),
    /// The media plane has refused it, or has not answered in time. It is not sent again before something else is wanted.
    Refused,
}

/// What a wish has changed.
struct Applied {
    changed: Parts,
    /// The leg hears other legs than before, or none.
    has_new_source: bool,
}

impl Legs {
    /// Opens a leg that has a port.
    pub fn open(&mut self, turn: &mut MediaTurn<'_>, id: LegId, wish: &LegWish) -> Result<(), LegError> {
        if self.leg(id)?.stage != Stage::Reserved {
            return Err(LegError::WrongState);
        }
        self.count_workers(turn.ports, wish.flow.player);
        self.apply(id, wish, false)?;
        self.send_open(turn, id.slot());
        Ok(())
    }

    /// Says what a leg is to be. What is different from before is sent at once, or when the leg can be told. Says whether
    /// and by which command the media plane confirms it.
    pub fn want(&mut self, turn: &mut MediaTurn<'_>, id: LegId, wish: &LegWish) -> Result<Standing, LegError> {
        let leg = self.leg(id)?;
        if !matches!(leg.stage, Stage::Closing(_)) && self.is_wanted(leg, wish) {
            return Ok(leg.standing());
        }
        self.want_anew(turn, id, wish, false)
    }

    fn want_anew(
        &mut self,
        turn: &mut MediaTurn<'_>,
        id: LegId,
        wish: &LegWish,
        begins_again: bool,
    ) -> Result<Standing, LegError> {
        let leg = self.leg(id)?;
        if let Stage::Closing(_) = leg.stage {
            return Ok(Standing::NotOpen);
        }
        let before = self.edges.sources(leg.first_in);
        let had_player = leg.player;
        self.count_workers(turn.ports, wish.flow.player);
        let Applied { changed, has_new_source } = self.apply(id, wish, begins_again)?;
        let slot = id.slot();
        self.send_update(turn, slot);
        if has_new_source || changed.has(Parts::FORMATS) {
            self.refresh_neighbours(turn, slot);
        }
        if had_player != wish.flow.player {
            self.bring_to_room(turn, slot);
        }
        if has_new_source {
            self.bring_together(turn, slot);
            self.lost_sink(turn, &before);
        }
        self.standing(id)
    }

    /// Whether this is wanted of a leg already: many events of a call change nothing for its media.
    fn is_wanted(&self, leg: &Leg, wish: &LegWish) -> bool {
        let (Desired { transport, formats, flow }, wished) = (&leg.wanted, &wish.flow);
        let own = leg.port.map(|port| Source::Leg(port.leg));
        // A leg that was disconnected still has to be told.
        let passes_on = matches!(flow.source, Source::Leg(_)) && Some(flow.source) != own;
        let has_source = !leg.first_in.is_none();
        self.has_sources(leg, wished.hears)
            && (has_source || !passes_on)
            && (leg.player, leg.is_held) == (wished.player, wished.is_held)
            && (flow.direction, flow.is_muted, flow.digits) == (wished.direction, wished.is_muted, wished.digits)
            && (flow.rewriting == Rewriting::Continuous || !wished.is_continuous)
            && *transport == wish.transport
            && (formats.ptime_ms, formats.voice) == (wish.formats.ptime_ms, wish.formats.voice)
            && formats.payloads.has_same_types(&wish.formats.payloads)
    }

    /// The same as [`Self::want`], and the player begins again, also where it has come to its end.
    pub fn restart(&mut self, turn: &mut MediaTurn<'_>, id: LegId, wish: &LegWish) -> Result<Standing, LegError> {
        let has_begun = matches!(self.leg(id)?.stage, Stage::Open | Stage::Moving(_));
        self.want_anew(turn, id, wish, has_begun)
    }

    /// Takes a wish over; where the player begins again, it is another one.
    fn apply(&mut self, id: LegId, wish: &LegWish, begins_again: bool) -> Result<Applied, LegError> {
        let flow = &wish.flow;
        if let Sources::One(hears) = flow.hears {
            if hears.leg == id {
                return Err(LegError::OwnSource);
            }
            self.leg(hears.leg)?;
        }
        let has_new_source = self.set_sources(id.slot(), flow.hears);
        let leg = self.leg_mut(id)?;
        leg.has_no_room &= leg.player == flow.player;
        (leg.player, leg.is_held) = (flow.player, flow.is_held);
        let leg = self.leg(id)?;
        let Resolved { source, payloads, hears } = self.resolve(leg, &wish.formats, &wish.transport, flow.direction);
        let is_continuous = flow.is_continuous || hears || leg.wanted.flow.rewriting == Rewriting::Continuous;
        let rewriting = if is_continuous { Rewriting::Continuous } else { Rewriting::None };
        let player = if begins_again { self.new_player(id.slot(), source) } else { self.player_of(id.slot(), source) };
        let desired = Desired {
            transport: wish.transport,
            formats: Formats { payloads, ..wish.formats },
            flow: Flow {
                source,
                player,
                direction: flow.direction,
                is_muted: flow.is_muted,
                rewriting,
                digits: flow.digits,
            },
        };
        Ok(Applied { changed: self.set_wanted(id.slot(), &desired), has_new_source })
    }

    /// Another desired state: what the media plane does until it has been told stays known. Gives the parts that change.
    pub(crate) fn set_wanted(&mut self, slot: usize, desired: &Desired) -> Parts {
        let Some(leg) = self.rows[slot].as_deref_mut() else { return Parts::NONE };
        let changed = desired.differing(&leg.wanted);
        if changed.is_empty() {
            return changed;
        }
        let runs = !matches!(leg.stage, Stage::Reserved | Stage::Closing(_) | Stage::Lost);
        if runs && leg.in_flight.is_none() {
            let mut in_flight = self.spare.pop().unwrap_or_default();
            in_flight.begin(&leg.wanted);
            leg.in_flight = Some(in_flight);
        }
        leg.wanted.take(changed, desired);
        if let Some(in_flight) = leg.in_flight.as_deref_mut() {
            in_flight.want(&leg.wanted);
            in_flight.is_refused = false;
        }
        self.settle(slot);
        changed
    }

    /// Forgets what is no longer needed once the media plane does, or has been told, what is wanted; and promises a number
    /// for what cannot be sent yet.
    pub(crate) fn settle(&mut self, slot: usize) {
        let waits_for_adoption = self.waits_for_adoption(slot);
        let Some(leg) = self.rows[slot].as_deref_mut() else { return };
        let Some(in_flight) = leg.in_flight.as_deref() else { return };
        let is_told = in_flight.is_told();
        if is_told {
            leg.promised = None;
        }
        if is_told && in_flight.count() == 0 {
            let done = leg.in_flight.take();
            return self.keep_spare(done);
        }
        let waits = leg.stage != Stage::Open || in_flight.is_full() || waits_for_adoption;
        if !is_told && waits && !in_flight.is_refused && leg.promised.is_none() {
            let number = self.next_number(slot);
            if let Some(leg) = self.rows[slot].as_deref_mut() {
                leg.promised = Some(number);
            }
        }
    }
}

impl Leg {
    pub(crate) fn standing(&self) -> Standing {
        if matches!(self.stage, Stage::Reserved | Stage::Closing(_) | Stage::Lost) {
            return Standing::NotOpen;
        }
        let Some(in_flight) = self.in_flight.as_deref() else { return Standing::Confirmed };
        let sent = in_flight.last().filter(|_| in_flight.is_told());
        match sent.or(self.promised) {
            Some(number) => Standing::Awaits(number),
            None => Standing::Refused,
        }
    }
}
