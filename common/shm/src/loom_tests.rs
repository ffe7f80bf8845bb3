//! The port pool and the leg table's rows over every interleaving that loom finds.

use crate::pairs::{Pairs, State};
use crate::ring::Ring;
use crate::seqlock;
use crate::sync::AtomicU64;
use loom::thread;
use std::sync::Arc;

const PAIRS: usize = 2;
const RING: usize = 4;

/// Words of two pairs, then head, tail and ring.
fn pool() -> Arc<[AtomicU64]> {
    let memory: Arc<[AtomicU64]> = (0..PAIRS + 2 + RING).map(|_| AtomicU64::new(0)).collect();
    (0..PAIRS).for_each(|pair| view(&memory).add(pair));
    memory
}

fn view(memory: &[AtomicU64]) -> Pairs<'_> {
    let ring = Ring { head: &memory[PAIRS], tail: &memory[PAIRS + 1], slots: &memory[PAIRS + 2..] };
    Pairs { words: &memory[..PAIRS], ring }
}

fn take(memory: &[AtomicU64], client: u8) -> Option<(usize, u32)> {
    view(memory).take(client, |pair| pair < PAIRS)
}

fn model(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(test);
}

/// Takes what is left; every pair must come exactly once.
fn assert_complete(memory: &[AtomicU64]) {
    let mut pairs: Vec<usize> = std::iter::from_fn(|| take(memory, 9)).map(|(pair, _)| pair).collect();
    pairs.sort_unstable();
    assert_eq!(pairs, [0, 1], "no pair is lost or doubled");
}

#[test]
fn no_pair_is_given_twice_or_lost() {
    model(5, || {
        let memory = pool();
        let clients = [1, 2].map(|client| {
            let memory = memory.clone();
            thread::spawn(move || {
                let (pair, generation) = take(&memory, client).expect("two pairs for two clients");
                let word = view(&memory).load(pair).unwrap();
                assert_eq!((word.state(), word.owner(), word.generation()), (State::Owned, client, generation));
                assert!(view(&memory).give_back(pair, generation, client));
                assert!(!view(&memory).give_back(pair, generation, client), "only once");
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
        let (pair, generation) = take(&memory, 1).unwrap();
        let client = {
            let memory = memory.clone();
            thread::spawn(move || view(&memory).give_back(pair, generation, 1))
        };
        let reclaimed = (0..PAIRS).filter(|&pair| view(&memory).reclaim(pair, 1)).count();
        let given_back = client.join().unwrap();
        assert!(reclaimed <= 1 && (given_back || reclaimed == 1));
        assert_complete(&memory);
    });
}

/// The row of a leg: two words that must always agree.
#[test]
fn a_row_is_never_torn() {
    model(8, || {
        let words: Arc<[AtomicU64]> = (0..3).map(|_| AtomicU64::new(0)).collect();
        let writer = {
            let words = words.clone();
            thread::spawn(move || (1..=2u64).for_each(|n| seqlock::write(&words, [n, n].into_iter())))
        };
        let mut copy = [0; 2];
        if seqlock::read(&words, |index, word| copy[index] = word) {
            assert_eq!(copy[0], copy[1], "half of one value and half of another");
        }
        writer.join().unwrap();
        assert!(seqlock::read(&words, |index, word| copy[index] = word));
        assert_eq!(copy, [2, 2]);
    });
}
