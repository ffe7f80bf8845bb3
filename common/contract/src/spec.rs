use crate::{Address, Invalid, LegRef, PayloadMap};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// All that media knows about one leg of a call. `Open` and `Update` carry a whole one: what is said last counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LegSpec {
    /// Where the peer said it wants RTP (SDP `c=` and `m=`); none while unknown.
    pub remote_rtp: Address,
    /// Where the peer wants RTCP (`a=rtcp`, or RTP port + 1); not used with multiplexing.
    pub remote_rtcp: Address,
    /// Where the peer's signaling comes from; none where that says nothing. Of several sources that may be the peer, one
    /// on this host or on that of `remote_rtp` is believed before all others. The port is not looked at.
    pub signaling: Address,
    /// What the leg sends.
    pub source: SourceSlot,
    /// The payload types that the peer and we agreed on.
    pub payloads: PayloadMap,
    /// SSRC of what we send; 0: the media plane draws one. Ignored by a relay that does not rewrite.
    pub ssrc: u32,
    /// Without a packet from the peer for so long the leg stops and says so; 0: never.
    pub media_timeout_ms: u32,
    /// Bytes of RTP that may go to `remote_rtp` before the peer has shown that it is there, by RTP, RTCP or STUN from
    /// exactly that address; no RTCP is sent until then. 0: nothing yet, and nothing of our own begins. [`u32::MAX`]: it
    /// has been shown otherwise, and there is no limit.
    pub unproven_bytes: u32,
    /// A [`Direction`] as number.
    pub direction: u8,
    /// An [`RtcpMode`] as number.
    pub rtcp: u8,
    /// A [`Latching`] as number.
    pub latching: u8,
    /// A [`Rewriting`] as number; only a relay looks at it.
    pub rewriting: u8,
    /// Milliseconds of audio in a packet that we make: 10, 20, 30, 40 or 60.
    pub ptime_ms: u8,
    /// Differentiated services code point of what we send, 0 to 63; 46 (EF) is usual for voice.
    pub dscp: u8,
    /// 1: what we make is replaced by silence, and keeps flowing.
    pub muted: u8,
    /// Counts the offers and answers with the peer and wraps. With each one the leg learns anew where the peer is, also
    /// where the description names the same address as before.
    pub negotiation: u8,
}

impl Default for LegSpec {
    fn default() -> Self {
        Self {
            remote_rtp: Address::NONE,
            remote_rtcp: Address::NONE,
            signaling: Address::NONE,
            source: Source::None.into(),
            payloads: PayloadMap::default(),
            ssrc: 0,
            media_timeout_ms: 60_000,
            unproven_bytes: u32::MAX,
            direction: Direction::Both as u8,
            rtcp: RtcpMode::Pair as u8,
            latching: Latching::Probation as u8,
            rewriting: Rewriting::None as u8,
            ptime_ms: 20,
            dscp: 46,
            muted: 0,
            negotiation: 0,
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

/// What becomes of RTCP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum RtcpMode {
    /// On the port above RTP; ends here: we answer with our own reports.
    Pair = 0,
    /// On the RTP port (RFC 5761); ends here.
    Mux = 1,
    /// On the port above RTP; relayed to the peer leg.
    RelayPair = 2,
    /// On the RTP port; relayed to the peer leg.
    RelayMux = 3,
    /// We send none and drop what comes.
    Off = 4,
}

/// Whether packets may come from elsewhere than SDP said (symmetric RTP, RFC 4961, for peers behind NAT).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Latching {
    /// Only the address of SDP counts, for ever.
    Off = 0,
    /// The address of SDP always counts. While it is silent another source is taken that is steady and has no rival, and
    /// from then on only one that goes on with the same stream.
    Probation = 1,
    /// The call is not answered: only the address of SDP counts yet.
    NotYet = 2,
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
    /// A prompt of the media process, by its index in [`crate::LegSpec`]'s configuration order.
    Prompt(u32),
    /// What another leg of the same worker receives. The leg itself: echo.
    Leg(LegRef),
}

/// A [`Source`] in its fixed layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SourceSlot {
    kind: u32,
    prompt: u32,
    leg: LegRef,
}

impl From<Source> for SourceSlot {
    fn from(source: Source) -> Self {
        let slot = |kind| SourceSlot { kind, ..Default::default() };
        match source {
            Source::None => slot(0),
            Source::Silence => slot(1),
            Source::Tone440 => slot(2),
            Source::Ringing => slot(3),
            Source::Prompt(prompt) => SourceSlot { prompt, ..slot(4) },
            Source::Leg(leg) => SourceSlot { leg, ..slot(5) },
        }
    }
}

impl SourceSlot {
    /// The source, or `None` where the kind is unknown.
    pub fn get(self) -> Option<Source> {
        Some(match self.kind {
            0 => Source::None,
            1 => Source::Silence,
            2 => Source::Tone440,
            3 => Source::Ringing,
            4 => Source::Prompt(self.prompt),
            5 if !self.leg.is_none() => Source::Leg(self.leg),
            _ => return None,
        })
    }
}

impl LegSpec {
    /// The direction. A checked spec always has one.
    pub fn direction(&self) -> Direction {
        use Direction::*;
        [Inactive, Send, Receive, Both][usize::from(self.direction & 3)]
    }

    /// What becomes of RTCP. A checked spec always says so.
    pub fn rtcp(&self) -> RtcpMode {
        use RtcpMode::*;
        [Pair, Mux, RelayPair, RelayMux].get(usize::from(self.rtcp)).copied().unwrap_or(Off)
    }

    /// The latching policy.
    pub fn latching(&self) -> Latching {
        use Latching::*;
        [Off, Probation].get(usize::from(self.latching)).copied().unwrap_or(NotYet)
    }

    /// Whether the peer has shown that it is at `remote_rtp`, as far as signaling knows.
    pub fn is_proven(&self) -> bool {
        self.unproven_bytes == u32::MAX
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
        let rules = [
            ("direction", self.direction <= 3),
            ("rtcp", self.rtcp <= RtcpMode::Off as u8),
            ("latching", self.latching <= Latching::NotYet as u8),
            ("rewriting", self.rewriting <= 1),
            ("ptime_ms", matches!(self.ptime_ms, 10 | 20 | 30 | 40 | 60)),
            ("dscp", self.dscp < 64),
            ("muted", self.muted <= 1),
            ("source", self.source.get().is_some()),
        ];
        match rules.iter().find(|(_, holds)| !holds) {
            Some((field, _)) => Err(Invalid::Field(field)),
            None => self.payloads.check(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_sound_and_nonsense_is_named() {
        assert_eq!(LegSpec::default().check(), Ok(()));
        let broken = LegSpec { ptime_ms: 21, ..Default::default() };
        assert_eq!(broken.check(), Err(Invalid::Field("ptime_ms")));
        let broken = LegSpec { source: SourceSlot { kind: 99, ..Default::default() }, ..Default::default() };
        assert_eq!(broken.check(), Err(Invalid::Field("source")));
    }

    #[test]
    fn sources_come_back_as_they_went() {
        let leg = LegRef::new(10_000, 7);
        for source in [Source::None, Source::Tone440, Source::Ringing, Source::Prompt(3), Source::Leg(leg)] {
            assert_eq!(SourceSlot::from(source).get(), Some(source));
        }
    }
}
