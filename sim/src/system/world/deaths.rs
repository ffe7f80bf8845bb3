//! Processes, workers and phones that die or stop and come back.

use super::reinvites::OpenReinvites;
use super::{Todo, World};
use crate::system::keeper::{Keeper, Left};
use crate::system::phone::Phone;
use crate::system::signaling::Signaling;
use clock::{Duration, Instant};
use shm::WorkerIndex;

impl World {
    pub(super) fn start_media(&mut self) -> Result<(), String> {
        self.media.start(self.rng.next())?;
        match (&mut self.signaling, &self.media.plane) {
            (Some(signaling), Some(plane)) => signaling.attach(plane, self.setup.grace),
            _ => Ok(()),
        }
    }

    pub(super) fn start_signaling(&mut self) -> Result<(), String> {
        let (setup, seed) = (&self.setup, self.rng.next());
        let mut signaling = Signaling::new(self.now, &setup.config, setup.shard_count, seed, &setup.around);
        if self.trace.is_some() {
            signaling.trace();
        }
        if let Some(plane) = &self.media.plane {
            signaling.attach(plane, setup.grace)?;
        }
        self.signaling = Some(signaling);
        Ok(())
    }

    pub(super) fn die(&mut self, todo: &Todo) -> Result<(), String> {
        match *todo {
            Todo::MediaDies if self.media.plane.is_some() => {
                self.audio.deaths.push(self.now);
                self.media.die();
                // Its clients see it die.
                (self.keeper, self.left) = (None, Vec::new());
                if let Some(signaling) = &mut self.signaling {
                    signaling.lose_media(self.now);
                }
                self.later(10, 5_000, Todo::MediaReturns);
            }
            Todo::MediaReturns => self.start_media()?,
            Todo::SignalingDies => self.end_signaling(),
            Todo::SignalingStops => {
                if let Some(signaling) = &mut self.signaling {
                    signaling.stop(self.now);
                }
            }
            Todo::SignalingReturns => self.start_signaling()?,
            Todo::WorkerPanics(worker) => {
                if let Some(plane) = &mut self.media.plane {
                    self.audio.deaths.push(self.now);
                    plane.fail(WorkerIndex(worker));
                }
            }
            Todo::PhoneDies(phone) => self.switch_off(phone),
            Todo::Adopt => self.adopt()?,
            Todo::EndAdopted => {
                if let Some(keeper) = &mut self.keeper {
                    keeper.end_legs();
                }
                self.audio.end_left(self.now);
            }
            _ => {}
        }
        Ok(())
    }

    /// The signaling process is gone, killed or stopped. The next one comes soon.
    pub(super) fn end_signaling(&mut self) {
        let Some(signaling) = self.signaling.take() else { return };
        let kept = signaling.die(self.media.plane.as_mut());
        match self.setup.grace {
            Some(grace) if !kept.is_empty() => {
                let until = self.now + grace;
                // A worker looks at its clients from time to time, and half of the legs get no adopter.
                self.audio.leave(self.now, until - Duration::from_secs(1));
                self.left.push(Left { legs: kept, until });
                self.later(10, grace.as_millis() as u64 + 1_000, Todo::Adopt);
            }
            _ => self.audio.deaths.push(self.now),
        }
        self.report.deaths_count += 1;
        self.ledger.forget_transactions(self.setup.around.switch);
        self.reinvites = OpenReinvites::default();
        self.later(10, 5_000, Todo::SignalingReturns);
    }

    /// A phone loses its power, and comes back without its calls.
    fn switch_off(&mut self, index: usize) {
        self.report.deaths_count += 1;
        self.nodes_count += 1;
        let seed = self.rng.next();
        let phone = &mut self.phones[index];
        self.ledger.forget_node(phone.node);
        self.ledger.forget_transactions(phone.address());
        let sides = phone.sides();
        *phone = Phone::new(seed, self.nodes_count, phone.model);
        for side in sides {
            self.audio.end(side, self.now, false);
        }
    }

    fn adopt(&mut self) -> Result<(), String> {
        let (Some(plane), None) = (&self.media.plane, &self.keeper) else { return Ok(()) };
        let Some(left) = self.left.pop() else { return Ok(()) };
        self.report.adopted_count += left.legs.len().div_ceil(2) as u64;
        self.keeper = Some(Keeper::adopt(plane, &left)?);
        self.later(200, 4_000, Todo::EndAdopted);
        Ok(())
    }

    pub(super) fn turn_keeper(&mut self) -> Result<(), String> {
        let Some(keeper) = &mut self.keeper else { return Ok(()) };
        let since = Instant::ZERO.max(self.now - self.setup.grace.unwrap_or_default() - Duration::from_secs(10));
        keeper.turn(self.now, self.audio.deaths.iter().any(|at| *at >= since))?;
        if !keeper.is_busy()
            && let (Some(keeper), Some(plane)) = (self.keeper.take(), &mut self.media.plane)
        {
            keeper.end(plane);
        }
        Ok(())
    }
}
