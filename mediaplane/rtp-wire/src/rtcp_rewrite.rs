//! Changing the sources named in RTCP, for a relay that changes them in RTP.

use crate::Ssrc;
use crate::bytes::{read_u16, read_u32, write_u32};
use crate::rtcp::{REPORT_BLOCK_BYTES, SENDER_REPORT_BYTES, split};
use crate::xr;

/// What a relay changed in the two RTP streams that a report speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReportMap {
    /// The reporter's own stream: its SSRC as received, and as it leaves us.
    pub sender: (Ssrc, Ssrc),
    /// Added to the timestamps of the reporter's stream on its way out.
    pub sender_time_offset: u32,
    /// The stream that is reported on: its SSRC as the reporter knows it, and as its origin does.
    pub reported: (Ssrc, Ssrc),
    /// Taken from the sequence numbers of the reported stream to get those of its origin.
    pub reported_seq_offset: u16,
}

impl ReportMap {
    fn sender(&self, ssrc: u32) -> u32 {
        if ssrc == self.sender.0.0 { self.sender.1.0 } else { ssrc }
    }
}

/// Rewrites SR, RR, SDES, BYE and XR of a compound that was parsed before; stops at what makes no sense.
pub fn rewrite(bytes: &mut [u8], map: &ReportMap) {
    let mut next = 0;
    while let Ok((raw, after)) = split(bytes, next) {
        let (start, kind, count) = (raw.start, raw.packet_type, raw.count);
        next = after;
        let Some(packet) = bytes.get_mut(start..after) else { return };
        match kind {
            200 => {
                sources(packet, 1, map);
                let time = read_u32(packet, 16).unwrap_or(0).wrapping_add(map.sender_time_offset);
                write_u32(packet, 16, time);
                blocks(packet, SENDER_REPORT_BYTES, count, map);
            }
            201 => {
                sources(packet, 1, map);
                blocks(packet, 8, count, map);
            }
            203 => sources(packet, count, map),
            xr::PACKET_TYPE => {
                sources(packet, 1, map);
                extended_blocks(packet.get_mut(8..).unwrap_or_default(), map);
            }
            // SDES: its first chunk is the reporter's. Others (feedback) name their sender first too.
            _ => sources(packet, 1, map),
        }
    }
}

fn sources(packet: &mut [u8], count: usize, map: &ReportMap) {
    for at in (4..).step_by(4).take(count) {
        if let Some(ssrc) = read_u32(packet, at) {
            write_u32(packet, at, map.sender(ssrc));
        }
    }
}

fn blocks(packet: &mut [u8], start: usize, count: usize, map: &ReportMap) {
    let reports = packet.get_mut(start..).unwrap_or_default();
    for block in reports.chunks_exact_mut(REPORT_BLOCK_BYTES).take(count) {
        if read_u32(block, 0) == Some(map.reported.0.0) {
            write_u32(block, 0, map.reported.1.0);
            // Only the 16 bits of the sequence number are ours to change; the cycles stay the reporter's.
            let highest = read_u32(block, 8).unwrap_or(0);
            let seq = (highest as u16).wrapping_sub(map.reported_seq_offset);
            write_u32(block, 8, highest & 0xffff_0000 | u32::from(seq));
        }
    }
}

/// The blocks of an extended report that name the stream that is reported on (RFC 3611 §4).
fn extended_blocks(mut bytes: &mut [u8], map: &ReportMap) {
    while let Some(words) = read_u16(bytes, 2) {
        let Some((block, rest)) = bytes.split_at_mut_checked(4 + 4 * usize::from(words)) else { return };
        bytes = rest;
        let block_type = block[0];
        let body = &mut block[4..];
        match block_type {
            // Each part names a receiver; a relay knows one.
            xr::DELAYS => body.chunks_exact_mut(xr::DELAY_BYTES).for_each(|part| {
                reported(part, map);
            }),
            xr::VOIP => {
                reported(body, map);
            }
            // Behind the source there is a range of its sequence numbers.
            xr::LOSS_RLE..=xr::RECEIPT_TIMES | xr::STATISTICS if body.len() >= 8 && reported(body, map) => {
                for at in [4, 6] {
                    let seq = u16::from_be_bytes([body[at], body[at + 1]]).wrapping_sub(map.reported_seq_offset);
                    body[at..at + 2].copy_from_slice(&seq.to_be_bytes());
                }
            }
            _ => {}
        }
    }
}

/// Renames the reported stream where a block begins with it.
fn reported(body: &mut [u8], map: &ReportMap) -> bool {
    let is_it = read_u32(body, 0) == Some(map.reported.0.0);
    if is_it {
        write_u32(body, 0, map.reported.1.0);
    }
    is_it
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Compound, ReportBlock, RtcpPacket, RtpTime, SenderInfo, Writer};

    #[test]
    fn both_streams_are_renamed() {
        let mut bytes = [0; 200];
        let mut writer = Writer::new(&mut bytes);
        let info = SenderInfo { time: RtpTime(1_000), ..Default::default() };
        let about = |ssrc| ReportBlock { ssrc: Ssrc(ssrc), highest_seq: 0x0002_0005, ..Default::default() };
        writer.sender_report(Ssrc(1), &info, &[about(20), about(99)]).unwrap();
        writer.source_description(Ssrc(1), "a").unwrap();
        writer.bye(Ssrc(1)).unwrap();
        let used = writer.finish();
        let map = ReportMap {
            sender: (Ssrc(1), Ssrc(10)),
            sender_time_offset: 500,
            reported: (Ssrc(20), Ssrc(2)),
            reported_seq_offset: 6,
        };
        rewrite(&mut bytes[..used], &map);
        let packets: Vec<_> = Compound::parse(&bytes[..used]).unwrap().iter().collect();
        let [RtcpPacket::SenderReport { ssrc, info, reports }, sdes, bye] = packets[..] else { panic!("{packets:?}") };
        assert_eq!((ssrc, info.time), (Ssrc(10), RtpTime(1_500)));
        let reports: Vec<_> = reports.iter().map(|block| (block.ssrc.0, block.highest_seq)).collect();
        assert_eq!(reports, [(2, 0x0002_ffff), (99, 0x0002_0005)]);
        assert!(matches!(sdes, RtcpPacket::SourceDescription { cname: Some((Ssrc(10), b"a")) }));
        assert!(matches!(bye, RtcpPacket::Bye { ssrcs: [0, 0, 0, 10] }));
    }
}
