//! Extended reports (RFC 3611): what is said of the stream that a leg receives, and what the peer says of the one that it is sent.

use crate::Worker;
use crate::leg::Leg;
use crate::rtcp::quality::{Heard, Score, in_256ths};
use crate::rtcp::reports::in_65536ths;
use clock::{Duration, Instant};
use rtp_wire::{DelayBlock, ExtendedReport, NOT_KNOWN, Ssrc, VoipMetrics, XrBlock, XrBlocks};
use std::ops::RangeInclusive;

/// Blocks of a report that are looked at; a peer needs three.
const BLOCKS_MAX: usize = 8;
/// Receivers that a DLRR block is searched for us among.
const RECEIVERS_MAX: usize = 8;
/// Ratings and scores, times 10, that there are.
const R_FACTORS: RangeInclusive<u8> = 0..=100;
const SCORES_X10: RangeInclusive<u8> = 10..=50;
/// The jitter buffer adapts, and what is lost is concealed (§4.7.6).
const DECODING: u8 = 0b1111_0000;

impl Worker {
    /// The extended report of a leg. Without a sender report beside it, the peer gets our clock, so that it can tell us the round
    /// trip (§4.4).
    pub(crate) fn extended_report(&self, place: usize, now: Instant, our_clock: Option<u64>) -> ExtendedReport {
        let leg = &self.legs[place];
        let peer = leg.reports.peer();
        let delay = peer.filter(|peer| peer.clock.middle != 0).map(|peer| DelayBlock {
            ssrc: peer.clock.ssrc,
            last_rr: peer.clock.middle,
            delay_since_last_rr: in_65536ths(now.since(peer.clock.at)),
        });
        let round_trip_us = peer.map_or(0, |peer| peer.round_trip_us);
        let voip = self.received(place).map(|heard| metrics(leg, &heard, round_trip_us));
        ExtendedReport { receiver_ntp: our_clock, delay, statistics: None, voip }
    }
}

fn metrics(leg: &Leg, heard: &Heard, round_trip_us: u32) -> VoipMetrics {
    let millis = |time: Duration| u16::try_from(time.as_millis()).unwrap_or(u16::MAX);
    let losses = &heard.losses;
    // Without a burst all is one gap.
    let gap = if losses.burst.is_zero() { leg.receiving.last_at.since(leg.opened_at) } else { losses.gap };
    let (score, listening) = (heard.score(), heard.listening_score());
    // RFC 3611 §4.7.5: 127 is a value that is not known.
    let score_x10 = |score: Score| if score.is_known() { (score.mos * 10.0).round() as u8 } else { 127 };
    VoipMetrics {
        loss_rate: in_256ths(heard.connection.lost),
        discard_rate: in_256ths(heard.connection.discarded),
        burst_density: in_256ths(losses.burst_density),
        gap_density: in_256ths(losses.gap_density),
        burst_ms: millis(losses.burst),
        gap_ms: millis(gap),
        round_trip_ms: u16::try_from(round_trip_us / 1_000).unwrap_or(u16::MAX),
        end_system_ms: heard.decoded_with.map_or(0, millis),
        r_factor: if score.is_known() { score.narrow_band_r().round() as u8 } else { 127 },
        mos_x10: [score_x10(listening), score_x10(score)],
        receiver_config: if heard.decoded_with.is_some() { DECODING } else { 0 },
        jitter_buffer_ms: heard.decoded_with.map_or([0; 3], |delay| {
            let most = millis(crate::decoding::jitter::DELAY_MAX);
            [millis(delay), most, most]
        }),
        ..VoipMetrics::unknown(leg.receiving.sequence.ssrc)
    }
}

/// The clock of a peer that only listens, as it was told last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReceiverClock {
    pub(crate) ssrc: Ssrc,
    /// Middle 32 bits of its NTP timestamp; 0: none was told.
    pub(crate) middle: u32,
    pub(crate) at: Instant,
}

impl Leg {
    /// Notes what the peer says in an extended report. `false`: parts of it were none that there can be, or too many.
    pub(crate) fn hear_extended(&mut self, ssrc: Ssrc, blocks: XrBlocks<'_>, at: Instant) -> bool {
        let our_ssrc = self.sending.ssrc;
        let peer = self.reports.peer_mut();
        let mut is_sound = blocks.are_whole();
        let mut blocks = blocks.iter();
        for block in blocks.by_ref().take(BLOCKS_MAX) {
            match block {
                XrBlock::ReceiverTime { ntp } => {
                    peer.clock = ReceiverClock { ssrc, middle: (ntp >> 16) as u32, at };
                }
                XrBlock::Delays(delays) => {
                    let (middle, sent_at) = peer.our_clock;
                    let ours = |block: &DelayBlock| block.ssrc == our_ssrc && block.last_rr == middle;
                    let found = delays.iter().take(RECEIVERS_MAX).find(ours).filter(|_| middle != 0);
                    if let Some(block) = found {
                        peer.take_round_trip(sent_at, block.delay_since_last_rr, at);
                    }
                }
                XrBlock::Voip(metrics) if metrics.ssrc == our_ssrc => {
                    let believed = believable(metrics);
                    is_sound &= believed == metrics;
                    peer.voip = Some(believed);
                }
                XrBlock::Voip(_) | XrBlock::Statistics(_) | XrBlock::Other { .. } => {}
            }
        }
        is_sound && blocks.next().is_none()
    }
}

/// The metrics without values that there cannot be.
fn believable(metrics: VoipMetrics) -> VoipMetrics {
    let known = |value: u8, range: RangeInclusive<u8>| if range.contains(&value) { value } else { NOT_KNOWN };
    VoipMetrics {
        r_factor: known(metrics.r_factor, R_FACTORS),
        external_r_factor: known(metrics.external_r_factor, R_FACTORS),
        mos_x10: metrics.mos_x10.map(|score| known(score, SCORES_X10)),
        ..metrics
    }
}
