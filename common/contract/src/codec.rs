use crate::{ClockRate, Invalid};
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
    /// G.722 at 64 kbit/s: 16 kHz sound, which RTP counts with a clock of 8,000 Hz (RFC 3551 §4.5.2).
    G722 = 4,
    /// Opus (RFC 6716), which RTP counts with 48,000 Hz at every rate of its sound (RFC 7587 §4.1).
    Opus = 5,
    /// Anything else: relayed, never decoded.
    Other = 255,
}

impl Codec {
    /// Each once.
    pub const ALL: [Self; 6] = [Self::Pcmu, Self::Pcma, Self::G722, Self::Opus, Self::TelephoneEvent, Self::Other];

    /// From the layout's number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| *codec as u8 == number)
    }

    /// The RTP clock that the codec is registered with. A named event has the clock of the audio beside it, and what is
    /// only relayed has the one that its session description says; both are told by the format, and this is their default.
    pub fn clock_rate(self) -> ClockRate {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 | Self::TelephoneEvent | Self::Other => ClockRate::default(),
            Self::Opus => ClockRate::HZ_48000,
        }
    }

    /// The channels that `a=rtpmap` names: two for Opus, whatever it carries (RFC 7587 §7).
    pub fn channel_count(self) -> u8 {
        if self == Self::Opus { 2 } else { 1 }
    }

    /// The payload type that RFC 3551 §6 gives it for good.
    pub fn static_payload_type(self) -> Option<u8> {
        match self {
            Self::Pcmu => Some(0),
            Self::Pcma => Some(8),
            Self::G722 => Some(9),
            Self::Opus | Self::TelephoneEvent | Self::Other => None,
        }
    }

    /// Whether it carries sound that the media plane understands.
    pub fn is_audio(self) -> bool {
        !matches!(self, Self::TelephoneEvent | Self::Other)
    }

    /// The encoding name of SDP, as registered with IANA.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
            Self::TelephoneEvent => "telephone-event",
            Self::Other => "other",
        }
    }
}

/// One payload type of a leg: what it carries, and as which payload type it leaves on the peer leg of a relay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PayloadMapping {
    /// Payload type on this leg, 0 to 127.
    pub payload_type: u8,
    /// What it carries.
    pub codec: Codec,
    /// Payload type on the peer leg of a relay, or [`PayloadMapping::NOT_THERE`].
    pub peer_payload_type: u8,
    /// Ticks of its RTP clock in a second.
    pub clock_rate: ClockRate,
}

impl PayloadMapping {
    /// The peer leg of a relay does not have this codec: it is sent what the packets hold in one that it has.
    pub const NOT_THERE: u8 = 0x80;
}

/// The payload types that a leg takes, most preferred first: the first audio codec is the one it sends.
#[derive(Clone, Copy, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PayloadMap {
    entries: [Entry; PayloadMap::CAPACITY],
}

impl PartialEq for PayloadMap {
    /// As bytes: signaling compares maps many times in a call.
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

/// A [`PayloadMapping`] in three bytes: each session and each leg keeps sixteen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Entry {
    payload_type: u8,
    /// 0 ends the list. [`EVENT_KIND`] or [`OTHER_KIND`] and the number of the clock, or a codec that has only one clock.
    kind: u8,
    peer_payload_type: u8,
}

/// A named event, in the clock of the audio beside it.
const EVENT_KIND: u8 = 0xe0;
/// What is only relayed, in the clock that its session description says.
const OTHER_KIND: u8 = 0xf0;
const _: () = assert!(ClockRate::ALL.len() <= 16, "the number of a clock has four bits");

impl PayloadMap {
    /// Most payload types of one leg.
    pub const CAPACITY: usize = 16;

    /// Adds a payload type that keeps its number on the peer leg; refuses (`false`) when full or out of range.
    pub fn push(&mut self, payload_type: u8, codec: Codec) -> bool {
        self.push_mapped(payload_type, codec, payload_type)
    }

    /// Adds a payload type and the one that it gets on the peer leg; refuses (`false`) when full or out of range.
    pub fn push_mapped(&mut self, payload_type: u8, codec: Codec, peer_payload_type: u8) -> bool {
        let clock_rate = codec.clock_rate();
        self.push_entry(PayloadMapping { payload_type, codec, peer_payload_type, clock_rate })
    }

    /// Adds a payload type in one of several clocks of its codec; refuses (`false`) when full or out of range.
    pub fn push_clocked(&mut self, payload_type: u8, codec: Codec, clock_rate: ClockRate) -> bool {
        self.push_entry(PayloadMapping { payload_type, codec, peer_payload_type: payload_type, clock_rate })
    }

    /// Adds a payload type with all that is known of it; refuses (`false`) when full or out of range.
    pub fn push_entry(&mut self, mapping: PayloadMapping) -> bool {
        let free = self.entries.iter_mut().find(|entry| entry.kind == 0);
        let (Some(place), Some(entry)) = (free, Entry::pack(mapping)) else { return false };
        *place = entry;
        true
    }

    /// All that is known of each payload type, in order of preference.
    pub fn entries(&self) -> impl Iterator<Item = PayloadMapping> + '_ {
        self.entries.iter().map_while(|entry| entry.unpack())
    }

    /// Payload type, codec and payload type on the peer leg, in order of preference.
    pub fn iter(&self) -> impl Iterator<Item = (u8, Codec, u8)> + '_ {
        self.entries().map(|mapping| (mapping.payload_type, mapping.codec, mapping.peer_payload_type))
    }

    /// The same payload types, each with the number that its codec has among those of the leg that gets the packets. Sound
    /// of which the other leg has to be sent another codec, and telephone events that it has in another clock only, are [`PayloadMapping::NOT_THERE`]; what nobody understands, and
    /// all of them without another leg, keep their number.
    pub fn mapped_to(&self, sink: Option<&Self>) -> Self {
        let mut mapped = *self;
        let has_audio = sink.is_some_and(|sink| sink.audio().is_some_and(|(_, codec)| codec.is_audio()));
        let has_events = sink.is_some_and(|sink| sink.telephone_event().is_some());
        let sink = sink.map_or(&[][..], |sink| &sink.entries);
        for entry in mapped.entries.iter_mut().take_while(|entry| entry.kind != 0) {
            let there = sink.iter().find(|there| there.kind == entry.kind);
            let is_understood = entry.unpack().is_some_and(|mapping| match mapping.codec {
                Codec::TelephoneEvent => has_events,
                codec => has_audio && codec.is_audio(),
            });
            let otherwise = if is_understood { PayloadMapping::NOT_THERE } else { entry.payload_type };
            entry.peer_payload_type = there.map_or(otherwise, |there| there.payload_type);
        }
        mapped
    }

    /// Whether both have the same payload types in the same order, whatever numbers these have on other legs.
    pub fn has_same_types(&self, other: &Self) -> bool {
        let mut pairs = self.entries.iter().zip(&other.entries).take_while(|(one, two)| (one.kind | two.kind) != 0);
        pairs.all(|(one, two)| (one.payload_type, one.kind) == (two.payload_type, two.kind))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries[0].kind == 0
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
        let is_sound = |entry: &Entry| *entry == Entry::default() || entry.unpack().is_some();
        if self.entries.iter().all(is_sound) { Ok(()) } else { Err(Invalid::Field("payloads")) }
    }
}

impl Entry {
    /// `None` for a payload type out of range, or a clock that the codec does not have.
    fn pack(mapping: PayloadMapping) -> Option<Self> {
        let PayloadMapping { payload_type, codec, peer_payload_type, clock_rate } = mapping;
        let clock = clock_rate.number() as u8;
        let kind = match codec {
            Codec::TelephoneEvent => EVENT_KIND | clock,
            Codec::Other => OTHER_KIND | clock,
            codec if clock_rate == codec.clock_rate() => codec as u8,
            _ => return None,
        };
        (payload_type < 128 && peer_payload_type <= PayloadMapping::NOT_THERE).then_some(Self {
            payload_type,
            kind,
            peer_payload_type,
        })
    }

    /// `None` for the end of the list, and for what makes no sense.
    fn unpack(self) -> Option<PayloadMapping> {
        let Self { payload_type, kind, peer_payload_type } = self;
        let clock = ClockRate::ALL.get(usize::from(kind & 0xf)).copied();
        let (codec, clock_rate) = match kind & 0xf0 {
            EVENT_KIND => (Codec::TelephoneEvent, clock?),
            OTHER_KIND => (Codec::Other, clock?),
            _ => {
                let codec = Codec::from_number(kind)?;
                (codec, codec.clock_rate())
            }
        };
        let is_sound = payload_type < 128
            && peer_payload_type <= PayloadMapping::NOT_THERE
            && !(kind < EVENT_KIND && codec == Codec::TelephoneEvent);
        is_sound.then_some(PayloadMapping { payload_type, codec, peer_payload_type, clock_rate })
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

    #[test]
    fn a_map_gets_the_numbers_of_the_leg_that_takes_the_packets() {
        let clock_rate = ClockRate::from_hz(48_000).unwrap();
        let map_of = |events: u8, opus: u8| {
            let mut map = PayloadMap::default();
            assert!(map.is_empty() && map.push(8, Codec::Pcma) && map.push(events, Codec::TelephoneEvent));
            let opus = PayloadMapping { payload_type: opus, codec: Codec::Other, peer_payload_type: opus, clock_rate };
            assert!(map.push_entry(opus) && !map.is_empty());
            map
        };
        let (here, there) = (map_of(101, 96), map_of(97, 98));
        let mapped = here.mapped_to(Some(&there));
        let numbers: Vec<_> = mapped.iter().map(|(own, _, other)| (own, other)).collect();
        assert_eq!(numbers, [(8, 8), (101, 97), (96, 98)]);
        assert!(
            mapped.entries().all(|mapping| mapping.clock_rate
                == there.entries().find(|it| it.codec == mapping.codec).unwrap().clock_rate)
        );
        assert_eq!((mapped.mapped_to(None), mapped == here), (here, false));
        assert!(mapped.has_same_types(&here) && !here.has_same_types(&there));
        assert!(!here.has_same_types(&PayloadMap::default()));
        let mut other_clock = PayloadMap::default();
        assert!(other_clock.push(99, Codec::Other));
        assert_eq!(here.mapped_to(Some(&other_clock)), here, "the same codec with another clock is another format");
    }

    #[test]
    fn sixteen_fit_and_a_relayed_codec_keeps_its_clock() {
        let mut map = PayloadMap::default();
        let clock_rate = ClockRate::from_hz(48_000).unwrap();
        let opus = PayloadMapping { payload_type: 96, codec: Codec::Other, peer_payload_type: 97, clock_rate };
        assert!(map.push_entry(opus));
        assert!((0..15).all(|number| map.push(100 + number, Codec::Pcmu)) && !map.push(0, Codec::Pcmu));
        assert_eq!((map.entries().count(), map.entries().next()), (16, Some(opus)));
        assert!(
            !PayloadMap::default().push_entry(PayloadMapping { codec: Codec::Pcmu, ..opus }),
            "G.711 has one clock"
        );
    }
}
