//! Writing RTCP (RFC 3550 §6) into bytes that the caller owns.

use crate::rtcp::{RECEIVER_REPORT_BYTES, REPORT_BLOCK_BYTES, SENDER_REPORT_BYTES};
use crate::{ReportBlock, SenderInfo, Ssrc};

/// The compound does not fit the bytes that were given, or has more parts than RTCP can count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no room for the RTCP packet")]
pub struct NoRoom;

/// Writes one packet after the other into a compound. A packet that does not fit leaves it as it was.
#[derive(Debug)]
pub struct Writer<'a> {
    bytes: &'a mut [u8],
    used: usize,
}

impl<'a> Writer<'a> {
    /// Starts at the beginning of `bytes`.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, used: 0 }
    }

    /// SR.
    pub fn sender_report(&mut self, ssrc: Ssrc, info: &SenderInfo, reports: &[ReportBlock]) -> Result<(), NoRoom> {
        let body = self.start(200, reports.len(), SENDER_REPORT_BYTES + reports.len() * REPORT_BLOCK_BYTES)?;
        put(body, 4, ssrc.0);
        put(body, 8, (info.ntp >> 32) as u32);
        put(body, 12, info.ntp as u32);
        put(body, 16, info.time.0);
        put(body, 20, info.packet_count);
        put(body, 24, info.octet_count);
        put_reports(&mut body[SENDER_REPORT_BYTES..], reports);
        Ok(())
    }

    /// RR.
    pub fn receiver_report(&mut self, ssrc: Ssrc, reports: &[ReportBlock]) -> Result<(), NoRoom> {
        let body = self.start(201, reports.len(), RECEIVER_REPORT_BYTES + reports.len() * REPORT_BLOCK_BYTES)?;
        put(body, 4, ssrc.0);
        put_reports(&mut body[RECEIVER_REPORT_BYTES..], reports);
        Ok(())
    }

    /// SDES with a CNAME of at most 255 bytes.
    pub fn source_description(&mut self, ssrc: Ssrc, cname: &str) -> Result<(), NoRoom> {
        let text_bytes = u8::try_from(cname.len()).map_err(|_| NoRoom)?;
        // Header, SSRC, item head, text, and at least one null byte up to the next word (§6.5).
        let total = (4 + 4 + 2 + cname.len()) / 4 * 4 + 4;
        let body = self.start(202, 1, total)?;
        put(body, 4, ssrc.0);
        body[8..10].copy_from_slice(&[1, text_bytes]);
        body[10..10 + cname.len()].copy_from_slice(cname.as_bytes());
        body[10 + cname.len()..].fill(0);
        Ok(())
    }

    /// BYE of one source, without a reason.
    pub fn bye(&mut self, ssrc: Ssrc) -> Result<(), NoRoom> {
        put(self.start(203, 1, 8)?, 4, ssrc.0);
        Ok(())
    }

    /// Bytes written so far.
    pub fn finish(self) -> usize {
        self.used
    }

    pub(crate) fn start(&mut self, packet_type: u8, count: usize, total: usize) -> Result<&mut [u8], NoRoom> {
        let packet = self.bytes.get_mut(self.used..self.used + total).ok_or(NoRoom)?;
        if count > 31 {
            return Err(NoRoom);
        }
        let words = u16::try_from(total / 4 - 1).map_err(|_| NoRoom)?;
        packet[0] = 0x80 | count as u8;
        packet[1] = packet_type;
        packet[2..4].copy_from_slice(&words.to_be_bytes());
        self.used += total;
        Ok(packet)
    }
}

fn put(body: &mut [u8], at: usize, value: u32) {
    body[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

fn put_reports(body: &mut [u8], reports: &[ReportBlock]) {
    /// What 24 bits signed can say (§6.4.1).
    const MOST_LOST: i32 = 0x7f_ffff;
    for (place, report) in body.chunks_exact_mut(REPORT_BLOCK_BYTES).zip(reports) {
        let lost = report.cumulative_lost.clamp(-MOST_LOST - 1, MOST_LOST) as u32 & 0xff_ffff;
        put(place, 0, report.ssrc.0);
        put(place, 4, u32::from(report.fraction_lost) << 24 | lost);
        put(place, 8, report.highest_seq);
        put(place, 12, report.jitter);
        put(place, 16, report.last_sr);
        put(place, 20, report.delay_since_last_sr);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Compound, RtcpPacket};

    #[test]
    fn every_length_of_cname_is_padded_to_words() {
        for count in 0..=255 {
            let name = "x".repeat(count);
            let mut bytes = [0xee; 400];
            let mut writer = Writer::new(&mut bytes);
            writer.source_description(Ssrc(1), &name).unwrap();
            let used = writer.finish();
            let found = Compound::parse(&bytes[..used]).unwrap().iter().next();
            let Some(RtcpPacket::SourceDescription { cname: Some((_, text)) }) = found else { panic!("{found:?}") };
            assert_eq!(text, name.as_bytes());
        }
        assert_eq!(Writer::new(&mut [0; 400]).source_description(Ssrc(1), &"x".repeat(256)), Err(NoRoom));
    }

    #[test]
    fn what_does_not_fit_is_not_begun() {
        let mut bytes = [0; 20];
        let mut writer = Writer::new(&mut bytes);
        writer.receiver_report(Ssrc(1), &[]).unwrap();
        assert_eq!(writer.sender_report(Ssrc(1), &SenderInfo::default(), &[]), Err(NoRoom));
        assert_eq!(writer.receiver_report(Ssrc(1), &[ReportBlock::default(); 32]), Err(NoRoom));
        assert_eq!(writer.finish(), 8);
    }

    #[test]
    fn loss_saturates_at_24_bits() {
        for (lost, said) in [(i32::MAX, 0x7f_ffff), (i32::MIN, -0x80_0000), (-1, -1)] {
            let mut bytes = [0; 40];
            let mut writer = Writer::new(&mut bytes);
            let block = ReportBlock { cumulative_lost: lost, ..Default::default() };
            writer.receiver_report(Ssrc(1), &[block]).unwrap();
            let used = writer.finish();
            let found = Compound::parse(&bytes[..used]).unwrap().iter().next();
            let Some(RtcpPacket::ReceiverReport { reports, .. }) = found else { panic!("{found:?}") };
            assert_eq!(reports.iter().next().unwrap().cumulative_lost, said);
        }
    }
}
