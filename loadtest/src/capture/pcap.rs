//! UDP datagrams of a pcap file, the classic format, from an Ethernet-like device.

use std::io::{self, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// Longest record that is believed.
const RECORD_BYTES_MAX: u32 = 1 << 18;

/// One datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Datagram {
    /// When it was captured, nanoseconds since 1970.
    pub at_ns: u64,
    /// Source address.
    pub from: SocketAddr,
    /// Destination address.
    pub to: SocketAddr,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Reads all datagrams of a file, in its order.
pub fn read(path: &Path, take: impl FnMut(Datagram)) -> io::Result<()> {
    read_from(BufReader::with_capacity(1 << 20, std::fs::File::open(path)?), take)
}

fn read_from(mut file: impl Read, mut take: impl FnMut(Datagram)) -> io::Result<()> {
    let wrong =
        |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("not a pcap file that we read: {what}"));
    let mut header = [0; 24];
    file.read_exact(&mut header)?;
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let fraction_ns = match word(&header, 0) {
        0xa1b2_c3d4 => 1_000,
        0xa1b2_3c4d => 1,
        _ => return Err(wrong("magic")),
    };
    if word(&header, 20) & 0xffff != 1 {
        return Err(wrong("not Ethernet"));
    }
    let mut record = [0; 16];
    loop {
        match file.read_exact(&mut record) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        let count = word(&record, 8);
        if count > RECORD_BYTES_MAX {
            return Err(wrong("a record is too long"));
        }
        let mut frame = vec![0; count as usize];
        file.read_exact(&mut frame)?;
        let at_ns = u64::from(word(&record, 0)) * 1_000_000_000 + u64::from(word(&record, 4)) * fraction_ns;
        if let Some(datagram) = datagram(&frame, at_ns) {
            take(datagram);
        }
    }
}

fn datagram(frame: &[u8], at_ns: u64) -> Option<Datagram> {
    let kind = u16::from_be_bytes(frame.get(12..14)?.try_into().ok()?);
    let packet = frame.get(14..)?;
    let (from, to, udp): (IpAddr, IpAddr, &[u8]) = match kind {
        0x0800 if packet.get(9) == Some(&17) => {
            let ip = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
            (ip(12)?.into(), ip(16)?.into(), packet.get(usize::from(packet.first()? & 15) * 4..)?)
        }
        0x86dd if packet.get(6) == Some(&17) => {
            let ip = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?));
            (ip(8)?.into(), ip(24)?.into(), packet.get(40..)?)
        }
        _ => return None,
    };
    let word = |at: usize| Some(u16::from_be_bytes(udp.get(at..at + 2)?.try_into().ok()?));
    let bytes = udp.get(8..usize::from(word(4)?))?.to_vec();
    Some(Datagram { at_ns, from: SocketAddr::new(from, word(0)?), to: SocketAddr::new(to, word(2)?), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(frames: &[&[u8]]) -> Vec<u8> {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 1] {
            file.extend(word.to_le_bytes());
        }
        for frame in frames {
            for word in [5, 7, frame.len() as u32, frame.len() as u32] {
                file.extend(u32::to_le_bytes(word));
            }
            file.extend_from_slice(frame);
        }
        file
    }

    fn udp_frame() -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([8, 0, 0x45, 0, 0, 31, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 2]);
        frame.extend([0x13, 0xc4, 0x13, 0xc5, 0, 11, 0, 0, b'a', b'b', b'c']);
        frame
    }

    #[test]
    fn a_datagram_is_found() {
        let mut found = Vec::new();
        read_from(&file(&[&udp_frame(), &[0; 60]])[..], |datagram| found.push(datagram)).unwrap();
        let [datagram] = &found[..] else { panic!("{found:?}") };
        assert_eq!((datagram.at_ns, &datagram.bytes[..]), (5_000_007_000, &b"abc"[..]));
        assert_eq!(
            (datagram.from, datagram.to),
            ("127.0.0.1:5060".parse().unwrap(), "127.0.0.2:5061".parse().unwrap())
        );
    }

    #[test]
    fn short_frames_and_other_files_are_no_datagrams() {
        let frame = udp_frame();
        for count in 0..frame.len() {
            let mut found = 0;
            read_from(&file(&[&frame[..count]])[..], |_| found += 1).unwrap();
            assert_eq!(found, 0, "{count} bytes");
        }
        assert!(read_from(&[0; 64][..], |_| ()).is_err());
    }
}
