//! Malformed datagrams, many of them, the same ones for the same seed.

use std::io;
use std::net::{SocketAddr, UdpSocket};

/// Small and good enough to damage packets (xorshift64*).
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }
}

/// What is damaged.
const REQUESTS: [&str; 6] = [
    "INVITE sip:tone@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKflood\r\nMax-Forwards: 70\r\nFrom: \
     <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: flood\r\nCSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.1:9>\r\nContent-Type: \
     application/sdp\r\nContent-Length: 110\r\n\r\nv=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 \
     0\r\nm=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n",
    "BYE sip:tone@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKflood2\r\nFrom: <sip:a@b>;tag=1\r\nTo: \
     <sip:c@d>;tag=2\r\nCall-ID: flood\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n",
    "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKflood3\r\nFrom: <sip:a@b>;tag=1\r\nTo: \
     <sip:c@d>\r\nCall-ID: flood3\r\nCSeq: 4294967295 OPTIONS\r\nContent-Length: 0\r\n\r\n",
    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKflood4\r\nFrom: <sip:a@b>;tag=1\r\nTo: \
     <sip:c@d>;tag=4\r\nCall-ID: flood4\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
    "ACK sip:tone@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKflood5\r\nCall-ID: flood5\r\nCSeq: 1 \
     ACK\r\n\r\n",
    "REGISTER sip:127.0.0.1 SIP/2.0\r\nv: SIP/2.0/UDP [::1]:9;branch=z9hG4bKflood6\r\nf: <sip:a@b>;tag=1\r\nt: \
     \"\\\"<sip:c@d>\r\ni: flood6\r\nCSeq: 1 REGISTER\r\nContact: *\r\nExpires: 0\r\nl: 0\r\n\r\n",
];

/// A SIP message that is no longer one: cut, with bytes changed, repeated, or of nothing but noise.
///
/// It never stays whole: the Via is broken first, so that no answer goes anywhere and no call comes of it.
pub fn damaged_sip(random: &mut Random, datagram: &mut Vec<u8>) {
    datagram.clear();
    datagram.extend_from_slice(REQUESTS[random.below(REQUESTS.len())].as_bytes());
    match random.below(5) {
        0 => datagram.truncate(random.below(datagram.len())),
        1 => {
            let (at, long) = (random.below(datagram.len()), vec![b'a' + random.below(26) as u8; random.below(1_400)]);
            datagram.splice(at..at, long);
        }
        2 => datagram.iter_mut().for_each(|byte| *byte = random.below(256) as u8),
        3 => {
            let at = random.below(datagram.len());
            let rest = datagram.split_off(at);
            datagram.splice(0..0, rest);
        }
        _ => {}
    }
    for _ in 0..1 + random.below(8) {
        if let Some(byte) = datagram.len().checked_sub(1).map(|last| random.below(last + 1)) {
            datagram[byte] = random.below(256) as u8;
        }
    }
    let via = datagram.windows(7).position(|window| window == b"SIP/2.0" && window.as_ptr() != datagram.as_ptr());
    if let Some(at) = via {
        datagram[at] = b'?';
    }
}

/// Something that is nearly RTP or RTCP: wrong version, lying lengths, cut, or noise.
pub fn damaged_rtp(random: &mut Random, datagram: &mut Vec<u8>) {
    datagram.clear();
    datagram.extend((0..random.below(300)).map(|_| random.below(256) as u8));
    let Some(first) = datagram.first_mut() else { return };
    match random.below(4) {
        0 => *first &= 0x3f,                 // version 0
        1 => *first = 0x8f,                  // fifteen CSRCs that are not there
        2 => *first = 0x90,                  // an extension longer than the packet
        _ => *first = 0xa0 | (*first & 0xf), // padding that lies
    }
    if let Some(second) = datagram.get_mut(1)
        && random.below(3) == 0
    {
        *second = 200 + random.below(8) as u8; // RTCP with a length that lies
    }
}

/// How a flood went.
#[derive(Clone, Copy, Default, Debug)]
pub struct Flood {
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams that the kernel refused.
    pub refused: u64,
    /// Answers heard, where anybody listened.
    pub answered: u64,
}

/// Keeps to a rate.
pub(crate) struct Pace {
    started: clock::Instant,
    per_second: u64,
}

impl Pace {
    const BURST: u64 = 50;

    pub(crate) fn new(per_second: u64) -> Self {
        Self { started: clock::now(), per_second: per_second.max(1) }
    }

    /// Call it before each message with how many went before.
    pub(crate) fn wait(&self, sent: u64) {
        if sent.is_multiple_of(Self::BURST) {
            let due = self.started + clock::Duration::from_secs_f64(sent as f64 / self.per_second as f64);
            std::thread::sleep(due - clock::now());
        }
    }
}

/// Sends `count` damaged datagrams in turn to `targets`, at most `per_second`.
pub fn flood(
    targets: &[SocketAddr],
    damage: fn(&mut Random, &mut Vec<u8>),
    seed: u64,
    count: u64,
    per_second: u64,
) -> io::Result<Flood> {
    let Some(first) = targets.first() else { return Ok(Flood::default()) };
    let socket = UdpSocket::bind((if first.is_ipv4() { "0.0.0.0" } else { "::" }, 0))?;
    let (mut random, mut datagram, mut flood) = (Random::new(seed), Vec::new(), Flood::default());
    let pace = Pace::new(per_second);
    for (n, target) in (0..count).zip(targets.iter().cycle()) {
        pace.wait(n);
        damage(&mut random, &mut datagram);
        match socket.send_to(&datagram, target) {
            Ok(_) => flood.sent += 1,
            Err(_) => flood.refused += 1,
        }
    }
    Ok(flood)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_damages_the_same_way() {
        for damage in [damaged_sip, damaged_rtp] {
            let run = || {
                let (mut random, mut datagram, mut all) = (Random::new(7), Vec::new(), Vec::new());
                for _ in 0..200 {
                    damage(&mut random, &mut datagram);
                    assert!(datagram.len() < 4_096);
                    all.push(datagram.clone());
                }
                all
            };
            let all = run();
            assert_eq!(all, run());
            assert!(all.windows(2).any(|pair| pair[0] != pair[1]));
        }
    }
}
