//! SIP calls of a capture: which port each got, and when its BYE came.

use super::pcap::Datagram;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A call as seen from outside.
#[derive(Clone, Copy, Default, Debug)]
pub struct SeenCall {
    /// The audio port in the answer's SDP.
    pub answered_port: Option<u16>,
    /// When the 200 to INVITE went out.
    pub answered_at_ns: u64,
    /// When the BYE or CANCEL came in; 0: none.
    pub ended_at_ns: u64,
}

/// All calls to one SIP address, gathered datagram by datagram.
#[derive(Debug)]
pub struct SeenCalls {
    switch: SocketAddr,
    /// By Call-ID.
    pub calls: BTreeMap<String, SeenCall>,
    /// Who had a port, in the order of their answers.
    by_port: BTreeMap<u16, Vec<String>>,
}

impl SeenCalls {
    /// Calls to `switch`.
    pub fn to(switch: SocketAddr) -> Self {
        Self { switch, calls: BTreeMap::new(), by_port: BTreeMap::new() }
    }

    /// Looks at one datagram.
    pub fn add(&mut self, datagram: &Datagram) {
        let (out, into) = (datagram.from == self.switch, datagram.to == self.switch);
        if !out && !into {
            return;
        }
        let Ok(text) = std::str::from_utf8(&datagram.bytes) else { return };
        let header = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let Some(id) = header("Call-ID:") else { return };
        let call = self.calls.entry(id.to_owned()).or_default();
        let ends = text.starts_with("BYE ") || text.starts_with("CANCEL ");
        if into && ends && call.ended_at_ns == 0 {
            call.ended_at_ns = datagram.at_ns;
        }
        let answers = text.starts_with("SIP/2.0 200") && header("CSeq:").is_some_and(|cseq| cseq.ends_with("INVITE"));
        if out && answers && call.answered_port.is_none() {
            let media = header("m=audio ");
            call.answered_port = media.and_then(|line| line.split(' ').next()?.parse().ok());
            call.answered_at_ns = datagram.at_ns;
            if let Some(port) = call.answered_port {
                self.by_port.entry(port).or_default().push(id.to_owned());
            }
        }
    }

    /// How long after the end of the last call that had the port an RTP packet from the switch's `port` comes; 0 while
    /// that call is up.
    pub fn after_end_ns(&self, port: u16, at_ns: u64) -> u64 {
        let had_it = self.by_port.get(&port).into_iter().flatten().rev().filter_map(|id| self.calls.get(id));
        let last = had_it.into_iter().find(|call| call.answered_at_ns <= at_ns);
        let ended_at_ns = last.map_or(0, |call| call.ended_at_ns);
        if ended_at_ns == 0 { 0 } else { at_ns.saturating_sub(ended_at_ns) }
    }

    /// Whether such a packet comes more than `grace_ns` after that end.
    pub fn is_late(&self, port: u16, at_ns: u64, grace_ns: u64) -> bool {
        self.after_end_ns(port, at_ns) > grace_ns
    }

    /// Ports that two calls had at the same time.
    pub fn shared_ports(&self) -> Vec<u16> {
        let mut lives: Vec<(u16, u64, u64)> = self
            .calls
            .values()
            .filter_map(|call| {
                let until = if call.ended_at_ns == 0 { u64::MAX } else { call.ended_at_ns };
                Some((call.answered_port?, call.answered_at_ns, until))
            })
            .collect();
        lives.sort_unstable();
        let overlap = |pair: &[(u16, u64, u64)]| pair[0].0 == pair[1].0 && pair[1].1 < pair[0].2;
        lives.windows(2).filter(|pair| overlap(pair)).map(|pair| pair[0].0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(at_ns: u64, out: bool, text: &str) -> Datagram {
        let (switch, phone) = ("127.0.0.1:5060".parse().unwrap(), "127.0.0.1:6000".parse().unwrap());
        let (from, to) = if out { (switch, phone) } else { (phone, switch) };
        Datagram { at_ns, from, to, bytes: text.replace('\n', "\r\n").into_bytes() }
    }

    #[test]
    fn a_call_its_port_and_what_is_late() {
        let mut seen = SeenCalls::to("127.0.0.1:5060".parse().unwrap());
        let answer = "SIP/2.0 200 OK\nCall-ID: x\nCSeq: 1 INVITE\n\nv=0\nm=audio 10000 RTP/AVP 0\n";
        seen.add(&datagram(100, true, answer));
        assert!(!seen.is_late(10_000, 5_000, 50));
        seen.add(&datagram(1_000, false, "BYE sip:a SIP/2.0\nCall-ID: x\nCSeq: 2 BYE\n\n"));
        assert!(!seen.is_late(10_000, 1_050, 50) && seen.is_late(10_000, 1_051, 50));
        assert_eq!((seen.after_end_ns(10_000, 1_051), seen.after_end_ns(10_002, 1_051)), (51, 0));
        seen.add(&datagram(900, true, &answer.replace(": x", ": y")));
        assert_eq!(seen.shared_ports(), [10_000]);
    }
}
