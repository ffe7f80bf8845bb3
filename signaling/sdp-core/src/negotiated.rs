use crate::{Packets, RelayedFormats};
use contract::{Direction, OpusParameters, PayloadMap};
use std::net::SocketAddr;

/// What both sides agreed on for the audio stream, seen from us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Negotiated {
    /// Where the peer takes RTP; none where it wants none (`c=0.0.0.0`, or the stream is switched off).
    pub remote_rtp: Option<SocketAddr>,
    /// Where the peer takes RTCP, if not on the RTP port.
    pub remote_rtcp: Option<SocketAddr>,
    /// Payload types, most preferred first, by the numbers that the offerer chose.
    pub payloads: PayloadMap,
    /// The formats among them that are only relayed, as the peer describes them.
    pub relayed: RelayedFormats,
    /// Which ways media flows.
    pub direction: Direction,
    /// Milliseconds of audio that the peer wants in a packet: 10, 20, 30, 40 or 60.
    pub ptime_ms: u8,
    /// What the peer says about its packets, for the other side of a relay.
    pub packets: Packets,
    /// What the peer wants of the Opus that it is sent.
    pub opus: OpusParameters,
    /// RTP and RTCP share a port (RFC 5761).
    pub rtcp_mux: bool,
    /// The peer asks for VoIP metrics by RTCP XR (RFC 3611 §5.1), and we say so, too.
    pub rtcp_xr: bool,
}

/// Both ways must want it: we send where we want to and the peer listens.
pub(crate) fn meet(wanted: Direction, offered_by_peer: Direction) -> Direction {
    let sends = wanted.sends() && offered_by_peer.receives();
    let receives = wanted.receives() && offered_by_peer.sends();
    match (sends, receives) {
        (true, true) => Direction::Both,
        (true, false) => Direction::Send,
        (false, true) => Direction::Receive,
        (false, false) => Direction::Inactive,
    }
}

/// As its attribute spells it.
pub(crate) fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Both => "sendrecv",
        Direction::Send => "sendonly",
        Direction::Receive => "recvonly",
        Direction::Inactive => "inactive",
    }
}
