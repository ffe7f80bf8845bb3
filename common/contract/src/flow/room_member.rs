use crate::LegRef;

/// A leg's part in a room: a conference of up to [`RoomMember::COUNT_MAX`] legs, all on one worker. A room is there as long as
/// it has members.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoomMember {
    /// Which room: any number but 0. All clients of the media plane whose legs name the same number meet, as the shards of one
    /// switch have to; clients that are not to meet draw numbers that no other one can guess.
    pub room: u32,
    /// The others do not hear it.
    pub is_muted: bool,
    /// It hears nothing.
    pub is_deaf: bool,
    /// It is heard also where others are louder: an announcement.
    pub is_always_heard: bool,
    /// The others hear a tone when it joins, and another one when it leaves.
    pub is_announced: bool,
    /// It hears a tone every five seconds while it is alone in the room.
    pub hears_waiting: bool,
    /// Its client is told when it begins and when it ceases to speak ([`crate::Event::Speaking`]).
    pub tells_speaking: bool,
    /// How much louder the others hear it, decibels: [`RoomMember::GAIN_DB`].
    pub gain_db: i8,
    /// The member that alone hears it, as a supervisor whispers to an agent; nobody does while that is not in the room. None:
    /// all others hear it.
    pub heard_by: LegRef,
}

impl RoomMember {
    /// Most members of a room.
    pub const COUNT_MAX: u16 = 100;
    /// Gains that a member may have, decibels.
    pub const GAIN_DB: std::ops::RangeInclusive<i8> = -60..=12;

    /// A member that all others hear as it is, and that hears them.
    pub fn of(room: u32) -> Self {
        Self {
            room,
            is_muted: false,
            is_deaf: false,
            is_always_heard: false,
            is_announced: false,
            hears_waiting: false,
            tells_speaking: false,
            gain_db: 0,
            heard_by: LegRef::NONE,
        }
    }
}
