//! Requests that are too large for UDP and go by TCP instead (RFC 3261 §18.1.1), and back when nobody listens there.
//!
//! The transaction that sent such a request believes in UDP: it goes on repeating it. The copies end here.

use sip_core::{Flow, Transport};
use sip_wire::Message;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use transport::{Streams, Target, UNKNOWN_MTU_MAX_BYTES, carriage};

/// Requests that are remembered; further ones are sent by UDP, whatever their size.
const MOVED_COUNT_MAX: usize = 16_384;
/// How long one is remembered: longer than its copies come (64*T1 at the default T1, and some).
const MEMORY: clock::Duration = clock::Duration::from_secs(40);
/// How often those are looked for whose copies are over, while there is no room.
const SWEEP_PAUSE: clock::Duration = clock::Duration::from_secs(1);
/// How the topmost Via of our own requests begins.
const VIA: &[u8] = b"\r\nVia: SIP/2.0/";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// On its way over a connection.
    Tcp,
    /// Nobody listened on TCP: by UDP, whatever its size.
    Udp,
}

#[derive(Clone, Copy)]
struct Entry {
    place: Place,
    at: clock::Instant,
}

/// The requests that were moved, for all shards.
#[derive(Default)]
pub(crate) struct TcpFallback {
    moved: Mutex<Moved>,
}

/// The moved requests, by branch and method.
#[derive(Default)]
struct Moved {
    entries: HashMap<Box<[u8]>, Entry>,
    swept_at: Option<clock::Instant>,
}

impl TcpFallback {
    /// Whether a message for UDP has to be looked at: a large request.
    pub(crate) fn concerns(bytes: &[u8]) -> bool {
        bytes.len() > UNKNOWN_MTU_MAX_BYTES && !bytes.starts_with(b"SIP/")
    }

    fn moved(&self) -> MutexGuard<'_, Moved> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a large request over TCP, unless it is there already. `false`: send it by UDP.
    pub(crate) fn send(&self, streams: &Streams, flow: &Flow, bytes: &[u8]) -> bool {
        if carriage(bytes.len(), None, Transport::Udp).transport != Transport::Tcp {
            return false;
        }
        let (Some(key), Some(moved)) = (key(bytes), with_via(bytes, "TCP")) else { return false };
        if !self.remember(key, clock::now()) {
            return self.is_at(bytes, Place::Tcp);
        }
        let target = Target { transport: Transport::Tcp, address: flow.remote, tls_name: None };
        let is_sent = streams.send_to(&target, &moved).is_ok();
        if !is_sent {
            self.bring_back(bytes);
        }
        is_sent
    }

    /// `true`: it was not known before.
    fn remember(&self, key: Box<[u8]>, now: clock::Instant) -> bool {
        let mut moved = self.moved();
        let Moved { entries, swept_at } = &mut *moved;
        if entries.contains_key(&key) {
            return false;
        }
        // A walk through all of them holds up every shard: one for each large request would be too many.
        if entries.len() >= MOVED_COUNT_MAX && swept_at.is_none_or(|swept| now.since(swept) >= SWEEP_PAUSE) {
            *swept_at = Some(now);
            entries.retain(|_, entry| now.since(entry.at) < MEMORY);
        }
        if entries.len() >= MOVED_COUNT_MAX {
            return false;
        }
        entries.insert(key, Entry { place: Place::Tcp, at: now });
        true
    }

    fn is_at(&self, bytes: &[u8], place: Place) -> bool {
        key(bytes).and_then(|key| self.moved().entries.get(&key).map(|entry| entry.place)) == Some(place)
    }

    /// A request could not be sent by TCP. `true`: it had been moved there; its next copy goes by UDP.
    pub(crate) fn bring_back(&self, bytes: &[u8]) -> bool {
        let Some(key) = key(bytes) else { return false };
        match self.moved().entries.get_mut(&key) {
            Some(entry) => std::mem::replace(&mut entry.place, Place::Udp) == Place::Tcp,
            None => false,
        }
    }
}

/// Branch and method: what a transaction is known by (RFC 3261 §17.1.3).
fn key(request: &[u8]) -> Option<Box<[u8]>> {
    let message = Message::parse(request).ok()?;
    let via = message.top_via().ok()?;
    Some([via.branch()?, b" ", message.method_raw()].concat().into())
}

/// The same request with another transport of the same length in its topmost Via.
fn with_via(request: &[u8], transport: &str) -> Option<Vec<u8>> {
    let at = memchr::memmem::find(request, VIA)? + VIA.len();
    let mut changed = request.to_vec();
    changed.get_mut(at..at + transport.len())?.copy_from_slice(transport.as_bytes());
    Some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(branch: u32, transport: &str) -> Vec<u8> {
        format!(
            "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/{transport} 192.0.2.9:5060;branch=z9hG4bK{branch};rport\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nX: {}\r\n\r\n",
            "x".repeat(1_300)
        )
        .into_bytes()
    }

    #[test]
    fn large_requests_are_told_from_the_rest() {
        assert!(TcpFallback::concerns(&request(1, "UDP")));
        assert!(
            !TcpFallback::concerns(&[b'x'; 1_300])
                && !TcpFallback::concerns(&[&b"SIP/2.0"[..], &[b'x'; 2_000]].concat())
        );
    }

    #[test]
    fn a_request_is_brought_back_once_with_its_own_via() {
        let (moved, now) = (TcpFallback::default(), clock::now());
        let (udp, tcp) = (request(1, "UDP"), request(1, "TCP"));
        assert_eq!(with_via(&udp, "TCP"), Some(tcp.clone()));
        assert!(!moved.bring_back(&tcp), "it was never moved");
        assert!(moved.remember(key(&udp).unwrap(), now) && moved.is_at(&udp, Place::Tcp));
        assert!(!moved.remember(key(&udp).unwrap(), now), "a copy");
        assert!(moved.bring_back(&tcp) && moved.is_at(&udp, Place::Udp) && !moved.bring_back(&tcp));
    }

    #[test]
    fn memory_is_bounded() {
        let (moved, now) = (TcpFallback::default(), clock::now());
        let remember = |number: usize, now| moved.remember(number.to_string().into_bytes().into(), now);
        assert!((0..MOVED_COUNT_MAX).all(|number| remember(number, now)));
        assert!(!remember(MOVED_COUNT_MAX, now));
        assert!(remember(MOVED_COUNT_MAX, now + MEMORY));
        assert_eq!(moved.moved().entries.len(), 1);
    }

    #[test]
    fn a_full_memory_is_not_walked_through_for_each_request() {
        let (moved, start) = (TcpFallback::default(), clock::now());
        let remember = |number: usize, at| moved.remember(number.to_string().into_bytes().into(), at);
        assert!((0..MOVED_COUNT_MAX).all(|number| remember(number, start)));
        let looked_at = start + MEMORY - SWEEP_PAUSE / 2;
        assert!(!remember(MOVED_COUNT_MAX, looked_at), "all of them still count");
        assert!((1..100).all(|number| !remember(MOVED_COUNT_MAX + number, start + MEMORY)), "not looked through again");
        assert!(remember(MOVED_COUNT_MAX, looked_at + SWEEP_PAUSE));
    }
}
