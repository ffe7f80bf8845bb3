//! Numbers that wrap around, each with its own arithmetic.

/// An RTP sequence number: counts packets, wraps at 65,536.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Seq(pub u16);

impl Seq {
    /// The one after this.
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// `count` packets later.
    pub const fn plus(self, count: u16) -> Self {
        Self(self.0.wrapping_add(count))
    }

    /// How many packets this one is after `earlier`; negative when it is before. Right up to half the number space.
    pub const fn since(self, earlier: Self) -> i16 {
        self.0.wrapping_sub(earlier.0) as i16
    }
}

/// An RTP timestamp: counts samples of the codec's clock, wraps at 2^32.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct RtpTime(pub u32);

impl RtpTime {
    /// `ticks` later.
    pub const fn plus(self, ticks: u32) -> Self {
        Self(self.0.wrapping_add(ticks))
    }

    /// How many ticks this is after `earlier`; negative when it is before. Right up to half the number space.
    pub const fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0) as i32
    }
}

/// Names the source of an RTP stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Ssrc(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap() {
        assert_eq!(Seq(65_535).next(), Seq(0));
        assert_eq!(Seq(2).since(Seq(65_534)), 4);
        assert_eq!(Seq(65_534).since(Seq(2)), -4);
        assert_eq!(RtpTime(u32::MAX).plus(161), RtpTime(160));
        assert_eq!(RtpTime(80).since(RtpTime(u32::MAX - 79)), 160);
        assert_eq!(RtpTime(u32::MAX - 79).since(RtpTime(80)), -160);
    }
}
