//! The port pool: order, shares, refusals, and eight threads at once.
#![cfg(not(loom))]

mod common;

use common::{Random, plan};
use contract::LegRef;
use shm::{ClientIndex, Exhausted, Host, NotFree, NotYours, PortLevels, Region, RegionPlan, WorkerIndex};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering::*};

const W0: WorkerIndex = WorkerIndex(0);
const C0: ClientIndex = ClientIndex(0);
const C1: ClientIndex = ClientIndex(1);

fn region(workers: usize, rtp_ports: std::ops::RangeInclusive<u16>) -> Region {
    Region::create(&RegionPlan { workers, rtp_ports, ..plan(workers, 2) }).unwrap()
}

#[test]
fn a_port_rests_until_every_other_free_one_was_used() {
    let region = region(1, 20_000..=20_199);
    let pool = region.ports();
    let first = pool.take(W0, C0).unwrap();
    pool.give_back(first, C0).unwrap();
    for _ in 0..99 {
        assert_ne!(pool.take(W0, C1).unwrap().port, first.port);
    }
    let again = pool.take(W0, C1).unwrap();
    assert_eq!((again.port, again.generation), (first.port, first.generation + 1));
}

#[test]
fn ports_come_back_in_the_order_in_which_they_were_given() {
    let region = region(1, 20_000..=20_199);
    let pool = region.ports();
    let mut legs: Vec<_> = (0..100).map(|_| pool.take(W0, C0).unwrap()).collect();
    let mut random = Random(7);
    for round in 0..50 {
        (1..legs.len()).for_each(|i| legs.swap(i, random.below(i as u64 + 1) as usize));
        legs.iter().for_each(|leg| pool.give_back(*leg, C0).unwrap());
        let taken: Vec<_> = legs.iter().map(|_| pool.take(W0, C0).unwrap()).collect();
        let ports = |legs: &[LegRef]| legs.iter().map(|leg| leg.port).collect::<Vec<_>>();
        assert_eq!(ports(&taken), ports(&legs), "round {round}");
        legs = taken;
    }
}

#[test]
fn exhaustion_is_told_at_once_and_ends_with_the_next_port() {
    let region = region(2, 20_000..=20_099);
    let pool = region.ports();
    for worker in region.plan().workers() {
        let total = pool.ports_of(worker).count();
        let legs: Vec<_> = (0..total).map(|_| pool.take(worker, C0).unwrap()).collect();
        assert_eq!(pool.take(worker, C1), Err(Exhausted(worker.0)));
        assert_eq!(pool.levels(worker), PortLevels { free: 0, owned: total, unavailable: 0 });
        pool.give_back(legs[3], C0).unwrap();
        assert_eq!(pool.take(worker, C1).unwrap().port, legs[3].port);
        assert_eq!(pool.take(worker, C1), Err(Exhausted(worker.0)));
    }
    assert_eq!(pool.take(WorkerIndex(2), C0), Err(Exhausted(2)), "no such worker");
}

#[test]
fn only_the_holder_gives_back_and_only_once() {
    let region = region(1, 20_000..=20_099);
    let pool = region.ports();
    let leg = pool.take(W0, C0).unwrap();
    assert_eq!(pool.holder(leg.port), Some((C0, leg)));
    assert_eq!(pool.give_back(leg, C1), Err(NotYours(leg)), "another client");
    for stale in [leg.generation - 1, leg.generation + 1] {
        let stale = LegRef::new(leg.port, stale);
        assert_eq!(pool.give_back(stale, C0), Err(NotYours(stale)), "another life");
    }
    for port in [leg.port + 1, 19_998, 20_100, 0, u16::MAX] {
        let foreign = LegRef::new(port, 1);
        assert_eq!(pool.give_back(foreign, C0), Err(NotYours(foreign)));
    }
    pool.give_back(leg, C0).unwrap();
    assert_eq!(pool.give_back(leg, C0), Err(NotYours(leg)), "twice");
    assert_eq!(pool.holder(leg.port), None);
}

#[test]
fn unavailable_ports_are_never_given() {
    let region = region(1, 20_000..=20_099);
    let pool = region.ports();
    let held = pool.take(W0, C0).unwrap();
    assert_eq!(pool.mark_unavailable(held.port), Err(NotFree(held.port)));
    assert_eq!(pool.mark_unavailable(20_001), Err(NotFree(20_001)));
    for port in [20_010, 20_098] {
        pool.mark_unavailable(port).unwrap();
        assert_eq!(pool.mark_unavailable(port), Err(NotFree(port)), "twice");
    }
    let ports: HashSet<u16> = std::iter::from_fn(|| pool.take(W0, C0).ok()).map(|leg| leg.port).collect();
    assert_eq!(ports.len(), 47);
    assert!(!ports.contains(&20_010) && !ports.contains(&20_098));
    assert_eq!(pool.levels(W0), PortLevels { free: 0, owned: 48, unavailable: 2 });
}

#[test]
fn every_worker_gets_a_fair_share_in_aligned_blocks() {
    for workers in [1, 2, 3, 4, 7, 16, 64] {
        let region = region(workers, 10_000..=20_000);
        let pool = region.ports();
        let mut seen = HashSet::new();
        let shares: Vec<usize> = region
            .plan()
            .workers()
            .map(|worker| {
                let ports: Vec<u16> = pool.ports_of(worker).collect();
                assert!(ports.iter().all(|&port| port % 2 == 0 && pool.worker_of(port) == Some(worker)));
                assert!(ports.iter().all(|&port| seen.insert(port) && (10_000..20_000).contains(&port)));
                ports.len()
            })
            .collect();
        assert_eq!(seen.len(), 5_000);
        let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        assert!(most * 8 <= least * 9, "{workers} workers: {least} to {most}");
    }
    assert_eq!(region(1, 20_001..=20_004).ports().ports_of(W0).collect::<Vec<_>>(), [20_002]);
    let pool = region(2, 10_000..=20_000);
    assert_eq!(pool.ports().worker_of(20_000), None, "its RTCP port is outside the range");
    assert_eq!(pool.ports().worker_of(12_345), None, "an RTCP port");
}

#[test]
fn eight_threads_and_eight_million_operations_never_share_a_port() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 500_000;
    let host = Host::create(&RegionPlan { rtp_ports: 10_000..=10_127, ..plan(2, THREADS) }).unwrap();
    let owners: Vec<AtomicU32> = (0..=u16::MAX).map(|_| AtomicU32::new(0)).collect();
    std::thread::scope(|scope| {
        for me in 1..=THREADS {
            let (end, owners) = (host.attach_local().unwrap(), &owners);
            scope.spawn(move || {
                let (mut random, mut held, mut exhausted) = (Random(me as u64), Vec::new(), 0);
                let give_back = |leg: LegRef| {
                    assert_eq!(owners[usize::from(leg.port)].swap(0, AcqRel), me as u32);
                    end.give_back(leg).unwrap();
                };
                for round in 0..ROUNDS {
                    // Each round takes and gives back; up to 12 are held meanwhile, so that the pool runs dry at times.
                    match end.take_port(WorkerIndex((round % 2) as u8)) {
                        Ok(leg) => {
                            assert_eq!(owners[usize::from(leg.port)].swap(me as u32, AcqRel), 0, "{leg:?} given twice");
                            held.push(leg);
                        }
                        Err(Exhausted(_)) => exhausted += 1,
                    }
                    while held.len() > random.below(12) as usize {
                        give_back(held.swap_remove(random.below(held.len() as u64) as usize));
                    }
                }
                held.drain(..).for_each(give_back);
                assert!(exhausted < ROUNDS / 2, "{exhausted} refusals: too few ports went round");
            });
        }
    });
    assert_all_free(host.region());
}

/// Takes everything: each port of the range must come exactly once.
fn assert_all_free(region: &Region) {
    let pool = region.ports();
    for worker in region.plan().workers() {
        let mut taken: Vec<u16> = std::iter::from_fn(|| pool.take(worker, C0).ok()).map(|leg| leg.port).collect();
        taken.sort_unstable();
        assert_eq!(
            taken,
            pool.ports_of(worker).collect::<Vec<_>>(),
            "a port was lost or doubled: {:?}",
            pool.levels(worker)
        );
    }
}
