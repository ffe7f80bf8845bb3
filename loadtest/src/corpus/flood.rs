//! Corpora again and again: each time around every message is another transaction and another call.

use super::{Place, Request, Sample, acknowledgement, fresh, messages, requests};
use crate::connection::{Connection, Connector, Over};
use crate::flood::{Flood, Pace};
use std::collections::HashSet;
use std::io;
use std::net::{SocketAddr, UdpSocket};

/// Requests on their way at once over a connection.
const WINDOW: usize = 16;

/// Sends `count` messages of a corpus, at most `per_second`, in turns that `name` tells apart. Over UDP nobody waits for
/// answers; over connections every request that can be answered has to be, and each other message has a connection of
/// its own. No INVITE calls anybody but `busy`, so that no call comes of it.
pub fn flood_corpus(
    to: SocketAddr,
    over: Over,
    samples: &[Sample],
    name: &str,
    count: u64,
    per_second: u64,
) -> io::Result<Flood> {
    if samples.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the corpus is empty"));
    }
    let mut run = Run { over, samples, flood: Flood::default(), count, pace: Pace::new(per_second) };
    for turn in 0.. {
        if run.is_over() {
            break;
        }
        let mark = format!("{name}{turn}.");
        match over {
            Over::Udp => run.datagrams(to, &mark)?,
            _ => run.connections(&Connector::new(over, to)?, &mark)?,
        }
    }
    Ok(run.flood)
}

struct Run<'r> {
    over: Over,
    samples: &'r [Sample],
    flood: Flood,
    count: u64,
    pace: Pace,
}

impl Run<'_> {
    fn is_over(&self) -> bool {
        self.flood.sent + self.flood.refused >= self.count
    }

    fn requests(&self, local: SocketAddr, mark: &str) -> Vec<Request> {
        let place = Place { transport: self.over.via_name(), local, run: mark };
        let mut all = requests(self.samples, &place, None);
        all.retain(|request| !request.bytes.starts_with(b"INVITE sip:tone"));
        all
    }

    fn messages(&self, mark: &str) -> Vec<Vec<u8>> {
        messages(self.samples, "").map(|(_, bytes)| to_busy(&fresh(&bytes, mark))).collect()
    }

    fn datagrams(&mut self, to: SocketAddr, mark: &str) -> io::Result<()> {
        let socket = UdpSocket::bind((if to.is_ipv4() { "127.0.0.1" } else { "::1" }, 0))?;
        let places = self.requests(socket.local_addr()?, mark).into_iter().map(|request| request.bytes);
        for message in self.messages(mark).into_iter().chain(places) {
            if self.is_over() {
                break;
            }
            self.pace.wait(self.flood.sent + self.flood.refused);
            match socket.send_to(&message, to) {
                Ok(_) => self.flood.sent += 1,
                Err(_) => self.flood.refused += 1,
            }
        }
        Ok(())
    }

    fn connections(&mut self, connector: &Connector, mark: &str) -> io::Result<()> {
        for message in self.messages(mark) {
            if self.is_over() {
                return Ok(());
            }
            self.pace.wait(self.flood.sent);
            // It may be closed before all of it is written.
            let _ = connector.open()?.send(&message);
            self.flood.sent += 1;
        }
        let mut connection = connector.open()?;
        let all = self.requests(connection.local, mark);
        for some in all.chunks(WINDOW) {
            if self.is_over() {
                break;
            }
            self.pace.wait(self.flood.sent);
            self.ask(&mut connection, some)?;
        }
        Ok(())
    }

    /// Sends some requests and hears all their answers.
    fn ask(&mut self, connection: &mut Connection, some: &[Request]) -> io::Result<()> {
        let place = Place { transport: self.over.via_name(), local: connection.local, run: "" };
        let mut waiting: HashSet<&str> = some.iter().map(|request| request.branch.as_str()).collect();
        for request in some {
            connection.send(&request.bytes)?;
            self.flood.sent += 1;
        }
        while !waiting.is_empty() {
            let silent = |error| io::Error::other(format!("no answer to {:?}: {error}", waiting.iter().next()));
            let answer = connection.answer().map_err(silent)?;
            let branch = answer.split("branch=").nth(1).and_then(|rest| rest.split([';', ',', '\r']).next());
            let Some(branch) = branch.filter(|_| !answer.starts_with("SIP/2.0 1")) else { continue };
            if !waiting.remove(branch) {
                continue;
            }
            self.flood.answered += 1;
            if some.iter().any(|request| request.branch == branch && request.method == "INVITE") {
                for text in acknowledgement(&answer, &place, branch, true) {
                    connection.send(text.as_bytes())?;
                }
            }
        }
        Ok(())
    }
}

/// The message with `busy` as the user of an INVITE's target: a switch that answered it would send its next requests to the
/// Contact of the corpus, which leads out of this host.
fn to_busy(message: &[u8]) -> Vec<u8> {
    for start in [&b"INVITE sip:"[..], b"INVITE sips:"] {
        let Some(rest) = message.strip_prefix(start) else { continue };
        let end = rest.iter().position(|byte| byte.is_ascii_whitespace()).unwrap_or(rest.len());
        let host = rest[..end].iter().position(|byte| *byte == b'@').map_or(0, |at| at + 1);
        return [start, b"busy@", &rest[host..]].concat();
    }
    message.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Form;

    #[test]
    fn nobody_else_is_called() {
        let busy = |text: &str| String::from_utf8(to_busy(text.as_bytes())).unwrap();
        assert_eq!(busy("INVITE sip:a;b@c SIP/2.0\r\n"), "INVITE sip:busy@c SIP/2.0\r\n");
        assert_eq!(busy("INVITE sips:c SIP/2.0\r\nTo: a@b\r\n"), "INVITE sips:busy@c SIP/2.0\r\nTo: a@b\r\n");
        assert_eq!(busy("INVITE <sip:a@b> SIP/2.0\r\n"), "INVITE <sip:a@b> SIP/2.0\r\n");
        assert_eq!(busy("BYE sip:a@b SIP/2.0\r\n"), "BYE sip:a@b SIP/2.0\r\n");
    }

    #[test]
    fn as_many_as_asked_for_and_never_the_same_twice() {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let text = "BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nCall-ID: c\r\n\r\n";
        let samples = [Sample { name: "a".into(), form: Form::Message, bytes: text.into() }];
        let flood = flood_corpus(peer.local_addr().unwrap(), Over::Udp, &samples, "r", 5, 1_000).unwrap();
        assert_eq!((flood.sent, flood.refused), (5, 0));
        let mut heard = HashSet::new();
        for _ in 0..5 {
            let mut buffer = [0; 1_000];
            let bytes = peer.recv(&mut buffer).unwrap();
            heard.insert(buffer[..bytes].to_vec());
        }
        assert_eq!(heard.len(), 5);
        assert!(flood_corpus(peer.local_addr().unwrap(), Over::Udp, &[], "r", 5, 1_000).is_err());
    }
}
