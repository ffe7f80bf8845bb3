//! A voice in the mix: a member's sound with its gain, without a step at its beginning and end.

use super::{HeardBy, MemberSlot};

/// Bits of gain behind the point.
const GAIN_BITS: u32 = 12;

/// The contribution of a member to this frame.
#[derive(Clone, Debug)]
pub(super) struct Voice {
    state: State,
    heard_by: HeardBy,
    /// The member in whose sound this voice is not, even after it has left.
    owner: Option<MemberSlot>,
    /// Gain at the end of the frame.
    gain: i32,
    /// The last sample without gain: a voice that breaks off fades from it.
    last: i16,
    samples: Box<[i32]>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Not in use.
    Free,
    /// Heard.
    Heard(MemberSlot),
    /// To be heard no more: it fades in the next frame, in which its member still speaks.
    Ending(MemberSlot),
    /// Its member is gone: it fades in the next frame.
    Gone,
    /// It has faded in this frame.
    Faded,
}

impl Voice {
    pub(super) fn new(frame_samples: usize) -> Self {
        Self {
            state: State::Free,
            heard_by: HeardBy::All,
            owner: None,
            gain: 0,
            last: 0,
            samples: vec![0; frame_samples].into_boxed_slice(),
        }
    }

    /// The member that speaks with this voice, or lets it end.
    pub(super) fn slot(&self) -> Option<MemberSlot> {
        match self.state {
            State::Heard(slot) | State::Ending(slot) => Some(slot),
            State::Free | State::Gone | State::Faded => None,
        }
    }

    /// The member that is heard with this voice.
    pub(super) fn heard(&self) -> Option<(MemberSlot, HeardBy)> {
        match self.state {
            State::Heard(slot) => Some((slot, self.heard_by)),
            _ => None,
        }
    }

    pub(super) fn is_free(&self) -> bool {
        self.state == State::Free
    }

    pub(super) fn begin(&mut self, slot: MemberSlot, heard_by: HeardBy) {
        (self.state, self.heard_by, self.owner) = (State::Heard(slot), heard_by, Some(slot));
        (self.gain, self.last) = (0, 0);
    }

    /// Lets the voice fade in the next frame.
    pub(super) fn end(&mut self) {
        if let State::Heard(slot) = self.state {
            self.state = State::Ending(slot);
        }
    }

    /// The voice can be used again once it has faded.
    pub(super) fn free_if_faded(&mut self) {
        if self.state == State::Faded {
            (self.state, self.owner) = (State::Free, None);
        }
    }

    /// The member has left: its place may soon belong to another.
    pub(super) fn lose(&mut self, slot: MemberSlot) {
        if self.slot() == Some(slot) {
            self.state = State::Gone;
        }
        if self.owner == Some(slot) {
            self.owner = None;
        }
        if self.heard_by == HeardBy::Only(slot) {
            // It has no listener any more.
            self.state = State::Free;
        }
    }

    /// Takes a frame of the member's sound.
    pub(super) fn speak(&mut self, sound: &[i16], gain: f32, ramp: usize) {
        let wanted = (gain * (1 << GAIN_BITS) as f32).round() as i32;
        let wanted = if matches!(self.state, State::Ending(_)) { 0 } else { wanted };
        let count = sound.len().min(self.samples.len());
        let (spoken, missing) = self.samples.split_at_mut(count);
        amplify(&sound[..count], spoken, self.gain, wanted, ramp);
        let last = sound[..count].last().copied().unwrap_or(self.last);
        // What is missing begins where the sound broke off, and fades.
        let gain = if count == 0 { self.gain } else { wanted };
        decay(last, gain, missing, ramp);
        // After a gap the sound swells again.
        (self.last, self.gain) = if missing.is_empty() { (last, wanted) } else { (0, 0) };
        if matches!(self.state, State::Ending(_)) {
            self.state = State::Faded;
        }
    }

    /// Fades a voice whose member is gone.
    pub(super) fn fade(&mut self, ramp: usize) {
        if self.state == State::Gone {
            decay(self.last, self.gain, &mut self.samples, ramp);
            self.state = State::Faded;
        }
    }

    pub(super) fn add_to(&self, sum: &mut [i32]) {
        if self.state != State::Free && self.heard_by == HeardBy::All {
            for (sum, sample) in sum.iter_mut().zip(&self.samples) {
                *sum += sample;
            }
        }
    }

    /// Whether what this member hears differs from what all hear because of this voice.
    pub(super) fn matters_to(&self, slot: MemberSlot) -> bool {
        self.state != State::Free
            && match self.heard_by {
                HeardBy::All => self.owner == Some(slot),
                HeardBy::Only(listener) => listener == slot,
            }
    }

    /// What is to be added to the sum for this member, and with which sign.
    pub(super) fn change_for(&self, slot: MemberSlot) -> Option<(&[i32], i32)> {
        let sign = if self.heard_by == HeardBy::All { -1 } else { 1 };
        self.matters_to(slot).then_some((&self.samples, sign))
    }
}

/// The sound with a gain that moves from one value to another within `ramp` samples.
fn amplify(sound: &[i16], out: &mut [i32], from: i32, to: i32, ramp: usize) {
    let ramp = if from == to { 0 } else { ramp.min(sound.len()) };
    let (ramp_sound, rest_sound) = sound.split_at(ramp);
    let (ramp_out, rest_out) = out.split_at_mut(ramp);
    for (index, (out, sample)) in ramp_out.iter_mut().zip(ramp_sound).enumerate() {
        let gain = from + (to - from) * (index + 1) as i32 / ramp as i32;
        *out = (i32::from(*sample) * gain) >> GAIN_BITS;
    }
    if to == 1 << GAIN_BITS {
        for (out, sample) in rest_out.iter_mut().zip(rest_sound) {
            *out = i32::from(*sample);
        }
    } else {
        for (out, sample) in rest_out.iter_mut().zip(rest_sound) {
            *out = (i32::from(*sample) * to) >> GAIN_BITS;
        }
    }
}

/// A sample that fades to nothing within `ramp` samples.
fn decay(sample: i16, gain: i32, out: &mut [i32], ramp: usize) {
    let start = (i32::from(sample) * gain) >> GAIN_BITS;
    let count = ramp.min(out.len());
    let (fading, silent) = out.split_at_mut(count);
    for (index, out) in fading.iter_mut().enumerate() {
        let left = 1.0 - (index + 1) as f32 / count as f32;
        *out = (start as f32 * left * left) as i32;
    }
    silent.fill(0);
}

/// Lets the beginning of a frame swell from silence, or fade to it.
pub(super) fn swell(frame: &mut [i16], ramp: usize, fades: bool) {
    let ramp = ramp.min(frame.len());
    for (index, sample) in frame[..ramp].iter_mut().enumerate() {
        let part = (index + 1) as f32 / ramp as f32;
        *sample = (f32::from(*sample) * if fades { 1.0 - part } else { part }) as i16;
    }
    if fades {
        frame[ramp..].fill(0);
    }
}
