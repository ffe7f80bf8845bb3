//! The task of one open connection: writes what is queued, reads what comes, watches its deadlines.

mod deadlines;

use crate::carrier::reassembly::{Fault, Piece};
use crate::carrier::{Carrier, End};
use crate::counters::StreamCounter;
use crate::error::CloseReason;
use crate::inbound::{Inbound, Side};
use crate::outbox::{Kind, Outbox, State};
use crate::shared::Life;
use deadlines::{Deadlines, Due};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use tokio::time::{Duration, Instant, Sleep};

/// Reads in one go before other connections get their turn.
const READS_MAX_COUNT: usize = 16;
/// Messages of one read that are few.
const FEW_MESSAGES: u64 = 8;
/// How long a connection is not read when the receiver has no room.
const PAUSE: Duration = Duration::from_millis(5);
/// RFC 5626 §3.5.1.
const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";

/// How far a connection is on its way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Open,
    /// Nothing more is read; an answer is still to be written: to an invalid message, or to one that came before noise.
    Answering,
    /// What is queued is written, then it ends.
    Flushing,
    /// Goodbye is being said.
    Closing,
    /// Waits for the peer's goodbye: closing with bytes unread would reset the connection and lose what was written.
    Draining,
}

/// One open connection.
pub(crate) struct Pump<'l, C> {
    carrier: C,
    life: &'l mut Life,
    phase: Phase,
    deadlines: Deadlines,
    sleep: Pin<Box<Sleep>>,
    armed_for: Instant,
    /// Until when nothing is read because the receiver had no room.
    pause: Option<Pin<Box<Sleep>>>,
    /// The last read brought many messages: others are not read before there is room. A connection that brings few is read in any
    /// case, so that those that fill the queue do not stop the calls of all others.
    brings_many: bool,
    unfinished_bytes: usize,
    has_answered: bool,
    /// Whether a message came: its answer may be on its way.
    has_heard: bool,
}

impl<'l, C: Carrier> Pump<'l, C> {
    /// Call it when both handshakes are done.
    pub(crate) fn new(carrier: C, life: &'l mut Life) -> Self {
        let now = Instant::now();
        let deadlines = Deadlines::new(now, life.connection.side == Side::Accepted);
        let armed_for = deadlines.next(&life.shared.limits);
        let sleep = Box::pin(tokio::time::sleep_until(armed_for));
        let (phase, unfinished_bytes, has_answered, has_heard) = (Phase::Open, 0, false, false);
        Self {
            carrier,
            life,
            phase,
            deadlines,
            sleep,
            armed_for,
            pause: None,
            brings_many: false,
            unfinished_bytes,
            has_answered,
            has_heard,
        }
    }

    /// Writes until nothing is left (`Ready`) or the peer takes no more.
    fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        loop {
            if self.life.writing.batch.is_empty() && !self.take_queued(cx) {
                return Poll::Ready(Ok(()));
            }
            let before = (self.life.writing.taken_bytes, self.life.writing.taken_count);
            let result = self.carrier.poll_transmit(cx, &mut self.life.writing);
            if self.carrier.takes_for_written() {
                self.life.written_bytes = self.life.writing.taken_bytes;
            }
            match result {
                Poll::Ready(Ok(())) => self.written(),
                Poll::Ready(Err(kind)) => return Poll::Ready(Err(CloseReason::Broken(kind))),
                Poll::Pending => {
                    let moved = before != (self.life.writing.taken_bytes, self.life.writing.taken_count);
                    self.deadlines.blocked(moved, Instant::now());
                    watch(&mut self.life.connection.outbox(), cx);
                    return Poll::Pending;
                }
            }
        }
    }

    /// Moves what is queued into the batch to write; if there is nothing, asks to be woken when there is.
    fn take_queued(&mut self, cx: &mut Context<'_>) -> bool {
        let mut outbox = self.life.connection.outbox();
        if outbox.state == State::Closing && self.phase == Phase::Open {
            self.phase = Phase::Flushing;
            self.deadlines.closing(Instant::now());
        }
        if outbox.waiting.is_empty() {
            watch(&mut outbox, cx); // under the same lock: a message that comes now must not be missed
            return false;
        }
        std::mem::swap(&mut outbox.waiting, &mut self.life.writing.batch);
        outbox.in_flight_bytes = self.life.writing.batch.bytes().len();
        true
    }

    fn written(&mut self) {
        let Life { shared, connection, writing, written_bytes, .. } = &mut *self.life;
        let (bytes, messages) = (writing.batch.bytes().len(), writing.batch.message_count());
        shared.queued_bytes.fetch_sub(bytes, Relaxed);
        connection.outbox().in_flight_bytes = 0;
        shared.counters.add(StreamCounter::MessagesSent, messages as u64);
        shared.counters.add(StreamCounter::BytesSent, bytes as u64);
        writing.batch.clear();
        (writing.taken_bytes, writing.taken_count, *written_bytes) = (0, 0, 0);
        self.deadlines.sent(Instant::now());
        if self.phase == Phase::Answering && messages > 0 {
            self.has_answered = true;
        }
    }

    /// Waits until the receiver has room, after a read that brought many messages.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            if !self.brings_many || self.life.shared.receiver.has_room() {
                return Poll::Ready(());
            }
            self.life.shared.counters.one(StreamCounter::ReadsPaused);
            self.deadlines.paused(Instant::now());
            self.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
        }
    }

    /// Reads once.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let Self { carrier, life, deadlines, .. } = self;
        let (flow, shared) = (life.connection.flow, &life.shared);
        let (mut messages, mut refused, mut pings, mut alive, mut pong) = (0, 0, 0, 0, false);
        let result = carrier.poll_receive(cx, &mut |piece| match piece {
            Piece::Message(bytes) => {
                messages += 1;
                refused += u64::from(!shared.receiver.take(Inbound::Message { flow, bytes }));
            }
            Piece::Ping => pings += 1,
            Piece::Pong => pong = true,
            Piece::Alive => alive += 1,
            Piece::Invalid { head, error } => {
                shared.receiver.take(Inbound::Invalid { flow, head, error });
            }
        });
        let Poll::Ready(result) = result else {
            // A WebSocket gives nothing before its message is whole, and yet keeps what came of it.
            return match self.account() {
                Ok(()) => Poll::Pending,
                Err(end) => Poll::Ready(Err(end)),
            };
        };
        let now = Instant::now();
        self.has_heard |= messages > 0;
        self.brings_many = messages > FEW_MESSAGES;
        shared.counters.add(StreamCounter::MessagesReceived, messages);
        shared.counters.add(StreamCounter::MessagesRefused, refused);
        shared.counters.add(StreamCounter::PingsReceived, pings + alive);
        shared.counters.add(StreamCounter::BytesReceived, *result.as_ref().unwrap_or(&0) as u64);
        deadlines.received(now, messages > 0, messages + pings + alive > 0 || pong, pong);
        if pings > 0 {
            // One pong answers all pings of a segment; without room for it the peer has other worries.
            let _ = shared.push(&life.connection, Kind::Pong, PONG);
        }
        Poll::Ready(self.account().and(result.map(drop)))
    }

    /// Keeps the sum of all unfinished messages.
    fn account(&mut self) -> Result<(), End> {
        let unfinished = self.carrier.unfinished_bytes();
        if unfinished == 0 && self.unfinished_bytes == 0 {
            return Ok(());
        }
        self.deadlines.unfinished(unfinished > 0, Instant::now());
        let total = &self.life.shared.unfinished_bytes;
        let before = std::mem::replace(&mut self.unfinished_bytes, unfinished);
        if unfinished <= before {
            total.fetch_sub(before - unfinished, Relaxed);
            return Ok(());
        }
        let sum = total.fetch_add(unfinished - before, Relaxed) + unfinished - before;
        let max = self.life.shared.limits.unfinished_total_max_bytes;
        if sum > max { Err(End::Broken(std::io::ErrorKind::OutOfMemory)) } else { Ok(()) }
    }

    /// What the end of reading means. `Some`: over at once.
    fn end_of_reading(&mut self, end: End) -> Option<CloseReason> {
        self.deadlines.closing(Instant::now());
        self.life.shared.registry.unlink(&self.life.connection);
        (self.phase, self.life.reason) = match end {
            End::Closed => (Phase::Flushing, CloseReason::PeerClosed),
            End::Fault(Fault::Invalid) => (Phase::Answering, CloseReason::Invalid),
            End::Fault(Fault::WebSocket(code)) => (Phase::Flushing, CloseReason::WebSocket(code)),
            End::Fault(Fault::Garbage) if self.carrier.says_why() => (Phase::Flushing, CloseReason::Garbage),
            End::Fault(Fault::Garbage) if self.has_heard => (Phase::Answering, CloseReason::Garbage),
            End::Fault(Fault::Garbage) => return Some(CloseReason::Garbage),
            End::Broken(std::io::ErrorKind::OutOfMemory) => return Some(CloseReason::MemoryExceeded),
            End::Broken(kind) => return Some(CloseReason::Broken(kind)),
            End::Refused(reason) => return Some(reason),
        };
        None
    }

    /// One round of writing, reading or closing. `Ready(None)`: another round is worth it.
    fn poll_round(&mut self, cx: &mut Context<'_>) -> Poll<Option<CloseReason>> {
        let transmit = self.poll_transmit(cx);
        if let Poll::Ready(Err(reason)) = transmit {
            // What the peer said last may tell why it takes nothing.
            return Poll::Ready(Some(match self.poll_receive(cx) {
                Poll::Ready(Err(End::Refused(refusal))) => refusal,
                _ => reason,
            }));
        }
        match self.phase {
            Phase::Open => {
                ready!(self.poll_room(cx));
                match ready!(self.poll_receive(cx)) {
                    Ok(()) => Poll::Ready(None),
                    Err(end) => Poll::Ready(self.end_of_reading(end)),
                }
            }
            Phase::Answering if !self.has_answered => Poll::Pending,
            Phase::Answering | Phase::Flushing if transmit.is_pending() => Poll::Pending,
            Phase::Answering | Phase::Flushing => {
                self.life.connection.ask_to_close();
                self.phase = Phase::Closing;
                Poll::Ready(None)
            }
            Phase::Closing => {
                ready!(self.carrier.poll_close(cx));
                self.phase = Phase::Draining;
                Poll::Ready(None)
            }
            Phase::Draining => {
                ready!(self.carrier.poll_discard(cx));
                Poll::Ready(Some(self.life.reason.clone()))
            }
        }
    }

    /// Ready when a deadline ends the connection.
    fn poll_deadlines(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        loop {
            let next = self.deadlines.next(&self.life.shared.limits);
            if next < self.armed_for {
                self.arm(next);
            }
            ready!(self.sleep.as_mut().poll(cx));
            match self.deadlines.due(Instant::now(), &self.life.shared.limits) {
                Due::Nothing => {}
                Due::Ping => self.ping(cx),
                Due::Idle(reason) if self.phase == Phase::Open => {
                    self.end_idle(reason);
                    cx.waker().wake_by_ref();
                }
                Due::Idle(reason) | Due::End(reason) => return Poll::Ready(reason),
                Due::Closed => return Poll::Ready(self.life.reason.clone()),
            }
            self.arm(self.deadlines.next(&self.life.shared.limits));
        }
    }

    fn arm(&mut self, at: Instant) {
        self.armed_for = at;
        self.sleep.as_mut().reset(at);
    }

    fn ping(&mut self, cx: &mut Context<'_>) {
        let shared = &self.life.shared;
        self.deadlines.pinged(Instant::now());
        if shared.push(&self.life.connection, Kind::Ping, PING).is_ok() {
            shared.counters.one(StreamCounter::PingsSent);
            cx.waker().wake_by_ref();
        }
        // Nothing happened for a while: whatever memory is spare can go.
        self.carrier.release();
        if self.life.writing.batch.is_empty() {
            self.life.writing.batch.release();
        }
    }

    fn end_idle(&mut self, reason: CloseReason) {
        self.life.reason = reason;
        self.phase = Phase::Flushing;
        self.life.shared.registry.unlink(&self.life.connection);
        self.deadlines.closing(Instant::now());
    }
}

/// Asks to be woken when a message is queued.
fn watch(outbox: &mut Outbox, cx: &Context<'_>) {
    if !outbox.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        outbox.waker = Some(cx.waker().clone());
    }
}

impl<C: Carrier> Future for Pump<'_, C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let mut rounds = 0;
        loop {
            match this.poll_round(cx) {
                Poll::Ready(Some(reason)) => {
                    this.life.reason = reason;
                    return Poll::Ready(());
                }
                Poll::Ready(None) if rounds < READS_MAX_COUNT => rounds += 1,
                Poll::Ready(None) => {
                    cx.waker().wake_by_ref();
                    break;
                }
                Poll::Pending => break,
            }
        }
        this.life.reason = ready!(this.poll_deadlines(cx));
        Poll::Ready(())
    }
}

impl<C> Drop for Pump<'_, C> {
    fn drop(&mut self) {
        self.life.shared.unfinished_bytes.fetch_sub(self.unfinished_bytes, Relaxed);
    }
}
