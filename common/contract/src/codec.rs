use crate::Invalid;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What the media plane can decode, encode or at least name. The numbers are part of the layout.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Codec {
    /// G.711 u-law, 8 kHz.
    Pcmu = 1,
    /// G.711 A-law, 8 kHz.
    Pcma = 2,
    /// RFC 4733 named events, in the clock of the audio codec beside them.
    TelephoneEvent = 3,
    /// Anything else: relayed, never decoded.
    Other = 255,
}

impl Codec {
    /// From the layout's number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Pcmu, Self::Pcma, Self::TelephoneEvent, Self::Other].into_iter().find(|codec| *codec as u8 == number)
    }

    /// Ticks of the RTP clock in a second.
    pub fn clock_rate(self) -> u32 {
        8_000
    }

    /// The encoding name of SDP, as registered with IANA.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::TelephoneEvent => "telephone-event",
            Self::Other => "other",
        }
    }
}

/// One payload type of a leg: what it carries, and as which payload type it leaves on the peer leg of a relay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PayloadMapping {
    /// Payload type on this leg, 0 to 127.
    pub payload_type: u8,
    /// A [`Codec`] as number; 0 ends the list.
    pub codec: u8,
    /// Payload type on the peer leg of a relay.
    pub peer_payload_type: u8,
    /// Zero.
    pub reserved: u8,
}

/// The payload types that a leg takes, most preferred first: the first audio codec is the one it sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PayloadMap {
    entries: [PayloadMapping; 8],
}

impl PayloadMap {
    /// Most payload types of one leg.
    pub const CAPACITY: usize = 8;

    /// Adds a payload type that keeps its number on the peer leg; refuses (`false`) when full or out of range.
    pub fn push(&mut self, payload_type: u8, codec: Codec) -> bool {
        self.push_mapped(payload_type, codec, payload_type)
    }

    /// Adds a payload type and the one that it gets on the peer leg; refuses (`false`) when full or out of range.
    pub fn push_mapped(&mut self, payload_type: u8, codec: Codec, peer_payload_type: u8) -> bool {
        let free = self.entries.iter_mut().find(|entry| entry.codec == 0);
        match free {
            Some(entry) if payload_type < 128 && peer_payload_type < 128 => {
                *entry = PayloadMapping { payload_type, codec: codec as u8, peer_payload_type, reserved: 0 };
                true
            }
            _ => false,
        }
    }

    /// The entries in order of preference.
    pub fn iter(&self) -> impl Iterator<Item = (u8, Codec, u8)> + '_ {
        self.entries
            .iter()
            .map_while(|entry| Some((entry.payload_type, Codec::from_number(entry.codec)?, entry.peer_payload_type)))
    }

    /// The audio codec to send, with its payload type.
    pub fn audio(&self) -> Option<(u8, Codec)> {
        self.iter().find(|(_, codec, _)| *codec != Codec::TelephoneEvent).map(|(number, codec, _)| (number, codec))
    }

    /// The payload type of telephone events, where negotiated.
    pub fn telephone_event(&self) -> Option<u8> {
        self.iter().find(|(_, codec, _)| *codec == Codec::TelephoneEvent).map(|(number, ..)| number)
    }

    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let sound = |entry: &PayloadMapping| {
            entry.codec == 0
                || (Codec::from_number(entry.codec).is_some()
                    && entry.payload_type < 128
                    && entry.peer_payload_type < 128)
        };
        if self.entries.iter().all(sound) { Ok(()) } else { Err(Invalid::Field("payloads")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_audio_is_what_is_sent() {
        let mut map = PayloadMap::default();
        assert!(map.push(101, Codec::TelephoneEvent) && map.push(8, Codec::Pcma) && map.push(0, Codec::Pcmu));
        assert_eq!(map.audio(), Some((8, Codec::Pcma)));
        assert_eq!(map.telephone_event(), Some(101));
        assert!(!map.push(128, Codec::Pcmu));
        assert!(map.check().is_ok());
    }
}
