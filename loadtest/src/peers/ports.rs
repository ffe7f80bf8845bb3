//! Free ports, for processes that must be told theirs.

use std::io;
use std::net::{IpAddr, TcpListener, UdpSocket};

/// A UDP and TCP port that nobody has now.
pub fn free_port(ip: IpAddr) -> io::Result<u16> {
    const TRIES: usize = 64;
    for _ in 0..TRIES {
        let udp = UdpSocket::bind((ip, 0))?;
        let port = udp.local_addr()?.port();
        if TcpListener::bind((ip, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::other(format!("no free port on {ip}")))
}

/// The first port of `count` consecutive UDP ports that nobody has now; even, below the kernel's own range where
/// possible, so that no socket of a test takes one of them later.
pub fn free_range(ip: IpAddr, count: u16) -> io::Result<u16> {
    const FIRST: u16 = 10_000;
    let last = u16::MAX - count;
    // Tests of one run look at different places first.
    let step = count.max(2) & !1;
    let places = u64::from((last - FIRST) / step).max(1);
    let start = u64::from(std::process::id()) * 7 + clock::now().as_nanos() / 1_000;
    for n in 0..places {
        let first = FIRST + ((start + n) % places) as u16 * step;
        if (first..first + count).all(|port| UdpSocket::bind((ip, port)).is_ok()) {
            return Ok(first);
        }
    }
    Err(io::Error::other(format!("no {count} consecutive free UDP ports on {ip}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_even_and_free() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let first = free_range(ip, 100).unwrap();
        assert_eq!(first % 2, 0);
        assert!(UdpSocket::bind((ip, first + 99)).is_ok());
        assert_ne!(free_port(ip).unwrap(), 0);
    }
}
