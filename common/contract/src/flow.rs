mod announcement;
mod digits;
mod room_member;

pub use announcement::{AnnouncedSound, Announcement};
pub use digits::{DigitPassing, DigitRules};
pub use room_member::RoomMember;

use crate::{Invalid, LegRef, PlayerId};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a leg sends, and which way media flows. One of the three parts of a [`crate::LegSpec`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FlowSpec {
    /// What the leg sends.
    pub source: SourceSlot,
    /// The player that makes it; none where it is another leg, or nothing.
    pub player: PlayerId,
    /// SSRC of what we send; 0: the media plane draws one. Ignored by a relay that does not rewrite.
    pub ssrc: u32,
    /// A [`Direction`] as number.
    pub direction: u8,
    /// A [`Rewriting`] as number; only a relay looks at it.
    pub rewriting: u8,
    /// 1: what we make is replaced by silence, and keeps flowing.
    pub muted: u8,
    /// What becomes of the digits of the peer, and who sends those for the peer.
    pub digits: DigitRules,
}

impl Default for FlowSpec {
    fn default() -> Self {
        Self {
            source: Source::None.into(),
            player: PlayerId::NONE,
            ssrc: 0,
            direction: Direction::Both as u8,
            rewriting: Rewriting::None as u8,
            muted: 0,
            digits: DigitRules::default(),
        }
    }
}

/// Which way media flows, seen from us (RFC 3264 §5.1, with the sides swapped in an answer).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Direction {
    /// Neither way.
    Inactive = 0,
    /// We only send.
    Send = 1,
    /// We only receive.
    Receive = 2,
    /// Both ways.
    Both = 3,
}

impl Direction {
    /// Whether we send.
    pub fn sends(self) -> bool {
        matches!(self, Self::Send | Self::Both)
    }

    /// Whether we listen.
    pub fn receives(self) -> bool {
        matches!(self, Self::Receive | Self::Both)
    }
}

/// What a relay does to SSRC, sequence number and timestamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Rewriting {
    /// Passes them on, byte for byte.
    None = 0,
    /// One SSRC of ours, continuous over every change of source.
    Continuous = 1,
}

/// What a leg sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// Nothing.
    None,
    /// Silence, as packets.
    Silence,
    /// A sine of 440 Hz.
    Tone440,
    /// The European ringing tone: 425 Hz, 1 s on, 4 s off (ETSI TR 101 041-2).
    Ringing,
    /// A prompt of the media process, by its index in the configuration's order.
    Prompt(u32),
    /// A prompt from a place in it, several times, louder or more quiet.
    PromptPlay(PromptPlay),
    /// A tone of a country's network.
    CallTone(NamedTone),
    /// What another leg of the same worker receives. The leg itself: echo.
    Leg(LegRef),
    /// The other members of a room of the same worker. The leg is a member of it as long as this is its source.
    Room(RoomMember),
}

/// How a prompt is played that is not to be heard once, from its beginning, as loud as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PromptPlay {
    /// The prompt, by its index in the configuration's order.
    pub prompt: u32,
    /// Where it begins, in milliseconds; behind the end of the first time, the second one, and so on.
    pub start_ms: u32,
    /// How often it is played; 0: again and again.
    pub times: u16,
    /// Decibels that are added to its level, one of [`Self::GAINS_DB`].
    pub gain_db: i8,
}

impl PromptPlay {
    /// From hardly audible to ten times the amplitude.
    pub const GAINS_DB: std::ops::RangeInclusive<i8> = -60..=20;

    /// Once, from its beginning, as loud as it is.
    pub fn once(prompt: u32) -> Self {
        Self { prompt, start_ms: 0, times: 1, gain_db: 0 }
    }
}

/// A tone of a telephone network (ITU-T E.180).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NamedTone {
    /// The country, by its two letters of ISO 3166 in lower case.
    pub country: [u8; 2],
    /// What the tone tells.
    pub meaning: ToneMeaning,
}

/// What a tone of a network tells the caller.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum ToneMeaning {
    /// A number may be dialled.
    Dial = 0,
    /// The called phone rings.
    Ringing = 1,
    /// The called party talks already.
    Busy = 2,
    /// The network has no way to the called party now.
    Congestion = 3,
    /// The call cannot be made for a reason that an announcement tells.
    SpecialInformation = 4,
}

impl ToneMeaning {
    /// All of them, by number.
    pub const ALL: [Self; 5] = [Self::Dial, Self::Ringing, Self::Busy, Self::Congestion, Self::SpecialInformation];
}

impl NamedTone {
    /// As one number.
    pub fn number(self) -> u32 {
        u32::from_le_bytes([self.country[0], self.country[1], self.meaning as u8, 0])
    }

    /// From such a number.
    pub fn from_number(number: u32) -> Option<Self> {
        let [first, second, meaning, rest] = number.to_le_bytes();
        let is_country = first.is_ascii_lowercase() && second.is_ascii_lowercase();
        let meaning = ToneMeaning::ALL.get(usize::from(meaning)).copied()?;
        (is_country && rest == 0).then_some(Self { country: [first, second], meaning })
    }
}

impl Source {
    /// The prompt that is played, and how.
    pub fn prompt(self) -> Option<PromptPlay> {
        match self {
            Self::Prompt(prompt) => Some(PromptPlay::once(prompt)),
            Self::PromptPlay(play) => Some(play),
            _ => None,
        }
    }

    /// Whether a player of the media plane makes it.
    pub fn is_played(self) -> bool {
        !matches!(self, Self::None | Self::Leg(_) | Self::Room(_))
    }
}

/// A [`Source`] in its fixed layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SourceSlot {
    kind: u16,
    /// Of a member of a room: [`IS_MUTED`] and the bits that follow it.
    part: u8,
    /// Of a member of a room, or of a prompt.
    gain_db: i8,
    /// A prompt, a room or a tone.
    number: u32,
    /// The leg that is heard, or that alone hears a member of a room; or where a prompt begins, and how often it is played.
    leg: LegRef,
}

const IS_MUTED: u8 = 1;
const IS_DEAF: u8 = 2;
const IS_ALWAYS_HEARD: u8 = 4;
const IS_ANNOUNCED: u8 = 8;
const HEARS_WAITING: u8 = 16;
const TELLS_SPEAKING: u8 = 32;

impl From<Source> for SourceSlot {
    fn from(source: Source) -> Self {
        let slot = |kind| SourceSlot { kind, ..Default::default() };
        match source {
            Source::None => slot(0),
            Source::Silence => slot(1),
            Source::Tone440 => slot(2),
            Source::Ringing => slot(3),
            Source::Prompt(number) => SourceSlot { number, ..slot(4) },
            Source::Leg(leg) => SourceSlot { leg, ..slot(5) },
            Source::PromptPlay(PromptPlay { prompt, start_ms, times, gain_db }) => {
                SourceSlot { number: prompt, leg: LegRef::new(start_ms, times.into()), gain_db, ..slot(7) }
            }
            Source::CallTone(tone) => SourceSlot { number: tone.number(), ..slot(8) },
            Source::Room(member) => SourceSlot {
                part: [
                    (member.is_muted, IS_MUTED),
                    (member.is_deaf, IS_DEAF),
                    (member.is_always_heard, IS_ALWAYS_HEARD),
                    (member.is_announced, IS_ANNOUNCED),
                    (member.hears_waiting, HEARS_WAITING),
                    (member.tells_speaking, TELLS_SPEAKING),
                ]
                .iter()
                .map(|(is_set, bit)| if *is_set { *bit } else { 0 })
                .sum(),
                gain_db: member.gain_db,
                number: member.room,
                leg: member.heard_by,
                ..slot(6)
            },
        }
    }
}

impl SourceSlot {
    /// The source, or `None` where the kind is unknown.
    pub fn get(self) -> Option<Source> {
        if (self.kind != 6 && self.part != 0) || (!matches!(self.kind, 6 | 7) && self.gain_db != 0) {
            return None;
        }
        Some(match self.kind {
            0 => Source::None,
            1 => Source::Silence,
            2 => Source::Tone440,
            3 => Source::Ringing,
            4 => Source::Prompt(self.number),
            5 if !self.leg.is_none() => Source::Leg(self.leg),
            7 if PromptPlay::GAINS_DB.contains(&self.gain_db) => Source::PromptPlay(PromptPlay {
                prompt: self.number,
                start_ms: self.leg.row,
                times: u16::try_from(self.leg.generation).ok()?,
                gain_db: self.gain_db,
            }),
            8 => Source::CallTone(NamedTone::from_number(self.number)?),
            6 if self.number != 0 && self.part < 64 && RoomMember::GAIN_DB.contains(&self.gain_db) => {
                Source::Room(RoomMember {
                    room: self.number,
                    is_muted: self.part & IS_MUTED != 0,
                    is_deaf: self.part & IS_DEAF != 0,
                    is_always_heard: self.part & IS_ALWAYS_HEARD != 0,
                    is_announced: self.part & IS_ANNOUNCED != 0,
                    hears_waiting: self.part & HEARS_WAITING != 0,
                    tells_speaking: self.part & TELLS_SPEAKING != 0,
                    gain_db: self.gain_db,
                    heard_by: self.leg,
                })
            }
            _ => return None,
        })
    }
}

impl FlowSpec {
    /// The direction. A checked spec always has one.
    pub fn direction(&self) -> Direction {
        use Direction::*;
        [Inactive, Send, Receive, Both][usize::from(self.direction & 3)]
    }

    /// The rewriting policy.
    pub fn rewriting(&self) -> Rewriting {
        if self.rewriting == 0 { Rewriting::None } else { Rewriting::Continuous }
    }

    /// What the leg sends.
    pub fn source(&self) -> Source {
        self.source.get().unwrap_or(Source::None)
    }

    /// Looks at every field as if a stranger had written it.
    pub fn check(&self) -> Result<(), Invalid> {
        crate::spec::check_rules(&[
            ("direction", self.direction <= 3),
            ("rewriting", self.rewriting <= 1),
            ("muted", self.muted <= 1),
            ("digits", self.digits.check().is_ok()),
            ("source", self.source.get().is_some()),
            ("player", self.player.is_none() || self.source().is_played()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_come_back_as_they_went() {
        let leg = LegRef::new(10_000, 7);
        let member = RoomMember { is_muted: true, gain_db: -6, heard_by: leg, ..RoomMember::of(7) };
        let told = RoomMember { is_announced: true, tells_speaking: true, ..member };
        let members = [
            RoomMember::of(1),
            member,
            RoomMember { is_deaf: true, is_always_heard: true, hears_waiting: true, ..member },
            told,
        ];
        let play = PromptPlay { prompt: 3, start_ms: u32::MAX, times: 7, gain_db: -60 };
        let tone = NamedTone { country: *b"gb", meaning: ToneMeaning::SpecialInformation };
        let sources = [
            Source::None,
            Source::Tone440,
            Source::Ringing,
            Source::Prompt(3),
            Source::Leg(leg),
            Source::PromptPlay(play),
            Source::PromptPlay(PromptPlay { gain_db: 20, times: 0, ..play }),
            Source::CallTone(tone),
        ];
        for source in sources.into_iter().chain(members.map(Source::Room)) {
            assert_eq!(SourceSlot::from(source).get(), Some(source));
        }
        for broken in [RoomMember::of(0), RoomMember { gain_db: 13, ..member }, RoomMember { gain_db: -61, ..member }] {
            assert_eq!(SourceSlot::from(Source::Room(broken)).get(), None);
        }
        let broken = FlowSpec { source: SourceSlot { kind: 99, ..Default::default() }, ..Default::default() };
        assert_eq!(broken.check(), Err(Invalid::Field("source")));
        let too_loud = Source::PromptPlay(PromptPlay { gain_db: 21, ..play });
        assert_eq!(SourceSlot::from(too_loud).get(), None);
        for number in
            [0, u32::from_le_bytes(*b"gb\x05\0"), u32::from_le_bytes(*b"GB\0\0"), u32::from_le_bytes(*b"gb\0\x01")]
        {
            assert_eq!(NamedTone::from_number(number), None, "{number:x}");
        }
        for (source, is_sound) in [(Source::None, false), (Source::Leg(leg), false), (Source::Prompt(1), true)] {
            let flow = FlowSpec { source: source.into(), player: PlayerId::new(3), ..Default::default() };
            assert_eq!(flow.check().is_ok(), is_sound, "{source:?} has a player only where one makes it");
        }
    }
}
