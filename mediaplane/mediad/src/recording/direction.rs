//! One direction of a recording: its packets become samples in the rate of the file, each with its place there.

use super::queues::Piece;
use super::track::{Stamp, Track};
use audio::Resampler;
use audio::codec::{Decoder, PAYLOAD_SAMPLES_MAX};
use clock::Instant;
use contract::{ClockRate, Codec};
use media_core::decoding::CHANGE_TIME;
use media_core::{format_at, format_of, law_of};

/// A packet is joined of its pieces up to here; no codec that is decoded has longer ones.
const PACKET_BYTES_MAX: usize = 1_500;
/// Samples of the longest packet in the highest rate of a file.
const SAMPLES_MAX: usize = 6 * PAYLOAD_SAMPLES_MAX;

pub(super) struct Direction {
    /// Of the file.
    rate: ClockRate,
    /// Counts in the clock of the packets that come.
    track: Track,
    clock: ClockRate,
    decoding: Option<Decoding>,
    /// When its codec changed last.
    changed_at: Option<Instant>,
    /// What has come of a packet, and its place.
    packet: Vec<u8>,
    begun: Option<i64>,
    sound: Vec<i16>,
    pub(super) undecoded_packets: u64,
}

/// Decodes one codec, and converts its sound where the file has another rate.
struct Decoding {
    codec: Codec,
    clock: ClockRate,
    decoder: Decoder,
    resampler: Option<Resampler>,
    /// Samples of the file by which the resampler delays.
    delay: i64,
    decoded: Box<[i16]>,
}

/// Samples of the file, from this place on.
pub(super) struct Placed<'a> {
    pub(super) at: i64,
    pub(super) sound: &'a [i16],
}

impl Direction {
    pub(super) fn new(rate: ClockRate) -> Self {
        Self {
            rate,
            track: Track::new(rate),
            clock: rate,
            decoding: None,
            changed_at: None,
            packet: Vec::new(),
            begun: None,
            sound: Vec::new(),
            undecoded_packets: 0,
        }
    }

    /// Packets that were taken, each once.
    pub(super) fn packets(&self) -> u64 {
        self.track.packets
    }

    /// Packets that never came.
    pub(super) fn lost(&self) -> u64 {
        self.track.lost()
    }

    /// Takes a piece; gives what can be written of it, or of the packet that it ends. `began_at` is the beginning of the file.
    pub(super) fn take(&mut self, piece: &Piece, began_at: Instant) -> Option<Placed<'_>> {
        let law = law_of(piece.codec);
        if law.is_none() && format_of(piece.codec).is_none() {
            self.undecoded_packets += u64::from(piece.is_first);
            return None;
        }
        if piece.clock != self.clock {
            self.track.change_clock(piece.clock);
            self.clock = piece.clock;
        }
        let stamp = Stamp {
            ssrc: piece.ssrc,
            time: piece.time,
            seq: piece.seq,
            came_at: piece.clock.ticks(piece.at.since(began_at)),
            is_first: piece.is_first,
        };
        match law {
            // Each piece is sound for itself.
            Some(law) if piece.clock == self.rate => {
                let at = self.track.place(stamp)?;
                self.sound.clear();
                self.sound.extend(piece.sound().iter().map(|code| law.decode(*code)));
                Some(Placed { at, sound: &self.sound })
            }
            _ => self.join(piece, stamp),
        }
    }

    fn join(&mut self, piece: &Piece, stamp: Stamp) -> Option<Placed<'_>> {
        if piece.is_first {
            self.packet.clear();
            self.begun = self.track.place(stamp);
        }
        if self.packet.len() + piece.sound().len() > PACKET_BYTES_MAX {
            self.begun = None;
        }
        let begun = self.begun?;
        self.packet.extend_from_slice(piece.sound());
        if !piece.is_last {
            return None;
        }
        self.begun = None;
        let is_ready = self.decoding.as_ref().is_some_and(|it| (it.codec, it.clock) == (piece.codec, piece.clock));
        if !is_ready {
            if self.changed_at.is_some_and(|at| piece.at.since(at) < CHANGE_TIME) {
                self.undecoded_packets += 1;
                return None;
            }
            self.changed_at = self.decoding.is_some().then_some(piece.at);
            self.decoding = Decoding::new(piece.codec, piece.clock, self.rate);
        }
        let delay = self.decoding.as_mut().and_then(|decoding| decoding.decode(&self.packet, &mut self.sound));
        let Some(delay) = delay else {
            self.undecoded_packets += 1;
            return None;
        };
        let (rate, clock) = (i64::from(self.rate.hz()), i64::from(piece.clock.hz()));
        Some(Placed { at: begun.saturating_mul(rate) / clock - delay, sound: &self.sound })
    }
}

impl Decoding {
    /// `None`: its sound cannot come into a file of this rate.
    fn new(codec: Codec, clock: ClockRate, rate: ClockRate) -> Option<Self> {
        let format = format_at(codec, rate.hz())?;
        // G.711 is sampled with whatever its clock says.
        let from = if law_of(codec).is_some() { clock.hz() } else { format.sample_rate() };
        let resampler = match from == rate.hz() {
            true => None,
            false => Some(Resampler::new(from, rate.hz(), 1)?),
        };
        let delay_us = resampler.as_ref().map_or(0, Resampler::delay_us);
        let delay = i64::from(delay_us) * i64::from(rate.hz()) / 1_000_000;
        let decoded = vec![0; PAYLOAD_SAMPLES_MAX].into();
        Some(Self { codec, clock, decoder: Decoder::new(format), resampler, delay, decoded })
    }

    /// Fills `sound` with a packet in the rate of the file, and says by how many samples it is late; `None`: it is broken.
    fn decode(&mut self, packet: &[u8], sound: &mut Vec<i16>) -> Option<i64> {
        let count = self.decoder.decode(packet, &mut self.decoded).ok()?;
        let decoded = self.decoded.get(..count)?;
        sound.clear();
        let Some(resampler) = &mut self.resampler else {
            sound.extend_from_slice(decoded);
            return Some(0);
        };
        let most = resampler.output_samples(count);
        if most > SAMPLES_MAX {
            return None;
        }
        sound.resize(most, 0);
        let made = resampler.push(decoded, sound);
        sound.truncate(made);
        Some(self.delay)
    }
}
