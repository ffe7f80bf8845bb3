//! Leg ids and ports: order, shares, refusals, and eight threads at once.
#![cfg(not(loom))]

mod common;

use common::{Random, plan};
use contract::{LegRef, PortRef};
use shm::{ClientIndex, Exhausted, Host, NotFree, NotYours, PortLevels, Region, RegionPlan, Reservation, WorkerIndex};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering::*};

const W0: WorkerIndex = WorkerIndex(0);
const C0: ClientIndex = ClientIndex(0);
const C1: ClientIndex = ClientIndex(1);

fn region(workers: usize, rtp_ports: std::ops::RangeInclusive<u16>) -> Region {
    Region::create(&RegionPlan { workers, rtp_ports, ..plan(workers, 2) }).unwrap()
}

#[test]
fn an_id_and_a_port_rest_until_every_other_free_one_was_used() {
    let region = region(1, 20_000..=20_199);
    let pool = region.reservations();
    let first = pool.take(W0, C0).unwrap();
    pool.give_back(first, C0).unwrap();
    for _ in 0..99 {
        let other = pool.take(W0, C1).unwrap();
        assert!(other.port.rtp != first.port.rtp && other.leg.row != first.leg.row, "{other:?} after {first:?}");
    }
    let again = pool.take(W0, C1).unwrap();
    assert_eq!(again.port, PortRef::new(first.port.rtp, first.port.generation + 1));
    assert_eq!(again.leg, LegRef::new(first.leg.row, first.leg.generation + 1));
}

#[test]
fn ports_come_back_in_the_order_in_which_they_were_given() {
    let region = region(1, 20_000..=20_199);
    let pool = region.reservations();
    let mut legs: Vec<_> = (0..100).map(|_| pool.take(W0, C0).unwrap()).collect();
    let mut random = Random(7);
    for round in 0..50 {
        (1..legs.len()).for_each(|i| legs.swap(i, random.below(i as u64 + 1) as usize));
        legs.iter().for_each(|leg| pool.give_back(*leg, C0).unwrap());
        let taken: Vec<_> = legs.iter().map(|_| pool.take(W0, C0).unwrap()).collect();
        let ports = |legs: &[Reservation]| legs.iter().map(|leg| (leg.port.rtp, leg.leg.row)).collect::<Vec<_>>();
        assert_eq!(ports(&taken), ports(&legs), "round {round}");
        legs = taken;
    }
}

#[test]
fn exhaustion_is_told_at_once_and_ends_with_the_next_port() {
    let region = region(2, 20_000..=20_099);
    let (pool, ports) = (region.reservations(), region.ports());
    for worker in region.plan().workers() {
        let total = ports.ports_of(worker).count();
        let legs: Vec<_> = (0..total).map(|_| pool.take(worker, C0).unwrap()).collect();
        assert_eq!(pool.take(worker, C1), Err(Exhausted(worker.0)));
        assert_eq!(ports.levels(worker), PortLevels { free: 0, owned: total, unavailable: 0 });
        pool.give_back(legs[3], C0).unwrap();
        assert_eq!(pool.take(worker, C1).unwrap().port.rtp, legs[3].port.rtp);
        assert_eq!(pool.take(worker, C1), Err(Exhausted(worker.0)));
    }
    assert_eq!(pool.take(WorkerIndex(2), C0), Err(Exhausted(2)), "no such worker");
}

#[test]
fn only_the_holder_gives_back_and_only_once() {
    let region = region(1, 20_000..=20_099);
    let (pool, ports) = (region.reservations(), region.ports());
    let held = pool.take(W0, C0).unwrap();
    let Reservation { leg, port } = held;
    assert_eq!((pool.holder(leg), ports.holder(port.rtp)), (Some(C0), Some((C0, port))));
    assert_eq!(pool.give_back(held, C1), Err(NotYours(held)), "another client");
    let refused = |other: Reservation| {
        assert!(!pool.is_held(other, C0), "{other:?}");
        assert_eq!(pool.give_back(other, C0), Err(NotYours(other)));
    };
    for change in [u32::MAX, 1] {
        // Another life of both.
        let (port, leg) = (
            PortRef::new(port.rtp, port.generation.wrapping_add(change)),
            LegRef::new(leg.row, leg.generation.wrapping_add(change)),
        );
        refused(Reservation { leg, port });
    }
    for rtp in [port.rtp + 1, 19_998, 20_100, 0, u16::MAX] {
        refused(Reservation { leg: LegRef::new(leg.row + 1, 1), port: PortRef::new(rtp, 1) });
    }
    for row in [50, u32::MAX] {
        refused(Reservation { leg: LegRef::new(row, 1), port: PortRef::NONE });
    }
    assert!(pool.is_held(held, C0), "all the others changed nothing");
    pool.give_back(held, C0).unwrap();
    assert_eq!(pool.give_back(held, C0), Err(NotYours(held)), "twice");
    assert_eq!((pool.holder(leg), ports.holder(port.rtp)), (None, None));
}

#[test]
fn what_a_dead_client_leaves_is_kept_and_adopted_whole() {
    let region = region(1, 20_000..=20_099);
    let pool = region.reservations();
    let (held, other) = (pool.take(W0, C0).unwrap(), pool.take(W0, C1).unwrap());
    assert!(!pool.keep(held, C1) && !pool.adopt(held, C1) && !pool.end_keeping(held));
    // The id is the client's and the port is not: nothing changes.
    let mixed = Reservation { port: other.port, ..held };
    assert!(!pool.keep(mixed, C0) && pool.is_held(held, C0));
    assert!(pool.keep(held, C0) && pool.is_held(held, ClientIndex::KEPT));
    assert!(pool.adopt(held, C1) && pool.is_held(held, C1));
    assert!(pool.keep(held, C1) && pool.end_keeping(held));
    assert_eq!((pool.holder(held.leg), pool.is_held(other, C1)), (None, true));
}

#[test]
fn unavailable_ports_are_never_given() {
    let region = region(1, 20_000..=20_099);
    let (pool, ports) = (region.reservations(), region.ports());
    let held = pool.take(W0, C0).unwrap().port.rtp;
    assert_eq!(ports.mark_unavailable(held), Err(NotFree(held)));
    assert_eq!(ports.mark_unavailable(20_001), Err(NotFree(20_001)));
    for port in [20_010, 20_098] {
        ports.mark_unavailable(port).unwrap();
        assert_eq!(ports.mark_unavailable(port), Err(NotFree(port)), "twice");
    }
    let taken: HashSet<u16> = std::iter::from_fn(|| pool.take(W0, C0).ok()).map(|leg| leg.port.rtp).collect();
    assert_eq!(taken.len(), 47);
    assert!(!taken.contains(&20_010) && !taken.contains(&20_098));
    assert_eq!(ports.levels(W0), PortLevels { free: 0, owned: 48, unavailable: 2 });
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
    let owners = || (0..=u16::MAX).map(|_| AtomicU32::new(0)).collect::<Vec<_>>();
    let (port_owners, leg_owners) = (owners(), owners());
    std::thread::scope(|scope| {
        for me in 1..=THREADS {
            let end = host.attach_local().unwrap();
            let (port_owners, leg_owners) = (&port_owners, &leg_owners);
            scope.spawn(move || {
                let (mut random, mut held, mut exhausted) = (Random(me as u64), Vec::new(), 0);
                let places = |taken: &Reservation| {
                    [&port_owners[usize::from(taken.port.rtp)], &leg_owners[taken.leg.row_index()]]
                };
                let give_back = |taken: Reservation| {
                    places(&taken).into_iter().for_each(|owner| assert_eq!(owner.swap(0, AcqRel), me as u32));
                    end.give_back(taken).unwrap();
                };
                for round in 0..ROUNDS {
                    // Each round takes and gives back; up to 12 are held meanwhile, so that the pool runs dry at times.
                    match end.reserve(WorkerIndex((round % 2) as u8)) {
                        Ok(taken) => {
                            places(&taken).into_iter().for_each(|owner| {
                                assert_eq!(owner.swap(me as u32, AcqRel), 0, "{taken:?} given twice")
                            });
                            held.push(taken);
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

/// Takes everything: each port of the range, and each id, must come exactly once.
fn assert_all_free(region: &Region) {
    let (pool, ports) = (region.reservations(), region.ports());
    let mut rows = Vec::new();
    for worker in region.plan().workers() {
        let taken: Vec<Reservation> = std::iter::from_fn(|| pool.take(worker, C0).ok()).collect();
        rows.extend(taken.iter().map(|taken| taken.leg.row_index()));
        let mut taken: Vec<u16> = taken.iter().map(|taken| taken.port.rtp).collect();
        taken.sort_unstable();
        assert_eq!(
            taken,
            ports.ports_of(worker).collect::<Vec<_>>(),
            "a port was lost or doubled: {:?}",
            ports.levels(worker)
        );
    }
    rows.sort_unstable();
    assert_eq!(rows, (0..region.plan().leg_rows()).collect::<Vec<_>>(), "an id was lost or doubled");
}
