//! What leaves an endpoint: datagrams to send and events for the user, in buffers that the caller owns and reuses.

use crate::event::Event;
use crate::flow::Flow;
use sip_wire::{Message, MessageIndex};

/// A piece of an [`Output`]'s bytes, valid until its next [`Output::clear`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    start: u32,
    end: u32,
}

/// One message to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// Where to.
    pub flow: Flow,
    /// What: ask [`Output::bytes`].
    pub bytes: Span,
}

/// Filled by the calls of an [`Endpoint`](crate::Endpoint), drained by the caller after each of them (or after a batch).
pub struct Output<E = Event> {
    arena: Vec<u8>,
    /// The indexes of received messages that events name, and where these stand in the arena. Most events name one.
    indexes: Vec<(u32, MessageIndex)>,
    /// Messages to send, in order.
    pub transmits: Vec<Transmit>,
    /// What happened, in order. [`Output::next_event`] takes them one by one.
    pub events: Vec<E>,
    taken_count: usize,
}

impl<E> Default for Output<E> {
    fn default() -> Self {
        Self { arena: Vec::new(), indexes: Vec::new(), transmits: Vec::new(), events: Vec::new(), taken_count: 0 }
    }
}

impl<E: Copy> Output<E> {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes of a message that was sent or received.
    pub fn bytes(&self, span: Span) -> &[u8] {
        self.arena.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// A received message that an event names, as it was parsed. `None`: the span is of no message.
    pub fn message(&self, span: Span) -> Option<Message<'_>> {
        let bytes = self.bytes(span);
        match self.indexes.iter().rev().find(|(start, _)| *start == span.start) {
            Some((_, index)) => Message::indexed(bytes, index),
            None => Message::parse(bytes).ok(),
        }
    }

    /// The next event that was not taken yet. Calls made while handling it may add further ones. Once there is none, the
    /// messages of those that were taken would be parsed again.
    pub fn next_event(&mut self) -> Option<E> {
        let Some(event) = self.events.get(self.taken_count).copied() else {
            self.indexes.clear();
            return None;
        };
        self.taken_count += 1;
        Some(event)
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.indexes.clear();
        self.transmits.clear();
        self.events.clear();
        self.taken_count = 0;
    }

    /// Whether nothing is to be sent and no event is left.
    pub fn is_empty(&self) -> bool {
        self.transmits.is_empty() && self.taken_count == self.events.len()
    }

    /// Where the next message starts: write it to [`arena`](Self::arena), then take its [`span_from`](Self::span_from).
    pub(crate) fn mark(&self) -> usize {
        self.arena.len()
    }

    pub(crate) fn arena(&mut self) -> &mut Vec<u8> {
        &mut self.arena
    }

    pub(crate) fn span_from(&self, mark: usize) -> Span {
        Span { start: mark as u32, end: self.arena.len() as u32 }
    }

    /// Keeps a copy of a received message for the events about it, and how it was parsed.
    pub(crate) fn keep_message(&mut self, message: &Message<'_>) -> Span {
        let span = self.keep(message.as_bytes());
        self.indexes.push((span.start, message.index().clone()));
        span
    }

    /// Keeps a copy of these bytes.
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> Span {
        let mark = self.mark();
        self.arena.extend_from_slice(bytes);
        self.span_from(mark)
    }

    pub(crate) fn send(&mut self, flow: Flow, bytes: Span) {
        self.transmits.push(Transmit { flow, bytes });
    }

    /// Sends a message that was written elsewhere.
    pub fn send_message(&mut self, flow: Flow, bytes: &[u8]) {
        self.send_copy(flow, bytes);
    }

    pub(crate) fn send_copy(&mut self, flow: Flow, bytes: &[u8]) {
        let span = self.keep(bytes);
        self.send(flow, span);
    }

    pub(crate) fn event(&mut self, event: E) {
        self.events.push(event);
    }
}
