//! What waits to be written on one connection: all bytes in one buffer, so that a burst becomes one write.

use std::task::Waker;

/// What an entry is; a WebSocket carries them differently.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Message,
    Ping,
    Pong,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    end: usize,
    kind: Kind,
}

/// Entries in the order of sending.
#[derive(Default, Debug)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// What an emptied buffer may keep for the next burst.
const KEPT_BYTES: usize = 1_024;
const KEPT_COUNT: usize = 16;

impl Batch {
    pub(crate) fn push(&mut self, kind: Kind, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.entries.push(Entry { end: self.bytes.len(), kind });
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry at `index`, with what it is.
    pub(crate) fn entry(&self, index: usize) -> Option<(Kind, &[u8])> {
        let entry = self.entries.get(index)?;
        let start = index.checked_sub(1).and_then(|before| self.entries.get(before)).map_or(0, |before| before.end);
        Some((entry.kind, self.bytes.get(start..entry.end)?))
    }

    /// The messages that end behind the first `written` bytes.
    pub(crate) fn messages_after(&self, written: usize) -> impl Iterator<Item = &[u8]> {
        let first = self.entries.partition_point(|entry| entry.end <= written);
        (first..self.entries.len()).filter_map(|index| match self.entry(index) {
            Some((Kind::Message, bytes)) => Some(bytes),
            _ => None,
        })
    }

    pub(crate) fn message_count(&self) -> usize {
        self.entries.iter().filter(|entry| entry.kind == Kind::Message).count()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.entries.shrink_to(KEPT_COUNT);
    }

    /// Gives all memory back.
    pub(crate) fn release(&mut self) {
        debug_assert!(self.is_empty(), "only an empty batch is released");
        *self = Self::default();
    }
}

/// Whether a connection takes messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum State {
    #[default]
    Open,
    /// Asked to close: what is here is still written.
    Closing,
    Closed,
}

/// The side of a connection that any thread may touch, briefly.
#[derive(Default, Debug)]
pub(crate) struct Outbox {
    pub(crate) waiting: Batch,
    /// Bytes that the connection's task has taken and not yet written.
    pub(crate) in_flight_bytes: usize,
    pub(crate) state: State,
    pub(crate) waker: Option<Waker>,
}

impl Outbox {
    pub(crate) fn queued_bytes(&self) -> usize {
        self.waiting.bytes.len() + self.in_flight_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_written_whole_is_known() {
        let mut batch = Batch::default();
        batch.push(Kind::Message, b"one");
        batch.push(Kind::Ping, b"\r\n\r\n");
        batch.push(Kind::Message, b"three");
        let left = |written| batch.messages_after(written).map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(left(0), [b"one".to_vec(), b"three".to_vec()]);
        assert_eq!(left(2), [b"one".to_vec(), b"three".to_vec()]);
        assert_eq!(left(3), [b"three".to_vec()]);
        assert_eq!(left(11), [b"three".to_vec()]);
        assert!(left(12).is_empty());
        assert_eq!(batch.entry(1), Some((Kind::Ping, &b"\r\n\r\n"[..])));
        assert_eq!((batch.entry(3), batch.message_count()), (None, 2));
    }

    #[test]
    fn a_large_burst_leaves_no_large_buffer() {
        let mut batch = Batch::default();
        (0..1_000).for_each(|_| batch.push(Kind::Message, &[b'x'; 500]));
        batch.clear();
        assert!(batch.bytes.capacity() <= KEPT_BYTES && batch.entries.capacity() <= KEPT_COUNT);
    }
}
