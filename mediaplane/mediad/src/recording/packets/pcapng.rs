//! Blocks of a pcapng file (draft-ietf-opsawg-pcapng), with IP and UDP headers in front of the datagrams.

use std::net::{IpAddr, SocketAddr};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// `LINKTYPE_RAW`: each packet begins with its IP header, version 4 or 6.
const LINK_RAW: u16 = 101;
const OPTION_END: u16 = 0;
const SECTION_APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const INTERFACE_RESOLUTION: u16 = 9;
const PACKET_FLAGS: u16 = 2;
/// `epb_flags`: the packet came in, or went out.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;
const UDP: u8 = 17;
const UDP_HEADER_BYTES: usize = 8;
const IPV4_HEADER_BYTES: usize = 20;
const IPV6_HEADER_BYTES: usize = 40;
const HOP_LIMIT: u8 = 64;

/// Begins a section: what follows has interfaces of its own, numbered from 0.
pub(super) fn write_section(out: &mut Vec<u8>) {
    block(out, SECTION_HEADER, |out| {
        out.extend(BYTE_ORDER_MAGIC.to_le_bytes());
        out.extend(1_u16.to_le_bytes());
        out.extend(0_u16.to_le_bytes());
        // The length of the section is not known.
        out.extend(u64::MAX.to_le_bytes());
        option(out, SECTION_APPLICATION, concat!("ringplane ", env!("CARGO_PKG_VERSION")).as_bytes());
        option(out, OPTION_END, &[]);
    });
}

/// One more interface of the section, with times in nanoseconds.
pub(super) fn write_interface(out: &mut Vec<u8>, name: &str) {
    block(out, INTERFACE_DESCRIPTION, |out| {
        out.extend(LINK_RAW.to_le_bytes());
        out.extend(0_u16.to_le_bytes());
        // Packets are never cut off.
        out.extend(0_u32.to_le_bytes());
        option(out, INTERFACE_NAME, name.as_bytes());
        option(out, INTERFACE_RESOLUTION, &[9]);
        option(out, OPTION_END, &[]);
    });
}

/// A datagram.
pub(super) struct Datagram<'d> {
    pub(super) interface: u32,
    /// Nanoseconds since 1970.
    pub(super) at_ns: u64,
    pub(super) is_inbound: bool,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) payload: &'d [u8],
}

/// A datagram as a packet of its interface.
pub(super) fn write_packet(out: &mut Vec<u8>, datagram: &Datagram<'_>) {
    block(out, ENHANCED_PACKET, |out| {
        out.extend(datagram.interface.to_le_bytes());
        out.extend(((datagram.at_ns >> 32) as u32).to_le_bytes());
        out.extend((datagram.at_ns as u32).to_le_bytes());
        let (from, to) = one_family(datagram.from.ip(), datagram.to.ip());
        let ip_bytes = if from.is_ipv4() { IPV4_HEADER_BYTES } else { IPV6_HEADER_BYTES };
        let bytes = (ip_bytes + UDP_HEADER_BYTES + datagram.payload.len()) as u32;
        out.extend(bytes.to_le_bytes());
        out.extend(bytes.to_le_bytes());
        write_ip(out, (from, to), datagram);
        pad(out);
        option(out, PACKET_FLAGS, &(if datagram.is_inbound { INBOUND } else { OUTBOUND }).to_le_bytes());
        option(out, OPTION_END, &[]);
    });
}

/// Both addresses in the family of IPv6 where one of them is; an unknown end has the unspecified address of the other's.
fn one_family(from: IpAddr, to: IpAddr) -> (IpAddr, IpAddr) {
    let wide = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => IpAddr::V6(ip.to_ipv6_mapped()),
        IpAddr::V6(_) => ip,
    };
    if from.is_ipv4() == to.is_ipv4() { (from, to) } else { (wide(from), wide(to)) }
}

fn write_ip(out: &mut Vec<u8>, ends: (IpAddr, IpAddr), datagram: &Datagram<'_>) {
    let udp_bytes = (UDP_HEADER_BYTES + datagram.payload.len()) as u16;
    let mut pseudo = Vec::with_capacity(IPV6_HEADER_BYTES);
    match ends {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let start = out.len();
            out.extend([0x45, 0]);
            out.extend((IPV4_HEADER_BYTES as u16 + udp_bytes).to_be_bytes());
            // Identification 0 and "don't fragment" (RFC 6864 §4.1).
            out.extend([0, 0, 0x40, 0, HOP_LIMIT, UDP, 0, 0]);
            out.extend(from.octets());
            out.extend(to.octets());
            let sum = checksum([&out[start..]]).to_be_bytes();
            out[start + 10..start + 12].copy_from_slice(&sum);
            pseudo.extend(from.octets());
            pseudo.extend(to.octets());
        }
        (from, to) => {
            out.extend([0x60, 0, 0, 0]);
            out.extend(udp_bytes.to_be_bytes());
            out.extend([UDP, HOP_LIMIT]);
            for ip in [from, to] {
                let IpAddr::V6(ip) = ip else { continue };
                out.extend(ip.octets());
                pseudo.extend(ip.octets());
            }
        }
    }
    pseudo.extend([0, UDP]);
    pseudo.extend(udp_bytes.to_be_bytes());
    let mut header = [0; UDP_HEADER_BYTES];
    header[..2].copy_from_slice(&datagram.from.port().to_be_bytes());
    header[2..4].copy_from_slice(&datagram.to.port().to_be_bytes());
    header[4..6].copy_from_slice(&udp_bytes.to_be_bytes());
    // 0 would say that there is no checksum (RFC 768).
    let sum = match checksum([&pseudo[..], &header[..], datagram.payload]) {
        0 => u16::MAX,
        sum => sum,
    };
    header[6..].copy_from_slice(&sum.to_be_bytes());
    out.extend(header);
    out.extend(datagram.payload);
}

/// The Internet checksum (RFC 1071) of parts that each have an even number of bytes, but the last one.
fn checksum<const N: usize>(parts: [&[u8]; N]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let sum = words.map(|word| u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0))).sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    !(((folded & 0xffff) + (folded >> 16)) as u16)
}

/// A block, with its length before and behind its body.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    body(out);
    let bytes = (out.len() - start + 4) as u32;
    out[start + 4..start + 8].copy_from_slice(&bytes.to_le_bytes());
    out.extend(bytes.to_le_bytes());
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend(code.to_le_bytes());
    out.extend((value.len() as u16).to_le_bytes());
    out.extend(value);
    pad(out);
}

/// To the next multiple of four bytes. Blocks begin at one.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}
