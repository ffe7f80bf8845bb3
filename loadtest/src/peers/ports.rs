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
    let span = u64::from(u16::MAX - FIRST);
    // Tests of one run look at different places first.
    let start = (u64::from(std::process::id()) * 4_099 + clock::now().as_nanos() / 1_000) % span;
    let mut run = 0;
    // Once around, and on to the end of a run that began at the end.
    for step in 0..span + u64::from(count) {
        let port = FIRST + ((start + step) % span) as u16;
        let fits = run > 0 && port != FIRST;
        let starts = port.is_multiple_of(2);
        run = match UdpSocket::bind((ip, port)) {
            Ok(_) if fits => run + 1,
            Ok(_) if starts => 1,
            _ => 0,
        };
        if run == count.max(1) {
            return Ok(port + 1 - run);
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
        assert!((first..first + 100).all(|port| UdpSocket::bind((ip, port)).is_ok()));
        assert_eq!(free_range(ip, 1).unwrap() % 2, 0);
        assert_ne!(free_port(ip).unwrap(), 0);
    }
}
