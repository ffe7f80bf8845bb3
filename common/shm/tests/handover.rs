//! Handing the region over: refusals that say why, slots that are used again, and queues without leftovers.
#![cfg(not(loom))]

mod common;

use common::{PATIENCE, plan};
use contract::{Command, Event, LAYOUT_VERSION, LegRef};
use shm::{ClientIndex, FromClient, HandoverError, Host, OfferError, PushError, WorkerIndex, accept_offer};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

const W0: WorkerIndex = WorkerIndex(0);
const W1: WorkerIndex = WorkerIndex(1);

fn close(number: u64) -> Command {
    Command::Close { leg: LegRef::new(10_000, 1), number }
}

fn closed(number: u64) -> Event {
    Event::Updated { leg: LegRef::new(10_000, 1), number }
}

fn connect(host: &Host) -> Result<(ClientIndex, shm::ClientEnd), HandoverError> {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let offered = host.offer(&ours);
    Ok((offered.unwrap_or(ClientIndex(u8::MAX)), accept_offer(&theirs, PATIENCE).map(|end| (end.index(), end))?.1))
}

#[test]
fn when_all_places_are_taken_both_sides_hear_it() {
    let host = Host::create(&plan(1, 2)).unwrap();
    let clients = [connect(&host).unwrap(), connect(&host).unwrap()];
    assert!(clients.iter().all(|(offered, end)| *offered == end.index()));
    let (ours, theirs) = UnixStream::pair().unwrap();
    assert!(matches!(host.offer(&ours), Err(OfferError::NoClientSlot(shm::NoClientSlot(2)))));
    assert!(matches!(accept_offer(&theirs, PATIENCE), Err(HandoverError::NoClientSlot(2))));
    assert_eq!(host.region().live_clients().count(), 2);

    host.release(clients[0].0);
    let (again, _) = connect(&host).expect("the place is free again, and was settled by the way");
    assert_eq!(again, clients[0].0);
}

#[test]
fn a_new_client_sees_nothing_of_the_one_before() {
    let host = Host::create(&plan(2, 1)).unwrap();
    let mut workers = [W0, W1].map(|worker| host.worker(worker).unwrap());
    for life in 0..5 {
        let (client, mut end) = connect(&host).unwrap();
        assert_eq!(end.pop(), None, "life {life}");
        assert!(workers.iter_mut().all(|worker| worker.pop().is_none()));
        for (worker, index) in workers.iter_mut().zip([W0, W1]) {
            end.push(index, &close(life)).unwrap();
            assert_eq!(worker.pop(), Some((client, FromClient::Command(close(life)))));
            worker.push(client, &closed(life)).unwrap();
            worker.push(client, &closed(life + 100)).unwrap();
            end.push(index, &close(life + 200)).unwrap(); // said, and never heard before the end
        }
        assert!(matches!(end.pop(), Some((_, Ok(event))) if event == closed(life)));
        drop(end);
        host.release(client);
        for worker in &mut workers {
            assert_eq!(host.settle(client), None, "not every worker has confirmed");
            assert_eq!(worker.pop(), Some((client, FromClient::Command(close(life + 200)))));
            assert_eq!(worker.pop(), Some((client, FromClient::Gone)));
            assert_eq!(worker.pop(), None, "told once");
            assert_eq!(worker.push(client, &closed(0)), Err(PushError::Gone));
            worker.confirm_gone(client);
        }
        assert_eq!(host.settle(client), Some(0));
    }
}

#[test]
fn a_worker_that_starts_again_takes_over_where_the_last_one_stood() {
    let host = Host::create(&plan(1, 2)).unwrap();
    let (client, mut end) = connect(&host).unwrap();
    let (gone, other) = connect(&host).unwrap();
    let mut worker = host.worker(W0).unwrap();
    assert!(host.worker(W0).is_none(), "one owner at a time");
    assert!(host.worker(W1).is_none(), "no such worker");
    (1..=3).for_each(|number| end.push(W0, &close(number)).unwrap());
    assert_eq!(worker.pop(), Some((client, FromClient::Command(close(1)))));
    worker.push(client, &closed(1)).unwrap();
    drop((worker, other));
    host.release(gone);
    assert_eq!(host.settle(gone), Some(0), "a worker that does not run need not confirm");

    let mut worker = host.worker(W0).unwrap();
    assert_eq!(worker.pop(), Some((client, FromClient::Command(close(2)))));
    worker.push(client, &closed(2)).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| end.pop()).collect();
    assert_eq!(events, [(W0, Ok(closed(1))), (W0, Ok(closed(2)))]);
}

#[test]
fn a_full_queue_refuses_and_goes_on() {
    let host = Host::create(&plan(1, 1)).unwrap();
    let (client, mut end) = connect(&host).unwrap();
    let mut worker = host.worker(W0).unwrap();
    let slots = host.region().plan().command_slots() as u64;
    (0..slots).for_each(|number| end.push(W0, &close(number)).unwrap());
    assert_eq!(end.push(W0, &close(slots)), Err(PushError::Full));
    assert_eq!(worker.pop(), Some((client, FromClient::Command(close(0)))));
    end.push(W0, &close(slots)).unwrap();
    let rest: Vec<_> = std::iter::from_fn(|| worker.pop()).collect();
    assert!(rest.into_iter().eq((1..=slots).map(|number| (client, FromClient::Command(close(number))))));
}

#[test]
fn only_a_sleeper_is_woken_and_only_once() {
    let host = Host::create(&plan(1, 1)).unwrap();
    let (client, mut end) = connect(&host).unwrap();
    let mut worker = host.worker(W0).unwrap();
    worker.pop();
    end.push(W0, &close(1)).unwrap();
    assert!(!worker.wake_fd().drain(), "it was awake");
    assert!(!worker.prepare_sleep(), "there is something to do");
    worker.pop();
    assert!(worker.prepare_sleep());
    end.push(W0, &close(2)).unwrap();
    assert!(worker.wake_fd().drain());
    end.push(W0, &close(3)).unwrap();
    assert!(!worker.wake_fd().drain(), "woken before");
    worker.cancel_sleep();

    assert!(end.prepare_sleep());
    worker.push(client, &closed(1)).unwrap();
    assert!(!end.wake_fd().drain(), "not before the end of the turn");
    worker.wake_clients();
    assert!(end.wake_fd().drain());
    end.cancel_sleep();
}

#[test]
fn what_can_wait_wakes_nobody_until_it_is_told() {
    let host = Host::create(&plan(1, 1)).unwrap();
    let (client, mut end) = connect(&host).unwrap();
    let mut worker = host.worker(W0).unwrap();
    worker.pop();
    assert!(worker.prepare_sleep());
    end.push_quietly(W0, &close(1)).unwrap();
    assert!(!worker.wake_fd().drain());
    end.wake_workers();
    assert!(worker.wake_fd().drain());
    end.wake_workers();
    assert!(!worker.wake_fd().drain(), "woken before");
    worker.cancel_sleep();
    let told = FromClient::Command(close(1));
    assert_eq!((worker.pop(), worker.pop()), (Some((client, told)), None));

    assert!(worker.prepare_sleep());
    end.push_quietly(W0, &close(2)).unwrap();
    end.push(W0, &close(3)).unwrap();
    assert!(worker.wake_fd().drain(), "one that cannot wait tells of both");
    worker.cancel_sleep();
    assert_eq!(std::iter::from_fn(|| worker.pop()).count(), 2);

    assert!(end.is_idle());
    worker.push(client, &closed(1)).unwrap();
    worker.wake_clients();
    assert!(!end.is_idle() && !end.wake_fd().drain(), "nobody asked for a wake-up");
}

#[test]
fn strangers_and_silence_are_told_apart() {
    let refusal = |bytes: &[u8]| {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(bytes).unwrap();
        accept_offer(&theirs, Duration::from_millis(30)).map(|_| ()).unwrap_err()
    };
    assert!(matches!(refusal(b""), HandoverError::TimedOut(_)));
    assert!(matches!(refusal(b"ringhand"), HandoverError::TimedOut(_)), "a part is not enough");
    assert!(matches!(refusal(&[b'x'; 64]), HandoverError::Foreign(_)));
    let hello = |version: u32, answer: u32| {
        let mut bytes = b"ringhand".to_vec();
        bytes.extend([version, answer].map(u32::to_ne_bytes).concat());
        bytes.resize(64, 0);
        bytes
    };
    let error = refusal(&hello(LAYOUT_VERSION + 1, 1));
    let (ours, theirs) = (format!("version {LAYOUT_VERSION}"), format!("version {}", LAYOUT_VERSION + 1));
    assert!(error.to_string().contains(&ours) && error.to_string().contains(&theirs), "{error}");
    assert!(matches!(refusal(&hello(LAYOUT_VERSION, 1)), HandoverError::Foreign("descriptors are missing")));
    assert!(matches!(refusal(&hello(LAYOUT_VERSION, 3)), HandoverError::Foreign("its answer is unknown")));

    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(ours);
    assert!(matches!(accept_offer(&theirs, PATIENCE), Err(HandoverError::HungUp)));
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(theirs);
    let host = Host::create(&plan(1, 1)).unwrap();
    assert!(matches!(host.offer(&ours), Err(OfferError::System(_))));
    assert!(connect(&host).is_ok(), "the place was not lost");
}
