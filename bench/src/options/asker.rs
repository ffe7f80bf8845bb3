//! Asks OPTIONS, at a pace or as fast as the answers come.

use clock::{Duration, Instant};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};

/// How fast.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Pace {
    /// So many a second, in steps of a millisecond.
    Rate(u32),
    /// So many on their way at any time.
    Window(usize),
}

/// What came of it.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Asked {
    /// OPTIONS sent.
    pub sent: u64,
    /// Answers 200.
    pub answered: u64,
    /// Other answers.
    pub refused: u64,
    /// Seconds.
    pub seconds: f64,
}

/// Several, so that a server with a socket for each of its threads hears on all of them.
const SOCKET_COUNT: usize = 16;
/// What has no answer by then is lost.
const LOST_AFTER: Duration = Duration::from_millis(200);
const STEP: Duration = Duration::from_millis(1);

/// Sockets and the number of the next question.
pub struct Asker {
    sockets: Vec<(UdpSocket, SocketAddr)>,
    to: SocketAddr,
    number: u64,
    text: Vec<u8>,
}

impl Asker {
    /// One that asks `to`.
    pub fn new(to: SocketAddr) -> io::Result<Self> {
        let socket = |_| -> io::Result<(UdpSocket, SocketAddr)> {
            let socket = UdpSocket::bind((to.ip(), 0))?;
            socket.connect(to)?;
            socket.set_nonblocking(true)?;
            let local = socket.local_addr()?;
            Ok((socket, local))
        };
        let sockets = (0..SOCKET_COUNT).map(socket).collect::<io::Result<_>>()?;
        Ok(Self { sockets, to, number: 0, text: Vec::with_capacity(1_024) })
    }

    /// Asks for a time.
    pub fn ask(&mut self, pace: Pace, time: Duration) -> io::Result<Asked> {
        let mut asked = Asked::default();
        let start = clock::now();
        let (mut heard_at, mut open) = (start, 0_u64);
        loop {
            let now = clock::now();
            let elapsed = now.since(start);
            if elapsed >= time {
                asked.seconds = elapsed.as_secs_f64();
                self.hear(&mut asked, LOST_AFTER)?;
                return Ok(asked);
            }
            if now.since(heard_at) >= LOST_AFTER {
                (open, heard_at) = (0, now);
            }
            let due = match pace {
                Pace::Rate(rate) => ((elapsed.as_secs_f64() * f64::from(rate)) as u64).saturating_sub(asked.sent),
                Pace::Window(count) => (count as u64).saturating_sub(open),
            };
            for _ in 0..due {
                self.send(&mut asked)?;
                open += 1;
            }
            let before = asked.answered + asked.refused;
            self.hear_once(&mut asked, self.pause(pace, now, start))?;
            let heard = asked.answered + asked.refused - before;
            if heard > 0 {
                (open, heard_at) = (open.saturating_sub(heard), clock::now());
            }
        }
    }

    /// At a pace the next step is waited for, otherwise the next answer.
    fn pause(&self, pace: Pace, now: Instant, start: Instant) -> Duration {
        match pace {
            Pace::Rate(_) => STEP - Duration::from_nanos(now.since(start).as_nanos() as u64 % STEP.as_nanos() as u64),
            Pace::Window(_) => LOST_AFTER,
        }
    }

    fn send(&mut self, asked: &mut Asked) -> io::Result<()> {
        self.number += 1;
        let (number, to) = (self.number, self.to);
        let (socket, local) = &self.sockets[number as usize % SOCKET_COUNT];
        self.text.clear();
        write!(
            self.text,
            "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bK{number:016x}\r\nMax-Forwards: 70\r\n\
             From: \"Probe\" <sip:probe@{local}>;tag={number:x}\r\nTo: <sip:{to}>\r\nContact: <sip:probe@{local}>\r\n\
             Call-ID: {number:016x}@{local}\r\nCSeq: 1 OPTIONS\r\nAccept: application/sdp\r\nUser-Agent: bench\r\n\
             Content-Length: 0\r\n\r\n"
        )?;
        // A full buffer loses it, as a network would.
        if socket.send(&self.text).is_ok() {
            asked.sent += 1;
        }
        Ok(())
    }

    fn hear(&mut self, asked: &mut Asked, time: Duration) -> io::Result<()> {
        let until = clock::now() + time;
        while clock::now() < until && asked.answered + asked.refused < asked.sent {
            self.hear_once(asked, STEP)?;
        }
        Ok(())
    }

    /// Waits for answers and takes all that are there.
    fn hear_once(&mut self, asked: &mut Asked, pause: Duration) -> io::Result<()> {
        let timeout = Timespec { tv_sec: 0, tv_nsec: pause.as_nanos().min(999_999_999) as _ };
        let mut ready: Vec<PollFd<'_>> =
            self.sockets.iter().map(|(socket, _)| PollFd::new(socket, PollFlags::IN)).collect();
        poll(&mut ready, Some(&timeout))?;
        let mut buffer = [0; 2_048];
        for (place, (socket, _)) in ready.iter().zip(&self.sockets) {
            if place.revents().is_empty() {
                continue;
            }
            while let Ok(count) = socket.recv(&mut buffer) {
                if buffer[..count].starts_with(b"SIP/2.0 200") {
                    asked.answered += 1;
                } else {
                    asked.refused += 1;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers the first `count` questions.
    fn server(count: usize) -> (SocketAddr, std::thread::JoinHandle<()>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            let mut buffer = [0; 2_048];
            for _ in 0..count {
                let Ok((bytes, from)) = socket.recv_from(&mut buffer) else { return };
                assert!(buffer[..bytes].starts_with(b"OPTIONS sip:"));
                socket.send_to(b"SIP/2.0 200 OK\r\n\r\n", from).unwrap();
            }
        });
        (address, thread)
    }

    #[test]
    fn answers_are_counted_and_lost_ones_do_not_stop_it() {
        let (address, thread) = server(100);
        let mut asker = Asker::new(address).unwrap();
        let asked = asker.ask(Pace::Window(8), Duration::from_millis(700)).unwrap();
        assert!(asked.answered > 0 && asked.answered <= 100 && asked.sent > asked.answered, "{asked:?}");
        thread.join().unwrap();
    }

    #[test]
    fn a_pace_is_kept() {
        let (address, thread) = server(1_000);
        let asked = Asker::new(address).unwrap().ask(Pace::Rate(1_000), Duration::from_millis(300)).unwrap();
        assert!((1..=300).contains(&asked.sent), "{asked:?}");
        drop(thread);
    }
}
