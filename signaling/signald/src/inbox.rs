//! What other threads leave for a shard, in bounded queues, and how they wake it.

use crate::link::Attached;
use crate::report::Question;
use crate::user::Order;
use crossbeam::queue::ArrayQueue;
use rustix::event::{EventfdFlags, eventfd};
use sip_core::Flow;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*, fence};

/// Datagrams that may wait for one shard.
pub(crate) const DATAGRAM_COUNT_MAX: usize = 8_192;
/// Bytes of datagrams that may wait for one shard.
pub(crate) const DATAGRAM_BYTES_MAX: usize = 16 << 20;
/// Orders of the program that may wait for one shard.
pub(crate) const ORDER_COUNT_MAX: usize = 16_384;
/// Questions of operators that may wait for one shard.
const QUESTION_COUNT_MAX: usize = 16;

/// A datagram on its way to its shard.
pub(crate) struct Datagram {
    pub(crate) flow: Flow,
    pub(crate) bytes: Box<[u8]>,
}

/// One shard's inbox.
pub(crate) struct Inbox {
    datagrams: ArrayQueue<Datagram>,
    waiting_bytes: AtomicUsize,
    pub(crate) questions: ArrayQueue<Question>,
    pub(crate) orders: ArrayQueue<Order>,
    /// A media plane to work with from now on.
    pub(crate) attached: ArrayQueue<Attached>,
    /// New INVITEs that were answered 503 because the queue was full.
    pub(crate) refused_count: AtomicU64,
    /// Other datagrams that were dropped for that reason.
    pub(crate) dropped_count: AtomicU64,
    /// Datagrams without a message.
    pub(crate) keep_alive_count: AtomicU64,
    is_asleep: AtomicBool,
    wake: OwnedFd,
}

impl Inbox {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            datagrams: ArrayQueue::new(DATAGRAM_COUNT_MAX),
            waiting_bytes: AtomicUsize::new(0),
            questions: ArrayQueue::new(QUESTION_COUNT_MAX),
            orders: ArrayQueue::new(ORDER_COUNT_MAX),
            attached: ArrayQueue::new(1),
            refused_count: AtomicU64::new(0),
            dropped_count: AtomicU64::new(0),
            keep_alive_count: AtomicU64::new(0),
            is_asleep: AtomicBool::new(false),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    /// Leaves a datagram; `false`: there is no room. [`Self::wake`] comes after a batch.
    pub(crate) fn push(&self, datagram: Datagram) -> bool {
        let bytes = datagram.bytes.len();
        if self.waiting_bytes.fetch_add(bytes, Relaxed) + bytes <= DATAGRAM_BYTES_MAX
            && self.datagrams.push(datagram).is_ok()
        {
            return true;
        }
        self.waiting_bytes.fetch_sub(bytes, Relaxed);
        false
    }

    pub(crate) fn pop(&self) -> Option<Datagram> {
        let datagram = self.datagrams.pop()?;
        self.waiting_bytes.fetch_sub(datagram.bytes.len(), Relaxed);
        Some(datagram)
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
        let idle = self.datagrams.is_empty()
            && self.orders.is_empty()
            && self.questions.is_empty()
            && self.attached.is_empty();
        if !idle {
            self.awake();
        }
        idle
    }

    /// Says that the shard is awake.
    pub(crate) fn awake(&self) {
        if !self.is_asleep.swap(false, Relaxed) {
            let _ = rustix::io::read(&self.wake, &mut [0_u8; 8]);
        }
    }
}

/// Readable when somebody woke the shard.
impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(bytes: usize) -> Datagram {
        let address = "127.0.0.1:5060".parse().unwrap();
        Datagram { flow: Flow::udp(address, address), bytes: vec![0; bytes].into() }
    }

    #[test]
    fn it_is_bounded_in_count_and_bytes() {
        let inbox = Inbox::new().unwrap();
        assert!((0..DATAGRAM_COUNT_MAX).all(|_| inbox.push(datagram(1))));
        assert!(!inbox.push(datagram(1)));
        while inbox.pop().is_some() {}
        assert!((0..DATAGRAM_BYTES_MAX / 65_536).all(|_| inbox.push(datagram(65_536))));
        assert!(!inbox.push(datagram(1)) && inbox.pop().is_some() && inbox.push(datagram(65_536)));
    }

    #[test]
    fn no_wake_up_is_lost_and_none_stays() {
        let inbox = Inbox::new().unwrap();
        let now = Some(std::time::Duration::ZERO);
        inbox.wake();
        assert!(!crate::wait::readable(&[inbox.as_fd()], now)[0], "nobody sleeps");
        assert!(inbox.prepare_sleep());
        inbox.push(datagram(1));
        inbox.wake();
        assert!(crate::wait::readable(&[inbox.as_fd()], now)[0]);
        inbox.awake();
        assert!(!crate::wait::readable(&[inbox.as_fd()], now)[0]);
        assert!(!inbox.prepare_sleep(), "there is something to pop");
    }
}
