//! RTP streams of a capture: what a listener would have heard.
//!
//! This reads RTP and G.711 by itself, on purpose: what judges the switch must not share its mistakes.

use super::pcap::Datagram;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A stream is known by its ends and its SSRC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct StreamKey {
    /// Who sends.
    pub from: SocketAddr,
    /// Who hears.
    pub to: SocketAddr,
    /// Synchronisation source.
    pub ssrc: u32,
}

/// One stream.
#[derive(Clone, Debug)]
pub struct RtpStream {
    /// Packets.
    pub packets: u64,
    /// Packets whose sequence number is not the one after the last.
    pub sequence_breaks: u64,
    /// Steps of the timestamp other than 160.
    pub odd_steps: u64,
    /// Time between two packets, nanoseconds.
    pub gap_ns: Histogram<u64>,
    /// When the first packet was captured, nanoseconds since 1970.
    pub first_at_ns: u64,
    /// When the last packet was captured, nanoseconds since 1970.
    pub last_at_ns: u64,
    /// Payload type of the first packet.
    pub payload_type: u8,
    /// Linear samples, of at most [`SAMPLES_MAX`].
    pub samples: Vec<i16>,
    sequence: u16,
    timestamp: u32,
}

/// Samples that are kept of a stream: 4 s.
pub const SAMPLES_MAX: usize = 32_000;

impl RtpStream {
    fn new(datagram: &Datagram, header: &Header) -> Self {
        Self {
            packets: 0,
            sequence_breaks: 0,
            odd_steps: 0,
            gap_ns: Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("bounds are in order"),
            first_at_ns: datagram.at_ns,
            last_at_ns: datagram.at_ns,
            payload_type: header.payload_type,
            samples: Vec::new(),
            sequence: header.sequence.wrapping_sub(1),
            timestamp: header.timestamp.wrapping_sub(160),
        }
    }

    /// The time since the packet before, nanoseconds; `None` for the first.
    fn add(&mut self, datagram: &Datagram, header: &Header) -> Option<u64> {
        self.sequence_breaks += u64::from(header.sequence != self.sequence.wrapping_add(1));
        self.odd_steps += u64::from(header.timestamp != self.timestamp.wrapping_add(160));
        let gap_ns = (self.packets > 0).then(|| datagram.at_ns.saturating_sub(self.last_at_ns));
        if let Some(gap_ns) = gap_ns {
            self.gap_ns.saturating_record(gap_ns.max(1));
        }
        (self.sequence, self.timestamp, self.last_at_ns) = (header.sequence, header.timestamp, datagram.at_ns);
        self.packets += 1;
        let decode: fn(u8) -> i16 = match header.payload_type {
            0 => ulaw,
            8 => alaw,
            _ => return gap_ns,
        };
        let room = SAMPLES_MAX.saturating_sub(self.samples.len());
        self.samples.extend(datagram.bytes[header.payload_at..].iter().take(room).map(|byte| decode(*byte)));
        gap_ns
    }

    /// Mean time between two packets, milliseconds.
    pub fn mean_gap_ms(&self) -> f64 {
        let gaps = self.packets.saturating_sub(1).max(1);
        self.last_at_ns.saturating_sub(self.first_at_ns) as f64 / gaps as f64 / 1e6
    }

    /// The gap that 99 of 100 do not exceed, milliseconds.
    pub fn p99_gap_ms(&self) -> f64 {
        self.gap_ns.value_at_percentile(99.0) as f64 / 1e6
    }

    /// Part of the sound's energy that is a sine of `hertz`, 0 to 1.
    pub fn share_of(&self, hertz: f64) -> f64 {
        share_of(&self.samples, hertz)
    }
}

/// Part of the samples' energy that is a sine of `hertz` (Goertzel), 0 to 1, in windows of 50 ms.
pub fn share_of(samples: &[i16], hertz: f64) -> f64 {
    const WINDOW: usize = 400;
    let (mut tone, mut all) = (0.0, 0.0);
    for window in samples.chunks_exact(WINDOW) {
        let coefficient = 2.0 * (std::f64::consts::TAU * hertz / 8_000.0).cos();
        let (mut before, mut last) = (0.0, 0.0);
        for sample in window {
            let next = f64::from(*sample) + coefficient * last - before;
            (before, last) = (last, next);
            all += f64::from(*sample).powi(2);
        }
        tone += (last * last + before * before - coefficient * last * before) * 2.0 / WINDOW as f64;
    }
    if all > 0.0 { (tone / all).min(1.0) } else { 0.0 }
}

struct Header {
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload_at: usize,
}

fn header(bytes: &[u8]) -> Option<Header> {
    let word = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let first = word(0)?;
    let mut payload_at = 12 + 4 * (first >> 24 & 15) as usize;
    if first & 0x1000_0000 != 0 {
        payload_at += 4 + 4 * (word(payload_at)? & 0xffff) as usize;
    }
    // Packet types 200 to 207 are RTCP, with or without a port of its own (RFC 5761 §4).
    let is_rtcp = (200..=207).contains(&(first >> 16 & 0xff));
    let is_rtp = first >> 30 == 2 && !is_rtcp && payload_at <= bytes.len();
    is_rtp.then_some(Header {
        payload_type: (first >> 16 & 0x7f) as u8,
        sequence: first as u16,
        timestamp: word(4)?,
        ssrc: word(8)?,
        payload_at,
    })
}

/// All RTP streams, gathered datagram by datagram.
#[derive(Default, Debug)]
pub struct RtpStreams {
    /// By key.
    pub streams: BTreeMap<StreamKey, RtpStream>,
}

impl RtpStreams {
    /// Looks at one datagram; what is not RTP is left out. Odd ports are RTCP's. Returns the time since the stream's
    /// packet before, nanoseconds.
    pub fn add(&mut self, datagram: &Datagram) -> Option<u64> {
        if !datagram.from.port().is_multiple_of(2) && !datagram.to.port().is_multiple_of(2) {
            return None;
        }
        let header = header(&datagram.bytes)?;
        let key = StreamKey { from: datagram.from, to: datagram.to, ssrc: header.ssrc };
        self.streams.entry(key).or_insert_with(|| RtpStream::new(datagram, &header)).add(datagram, &header)
    }
}

/// ITU-T G.711 u-law to linear.
pub fn ulaw(byte: u8) -> i16 {
    let byte = !byte;
    let magnitude = (((i32::from(byte & 15) << 3) + 0x84) << (byte >> 4 & 7)) - 0x84;
    (if byte & 0x80 != 0 { -magnitude } else { magnitude }) as i16
}

/// ITU-T G.711 A-law to linear.
pub fn alaw(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let (mantissa, exponent) = (i32::from(byte & 15) << 4, byte >> 4 & 7);
    let magnitude = if exponent == 0 { mantissa + 8 } else { (mantissa + 0x108) << (exponent - 1) };
    (if byte & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(n: u32, byte: u8) -> Datagram {
        let mut bytes = vec![0x80, 0];
        bytes.extend((n as u16).to_be_bytes());
        bytes.extend((n * 160).to_be_bytes());
        bytes.extend([0, 0, 0, 9]);
        bytes.extend([byte; 160]);
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Datagram { at_ns: u64::from(n) * 20_000_000, from: address(10_000), to: address(20_000), bytes }
    }

    #[test]
    fn an_even_stream_and_one_with_a_hole() {
        let mut all = RtpStreams::default();
        let gaps: Vec<_> = (0..10).filter(|n| *n != 5).filter_map(|n| all.add(&datagram(n, 0xff))).collect();
        assert_eq!((gaps.len(), gaps[0], gaps[4]), (8, 20_000_000, 40_000_000));
        let stream = all.streams.values().next().unwrap();
        assert_eq!((stream.packets, stream.sequence_breaks, stream.odd_steps), (9, 1, 1));
        assert!(stream.p99_gap_ms() > 39.0 && stream.samples.len() == 9 * 160);
    }

    #[test]
    fn a_sine_is_told_from_others() {
        let sine = |hertz: f64| -> Vec<i16> {
            (0..8_000)
                .map(|n| ((f64::from(n) * std::f64::consts::TAU * hertz / 8_000.0).sin() * 9_000.0) as i16)
                .collect()
        };
        assert!(share_of(&sine(440.0), 440.0) > 0.99);
        assert!(share_of(&sine(500.0), 440.0) < 0.05);
        assert_eq!(share_of(&[], 440.0), 0.0);
    }

    #[test]
    fn g711_knows_silence_and_the_ends() {
        assert_eq!((ulaw(0xff), ulaw(0x80), ulaw(0x00)), (0, 32_124, -32_124));
        assert_eq!((alaw(0xd5), alaw(0xaa), alaw(0x2a)), (8, 32_256, -32_256));
    }

    #[test]
    fn lies_and_rtcp_are_no_rtp() {
        let mut all = RtpStreams::default();
        let mut lie = datagram(0, 0);
        lie.bytes.truncate(14);
        lie.bytes[0] = 0x8f;
        all.add(&lie);
        let mut rtcp = datagram(0, 0);
        rtcp.bytes[1] = 200;
        all.add(&rtcp);
        assert!(all.streams.is_empty());
    }
}
