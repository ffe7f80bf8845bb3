//! What a worker does about captures: it copies the datagrams of captured legs.

use super::super::queues::Recorder;
use super::queue::PacketFacts;
use crate::clients::owners::OwnedRecording;
use crate::worker::Worker;
use clock::Instant;
use contract::LegRef;
use media_core::Side;
use media_core::io::{Backend, Buffers, PacketIo, SocketIndex};
use stats::MediaCounter;

/// The captured legs of a worker. A worker without any looks at one length in a turn, and at nothing for a packet.
#[derive(Default)]
pub(crate) struct Captures {
    running: Vec<Running>,
    /// By port pair: 1 and the place in `running`, 0 where there is none. Empty until the first capture.
    by_pair: Box<[u16]>,
}

#[derive(Clone, Copy)]
struct Running {
    leg: LegRef,
    pair: u16,
    /// The RTP port of the leg.
    port: u16,
    recording: OwnedRecording,
}

impl Captures {
    fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Captures a leg from now on, whose port pair is one of `pair_count`.
    pub(crate) fn insert(
        &mut self,
        leg: LegRef,
        (pair, port): (u16, u16),
        recording: OwnedRecording,
        pair_count: usize,
    ) {
        self.remove(leg);
        if self.by_pair.is_empty() {
            self.by_pair = vec![0; pair_count].into();
        }
        self.running.push(Running { leg, pair, port, recording });
        self.index();
    }

    /// Captures it no more.
    pub(crate) fn remove(&mut self, leg: LegRef) -> Option<OwnedRecording> {
        let place = self.running.iter().position(|running| running.leg == leg)?;
        let removed = self.running.swap_remove(place);
        if let Some(entry) = self.by_pair.get_mut(usize::from(removed.pair)) {
            *entry = 0;
        }
        self.index();
        Some(removed.recording)
    }

    fn index(&mut self) {
        for (place, running) in self.running.iter().enumerate() {
            if let Some(entry) = self.by_pair.get_mut(usize::from(running.pair)) {
                *entry = place as u16 + 1;
            }
        }
    }

    pub(crate) fn of(&self, leg: LegRef) -> Option<OwnedRecording> {
        self.running.iter().find(|running| running.leg == leg).map(|running| running.recording)
    }

    /// The leg of a socket, if it is captured, and whether the socket is the one of RTCP.
    fn of_socket(&self, recorder: &Recorder, socket: SocketIndex) -> Option<(&Running, bool)> {
        let place = self.by_pair.get(socket.0 as usize / 2)?.checked_sub(1)?;
        let running = self.running.get(usize::from(place))?;
        recorder.is_running(running.recording.tap).then_some((running, !socket.0.is_multiple_of(2)))
    }
}

impl<B: Backend> Worker<B> {
    /// Copies what has come for captured legs, before the core changes any of it.
    pub(crate) fn capture_received(&mut self) {
        if self.captures.is_empty() {
            return;
        }
        let recorder = &self.shared.recorder;
        for packet in &self.received {
            let Some((running, is_rtcp)) = self.captures.of_socket(recorder, packet.socket) else { continue };
            let remote = if packet.from.is_none() { self.core.connected(running.leg, is_rtcp) } else { packet.from };
            let local_port = running.port + u16::from(is_rtcp);
            let facts = PacketFacts { at: packet.at, remote, local_port, side: Side::Received };
            let datagram = self.io.buffers().bytes(packet.span);
            let is_kept = recorder.push_packet(self.index.0, running.recording.tap, facts, datagram);
            self.core.count(counter(is_kept), 1);
        }
    }

    /// Copies what is about to be sent by captured legs.
    pub(crate) fn capture_sent(&mut self, now: Instant) {
        if self.captures.is_empty() {
            return;
        }
        let recorder = &self.shared.recorder;
        for send in &self.output.sends {
            let Some((running, is_rtcp)) = self.captures.of_socket(recorder, send.socket) else { continue };
            let remote = if send.to.is_none() { self.core.connected(running.leg, is_rtcp) } else { send.to };
            let local_port = running.port + u16::from(is_rtcp);
            let facts = PacketFacts { at: now, remote, local_port, side: Side::Sent };
            let datagram = self.io.buffers().bytes(send.span);
            let is_kept = recorder.push_packet(self.index.0, running.recording.tap, facts, datagram);
            self.core.count(counter(is_kept), 1);
        }
    }
}

fn counter(is_kept: bool) -> MediaCounter {
    if is_kept { MediaCounter::RecordedPackets } else { MediaCounter::RecordingOverflow }
}
