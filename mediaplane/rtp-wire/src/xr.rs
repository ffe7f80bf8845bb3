//! Extended reports (RFC 3611): what a receiver says of a stream beyond its report block, and round trips for a receiver that
//! sends nothing.

use crate::bytes::{read_u16, read_u32};
use crate::{NoRoom, Ssrc, Writer};

/// Packet type of an extended report (§2).
pub(crate) const PACKET_TYPE: u8 = 207;
/// Block types (§4).
pub(crate) const LOSS_RLE: u8 = 1;
pub(crate) const RECEIPT_TIMES: u8 = 3;
const RECEIVER_TIME: u8 = 4;
pub(crate) const DELAYS: u8 = 5;
pub(crate) const STATISTICS: u8 = 6;
pub(crate) const VOIP: u8 = 7;
/// Bytes of a block, without its header of 4 bytes.
const RECEIVER_TIME_BYTES: usize = 8;
pub(crate) const DELAY_BYTES: usize = 12;
const STATISTICS_BYTES: usize = 36;
const VOIP_BYTES: usize = 32;
/// Which parts of a statistics summary are there (§4.6): lost packets, duplicates, jitter.
const HAS_LOSS: u8 = 0x80;
const HAS_DUPLICATES: u8 = 0x40;
const HAS_JITTER: u8 = 0x20;

/// Packets that make a gap between two losses (§4.7.2): fewer received ones between two lost ones are part of a burst.
pub const GAP_PACKETS_MIN: u8 = 16;
/// A value of a [`VoipMetrics`] field of one byte that is not known.
pub const NOT_KNOWN: u8 = 127;

/// The report blocks of an extended report.
#[derive(Clone, Copy, Debug)]
pub struct XrBlocks<'a> {
    pub(crate) bytes: &'a [u8],
}

/// One report block.
#[derive(Clone, Copy, Debug)]
pub enum XrBlock<'a> {
    /// The clock of a receiver (§4.4), as an NTP timestamp.
    ReceiverTime { ntp: u64 },
    /// When the reporter got the clocks of receivers (§4.5).
    Delays(DelayBlocks<'a>),
    /// Counts of a range of sequence numbers (§4.6).
    Statistics(StatisticsSummary),
    /// How speech fared (§4.7).
    Voip(VoipMetrics),
    /// A block of another type, or one that is shorter than its type says.
    Other { block_type: u8 },
}

/// The parts of a DLRR block (§4.5).
#[derive(Clone, Copy, Debug)]
pub struct DelayBlocks<'a> {
    bytes: &'a [u8],
}

/// When the reporter got the clock of one receiver.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DelayBlock {
    /// The receiver.
    pub ssrc: Ssrc,
    /// Middle 32 bits of the NTP timestamp that the receiver had sent last; 0: none.
    pub last_rr: u32,
    /// Time since that came, in 1/65536 s.
    pub delay_since_last_rr: u32,
}

/// Counts of the packets of one source (§4.6). A part that the block does not have is 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StatisticsSummary {
    /// The source.
    pub ssrc: Ssrc,
    /// First sequence number that is reported on.
    pub begin_seq: u16,
    /// The one after the last.
    pub end_seq: u16,
    /// Packets that were lost.
    pub lost_packets: u32,
    /// Packets that came more than once.
    pub duplicate_packets: u32,
    /// Differences of the transit times of neighbours in ticks: least, most, mean, standard deviation.
    pub jitter: [u32; 4],
}

/// How speech fared on the way, as the receiver of one source has it (§4.7). Parts are in 1/256, times in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VoipMetrics {
    /// The source.
    pub ssrc: Ssrc,
    /// Part of the packets that the network lost, since the beginning.
    pub loss_rate: u8,
    /// Part of the packets that came too late or too early for the jitter buffer.
    pub discard_rate: u8,
    /// Part of the packets within bursts that were lost or discarded.
    pub burst_density: u8,
    /// Part of the packets within gaps that were lost or discarded.
    pub gap_density: u8,
    /// Mean length of bursts.
    pub burst_ms: u16,
    /// Mean length of the gaps between bursts.
    pub gap_ms: u16,
    /// Last round trip time by RTCP; 0: not known.
    pub round_trip_ms: u16,
    /// Delay within the reporter's system: jitter buffer, codec, sound card; 0: not known.
    pub end_system_ms: u16,
    /// Signal level in dBm0; [`NOT_KNOWN`].
    pub signal_dbm0: i8,
    /// Noise level in dBm0; [`NOT_KNOWN`].
    pub noise_dbm0: i8,
    /// Residual echo return loss in dB; [`NOT_KNOWN`].
    pub echo_return_loss_db: u8,
    /// Packets that make a gap.
    pub gap_packets_min: u8,
    /// R factor, 0 to 100; [`NOT_KNOWN`].
    pub r_factor: u8,
    /// R factor of the network beyond the reporter's; [`NOT_KNOWN`].
    pub external_r_factor: u8,
    /// Listening and conversational quality, mean opinion scores times 10; [`NOT_KNOWN`].
    pub mos_x10: [u8; 2],
    /// Concealment, kind and rate of the jitter buffer (§4.7.6).
    pub receiver_config: u8,
    /// Delay of the jitter buffer: now, the most that it may be with the network as it is, the most that it may ever be.
    pub jitter_buffer_ms: [u16; 3],
}

impl VoipMetrics {
    /// Metrics of a source of which nothing is known.
    pub fn unknown(ssrc: Ssrc) -> Self {
        Self {
            ssrc,
            loss_rate: 0,
            discard_rate: 0,
            burst_density: 0,
            gap_density: 0,
            burst_ms: 0,
            gap_ms: 0,
            round_trip_ms: 0,
            end_system_ms: 0,
            signal_dbm0: NOT_KNOWN as i8,
            noise_dbm0: NOT_KNOWN as i8,
            echo_return_loss_db: NOT_KNOWN,
            gap_packets_min: GAP_PACKETS_MIN,
            r_factor: NOT_KNOWN,
            external_r_factor: NOT_KNOWN,
            mos_x10: [NOT_KNOWN; 2],
            receiver_config: 0,
            jitter_buffer_ms: [0; 3],
        }
    }

    fn parse(body: &[u8]) -> Option<Self> {
        let body: &[u8; VOIP_BYTES] = body.first_chunk()?;
        let word = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
        Some(Self {
            ssrc: Ssrc(read_u32(body, 0)?),
            loss_rate: body[4],
            discard_rate: body[5],
            burst_density: body[6],
            gap_density: body[7],
            burst_ms: word(8),
            gap_ms: word(10),
            round_trip_ms: word(12),
            end_system_ms: word(14),
            signal_dbm0: body[16] as i8,
            noise_dbm0: body[17] as i8,
            echo_return_loss_db: body[18],
            gap_packets_min: body[19],
            r_factor: body[20],
            external_r_factor: body[21],
            mos_x10: [body[22], body[23]],
            receiver_config: body[24],
            jitter_buffer_ms: [word(26), word(28), word(30)],
        })
    }

    fn write(&self, body: &mut [u8; VOIP_BYTES]) {
        let pair = |value: u16| value.to_be_bytes();
        body[..4].copy_from_slice(&self.ssrc.0.to_be_bytes());
        body[4..8].copy_from_slice(&[self.loss_rate, self.discard_rate, self.burst_density, self.gap_density]);
        body[8..10].copy_from_slice(&pair(self.burst_ms));
        body[10..12].copy_from_slice(&pair(self.gap_ms));
        body[12..14].copy_from_slice(&pair(self.round_trip_ms));
        body[14..16].copy_from_slice(&pair(self.end_system_ms));
        let levels = [self.signal_dbm0 as u8, self.noise_dbm0 as u8, self.echo_return_loss_db, self.gap_packets_min];
        body[16..20].copy_from_slice(&levels);
        body[20..22].copy_from_slice(&[self.r_factor, self.external_r_factor]);
        body[22..24].copy_from_slice(&self.mos_x10);
        body[24..26].copy_from_slice(&[self.receiver_config, 0]);
        for (place, delay_ms) in body[26..].chunks_exact_mut(2).zip(self.jitter_buffer_ms) {
            place.copy_from_slice(&pair(delay_ms));
        }
    }
}

impl StatisticsSummary {
    fn parse(parts: u8, body: &[u8]) -> Option<Self> {
        let body = body.get(..STATISTICS_BYTES)?;
        let counted = |part: u8, at: usize| if parts & part == 0 { Some(0) } else { read_u32(body, at) };
        let mut jitter = [0; 4];
        for (index, value) in jitter.iter_mut().enumerate() {
            *value = counted(HAS_JITTER, 16 + 4 * index)?;
        }
        Some(Self {
            ssrc: Ssrc(read_u32(body, 0)?),
            begin_seq: read_u16(body, 4)?,
            end_seq: read_u16(body, 6)?,
            lost_packets: counted(HAS_LOSS, 8)?,
            duplicate_packets: counted(HAS_DUPLICATES, 12)?,
            jitter,
        })
    }

    fn write(&self, body: &mut [u8; STATISTICS_BYTES]) {
        body[..4].copy_from_slice(&self.ssrc.0.to_be_bytes());
        body[4..6].copy_from_slice(&self.begin_seq.to_be_bytes());
        body[6..8].copy_from_slice(&self.end_seq.to_be_bytes());
        let [least, most, mean, deviation] = self.jitter;
        let values = [self.lost_packets, self.duplicate_packets, least, most, mean, deviation, 0];
        for (place, value) in body[8..].chunks_exact_mut(4).zip(values) {
            place.copy_from_slice(&value.to_be_bytes());
        }
    }
}

impl DelayBlocks<'_> {
    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = DelayBlock> {
        self.bytes.chunks_exact(DELAY_BYTES).filter_map(|bytes| {
            Some(DelayBlock {
                ssrc: Ssrc(read_u32(bytes, 0)?),
                last_rr: read_u32(bytes, 4)?,
                delay_since_last_rr: read_u32(bytes, 8)?,
            })
        })
    }
}

/// Splits off the block at the beginning: type, its second byte, body, and what follows.
fn split(bytes: &[u8]) -> Option<(u8, u8, &[u8], &[u8])> {
    let words = usize::from(read_u16(bytes, 2)?);
    let (block, rest) = bytes.split_at_checked(4 + 4 * words)?;
    Some((block[0], block[1], &block[4..], rest))
}

impl<'a> XrBlocks<'a> {
    /// Whether each block ends within the packet, as its length says.
    pub fn are_whole(&self) -> bool {
        let mut bytes = self.bytes;
        while let Some((.., rest)) = split(bytes) {
            bytes = rest;
        }
        bytes.is_empty()
    }

    /// One after the other, up to the first that is longer than the packet.
    pub fn iter(&self) -> impl Iterator<Item = XrBlock<'a>> + use<'a> {
        let mut bytes = self.bytes;
        std::iter::from_fn(move || {
            let (block_type, parts, body, rest) = split(bytes)?;
            bytes = rest;
            let known = match block_type {
                RECEIVER_TIME => body.first_chunk().map(|ntp| XrBlock::ReceiverTime { ntp: u64::from_be_bytes(*ntp) }),
                DELAYS => Some(XrBlock::Delays(DelayBlocks { bytes: body })),
                STATISTICS => StatisticsSummary::parse(parts, body).map(XrBlock::Statistics),
                VOIP => VoipMetrics::parse(body).map(XrBlock::Voip),
                _ => None,
            };
            Some(known.unwrap_or(XrBlock::Other { block_type }))
        })
    }
}

/// What an extended report says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExtendedReport {
    /// The reporter's clock, as an NTP timestamp, so that it learns its round trip without sending a stream.
    pub receiver_ntp: Option<u64>,
    /// When the other side's clock came.
    pub delay: Option<DelayBlock>,
    /// Counts since the last report.
    pub statistics: Option<StatisticsSummary>,
    /// How speech fared.
    pub voip: Option<VoipMetrics>,
}

impl Writer<'_> {
    /// XR with the blocks that the report has.
    pub fn extended_report(&mut self, ssrc: Ssrc, report: &ExtendedReport) -> Result<(), NoRoom> {
        let ExtendedReport { receiver_ntp, delay, statistics, voip } = report;
        let blocks = [
            (receiver_ntp.is_some(), RECEIVER_TIME_BYTES),
            (delay.is_some(), DELAY_BYTES),
            (statistics.is_some(), STATISTICS_BYTES),
            (voip.is_some(), VOIP_BYTES),
        ];
        let total: usize = blocks.iter().filter(|(is_there, _)| *is_there).map(|(_, bytes)| 4 + bytes).sum();
        let body = self.start(PACKET_TYPE, 0, 8 + total)?;
        body[4..8].copy_from_slice(&ssrc.0.to_be_bytes());
        let mut rest = &mut body[8..];
        if let Some(ntp) = receiver_ntp {
            *block(&mut rest, RECEIVER_TIME, 0)? = ntp.to_be_bytes();
        }
        if let Some(DelayBlock { ssrc, last_rr, delay_since_last_rr }) = delay {
            let body: &mut [u8; DELAY_BYTES] = block(&mut rest, DELAYS, 0)?;
            for (place, value) in body.chunks_exact_mut(4).zip([ssrc.0, *last_rr, *delay_since_last_rr]) {
                place.copy_from_slice(&value.to_be_bytes());
            }
        }
        if let Some(statistics) = statistics {
            statistics.write(block(&mut rest, STATISTICS, HAS_LOSS | HAS_DUPLICATES | HAS_JITTER)?);
        }
        if let Some(voip) = voip {
            voip.write(block(&mut rest, VOIP, 0)?);
        }
        Ok(())
    }
}

/// The body of the next block of `N` bytes, behind its header.
fn block<'b, const N: usize>(rest: &mut &'b mut [u8], block_type: u8, parts: u8) -> Result<&'b mut [u8; N], NoRoom> {
    let (head, behind) = std::mem::take(rest).split_first_chunk_mut::<4>().ok_or(NoRoom)?;
    let (body, behind) = behind.split_first_chunk_mut::<N>().ok_or(NoRoom)?;
    *head = [block_type, parts, 0, (N / 4) as u8];
    *rest = behind;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Compound, ReportMap, RtcpPacket, rewrite};
    use proptest::prelude::*;

    fn voip() -> VoipMetrics {
        VoipMetrics {
            loss_rate: 13,
            discard_rate: 2,
            burst_density: 80,
            gap_density: 3,
            burst_ms: 240,
            gap_ms: 9_000,
            round_trip_ms: 61,
            end_system_ms: 90,
            signal_dbm0: -20,
            noise_dbm0: -60,
            echo_return_loss_db: 55,
            r_factor: 82,
            mos_x10: [41, 40],
            receiver_config: 0xb0,
            jitter_buffer_ms: [40, 100, 300],
            ..VoipMetrics::unknown(Ssrc(20))
        }
    }

    fn report() -> ExtendedReport {
        ExtendedReport {
            receiver_ntp: Some(0x0123_4567_89ab_cdef),
            delay: Some(DelayBlock { ssrc: Ssrc(20), last_rr: 5, delay_since_last_rr: 6 }),
            statistics: Some(StatisticsSummary {
                ssrc: Ssrc(20),
                begin_seq: 65_530,
                end_seq: 10,
                lost_packets: 3,
                duplicate_packets: 1,
                jitter: [0, 90, 20, 7],
            }),
            voip: Some(voip()),
        }
    }

    fn written(report: &ExtendedReport) -> Vec<u8> {
        let mut bytes = [0; 200];
        let mut writer = Writer::new(&mut bytes);
        writer.receiver_report(Ssrc(1), &[]).unwrap();
        writer.extended_report(Ssrc(1), report).unwrap();
        let used = writer.finish();
        bytes[..used].to_vec()
    }

    fn read(bytes: &[u8]) -> (Ssrc, ExtendedReport) {
        let Some(RtcpPacket::ExtendedReport { ssrc, blocks }) = Compound::parse(bytes).unwrap().iter().nth(1) else {
            panic!("no XR")
        };
        let mut found = ExtendedReport::default();
        for block in blocks.iter() {
            match block {
                XrBlock::ReceiverTime { ntp } => found.receiver_ntp = Some(ntp),
                XrBlock::Delays(delays) => found.delay = delays.iter().next(),
                XrBlock::Statistics(statistics) => found.statistics = Some(statistics),
                XrBlock::Voip(voip) => found.voip = Some(voip),
                XrBlock::Other { .. } => {}
            }
        }
        (ssrc, found)
    }

    #[test]
    fn a_report_comes_back_as_it_went() {
        for report in [report(), ExtendedReport { statistics: None, ..report() }, ExtendedReport::default()] {
            assert_eq!(read(&written(&report)), (Ssrc(1), report));
        }
        assert_eq!(
            Writer::new(&mut [0; 111]).extended_report(Ssrc(1), &report()),
            Err(NoRoom),
            "it has 112 bytes: 8, 12, 16, 40 and 36"
        );
    }

    /// A VoIP metrics block as RFC 3611 §4.7 draws it, byte by byte.
    #[test]
    fn the_layout_is_that_of_the_rfc() {
        let bytes = written(&ExtendedReport { voip: Some(voip()), ..ExtendedReport::default() });
        let expected = [
            0x80, 207, 0, 10, 0, 0, 0, 1, // header, reporter
            7, 0, 0, 8, 0, 0, 0, 20, // block, source
            13, 2, 80, 3, 0, 240, 0x23, 0x28, // rates, densities; burst, gap
            0, 61, 0, 90, 0xec, 0xc4, 55, 16, // delays; levels, echo, Gmin
            82, 127, 41, 40, 0xb0, 0, 0, 40, 0, 100, 1, 44, // quality, configuration, jitter buffer
        ];
        assert_eq!(bytes[8..], expected);
    }

    #[test]
    fn a_block_that_is_longer_than_its_packet_is_noticed() {
        let mut bytes = written(&report());
        let whole = |bytes: &[u8]| match Compound::parse(bytes).unwrap().iter().nth(1) {
            Some(RtcpPacket::ExtendedReport { blocks, .. }) => blocks.are_whole(),
            _ => panic!("no XR"),
        };
        assert!(whole(&bytes));
        // The length of the last block, VoIP metrics.
        let at = bytes.len() - VOIP_BYTES - 1;
        assert_eq!(bytes[at], 8);
        for length in [9, 255] {
            bytes[at] = length;
            assert!(!whole(&bytes) && read(&bytes).1.voip.is_none());
        }
    }

    #[test]
    fn a_part_that_is_not_there_is_not_read() {
        let only = ExtendedReport { statistics: report().statistics, ..ExtendedReport::default() };
        let mut bytes = written(&only);
        bytes[8 + 8 + 1] = HAS_LOSS;
        let statistics = read(&bytes).1.statistics.unwrap();
        assert_eq!((statistics.lost_packets, statistics.duplicate_packets, statistics.jitter), (3, 0, [0; 4]));
    }

    #[test]
    fn a_relay_renames_the_streams_in_the_blocks() {
        let mut bytes = written(&report());
        let map = ReportMap {
            sender: (Ssrc(1), Ssrc(10)),
            sender_time_offset: 500,
            reported: (Ssrc(20), Ssrc(2)),
            reported_seq_offset: 11,
        };
        rewrite(&mut bytes, &map);
        let (ssrc, found) = read(&bytes);
        let (statistics, voip) = (found.statistics.unwrap(), found.voip.unwrap());
        assert_eq!((ssrc, found.delay.unwrap().ssrc, voip.ssrc), (Ssrc(10), Ssrc(2), Ssrc(2)));
        assert_eq!((statistics.ssrc, statistics.begin_seq, statistics.end_seq), (Ssrc(2), 65_519, 65_535));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn any_blocks_are_read_or_left(body in proptest::collection::vec(any::<u8>(), 0..30), block_type in 0_u8..9) {
            let mut bytes = vec![0x80, PACKET_TYPE, 0, body.len() as u8, 0, 0, 0, 1];
            body.iter().for_each(|byte| bytes.extend([block_type, 0, byte & 1, byte % 12]));
            bytes[3] = (bytes.len() / 4 - 1) as u8;
            let compound = Compound::parse(&bytes).unwrap();
            for packet in compound.iter() {
                let RtcpPacket::ExtendedReport { blocks, .. } = packet else { panic!("{packet:?}") };
                prop_assert!(blocks.iter().count() <= body.len());
            }
            rewrite(&mut bytes, &ReportMap::default());
        }
    }
}
