//! Processes and workers that die and come back.

use super::{Todo, World, switch};
use crate::system::signaling::Signaling;
use shm::WorkerIndex;
use std::net::SocketAddr;

impl World {
    pub(super) fn start_media(&mut self) -> Result<(), String> {
        self.media.start(self.rng.next())?;
        match (&mut self.signaling, &self.media.plane) {
            (Some(signaling), Some(plane)) => signaling.attach(plane),
            _ => Ok(()),
        }
    }

    pub(super) fn start_signaling(&mut self) -> Result<(), String> {
        let addresses: Vec<SocketAddr> = self.phones.iter().map(|phone| phone.address).collect();
        let mut signaling = Signaling::new(&self.config, self.shard_count, self.rng.next(), switch(), &addresses);
        if let Some(plane) = &self.media.plane {
            signaling.attach(plane)?;
        }
        self.signaling = Some(signaling);
        Ok(())
    }

    pub(super) fn die(&mut self, todo: Todo) -> Result<(), String> {
        if matches!(todo, Todo::MediaDies | Todo::SignalingDies | Todo::WorkerPanics(_)) {
            self.audio.deaths.push(self.now);
        }
        match todo {
            Todo::MediaDies if self.media.plane.is_some() => {
                self.media.plane = None;
                if let Some(signaling) = &mut self.signaling {
                    signaling.lose_media(self.now);
                }
                self.later(10, 5_000, Todo::MediaReturns);
            }
            Todo::MediaReturns => self.start_media()?,
            Todo::SignalingDies => {
                if let Some(signaling) = self.signaling.take() {
                    signaling.die(self.media.plane.as_mut());
                    self.later(10, 5_000, Todo::SignalingReturns);
                }
            }
            Todo::SignalingReturns => self.start_signaling()?,
            Todo::WorkerPanics(worker) => {
                if let Some(plane) = &mut self.media.plane {
                    plane.fail(WorkerIndex(worker));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
