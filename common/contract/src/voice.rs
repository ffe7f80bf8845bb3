use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const ECHO: u8 = 1;
const NOISE: u8 = 2;
const GAIN: u8 = 4;
const ACTIVITY: u8 = 8;
const ALL: u8 = ECHO | NOISE | GAIN | ACTIVITY;

/// What is done to the sound of a peer before anything else hears it: other legs, rooms, recordings and programs. Nothing by
/// default. A leg of which anything is wanted is decoded and encoded, also where its packets could be relayed as they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct VoiceProcessing(u8);

impl VoiceProcessing {
    /// The echo of what the peer was sent is taken out.
    pub fn with_echo(self, is_wanted: bool) -> Self {
        self.with(ECHO, is_wanted)
    }

    /// Noise is lowered.
    pub fn with_noise(self, is_wanted: bool) -> Self {
        self.with(NOISE, is_wanted)
    }

    /// Speech is brought to one level.
    pub fn with_gain(self, is_wanted: bool) -> Self {
        self.with(GAIN, is_wanted)
    }

    /// It is told when the peer begins and ends to speak ([`crate::Event::VoiceActivity`]).
    pub fn with_activity(self, is_wanted: bool) -> Self {
        self.with(ACTIVITY, is_wanted)
    }

    /// Whether the echo of what the peer was sent is taken out.
    pub fn echo(self) -> bool {
        self.0 & ECHO != 0
    }

    /// Whether noise is lowered.
    pub fn noise(self) -> bool {
        self.0 & NOISE != 0
    }

    /// Whether speech is brought to one level.
    pub fn gain(self) -> bool {
        self.0 & GAIN != 0
    }

    /// Whether it is told when the peer speaks.
    pub fn activity(self) -> bool {
        self.0 & ACTIVITY != 0
    }

    /// Whether nothing is wanted.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// As a byte, for who keeps it.
    pub fn to_byte(self) -> u8 {
        self.0
    }

    /// From a byte that may be anybody's.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self(byte).is_sound().then_some(Self(byte))
    }

    pub(crate) fn is_sound(self) -> bool {
        self.0 & !ALL == 0
    }

    fn with(self, part: u8, is_wanted: bool) -> Self {
        Self(if is_wanted { self.0 | part } else { self.0 & !part })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_as_they_went_and_others_are_refused() {
        for byte in 0..=ALL {
            let voice = VoiceProcessing::from_byte(byte).expect("all four parts");
            let again = VoiceProcessing::default()
                .with_echo(voice.echo())
                .with_noise(voice.noise())
                .with_gain(voice.gain())
                .with_activity(voice.activity());
            assert_eq!((again, again.to_byte(), again.is_none()), (voice, byte, byte == 0));
            assert!(!voice.with_gain(false).with_echo(false).gain());
        }
        assert!((ALL + 1..=u8::MAX).all(|byte| VoiceProcessing::from_byte(byte).is_none()));
    }
}
