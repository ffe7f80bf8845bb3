//! A client of rtpengine's control protocol "NG": bencoded dictionaries in UDP datagrams, each with a cookie in front.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// A bencoded value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// `i..e`
    Integer(i64),
    /// `5:bytes`
    Bytes(Vec<u8>),
    /// `l..e`
    List(Vec<Value>),
    /// `d..e`
    Dictionary(BTreeMap<Vec<u8>, Value>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

/// Deepest nesting that is read.
const DEPTH_MAX: usize = 16;

impl Value {
    /// A dictionary.
    pub fn dictionary<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        Self::Dictionary(entries.into_iter().map(|(key, value)| (key.as_bytes().to_vec(), value)).collect())
    }

    /// An entry of a dictionary.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Dictionary(entries) => entries.get(key.as_bytes()),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// Appends the bencoded form.
    pub fn write(&self, out: &mut Vec<u8>) {
        let string = |bytes: &[u8], out: &mut Vec<u8>| {
            out.extend_from_slice(format!("{}:", bytes.len()).as_bytes());
            out.extend_from_slice(bytes);
        };
        match self {
            Self::Integer(number) => out.extend_from_slice(format!("i{number}e").as_bytes()),
            Self::Bytes(bytes) => string(bytes, out),
            Self::List(values) => {
                out.push(b'l');
                values.iter().for_each(|value| value.write(out));
                out.push(b'e');
            }
            Self::Dictionary(entries) => {
                out.push(b'd');
                for (key, value) in entries {
                    string(key, out);
                    value.write(out);
                }
                out.push(b'e');
            }
        }
    }

    /// Reads one value and nothing behind it.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let value = Self::read_part(&mut rest, DEPTH_MAX)?;
        rest.is_empty().then_some(value)
    }

    fn read_part(rest: &mut &[u8], depth: usize) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        match *rest.first()? {
            b'i' => {
                *rest = &rest[1..];
                Some(Self::Integer(until(rest, b'e')?.parse().ok()?))
            }
            b'l' => {
                *rest = &rest[1..];
                let mut values = Vec::new();
                while *rest.first()? != b'e' {
                    values.push(Self::read_part(rest, depth)?);
                }
                *rest = &rest[1..];
                Some(Self::List(values))
            }
            b'd' => {
                *rest = &rest[1..];
                let mut entries = BTreeMap::new();
                while *rest.first()? != b'e' {
                    let key = read_string(rest)?;
                    entries.insert(key, Self::read_part(rest, depth)?);
                }
                *rest = &rest[1..];
                Some(Self::Dictionary(entries))
            }
            _ => read_string(rest).map(Self::Bytes),
        }
    }
}

fn until<'a>(rest: &mut &'a [u8], end: u8) -> Option<&'a str> {
    let at = rest.iter().position(|byte| *byte == end)?;
    let text = std::str::from_utf8(&rest[..at]).ok()?;
    *rest = &rest[at + 1..];
    Some(text)
}

fn read_string(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let count: usize = until(rest, b':')?.parse().ok()?;
    let string = rest.get(..count)?.to_vec();
    *rest = &rest[count..];
    Some(string)
}

/// A connection to rtpengine's NG port.
pub struct NgClient {
    socket: UdpSocket,
    cookie: u64,
}

impl NgClient {
    /// How long an answer may take before the request is sent again.
    const RESEND_AFTER: Duration = Duration::from_millis(500);
    /// How often a request is sent at most.
    const TRIES: usize = 10;

    /// Connects; nothing is sent yet.
    pub fn connect(to: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((if to.is_ipv4() { "127.0.0.1" } else { "::1" }, 0))?;
        socket.connect(to)?;
        socket.set_read_timeout(Some(Self::RESEND_AFTER))?;
        Ok(Self { socket, cookie: 0 })
    }

    /// Asks, and waits for the answer with our cookie. An answer with `result: error` is an error here.
    pub fn ask(&mut self, request: &Value) -> io::Result<Value> {
        self.cookie += 1;
        let cookie = format!("ringplane-{}-{} ", std::process::id(), self.cookie);
        let mut datagram = cookie.clone().into_bytes();
        request.write(&mut datagram);
        let mut answer = vec![0; 65_536];
        for _ in 0..Self::TRIES {
            if self.socket.send(&datagram).is_err() {
                std::thread::sleep(Duration::from_millis(20)); // not listening yet: ICMP answered the last one
                continue;
            }
            while let Ok(count) = self.socket.recv(&mut answer) {
                let Some(value) = answer[..count].strip_prefix(cookie.as_bytes()) else { continue };
                let value = Value::read(value).ok_or_else(|| io::Error::other("rtpengine's answer is not bencoded"))?;
                if value.get("result").and_then(Value::text) == Some("error") {
                    let reason = value.get("error-reason").and_then(Value::text).unwrap_or("no reason given");
                    return Err(io::Error::other(format!("rtpengine: {reason}")));
                }
                return Ok(value);
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "rtpengine does not answer on its NG port"))
    }

    /// Whether it is there.
    pub fn ping(&mut self) -> io::Result<()> {
        self.ask(&Value::dictionary([("command", "ping".into())])).map(drop)
    }

    /// Opens both sides of a call with one audio stream of PCMU each. Returns rtpengine's ports: the one that A sends to, and
    /// the one that B sends to.
    pub fn open_call(&mut self, call: &str, a: SocketAddr, b: SocketAddr) -> io::Result<(u16, u16)> {
        self.open_transcoded_call(call, &Side::pcmu(a), &Side::pcmu(b))
    }

    /// Opens both sides of a call, of which B only has another codec than A, or the same. Returns the ports as
    /// [`Self::open_call`] does.
    pub fn open_transcoded_call(&mut self, call: &str, a: &Side<'_>, b: &Side<'_>) -> io::Result<(u16, u16)> {
        let sides = |command: &str, side: &Side<'_>, more: Vec<(&'static str, Value)>| {
            let entries = [
                ("command", command.into()),
                ("call-id", call.into()),
                ("from-tag", "a".into()),
                ("sdp", Value::from(sdp_of(side).as_str())),
                ("ICE", "remove".into()),
                ("flags", Value::List(vec!["trust-address".into()])),
            ];
            Value::dictionary(entries.into_iter().chain(more))
        };
        let mut codecs = Vec::new();
        if a.rtpmap != b.rtpmap {
            let names = |side: &Side<'_>| Value::List(vec![side.name().into()]);
            codecs.push(("codec", Value::dictionary([("mask", names(a)), ("transcode", names(b))])));
        }
        let to_b = self.ask(&sides("offer", a, codecs))?;
        let to_a = self.ask(&sides("answer", b, vec![("to-tag", "b".into())]))?;
        Ok((audio_port(&to_a)?, audio_port(&to_b)?))
    }

    /// Ends the call.
    pub fn delete_call(&mut self, call: &str) -> io::Result<()> {
        let entries = [("command", "delete".into()), ("call-id", call.into()), ("from-tag", "a".into())];
        self.ask(&Value::dictionary(entries.into_iter().chain([("delete-delay", Value::Integer(0))]))).map(drop)
    }
}

/// One side of a call: where it takes media, and its only codec.
#[derive(Clone, Copy, Debug)]
pub struct Side<'s> {
    /// Where it takes RTP.
    pub media: SocketAddr,
    /// Its payload type.
    pub payload_type: u8,
    /// The rest of `a=rtpmap`.
    pub rtpmap: &'s str,
    /// The rest of `a=fmtp`, or nothing.
    pub fmtp: &'s str,
}

impl Side<'_> {
    fn pcmu(media: SocketAddr) -> Self {
        Self { media, payload_type: 0, rtpmap: "PCMU/8000", fmtp: "" }
    }

    /// The encoding name.
    fn name(&self) -> &str {
        self.rtpmap.split('/').next().unwrap_or_default()
    }
}

/// An offer of G.711 only.
pub(crate) fn sdp(media: SocketAddr) -> String {
    sdp_of(&Side::pcmu(media))
}

fn sdp_of(side: &Side<'_>) -> String {
    let Side { media, payload_type, rtpmap, fmtp } = side;
    let (family, ip) = (if media.is_ipv4() { "IP4" } else { "IP6" }, media.ip());
    let fmtp = if fmtp.is_empty() { String::new() } else { format!("a=fmtp:{payload_type} {fmtp}\r\n") };
    format!(
        "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {} RTP/AVP {payload_type}\r\n\
         a=rtpmap:{payload_type} {rtpmap}\r\n{fmtp}a=ptime:20\r\na=sendrecv\r\n",
        media.port()
    )
}

fn audio_port(answer: &Value) -> io::Result<u16> {
    let sdp = answer.get("sdp").and_then(Value::text).unwrap_or_default();
    let line = sdp.lines().find_map(|line| line.strip_prefix("m=audio "));
    line.and_then(|line| line.split(' ').next()?.parse().ok())
        .ok_or_else(|| io::Error::other(format!("no audio port in rtpengine's SDP: {sdp:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_went() {
        let value = Value::dictionary([
            ("command", "offer".into()),
            ("n", Value::Integer(-7)),
            ("flags", Value::List(vec!["a".into(), Value::dictionary([])])),
        ]);
        let mut bytes = Vec::new();
        value.write(&mut bytes);
        assert_eq!(bytes, b"d7:command5:offer5:flagsl1:adee1:ni-7ee");
        assert_eq!(Value::read(&bytes), Some(value));
    }

    #[test]
    fn lies_about_lengths_are_refused() {
        for lie in ["", "d", "5:abc", "i12", "l", "99999999999999999999:a", "-1:a", "i1ei2e", "d1:a", "x"] {
            assert_eq!(Value::read(lie.as_bytes()), None, "{lie}");
        }
        let deep = [vec![b'l'; 10_000], vec![b'e'; 10_000]].concat();
        assert_eq!(Value::read(&deep), None);
    }
}
