use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Names a player: what makes the sound of a leg whose source is no other leg. The client that has it begin draws the number,
/// unique among its players. A leg whose flow names another player than before begins with the new one, also where both have
/// the same sound; one that names the same player goes on with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct PlayerId(u64);

impl PlayerId {
    /// No player; or, beside a sound, one without a name, which goes on until the sound is another one.
    pub const NONE: PlayerId = PlayerId(0);

    /// The player with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether it names none.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}
