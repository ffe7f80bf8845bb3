//! What a recorded leg receives and sends, pointed at while it still lies in the turn's buffers. Nothing is copied or
//! decoded here; who runs the worker does that before it submits the turn.

use crate::Worker;
use crate::io::{Output, Span};
use crate::leg::Leg;
use crate::outgoing::program::Program;
use clock::Instant;
use contract::{ClockRate, Codec, LegRef, RefuseReason};
use rtp_wire::Header;
use std::num::NonZeroU64;
use std::sync::Arc;

/// A recording or a program, by the number that the process around the worker gave it. It goes with its leg to other workers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TapId(pub NonZeroU64);

/// Seen from the leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// From its peer.
    Received,
    /// To its peer.
    Sent,
}

/// A packet with sound of a recorded leg.
#[derive(Clone, Copy, Debug)]
pub struct Tapped {
    /// Of which recording or program.
    pub id: TapId,
    /// Of which leg.
    pub leg: LegRef,
    /// Which way it went.
    pub side: Side,
    /// What the payload is.
    pub codec: Codec,
    /// Ticks of its timestamps in a second, by the leg's format.
    pub clock: ClockRate,
    /// The header as the peer sent it, or gets it.
    pub header: Header,
    /// Where the payload lies until the turn is submitted.
    pub payload: Span,
    /// When it came, or was due to go.
    pub at: Instant,
}

impl Worker {
    /// Records a leg, under another number, or no more.
    pub fn tap(&mut self, leg: LegRef, id: Option<TapId>) -> Result<(), RefuseReason> {
        let place = self.find(leg)?;
        self.legs[place].listeners.recording = id;
        Ok(())
    }

    /// Whether a leg is recorded.
    pub fn tap_of(&self, leg: LegRef) -> Option<TapId> {
        self.find(leg).ok().and_then(|place| self.legs[place].listeners.recording)
    }
}

impl Worker {
    /// Connects a leg to a program that hears it, or speaks on it, or to none. Gives the one before.
    pub fn connect_program(
        &mut self,
        now: Instant,
        leg: LegRef,
        program: Option<Arc<Program>>,
    ) -> Result<Option<Arc<Program>>, RefuseReason> {
        let place = self.find(leg)?;
        let it = &mut self.legs[place];
        if program.as_ref().is_some_and(|program| program.speaks()) && it.is_relay() {
            // The program's packets come among those of another leg's stream: only numbers of our own leave no hole.
            it.sending.take_over();
        }
        let before = std::mem::replace(&mut it.listeners.program, program);
        self.place_in_frame(place, now);
        Ok(before)
    }

    /// The number of the program of a leg.
    pub fn program_of(&self, leg: LegRef) -> Option<TapId> {
        self.find(leg).ok().and_then(|place| self.legs[place].listeners.program.as_ref()).map(|program| program.id())
    }
}

/// A packet that goes by.
pub(crate) struct Passing<'p> {
    pub(crate) side: Side,
    /// A [`Codec`] as number.
    pub(crate) codec: u8,
    pub(crate) clock: ClockRate,
    pub(crate) header: &'p Header,
    /// All of the packet.
    pub(crate) packet: Span,
    pub(crate) at: Instant,
}

impl Leg {
    /// Points at the sound of a packet, if the leg is recorded. `false`: the turn has no room for it.
    #[inline]
    pub(crate) fn show(&self, passing: &Passing<'_>, out: &mut Output) -> bool {
        !self.is_heard() || self.show_to_all(passing, out)
    }

    /// Whether the leg is recorded, or a program is there.
    #[inline]
    pub(crate) fn is_heard(&self) -> bool {
        self.listeners.recording.is_some() || self.listeners.program.is_some()
    }

    fn show_to_all(&self, passing: &Passing<'_>, out: &mut Output) -> bool {
        let is_recorded = self.listeners.recording.is_none_or(|id| self.show_to(id, passing, &mut out.taps));
        let program = self.listeners.program.as_deref().filter(|program| program.hears(passing.side as usize));
        program.is_none_or(|program| self.show_to(program.id(), passing, &mut out.program_taps)) && is_recorded
    }

    fn show_to(&self, id: TapId, passing: &Passing<'_>, taps: &mut Vec<Tapped>) -> bool {
        let Passing { side, clock, header, packet, at, .. } = *passing;
        let codec = match Codec::from_number(passing.codec) {
            // These have no sound.
            None | Some(Codec::TelephoneEvent) => return true,
            Some(codec) => codec,
        };
        if taps.len() == taps.capacity() {
            return false;
        }
        let payload = Span { start: packet.start + header.payload_start, bytes: header.payload_bytes, ..packet };
        taps.push(Tapped { id, leg: self.leg, side, codec, clock, header: *header, payload, at });
        true
    }
}
