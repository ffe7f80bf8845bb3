//! Digits as tones in the sound of a leg, found straight in its packets: a jitter buffer would only add delay.

use crate::decoding::coders::format_of;
use audio::codec::{CodecFormat, CodecKind, Decoder, PTIME_MS_MAX};
use audio::{DtmfDetector, DtmfEvent};
use clock::Instant;
use contract::Codec;
use rtp_wire::{Header, RtpTime, Seq, Ssrc};

/// Bytes of a packet that waits for the one before it.
const HELD_BYTES: usize = 512;
/// Packets this far apart are of another stream (RFC 3550 §A.1, MAX_DROPOUT).
const MOST_DROPOUT: i16 = 3_000;
/// Of a hole in the stream so much is left out as if it had not been there: a tone that goes on behind it is one tone.
const BRIDGED_MS: u32 = 60;
/// Silence that ends any digit.
const SILENCE_MS: u32 = 60;

/// Looks for digits in the sound of one stream after the other. Between packets it holds back at most one, which came before its
/// predecessor.
#[derive(Debug)]
pub(super) struct Tones {
    codec: Codec,
    decoder: Decoder,
    detector: DtmfDetector,
    /// A packet as the decoder makes it.
    decoded: Box<[i16]>,
    ssrc: Ssrc,
    /// What follows on the packets so far; none where nothing came.
    next: Option<(Seq, RtpTime)>,
    held: Held,
    /// Milliseconds of lost packets within the digit that is pressed.
    lost_ms: u32,
    /// When the last packet came.
    heard_at: Instant,
}

/// A packet whose predecessor may still come.
#[derive(Clone, Copy, Debug)]
struct Held {
    payload: [u8; HELD_BYTES],
    bytes: u16,
    seq: Seq,
    time: RtpTime,
}

impl Clone for Tones {
    /// Listens on, with a decoder that has to find into the stream again.
    fn clone(&self) -> Self {
        let (detector, decoded) = (self.detector.clone(), self.decoded.clone());
        Self { decoder: Decoder::new(self.decoder.format()), detector, decoded, ..*self }
    }
}

/// How a codec is decoded for the detector, which looks at 8 kHz: at the lowest rate that the decoder makes.
fn decoded_as(codec: Codec) -> Option<CodecFormat> {
    match codec {
        Codec::Opus => CodecFormat::new(CodecKind::Opus, 8_000, 1).ok(),
        codec => format_of(codec),
    }
}

impl Tones {
    /// `None` for a codec whose sound is not understood.
    pub(super) fn new(codec: Codec) -> Option<Self> {
        let format = decoded_as(codec)?;
        Some(Self {
            codec,
            decoder: Decoder::new(format),
            detector: DtmfDetector::new(format.sample_rate()),
            decoded: vec![0; format.samples_in_ms(PTIME_MS_MAX)].into_boxed_slice(),
            ssrc: Ssrc(0),
            next: None,
            held: Held { payload: [0; HELD_BYTES], bytes: 0, seq: Seq(0), time: RtpTime(0) },
            lost_ms: 0,
            heard_at: Instant::ZERO,
        })
    }

    pub(super) fn codec(&self) -> Codec {
        self.codec
    }

    pub(super) fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// Whether the last packets may belong to a digit, certain or not yet.
    pub(super) fn suspects(&self) -> bool {
        self.detector.suspects()
    }

    /// Takes a packet of sound; gives what is found in it and in one that waited for it.
    pub(super) fn take(&mut self, header: &Header, payload: &[u8], at: Instant, on_event: &mut impl FnMut(DtmfEvent)) {
        self.heard_at = at;
        let (seq, time) = (header.seq, header.time);
        let ahead = self.next.filter(|_| header.ssrc == self.ssrc).map(|(next, _)| seq.since(next));
        match ahead {
            Some(0) => {
                self.hear(seq, time, payload, on_event);
                self.take_held(seq.next(), on_event);
            }
            // Its place is filled already.
            Some(behind) if (-MOST_DROPOUT..0).contains(&behind) => {}
            Some(1) if self.held.bytes == 0 && payload.len() <= HELD_BYTES => {
                self.held.payload[..payload.len()].copy_from_slice(payload);
                self.held = Held { bytes: payload.len() as u16, seq, time, ..self.held };
            }
            Some(ahead) if (1..MOST_DROPOUT).contains(&ahead) => {
                let held = self.held;
                if held.bytes > 0 && held.seq != seq {
                    self.hear_held(on_event);
                }
                self.held.bytes = 0;
                self.hear(seq, time, payload, on_event);
            }
            _ => {
                if self.next.is_some() {
                    self.be_silent(SILENCE_MS, on_event);
                    self.decoder.reset();
                }
                (self.ssrc, self.next, self.held.bytes) = (header.ssrc, None, 0);
                self.hear(seq, time, payload, on_event);
            }
        }
    }

    fn take_held(&mut self, seq: Seq, on_event: &mut impl FnMut(DtmfEvent)) {
        if self.held.bytes > 0 && self.held.seq == seq {
            self.hear_held(on_event);
        }
    }

    fn hear_held(&mut self, on_event: &mut impl FnMut(DtmfEvent)) {
        let Held { payload, bytes, seq, time } = self.held;
        self.held.bytes = 0;
        self.hear(seq, time, &payload[..usize::from(bytes)], on_event);
    }

    /// The sound of a packet that follows on the others, or comes behind a hole.
    fn hear(&mut self, seq: Seq, time: RtpTime, payload: &[u8], on_event: &mut impl FnMut(DtmfEvent)) {
        let format = self.decoder.format();
        if let Some((next_seq, next_time)) = self.next {
            let hole_ms = time.since(next_time).max(0) as u32 / (format.clock_rate() / 1_000);
            if seq == next_seq || hole_ms > BRIDGED_MS {
                // Silence that was not sent, or a loss of which nothing is known.
                self.be_silent(hole_ms.min(SILENCE_MS), on_event);
            } else if self.detector.pressed().is_some() {
                self.lost_ms += hole_ms;
            }
        }
        let count = self.decoder.decode(payload, &mut self.decoded).unwrap_or(0);
        let ticks = count as u64 * u64::from(format.clock_rate()) / u64::from(format.sample_rate());
        self.next = Some((seq.next(), time.plus(ticks as u32)));
        let Self { detector, decoded, lost_ms, .. } = self;
        detector.hear(&decoded[..count], |event| on_event(with_lost(lost_ms, event)));
    }

    fn be_silent(&mut self, ms: u32, on_event: &mut impl FnMut(DtmfEvent)) {
        let count = (self.decoder.format().sample_rate() / 1_000 * ms) as usize;
        let Self { detector, decoded, lost_ms, .. } = self;
        let silence = &mut decoded[..count];
        silence.fill(0);
        detector.hear(silence, |event| on_event(with_lost(lost_ms, event)));
    }
}

/// A digit was pressed during what was lost of it, too.
fn with_lost(lost_ms: &mut u32, event: DtmfEvent) -> DtmfEvent {
    let lost = std::mem::take(lost_ms);
    match event {
        DtmfEvent::Ended { number, duration_ms } => DtmfEvent::Ended { number, duration_ms: duration_ms + lost },
        began => began,
    }
}
