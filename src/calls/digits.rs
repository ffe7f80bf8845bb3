//! What becomes of the digits of a peer on their way to the other side of its call.

/// What the other side of a call gets of the digits of a peer ([`crate::api::Call::set_digits`]).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DigitPassing {
    /// All of them.
    Passed,
    /// None: tones are cut out of the sound once they are noticed.
    Consumed,
    /// This digit for each: `0-9`, `*`, `#`, `A-D`.
    Masked(char),
}

impl DigitPassing {
    /// A sign that is no digit becomes a number that is none, which the session refuses.
    pub(crate) fn to_contract(self) -> contract::DigitPassing {
        match self {
            Self::Passed => contract::DigitPassing::Pass,
            Self::Consumed => contract::DigitPassing::Remove,
            Self::Masked(sign) => {
                let number = "0123456789*#ABCD".find(sign.to_ascii_uppercase());
                contract::DigitPassing::Replace(number.map_or(u8::MAX, |number| number as u8))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_digit_has_its_number_and_other_signs_have_none() {
        for (sign, number) in [('0', 0), ('9', 9), ('*', 10), ('#', 11), ('d', 15), ('x', u8::MAX), ('\u{e9}', u8::MAX)]
        {
            assert_eq!(DigitPassing::Masked(sign).to_contract(), contract::DigitPassing::Replace(number), "{sign}");
        }
        assert_eq!(DigitPassing::Consumed.to_contract(), contract::DigitPassing::Remove);
    }
}
