//! RTP, RTCP and telephone-event packets (RFC 3550, RFC 3611, RFC 4733, RFC 5761): bytes to values and back, in place.
//!
//! This crate allocates nothing, keeps no state and knows no socket, clock or codec. Every length that a packet claims
//! is checked against the bytes that are there. Read [`Header`] first, then [`Compound`] for RTCP.
//!
//! Tests: `cargo test -p ringplane-rtp-wire`.

#![forbid(unsafe_code)]

mod bytes;
mod event;
mod numbers;
mod rtcp;
mod rtcp_rewrite;
mod rtcp_write;
mod rtp;
mod stun;
mod xr;

pub use event::{EventError, TelephoneEvent};
pub use numbers::{RtpTime, Seq, Ssrc};
pub use rtcp::{Compound, ReportBlock, ReportBlocks, RtcpError, RtcpPacket, SenderInfo};
pub use rtcp_rewrite::{ReportMap, rewrite};
pub use rtcp_write::{NoRoom, Writer};
pub use rtp::{FIXED_HEADER_BYTES, Header, RtpError, overwrite};
pub use stun::is_stun;
pub use xr::{
    DelayBlock, DelayBlocks, ExtendedReport, GAP_PACKETS_MIN, NOT_KNOWN, StatisticsSummary, VoipMetrics, XrBlock,
    XrBlocks,
};

/// Whether a datagram on a port shared by RTP and RTCP is RTCP (RFC 5761 §4): packet types 192 to 223, which as RTP
/// would be the payload types 64 to 95 with the marker bit, and those are never given out.
pub fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes.get(1), Some(192..=223))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_port_is_told_apart() {
        assert!(is_rtcp(&[0x80, 200, 0, 6]) && is_rtcp(&[0x81, 201]) && is_rtcp(&[0x80, 223]));
        assert!(!is_rtcp(&[0x80, 0x80 | 101]) && !is_rtcp(&[0x80, 0]) && !is_rtcp(&[0x80, 0x80]) && !is_rtcp(&[0x80]));
    }
}
