//! What the capture shows, in numbers.

use crate::capture::{RtpStreams, SeenCalls, read};
use hdrhistogram::Histogram;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// Everything that a capture of held calls proves.
pub struct Evidence {
    /// The calls, from their SIP.
    pub calls: SeenCalls,
    /// What the switch sent, stream by stream.
    pub streams: RtpStreams,
    /// All times between two packets of a stream, nanoseconds.
    pub gap_ns: Histogram<u64>,
    /// Times between two packets for each second of the capture, nanoseconds.
    pub gap_ns_by_second: Vec<Histogram<u64>>,
    /// RTP packets that came after the BYE of their call.
    pub after_bye: u64,
    /// The latest of them, nanoseconds after its BYE.
    pub after_bye_max_ns: u64,
}

/// A capture longer than this is read on, but has no more seconds of its own.
const SECONDS_MAX: u64 = 3_600;

/// Reads what the switch at `sip` sent from `media_ports`, first and last.
pub fn read_capture(file: &Path, sip: SocketAddr, media_ports: (u16, u16)) -> io::Result<Evidence> {
    let histogram = crate::media::histogram;
    let (mut calls, mut streams) = (SeenCalls::to(sip), RtpStreams::default());
    let (mut gap_ns, mut by_second, mut first_ns) = (histogram(), Vec::<Histogram<u64>>::new(), None);
    let mut sent: Vec<(u16, u64)> = Vec::new();
    read(file, |datagram| {
        calls.add(&datagram);
        let port = datagram.from.port();
        if !(media_ports.0..=media_ports.1).contains(&port) || !port.is_multiple_of(2) {
            return;
        }
        sent.push((port, datagram.at_ns));
        let Some(gap) = streams.add(&datagram) else { return };
        let second = datagram.at_ns.saturating_sub(*first_ns.get_or_insert(datagram.at_ns)) / 1_000_000_000;
        let second = second.min(SECONDS_MAX) as usize;
        if by_second.len() <= second {
            by_second.resize_with(second + 1, histogram);
        }
        gap_ns.saturating_record(gap.max(1));
        by_second[second].saturating_record(gap.max(1));
    })?;
    let after: Vec<u64> =
        sent.iter().map(|(port, at_ns)| calls.after_end_ns(*port, *at_ns)).filter(|ns| *ns > 0).collect();
    Ok(Evidence {
        calls,
        streams,
        gap_ns,
        gap_ns_by_second: by_second,
        after_bye: after.len() as u64,
        after_bye_max_ns: after.into_iter().max().unwrap_or(0),
    })
}
