//! The end of a leg: RTCP BYE, its final row, then nothing.

use crate::Worker;
use crate::io::{Buffers, Output, SocketAction, SocketIndex};
use clock::Instant;
use contract::{Address, CloseReason, Event, LegRef, LegState, RefuseReason};
use stats::MediaCounter;

impl Worker {
    pub(crate) fn close(
        &mut self,
        now: Instant,
        leg: LegRef,
        number: u64,
        buffers: &mut impl Buffers,
        out: &mut Output,
    ) -> Result<(), RefuseReason> {
        let place = self.find(leg)?;
        self.end(place, now, (number, CloseReason::Asked), buffers, out);
        self.counts.add(MediaCounter::LegsClosed, 1);
        Ok(())
    }

    /// Closes legs until none is left (true) or until the turn has no buffer or no room for another BYE: then submit and
    /// call again.
    pub fn close_all(
        &mut self,
        now: Instant,
        reason: CloseReason,
        buffers: &mut impl Buffers,
        out: &mut Output,
    ) -> bool {
        for place in 0..self.legs.len() {
            if self.legs[place].state == LegState::Free {
                continue;
            }
            if out.sends.len() == out.sends.capacity() || out.closed.len() == out.closed.capacity() {
                return false;
            }
            self.end(place, now, (0, reason), buffers, out);
        }
        true
    }

    /// Ends a leg; `number` is that of the command that wants it, 0 where there is none.
    fn end(
        &mut self,
        place: usize,
        now: Instant,
        (number, reason): (u64, CloseReason),
        buffers: &mut impl Buffers,
        out: &mut Output,
    ) {
        // Nothing of what this turn relayed may follow the BYE.
        let (rtp, rtcp) = (self.legs[place].rtp_socket(), self.legs[place].rtcp_socket());
        let before = out.sends.len();
        out.sends.retain(|send| send.socket != rtp && send.socket != rtcp);
        let withdrawn = before - out.sends.len();
        self.send_bye(place, now, buffers, out);
        let leg = &self.legs[place];
        out.sockets.push(SocketAction::Close { socket: rtp });
        if leg.uses_rtcp_socket() {
            out.sockets.push(SocketAction::Close { socket: rtcp });
        }
        let mut row = self.row_of(place);
        row.state = LegState::Closed as u8;
        row.sent.packets = row.sent.packets.saturating_sub(withdrawn as u64);
        out.closed.push(row);
        let leg = self.unseat(place);
        out.events.push(Event::Closed { leg: leg.leg, number, reason });
    }
}

/// Packets of this turn that counted on the socket being connected get their destination said.
pub(crate) fn name_destination(out: &mut Output, socket: SocketIndex, to: Address) {
    for send in out.sends.iter_mut().filter(|send| send.socket == socket && send.to.is_none()) {
        send.to = to;
    }
}
