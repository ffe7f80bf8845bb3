//! What a worker does about recordings, besides copying packets.

use super::queues::{Done, RecordingInfo};
use crate::clients::owners::{Owned, OwnedRecording};
use crate::worker::Worker;
use clock::Instant;
use contract::{ClockRate, Event, LegRef, PayloadMap, RecordingEnd, RecordingOutcome, RecordingShape};
use media_core::io::{Backend, Buffers, PacketIo};
use shm::ClientIndex;
use stats::MediaCounter;

/// Outcomes that one turn tells.
const TURN_OUTCOMES: usize = 64;

/// A recording that a client wants.
#[derive(Clone, Copy)]
pub(crate) struct RecordingRequest {
    pub(crate) leg: LegRef,
    pub(crate) number: u64,
    pub(crate) recording: u64,
    pub(crate) shape: RecordingShape,
    pub(crate) limit_s: u32,
}

/// The rate of a recording's file: that of the sound in the format that the leg prefers among those that are decoded. Sound
/// of other rates is converted; packets that are not decoded are counted and leave silence.
fn recorded_clock(payloads: &PayloadMap) -> ClockRate {
    let rate = payloads.entries().find_map(|format| match media_core::law_of(format.codec) {
        Some(_) => Some(format.clock_rate),
        None => ClockRate::from_hz(media_core::format_of(format.codec)?.sample_rate()),
    });
    rate.unwrap_or_default()
}

impl<B: Backend> Worker<B> {
    pub(crate) fn start_recording(&mut self, now: Instant, client: ClientIndex, request: RecordingRequest) {
        let RecordingRequest { leg, number, recording, .. } = request;
        match self.try_recording(now, client, request) {
            Ok(()) => {
                self.event_backlog.push(&mut self.end, client, Event::RecordingStarted { leg, number, recording })
            }
            Err(end) => {
                self.core.count(MediaCounter::RecordingsFailed, 1);
                let outcome = RecordingOutcome::new(end);
                self.event_backlog.push(
                    &mut self.end,
                    client,
                    Event::RecordingEnded { leg, number, recording, outcome },
                );
            }
        }
    }

    fn try_recording(
        &mut self,
        now: Instant,
        client: ClientIndex,
        request: RecordingRequest,
    ) -> Result<(), RecordingEnd> {
        let RecordingRequest { leg, number, recording, shape, limit_s } = request;
        let owned = self.owners.get(leg).copied().filter(|owned| owned.is_of(client));
        let (owned, client) = owned.zip(self.end.life(client)).ok_or(RecordingEnd::NoSuchLeg)?;
        let recorder = &self.shared.recorder;
        if let Some(before) = owned.recording.filter(|before| recorder.is_running(before.tap)) {
            if before.client == client {
                return Err(RecordingEnd::AlreadyRunning);
            }
            // An earlier client of the leg began it, which this one cannot know.
            recorder.end(before.tap, now, RecordingEnd::Stopped);
        }
        let worker = self.index.0;
        let port = owned.spec.transport.port.rtp;
        let clock = recorded_clock(&owned.spec.formats.payloads);
        let info = RecordingInfo { leg, port, number, recording, client, worker, shape, clock, limit_s, began_at: now };
        let tap = recorder.begin(info).ok_or(RecordingEnd::Full)?;
        self.publisher.recordings += 1;
        self.core.count(MediaCounter::RecordingsStarted, 1);
        if self.core.tap(leg, Some(tap)).is_err() {
            // The core may not have what we own, where it failed between the two: the outcome tells of an empty file.
            recorder.end(tap, now, RecordingEnd::LegClosed);
            return Ok(());
        }
        self.owners.set(Owned { recording: Some(OwnedRecording { client, number: recording, tap }), ..owned });
        Ok(())
    }

    pub(crate) fn stop_recording(&mut self, now: Instant, client: ClientIndex, leg: LegRef, recording: u64) {
        let owned = self.owners.get(leg).copied().filter(|owned| owned.is_of(client));
        let life = self.end.life(client);
        let is_its = |it: OwnedRecording| it.number == recording && Some(it.client) == life;
        let Some(owned) = owned.filter(|owned| owned.recording.is_some_and(is_its)) else { return };
        self.end_recording(now, &owned, RecordingEnd::Stopped);
        // A leg that is not there is not recorded either.
        let _ = self.core.tap(leg, None);
        self.owners.set(Owned { recording: None, ..owned });
    }

    /// Leaves silence in a recording from now on, or goes on with it. `false`: there is no room for that now. Nothing where it
    /// is over already.
    pub(crate) fn pause_recording(
        &mut self,
        now: Instant,
        client: ClientIndex,
        (leg, recording): (LegRef, u64),
        is_paused: bool,
    ) -> bool {
        let owned = self.owners.get(leg).copied().filter(|owned| owned.is_of(client));
        let life = self.end.life(client);
        let running = owned.and_then(|owned| owned.recording);
        let running = running.filter(|it| it.number == recording && Some(it.client) == life);
        running.is_none_or(|it| self.shared.recorder.pause(it.tap, now, is_paused))
    }

    /// The recording of a leg, if there is one, has all its sound.
    pub(crate) fn end_recording(&self, now: Instant, owned: &Owned, end: RecordingEnd) {
        if let Some(recording) = owned.recording {
            self.shared.recorder.end(recording.tap, now, end);
        }
    }

    /// Hands the sound of recorded legs to the writer, before the turn's buffers are gone.
    pub(crate) fn record(&mut self) {
        let recorder = &self.shared.recorder;
        for tapped in self.output.taps.drain(..) {
            if !recorder.is_running(tapped.id) {
                // Over before we were told, for want of room on the disk or by its limit.
                let _ = self.core.tap(tapped.leg, None);
                continue;
            }
            let sound = self.io.buffers().bytes(tapped.payload);
            let counter = match recorder.push(self.index.0, &tapped, sound) {
                true => MediaCounter::RecordedPackets,
                false => MediaCounter::RecordingOverflow,
            };
            self.core.count(counter, 1);
        }
    }

    /// Tells clients about recordings that are over.
    pub(crate) fn take_outcomes(&mut self) {
        for _ in 0..TURN_OUTCOMES {
            let Some(Done { info, tap, outcome }) = self.shared.recorder.next_outcome(self.index.0) else { return };
            let RecordingInfo { leg, number, recording, client, .. } = info;
            if self.core.tap_of(leg) == Some(tap) {
                let _ = self.core.tap(leg, None);
            }
            if let Some(owned) = self.owners.get(leg).copied()
                && owned.recording.is_some_and(|it| it.tap == tap)
            {
                self.owners.set(Owned { recording: None, ..owned });
            }
            self.publisher.recordings = self.publisher.recordings.saturating_sub(1);
            self.core.count(MediaCounter::RecordingBytes, outcome.file_bytes);
            let lost = outcome.received_lost_packets + outcome.sent_lost_packets;
            self.core.count(MediaCounter::RecordingLost, lost.saturating_sub(outcome.overflow_packets));
            if matches!(outcome.end(), RecordingEnd::WriteFailed | RecordingEnd::NoFile) {
                self.core.count(MediaCounter::RecordingsFailed, 1);
            }
            // Another client in the same place, or one that has adopted the leg, gave no command for it.
            if self.end.life(client.index) == Some(client) {
                self.event_backlog.push(
                    &mut self.end,
                    client.index,
                    Event::RecordingEnded { leg, number, recording, outcome },
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Codec, PayloadMapping};

    #[test]
    fn a_file_has_the_clock_of_the_first_format_that_is_decoded() {
        let mut payloads = PayloadMap::default();
        assert_eq!(recorded_clock(&payloads), ClockRate::default());
        let clock_rate = ClockRate::from_hz(48_000).unwrap();
        let other = PayloadMapping { payload_type: 96, codec: Codec::Other, peer_payload_type: 96, clock_rate };
        let events = PayloadMapping { payload_type: 97, codec: Codec::TelephoneEvent, ..other };
        assert!(payloads.push_entry(other) && payloads.push_entry(events) && payloads.push(8, Codec::Pcma));
        assert_eq!(recorded_clock(&payloads), Codec::Pcma.clock_rate());
        for (codec, hz) in [(Codec::G722, 16_000), (Codec::Opus, 48_000)] {
            let mut payloads = PayloadMap::default();
            assert!(payloads.push(98, codec));
            assert_eq!(recorded_clock(&payloads).hz(), hz, "{codec:?}");
        }
    }
}
