//! How good it sounds: the E-model (ITU-T G.107), as far as a relay can know its inputs; and a leg's row.

use crate::Worker;
use contract::{Codec, LegRef, LegRow, PeerReport, ReceivedCounts, SentCounts, Source};

/// R of a connection with all defaults of G.107.
const BEST_R: f64 = 93.2;
/// Ie of G.711 (ITU-T G.113, Appendix I).
const IMPAIRMENT: f64 = 0.0;
/// Bpl of G.711 with loss concealment (G.113).
const LOSS_ROBUSTNESS: f64 = 25.1;
/// Delay that packets, jitter buffer and codec of the other side add where nobody told: two packets of 20 ms.
const TERMINAL_DELAY_MS: f64 = 40.0;

/// MOS, times 100, of one direction: from the round trip, the jitter and the part lost (0 to 1).
pub(crate) fn mos_x100(round_trip_us: u32, jitter_us: u32, lost: f64) -> u16 {
    // A jitter buffer of twice the jitter keeps nearly every packet.
    let delay_ms = f64::from(round_trip_us) / 2_000.0 + 2.0 * f64::from(jitter_us) / 1_000.0 + TERMINAL_DELAY_MS;
    let delay_impairment = 0.024 * delay_ms + 0.11 * (delay_ms - 177.3).max(0.0);
    let loss_percent = (lost * 100.0).clamp(0.0, 100.0);
    let loss_impairment = IMPAIRMENT + (95.0 - IMPAIRMENT) * loss_percent / (loss_percent + LOSS_ROBUSTNESS);
    let r = (BEST_R - delay_impairment - loss_impairment).clamp(0.0, 100.0);
    // G.107, Annex B.
    let mos = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6;
    (mos.clamp(1.0, 4.5) * 100.0).round() as u16
}

impl Worker {
    pub(crate) fn row_of(&self, place: usize) -> LegRow {
        let leg = &self.legs[place];
        let (receiving, sending, reports) = (&leg.receiving, &leg.sending, &leg.reports);
        let expected = receiving.sequence.expected();
        let lost = receiving.sequence.lost();
        let mos_x100 = match expected {
            0 => 0,
            _ => mos_x100(reports.round_trip_us, receiving.jitter_us(), lost.max(0) as f64 / expected as f64),
        };
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
                lost_packets: lost,
                duplicate_packets: receiving.sequence.duplicates,
                reordered_packets: receiving.sequence.reordered,
                jitter_us: receiving.jitter_us(),
                reserved: 0,
            },
            sent: SentCounts { packets: sending.packets, bytes: sending.bytes },
            reported: PeerReport {
                round_trip_us: reports.round_trip_us,
                loss_fraction: reports.remote_loss_fraction,
                jitter_us: reports.remote_jitter_us,
                reserved: 0,
            },
            mos_x100,
            codec: [receiving.codec, leg.payloads.audio_codec, Codec::Other as u8]
                .into_iter()
                .find(|codec| *codec != 0)
                .unwrap_or_default(),
            state: leg.state as u8,
            worker: self.index,
            direction: leg.flow.direction,
            reserved: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points_of_the_e_model() {
        // R = 93.2 - 0.024 * 40 = 92.24: MOS 4.4.
        assert!((438..=441).contains(&mos_x100(0, 0, 0.0)), "{}", mos_x100(0, 0, 0.0));
        // One percent lost: Ie-eff = 3.6, R = 88.6.
        assert!((428..=433).contains(&mos_x100(0, 0, 0.01)), "{}", mos_x100(0, 0, 0.01));
        // Ten percent lost: Ie-eff = 27, R = 65: MOS 3.36.
        assert!((330..=342).contains(&mos_x100(0, 0, 0.10)), "{}", mos_x100(0, 0, 0.10));
        // 300 ms one way more: Id = 0.024 * 340 + 0.11 * 162.7 = 26, R = 67.1: MOS 3.46.
        assert!((344..=348).contains(&mos_x100(600_000, 0, 0.0)), "{}", mos_x100(600_000, 0, 0.0));
        assert_eq!(mos_x100(u32::MAX, u32::MAX, 1.0), 100);
    }

    #[test]
    fn worse_is_never_better() {
        let by_loss: Vec<_> = (0..100).map(|percent| mos_x100(50_000, 2_000, f64::from(percent) / 100.0)).collect();
        assert!(by_loss.is_sorted_by(|before, after| before >= after));
    }
}
