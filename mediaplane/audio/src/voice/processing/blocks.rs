//! Blocks of 10 ms out of pieces of any length.

use super::BLOCK_SAMPLES_MAX;

/// Cuts sound into blocks and gives it back in pieces as long as those that came. Pieces of whole blocks are not delayed; from
/// the first other one on everything is late by one block.
#[derive(Debug)]
pub(super) struct Blocks {
    length: usize,
    /// The beginning of a block, and what came before it, already processed.
    samples: [i16; BLOCK_SAMPLES_MAX],
    /// How much of the block is there; what stands behind that is of the block before.
    filled: usize,
    is_late: bool,
}

impl Blocks {
    pub(super) fn new(length: usize) -> Self {
        assert!(
            length > 0 && length <= BLOCK_SAMPLES_MAX,
            "a block has 1 to {BLOCK_SAMPLES_MAX} samples, not {length}"
        );
        Self { length, samples: [0; BLOCK_SAMPLES_MAX], filled: 0, is_late: false }
    }

    /// Has the blocks of a piece processed in place; each is told the position of its first sample.
    pub(super) fn pass(&mut self, position: i64, piece: &mut [i16], mut process: impl FnMut(i64, &mut [i16])) {
        self.is_late |= !piece.len().is_multiple_of(self.length);
        if !self.is_late {
            for (index, block) in piece.chunks_exact_mut(self.length).enumerate() {
                process(position.saturating_add((index * self.length) as i64), block);
            }
            return;
        }
        for (index, sample) in piece.iter_mut().enumerate() {
            // A sample of the block before leaves as one of the next block comes.
            std::mem::swap(sample, &mut self.samples[self.filled]);
            self.filled += 1;
            if self.filled == self.length {
                self.filled = 0;
                let first = position.saturating_add(index as i64 + 1 - self.length as i64);
                process(first, &mut self.samples[..self.length]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_length_leave_as_long_and_in_order() {
        for lengths in [&[80, 160, 240][..], &[7, 1, 80, 333], &[160, 100, 60]] {
            let mut blocks = Blocks::new(80);
            let (mut at, mut heard, mut processed) = (0_i64, Vec::new(), Vec::new());
            for length in lengths.iter().cycle().take(60) {
                let mut piece: Vec<i16> = (0..*length).map(|index| (at + index) as i16 + 1).collect();
                blocks.pass(at, &mut piece, |position, block| {
                    assert_eq!(block[0], position as i16 + 1, "the position is that of the block's first sample");
                    processed.extend_from_slice(block);
                });
                heard.extend_from_slice(&piece);
                at += length;
            }
            // All sound leaves in order: at once, and behind one block of silence from the first odd piece on.
            let silent = heard.iter().filter(|sample| **sample == 0).count();
            let sound: Vec<i16> = heard.into_iter().filter(|sample| *sample != 0).collect();
            assert!(sound.windows(2).all(|two| two[1] == two[0] + 1) && sound[0] == 1, "{lengths:?}");
            let is_whole = lengths.iter().all(|length| length % 80 == 0);
            assert_eq!(silent, if is_whole { 0 } else { 80 }, "{lengths:?}");
            assert!(processed.windows(2).all(|two| two[1] == two[0] + 1));
        }
    }
}
