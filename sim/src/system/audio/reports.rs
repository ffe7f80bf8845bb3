//! RTCP of the switch: what a phone is told about reception is about the stream that it sends itself (RFC 3550 §6.4).

use super::Audio;
use super::talk::ssrc_of;
use std::net::SocketAddr;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
/// Where the report blocks begin: behind the header, the sender's SSRC and, in a sender report, its clock and counts.
const BLOCKS_AT: [usize; 2] = [28, 8];
const BLOCK_BYTES: usize = 24;

impl Audio {
    /// A packet leaves the switch for an address where no phone takes RTP: one port above such an address it is RTCP.
    pub(super) fn reports(&mut self, to: SocketAddr, packet: &[u8]) -> Result<(), String> {
        let rtp = SocketAddr::new(to.ip(), to.port() - 1);
        let Some(ear) = self.listeners.get(&rtp).copied() else { return Ok(()) };
        for ssrc in reported_in(packet) {
            self.reports_count += 1;
            if ssrc != ssrc_of(ear) {
                return Err(format!("{ear:?} gets a report on the stream {ssrc}, and sends {}", ssrc_of(ear)));
            }
        }
        Ok(())
    }
}

/// The streams that the first packet of a compound reports on.
fn reported_in(packet: &[u8]) -> impl Iterator<Item = u32> {
    let blocks = match packet {
        [head, SENDER_REPORT, ..] if head >> 6 == 2 => Some((head & 31, BLOCKS_AT[0])),
        [head, RECEIVER_REPORT, ..] if head >> 6 == 2 => Some((head & 31, BLOCKS_AT[1])),
        _ => None,
    };
    let (count, first) = blocks.unwrap_or_default();
    let at = (0..usize::from(count)).map(move |number| first + number * BLOCK_BYTES);
    at.filter_map(|at| Some(u32::from_be_bytes(packet.get(at..at + 4)?.try_into().ok()?)))
}
