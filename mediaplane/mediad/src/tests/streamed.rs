//! Streams of audio between real legs and a program.

use super::*;
use contract::{
    FileOffer, MediaMessage, ProgramMessage, STREAM_MESSAGE_BYTES_MAX, StreamEnd, StreamRate, StreamTrack, StreamTracks,
};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use std::fs::File;

/// The program's end of a stream.
struct Program {
    socket: File,
    rate: StreamRate,
    /// Samples of its own tone so far.
    said: usize,
}

#[derive(PartialEq, Debug)]
enum Told {
    Started,
    Frame { track: StreamTrack, position: u64, lost: u32, samples: Vec<i16> },
    Taken(u64),
    Mark(u64, bool),
    Ended(StreamEnd),
    HungUp,
}

fn tone(hz: f64, rate: u32, from: usize, count: usize) -> Vec<i16> {
    let step = std::f64::consts::TAU * hz / f64::from(rate);
    (from..from + count).map(|index| (8_000.0 * (step * index as f64).sin()) as i16).collect()
}

/// The amplitude of a tone of this frequency in the sound.
fn loudness(samples: &[i16], hz: f64, rate: u32) -> f64 {
    let step = std::f64::consts::TAU * hz / f64::from(rate);
    let (sin, cos) = samples.iter().enumerate().fold((0.0, 0.0), |(sin, cos), (index, sample)| {
        let (angle, sample) = (step * index as f64, f64::from(*sample));
        (sin + sample * angle.sin(), cos + sample * angle.cos())
    });
    2.0 * f64::hypot(sin, cos) / samples.len().max(1) as f64
}

impl Program {
    fn offer(client: &Client, leg: LegRef, first: ProgramMessage<'_>, rate: StreamRate) -> Self {
        let (own, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let program = Self { socket: own.into(), rate, said: 0 };
        program.tell(first);
        shm::give_file(&client.stream, &FileOffer::for_stream(leg), &File::from(other)).unwrap();
        program
    }

    fn open(client: &Client, leg: LegRef, rate: StreamRate, tracks: StreamTracks) -> Self {
        let mut program = Self::offer(client, leg, ProgramMessage::Begin { rate, tracks, speaks: true }, rate);
        assert_eq!(program.hear(), Told::Started);
        program
    }

    fn tell(&self, message: ProgramMessage<'_>) {
        let mut bytes = [0; STREAM_MESSAGE_BYTES_MAX];
        send(&self.socket, message.write(&mut bytes), SendFlags::NOSIGNAL).unwrap();
    }

    /// So many frames of a tone of 440 Hz.
    fn say(&mut self, count: usize) {
        for _ in 0..count {
            let samples = tone(440.0, self.rate.hz(), self.said, self.rate.frame_samples());
            self.said += samples.len();
            let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            self.tell(ProgramMessage::Sound(&bytes));
        }
    }

    fn hear(&mut self) -> Told {
        let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        assert!(poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&patience)).unwrap() > 0, "nothing is told");
        let mut bytes = [0; STREAM_MESSAGE_BYTES_MAX];
        let Ok((count, _)) = recv(&self.socket, &mut bytes[..], RecvFlags::empty()) else { return Told::HungUp };
        if count == 0 {
            return Told::HungUp;
        }
        match MediaMessage::read(&bytes[..count]).unwrap() {
            MediaMessage::Started => Told::Started,
            MediaMessage::Sound { track, position, lost, samples } => {
                let samples = samples.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
                Told::Frame { track, position, lost, samples }
            }
            MediaMessage::Taken(count) => Told::Taken(count),
            MediaMessage::Mark { number, is_heard } => Told::Mark(number, is_heard),
            MediaMessage::Ended(end) => Told::Ended(end),
        }
    }

    /// The next thing told that `pick` wants.
    fn until<T>(&mut self, pick: impl Fn(&Told) -> Option<T>) -> T {
        loop {
            let told = self.hear();
            if let Some(picked) = pick(&told) {
                return picked;
            }
            assert!(!matches!(told, Told::Ended(_) | Told::HungUp), "{told:?}");
        }
    }

    fn mark(&mut self, number: u64) -> bool {
        self.until(
            |told| if let Told::Mark(told, is_heard) = told { (*told == number).then_some(*is_heard) } else { None },
        )
    }

    fn ended(&mut self) -> StreamEnd {
        self.until(|told| if let Told::Ended(end) = told { Some(*end) } else { None })
    }
}

impl Phone {
    /// Sends 20 ms of a tone.
    fn sing(&mut self, leg: LegRef, hz: f64) {
        let mut bytes = vec![0x80, 0];
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend((u32::from(self.seq) * 160).to_be_bytes());
        bytes.extend(0x1234_5678_u32.to_be_bytes());
        let samples = tone(hz, 8_000, usize::from(self.seq) * 160, 160);
        bytes.extend(samples.iter().map(|sample| audio::Law::Mu.encode(*sample)));
        self.rtp.send_to(&bytes, to(leg)).unwrap();
        self.seq += 1;
    }

    fn hear_sound(&self) -> Vec<i16> {
        self.hear().bytes[12..].iter().map(|code| audio::Law::Mu.decode(*code)).collect()
    }

    /// How many of the packets that have come by now are loud.
    fn loud_packets(&self) -> usize {
        let mut count = 0;
        while let Some(heard) = self.hear_within(Duration::from_millis(1)) {
            count += usize::from(heard.bytes[12..].iter().any(|code| audio::Law::Mu.decode(*code).abs() > 6_000));
        }
        count
    }
}

#[test]
fn a_program_hears_both_directions_and_is_heard() {
    let plane = Plane::new(2);
    let (mut client, mut phone) = (plane.client(), Phone::new());
    let leg = client.open(W0, phone.spec(Source::None));
    for (rate, move_to) in [(StreamRate::Hz16000, 1), (StreamRate::Hz8000, 0), (StreamRate::Hz24000, 1)] {
        let mut program = Program::open(&client, leg, rate, StreamTracks::Both);
        let (mut received, mut sent, mut heard) = (Vec::new(), Vec::new(), Vec::new());
        while heard.len() < 8_000 {
            program.say(1);
            phone.sing(leg, 1_000.0);
            heard.extend(phone.hear_sound());
            if heard.len() == 3_200 {
                // Another worker goes on with it.
                client.command(WorkerIndex(1 - move_to), Command::Move { leg, number: 1, worker: move_to });
                assert_eq!(client.answer(), Event::Moved { leg, number: 1, worker: move_to });
            }
        }
        while sent.len() < rate.hz() as usize {
            match program.hear() {
                Told::Frame { track: StreamTrack::Received, samples, .. } => received.extend(samples),
                Told::Frame { track: StreamTrack::Sent, samples, .. } => sent.extend(samples),
                other => assert!(matches!(other, Told::Taken(_)), "{other:?}"),
            }
        }
        // Half a second in the middle, of which a busy machine may have made some frames late.
        let (middle, hz) = ((rate.hz() / 4) as usize..(rate.hz() * 3 / 5) as usize, rate.hz());
        let (own, other) =
            (loudness(&received[middle.clone()], 1_000.0, hz), loudness(&received[middle.clone()], 440.0, hz));
        assert!(own > 3_000.0 && other < 1_000.0, "{rate:?}: {own} of 1000 Hz, {other} of 440 Hz are received");
        let (own, other) = (loudness(&sent[middle.clone()], 440.0, hz), loudness(&sent[middle], 1_000.0, hz));
        assert!(own > 3_000.0 && other < 1_000.0, "{rate:?}: {own} of 440 Hz, {other} of 1000 Hz are sent");
        let own = loudness(&heard[1_600..8_000], 440.0, 8_000);
        assert!(own > 3_000.0, "{rate:?}: the phone hears {own} of 440 Hz");
        drop(program);
    }
    eventually("they are counted", || plane.count(MediaCounter::StreamsStarted) == 3);
}

#[test]
fn a_mark_comes_back_when_the_sound_before_it_has_left() {
    let plane = Plane::new(1);
    let (mut client, phone) = (plane.client(), Phone::new());
    let leg = client.open(W0, phone.spec(Source::None));
    let mut program = Program::open(&client, leg, StreamRate::Hz8000, StreamTracks::None);
    program.tell(ProgramMessage::Mark(1));
    assert!(program.mark(1), "with nothing before it at once");
    program.say(12);
    program.tell(ProgramMessage::Mark(2));
    program.say(12);
    program.tell(ProgramMessage::Mark(3));
    assert!(program.mark(2));
    let first = phone.loud_packets();
    assert!(program.mark(3));
    let second = phone.loud_packets();
    // The sound may lie across one packet more, and what follows the mark begins at once.
    assert!((12..24).contains(&first) && (24..=26).contains(&(first + second)), "{first}, then {second} packets");
}

#[test]
fn a_pause_holds_the_sound_and_a_flush_stops_it_at_once() {
    let plane = Plane::new(1);
    let (mut client, phone) = (plane.client(), Phone::new());
    let leg = client.open(W0, phone.spec(Source::None));
    let mut program = Program::open(&client, leg, StreamRate::Hz8000, StreamTracks::None);
    program.tell(ProgramMessage::Pause);
    program.say(40);
    program.tell(ProgramMessage::Mark(7));
    (0..10).for_each(|_| drop(phone.hear()));
    assert_eq!(phone.loud_packets(), 0, "it is held");
    program.tell(ProgramMessage::Resume);
    while phone.hear_sound().iter().all(|sample| sample.abs() < 6_000) {}
    program.tell(ProgramMessage::Flush);
    assert!(!program.mark(7), "it was not heard");
    let before = phone.loud_packets();
    (0..10).for_each(|_| drop(phone.hear()));
    assert!(before < 30, "{before} of 39 packets were sent in spite of the flush");
    // One packet was being made while the queue was emptied.
    assert!(phone.loud_packets() == 0);
    program.say(2);
    program.tell(ProgramMessage::Mark(8));
    assert!(program.mark(8), "what follows is heard again");
}

#[test]
fn a_program_that_does_not_read_loses_only_its_own_frames() {
    let plane = Plane::new(1);
    let (mut client, mut phone) = (plane.client(), Phone::new());
    let leg = take(&client.end, W0).unwrap();
    client.open_on(W0, leg, phone.spec(Source::Leg(leg)));
    let rate = StreamRate::Hz16000;
    let listen = ProgramMessage::Begin { rate, tracks: StreamTracks::Received, speaks: false };
    let mut program = Program::offer(&client, leg, listen, rate);
    assert_eq!(program.hear(), Told::Started);
    // 2.5 seconds by the pace of another leg.
    let pace = Phone::new();
    client.open(W0, pace.spec(Source::Tone440));
    let count = 125;
    for _ in 0..count {
        pace.hear();
        let said = phone.talk(leg);
        assert_eq!(phone.hear().bytes, said, "the call goes on");
    }
    let (mut got, mut next) = (0, 0);
    let (last, lost) = loop {
        let Told::Frame { position, lost, .. } = program.hear() else { continue };
        got += 1;
        assert!(position >= next, "in order");
        next = position + 1;
        // The counter tells what is missing up to now; frames that were on their way then have an older number.
        if lost > 0 && position + 1 == got + u64::from(lost) {
            break (position, lost);
        }
    };
    assert!(lost > 20 && last > 70, "{lost} frames lost at {last}");
    eventually("the row tells", || {
        let row = client.row(leg);
        row.received.packets == count && row.received.lost_packets == 0
    });
    assert_eq!(plane.count(MediaCounter::StreamOverflow), 0);
}

#[test]
fn a_stream_ends_with_its_program_and_its_leg() {
    let plane = Plane::new(1);
    let (mut client, mut other, phone) = (plane.client(), plane.client(), Phone::new());
    let leg = client.open(W0, phone.spec(Source::Tone440));
    let mut program = Program::open(&client, leg, StreamRate::Hz8000, StreamTracks::Sent);
    let begin = ProgramMessage::Begin { rate: StreamRate::Hz8000, tracks: StreamTracks::Mixed, speaks: true };
    let second = |client: &Client, leg| Program::offer(client, leg, begin, StreamRate::Hz8000).ended();
    assert_eq!(second(&client, leg), StreamEnd::AlreadyRunning);
    assert_eq!(second(&other, leg), StreamEnd::NoSuchLeg, "the leg of another client");
    assert_eq!(second(&client, LegRef::new(leg.row, leg.generation + 1)), StreamEnd::NoSuchLeg);
    let mute = Program::offer(&client, leg, ProgramMessage::Flush, StreamRate::Hz8000).ended();
    assert_eq!(mute, StreamEnd::BadMessage);
    program.say(1);
    program.tell(ProgramMessage::Sound(&[0; 100]));
    assert_eq!((program.ended(), program.hear()), (StreamEnd::BadMessage, Told::HungUp));
    // A program that dies leaves the leg with the sound that it had.
    let dead = Program::open(&client, leg, StreamRate::Hz8000, StreamTracks::Sent);
    drop(dead);
    eventually("the tone is back", || phone.hear_sound().iter().any(|sample| sample.abs() > 2_000));
    let mut last = Program::open(&client, leg, StreamRate::Hz8000, StreamTracks::Both);
    // A worker that fails goes on with it.
    client.command(W0, Command::Close { leg, number: PANIC_NUMBER });
    eventually("it was rebuilt", || plane.count(MediaCounter::WorkerRestarts) == 1);
    last.say(4);
    last.tell(ProgramMessage::Mark(1));
    assert!(last.mark(1));
    client.close(W0, leg);
    assert_eq!(last.ended(), StreamEnd::LegClosed);
    // And the media plane's end is told.
    let leg = other.open(W0, phone.spec(Source::None));
    let mut program = Program::open(&other, leg, StreamRate::Hz8000, StreamTracks::Both);
    plane.stop();
    assert!(matches!(program.ended(), StreamEnd::LegClosed | StreamEnd::Shutdown));
}

#[test]
fn a_program_speaks_in_the_place_of_a_relayed_leg_and_gives_it_back() {
    let plane = Plane::new(1);
    let (mut client, mut alice, bob) = (plane.client(), Phone::new(), Phone::new());
    let leg_a = client.open(W0, alice.spec(Source::None));
    let leg_b = client.open(W0, bob.spec(Source::Leg(leg_a)));
    let mut relayed = || {
        let said = alice.talk(leg_a);
        (bob.hear(), said)
    };
    let (first, said) = relayed();
    assert_eq!(first.bytes, said);
    let mut program = Program::open(&client, leg_b, StreamRate::Hz8000, StreamTracks::None);
    program.say(5);
    program.tell(ProgramMessage::Mark(1));
    let mut last = first.seq;
    let mut next = |seq: u16| {
        assert_eq!(seq, last.wrapping_add(1), "one stream without a hole");
        last = seq;
    };
    assert!(program.mark(1));
    let mut spoken = 0;
    while let Some(heard) = bob.hear_within(Duration::from_millis(1)) {
        next(heard.seq);
        spoken += 1;
    }
    assert!((5..=6).contains(&spoken), "{spoken} packets of the program");
    for _ in 0..10 {
        let (heard, said) = relayed();
        next(heard.seq);
        assert_eq!((heard.ssrc, &heard.bytes[12..]), (first.ssrc, &said[12..]), "the relay goes on");
    }
}
