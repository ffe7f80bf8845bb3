//! The framing of an Opus packet (RFC 6716 §3): how long it is, and whether it repairs the one before it.

use crate::codec::BadPayload;

/// RTP ticks of 120 ms, the longest packet (rule R5).
const TICKS_MAX: u32 = 5_760;
/// Bytes of the longest frame (rule R2).
const FRAME_BYTES_MAX: usize = 1_275;

/// A packet whose framing keeps the rules R1 to R7 of RFC 6716 §3.4.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    toc: u8,
    frame_count: u8,
    first_frame: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Finds the frames of a payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, BadPayload> {
        let (toc, rest) = payload.split_first().ok_or(BadPayload::Empty)?;
        let (frame_count, first_frame) = match toc & 3 {
            0 => (1, rest),
            1 if rest.len().is_multiple_of(2) => (2, &rest[..rest.len() / 2]),
            1 => return Err(BadPayload::Corrupt),
            2 => {
                let (length, rest) = frame_length(rest)?;
                let (first, second) = rest.split_at_checked(length).ok_or(BadPayload::Corrupt)?;
                check_length(second)?;
                (2, first)
            }
            _ => many_frames(rest)?,
        };
        check_length(first_frame)?;
        let packet = Self { toc: *toc, frame_count, first_frame };
        if packet.ticks() > TICKS_MAX { Err(BadPayload::Corrupt) } else { Ok(packet) }
    }

    /// Duration in ticks of 48 kHz, 120 to 5,760.
    pub fn ticks(&self) -> u32 {
        self.frame_ticks() * u32::from(self.frame_count)
    }

    /// Whether the sound is coded in two channels.
    pub fn is_stereo(&self) -> bool {
        self.toc & 4 != 0
    }

    /// Whether it carries a second copy of the sound before it, for when that was lost (RFC 6716 §2.1.7, §4.2.4).
    /// Only the speech layer (SILK) has such copies.
    pub fn repairs_the_one_before(&self) -> bool {
        let Some(first) = self.first_frame.first().filter(|_| self.config() < 16) else { return false };
        // Each channel opens with a bit of voice activity for each 20 ms, then one that announces copies.
        let activity_bits = (self.frame_ticks() / 960).max(1);
        let of_first_channel = first >> (7 - activity_bits) & 1;
        let of_second_channel = if self.is_stereo() { first >> (6 - 2 * activity_bits) & 1 } else { 0 };
        of_first_channel | of_second_channel != 0
    }

    fn config(&self) -> u8 {
        self.toc >> 3
    }

    /// Table 2 of RFC 6716.
    fn frame_ticks(&self) -> u32 {
        let size = usize::from(self.config() & 3);
        match self.config() {
            0..12 => [480, 960, 1_920, 2_880][size],
            12..16 => [480, 960][size & 1],
            _ => [120, 240, 480, 960][size],
        }
    }
}

/// Code 3: a signalled number of frames, of one length or of many, with padding after them (§3.2.5).
fn many_frames(rest: &[u8]) -> Result<(u8, &[u8]), BadPayload> {
    let (header, mut rest) = rest.split_first().ok_or(BadPayload::Corrupt)?;
    let frame_count = header & 0x3f;
    if frame_count == 0 {
        return Err(BadPayload::Corrupt);
    }
    if header & 0x40 != 0 {
        let mut padding_bytes = 0;
        loop {
            let (length, after) = rest.split_first().ok_or(BadPayload::Corrupt)?;
            rest = after;
            // 255 stands for 254 bytes and says that another length follows.
            padding_bytes += usize::from((*length).min(254));
            if *length != 255 {
                break;
            }
        }
        rest = &rest[..rest.len().checked_sub(padding_bytes).ok_or(BadPayload::Corrupt)?];
    }
    if header & 0x80 == 0 {
        let is_even = rest.len().is_multiple_of(usize::from(frame_count));
        return if is_even {
            Ok((frame_count, &rest[..rest.len() / usize::from(frame_count)]))
        } else {
            Err(BadPayload::Corrupt)
        };
    }
    let (mut first_length, mut total) = (None, 0);
    for _ in 1..frame_count {
        let (length, after) = frame_length(rest)?;
        rest = after;
        total += length;
        first_length.get_or_insert(length);
    }
    check_length(rest.get(total..).ok_or(BadPayload::Corrupt)?)?;
    Ok((frame_count, &rest[..first_length.unwrap_or(rest.len())]))
}

/// A length of one or two bytes (§3.2.1).
fn frame_length(bytes: &[u8]) -> Result<(usize, &[u8]), BadPayload> {
    match bytes {
        [length @ 0..252, rest @ ..] => Ok((usize::from(*length), rest)),
        [low, high, rest @ ..] => Ok((4 * usize::from(*high) + usize::from(*low), rest)),
        _ => Err(BadPayload::Corrupt),
    }
}

fn check_length(frame: &[u8]) -> Result<(), BadPayload> {
    if frame.len() > FRAME_BYTES_MAX { Err(BadPayload::Corrupt) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(payload: &[u8]) -> Result<u32, BadPayload> {
        Packet::parse(payload).map(|packet| packet.ticks())
    }

    #[test]
    fn durations() {
        // One frame of each configuration: narrow-band speech of 10 to 60 ms, hybrid, music of 2.5 to 20 ms.
        for (config, wanted) in [(0, 480), (3, 2_880), (11, 2_880), (12, 480), (15, 960), (16, 120), (31, 960)] {
            assert_eq!(ticks(&[config << 3, 1, 2, 3]), Ok(wanted), "configuration {config}");
        }
        assert_eq!(ticks(&[15 << 3 | 1, 1, 2]), Ok(1_920));
        assert_eq!(ticks(&[15 << 3 | 2, 1, 9, 2, 2]), Ok(1_920));
        assert_eq!(ticks(&[31 << 3 | 3, 6, 0, 0, 0, 0, 0, 0]), Ok(5_760));
        // Discontinuous transmission: a packet without a frame's bytes.
        assert_eq!(ticks(&[15 << 3]), Ok(960));
    }

    #[test]
    fn broken_framing_is_told() {
        assert_eq!(ticks(&[]), Err(BadPayload::Empty));
        for (rule, payload) in [
            ("R3: halves of an odd length", &[1_u8, 0, 0, 0][..]),
            ("R4: no length", &[2]),
            ("R4: half a length", &[2, 253]),
            ("R4: longer than the packet", &[2, 9, 0]),
            ("R5: no count", &[3]),
            ("R5: no frame", &[3, 0]),
            ("R5: 7 frames of 20 ms", &[31 << 3 | 3, 7, 0, 0, 0, 0, 0, 0, 0]),
            ("R6: thirds of four bytes", &[31 << 3 | 3, 3, 0, 0, 0, 0]),
            ("R6: more padding than bytes", &[31 << 3 | 3, 0x41, 9, 0]),
            ("R6: endless padding", &[31 << 3 | 3, 0x41, 255, 255]),
            ("R7: lengths beyond the end", &[31 << 3 | 3, 0x83, 2, 2, 0]),
        ] {
            assert_eq!(ticks(payload), Err(BadPayload::Corrupt), "{rule}");
        }
        assert_eq!(ticks(&[0; 1_277]), Err(BadPayload::Corrupt), "R2: a frame of 1,276 bytes");
        assert_eq!(ticks(&[0; 1_276]), Ok(480));
    }

    #[test]
    fn frames_lie_before_the_padding() {
        let packet = Packet::parse(&[31 << 3 | 3, 0xc2, 2, 1, 7, 8, 0, 0]).unwrap();
        assert_eq!((packet.first_frame, packet.ticks()), (&[7][..], 1_920));
        let padded = Packet::parse(&[31 << 3 | 7, 0x42, 1, 5, 6, 0]).unwrap();
        assert_eq!((padded.first_frame, padded.is_stereo()), (&[5][..], true));
    }
}
