//! Legs against a small model of the media plane, in virtual time.

mod adoption;
mod closing;
mod edges;
mod moving;
mod plane;
mod random;
mod recordings;
mod rooms;
mod snapshots;
mod sources;
mod updates;

use crate::*;
use clock::{Duration, Instant};
use contract::{Codec, Command, Direction, Event, LegSpec, Source};
use plane::{Plane, Pool};

/// A shard's legs with the media plane that they run on.
struct World {
    now: Instant,
    legs: Legs,
    pool: Pool,
    plane: Plane,
    commands: Vec<(u8, Command)>,
    told: Vec<(u64, LegEvent)>,
}

impl World {
    fn new() -> Self {
        Self::with(Pool::new(8, 2))
    }

    fn with(pool: Pool) -> Self {
        let plane = Plane::new(pool.worker_count);
        let (commands, told) = (Vec::new(), Vec::new());
        Self { now: Instant::ZERO, legs: Legs::new(64), pool, plane, commands, told }
    }

    fn turn<R>(&mut self, work: impl FnOnce(&mut Legs, &mut MediaTurn<'_>) -> R) -> R {
        let mut turn = MediaTurn { now: self.now, ports: &mut self.pool, commands: &mut self.commands };
        let result = work(&mut self.legs, &mut turn);
        self.plane.take(&mut self.commands);
        result
    }

    /// The media plane says something.
    fn hear(&mut self, event: Event) -> Option<(u64, LegEvent)> {
        let told = self.turn(|legs, turn| legs.handle(turn, &event));
        self.told.extend(told);
        told
    }

    /// A leg that is being opened, on this worker.
    fn opening_on(&mut self, worker: u8, wish: &LegWish) -> LegId {
        self.pool.next_worker = worker;
        let owner = 1_000 + self.legs.count() as u64;
        let id = self.turn(|legs, turn| legs.reserve(turn, owner, None)).unwrap();
        self.turn(|legs, turn| legs.open(turn, id, wish)).unwrap();
        id
    }

    fn open_on(&mut self, worker: u8, wish: &LegWish) -> LegId {
        let id = self.opening_on(worker, wish);
        self.serve();
        assert_eq!(self.legs.state(id), Some(LegState::Open));
        id
    }

    fn want(&mut self, id: LegId, wish: &LegWish) -> Standing {
        self.turn(|legs, turn| legs.want(turn, id, wish)).unwrap()
    }

    fn close(&mut self, id: LegId) -> bool {
        self.turn(|legs, turn| legs.close(turn, id)).unwrap()
    }

    /// The media plane does one thing that it was asked to.
    fn step(&mut self) -> bool {
        let worker = (0..self.pool.worker_count).find(|worker| self.plane.has_work(*worker));
        match worker {
            Some(worker) => self.plane.work(worker, None),
            None => {
                let worker = (0..self.pool.worker_count).find(|worker| self.plane.has_events(*worker));
                let Some(event) = worker.and_then(|worker| self.plane.event(worker)) else { return false };
                self.hear(event);
            }
        }
        true
    }

    /// The media plane does all that it was asked to, for as long as it is asked.
    fn serve(&mut self) {
        let mut steps = 0;
        while self.step() {
            steps += 1;
            assert!(steps < 100_000, "the two never come to rest");
        }
        if self.legs.deadline() == Some(Instant::ZERO) {
            let told = self.wait(Duration::ZERO);
            self.told.extend(told);
        }
    }

    /// What the leg does.
    fn spec(&self, id: LegId) -> LegSpec {
        self.plane.spec(self.legs.port(id).expect("a port").leg).expect("it runs")
    }

    fn source(&self, id: LegId) -> Source {
        self.spec(id).flow.source()
    }

    fn wait(&mut self, pause: Duration) -> Vec<(u64, LegEvent)> {
        self.now += pause;
        let mut told = Vec::new();
        while let Some(next) = self.turn(|legs, turn| legs.handle_deadline(turn)) {
            told.push(next);
        }
        told
    }

    fn told(&mut self) -> Vec<LegEvent> {
        std::mem::take(&mut self.told).into_iter().map(|(_, event)| event).collect()
    }

    /// Every leg that runs does what is wanted of it.
    fn assert_settled(&self, ids: &[LegId]) {
        for id in ids.iter().filter(|id| self.legs.runs(**id)) {
            assert_eq!(self.legs.standing(*id), Ok(Standing::Confirmed), "{id:?}");
            assert_eq!(self.legs.wanted_spec(*id), Some(self.spec(*id)), "{id:?}");
            assert_eq!(self.legs.confirmed_spec(*id), Some(self.spec(*id)), "{id:?}");
        }
        assert_eq!(self.legs.awaited(), AwaitedCount::default());
        assert_eq!(self.legs.deadline(), None, "nothing is waited for");
    }

    /// Nothing is left of any leg, here and in the media plane.
    fn assert_empty(&self) {
        assert_eq!((self.legs.count(), self.legs.edges.count()), (0, 0));
        assert_eq!((self.pool.out_count(), self.plane.leg_count()), (0, 0));
        self.assert_settled(&[]);
    }
}

/// G.711 both ways, and a tone.
fn tone() -> LegWish {
    wish(0, Codec::Pcmu)
}

fn wish(number: u8, codec: Codec) -> LegWish {
    let mut wish = LegWish::default();
    assert!(wish.formats.payloads.push(number, codec));
    wish.transport.remote_rtp = "192.0.2.1:4000".parse::<std::net::SocketAddr>().unwrap().into();
    wish.flow = FlowWish { direction: Direction::Both, player: Some(Player::Tone440), ..FlowWish::default() };
    wish
}

fn elsewhere(mut wish: LegWish) -> LegWish {
    wish.transport.remote_rtp = "192.0.2.9:4000".parse::<std::net::SocketAddr>().unwrap().into();
    wish
}

fn relay(leg: LegId) -> Hears {
    Hears { leg, kind: EdgeKind::Relay }
}

/// A wish that leaves the sources of the leg as they are.
fn as_connected(wish: LegWish) -> LegWish {
    LegWish { flow: FlowWish { hears: Sources::AsConnected, ..wish.flow }, ..wish }
}

/// A wish, with another leg that is heard.
fn hears(wish: LegWish, leg: LegId) -> LegWish {
    let hears = Sources::One(relay(leg));
    LegWish { flow: FlowWish { hears, ..wish.flow }, ..wish }
}

fn muted(wish: LegWish) -> LegWish {
    LegWish { flow: FlowWish { is_muted: true, ..wish.flow }, ..wish }
}

#[test]
fn a_leg_stays_small() {
    let bytes = size_of::<crate::legs::leg::Leg>();
    println!("a leg: {bytes} bytes; its updates while they are open: {}", size_of::<crate::legs::leg::InFlight>());
    // A payload type takes seven bytes, four of which tell formats apart that are only relayed; a part in a room takes twenty.
    assert!(bytes <= 376, "{bytes} bytes");
}

#[test]
fn handles_of_legs_that_are_gone_are_refused() {
    let mut world = World::new();
    let gone = world.open_on(0, &tone());
    world.close(gone);
    world.serve();
    let other = world.open_on(0, &tone());
    assert_ne!(gone, other);
    let none = Some(LegError::NoSuchLeg);
    assert_eq!(world.turn(|legs, turn| legs.want(turn, gone, &tone())).err(), none);
    assert_eq!(world.turn(|legs, turn| legs.open(turn, gone, &tone())).err(), none);
    assert_eq!(world.turn(|legs, turn| legs.close(turn, gone)).err(), none);
    assert_eq!(world.turn(|legs, turn| legs.restart(turn, gone, &tone())).err(), none);
    assert_eq!(world.turn(|legs, _| legs.set_owner(gone, 7)).err(), none);
    assert_eq!(world.turn(|legs, turn| legs.want(turn, other, &hears(tone(), gone))).err(), none);
    let own = world.turn(|legs, turn| legs.want(turn, other, &hears(tone(), other)));
    assert_eq!(own, Err(LegError::OwnSource));
    assert_eq!(world.turn(|legs, turn| legs.open(turn, other, &tone())), Err(LegError::WrongState));
    assert_eq!((world.legs.state(gone), world.legs.port(gone), world.legs.source(gone)), (None, None, None));
    world.assert_settled(&[other]);
}

#[test]
fn the_table_and_the_pool_have_their_limits() {
    let mut world = World::with(Pool::new(2, 1));
    world.legs.set_limit(3);
    let reserve = |world: &mut World| world.turn(|legs, turn| legs.reserve(turn, 7, None));
    let (first, _) = (reserve(&mut world).unwrap(), reserve(&mut world).unwrap());
    assert_eq!(reserve(&mut world), Err(LegError::NoPort));
    assert!(world.close(first), "the media plane has never heard of it");
    world.legs.set_limit(1);
    assert_eq!(reserve(&mut world), Err(LegError::Full));
    assert_eq!(world.pool.out_count(), 1);
}
