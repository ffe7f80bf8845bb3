//! The loop of the workers over a simulated network, in virtual time: the region, the queues and the worker's code are the
//! real ones, and one thread turns all workers.

use super::ports::{give_back, take, to, with_port};
use crate::shared::{Parts, Shared};
use crate::stopper::Stopper;
use crate::worker::Worker;
use clock::{Duration, Instant};
use contract::{Codec, Command, Event, LegRef, LegRow, LegSpec, LegState, PayloadMap, RefuseReason, RtcpMode, Source};
use media_core::sim::{Arrived, SimNetwork};
use rtp_wire::Header;
use shm::{ClientEnd, Host, RegionPlan, WakeFd, WorkerIndex};
use stats::MediaCounter;
use std::sync::Arc;

const W0: WorkerIndex = WorkerIndex(0);
const W1: WorkerIndex = WorkerIndex(1);
const FIRST_PORT: u16 = 10_000;
const LAST_PORT: u16 = 10_127;

/// A media plane without threads, sockets and a clock.
pub(super) struct SimPlane {
    pub(super) network: SimNetwork,
    pub(super) shared: Arc<Shared>,
    pub(super) workers: Vec<Worker<SimNetwork>>,
    pub(super) client: ClientEnd,
    pub(super) events: Vec<Event>,
    phones: u16,
}

impl SimPlane {
    pub(super) fn new(workers: usize) -> Self {
        let rtp_ports = FIRST_PORT..=LAST_PORT;
        let plan = RegionPlan { workers, rtp_ports, queue_slots: 64, ..RegionPlan::default() };
        let ports: Vec<u16> = (FIRST_PORT..LAST_PORT).step_by(2).collect();
        let network = SimNetwork::new(&ports);
        let shared = Arc::new(Shared::new(Parts {
            host: Host::create(&plan).unwrap(),
            ports,
            media_address: None,
            prompts: [audio::Prompt::new(&[4_000; 500])].into(),
            cname: "sim".into(),
            transcoder_limit: 1_000,
            quality: Default::default(),
            voice_limit: 1_000,
            stopper: Stopper::new().unwrap(),
            control_wake: WakeFd::new().unwrap(),
            seed: 11,
        }));
        let backend = Arc::new(network.clone());
        let worker = |index| Worker::new(shared.clone(), backend.clone(), index).unwrap_or_else(|why| panic!("{why}"));
        let workers = plan.workers().map(worker).collect();
        let client = shared.host.attach_local().unwrap();
        Self { network, shared, workers, client, events: Vec::new(), phones: 0 }
    }

    /// Turns every worker until so much virtual time has passed.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.network.now() + time;
        while self.network.now() < end {
            self.turn();
        }
    }

    pub(super) fn turn(&mut self) {
        self.workers.iter_mut().for_each(|worker| worker.turn().unwrap());
        while let Some((_, event)) = self.client.pop() {
            self.events.push(event.unwrap());
        }
    }

    /// Gives a command and turns the workers until `is_answer` likes an event, a second of turns at most.
    pub(super) fn command(
        &mut self,
        worker: WorkerIndex,
        command: Command,
        is_answer: impl Fn(&Event) -> bool,
    ) -> Event {
        self.client.push(worker, &with_port(command)).unwrap();
        for _ in 0..200 {
            self.turn();
            if let Some(at) = self.events.iter().position(&is_answer) {
                return self.events.remove(at);
            }
        }
        panic!("{command:?} is not answered: {:?}", self.events)
    }

    pub(super) fn open(&mut self, worker: WorkerIndex, leg: LegRef, spec: LegSpec) {
        self.command(worker, Command::Open { leg, number: 1, spec }, |event| {
            *event == Event::Opened { leg, number: 1 }
        });
    }

    pub(super) fn phone(&mut self) -> usize {
        self.phones += 2;
        self.network.add_peer(([192, 0, 2, 1], 40_000 + self.phones).into())
    }

    pub(super) fn spec(&self, phone: usize, source: Source) -> LegSpec {
        let mut payloads = PayloadMap::default();
        assert!(payloads.push(0, Codec::Pcmu));
        let remote_rtp = self.network.peer_address(phone).into();
        let rtcp = RtcpMode::Mux as u8;
        LegSpec::default().with(|spec| {
            spec.transport.remote_rtp = remote_rtp;
            spec.flow.source = source.into();
            spec.formats.payloads = payloads;
            spec.transport.rtcp = rtcp;
            spec.transport.media_timeout_ms = 0;
        })
    }

    pub(super) fn talk(&self, phone: usize, leg: LegRef, seq: u16) {
        self.network.peer_send(phone, to(leg), &media_core::suite::rtp_packet(7, seq));
    }

    /// RTP that came to a phone, oldest first.
    pub(super) fn heard(&self, phone: usize) -> Vec<(Instant, Header)> {
        let rtp = |arrived: Arrived| Some((arrived.at, Header::parse(&arrived.bytes).ok()?));
        std::iter::from_fn(|| self.network.peer_take(phone)).filter(|it| !is_rtcp(&it.bytes)).filter_map(rtp).collect()
    }

    pub(super) fn row(&self, leg: LegRef) -> LegRow {
        self.shared.host.region().legs().read(leg).unwrap()
    }

    pub(super) fn count(&self, counter: MediaCounter) -> u64 {
        let region = self.shared.host.region();
        region.plan().workers().map(|worker| region.media_counters(worker).read().get(counter)).sum()
    }
}

/// RFC 5761 §4: on a port for both, RTCP is what has a payload type of 64 to 95 where RTP has its own.
fn is_rtcp(bytes: &[u8]) -> bool {
    (64..96).contains(&(bytes[1] & 0x7f))
}

pub(super) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn a_tone_is_exactly_paced_for_ten_minutes() {
    let mut plane = SimPlane::new(1);
    let phone = plane.phone();
    let leg = take(&plane.client, W0).unwrap();
    let spec = plane.spec(phone, Source::Tone440);
    plane.open(W0, leg, spec);
    plane.run(Duration::from_secs(600));
    let heard = plane.heard(phone);
    assert!((29_999..=30_001).contains(&heard.len()), "{}", heard.len());
    for pair in heard.windows(2) {
        assert_eq!(pair[1].0.since(pair[0].0), ms(20));
        assert_eq!((pair[1].1.seq.since(pair[0].1.seq), pair[1].1.time.since(pair[0].1.time)), (1, 160));
    }
    assert_eq!(plane.count(MediaCounter::FramesSkipped), 0);
    // What readers of the region see is of the last second.
    assert!(plane.row(leg).sent.packets > 29_900, "{:?}", plane.row(leg));
}

/// Two legs that hear each other go to the other worker and back while one of them is talked to in every millisecond.
#[test]
fn no_packet_is_lost_or_doubled_while_two_legs_change_their_worker() {
    let mut plane = SimPlane::new(2);
    let (a, b) = (plane.phone(), plane.phone());
    let (leg_a, leg_b) = (take(&plane.client, W0).unwrap(), take(&plane.client, W0).unwrap());
    let (spec_a, spec_b) = (plane.spec(a, Source::None), plane.spec(b, Source::Leg(leg_a)));
    plane.open(W0, leg_a, spec_a);
    plane.open(W0, leg_b, spec_b);
    let mut seq = 0;
    let mut talk = |plane: &mut SimPlane, packets: u16| {
        for _ in 0..packets {
            plane.talk(a, leg_a, seq);
            seq += 1;
            plane.turn();
            plane.run(ms(1));
        }
    };
    talk(&mut plane, 50);
    for round in 0..20_u64 {
        let (from, to) = if round % 2 == 0 { (W0, W1) } else { (W1, W0) };
        for leg in [leg_b, leg_a] {
            plane.client.push(from, &Command::Move { leg, number: round, worker: to.0 }).unwrap();
        }
        talk(&mut plane, 50);
        for leg in [leg_a, leg_b] {
            let moved = Event::Moved { leg, number: round, worker: to.0 };
            assert!(plane.events.contains(&moved), "{moved:?} of {:?}", plane.events);
        }
        plane.events.clear();
    }
    let heard: Vec<u16> = plane.heard(b).iter().map(|(_, header)| header.seq.0).collect();
    assert_eq!(heard, (0..1_050).collect::<Vec<_>>());
    assert_eq!((plane.network.dropped_count(), plane.network.failed_count()), (0, 0));
    assert_eq!(plane.count(MediaCounter::DroppedNoLeg), 0);
}

#[test]
fn legs_of_a_client_that_dies_end_with_a_bye_and_its_ports_come_back() {
    let mut plane = SimPlane::new(2);
    let free = |plane: &SimPlane| {
        let region = plane.shared.host.region();
        region.plan().workers().map(|worker| region.ports().levels(worker).free).sum::<usize>()
    };
    let all = free(&plane);
    let phones = [plane.phone(), plane.phone()];
    for (phone, worker) in phones.into_iter().zip([W0, W1]) {
        let leg = take(&plane.client, worker).unwrap();
        let spec = plane.spec(phone, Source::Tone440);
        plane.open(worker, leg, spec);
    }
    plane.run(ms(500));
    let dead = plane.client.index();
    plane.shared.host.release(dead);
    assert_eq!(plane.shared.host.settle(dead), None, "the workers have not ended its legs yet");
    plane.run(ms(300));
    for phone in phones {
        let last = std::iter::from_fn(|| plane.network.peer_take(phone)).last().expect("packets");
        assert!(is_rtcp(&last.bytes), "the last packet is the BYE");
    }
    assert_eq!(plane.shared.host.settle(dead), Some(2));
    assert_eq!(free(&plane), all);
    assert_eq!(plane.count(MediaCounter::LegsOpen), 0);
}

/// A worker that panics is rebuilt over the same network, with the same streams.
#[test]
fn a_worker_that_fails_goes_on_with_its_streams() {
    let mut plane = SimPlane::new(1);
    let phone = plane.phone();
    let leg = take(&plane.client, W0).unwrap();
    let spec = plane.spec(phone, Source::Tone440);
    plane.open(W0, leg, spec);
    plane.run(ms(100));
    plane.workers[0].inside_io = true;
    plane.workers[0].rebuild().unwrap();
    plane.run(ms(100));
    plane.talk(phone, leg, 1);
    plane.run(ms(1_000));
    let heard = plane.heard(phone);
    assert!(heard.windows(2).all(|pair| pair[1].1.seq.since(pair[0].1.seq) == 1 && pair[1].1.ssrc == pair[0].1.ssrc));
    assert_eq!((plane.row(leg).received.packets, plane.row(leg).state()), (1, LegState::Open));
}

/// Ends a client as the control thread does, and gives the next one its place.
pub(super) fn replace_client(plane: &mut SimPlane) {
    let dead = plane.client.index();
    plane.shared.host.release(dead);
    plane.turn();
    plane.turn();
    plane.shared.host.settle(dead).expect("no leg of it holds it up");
    plane.events.clear();
    plane.client = plane.shared.host.attach_local().unwrap();
}

pub(super) fn keep_legs(plane: &mut SimPlane, grace_ms: u32) {
    let kept = Event::Kept { number: 9 };
    plane.command(W0, Command::KeepLegs { number: 9, grace_ms }, |event| *event == kept);
}

pub(super) fn adopt(plane: &mut SimPlane, leg: LegRef) -> Event {
    plane.command(W0, Command::Adopt { leg, number: 5 }, |event| event.number() == Some(5))
}

#[test]
fn a_kept_leg_ends_exactly_after_its_grace_and_an_adopted_one_goes_on() {
    let mut plane = SimPlane::new(1);
    let phones = [plane.phone(), plane.phone()];
    let legs = phones.map(|phone| {
        let leg = take(&plane.client, W0).unwrap();
        let spec = plane.spec(phone, Source::Tone440);
        plane.open(W0, leg, spec);
        leg
    });
    keep_legs(&mut plane, 2_000);
    let died_at = plane.network.now();
    replace_client(&mut plane);
    plane.run(ms(1_000));
    assert_eq!(adopt(&mut plane, legs[0]), Event::Adopted { leg: legs[0], number: 5 });
    plane.run(ms(9_000));
    let last = std::iter::from_fn(|| plane.network.peer_take(phones[1])).last().expect("packets");
    assert!(is_rtcp(&last.bytes), "it ends with its BYE");
    assert!((ms(2_000)..ms(2_021)).contains(&last.at.since(died_at)), "{:?}", last.at.since(died_at));
    assert_eq!(plane.shared.host.region().reservations().holder(legs[1]), None);
    let heard = plane.heard(phones[0]);
    assert!(heard.windows(2).all(|pair| pair[1].0.since(pair[0].0) == ms(20)), "without a pause");
    assert_eq!(plane.network.now().since(heard.last().expect("it goes on").0).as_millis() / 20, 0);
    // It is the adopter's with its port, as if that had opened it.
    plane.command(W0, Command::Close { leg: legs[0], number: 6 }, |event| {
        matches!(event, Event::Closed { number: 6, .. })
    });
    give_back(&plane.client, legs[0]).unwrap();
}

#[test]
fn only_a_leg_that_waits_can_be_adopted_and_only_once() {
    let mut plane = SimPlane::new(1);
    let phone = plane.phone();
    let leg = take(&plane.client, W0).unwrap();
    let spec = plane.spec(phone, Source::Tone440);
    plane.open(W0, leg, spec);
    let refused = |leg, reason| Event::Refused { leg, number: 5, reason };
    let mut other = plane.shared.host.attach_local().unwrap();
    // The leg of a client that lives, and what is not there at all.
    std::mem::swap(&mut other, &mut plane.client);
    for none in [leg, LegRef::new(leg.row, leg.generation + 1), LegRef::new(leg.row + 1, 1), LegRef::new(u32::MAX, 1)] {
        assert_eq!(adopt(&mut plane, none), refused(none, RefuseReason::NoSuchLeg));
    }
    std::mem::swap(&mut other, &mut plane.client);
    // A grace that was taken back is none.
    keep_legs(&mut plane, 5_000);
    keep_legs(&mut plane, 0);
    let dead = plane.client.index();
    plane.client = other;
    plane.shared.host.release(dead);
    plane.run(ms(300));
    assert_eq!(adopt(&mut plane, leg), refused(leg, RefuseReason::NoSuchLeg));
    assert_eq!(plane.shared.host.settle(dead), Some(1));
    // Kept, adopted by one: neither by this one again nor by another.
    let leg = take(&plane.client, W0).unwrap();
    plane.open(W0, leg, spec);
    keep_legs(&mut plane, 5_000);
    replace_client(&mut plane);
    assert_eq!(adopt(&mut plane, leg), Event::Adopted { leg, number: 5 });
    assert_eq!(adopt(&mut plane, leg), refused(leg, RefuseReason::AlreadyOpen));
    let second = plane.shared.host.attach_local().unwrap();
    let first = std::mem::replace(&mut plane.client, second);
    assert_eq!(adopt(&mut plane, leg), refused(leg, RefuseReason::NoSuchLeg));
    drop(first);
}

/// A client that declares its legs kept and dies, again and again, gets no more than the ports that there are, and all of
/// them come back.
#[test]
fn a_client_that_dies_again_and_again_is_bounded() {
    let mut plane = SimPlane::new(1);
    let free = |plane: &SimPlane| plane.shared.host.region().ports().levels(W0).free;
    let (phone, all) = (plane.phone(), free(&plane));
    let spec = plane.spec(phone, Source::None);
    for life in 0..10 {
        let legs: Vec<LegRef> = (0..20).map_while(|_| take(&plane.client, W0).ok()).collect();
        assert_eq!(legs.len(), 20.min(all - (20 * life).min(all)), "life {life}");
        for leg in legs {
            plane.open(W0, leg, spec);
        }
        keep_legs(&mut plane, 60_000);
        replace_client(&mut plane);
    }
    assert_eq!((free(&plane), plane.count(MediaCounter::LegsOpen)), (0, all as u64));
    plane.run(Duration::from_secs(62));
    assert_eq!((free(&plane), plane.count(MediaCounter::LegsOpen)), (all, 0));
}

/// A worker fails over its packet I/O while a leg is about to leave it, and its sockets are received on anew.
#[test]
fn a_leg_that_is_about_to_move_moves_after_its_worker_has_failed() {
    for is_io_new in [false, true] {
        let mut plane = SimPlane::new(2);
        let phone = plane.phone();
        let leg = take(&plane.client, W0).unwrap();
        let spec = plane.spec(phone, Source::Tone440);
        plane.open(W0, leg, spec);
        plane.client.push(W0, &Command::Move { leg, number: 3, worker: 1 }).unwrap();
        while plane.workers[0].pending_transfers.is_empty() {
            plane.workers[0].turn().unwrap();
        }
        plane.workers[0].inside_io = is_io_new;
        plane.workers[0].rebuild().unwrap();
        plane.run(ms(200));
        assert!(plane.events.contains(&Event::Moved { leg, number: 3, worker: 1 }), "{:?}", plane.events);
        assert!(plane.workers[0].pending_transfers.is_empty());
        assert_eq!(plane.row(leg).worker, 1);
    }
}

/// A client writes nonsense into the positions of its command queue. It can be told nothing by that way any more, so that the
/// control thread has to end it.
#[test]
fn a_client_whose_commands_make_no_sense_is_hung_up() {
    use shm::Words;
    use std::sync::atomic::Ordering::Relaxed;

    let mut plane = SimPlane::new(1);
    let leg = take(&plane.client, W0).unwrap();
    let close = Command::Close { leg, number: 1 };
    // The position of the queue's producer counts the commands: it is the word that goes from 40 to 41.
    for _ in 0..40 {
        plane.client.push(W0, &close).unwrap();
        plane.turn();
    }
    let region = plane.shared.host.region().clone();
    let read = || region.words().iter().map(|word| word.load(Relaxed)).collect::<Vec<_>>();
    let before = read();
    plane.client.push(W0, &close).unwrap();
    let after = read();
    let tails = (0..after.len()).filter(|at| (before[*at], after[*at]) == (40, 41)).collect::<Vec<_>>();
    let [tail] = tails[..] else { panic!("{tails:?}") };
    plane.turn();
    assert_eq!(plane.shared.take_stuck(), 0);
    region.words()[tail].store(u64::MAX / 2, Relaxed);
    plane.turn();
    assert_eq!(plane.shared.take_stuck(), 1 << plane.client.index().0);
}
