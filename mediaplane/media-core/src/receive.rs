//! What a worker does with the packets of a turn.

use crate::Worker;
use crate::io::{Buffers, Output, Received};
use crate::leg::{Leg, LegIndex};
use crate::relay::relay;
use crate::rtcp_in;
use crate::tap::{Passing, Side};
use clock::{Duration, Instant};
use contract::Event;
use rtp_wire::{Header, TelephoneEvent, is_rtcp};
use stats::{Counts, MediaCounter};

/// A packet that waited for us so long is not passed on: no jitter buffer waits for it, and the time that it takes is
/// that of the packets behind it. So a worker that fell behind gives up the oldest ones and catches up. They are measured
/// and their digits are heard all the same: the network did not lose them.
pub const LATE_AFTER: Duration = Duration::from_millis(200);

/// What a batch adds to the counters, added up once behind it.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Tally {
    pub(crate) received: u64,
    pub(crate) received_bytes: u64,
    pub(crate) sent: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) direction: u64,
    pub(crate) held_back: u64,
    pub(crate) no_room: u64,
    pub(crate) late: u64,
    pub(crate) no_leg: u64,
    pub(crate) malformed: u64,
    pub(crate) stranger: u64,
    pub(crate) payload_type: u64,
    pub(crate) rtcp_received: u64,
    pub(crate) rtcp_sent: u64,
    pub(crate) taps_lost: u64,
}

/// What the packets of one turn work with.
pub(crate) struct Turn<'a, B: Buffers> {
    pub(crate) now: Instant,
    pub(crate) buffers: &'a mut B,
    pub(crate) out: &'a mut Output,
    pub(crate) tally: Tally,
}

pub(crate) fn handle<B: Buffers>(worker: &mut Worker, received: &[Received], mut turn: Turn<'_, B>) {
    if received.is_empty() {
        return;
    }
    take_batch(&mut worker.legs, &worker.by_pair, received, &mut turn);
    turn.tally.add_to(&mut worker.counts);
}

fn take_batch<B: Buffers>(legs: &mut [Leg], by_pair: &[LegIndex], received: &[Received], turn: &mut Turn<'_, B>) {
    for packet in received {
        let (pair, is_upper) = (packet.socket.0 as usize / 2, !packet.socket.0.is_multiple_of(2));
        let Some(place) = by_pair.get(pair).and_then(|index| index.get()) else {
            turn.tally.no_leg += 1;
            continue;
        };
        if is_upper || (legs[place].gate.mux && is_rtcp(turn.buffers.bytes(packet.span))) {
            rtcp_in::take(legs, place, packet, turn);
        } else {
            take_rtp(legs, place, packet, turn);
        }
    }
}

/// One RTP packet: is it sound, is it the peer's, was it agreed on; then it is measured and passed on.
#[inline]
fn take_rtp<B: Buffers>(legs: &mut [Leg], place: usize, packet: &Received, turn: &mut Turn<'_, B>) {
    let leg = &mut legs[place];
    let bytes = turn.buffers.bytes(packet.span);
    let Ok(header) = Header::parse(bytes) else {
        turn.tally.malformed += 1;
        leg.receiving.dropped += 1;
        return;
    };
    if !leg.gate.knows(packet.from) && !leg.try_source(packet.from, &header, packet.at, turn.out) {
        turn.tally.stranger += 1;
        leg.receiving.dropped += 1;
        return;
    }
    let Some(payload) = leg.payloads.find(header.payload_type) else {
        turn.tally.payload_type += 1;
        leg.receiving.dropped += 1;
        return;
    };
    if !leg.gate.receives {
        turn.tally.direction += 1;
        leg.receiving.dropped += 1;
        return;
    }
    turn.tally.received += 1;
    turn.tally.received_bytes += bytes.len() as u64;
    leg.receiving.take(&header, packet.at, bytes.len(), payload.is_event());
    if !payload.is_event() {
        leg.receiving.codec = payload.codec;
    } else if let Ok(event) = TelephoneEvent::parse(header.payload(bytes))
        && let Some(digit) = leg.heard.take(header.ssrc, header.time, &event)
    {
        turn.out.events.push(Event::Digit { leg: leg.leg, tag: leg.tag, digit });
    }
    let passing =
        Passing { side: Side::Received, codec: payload.codec, header: &header, packet: packet.span, at: packet.at };
    if !leg.show(&passing, turn.out) {
        turn.tally.taps_lost += 1;
    }
    if turn.now.since(packet.at) > LATE_AFTER {
        turn.tally.late += 1;
        return;
    }
    relay(legs, place, packet, &header, payload, turn);
}

impl Tally {
    pub(crate) fn add_to(&self, counts: &mut Counts<MediaCounter>) {
        use MediaCounter::*;
        for (counter, more) in [
            (RtpReceived, self.received),
            (RtpReceivedBytes, self.received_bytes),
            (RtpSent, self.sent),
            (RtpSentBytes, self.sent_bytes),
            (DroppedDirection, self.direction),
            (HeldBack, self.held_back),
            (DroppedNoRoom, self.no_room),
            (DroppedLate, self.late),
            (DroppedNoLeg, self.no_leg),
            (DroppedMalformed, self.malformed),
            (DroppedStranger, self.stranger),
            (DroppedPayloadType, self.payload_type),
            (RtcpReceived, self.rtcp_received),
            (RtcpSent, self.rtcp_sent),
            (RecordingOverflow, self.taps_lost),
        ] {
            if more > 0 {
                counts.add(counter, more);
            }
        }
    }
}
