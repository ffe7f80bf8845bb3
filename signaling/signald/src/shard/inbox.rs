//! What other threads leave for a shard, in bounded queues, and how they wake it.

use crate::link::Attached;
use crate::operator::hangup::HangUp;
use crate::operator::report::Question;
use crate::orders::Order;
use crossbeam::queue::ArrayQueue;
use rustix::event::{EventfdFlags, eventfd};
use shard_core::intake::Arrived;
use shard_core::names::{self, Found};
use sip_core::{Flow, Transport};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*, fence};

/// Messages that may wait for one shard, of streams and of other threads each.
pub(crate) const MESSAGE_COUNT_MAX: usize = 4_096;
/// Bytes of them.
pub(crate) const MESSAGE_BYTES_MAX: usize = 8 << 20;
/// Orders of the program that may wait for one shard.
pub(crate) const ORDER_COUNT_MAX: usize = 16_384;
/// Broken paths that a shard may have to hear of. Without room the requests on a path run out by themselves.
const BROKEN_COUNT_MAX: usize = 4_096;
/// ICMP messages that may wait for one shard.
const UNREACHABLE_COUNT_MAX: usize = 256;
/// Questions of operators, and their orders to end calls, that may wait for one shard.
const QUESTION_COUNT_MAX: usize = 16;

/// What ICMP says of a request that another shard sent.
pub(crate) struct Unreachable {
    pub(crate) flow: Flow,
    /// The beginning of the request.
    pub(crate) quoted: Box<[u8]>,
}

/// Messages in the order of their arrival.
pub(crate) struct Messages {
    queue: ArrayQueue<Arrived>,
    waiting_bytes: AtomicUsize,
}

impl Messages {
    fn new() -> Self {
        Self { queue: ArrayQueue::new(MESSAGE_COUNT_MAX), waiting_bytes: AtomicUsize::new(0) }
    }

    /// Keeps a message; `false`: there was no room.
    fn push(&self, message: Arrived) -> bool {
        let bytes = message.bytes.len();
        if self.waiting_bytes.fetch_add(bytes, Relaxed) + bytes <= MESSAGE_BYTES_MAX && self.queue.push(message).is_ok()
        {
            return true;
        }
        self.waiting_bytes.fetch_sub(bytes, Relaxed);
        false
    }

    fn pop(&self) -> Option<Arrived> {
        let message = self.queue.pop()?;
        self.waiting_bytes.fetch_sub(message.bytes.len(), Relaxed);
        Some(message)
    }

    /// Whether half of the room is left. What one read of a connection brings is much less than the other half.
    pub(crate) fn is_half_empty(&self) -> bool {
        self.queue.len() < MESSAGE_COUNT_MAX / 2 && self.waiting_bytes.load(Relaxed) < MESSAGE_BYTES_MAX / 2
    }
}

/// One shard's inbox.
pub(crate) struct Inbox {
    /// From connections, which are not read while there is no room: their clients do not send anything twice.
    pub(crate) from_streams: Messages,
    /// From other shards.
    from_shards: Messages,
    /// Whose turn it is, so that neither keeps the other waiting.
    is_turn_of_streams: AtomicBool,
    pub(crate) questions: ArrayQueue<Question>,
    pub(crate) hang_ups: ArrayQueue<HangUp>,
    pub(crate) orders: ArrayQueue<Order>,
    /// Connections that are gone.
    pub(crate) broken: ArrayQueue<Flow>,
    /// What ICMP says of peers; only a hint, so that without room one is lost.
    pub(crate) unreachable: ArrayQueue<Unreachable>,
    /// Paths that the shard had asked for.
    pub(crate) found: ArrayQueue<Found>,
    /// A media plane to work with from now on.
    pub(crate) attached: ArrayQueue<Attached>,
    /// Messages that were dropped because the queue was full.
    pub(crate) dropped_count: AtomicU64,
    is_asleep: AtomicBool,
    wake: OwnedFd,
}

impl Inbox {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            from_streams: Messages::new(),
            from_shards: Messages::new(),
            is_turn_of_streams: AtomicBool::new(false),
            questions: ArrayQueue::new(QUESTION_COUNT_MAX),
            hang_ups: ArrayQueue::new(QUESTION_COUNT_MAX),
            orders: ArrayQueue::new(ORDER_COUNT_MAX),
            broken: ArrayQueue::new(BROKEN_COUNT_MAX),
            unreachable: ArrayQueue::new(UNREACHABLE_COUNT_MAX),
            found: ArrayQueue::new(names::QUESTION_COUNT_MAX),
            attached: ArrayQueue::new(1),
            dropped_count: AtomicU64::new(0),
            is_asleep: AtomicBool::new(false),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    /// Leaves a message; `false`: there was no room, it is dropped and counted. [`Self::wake`] comes after a batch.
    pub(crate) fn push(&self, message: Arrived) -> bool {
        let is_from_stream = !message.is_ours && message.flow.transport != Transport::Udp;
        let messages = if is_from_stream { &self.from_streams } else { &self.from_shards };
        let has_room = messages.push(message);
        if !has_room {
            self.dropped_count.fetch_add(1, Relaxed);
        }
        has_room
    }

    /// The next message, of streams and of other shards in turn.
    pub(crate) fn pop(&self) -> Option<Arrived> {
        // Only the shard takes messages out, so that no other thread sees or changes whose turn it is.
        let is_turn_of_streams = self.is_turn_of_streams.load(Relaxed);
        self.is_turn_of_streams.store(!is_turn_of_streams, Relaxed);
        if is_turn_of_streams {
            self.from_streams.pop().or_else(|| self.from_shards.pop())
        } else {
            self.from_shards.pop().or_else(|| self.from_streams.pop())
        }
    }

    /// Wakes the shard if it sleeps.
    pub(crate) fn wake(&self) {
        // Pairs with the fence in `prepare_sleep`: either we see that it sleeps, or it sees what we left.
        fence(SeqCst);
        if self.is_asleep.load(Relaxed) && self.is_asleep.swap(false, Relaxed) {
            // An eventfd takes 2^64 wake-ups before it refuses one.
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }

    /// Says that the shard is about to sleep; `false`: there is something to do.
    pub(crate) fn prepare_sleep(&self) -> bool {
        self.is_asleep.store(true, Relaxed);
        fence(SeqCst); // pairs with the one in `wake`
        let idle = self.from_streams.queue.is_empty()
            && self.from_shards.queue.is_empty()
            && self.orders.is_empty()
            && self.broken.is_empty()
            && self.unreachable.is_empty()
            && self.found.is_empty()
            && self.questions.is_empty()
            && self.hang_ups.is_empty()
            && self.attached.is_empty();
        if !idle {
            self.awake();
        }
        idle
    }

    /// Says that the shard is awake. Nobody reads the wake-ups: the shard's [`Waiter`](crate::sockets::waiter::Waiter) tells each once.
    pub(crate) fn awake(&self) {
        self.is_asleep.store(false, Relaxed);
    }
}

/// Readable when another thread woke the shard.
impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stop;
    use crate::sockets::waiter::Waiter;
    use clock::Instant;
    use std::time::Duration;

    fn message(bytes: usize) -> Arrived {
        let address = "127.0.0.1:5060".parse().unwrap();
        Arrived { flow: Flow::udp(address, address), at: Instant::ZERO, bytes: vec![0; bytes].into(), is_ours: false }
    }

    #[test]
    fn it_is_bounded_in_count_and_bytes() {
        let inbox = Inbox::new().unwrap();
        assert!((0..MESSAGE_COUNT_MAX).all(|_| inbox.push(message(1))));
        assert!(!inbox.push(message(1)));
        while inbox.pop().is_some() {}
        assert!((0..MESSAGE_BYTES_MAX / 65_536).all(|_| inbox.push(message(65_536))));
        assert!(!inbox.push(message(1)) && inbox.pop().is_some() && inbox.push(message(65_536)));
        assert_eq!(inbox.dropped_count.load(Relaxed), 2);
    }

    #[test]
    fn streams_and_shards_take_turns_and_neither_takes_the_room_of_the_other() {
        let inbox = Inbox::new().unwrap();
        let from_stream = |bytes| {
            let mut message = message(bytes);
            message.flow.transport = Transport::Tcp;
            message
        };
        while inbox.push(message(1)) {}
        assert!((0..MESSAGE_COUNT_MAX / 2).all(|_| inbox.from_streams.is_half_empty() && inbox.push(from_stream(2))));
        assert!(!inbox.from_streams.is_half_empty());
        let order: Vec<_> = (0..4).map(|_| inbox.pop().unwrap().bytes.len()).collect();
        assert_eq!(order, [1, 2, 1, 2]);
        assert!(inbox.from_streams.is_half_empty());
        assert_eq!(std::iter::from_fn(|| inbox.pop()).count(), MESSAGE_COUNT_MAX + MESSAGE_COUNT_MAX / 2 - 4);
    }

    #[test]
    fn who_sleeps_is_woken_and_who_does_not_is_left_alone() {
        let inbox = Inbox::new().unwrap();
        let waiter = Waiter::new(Stop::new().unwrap(), &inbox).unwrap();
        let is_woken = || {
            let start = std::time::Instant::now();
            waiter.wait(Some(Duration::from_millis(30)));
            start.elapsed() < Duration::from_millis(30)
        };
        inbox.wake();
        assert!(!is_woken(), "nobody sleeps");
        for _ in 0..2 {
            assert!(inbox.prepare_sleep());
            inbox.push(message(1));
            inbox.wake();
            inbox.wake();
            assert!(is_woken());
            inbox.awake();
            assert!(!is_woken());
            assert!(!inbox.prepare_sleep(), "there is something to pop");
            inbox.pop();
        }
    }
}
