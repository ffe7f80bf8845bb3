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
    /// Samples as they are (RFC 3551 §4.5.11), one channel of 8 kHz.
    L16Narrow = 6,
    /// The same with 16 kHz.
    L16Wide = 7,
    /// The same with 24 kHz.
    L16SuperWide = 8,
    /// Anything else: relayed, never decoded.
    Other = 255,
}

impl Codec {
    /// Each once.
    pub const ALL: [Self; 9] = [
        Self::Pcmu,
        Self::Pcma,
        Self::G722,
        Self::Opus,
        Self::L16Narrow,
        Self::L16Wide,
        Self::L16SuperWide,
        Self::TelephoneEvent,
        Self::Other,
    ];
    /// L16 at every rate that the media plane understands.
    pub const L16: [Self; 3] = [Self::L16Wide, Self::L16Narrow, Self::L16SuperWide];

    /// From the layout's number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| *codec as u8 == number)
    }

    /// The RTP clock that the codec is registered with. A named event has the clock of the audio beside it, and what is
    /// only relayed has the one that its session description says; both are told by the format, and this is their default.
    pub const fn clock_rate(self) -> ClockRate {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 | Self::L16Narrow | Self::TelephoneEvent | Self::Other => {
                ClockRate::HZ_8000
            }
            Self::L16Wide => ClockRate::HZ_16000,
            Self::L16SuperWide => ClockRate::HZ_24000,
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
            _ => None,
        }
    }

    /// Milliseconds of sound for which a packet has room: 1,440 bytes of samples; others take any packet time.
    pub fn ptime_ms_max(self) -> u8 {
        match self {
            Self::L16Wide => 40,
            Self::L16SuperWide => 30,
            _ => u8::MAX,
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
            Self::L16Narrow | Self::L16Wide | Self::L16SuperWide => "L16",
            Self::TelephoneEvent => "telephone-event",
            Self::Other => "other",
        }
    }
}

/// Tells formats apart that the media plane only relays ([`Codec::Other`]): a hash of the name, the clock, the channels and
/// the parameters in which two sides have to agree. Codecs that the media plane understands have none, which is all zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct FormatId([u8; 4]);

impl FormatId {
    /// Of a codec that the media plane understands, or of packets that no session description names.
    pub const NONE: Self = Self([0; 4]);

    /// From a hash of what has to be equal. `is_restricted`: of the two modes in which both sides may use the format it is
    /// the one that every peer takes, such as 30 ms of iLBC or G.729 without Annex B.
    pub fn new(hash: u64, is_restricted: bool) -> Self {
        let folded = (hash ^ hash >> 32) as u32;
        Self(((folded << 1 | u32::from(is_restricted)).max(2)).to_le_bytes())
    }

    /// The same format, whichever of its two modes it is in.
    pub fn is_same_format(self, other: Self) -> bool {
        (u32::from_le_bytes(self.0) ^ u32::from_le_bytes(other.0)) <= 1
    }

    /// As bytes, for what is stored.
    pub fn to_bytes(self) -> [u8; 4] {
        self.0
    }

    /// From [`Self::to_bytes`].
    pub fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
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
    /// Which of the formats that are only relayed it is; [`FormatId::NONE`] for every other codec.
    pub format: FormatId,
}

impl PayloadMapping {
    /// The peer leg of a relay does not have this format: it is sent what the packets hold in a codec that it has, or
    /// nothing where they cannot be decoded.
    pub const NOT_THERE: u8 = 0x80;

    /// A payload type with the one clock of its codec, which keeps its number on the peer leg.
    pub fn of(payload_type: u8, codec: Codec) -> Self {
        let (clock_rate, format) = (codec.clock_rate(), FormatId::NONE);
        Self { payload_type, codec, peer_payload_type: payload_type, clock_rate, format }
    }

    /// Whether both carry the same format, by whatever numbers.
    pub fn is_same_format(&self, other: &Self) -> bool {
        (self.codec, self.clock_rate) == (other.codec, other.clock_rate) && self.format.is_same_format(other.format)
    }
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

/// A [`PayloadMapping`] in seven bytes: each session keeps sixteen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Entry {
    payload_type: u8,
    /// 0 ends the list. [`EVENT_KIND`] or [`OTHER_KIND`] and the number of the clock, or a codec that has only one clock.
    kind: u8,
    peer_payload_type: u8,
    format: FormatId,
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
        self.push_entry(PayloadMapping { peer_payload_type, ..PayloadMapping::of(payload_type, codec) })
    }

    /// Adds a payload type in one of several clocks of its codec; refuses (`false`) when full or out of range.
    pub fn push_clocked(&mut self, payload_type: u8, codec: Codec, clock_rate: ClockRate) -> bool {
        self.push_entry(PayloadMapping { clock_rate, ..PayloadMapping::of(payload_type, codec) })
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

    /// The same payload types, each with the number that its format has among those of the leg that gets the packets. Sound
    /// of which the other leg has to be sent another codec, or that it cannot be sent at all, and telephone events that it
    /// has in another clock only, are [`PayloadMapping::NOT_THERE`]; telephone events of which it has none, and all of them
    /// without another leg, keep their number.
    pub fn mapped_to(&self, sink: Option<&Self>) -> Self {
        let mut mapped = *self;
        let has_events = sink.is_some_and(|sink| sink.telephone_event().is_some());
        for entry in mapped.entries.iter_mut().take_while(|entry| entry.kind != 0) {
            entry.peer_payload_type = entry.payload_type;
            let Some(sink) = sink else { continue };
            let there = sink.entries.iter().find(|there| (there.kind, there.format) == (entry.kind, entry.format));
            let is_event = entry.kind & 0xf0 == EVENT_KIND;
            let otherwise = if is_event && !has_events { entry.payload_type } else { PayloadMapping::NOT_THERE };
            entry.peer_payload_type = there.map_or(otherwise, |there| there.payload_type);
        }
        mapped
    }

    /// The payload types that a rule leaves, in their order.
    pub fn only(&self, is_left: impl Fn(&PayloadMapping) -> bool) -> Self {
        let mut left = Self::default();
        for entry in self.entries().filter(is_left) {
            left.push_entry(entry);
        }
        left
    }

    /// Whether both have the same payload types in the same order, whatever numbers these have on other legs.
    pub fn has_same_types(&self, other: &Self) -> bool {
        let mut pairs = self.entries.iter().zip(&other.entries).take_while(|(one, two)| (one.kind | two.kind) != 0);
        pairs.all(|(one, two)| (one.payload_type, one.kind, one.format) == (two.payload_type, two.kind, two.format))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries[0].kind == 0
    }

    /// The audio codec that both sides prefer, with its payload type; it may be one that is only relayed.
    pub fn audio(&self) -> Option<(u8, Codec)> {
        self.iter().find(|(_, codec, _)| *codec != Codec::TelephoneEvent).map(|(number, codec, _)| (number, codec))
    }

    /// The first codec whose sound the media plane understands, with its payload type: what it sends by itself.
    pub fn decodable(&self) -> Option<(u8, Codec)> {
        self.iter().find(|(_, codec, _)| codec.is_audio()).map(|(number, codec, _)| (number, codec))
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
        let PayloadMapping { payload_type, codec, peer_payload_type, clock_rate, format } = mapping;
        let clock = clock_rate.number() as u8;
        let kind = match codec {
            Codec::TelephoneEvent => EVENT_KIND | clock,
            Codec::Other => OTHER_KIND | clock,
            codec if clock_rate == codec.clock_rate() => codec as u8,
            _ => return None,
        };
        let is_sound = payload_type < 128
            && peer_payload_type <= PayloadMapping::NOT_THERE
            && (codec == Codec::Other || format == FormatId::NONE);
        is_sound.then_some(Self { payload_type, kind, peer_payload_type, format })
    }

    /// `None` for the end of the list, and for what makes no sense.
    fn unpack(self) -> Option<PayloadMapping> {
        let Self { payload_type, kind, peer_payload_type, format } = self;
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
            && !(kind < EVENT_KIND && codec == Codec::TelephoneEvent)
            && (codec == Codec::Other || format == FormatId::NONE);
        is_sound.then_some(PayloadMapping { payload_type, codec, peer_payload_type, clock_rate, format })
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
            let opus = PayloadMapping { clock_rate, ..PayloadMapping::of(opus, Codec::Other) };
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
        let numbers: Vec<_> = here.mapped_to(Some(&other_clock)).iter().map(|(own, _, other)| (own, other)).collect();
        let none = PayloadMapping::NOT_THERE;
        assert_eq!(numbers, [(8, none), (101, 101), (96, none)], "the same codec with another clock is another format");
    }

    #[test]
    fn formats_that_are_only_relayed_are_told_apart() {
        let (amr, speex) = (FormatId::new(0x1234_5678_9abc_def0, false), FormatId::new(7, false));
        let relayed =
            |payload_type, format| PayloadMapping { format, ..PayloadMapping::of(payload_type, Codec::Other) };
        let map = |entries: &[PayloadMapping]| {
            let mut map = PayloadMap::default();
            assert!(entries.iter().all(|entry| map.push_entry(*entry)) && map.check().is_ok());
            map
        };
        let here = map(&[relayed(96, amr), relayed(97, speex)]);
        let there = map(&[relayed(110, speex)]);
        let numbers: Vec<_> = here.mapped_to(Some(&there)).iter().map(|(_, _, other)| other).collect();
        assert_eq!(numbers, [PayloadMapping::NOT_THERE, 110], "one is not sent as the other");
        assert!(!here.has_same_types(&map(&[relayed(96, speex), relayed(97, amr)])));
        assert_eq!((here.audio(), here.decodable()), (Some((96, Codec::Other)), None));
        assert_eq!(map(&[relayed(96, amr), PayloadMapping::of(0, Codec::Pcmu)]).decodable(), Some((0, Codec::Pcmu)));
        let restricted = FormatId::new(0x1234_5678_9abc_def0, true);
        assert!(amr.is_same_format(restricted) && amr != restricted && !amr.is_same_format(speex));
        assert!(FormatId::new(0, false) != FormatId::NONE && !FormatId::new(0, true).is_same_format(FormatId::NONE));
        assert_eq!(FormatId::from_bytes(amr.to_bytes()), amr);
        assert!(!PayloadMap::default().push_entry(PayloadMapping { codec: Codec::Pcmu, ..relayed(0, amr) }));
    }

    #[test]
    fn sixteen_fit_and_a_relayed_codec_keeps_its_clock() {
        let mut map = PayloadMap::default();
        let clock_rate = ClockRate::from_hz(48_000).unwrap();
        let opus = PayloadMapping { clock_rate, peer_payload_type: 97, ..PayloadMapping::of(96, Codec::Other) };
        assert!(map.push_entry(opus));
        assert!((0..15).all(|number| map.push(100 + number, Codec::Pcmu)) && !map.push(0, Codec::Pcmu));
        assert_eq!((map.entries().count(), map.entries().next()), (16, Some(opus)));
        assert!(
            !PayloadMap::default().push_entry(PayloadMapping { codec: Codec::Pcmu, ..opus }),
            "G.711 has one clock"
        );
    }
}
