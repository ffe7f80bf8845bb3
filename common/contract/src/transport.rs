use crate::{Address, Invalid, PortRef};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How a leg's packets travel: addresses, which sources are believed, RTCP. One of the three parts of a [`crate::LegSpec`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TransportSpec {
    /// Where the leg receives, and sends from: a port pair that the client has taken from the pool. It stays the same for
    /// the life of the leg.
    pub port: PortRef,
    /// Where the peer said it wants RTP (SDP `c=` and `m=`); none while unknown.
    pub remote_rtp: Address,
    /// Where the peer wants RTCP (`a=rtcp`, or RTP port + 1); not used with multiplexing.
    pub remote_rtcp: Address,
    /// Where the peer's signaling comes from; none where that says nothing. Of several sources that may be the peer, one
    /// on this host or on that of `remote_rtp` is believed before all others. The port is not looked at.
    pub signaling: Address,
    /// Without a packet from the peer for so long the leg stops and says so; 0: never.
    pub media_timeout_ms: u32,
    /// Bytes of RTP that may go to `remote_rtp` before the peer has shown that it is there, by RTP, RTCP or STUN from
    /// exactly that address; no RTCP is sent until then. 0: nothing yet, and nothing of our own begins. [`u32::MAX`]: it
    /// has been shown otherwise, and there is no limit.
    pub unproven_bytes: u32,
    /// An [`RtcpMode`] as number, with [`TransportSpec::EXTENDED`] where there are extended reports.
    pub rtcp: u8,
    /// A [`Latching`] as number.
    pub latching: u8,
    /// Differentiated services code point of what we send, 0 to 63; 46 (EF) is usual for voice.
    pub dscp: u8,
    /// Counts the offers and answers with the peer and wraps. With each one the leg learns anew where the peer is, also
    /// where the description names the same address as before.
    pub negotiation: u8,
}

impl Default for TransportSpec {
    fn default() -> Self {
        Self {
            port: PortRef::NONE,
            remote_rtp: Address::NONE,
            remote_rtcp: Address::NONE,
            signaling: Address::NONE,
            media_timeout_ms: 60_000,
            unproven_bytes: u32::MAX,
            rtcp: RtcpMode::Pair as u8,
            latching: Latching::Probation as u8,
            dscp: 46,
            negotiation: 0,
        }
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

impl TransportSpec {
    /// Beside the number of the RTCP mode: our RTCP has extended reports (RFC 3611) beside the usual ones.
    pub const EXTENDED: u8 = 0x80;

    /// Whether our RTCP has extended reports.
    pub fn has_extended_reports(&self) -> bool {
        self.rtcp & Self::EXTENDED != 0
    }

    /// What becomes of RTCP. A checked spec always says so.
    pub fn rtcp(&self) -> RtcpMode {
        use RtcpMode::*;
        [Pair, Mux, RelayPair, RelayMux].get(usize::from(self.rtcp & !Self::EXTENDED)).copied().unwrap_or(Off)
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

    /// Looks at every field as if a stranger had written it.
    pub fn check(&self) -> Result<(), Invalid> {
        crate::spec::check_rules(&[
            ("port", self.port.is_sound()),
            ("rtcp", self.rtcp & !Self::EXTENDED <= RtcpMode::Off as u8),
            ("latching", self.latching <= Latching::NotYet as u8),
            ("dscp", self.dscp < 64),
        ])
    }
}
