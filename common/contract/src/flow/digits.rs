//! What a leg does with the digits of its peer, and with those for its peer.

use crate::Invalid;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The digits of a leg in one byte. By default tones are not looked for, digits pass, and the media plane sends those for the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DigitRules(u8);

/// What becomes of a digit of the peer on its way to the legs that hear this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DigitPassing {
    /// It goes on, converted where the other leg cannot take it as it is.
    #[default]
    Pass,
    /// It goes to no other leg; tones in the sound are replaced by silence once they are noticed.
    Remove,
    /// As [`Self::Remove`], and this digit (0 to 15) is sent in its place, as long as the peer's.
    Replace(u8),
}

const LISTENS: u8 = 1;
const PASSING_SHIFT: u32 = 1;
const BY_SIGNALING: u8 = 8;
const REPLACEMENT_SHIFT: u32 = 4;

impl DigitRules {
    /// The sound of the peer is searched for the tones of digits (ITU-T Q.24).
    pub fn listening(self, listens: bool) -> Self {
        Self(if listens { self.0 | LISTENS } else { self.0 & !LISTENS })
    }

    /// What becomes of digits on their way to other legs.
    pub fn with_passing(self, passing: DigitPassing) -> Self {
        let (number, digit) = match passing {
            DigitPassing::Pass => (0, 0),
            DigitPassing::Remove => (1, 0),
            DigitPassing::Replace(digit) => (2, digit & 0xf),
        };
        Self(self.0 & (LISTENS | BY_SIGNALING) | number << PASSING_SHIFT | digit << REPLACEMENT_SHIFT)
    }

    /// Without telephone events, digits of other legs reach this peer by signaling (INFO): the media plane neither makes tones
    /// of them nor lets their tones pass.
    pub fn sent_by_signaling(self, by_signaling: bool) -> Self {
        Self(if by_signaling { self.0 | BY_SIGNALING } else { self.0 & !BY_SIGNALING })
    }

    /// Whether the sound of the peer is searched for tones.
    pub fn listens(self) -> bool {
        self.0 & LISTENS != 0
    }

    /// What becomes of digits on their way to other legs. Checked rules always say it.
    pub fn passing(self) -> DigitPassing {
        match self.0 >> PASSING_SHIFT & 3 {
            0 => DigitPassing::Pass,
            2 => DigitPassing::Replace(self.0 >> REPLACEMENT_SHIFT),
            _ => DigitPassing::Remove,
        }
    }

    /// Whether digits for the peer of a leg without telephone events are left to signaling.
    pub fn are_sent_by_signaling(self) -> bool {
        self.0 & BY_SIGNALING != 0
    }

    /// As a byte, for who keeps them.
    pub fn to_byte(self) -> u8 {
        self.0
    }

    /// From a byte that may be anybody's.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self(byte).check().is_ok().then_some(Self(byte))
    }

    pub(crate) fn check(self) -> Result<(), Invalid> {
        let again = Self::default()
            .listening(self.listens())
            .sent_by_signaling(self.are_sent_by_signaling())
            .with_passing(self.passing());
        if again == self { Ok(()) } else { Err(Invalid::Field("digits")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_come_back_as_they_went_and_nonsense_is_refused() {
        for passing in [DigitPassing::Pass, DigitPassing::Remove, DigitPassing::Replace(0), DigitPassing::Replace(15)] {
            for (listens, by_signaling) in [(false, false), (false, true), (true, false), (true, true)] {
                let rules = DigitRules::default().listening(listens).sent_by_signaling(by_signaling);
                let rules = rules.with_passing(DigitPassing::Replace(9)).with_passing(passing);
                let told = (rules.listens(), rules.are_sent_by_signaling(), rules.passing());
                assert_eq!((told, rules.check()), ((listens, by_signaling, passing), Ok(())));
            }
        }
        // Four digits instead of none in "pass" and "remove", and the fourth passing.
        let sound = (0..=u8::MAX).filter(|byte| DigitRules(*byte).check().is_ok()).count();
        assert_eq!(sound, 4 * (1 + 1 + 16));
    }
}
