//! The sound of a whole room on its way to a recording.

use super::{FRAME_MS, FRAME_SAMPLES};
use crate::incoming::tap::{Side, TapId, Tapped};
use crate::io::{Buffers, Output, Span};
use crate::outgoing::pace::instant_of;
use contract::{Codec, LegRef};
use rtp_wire::{FIXED_HEADER_BYTES, Header, RtpTime, Seq, Ssrc};

/// Frames that wait for the end of the slot in which they were mixed.
const FRAMES_MAX: usize = 8;

/// A room that is recorded.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) id: TapId,
    /// The leg under which the recording has begun.
    pub(super) leg: LegRef,
    seq: Seq,
    /// The frames that wait, counted from the beginning of time, and their sound.
    numbers: [u64; FRAMES_MAX],
    count: usize,
    samples: Box<[i16]>,
}

impl Recorded {
    pub(super) fn new(id: TapId, leg: LegRef) -> Self {
        let samples = vec![0; FRAMES_MAX * FRAME_SAMPLES].into();
        Self { id, leg, seq: Seq(0), numbers: [0; FRAMES_MAX], count: 0, samples }
    }

    /// Takes a frame of the mix; `true`: it is the first that waits.
    pub(super) fn take(&mut self, frame: u64, mix: &[i16]) -> bool {
        let at = self.count;
        if let (Some(number), Some(place)) =
            (self.numbers.get_mut(at), self.samples.chunks_exact_mut(FRAME_SAMPLES).nth(at))
        {
            *number = frame;
            place.copy_from_slice(mix);
            self.count += 1;
        }
        at == 0
    }

    /// Points at what waits; says how many frames found no room.
    pub(super) fn show(&mut self, buffers: &mut impl Buffers, out: &mut Output) -> u64 {
        let mut lost = 0;
        let frames = self.numbers.iter().zip(self.samples.chunks_exact(FRAME_SAMPLES)).take(self.count);
        for (number, samples) in frames {
            self.seq = Seq(self.seq.0.wrapping_add(1));
            let payload_bytes = (2 * FRAME_SAMPLES) as u16;
            let buffer = if out.taps.len() < out.taps.capacity() { buffers.take() } else { None };
            let Some(buffer) = buffer else {
                lost += 1;
                continue;
            };
            let payload = Span { buffer, start: FIXED_HEADER_BYTES as u16, bytes: payload_bytes };
            for (place, sample) in buffers.bytes_mut(payload).chunks_exact_mut(2).zip(samples) {
                place.copy_from_slice(&sample.to_be_bytes());
            }
            let time = RtpTime((number * FRAME_SAMPLES as u64) as u32);
            let header = Header {
                marker: false,
                payload_type: 0,
                seq: self.seq,
                time,
                ssrc: Ssrc(1),
                payload_start: FIXED_HEADER_BYTES as u16,
                payload_bytes,
            };
            out.taps.push(Tapped {
                id: self.id,
                leg: self.leg,
                side: Side::Sent,
                codec: Codec::L16Wide,
                clock: Codec::L16Wide.clock_rate(),
                header,
                payload,
                at: instant_of(number * u64::from(FRAME_MS)),
            });
        }
        self.count = 0;
        lost
    }
}
