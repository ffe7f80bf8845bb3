//! A pool and the leg table's rows over every interleaving that loom finds.

use crate::pool::lease::{Leases, State};
use crate::pool::ring::{Entry, Ring};
use crate::sync::AtomicU64;
use crate::tables::seqlock;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const INDEXES: usize = 2;
const RING: usize = 4;

/// Words of two entries, then head, tail and ring.
fn pool() -> Arc<[AtomicU64]> {
    let memory: Arc<[AtomicU64]> = (0..INDEXES + 2 + RING).map(|_| AtomicU64::new(0)).collect();
    (0..INDEXES).for_each(|index| view(&memory).add(index));
    memory
}

fn view(memory: &[AtomicU64]) -> Leases<'_> {
    let ring = Ring { head: &memory[INDEXES], tail: &memory[INDEXES + 1], slots: &memory[INDEXES + 2..] };
    Leases { words: &memory[..INDEXES], ring }
}

fn take(memory: &[AtomicU64], client: u8) -> Option<(usize, u32)> {
    view(memory).take(client, |index| index < INDEXES)
}

fn model(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(test);
}

/// Takes what is left; every index must come exactly once.
fn assert_complete(memory: &[AtomicU64]) {
    let mut indexes: Vec<usize> = std::iter::from_fn(|| take(memory, 9)).map(|(index, _)| index).collect();
    indexes.sort_unstable();
    assert_eq!(indexes, [0, 1], "no index is lost or doubled");
}

#[test]
fn no_pair_is_given_twice_or_lost() {
    model(5, || {
        let memory = pool();
        let clients = [1, 2].map(|client| {
            let memory = memory.clone();
            thread::spawn(move || {
                let (index, generation) = take(&memory, client).expect("two for two clients");
                let word = view(&memory).load(index).unwrap();
                assert_eq!((word.state(), word.owner(), word.generation()), (State::Owned, client, generation));
                assert!(view(&memory).give_back(index, generation, client));
                assert!(!view(&memory).give_back(index, generation, client), "only once");
            })
        });
        clients.into_iter().for_each(|client| client.join().unwrap());
        assert_complete(&memory);
    });
}

/// The media process reclaims while the client is still at it, as when its socket was closed by mistake.
#[test]
fn reclaiming_from_a_client_that_still_runs_loses_nothing() {
    model(5, || {
        let memory = pool();
        let (index, generation) = take(&memory, 1).unwrap();
        let client = {
            let memory = memory.clone();
            thread::spawn(move || view(&memory).give_back(index, generation, 1))
        };
        let host = {
            let memory = memory.clone();
            thread::spawn(move || (0..INDEXES).filter(|&index| view(&memory).reclaim(index, 1)).count())
        };
        let (given_back, reclaimed) = (client.join().unwrap(), host.join().unwrap());
        assert!(reclaimed <= 1 && (given_back || reclaimed == 1));
        assert_complete(&memory);
    });
}

fn bare_ring(memory: &[AtomicU64]) -> Ring<'_> {
    Ring { head: &memory[0], tail: &memory[1], slots: &memory[2..] }
}

fn pop(memory: &[AtomicU64]) -> Option<u16> {
    let candidate = bare_ring(memory).peek()?;
    bare_ring(memory).remove(&candidate);
    Some(candidate.entry.index)
}

/// The ring turns several times while a thread stands between its look at the tail and its look at the slot.
#[test]
fn a_push_survives_any_number_of_laps() {
    const SLOW: u16 = 99;
    let push =
        |memory: &[AtomicU64], index| assert!(bare_ring(memory).push(Entry { index, generation: 0 }), "has room");
    model(3, move || {
        let memory: Arc<[AtomicU64]> = (0..4).map(|_| AtomicU64::new(0)).collect();
        let slow = {
            let memory = memory.clone();
            thread::spawn(move || push(&memory, SLOW))
        };
        let mut popped = Vec::new();
        for turn in 0..4 {
            push(&memory, turn);
            while popped.last() != Some(&turn) {
                popped.push(pop(&memory).expect("ours is there"));
            }
        }
        slow.join().unwrap();
        popped.extend(pop(&memory));
        assert_eq!(popped.iter().filter(|&&index| index == SLOW).count(), 1, "the slow one's entry comes out once");
        assert_eq!(pop(&memory), None);
    });
}

/// The row of a leg: two words that must always agree.
#[test]
fn a_row_is_never_torn() {
    let fresh_reads = Arc::new(AtomicUsize::new(0));
    let counted = fresh_reads.clone();
    model(4, move || {
        let words: Arc<[AtomicU64]> = (0..3).map(|_| AtomicU64::new(0)).collect();
        seqlock::write(&words, [1, 1].into_iter());
        let writer = {
            let words = words.clone();
            thread::spawn(move || seqlock::write(&words, [2, 2].into_iter()))
        };
        let reader = {
            let (words, counted) = (words.clone(), counted.clone());
            thread::spawn(move || {
                let mut copy = [0; 2];
                assert!(seqlock::read(&words, |index, word| copy[index] = word), "the writer comes to its end");
                assert_eq!(copy[0], copy[1], "half of one value and half of another");
                counted.fetch_add((copy[0] == 2).into(), Relaxed);
            })
        };
        writer.join().unwrap();
        reader.join().unwrap();
    });
    assert!(fresh_reads.load(Relaxed) > 0, "the model never let the reader see the new value");
}
