//! A packet that says what it is: an RTP packet of 20 ms G.711 whose payload names its stream, its number, the time it
//! was sent at, and a pattern that only these can have.

/// Bytes of the RTP header that we write.
const HEADER_BYTES: usize = 12;
/// Bytes of the payload: 20 ms at 8 kHz, one byte a sample.
const PAYLOAD_BYTES: usize = 160;
/// Bytes of a whole packet.
pub const PACKET_BYTES: usize = HEADER_BYTES + PAYLOAD_BYTES;
/// RTP clock ticks between two packets.
pub const TICKS_PER_PACKET: u32 = 160;

const MAGIC: u64 = u64::from_be_bytes(*b"ringload");
const PATTERN_AT: usize = 44;

/// What a packet says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Content {
    /// The stream's place in its thread's table.
    pub stream: u32,
    /// How often that place had been used before.
    pub life: u32,
    /// Counts from 0; its low bits are the RTP sequence number.
    pub number: u64,
    /// Calendar time at which it was handed to the kernel, nanoseconds.
    pub sent_at_ns: u64,
}

/// Why a packet is not the one that was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// Not one of ours at all: too short, or without our mark.
    Foreign,
    /// One of ours, changed on the way.
    Changed,
}

/// SSRC of a stream.
pub(super) fn ssrc(stream: u32, life: u32) -> u32 {
    stream.wrapping_mul(0x9e37_79b1) ^ life.wrapping_mul(0x85eb_ca6b) ^ 0x00c0_ffee
}

fn pattern(content: &Content) -> impl Iterator<Item = u64> {
    let mut x = (u64::from(content.stream) << 32 | u64::from(content.life)) ^ content.number.rotate_left(17);
    std::iter::repeat_with(move || {
        x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
        x ^ (x >> 29)
    })
}

/// Writes the packet. The first of a stream has the marker bit.
pub(super) fn write(content: &Content, payload_type: u8, packet: &mut [u8; PACKET_BYTES]) {
    let first = content.number == 0;
    packet[0] = 0x80;
    packet[1] = payload_type & 0x7f | if first { 0x80 } else { 0 };
    packet[2..4].copy_from_slice(&sequence(content).to_be_bytes());
    packet[4..8].copy_from_slice(&timestamp(content).to_be_bytes());
    packet[8..12].copy_from_slice(&ssrc(content.stream, content.life).to_be_bytes());
    packet[12..20].copy_from_slice(&MAGIC.to_be_bytes());
    packet[20..24].copy_from_slice(&content.stream.to_be_bytes());
    packet[24..28].copy_from_slice(&content.life.to_be_bytes());
    packet[28..36].copy_from_slice(&content.number.to_be_bytes());
    packet[36..44].copy_from_slice(&content.sent_at_ns.to_be_bytes());
    for (bytes, word) in packet[PATTERN_AT..].chunks_exact_mut(8).zip(pattern(content)) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
}

/// Sequence numbers start near their wrap, so that every run of more than two seconds crosses it.
fn sequence(content: &Content) -> u16 {
    (content.number as u16).wrapping_add(u16::MAX - 99)
}

fn timestamp(content: &Content) -> u32 {
    (content.number as u32).wrapping_mul(TICKS_PER_PACKET).wrapping_add(u32::MAX - 99 * TICKS_PER_PACKET)
}

/// Reads a packet back and compares all of it, header and payload, with what must have been sent.
pub(super) fn read(packet: &[u8]) -> Result<Content, Damage> {
    let Ok(packet) = <&[u8; PACKET_BYTES]>::try_from(packet) else { return Err(Damage::Foreign) };
    let u32_at = |at: usize| u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
    let u64_at = |at: usize| (u64::from(u32_at(at)) << 32) | u64::from(u32_at(at + 4));
    if u64_at(12) != MAGIC {
        return Err(Damage::Foreign);
    }
    let content = Content { stream: u32_at(20), life: u32_at(24), number: u64_at(28), sent_at_ns: u64_at(36) };
    let header_is_ours = packet[0] == 0x80
        && packet[2..4] == sequence(&content).to_be_bytes()
        && u32_at(4) == timestamp(&content)
        && u32_at(8) == ssrc(content.stream, content.life);
    let words = packet[PATTERN_AT..].chunks_exact(8);
    let payload_is_ours = words.zip(pattern(&content)).all(|(bytes, word)| bytes == word.to_be_bytes());
    if header_is_ours && payload_is_ours { Ok(content) } else { Err(Damage::Changed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: Content = Content { stream: 7, life: 3, number: 98_765, sent_at_ns: 1 << 60 };

    #[test]
    fn a_packet_comes_back_as_it_went() {
        let mut packet = [0; PACKET_BYTES];
        write(&CONTENT, 8, &mut packet);
        assert_eq!(read(&packet), Ok(CONTENT));
        assert_eq!(packet[1], 8);
    }

    #[test]
    fn every_changed_byte_is_seen() {
        let mut packet = [0; PACKET_BYTES];
        write(&CONTENT, 0, &mut packet);
        // The second byte is marker and payload type, which a relay may map; the send time is free to be anything.
        for at in (0..PACKET_BYTES).filter(|at| *at != 1 && !(36..44).contains(at)) {
            let mut changed = packet;
            changed[at] ^= 0x10;
            assert!(read(&changed).is_err(), "byte {at}");
        }
        assert_eq!(read(&packet[..100]), Err(Damage::Foreign));
    }
}
