//! Free ports, for processes that must be told theirs.

use std::io;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

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

/// Where the search for the next range begins: what this process was given once it is not given soon again, so that
/// tests beside each other never get the same ports between looking and binding.
static NEXT: Mutex<Option<u16>> = Mutex::new(None);

/// The first port of `count` consecutive UDP ports that nobody has now; even, and below the range from which the kernel
/// gives ports by itself, so that no socket of a test takes one of them later.
pub fn free_range(ip: IpAddr, count: u16) -> io::Result<u16> {
    const FIRST: u16 = 10_000;
    const END: u16 = 32_768;
    let span = u32::from(END - FIRST);
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    let begin = next.unwrap_or_else(|| {
        // Programs beside each other look at different places first.
        FIRST + (u64::from(std::process::id()) * 4_099 % u64::from(span)) as u16
    });
    let mut run = 0;
    // Once around, and on to the end of a run that began at the end.
    for step in 0..span + u32::from(count) {
        let port = FIRST + ((u32::from(begin - FIRST) + step) % span) as u16;
        let fits = run > 0 && port != FIRST;
        let starts = port.is_multiple_of(2);
        run = match UdpSocket::bind((ip, port)) {
            Ok(_) if fits => run + 1,
            Ok(_) if starts => 1,
            _ => 0,
        };
        if run == count.max(1) {
            *next = Some(if port + 1 < END { port + 1 } else { FIRST });
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
        let again = free_range(ip, 100).unwrap();
        assert!(again + 100 <= first || first + 100 <= again, "{first} and {again}");
        assert_ne!(free_port(ip).unwrap(), 0);
    }
}
