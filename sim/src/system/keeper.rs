//! A control client that adopts legs which a dead signaling process left behind, lets them go on for a while, and ends them:
//! what a restarted process does that knows its calls from before.

use clock::Instant;
use contract::{Command, Event, RefuseReason};
use mediad::SimulatedPlane;
use session::Port;
use shm::{ClientEnd, Reservation, WorkerIndex};

/// Legs that wait for a client that adopts them.
#[derive(Clone, Debug)]
pub(super) struct Left {
    pub(super) legs: Vec<Port>,
    /// The media plane ends them then.
    pub(super) until: Instant,
}

/// Where a leg is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Asked,
    Adopted,
    Closing,
}

pub(super) struct Keeper {
    end: ClientEnd,
    legs: Vec<(Port, Stage)>,
    /// An answer that comes by then says that the leg was adopted.
    surely_until: Instant,
    /// It ends its legs.
    is_closing: bool,
}

impl Keeper {
    /// Asks for every second leg; the others end by themselves.
    pub(super) fn adopt(plane: &SimulatedPlane, left: &Left) -> Result<Self, String> {
        let mut end = plane.attach().map_err(|error| error.to_string())?;
        let mut legs = Vec::new();
        for (number, kept) in left.legs.iter().enumerate().filter(|(number, _)| number % 2 == 0) {
            let adopt = Command::Adopt { leg: kept.leg, number: number as u64 };
            // Those for which its queue has no room are left as well.
            if end.push(WorkerIndex(kept.worker), &adopt).is_ok() {
                legs.push((*kept, Stage::Asked));
            }
        }
        Ok(Self { end, legs, surely_until: left.until, is_closing: false })
    }

    /// Its legs end from its next turn on, also those that it has yet to be given.
    pub(super) fn end_legs(&mut self) {
        self.is_closing = true;
    }

    fn close(&mut self) {
        for (kept, stage) in self.legs.iter_mut().filter(|(_, stage)| *stage == Stage::Adopted) {
            let close = Command::Close { leg: kept.leg, number: 1 };
            if self.end.push(WorkerIndex(kept.worker), &close).is_ok() {
                *stage = Stage::Closing;
            }
        }
    }

    /// Takes answers, and then closes what is to end. `is_disturbed`: a worker or the media plane has died since the legs
    /// were left.
    pub(super) fn turn(&mut self, now: Instant, is_disturbed: bool) -> Result<(), String> {
        while let Some((worker, event)) = self.end.pop() {
            let event = event.map_err(|error| format!("worker {}: an event makes no sense: {error:?}", worker.0))?;
            let place = |leg| self.legs.iter().position(|(kept, _)| kept.leg == leg);
            match event {
                Event::Adopted { leg, .. } => {
                    let place = place(leg).filter(|place| self.legs[*place].1 == Stage::Asked);
                    let place = place.ok_or(format!("{leg:?} was adopted without being asked for"))?;
                    self.legs[place].1 = Stage::Adopted;
                }
                Event::Refused { leg, reason, .. } => {
                    let place = place(leg).ok_or(format!("{leg:?} was refused without being asked for"))?;
                    if now < self.surely_until && !is_disturbed || reason != RefuseReason::NoSuchLeg {
                        return Err(format!("{leg:?} cannot be adopted: {reason:?}"));
                    }
                    self.legs.remove(place);
                }
                Event::Closed { leg, .. } => {
                    if let Some(place) = place(leg) {
                        let port = self.legs.remove(place).0.pair;
                        self.end.give_back(Reservation { leg, port }).map_err(|error| error.to_string())?;
                    }
                }
                _ => {}
            }
        }
        if self.is_closing {
            self.close();
        }
        Ok(())
    }

    /// Whether a leg is still its own, or may become so.
    pub(super) fn is_busy(&self) -> bool {
        !self.legs.is_empty()
    }

    /// It hangs up.
    pub(super) fn end(self, plane: &mut SimulatedPlane) {
        let client = self.end.index();
        drop(self);
        plane.hang_up(client);
    }
}
