//! What a worker does with the packets of a turn.

use crate::decoding::coders::Coders;
use crate::incoming::relay::relay;
use crate::incoming::tap::{Passing, Side};
use crate::io::{Buffers, Output, Received, Span};
use crate::latching::held_packets::HeldList;
use crate::latching::probation::Probation;
use crate::latching::source_filter::Verdict;
use crate::leg::{Leg, LegIndex, Payload};
use crate::rooms::Rooms;
use crate::rtcp::incoming;
use crate::voice::{self, Voices};
use clock::{Duration, Instant};
use rtp_wire::{Header, is_rtcp, is_stun};
use stats::{Counts, MediaCounter};

/// A packet that waited for us so long is not passed on: no jitter buffer waits for it, and the time that it takes is
/// that of the packets behind it. So a worker that fell behind gives up the oldest ones and catches up. They are measured
/// and their digits are heard all the same: the network did not lose them.
pub const LATE_AFTER: Duration = Duration::from_millis(200);

/// What a batch adds to the counters, added up once behind it.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Tally {
    pub(crate) received: Traffic,
    pub(crate) sent: Traffic,
    pub(crate) dropped: Dropped,
    pub(crate) held_back: u64,
    pub(crate) held: u64,
    pub(crate) unproven: u64,
    pub(crate) keepalives: u64,
    pub(crate) peers_moved: u64,
    pub(crate) rtcp_received: u64,
    pub(crate) rtcp_sent: u64,
    pub(crate) xr_received: u64,
    pub(crate) xr_doubtful: u64,
    pub(crate) taps_lost: u64,
    pub(crate) digits_too_fast: u64,
    pub(crate) transcoded: u64,
    pub(crate) voice_processed: u64,
    pub(crate) voice_unprocessed: u64,
}

/// RTP that passed.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Traffic {
    packets: u64,
    bytes: u64,
}

/// Packets that go no further, by reason.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Dropped {
    pub(crate) direction: u64,
    pub(crate) no_room: u64,
    pub(crate) late: u64,
    pub(crate) no_leg: u64,
    pub(crate) malformed: u64,
    pub(crate) stranger: u64,
    pub(crate) payload_type: u64,
    pub(crate) no_transcoder: u64,
}

impl Traffic {
    #[inline]
    pub(crate) fn add(&mut self, packet_bytes: u16) {
        self.packets += 1;
        self.bytes += u64::from(packet_bytes);
    }
}

/// What the packets of one turn work with.
pub(crate) struct Turn<'a, B: Buffers> {
    pub(crate) now: Instant,
    pub(crate) buffers: &'a mut B,
    pub(crate) out: &'a mut Output,
    pub(crate) tally: Tally,
    pub(crate) probation: &'a mut Probation,
    /// Legs that make packets from now on, or send what they could not before.
    pub(crate) proved: &'a mut Vec<LegIndex>,
    pub(crate) coders: &'a mut Coders,
    pub(crate) rooms: &'a mut Rooms,
    pub(crate) voices: &'a mut Voices,
}

pub(crate) fn take_batch<B: Buffers>(
    legs: &mut [Leg],
    by_pair: &[LegIndex],
    received: &[Received],
    turn: &mut Turn<'_, B>,
) {
    for packet in received {
        let (pair, is_upper) = (packet.socket.0 as usize / 2, !packet.socket.0.is_multiple_of(2));
        let Some(place) = by_pair.get(pair).and_then(|index| index.get()) else {
            turn.tally.dropped.no_leg += 1;
            continue;
        };
        if is_upper || (legs[place].filter.mux && is_rtcp(turn.buffers.bytes(packet.span))) {
            incoming::take(legs, place, packet, turn);
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
    let Ok(header) = Header::parse(bytes) else { return take_other(leg, place, packet, turn) };
    if !leg.filter.knows(packet.from) && !take_unknown(legs, place, packet, &header, turn) {
        return;
    }
    if let Some(payload) = take_known(legs, place, packet, &header, turn) {
        if turn.now.since(packet.at) > LATE_AFTER {
            turn.tally.dropped.late += 1;
            return;
        }
        relay(legs, place, packet, &header, payload, turn);
    }
}

/// A packet of the peer is measured, heard and recorded; `None`: it goes no further.
#[inline]
fn take_known<B: Buffers>(
    legs: &mut [Leg],
    place: usize,
    packet: &Received,
    header: &Header,
    turn: &mut Turn<'_, B>,
) -> Option<Payload> {
    let leg = &mut legs[place];
    let Some(payload) = leg.payloads.find(header.payload_type) else {
        // RFC 6263 §4.6: it keeps the way open, and says that the peer is there.
        leg.filter.alive_at = packet.at;
        turn.tally.dropped.payload_type += 1;
        leg.receiving.pass_over(header);
        return None;
    };
    if !leg.filter.receives {
        turn.tally.dropped.direction += 1;
        leg.receiving.pass_over(header);
        return None;
    }
    turn.tally.received.add(packet.span.bytes);
    leg.receiving.take(header, packet.at, usize::from(packet.span.bytes), payload);
    if payload.is_event() | leg.payloads.watches_sound {
        return voice::look_closer(legs, place, packet, (header, payload), turn);
    }
    show_received(leg, (packet, header), payload, turn);
    Some(payload)
}

/// Shows a packet of the peer to what hears the leg.
#[inline]
pub(crate) fn show_received<B: Buffers>(
    leg: &mut Leg,
    (packet, header): (&Received, &Header),
    payload: Payload,
    turn: &mut Turn<'_, B>,
) {
    if !payload.is_event() {
        leg.receiving.codec = payload.codec;
    }
    let (codec, clock) = (payload.codec, payload.clock);
    let passing = Passing { side: Side::Received, codec, clock, header, packet: packet.span, at: packet.at };
    if !leg.show(&passing, turn.out) {
        turn.tally.taps_lost += 1;
    }
}

/// A packet of a source that is not the one that was taken last. `true`: it is the peer's, and the leg has settled there.
#[cold]
fn take_unknown<B: Buffers>(
    legs: &mut [Leg],
    place: usize,
    packet: &Received,
    header: &Header,
    turn: &mut Turn<'_, B>,
) -> bool {
    let leg = &mut legs[place];
    let waiting = match leg.judge(packet.from, header, packet.at, turn.probation) {
        Verdict::Peer => HeldList::default(),
        Verdict::Settled(candidate) => {
            let candidates = turn.probation.of(leg.leg, leg.filter.room);
            candidates.map(|all| all.take_held(candidate)).unwrap_or_default()
        }
        Verdict::Waits(candidate) => {
            leg.hold(candidate, turn.buffers.bytes(packet.span), packet.at, turn.probation);
            turn.tally.lose_held(leg, turn.probation.take_lost());
            return false;
        }
        Verdict::Stranger => {
            turn.tally.dropped.stranger += 1;
            leg.receiving.dropped += 1;
            return false;
        }
    };
    leg.forget_candidates(turn.probation);
    turn.tally.lose_held(leg, turn.probation.take_lost());
    turn.tally.peers_moved += u64::from(!leg.filter.accepted.is_none());
    leg.settle_on_heard(packet.from, turn.out);
    if packet.from.is_at(leg.transport.remote_rtp) && leg.prove_by_rtp() {
        turn.proved.push(LegIndex::new(place));
    }
    pass_held(legs, place, packet, waiting, turn);
    true
}

/// Passes on what the peer sent while it was not known yet, before what it sends now.
fn pass_held<B: Buffers>(
    legs: &mut [Leg],
    place: usize,
    packet: &Received,
    mut waiting: HeldList,
    turn: &mut Turn<'_, B>,
) {
    while let Some((bytes, at)) = turn.probation.first(&waiting) {
        let taken = turn.buffers.take().map(|buffer| Span { buffer, start: 0, bytes: bytes.len() as u16 });
        let header = Header::parse(bytes).ok();
        if let (Some(span), Some(header)) = (taken, header) {
            turn.buffers.bytes_mut(span).copy_from_slice(bytes);
            let first = turn.out.sends.len();
            turn.tally.held += 1;
            let held = Received { span, at, ..*packet };
            if let Some(payload) = take_known(legs, place, &held, &header, turn) {
                relay(legs, place, &held, &header, payload, turn);
            }
            // It waited for its source, not for us.
            turn.out.sends[first..].iter_mut().for_each(|send| send.received_at = Instant::ZERO);
        } else {
            turn.tally.dropped.no_room += 1;
        }
        turn.probation.drop_first(&mut waiting);
    }
}

/// What is no RTP: a keep-alive of the peer (RFC 6263), or nothing that we know.
#[cold]
fn take_other<B: Buffers>(leg: &mut Leg, place: usize, packet: &Received, turn: &mut Turn<'_, B>) {
    let bytes = turn.buffers.bytes(packet.span);
    if !(bytes.is_empty() || is_stun(bytes)) {
        turn.tally.dropped.malformed += 1;
        leg.receiving.dropped += 1;
    } else if !leg.filter.is_of_peer(packet.from, leg.transport.remote_rtp) {
        turn.tally.dropped.stranger += 1;
        leg.receiving.dropped += 1;
    } else {
        turn.tally.keepalives += 1;
        leg.filter.alive_at = packet.at;
        if packet.from.is_at(leg.transport.remote_rtp) && leg.prove_by_rtp() {
            turn.proved.push(LegIndex::new(place));
        }
    }
}

impl Tally {
    /// Packets that waited for nothing: their source was not the peer, or there was no room for them.
    fn lose_held(&mut self, leg: &mut Leg, count: u64) {
        self.dropped.stranger += count;
        leg.receiving.dropped += count;
    }

    pub(crate) fn add_to(&self, counts: &mut Counts<MediaCounter>) {
        use MediaCounter::*;
        for (counter, more) in [
            (RtpReceived, self.received.packets),
            (RtpReceivedBytes, self.received.bytes),
            (RtpSent, self.sent.packets),
            (RtpSentBytes, self.sent.bytes),
            (DroppedDirection, self.dropped.direction),
            (HeldBack, self.held_back),
            (DroppedNoRoom, self.dropped.no_room),
            (DroppedLate, self.dropped.late),
            (DroppedNoLeg, self.dropped.no_leg),
            (DroppedMalformed, self.dropped.malformed),
            (DroppedStranger, self.dropped.stranger),
            (RtpHeld, self.held),
            (HeldBackUnproven, self.unproven),
            (Keepalives, self.keepalives),
            (PeersMoved, self.peers_moved),
            (DroppedPayloadType, self.dropped.payload_type),
            (DroppedNoTranscoder, self.dropped.no_transcoder),
            (TranscodedPackets, self.transcoded),
            (VoicePackets, self.voice_processed),
            (VoiceUnprocessed, self.voice_unprocessed),
            (RtcpReceived, self.rtcp_received),
            (RtcpSent, self.rtcp_sent),
            (XrReceived, self.xr_received),
            (XrDoubtful, self.xr_doubtful),
            (RecordingOverflow, self.taps_lost),
            (DigitsTooFast, self.digits_too_fast),
        ] {
            if more > 0 {
                counts.add(counter, more);
            }
        }
    }
}
