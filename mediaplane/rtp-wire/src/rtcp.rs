//! RTCP compound packets (RFC 3550 §6), every length checked before anything is believed.

use crate::bytes::{read_u16, read_u32};
use crate::xr::{self, XrBlocks};
use crate::{RtpTime, Ssrc};

/// Bytes of a report block.
pub(crate) const REPORT_BLOCK_BYTES: usize = 24;
/// Bytes of a sender report without its report blocks.
pub(crate) const SENDER_REPORT_BYTES: usize = 28;
/// Bytes of a receiver report without its report blocks.
pub(crate) const RECEIVER_REPORT_BYTES: usize = 8;

/// Why a datagram is not RTCP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RtcpError {
    /// Shorter than a header, or than what its parts claim.
    #[error("shorter than it claims")]
    TooShort,
    /// Not version 2.
    #[error("not RTCP version 2")]
    Version,
    /// A packet type outside those of RTCP (RFC 5761 §4).
    #[error("not an RTCP packet type")]
    Type,
    /// Padding that is empty, too long, or not at the end of the compound.
    #[error("impossible padding")]
    Padding,
    /// An item or chunk list that does not end where its packet ends.
    #[error("items do not fit their packet")]
    Items,
}

/// A sound compound packet.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a> {
    bytes: &'a [u8],
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug)]
pub enum RtcpPacket<'a> {
    /// SR (§6.4.1).
    SenderReport { ssrc: Ssrc, info: SenderInfo, reports: ReportBlocks<'a> },
    /// RR (§6.4.2).
    ReceiverReport { ssrc: Ssrc, reports: ReportBlocks<'a> },
    /// SDES (§6.5) with the first CNAME in it.
    SourceDescription { cname: Option<(Ssrc, &'a [u8])> },
    /// BYE (§6.6): 4 bytes for every SSRC that leaves.
    Bye { ssrcs: &'a [u8] },
    /// XR (RFC 3611).
    ExtendedReport { ssrc: Ssrc, blocks: XrBlocks<'a> },
    /// Anything else: feedback, applications.
    Other { packet_type: u8 },
}

/// The sender's part of an SR.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SenderInfo {
    /// NTP timestamp of the report.
    pub ntp: u64,
    /// The same instant in the stream's clock.
    pub time: RtpTime,
    /// Packets sent since the stream began.
    pub packet_count: u32,
    /// Payload bytes sent since the stream began.
    pub octet_count: u32,
}

/// What a receiver says of one source (§6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: Ssrc,
    /// Part lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning, 24 bits signed.
    pub cumulative_lost: i32,
    /// Highest sequence number received, with its cycles.
    pub highest_seq: u32,
    /// Interarrival jitter in ticks.
    pub jitter: u32,
    /// Middle 32 bits of the NTP timestamp of the last SR from that source; 0: none.
    pub last_sr: u32,
    /// Time since that SR in 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// The report blocks of a packet.
#[derive(Clone, Copy, Debug)]
pub struct ReportBlocks<'a> {
    bytes: &'a [u8],
}

impl<'a> ReportBlocks<'a> {
    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        self.bytes.chunks_exact(REPORT_BLOCK_BYTES).filter_map(ReportBlock::parse)
    }
}

impl ReportBlock {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let loss = read_u32(bytes, 4)?;
        Some(Self {
            ssrc: Ssrc(read_u32(bytes, 0)?),
            fraction_lost: (loss >> 24) as u8,
            cumulative_lost: ((loss << 8) as i32) >> 8,
            highest_seq: read_u32(bytes, 8)?,
            jitter: read_u32(bytes, 12)?,
            last_sr: read_u32(bytes, 16)?,
            delay_since_last_sr: read_u32(bytes, 20)?,
        })
    }
}

/// One packet of a compound as bytes: header byte 0, packet type, body without header and padding.
#[derive(Clone, Copy)]
pub(crate) struct Raw<'a> {
    pub(crate) count: usize,
    pub(crate) packet_type: u8,
    pub(crate) start: usize,
    pub(crate) body: &'a [u8],
}

/// Splits off the packet at `start`; also says where the next one begins.
pub(crate) fn split(bytes: &[u8], start: usize) -> Result<(Raw<'_>, usize), RtcpError> {
    let head = bytes.get(start..start + 4).ok_or(RtcpError::TooShort)?;
    if head[0] >> 6 != 2 {
        return Err(RtcpError::Version);
    }
    if !(192..=223).contains(&head[1]) {
        return Err(RtcpError::Type);
    }
    let words = usize::from(read_u16(head, 2).ok_or(RtcpError::TooShort)?);
    let next = start + 4 + 4 * words;
    let mut body = bytes.get(start + 4..next).ok_or(RtcpError::TooShort)?;
    if head[0] & 0x20 != 0 {
        // §6.4.1: only the last packet of a compound may be padded.
        let padding = body.last().map_or(0, |count| usize::from(*count));
        if padding == 0 || padding > body.len() || next != bytes.len() {
            return Err(RtcpError::Padding);
        }
        body = &body[..body.len() - padding];
    }
    Ok((Raw { count: usize::from(head[0] & 0x1f), packet_type: head[1], start, body }, next))
}

impl<'a> Compound<'a> {
    /// Checks the whole compound. A single packet of any type is taken too: reduced-size RTCP (RFC 5506).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtcpError> {
        let mut next = 0;
        while next < bytes.len() || next == 0 {
            let (raw, after) = split(bytes, next)?;
            packet(&raw)?;
            next = after;
        }
        Ok(Self { bytes })
    }

    /// Its packets in order.
    pub fn iter(&self) -> impl Iterator<Item = RtcpPacket<'a>> + use<'a> {
        let bytes = self.bytes;
        let mut next = 0;
        std::iter::from_fn(move || {
            let (raw, after) = split(bytes, next).ok()?;
            next = after;
            packet(&raw).ok()
        })
    }
}

fn packet<'a>(raw: &Raw<'a>) -> Result<RtcpPacket<'a>, RtcpError> {
    let body = raw.body;
    let word = |at| read_u32(body, at).ok_or(RtcpError::TooShort);
    // Profile-specific extensions may follow the blocks, so the body may be longer.
    let reports = |start: usize| {
        let bytes = body.get(start..start + raw.count * REPORT_BLOCK_BYTES).ok_or(RtcpError::TooShort)?;
        Ok::<_, RtcpError>(ReportBlocks { bytes })
    };
    Ok(match raw.packet_type {
        200 => {
            let ntp = u64::from(word(4)?) << 32 | u64::from(word(8)?);
            let info = SenderInfo { ntp, time: RtpTime(word(12)?), packet_count: word(16)?, octet_count: word(20)? };
            RtcpPacket::SenderReport { ssrc: Ssrc(word(0)?), info, reports: reports(SENDER_REPORT_BYTES - 4)? }
        }
        201 => RtcpPacket::ReceiverReport { ssrc: Ssrc(word(0)?), reports: reports(RECEIVER_REPORT_BYTES - 4)? },
        202 => RtcpPacket::SourceDescription { cname: source_description(body, raw.count)? },
        203 => {
            let ssrcs = body.get(..4 * raw.count).ok_or(RtcpError::TooShort)?;
            if let Some(reason_bytes) = body.get(4 * raw.count)
                && body.len() < 4 * raw.count + 1 + usize::from(*reason_bytes)
            {
                return Err(RtcpError::Items);
            }
            RtcpPacket::Bye { ssrcs }
        }
        xr::PACKET_TYPE => RtcpPacket::ExtendedReport {
            ssrc: Ssrc(word(0)?),
            blocks: XrBlocks { bytes: body.get(4..).unwrap_or_default() },
        },
        packet_type => RtcpPacket::Other { packet_type },
    })
}

/// Walks the chunks of an SDES packet and finds the first CNAME (§6.5.1).
fn source_description(body: &[u8], chunk_count: usize) -> Result<Option<(Ssrc, &[u8])>, RtcpError> {
    const END: u8 = 0;
    const CNAME: u8 = 1;
    let (mut at, mut cname) = (0, None);
    for _ in 0..chunk_count {
        let ssrc = Ssrc(read_u32(body, at).ok_or(RtcpError::Items)?);
        at += 4;
        loop {
            let kind = *body.get(at).ok_or(RtcpError::Items)?;
            if kind == END {
                at = (at / 4 + 1) * 4; // null bytes up to the next word
                break;
            }
            let item_bytes = usize::from(*body.get(at + 1).ok_or(RtcpError::Items)?);
            let text = body.get(at + 2..at + 2 + item_bytes).ok_or(RtcpError::Items)?;
            if kind == CNAME {
                cname = cname.or(Some((ssrc, text)));
            }
            at += 2 + item_bytes;
        }
        if at > body.len() {
            return Err(RtcpError::Items);
        }
    }
    Ok(cname)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Writer;
    use proptest::prelude::*;

    fn sample() -> Vec<u8> {
        let mut bytes = [0; 256];
        let mut writer = Writer::new(&mut bytes);
        let info = SenderInfo { ntp: 0x0123_4567_89ab_cdef, time: RtpTime(160), packet_count: 5, octet_count: 800 };
        let block = ReportBlock {
            ssrc: Ssrc(9),
            fraction_lost: 12,
            cumulative_lost: -3,
            highest_seq: 65_540,
            jitter: 40,
            last_sr: 0x4567_89ab,
            delay_since_last_sr: 65_536,
        };
        writer.sender_report(Ssrc(7), &info, &[block]).unwrap();
        writer.source_description(Ssrc(7), "ringplane@example").unwrap();
        writer.bye(Ssrc(7)).unwrap();
        let used = writer.finish();
        bytes[..used].to_vec()
    }

    #[test]
    fn a_compound_comes_back_as_it_went() {
        let bytes = sample();
        let packets: Vec<_> = Compound::parse(&bytes).unwrap().iter().collect();
        let [RtcpPacket::SenderReport { ssrc, info, reports }, sdes, bye] = packets[..] else { panic!("{packets:?}") };
        assert_eq!((ssrc, info.packet_count, info.ntp), (Ssrc(7), 5, 0x0123_4567_89ab_cdef));
        let block = reports.iter().next().unwrap();
        assert_eq!((block.cumulative_lost, block.highest_seq, block.fraction_lost), (-3, 65_540, 12));
        assert!(matches!(sdes, RtcpPacket::SourceDescription { cname: Some((Ssrc(7), b"ringplane@example")) }));
        assert!(matches!(bye, RtcpPacket::Bye { ssrcs: [0, 0, 0, 7] }));
    }

    #[test]
    fn lies_are_named() {
        let good = sample();
        assert_eq!(Compound::parse(&[]).unwrap_err(), RtcpError::TooShort);
        assert_eq!(Compound::parse(&good[..good.len() - 1]).unwrap_err(), RtcpError::TooShort);
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            Compound::parse(&bytes).map(|_| ())
        };
        assert_eq!(with(0, 0x41), Err(RtcpError::Version));
        assert_eq!(with(0, 0x9f), Err(RtcpError::TooShort)); // 31 report blocks
        assert_eq!(with(1, 0), Err(RtcpError::Type));
        assert_eq!(with(0, 0xa1), Err(RtcpError::Padding)); // padding in the first packet
        assert_eq!(with(3, 200), Err(RtcpError::TooShort));
        assert_eq!(with(61, 255), Err(RtcpError::Items)); // the CNAME's length
        assert_eq!(Compound::parse(&[0x81, 203, 0, 2, 0, 0, 0, 1, 200, 0, 0, 0]).unwrap_err(), RtcpError::Items);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        #[test]
        fn changed_compounds_do_no_harm(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
            let mut bytes = sample();
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let cut = cut.index(2 * bytes.len());
            bytes.truncate(cut);
            if let Ok(compound) = Compound::parse(&bytes) {
                for packet in compound.iter() {
                    if let RtcpPacket::SenderReport { reports, .. } | RtcpPacket::ReceiverReport { reports, .. } = packet {
                        prop_assert!(reports.iter().count() < 32);
                    }
                }
            }
            crate::rewrite(&mut bytes, &crate::ReportMap::default());
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..120), kind in 199u8..205) {
            if bytes.len() > 4 {
                bytes[0] = 0x80 | bytes[0] & 0x3f;
                bytes[1] = kind;
                bytes[2] = 0;
                bytes[3] &= 31;
            }
            if let Ok(compound) = Compound::parse(&bytes) {
                prop_assert!(compound.iter().count() > 0);
            }
        }
    }
}
