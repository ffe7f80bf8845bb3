//! What a phone was sent in the last half second, by its time.

/// So much of the sound is kept: what is older has no echo any more.
const KEPT_MS: u32 = 500;

/// A window over the sound that was sent, addressed by position.
#[derive(Debug)]
pub(super) struct Reference {
    samples: Box<[i16]>,
    /// The position behind the last sample.
    end: i64,
}

impl Reference {
    pub(super) fn new(rate: u32) -> Self {
        Self { samples: vec![0; (rate / 1_000 * KEPT_MS) as usize].into_boxed_slice(), end: i64::MIN }
    }

    fn place(&self, position: i64) -> usize {
        position.rem_euclid(self.samples.len() as i64) as usize
    }

    /// What was not sent before `position` is silence. Sound at a position that has been written is replaced.
    pub(super) fn write(&mut self, position: i64, sound: &[i16]) {
        let length = self.samples.len();
        let too_long = sound.len().saturating_sub(length);
        let (position, sound) = (position.saturating_add(too_long as i64), &sound[too_long..]);
        let hole = position.saturating_sub(self.end);
        if hole < 0 && hole.unsigned_abs() > length as u64 {
            return; // older than all that is kept
        }
        if hole > 0 {
            let hole = usize::try_from(hole).unwrap_or(length).min(length);
            for back in 1..=hole {
                let place = self.place(position.saturating_sub(back as i64));
                self.samples[place] = 0;
            }
        }
        let first = self.place(position);
        let (before_end, rest) = sound.split_at(sound.len().min(length - first));
        self.samples[first..first + before_end.len()].copy_from_slice(before_end);
        self.samples[..rest.len()].copy_from_slice(rest);
        self.end = self.end.max(position.saturating_add(sound.len() as i64));
    }

    /// What was sent from `position` on; silence where nothing was, or it is kept no more.
    pub(super) fn read(&self, position: i64, out: &mut [i16]) {
        let oldest = self.end.saturating_sub(self.samples.len() as i64);
        for (index, sample) in out.iter_mut().enumerate() {
            let at = position.saturating_add(index as i64);
            *sample = if at >= oldest && at < self.end { self.samples[self.place(at)] } else { 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_found_by_its_position_and_holes_are_silent() {
        let mut reference = Reference::new(8_000);
        let (mut out, sound) = ([1; 160], [7; 160]);
        reference.read(0, &mut out);
        assert_eq!(out, [0; 160], "nothing was sent");
        reference.write(10_000, &sound);
        reference.write(10_320, &sound);
        reference.read(10_080, &mut out);
        assert_eq!((out[79], out[80], out[159]), (7, 0, 0));
        reference.read(10_240, &mut out);
        assert_eq!((out[79], out[80]), (0, 7));
        reference.write(9_990, &[3; 20]);
        reference.read(9_990, &mut out);
        assert_eq!((out[0], out[19], out[20]), (3, 3, 7), "a late packet takes its place");
        reference.write(20_000, &[5; 9_000]);
        reference.read(20_000 + 5_000, &mut out);
        assert_eq!(out, [5; 160], "of more than is kept the end is kept");
        reference.write(i64::MAX - 10, &sound);
        reference.write(i64::MIN, &sound);
        reference.read(i64::MAX - 5, &mut out);
    }
}
