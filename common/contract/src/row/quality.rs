//! How good the two streams of a leg sound.

use crate::Invalid;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How a stream sounds to its listener, by the E-model (ITU-T G.107, for wide-band codecs G.107.1). Scores are those of a
/// conversation (MOS-CQ): delay counts as well as loss.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct StreamQuality {
    /// Score since the beginning of the leg, times 100: 100 to 450; 0: not known.
    pub mos_x100: u16,
    /// Score of the last interval that had enough packets, times 100; 0: not known.
    pub recent_mos_x100: u16,
    /// Transmission rating since the beginning, times 10: at most 932 for narrow-band codecs, 1290 for wide-band ones.
    pub r_x10: u16,
    /// Delay that the score counts with, one way, milliseconds.
    pub delay_ms: u16,
    /// Mean length of bursts of loss (RFC 3611 §4.7.2), milliseconds; 0: there were none, or they are not known.
    pub burst_ms: u16,
    /// Mean length of the gaps between them, milliseconds.
    pub gap_ms: u16,
    /// Part of the packets within bursts that were lost or came too late, in 1/256.
    pub burst_density: u8,
    /// The same of the packets within gaps.
    pub gap_density: u8,
    /// Part of all packets that was lost, in 1/256.
    pub loss_rate: u8,
    /// Part of all packets that came too late to be played, in 1/256.
    pub discard_rate: u8,
    /// 1: the stream is degraded now, see [`QualityChange::is_degraded`].
    pub degraded: u8,
    /// Zero.
    pub reserved: u8,
    /// Zero.
    pub reserved_2: u16,
}

/// Both streams of a leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LegQuality {
    /// What the peer sends and the switch receives, as the switch measures it.
    pub received: StreamQuality,
    /// What the switch sends and the peer receives, as the peer reports it by RTCP.
    pub sent: StreamQuality,
}

/// One of the two streams of a leg.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum LegStream {
    /// What the switch receives from the peer.
    Received = 0,
    /// What the switch sends to the peer.
    Sent = 1,
}

/// Classes of satisfaction (ITU-T G.107 Annex B), the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum QualityClass {
    /// A score below 3.1: nearly all users are dissatisfied.
    Bad = 0,
    /// 3.1 and above: many users are dissatisfied.
    Poor = 1,
    /// 3.6 and above: some users are dissatisfied.
    Fair = 2,
    /// 4.0 and above: users are satisfied.
    Good = 3,
    /// 4.3 and above: users are very satisfied.
    Excellent = 4,
}

/// A stream sounds better or worse than before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QualityChange {
    /// Which of the leg's streams.
    pub stream: LegStream,
    /// Class before; a stream begins as excellent.
    pub old: QualityClass,
    /// Class now.
    pub new: QualityClass,
    /// The stream was below the limit that the media plane was given.
    pub was_degraded: bool,
    /// It is now. A stream is degraded after two intervals below the limit in a row, and no longer after two that are clearly
    /// above it.
    pub is_degraded: bool,
    /// Score of the last interval, times 100.
    pub mos_x100: u16,
    /// Packets lost in the last interval, in 1/256.
    pub loss_rate: u8,
}

impl QualityClass {
    /// All, the worst first, each with the lowest score that it has, times 100.
    pub const ALL: [(Self, u16); 5] =
        [(Self::Bad, 0), (Self::Poor, 310), (Self::Fair, 360), (Self::Good, 400), (Self::Excellent, 430)];

    /// The class of a score times 100.
    pub fn of(mos_x100: u16) -> Self {
        Self::ALL.into_iter().rfind(|(_, lowest)| mos_x100 >= *lowest).map_or(Self::Bad, |(class, _)| class)
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).map(|(class, _)| *class)
    }
}

impl QualityChange {
    /// The stream has become degraded.
    pub fn begins(&self) -> bool {
        self.is_degraded && !self.was_degraded
    }

    /// The stream is no longer degraded.
    pub fn ends(&self) -> bool {
        self.was_degraded && !self.is_degraded
    }

    /// As one number, for a slot.
    pub(crate) fn to_bits(self) -> u64 {
        let [low, high] = self.mos_x100.to_le_bytes();
        let flags = u8::from(self.was_degraded) | u8::from(self.is_degraded) << 1;
        let (stream, old, new) = (self.stream as u8, self.old as u8, self.new as u8);
        u64::from_le_bytes([low, high, stream, old, new, flags, self.loss_rate, 0])
    }

    /// From [`Self::to_bits`], every field checked.
    pub(crate) fn from_bits(bits: u64) -> Result<Self, Invalid> {
        let [low, high, stream, old, new, flags, loss_rate, rest] = bits.to_le_bytes();
        let class = |number| QualityClass::from_number(number).ok_or(Invalid::Field("class"));
        let mos_x100 = u16::from_le_bytes([low, high]);
        crate::spec::check_rules(&[
            ("stream", stream <= LegStream::Sent as u8),
            ("mos_x100", (100..=450).contains(&mos_x100)),
            ("flags", flags <= 3 && rest == 0),
        ])?;
        Ok(Self {
            stream: if stream == LegStream::Sent as u8 { LegStream::Sent } else { LegStream::Received },
            old: class(old)?,
            new: class(new)?,
            was_degraded: flags & 1 != 0,
            is_degraded: flags & 2 != 0,
            mos_x100,
            loss_rate,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_annex_b() {
        use QualityClass::*;
        let scores = [450, 430, 429, 400, 360, 310, 309, 100, 0];
        assert_eq!(scores.map(QualityClass::of), [Excellent, Excellent, Good, Good, Fair, Poor, Bad, Bad, Bad]);
        assert!(QualityClass::ALL.iter().enumerate().all(|(number, (class, _))| *class as usize == number));
    }

    #[test]
    fn a_change_comes_back_as_it_went_and_nonsense_is_named() {
        let change = QualityChange {
            stream: LegStream::Sent,
            old: QualityClass::Good,
            new: QualityClass::Bad,
            was_degraded: false,
            is_degraded: true,
            mos_x100: 287,
            loss_rate: 30,
        };
        assert!(change.begins() && !change.ends());
        assert_eq!(QualityChange::from_bits(change.to_bits()), Ok(change));
        for (byte, value, field) in
            [(1, 2, "mos_x100"), (2, 2, "stream"), (3, 5, "class"), (4, 9, "class"), (5, 4, "flags")]
        {
            let mut bytes = change.to_bits().to_le_bytes();
            bytes[byte] = value;
            assert_eq!(QualityChange::from_bits(u64::from_le_bytes(bytes)), Err(Invalid::Field(field)));
        }
    }
}
