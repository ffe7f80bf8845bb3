//! Keeps a sum within 16 bits without clipping.
//!
//! Loud passages lower a gain, which comes back slowly and evenly, so that it is not heard to pump. What is still too
//! loud, because the gain had no time to follow, is bent by a soft knee.

/// Up to here a sample stays as it is: -1.4 dB of full scale.
const KNEE: f32 = 28_000.0;
const FULL: f32 = 32_767.0;
/// The gain falls within this time ...
const ATTACK_TENTHS_MS: usize = 25;
/// ... and rises by this factor in a millisecond: 10 dB in a second.
const RELEASE_PER_MS: f32 = 1.001_152;

/// The gain of the sum for one member, which moves from one value to another within the ramp.
#[derive(Clone, Copy, Debug)]
pub(super) struct Talk {
    pub(super) from: f32,
    pub(super) to: f32,
    pub(super) ramp_samples: usize,
}

impl Talk {
    fn amplify(self, sum: &mut [i32]) {
        let Self { from, to, ramp_samples } = self;
        if from == 1.0 && to == 1.0 {
            return;
        }
        let (ramp, rest) = sum.split_at_mut(ramp_samples.min(sum.len()));
        for (index, sample) in ramp.iter_mut().enumerate() {
            let gain = from + (to - from) * (index + 1) as f32 / ramp_samples as f32;
            *sample = (*sample as f32 * gain) as i32;
        }
        rest.iter_mut().for_each(|sample| *sample = (*sample as f32 * to) as i32);
    }
}

#[derive(Clone, Debug)]
pub(super) struct Limiter {
    attack_samples: usize,
    release: f32,
    /// Gain at the beginning and at the end of this frame.
    from: f32,
    to: f32,
    scratch: Box<[i32]>,
}

impl Limiter {
    pub(super) fn new(frame_samples: usize, per_ms: usize) -> Self {
        Self {
            attack_samples: (ATTACK_TENTHS_MS * per_ms / 10).min(frame_samples),
            release: RELEASE_PER_MS.powf(frame_samples as f32 / per_ms as f32),
            from: 1.0,
            to: 1.0,
            scratch: vec![0; frame_samples].into_boxed_slice(),
        }
    }

    /// Sets the gain for a frame of the sum.
    pub(super) fn hear(&mut self, sum: &[i32]) {
        let wanted = (KNEE / peak(sum) as f32).min(1.0);
        self.from = self.to;
        self.to = wanted.min(self.from * self.release);
    }

    /// Writes a frame of the sum.
    pub(super) fn write(&self, sum: &[i32], out: &mut [i16]) {
        if self.from == 1.0 && self.to == 1.0 && peak(sum) <= KNEE as u32 {
            for (out, sum) in out.iter_mut().zip(sum) {
                *out = *sum as i16;
            }
            return;
        }
        let ramp = if self.to < self.from { self.attack_samples } else { out.len() };
        let step = (self.to - self.from) / ramp as f32;
        let (beginning, rest) = out.split_at_mut(ramp.min(out.len()));
        let (beginning_sum, rest_sum) = sum.split_at(beginning.len());
        for (index, (out, sum)) in beginning.iter_mut().zip(beginning_sum).enumerate() {
            *out = bent(*sum as f32 * (self.from + step * (index + 1) as f32));
        }
        for (out, sum) in rest.iter_mut().zip(rest_sum) {
            *out = bent(*sum as f32 * self.to);
        }
    }

    /// Writes a frame of the sum with changes to it. The gain of `talk` is that of the talk, and of what is taken out of it,
    /// but not of what is for this member alone.
    pub(super) fn write_own<'a>(
        &mut self,
        (sum, talk): (&[i32], Talk),
        changes: impl Iterator<Item = (&'a [i32], i32)> + Clone,
        out: &mut [i16],
    ) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.copy_from_slice(sum);
        let add = |scratch: &mut [i32], change: &[i32], sign: i32| {
            for (scratch, change) in scratch.iter_mut().zip(change) {
                *scratch += sign * change;
            }
        };
        for (change, sign) in changes.clone().filter(|(_, sign)| *sign < 0) {
            add(&mut scratch, change, sign);
        }
        talk.amplify(&mut scratch);
        for (change, sign) in changes.filter(|(_, sign)| *sign > 0) {
            add(&mut scratch, change, sign);
        }
        self.write(&scratch[..out.len()], out);
        self.scratch = scratch;
    }
}

fn peak(samples: &[i32]) -> u32 {
    samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0)
}

/// The sample, ever less than full scale: above the knee the curve is a hyperbola that starts with the same slope.
#[inline]
fn bent(sample: f32) -> i16 {
    let size = sample.abs();
    let above = (size - KNEE).max(0.0);
    let room = FULL - KNEE;
    (size.min(KNEE) + above * room / (above + room)).copysign(sample) as i16
}
