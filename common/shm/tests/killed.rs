//! Processes killed at any instruction: no port is lost, none is given twice, and the rest goes on.
#![cfg(not(loom))]

mod common;

use common::{PATIENCE, Random, parent, plan, start_process, wait_readable};
use contract::{Command, LegRow};
use shm::{ClientIndex, FromClient, Host, RegionPlan, Reservation, Words, WorkerIndex, accept_offer};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

const W0: WorkerIndex = WorkerIndex(0);
const FIRST_PORT: u16 = 10_000;
const PAIRS: usize = 32;
/// Most ports that one client holds: so few for so many ports that nobody ever meets an exhausted pool.
const HELD: u64 = 6;
const KILLS: usize = 300;
fn small_plan() -> RegionPlan {
    let last_port = FIRST_PORT + 2 * PAIRS as u16 - 1;
    RegionPlan { rtp_ports: FIRST_PORT..=last_port, ..plan(1, 4) }
}

/// A word of the second region that nobody else uses (it lies in a queue): a notebook that survives a kill.
fn note(notebook: &impl Words, index: usize) -> &AtomicU64 {
    let words = notebook.words();
    &words[words.len() - 1 - index]
}

/// The holders of a port and of a leg's id; 0: none.
fn owners<'n>(notebook: &'n impl Words, taken: &Reservation) -> [&'n AtomicU64; 2] {
    [port_owner(notebook, taken.port.rtp), leg_owner(notebook, taken.leg.row_index())]
}

fn port_owner(notebook: &impl Words, port: u16) -> &AtomicU64 {
    note(notebook, 1 + usize::from(port - FIRST_PORT))
}

fn leg_owner(notebook: &impl Words, row: usize) -> &AtomicU64 {
    note(notebook, 1 + 2 * PAIRS + row)
}

/// How often a port or an id was given while another client held it.
fn errors(notebook: &impl Words) -> &AtomicU64 {
    note(notebook, 0)
}

fn offer_both(host: &Host, notebook: &Host, stream: &UnixStream) -> ClientIndex {
    let client = host.offer(stream).unwrap();
    let place = notebook.offer(stream).unwrap();
    notebook.release(place);
    assert_eq!(notebook.settle(place), Some(0));
    client
}

/// Takes and gives back at random until told to stop; notes each holder, and whether there was another.
fn hammer(end: &shm::ClientEnd, notebook: &impl Words, me: u64, go_on: impl Fn() -> bool) {
    let (mut random, mut held) = (Random(me), Vec::new());
    let give_back = |leg: Reservation| {
        owners(notebook, &leg).into_iter().for_each(|owner| owner.store(0, SeqCst));
        end.give_back(leg).expect("ours");
    };
    while go_on() {
        if let Ok(leg) = end.reserve(W0) {
            for owner in owners(notebook, &leg) {
                errors(notebook).fetch_add(u64::from(owner.swap(me, SeqCst) != 0), SeqCst);
            }
            held.push(leg);
        }
        while held.len() as u64 > random.below(HELD) {
            give_back(held.swap_remove(random.below(held.len() as u64) as usize));
        }
    }
    held.drain(..).for_each(give_back);
}

#[test]
fn killing_at_random_moments_neither_loses_nor_doubles_a_port() {
    let (host, notebook) = (Host::create(&small_plan()).unwrap(), Host::create(&plan(1, 2)).unwrap());
    let (notes, stop) = (notebook.region(), AtomicBool::new(false));
    let mut reclaimed = 0;
    std::thread::scope(|scope| {
        let steady = host.attach_local().unwrap();
        let stop = &stop;
        scope.spawn(move || hammer(&steady, notes, 1, || !stop.load(Relaxed)));
        let mut random = Random(0xdead);
        for kill in 2..KILLS as u64 + 2 {
            let (mut child, mut stream) = start_process("hammering_process");
            stream.write_all(&kill.to_ne_bytes()).unwrap();
            let client = offer_both(&host, &notebook, &stream);
            stream.read_exact(&mut [0]).expect("the child has begun");
            (0..random.below(60_000)).for_each(|_| std::hint::spin_loop());
            child.kill().unwrap();
            child.wait().unwrap();
            // The dead one's notes first: from `settle` on its ports and ids may have another holder.
            for pair in 0..PAIRS as u16 {
                for owner in [port_owner(notes, FIRST_PORT + 2 * pair), leg_owner(notes, pair.into())] {
                    let _ = owner.compare_exchange(kill, 0, SeqCst, SeqCst);
                }
            }
            host.release(client);
            reclaimed += host.settle(client).expect("no worker runs");
            assert!((0..PAIRS as u16).all(|pair| {
                host.region().ports().holder(FIRST_PORT + 2 * pair).is_none_or(|(holder, _)| holder != client)
            }));
        }
        stop.store(true, Relaxed);
    });
    assert_eq!(errors(notes).load(SeqCst), 0, "a port or an id was given twice");
    assert!(reclaimed >= KILLS / 2, "only {reclaimed} ports were held when {KILLS} processes died");
    let pool = host.region().reservations();
    assert_eq!(host.region().ports().levels(W0).free, PAIRS);
    let all: Vec<Reservation> = std::iter::from_fn(|| pool.take(W0, ClientIndex(0)).ok()).collect();
    let (ports, ids): (HashSet<u16>, HashSet<u32>) = all.iter().map(|leg| (leg.port.rtp, leg.leg.row)).unzip();
    assert_eq!((all.len(), ports.len(), ids.len()), (PAIRS, PAIRS, PAIRS), "lost or doubled");
}

#[test]
#[ignore = "the process that the test above kills"]
fn hammering_process() {
    let mut stream = parent();
    let mut me = [0; 8];
    stream.read_exact(&mut me).unwrap();
    let end = accept_offer(&stream, PATIENCE).unwrap();
    let notes = accept_offer(&stream, PATIENCE).unwrap().region().clone();
    stream.write_all(&[1]).unwrap();
    hammer(&end, &notes, u64::from_ne_bytes(me), || true);
}

/// The whole way of a client's end: hang-up, release, `Gone` after the last command, confirmation, ports back.
#[test]
fn the_ports_of_a_killed_process_come_back() {
    let host = Host::create(&small_plan()).unwrap();
    let mut worker = host.worker(W0).unwrap();
    let (mut child, mut stream) = start_process("holding_process");
    let client = host.offer(&stream).unwrap();
    let mut messages = Vec::from_iter(worker.pop()); // takes up the queues while the client lives
    stream.read_exact(&mut [0]).expect("the child holds all ports");
    let (ports, pool) = (host.region().ports(), host.region().reservations());
    assert_eq!((ports.levels(W0).owned, pool.take(W0, ClientIndex(1))), (PAIRS, Err(shm::Exhausted(0))));

    child.kill().unwrap();
    child.wait().unwrap();
    assert!(wait_readable(&stream, PATIENCE), "the hang-up tells of the death");
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    host.release(client);
    assert!(wait_readable(worker.wake_fd(), PATIENCE), "the worker is woken to hear of it");
    assert_eq!(host.settle(client), None, "the worker may still be sending from these ports");

    messages.extend(std::iter::from_fn(|| worker.pop()));
    let (last, commands) = messages.split_last().unwrap();
    assert_eq!(commands.len(), 2 * PAIRS, "everything that it said before its end");
    assert_eq!(*last, (client, FromClient::Gone));
    assert_eq!(host.settle(client), None);
    worker.confirm_gone(client);
    assert_eq!(host.settle(client), Some(PAIRS));
    assert_eq!((host.settle(client), ports.levels(W0).free), (None, PAIRS));

    // A row that the killed process may have left half written is unreadable, never wrong, until somebody writes it.
    let leg = pool.take(W0, ClientIndex(1)).unwrap().leg;
    let legs = host.region().legs();
    assert!(legs.rows().all(|row| row.received.packets == row.sent.packets), "a torn row");
    legs.publish(&LegRow { leg, ..LegRow::default() }).unwrap();
    assert_eq!(legs.read(leg).map(|row| row.leg), Some(leg));
}

#[test]
#[ignore = "the process that the test above kills"]
fn holding_process() {
    let mut stream = parent();
    let mut end = accept_offer(&stream, PATIENCE).unwrap();
    let legs: Vec<_> = std::iter::from_fn(|| end.reserve(W0).ok()).map(|taken| taken.leg).collect();
    for number in 0..2 {
        legs.iter().for_each(|&leg| end.push(W0, &Command::Close { leg, number }).unwrap());
    }
    stream.write_all(&[1]).unwrap();
    let table = end.region().legs();
    for count in 0.. {
        let mut row = LegRow { leg: legs[0], ..LegRow::default() };
        (row.received.packets, row.sent.packets) = (count, count);
        table.publish(&row).unwrap();
    }
}
