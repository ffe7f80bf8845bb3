//! Legs that move while streams flow: what is heard on the other side, and what the leg itself takes.

use super::*;
use contract::Rewriting;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::mpsc;
use std::thread::JoinHandle;

const W1: WorkerIndex = WorkerIndex(1);
const ROUNDS: usize = 12;
/// Between two packets: 250 a second, of which a socket keeps a second's worth while a busy host gives the worker no time.
const PACE: Duration = Duration::from_millis(4);
/// What a word is made of, beside its number.
const VOICE: u8 = 0x55;

/// Somebody who talks without a pause, and writes down what comes.
pub(super) struct Talker {
    pub(super) phone: Phone,
    said: Arc<AtomicU32>,
    hushed: Arc<AtomicBool>,
    mouth: Option<JoinHandle<()>>,
    ear: Option<JoinHandle<Vec<Word>>>,
}

/// A packet that was heard: where it is in its stream, and which one it was for its speaker; none for silence of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Word {
    seq: u16,
    ssrc: u32,
    number: Option<u32>,
}

fn packet(number: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, 0];
    bytes.extend((number as u16).to_be_bytes());
    bytes.extend(number.wrapping_mul(16).to_be_bytes());
    bytes.extend(0x1234_5678_u32.to_be_bytes());
    bytes.extend(number.to_be_bytes());
    bytes.extend([VOICE; 156]);
    bytes
}

fn read(bytes: &[u8]) -> Word {
    let header = Header::parse(bytes).unwrap();
    let payload = header.payload(bytes);
    let number = (payload[4] == VOICE).then(|| u32::from_be_bytes(payload[..4].try_into().unwrap()));
    Word { seq: header.seq.0, ssrc: header.ssrc.0, number }
}

impl Talker {
    pub(super) fn new() -> Self {
        let (said, hushed) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        Self { phone: Phone::new(), said, hushed, mouth: None, ear: None }
    }

    pub(super) fn spec(&self, source: Source) -> LegSpec {
        self.phone.spec(source).with(|spec| spec.flow.rewriting = Rewriting::Continuous as u8)
    }

    pub(super) fn talk(&mut self, leg: LegRef) {
        let (said, hushed) = (self.said.clone(), self.hushed.clone());
        let (socket, to) = (self.phone.rtp.try_clone().unwrap(), to(leg));
        self.mouth = Some(std::thread::spawn(move || {
            let (_never, pause) = mpsc::channel::<()>();
            while !hushed.load(Relaxed) {
                // Counted first: what is sent after somebody has asked how many there are has a higher number.
                socket.send_to(&packet(said.fetch_add(1, Relaxed)), to).unwrap();
                let _ = pause.recv_timeout(PACE);
            }
        }));
        let (socket, hushed) = (self.phone.rtp.try_clone().unwrap(), self.hushed.clone());
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        self.ear = Some(std::thread::spawn(move || {
            let (mut words, mut bytes) = (Vec::new(), [0; 2_048]);
            loop {
                // Silence of ours never ends: enough of it after the last word is the end.
                match socket.recv_from(&mut bytes) {
                    Ok((count, _)) => words.push(read(&bytes[..count])),
                    Err(_) if hushed.load(Relaxed) => return words,
                    Err(_) => {}
                }
            }
        }));
    }

    /// How many words have left.
    pub(super) fn said(&self) -> u32 {
        self.said.load(Relaxed)
    }

    pub(super) fn says(&self, more: u32) {
        let until = self.said() + more;
        eventually("it talks", || self.said() >= until);
    }

    pub(super) fn hush(&mut self) {
        self.hushed.store(true, Relaxed);
        self.mouth.take().unwrap().join().unwrap();
    }

    /// What was heard, once nobody talks any more.
    pub(super) fn heard(&mut self) -> Vec<Word> {
        self.ear.take().unwrap().join().unwrap()
    }
}

/// One stream of ours without a hole, in which everything that was said from `first` on is there once and in order,
/// unless the host let it wait for so long that the worker gave it up as late.
pub(super) fn assert_whole(plane: &Plane, words: &[Word], first: u32, said: u32) {
    let numbers: Vec<u32> = words.iter().filter_map(|word| word.number).collect();
    let begins = *numbers.first().expect("something was heard");
    assert!(begins <= first, "the first word heard is {begins}, not {first}");
    let lost: Vec<u32> = (begins..said).filter(|number| !numbers.contains(number)).collect();
    let late = plane.count(MediaCounter::DroppedLate) as usize;
    assert!(lost.len() <= late, "{lost:?} of {begins}..{said} are lost, {late} were late");
    let strays: Vec<&[u32]> = numbers.windows(2).filter(|pair| pair[1] <= pair[0]).collect();
    assert!(strays.is_empty(), "{strays:?} are doubled or out of place");
    for pair in words.windows(2) {
        let step = pair[1].seq.wrapping_sub(pair[0].seq);
        assert!(pair[1].ssrc == pair[0].ssrc && (1..=1 + late as u16).contains(&step), "{pair:?}, {late} were late");
    }
}

/// The leg has taken every word: none lost, doubled or out of place.
fn assert_taken(client: &Client, leg: LegRef, said: u32) {
    let until = clock::now() + PATIENCE;
    while client.row(leg).received.packets != u64::from(said) && clock::now() < until {
        std::thread::yield_now();
    }
    let row = client.row(leg);
    assert_eq!(row.received.packets, u64::from(said), "{row:?}");
    assert_eq!(
        (
            row.received.lost_packets,
            row.received.duplicate_packets,
            row.received.reordered_packets,
            row.received.dropped_packets
        ),
        (0, 0, 0, 0)
    );
}

fn update(client: &mut Client, worker: WorkerIndex, leg: LegRef, spec: LegSpec) {
    client.command(worker, Command::Update { leg, number: 8, update: spec.into() });
    assert_eq!(client.answer(), Event::Updated { leg, number: 8 });
}

/// Two legs of two workers come together, as those of a bridge do. What is said before they hear each other has nobody
/// to go to; from then on all of it is heard, and the moving leg has taken every packet.
#[test]
fn two_who_talk_are_joined_across_workers() {
    let plane = Plane::new(2);
    let mut client = plane.client();
    for _ in 0..ROUNDS {
        let (mut a, mut b) = (Talker::new(), Talker::new());
        let (leg_a, leg_b) = (client.open(W0, a.spec(Source::Silence)), client.open(W1, b.spec(Source::Silence)));
        a.talk(leg_a);
        b.talk(leg_b);
        a.says(20);
        b.says(20);
        client.command(W1, Command::Move { leg: leg_b, number: 7, worker: 0 });
        assert_eq!(client.answer(), Event::Moved { leg: leg_b, number: 7, worker: 0 });
        update(&mut client, W0, leg_a, a.spec(Source::Leg(leg_b)));
        update(&mut client, W0, leg_b, b.spec(Source::Leg(leg_a)));
        let joined = (a.said(), b.said());
        a.says(30);
        b.says(30);
        a.hush();
        b.hush();
        assert_whole(&plane, &a.heard(), joined.1, b.said());
        assert_whole(&plane, &b.heard(), joined.0, a.said());
        assert_taken(&client, leg_a, a.said());
        assert_taken(&client, leg_b, b.said());
        client.close(W0, leg_a);
        client.close(W0, leg_b);
    }
}

/// Two legs that hear each other go to another worker, by two commands together: nobody notices.
#[test]
fn two_who_talk_to_each_other_move_together() {
    let plane = Plane::new(2);
    let mut client = plane.client();
    let (mut a, mut b) = (Talker::new(), Talker::new());
    let (leg_a, leg_b) = (client.open(W0, a.spec(Source::Silence)), client.open(W0, b.spec(Source::Silence)));
    update(&mut client, W0, leg_a, a.spec(Source::Leg(leg_b)));
    update(&mut client, W0, leg_b, b.spec(Source::Leg(leg_a)));
    a.talk(leg_a);
    b.talk(leg_b);
    let mut at = W0;
    for round in 0..4 * ROUNDS as u64 {
        a.says(5);
        b.says(5);
        let other = WorkerIndex(1 - at.0);
        let legs = if round % 2 == 0 { [leg_a, leg_b] } else { [leg_b, leg_a] };
        for leg in legs {
            client.command(at, Command::Move { leg, number: round, worker: other.0 });
        }
        let mut moved = [client.answer(), client.answer()].map(|event| (event.leg(), event));
        moved.sort_unstable_by_key(|(leg, _)| leg.row);
        let mut expected = [leg_a, leg_b].map(|leg| (leg, Event::Moved { leg, number: round, worker: other.0 }));
        expected.sort_unstable_by_key(|(leg, _)| leg.row);
        assert_eq!(moved, expected);
        at = other;
    }
    a.says(30);
    b.says(30);
    a.hush();
    b.hush();
    assert_whole(&plane, &a.heard(), 0, b.said());
    assert_whole(&plane, &b.heard(), 0, a.said());
    assert_taken(&client, leg_a, a.said());
    assert_taken(&client, leg_b, b.said());
    assert_eq!(plane.count(MediaCounter::DroppedNoLeg), 0);
    client.close(at, leg_a);
    client.close(at, leg_b);
}

/// An echo is a stream between the leg and itself.
#[test]
fn an_echo_moves_with_its_leg() {
    let plane = Plane::new(2);
    let mut client = plane.client();
    let mut phone = Talker::new();
    let leg = take(&client.end, W0).unwrap();
    client.open_on(W0, leg, phone.spec(Source::Leg(leg)));
    phone.talk(leg);
    let mut at = W0;
    for round in 0..4 * ROUNDS as u64 {
        phone.says(5);
        let other = WorkerIndex(1 - at.0);
        client.command(at, Command::Move { leg, number: round, worker: other.0 });
        assert_eq!(client.answer(), Event::Moved { leg, number: round, worker: other.0 });
        at = other;
    }
    phone.hush();
    assert_whole(&plane, &phone.heard(), 0, phone.said());
    assert_taken(&client, leg, phone.said());
    client.close(at, leg);
}
