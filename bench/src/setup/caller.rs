//! Calls one after the other, each until it is connected, and none ends: INVITE, 200, ACK.

use crate::held::{SDP, request, to_tag};
use clock::{Duration, Instant};
use std::io;
use std::net::{SocketAddr, UdpSocket};

/// How long an answer is waited for before the request is sent again. Valgrind takes its time.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// And in all.
const GIVE_UP: Duration = Duration::from_secs(10);

/// One phone; no two of its calls have the same number.
pub(super) struct Caller {
    socket: UdpSocket,
    made_count: usize,
    sdp: String,
}

impl Caller {
    pub(super) fn new(switch: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((switch.ip(), 0))?;
        socket.connect(switch)?;
        socket.set_read_timeout(Some(ASK_AGAIN))?;
        // What is played to us stays on this host.
        let sdp = SDP.replace("192.0.2.1", &switch.ip().to_string());
        Ok(Self { socket, made_count: 0, sdp })
    }

    /// So many calls, at `rate` a second where that is not too fast.
    pub(super) fn call(&mut self, calls: usize, rate: u32) -> io::Result<()> {
        let start = clock::now();
        for at in 0..calls {
            let due = start + Duration::from_secs(at as u64) / rate.max(1);
            std::thread::sleep(due.since(clock::now()));
            self.one(self.made_count)?;
            self.made_count += 1;
        }
        Ok(())
    }

    fn one(&self, number: usize) -> io::Result<()> {
        let (invite, give_up) = (request("INVITE", number, 1, b"", "", &self.sdp), clock::now() + GIVE_UP);
        let call_id = invite.lines().find(|line| line.starts_with("Call-ID:")).unwrap_or_default();
        self.socket.send(invite.as_bytes())?;
        let mut asked_at = clock::now();
        loop {
            let mut buffer = [0; 4_096];
            match self.socket.recv(&mut buffer) {
                Ok(length) => {
                    let answer = String::from_utf8_lossy(&buffer[..length]);
                    if answer.starts_with("SIP/2.0 200 ") && answer.contains(call_id) {
                        let ack = request("ACK", number, 1, to_tag(&answer).as_bytes(), "", "");
                        self.socket.send(ack.as_bytes())?;
                        return Ok(());
                    }
                    if answer.starts_with("SIP/2.0 ") && answer.as_bytes()[8] > b'2' {
                        return Err(io::Error::other(format!("call {number} was answered {answer}")));
                    }
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
            self.look_at_time(&mut asked_at, give_up, &invite)?;
        }
    }

    fn look_at_time(&self, asked_at: &mut Instant, give_up: Instant, invite: &str) -> io::Result<()> {
        let now = clock::now();
        if now > give_up {
            return Err(io::Error::other("the program does not answer an INVITE"));
        }
        if now.since(*asked_at) >= ASK_AGAIN {
            *asked_at = now;
            self.socket.send(invite.as_bytes())?;
        }
        Ok(())
    }
}
