//! Voice processing on demand: the sound of a leg's peer is decoded, processed and encoded again in its packet, before anything
//! else hears it. Relays, transcoders, rooms, recordings and programs then work with the packet as with any other: its
//! numbers, its time and its codec stay, and nothing waits.
//!
//! The reference of the echo canceller is what the leg sends, decoded once more. Both are put on one clock of samples by
//! their RTP timestamps ([`timeline`]), so that neither loss nor jitter shifts one against the other.

mod leg_voice;
mod packets;
#[cfg(test)]
mod tests;
mod timeline;

pub(crate) use packets::look_closer;

use crate::io::BUFFER_BYTES;
use audio::SuspendedVoice;
use audio::codec::PAYLOAD_SAMPLES_MAX;
use clock::Instant;
use contract::{ClockRate, LegRef, VoiceProcessing};
use leg_voice::LegVoice;
use rtp_wire::Header;

/// A leg's place among those of its worker whose voice is processed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct VoiceIndex(u16);

impl VoiceIndex {
    pub(crate) const NONE: Self = Self(u16::MAX);
}

/// A packet with sound: what it holds, and when it came or is sent.
#[derive(Clone, Copy)]
pub(crate) struct SoundPacket<'p> {
    /// A [`contract::Codec`] as number.
    pub(crate) codec: u8,
    pub(crate) clock: ClockRate,
    pub(crate) header: &'p Header,
    pub(crate) at: Instant,
}

/// One leg's voice processing on its way to another worker.
#[derive(Debug)]
pub(crate) struct MovingVoice(Box<LegVoice<SuspendedVoice>>);

/// All voice processing of a worker.
#[derive(Debug)]
pub(crate) struct Voices {
    /// Legs at once, at most.
    limit: usize,
    working: Vec<Option<Box<LegVoice>>>,
    free: Vec<VoiceIndex>,
    /// Of one packet, while it is processed.
    samples: Box<[i16]>,
    payload: Box<[u8]>,
}

impl Voices {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit: limit.min(usize::from(u16::MAX)),
            working: Vec::new(),
            free: Vec::new(),
            samples: vec![0; PAYLOAD_SAMPLES_MAX].into(),
            payload: vec![0; BUFFER_BYTES].into(),
        }
    }

    /// Legs whose voice is processed.
    pub(crate) fn count(&self) -> usize {
        self.working.len() - self.free.len()
    }

    /// Sees to it that this is done to a leg's voice; nothing: it is done no more. `false`: no place is left.
    pub(crate) fn provide(&mut self, index: &mut VoiceIndex, leg: LegRef, wish: VoiceProcessing) -> bool {
        if wish.is_none() {
            self.release(index);
            return true;
        }
        if let Some(voice) = self.get(*index) {
            voice.set_wish(wish);
            return true;
        }
        self.take_in(index, || LegVoice::new(leg, wish))
    }

    /// Takes a leg's voice processing away, if it has any.
    pub(crate) fn release(&mut self, index: &mut VoiceIndex) {
        self.take_away(index);
    }

    /// Takes a leg's voice processing away for another worker.
    pub(crate) fn suspend(&mut self, index: &mut VoiceIndex) -> Option<MovingVoice> {
        let voice = self.take_away(index)?;
        Some(MovingVoice(Box::new(voice.with_processor(audio::VoiceProcessor::suspend))))
    }

    /// Goes on with what another worker has done. `false`: no place is left.
    pub(crate) fn resume(&mut self, index: &mut VoiceIndex, MovingVoice(voice): MovingVoice) -> bool {
        self.take_in(index, || voice.with_processor(SuspendedVoice::resume))
    }

    fn take_away(&mut self, index: &mut VoiceIndex) -> Option<Box<LegVoice>> {
        let taken = std::mem::replace(index, VoiceIndex::NONE);
        let voice = self.working.get_mut(usize::from(taken.0))?.take()?;
        self.free.push(taken);
        Some(voice)
    }

    fn take_in(&mut self, index: &mut VoiceIndex, voice: impl FnOnce() -> LegVoice) -> bool {
        if self.count() >= self.limit {
            return false;
        }
        let place = self.free.pop().unwrap_or_else(|| {
            self.working.push(None);
            VoiceIndex((self.working.len() - 1) as u16)
        });
        self.working[usize::from(place.0)] = Some(Box::new(voice()));
        *index = place;
        true
    }

    /// Takes a packet that a leg sends: what may come back as an echo.
    #[cold]
    pub(crate) fn hear_sent(&mut self, index: VoiceIndex, packet: &SoundPacket<'_>, payload: &[u8]) {
        let Some(voice) = self.working.get_mut(usize::from(index.0)).and_then(Option::as_deref_mut) else { return };
        voice.hear_sent(packet, payload, &mut self.samples);
    }

    fn get(&mut self, index: VoiceIndex) -> Option<&mut LegVoice> {
        self.working.get_mut(usize::from(index.0))?.as_deref_mut()
    }
}
