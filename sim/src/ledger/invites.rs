//! What has to follow an INVITE, beside its final response: the ACK of that, and the end of an INVITE that is cancelled.

use super::TRANSACTION_ENDS_AFTER;
use clock::Instant;
use sip_core::Flow;
use sip_wire::{Message, Method};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// The INVITEs of all nodes.
#[derive(Default)]
pub(super) struct Invites {
    /// Those that nodes sent over UDP, by sender, receiver and branch: when they were sent first.
    sent: BTreeMap<(SocketAddr, SocketAddr, Vec<u8>), Instant>,
    /// Final responses that came to a node and have no ACK of it: its address, Call-ID and CSeq.
    unacknowledged: BTreeSet<(SocketAddr, Vec<u8>, u32)>,
    acknowledged: BTreeSet<(SocketAddr, Vec<u8>, u32)>,
    /// Calls in which a node has sent or received BYE: a 2xx that comes later belongs to no dialog.
    byes: BTreeSet<(SocketAddr, Vec<u8>)>,
    /// INVITEs whose CANCEL a node has answered 200, by node, caller and branch, and when.
    cancelled: BTreeMap<(SocketAddr, SocketAddr, Vec<u8>), Instant>,
}

fn call_id_of(message: &Message<'_>) -> Vec<u8> {
    message.call_id().unwrap_or_default().to_vec()
}

impl Invites {
    /// A final response comes to a node: that to an INVITE has to be acknowledged (RFC 3261 §17.1.1.3, §13.2.2.4), unless the
    /// node may have given the INVITE up before.
    pub(super) fn is_answered(&mut self, now: Instant, flow: &Flow, branch: &[u8], message: &Message<'_>) {
        let Some(at) = self.sent.get(&(flow.local, flow.remote, branch.to_vec())) else { return };
        let Some(cseq) = message.cseq().ok().filter(|cseq| cseq.method == Method::Invite) else { return };
        let is_refused = message.status().is_some_and(|status| status.code() >= 300);
        if !is_refused && self.byes.contains(&(flow.local, call_id_of(message))) {
            return;
        }
        let key = (flow.local, call_id_of(message), cseq.number);
        if now.since(*at) < TRANSACTION_ENDS_AFTER && !self.acknowledged.contains(&key) {
            self.unacknowledged.insert(key);
        }
    }

    /// A node sends or receives a request, which may be BYE.
    pub(super) fn notes_bye(&mut self, flow: &Flow, message: &Message<'_>) {
        if message.method() == Some(Method::Bye) {
            self.byes.insert((flow.local, call_id_of(message)));
        }
    }

    /// A user agent sends a request.
    pub(super) fn sends(&mut self, now: Instant, flow: &Flow, message: &Message<'_>) {
        self.notes_bye(flow, message);
        match message.method() {
            Some(Method::Invite) if !flow.transport.is_reliable() => {
                let branch = message.top_via().ok().and_then(|via| via.branch()).unwrap_or_default();
                self.sent.entry((flow.local, flow.remote, branch.to_vec())).or_insert(now);
            }
            Some(Method::Ack) => {
                let number = message.cseq().map_or(0, |cseq| cseq.number);
                let key = (flow.local, call_id_of(message), number);
                self.unacknowledged.remove(&key);
                self.acknowledged.insert(key);
            }
            _ => {}
        }
    }

    /// A user agent sends a final response to an INVITE or a CANCEL: with the 200 for a CANCEL the INVITE ends at once (RFC
    /// 3261 §9.2), unless it `is_over` before. Gives the rule that this breaks.
    pub(super) fn sends_final(
        &mut self,
        now: Instant,
        (from, to, branch): (SocketAddr, SocketAddr, &[u8]),
        (method, status): (&Method, u16),
        is_over: bool,
    ) -> Option<String> {
        let key = (from, to, branch.to_vec());
        if *method == Method::Cancel && status < 300 && !is_over {
            self.cancelled.entry(key).or_insert(now);
        } else if *method == Method::Invite {
            let after = now.since(self.cancelled.remove(&key)?);
            let is_late = !after.is_zero();
            return is_late.then(|| format!("{from} answered an INVITE {status} only {after:?} after its CANCEL"));
        }
        None
    }

    /// The process at this address has died.
    pub(super) fn forget(&mut self, address: SocketAddr) {
        self.sent.retain(|(from, ..), _| *from != address);
        self.unacknowledged.retain(|(from, ..)| *from != address);
        self.cancelled.retain(|(from, ..), _| *from != address);
    }

    /// What is missing at the end, in words.
    pub(super) fn open(&self) -> Option<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if let Some((node, call, cseq)) = self.unacknowledged.first() {
            return Some(format!("{node} has a final response without an ACK: {} {cseq} INVITE", text(call)));
        }
        let ((node, caller, branch), _) = self.cancelled.first_key_value()?;
        Some(format!("an INVITE of {caller} that was cancelled does not end at {node}: {}", text(branch)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clock::Duration;

    fn flow() -> Flow {
        Flow::udp(([10, 0, 0, 1], 5060).into(), ([10, 0, 0, 2], 5060).into())
    }

    fn message(first_line: &str, cseq: &str) -> Vec<u8> {
        format!(
            "{first_line}\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n\
             Call-ID: x\r\nCSeq: {cseq}\r\nContent-Length: 0\r\n\r\n"
        )
        .into_bytes()
    }

    /// What is missing after an INVITE whose refusal comes after so long, with or without an ACK.
    fn refused(after_s: u64, has_ack: bool) -> Option<String> {
        let (mut invites, at) = (Invites::default(), Instant::ZERO);
        let (invite, ack) = (message("INVITE sip:c@d SIP/2.0", "1 INVITE"), message("ACK sip:c@d SIP/2.0", "1 ACK"));
        invites.sends(at, &flow(), &Message::parse(&invite).unwrap());
        let refusal = message("SIP/2.0 486 Busy Here", "1 INVITE");
        let refusal = Message::parse(&refusal).unwrap();
        let via = refusal.top_via().unwrap();
        invites.is_answered(at + Duration::from_secs(after_s), &flow(), via.branch().unwrap(), &refusal);
        if has_ack {
            invites.sends(at, &flow(), &Message::parse(&ack).unwrap());
        }
        invites.open()
    }

    #[test]
    fn a_refusal_has_to_be_acknowledged() {
        assert_eq!(refused(3, true), None);
        assert!(refused(3, false).is_some_and(|why| why.contains("without an ACK")));
        assert_eq!(refused(32, false), None, "timer B has ended the INVITE");
    }

    #[test]
    fn a_cancelled_invite_ends_at_once() {
        let key = (flow().local, flow().remote, &b"1"[..]);
        let cancel =
            |invites: &mut Invites, is_over| invites.sends_final(Instant::ZERO, key, (&Method::Cancel, 200), is_over);
        let end = |invites: &mut Invites, after_ms| {
            let now = Instant::ZERO + Duration::from_millis(after_ms);
            invites.sends_final(now, key, (&Method::Invite, 487), false)
        };
        let mut invites = Invites::default();
        assert_eq!(cancel(&mut invites, false), None);
        assert!(invites.open().is_some());
        assert_eq!((end(&mut invites, 0), invites.open()), (None, None));
        cancel(&mut invites, false);
        assert!(end(&mut invites, 1).is_some());
        cancel(&mut invites, true);
        assert_eq!(invites.open(), None, "it was answered before");
    }
}
