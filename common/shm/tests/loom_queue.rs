//! The queue over every interleaving that loom finds, with the code that the processes run.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p ringplane-shm --release --lib --test loom_queue`
#![cfg(loom)]

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use shm::queue::{Consumer, Corrupt, NeedsWake, Producer, PushError, QueuePlace};
use std::sync::Arc;

type Memory = Arc<[AtomicU64]>;

const SLOTS: usize = 2;

fn memory() -> Memory {
    (0..16).map(|_| AtomicU64::new(0)).collect()
}

fn place() -> QueuePlace {
    QueuePlace { tail: 0, head: 1, bell: 2, slots: 3, slot_count: SLOTS }
}

/// A second queue of the same consumer.
fn second_place() -> QueuePlace {
    QueuePlace { tail: 8, head: 9, bell: 2, slots: 10, slot_count: SLOTS }
}

/// What an eventfd is: a count that a sleeper waits for.
#[derive(Default)]
struct WakeFd {
    count: Mutex<u64>,
    grown: Condvar,
}

impl WakeFd {
    fn wake(&self) {
        *self.count.lock().unwrap() += 1;
        self.grown.notify_one();
    }

    fn wait(&self) {
        let mut count = self.count.lock().unwrap();
        while *count == 0 {
            count = self.grown.wait(count).unwrap();
        }
        *count = 0;
    }
}

fn model(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(test);
}

#[test]
fn messages_arrive_whole_and_in_order() {
    model(8, || {
        let memory = memory();
        let mut consumer = Consumer::<u64, _>::resume(memory.clone(), place());
        let producer = thread::spawn(move || {
            let mut producer = Producer::<u64, _>::resume(memory, place());
            let mut next = 1;
            while next <= 3 {
                match producer.push(&(next * 11)) {
                    Ok(NeedsWake(_)) => next += 1,
                    Err(PushError::Full) => thread::yield_now(),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        let mut expected = 1;
        while expected <= 3 {
            match consumer.pop() {
                Ok(Some(message)) => {
                    assert_eq!(message, expected * 11);
                    expected += 1;
                }
                Ok(None) => thread::yield_now(),
                Err(Corrupt) => panic!("sound positions refused"),
            }
        }
        producer.join().unwrap();
        assert_eq!(consumer.pop(), Ok(None));
    });
}

/// Loom reports a deadlock if any interleaving lets the consumer sleep through a message.
#[test]
fn a_sleeping_consumer_is_always_woken() {
    model(8, || {
        let (memory, fd) = (memory(), loom::sync::Arc::new(WakeFd::default()));
        let mut consumer = Consumer::<u64, _>::resume(memory.clone(), place());
        let producer = {
            let fd = fd.clone();
            thread::spawn(move || {
                let mut producer = Producer::<u64, _>::resume(memory, place());
                for message in 1..=2u64 {
                    if producer.push(&message).expect("there is room").0 {
                        fd.wake();
                    }
                }
            })
        };
        let mut expected = 1;
        while expected <= 2 {
            if let Some(message) = consumer.pop().unwrap() {
                assert_eq!(message, expected);
                expected += 1;
            } else if consumer.prepare_sleep() {
                fd.wait();
                consumer.cancel_sleep();
            }
        }
        producer.join().unwrap();
    });
}

/// A worker sleeps on one bell for the queues of all its clients; a producer that claims the wake-up wakes for both.
#[test]
fn one_bell_serves_two_producers() {
    model(5, || {
        let (memory, fd) = (memory(), loom::sync::Arc::new(WakeFd::default()));
        let producers = [place(), second_place()].map(|place| {
            let (memory, fd) = (memory.clone(), fd.clone());
            thread::spawn(move || {
                if Producer::<u64, _>::resume(memory, place).push(&7).expect("there is room").0 {
                    fd.wake();
                }
            })
        });
        let mut consumers = [place(), second_place()].map(|place| Consumer::<u64, _>::resume(memory.clone(), place));
        let mut seen = 0;
        while seen < 2 {
            let popped = consumers.iter_mut().filter_map(|consumer| consumer.pop().unwrap()).count();
            seen += popped;
            // As `WorkerEnd::prepare_sleep` does: first the bell, then a look at each queue.
            if popped == 0 && consumers[0].prepare_sleep() {
                if consumers[1].is_empty().unwrap() {
                    fd.wait();
                }
                consumers[0].cancel_sleep();
            }
        }
        producers.into_iter().for_each(|producer| producer.join().unwrap());
    });
}

#[test]
fn nonsense_positions_are_refused_by_both_ends() {
    model(2, || {
        let memory = memory();
        let mut producer = Producer::<u64, _>::resume(memory.clone(), place());
        let mut consumer = Consumer::<u64, _>::resume(memory.clone(), place());
        for nonsense in [SLOTS as u64 + 1, u64::MAX / 2, 1 << 63] {
            memory[place().tail].store(nonsense, Ordering::Relaxed);
            assert_eq!(consumer.pop(), Err(Corrupt));
            assert!(!consumer.prepare_sleep(), "a corrupt queue is no reason to sleep");
            memory[place().head].store(nonsense, Ordering::Relaxed);
            assert_eq!(producer.push(&1), Err(PushError::Corrupt(Corrupt)));
            assert_eq!(producer.push(&1), Err(PushError::Corrupt(Corrupt)), "and stays so");
        }
    });
}
