//! Random scripts: owners want things, workers answer in any order, refuse and fail.

use super::*;
use contract::{RecordingKind, RefuseReason};
use plane::Refuse;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Open { worker: u8, wish: u8, hears: u8 },
    Want { leg: u8, wish: u8, hears: u8 },
    Connect { sink: u8, source: u8 },
    Disconnect { sink: u8, source: u8 },
    Restart { leg: u8, wish: u8 },
    Digits(u8),
    Record(u8),
    StopRecording(u8),
    Close(u8),
    Work { worker: u8, refuse: u8 },
    Hear(u8),
    Fail(u8),
}

fn step(with_faults: bool) -> impl Strategy<Value = Step> {
    let refuse = if with_faults { 0..6_u8 } else { 5..6 };
    let fail = u32::from(with_faults);
    prop_oneof![
        3 => (0..3_u8, any::<u8>(), any::<u8>()).prop_map(|(worker, wish, hears)| Step::Open { worker, wish, hears }),
        6 => (any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(leg, wish, hears)| Step::Want { leg, wish, hears }),
        6 => (any::<u8>(), any::<u8>()).prop_map(|(sink, source)| Step::Connect { sink, source }),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(sink, source)| Step::Disconnect { sink, source }),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(leg, wish)| Step::Restart { leg, wish }),
        3 => any::<u8>().prop_flat_map(|leg| {
            prop_oneof![Just(Step::Digits(leg)), Just(Step::Record(leg)), Just(Step::StopRecording(leg))]
        }),
        2 => any::<u8>().prop_map(Step::Close),
        10 => (0..3_u8, refuse).prop_map(|(worker, refuse)| Step::Work { worker, refuse }),
        10 => (0..3_u8).prop_map(Step::Hear),
        fail => any::<u8>().prop_map(Step::Fail),
    ]
}

struct Script {
    world: World,
    ids: Vec<LegId>,
}

impl Script {
    fn new() -> Self {
        Self { world: World::with(Pool::new(6, 3)), ids: Vec::new() }
    }

    fn leg(&self, number: u8) -> Option<LegId> {
        self.ids.get(usize::from(number) % self.ids.len().max(1)).copied()
    }

    fn wish(&self, wish: u8, source: u8) -> LegWish {
        let mut made = match wish % 4 {
            0 => tone(),
            1 => super::wish(8, Codec::Pcma),
            2 => super::wish(98, Codec::Pcma),
            _ => LegWish { formats: Formats::default(), ..tone() },
        };
        made.flow.is_muted = wish & 4 != 0;
        made.flow.is_held = wish & 8 != 0;
        made.flow.player = match wish >> 4 & 3 {
            0 => None,
            1 => Some(Player::Echo),
            2 => Some(Player::Prompt(wish.into())),
            _ => Some(Player::Silence),
        };
        made.transport.negotiation = wish;
        match (self.leg(source / 4), source % 4) {
            (Some(leg), 0) => hears(made, leg),
            (_, 1 | 2) => as_connected(made),
            _ => made,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Open { worker, wish, hears } => {
                let wish = self.wish(wish, hears);
                self.world.pool.next_worker = worker;
                if let Ok(id) = self.world.turn(|legs, turn| legs.reserve(turn, 0, None)) {
                    let opened = self.world.turn(|legs, turn| legs.open(turn, id, &wish));
                    match opened {
                        Ok(()) => self.ids.push(id),
                        Err(_) => assert!(self.world.close(id)),
                    }
                }
            }
            Step::Want { leg, wish, hears } => {
                let wish = self.wish(wish, hears);
                if let Some(id) = self.leg(leg) {
                    let _ = self.world.turn(|legs, turn| legs.want(turn, id, &wish));
                }
            }
            Step::Connect { sink, source } => {
                if let Some(source) = self.leg(source) {
                    self.at(sink, |legs, turn, id| legs.connect(turn, id, relay(source)));
                }
            }
            Step::Disconnect { sink, source } => {
                if let Some(source) = self.leg(source) {
                    self.at(sink, |legs, turn, id| legs.disconnect_source(turn, id, source));
                }
            }
            Step::Restart { leg, wish } => {
                let wish = self.wish(wish, 3);
                self.at(leg, |legs, turn, id| legs.restart(turn, id, &wish))
            }
            Step::Digits(leg) => {
                self.at(leg, |legs, turn, id| legs.send_digits(turn, id, &[leg % 16], Duration::from_millis(60)))
            }
            Step::Record(leg) => self.at(leg, |legs, turn, id| {
                let how = (contract::RecordingLayout::Mono, Duration::from_secs(1));
                legs.start_recording(turn, id, std::fs::File::open("/dev/null").unwrap(), how)
            }),
            Step::StopRecording(leg) => {
                self.at(leg, |legs, turn, id| legs.stop_recording(turn, id, RecordingKind::Sound))
            }
            Step::Close(leg) => self.at(leg, |legs, turn, id| legs.close(turn, id)),
            Step::Work { worker, refuse } => {
                let reasons = [RefuseReason::Invalid, RefuseReason::Full, RefuseReason::NoSuchLeg];
                let refuse = reasons.get(usize::from(refuse)).map(|reason| Refuse(*reason));
                self.world.plane.work(worker, refuse);
            }
            Step::Hear(worker) => {
                if let Some(event) = self.world.plane.event(worker) {
                    self.world.hear(event);
                }
            }
            Step::Fail(leg) => {
                let port = self.leg(leg).and_then(|id| self.world.legs.port(id));
                if let Some(port) = port {
                    self.world.plane.fail(port.leg);
                }
            }
        }
        self.ids.retain(|id| self.world.legs.state(*id).is_some());
        assert_eq!(self.world.pool.out_count(), self.world.legs.count(), "every port has its leg");
    }

    /// Whether it can be done does not matter.
    fn at<R>(&mut self, leg: u8, work: impl FnOnce(&mut Legs, &mut MediaTurn<'_>, LegId) -> R) {
        if let Some(id) = self.leg(leg) {
            self.world.turn(|legs, turn| work(legs, turn, id));
        }
    }

    /// All that is asked for is done. What is wanted is what every leg does, unless that was refused.
    fn rest(&mut self) {
        self.world.serve();
        self.ids.retain(|id| self.world.legs.state(*id).is_some());
        assert_eq!(self.world.plane.leg_count(), self.ids.iter().filter(|id| self.world.legs.runs(**id)).count());
        for id in &self.ids {
            let (wanted, confirmed) = (self.world.legs.wanted_spec(*id), self.world.legs.confirmed_spec(*id));
            assert_eq!(confirmed, Some(self.world.spec(*id)));
            match self.world.legs.standing(*id) {
                Ok(Standing::Confirmed) => assert_eq!(wanted, confirmed),
                Ok(Standing::Refused) => assert_ne!(wanted, confirmed),
                other => panic!("{other:?}"),
            }
            if let Source::Leg(giver) = self.world.source(*id) {
                let worker = self.world.legs.port(*id).unwrap().worker;
                let is_refused = self.world.legs.standing(*id) == Ok(Standing::Refused);
                assert!(is_refused || self.world.plane.worker_of(giver) == Some(worker), "it hears nobody");
            }
        }
        assert_eq!((self.world.legs.awaited(), self.world.legs.deadline()), (AwaitedCount::default(), None));
    }

    fn end(mut self) {
        for id in std::mem::take(&mut self.ids) {
            self.world.close(id);
        }
        self.world.serve();
        self.world.assert_empty();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever happens, no port is lost or given back twice, and all that is wanted is done or known to be refused.
    #[test]
    fn legs_come_to_do_what_is_wanted(steps in prop::collection::vec(step(true), 1..150)) {
        let mut script = Script::new();
        for step in steps {
            script.step(step);
        }
        script.rest();
        script.end();
    }

    /// Without refusals every edge between legs with formats flows, and a fresh media plane comes to do the same from
    /// snapshots.
    #[test]
    fn a_fresh_media_plane_does_the_same_from_snapshots(steps in prop::collection::vec(step(false), 1..120)) {
        let mut script = Script::new();
        for step in steps {
            script.step(step);
        }
        script.rest();
        let world = &script.world;
        for id in &script.ids {
            let is_held = world.legs.leg(*id).unwrap().is_held;
            let mut is_taken = false;
            for (source, state) in world.legs.sources(*id) {
                let is_agreed = world.legs.leg(source).unwrap().wanted.formats.is_agreed();
                let expected = match (is_agreed && !is_held, is_taken) {
                    (true, false) => EdgeState::Flowing,
                    (true, true) => EdgeState::NeedsMixer,
                    (false, _) => EdgeState::Waiting,
                };
                prop_assert_eq!(state, expected);
                is_taken |= is_agreed;
            }
        }
        let snapshots: Vec<_> = script.ids.iter().map(|id| world.legs.snapshot(*id).unwrap().write()).collect();
        let mut fresh = World::with(Pool::new(6, 3));
        let mut restoration = Restoration::default();
        for bytes in snapshots.iter().rev() {
            let snapshot = Snapshot::read(bytes).unwrap();
            let port = fresh.pool.hold(snapshot.port());
            fresh.turn(|legs, turn| restoration.open(legs, turn, &snapshot, port)).unwrap();
        }
        fresh.turn(|legs, turn| restoration.connect(legs, turn));
        fresh.serve();
        for id in &script.ids {
            let leg = world.legs.port(*id).unwrap().leg;
            // What nobody passes on may have any number, and of several sinks one decides about it.
            let has_one_sink = world.legs.sinks(*id).count() == 1;
            let spec = |plane: &Plane| {
                // Another client numbers its players anew.
                let spec = plane.spec(leg).unwrap().with(|spec| spec.flow.player = contract::PlayerId::NONE);
                let payloads = Formats { payloads: spec.formats.payloads, ptime_ms: 20, ..Formats::default() }.mapped_to(None);
                if has_one_sink { spec } else { spec.with(|spec| spec.formats.payloads = payloads) }
            };
            prop_assert_eq!(spec(&fresh.plane), spec(&world.plane));
            prop_assert_eq!(fresh.plane.worker_of(leg), world.plane.worker_of(leg));
        }
        prop_assert_eq!(fresh.plane.leg_count(), script.ids.len());
        script.end();
    }
}
