//! RTCP that comes in: whose it is, what it says of us, and whether it goes on to the peer leg.

use crate::decoding::coders::CoderIndex;
use crate::incoming::packets::{Tally, Turn};
use crate::incoming::relay::copy;
use crate::io::{Buffers, Output, Received, Send};
use crate::latching::source_filter::{SourceFilter, next_port};
use crate::leg::{Leg, LegIndex, Sound};
use clock::Instant;
use contract::{Address, Latching, RtcpMode, TransportSpec};
use rtp_wire::{Compound, ReportBlocks, ReportMap, RtcpPacket, rewrite};

pub(crate) fn take<B: Buffers>(legs: &mut [Leg], place: usize, packet: &Received, turn: &mut Turn<'_, B>) {
    let leg = &mut legs[place];
    if !leg.filter.rtcp || leg.filter.mux != packet.socket.0.is_multiple_of(2) {
        turn.tally.dropped.stranger += 1;
        return;
    }
    // Malformed before stranger: nobody settles on what is no RTCP.
    let Ok(compound) = Compound::parse(turn.buffers.bytes(packet.span)) else {
        turn.tally.dropped.malformed += 1;
        leg.receiving.dropped += 1;
        return;
    };
    if !leg.believes_rtcp(packet, &compound, turn.out) {
        turn.tally.dropped.stranger += 1;
        leg.receiving.dropped += 1;
        return;
    }
    turn.tally.rtcp_received += 1;
    leg.filter.alive_at = packet.at;
    if leg.filter.is_proven_by_rtcp(packet.from, &leg.transport) && leg.prove() {
        turn.proved.push(LegIndex::new(place));
    }
    let reports_before = leg.reports.peer().map_or(0, |peer| peer.report_count);
    let sender_ntp = leg.hear(&compound, packet.at, &mut turn.tally);
    let peer = leg.reports.peer().filter(|peer| peer.report_count != reports_before);
    if let Some(peer) = peer.filter(|_| leg.links.coder != CoderIndex::NONE) {
        turn.coders.follow_loss(leg.links.coder, peer.loss_fraction.into());
    }
    if matches!(leg.transport.rtcp(), RtcpMode::RelayPair | RtcpMode::RelayMux) {
        relay(legs, place, packet, sender_ntp, turn);
    }
}

/// Where the session description says that RTCP comes from.
fn rtcp_said(spec: &TransportSpec) -> Address {
    if spec.remote_rtcp.is_none() { next_port(spec.remote_rtp) } else { spec.remote_rtcp }
}

impl SourceFilter {
    /// Whether RTCP from there shows that the peer is at the addresses of its session description.
    fn is_proven_by_rtcp(&self, from: Address, spec: &TransportSpec) -> bool {
        let from = if from.is_none() { self.rtcp_accepted } else { from };
        from.is_at(if self.mux { spec.remote_rtp } else { rtcp_said(spec) })
    }
}

impl Leg {
    /// RTCP is the peer's when it comes from where its session description says. From another port of the host that RTP
    /// comes from it has to name what a blind sender cannot know: the SSRC of that RTP, or ours.
    fn believes_rtcp(&mut self, packet: &Received, compound: &Compound<'_>, out: &mut Output) -> bool {
        let (from, filter) = (packet.from, &self.filter);
        if filter.mux {
            return filter.is_of_peer(from, self.transport.remote_rtp);
        }
        if from.is_none() {
            return filter.rtcp_connected;
        }
        let is_said = from.is_at(rtcp_said(&self.transport));
        if !is_said && from != filter.rtcp_accepted {
            let is_near = self.transport.latching() != Latching::Off && from.is_beside(filter.accepted);
            if !is_near || !self.is_named_in(compound) {
                return false;
            }
        }
        self.settle_rtcp(from, out);
        true
    }

    /// Whether a compound comes from the sender of the stream that we receive, or from a receiver of ours.
    fn is_named_in(&self, compound: &Compound<'_>) -> bool {
        let names = |ssrc, reports: ReportBlocks<'_>| {
            (self.receiving.sequence.has_begun() && ssrc == self.receiving.sequence.ssrc)
                || (self.sending.begun && reports.iter().any(|block| block.ssrc == self.sending.ssrc))
        };
        compound.iter().any(|packet| match packet {
            RtcpPacket::SenderReport { ssrc, reports, .. } => names(ssrc, reports),
            RtcpPacket::ReceiverReport { ssrc, reports } => names(ssrc, reports),
            _ => false,
        })
    }

    /// Notes what the peer says; gives the middle of the NTP timestamp where it sent an SR.
    fn hear(&mut self, compound: &Compound, at: Instant, tally: &mut Tally) -> Option<u32> {
        let mut sender_ntp = None;
        for packet in compound.iter() {
            match packet {
                RtcpPacket::SenderReport { info, reports, .. } => {
                    let middle = (info.ntp >> 16) as u32;
                    sender_ntp = Some(middle);
                    self.reports.peer_mut().sr = (middle, at);
                    reports.iter().for_each(|block| self.hear_of_us(&block, at));
                }
                RtcpPacket::ReceiverReport { reports, .. } => {
                    reports.iter().for_each(|block| self.hear_of_us(&block, at));
                }
                RtcpPacket::ExtendedReport { ssrc, blocks } => {
                    tally.xr_received += 1;
                    tally.xr_doubtful += u64::from(!self.hear_extended(ssrc, blocks, at));
                }
                _ => {}
            }
        }
        sender_ntp
    }
}

/// Passes a compound on, with the names that the streams have on the other side.
fn relay<B: Buffers>(
    legs: &mut [Leg],
    source_leg: usize,
    packet: &Received,
    sender_ntp: Option<u32>,
    turn: &mut Turn<'_, B>,
) {
    let mut next = legs[source_leg].links.first_sink;
    while let Some(place) = next.get() {
        next = legs[place].links.next_sink;
        let (sink, source) = (&legs[place], &legs[source_leg]);
        if [sink, source].into_iter().any(|leg| leg.making.sound == Sound::Transcoded) {
            // Each side reports about a stream of its own (RFC 3550 §7.2).
            continue;
        }
        let relays = matches!(sink.transport.rtcp(), RtcpMode::RelayPair | RtcpMode::RelayMux);
        let route = sink.rtcp_route().filter(|_| relays && sink.state == contract::LegState::Open);
        let (Some((socket, to)), true) = (route, turn.out.sends.len() < turn.out.sends.capacity()) else { continue };
        let map = map_between(&legs[source_leg], sink);
        let span = match map {
            None => packet.span,
            Some(map) => {
                let Some(span) = copy(packet.span, turn.buffers) else { continue };
                rewrite(turn.buffers.bytes_mut(span), &map);
                span
            }
        };
        if let Some(middle) = sender_ntp {
            legs[place].reports.our_sr = (middle, turn.now);
        }
        legs[place].reports.begun = true;
        turn.tally.rtcp_sent += 1;
        turn.out.sends.push(Send { socket, span, to, received_at: packet.at });
    }
}

/// What a relay that renumbers RTP has to change in the reports of `source_leg` for the peer of `sink`.
fn map_between(source_leg: &Leg, sink: &Leg) -> Option<ReportMap> {
    if !source_leg.sending.continuous && !sink.sending.continuous {
        return None;
    }
    let mut map = ReportMap::default();
    if sink.sending.continuous {
        map.sender = (source_leg.receiving.sequence.ssrc, sink.sending.own_ssrc);
        map.sender_time_offset = sink.sending.input.time_offset;
    }
    if source_leg.sending.continuous {
        map.reported = (source_leg.sending.own_ssrc, sink.receiving.sequence.ssrc);
        map.reported_seq_offset = source_leg.sending.input.seq_offset;
    }
    Some(map)
}
