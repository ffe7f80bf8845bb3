//! Recordings of real legs.

use super::*;
use contract::{FileOffer, RecordingEnd, RecordingLayout, RecordingOutcome};
use std::fs::File;
use std::os::unix::fs::FileExt;

const NUMBER: u64 = 11;

impl Client {
    /// Begins to record a leg of a worker into a file of ours.
    fn record(&mut self, worker: WorkerIndex, leg: LegRef) -> File {
        let file = tempfile::tempfile().unwrap();
        shm::give_file(&self.stream, &FileOffer::new(leg, NUMBER), &file).unwrap();
        let layout = RecordingLayout::Stereo;
        self.command(
            worker,
            Command::StartRecording { leg, number: 5, recording: NUMBER, shape: layout.into(), limit_s: 60 },
        );
        assert_eq!(self.answer(), Event::RecordingStarted { leg, number: 5, recording: NUMBER });
        file
    }

    /// What became of it, whatever else is told before.
    fn recorded(&mut self, leg: LegRef) -> RecordingOutcome {
        loop {
            if let Event::RecordingEnded { leg: told, number: 5, recording: NUMBER, outcome } = self.answer() {
                assert_eq!(told, leg);
                return outcome;
            }
        }
    }
}

/// Left and right of a file.
fn channels(file: &File) -> [Vec<i16>; 2] {
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    let mut reader = hound::WavReader::new(&bytes[..]).expect("a sound file");
    let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
    [0, 1].map(|channel| samples.iter().skip(channel).step_by(2).copied().collect())
}

/// Of a tone whose amplitude is over 3,000, unless the machine had no time for every frame.
fn loudness(samples: &[i16]) -> f64 {
    audio::ToneMeter::new(440.0).amplitude(samples)
}

#[test]
fn a_recording_has_what_was_said_and_heard() {
    let plane = Plane::new(1);
    let (mut client, mut phone) = (plane.client(), Phone::new());
    let leg = client.open(W0, phone.spec(Source::Tone440));
    let began = clock::now();
    let file = client.record(W0, leg);
    let layout = RecordingLayout::Mono;
    client.command(W0, Command::StartRecording { leg, number: 6, recording: 12, shape: layout.into(), limit_s: 60 });
    let outcome = RecordingOutcome::new(RecordingEnd::AlreadyRunning);
    assert_eq!(client.answer(), Event::RecordingEnded { leg, number: 6, recording: 12, outcome });
    for _ in 0..100 {
        phone.hear();
        phone.talk(leg);
    }
    client.command(W0, Command::StopRecording { leg, number: 5, recording: NUMBER });
    let outcome = client.recorded(leg);
    let took = clock::now() - began;
    assert_eq!((outcome.end(), outcome.received_packets), (RecordingEnd::Stopped, 100));
    assert_eq!((outcome.received_lost_packets, outcome.overflow_packets, outcome.undecoded_packets), (0, 0, 0));
    assert!(outcome.sent_packets >= 99, "{outcome:?}");
    assert!(
        outcome.sample_count >= 99 * 160 && outcome.sample_count <= took.as_millis() as u64 * 8 + 480,
        "{outcome:?}"
    );
    assert_eq!(file.metadata().unwrap().len(), outcome.file_bytes);
    let [said, heard] = channels(&file);
    assert_eq!((said.len() as u64, heard.len()), (outcome.sample_count, said.len()));
    assert!(loudness(&heard[800..]) > 1_000.0 && loudness(&said[800..]) < 500.0);
    let sound = said.iter().filter(|sample| **sample != 0).count();
    assert!(sound > 99 * 150, "{sound} samples of the phone");
    let packets = outcome.received_packets + outcome.sent_packets;
    // Again, and the end of the leg is the end of the recording.
    let file = client.record(W0, leg);
    phone.hear();
    client.command(W0, Command::Close { leg, number: 2 });
    let outcome = client.recorded(leg);
    assert_eq!(outcome.end(), RecordingEnd::LegClosed);
    assert_eq!(channels(&file)[0].len() as u64, outcome.sample_count);
    eventually("they are counted", || plane.count(MediaCounter::RecordingsStarted) == 2);
    eventually("they are over", || plane.count(MediaCounter::RecordingsRunning) == 0);
    let packets = packets + outcome.received_packets + outcome.sent_packets;
    eventually("their packets are counted", || plane.count(MediaCounter::RecordedPackets) >= packets);
}

#[test]
fn it_goes_on_on_another_worker_and_after_a_panic() {
    let plane = Plane::new(2);
    let (mut client, phone) = (plane.client(), Phone::new());
    let leg = client.open(W0, phone.spec(Source::Tone440));
    let file = client.record(W0, leg);
    let hear = |count| (0..count).for_each(|_| drop(phone.hear()));
    hear(20);
    client.command(W0, Command::Move { leg, number: 1, worker: 1 });
    assert_eq!(client.answer(), Event::Moved { leg, number: 1, worker: 1 });
    hear(20);
    client.command(WorkerIndex(1), Command::Close { leg, number: PANIC_NUMBER });
    eventually("it was rebuilt", || plane.count(MediaCounter::WorkerRestarts) == 1);
    hear(20);
    client.command(WorkerIndex(1), Command::StopRecording { leg, number: 5, recording: NUMBER });
    let outcome = client.recorded(leg);
    assert_eq!((outcome.end(), outcome.sent_lost_packets, outcome.overflow_packets), (RecordingEnd::Stopped, 0, 0));
    let [_, heard] = channels(&file);
    assert!(outcome.sent_packets >= 58 && heard.len() > 58 * 160, "{outcome:?}");
    assert!(loudness(&heard[800..1_600]) > 1_000.0 && loudness(&heard[heard.len() - 1_600..]) > 1_000.0);
}

#[test]
fn files_are_whole_after_the_death_of_a_client_and_of_the_media_plane() {
    let plane = Plane::new(1);
    let (mut dead, mut other, phones) = (plane.client(), plane.client(), [Phone::new(), Phone::new()]);
    let left = dead.open(W0, phones[0].spec(Source::Tone440));
    let file_of_the_dead = dead.record(W0, left);
    let leg = other.open(W0, phones[1].spec(Source::Tone440));
    let file = other.record(W0, leg);
    (0..20).for_each(|_| drop((phones[0].hear(), phones[1].hear())));
    drop(dead);
    eventually("its recording is over", || plane.count(MediaCounter::RecordingsRunning) == 1);
    assert!(loudness(&channels(&file_of_the_dead)[1][400..]) > 1_000.0);
    plane.stop();
    let heard = &channels(&file)[1];
    // Some of the packets that were heard may have left before the recording began.
    assert!(heard.len() >= 10 * 160 && loudness(&heard[400..]) > 1_000.0, "{}", heard.len());
}

#[test]
fn what_cannot_be_recorded_is_refused_with_its_reason() {
    let plane = Plane::new(1);
    let (mut client, mut other, phone) = (plane.client(), plane.client(), Phone::new());
    let leg = client.open(W0, phone.spec(Source::Tone440));
    let layout = RecordingLayout::Stereo;
    let refusals = [
        (LegRef::new(leg.row, leg.generation + 1), RecordingEnd::NoSuchLeg),
        (LegRef::new(60_000, 1), RecordingEnd::NoSuchLeg),
    ];
    for (leg, end) in refusals {
        client.command(
            W0,
            Command::StartRecording { leg, number: 5, recording: NUMBER, shape: layout.into(), limit_s: 1 },
        );
        assert_eq!(client.recorded(leg).end(), end);
    }
    // Not its leg.
    other.command(W0, Command::StartRecording { leg, number: 5, recording: NUMBER, shape: layout.into(), limit_s: 1 });
    assert_eq!(other.recorded(leg).end(), RecordingEnd::NoSuchLeg);
    // No file ever comes.
    client
        .command(W0, Command::StartRecording { leg, number: 5, recording: NUMBER, shape: layout.into(), limit_s: 60 });
    assert_eq!(client.answer(), Event::RecordingStarted { leg, number: 5, recording: NUMBER });
    assert_eq!(client.recorded(leg).end(), RecordingEnd::NoFile);
    // A limit of a second.
    let file = tempfile::tempfile().unwrap();
    shm::give_file(&client.stream, &FileOffer::new(leg, NUMBER), &file).unwrap();
    client.command(W0, Command::StartRecording { leg, number: 5, recording: NUMBER, shape: layout.into(), limit_s: 1 });
    assert_eq!(client.answer(), Event::RecordingStarted { leg, number: 5, recording: NUMBER });
    assert_eq!((client.recorded(leg).end(), channels(&file)[0].len()), (RecordingEnd::LimitReached, 8_000));
    phone.hear();
    client.close(W0, leg);
}
