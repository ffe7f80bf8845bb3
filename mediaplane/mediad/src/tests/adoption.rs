//! What a client inherits of the one that was there before it: legs that were kept, and nothing else. In virtual time.

use super::ports::take;
use super::simulated::{SimPlane, adopt, keep_legs, ms, replace_client};
use crate::recording::Writer;
use contract::{Command, Event, FileOffer, LegRef, RecordingEnd, RecordingLayout, RecordingOutcome, Source};
use shm::WorkerIndex;
use std::fs::File;

const W0: WorkerIndex = WorkerIndex(0);

/// A plane with a leg that plays a tone.
struct Scene {
    plane: SimPlane,
    leg: LegRef,
    writer: Writer<fn(u8)>,
}

fn begin(number: u64, leg: LegRef, recording: u64) -> Command {
    Command::StartRecording { leg, number, recording, layout: RecordingLayout::Mono, limit_s: 60 }
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
fn a_client_that_adopts_a_leg_hears_of_its_recording_without_the_number_of_a_command() {
    let mut scene = Scene::new(1);
    let leg = scene.leg;
    keep_legs(&mut scene.plane, 10_000);
    scene.record(3, 1);
    replace_client(&mut scene.plane);
    adopt(&mut scene.plane, leg);
    // It has a recording with the same number in mind, which it stops; the one that runs is not that.
    scene.plane.client.push(W0, &Command::StopRecording { leg, number: 4, recording: 1 }).unwrap();
    scene.write();
    assert_eq!(scene.ended(), []);
    scene.plane.command(W0, Command::Close { leg, number: 6 }, |event| matches!(event, Event::Closed { .. }));
    scene.write();
    assert_eq!(scene.ended(), [(0, 1)]);
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
    assert_eq!(scene.ended(), [(0, 1)]);
    scene.plane.client.push(W0, &Command::StopRecording { leg, number: 7, recording: 2 }).unwrap();
    scene.write();
    assert_eq!(scene.ended(), [(5, 2)]);
    let bytes = [&before, &waiting, &own].map(|file| file.metadata().unwrap().len());
    assert!(bytes[0] > 44 && bytes[1] == 0 && bytes[2] > 44, "{bytes:?}");
}
