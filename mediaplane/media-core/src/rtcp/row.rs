//! A leg's row in the table that others read.

use crate::Worker;
use contract::{Codec, LegRef, LegRow, PeerReport, ReceivedCounts, SentCounts, Source};

impl Worker {
    pub(crate) fn row_of(&self, place: usize) -> LegRow {
        let leg = &self.legs[place];
        let (receiving, sending) = (&leg.receiving, &leg.sending);
        let (level_dbov, is_speaking) = self.rooms.level_of(leg.links.member).unwrap_or((-127, false));
        LegRow {
            leg: leg.leg,
            port: leg.transport.port,
            remote: sending.remote,
            peer: match leg.flow.source() {
                Source::Leg(peer) if peer != leg.leg => peer,
                _ => LegRef::NONE,
            },
            opened_at_ns: leg.opened_at.as_nanos(),
            last_received_at_ns: receiving.last_at.as_nanos(),
            received: ReceivedCounts {
                packets: receiving.packets,
                bytes: receiving.bytes,
                dropped_packets: receiving.dropped,
                lost_packets: receiving.sequence.lost(),
                duplicate_packets: receiving.sequence.duplicates,
                reordered_packets: receiving.sequence.reordered,
                jitter_us: receiving.jitter_us(),
                reserved: 0,
            },
            sent: SentCounts { packets: sending.packets, bytes: sending.bytes },
            reported: leg.reports.peer().map_or_else(PeerReport::default, |peer| PeerReport {
                round_trip_us: peer.round_trip_us,
                loss_fraction: peer.loss_fraction.into(),
                jitter_us: peer.jitter_us,
                r_factor: peer.voip.map_or(0, |metrics| metrics.r_factor),
                mos_lq_x10: peer.voip.map_or(0, |metrics| metrics.mos_x10[0]),
                mos_cq_x10: peer.voip.map_or(0, |metrics| metrics.mos_x10[1]),
                has_metrics: peer.voip.is_some().into(),
            }),
            quality: self.quality_of(place),
            codec: [receiving.codec, leg.payloads.audio_codec, Codec::Other as u8]
                .into_iter()
                .find(|codec| *codec != 0)
                .unwrap_or_default(),
            state: leg.state as u8,
            worker: self.index,
            direction: leg.flow.direction,
            level_dbov,
            is_speaking: is_speaking.into(),
            reserved: 0,
        }
    }
}
