//! What a worker does about recordings, besides copying packets.

use super::queues::{Done, RecordingInfo};
use crate::clients::owners::{Owned, OwnedRecording};
use crate::worker::Worker;
use clock::Instant;
use contract::{
    ClockRate, Codec, Event, LegRef, PayloadMap, RecordingEnd, RecordingKind, RecordingLayout, RecordingOutcome,
    RecordingShape,
};
use media_core::TapId;
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
        let kind = shape.format.kind();
        let before = match kind {
            RecordingKind::Sound => owned.recording,
            RecordingKind::Packets => self.captures.of(leg),
        };
        if let Some(before) = before.filter(|before| recorder.is_running(before.tap)) {
            if before.client == client {
                return Err(RecordingEnd::AlreadyRunning);
            }
            // An earlier client of the leg began it, which this one cannot know.
            recorder.end(before.tap, now, RecordingEnd::Stopped);
        }
        let worker = self.index.0;
        let port = owned.spec.transport.port.rtp;
        let is_room = shape.layout == RecordingLayout::Room && kind == RecordingKind::Sound;
        let clock = match is_room {
            true => Codec::L16Wide.clock_rate(),
            false => recorded_clock(&owned.spec.formats.payloads),
        };
        let info = RecordingInfo { leg, port, number, recording, client, worker, shape, clock, limit_s, began_at: now };
        let tap = recorder.begin(info).ok_or(RecordingEnd::Full)?;
        self.publisher.recordings += 1;
        self.core.count(MediaCounter::RecordingsStarted, 1);
        let running = OwnedRecording { client, number: recording, tap };
        // The core may not have what we own, where it failed between the two: the outcome tells of an empty file.
        let has_begun = match kind {
            RecordingKind::Sound if is_room => self.core.tap_room(leg, tap).is_ok(),
            RecordingKind::Sound => self.core.tap(leg, Some(tap)).is_ok(),
            RecordingKind::Packets => {
                let pair = self.core.row(leg).and(self.pair_of(&owned));
                if let Some(pair) = pair {
                    self.captures.insert(leg, (pair, port), running, self.shared.ports.len());
                }
                pair.is_some()
            }
        };
        match (has_begun, kind) {
            (false, _) => recorder.end(tap, now, RecordingEnd::LegClosed),
            (true, RecordingKind::Sound) => self.owners.set(Owned { recording: Some(running), ..owned }),
            (true, RecordingKind::Packets) => {}
        }
        Ok(())
    }

    pub(crate) fn stop_recording(&mut self, now: Instant, client: ClientIndex, leg: LegRef, recording: u64) {
        let Some(running) = self.running_recording(client, leg, recording) else { return };
        self.shared.recorder.end(running.tap, now, RecordingEnd::Stopped);
        self.forget_recording(leg, running.tap);
    }

    /// The recording of a leg that a client has begun under this number.
    fn running_recording(&self, client: ClientIndex, leg: LegRef, recording: u64) -> Option<OwnedRecording> {
        let owned = self.owners.get(leg).filter(|owned| owned.is_of(client))?;
        let life = self.end.life(client);
        let both = [owned.recording, self.captures.of(leg)];
        both.into_iter().flatten().find(|it| it.number == recording && Some(it.client) == life)
    }

    /// Copies nothing for a recording any more.
    fn forget_recording(&mut self, leg: LegRef, tap: TapId) {
        if self.captures.of(leg).is_some_and(|it| it.tap == tap) {
            self.captures.remove(leg);
        }
        if self.core.tap_of(leg) == Some(tap) {
            let _ = self.core.tap(leg, None); // the leg is there
        }
        self.core.untap_room(tap);
        if let Some(owned) = self.owners.get(leg).copied()
            && owned.recording.is_some_and(|it| it.tap == tap)
        {
            self.owners.set(Owned { recording: None, ..owned });
        }
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
        let running = self.running_recording(client, leg, recording);
        running.is_none_or(|it| self.shared.recorder.pause(it.tap, now, is_paused))
    }

    /// The recordings of a leg that is gone, if there are any, have all of it.
    pub(crate) fn end_recordings(&mut self, now: Instant, owned: &Owned, end: RecordingEnd) {
        for recording in owned.recording.into_iter().chain(self.captures.remove(owned.leg)) {
            self.shared.recorder.end(recording.tap, now, end);
        }
    }

    /// Hands the sound of recorded legs to the writer, before the turn's buffers are gone.
    pub(crate) fn record(&mut self, now: Instant) {
        let recorder = &self.shared.recorder;
        for tapped in self.output.taps.drain(..) {
            if !recorder.is_running(tapped.id) {
                // Over before we were told, for want of room on the disk or by its limit.
                if self.core.tap_of(tapped.leg) == Some(tapped.id) {
                    let _ = self.core.tap(tapped.leg, None);
                }
                self.core.untap_room(tapped.id);
                continue;
            }
            let sound = self.io.buffers().bytes(tapped.payload);
            let counter = match recorder.push(self.index.0, &tapped, sound) {
                true => MediaCounter::RecordedPackets,
                false => MediaCounter::RecordingOverflow,
            };
            self.core.count(counter, 1);
        }
        while let Some(tap) = self.core.next_ended_room_tap() {
            recorder.end(tap, now, RecordingEnd::LegClosed);
        }
    }

    /// Tells clients about recordings that are over.
    pub(crate) fn take_outcomes(&mut self) {
        for _ in 0..TURN_OUTCOMES {
            let Some(Done { info, tap, outcome }) = self.shared.recorder.next_outcome(self.index.0) else { return };
            let RecordingInfo { leg, number, recording, client, .. } = info;
            self.forget_recording(leg, tap);
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
    use contract::PayloadMapping;

    #[test]
    fn a_file_has_the_clock_of_the_first_format_that_is_decoded() {
        let mut payloads = PayloadMap::default();
        assert_eq!(recorded_clock(&payloads), ClockRate::default());
        let clock_rate = ClockRate::from_hz(48_000).unwrap();
        let other = PayloadMapping { clock_rate, ..PayloadMapping::of(96, Codec::Other) };
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
