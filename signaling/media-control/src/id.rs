//! Handles of legs and numbers of commands.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

/// Names a leg of one [`crate::Legs`]; a handle of a leg that is gone finds nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LegId {
    // First, so that the older of two legs is the smaller one.
    generation: NonZeroU32,
    slot: u16,
}

impl LegId {
    pub(crate) fn new(slot: u16, generation: NonZeroU32) -> Self {
        Self { generation, slot }
    }

    pub(crate) fn slot(self) -> usize {
        self.slot.into()
    }
}

/// The number of a command, unique among the commands of one [`crate::Legs`]. The media plane echoes it in the answer. Of
/// two updates of one leg the later one has the greater number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CommandNumber(NonZeroU64);

/// Low bits of a number that name the place of the command's leg.
const SLOT_BITS: u32 = 16;

impl CommandNumber {
    /// The command with this serial number, from 1, for the leg in this place.
    pub(crate) fn new(serial: u64, slot: usize) -> Self {
        let number = serial << SLOT_BITS | slot as u64 & ((1 << SLOT_BITS) - 1);
        Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN))
    }

    /// From an answer; `None` where it names no command.
    pub(crate) fn from_answer(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    pub(crate) fn slot(self) -> usize {
        (self.0.get() & ((1 << SLOT_BITS) - 1)) as usize
    }

    /// As commands and answers carry it.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for CommandNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.get() >> SLOT_BITS, self.slot())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_name_the_place_of_their_leg_and_grow() {
        let (first, second) = (CommandNumber::new(1, 65_535), CommandNumber::new(2, 0));
        assert_eq!((first.slot(), second.slot()), (65_535, 0));
        assert!(first < second);
        assert_eq!(CommandNumber::from_answer(first.get()), Some(first));
        assert_eq!(CommandNumber::from_answer(0), None);
        assert_eq!(size_of::<Option<LegId>>(), 8);
    }
}
