//! The RTP header (RFC 3550 §5.1).

use crate::bytes::read_u16;
use crate::{RtpTime, Seq, Ssrc};

/// Bytes of a header without CSRC list and extension: what we write.
pub const FIXED_HEADER_BYTES: usize = 12;

/// A parsed header: its fields, and where the payload lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Start of a talkspurt, for audio (RFC 3551 §4.1).
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub seq: Seq,
    /// Sampling instant of the first byte of payload.
    pub time: RtpTime,
    /// Who sends.
    pub ssrc: Ssrc,
    /// First byte of the payload: behind CSRC list and extension.
    pub payload_start: u16,
    /// Bytes of the payload, without padding.
    pub payload_bytes: u16,
}

/// Why a datagram is not RTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RtpError {
    /// Fewer than twelve bytes.
    #[error("shorter than an RTP header")]
    TooShort,
    /// Not version 2.
    #[error("not RTP version 2")]
    Version,
    /// The CSRC list is longer than the packet.
    #[error("CSRC list longer than the packet")]
    Csrc,
    /// The header extension is longer than the packet.
    #[error("header extension longer than the packet")]
    Extension,
    /// The padding is empty or longer than the payload.
    #[error("impossible padding")]
    Padding,
    /// Longer than any datagram.
    #[error("longer than a datagram")]
    TooLong,
}

impl Header {
    /// Parses and checks every length.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Self, RtpError> {
        let fixed: &[u8; FIXED_HEADER_BYTES] = bytes.first_chunk().ok_or(RtpError::TooShort)?;
        let flags = fixed[0];
        if flags >> 6 != 2 {
            return Err(RtpError::Version);
        }
        let total = u16::try_from(bytes.len()).map_err(|_| RtpError::TooLong)?;
        let (payload_start, payload_bytes) =
            if flags == 0x80 { (FIXED_HEADER_BYTES as u16, total - FIXED_HEADER_BYTES as u16) } else { extent(bytes)? };
        Ok(Self {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            seq: Seq(u16::from_be_bytes([fixed[2], fixed[3]])),
            time: RtpTime(u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]])),
            ssrc: Ssrc(u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]])),
            payload_start,
            payload_bytes,
        })
    }

    /// The payload in the bytes that were parsed.
    pub fn payload<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.payload_range()).unwrap_or_default()
    }

    /// Where the payload lies.
    pub fn payload_range(&self) -> std::ops::Range<usize> {
        let start = usize::from(self.payload_start);
        start..start + usize::from(self.payload_bytes)
    }

    /// Writes a header without CSRC list, extension and padding.
    #[inline]
    pub fn write(&self, place: &mut [u8; FIXED_HEADER_BYTES]) {
        place[0] = 0x80;
        put(place, self.marker, self.payload_type, self.seq, self.time, self.ssrc);
    }
}

/// Where the payload lies in a packet with CSRC list, extension or padding.
#[cold]
fn extent(bytes: &[u8]) -> Result<(u16, u16), RtpError> {
    let flags = bytes[0];
    let mut start = FIXED_HEADER_BYTES + 4 * usize::from(flags & 0x0f);
    if start > bytes.len() {
        return Err(RtpError::Csrc);
    }
    if flags & 0x10 != 0 {
        // §5.3.1: 16 bits of the profile's own, then the length in words without this one.
        let words = read_u16(bytes, start + 2).ok_or(RtpError::Extension)?;
        start += 4 + 4 * usize::from(words);
        if start > bytes.len() {
            return Err(RtpError::Extension);
        }
    }
    let rest = bytes.len() - start;
    let padding = match bytes.last() {
        Some(count) if flags & 0x20 != 0 => usize::from(*count),
        _ => 0,
    };
    if padding > rest || (flags & 0x20 != 0 && padding == 0) {
        return Err(RtpError::Padding);
    }
    Ok((start as u16, (rest - padding) as u16))
}

/// Changes marker, payload type, sequence number, timestamp and SSRC of a packet where it lies; CSRC list, extension,
/// payload and padding stay. Does nothing to bytes that are too short to be a packet.
#[inline]
pub fn overwrite(bytes: &mut [u8], header: &Header) {
    if let Some(place) = bytes.first_chunk_mut::<FIXED_HEADER_BYTES>() {
        put(place, header.marker, header.payload_type, header.seq, header.time, header.ssrc);
    }
}

#[inline]
fn put(place: &mut [u8; FIXED_HEADER_BYTES], marker: bool, payload_type: u8, seq: Seq, time: RtpTime, ssrc: Ssrc) {
    place[1] = u8::from(marker) << 7 | payload_type & 0x7f;
    place[2..4].copy_from_slice(&seq.0.to_be_bytes());
    place[4..8].copy_from_slice(&time.0.to_be_bytes());
    place[8..12].copy_from_slice(&ssrc.0.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Header {
        Header {
            marker: true,
            payload_type: 101,
            seq: Seq(65_535),
            time: RtpTime(0xdead_beef),
            ssrc: Ssrc(0x0102_0304),
            payload_start: 12,
            payload_bytes: 4,
        }
    }

    fn packet(header: &Header, payload: &[u8]) -> Vec<u8> {
        let mut fixed = [0; FIXED_HEADER_BYTES];
        header.write(&mut fixed);
        [&fixed[..], payload].concat()
    }

    #[test]
    fn a_header_comes_back_as_it_went() {
        let bytes = packet(&sample(), b"abcd");
        let parsed = Header::parse(&bytes).unwrap();
        assert_eq!(parsed, sample());
        assert_eq!(parsed.payload(&bytes), b"abcd");
    }

    #[test]
    fn csrc_extension_and_padding_are_stepped_over() {
        let mut bytes = vec![0x80 | 0x20 | 0x10 | 2, 8, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend([0; 8]); // two CSRCs
        bytes.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]); // one word of extension
        bytes.extend(b"voice");
        bytes.extend([0, 0, 3]);
        let parsed = Header::parse(&bytes).unwrap();
        assert_eq!(parsed.payload(&bytes), b"voice");
        assert_eq!((parsed.payload_type, parsed.marker, parsed.seq), (8, false, Seq(1)));
    }

    #[test]
    fn lies_are_named() {
        let good = packet(&sample(), b"abcd");
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            Header::parse(&bytes)
        };
        assert_eq!(Header::parse(&good[..11]), Err(RtpError::TooShort));
        assert_eq!(with(0, 0x40), Err(RtpError::Version));
        assert_eq!(with(0, 0x82), Err(RtpError::Csrc));
        assert_eq!(with(0, 0x90), Err(RtpError::Extension)); // "cd" as length
        assert_eq!(with(0, 0xa0), Err(RtpError::Padding)); // 'd' bytes of padding
        assert_eq!(Header::parse(&[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Err(RtpError::Padding));
        assert_eq!(Header::parse(&vec![0x80; 70_000]), Err(RtpError::TooLong));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        #[test]
        fn any_bytes_are_parsed_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), sound in any::<bool>()) {
            if sound && !bytes.is_empty() {
                bytes[0] = 0x80 | bytes[0] & 0x3f;
            }
            if let Ok(header) = Header::parse(&bytes) {
                prop_assert!(header.payload_range().end <= bytes.len());
                prop_assert!(header.payload_range().start >= FIXED_HEADER_BYTES);
                let mut copy = bytes.clone();
                overwrite(&mut copy, &header);
                prop_assert_eq!(copy, bytes);
            }
        }

        #[test]
        fn overwriting_changes_the_five_fields_only(payload in proptest::collection::vec(any::<u8>(), 0..40), seq: u16, time: u32, ssrc: u32) {
            let mut bytes = packet(&sample(), &payload);
            let changed = Header { seq: Seq(seq), time: RtpTime(time), ssrc: Ssrc(ssrc), payload_bytes: payload.len() as u16, ..sample() };
            overwrite(&mut bytes, &changed);
            prop_assert_eq!(Header::parse(&bytes), Ok(changed));
            prop_assert_eq!(changed.payload(&bytes), &payload[..]);
        }
    }
}
