//! Streams that break every rule: what a phone sends to a call that it is in.

use super::media::{Departure, encoded, format, rtp};
use super::network::Chance;
use super::phone::payload_type;
use audio::codec::CodecKind;
use clock::Duration;

/// A rule that a stream breaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rule {
    /// Paddings, extensions and contributing sources that are longer than the packet.
    Lengths,
    /// Payloads of no length that the codec has, and of random bytes.
    Payloads,
    /// Packets of 1 to 120 ms, whatever was agreed on.
    PacketTime,
    /// A clock that runs six times as fast as that of the codec.
    ClockRate,
    /// Timestamps that run backwards.
    Backwards,
    /// Another source with each packet.
    Sources,
    /// Numbers and timestamps without any order.
    Numbers,
}

impl Rule {
    pub(super) const ALL: [Self; 7] = [
        Self::Lengths,
        Self::Payloads,
        Self::PacketTime,
        Self::ClockRate,
        Self::Backwards,
        Self::Sources,
        Self::Numbers,
    ];
}

/// A stream that breaks a rule in all but its first packets, from which its source is known.
pub(super) fn breaking(rule: Rule, codec: CodecKind, sound: &[i16]) -> Vec<Departure> {
    const GOOD: usize = 25;
    let mut chance = Chance::new(rule as u32 + 7);
    let ticks = format(codec).ticks_in_ms(20);
    let payloads = encoded(codec, sound);
    let mut departures = Vec::new();
    for (index, payload) in payloads.iter().enumerate() {
        let (seq, time) = (index as u16 + 1, index as u32 * ticks);
        let payload_type = payload_type(codec);
        let good = rtp(payload_type, seq, time, 0x0bad_0000, payload);
        let packet = match rule {
            _ if index < GOOD => good,
            Rule::Lengths => lying(good, &mut chance),
            Rule::Payloads => {
                let bytes = chance.below(1_460) as usize;
                let noise: Vec<u8> = (0..bytes).map(|_| chance.below(256) as u8).collect();
                rtp(payload_type, seq, time, 0x0bad_0000, &noise)
            }
            Rule::PacketTime => {
                let count = 1 + chance.below(6) as usize;
                let several: Vec<u8> = payloads.iter().cycle().skip(index).take(count).flatten().copied().collect();
                let cut = several.len() - chance.below(payload.len().max(2) as u32 - 1) as usize;
                rtp(payload_type, seq, time, 0x0bad_0000, &several[..cut])
            }
            Rule::ClockRate => rtp(payload_type, seq, 6 * time, 0x0bad_0000, payload),
            Rule::Backwards => rtp(payload_type, seq, 0u32.wrapping_sub(time), 0x0bad_0000, payload),
            Rule::Sources => rtp(payload_type, seq, time, index as u32, payload),
            Rule::Numbers => {
                let (seq, time) = (chance.below(1 << 16) as u16, chance.below(1 << 24) << 8);
                rtp(payload_type, seq, time, 0x0bad_0000, payload)
            }
        };
        departures.push(Departure { at: Duration::from_millis(20) * index as u32, packet });
    }
    departures
}

/// A packet whose head says that there is more in it than there is.
fn lying(mut packet: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    match chance.below(5) {
        0 => {
            packet[0] |= 0x20;
            let last = packet.len() - 1;
            packet[last] = 255;
        }
        1 => {
            packet[0] |= 0x10;
            packet[14] = 0xff;
        }
        2 => packet[0] |= 0x0f,
        3 => packet.truncate(12 + chance.below(2) as usize),
        _ => packet.truncate(chance.below(12) as usize),
    }
    packet
}
