//! What goes in and out, for those who watch: every SIP message with its time, direction and path, without secrets.
//! A watcher that is too slow loses messages, which are counted; a shard never waits for one.

use super::mask;

use clock::WallTime;
use sip_core::Flow;
use sip_wire::{Message, Name, SipDate};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Watchers at once.
const WATCHERS_MAX: usize = 8;
/// Messages that may wait for a watcher.
const WAITING_COUNT_MAX: usize = 512;
/// Longest piece of a message that is shown.
const SHOWN_BYTES_MAX: usize = 8_192;
/// Calls that one watcher may name.
pub(crate) const CALLS_MAX: usize = 64;

/// Where messages pass by. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Tracer(Arc<Shared>);

#[derive(Default)]
struct Shared {
    is_on: AtomicBool,
    watchers: Mutex<Vec<Watcher>>,
}

struct Watcher {
    filter: Filter,
    messages: SyncSender<Traced>,
    lost: Arc<AtomicU64>,
}

/// Which messages a watcher wants: those that fit all that it names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Filter {
    /// Call-IDs, or their beginnings up to a `-`; none: all calls.
    pub(crate) calls: Vec<String>,
    /// A peer's address, with any port where that is `None`.
    pub(crate) peer: Option<(IpAddr, Option<u16>)>,
}

/// Whether a message came or went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    In,
    Out,
}

/// A message that passed by.
pub(crate) struct Traced {
    at: WallTime,
    way: Way,
    flow: Flow,
    bytes: Box<[u8]>,
    bytes_count: usize,
}

/// A watcher's end. Once it is dropped nothing is kept for it.
pub(crate) struct Watch {
    messages: Receiver<Traced>,
    lost: Arc<AtomicU64>,
}

impl Tracer {
    /// Begins to watch; `None`: as many watch as may.
    pub(crate) fn watch(&self, filter: Filter) -> Option<Watch> {
        let mut watchers = self.watchers();
        if watchers.len() >= WATCHERS_MAX {
            return None;
        }
        let (sender, messages) = sync_channel(WAITING_COUNT_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        watchers.push(Watcher { filter, messages: sender, lost: lost.clone() });
        self.0.is_on.store(true, Relaxed);
        Some(Watch { messages, lost })
    }

    /// A message passes by. While nobody watches this is one look at a flag.
    pub(crate) fn pass(&self, way: Way, flow: &Flow, bytes: &[u8]) {
        if self.0.is_on.load(Relaxed) {
            self.show(way, flow, bytes);
        }
    }

    #[cold]
    fn show(&self, way: Way, flow: &Flow, bytes: &[u8]) {
        let mut watchers = self.watchers();
        watchers.retain(|watcher| {
            if !watcher.filter.wants(flow, bytes) {
                return true;
            }
            let shown = bytes.get(..SHOWN_BYTES_MAX).unwrap_or(bytes);
            let bytes_count = bytes.len();
            let traced = Traced { at: clock::wall_now(), way, flow: *flow, bytes: shown.into(), bytes_count };
            match watcher.messages.try_send(traced) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    watcher.lost.fetch_add(1, Relaxed);
                    true
                }
                Err(TrySendError::Disconnected(_)) => false,
            }
        });
        self.0.is_on.store(!watchers.is_empty(), Relaxed);
    }

    /// Nothing panics while it is held, and what is left is still a list.
    fn watchers(&self) -> MutexGuard<'_, Vec<Watcher>> {
        self.0.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// The next messages as text, once there are some; empty when the time is over. `None`: there will be no more.
    pub(crate) fn next(&self, limit: std::time::Duration) -> Option<String> {
        use std::sync::mpsc::RecvTimeoutError;
        let mut text = String::new();
        match self.messages.recv_timeout(limit) {
            Ok(traced) => traced.put(&mut text),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
        let lost = self.lost.swap(0, Relaxed);
        if lost > 0 {
            let _ = writeln!(text, "-- {lost} messages left out: whoever reads this is too slow\n");
        }
        Some(text)
    }
}

impl Watch {
    /// Prints every message beside the log, for as long as there are shards.
    pub(crate) fn print(&self) {
        use std::io::Write;
        const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);
        while let Some(text) = self.next(PAUSE) {
            // A log that nobody can read is no reason to stop.
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        }
    }
}

impl Filter {
    fn wants(&self, flow: &Flow, bytes: &[u8]) -> bool {
        let fits = |(ip, port): (IpAddr, Option<u16>)| {
            flow.remote.ip() == ip && port.is_none_or(|port| port == flow.remote.port())
        };
        self.peer.is_none_or(fits) && (self.calls.is_empty() || self.names_call_of(bytes))
    }

    fn names_call_of(&self, bytes: &[u8]) -> bool {
        let Ok(message) = Message::parse(bytes) else { return false };
        let call_id = message.header(Name::CallId).unwrap_or_default().trim_ascii();
        self.calls.iter().any(|call| {
            let rest = call_id.strip_prefix(call.as_bytes());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"-"))
        })
    }
}

/// An address with or without a port, as an operator writes it.
pub(crate) fn parse_peer(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let alone = bare.parse::<IpAddr>().ok().map(|ip| (ip, None));
    alone.or_else(|| text.parse::<SocketAddr>().ok().map(|at| (at.ip(), Some(at.port()))))
}

impl Traced {
    fn put(&self, text: &mut String) {
        let flow = &self.flow;
        let transport = flow.transport.via_name().to_ascii_lowercase();
        let (way, from, to) = match self.way {
            Way::In => ("in ", flow.remote, flow.local),
            Way::Out => ("out", flow.local, flow.remote),
        };
        let _ = writeln!(text, "-- {} {way} {transport} {from} > {to}, {} bytes", stamp(self.at), self.bytes_count);
        text.push_str(&mask::without_secrets(&self.bytes));
        if self.bytes.len() < self.bytes_count {
            let _ = writeln!(text, "-- cut off here");
        }
        text.push('\n');
    }
}

/// As RFC 3339 writes it, in UTC with microseconds.
pub(crate) fn stamp(at: WallTime) -> String {
    let nanos = at.as_unix_nanos();
    let date = SipDate::from_unix(nanos / 1_000_000_000);
    let (SipDate { year, month, day, .. }, SipDate { hour, minute, second, .. }) = (date, date);
    let micros = nanos / 1_000 % 1_000_000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn message(call_id: &str) -> String {
        format!("BYE sip:a@b SIP/2.0\r\nCall-ID: {call_id}\r\nContent-Length: 0\r\n\r\n")
    }

    fn flow(remote: &str) -> Flow {
        Flow::udp("192.0.2.9:5060".parse().unwrap(), remote.parse().unwrap())
    }

    #[test]
    fn a_watcher_sees_what_it_asked_for_and_nobody_else_is_kept_for() {
        let tracer = Tracer::default();
        let (near, far) = (flow("192.0.2.1:5070"), flow("192.0.2.2:5070"));
        tracer.pass(Way::In, &near, b"nobody looks");
        let calls = vec!["c1".to_owned(), "00000000000000aa".to_owned()];
        let by_call = tracer.watch(Filter { calls, peer: None }).unwrap();
        let by_peer = tracer.watch(Filter { peer: parse_peer("192.0.2.2"), ..Filter::default() }).unwrap();
        for call in ["c1", "c11", "00000000000000aa-17"] {
            tracer.pass(Way::In, &near, message(call).as_bytes());
        }
        tracer.pass(Way::Out, &far, message("c2").as_bytes());
        let all = |watch: &Watch| -> String {
            std::iter::from_fn(|| watch.next(Duration::ZERO).filter(|text| !text.is_empty())).collect()
        };
        let seen = all(&by_call);
        assert!(seen.contains("Call-ID: c1\n") && seen.contains("Call-ID: 00000000000000aa-17\n"), "{seen}");
        assert!(!seen.contains("c11") && !seen.contains("c2"), "{seen}");
        let seen = all(&by_peer);
        assert!(seen.contains("out udp 192.0.2.9:5060 > 192.0.2.2:5070, ") && seen.contains("c2"), "{seen}");
        drop((by_call, by_peer));
        tracer.pass(Way::In, &far, message("c1").as_bytes());
        assert!(
            tracer.watchers().iter().all(|watcher| watcher.filter.peer.is_none()),
            "the one that was sent to is gone"
        );
        for peer in ["192.0.2.1:x", "name", "[::1]:99999"] {
            assert_eq!(parse_peer(peer), None, "{peer}");
        }
        assert_eq!(parse_peer("[::1]:5060"), Some(("::1".parse().unwrap(), Some(5060))));
        assert_eq!((parse_peer("::1"), parse_peer("[::1]")), (Some(("::1".parse().unwrap(), None)), parse_peer("::1")));
    }

    #[test]
    fn a_slow_watcher_loses_messages_and_hears_how_many() {
        let tracer = Tracer::default();
        let watch = tracer.watch(Filter::default()).unwrap();
        for _ in 0..WAITING_COUNT_MAX + 30 {
            tracer.pass(Way::In, &flow("192.0.2.1:5070"), message("c1").as_bytes());
        }
        assert!(watch.next(Duration::ZERO).unwrap().contains("-- 30 messages left out"));
        let long = "x".repeat(70_000);
        while !watch.next(Duration::ZERO).unwrap().is_empty() {}
        tracer.pass(Way::In, &flow("192.0.2.1:5070"), long.as_bytes());
        let text = watch.next(Duration::ZERO).unwrap();
        assert!(text.contains("70000 bytes") && text.contains("cut off") && text.len() < SHOWN_BYTES_MAX + 200);
        let more: Vec<_> = (0..WATCHERS_MAX).map(|_| tracer.watch(Filter::default())).collect();
        assert!(more[WATCHERS_MAX - 1].is_none() && more[WATCHERS_MAX - 2].is_some());
    }

    #[test]
    fn times_are_as_rfc_3339_has_them() {
        assert_eq!(stamp(WallTime::from_unix_nanos(1_700_000_000_123_456_789)), "2023-11-14T22:13:20.123456Z");
    }
}
