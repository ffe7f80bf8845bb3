//! From a leg's packets to frames of 20 ms for the program, at the rate that it asked for.

use super::queues::Piece;
use audio::Resampler;
use clock::Instant;
use contract::{Codec, STREAM_FRAME_MS, StreamRate};
use media_core::decoding::CHANGE_TIME;
use media_core::decoding::jitter::Arrival;
use media_core::decoding::playout::Playout;
use media_core::{format_at, format_of};

/// Samples of a frame at the fastest rate of a codec, 48 kHz.
const HEARD_SAMPLES_MAX: usize = 48 * STREAM_FRAME_MS as usize;
/// Samples of a frame at the fastest rate of a stream.
pub(super) const FRAME_SAMPLES_MAX: usize = 24 * STREAM_FRAME_MS as usize;

/// One direction of a leg.
pub(super) struct Hearing {
    rate: StreamRate,
    decoding: Option<Decoding>,
    /// When its codec changed last.
    changed_at: Option<Instant>,
}

struct Decoding {
    codec: Codec,
    playout: Playout,
    resampler: Option<Resampler>,
}

impl Hearing {
    pub(super) fn new(rate: StreamRate) -> Self {
        Self { rate, decoding: None, changed_at: None }
    }

    /// Takes a packet. One of a codec that is not decoded leaves silence.
    pub(super) fn take(&mut self, piece: &Piece) {
        if format_of(piece.codec).is_none() {
            return;
        }
        if self.decoding.as_ref().is_none_or(|decoding| decoding.codec != piece.codec) {
            if self.changed_at.is_some_and(|at| piece.at.since(at) < CHANGE_TIME) {
                return;
            }
            self.changed_at = self.decoding.is_some().then_some(piece.at);
            self.decoding = Decoding::new(piece.codec, self.rate, piece.ssrc.0);
        }
        let Some(decoding) = &mut self.decoding else { return };
        decoding.playout.insert(&Arrival {
            at: piece.at,
            seq: piece.seq,
            time: piece.time,
            ssrc: piece.ssrc,
            payload_type: piece.payload_type,
            payload: piece.payload(),
        });
    }

    /// The sound of the next 20 ms.
    pub(super) fn frame(&mut self, now: Instant, frame: &mut [i16]) {
        frame.fill(0);
        let Some(Decoding { playout, resampler, .. }) = &mut self.decoding else { return };
        let mut heard = [0; HEARD_SAMPLES_MAX];
        let heard = &mut heard[..(playout.format().sample_rate() / 1_000 * STREAM_FRAME_MS) as usize];
        match resampler {
            Some(resampler) if resampler.output_samples(heard.len()) <= frame.len() => {
                playout.pull(now, heard);
                resampler.push(heard, frame);
            }
            Some(_) => {}
            None => playout.pull(now, frame),
        }
    }
}

impl Decoding {
    fn new(codec: Codec, rate: StreamRate, seed: u32) -> Option<Self> {
        let format = format_at(codec, rate.hz())?;
        let resampler = match format.sample_rate() == rate.hz() {
            true => None,
            false => Some(Resampler::new(format.sample_rate(), rate.hz(), 1)?),
        };
        Some(Self { codec, playout: Playout::new(format, None, seed), resampler })
    }
}
