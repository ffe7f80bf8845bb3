//! What a client inherits of the one that was there before it: legs that were kept, and nothing else. In virtual time.

use super::ports::{give_back, take};
use super::simulated::{SimPlane, adopt, keep_legs, ms, replace_client};
use crate::recording::Writer;
use contract::{
    CloseReason, Command, Event, FileOffer, LegRef, LegState, PlayerId, RecordingEnd, RecordingLayout,
    RecordingOutcome, RefuseReason, Source,
};
use media_core::io::PacketIo;
use shm::WorkerIndex;
use std::fs::File;

const W0: WorkerIndex = WorkerIndex(0);
const W1: WorkerIndex = WorkerIndex(1);

/// A plane with a leg that plays a tone.
struct Scene {
    plane: SimPlane,
    leg: LegRef,
    writer: Writer<fn(u8)>,
}

fn begin(number: u64, leg: LegRef, recording: u64) -> Command {
    Command::StartRecording { leg, number, recording, shape: RecordingLayout::Mono.into(), limit_s: 60 }
}

fn outcome(leg: LegRef, number: u64, recording: u64, end: RecordingEnd) -> Event {
    Event::RecordingEnded { leg, number, recording, outcome: RecordingOutcome::new(end) }
}

impl Scene {
    fn new(workers: usize) -> Self {
        let mut plane = SimPlane::new(workers);
        let phone = plane.phone();
        let leg = take(&plane.client, W0).unwrap();
        let spec = plane.spec(phone, Source::Tone440);
        plane.open(W0, leg, spec);
        let writer = Writer::new(plane.shared.recorder.clone(), (|_| {}) as fn(u8));
        Self { plane, leg, writer }
    }

    /// Hands a file over as the client that is attached now.
    fn hand_over(&self, recording: u64) -> File {
        let (file, life) = (tempfile::tempfile().unwrap(), self.plane.shared.host.life(self.plane.client.index()));
        let offer = FileOffer::new(self.leg, recording);
        self.plane.shared.recorder.take_file(life, offer, file.try_clone().unwrap());
        file
    }

    /// Begins to record the leg, and says where.
    fn record(&mut self, number: u64, recording: u64) -> File {
        let (leg, file) = (self.leg, self.hand_over(recording));
        let started = Event::RecordingStarted { leg, number, recording };
        self.plane.command(W0, begin(number, leg, recording), |event| *event == started);
        self.write();
        file
    }

    /// The writer finishes what it can, and the workers tell what has become of it.
    fn write(&mut self) {
        for _ in 0..4 {
            self.writer.pass(self.plane.network.now());
            self.plane.run(ms(100));
        }
    }

    /// The recordings of the leg that are told to be over since the last time, each with its number and that of its command.
    fn ended(&mut self) -> Vec<(u64, u64)> {
        let leg = self.leg;
        let ended = |event: Event| match event {
            Event::RecordingEnded { leg: told, number, recording, .. } if told == leg => Some((number, recording)),
            _ => None,
        };
        self.plane.events.drain(..).filter_map(ended).collect()
    }
}

#[test]
fn the_outcome_of_a_recording_is_not_told_to_the_next_client_in_its_place() {
    let mut scene = Scene::new(1);
    let place = scene.plane.client.index();
    scene.record(3, 1);
    replace_client(&mut scene.plane);
    assert_eq!(scene.plane.client.index(), place);
    scene.write();
    assert_eq!((scene.ended(), scene.writer.is_idle()), (vec![], true));
}

#[test]
fn a_client_that_adopts_a_leg_neither_stops_nor_hears_of_the_recording_of_the_one_before() {
    let mut scene = Scene::new(1);
    let leg = scene.leg;
    keep_legs(&mut scene.plane, 10_000);
    scene.record(3, 1);
    replace_client(&mut scene.plane);
    adopt(&mut scene.plane, leg);
    // It has a recording with the same number in mind, which it stops; the one that runs is not that.
    scene.plane.client.push(W0, &Command::StopRecording { leg, number: 4, recording: 1 }).unwrap();
    scene.write();
    assert!(!scene.writer.is_idle());
    scene.plane.command(W0, Command::Close { leg, number: 6 }, |event| matches!(event, Event::Closed { .. }));
    scene.write();
    assert_eq!((scene.ended(), scene.writer.is_idle()), (vec![], true));
}

#[test]
fn a_recording_of_an_adopted_leg_ends_the_one_of_the_client_before_and_has_a_file_of_its_own() {
    let mut scene = Scene::new(1);
    let leg = scene.leg;
    keep_legs(&mut scene.plane, 10_000);
    let before = scene.record(3, 1);
    // The recording that this file is for is never begun.
    let waiting = scene.hand_over(2);
    replace_client(&mut scene.plane);
    // This client has the place of the one before, and has not adopted the leg.
    let refused = outcome(leg, 4, 2, RecordingEnd::NoSuchLeg);
    scene.plane.command(W0, begin(4, leg, 2), |event| *event == refused);
    adopt(&mut scene.plane, leg);
    let own = scene.record(5, 2);
    let running = outcome(leg, 6, 3, RecordingEnd::AlreadyRunning);
    scene.plane.command(W0, begin(6, leg, 3), |event| *event == running);
    assert_eq!(scene.ended(), []);
    scene.plane.client.push(W0, &Command::StopRecording { leg, number: 7, recording: 2 }).unwrap();
    scene.write();
    assert_eq!(scene.ended(), [(5, 2)]);
    let bytes = [&before, &waiting, &own].map(|file| file.metadata().unwrap().len());
    assert!(bytes[0] > 44 && bytes[1] == 0 && bytes[2] > 44, "{bytes:?}");
}

/// What the peer and the player of a leg do while it belongs to no client.
#[test]
fn a_client_that_adopts_a_leg_hears_that_it_has_timed_out_and_that_its_player_has_ended() {
    let mut plane = SimPlane::new(1);
    let legs = [Source::Silence, Source::Prompt(0)].map(|source| {
        let (phone, leg) = (plane.phone(), take(&plane.client, W0).unwrap());
        let spec = plane.spec(phone, source).with(|spec| {
            spec.flow.player = PlayerId::new(77);
            spec.transport.media_timeout_ms = if source == Source::Silence { 600 } else { 0 };
        });
        plane.open(W0, leg, spec);
        leg
    });
    keep_legs(&mut plane, 10_000);
    replace_client(&mut plane);
    plane.run(ms(1_000));
    assert_eq!(plane.events, []);
    let events = |leg, event| [Event::Adopted { leg, number: 5 }, event];
    let expected = [
        events(legs[0], Event::MediaTimeout { leg: legs[0] }),
        events(legs[1], Event::PlayerEnded { leg: legs[1], player: PlayerId::new(77) }),
    ];
    for (leg, expected) in legs.into_iter().zip(expected) {
        let mut told = vec![adopt(&mut plane, leg)];
        plane.run(ms(100));
        told.append(&mut plane.events);
        assert_eq!(told, expected);
    }
    assert_eq!(plane.row(legs[0]).state(), LegState::TimedOut);
}

/// The client dies between two steps of the worker that sends its leg, and the other worker hears of that first.
#[test]
fn a_leg_that_is_on_its_way_when_its_client_dies_is_kept() {
    let mut scene = Scene::new(2);
    let (leg, dead) = (scene.leg, scene.plane.client.index());
    let plane = &mut scene.plane;
    for worker in [W0, W1] {
        let kept = Event::Kept { number: 9 };
        plane.command(worker, Command::KeepLegs { number: 9, grace_ms: 10_000 }, |event| *event == kept);
    }
    plane.client.push(W0, &Command::Move { leg, number: 3, worker: 1 }).unwrap();
    while plane.workers[0].pending_transfers.is_empty() {
        plane.workers[0].turn().unwrap();
    }
    plane.shared.host.release(dead);
    plane.workers[1].turn().unwrap();
    let worker = &mut plane.workers[0];
    let now = worker.io.now();
    worker.io.wait(now, &mut worker.received).unwrap();
    worker.received.clear();
    worker.send_transfers(now + ms(100));
    assert!(!plane.shared.transfers.is_empty(1), "its leg is on its way");
    plane.workers[0].turn().unwrap();
    assert_eq!(plane.shared.host.settle(dead), None, "its leg is on no worker");
    plane.run(ms(20));
    plane.shared.host.settle(dead).expect("its leg is kept");
    plane.client = plane.shared.host.attach_local().unwrap();
    let adopted = Event::Adopted { leg, number: 5 };
    plane.command(W1, Command::Adopt { leg, number: 5 }, |event| *event == adopted);
    plane.command(W1, Command::Close { leg, number: 6 }, |event| matches!(event, Event::Closed { .. }));
    give_back(&plane.client, leg).unwrap();
}

/// Neither worker can take the leg: the other one has its row, and there is no way back.
#[test]
fn a_leg_that_no_worker_takes_is_told_to_be_closed_or_gives_back_what_was_kept() {
    for is_kept in [false, true] {
        let mut scene = Scene::new(2);
        let (leg, plane) = (scene.leg, &mut scene.plane);
        if is_kept {
            keep_legs(plane, 10_000);
        }
        let (now, phone) = (plane.network.now(), plane.phone());
        let spec = plane.spec(phone, Source::None).with(|spec| spec.transport.port = plane.row(leg).port);
        let worker = &mut plane.workers[1];
        worker.core.handle_command(
            now,
            Command::Open { leg, number: 0, spec },
            worker.io.buffers(),
            &mut worker.output,
        );
        worker.output.events.clear();
        while plane.shared.transfers.send(0, Vec::new()).is_ok() {}
        plane.client.push(W0, &Command::Move { leg, number: 3, worker: 1 }).unwrap();
        while plane.workers[0].pending_transfers.is_empty() {
            plane.workers[0].turn().unwrap();
        }
        if is_kept {
            plane.shared.host.release(plane.client.index());
        }
        // The first worker takes some of what is in its queue in each turn: it is filled again before the leg comes back.
        while plane.shared.transfers.is_empty(1) {
            plane.workers[0].turn().unwrap();
        }
        while plane.shared.transfers.send(0, Vec::new()).is_ok() {}
        plane.workers[1].turn().unwrap();
        plane.run(ms(100));
        let holder = plane.shared.host.region().reservations().holder(leg);
        let closed = Event::Closed { leg, number: 0, reason: CloseReason::Failed };
        if is_kept {
            assert_eq!((holder, plane.events.contains(&closed)), (None, false));
        } else {
            assert_eq!((holder, plane.events.contains(&closed)), (Some(plane.client.index()), true));
        }
    }
}

/// A worker has failed between its core and what it knows of owners.
#[test]
fn a_kept_leg_that_does_not_run_is_not_adopted_and_its_port_comes_back() {
    let mut scene = Scene::new(1);
    let (leg, plane) = (scene.leg, &mut scene.plane);
    keep_legs(plane, 10_000);
    replace_client(plane);
    assert!(plane.workers[0].core.extract(leg).is_some());
    assert_eq!(adopt(plane, leg), Event::Refused { leg, number: 5, reason: RefuseReason::NoSuchLeg });
    assert_eq!(plane.shared.host.region().reservations().holder(leg), None);
    assert!(plane.workers[0].owners.get(leg).is_none());
}

/// A client gives a leg's id back while the leg runs, and another leg gets the same row on another worker.
#[test]
fn a_row_is_written_by_the_worker_whose_leg_has_it() {
    let mut scene = Scene::new(2);
    let (old, plane) = (scene.leg, &mut scene.plane);
    give_back(&plane.client, old).unwrap();
    let mut leg = LegRef::NONE;
    for worker in [W0, W1] {
        while let Ok(taken) = take(&plane.client, worker) {
            leg = taken;
        }
    }
    assert_eq!((leg.row, leg.generation), (old.row, old.generation + 1));
    let phone = plane.phone();
    let spec = plane.spec(phone, Source::Tone440);
    plane.open(W1, leg, spec);
    let sent = |plane: &SimPlane| plane.shared.host.region().legs().read(leg).map(|row| (row.worker, row.sent.packets));
    for _ in 0..100 {
        plane.run(ms(30));
        assert!(sent(plane).is_some_and(|(worker, _)| worker == 1), "{:?}", sent(plane));
    }
    assert!(sent(plane).is_some_and(|(_, packets)| packets > 50));
}
