//! From the program's frames to blocks for its leg, with marks that are told once the sound before them has been sent.

use super::hearing::FRAME_SAMPLES_MAX;
use audio::Resampler;
use contract::{STREAM_FRAMES_AHEAD_MAX, StreamRate};
use media_core::{BLOCK_SAMPLES_MAX, Block, Program};
use std::collections::VecDeque;

/// Blocks of a frame.
const FRAME_BLOCKS: u64 = 2;
/// Marks that wait for their sound.
const MARKS_MAX: usize = 1_000;

/// What a program says, on its way to the leg.
pub(super) struct Speaking {
    rate: StreamRate,
    frames: VecDeque<Box<[i16]>>,
    /// To the rate of the leg's codec: that rate, and the resampler where it is another one.
    resampler: (u32, Option<Resampler>),
    /// Frames that came, of which those beyond the limit were refused.
    came: u64,
    refused: u64,
    /// Blocks that went to the leg, and those that were taken back from it.
    pushed: u64,
    taken_back: u64,
    /// Frames that were forgotten before they became blocks.
    forgotten: u64,
    marks: VecDeque<Mark>,
}

struct Mark {
    number: u64,
    /// Frames before it, without refused ones.
    after_frames: u64,
}

/// A mark that is over.
pub(super) struct Passed {
    pub(super) number: u64,
    pub(super) is_heard: bool,
}

impl Speaking {
    pub(super) fn new(rate: StreamRate) -> Self {
        Self {
            rate,
            frames: VecDeque::new(),
            resampler: (0, None),
            came: 0,
            refused: 0,
            pushed: 0,
            taken_back: 0,
            forgotten: 0,
            marks: VecDeque::new(),
        }
    }

    /// Takes a frame of the stream's length; one that comes in spite of a full queue is refused.
    pub(super) fn take(&mut self, samples: &[u8]) {
        self.came += 1;
        if self.frames.len() as u64 >= STREAM_FRAMES_AHEAD_MAX {
            self.refused += 1;
            return;
        }
        let pairs = samples.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
        self.frames.push_back(pairs.collect());
    }

    /// Takes a mark; `false`: there are too many.
    pub(super) fn mark(&mut self, number: u64) -> bool {
        let after_frames = self.came - self.refused;
        self.marks.push_back(Mark { number, after_frames });
        self.marks.len() <= MARKS_MAX
    }

    /// Forgets all sound that was not sent yet; marks before that are told as not heard by [`Self::next_passed`].
    pub(super) fn flush(&mut self, program: &Program, passed: &mut Vec<Passed>) {
        self.tell_heard(program, passed);
        self.forgotten += self.frames.len() as u64;
        self.frames.clear();
        self.taken_back += program.flush();
        if let Some(resampler) = &mut self.resampler.1 {
            resampler.reset();
        }
        passed.extend(self.marks.drain(..).map(|mark| Passed { number: mark.number, is_heard: false }));
    }

    /// Gives the leg as much as it takes now.
    pub(super) fn feed(&mut self, program: &Program) {
        let leg_rate = if program.wants_wide() { 16_000 } else { 8_000 };
        if self.resampler.0 != leg_rate {
            self.resampler =
                (leg_rate, Resampler::new(self.rate.hz(), leg_rate, 1).filter(|_| self.rate.hz() != leg_rate));
        }
        while program.room() as u64 >= FRAME_BLOCKS {
            let Some(frame) = self.frames.pop_front() else { return };
            let mut resampled = [0; FRAME_SAMPLES_MAX];
            let sound = match &mut self.resampler.1 {
                Some(resampler) => {
                    let count = resampler.push(&frame, &mut resampled);
                    &resampled[..count]
                }
                None => &frame[..],
            };
            let block = if leg_rate == 16_000 { BLOCK_SAMPLES_MAX } else { BLOCK_SAMPLES_MAX / 2 };
            let mut blocks = sound.chunks_exact(block).filter_map(Block::new);
            for _ in 0..FRAME_BLOCKS {
                // There is room, and a frame is two blocks at either rate.
                let is_pushed = blocks.next().is_some_and(|block| program.push(block));
                debug_assert!(is_pushed);
                self.pushed += u64::from(is_pushed);
            }
        }
    }

    /// Marks whose sound has been sent.
    pub(super) fn tell_heard(&mut self, program: &Program, passed: &mut Vec<Passed>) {
        let done_frames = self.forgotten + (program.played() + self.taken_back) / FRAME_BLOCKS;
        let heard = self.marks.iter().take_while(|mark| mark.after_frames <= done_frames).count();
        passed.extend(self.marks.drain(..heard).map(|mark| Passed { number: mark.number, is_heard: true }));
    }

    /// Frames that wait here no more: the program may send as many again.
    pub(super) fn taken(&self) -> u64 {
        self.came - self.frames.len() as u64
    }
}
