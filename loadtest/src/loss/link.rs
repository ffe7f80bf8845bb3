//! The link: what comes to its front goes on to the server, what comes to its back goes to the client, or is lost.

use clock::Duration;
use socket2::SockRef;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// How often the end is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Room for bursts, so that nothing is lost but by the dice.
const SOCKET_BYTES: usize = 4 << 20;

#[derive(Default)]
struct Shared {
    client: OnceLock<SocketAddr>,
    ends: AtomicBool,
    came: AtomicU64,
    lost: AtomicU64,
}

/// A link between one client and one server. Dropping it ends it.
pub struct LossyLink {
    /// Where the client sends to.
    pub front: SocketAddr,
    /// Where the server sees the client.
    pub back: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl LossyLink {
    /// Relays between `server` and the first address that sends to the link, and loses `percent` of the datagrams, each way.
    pub fn start(server: SocketAddr, percent: u32, seed: u64) -> io::Result<Self> {
        let socket = || -> io::Result<UdpSocket> {
            let socket = UdpSocket::bind((server.ip(), 0))?;
            SockRef::from(&socket).set_recv_buffer_size(SOCKET_BYTES)?;
            SockRef::from(&socket).set_send_buffer_size(SOCKET_BYTES)?;
            socket.set_read_timeout(Some(LOOK_EVERY))?;
            Ok(socket)
        };
        let (front, back) = (socket()?, socket()?);
        let (front_at, back_at) = (front.local_addr()?, back.local_addr()?);
        let shared = Arc::new(Shared::default());
        let mut threads = Vec::new();
        for (number, from, to) in [(0, front.try_clone()?, back.try_clone()?), (1, back, front)] {
            let (shared, mut dice) = (shared.clone(), Dice(seed.wrapping_add(number)));
            let to_server = (number == 0).then_some(server);
            threads.push(std::thread::spawn(move || carry(&from, &to, to_server, &shared, &mut dice, percent)));
        }
        Ok(Self { front: front_at, back: back_at, shared, threads })
    }

    /// Datagrams that came, and that were lost.
    pub fn counts(&self) -> (u64, u64) {
        (self.shared.came.load(Relaxed), self.shared.lost.load(Relaxed))
    }
}

impl Drop for LossyLink {
    fn drop(&mut self) {
        self.shared.ends.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn carry(from: &UdpSocket, to: &UdpSocket, server: Option<SocketAddr>, shared: &Shared, dice: &mut Dice, percent: u32) {
    let mut buffer = [0; 65_535];
    while !shared.ends.load(Relaxed) {
        let Ok((bytes, source)) = from.recv_from(&mut buffer) else { continue };
        let target = match server {
            Some(server) => {
                shared.client.get_or_init(|| source);
                server
            }
            None => match shared.client.get() {
                Some(client) => *client,
                None => continue,
            },
        };
        shared.came.fetch_add(1, Relaxed);
        if dice.percent() < percent {
            shared.lost.fetch_add(1, Relaxed);
        } else {
            // One that the kernel does not take is lost as well.
            let _ = to.send_to(&buffer[..bytes], target);
        }
    }
}

struct Dice(u64);

impl Dice {
    /// 0 to 99.
    fn percent(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % 100) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_lost_each_way() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        for socket in [&server, &client] {
            socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        }
        let link = LossyLink::start(server.local_addr().unwrap(), 10, 5).unwrap();
        let (mut there, mut back, mut buffer) = (0, 0, [0; 16]);
        for _ in 0..20 {
            (0..100).for_each(|_| drop(client.send_to(b"x", link.front)));
            while let Ok((_, from)) = server.recv_from(&mut buffer) {
                assert_eq!(from, link.back);
                there += 1;
                server.send_to(b"y", from).unwrap();
            }
            while let Ok((_, from)) = client.recv_from(&mut buffer) {
                assert_eq!(from, link.front);
                back += 1;
            }
        }
        assert!((1_700..1_900).contains(&there) && (1_500..1_720).contains(&back), "{there} {back}");
        let (came, lost) = link.counts();
        assert_eq!(came, 2_000 + there);
        assert_eq!(lost, 2_000 - there + there - back);
    }
}
