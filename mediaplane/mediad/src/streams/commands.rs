//! What a worker does about streams.

use super::queues::Waiting;
use crate::clients::owners::Owned;
use crate::worker::Worker;
use clock::Instant;
use media_core::ProgramState;
use media_core::io::{Backend, Buffers, PacketIo};
use stats::MediaCounter;

impl<B: Backend> Worker<B> {
    /// Connects streams to legs of this worker, and disconnects those that are over.
    pub(crate) fn connect_streams(&mut self, now: Instant) {
        let shared = self.shared.clone();
        let told_count = shared.streams.told_count();
        if !shared.streams.has_waiting() || shared.streams.take_waiting(|waiting| self.connect_stream(now, waiting)) {
            shared.streams.set_heard(self.index.0, told_count);
        }
    }

    /// Whether there is news of streams that this worker has not looked at: it must not sleep then.
    pub(crate) fn has_stream_news(&self) -> bool {
        self.shared.streams.has_news(self.index.0)
    }

    /// `false`: another worker has the leg, or none.
    fn connect_stream(&mut self, now: Instant, waiting: &Waiting) -> bool {
        let Waiting { client, leg, program } = waiting;
        let Some(owned) = self.owners.get(*leg).copied() else { return false };
        if program.state() != ProgramState::Waiting {
            if owned.stream == Some(program.id()) {
                // A leg that is not there has no program either.
                let _ = self.core.connect_program(now, *leg, None);
                self.owners.set(Owned { stream: None, ..owned });
            }
            return true;
        }
        let is_its = owned.is_of(client.index) && self.end.life(client.index) == Some(*client);
        let is_taken = is_its && owned.stream.is_some_and(|id| self.shared.streams.program(id).is_some());
        if !is_its || is_taken {
            program.set_state(if is_taken { ProgramState::Refused } else { ProgramState::LegClosed });
            return true;
        }
        program.set_state(ProgramState::Connected);
        match self.core.connect_program(now, *leg, Some(program.clone())) {
            Ok(_) => {
                self.core.count(MediaCounter::StreamsStarted, 1);
                self.owners.set(Owned { stream: Some(program.id()), ..owned });
            }
            // The core may not have what its owner has, where it failed between the two.
            Err(_) => program.set_state(ProgramState::LegClosed),
        }
        true
    }

    /// Hands the sound of legs that programs listen to over to the thread, before the turn's buffers are gone.
    pub(crate) fn feed_streams(&mut self) {
        let streams = &self.shared.streams;
        for tapped in self.output.program_taps.drain(..) {
            let payload = self.io.buffers().bytes(tapped.payload);
            let counter = match streams.push(self.index.0, &tapped, payload) {
                true => MediaCounter::StreamedPackets,
                false => MediaCounter::StreamOverflow,
            };
            self.core.count(counter, 1);
        }
    }

    /// A leg is gone: its stream ends.
    pub(crate) fn end_stream(&self, owned: &Owned) {
        if let Some(program) = owned.stream.and_then(|id| self.shared.streams.program(id)) {
            program.set_state(ProgramState::LegClosed);
        }
    }

    /// A leg was opened again after a failure: its stream goes on.
    pub(crate) fn reconnect_stream(&mut self, now: Instant, owned: &Owned) {
        let program = owned.stream.and_then(|id| self.shared.streams.program(id));
        if program.is_some() {
            let _ = self.core.connect_program(now, owned.leg, program);
        }
    }
}
