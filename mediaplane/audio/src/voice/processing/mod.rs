//! What is done on demand to the sound that comes from one phone: the echo of what the phone was sent is taken out, then
//! noise, then the level is brought to a target; and it is told when the person speaks.
//!
//! Echo and noise are the work of the crate `aec3` (WebRTC's AEC3 and noise suppressor), the gain is ours. What each part
//! costs and how well it does is in `VOICE.md` of this crate.

mod blocks;
mod filter;
mod gain;
mod reference;
#[cfg(test)]
mod tests;

use super::activity::VoiceActivity;
use blocks::Blocks;
use filter::Filter;
use gain::GainControl;
use reference::Reference;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Blocks in a second: all parts work on 10 ms.
const BLOCKS_PER_SECOND: u32 = 100;
/// Samples of the longest block, at 48 kHz.
const BLOCK_SAMPLES_MAX: usize = 480;

/// Which parts are at work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VoiceParts {
    /// The echo of what the phone was sent is taken out.
    pub echo: bool,
    /// Noise that goes on is lowered by some 12 dB.
    pub noise: bool,
    /// Speech is brought to -22 dBov, by 30 dB at most.
    pub gain: bool,
}

/// Processes the sound that comes from one phone, in pieces of any length; they leave as long as they came.
#[derive(Debug)]
pub struct VoiceProcessor {
    rate: u32,
    parts: VoiceParts,
    blocks: Blocks,
    work: Work,
}

/// What is done to each block.
#[derive(Debug)]
struct Work {
    /// Echo and noise.
    filter: Option<Filter>,
    /// What the phone was sent, as long as echo is taken out.
    reference: Option<Reference>,
    gain: Option<GainControl>,
    activity: VoiceActivity,
}

/// A processor on its way to another thread: the filters for echo and noise, whose library keeps to one thread, begin anew
/// there; they find the echo again within a second. All else is kept.
#[derive(Debug)]
pub struct SuspendedVoice {
    rate: u32,
    parts: VoiceParts,
    blocks: Blocks,
    reference: Option<Reference>,
    gain: Option<GainControl>,
    activity: VoiceActivity,
}

impl SuspendedVoice {
    /// Goes on. Allocates.
    pub fn resume(self) -> VoiceProcessor {
        let Self { rate, parts, blocks, reference, gain, activity } = self;
        let filter = (parts.echo || parts.noise).then(|| Filter::new(rate, parts.echo, parts.noise));
        VoiceProcessor { rate, parts, blocks, work: Work { filter, reference, gain, activity } }
    }
}

impl VoiceProcessor {
    /// For sound of 8, 16 or 48 kHz; `None` for any other rate. Memory: 2 KB for gain and activity, some 20 KB more for noise
    /// and 300 to 450 KB more for echo.
    pub fn new(rate: u32, parts: VoiceParts) -> Option<Self> {
        if !Self::takes(rate) {
            return None;
        }
        let nothing = VoiceParts::default();
        let work = Work { filter: None, reference: None, gain: None, activity: VoiceActivity::new(rate) };
        let blocks = Blocks::new((rate / BLOCKS_PER_SECOND) as usize);
        let mut processor = Self { rate, parts: nothing, blocks, work };
        processor.set_parts(parts);
        Some(processor)
    }

    /// Whether it is made for sound of this rate.
    pub fn takes(rate: u32) -> bool {
        matches!(rate, 8_000 | 16_000 | 48_000)
    }

    /// For sound of another rate, with the same parts, as loud as before.
    pub fn at_rate(mut self, rate: u32) -> Option<Self> {
        let mut other = Self::new(rate, self.parts)?;
        if let Some(gain) = self.work.gain.take() {
            other.work.gain = Some(gain);
        }
        Some(other)
    }

    /// Samples in a second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Which parts are at work.
    pub fn parts(&self) -> VoiceParts {
        self.parts
    }

    /// Has other parts at work from now on; those that stay go on as they are, unless echo or noise come or go. Allocates.
    pub fn set_parts(&mut self, parts: VoiceParts) {
        let before = std::mem::replace(&mut self.parts, parts);
        if (parts.echo, parts.noise) != (before.echo, before.noise) {
            self.work.filter = (parts.echo || parts.noise).then(|| Filter::new(self.rate, parts.echo, parts.noise));
        }
        match (parts.echo, &self.work.reference) {
            (true, None) => self.work.reference = Some(Reference::new(self.rate)),
            (false, Some(_)) => self.work.reference = None,
            _ => {}
        }
        match (parts.gain, &self.work.gain) {
            (true, None) => self.work.gain = Some(GainControl::new()),
            (false, Some(_)) => self.work.gain = None,
            _ => {}
        }
    }

    /// Takes what the phone is sent. `position` is that of its first sample, in samples of a clock that both directions share:
    /// what arrives from the phone at a position can have echoes only of what was sent at earlier ones.
    pub fn hear_sent(&mut self, position: i64, sound: &[i16]) {
        if let Some(reference) = &mut self.work.reference {
            reference.write(position, sound);
        }
    }

    /// Processes what came from the phone, in its place; `position` is that of its first sample. A hole before it, or a step
    /// back, is no error. Says whether there is speech in it, or was within the last 200 ms.
    pub fn process(&mut self, position: i64, sound: &mut [i16]) -> bool {
        let work = &mut self.work;
        self.blocks.pass(position, sound, |position, block| work.process(position, block));
        self.work.activity.is_speech()
    }

    /// For another thread.
    pub fn suspend(self) -> SuspendedVoice {
        let Self { rate, parts, blocks, work: Work { reference, gain, activity, .. } } = self;
        SuspendedVoice { rate, parts, blocks, reference, gain, activity }
    }

    /// The gain that speech gets now, in decibels.
    pub fn gain_db(&self) -> f32 {
        self.work.gain.as_ref().map_or(0.0, GainControl::gain_db)
    }

    /// As new for another phone, with the same parts. Allocates, as echo and noise begin again.
    pub fn reset(&mut self) {
        let parts = self.parts;
        self.set_parts(VoiceParts::default());
        self.set_parts(parts);
        self.blocks = Blocks::new((self.rate / BLOCKS_PER_SECOND) as usize);
        self.work.activity = VoiceActivity::new(self.rate);
    }
}

impl Work {
    fn process(&mut self, position: i64, block: &mut [i16]) {
        if let Some(filter) = &mut self.filter {
            let mut sent = [0; BLOCK_SAMPLES_MAX];
            let sent = &mut sent[..block.len()];
            if let Some(reference) = &self.reference {
                reference.read(position, sent);
            }
            // A fault of the library costs this phone its echo cancellation, not the worker all its calls.
            if catch_unwind(AssertUnwindSafe(|| filter.process(sent, block))).is_err() {
                self.filter = None;
            }
        }
        self.activity.hear(block);
        if let Some(gain) = &mut self.gain {
            gain.process(block, self.activity.is_speech(), self.activity.noise_dbov());
        }
    }
}
