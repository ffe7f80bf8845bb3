use crate::{Invalid, OpusParameters, PayloadMap, VoiceProcessing};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a leg's packets hold: payload types and packet length, and what is done to the sound of the peer. One of the three parts of a [`crate::LegSpec`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FormatSpec {
    /// The payload types that the peer and we agreed on.
    pub payloads: PayloadMap,
    /// Milliseconds of audio in a packet that we make: 10, 20, 30, 40 or 60.
    pub ptime_ms: u8,
    /// What the peer wants of the Opus that it is sent, where that is among the payload types.
    pub opus: OpusParameters,
    /// What is done to the sound of the peer before anything else hears it.
    pub voice: VoiceProcessing,
}

impl Default for FormatSpec {
    fn default() -> Self {
        Self {
            payloads: PayloadMap::default(),
            ptime_ms: 20,
            opus: OpusParameters::default(),
            voice: VoiceProcessing::default(),
        }
    }
}

impl FormatSpec {
    /// Looks at every field as if a stranger had written it.
    pub fn check(&self) -> Result<(), Invalid> {
        crate::spec::check_rules(&[
            ("ptime_ms", matches!(self.ptime_ms, 10 | 20 | 30 | 40 | 60)),
            ("opus", self.opus.is_sound()),
            ("voice", self.voice.is_sound()),
        ])?;
        self.payloads.check()
    }
}
