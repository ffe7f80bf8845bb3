//! What a recorded leg receives and sends, pointed at while it still lies in the turn's buffers. Nothing is copied or
//! decoded here; who runs the worker does that before it submits the turn.

use crate::Worker;
use crate::io::{Output, Span};
use crate::leg::Leg;
use clock::Instant;
use contract::{ClockRate, Codec, LegRef, RefuseReason};
use rtp_wire::Header;
use std::num::NonZeroU64;

/// A recording, by the number that the process around the worker gave it. It goes with its leg to other workers.
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
    /// Of which recording.
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
        self.legs[place].tap = id;
        Ok(())
    }

    /// Whether a leg is recorded.
    pub fn tap_of(&self, leg: LegRef) -> Option<TapId> {
        self.find(leg).ok().and_then(|place| self.legs[place].tap)
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
        self.tap.is_none_or(|id| self.show_to(id, passing, out))
    }

    fn show_to(&self, id: TapId, passing: &Passing<'_>, out: &mut Output) -> bool {
        let Passing { side, clock, header, packet, at, .. } = *passing;
        let codec = match Codec::from_number(passing.codec) {
            // These have no sound.
            None | Some(Codec::TelephoneEvent) => return true,
            Some(codec) => codec,
        };
        if out.taps.len() == out.taps.capacity() {
            return false;
        }
        let payload = Span { start: packet.start + header.payload_start, bytes: header.payload_bytes, ..packet };
        out.taps.push(Tapped { id, leg: self.leg, side, codec, clock, header: *header, payload, at });
        true
    }
}
