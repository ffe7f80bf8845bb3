//! Two real processes over one region: a million messages each way, with both sides going to sleep between bursts.
#![cfg(not(loom))]

mod common;

use common::{PATIENCE, Random, parent, plan, start_process, wait_readable};
use contract::{Command, Event, LegRef};
use shm::{ClientEnd, FromClient, Host, PushError, WorkerEnd, WorkerIndex, accept_offer};

const MESSAGES: u64 = 1_000_000;
const WORKERS: usize = 2;

fn command(number: u64) -> Command {
    Command::SendDigit { leg: LegRef::new(number as u32, 1), number, digit: 1, duration_ms: 100 }
}

fn event(number: u64) -> Event {
    Event::Digit { leg: LegRef::new(number as u32, 1), digit: 1 }
}

#[test]
fn a_million_messages_each_way_between_two_processes() {
    let host = Host::create(&plan(WORKERS, 2)).unwrap();
    let (mut child, stream) = start_process("client_process");
    let client = host.offer(&stream).unwrap();
    let workers: Vec<_> = host
        .region()
        .plan()
        .workers()
        .map(|worker| host.worker(worker).unwrap())
        .map(|end| std::thread::spawn(move || answer_commands(end)))
        .collect();

    assert!(wait_readable(&stream, 3 * PATIENCE), "the hang-up is the news of the client's end");
    assert!(child.wait().unwrap().success(), "the client saw every event, in order");
    host.release(client);
    let (commands, sleeps) = workers
        .into_iter()
        .map(|worker| worker.join().unwrap())
        .fold((0, 0), |(commands, sleeps), (more, slept)| (commands + more, sleeps + slept));
    assert_eq!(commands, MESSAGES);
    assert!(sleeps > 1_000, "the workers slept only {sleeps} times: nothing was shown about waking up");
    assert_eq!(host.settle(client), Some(0));
}

/// Sends one event per command, sleeps when there is nothing to do, ends with the client.
fn answer_commands(mut end: WorkerEnd) -> (u64, u64) {
    let (mut count, mut sleeps, mut last) = (0, 0, None);
    loop {
        while let Some((client, message)) = end.pop() {
            match message {
                FromClient::Command(Command::SendDigit { leg, number, digit, .. }) => {
                    assert!(last < Some(number), "{number} after {last:?}");
                    assert_eq!(leg.row, number as u32, "half of one message and half of another");
                    (last, count) = (Some(number), count + 1);
                    while end.push(client, &Event::Digit { leg, digit }) == Err(PushError::Full) {
                        end.wake_clients();
                        std::thread::yield_now();
                    }
                }
                FromClient::Gone => {
                    end.confirm_gone(client);
                    return (count, sleeps);
                }
                other => panic!("{other:?}"),
            }
        }
        if end.prepare_sleep() {
            assert!(wait_readable(end.wake_fd(), PATIENCE), "the worker was not woken");
            end.wake_fd().drain();
            sleeps += 1;
        }
        end.cancel_sleep();
    }
}

#[test]
#[ignore = "the client process of the test above"]
fn client_process() {
    let mut end = accept_offer(&parent(), PATIENCE).unwrap();
    let mut random = Random(0x5eed);
    let (mut sent, mut received, mut sleeps) = (0, [0; WORKERS], 0);
    while received.iter().sum::<u64>() < MESSAGES {
        // Bursts of every size, so that both sides sometimes sleep and sometimes run into a full queue.
        let burst_end = (sent + 1 + random.below(600)).min(MESSAGES);
        while sent < burst_end {
            match end.push(WorkerIndex((sent % WORKERS as u64) as u8), &command(sent)) {
                Ok(()) => sent += 1,
                Err(PushError::Full) => receive(&mut end, &mut received, sent, &mut sleeps),
                Err(error) => panic!("{error}"),
            }
        }
        while received.iter().sum::<u64>() < sent {
            receive(&mut end, &mut received, sent, &mut sleeps);
        }
    }
    assert!(sleeps > 1_000, "the client slept only {sleeps} times: nothing was shown about waking up");
}

/// Takes what is there; sleeps when there is nothing and something is still to come.
fn receive(end: &mut ClientEnd, received: &mut [u64; WORKERS], sent: u64, sleeps: &mut u64) {
    while let Some((worker, got)) = end.pop() {
        let expected = received[worker.index()] * WORKERS as u64 + u64::from(worker.0);
        assert_eq!(got, Ok(event(expected)));
        received[worker.index()] += 1;
    }
    if received.iter().sum::<u64>() < sent && end.prepare_sleep() {
        assert!(wait_readable(end.wake_fd(), PATIENCE), "the client was not woken");
        end.wake_fd().drain();
        *sleeps += 1;
    }
    end.cancel_sleep();
}
